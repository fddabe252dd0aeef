#include "base/io.h"

#include "base/buf.h"
#include "base/draft.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *output_name = "standard output";
static struct draft draft;
static bool is_draft;

const char *io_output(void)
{
	return output_name;
}

/*
 * Creates the draft of a file. Removes drafts that killed processes left in the same
 * directory.
 */
static void begin_draft(const char *file)
{
	/* If `file` is a symlink, replace its target and keep the symlink. */
	char *real = realpath(file, NULL);
	const char *place = real != NULL ? real : file;
	const char *slash = strrchr(place, '/');
	struct buf dir = {0};

	buf_add(&dir, place, slash != NULL ? (size_t)(slash + 1 - place) : 0);
	draft_sweep(dir.len > 0 ? dir.data : ".");
	if (draft_open(&draft, place, 0666, NULL) < 0)
		die_errno("%s", file);
	is_draft = true;
	free(real);
	buf_release(&dir);
}

static void redirect(int fd)
{
	if (dup2(fd, STDOUT_FILENO) < 0)
		die_errno("%s", output_name);
}

void io_begin(const char *name, enum io_kind kind)
{
	struct stat st;

	if (name != NULL && strcmp(name, "-") != 0) {
		output_name = name;
		if (stat(name, &st) == 0 && !S_ISREG(st.st_mode)) {
			int fd = open(name, O_WRONLY | O_CLOEXEC);
			if (fd < 0)
				die_errno("%s", name);
			redirect(fd);
			close(fd);
		} else {
			begin_draft(name);
			redirect(draft.fd);
		}
	}
	if (kind == IO_BINARY && isatty(STDOUT_FILENO))
		die("%s is a terminal: redirect it or use -o FILE",
		    name == NULL ? "stdout" : name);
}

void io_entrust_output(void)
{
	if (is_draft)
		draft_entrust(&draft);
}

void io_finish_text(const struct buf *text)
{
	/*
	 * If the pipe has room for the text, one write(2) sends all of it. Then a kill
	 * cannot truncate it.
	 */
	io_pipe_grow(STDOUT_FILENO);
	if (io_write(STDOUT_FILENO, text->data, text->len) < 0)
		die_errno("%s", output_name);
	io_finish();
}

void io_finish_file(int fd)
{
	off_t start = 0;

	io_pipe_grow(STDOUT_FILENO);
	if (io_copy(fd, &start, STDOUT_FILENO, INT64_MAX) < 0)
		die_errno("%s", output_name);
	io_finish();
}

void io_finish(void)
{
	if (close(STDOUT_FILENO) < 0)
		die_errno("%s", output_name);
	if (is_draft && draft_close(&draft, true) < 0)
		die_errno("%s", output_name);
}
