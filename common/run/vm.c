#include "run/vm.h"

#include "base/buf.h"
#include "base/encode.h"
#include "base/err.h"
#include "base/io.h"
#include "run/disks.h"
#include "run/initramfs.h"
#include "run/job.h"
#include "run/kernel.h"
#include "run/report.h"
#include "run/vm-private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	/* ms until HELLO must arrive, by KVM, by TCG, and from a saved state */
	HELLO_KVM = 5000,
	HELLO_TCG = 120000,
	HELLO_STATE = 20000,
	LOG_MAX = 1 << 20,
};

static int make_files(struct machine *m, struct kernel *k, struct err *e)
{
	static const int made[] = {VM_CONSOLE, VM_LOG};

	for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
		m->file[made[i]] = io_tmpfile();
		if (m->file[made[i]] < 0)
			return err_set_errno(e, "cannot create a temporary file");
	}
	m->file[VM_INITRAMFS] = initramfs_make(k, e);
	m->file[VM_KERNEL] = kernel_open(k, e);
	return m->file[VM_INITRAMFS] < 0 || m->file[VM_KERNEL] < 0 ? -1 : 0;
}

/* --- the guest --- */

/*
 * Waits until the disks are complete. Then tells the guest to start the job: the time, 64
 * hex digits for its random number generator, and where its settings are.
 */
static int send_go(struct machine *m, struct err *e)
{
	unsigned char random[32];
	char hex[2 * sizeof random + 1], line[256];
	struct timespec now;

	if (disks_finish(&m->disks, e) < 0)
		return -1;
	if (getrandom(random, sizeof random, 0) != sizeof random ||
	    clock_gettime(CLOCK_REALTIME, &now) < 0)
		return err_set_errno(e, "random numbers and the time");
	encode_hex(hex, random, sizeof random);
	int len = snprintf(line, sizeof line, "GO %lld %ld %s %" PRIu64 " %zu\n",
			   (long long)now.tv_sec, now.tv_nsec, hex, DISKS_SETTINGS,
			   m->disks.settings);
	/* If the guest has exited, reading from it shows that. */
	send(m->control, line, (size_t)len, MSG_NOSIGNAL);
	return 0;
}

static int listen_to(struct machine *m, struct report *t, struct err *e)
{
	int64_t patience = m->is_kvm       ? HELLO_KVM
			   : m->state >= 0 ? HELLO_STATE
					   : HELLO_TCG;
	const struct job_run run = {
	    .control = m->control,
	    .output = m->output,
	    .end = m->end,
	    .hello = job_clock() + patience,
	};

	return job_listen(m->job, &run, t, e);
}

/* --- errors --- */

/*
 * Finds the first line of a log that contains the word. If there is none, finds the last
 * line; it may be empty.
 */
static void find_line(int fd, const char *word, char *line, size_t size)
{
	struct buf text = {0};

	line[0] = '\0';
	if (lseek(fd, 0, SEEK_SET) != 0 || io_slurp(fd, &text, LOG_MAX) < 0)
		buf_clear(&text);
	for (const char *p = text.len > 0 ? text.data : ""; *p != '\0';) {
		size_t n = strcspn(p, "\r\n");
		if (n > 0)
			snprintf(line, size, "%.*s", (int)n, p);
		if (strstr(line, word) != NULL)
			break;
		p += n + strspn(p + n, "\r\n");
	}
	buf_release(&text);
}

/* The reason why a guest exited without reporting the script's result. */
static int explain(const struct machine *m, const struct report *t, struct err *e)
{
	char line[512];

	if (WIFSIGNALED(m->status))
		return err_set(e, "QEMU was killed by signal %d", WTERMSIG(m->status));
	find_line(m->file[VM_CONSOLE], "Kernel panic", line, sizeof line);
	if (line[0] != '\0' && strstr(line, "reboot: ") == NULL)
		return err_set(e, "%s: the guest crashed: %s", m->job->script_name, line);
	find_line(m->file[VM_LOG], "qemu-system", line, sizeof line);
	if (line[0] != '\0')
		return err_set(e, "%s", line);
	if (!t->has_hello)
		return err_set(e, "the guest did not start");
	return err_set(e, "%s: the guest was powered off", m->job->script_name);
}

/* An error of a disk in the guest may be caused by a full TMPDIR of this machine. */
static int blame_host(const struct machine *m, struct report *t, struct err *e)
{
	struct statvfs vfs;

	if (t->why[0] == '\0' || t->refused != 0 ||
	    fstatvfs(m->disks.fd[DISK_CHANGES], &vfs) < 0 ||
	    vfs.f_bavail * vfs.f_bsize >= 1 << 20)
		return 0;
	return err_set(e, "%s: TMPDIR is full", t->why);
}

/* Prepares the job while the guest starts, and lets the guest begin. */
static int begin_job(struct machine *m, struct report *t, struct err *e)
{
	if (disks_format(&m->disks, m->job, m->file[VM_LOG], e) < 0)
		return -1;
	if (m->state >= 0 && !kept_is_valid(&m->kept, m->state)) {
		kept_remove(&m->kept);
		return err_set(e, "the saved state is damaged");
	}
	if (m->is_saved && vm_state_save(m, t, e) < 0)
		return -1;
	return send_go(m, e);
}

/* Runs the job in a guest that QEMU starts as `m` says. */
static int run_once(struct machine *m, struct report *t, struct err *e)
{
	if (ftruncate(m->file[VM_CONSOLE], 0) < 0 || ftruncate(m->file[VM_LOG], 0) < 0 ||
	    lseek(m->file[VM_LOG], 0, SEEK_SET) < 0)
		return err_set_errno(e, "cannot write a temporary file");
	if (disks_empty(&m->disks, e) < 0 || vm_start(m, e) < 0)
		return -1;
	int result = begin_job(m, t, e) < 0 ? -1 : listen_to(m, t, e);
	vm_stop(m, result == 0);
	if (result < 0)
		return -1;
	bool is_explained = t->status != 0 || t->signal != 0 || t->why[0] != '\0';
	if (!is_explained && (!t->has_layer || m->status != 0))
		return explain(m, t, e);
	return blame_host(m, t, e);
}

/*
 * Prepares another run, if the guest of the last one did not start. Returns false if it
 * did.
 */
static bool may_repeat(const struct machine *m, struct report *t)
{
	if (m->qemu <= 0 || t->has_hello)
		return false;
	report_release(t);
	*t = (struct report){0};
	return true;
}

/*
 * Emulates the processor. The guest continues from the saved state. Without one, it
 * boots, and its state is saved. If either fails before the job has started, the guest
 * boots again, and nothing is saved.
 */
static int emulate(struct machine *m, const struct kernel *k, struct report *t,
		   struct err *e)
{
	m->is_kvm = false;
	vm_state_init(m, k->key);
	m->state = kept_find(&m->kept);
	m->is_saved = m->state < 0 && vm_state_begin(m) == 0;
	int result = run_once(m, t, e);
	if (m->state >= 0)
		close(m->state);
	if (result < 0 && (m->state >= 0 || m->is_saved) && may_repeat(m, t)) {
		m->state = -1;
		m->is_saved = false;
		result = run_once(m, t, e);
	}
	kept_release(&m->kept);
	return result;
}

/*
 * Whether KVM may work. Returns 0, or -1 and a reason. On some machines the device can be
 * opened, but KVM is emulated and thousands of times slower. Only booting the guest shows
 * that.
 */
static int find_kvm(struct err *e)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return err_set_errno(e, "/dev/kvm");
	close(fd);
	return 0;
}

int vm_run(const struct job *j, const struct vm *vm, struct report *t, struct err *e)
{
	struct machine m = {.job = j, .end = job_end(j), .state = -1};
	struct kernel kernel;
	int result = 0;

#ifndef __x86_64__
	return err_set(e, "virtual machines are for x86-64; --backend userns is without");
#endif
	m.is_kvm = vm->may_kvm && find_kvm(e) == 0;
	if (!m.is_kvm && !vm->may_tcg)
		return -1;
	for (int i = 0; i < N_VM_FILES; i++)
		m.file[i] = -1;
	if (kernel_find(&kernel, vm->kernel, vm->modules, e) < 0 ||
	    make_files(&m, &kernel, e) < 0 || disks_start(&m.disks, j, e) < 0)
		result = -1;
	if (result == 0 && m.is_kvm)
		result = run_once(&m, t, e);
	if (result < 0 && m.is_kvm && vm->may_tcg && may_repeat(&m, t)) {
		warn("KVM does not work here: %s; using --backend tcg", e->text);
		result = emulate(&m, &kernel, t, e);
	} else if (result == 0 && !m.is_kvm) {
		result = emulate(&m, &kernel, t, e);
	}
	disks_release(&m.disks);
	for (int i = 0; i < N_VM_FILES; i++)
		if (m.file[i] >= 0)
			close(m.file[i]);
	kernel_release(&kernel);
	return result;
}
