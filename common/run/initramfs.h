/*
 * initramfs: make the initramfs of dt-vmrun's guest.
 *
 * Format: Linux, Documentation/driver-api/early-userspace/buffer-format.rst (cpio, newc).
 */
#ifndef DT_INITRAMFS_H
#define DT_INITRAMFS_H

struct buf;
struct err;
struct kernel;

/*
 * Makes an initramfs in an unnamed file. It has the kernel's modules, guest/init,
 * busybox, the script, and `config`, the settings that init reads. The program init is
 * searched in guest/ and ../libexec/dt/ relative to the running program's directory.
 * Returns a descriptor, or -1 and a reason.
 */
int initramfs_make(const struct kernel *k, const struct buf *script,
		   const struct buf *config, struct err *e);

#endif
