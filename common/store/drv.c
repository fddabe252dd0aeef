#include "store/drv.h"

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct parser {
	const char *what, *start, *at, *end;
	struct store *store;
	struct buf text; /* the last string */
	struct err *e;
};

/* Puts the current offset before the reason. Returns -1. */
static int locate(struct parser *p)
{
	return err_prefix(p->e, "%s:%zu", p->what, (size_t)(p->at - p->start));
}

static int refuse(struct parser *p, const char *why)
{
	err_set(p->e, "%s", why);
	return locate(p);
}

static bool accept(struct parser *p, const char *token)
{
	size_t len = strlen(token);

	if ((size_t)(p->end - p->at) < len || memcmp(p->at, token, len) != 0)
		return false;
	p->at += len;
	return true;
}

static int expect(struct parser *p, const char *token)
{
	if (accept(p, token))
		return 0;
	if (p->at == p->end)
		return refuse(p, "truncated");
	return err_set(p->e, "%s:%zu: '%s' is expected", p->what,
		       (size_t)(p->at - p->start), token);
}

static char unescape(char c)
{
	return c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
}

/* Parses a string into p->text. */
static int parse_text(struct parser *p)
{
	buf_clear(&p->text);
	if (expect(p, "\"") < 0)
		return -1;
	for (;;) {
		const char *from = p->at;
		while (p->at < p->end && *p->at != '"' && *p->at != '\\' &&
		       *p->at != '\0')
			p->at++;
		buf_add(&p->text, from, (size_t)(p->at - from));
		if (p->at == p->end || (*p->at == '\\' && p->at + 1 == p->end))
			return refuse(p, "truncated in a string");
		if (*p->at == '"')
			break;
		if (*p->at == '\0' || p->at[1] == '\0')
			return refuse(p, "a NUL byte");
		buf_addch(&p->text, unescape(p->at[1]));
		p->at += 2;
	}
	p->at++;
	return 0;
}

/* Returns the last string as JSON, or NULL with the reason. */
static json_t *made_string(struct parser *p)
{
	json_t *string = json_stringn(p->text.data, p->text.len);

	if (string == NULL)
		refuse(p, "the preceding string is not UTF-8");
	return string;
}

/* Parses a string. Returns it as JSON, or NULL with the reason. */
static json_t *parse_string(struct parser *p)
{
	return parse_text(p) < 0 ? NULL : made_string(p);
}

static json_t *parse_path(struct parser *p)
{
	if (parse_text(p) < 0)
		return NULL;
	if (store_check(p->store, p->text.data, p->e) < 0) {
		locate(p);
		return NULL;
	}
	return made_string(p);
}

/* Calls item() for each element of a list. item() returns 0 or -1. */
static int parse_list(struct parser *p, int (*item)(struct parser *p, json_t *into),
		      json_t *into)
{
	if (expect(p, "[") < 0)
		return -1;
	for (bool first = true; !accept(p, "]"); first = false)
		if ((!first && expect(p, ",") < 0) || item(p, into) < 0)
			return -1;
	return 0;
}

static int parse_item(struct parser *p, json_t *list)
{
	return json_array_append_new(list, parse_string(p));
}

static int parse_path_item(struct parser *p, json_t *list)
{
	return json_array_append_new(list, parse_path(p));
}

static int compare_strings(const void *a, const void *b)
{
	json_t *const *x = a, *const *y = b;

	return strcmp(json_string_value(*x), json_string_value(*y));
}

/* Returns a new list with the same strings, sorted and without duplicates. */
static json_t *sorted_set(const json_t *list)
{
	size_t n = json_array_size(list);
	json_t *set = json_array(), **item = mem_zero(n, sizeof *item);

	for (size_t i = 0; i < n; i++)
		item[i] = json_array_get(list, i);
	qsort(item, n, sizeof *item, compare_strings);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || compare_strings(&item[i - 1], &item[i]) != 0)
			json_array_append(set, item[i]);
	free(item);
	return set;
}

static json_t *parse_set(struct parser *p, int (*item)(struct parser *p, json_t *into))
{
	json_t *list = json_array(),
	       *set = parse_list(p, item, list) == 0 ? sorted_set(list) : NULL;

	json_decref(list);
	return set;
}

/*
 * Returns the number of hex digits of a hash algorithm in Nix's notation, or 0 if it is
 * unknown.
 */
static size_t hash_digits(const char *algorithm)
{
	static const struct {
		const char *name;
		size_t digits;
	} known[] = {
	    {"md5", 32}, {"sha1", 40}, {"sha256", 64}, {"sha512", 128}, {"blake3", 64}};
	static const char *const methods[] = {"r:", "text:", "git:"};

	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
		size_t len = strlen(methods[i]);
		if (strncmp(algorithm, methods[i], len) == 0) {
			algorithm += len;
			break;
		}
	}
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(algorithm, known[i].name) == 0)
			return known[i].digits;
	return 0;
}

static bool is_hash(const char *hash, size_t digits)
{
	return strlen(hash) == digits && strspn(hash, "0123456789abcdef") == digits;
}

/*
 * Checks the fields of an output. The path is empty if it is not known before the build.
 * The algorithm is set if the path depends on the contents, and the hash also if the
 * contents are known.
 */
static int check_output(struct parser *p, const char *path, const char *algorithm,
			const char *hash)
{
	size_t digits = hash_digits(algorithm);
	bool is_impure = strcmp(hash, "impure") == 0;

	if (*algorithm != '\0' && digits == 0)
		return refuse(p, "an unknown hash algorithm");
	if (*hash != '\0' && *algorithm == '\0')
		return refuse(p, "a hash without an algorithm");
	if (*hash != '\0' && !is_impure && !is_hash(hash, digits))
		return refuse(p, "a hash that does not fit its algorithm");
	if (*path != '\0' && store_check(p->store, path, p->e) < 0)
		return locate(p);
	if (is_impure || (*hash == '\0' && *algorithm != '\0'))
		return *path == '\0'
			   ? 0
			   : refuse(p, "a path that cannot be known before the build");
	return *hash == '\0' || *path != '\0' ? 0 : refuse(p, "a hash without a path");
}

static void set_output(json_t *output, const char *path, const char *algorithm,
		       const char *hash)
{
	bool is_impure = strcmp(hash, "impure") == 0;

	if (*hash != '\0' && !is_impure)
		json_object_set_new(output, "hash", json_string(hash));
	if (*algorithm != '\0')
		json_object_set_new(output, "hashAlgo", json_string(algorithm));
	if (is_impure)
		json_object_set_new(output, "impure", json_true());
	if (*path != '\0')
		json_object_set_new(output, "path", json_string(path));
}

static int parse_output(struct parser *p, json_t *outputs)
{
	enum { NAME, PATH, ALGORITHM, HASH, N };
	static const char *const before[N] = {"(", ",", ",", ","};
	json_t *field[N] = {0};
	const char *text[N];
	int result = -1;

	for (int i = 0; i < N; i++) {
		if (expect(p, before[i]) < 0 || (field[i] = parse_string(p)) == NULL)
			goto out;
		text[i] = json_string_value(field[i]);
	}
	if (expect(p, ")") < 0 ||
	    check_output(p, text[PATH], text[ALGORITHM], text[HASH]) < 0)
		goto out;
	if (json_object_get(outputs, text[NAME]) == NULL) {
		json_t *output = json_object();
		set_output(output, text[PATH], text[ALGORITHM], text[HASH]);
		json_object_set_new(outputs, text[NAME], output);
	}
	result = 0;
out:
	for (int i = 0; i < N; i++)
		json_decref(field[i]);
	return result;
}

/* Parses "(KEY,VALUE)". The functions `key` and `value` parse the two fields. */
static int parse_pair(struct parser *p, json_t *into, json_t *(*key)(struct parser *),
		      json_t *(*value)(struct parser *))
{
	json_t *k = expect(p, "(") < 0 ? NULL : key(p);
	json_t *v = k == NULL || expect(p, ",") < 0 ? NULL : value(p);
	int result = v == NULL || expect(p, ")") < 0 ? -1 : 0;

	if (result == 0)
		json_object_set(into, json_string_value(k), v);
	json_decref(k);
	json_decref(v);
	return result;
}

static json_t *parse_wanted(struct parser *p)
{
	return parse_set(p, parse_item);
}

static int parse_input(struct parser *p, json_t *inputs)
{
	return parse_pair(p, inputs, parse_path, parse_wanted);
}

static int parse_variable(struct parser *p, json_t *env)
{
	return parse_pair(p, env, parse_string, parse_string);
}

static int parse_list_at(struct parser *p, json_t *drv, const char *key,
			 int (*item)(struct parser *p, json_t *into))
{
	return parse_list(p, item, json_object_get(drv, key));
}

static int parse_string_at(struct parser *p, json_t *drv, const char *key)
{
	return json_object_set_new(drv, key, parse_string(p));
}

static int parse_fields(struct parser *p, json_t *drv)
{
	if (accept(p, "DrvWithVersion("))
		return refuse(p, "a dynamic derivation, which is not supported");
	if (expect(p, "Derive(") < 0 ||
	    parse_list_at(p, drv, "outputs", parse_output) < 0 || expect(p, ",") < 0 ||
	    parse_list_at(p, drv, "inputDrvs", parse_input) < 0 || expect(p, ",") < 0 ||
	    json_object_set_new(drv, "inputSrcs", parse_set(p, parse_path_item)) < 0 ||
	    expect(p, ",") < 0 || parse_string_at(p, drv, "system") < 0 ||
	    expect(p, ",") < 0 || parse_string_at(p, drv, "builder") < 0 ||
	    expect(p, ",") < 0 || parse_list_at(p, drv, "args", parse_item) < 0 ||
	    expect(p, ",") < 0 || parse_list_at(p, drv, "env", parse_variable) < 0 ||
	    expect(p, ")") < 0)
		return -1;
	if (json_object_size(json_object_get(drv, "outputs")) == 0)
		return refuse(p, "no outputs");
	return p->at == p->end ? 0 : refuse(p, "extra data after the derivation");
}

json_t *drv_parse(struct store *s, const char *text, size_t len, const char *what,
		  struct err *e)
{
	struct parser p = {.what = what,
			   .start = text,
			   .at = text,
			   .end = text + len,
			   .store = s,
			   .e = e};
	json_t *drv = json_pack("{s:[], s:s, s:{}, s:{}, s:[], s:s, s:{}, s:s}", "args",
				"builder", "", "env", "inputDrvs", "inputSrcs", "name",
				"", "outputs", "system", "");

	buf_reserve(&p.text, 1);
	if (parse_fields(&p, drv) < 0) {
		json_decref(drv);
		drv = NULL;
	}
	buf_release(&p.text);
	return drv;
}

/*
 * Takes the name from the path of an output. The path is HASH-NAME for "out", and
 * HASH-NAME-OUTPUT for other outputs.
 */
static bool find_name_in_outputs(const json_t *drv, struct buf *name)
{
	const char *output;
	json_t *value;

	json_object_foreach(json_object_get(drv, "outputs"), output, value)
	{
		const char *path = json_string_at(value, "path");
		if (path == NULL)
			continue;
		const char *base = store_name(path);
		size_t len = strlen(base), last = strlen(output);
		if (strcmp(output, "out") == 0) {
			buf_add(name, base, len);
			return true;
		}
		if (len > last + 1 && base[len - last - 1] == '-' &&
		    strcmp(base + len - last, output) == 0) {
			buf_add(name, base, len - last - 1);
			return true;
		}
	}
	return false;
}

/* Takes the name from the variables, if no output has a path. */
static bool find_name_in_variables(const json_t *drv, struct buf *name)
{
	const json_t *env = json_object_get(drv, "env");
	const char *text = json_string_at(env, "name"),
		   *attrs = json_string_at(env, "__json");
	struct err ignored;
	json_t *doc = text != NULL || attrs == NULL
			  ? NULL
			  : json_parse(attrs, strlen(attrs), "__json", &ignored);

	if (doc != NULL)
		text = json_string_at(doc, "name");
	if (text != NULL)
		buf_addstr(name, text);
	json_decref(doc);
	return name->len > 0;
}

/* Appends the references of the derivation as Nix hashes them: "PATH:PATH:". */
static void add_references(const json_t *drv, struct buf *out)
{
	json_t *all = json_array(), *path;
	const char *input;
	size_t i;

	json_array_extend(all, json_object_get(drv, "inputSrcs"));
	json_object_foreach(json_object_get(drv, "inputDrvs"), input, path)
	    json_array_append_new(all, json_string(input));
	json_t *set = sorted_set(all);
	json_array_foreach(set, i, path) buf_addf(out, "%s:", json_string_value(path));
	json_decref(all);
	json_decref(set);
}

int drv_identify(const struct store *s, const char *text, size_t len, json_t *drv,
		 struct buf *path, struct err *e)
{
	const char *dir = s->dir != NULL ? s->dir : "/nix/store";
	struct buf name = {0}, print = {0};
	char hex[DIGEST_HEX + 1], hash[DIGEST_NIX32 + 1];

	if (!find_name_in_outputs(drv, &name) && !find_name_in_variables(drv, &name)) {
		buf_release(&name);
		return err_set(e, "the name of the derivation is missing");
	}
	json_object_set_new(drv, "name", json_string(name.data));
	digest_of(text, len, hex);
	buf_addstr(&print, "text:");
	add_references(drv, &print);
	buf_addf(&print, "sha256:%s:%s:%s.drv", hex, dir, name.data);
	digest_of(print.data, print.len, hex);
	digest_nix32(hex, hash);
	buf_clear(path);
	buf_addf(path, "%s/%s-%s.drv", dir, hash, name.data);
	const char *base = path->data + strlen(dir) + 1;
	int result =
	    store_base_len(base, strlen(base)) == strlen(base)
		? 0
		: err_set(e, "'%s' is not a valid name of a store path", name.data);
	buf_release(&name);
	buf_release(&print);
	return result;
}
