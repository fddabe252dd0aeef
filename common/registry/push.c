#include "registry/push.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "registry/push-private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int push_open(struct push *p, const struct push_options *o,
	      const struct image_choice *choice, struct err *e)
{
	*p = (struct push){.o = o};
	pthread_mutex_init(&p->lock, NULL);
	p->upload = (struct upload){.registry = o->registry};
	p->known.fetch = (struct fetch){
	    .cache = o->cache, .registry = o->registry, .patience = o->patience};
	p->known.other = p->known.fetch;
	p->known.other.registry = o->other;
	if (parts_open(&p->parts, choice, e) < 0)
		return -1;
	p->blob = mem_zero(p->parts.names.n, sizeof *p->blob);
	return 0;
}

void push_release(struct push *p)
{
	for (size_t i = 0; p->blob != NULL && i < p->parts.names.n; i++)
		buf_release(&p->blob[i].location);
	free(p->blob);
	known_release(&p->known);
	parts_release(&p->parts);
	pthread_mutex_destroy(&p->lock);
}

void push_report(const struct parts_blob *b, const char *hex, const char *text)
{
	const char *kind = b->kind == PARTS_CONFIG ? "configuration" : "blob";

	if (b->kind == PARTS_LAYER && *hex == '\0')
		inform("layer sha256:%s: %s", b->diff_id, text);
	else if (b->kind == PARTS_LAYER)
		inform("layer sha256:%s: blob sha256:%s: %s", b->diff_id, hex, text);
	else
		inform("%s sha256:%s: %s", kind, hex, text);
}

/* --- configurations --- */

/* Asks for the configurations that are not known. */
static int settle_configs(struct push *p, struct err *e)
{
	for (size_t i = 0; i < p->parts.names.n; i++)
		if (p->parts.blob[i].kind == PARTS_CONFIG && !p->is_forced &&
		    !p->blob[i].is_there && push_settle_blob(p, i, e) < 0)
			return -1;
	return 0;
}

/* --- documents --- */

/* Stores a manifest by its digest, unless the tag refers to it already. */
static int put_by_digest(struct push *p, const char *hex, const struct buf *text,
			 const char *type, long *status, struct err *e)
{
	char what[DIGEST_REFERENCE];
	bool unused;

	*status = 0;
	if (strset_find(&p->known.manifests, hex, DIGEST_HEX) != STRSET_NONE) {
		inform("manifest sha256:%s: the image of the tag has it", hex);
		return 0;
	}
	digest_reference(hex, what);
	int result = upload_manifest(&p->upload, what, text, type, status, &unused, e);
	if (result == 0)
		inform("manifest sha256:%s: sent", hex);
	return result;
}

static int put_manifests(struct push *p, long *status, struct err *e)
{
	for (size_t i = 0; i < p->parts.n; i++) {
		const struct part *part = &p->parts.part[i];
		if (put_by_digest(p, part->hex, &part->text, part->type, status, e) < 0)
			return -1;
	}
	if (!p->parts.is_index)
		return 0;
	return put_by_digest(p, p->parts.index_hex, &p->parts.index, p->parts.index_type,
			     status, e);
}

static int put_tag(struct push *p, struct err *e)
{
	const struct part *part = &p->parts.part[0];
	bool is_index = p->parts.is_index, unused;
	long status;

	const char *hex = is_index ? p->parts.index_hex : part->hex;
	if (strcmp(p->known.tag, hex) == 0) {
		inform("tag %s: refers to the manifest already", p->o->tag);
		return 0;
	}
	int result = upload_manifest(
	    &p->upload, p->o->tag, is_index ? &p->parts.index : &part->text,
	    is_index ? p->parts.index_type : part->type, &status, &unused, e);
	if (result == 0)
		inform("tag %s: refers to manifest sha256:%s now", p->o->tag, hex);
	return result;
}

/* --- all of it --- */

/*
 * The registry rejected a manifest. It may lack blobs that it was believed to have, so
 * marks these as missing. If it claims to have all of them, marks all. Returns whether
 * there are any.
 */
static bool doubt(struct push *p)
{
	bool has, is_any = false;
	size_t n = p->parts.names.n;
	struct err unused;

	inform("the registry rejected the manifest; it is asked for each blob");
	p->is_forced = true;
	for (size_t i = 0; i < n; i++) {
		const struct parts_blob *b = &p->parts.blob[i];
		if (p->blob[i].is_sent)
			continue;
		if (upload_has(p->o->registry, b->hex, b->size, &has, &unused) == 0 &&
		    has)
			continue;
		p->blob[i].is_there = false;
		is_any = true;
	}
	for (size_t i = 0; i < n && !is_any; i++)
		p->blob[i].is_there = p->blob[i].is_sent;
	for (size_t i = 0; i < n; i++)
		is_any = is_any || !p->blob[i].is_there;
	return is_any;
}

/* Fails if the archive does not have a blob that must be sent. */
static int check_places(const struct push *p, struct err *e)
{
	const char *file = p->parts.archive.file;

	for (size_t i = 0; i < p->parts.names.n; i++) {
		const struct parts_blob *b = &p->parts.blob[i];
		if (p->blob[i].is_there || b->kind == PARTS_CONFIG || b->place != NULL)
			continue;
		return err_set(e,
			       "%s: layer %zu, sha256:%s, is not in the archive and the "
			       "registry does not have it",
			       file, b->layer + 1,
			       b->diff_id != NULL ? b->diff_id : b->hex);
	}
	return 0;
}

/* Stores the blobs, and the manifests by digest. */
static int send_once(struct push *p, long *status, struct err *e)
{
	*status = 0;
	if (check_places(p, e) < 0)
		return -1;
	push_blobs(p, false);
	if (settle_configs(p, e) < 0)
		return -1;
	push_blobs(p, true);
	parts_write(&p->parts, p->o->format);
	return put_manifests(p, status, e);
}

static void count(struct push *p)
{
	for (size_t i = 0; i < p->parts.names.n; i++)
		*(p->blob[i].is_sent ? &p->sent : &p->reused) += p->parts.blob[i].size;
}

/* Remembers in the cache which manifest has the layers of each part. */
static void remember(const struct push *p)
{
	for (size_t i = 0; i < p->parts.n; i++) {
		const struct part *part = &p->parts.part[i];
		char(*list)[DIGEST_HEX + 1] = mem_zero(part->n, sizeof *list);
		size_t n = 0;
		for (size_t k = 0; k < part->n; k++) {
			const struct parts_blob *b = &p->parts.blob[part->layer[k]];
			if (b->kind == PARTS_LAYER)
				memcpy(list[n++], b->diff_id, DIGEST_HEX + 1);
		}
		const struct known_wanted w = {(const char(*)[DIGEST_HEX + 1]) list, n,
					       p->o->format};
		if (strset_find(&p->known.manifests, part->hex, DIGEST_HEX) ==
		    STRSET_NONE)
			known_remember(&p->known, &w, part->hex);
		free(list);
	}
}

int push_send(struct push *p, struct err *e)
{
	long status;
	int result = send_once(p, &status, e);

	if (result < 0 && (status == 400 || status == 404) && doubt(p))
		result = send_once(p, &status, e);
	if (result < 0 || put_tag(p, e) < 0)
		return -1;
	count(p);
	remember(p);
	return 0;
}
