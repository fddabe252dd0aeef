#include "image/config.h"

#include "base/err.h"
#include "base/num.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* A check returns 0, or -1 and a reason that does not name the key. */
typedef int check(json_t *value, struct err *e);

static int is_string(json_t *value, struct err *e)
{
	return json_is_string(value) ? 0 : err_set(e, "not a string");
}

static int is_boolean(json_t *value, struct err *e)
{
	return json_is_boolean(value) ? 0 : err_set(e, "neither true nor false");
}

static int is_integer(json_t *value, struct err *e)
{
	return json_is_integer(value) ? 0 : err_set(e, "not an integer");
}

static int is_count(json_t *value, struct err *e)
{
	return json_is_integer(value) && json_integer_value(value) >= 0
		   ? 0
		   : err_set(e, "not an integer from 0 on");
}

static int are_strings(json_t *value, struct err *e)
{
	return json_are_strings(value) ? 0 : err_set(e, "not a list of strings");
}

/*
 * Engines disagree about a variable without '='. Docker removes the variable, also one
 * that it sets itself. podman takes its value from its own environment, and does not run
 * an image with an empty string.
 */
static int are_variables(json_t *value, struct err *e)
{
	size_t i;
	const json_t *variable;

	if (are_strings(value, e) < 0)
		return -1;
	json_array_foreach(value, i, variable)
	{
		const char *text = json_string_value(variable);
		if (text[0] == '=' || strchr(text, '=') == NULL)
			return err_set(e, "'%s' is not NAME=VALUE", text);
	}
	return 0;
}

/* A set in JSON: an object whose values are {}. Docker also accepts null for {}. */
static int is_set(json_t *value, struct err *e)
{
	const char *name;
	json_t *member;

	if (!json_is_object(value))
		return err_set(e, "not an object");
	json_object_foreach(value, name, member)
	{
		if (!json_is_object(member) && !json_is_null(member))
			return err_set(e, "the value of '%s' is not {}", name);
	}
	return 0;
}

/* PORT or PORT-PORT, optionally followed by "/" and a protocol. */
static bool is_port(const char *text)
{
	size_t len = strcspn(text, "/"), first = strcspn(text, "-/");
	const char *protocol = text[len] == '/' ? text + len + 1 : "tcp";
	uint64_t from, to;

	if (num_parse(text, first, 65535, &from) < 0 || from == 0)
		return false;
	if (first < len &&
	    (num_parse(text + first + 1, len - first - 1, 65535, &to) < 0 || to < from))
		return false;
	return strcasecmp(protocol, "tcp") == 0 || strcasecmp(protocol, "udp") == 0 ||
	       strcasecmp(protocol, "sctp") == 0;
}

static int are_ports(json_t *value, struct err *e)
{
	const char *name;
	json_t *member;

	if (is_set(value, e) < 0)
		return -1;
	json_object_foreach(value, name, member)
	{
		if (!is_port(name))
			return err_set(e,
				       "'%s' is not a port from 1 to 65535 such as "
				       "80/tcp, 53/udp or 80",
				       name);
	}
	return 0;
}

static int are_volumes(json_t *value, struct err *e)
{
	if (is_set(value, e) < 0)
		return -1;
	if (json_object_get(value, "") != NULL || json_object_get(value, "/") != NULL)
		return err_set(e, "a volume cannot be mounted on the root");
	return 0;
}

static int is_directory(json_t *value, struct err *e)
{
	const char *text = json_string_value(value);

	if (text == NULL)
		return err_set(e, "not a string");
	return *text == '\0' || *text == '/'
		   ? 0
		   : err_set(e, "'%s' is not an absolute path", text);
}

/* "RTMIN", "RTMIN+1" to "RTMIN+15", or the same with RTMAX and '-'. */
static bool is_realtime(const char *name, const char *base, char sign)
{
	size_t len = strlen(base);
	uint64_t n;

	if (strncasecmp(name, base, len) != 0)
		return false;
	return name[len] == '\0' ||
	       (name[len] == sign &&
		num_parse(name + len + 1, strlen(name + len + 1), 15, &n) == 0);
}

static bool is_signal_name(const char *name)
{
	static const char *const others[] = {"CLD", "IO", "IOT", "UNUSED"};

	if (strncasecmp(name, "SIG", 3) == 0)
		name += 3;
	for (int i = 1; i < 32; i++)
		if (strcasecmp(name, sigabbrev_np(i)) == 0)
			return true;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (strcasecmp(name, others[i]) == 0)
			return true;
	return is_realtime(name, "RTMIN", '+') || is_realtime(name, "RTMAX", '-');
}

static int is_signal(json_t *value, struct err *e)
{
	const char *text = json_string_value(value);
	uint64_t n;

	if (text == NULL)
		return err_set(e, "not a string");
	if (*text == '\0' || is_signal_name(text) ||
	    (num_parse(text, strlen(text), 64, &n) == 0 && n > 0))
		return 0;
	return err_set(e, "'%s' is not a signal such as SIGTERM or 15", text);
}

/* --- Healthcheck --- */

static int is_test(json_t *value, struct err *e)
{
	const char *kind = json_string_value(json_array_get(value, 0));

	if (are_strings(value, e) < 0)
		return -1;
	if (kind == NULL || strcmp(kind, "CMD") == 0 || strcmp(kind, "CMD-SHELL") == 0 ||
	    strcmp(kind, "NONE") == 0)
		return 0;
	return err_set(e, "begins with '%s', not with CMD, CMD-SHELL or NONE", kind);
}

static int is_duration(json_t *value, struct err *e)
{
	enum { MILLISECOND = 1000000 };
	json_int_t n = json_integer_value(value);

	return json_is_integer(value) && (n == 0 || n >= MILLISECOND)
		   ? 0
		   : err_set(e, "not an integer of nanoseconds, at least %d or 0",
			     MILLISECOND);
}

struct field {
	const char *key;
	check *check;
};

/* The field of this name, compared without regard to case, or NULL. */
static const struct field *find(const struct field *fields, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(fields[i].key, key) == 0)
			return &fields[i];
	return NULL;
}

static int is_healthcheck(json_t *value, struct err *e)
{
	static const struct field fields[] = {
	    {"Test", is_test},
	    {"Interval", is_duration},
	    {"Timeout", is_duration},
	    {"StartPeriod", is_duration},
	    {"StartInterval", is_duration},
	    {"Retries", is_count},
	};
	const char *key;
	json_t *member;

	if (!json_is_object(value))
		return err_set(e, "not an object");
	json_object_foreach(value, key, member)
	{
		const struct field *f = find(fields, sizeof fields / sizeof *fields, key);
		if (f != NULL && !json_is_null(member) && f->check(member, e) < 0)
			return err_prefix(e, "%s", key);
	}
	return 0;
}

/* --- the complete configuration --- */

/*
 * The fields of the OCI image specification, config.md, and of Docker's container.Config.
 */
static const struct field fields[] = {
    {"ArgsEscaped", is_boolean},
    {"AttachStderr", is_boolean},
    {"AttachStdin", is_boolean},
    {"AttachStdout", is_boolean},
    {"Cmd", are_strings},
    {"CpuShares", is_integer},
    {"Domainname", is_string},
    {"Entrypoint", are_strings},
    {"Env", are_variables},
    {"ExposedPorts", are_ports},
    {"Healthcheck", is_healthcheck},
    {"Hostname", is_string},
    {"Image", is_string},
    {"Labels", json_check_strings},
    {"MacAddress", is_string},
    {"Memory", is_integer},
    {"MemorySwap", is_integer},
    {"NetworkDisabled", is_boolean},
    {"OnBuild", are_strings},
    {"OpenStdin", is_boolean},
    {"Shell", are_strings},
    {"StdinOnce", is_boolean},
    {"StopSignal", is_signal},
    {"StopTimeout", is_integer},
    {"Tty", is_boolean},
    {"User", is_string},
    {"Volumes", are_volumes},
    {"WorkingDir", is_directory},
};

static bool is_command(const char *key)
{
	return strcmp(key, "Cmd") == 0 || strcmp(key, "Entrypoint") == 0;
}

/*
 * Docker is written in Go, whose JSON parser accepts "cmd" for "Cmd". The documented
 * spelling replaces such a key. Otherwise the key would be neither checked nor inherited.
 */
static int spell_keys(json_t *config, struct err *e)
{
	json_t *spelled = json_object(), *value;
	const char *key;
	int result = 0;

	json_object_foreach(config, key, value)
	{
		const struct field *f = find(fields, sizeof fields / sizeof *fields, key);
		const char *name = f != NULL ? f->key : key;
		if (json_object_get(spelled, name) != NULL)
			result = err_set(e, "config: %s: given twice, also as '%s'", name,
					 key);
		json_object_set(spelled, name, value);
	}
	json_object_clear(config);
	json_object_update(config, spelled);
	json_decref(spelled);
	return result;
}

int config_check(json_t *config, struct err *e)
{
	if (!json_is_object(config))
		return err_set(e, "config: not a JSON object");
	if (spell_keys(config, e) < 0)
		return -1;
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		const struct field *f = &fields[i];
		json_t *value = json_object_get(config, f->key);
		if (value == NULL || json_is_null(value))
			continue;
		if (is_command(f->key) && json_is_string(value)) {
			json_t *list = json_array();
			json_array_append(list, value);
			json_object_set_new(config, f->key, list);
		} else if (f->check(value, e) < 0) {
			return err_prefix(e, "config: %s", f->key);
		}
	}
	return 0;
}
