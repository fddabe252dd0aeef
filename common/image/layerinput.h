/*
 * layerinput: the layer archive on standard input, on its way into an image.
 *
 * An image archive in front of other layers is their base image, see dt-image(5).
 */
#ifndef DT_LAYERINPUT_H
#define DT_LAYERINPUT_H

#include "base/json.h"

struct err;
struct writer;

/* What came in. */
struct layerinput {
	json_t *base;     /* the base image's configuration, or NULL */
	json_t *diff_ids; /* of the layers on top of it, in order, as "sha256:HEX" */
	json_t *history;  /* an entry for each of them */
};

/*
 * Reads the layer archive, made at `created` (RFC 3339), and writes those of its layers
 * that `w` does not have yet. Returns 0, or -1 and why not, when the archive must not be
 * ended; in either case the caller releases it.
 */
int layerinput_read(struct layerinput *in, struct writer *w, const char *created,
		    struct err *e);

void layerinput_release(struct layerinput *in);

#endif
