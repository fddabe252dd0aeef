#include "platform.h"

#include "err.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

static const struct {
	const char *spelling, *arch, *variant;
} known[] = {
    {"x86_64", "amd64", ""},
    {"aarch64", "arm64", ""},
    {"i386", "386", ""},
    {"i486", "386", ""},
    {"i586", "386", ""},
    {"i686", "386", ""},
    {"armv5tel", "arm", "v5"},
    {"armv6l", "arm", "v6"},
    {"armv7l", "arm", "v7"},
    {"armv7a", "arm", "v7"},
    {"armhf", "arm", "v7"},
    {"armv8l", "arm", "v7"},
    {"powerpc64le", "ppc64le", ""},
    {"loongarch64", "loong64", ""},
    {"mips64el", "mips64le", ""},
    {"mipsel", "mipsle", ""},
};

/* What names of architectures, variants and systems are made of. */
#define WORD "abcdefghijklmnopqrstuvwxyz0123456789"

int platform_parse(struct platform *p, const char *text)
{
	const char *system = strstr(text, "-linux"), *variant = "";
	size_t len = strspn(text, WORD "_"), end = len;

	if (text[len] == '/') {
		variant = text + len + 1;
		end += 1 + strspn(variant, WORD);
		if (*variant == '\0')
			return -1;
	} else if (system == text + len) {
		end += strlen("-linux");
	}
	if (len == 0 || len >= sizeof p->arch || text[end] != '\0' ||
	    strlen(variant) >= sizeof p->variant)
		return -1;
	memcpy(p->arch, text, len);
	p->arch[len] = '\0';
	snprintf(p->variant, sizeof p->variant, "%s", variant);
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (strcmp(p->arch, known[i].spelling) != 0)
			continue;
		snprintf(p->arch, sizeof p->arch, "%s", known[i].arch);
		if (*variant == '\0')
			snprintf(p->variant, sizeof p->variant, "%s", known[i].variant);
		break;
	}
	return 0;
}

void platform_host(struct platform *p)
{
	struct utsname u;

	if (uname(&u) < 0 || platform_parse(p, u.machine) < 0)
		*p = (struct platform){.arch = "amd64"};
}

bool platform_is_os(const char *text)
{
	size_t len = strspn(text, WORD);

	return len > 0 && text[len] == '\0';
}

void platform_arch_option(struct platform *p, const char *value)
{
	if (platform_parse(p, value) < 0)
		die_usage("--arch: '%s' is no architecture", value);
}

const char *platform_os_option(const char *value)
{
	if (!platform_is_os(value))
		die_usage("--os: '%s' is no operating system", value);
	return value;
}
