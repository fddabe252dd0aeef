/*
 * initramfs: the initramfs of a virtual machine.
 */
#ifndef DT_INITRAMFS_H
#define DT_INITRAMFS_H

struct buf;
struct err;
struct kernel;

/*
 * Makes an initramfs without a name: the kernel's modules, the init that make has put
 * beside this program or into ../libexec/dt, busybox, the script, and `config`, what that
 * init reads. Returns its descriptor, or -1 and why not.
 */
int initramfs_initramfs(const struct kernel *k, const struct buf *script,
			const struct buf *config, struct err *e);

#endif
