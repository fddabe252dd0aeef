#include "run/vm.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "run/disks.h"
#include "run/initramfs.h"
#include "run/jail.h"
#include "run/job.h"
#include "run/kernel.h"
#include "run/report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	HELLO_KVM = 5000, /* ms until HELLO must arrive */
	HELLO_TCG = 120000,
	LOG_MAX = 1 << 20,
	WORDS_MAX = 96,
};

enum { KERNEL, INITRAMFS, CONSOLE, LOG, N_FILES };

struct machine {
	const struct job *job;
	struct disks disks;
	int file[N_FILES];
	int control, output; /* this process's ends */
	int64_t end;         /* job_clock() time of the timeout, or -1 */
	pid_t qemu;
	bool is_kvm;
	int status; /* of QEMU, after its exit */
};

static void make_config(const struct job *j, struct buf *out)
{
	buf_addf(out, "mtime=%" PRId64, j->mtime);
	buf_addch(out, '\0');
	buf_addf(out, "limit=%" PRIu64, DISKS_LAYER_MAX);
	buf_addch(out, '\0');
	if (j->tree != NULL)
		buf_add(out, "tree=1", sizeof "tree=1");
	for (size_t i = 0; i < j->n_binds; i++) {
		buf_addf(out, "bind=%s", j->bind[i].to);
		buf_addch(out, '\0');
	}
}

static int make_files(struct machine *m, const struct kernel *k, struct err *e)
{
	static const int made[] = {CONSOLE, LOG};
	struct buf config = {0};

	for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
		m->file[made[i]] = io_tmpfile();
		if (m->file[made[i]] < 0)
			return err_set_errno(e, "cannot create a temporary file");
	}
	make_config(m->job, &config);
	m->file[INITRAMFS] = initramfs_make(k, &m->job->script, &config, e);
	buf_release(&config);
	m->file[KERNEL] = kernel_open(k, e);
	return m->file[INITRAMFS] < 0 || m->file[KERNEL] < 0 ? -1 : 0;
}

/* --- QEMU --- */

/* A command line, built by add_word(). */
struct words {
	const char *word[WORDS_MAX];
	char *text[WORDS_MAX]; /* the same strings, to be freed */
	size_t n;
};

static void add_word(struct words *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void add_word(struct words *w, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (w->n >= sizeof w->word / sizeof *w->word - 1)
		die("too many words for QEMU");
	w->text[w->n] = mem_strdup(text);
	w->word[w->n] = w->text[w->n];
	w->n++;
}

static void add_drive(struct words *w, int number, int fd, bool is_read_only)
{
	add_word(w, "-drive");
	add_word(w,
		 "if=none,id=disk%d,file=/proc/self/fd/%d,format=raw,cache=unsafe,"
		 "file.locking=off,werror=report,rerror=report%s",
		 number, fd, is_read_only ? ",readonly=on" : "");
	add_word(w, "-device");
	add_word(w, "virtio-blk-pci,drive=disk%d", number);
}

static void add_port(struct words *w, const char *name, int fd)
{
	add_word(w, "-chardev");
	add_word(w, "socket,id=%s,fd=%d", name, fd);
	add_word(w, "-device");
	add_word(w, "virtserialport,chardev=%s,name=dt.%s", name, name);
}

static void add_words(struct words *w, const struct machine *m, int control, int output)
{
	static const char *const plain[] = {"-nodefaults", "-no-user-config",
					    "-display",    "none",
					    "-no-reboot",  "-bios",
					    "qboot.rom", /* SeaBIOS takes 0.3 s longer */
					    "-smp",        "1"};
	static const char *const tuned =
	    "console=ttyS0 panic=-1 quiet no_timer_check tsc=reliable cryptomgr.notests "
	    "mitigations=off nokaslr init_on_alloc=0 rcupdate.rcu_expedited=1 "
	    "noreplace-smp lsm=capability audit=0 ipv6.disable=1";

	add_word(w, "qemu-system-x86_64");
	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
		add_word(w, "%s", plain[i]);
	add_word(w, "-M");
	add_word(w, "q35,sata=off,smbus=off,vmport=off,smm=off,hpet=off,accel=%s",
		 m->is_kvm ? "kvm" : "tcg");
	add_word(w, "-cpu");
	add_word(w, "%s", m->is_kvm ? "host" : "max,-la57,-erms,-fsrm");
	add_word(w, "-m");
	add_word(w, "%" PRIu64, m->job->memory);
	add_word(w, "-kernel");
	add_word(w, "/proc/self/fd/%d", m->file[KERNEL]);
	add_word(w, "-initrd");
	add_word(w, "/proc/self/fd/%d", m->file[INITRAMFS]);
	add_word(w, "-append");
	add_word(w, "%s", tuned);
	for (int i = 0; i < N_DISKS; i++)
		add_drive(w, i, m->disks.fd[i], i == DISK_BASE || i == DISK_EXTRA);
	add_word(w, "-chardev");
	add_word(w, "file,id=console,path=/proc/self/fd/%d", m->file[CONSOLE]);
	add_word(w, "-serial");
	add_word(w, "chardev:console");
	add_word(w, "-device");
	add_word(w, "virtio-serial-pci");
	add_port(w, "control", control);
	add_port(w, "output", output);
}

static int start_qemu(struct machine *m, struct err *e)
{
	int control[2], output[2], keep[N_FILES + N_DISKS + 2];
	struct words w = {0};
	struct err why;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, output) < 0)
		return err_set_errno(e, "sockets");
	memcpy(keep, m->file, sizeof m->file);
	memcpy(keep + N_FILES, m->disks.fd, sizeof m->disks.fd);
	keep[N_FILES + N_DISKS] = control[1];
	keep[N_FILES + N_DISKS + 1] = output[1];
	add_words(&w, m, control[1], output[1]);
	m->qemu = spawn_start(w.word, -1, m->file[LOG], m->file[LOG], keep,
			      sizeof keep / sizeof *keep, &why);
	for (size_t i = 0; i < w.n; i++)
		free(w.text[i]);
	close(control[1]);
	close(output[1]);
	m->control = control[0];
	m->output = output[0];
	if (m->qemu < 0)
		return err_set(e, "%s (install qemu-system-x86)", why.text);
	return 0;
}

static void stop_qemu(struct machine *m, bool is_over)
{
	if (!is_over)
		kill(m->qemu, SIGKILL);
	m->status = spawn_wait(m->qemu);
	close(m->control);
	close(m->output);
}

/* --- reading from the guest --- */

/* Waits until the disks are complete, then lets the guest continue. */
static int welcome(void *arg, struct err *e)
{
	struct machine *m = arg;

	if (disks_finish(&m->disks, e) < 0)
		return -1;
	/* If the guest has exited, reading from it shows that. */
	send(m->control, "GO\n", 3, MSG_NOSIGNAL);
	return 0;
}

static int listen_to(struct machine *m, struct report *t, struct err *e)
{
	const struct job_run run = {
	    .control = m->control,
	    .output = m->output,
	    .end = m->end,
	    .hello = job_clock() + (m->is_kvm ? HELLO_KVM : HELLO_TCG),
	    .welcome = welcome,
	    .arg = m,
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
	find_line(m->file[CONSOLE], "Kernel panic", line, sizeof line);
	if (line[0] != '\0' && strstr(line, "reboot: ") == NULL)
		return err_set(e, "%s: the guest crashed: %s", m->job->script_name, line);
	find_line(m->file[LOG], "qemu-system", line, sizeof line);
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

static int run_once(struct machine *m, struct report *t, struct err *e)
{
	if (ftruncate(m->file[CONSOLE], 0) < 0 || ftruncate(m->file[LOG], 0) < 0 ||
	    lseek(m->file[LOG], 0, SEEK_SET) < 0)
		return err_set_errno(e, "cannot write a temporary file");
	if (disks_format(&m->disks, m->job, m->file[LOG], e) < 0)
		return -1;
	if (start_qemu(m, e) < 0)
		return -1;
	int result = listen_to(m, t, e);
	stop_qemu(m, result == 0);
	if (result < 0)
		return -1;
	bool is_explained = t->status != 0 || t->signal != 0 || t->why[0] != '\0';
	if (!is_explained && (!t->has_layer || m->status != 0))
		return explain(m, t, e);
	return blame_host(m, t, e);
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
	struct machine m = {.job = j, .end = job_end(j)};
	struct kernel kernel;
	int result = 0;

#ifndef __x86_64__
	return err_set(e, "virtual machines are for x86-64; --backend userns is without");
#endif
	m.is_kvm = vm->may_kvm && find_kvm(e) == 0;
	if (!m.is_kvm && !vm->may_tcg)
		return -1;
	for (int i = 0; i < N_FILES; i++)
		m.file[i] = -1;
	if (kernel_find(&kernel, vm->kernel, vm->modules, e) < 0 ||
	    make_files(&m, &kernel, e) < 0 || disks_start(&m.disks, j, e) < 0)
		result = -1;
	if (result == 0)
		result = run_once(&m, t, e);
	if (result < 0 && m.is_kvm && vm->may_tcg && m.qemu > 0 && !t->has_hello) {
		warn("KVM does not work here: %s; using --backend tcg", e->text);
		m.is_kvm = false;
		report_release(t);
		*t = (struct report){0};
		result = run_once(&m, t, e);
	}
	disks_release(&m.disks);
	for (int i = 0; i < N_FILES; i++)
		if (m.file[i] >= 0)
			close(m.file[i]);
	kernel_release(&kernel);
	return result;
}
