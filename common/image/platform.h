/*
 * platform: processor architectures, as Docker, Nix and uname(1) spell them.
 */
#ifndef DT_PLATFORM_H
#define DT_PLATFORM_H

#include <stdbool.h>

/* As the OCI image specification spells it (Go's GOARCH, and a variant for ARM). */
struct platform {
	char arch[32];
	char variant[16]; /* "" if there is none */
};

/*
 * Reads the spelling of GOARCH, uname(1) or Nix: "amd64", "x86_64", "x86_64-linux",
 * "arm64", "aarch64", "armv7l". "linux/" may stand in front, and a variant behind:
 * "linux/arm/v7". Returns 0, or -1 for everything else.
 */
int platform_parse(struct platform *p, const char *text);

/*
 * The values of the options --arch and --os. They end the process if the value is none;
 * the message lists all architectures.
 */
void platform_arch_option(struct platform *p, const char *value);
const char *platform_os_option(const char *value);

/* The architecture of this machine; of an unknown one, as uname(1) spells it. */
void platform_host(struct platform *p);

/* Whether this could name an operating system: "linux". */
bool platform_is_os(const char *text);

#endif
