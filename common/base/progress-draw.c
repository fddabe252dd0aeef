#include "base/progress.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/progress-private.h"

#include <stdio.h>

enum {
	BAR_MIN = 10, /* cells */
	BAR_MAX = 40,
	SIZES = 18,           /* columns of "123.4 of 567.8 MB" and a blank */
	LONGEST = 100 * 3600, /* seconds; so many are not shown */
};

static const double window = 3; /* seconds that a rate is averaged over */

void progress_measure(struct progress_pace *p, uint64_t bytes, double at)
{
	double seconds = at - p->at;

	if (p->at == 0) {
		*p = (struct progress_pace){.bytes = bytes, .begun = at, .at = at};
		return;
	}
	if (seconds <= 0)
		return;
	if (bytes >= p->bytes) {
		double rate = (double)(bytes - p->bytes) / seconds;
		double weight = p->per_second == 0 ? 1 : seconds / (seconds + window);
		p->per_second += weight * (rate - p->per_second);
	}
	p->bytes = bytes;
	p->at = at;
}

/* The unit in which the number has at most three digits before the point. */
static const char *unit_of(double bytes, double *unit)
{
	static const char *const name[] = {"kB", "MB", "GB", "TB"};
	size_t i = 0;

	for (*unit = 1e3; bytes >= 999.95 * *unit && i < 3; i++)
		*unit *= 1e3;
	return name[i];
}

/* Writes "45.1 of 100.2 MB". */
static int put_sizes(char *text, size_t size, uint64_t done, uint64_t total,
		     bool is_estimate)
{
	double unit;
	const char *name = unit_of((double)(total > done ? total : done), &unit);

	return total == 0
		   ? snprintf(text, size, "%.1f %s", (double)done / unit, name)
		   : snprintf(text, size, "%.1f of %s%.1f %s", (double)done / unit,
			      is_estimate ? "about " : "", (double)total / unit, name);
}

static int put_rate(char *text, size_t size, const struct progress_pace *p)
{
	double unit;
	const char *name = unit_of(p->per_second, &unit);

	return snprintf(text, size, "%.1f %s/s", p->per_second / unit, name);
}

/* Writes a time, or nothing if it is too long. Returns its length. */
static int put_time(char *text, size_t size, double seconds)
{
	*text = '\0';
	if (seconds >= LONGEST)
		return 0;
	unsigned s = (unsigned)(seconds + 0.5);
	return s < 3600
		   ? snprintf(text, size, "%u:%02u", s / 60, s % 60)
		   : snprintf(text, size, "%u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
}

/* Writes the time that is left, or nothing if it is unknown. Returns its length. */
static int put_left(char *text, size_t size, const struct progress_pace *p, uint64_t done,
		    uint64_t total)
{
	bool is_known = p->per_second > 0 && total > done;

	return put_time(text, size,
			is_known ? (double)(total - done) / p->per_second : LONGEST);
}

/* Does the same for all items. If their bytes are unknown, all count the same. */
static int put_left_of_all(char *text, size_t size, const struct progress_pace *p,
			   const struct progress_sum *s)
{
	if (s->all > 0 || s->done == 0 || s->done >= s->total)
		return put_left(text, size, p, s->bytes, s->all);
	return put_time(text, size,
			(p->at - p->begun) * (double)(s->total - s->done) /
			    (double)s->done);
}

void progress_draw_sum(const struct progress_sum *s, const struct progress_pace *p,
		       size_t columns, struct buf *out)
{
	char text[64];
	size_t start = out->len;

	buf_addf(out, "%s: %zu ", err_tool(), s->done);
	if (s->total != 0)
		buf_addf(out, "of %zu ", s->total);
	buf_addstr(out, s->what);
	if (s->bytes > 0) {
		put_sizes(text, sizeof text, s->bytes, s->all, s->is_estimate);
		buf_addf(out, ", %s", text);
	}
	if (p->per_second > 0) {
		put_rate(text, sizeof text, p);
		buf_addf(out, ", %s", text);
	}
	if (put_left_of_all(text, sizeof text, p, s) > 0)
		buf_addf(out, ", %s left", text);
	if (out->len > start + columns)
		out->len = start + columns;
}

/* Draws as much space if the total is unknown. */
static void draw_bar(size_t cells, uint64_t done, uint64_t total, struct buf *out)
{
	if (total == 0) {
		buf_addf(out, "%*s", (int)cells + 3, "");
		return;
	}
	double part = done < total ? (double)done / (double)total : 1;
	size_t full = (size_t)(part * (double)cells);

	buf_addch(out, '[');
	for (size_t i = 0; i < cells; i++)
		buf_addch(out, i < full ? '=' : i == full ? '>' : ' ');
	buf_addstr(out, "] ");
}

void progress_draw_task(const struct progress_task *t, size_t columns, struct buf *out)
{
	enum { REST = PROGRESS_NAME + 1 + 13 + 1 + 3 + SIZES + 1 + 10 + 1 + 5 };
	const uint64_t done = t->step[t->shown].done, total = t->step[t->shown].total;
	size_t start = out->len;
	char text[64];

	buf_addf(out, "%-*s %-13s ", PROGRESS_NAME, t->name, t->names[t->shown]);
	if (columns >= REST + BAR_MIN)
		draw_bar(columns - REST < BAR_MAX ? columns - REST : BAR_MAX, done, total,
			 out);
	*text = '\0';
	if (done + total > 0)
		put_sizes(text, sizeof text, done, total, false);
	buf_addf(out, "%*s ", SIZES, text);
	*text = '\0';
	if (t->pace.per_second > 0)
		put_rate(text, sizeof text, &t->pace);
	buf_addf(out, "%10s ", text);
	put_left(text, sizeof text, &t->pace, done, total);
	buf_addf(out, "%5s", text);
	if (out->len > start + columns)
		out->len = start + columns;
}
