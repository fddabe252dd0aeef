/*
 * vm: the backend of dt-vmrun that runs a script in a virtual machine, QEMU.
 *
 * The guest boots a kernel of the distribution and an initramfs with its modules,
 * guest/init and busybox. All disks are unnamed files, so the kernel removes them when
 * the process exits. QEMU exits together with the process.
 */
#ifndef DT_VM_H
#define DT_VM_H

#include <stdbool.h>

struct err;
struct job;
struct report;

struct vm {
	const char *kernel;    /* its file, or NULL: find one in /boot */
	const char *modules;   /* see kernel_find() */
	bool may_kvm, may_tcg; /* KVM is tried first, once, if /dev/kvm exists */
};

/*
 * Runs the job and fills in `t`. Returns 0 if report_verdict() can judge `t`, or -1 and a
 * reason.
 */
int vm_run(const struct job *j, const struct vm *vm, struct report *t, struct err *e);

#endif
