/*
 * report: the progress of a script's run, one line for each step.
 *
 *     WAIT                    the guest has booted and waits for GO, see vm.c
 *     HELLO version kernel    the guest is ready
 *     READY                   the image is mounted, the script starts
 *     OOM n                   number of processes killed for lack of memory
 *     FREE bytes inodes       free space on its disk after the script
 *     REFUSED status text     the script could not be run: 126 or 127, and the reason
 *     EXIT n, SIGNAL n        how the script ended
 *     LAYER bytes             the layer was written
 *     ERROR text              another error
 *
 * The lines come in this order, each at most once. A run is successful only if all lines
 * from READY to LAYER were received, with EXIT 0. dt-vmrun(1), THE GUEST, describes the
 * format.
 *
 * The lines go from process to process: from the first process of the script's namespace
 * to the process that started it, see jail.h, and from there to dt-vmrun. So the module
 *is used on both sides of the guest's boundary. The reader does not trust the lines:
 *
 *	if (report_parse(&t, data, len, &e) == 0)
 *		...
 *	status = report_verdict(&t, "script.sh", memory, disk, &e);
 */
#ifndef DT_REPORT_H
#define DT_REPORT_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct err;

/* The lines received so far. A zeroed struct is empty. */
struct report {
	bool is_waiting, has_hello, is_ready, has_end, has_layer;
	int step; /* the position of the last line in the list above */
	uint64_t oom, layer;
	bool is_full;
	int refused, status, signal; /* if has_end, the result is in one of these */
	char why[1024];              /* from REFUSED or ERROR, or empty */
	struct buf line;             /* an incomplete line */
};

void report_release(struct report *t);

/* Parses `len` received bytes. Returns 0, or -1 and a reason if they are invalid. */
int report_parse(struct report *t, const char *data, size_t len, struct err *e);

/* Writes a line. Newlines in it are replaced by blanks. */
void report_send(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Writes EXIT or SIGNAL for a status of wait(2). */
void report_send_status(int fd, int status);

/* Writes FREE for the file system of the directory `dir`. */
void report_send_free(int fd, const char *dir);

/*
 * Writes how the script ended, as received in `end`. Returns whether it was successful.
 */
bool report_send_end(int fd, const struct report *end);

/*
 * The exit status of dt-vmrun for this run, and a reason if it is not 0. `script` names
 * the script in messages. `memory` and `disk` are in MiB; 0 means no limit.
 */
int report_verdict(const struct report *t, const char *script, uint64_t memory,
		   uint64_t disk, struct err *e);

#endif
