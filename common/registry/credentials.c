#include "registry/credentials.h"

#include "base/buf.h"
#include "base/encode.h"
#include "base/err.h"
#include "base/io.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/secret.h"
#include "registry/credentials-private.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 1 << 20 };

void credentials_release(struct credentials *c)
{
	secret_free(c->user);
	secret_free(c->password);
	secret_free(c->identity);
	*c = (struct credentials){0};
}

char *credentials_basic(const struct credentials *c)
{
	size_t len = strlen(c->user) + 1 + strlen(c->password), base64;
	char *pair = secret_new(len + 1);

	snprintf(pair, len + 1, "%s:%s", c->user, c->password);
	base64 = encode_base64_size(len);
	char *value = secret_new(6 + base64);
	memcpy(value, "Basic ", 6);
	encode_base64(value + 6, pair, len);
	secret_free(pair);
	return value;
}

/* Overwrites the contents before it frees them. */
static void wipe(struct buf *b)
{
	mem_wiping_free(b->data);
	*b = (struct buf){0};
}

/* --- entries of a file --- */

/* Replaces the other host names of Docker Hub in an entry's key by "docker.io". */
static const char *host_of(const char *key, size_t *len)
{
	static const char *const hub[] = {"index.docker.io", "registry-1.docker.io"};

	for (size_t i = 0; i < sizeof hub / sizeof *hub; i++)
		if (*len == strlen(hub[i]) && strncmp(key, hub[i], *len) == 0) {
			*len = strlen("docker.io");
			return "docker.io";
		}
	return key;
}

/*
 * How well an entry's key matches HOST/PATH: the length of the match, or 0. Docker's keys
 * may be URLs; of these, only the host is compared.
 */
static size_t fit(const char *key, const char *host, const char *path)
{
	const char *scheme = strstr(key, "://");
	const char *text = scheme != NULL ? scheme + 3 : key;
	size_t len = strcspn(text, "/"), rest = strlen(text) - len;
	const char *below = text + len;
	const char *name = host_of(text, &len);

	if (len != strlen(host) || strncmp(name, host, len) != 0)
		return 0;
	if (scheme != NULL || rest <= 1)
		return len;
	below++, rest--;
	if (strncmp(below, path, rest) != 0 || (path[rest] != '\0' && path[rest] != '/'))
		return 0;
	return len + 1 + rest;
}

/* Splits an "auth": "USER:PASSWORD" in base 64. */
static int split_auth(struct credentials *c, const char *auth)
{
	size_t size = strlen(auth) + 1, len = 0;
	char *pair = secret_new(size);
	int result = -1;

	if (encode_unbase64(pair, size - 1, auth, &len) == 0) {
		pair[len] = '\0';
		char *colon = strchr(pair, ':');
		if (colon != NULL && strlen(pair) == len) {
			*colon = '\0';
			c->user = secret_copy(pair);
			c->password = secret_copy(colon + 1);
			result = 0;
		}
	}
	secret_free(pair);
	return result;
}

static bool is_set(const char *s)
{
	return s != NULL && *s != '\0';
}

/* Returns 1 if the entry has credentials, 0 if it has none, or -1 and a reason. */
static int read_entry(struct credentials *c, const json_t *entry, const char *file,
		      struct err *e)
{
	const char *auth = json_string_at(entry, "auth");
	const char *user = json_string_at(entry, "username");
	const char *password = json_string_at(entry, "password");
	const char *identity = json_string_at(entry, "identitytoken");

	if (is_set(identity)) {
		c->identity = secret_copy(identity);
		return 1;
	}
	if (is_set(auth)) {
		if (split_auth(c, auth) < 0)
			return err_set(e, "%s: an 'auth' is not USER:PASSWORD in base 64",
				       file);
		return 1;
	}
	if (!is_set(user) || password == NULL)
		return 0;
	c->user = secret_copy(user);
	c->password = secret_copy(password);
	return 1;
}

static int find_entry(struct credentials *c, const json_t *auths, const char *file,
		      const char *host, const char *path, struct err *e)
{
	const json_t *best = NULL;
	const char *key;
	json_t *entry;
	size_t best_fit = 0;

	json_object_foreach((json_t *)(uintptr_t)auths, key, entry)
	{
		size_t f = fit(key, host, path);
		if (f > best_fit) {
			best_fit = f;
			best = entry;
		}
	}
	return best != NULL ? read_entry(c, best, file, e) : 0;
}

/*
 * The credential helper for this host, or NULL. Sets *server to the name to ask it for.
 */
static const char *helper_for(const json_t *doc, const char *host, const char **server)
{
	const json_t *helpers = json_object_get(doc, "credHelpers");
	const char *name = json_string_at(helpers, host);
	bool is_hub = strcmp(host, "docker.io") == 0;

	*server = host;
	if (name == NULL && is_hub) {
		*server = "https://index.docker.io/v1/";
		name = json_string_at(helpers, *server);
	}
	return is_set(name) ? name : json_string_at(doc, "credsStore");
}

static int find_in(struct credentials *c, const json_t *doc, const char *file,
		   const char *host, const char *path, struct err *e)
{
	const char *server, *name = helper_for(doc, host, &server);

	if (is_set(name)) {
		if (strchr(name, '/') != NULL)
			return err_set(e, "%s: '%s' is not a name of a credential helper",
				       file, name);
		int known = credentials_ask(c, name, server, e);
		if (known == 0 && strcmp(server, host) != 0)
			known = credentials_ask(c, name, host, e);
		if (known != 0)
			return known;
	}
	return find_entry(c, json_object_get(doc, "auths"), file, host, path, e);
}

/* --- the list --- */

/*
 * Adds a line to the list. The user before "@" in a registry's name is left out. A key
 * with blanks is not the name of a registry.
 */
static void list_line(struct buf *out, const char *how, const char *name, const char *key,
		      const char *file)
{
	const char *scheme = strstr(key, "://");
	const char *host = scheme != NULL ? scheme + 3 : key;
	const char *at = memchr(host, '@', strcspn(host, "/"));

	for (const char *p = key; *p != '\0'; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return;
	buf_addf(out, "%s%s %.*s%s %s\n", how, name, (int)(host - key), key,
		 at != NULL ? at + 1 : host, file);
}

static int list_document(struct buf *out, const json_t *doc, const char *file,
			 struct err *e)
{
	json_t *auths = json_object_get(doc, "auths");
	json_t *helpers = json_object_get(doc, "credHelpers");
	const char *store = json_string_at(doc, "credsStore"), *key;
	json_t *entry;

	json_object_foreach(auths, key, entry)
	{
		struct credentials c = {0};
		int known = read_entry(&c, entry, file, e);
		credentials_release(&c);
		if (known < 0)
			return -1;
		if (known > 0)
			list_line(out, "file", "", key, file);
		else if (is_set(store))
			list_line(out, CREDENTIALS_HELPER, store, key, file);
	}
	json_object_foreach(helpers, key, entry)
	{
		if (is_set(json_string_value(entry)))
			list_line(out, CREDENTIALS_HELPER, json_string_value(entry), key,
				  file);
	}
	if (is_set(store))
		list_line(out, CREDENTIALS_HELPER, store, "*", file);
	return 0;
}

/* --- files --- */

/* Parses the text of a file. Returns NULL and a reason if it is not a JSON object. */
static json_t *parse(const char *text, size_t len, const char *file, struct err *e)
{
	struct err unused; /* discarded: it may quote a secret */
	json_t *doc = json_parse(text, len, file, &unused);

	if (json_is_object(doc))
		return doc;
	json_decref(doc);
	err_set(e, "%s: not a JSON object", file);
	return NULL;
}

int credentials_parse(struct credentials *c, const char *text, size_t len,
		      const char *file, const char *host, const char *path, struct err *e)
{
	*c = (struct credentials){0};
	json_t *doc = parse(text, len, file, e);
	int known = doc != NULL ? find_in(c, doc, file, host, path, e) : -1;

	json_decref(doc);
	return known < 0 ? -1 : 0;
}

/*
 * Reads a file. Returns 1, 0 if it is missing, or -1 and a reason. A missing file is an
 * error if `must` is true.
 */
static int read_file(const char *file, bool must, struct buf *text, struct err *e)
{
	buf_reserve(text, 2 * FILE_MAX); /* so that growing does not leave copies */
	if (io_slurp_file(file, text, FILE_MAX) == 0)
		return 1;
	return must || errno == EFBIG || errno == EACCES ? err_set_errno(e, "%s", file)
							 : 0;
}

static int try_file(struct credentials *c, const char *file, bool must, const char *host,
		    const char *path, struct err *e)
{
	struct buf text = {0};
	int result = read_file(file, must, &text, e);

	if (result > 0)
		result = credentials_parse(c, text.data, text.len, file, host, path, e);
	wipe(&text);
	return result;
}

/* The only file, if the user has set one; or NULL. */
static const char *only_file(void)
{
	const char *only = getenv("REGISTRY_AUTH_FILE");

	return is_set(only) ? only : NULL;
}

static const struct {
	const char *variable, *file;
} places[] = {
    {"XDG_RUNTIME_DIR", "containers/auth.json"},
    {"XDG_CONFIG_HOME", "containers/auth.json"},
    {"HOME", ".config/containers/auth.json"},
    {"DOCKER_CONFIG", "config.json"},
    {"HOME", ".docker/config.json"},
};
enum { PLACES = sizeof places / sizeof *places };

/* Replaces `file` by the name of place `i`. Returns false if its variable is not set. */
static bool name_place(size_t i, struct buf *file)
{
	const char *dir = getenv(places[i].variable);
	bool is_fallback = strcmp(places[i].variable, "HOME") == 0 &&
			   is_set(getenv(places[i - 1].variable));

	if (!is_set(dir) || is_fallback)
		return false;
	buf_clear(file);
	buf_addf(file, "%s/%s", dir, places[i].file);
	return true;
}

void credentials_files(void (*see)(void *arg, const char *file), void *arg)
{
	struct buf file = {0};

	if (only_file() != NULL) {
		see(arg, only_file());
		return;
	}
	for (size_t i = 0; i < PLACES; i++)
		if (name_place(i, &file))
			see(arg, file.data);
	buf_release(&file);
}

int credentials_find(struct credentials *c, const char *host, const char *path,
		     struct err *e)
{
	struct buf file = {0};
	int result = 0;

	*c = (struct credentials){0};
	if (only_file() != NULL)
		return try_file(c, only_file(), true, host, path, e);
	for (size_t i = 0; i < PLACES; i++) {
		if (!name_place(i, &file))
			continue;
		result = try_file(c, file.data, false, host, path, e);
		if (result < 0 || c->user != NULL || c->identity != NULL)
			break;
	}
	buf_release(&file);
	return result;
}

struct listing {
	struct buf *out;
	struct err *e;
	int result;
};

static void list_file(void *arg, const char *file)
{
	struct listing *l = arg;
	struct buf text = {0};

	if (l->result < 0)
		return;
	l->result = read_file(file, only_file() != NULL, &text, l->e);
	if (l->result > 0) {
		json_t *doc = parse(text.data, text.len, file, l->e);
		l->result = doc != NULL ? list_document(l->out, doc, file, l->e) : -1;
		json_decref(doc);
	}
	wipe(&text);
}

int credentials_list(struct buf *out, struct err *e)
{
	struct listing l = {.out = out, .e = e};

	credentials_files(list_file, &l);
	return l.result < 0 ? -1 : 0;
}
