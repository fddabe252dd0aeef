/*
 * io: reads and writes that complete, copies inside the kernel, temporary files, and the
 * output of a tool.
 *
 * read(2) and write(2) may stop early, and an error of close(2) is easy to miss. Here
 * each case is handled once. A tool uses the module like this:
 *
 *	io_init();
 *	io_begin(opt_output(), IO_BINARY);
 *	io_write(STDOUT_FILENO, data, len);
 *	io_finish();
 *
 * Interrupted calls are repeated. Functions return -1 with errno set, unless their
 * comment says that they end the process.
 */
#ifndef DT_IO_H
#define DT_IO_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct buf;
struct err;
struct stat;

/*
 * Prepares the standard descriptors and signals. Every tool calls this function first.
 *
 * - The process ends if stdout is closed.
 * - A closed stdin or stderr becomes /dev/null, so that no other file gets their numbers.
 * - write(2) fails with EFBIG at the file size limit, where SIGXFSZ would kill the
 *   process.
 */
void io_init(void);

/* Reads `len` bytes, or up to the end of the file. Returns the number of bytes. */
ssize_t io_read(int fd, void *data, size_t len);

/*
 * Does the same from the offset `at`. The file's own offset is neither used nor changed.
 */
ssize_t io_pread(int fd, void *data, size_t len, off_t at);

int io_write(int fd, const void *data, size_t len);

/* Does the same at the offset `at`. The file's own offset is neither used nor changed. */
int io_pwrite(int fd, const void *data, size_t len, off_t at);

/*
 * Copies up to `len` bytes from `in` to `out`. The kernel moves them if it can
 * (copy_file_range, splice, sendfile); otherwise they are read and written. If `off` is
 * not NULL, reading starts at *off, which is advanced. If `off` is NULL, the file's own
 * offset is used. Returns the number of bytes, which is less than `len` only at the end
 * of `in`.
 */
int64_t io_copy(int in, off_t *off, int out, uint64_t len);

/*
 * Calls see() with the bytes that io_copy_seen() reads and writes itself. The bytes that
 * the kernel moves are not seen, unless `all` is true, which turns off copies by the
 * kernel.
 */
struct io_watch {
	void (*see)(void *arg, const void *data, size_t len);
	void *arg;
	bool all;
};

/* Does the same as io_copy(). `watch` may be NULL. */
int64_t io_copy_seen(int in, off_t *off, int out, uint64_t len,
		     const struct io_watch *watch);

/*
 * Appends everything up to the end of `fd` to `b`. Fails with EFBIG if that is more than
 * `limit` bytes.
 */
int io_slurp(int fd, struct buf *b, size_t limit);

/* Does the same with a file. The name "-" is standard input. */
int io_slurp_file(const char *file, struct buf *b, size_t limit);

/*
 * Opens a file for reading. The name "-" is standard input. The caller closes the
 * descriptor. Returns -1 with errno set on failure.
 */
int io_open_input(const char *file);

/* Returns the name of the file for messages: "stdin" for "-". */
const char *io_name(const char *file);

/*
 * Does the same as io_slurp_file(). On failure, stores the reason in `e`, which names the
 * file as `what`.
 */
int io_slurp_as(const char *file, const char *what, struct buf *b, size_t limit,
		struct err *e);

/*
 * Does the same as fdopendir(3), but also closes `fd` on failure. Returns NULL if `fd` is
 * -1, which may come from a failed open(2); errno does not change then.
 */
DIR *io_opendir(int fd);

/*
 * Calls stat(2) on a file that may be missing. Returns 1 if the file exists, 0 if it is
 * missing, and -1 with errno set on other errors. `st` is zeroed unless the file exists.
 */
int io_stat(const char *file, struct stat *st);

/* Returns the directory for temporary files: $TMPDIR, or /tmp if that is not set. */
const char *io_tmpdir(void);

/*
 * Opens a new temporary file without a name in io_tmpdir(). The file disappears with
 * the process.
 */
int io_tmpfile(void);

/*
 * Enlarges the buffer of a pipe to 1 MiB, the largest size for ordinary users. Does
 * nothing if that fails.
 */
void io_pipe_grow(int fd);

/* --- output of a tool --- */

/* The kind of output. Only text may go to a terminal. */
enum io_kind { IO_TEXT, IO_BINARY };

/*
 * Opens the output. A tool calls this after it parsed the command line.
 *
 * Standard output becomes the file `name`, which appears only when io_finish() returns;
 * see draft. A device, pipe or socket is written to directly. If `name` is NULL or "-",
 * standard output is not changed. `name` is kept, not copied. Ends the process if opening
 * fails, or if binary output would go to a terminal.
 */
void io_begin(const char *name, enum io_kind kind);

/*
 * Leaves to the broker to give the output its name, see draft_entrust(). Does nothing if
 * standard output is not a file of io_begin().
 */
void io_entrust_output(void);

/* Returns the name of the output for messages. */
const char *io_output(void);

/*
 * Writes the complete text output of a tool and calls io_finish(). If the output is a
 * pipe with enough room, the text is written at once. Ends the process on failure.
 */
void io_finish_text(const struct buf *text);

/* Does the same with the contents of a file, such as one of io_tmpfile(). */
void io_finish_file(int fd);

/*
 * Closes the output and checks the result. Ends the process on failure, because output
 * would be lost.
 */
void io_finish(void);

#endif
