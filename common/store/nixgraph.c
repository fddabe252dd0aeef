#include "store/nixgraph.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/num.h"
#include "store/graph.h"
#include "store/nar.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The state of nixgraph_parse(). */
struct reader {
	struct graph *g;
	struct store store; /* the store of all paths */
	const char *what;
};

/* Returns how much of an untrusted text of this length is shown in a message. */
static int shown(size_t len)
{
	return len < 300 ? (int)len : 300;
}

/* Returns whether the text is a store path in the same store as all other paths. */
static bool is_path(struct reader *r, const char *path, size_t len)
{
	bool is = len != 0 && store_adopt(&r->store, path, len) == len;

	/* The directory of the store could contain blanks or control characters. */
	for (size_t i = 0; is && i < len; i++)
		is = (unsigned char)path[i] > ' ';
	return is;
}

/* Finds the node of a store path. Returns 0, or -1 with the reason. */
static int node_of(struct reader *r, const char *path, size_t len, uint32_t *node,
		   struct err *e)
{
	if (!is_path(r, path, len))
		return err_set(e, "'%.*s' is not a store path%s%s", shown(len), path,
			       r->store.dir != NULL ? " in " : "",
			       r->store.dir != NULL ? r->store.dir : "");
	*node = graph_node(r->g, path, len);
	return 0;
}

static int define(struct reader *r, uint32_t node, uint64_t size, uint32_t *refs,
		  size_t n_refs, struct err *e)
{
	if (graph_define(r->g, node, size, refs, n_refs) < 0)
		return err_set(e, "%s has two different entries", r->g->paths.name[node]);
	return 0;
}

/* Sets the deriver of the node, unless it has one. Any of several derivers is correct. */
static void set_deriver(struct reader *r, uint32_t node, const char *deriver, size_t len)
{
	struct graph_node *n = &r->g->node[node];

	if (n->deriver == NULL && len != 0)
		n->deriver = mem_strndup(deriver, len);
}

/* Checks that the text is a store path. A deriver need not be a node of the graph. */
static int check_deriver(struct reader *r, const char *text, size_t len, struct err *e)
{
	if (len != 0 && !is_path(r, text, len))
		return err_set(e, "'%.*s' is not a deriver", shown(len), text);
	return 0;
}

/* --- registrations --- */

struct lines {
	const char *p, *end;
	size_t number;
	const char *line; /* the last line, without its newline */
	size_t len;
};

static int next_line(struct lines *l, struct err *e)
{
	const char *stop = memchr(l->p, '\n', (size_t)(l->end - l->p));

	l->number++;
	if (stop == NULL)
		return err_set(e, "truncated");
	l->line = l->p;
	l->len = (size_t)(stop - l->p);
	l->p = stop + 1;
	return 0;
}

static int next_number(struct lines *l, const char *of_what, uint64_t *n, struct err *e)
{
	if (next_line(l, e) < 0)
		return -1;
	if (num_parse(l->line, l->len, INT64_MAX, n) < 0)
		return err_set(e, "'%.*s' is not the %s", shown(l->len), l->line,
			       of_what);
	return 0;
}

static int next_node(struct reader *r, struct lines *l, uint32_t *node, struct err *e)
{
	return next_line(l, e) < 0 ? -1 : node_of(r, l->line, l->len, node, e);
}

static int parse_refs(struct reader *r, struct lines *l, uint64_t n, uint32_t **refs,
		      struct err *e)
{
	size_t cap = 0;

	for (uint64_t i = 0; i < n; i++) {
		*refs = mem_grow(*refs, &cap, (size_t)i + 1, sizeof **refs);
		if (next_node(r, l, &(*refs)[i], e) < 0)
			return -1;
	}
	return 0;
}

static int parse_registration(struct reader *r, struct lines *l, struct err *e)
{
	uint32_t node = 0, *refs = NULL;
	uint64_t size = 0, n = 0;

	if (next_node(r, l, &node, e) < 0 || next_line(l, e) < 0)
		return -1;
	/*
	 * The line is the deriver, which is a path or empty; or it is a hash, and more
	 * lines follow.
	 */
	bool is_hash = l->len != 0 && *l->line != '/';
	if (is_hash && (next_number(l, "NAR size", &size, e) < 0 || next_line(l, e) < 0))
		return -1;
	if (check_deriver(r, l->line, l->len, e) < 0)
		return -1;
	set_deriver(r, node, l->line, l->len);
	if (next_number(l, "number of references", &n, e) < 0)
		return -1;
	if (parse_refs(r, l, n, &refs, e) < 0) {
		free(refs);
		return -1;
	}
	return define(r, node, size != 0 ? size : NAR_UNKNOWN, refs, (size_t)n, e);
}

static int parse_registrations(struct reader *r, const char *text, size_t len,
			       struct err *e)
{
	struct lines l = {.p = text, .end = text + len};

	while (l.p < l.end)
		if (parse_registration(r, &l, e) < 0)
			return err_prefix(e, "%s:%zu", r->what, l.number);
	return 0;
}

/* --- JSON --- */

/* Sets `path` to the path in a JSON string, which may lack its directory. */
static void json_path(const struct reader *r, const char *dir, const char *text,
		      size_t len, struct buf *path)
{
	if (dir == NULL)
		dir = r->store.dir;
	if (dir != NULL && (len == 0 || *text != '/'))
		buf_addf(path, "%s/", dir);
	buf_add(path, text, len);
}

static int json_node(struct reader *r, const char *dir, const char *text, size_t len,
		     uint32_t *node, struct err *e)
{
	struct buf path = {0};

	json_path(r, dir, text, len, &path);
	int result = node_of(r, path.data, path.len, node, e);
	buf_release(&path);
	return result;
}

static int json_size(const json_t *value, uint64_t *size, struct err *e)
{
	*size = NAR_UNKNOWN;
	if (value == NULL || json_is_null(value))
		return 0;
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return err_set(e, "its narSize is not a size");
	if (json_integer_value(value) > 0)
		*size = (uint64_t)json_integer_value(value);
	return 0;
}

static int json_refs(struct reader *r, const char *dir, const json_t *list,
		     uint32_t *refs, struct err *e)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *ref = json_array_get(list, i);
		if (!json_is_string(ref))
			return err_set(e, "a reference that is not a string");
		if (json_node(r, dir, json_string_value(ref), json_string_length(ref),
			      &refs[i], e) < 0)
			return -1;
	}
	return 0;
}

/* Parses the deriver of a path, which may be null. */
static int json_deriver(struct reader *r, const char *dir, uint32_t node,
			const json_t *value, struct err *e)
{
	struct buf path = {0};

	if (value == NULL || json_is_null(value))
		return 0;
	if (!json_is_string(value))
		return err_set(e, "its deriver is not a string");
	json_path(r, dir, json_string_value(value), json_string_length(value), &path);
	int result = check_deriver(r, path.data, path.len, e);
	if (result == 0)
		set_deriver(r, node, path.data, path.len);
	buf_release(&path);
	return result;
}

/* Parses the object of the path `node`: "narSize", "references" and "deriver". */
static int parse_info(struct reader *r, const char *dir, uint32_t node,
		      const json_t *info, struct err *e)
{
	const json_t *list = json_object_get(info, "references");
	const char *path = r->g->paths.name[node];
	uint64_t size = NAR_UNKNOWN;

	if (!json_is_array(list))
		return err_set(e, "%s: no array \"references\"", path);
	if (json_size(json_object_get(info, "narSize"), &size, e) < 0 ||
	    json_deriver(r, dir, node, json_object_get(info, "deriver"), e) < 0)
		return err_prefix(e, "%s", path);
	uint32_t *refs = mem_zero(json_array_size(list), sizeof *refs);
	if (json_refs(r, dir, list, refs, e) < 0) {
		free(refs);
		return err_prefix(e, "%s", path);
	}
	return define(r, node, size, refs, json_array_size(list), e);
}

static bool is_info(const json_t *value)
{
	return json_is_string(json_object_get(value, "path"));
}

/*
 * Parses an array of objects, each with its "path". An object with "valid": false is
 * skipped.
 */
static int parse_infos(struct reader *r, const json_t *list, struct err *e)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *info = json_array_get(list, i);
		const json_t *path = json_object_get(info, "path");
		uint32_t node = 0;
		if (!is_info(info))
			return err_set(e, "element %zu of a graph has no \"path\"", i);
		if (json_is_false(json_object_get(info, "valid")))
			continue;
		if (json_node(r, NULL, json_string_value(path), json_string_length(path),
			      &node, e) < 0 ||
		    parse_info(r, NULL, node, info, e) < 0)
			return -1;
	}
	return 0;
}

/* Parses an object with store paths as keys. The value of an invalid path is null. */
static int parse_keyed(struct reader *r, const char *dir, json_t *object, struct err *e)
{
	for (void *i = json_object_iter(object); i != NULL;
	     i = json_object_iter_next(object, i)) {
		const char *key = json_object_iter_key(i);
		const json_t *info = json_object_iter_value(i);
		uint32_t node = 0;
		if (json_is_null(info))
			continue;
		if (!json_is_object(info))
			return err_set(e, "the value of '%.*s' is not an object",
				       shown(strlen(key)), key);
		if (json_node(r, dir, key, strlen(key), &node, e) < 0 ||
		    parse_info(r, dir, node, info, e) < 0)
			return -1;
	}
	return 0;
}

/* Parses the graphs in an .attrs.json: all attributes in the form of a graph. */
static int parse_attributes(struct reader *r, json_t *attributes, struct err *e)
{
	for (void *i = json_object_iter(attributes); i != NULL;
	     i = json_object_iter_next(attributes, i)) {
		const json_t *value = json_object_iter_value(i);
		if (is_info(json_array_get(value, 0)) && parse_infos(r, value, e) < 0)
			return -1;
	}
	return 0;
}

static int parse_document(struct reader *r, json_t *doc, struct err *e)
{
	json_t *info = json_object_get(doc, "info");
	const char *dir = json_string_at(doc, "storeDir");

	if (json_is_array(doc))
		return parse_infos(r, doc, e);
	if (json_is_object(info) && dir != NULL)
		return parse_keyed(r, dir, info, e);
	const char *first = json_object_iter_key(json_object_iter(doc));
	if (first != NULL && *first == '/')
		return parse_keyed(r, NULL, doc, e);
	return parse_attributes(r, doc, e);
}

static int parse_json(struct reader *r, const char *text, size_t len, struct err *e)
{
	json_t *doc = json_parse(text, len, r->what, e);

	if (doc == NULL)
		return -1;
	int result = parse_document(r, doc, e);
	json_decref(doc);
	return result < 0 ? err_prefix(e, "%s", r->what) : 0;
}

/* --- all formats --- */

static int check_paths(struct reader *r, struct err *e)
{
	uint32_t node;

	for (size_t i = 0; i < r->g->paths.n; i++) {
		const char *path = r->g->paths.name[i];
		if (node_of(r, path, strlen(path), &node, e) < 0)
			return err_prefix(e, "%s", r->what);
	}
	return 0;
}

int nixgraph_parse(struct graph *g, const char *text, size_t len, const char *what,
		   struct err *e)
{
	struct reader r = {.g = g, .what = what};
	const char *end = text + len, *first = text;
	int result;

	while (first < end && strchr(" \t\r\n", *first) != NULL)
		first++;
	const char *newline = memchr(text, '\n', len);
	if (first < end && (*first == '{' || *first == '['))
		result = parse_json(&r, text, len, e);
	else if (newline != NULL && memchr(text, ' ', (size_t)(newline - text)) == NULL)
		result = parse_registrations(&r, text, len, e);
	else
		result = graph_parse(g, text, len, what, e) < 0 ? -1 : check_paths(&r, e);
	if (result == 0 && g->paths.n == 0)
		result = err_set(e, "%s: no store graph in it", what);
	store_release(&r.store);
	return result;
}

int nixgraph_find(const struct graph *g, const char *hash, uint32_t *node, struct err *e)
{
	int found = 0;

	for (size_t i = 0; i < g->paths.n; i++) {
		const char *path = g->paths.name[i];
		if (strncmp(strrchr(path, '/') + 1, hash, STORE_HASH) != 0)
			continue;
		if (found == 1)
			return err_set(e, "%s and %s have the same hash part",
				       g->paths.name[*node], path);
		*node = (uint32_t)i;
		found = 1;
	}
	return found;
}

int nixgraph_closure(const struct graph *all, const char *what, struct graph *g,
		     struct err *e)
{
	for (size_t i = 0; i < g->paths.n; i++) {
		const char *path = g->paths.name[i];
		uint32_t from = strset_find(&all->paths, path, strlen(path));
		if (from == STRSET_NONE || !all->node[from].known)
			return err_set(e, "%s: not in the graph %s", path, what);
		const struct graph_node *node = &all->node[from];
		uint32_t *refs = mem_zero(node->n_refs, sizeof *refs);
		for (size_t k = 0; k < node->n_refs; k++) {
			const char *ref = all->paths.name[node->refs[k]];
			refs[k] = graph_node(g, ref, strlen(ref));
		}
		graph_define(g, (uint32_t)i, node->size, refs, node->n_refs);
	}
	return 0;
}
