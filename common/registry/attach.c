#include "registry/attach.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "image/manifest.h"
#include "image/packed.h"
#include "registry/http.h"
#include "registry/referrers.h"
#include "registry/registry.h"
#include "registry/upload.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { TRIES = 5 /* to change the list of referrers, if others change it, too */ };

/* The empty document that stands for a configuration (manifest.md). */
static const char empty[] = "{}", empty_type[] = "application/vnd.oci.empty.v1+json";

/* Returns the descriptor of the image's manifest or index, a new reference, or NULL. */
static json_t *find_subject(const struct upload *u, const char *subject, struct err *e)
{
	struct buf text = {0};
	char type[128], hex[DIGEST_HEX + 1];
	struct manifest m = {0};
	json_t *d = NULL;

	int result = registry_manifest(u->registry, subject, &text, type, e);
	if (result == 0)
		result = err_set(e, "%s: manifests/%s: status 404, not found",
				 registry_host(u->registry), subject);
	if (result > 0)
		result = manifest_parse(&m, text.data, text.len, type, e);
	if (result == 0) {
		digest_of(text.data, text.len, hex);
		d = manifest_descriptor(type, hex, text.len);
		if (strchr(subject, ':') != NULL &&
		    strcmp(digest_strip(subject), hex) != 0) {
			err_set(e, "manifests/%s has the digest sha256:%s", subject, hex);
			json_decref(d);
			d = NULL;
		}
	}
	manifest_release(&m);
	buf_release(&text);
	return d;
}

/* Stores a blob if the repository lacks it, and counts its bytes. */
static int store(const struct upload *u, struct packed *p, struct attach_result *r,
		 struct err *e)
{
	bool has;

	if (upload_has(u->registry, p->hex, p->size, &has, e) < 0 ||
	    (!has && upload_blob(u, p, NULL, e) < 0))
		return -1;
	*(has ? &r->reused : &r->sent) += p->size;
	return 0;
}

static int store_empty(const struct upload *u, struct attach_result *r, struct err *e)
{
	struct packed p = {0};
	int result = packed_begin(&p, e);

	if (result == 0)
		result = packed_text(&p, empty, strlen(empty), e);
	if (result == 0)
		result = store(u, &p, r, e);
	packed_release(&p);
	return result;
}

/* The manifest of the document. */
static void write_manifest(const struct packed *p, const char *name, const char *type,
			   json_t *subject, struct buf *out)
{
	json_t *doc = json_object(), *layers = json_array(), *notes = json_object();
	json_t *layer = manifest_descriptor(type, p->hex, p->size);
	char hex[DIGEST_HEX + 1];

	digest_of(empty, strlen(empty), hex);
	json_object_set_new(notes, "org.opencontainers.image.title", json_string(name));
	json_object_set_new(layer, "annotations", notes);
	json_array_append_new(layers, layer);
	json_object_set_new(doc, "schemaVersion", json_integer(2));
	json_object_set_new(doc, "mediaType",
			    json_string(manifest_media(NULL)->manifest));
	json_object_set_new(doc, "artifactType", json_string(type));
	json_object_set_new(doc, "config",
			    manifest_descriptor(empty_type, hex, strlen(empty)));
	json_object_set_new(doc, "layers", layers);
	json_object_set(doc, "subject", subject);
	json_write(doc, out);
	json_decref(doc);
}

/* --- the list of referrers --- */

/* Returns the list under the tag, a new reference; an empty one if there is none. */
static json_t *get_list(const struct upload *u, const char *tag, struct err *e)
{
	struct buf text = {0};
	char type[128];
	json_t *list = NULL;

	int result = registry_manifest(u->registry, tag, &text, type, e);
	if (result == 0) {
		list = referrers_new();
	} else if (result > 0) {
		list = referrers_read(&text, e);
		if (list == NULL)
			err_prefix(e, "manifests/%s", tag);
	}
	buf_release(&text);
	return list;
}

static int put_list(const struct upload *u, const char *tag, const json_t *list,
		    struct err *e)
{
	struct buf text = {0};
	long status;
	bool unused;

	json_write(list, &text);
	int result =
	    upload_manifest(u, tag, &text, manifest_index_type, &status, &unused, e);
	buf_release(&text);
	return result;
}

/*
 * Adds a descriptor to the list. A registry has no lock, so another client may replace
 * the list at the same time; the list is read again to see whether the entry is in it.
 */
static int add_to_list(const struct upload *u, const char *subject, json_t *entry,
		       struct err *e)
{
	char tag[REFERRERS_TAG];
	int result = 0;

	referrers_tag(digest_strip(subject), tag);
	for (int try = 0; try < TRIES && result == 0; try++) {
		json_t *list = get_list(u, tag, e);
		if (list == NULL)
			return -1;
		bool is_added = referrers_add(list, entry);
		if (is_added)
			result = put_list(u, tag, list, e);
		json_decref(list);
		if (!is_added)
			return 0;
	}
	return result < 0 ? -1 : err_set(e, "manifests/%s changes all the time", tag);
}

int attach_document(const struct upload *u, const char *subject, int fd, const char *name,
		    const char *type, struct attach_result *r, struct err *e)
{
	json_t *target = find_subject(u, subject, e), *entry;
	struct packed p = {0};
	struct buf text = {0};
	char what[DIGEST_REFERENCE];
	bool has_subject = false;
	long status;

	*r = (struct attach_result){0};
	if (target == NULL)
		return -1;
	int result = packed_file(&p, fd, e);
	if (result == 0)
		result = store(u, &p, r, e);
	if (result == 0)
		result = store_empty(u, r, e);
	if (result == 0) {
		write_manifest(&p, name, type, target, &text);
		digest_of(text.data, text.len, r->hex);
		digest_reference(r->hex, what);
		result = upload_manifest(u, what, &text, manifest_media(NULL)->manifest,
					 &status, &has_subject, e);
	}
	if (result == 0 && !has_subject) {
		entry =
		    manifest_descriptor(manifest_media(NULL)->manifest, r->hex, text.len);
		json_object_set_new(entry, "artifactType", json_string(type));
		result = add_to_list(u, json_string_at(target, "digest"), entry, e);
		json_decref(entry);
	}
	packed_release(&p);
	buf_release(&text);
	json_decref(target);
	return result;
}
