/*
 * layerinput: read layer archives into an image archive.
 *
 * dt-manifest reads layers and adds documents behind them. Each input may be several
 * archives in sequence. Layers may be stubs; then the image archive is thin. An
 * image archive in front of other layers is their base image, see dt-image(5).
 */
#ifndef DT_LAYERINPUT_H
#define DT_LAYERINPUT_H

#include "base/json.h"

#include <stddef.h>

struct err;
struct writer;

/* The result of reading a layer archive. */
struct layerinput {
	json_t *base;     /* the base image's configuration, or NULL */
	json_t *diff_ids; /* of the layers above the base's, in order: "sha256:HEX" */
	json_t *history;  /* one entry for each element of diff_ids */
	const char *what; /* the name of the current input, for messages */
};

/*
 * Reads the layer archives in the `n` files, in order, and writes the layers that `w`
 * does not have yet. The file "-" is standard input. `created` (RFC 3339) is the time for
 * their history entries. Returns 0, or -1 and a reason. After -1 the caller must not
 * write an end-of-archive mark. The caller must release `in` in both cases.
 */
int layerinput_read(struct layerinput *in, struct writer *w, const char *created,
		    const char *const file[], size_t n, struct err *e);

void layerinput_release(struct layerinput *in);

#endif
