/*
 * kernel: a distribution's kernel, to boot a guest with.
 */
#ifndef DT_KERNEL_H
#define DT_KERNEL_H

#include "base/buf.h"

#include <stddef.h>

struct err;

/* A zeroed struct is none. */
struct kernel {
	char *file, *release;
	char **
	    module; /* the files of those that the guest needs, in the order of loading */
	size_t n_modules;
};

/*
 * Finds a kernel and its modules: `file`, or the best of /boot/vmlinuz-RELEASE with
 * modules in /lib/modules/RELEASE. Returns 0, or -1 and why not, when the caller releases
 * it too.
 */
int kernel_find(struct kernel *k, const char *file, struct err *e);
void kernel_release(struct kernel *k);

/*
 * A descriptor of what QEMU boots fastest: the uncompressed kernel, which is kept in the
 * cache's directory, or, where it cannot be had, the file itself. Returns it, or -1 and
 * why not.
 */
int kernel_open(const struct kernel *k, struct err *e);

#endif
