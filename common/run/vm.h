/*
 * vm: runs a script as root of an image in a virtual machine, QEMU.
 *
 * The guest boots a distribution's kernel and an initramfs made of its modules,
 * guest/init and busybox. All its disks are files without names, so that nothing is left
 * of them when this process is gone, and QEMU goes with it.
 */
#ifndef DT_VM_H
#define DT_VM_H

#include <stdbool.h>

struct err;
struct job;
struct report;

struct vm {
	const char *kernel;    /* the file, or NULL: one in /boot */
	bool may_kvm, may_tcg; /* KVM is tried first, once, if there is a /dev/kvm */
};

/*
 * Does the job and fills in `t`. Returns 0 if `t` has all that can be told, or -1 and why
 * not.
 */
int vm_run(const struct job *j, const struct vm *vm, struct report *t, struct err *e);

#endif
