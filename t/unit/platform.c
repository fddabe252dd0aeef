#include "image/platform.h"

#include "tap.h"

static void is_arch(const char *text, const char *arch, const char *variant)
{
	struct platform p;
	char what[128];

	memset(&p, 'x', sizeof p);
	snprintf(what, sizeof what, "'%s' is an architecture", text);
	if (!tap_ok(platform_parse(&p, text) == 0, what))
		return;
	snprintf(what, sizeof what, "'%s' is %s", text, arch);
	tap_is(p.arch, arch, what);
	snprintf(what, sizeof what, "'%s' has the variant '%s'", text, variant);
	tap_is(p.variant, variant, what);
}

static void is_none(const char *text)
{
	struct platform p;
	char what[128];

	snprintf(what, sizeof what, "'%s' is no architecture", text);
	tap_int(platform_parse(&p, text), -1, what);
}

static void parse_arch(const char *value)
{
	struct platform p;

	platform_arch_option(&p, value);
}

static void parse_os(const char *value)
{
	(void)platform_os_option(value);
}

/* The spellings of Go, which images have. */
static void test_go(void)
{
	is_arch("386", "386", "");
	is_arch("amd64", "amd64", "");
	is_arch("arm", "arm", "");
	is_arch("arm64", "arm64", "");
	is_arch("loong64", "loong64", "");
	is_arch("mips", "mips", "");
	is_arch("mipsle", "mipsle", "");
	is_arch("mips64", "mips64", "");
	is_arch("mips64le", "mips64le", "");
	is_arch("ppc64", "ppc64", "");
	is_arch("ppc64le", "ppc64le", "");
	is_arch("riscv64", "riscv64", "");
	is_arch("s390x", "s390x", "");
	is_arch("wasm", "wasm", "");
}

/* The spellings of uname(1), and the systems of Nix. */
static void test_others(void)
{
	is_arch("x86_64", "amd64", "");
	is_arch("x86_64-linux", "amd64", "");
	is_arch("linux/x86_64", "amd64", "");
	is_arch("i386", "386", "");
	is_arch("i686", "386", "");
	is_arch("i686-linux", "386", "");
	is_arch("aarch64", "arm64", "");
	is_arch("aarch64-linux", "arm64", "");
	is_arch("armv5tel-linux", "arm", "v5");
	is_arch("armv6l", "arm", "v6");
	is_arch("armv6l-linux", "arm", "v6");
	is_arch("armv7l", "arm", "v7");
	is_arch("armv7l-linux", "arm", "v7");
	is_arch("armv7a-linux", "arm", "v7");
	is_arch("armv8l", "arm", "v7");
	is_arch("loongarch64-linux", "loong64", "");
	is_arch("mipsel-linux", "mipsle", "");
	is_arch("mips64el-linux", "mips64le", "");
	is_arch("powerpc64le-linux", "ppc64le", "");
	is_arch("ppc64le", "ppc64le", "");
	is_arch("riscv64-linux", "riscv64", "");
	is_arch("s390x-linux", "s390x", "");
}

static void test_variants(void)
{
	is_arch("linux/amd64", "amd64", "");
	is_arch("linux/arm/v7", "arm", "v7");
	is_arch("arm/v5", "arm", "v5");
	is_arch("arm/v6", "arm", "v6");
	is_arch("arm/v8", "arm", "v8");
	is_arch("arm64/v8", "arm64", "v8");
	is_arch("linux/aarch64/v8", "arm64", "v8");
	is_arch("amd64/v1", "amd64", "v1");
	is_arch("x86_64/v3", "amd64", "v3");
	is_arch("ppc64le/power10", "ppc64le", "power10");
	is_arch("riscv64/rva20u64", "riscv64", "rva20u64");
}

static void test_refusals(void)
{
	is_none("");
	is_none("linux");
	is_none("linux/");
	is_none("/");
	is_none("-linux");
	is_none("vax");
	is_none("AMD64");
	is_none("amd6");
	is_none("amd644");
	is_none(" amd64");
	is_none("amd64 ");
	is_none("x86-64");
	is_none("linux/linux/amd64");
	is_none("Linux/amd64");
	is_none("windows/amd64");
	is_none("x86_64-darwin");
	is_none("x86_64-linux-musl");
	is_none("x86_64-linux-linux");
	is_none("amd64/");
	is_none("amd64/v5");
	is_none("amd64/V2");
	is_none("amd64/v2/");
	is_none("amd64/v2-linux");
	is_none("arm/v9");
	is_none("arm64/v7");
	is_none("386/v2");
	is_none("s390x/v8");
	is_none("armv7l/v7"); /* has a variant already */
	is_none("armv7l/v6");
	is_none("x86_64-linux/v2");
	is_none("arm//v7");
}

static void test_options(void)
{
	struct platform p = {0};

	platform_arch_option(&p, "linux/arm/v7");
	tap_ok(strcmp(p.arch, "arm") == 0 && strcmp(p.variant, "v7") == 0,
	       "--arch takes a variant");
	tap_dies(2, parse_arch, "vax", "--arch fails for others");
	tap_dies(2, parse_arch, "", "--arch fails for nothing");
	tap_is(platform_os_option("linux"), "linux", "--os takes linux");
	tap_dies(2, parse_os, "Linux", "--os fails for upper case");

	tap_ok(platform_is_os("plan9"), "an operating system may have digits");
	tap_ok(!platform_is_os(""), "but a name");
	tap_ok(!platform_is_os("linux/amd64"), "and no slash");
	tap_ok(!platform_is_os("linux "), "no blank");
	tap_ok(!platform_is_os("lin-ux"), "no dash");
	tap_ok(!platform_is_os("l\xc3\xa9"), "and no other letters");

	platform_host(&p);
	tap_ok(p.arch[0] != '\0', "this machine has an architecture");
	tap_ok(platform_parse(&p, "amd64") == 0 && p.variant[0] == '\0',
	       "an older variant is overwritten");
}

int main(void)
{
	test_go();
	test_others();
	test_variants();
	test_refusals();
	test_options();
	return tap_done();
}
