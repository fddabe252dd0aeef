/*
 * jail: runs a script as root of an image.
 *
 * The current directory is the stage: `lower` is the image's tree, `disk` what changes go
 * to, `root` where both show as one, by overlayfs, and `dt` what the script gets: itself
 * (`script`), and `bin`, busybox and links to it. The image must have the directories
 * that jail_points() lists. In the image the stage's `dt` is /.dt.
 *
 * The script has PID, mount, network, IPC and UTS namespaces of its own, a /dev, /proc
 * and /sys of its own, and no input. It sees one process that it did not start, the
 * first of the PID namespace. This process has no descriptor of the caller any more, and
 * without a virtual machine the script may not inspect it: its /proc directory would lead
 * to the caller's program, environment and memory. Used in the guest of dt-vmrun and
 * outside of it.
 */
#ifndef DT_JAIL_H
#define DT_JAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct err;

struct jail_bind {
	char *from;     /* the absolute path of a directory or file */
	const char *to; /* its name in the image */
};

struct jail {
	bool is_user_ns; /* this is a user namespace */
	bool spare_host; /* root here is root of the machine: as little as can be */
	const char
	    *tree; /* the directory whose contents are laid over the image, or NULL */
	const char *options; /* of overlayfs, in addition; or NULL */
	const struct jail_bind *bind;
	size_t n_binds;
	int output; /* the script's stdout and stderr: a pipe or a port, nothing that the
		       script could read this machine's data from */

	pid_t pid; /* set by jail_start(), */
	int fd;    /* readable when the script has ended */
};

/* How the script ended. */
struct jail_end {
	int status;  /* as wait(2) has it; or, if it could not be run, */
	int refused; /* 126 or 127, and why: */
	char why[512];
};

/* The directories that an image must have, NULL at the end. */
extern const char *const jail_points[];

/* Mounts `root` and lays the tree over it. Returns 0, or -1 and why not. */
int jail_mount(const struct jail *j, struct err *e);

/* Starts the script. Returns 0, or -1 and why not. */
int jail_start(struct jail *j, struct err *e);

/*
 * Waits for the script's end, and ends all that it started. Returns 0, or -1 and why it
 * could not be seen through.
 */
int jail_finish(struct jail *j, struct jail_end *end, struct err *e);

/* Unmounts `root`. Returns 0, or -1 and why not. */
int jail_unmount(struct err *e);

#endif
