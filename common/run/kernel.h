/*
 * kernel: find a kernel of the distribution for a guest to boot.
 *
 *	if (kernel_find(&k, NULL, NULL, &e) == 0)
 *		fd = kernel_open(&k, &e);
 *	kernel_release(&k);
 */
#ifndef DT_KERNEL_H
#define DT_KERNEL_H

#include "base/digest.h"

#include <stddef.h>

struct err;

/* A zeroed struct is empty. */
struct kernel {
	char *file, *release;
	char *directory; /* of the modules, where modules.dep is */
	char **module;   /* files of the required modules, in the order of loading */
	size_t n_modules;
	char key[DIGEST_HEX + 1]; /* identifies the kernel; set by kernel_open() */
};

/*
 * Finds a kernel and its modules. `file` is the kernel, or NULL for the best of
 * /boot/vmlinuz-RELEASE with modules. The modules are in the directory RELEASE of
 * `modules`, or in `modules` itself if that has a modules.dep. NULL stands for
 * /lib/modules. Returns 0, or -1 and a reason. The caller must release `k` in both cases.
 */
int kernel_find(struct kernel *k, const char *file, const char *modules, struct err *e);
void kernel_release(struct kernel *k);

/*
 * Opens the kernel in the form that QEMU boots fastest. That is the uncompressed kernel,
 * which is kept in the cache's directory. If it cannot be uncompressed, it is the file
 * itself. Returns a descriptor, or -1 and a reason.
 */
int kernel_open(struct kernel *k, struct err *e);

#endif
