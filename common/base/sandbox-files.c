#include "base/sandbox.h"

#include "base/err.h"
#include "base/sandbox-private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Rights and structures of <linux/landlock.h>. That of Debian 12 has the versions 1 and 2
 * only.
 */
enum {
	REFERABLE =
	    2, /* the version from which files can be renamed across directories */
	TRUNCATING = 3,
	NETWORKED = 4,
	CONTROLLING = 5,
	SCOPED = 6,
};

enum {
	FS_ALL_1 = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |
		   LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
		   LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
		   LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
		   LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
		   LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
		   LANDLOCK_ACCESS_FS_MAKE_SYM,
	FS_REFER = 1 << 13,
	FS_TRUNCATE = 1 << 14,
	FS_IOCTL_DEV = 1 << 15,
	NET_BIND = 1 << 0,
	NET_CONNECT = 1 << 1,
	SCOPE_ALL = 3, /* abstract sockets and signals */
	RULE_NET_PORT = 2,
};

struct ruleset {
	uint64_t fs, net, scoped;
};

struct net_rule {
	uint64_t access, port;
};

enum {
	READ_FILE = LANDLOCK_ACCESS_FS_READ_FILE,
	READ = READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
	WRITE = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |
		LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | FS_REFER |
		FS_TRUNCATE,
};

/* Libraries are loaded late: by iconv(3), by OpenSSL, by the resolver. */
static const char *const libraries[] = {
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/nix/store",
    "/gnu/store",
    "/etc/ld.so.cache",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/openssl.cnf",
    "/etc/crypto-policies",
    "/dev/null",
    "/dev/random",
    "/dev/urandom",
    "/proc/sys/crypto",
    "/sys/devices/system/cpu",
};

/* Names of servers, and their certificates. */
static const char *const network[] = {
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/localtime",
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/ca-trust",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/var/lib/ca-certificates",
};

/* Variables that name a file or a directory. */
static const char *const variables[] = {
    "CURL_CA_BUNDLE", "GCONV_PATH",   "HOSTALIASES",   "NIX_SSL_CERT_FILE",
    "OPENSSL_CONF",   "SSL_CERT_DIR", "SSL_CERT_FILE",
};

int sandbox_landlock(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0,
			       LANDLOCK_CREATE_RULESET_VERSION);

	return version > 0 && !SANDBOX_IS_TRACED ? (int)version : 0;
}

static uint64_t known_rights(int version)
{
	uint64_t rights = FS_ALL_1 | FS_REFER;

	if (version >= TRUNCATING)
		rights |= FS_TRUNCATE;
	if (version >= CONTROLLING)
		rights |= FS_IOCTL_DEV;
	return rights;
}

static _Noreturn void fail(void)
{
	die_errno("Landlock");
}

/* Allows access to a file, or to everything below a directory. It may be missing. */
static void allow_file(int ruleset, const char *name, uint64_t rights)
{
	struct landlock_path_beneath_attr rule = {.parent_fd =
						      open(name, O_PATH | O_CLOEXEC)};
	struct stat st;

	if (rule.parent_fd < 0)
		return;
	if (fstat(rule.parent_fd, &st) < 0)
		fail();
	rule.allowed_access = S_ISDIR(st.st_mode) ? rights : rights & READ_FILE;
	/* EBADFD: a pipe or a socket, which Landlock does not restrict. */
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule,
		    0) < 0 &&
	    errno != EBADFD)
		fail();
	close(rule.parent_fd);
}

static void allow_list(int ruleset, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		allow_file(ruleset, list[i], READ);
}

static void allow_files(int ruleset, const struct sandbox *s, int version)
{
	allow_list(ruleset, libraries, sizeof libraries / sizeof *libraries);
	if (s->has_network)
		allow_list(ruleset, network, sizeof network / sizeof *network);
	for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
		const char *file = getenv(variables[i]);
		if (file != NULL)
			allow_file(ruleset, file, READ);
	}
	for (size_t i = 0; i < s->files.n; i++)
		allow_file(ruleset, s->files.name[i], READ);
	if (s->cache != NULL)
		allow_file(ruleset, s->cache, (READ | WRITE) & known_rights(version));
}

static void allow_ports(int ruleset, const struct sandbox *s)
{
	for (size_t i = 0; i < s->n_ports; i++) {
		const struct net_rule rule = {.access = NET_CONNECT, .port = s->port[i]};
		if (syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &rule, 0) < 0)
			fail();
	}
}

void sandbox_restrict_files(const struct sandbox *s)
{
	int version = sandbox_landlock();
	bool any_port = s->has_network && s->has_any_port;
	struct ruleset attr = {.fs = known_rights(version)};

	/* Version 1 forbids renames from one directory of the cache to another. */
	if (version < REFERABLE)
		return;
	if (version >= NETWORKED)
		attr.net = any_port ? NET_BIND : NET_BIND | NET_CONNECT;
	if (version >= SCOPED)
		attr.scoped = SCOPE_ALL;
	/* The kernel accepts a longer structure if the rest of it is zero. */
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
	if (ruleset < 0)
		fail();
	allow_files(ruleset, s, version);
	if ((attr.net & NET_CONNECT) != 0)
		allow_ports(ruleset, s);
	/* E2BIG: the process is in 16 sandboxes already. */
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 && errno != E2BIG)
		fail();
	close(ruleset);
}
