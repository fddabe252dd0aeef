/*
 * initramfs: make the initramfs of dt-vmrun's guest.
 *
 * Format: Linux, Documentation/driver-api/early-userspace/buffer-format.rst (cpio, newc).
 */
#ifndef DT_INITRAMFS_H
#define DT_INITRAMFS_H

struct err;
struct kernel;

/*
 * Makes an initramfs in an unnamed file. It has the kernel's modules, guest/init and
 * busybox, so it is the same for all jobs. The program init is searched in guest/ and
 * ../libexec/dt/ relative to the running program's directory. Returns a descriptor, or -1
 * and a reason.
 */
int initramfs_make(const struct kernel *k, struct err *e);

#endif
