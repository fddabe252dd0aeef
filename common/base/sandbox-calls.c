#include "base/sandbox.h"

#include "base/err.h"
#include "base/sandbox-private.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Calls of files that are open, of memory, of threads and of time. */
static const int always[] = {
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(pread64),
    SCMP_SYS(preadv),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(pwrite64),
    SCMP_SYS(pwritev),
    SCMP_SYS(lseek),
    SCMP_SYS(_llseek),
    SCMP_SYS(copy_file_range),
    SCMP_SYS(splice),
    SCMP_SYS(tee),
    SCMP_SYS(sendfile),
    SCMP_SYS(sendfile64),
    SCMP_SYS(ftruncate),
    SCMP_SYS(ftruncate64),
    SCMP_SYS(fallocate),
    SCMP_SYS(fadvise64),
    SCMP_SYS(fadvise64_64),
    SCMP_SYS(arm_fadvise64_64),
    SCMP_SYS(readahead),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(flock),
    SCMP_SYS(close),
    SCMP_SYS(close_range),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(fcntl),
    SCMP_SYS(fcntl64),
    SCMP_SYS(pipe),
    SCMP_SYS(pipe2),
    SCMP_SYS(eventfd2),
    SCMP_SYS(fstat),
    SCMP_SYS(fstat64),
    SCMP_SYS(stat),
    SCMP_SYS(stat64),
    SCMP_SYS(lstat),
    SCMP_SYS(lstat64),
    SCMP_SYS(newfstatat),
    SCMP_SYS(fstatat64),
    SCMP_SYS(statx),
    SCMP_SYS(statfs),
    SCMP_SYS(statfs64),
    SCMP_SYS(fstatfs),
    SCMP_SYS(fstatfs64),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getdents64),
    SCMP_SYS(getcwd),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(ppoll_time64),
    SCMP_SYS(select),
    SCMP_SYS(_newselect),
    SCMP_SYS(pselect6),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(mmap),
    SCMP_SYS(mmap2),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(mprotect),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(mlock),
    SCMP_SYS(mlock2),
    SCMP_SYS(munlock),
    SCMP_SYS(membarrier),
    SCMP_SYS(futex),
    SCMP_SYS(futex_time64),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(get_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(set_tid_address),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_getparam),
    SCMP_SYS(sched_getscheduler),
    SCMP_SYS(getcpu),
    SCMP_SYS(gettid),
    SCMP_SYS(getpid),
    SCMP_SYS(getppid),
    SCMP_SYS(getuid),
    SCMP_SYS(getuid32),
    SCMP_SYS(geteuid),
    SCMP_SYS(geteuid32),
    SCMP_SYS(getgid),
    SCMP_SYS(getgid32),
    SCMP_SYS(getegid),
    SCMP_SYS(getegid32),
    SCMP_SYS(getrandom),
    SCMP_SYS(getrusage),
    SCMP_SYS(sysinfo),
    SCMP_SYS(uname),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_gettime64),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(clock_nanosleep_time64),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(times),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(rt_sigtimedwait_time64),
    SCMP_SYS(sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(pause),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    /* of the broker's socket and process */
    SCMP_SYS(sendmsg),
    SCMP_SYS(recvmsg),
    SCMP_SYS(shutdown),
    SCMP_SYS(wait4),
};

/* Calls that name a file to create, rename or remove. Landlock limits the names. */
static const int of_a_cache[] = {
    SCMP_SYS(open),      SCMP_SYS(openat),   SCMP_SYS(mkdir),  SCMP_SYS(mkdirat),
    SCMP_SYS(rename),    SCMP_SYS(renameat), SCMP_SYS(unlink), SCMP_SYS(unlinkat),
    SCMP_SYS(renameat2), SCMP_SYS(linkat),
};

static const int of_sockets[] = {
    SCMP_SYS(socketpair),  SCMP_SYS(connect),     SCMP_SYS(bind),
    SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),  SCMP_SYS(sendto),      SCMP_SYS(sendmmsg),
    SCMP_SYS(recvfrom),    SCMP_SYS(recvmmsg),    SCMP_SYS(recvmmsg_time64),
};

/*
 * Calls that fail with EPERM. All others fail with ENOSYS, so that a library that tries a
 * newer call uses an older one instead.
 */
static const int forbidden[] = {
    SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork),  SCMP_SYS(vfork),
    SCMP_SYS(ptrace), SCMP_SYS(kill),     SCMP_SYS(tkill), SCMP_SYS(creat),
};

/* Requests of ioctl(2): the size of a terminal, and the bytes in a pipe or socket. */
static const unsigned controls[] = {TCGETS, TCGETS2, TIOCGWINSZ, FIONREAD, FIONBIO};

static _Noreturn void fail(int error)
{
	errno = -error;
	die_errno("seccomp");
}

/* The conditions that argument `arg` is `value`, and that its bits in `mask` are. */
static struct scmp_arg_cmp equal(unsigned arg, uint64_t value)
{
	return (struct scmp_arg_cmp){.arg = arg, .op = SCMP_CMP_EQ, .datum_a = value};
}

static struct scmp_arg_cmp masked(unsigned arg, uint64_t mask, uint64_t value)
{
	return (struct scmp_arg_cmp){
	    .arg = arg, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
}

static void rule(scmp_filter_ctx f, uint32_t action, int call, unsigned n,
		 const struct scmp_arg_cmp *args)
{
	if (call < 0) /* this architecture does not have it */
		return;
	int error = seccomp_rule_add_array(f, action, call, n, args);
	if (error < 0)
		fail(error);
}

static void rules(scmp_filter_ctx f, uint32_t action, const int *calls, size_t n)
{
	for (size_t i = 0; i < n; i++)
		rule(f, action, calls[i], 0, NULL);
}

#define RULES(f, action, list) rules(f, action, list, sizeof(list) / sizeof *(list))
#define RULE(f, action, call, ...)                                                       \
	rule(f, action, SCMP_SYS(call),                                                  \
	     sizeof((struct scmp_arg_cmp[]){__VA_ARGS__}) / sizeof(struct scmp_arg_cmp), \
	     (const struct scmp_arg_cmp[]){__VA_ARGS__})

/* Only reading: the broker creates files. */
static void allow_reading(scmp_filter_ctx f)
{
	static const uint64_t writing[] = {O_WRONLY, O_RDWR, O_CREAT, O_TRUNC,
					   O_TMPFILE & ~O_DIRECTORY};
	const uint32_t no = SCMP_ACT_ERRNO(EPERM);
	uint64_t all = 0;

	for (size_t i = 0; i < sizeof writing / sizeof *writing; i++) {
		RULE(f, no, open, masked(1, writing[i], writing[i]));
		RULE(f, no, openat, masked(2, writing[i], writing[i]));
		all |= writing[i];
	}
	RULE(f, SCMP_ACT_ALLOW, open, masked(1, all, 0));
	RULE(f, SCMP_ACT_ALLOW, openat, masked(2, all, 0));
}

/* Threads, but no processes. clone3(2) fails with ENOSYS, and libc calls clone(2). */
static void allow_threads(scmp_filter_ctx f)
{
	RULE(f, SCMP_ACT_ALLOW, clone, masked(0, CLONE_THREAD, CLONE_THREAD));
	RULE(f, SCMP_ACT_ERRNO(EPERM), clone, masked(0, CLONE_THREAD, 0));
}

/* Not local sockets: they would reach the daemons of this machine. */
static void allow_sockets(scmp_filter_ctx f)
{
	static const unsigned families[] = {AF_INET, AF_INET6},
			      types[] = {SOCK_STREAM, SOCK_DGRAM};
	enum { TYPE = 0xf };

	RULES(f, SCMP_ACT_ALLOW, of_sockets);
	for (size_t i = 0; i < 2; i++)
		for (size_t j = 0; j < 2; j++)
			RULE(f, SCMP_ACT_ALLOW, socket, equal(0, families[i]),
			     masked(1, TYPE, types[j]));
	RULE(f, SCMP_ACT_ALLOW, socket, equal(0, AF_NETLINK), equal(2, NETLINK_ROUTE));
}

/* Some calls with some arguments only. */
static void allow_some(scmp_filter_ctx f)
{
	for (size_t i = 0; i < sizeof controls / sizeof *controls; i++)
		RULE(f, SCMP_ACT_ALLOW, ioctl, equal(1, controls[i]));
	/* for raise(3) */
	RULE(f, SCMP_ACT_ALLOW, tgkill, equal(0, (uint64_t)getpid()));
	RULE(f, SCMP_ACT_ALLOW, prlimit64, equal(0, 0));
	/* the mark of a tool that failed, see err.h */
	RULE(f, SCMP_ACT_ALLOW, fchmod, equal(0, STDOUT_FILENO));
}

bool sandbox_has_seccomp(void)
{
	const uint32_t action = SCMP_ACT_ERRNO(0);
	enum { SECCOMP_ACTION_AVAILABLE = 2 };

	return !SANDBOX_IS_TRACED &&
	       syscall(SYS_seccomp, SECCOMP_ACTION_AVAILABLE, 0, &action) == 0;
}

void sandbox_restrict_calls(const struct sandbox *s)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	if (f == NULL)
		die("out of memory");
	seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	RULES(f, SCMP_ACT_ALLOW, always);
	RULES(f, SCMP_ACT_ERRNO(EPERM), forbidden);
	if (s->cache != NULL)
		RULES(f, SCMP_ACT_ALLOW, of_a_cache);
	else
		allow_reading(f);
	if (s->has_network)
		allow_sockets(f);
	else
		rule(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 0, NULL);
	allow_threads(f);
	allow_some(f);
	int error = seccomp_load(f);
	if (error < 0)
		fail(error);
	seccomp_release(f);
}
