/*
 * jail: run a script as root in an image.
 *
 * The current directory, the stage, has these directories:
 *
 *	lower  the image's tree
 *	disk   for changes: the overlay's upper and work directories
 *	root   the mount point of the overlay
 *	dt     `script`, and `bin` with busybox and its symlinks; /.dt in the image
 *
 * The script runs in new PID, mount, network, IPC and UTS namespaces. It gets its own
 * /dev, /proc and /sys, and an empty standard input. The image must have the directories
 * of jail_points.
 *
 *	if (jail_mount(&j, &e) == 0 && jail_start(&j, &e) == 0)
 *		result = jail_finish(&j, &end, &e);
 *	jail_unmount(&e);
 *
 * The first process of the PID namespace reports the end of the script to the caller, by
 * a line of report.h. It is visible to the script, but has no descriptor of the caller.
 *Without a virtual machine, the script cannot inspect that process. Otherwise its /proc
 *directory would expose the caller's program, environment and memory.
 *
 * The module is used inside and outside of dt-vmrun's guest.
 */
#ifndef DT_JAIL_H
#define DT_JAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct err;
struct report;

struct jail_bind {
	char *from;     /* absolute path of a directory or file */
	const char *to; /* its path in the image */
};

struct jail {
	bool is_user_ns;     /* runs in a user namespace */
	bool spare_host;     /* root is the machine's root: drop its rights */
	const char *tree;    /* directory to copy into the image, or NULL */
	const char *options; /* additional mount options of overlayfs, or NULL */
	const struct jail_bind *bind;
	size_t n_binds;
	int output; /* stdout and stderr of the script: a pipe or port, from which it
		       cannot read data of this machine */

	pid_t pid; /* set by jail_start() */
	int fd;    /* set by jail_start(); receives the line */
};

/* The directories that an image must have. NULL is the last element. */
extern const char *const jail_points[];

/* Mounts `root` and copies the tree into it. Returns 0, or -1 and a reason. */
int jail_mount(const struct jail *j, struct err *e);

/* Starts the script. Returns 0, or -1 and a reason. */
int jail_start(struct jail *j, struct err *e);

/*
 * Waits for the script, kills all processes that it started, and sets `end` to how it
 * ended. Returns 0, or -1 and a reason if the script could not be started or observed.
 */
int jail_finish(struct jail *j, struct report *end, struct err *e);

/* Unmounts `root`. Returns 0, or -1 and a reason. */
int jail_unmount(struct err *e);

#endif
