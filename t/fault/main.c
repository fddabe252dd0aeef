/*
 * main: a library for LD_PRELOAD that makes a program wait for strace(1) where main()
 * begins.
 *
 * The program writes a byte to the descriptor in $DT_FAULT_FD when the dynamic loader and
 * the constructors of the libraries are done. Then it calls nanosleep(2) until this
 * returns ATTACHED, which no kernel does: strace returns it with
 *
 *	strace -p PID -e inject=nanosleep:retval=7:when=1 ...
 *
 * So the first call that strace counts is the first call of main(), in each thread and
 * child process, and no call of the loader is counted.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { ATTACHED = 7 };

typedef int main_function(int, char **, char **);
typedef int start_function(main_function *, int, char **, void (*)(void), void (*)(void),
			   void (*)(void), void *);

static main_function *real_main;

static int wait_and_run(int argc, char **argv, char **envp)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	const char *number = getenv("DT_FAULT_FD");

	if (number != NULL) {
		int fd = (int)strtol(number, NULL, 10);
		unsetenv("DT_FAULT_FD");
		unsetenv("LD_PRELOAD");
		prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
		if (write(fd, "", 1) != 1)
			_exit(99);
		close(fd);
		while (syscall(SYS_nanosleep, &pause, NULL) != ATTACHED)
			continue;
	}
	return real_main(argc, argv, envp);
}

/* The name is that of glibc. */
/* NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
start_function __libc_start_main;

int __libc_start_main(main_function *main, int argc, char **argv, void (*init)(void),
		      void (*fini)(void), void (*rtld_fini)(void), void *stack_end)
{
	start_function *start;

	*(void **)&start = dlsym(RTLD_NEXT, "__libc_start_main");
	real_main = main;
	return start(wait_and_run, argc, argv, init, fini, rtld_fini, stack_end);
}
