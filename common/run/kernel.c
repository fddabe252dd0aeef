#include "run/kernel.h"

#include "archive/unpack.h"
#include "base/digest.h"
#include "base/draft.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "run/kept.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEP_MAX = 16 << 20, SETUP_MIN = 0x250, PROTOCOL = 0x208 };

static const char install[] =
    "install linux-image-cloud-amd64, or name one by --kernel and --modules";

/* The modules that the guest uses. A missing one may be built into the kernel. */
static const char *const wanted[] = {
    "virtio_pci",     "virtio_blk", "virtio_console", "crc32c_intel",
    "crc32c_generic", "overlay",    "erofs",          "ext4",
};

/* --- finding a kernel --- */

static bool is_directory_of_modules(const char *directory)
{
	struct buf path = {0};

	buf_addf(&path, "%s/modules.dep", directory);
	bool result = access(path.data, R_OK) == 0;
	buf_release(&path);
	return result;
}

/* The directory of the modules of a release, or NULL. */
static char *find_directory(const char *modules, const char *release)
{
	struct buf path = {0};

	if (is_directory_of_modules(modules))
		return mem_strdup(modules);
	buf_addf(&path, "%s/%s", modules, release);
	if (is_directory_of_modules(path.data))
		return path.data;
	buf_release(&path);
	return NULL;
}

/*
 * Sets the release of the kernel if it has modules. Returns whether it has.
 */
static bool set_release(struct kernel *k, const char *modules, const char *release)
{
	char *directory = find_directory(modules, release);

	if (directory == NULL)
		return false;
	free(k->directory);
	free(k->release);
	k->directory = directory;
	k->release = mem_strdup(release);
	return true;
}

/*
 * Whether one release is preferred. Cloud kernels are smaller and boot faster; otherwise
 * the later release is preferred.
 */
static bool is_better(const char *release, const char *than)
{
	bool is_cloud = strstr(release, "-cloud") != NULL;

	if (than == NULL || is_cloud != (strstr(than, "-cloud") != NULL))
		return than == NULL || is_cloud;
	return strverscmp(release, than) > 0;
}

static int choose(struct kernel *k, const char *modules, struct err *e)
{
	static const char prefix[] = "vmlinuz-";
	DIR *dir = opendir("/boot");
	struct dirent *d;
	struct buf file = {0};

	while (dir != NULL && (d = readdir(dir)) != NULL) {
		const char *release = d->d_name + sizeof prefix - 1;
		if (strncmp(d->d_name, prefix, sizeof prefix - 1) == 0 &&
		    is_better(release, k->release))
			(void)set_release(k, modules, release);
	}
	if (dir != NULL)
		closedir(dir);
	if (k->release == NULL)
		return err_set(e, "no kernel in /boot with modules in %s: %s", modules,
			       install);
	buf_addf(&file, "/boot/%s%s", prefix, k->release);
	k->file = file.data;
	return 0;
}

/*
 * Finds the release of a kernel that the user named: in its file name, or in its header.
 */
static int find_release(struct kernel *k, const char *modules, int fd, struct err *e)
{
	const char *slash = strrchr(k->file, '/');
	const char *base = slash != NULL ? slash + 1 : k->file;
	const char *dash = strchr(base, '-');
	unsigned char at[2];
	char text[256] = "";

	if (dash != NULL && set_release(k, modules, dash + 1))
		return 0;
	/* Linux, Documentation/arch/x86/boot.rst: kernel_version. */
	if (io_pread(fd, at, sizeof at, 0x20e) == sizeof at &&
	    io_pread(fd, text, sizeof text - 1, (at[0] | at[1] << 8) + 0x200) > 0)
		text[strcspn(text, " ")] = '\0';
	if (text[0] != '\0' && strchr(text, '/') == NULL && set_release(k, modules, text))
		return 0;
	return err_set(e, "%s: no modules of this kernel in %s", k->file, modules);
}

/* --- finding its modules --- */

/* Whether the path is of this module. A name has '_' where a file name may have '-'. */
static bool is_module(const char *path, size_t len, const char *name)
{
	const char *base = memrchr(path, '/', len);

	base = base != NULL ? base + 1 : path;
	for (; *name != '\0' && base < path + len; base++, name++)
		if (*base != *name && !(*base == '-' && *name == '_'))
			return false;
	return *name == '\0' && (size_t)(path + len - base) >= 3 &&
	       strncmp(base, ".ko", 3) == 0;
}

static void add_module(struct kernel *k, const char *directory, const char *path,
		       size_t len)
{
	struct buf file = {0};
	size_t cap = k->n_modules;

	buf_addf(&file, "%s/%.*s", directory, (int)len, path);
	for (size_t i = 0; i < k->n_modules; i++) {
		if (strcmp(k->module[i], file.data) == 0) {
			buf_release(&file);
			return;
		}
	}
	k->module = mem_grow(k->module, &cap, k->n_modules + 1, sizeof *k->module);
	k->module[k->n_modules++] = file.data;
}

/* Adds the modules of a line "PATH: NEEDED...". The last one must be loaded first. */
static void add_line(struct kernel *k, const char *directory, const char *line)
{
	size_t colon = strcspn(line, ":"), end = strcspn(line, "\n");

	while (end > colon + 1) {
		size_t start = end;
		while (start > colon + 1 && line[start - 1] != ' ')
			start--;
		if (end > start)
			add_module(k, directory, line + start, end - start);
		end = start > colon + 1 ? start - 1 : start;
	}
	add_module(k, directory, line, colon);
}

static int find_modules(struct kernel *k, struct err *e)
{
	struct buf path = {0}, dep = {0};

	buf_addf(&path, "%s/modules.dep", k->directory);
	if (io_slurp_file(path.data, &dep, DEP_MAX) < 0) {
		err_set_errno(e, "%s", path.data);
		buf_release(&path);
		return -1;
	}
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		const char *line = dep.len > 0 ? dep.data : "";
		while (*line != '\0') {
			size_t len = strcspn(line, "\n"), colon = strcspn(line, ":\n");
			if (line[colon] == ':' && is_module(line, colon, wanted[i]))
				add_line(k, k->directory, line);
			line += line[len] == '\n' ? len + 1 : len;
		}
	}
	buf_release(&path);
	buf_release(&dep);
	return 0;
}

int kernel_find(struct kernel *k, const char *file, const char *modules, struct err *e)
{
	*k = (struct kernel){.file = file != NULL ? mem_strdup(file) : NULL};
	if (modules == NULL)
		modules = "/lib/modules";
	if (file == NULL && choose(k, modules, e) < 0)
		return -1;
	int fd = open(k->file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == EACCES
			   ? err_set(e,
				     "%s: only root may read it; copy it, and name the "
				     "copy by --kernel",
				     k->file)
			   : err_set_errno(e, "%s (%s)", k->file, install);
	int result = file != NULL ? find_release(k, modules, fd, e) : 0;
	close(fd);
	return result == 0 ? find_modules(k, e) : -1;
}

void kernel_release(struct kernel *k)
{
	for (size_t i = 0; i < k->n_modules; i++)
		free(k->module[i]);
	free(k->module);
	free(k->file);
	free(k->release);
	free(k->directory);
	*k = (struct kernel){0};
}

/* --- uncompressing a kernel --- */

static uint32_t little(const unsigned char *p, int bytes)
{
	uint32_t n = 0;

	while (bytes-- > 0)
		n = n << 8 | p[bytes];
	return n;
}

/*
 * Finds the payload of a bzImage, a compressed ELF file. Linux,
 * Documentation/arch/x86/boot.rst: setup_sects, payload_offset, payload_length.
 */
static bool find_payload(int fd, struct unpack_place *place)
{
	unsigned char h[SETUP_MIN], begin[2];

	if (io_pread(fd, h, sizeof h, 0) != sizeof h || memcmp(h + 0x202, "HdrS", 4) != 0)
		return false;
	if (little(h + 0x206, 2) < PROTOCOL)
		return false;
	uint32_t sectors = h[0x1f1] != 0 ? h[0x1f1] : 4;
	place->offset = (off_t)(sectors + 1) * 512 + little(h + 0x248, 4);
	place->size = little(h + 0x24c, 4);
	/* All formats but gzip are followed by the uncompressed size, 4 bytes. */
	if (io_pread(fd, begin, 2, place->offset) != 2 || place->size < 4)
		return false;
	if (begin[0] != 0x1f || begin[1] != 0x8b)
		place->size -= 4;
	return true;
}

static bool is_elf(int fd)
{
	char begin[4];

	return fd >= 0 && io_pread(fd, begin, 4, 0) == 4 &&
	       memcmp(begin, "\177ELF", 4) == 0;
}

/* A descriptor of the uncompressed kernel, or -1. */
static int uncompress(int fd)
{
	struct unpack_index file = {.fd = fd};
	struct unpack_place place = {0};
	struct err why;
	off_t offset;
	uint64_t size;
	bool is_own;

	if (!find_payload(fd, &place))
		return -1;
	int out = unpack_plain(&file, &place, &offset, &size, &is_own, &why);
	if (out < 0 || !is_own)
		return -1;
	if (is_elf(out))
		return out;
	close(out);
	return -1;
}

/* The key of the uncompressed kernel in the cache. */
static void make_key(const char *release, const struct stat *st, char key[DIGEST_HEX + 1])
{
	struct digest d;

	digest_init(&d);
	digest_text(&d, release);
	digest_number(&d, (uint64_t)st->st_size);
	digest_number(&d, (uint64_t)st->st_mtim.tv_sec);
	digest_number(&d, (uint64_t)st->st_mtim.tv_nsec);
	digest_hex(&d, key);
	digest_release(&d);
}

/* Stores the contents of `fd` in the cache. A failure is ignored. */
static void keep(const struct kept *kept, int fd)
{
	struct draft draft;
	off_t at = 0;

	if (kept_begin(kept, &draft) == 0)
		kept_end(kept, &draft, io_copy(fd, &at, draft.fd, INT64_MAX) > 0);
}

int kernel_open(struct kernel *k, struct err *e)
{
	struct kept kept;
	struct stat st;
	int fd = open(k->file, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0) {
		err_set_errno(e, "%s", k->file);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	make_key(k->release, &st, k->key);
	kept_init(&kept, "kernel", k->key, "elf");
	int plain = kept_open(&kept);
	if (plain < 0) {
		plain = uncompress(fd);
		if (plain >= 0)
			keep(&kept, plain);
	}
	kept_release(&kept);
	if (plain < 0)
		return fd;
	close(fd);
	return plain;
}
