/*
 * platform: processor architectures, as Docker, Nix and uname(1) spell them. Level 2.
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
 * Reads any spelling: "amd64", "x86_64", "x86_64-linux", "arm64", "aarch64", "arm/v7",
 * "armv7l". A name that is in no list is taken as it is, if it could be one. Returns 0,
 * or -1 if it could not.
 */
int platform_parse(struct platform *p, const char *text);

/* The values of the options --arch and --os; end the process if they could not be. */
void platform_arch_option(struct platform *p, const char *value);
const char *platform_os_option(const char *value);

/* The architecture of this machine. */
void platform_host(struct platform *p);

/* Whether this could name an operating system: "linux". */
bool platform_is_os(const char *text);

#endif
