/* Files with credentials, and answers of credential helpers, which are not run. */
#include "registry/credentials.h"

#include "base/err.h"
#include "base/io.h"
#include "base/secret.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* There is a user if and only if there is a password, and both make a header. */
static void check(const struct credentials *c)
{
	if ((c->user == NULL) != (c->password == NULL))
		abort();
	if (c->user == NULL)
		return;
	char *value = credentials_basic(c);
	if (strncmp(value, "Basic ", 6) != 0 || strpbrk(value + 6, " \r\n") != NULL)
		abort();
	secret_free(value);
}

static void parse(const char *text, size_t size, const char *host, const char *path)
{
	struct credentials c;
	struct err e;

	if (credentials_parse(&c, text, size, "file", host, path, &e) == 0)
		check(&c);
	credentials_release(&c);
}

/* A file that a variable names has the same credentials. */
static void find(const char *text, size_t size, const char *variable, const char *value)
{
	struct credentials c, again;
	struct err e;

	setenv(variable, value, 1);
	int found = credentials_find(&c, "docker.io", "library/hello", &e);
	unsetenv(variable);
	int parsed = credentials_parse(&again, text, size, value, "docker.io",
				       "library/hello", &e);
	if (found != parsed || (c.user == NULL) != (again.user == NULL) ||
	    (c.identity == NULL) != (again.identity == NULL) ||
	    (c.user != NULL && strcmp(c.user, again.user) != 0))
		abort();
	credentials_release(&c);
	credentials_release(&again);
}

static void answer(const char *text, size_t size)
{
	struct credentials c = {0};
	struct err e;

	if (credentials_answer(&c, text, size, "helper", &e) > 0) {
		check(&c);
		if (c.user == NULL && c.identity == NULL)
			abort();
	}
	credentials_release(&c);
}

static char directory[] = "/tmp/dt-fuzz-credentials.XXXXXX", link_name[64], name[64];

static void remove_directory(void)
{
	unlink(link_name);
	rmdir(directory);
}

/* A file that is written anew for each input, and a directory where it is config.json. */
static int make_file(void)
{
	int fd = memfd_create("credentials", MFD_CLOEXEC);

	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	if (fd < 0 || mkdtemp(directory) == NULL)
		abort();
	snprintf(link_name, sizeof link_name, "%s/config.json", directory);
	if (symlink(name, link_name) < 0 || atexit(remove_directory) != 0)
		abort();
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const unset[] = {"XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "HOME",
					    "DOCKER_CONFIG"};
	static int fd = -1;
	const char *text = (const char *)data;

	setenv("PATH", "/nowhere", 1);
	for (size_t i = 0; i < sizeof unset / sizeof *unset; i++)
		unsetenv(unset[i]);
	parse(text, size, "docker.io", "library/hello");
	parse(text, size, "example.org:5000", "library/hello");
	parse(text, size, "example.org", "a/b/c");
	answer(text, size);
	if (fd < 0)
		fd = make_file();
	if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0 ||
	    io_write(fd, data, size) < 0)
		return 1;
	/* One of them, because a buffer of 2 MiB is overwritten each time. */
	if (size % 2 == 0)
		find(text, size, "REGISTRY_AUTH_FILE", name);
	else
		find(text, size, "DOCKER_CONFIG", directory);
	return 0;
}
