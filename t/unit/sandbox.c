/* Tries to break out of the sandbox of each kind of tool. */
#include "base/sandbox.h"

#include "base/broker.h"
#include "base/io.h"
#include "tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static char dir[] = "/tmp/dt-sandbox.XXXXXX";
static pid_t outside; /* a process that is not in the sandbox */
static in_port_t listed, other;
static int landlock;
static bool seccomp;

/* --- attempts: 0 or more if they succeed, -1 with errno set if they fail --- */

static long named(void)
{
	return open("named", O_RDONLY);
}
static long below(void)
{
	return open("directory/file", O_RDONLY);
}
static long secret(void)
{
	return open("secret", O_RDONLY);
}
static long list_secret(void)
{
	return open(".", O_RDONLY | O_DIRECTORY);
}
static long passwords(void)
{
	return open("/etc/shadow", O_RDONLY);
}
static long memory(void)
{
	char name[64];
	snprintf(name, sizeof name, "/proc/%d/mem", (int)outside);
	return open(name, O_RDONLY);
}
static long create(void)
{
	return open("new", O_WRONLY | O_CREAT, 0600);
}
static long create_nameless(void)
{
	return open("/tmp", O_TMPFILE | O_RDWR, 0600);
}
static long create_old(void)
{
	return syscall(SYS_creat, "new", 0600);
}
static long overwrite(void)
{
	return open("named", O_WRONLY);
}
static long update(void)
{
	return open("secret", O_RDWR);
}
static long empty(void)
{
	return open("named", O_RDONLY | O_TRUNC);
}
static long shorten(void)
{
	return truncate("named", 0);
}
static long delete (void)
{
	return unlink("named");
}
static long move(void)
{
	return rename("named", "moved");
}
static long make_directory(void)
{
	return mkdir("new", 0700);
}
static long remove_directory(void)
{
	return rmdir("empty");
}
static long make_symlink(void)
{
	return symlink("named", "new");
}
static long make_link(void)
{
	return link("named", "new");
}
static long make_node(void)
{
	return mkfifo("new", 0600);
}
static long set_mode(void)
{
	return chmod("secret", 0777);
}
static long set_owner(void)
{
	return chown("secret", 0, 0);
}
static long set_time(void)
{
	return utimensat(AT_FDCWD, "secret", NULL, 0);
}
static long change_root(void)
{
	return chroot(".");
}
static long shell(void)
{
	return execl("/bin/sh", "sh", "-c", "exit 99", (char *)NULL);
}
static long shell_by_file(void)
{
	const char *const argv[] = {"sh", "-c", "exit 99", NULL};
	return syscall(SYS_execveat, AT_FDCWD, "/bin/sh", argv, argv + 3, 0);
}
static long process(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	return pid;
}
static long process_as_thread(void)
{
	long pid = syscall(SYS_clone, SIGCHLD | CLONE_NEWUSER, NULL, NULL, NULL, 0);
	if (pid == 0)
		_exit(0);
	return pid;
}
static long new_process(void)
{
	uint64_t args[11] = {[4] = SIGCHLD};
	long pid = syscall(SYS_clone3, args, sizeof args);
	if (pid == 0)
		_exit(0);
	return pid;
}
static long trace(void)
{
	return ptrace(PTRACE_ATTACH, outside, NULL, NULL);
}
static long be_traced(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}
static long read_process(void)
{
	char byte;
	struct iovec to = {&byte, 1}, from = {dir, 1};
	return syscall(SYS_process_vm_readv, outside, &to, 1UL, &from, 1UL, 0UL);
}
static long send_signal(void)
{
	return kill(outside, SIGCONT);
}
static long queue_signal(void)
{
	return syscall(SYS_tgkill, outside, outside, SIGCONT);
}
static long namespace(void)
{
	return unshare(CLONE_NEWUSER);
}
static long memory_file(void)
{
	return memfd_create("x", 0);
}
static long uring(void)
{
	char params[128] = {0};
	return syscall(SYS_io_uring_setup, 1, params);
}
static long program(void)
{
	char attr[128] = {0};
	return syscall(SYS_bpf, 0, attr, sizeof attr);
}
static long key(void)
{
	return syscall(SYS_keyctl, 0, -3, 1);
}
/* ENOTTY would mean that the call came through: stdin is no terminal. */
static long type_text(void)
{
	return ioctl(STDIN_FILENO, TIOCSTI, "x") < 0 && errno != ENOTTY ? -1 : 0;
}
static long internet(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}
static long internet6(void)
{
	return socket(AF_INET6, SOCK_DGRAM, 0);
}
static long local_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}
static long raw_socket(void)
{
	return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}
static long packets(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0);
}
static long routes(void)
{
	return socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
}
static long audit(void)
{
	return socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT);
}
static long at_port(in_port_t port, int (*call)(int, const struct sockaddr *, socklen_t))
{
	const struct sockaddr_in a = {.sin_family = AF_INET,
				      .sin_port = htons(port),
				      .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return fd < 0 ? -1 : call(fd, (const struct sockaddr *)&a, sizeof a);
}
static long connect_listed(void)
{
	return at_port(listed, connect);
}
static long connect_other(void)
{
	return at_port(other, connect);
}
static long serve(void)
{
	return at_port(0, bind);
}
static long await(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return fd < 0 ? -1 : listen(fd, 1);
}
static void *nothing(void *arg)
{
	return arg;
}
static long thread(void)
{
	pthread_t t;
	errno = pthread_create(&t, NULL, nothing, NULL);
	return errno == 0 ? pthread_join(t, NULL) : -1;
}
static long temporary(void)
{
	char back[4] = "";
	int fd = io_tmpfile();
	if (fd < 0 || io_write(fd, "abc", 3) < 0 || io_pread(fd, back, 3, 0) != 3)
		return -1;
	return strcmp(back, "abc") == 0 ? 0 : -1;
}
static long many_temporary(void)
{
	for (int i = 0; i < 300; i++) {
		int fd = io_tmpfile();
		if (fd < 3)
			return -1;
		close(fd);
	}
	return 0;
}
static long helper(void)
{
	int fds[2];
	if (pipe(fds) < 0)
		return -1;
	pid_t pid = broker_spawn("helper", fds[0], fds[1]);
	return pid < 0 ? -1 : broker_wait(pid) == 7 << 8 ? 0 : -1;
}
static long broker_shell(void)
{
	return broker_spawn("/bin/sh", 0, 1);
}
static long wait_for_any(void)
{
	return broker_wait(-1);
}
static long store(void)
{
	int fd = open("cache/new", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	return fd < 0 || close(fd) < 0 || mkdir("cache/kind", 0700) < 0
		   ? -1
		   : rename("cache/new", "cache/kind/x");
}
static long store_nameless(void)
{
	return open("cache", O_TMPFILE | O_RDWR, 0600);
}
static long store_outside(void)
{
	return rename("cache/kind/x", "x");
}
static long take_in(void)
{
	return rename("secret", "cache/secret");
}
static long link_in(void)
{
	return link("secret", "cache/secret");
}

/* --- the sandboxes --- */

/* What must happen. The others happen only if the kernel has the feature. */
enum expect { WORKS, FAILS, BY_LANDLOCK, BY_PORTS, ANY };

struct attempt {
	const char *what;
	long (*call)(void);
	enum expect reader, puller;
};

static const struct attempt attempts[] = {
    {"read a named file", named, WORKS, WORKS},
    {"read a file in a named directory", below, WORKS, WORKS},
    {"read another file", secret, BY_LANDLOCK, BY_LANDLOCK},
    {"read another directory", list_secret, BY_LANDLOCK, BY_LANDLOCK},
    {"read passwords", passwords, BY_LANDLOCK, BY_LANDLOCK},
    {"open the memory of a process", memory, BY_LANDLOCK, BY_LANDLOCK},
    {"create a file", create, FAILS, BY_LANDLOCK},
    {"create a file without a name", create_nameless, FAILS, BY_LANDLOCK},
    {"create a file by creat(2)", create_old, FAILS, FAILS},
    {"write to a named file", overwrite, FAILS, BY_LANDLOCK},
    {"write to another file", update, FAILS, BY_LANDLOCK},
    {"open and truncate a named file", empty, FAILS, ANY},
    {"truncate a named file", shorten, FAILS, FAILS},
    {"remove a file", delete, FAILS, BY_LANDLOCK},
    {"rename a file", move, FAILS, BY_LANDLOCK},
    {"make a directory", make_directory, FAILS, BY_LANDLOCK},
    {"remove a directory", remove_directory, FAILS, FAILS},
    {"make a symlink", make_symlink, FAILS, FAILS},
    {"make a hard link", make_link, FAILS, FAILS},
    {"make a FIFO", make_node, FAILS, FAILS},
    {"change a mode", set_mode, FAILS, FAILS},
    {"change an owner", set_owner, FAILS, FAILS},
    {"change a time", set_time, FAILS, FAILS},
    {"change the root directory", change_root, FAILS, FAILS},
    {"execute a program", shell, FAILS, FAILS},
    {"execute a program by execveat(2)", shell_by_file, FAILS, FAILS},
    {"fork", process, FAILS, FAILS},
    {"fork by clone(2)", process_as_thread, FAILS, FAILS},
    {"fork by clone3(2)", new_process, FAILS, FAILS},
    {"trace a process", trace, FAILS, FAILS},
    {"be traced", be_traced, FAILS, FAILS},
    {"read the memory of a process", read_process, FAILS, FAILS},
    {"send a signal", send_signal, FAILS, FAILS},
    {"send a signal to a thread", queue_signal, FAILS, FAILS},
    {"make a namespace", namespace, FAILS, FAILS},
    {"make a file of memory", memory_file, FAILS, FAILS},
    {"use io_uring", uring, FAILS, FAILS},
    {"load a program of BPF", program, FAILS, FAILS},
    {"use the keyring", key, FAILS, FAILS},
    {"type text into a terminal", type_text, FAILS, FAILS},
    {"open a TCP socket", internet, FAILS, WORKS},
    {"open a UDP socket", internet6, FAILS, WORKS},
    {"ask for routes", routes, FAILS, WORKS},
    {"open a local socket", local_socket, FAILS, FAILS},
    {"open a raw socket", raw_socket, FAILS, FAILS},
    {"open a packet socket", packets, FAILS, FAILS},
    {"open another netlink socket", audit, FAILS, FAILS},
    {"connect to a listed port", connect_listed, FAILS, WORKS},
    {"connect to another port", connect_other, FAILS, BY_PORTS},
    {"bind a port", serve, FAILS, BY_PORTS},
    {"listen", await, FAILS, FAILS},
    {"start a thread", thread, WORKS, WORKS},
    {"create a temporary file", temporary, WORKS, WORKS},
    {"create many temporary files", many_temporary, WORKS, WORKS},
    {"run a helper", helper, FAILS, WORKS},
    {"run another program", broker_shell, FAILS, FAILS},
    {"wait for any process", wait_for_any, FAILS, FAILS},
    {"write to the cache", store, FAILS, WORKS},
    {"write to the cache without a name", store_nameless, FAILS, WORKS},
    {"rename a file out of the cache", store_outside, FAILS, BY_LANDLOCK},
    {"rename a file into the cache", take_in, FAILS, BY_LANDLOCK},
    {"link a file into the cache", link_in, FAILS, FAILS},
};
enum { ATTEMPTS = sizeof attempts / sizeof *attempts };

/* What a process in the sandbox reports to the test, in shared memory. */
struct result {
	bool is_done, works;
	int why;
};

static pid_t run_helper(const char *name, int in, int out)
{
	(void)in, (void)out;
	if (strcmp(name, "helper") != 0) {
		errno = EPERM;
		return -1;
	}
	pid_t pid = fork();
	if (pid == 0)
		_exit(7);
	return pid;
}

static _Noreturn void break_out(bool is_puller, const char *output,
				struct result result[ATTEMPTS])
{
	struct sandbox s = {.has_network = is_puller};

	io_begin(output, IO_BINARY);
	sandbox_read(&s, "named");
	sandbox_read(&s, "directory");
	sandbox_read(&s, "missing");
	sandbox_read(&s, "-");
	if (is_puller) {
		s.cache = "cache";
		s.spawn = run_helper;
		sandbox_port(&s, listed);
	}
	sandbox_enter(&s);
	for (size_t i = 0; i < ATTEMPTS; i++) {
		enum expect expect = is_puller ? attempts[i].puller : attempts[i].reader;
		bool is_held = expect == BY_LANDLOCK ? landlock > 0
			       : expect == BY_PORTS  ? landlock >= 4
						     : seccomp;
		if (expect == ANY || (expect != WORKS && !is_held))
			continue;
		errno = 0;
		result[i].works = attempts[i].call() >= 0;
		result[i].why = errno;
		result[i].is_done = true;
	}
	if (io_write(STDOUT_FILENO, "output", 6) < 0)
		_exit(1);
	io_finish();
	_exit(0);
}

static void check(bool is_puller, const char *output)
{
	const char *who = is_puller ? "dt-pull" : "dt-inspect";
	struct result *result =
	    mmap(NULL, ATTEMPTS * sizeof *result, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char what[200], text[16] = "";
	int status;

	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		break_out(is_puller, output, result);
	snprintf(what, sizeof what, "%s: the process ends by itself", who);
	tap_ok(waitpid(pid, &status, 0) == pid && status == 0, what);
	for (size_t i = 0; i < ATTEMPTS; i++) {
		bool works =
		    (is_puller ? attempts[i].puller : attempts[i].reader) == WORKS;
		snprintf(what, sizeof what, "%s %s %s", who, works ? "can" : "cannot",
			 attempts[i].what);
		if ((is_puller ? attempts[i].puller : attempts[i].reader) == ANY)
			continue;
		if (!result[i].is_done)
			printf("# not tried on this kernel: %s\n", what);
		else if (!tap_ok(result[i].works == works, what))
			printf("# %s\n", strerror(result[i].why));
	}
	int fd = open(output, O_RDONLY);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
	tap_ok(n == 6 && strcmp(text, "output") == 0, "the output has its name");
	munmap(result, ATTEMPTS * sizeof *result);
}

static void check_discarded(const char *output, int signal_number)
{
	int status;

	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		struct sandbox s = {0};
		io_begin(output, IO_BINARY);
		sandbox_enter(&s);
		raise(signal_number);
		_exit(3);
	}
	tap_ok(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
		   WTERMSIG(status) == signal_number && access(output, F_OK) < 0,
	       "a process that is killed leaves no output");
}

/* The socket stays open as long as the process. */
static in_port_t listen_somewhere(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 8) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &size) < 0)
		exit(1);
	/* cppcheck-suppress resourceLeak */
	return ntohs(a.sin_port);
}

static void write_file(const char *name)
{
	FILE *f = fopen(name, "w");

	if (f == NULL || fputs("text", f) < 0 || fclose(f) != 0)
		exit(1);
}

static void make_files(void)
{
	if (mkdtemp(dir) == NULL || chdir(dir) < 0 || mkdir("directory", 0700) < 0 ||
	    mkdir("empty", 0700) < 0 || mkdir("output", 0700) < 0)
		exit(1);
	write_file("named");
	write_file("secret");
	write_file("directory/file");
}

/* Runs a command of the shell. Returns whether it succeeds. */
static bool run(const char *command)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static void check_files(void)
{
	tap_ok(run("[ \"$(ls -A output . | tr '\\n' ' ')\" = '.: cache directory empty "
		   "named output secret  output: one two ' ] && "
		   "[ \"$(cat named secret)\" = texttext ]"),
	       "nothing else was created, changed or removed");
}

int main(void)
{
	landlock = sandbox_landlock();
	seccomp = sandbox_has_seccomp();
	printf("# Landlock version %d, seccomp %s\n", landlock, seccomp ? "yes" : "no");
	make_files();
	outside = getpid();
	listed = listen_somewhere();
	other = listen_somewhere();
	check(false, "output/one");
	check(true, "output/two");
	check_discarded("output/three", SIGTERM);
	if (landlock > 0 && seccomp)
		check_files();
	run("rm -rf \"$PWD\"");
	return tap_done();
}
