/*
 * scratch: directories for temporary files.
 *
 * A process that is killed cannot remove its scratch directory. So each directory is
 * locked by flock(2) while a process uses it, and the next process that makes a directory
 * of the same name removes those that nobody has locked:
 *
 *	if (scratch_make(&s, "/tmp/dt-vmrun", &e) < 0)
 *		...
 *	use(s.path);
 *	scratch_remove(&s);
 *
 * The directory is NAME.dt-scratch.XXXXXX, with mode 0700. Child processes share the lock
 * until they close the descriptor or call execve(2). scripts/lib/script.bash makes,
 * locks and removes the directories of the scripts in the same way.
 */
#ifndef DT_SCRATCH_H
#define DT_SCRATCH_H

struct err;

/* A zeroed struct has no directory. */
struct scratch {
	char *path; /* NULL if there is no directory */
	int fd;     /* the directory; it has the lock */
};

/*
 * Makes a directory next to the file `name`, which need not exist. First removes the
 * directories of this name that belong to this user and are not locked. Returns 0, or -1
 * and a reason; then there is no directory.
 */
int scratch_make(struct scratch *s, const char *name, struct err *e);

/*
 * Gives the directory its final name, as rename(2) does. Returns 0, or -1 with errno set;
 * then it is still a scratch directory.
 */
int scratch_keep(struct scratch *s, const char *name);

/*
 * Removes the directory and all files in it, but no files of other mounts. Does nothing
 * if there is no directory. Returns 0, or -1 with errno set if some of it is left. There
 * is no directory in `s` in both cases.
 */
int scratch_remove(struct scratch *s);

#endif
