/*
 * The lines that dt-vmrun's guest sends. The result does not depend on how they arrive in
 * pieces. Success needs the complete report, and every failure has a status and a reason
 * of one line. How the script ended is passed on without a change.
 */
#include "run/report.h"

#include "base/err.h"
#include "base/io.h"
#include "run/job.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct report *a, const struct report *b)
{
	if (a->has_hello != b->has_hello || a->is_ready != b->is_ready ||
	    a->has_end != b->has_end || a->has_layer != b->has_layer ||
	    a->oom != b->oom || a->layer != b->layer || a->is_full != b->is_full ||
	    a->refused != b->refused || a->status != b->status ||
	    a->signal != b->signal || strcmp(a->why, b->why) != 0)
		abort();
}

/* A new file with these bytes, at its start. */
static int file_of(const void *data, size_t len)
{
	int fd = memfd_create("lines", MFD_CLOEXEC);

	if (fd < 0 || io_write(fd, data, len) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		abort();
	return fd;
}

static void check_verdict(const struct report *t)
{
	struct err e = {""};
	int status = report_verdict(t, "script", 100, 100, &e);

	if (status < 0 || status > 255 || (status == 0) != (e.text[0] == '\0') ||
	    strchr(e.text, '\n') != NULL)
		abort();
	if (status == 0 && (!t->is_ready || !t->has_end || !t->has_layer ||
			    t->refused + t->status + t->signal != 0))
		abort();
}

/* The end, sent on to the next process, is the same there. */
static void check_end(const struct report *t)
{
	struct report again = {0};
	struct buf line = {0};
	struct err e;
	int fd = file_of("", 0);

	bool is_good = report_send_end(fd, t);
	if (lseek(fd, 0, SEEK_SET) < 0 || io_slurp(fd, &line, 1 << 16) < 0 ||
	    report_parse(&again, line.data, line.len, &e) < 0 ||
	    again.refused != t->refused || again.status != t->status ||
	    again.signal != t->signal || !again.has_end)
		abort();
	if (is_good && (t->refused + t->status + t->signal != 0))
		abort();
	if (!is_good && t->refused + t->status + t->signal == 0)
		abort();
	if (t->refused != 0 && t->refused != 126 && t->refused != 127)
		abort();
	if (again.refused != 0 && strcmp(again.why, t->why) != 0)
		abort();
	report_release(&again);
	buf_release(&line);
	close(fd);
}

/* As dt-vmrun receives the lines. */
static int listen_to(const uint8_t *data, size_t size, struct report *t, struct err *e)
{
	const struct job job = {.script_name = "script"};
	const struct job_run run = {
	    .control = file_of(data, size),
	    .output = file_of("", 0),
	    .end = -1,
	    .hello = job_clock() + 100000,
	};

	int result = job_listen(&job, &run, t, e);
	close(run.control);
	close(run.output);
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct report whole = {0}, bytes = {0}, listened = {0};
	struct err e, of_bytes, of_listen;
	int result = report_parse(&whole, (const char *)data, size, &e), by_byte = 0;

	for (size_t i = 0; i < size && by_byte == 0; i++)
		by_byte = report_parse(&bytes, (const char *)data + i, 1, &of_bytes);
	int heard = listen_to(data, size, &listened, &of_listen);
	if (result != by_byte || result != heard ||
	    (result < 0 &&
	     (strcmp(e.text, of_bytes.text) != 0 || strcmp(e.text, of_listen.text) != 0)))
		abort();
	check_same(&whole, &bytes);
	check_same(&whole, &listened);
	check_verdict(&whole);
	if (whole.has_end && result == 0)
		check_end(&whole);
	report_release(&whole);
	report_release(&bytes);
	report_release(&listened);
	return 0;
}
