#include "registry/credentials.h"

#include "base/broker.h"
#include "base/buf.h"
#include "base/encode.h"
#include "base/err.h"
#include "base/io.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 20, ANSWER_MAX = 64 << 10 };

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

/* --- credential helpers --- */

static const char helper_prefix[] = "docker-credential-";

static bool is_helper(const char *program)
{
	size_t len = strlen(helper_prefix);

	return strncmp(program, helper_prefix, len) == 0 && program[len] != '\0' &&
	       strchr(program, '/') == NULL;
}

/* Returns the PID of `PROGRAM get`, or -1 with errno set and a reason. */
static pid_t start(const char *program, int in, int out, struct err *e)
{
	const char *const argv[] = {program, "get", NULL};

	return spawn_start(argv, in, out, STDERR_FILENO, NULL, 0, e);
}

pid_t credentials_helper(const char *program, int in, int out)
{
	struct err unused;

	if (is_helper(program))
		return start(program, in, out, &unused);
	errno = EPERM;
	return -1;
}

/* Starts the program, by the broker if there is one. */
static pid_t start_helper(const char *program, int in, int out, struct err *e)
{
	if (!broker_is_on())
		return start(program, in, out, e);
	pid_t pid = broker_spawn(program, in, out);
	return pid >= 0 ? pid : err_set_errno(e, "%s", program);
}

/*
 * Runs `docker-credential-NAME get`. Returns its wait status, or -1 and a reason.
 */
static int run_helper(const char *program, const char *question, struct buf *answer,
		      struct err *e)
{
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) < 0)
		return err_set_errno(e, "%s", program);
	if (pipe2(out, O_CLOEXEC) < 0) {
		err_set_errno(e, "%s", program);
		close(in[0]);
		close(in[1]);
		return -1;
	}
	/* The question fits into the pipe. The program may exit without reading it. */
	(void)io_write(in[1], question, strlen(question));
	close(in[1]);
	pid_t pid = start_helper(program, in[0], out[1], e);
	close(in[0]);
	close(out[1]);
	int result = pid < 0 ? -1 : 0;
	if (result == 0 && io_slurp(out[0], answer, ANSWER_MAX) < 0)
		result = err_set_errno(e, "%s", program);
	close(out[0]);
	int status = pid < 0 ? -1 : broker_is_on() ? broker_wait(pid) : spawn_wait(pid);
	if (result == 0 && status < 0)
		result = err_set_errno(e, "%s", program);
	return result < 0 ? -1 : status;
}

int credentials_answer(struct credentials *c, const char *text, size_t len,
		       const char *program, struct err *e)
{
	struct err unused; /* discarded: it may quote a secret */
	json_t *doc = json_parse(text, len, program, &unused);
	const char *user = json_string_at(doc, "Username");
	const char *secret = json_string_at(doc, "Secret");
	int result = 1;

	if (user == NULL || secret == NULL)
		result = err_set(e, "%s: its answer has no Username and Secret", program);
	else if (strcmp(user, "<token>") == 0)
		c->identity = secret_copy(secret);
	else {
		c->user = secret_copy(user);
		c->password = secret_copy(secret);
	}
	json_decref(doc);
	return result;
}

/*
 * Asks the credential helper. Returns 1, 0 if it has no credentials, or -1 and a reason.
 */
static int ask_helper(struct credentials *c, const char *name, const char *server,
		      struct err *e)
{
	struct buf program = {0}, answer = {0};
	int result;

	buf_reserve(&answer, 2 * ANSWER_MAX);
	buf_addf(&program, "%s%s", helper_prefix, name);
	int status = run_helper(program.data, server, &answer, e);
	if (status < 0)
		result = -1;
	else if (status == 0)
		result = credentials_answer(c, answer.data, answer.len, program.data, e);
	else if (answer.data != NULL && strstr(answer.data, "not found") != NULL)
		result = 0;
	else
		result = err_set(e, "%s failed", program.data);
	buf_release(&program);
	wipe(&answer);
	return result;
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
		int known = ask_helper(c, name, server, e);
		if (known == 0 && strcmp(server, host) != 0)
			known = ask_helper(c, name, host, e);
		if (known != 0)
			return known;
	}
	return find_entry(c, json_object_get(doc, "auths"), file, host, path, e);
}

/* --- files --- */

int credentials_parse(struct credentials *c, const char *text, size_t len,
		      const char *file, const char *host, const char *path, struct err *e)
{
	struct err unused; /* discarded: it may quote a secret */

	*c = (struct credentials){0};
	json_t *doc = json_parse(text, len, file, &unused);
	if (!json_is_object(doc)) {
		json_decref(doc);
		return err_set(e, "%s: not a JSON object", file);
	}
	int known = find_in(c, doc, file, host, path, e);
	json_decref(doc);
	return known < 0 ? -1 : 0;
}

/* Reads a file. A missing file is an error only if `must` is true. */
static int try_file(struct credentials *c, const char *file, bool must, const char *host,
		    const char *path, struct err *e)
{
	struct buf text = {0};
	int result = 0;

	buf_reserve(&text, 2 * FILE_MAX); /* so that growing does not leave copies */
	if (io_slurp_file(file, &text, FILE_MAX) == 0)
		result = credentials_parse(c, text.data, text.len, file, host, path, e);
	else if (must || errno == EFBIG || errno == EACCES)
		result = err_set_errno(e, "%s", file);
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
