/*
 * platform: names of processor architectures.
 *
 * Images name an architecture as Go does (amd64), Nix and uname(1) in other ways
 * (x86_64). This module translates all of them to the spelling of images.
 *
 * Specification: OCI image specification, image-index.md, "platform".
 */
#ifndef DT_PLATFORM_H
#define DT_PLATFORM_H

#include <stdbool.h>

/*
 * An architecture in the spelling of the OCI image specification: GOARCH, and a variant.
 */
struct platform {
	char arch[32];
	char variant[16]; /* "" if there is none */
};

/*
 * Parses a spelling of GOARCH, uname(1) or Nix: "amd64", "x86_64", "x86_64-linux",
 * "arm64", "aarch64", "armv7l". A prefix "linux/" and a variant are allowed:
 * "linux/arm/v7". Returns 0, or -1 if `text` is none of these.
 */
int platform_parse(struct platform *p, const char *text);

/*
 * Parse the values of the options --arch and --os. They exit with status 2 if the value
 * is invalid. The message for --arch lists all architectures.
 */
void platform_arch_option(struct platform *p, const char *value);
const char *platform_os_option(const char *value);

/* The architecture of this machine. An unknown one keeps the spelling of uname(1). */
void platform_host(struct platform *p);

/* Whether `text` could be an operating system: lower-case letters and digits. */
bool platform_is_os(const char *text);

#endif
