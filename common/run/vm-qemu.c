#include "run/vm.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "run/job.h"
#include "run/vm-private.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WORDS_MAX = 96 };
enum { CONTROL, OUTPUT, MONITOR, N_SOCKETS };

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

/* The words that do not name a file or socket of this run. */
static void add_machine(struct words *w, const struct machine *m)
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
	add_word(w, "-append");
	add_word(w, "%s", tuned);
}

/* `end` are QEMU's ends of the sockets. */
static void add_words(struct words *w, const struct machine *m, const int end[N_SOCKETS])
{
	add_machine(w, m);
	add_word(w, "-kernel");
	add_word(w, "/proc/self/fd/%d", m->file[VM_KERNEL]);
	add_word(w, "-initrd");
	add_word(w, "/proc/self/fd/%d", m->file[VM_INITRAMFS]);
	for (int i = 0; i < N_DISKS; i++)
		add_drive(w, i, m->disks.fd[i], i == DISK_BASE || i == DISK_EXTRA);
	add_word(w, "-chardev");
	add_word(w, "file,id=console,path=/proc/self/fd/%d", m->file[VM_CONSOLE]);
	add_word(w, "-serial");
	add_word(w, "chardev:console");
	add_word(w, "-device");
	add_word(w, "virtio-serial-pci");
	add_port(w, "control", end[CONTROL]);
	add_port(w, "output", end[OUTPUT]);
	if (m->is_saved) {
		add_word(w, "-chardev");
		add_word(w, "socket,id=monitor,fd=%d", end[MONITOR]);
		add_word(w, "-mon");
		add_word(w, "chardev=monitor,mode=control");
	}
	if (m->state >= 0) {
		add_word(w, "-incoming");
		add_word(w, "fd:%d", m->state);
	}
}

static void free_words(struct words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->text[i]);
}

void vm_fingerprint(const struct machine *m, struct digest *d)
{
	struct words w = {0};

	add_machine(&w, m);
	for (size_t i = 0; i < w.n; i++)
		digest_text(d, w.word[i]);
	free_words(&w);
}

/* Makes the sockets, this process's ends and QEMU's. */
static int make_sockets(struct machine *m, int end[N_SOCKETS], struct err *e)
{
	int *mine[N_SOCKETS] = {&m->control, &m->output, &m->monitor};

	for (int i = 0; i < N_SOCKETS; i++)
		*mine[i] = end[i] = -1;
	for (int i = 0; i < N_SOCKETS; i++) {
		int pair[2];
		if (i == MONITOR && !m->is_saved)
			continue;
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
			return err_set_errno(e, "sockets");
		*mine[i] = pair[0];
		end[i] = pair[1];
	}
	return 0;
}

/* Starts QEMU with the descriptors that its command line names. */
static int spawn_qemu(struct machine *m, const int end[N_SOCKETS], struct err *e)
{
	int keep[N_VM_FILES + N_DISKS + N_SOCKETS + 1];
	size_t n = 0;
	struct words w = {0};
	struct err why;

	for (size_t i = 0; i < N_VM_FILES; i++)
		keep[n++] = m->file[i];
	for (size_t i = 0; i < N_DISKS; i++)
		keep[n++] = m->disks.fd[i];
	for (size_t i = 0; i < N_SOCKETS; i++)
		if (end[i] >= 0)
			keep[n++] = end[i];
	if (m->state >= 0)
		keep[n++] = m->state;
	add_words(&w, m, end);
	m->qemu =
	    spawn_start(w.word, -1, m->file[VM_LOG], m->file[VM_LOG], keep, n, &why);
	free_words(&w);
	if (m->qemu < 0)
		return err_set(e, "%s (install qemu-system-x86)", why.text);
	return 0;
}

static void close_sockets(int *sockets[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (*sockets[i] >= 0)
			close(*sockets[i]);
}

int vm_start(struct machine *m, struct err *e)
{
	int end[N_SOCKETS];
	int *theirs[] = {&end[CONTROL], &end[OUTPUT], &end[MONITOR]};
	int result = make_sockets(m, end, e) < 0 ? -1 : spawn_qemu(m, end, e);

	close_sockets(theirs, N_SOCKETS);
	if (result < 0)
		close_sockets((int *[]){&m->control, &m->output, &m->monitor}, N_SOCKETS);
	return result;
}

void vm_stop(struct machine *m, bool is_over)
{
	if (!is_over)
		kill(m->qemu, SIGKILL);
	m->status = spawn_wait(m->qemu);
	close_sockets((int *[]){&m->control, &m->output, &m->monitor}, N_SOCKETS);
}
