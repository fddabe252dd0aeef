#include "image/platform.h"

#include "base/err.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

/*
 * The spellings of each architecture. The GOARCH spelling, which images use, comes first.
 */
static const struct {
	const char *spelling, *arch, *variant;
} known[] = {
    {"386", "386", ""},
    {"i386", "386", ""},
    {"i486", "386", ""},
    {"i586", "386", ""},
    {"i686", "386", ""},
    {"amd64", "amd64", ""},
    {"x86_64", "amd64", ""},
    {"arm", "arm", ""},
    {"armv5tel", "arm", "v5"},
    {"armv5tejl", "arm", "v5"},
    {"armv6l", "arm", "v6"},
    {"armv7a", "arm", "v7"},
    {"armv7l", "arm", "v7"},
    {"armhf", "arm", "v7"},
    {"armv8l", "arm", "v7"},
    {"arm64", "arm64", ""},
    {"aarch64", "arm64", ""},
    {"loong64", "loong64", ""},
    {"loongarch64", "loong64", ""},
    {"mips", "mips", ""},
    {"mipsle", "mipsle", ""},
    {"mipsel", "mipsle", ""},
    {"mips64", "mips64", ""},
    {"mips64le", "mips64le", ""},
    {"mips64el", "mips64le", ""},
    {"ppc64", "ppc64", ""},
    {"powerpc64", "ppc64", ""},
    {"ppc64le", "ppc64le", ""},
    {"ppc64el", "ppc64le", ""},
    {"powerpc64le", "ppc64le", ""},
    {"riscv64", "riscv64", ""},
    {"s390x", "s390x", ""},
    {"wasm", "wasm", ""},
    {"wasm32", "wasm", ""},
};

/* The variants that the OCI image specification and Go define. */
static const struct {
	const char *arch, *variant;
} variants[] = {
    {"amd64", "v1"},         {"amd64", "v2"},         {"amd64", "v3"},
    {"amd64", "v4"},         {"arm", "v5"},           {"arm", "v6"},
    {"arm", "v7"},           {"arm", "v8"},           {"arm64", "v8"},
    {"arm64", "v9"},         {"ppc64le", "power8"},   {"ppc64le", "power9"},
    {"ppc64le", "power10"},  {"riscv64", "rva20u64"}, {"riscv64", "rva22u64"},
    {"riscv64", "rva23u64"},
};

#define N(table) (sizeof(table) / sizeof *(table))

static bool has_variant(const char *arch, const char *variant)
{
	for (size_t i = 0; i < N(variants); i++)
		if (strcmp(variants[i].arch, arch) == 0 &&
		    strcmp(variants[i].variant, variant) == 0)
			return true;
	return false;
}

int platform_parse(struct platform *p, const char *text)
{
	static const char os[] = "linux/", system[] = "-linux";
	const size_t system_len = sizeof system - 1;
	const char *name = text, *variant = "";

	if (strncmp(text, os, sizeof os - 1) == 0)
		name += sizeof os - 1;
	size_t len = strcspn(name, "/");
	if (name[len] == '/')
		variant = name + len + 1;
	else if (len > system_len && strcmp(name + len - system_len, system) == 0)
		len -= system_len;
	for (size_t i = 0; i < N(known); i++) {
		if (strlen(known[i].spelling) != len ||
		    memcmp(known[i].spelling, name, len) != 0)
			continue;
		if (name[len] != '/')
			variant = known[i].variant;
		else if (*known[i].variant != '\0' ||
			 !has_variant(known[i].arch, variant))
			return -1;
		snprintf(p->arch, sizeof p->arch, "%s", known[i].arch);
		snprintf(p->variant, sizeof p->variant, "%s", variant);
		return 0;
	}
	return -1;
}

void platform_host(struct platform *p)
{
	struct utsname u;

	*p = (struct platform){.arch = "amd64"};
	if (uname(&u) == 0 && platform_parse(p, u.machine) < 0)
		snprintf(p->arch, sizeof p->arch, "%.31s", u.machine);
}

bool platform_is_os(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789");

	return len > 0 && text[len] == '\0';
}

void platform_arch_option(struct platform *p, const char *value)
{
	char list[1024] = "";
	size_t len = 0;

	if (platform_parse(p, value) == 0)
		return;
	for (size_t i = 0; i < N(known); i++)
		len += (size_t)snprintf(list + len, sizeof list - len, " %s",
					known[i].spelling);
	for (size_t i = 0; i < N(variants); i++)
		len += (size_t)snprintf(list + len, sizeof list - len, " %s/%s",
					variants[i].arch, variants[i].variant);
	die_usage(
	    "--arch: '%s' is not an architecture; known, also with linux/ in front or "
	    "-linux behind, are%s",
	    value, list);
}

const char *platform_os_option(const char *value)
{
	if (!platform_is_os(value))
		die_usage("--os: '%s' is not an operating system", value);
	return value;
}
