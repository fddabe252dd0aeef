/*
 * push-private: the steps of a push, for the parts of push.
 */
#ifndef DT_PUSH_PRIVATE_H
#define DT_PUSH_PRIVATE_H

#include "registry/push.h"

#include <stdbool.h>
#include <stddef.h>

struct err;
struct parts_blob;

/* Calls inform() with the names of the blob, whose digest is `hex` or "", and the text.
 */
void push_report(const struct parts_blob *b, const char *hex, const char *text);

/*
 * Finds out whether the registry has blob `i`, whose digest the archive states. Returns
 * 0, or -1 and a reason.
 */
int push_settle_blob(struct push *p, size_t i, struct err *e);

/*
 * Sends the layers that the registry lacks, or the configurations. Reports errors by
 * p->o->fail().
 */
void push_blobs(struct push *p, bool configs);

#endif
