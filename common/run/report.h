/*
 * report: what is told of a script's run, a line a step.
 *
 *     HELLO version kernel    the guest is up
 *     READY                   the image is mounted, the script starts
 *     OOM n                   so many processes were killed for lack of memory
 *     FREE bytes inodes       what its disk had left at the end
 *     REFUSED status text     it could not be run: 126 or 127, and why
 *     EXIT n, SIGNAL n        how it ended
 *     LAYER bytes             what changed was written
 *     ERROR text              something else failed
 *
 * They come in this order, each at most once. Only a run that told all of them from READY
 * to LAYER, with EXIT 0, was a success. Used on both sides of the guest's border.
 */
#ifndef DT_REPORT_H
#define DT_REPORT_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct jail_end;

/* What has been told so far. A zeroed struct is nothing. */
struct report {
	bool has_hello, is_ready, has_end, has_layer;
	uint64_t oom, layer;
	bool is_full;
	int refused, status, signal; /* one of them counts, if has_end */
	char why[1024];              /* of REFUSED or ERROR, or empty */
	struct buf line;             /* not whole yet */
};

void report_release(struct report *t);

/* Takes `len` bytes of what was told. Returns 0, or -1 and why that is nonsense. */
int report_hear(struct report *t, const char *data, size_t len, struct err *e);

/* Tells a line; newlines in it become blanks. */
void report_say(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Tells how the script ended. Returns whether it was a success. */
bool report_say_end(int fd, const struct jail_end *end);

/*
 * The status that this makes for dt-vmrun, and, if it is not 0, why. `script` is how
 * messages call it; memory and disk are in MiB, 0: they were not limited.
 */
int report_verdict(const struct report *t, const char *script, uint64_t memory,
		   uint64_t disk, struct err *e);

#endif
