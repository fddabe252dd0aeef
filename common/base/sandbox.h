/*
 * sandbox: give up the rights that a parser of untrusted input does not need.
 *
 * An error in a parser may let an archive or a server execute code in the tool. The
 * sandbox limits the effect of such code, by Landlock and seccomp. Each of the two is
 * used if the kernel has it. A tool lists its files, and enters the sandbox after it has
 * parsed the command line and opened its output, and before it reads the first byte of
 * untrusted input:
 *
 *	struct sandbox s = {0};
 *	io_begin(opt_output(), IO_TEXT);
 *	sandbox_read(&s, o.file);
 *	sandbox_enter(&s);
 *
 * Afterwards the process can still do this:
 *
 *   - Read the listed files, and what is below the listed directories.
 *   - Read the shared libraries of the system, and their configuration. With a network:
 *     also the certificates and the configuration of the resolver.
 *   - Use the files that are open already.
 *   - Create temporary files by io_tmpfile(), and complete its output by io_finish().
 *   - Start threads.
 *   - With a cache: read, create, rename and remove files below its directory.
 *   - With a network: connect to the listed TCP ports (Landlock, Linux 6.7), and send UDP
 *     for the resolver.
 *
 * All other system calls fail, mostly with EPERM, EACCES or ENOSYS: creating and changing
 * files, executing programs, forking, tracing, signals to other processes, other sockets,
 * listening. Neither a kernel without Landlock and seccomp nor one with an earlier
 * version of Landlock is an error. In a build with the address sanitizer, no call fails,
 * because the sanitizer traces its own process; the process uses the broker nevertheless.
 *
 * Files that must be created in other directories are opened by a second process, see
 * broker.h.
 */
#ifndef DT_SANDBOX_H
#define DT_SANDBOX_H

#include "base/strset.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { SANDBOX_PORTS = 16 };

/* The needs of a process. A zeroed struct is a sandbox without files. */
struct sandbox {
	struct strset files;
	const char *cache; /* a directory, which is created if it is missing; or NULL */
	bool has_network;
	bool has_any_port; /* to connect to; otherwise only the `n_ports` in port[] */
	uint16_t port[SANDBOX_PORTS];
	size_t n_ports;
	/* Starts a program in the broker, see broker_spawn(); or NULL. */
	pid_t (*spawn)(const char *program, int in, int out);
};

/*
 * Lists a file or directory to read. It may be missing. Does nothing if `file` is NULL or
 * "-".
 */
void sandbox_read(struct sandbox *s, const char *file);

/* Lists a TCP port to connect to. Only the first SANDBOX_PORTS ports count. */
void sandbox_port(struct sandbox *s, uint16_t port);

/*
 * Enters the sandbox and releases `s`. The process must have a single thread. Ends the
 * process if the kernel has a feature and it fails.
 */
void sandbox_enter(struct sandbox *s);

/*
 * The version of Landlock that sandbox_enter() uses, 0 if none; and whether it uses
 * seccomp. Version 1 of Landlock (before Linux 5.19) is not used.
 */
int sandbox_landlock(void);
bool sandbox_has_seccomp(void);

#endif
