/*
 * vm-private: the parts of vm share this header.
 *
 *	vm.c        the run, and the explanation of its errors
 *	vm-qemu.c   the command line of QEMU
 *	vm-state.c  the saved state of a guest that has booted
 */
#ifndef DT_VM_PRIVATE_H
#define DT_VM_PRIVATE_H

#include "base/draft.h"
#include "run/disks.h"
#include "run/kept.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct job;
struct report;

enum { VM_KERNEL, VM_INITRAMFS, VM_CONSOLE, VM_LOG, N_VM_FILES };

struct machine {
	const struct job *job;
	struct disks disks;
	int file[N_VM_FILES];
	int64_t end; /* job_clock() time of the timeout, or -1 */
	bool is_kvm;
	struct kept kept; /* the saved state, if !is_kvm */
	int state;        /* a file with the state to continue from, or -1 */
	bool is_saved;    /* save the state in `draft` when the guest has booted */
	struct draft draft;

	/* While QEMU runs: this process's ends of its sockets. */
	int control, output;
	int monitor; /* QEMU's, if is_saved; else -1 */
	pid_t qemu;
	int status; /* of QEMU, after its exit */
};

/* Starts QEMU. Returns 0, or -1 and a reason. */
int vm_start(struct machine *m, struct err *e);

/* Waits for QEMU's exit, and kills it before if `is_over` is false. */
void vm_stop(struct machine *m, bool is_over);

/*
 * Finds the place of the saved state in the cache. The key is a digest of all that the
 * state depends on; `kernel` is that of the kernel.
 */
void vm_state_init(struct machine *m, const char *kernel);

/* Prepares for vm_state_save(). Returns 0, or -1 if the state cannot be saved. */
int vm_state_begin(struct machine *m);

/*
 * Waits until the guest has booted, and saves its state. Then the guest continues. A
 * state that cannot be saved is no error. Returns 0, or -1 and a reason if the guest does
 * not continue.
 */
int vm_state_save(struct machine *m, struct report *t, struct err *e);

/* Adds the words of QEMU's command line that describe the machine. */
void vm_fingerprint(const struct machine *m, struct digest *d);

#endif
