/*
 * io: full reads and writes, zero copy, temporary files.
 *
 * Interrupted calls are tried again. Functions return -1 with errno set unless they are
 * said to end the process.
 */
#ifndef DT_IO_H
#define DT_IO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct buf;
struct err;
struct stat;

/*
 * Called first in every tool: ends the process if stdout is closed, opens /dev/null
 * on a closed stdin or stderr, so that no file opened later gets their numbers, and lets
 * write(2) fail where the limit of a file's size would kill the process.
 */
void io_init(void);

/* Reads until `len` bytes or end of file; returns how many. */
ssize_t io_read(int fd, void *data, size_t len);

/* The same from this position on; the file's own is not used. */
ssize_t io_pread(int fd, void *data, size_t len, off_t at);

int io_write(int fd, const void *data, size_t len);

/*
 * Moves up to `len` bytes from `in` to `out` without copying them through user space
 * where the kernel can (copy_file_range, splice, sendfile), by read and write where it
 * cannot. Reads at *off and advances it, or at the file's own position if off is NULL.
 * Returns how many bytes were moved: fewer than `len` only at the end of `in`.
 */
int64_t io_copy(int in, off_t *off, int out, uint64_t len);

/* Sees the bytes that io_copy_seen() moves through user space, or all if `all`. */
struct io_watch {
	void (*see)(void *arg, const void *data, size_t len);
	void *arg;
	bool all;
};

/* The same, watched. */
int64_t io_copy_seen(int in, off_t *off, int out, uint64_t len,
		     const struct io_watch *watch);

/* Appends all of `fd` to `b`; fails with EFBIG if that is more than `limit` bytes. */
int io_slurp(int fd, struct buf *b, size_t limit);

/* The same of a file; the name "-" is standard input. */
int io_slurp_file(const char *file, struct buf *b, size_t limit);

/* How messages call the file: "stdin" for "-". */
const char *io_name(const char *file);

/* io_slurp_file(), and why it failed; `what` names the file. */
int io_slurp_as(const char *file, const char *what, struct buf *b, size_t limit,
		struct err *e);

/*
 * stat(2) of a file that need not exist: 1, or 0 and a zeroed `st` if there is none, or
 * -1 with errno set. A file that cannot be examined is not a missing file.
 */
int io_stat(const char *file, struct stat *st);

/* A new file in $TMPDIR or /tmp that has no name and goes away with the process. */
int io_tmpfile(void);

/* Gives a pipe the largest buffer an ordinary user may ask for; else does nothing. */
void io_pipe_grow(int fd);

/* --- the output of a tool --- */

/* Whether it may go to a terminal. */
enum io_kind { IO_TEXT, IO_BINARY };

/*
 * Called once the command line is read. Standard output becomes the file `name`, which is
 * there only once io_finish() returns: see draft. A device, pipe or socket is written to
 * directly. If `name` is NULL or "-", standard output stays what it is. `name` is kept,
 * not copied. Ends the process if that fails, or if binary output would go to a
 * terminal.
 */
void io_begin(const char *name, enum io_kind kind);

/* How messages call the output. */
const char *io_output(void);

/* Writes a tool's whole text output, in one piece where it goes to a pipe that holds
 * it, and finishes it. Ends the process on failure. */
void io_finish_text(const struct buf *text);

/* Closes the output. Ends the process if that fails: output would be lost. */
void io_finish(void);

#endif
