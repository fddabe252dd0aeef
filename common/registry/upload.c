#include "registry/upload.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/progress.h"
#include "image/packed.h"
#include "registry/http.h"
#include "registry/registry.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK_MAX = 1 << 30 }; /* bytes; a registry that wants larger ones gets these */

static const char binary[] = "application/octet-stream";

/* --- blobs that the registry has --- */

int upload_has(struct registry *r, const char *hex, uint64_t size, bool *has,
	       struct err *e)
{
	char where[sizeof "blobs/sha256:" + DIGEST_HEX];
	struct http_request q = {.method = "HEAD"};
	struct http_response a = {0};

	snprintf(where, sizeof where, "blobs/sha256:%s", hex);
	*has = false;
	int result = registry_send(r, where, false, &q, &a, e);
	if (result == 0 && a.status == 200)
		*has = !a.has_length || size == UINT64_MAX || a.length == size;
	else if (result == 0 && a.status != 404)
		result = registry_refused(r, where, &a, e);
	http_response_release(&a);
	return result;
}

int upload_mount(struct registry *r, const char *hex, const char *from, bool *done,
		 struct buf *location, struct err *e)
{
	struct http_request q = {.method = "POST"};
	struct http_response a = {0};
	struct buf where = {0};

	buf_addf(&where, "blobs/uploads/?mount=sha256%%3A%s&from=", hex);
	http_escape(&where, from);
	int result = registry_send(r, where.data, false, &q, &a, e);
	*done = result == 0 && a.status == 201;
	buf_clear(location);
	/* Any other status: the registry cannot do it or does not allow it. */
	if (result == 0 && a.status == 202 && a.location.len > 0)
		buf_addstr(location, a.location.data);
	http_response_release(&a);
	buf_release(&where);
	return result;
}

/* --- an upload --- */

/* An upload that the registry has begun. */
struct session {
	const struct upload *u;
	struct packed *p;
	struct buf location; /* empty: it has not begun */
	uint64_t sent;       /* bytes that the registry has */
	uint64_t chunk;      /* bytes of a chunk */
	unsigned failures;   /* in a row */
};

enum { DONE = 0, FAILED = -1, AGAIN = 1 };

/* Makes the next step begin a new upload. */
static void forget(struct session *s)
{
	buf_clear(&s->location);
	s->sent = 0;
}

static void take_location(struct session *s, const struct http_response *a)
{
	if (a->location.len == 0)
		return;
	buf_clear(&s->location);
	buf_addstr(&s->location, a->location.data);
}

static int begin(struct session *s, struct err *e)
{
	static const char where[] = "blobs/uploads/";
	struct http_request q = {.method = "POST"};
	struct http_response a = {0};
	struct registry *r = s->u->registry;

	forget(s);
	int result = registry_send(r, where, false, &q, &a, e);
	if (result == 0 && a.status != 202)
		result = registry_refused(r, where, &a, e);
	if (result == 0 && a.location.len == 0)
		result = err_set(e, "%s: an upload without a Location", registry_host(r));
	take_location(s, &a);
	if (a.chunk_min > s->chunk)
		s->chunk = a.chunk_min < CHUNK_MAX ? a.chunk_min : CHUNK_MAX;
	http_response_release(&a);
	return result;
}

/*
 * Counts a failure. Returns AGAIN after a pause, or FAILED if there were too many in a
 * row.
 */
static int after_failure(struct session *s, const struct http_response *a)
{
	if (s->failures == registry_retries(s->u->registry))
		return FAILED;
	registry_pause(s->failures++, a->wait);
	return AGAIN;
}

/*
 * Asks the registry how much of the blob it has. If it does not say, the next step begins
 * a new upload.
 */
static void recover(struct session *s, uint64_t limit)
{
	struct http_request q = {0};
	struct http_response a = {0};
	struct err unused;

	int result =
	    registry_send(s->u->registry, s->location.data, true, &q, &a, &unused);
	if (result == 0 && (a.status == 204 || a.status == 202) && a.has_range &&
	    a.kept <= limit) {
		s->sent = a.kept;
		take_location(s, &a);
	} else {
		forget(s);
	}
	http_response_release(&a);
}

static void went(void *arg, size_t bytes)
{
	progress_add(arg, PACKED_USE, bytes);
}

/* Sends a request of the upload, which is not repeated here. */
static int send_part(struct session *s, const char *where, const char *method,
		     uint64_t size, struct http_response *a, struct err *e)
{
	char range[64];
	const struct http_body body = {
	    .fd = s->p->fd,
	    .at = s->p->at + (off_t)s->sent,
	    .size = size,
	    .type = binary,
	    .went = went,
	    .arg = s->p->task,
	};
	struct http_request q = {.method = method, .body = size > 0 ? &body : NULL};

	snprintf(range, sizeof range, "%" PRIu64 "-%" PRIu64, s->sent,
		 s->sent + size - 1);
	progress_set(s->p->task, PACKED_USE, s->sent);
	if (strcmp(method, "PATCH") == 0)
		q.content_range = range;
	return registry_send(s->u->registry, where, true, &q, a, e);
}

/* Whether the registry lost the upload, or has other bytes than were sent. */
static bool is_lost(const struct http_response *a)
{
	return a->status == 400 || a->status == 404 || a->status == 416;
}

static int send_chunk(struct session *s, uint64_t size, struct err *e)
{
	struct http_response a = {0};
	uint64_t end = s->sent + size;

	int result = send_part(s, s->location.data, "PATCH", size, &a, e);
	bool is_taken =
	    result == 0 && (a.status == 202 || a.status == 201 || a.status == 204);
	if (is_taken && a.has_range && a.kept != end) {
		forget(s);
		err_set(e, "%s: the upload has other bytes than were sent",
			registry_host(s->u->registry));
		result = after_failure(s, &a);
	} else if (is_taken) {
		s->sent = end;
		s->failures = 0;
		take_location(s, &a);
		result = AGAIN;
	} else if (result < 0 ? registry_may_pass(&a) : is_lost(&a)) {
		if (result == 0)
			registry_refused(s->u->registry, "upload", &a, e);
		result = after_failure(s, &a);
		if (result == AGAIN)
			recover(s, end);
	} else if (result == 0) {
		result = registry_refused(s->u->registry, "upload", &a, e);
	}
	http_response_release(&a);
	return result;
}

/* Sends the rest of the blob and its digest. */
static int finish(struct session *s, uint64_t rest, struct err *e)
{
	struct registry *r = s->u->registry;
	struct http_response a = {0};
	struct buf url = {0};
	struct err why;
	bool has = false;
	char query[sizeof "digest=sha256%3A" + DIGEST_HEX];

	buf_addstr(&url, s->location.data);
	snprintf(query, sizeof query, "digest=sha256%%3A%s", s->p->hex);
	http_add_query(&url, query);
	int result = send_part(s, url.data, "PUT", rest, &a, e);
	bool may_pass = result < 0 ? registry_may_pass(&a) : is_lost(&a);
	if (result == 0 && (a.status == 201 || a.status == 204)) {
		result = DONE;
	} else if (may_pass) {
		if (result == 0)
			registry_refused(r, "upload", &a, e);
		result = after_failure(s, &a);
		/* The response may be lost, and the blob stored. */
		if (result == AGAIN &&
		    upload_has(r, s->p->hex, s->p->size, &has, &why) == 0 && has)
			result = DONE;
		forget(s);
	} else if (result == 0) {
		result = registry_refused(r, "upload", &a, e);
	}
	http_response_release(&a);
	buf_release(&url);
	return result;
}

/* Sends the next chunk, or the rest. */
static int step(struct session *s, struct err *e)
{
	uint64_t size;
	int is_complete = packed_wait(s->p, s->sent + s->chunk, &size, e);

	if (is_complete < 0)
		return FAILED;
	if (s->location.len == 0 && begin(s, e) < 0)
		return FAILED;
	uint64_t left = size - s->sent;
	if (!is_complete && left < s->chunk)
		return AGAIN; /* the registry wants larger chunks */
	if (is_complete && (left == 0 || (s->sent == 0 && left <= s->chunk)))
		return finish(s, left, e);
	return send_chunk(s, left < s->chunk ? left : s->chunk, e);
}

int upload_blob(const struct upload *u, struct packed *p, const char *location,
		struct err *e)
{
	struct session s = {.u = u, .p = p, .chunk = UPLOAD_CHUNK};
	int result;

	if (location != NULL)
		buf_addstr(&s.location, location);
	while ((result = step(&s, e)) == AGAIN)
		continue;
	buf_release(&s.location);
	return result;
}

/* --- manifests --- */

int upload_manifest(const struct upload *u, const char *what, const struct buf *text,
		    const char *type, long *status, bool *has_subject, struct err *e)
{
	const struct http_body body = {
	    .data = text->data, .size = text->len, .type = type};
	struct http_request q = {.method = "PUT", .body = &body};
	struct http_response a = {0};
	struct buf where = {0};

	buf_addf(&where, "manifests/%s", what);
	int result = registry_send(u->registry, where.data, false, &q, &a, e);
	*status = a.status;
	*has_subject = a.has_subject;
	if (result == 0 && (a.status < 200 || a.status > 299))
		result = registry_refused(u->registry, where.data, &a, e);
	http_response_release(&a);
	buf_release(&where);
	return result;
}
