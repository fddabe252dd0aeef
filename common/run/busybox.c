#include "run/busybox.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/spawn.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LIST_MAX = 65536, HEADERS_MAX = 64 };

bool busybox_is_static(int fd)
{
	Elf64_Ehdr h;
	Elf64_Phdr p[HEADERS_MAX];

	if (io_pread(fd, &h, sizeof h, 0) != sizeof h ||
	    memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 ||
	    h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_phentsize != sizeof *p ||
	    h.e_phnum == 0 || h.e_phnum > HEADERS_MAX)
		return false;
	size_t size = h.e_phnum * sizeof *p;
	if (io_pread(fd, p, size, (off_t)h.e_phoff) != (ssize_t)size)
		return false;
	for (int i = 0; i < h.e_phnum; i++)
		if (p[i].p_type == PT_INTERP)
			return false;
	return true;
}

/*
 * Opens a static program. Returns -1 if the file is missing or not static; sets
 * *is_dynamic in the latter case.
 */
static int open_static(const char *path, bool *is_dynamic)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || busybox_is_static(fd))
		return fd;
	*is_dynamic = true;
	close(fd);
	errno = ENOEXEC;
	return -1;
}

/* Opens the first static busybox on PATH, else that in /bin, and sets its path. */
static int find(char *path, size_t size, struct err *e)
{
	static const char install[] = "install busybox-static";
	static const char *const names[] = {"busybox", "busybox.static"};
	const char *p = getenv("PATH");
	bool is_dynamic = false;
	int fd = -1;

	while (p != NULL && *p != '\0' && fd < 0) {
		size_t n = strcspn(p, ":");
		for (int i = 0; i < 2 && fd < 0; i++) {
			snprintf(path, size, "%.*s/%s", (int)n, p, names[i]);
			fd = open_static(path, &is_dynamic);
		}
		p += n + (p[n] == ':');
	}
	if (fd < 0) {
		snprintf(path, size, "/bin/busybox");
		fd = open_static(path, &is_dynamic);
	}
	if (fd < 0 && is_dynamic)
		err_set(e, "busybox: it is not static: %s", install);
	else if (fd < 0)
		err_set_errno(e, "busybox (%s)", install);
	return fd;
}

static int list_commands(const char *path, struct buf *names, struct err *e)
{
	const char *const list[] = {path, "--list", NULL};
	struct buf text = {0};
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_set_errno(e, "cannot create a pipe");
	io_pipe_grow(fds[1]);
	int result = spawn_run(list, fds[1], -1, NULL, 0, e);
	close(fds[1]);
	if (result == 0 && io_slurp(fds[0], &text, LIST_MAX) < 0)
		result = err_set_errno(e, "busybox --list");
	close(fds[0]);
	for (char *p = text.data; result == 0 && p < text.data + text.len;) {
		size_t n = strcspn(p, "\n");
		p[n] = '\0';
		if (strcmp(p, "busybox") != 0)
			buf_add(names, p, n + 1);
		p += n + 1;
	}
	buf_release(&text);
	return result;
}

int busybox_open(struct buf *names, struct err *e)
{
	char path[PATH_MAX];
	int fd = find(path, sizeof path, e);

	if (fd < 0 || list_commands(path, names, e) == 0)
		return fd;
	close(fd);
	return -1;
}

int busybox_path(struct buf *path, struct err *e)
{
	char name[PATH_MAX];
	int fd = find(name, sizeof name, e);

	if (fd < 0)
		return -1;
	close(fd);
	buf_add(path, name, strlen(name));
	return 0;
}
