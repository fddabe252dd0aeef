#include "run/report.h"

#include "base/err.h"
#include "base/io.h"
#include "base/num.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

enum {
	LINE_MAX_LEN = 4096,
	FULL = 65536 /* fewer free bytes count as full */,
	TROUBLE = 125
};

void report_release(struct report *t)
{
	buf_release(&t->line);
}

/* Parses the number at *p. Advances *p beyond it and a blank. */
static int take_number(const char **p, uint64_t max, uint64_t *n)
{
	size_t len = strcspn(*p, " ");

	if (num_parse(*p, len, max, n) < 0)
		return -1;
	*p += len + ((*p)[len] == ' ');
	return 0;
}

static void set_text(struct report *t, const char *text)
{
	snprintf(t->why, sizeof t->why, "%s", *text != '\0' ? text : "no reason");
}

/* The lines of a report must come in this order. ERROR may come at any time. */
enum step { START, WAIT, HELLO, READY, OOM, FREE, END, LAYER };

/* Returns -1 if the line of this step may not follow the previous line. */
static int take_step(struct report *t, enum step step)
{
	if ((int)step <= t->step)
		return -1;
	t->step = (int)step;
	return 0;
}

static int parse_end(struct report *t, int *what, uint64_t min, uint64_t max,
		     const char *p)
{
	uint64_t n;

	if (take_step(t, END) < 0 || take_number(&p, max, &n) < 0 || n < min)
		return -1;
	t->has_end = true;
	*what = (int)n;
	if (what == &t->refused)
		set_text(t, p);
	return 0;
}

static int parse_line(struct report *t, const char *line)
{
	char word[16];
	size_t len = strcspn(line, " ");
	const char *p = line + len + (line[len] == ' ');
	uint64_t bytes, files;

	snprintf(word, sizeof word, "%.*s", (int)(len < 15 ? len : 15), line);
	if (strcmp(word, "WAIT") == 0) {
		t->is_waiting = true;
		return take_step(t, WAIT);
	} else if (strcmp(word, "HELLO") == 0) {
		t->has_hello = true;
		return take_step(t, HELLO);
	} else if (strcmp(word, "READY") == 0) {
		t->is_ready = true;
		return take_step(t, READY);
	} else if (strcmp(word, "OOM") == 0) {
		return take_step(t, OOM) < 0 ? -1 : take_number(&p, UINT32_MAX, &t->oom);
	} else if (strcmp(word, "FREE") == 0) {
		if (take_step(t, FREE) < 0 || take_number(&p, INT64_MAX, &bytes) < 0 ||
		    take_number(&p, INT64_MAX, &files) < 0)
			return -1;
		t->is_full = bytes < FULL || files == 0;
	} else if (strcmp(word, "REFUSED") == 0) {
		return parse_end(t, &t->refused, 126, 127, p);
	} else if (strcmp(word, "EXIT") == 0) {
		return parse_end(t, &t->status, 0, 255, p);
	} else if (strcmp(word, "SIGNAL") == 0) {
		return parse_end(t, &t->signal, 1, 127, p);
	} else if (strcmp(word, "LAYER") == 0) {
		if (!t->has_end || take_step(t, LAYER) < 0)
			return -1;
		t->has_layer = true;
		return take_number(&p, INT64_MAX, &t->layer);
	} else if (strcmp(word, "ERROR") == 0) {
		if (t->why[0] == '\0')
			set_text(t, p);
	} else {
		return -1;
	}
	return 0;
}

int report_parse(struct report *t, const char *data, size_t len, struct err *e)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] != '\n') {
			if (t->line.len >= LINE_MAX_LEN || data[i] == '\0')
				return err_set(e, "the guest sent an invalid report");
			buf_addch(&t->line, data[i]);
			continue;
		}
		if (parse_line(t, t->line.len > 0 ? t->line.data : "") < 0)
			return err_set(e, "the guest sent an invalid report: %.200s",
				       t->line.len > 0 ? t->line.data : "");
		buf_clear(&t->line);
	}
	return 0;
}

void report_send(int fd, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text - 1, fmt, ap);
	va_end(ap);
	size_t len = n < (int)sizeof text - 2 ? (size_t)n : sizeof text - 2;
	for (size_t i = 0; i < len; i++)
		if (text[i] == '\n')
			text[i] = ' ';
	text[len++] = '\n';
	if (io_write(fd, text, len) < 0)
		return; /* the reader finds out when this process exits */
}

void report_send_status(int fd, int status)
{
	if (WIFSIGNALED(status))
		report_send(fd, "SIGNAL %d", WTERMSIG(status));
	else
		report_send(fd, "EXIT %d", WEXITSTATUS(status));
}

void report_send_free(int fd, const char *dir)
{
	struct statvfs vfs;

	if (statvfs(dir, &vfs) < 0)
		return;
	/* Some file systems have no limit of files, and report 0. */
	report_send(fd, "FREE %ju %ju", (uintmax_t)vfs.f_bavail * vfs.f_bsize,
		    vfs.f_files > 0 ? (uintmax_t)vfs.f_ffree : 1);
}

bool report_send_end(int fd, const struct report *end)
{
	if (end->refused != 0)
		report_send(fd, "REFUSED %d %s", end->refused, end->why);
	else if (end->signal != 0)
		report_send(fd, "SIGNAL %d", end->signal);
	else
		report_send(fd, "EXIT %d", end->status);
	return end->refused == 0 && end->signal == 0 && end->status == 0;
}

int report_verdict(const struct report *t, const char *script, uint64_t memory,
		   uint64_t disk, struct err *e)
{
	int status = t->refused != 0  ? t->refused
		     : t->signal != 0 ? 128 + t->signal
				      : t->status;

	if (t->refused != 0) {
		err_set(e, "%s: %s", script, t->why);
	} else if (t->oom > 0) {
		err_set(e, "%s: out of memory, it has %" PRIu64 " MiB", script, memory);
		status = TROUBLE;
	} else if (t->is_full) {
		if (disk > 0)
			err_set(e, "%s: its disk of %" PRIu64 " MiB is full", script,
				disk);
		else
			err_set(e, "%s: the disk is full", script);
		status = TROUBLE;
	} else if (t->why[0] != '\0') {
		err_set(e, "%s", t->why);
		status = TROUBLE;
	} else if (t->signal != 0) {
		err_set(e, "%s: killed by signal %d", script, t->signal);
	} else if (t->status != 0) {
		err_set(e, "%s: exit status %d", script, t->status);
	} else if (!t->is_ready || !t->has_end || !t->has_layer) {
		err_set(e, "%s: its end was not reported", script);
		status = TROUBLE;
	}
	return status;
}
