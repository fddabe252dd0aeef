#include "vm.h"

#include "buf.h"
#include "erofs.h"
#include "err.h"
#include "guest.h"
#include "helper.h"
#include "io.h"
#include "jail.h"
#include "job.h"
#include "kernel.h"
#include "kvm.h"
#include "mem.h"
#include "pack.h"
#include "pool.h"
#include "rootfs.h"
#include "talk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
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
	HELLO_KVM = 5000, /* ms until the guest must be up */
	HELLO_TCG = 120000,
	LAYER_MAX_SHIFT =
	    40, /* the layer's disk is sparse, and as large as this many bits say */
	LOG_MAX = 1 << 20,
	WORDS_MAX = 96,
};

enum { KERNEL, INITRAMFS, BASE, DISK, LAYER, EXTRA, CONSOLE, LOG, N_FILES };

/* The two read-only disks: of the image, and of what is bound and laid over it. */
enum { N_DISKS = 2 };

/* Disks are filled while the guest boots. */
struct filling {
	struct pool *pool;
	struct erofs *disk[N_DISKS];
	struct rootfs extra;
	int *spool; /* what `extra` is read from */
	size_t n_spools;
	int result[N_DISKS];
	struct err why[N_DISKS];
};

struct machine {
	const struct job *job;
	struct filling filling;
	int file[N_FILES];
	int control, output; /* our ends */
	int64_t end;         /* job_clock() at which it must be over, or -1 */
	pid_t qemu;
	bool is_kvm;
	int status; /* of QEMU, when it has ended */
};

/* --- the disks --- */

/* Adds `path` of this machine to the tree, as `as`. */
static int add_tree(struct rootfs *r, int *spool, const char *path, const char *as,
		    struct err *e)
{
	struct pack pack = {
	    .lower = -1, .as = as, .mtime = INT64_MAX, .limit = INT64_MAX};
	char *real = realpath(path, NULL);
	int result;

	*spool = io_tmpfile();
	char *slash = real != NULL ? strrchr(real, '/') : NULL;
	if (*spool < 0 || real == NULL || slash[1] == '\0') {
		free(real);
		return err_set_errno(e, "%s", path);
	}
	*slash = '\0';
	pack.name = slash + 1;
	pack.out = *spool;
	pack.upper = open(slash == real ? "/" : real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (pack.upper < 0)
		result = err_set_errno(e, "%s", path);
	else
		result = pack_layer(&pack, e) < 0
			     ? -1
			     : rootfs_add_layer(r, *spool, 0, pack.size, path, e);
	if (pack.upper >= 0)
		close(pack.upper);
	free(real);
	return result;
}

/* Reads what is bound and laid over the image. */
static int read_extra(const struct job *j, struct filling *f, struct err *e)
{
	struct buf as = {0};
	int result = 0;

	rootfs_init(&f->extra);
	f->n_spools = j->n_binds + 1;
	f->spool = mem_resize(NULL, f->n_spools, sizeof *f->spool);
	memset(f->spool, -1, f->n_spools * sizeof *f->spool);
	if (j->tree != NULL)
		result = add_tree(&f->extra, &f->spool[j->n_binds], j->tree, "tree", e);
	for (size_t i = 0; i < j->n_binds && result == 0; i++) {
		buf_clear(&as);
		buf_addf(&as, "binds%s", j->bind[i].to);
		result = add_tree(&f->extra, &f->spool[i], j->bind[i].from, as.data, e);
	}
	rootfs_sort(&f->extra);
	buf_release(&as);
	return result;
}

static void fill_disk(void *arg, size_t i)
{
	struct filling *f = arg;

	f->result[i] = erofs_fill(f->disk[i], &f->why[i]);
}

static int start_filling(struct machine *m, struct err *e)
{
	struct filling *f = &m->filling;

	if (read_extra(m->job, f, e) < 0)
		return -1;
	f->disk[0] = erofs_place(m->job->rootfs, m->file[BASE], e);
	f->disk[1] =
	    f->disk[0] != NULL ? erofs_place(&f->extra, m->file[EXTRA], e) : NULL;
	if (f->disk[1] == NULL)
		return -1;
	f->pool = pool_start(N_DISKS, fill_disk, f);
	return 0;
}

/* Waits for the disks to be there. Returns 0, or -1 and why they are not. */
static int finish_filling(struct filling *f, struct err *e)
{
	pool_release(f->pool);
	f->pool = NULL;
	for (size_t i = 0; i < N_DISKS; i++)
		if (f->result[i] < 0)
			return err_set(e, "%s", f->why[i].text);
	return 0;
}

static void release_filling(struct filling *f)
{
	pool_release(f->pool);
	for (size_t i = 0; i < N_DISKS; i++)
		erofs_release(f->disk[i]);
	if (f->spool == NULL)
		return;
	for (size_t i = 0; i < f->n_spools; i++)
		if (f->spool[i] >= 0)
			close(f->spool[i]);
	free(f->spool);
	rootfs_release(&f->extra);
}

static int make_disk(struct machine *m, struct err *e)
{
	char path[64];
	int fd = m->file[DISK];
	const char *const argv[] = {"mke2fs",
				    "-q",
				    "-t",
				    "ext4",
				    "-F",
				    "-b",
				    "4096",
				    "-i",
				    "8192",
				    "-O",
				    "^has_journal,^metadata_csum,^64bit",
				    "-m0",
				    "-E",
				    "nodiscard,lazy_itable_init=1",
				    path,
				    NULL};
	struct err why;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (ftruncate(fd, (off_t)(m->job->disk << 20)) < 0)
		return err_set_errno(e, "a disk of %" PRIu64 " MiB", m->job->disk);
	if (helper_run(argv, -1, m->file[LOG], &fd, 1, &why) < 0)
		return err_set(e, "%s (install e2fsprogs)", why.text);
	return 0;
}

static void make_config(const struct job *j, struct buf *out)
{
	buf_addf(out, "mtime=%" PRId64, j->mtime);
	buf_addch(out, '\0');
	buf_addf(out, "limit=%" PRIu64, (uint64_t)1 << LAYER_MAX_SHIFT);
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
	static const int made[] = {BASE, DISK, EXTRA, CONSOLE, LOG};
	struct buf config = {0};

	for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
		m->file[made[i]] = io_tmpfile();
		if (m->file[made[i]] < 0)
			return err_set_errno(e, "a temporary file");
	}
	m->file[LAYER] = m->job->layer;
	make_config(m->job, &config);
	m->file[INITRAMFS] = guest_initramfs(k, &m->job->script, &config, e);
	buf_release(&config);
	m->file[KERNEL] = kernel_open(k, e);
	return m->file[INITRAMFS] < 0 || m->file[KERNEL] < 0 ? -1 : 0;
}

/* --- QEMU --- */

/* The words of a command line, each made by add_word(). */
struct words {
	const char *word[WORDS_MAX];
	char *text[WORDS_MAX]; /* the same, to be freed */
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

static void add_drive(struct words *w, const char *id, int fd, bool is_read_only)
{
	add_word(w, "-drive");
	add_word(w,
		 "if=none,id=%s,file=/proc/self/fd/%d,format=raw,cache=unsafe,"
		 "file.locking=off,werror=report,rerror=report%s",
		 id, fd, is_read_only ? ",readonly=on" : "");
	add_word(w, "-device");
	add_word(w, "virtio-blk-pci,drive=%s", id);
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
	static const char *const plain[] = {"-nodefaults",
					    "-no-user-config",
					    "-display",
					    "none",
					    "-no-reboot",
					    "-smp",
					    "1"};
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
	add_drive(w, "base", m->file[BASE], true);
	add_drive(w, "disk", m->file[DISK], false);
	add_drive(w, "layer", m->file[LAYER], false);
	add_drive(w, "extra", m->file[EXTRA], true);
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
	int control[2], output[2], keep[N_FILES + 2];
	struct words w = {0};
	struct err why;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, output) < 0)
		return err_set_errno(e, "sockets");
	memcpy(keep, m->file, sizeof m->file);
	keep[N_FILES] = control[1];
	keep[N_FILES + 1] = output[1];
	add_words(&w, m, control[1], output[1]);
	m->qemu = helper_start(w.word, m->file[LOG], m->file[LOG], keep,
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
	while (waitpid(m->qemu, &m->status, 0) < 0 && errno == EINTR)
		continue;
	close(m->control);
	close(m->output);
}

/* --- listening to the guest --- */

/* Passes on what the script printed. Returns whether there is more to come. */
static bool pass_output(const struct machine *m)
{
	char text[65536];
	ssize_t n = read(m->output, text, sizeof text);

	if (n < 0 && errno == EINTR)
		return true;
	if (n <= 0)
		return false;
	if (io_write(STDERR_FILENO, text, (size_t)n) < 0)
		return false;
	return true;
}

/* How long to wait, in ms; 0: it is over, and `e` says why. */
static int patience(const struct machine *m, const struct talk *t, int64_t hello,
		    struct err *e)
{
	int64_t left = m->end >= 0 ? m->end - job_clock() : 1000000;

	if (left <= 0) {
		err_set(e, "%s: it runs longer than %" PRIu64 " s", m->job->script_name,
			m->job->timeout);
		return 0;
	}
	if (!t->has_hello) {
		int64_t until = hello - job_clock();
		if (until <= 0) {
			err_set(e, "the guest does not come up");
			return 0;
		}
		left = until < left ? until : left;
	}
	return left < 1000000 ? (int)left : 1000000;
}

/* Hears the guest to its end. Returns 0, or -1 and why not. */
static int listen_to(struct machine *m, struct talk *t, struct err *e)
{
	int64_t hello = job_clock() + (m->is_kvm ? HELLO_KVM : HELLO_TCG);
	struct pollfd fds[2] = {{.fd = m->control, .events = POLLIN},
				{.fd = m->output, .events = POLLIN}};
	char text[4096];
	bool has_gone = false;
	int left;

	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		left = patience(m, t, hello, e);
		if (left == 0)
			return -1;
		if (poll(fds, 2, left) <= 0)
			continue;
		if (fds[1].revents != 0 && !pass_output(m))
			fds[1].fd = -1;
		if (fds[0].revents == 0)
			continue;
		ssize_t n = read(m->control, text, sizeof text);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			fds[0].fd = -1;
		else if (talk_hear(t, text, (size_t)n, e) < 0)
			return -1;
		if (!t->has_hello || has_gone)
			continue;
		has_gone = true;
		if (finish_filling(&m->filling, e) < 0)
			return -1;
		/* A guest that is gone is noticed when it is listened to. */
		send(m->control, "GO\n", 3, MSG_NOSIGNAL);
	}
	return 0;
}

/* The line of a log that has the word in it, else its last one; empty if there is none.
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

/* Why a guest ended before it said how its script did. */
static int explain(const struct machine *m, const struct talk *t, struct err *e)
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
		return err_set(e, "the guest does not come up");
	return err_set(e, "%s: the guest was powered off", m->job->script_name);
}

/* What the guest says of a disk may be the fault of the one that all of it lies on. */
static int blame_host(const struct machine *m, struct talk *t, struct err *e)
{
	struct statvfs vfs;

	if (t->why[0] == '\0' || t->refused != 0 || fstatvfs(m->file[DISK], &vfs) < 0 ||
	    vfs.f_bavail * vfs.f_bsize >= 1 << 20)
		return 0;
	return err_set(e, "%s: TMPDIR is full", t->why);
}

static int run_once(struct machine *m, struct talk *t, struct err *e)
{
	for (int i = 0; i < 3; i++)
		if (ftruncate(m->file[(int[]){DISK, LAYER, CONSOLE}[i]], 0) < 0)
			return err_set_errno(e, "a temporary file");
	if (make_disk(m, e) < 0)
		return -1;
	if (ftruncate(m->file[LAYER], (off_t)1 << LAYER_MAX_SHIFT) < 0)
		return err_set_errno(e, "a temporary file");
	if (start_qemu(m, e) < 0)
		return -1;
	int result = listen_to(m, t, e);
	stop_qemu(m, result == 0);
	if (result < 0)
		return -1;
	if (t->has_end ? t->status == 0 && t->signal == 0 && t->refused == 0 &&
			     (!t->has_layer || m->status != 0) && t->why[0] == '\0'
		       : t->why[0] == '\0')
		return explain(m, t, e);
	return blame_host(m, t, e);
}

int vm_run(const struct job *j, const struct vm *vm, struct talk *t, struct err *e)
{
	struct machine m = {.job = j, .end = -1};
	struct kernel kernel;
	bool works = vm->may_kvm && kvm_works();
	int result = 0;

	if (!works && !vm->may_tcg)
		return err_set(e, "KVM does not work here");
	for (int i = 0; i < N_FILES; i++)
		m.file[i] = -1;
	if (j->timeout > 0)
		m.end = job_clock() + (int64_t)j->timeout * 1000;
	if (kernel_find(&kernel, vm->kernel, e) < 0 || make_files(&m, &kernel, e) < 0 ||
	    start_filling(&m, e) < 0)
		result = -1;
	if (result == 0) {
		m.is_kvm = works;
		result = run_once(&m, t, e);
		if (works && vm->may_tcg && !t->has_hello) {
			warn("KVM: %s; going on without it", e->text);
			m.is_kvm = false;
			talk_release(t);
			*t = (struct talk){0};
			result = run_once(&m, t, e);
		}
	}
	release_filling(&m.filling);
	for (int i = 0; i < N_FILES; i++)
		if (i != LAYER && m.file[i] >= 0)
			close(m.file[i]);
	kernel_release(&kernel);
	return result;
}
