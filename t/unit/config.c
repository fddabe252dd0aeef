#include "image/config.h"

#include "base/buf.h"
#include "base/err.h"

#include "tap.h"

static json_t *parse(const char *text)
{
	struct err e;
	json_t *doc = json_parse(text, strlen(text), "test", &e);

	if (doc == NULL) {
		fprintf(stderr, "%s\n", e.text);
		abort();
	}
	return doc;
}

static void is_json(const json_t *doc, const char *want, const char *what)
{
	struct buf text = {0};

	json_write(doc, &text);
	tap_is(text.data, want, what);
	buf_release(&text);
}

/* --- config_check --- */

/* The configuration becomes `want`, or there is this reason. */
static void checks(const char *config, const char *want, const char *what)
{
	struct err e;
	json_t *doc = parse(config);

	if (config_check(doc, &e) < 0)
		tap_is(e.text, want, what);
	else
		is_json(doc, want, what);
	json_decref(doc);
}

static void passes(const char *config)
{
	checks(config, config, config);
}

/* The value of the key is an error. */
static void rejects(const char *key, const char *value, const char *reason)
{
	char config[256], want[256], what[256];

	snprintf(config, sizeof config, "{\"%s\":%s}", key, value);
	snprintf(want, sizeof want, "config: %s: %s", key, reason);
	snprintf(what, sizeof what, "%s is not %s", key, value);
	checks(config, want, what);
}

static void test_types(void)
{
	static const char *const strings[] = {"Domainname", "Hostname", "Image",
					      "MacAddress", "User"};
	static const char *const booleans[] = {
	    "ArgsEscaped",     "AttachStderr", "AttachStdin", "AttachStdout",
	    "NetworkDisabled", "OpenStdin",    "StdinOnce",   "Tty"};
	static const char *const integers[] = {"CpuShares", "Memory", "MemorySwap",
					       "StopTimeout"};
	static const char *const lists[] = {"Cmd", "Entrypoint", "Env", "OnBuild",
					    "Shell"};
	static const char *const objects[] = {"ExposedPorts", "Healthcheck", "Labels",
					      "Volumes"};

	for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
		rejects(strings[i], "1", "not a string");
		rejects(strings[i], "[\"a\"]", "not a string");
	}
	for (size_t i = 0; i < sizeof booleans / sizeof *booleans; i++) {
		rejects(booleans[i], "\"true\"", "neither true nor false");
		rejects(booleans[i], "1", "neither true nor false");
	}
	for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
		rejects(integers[i], "\"1\"", "not an integer");
		rejects(integers[i], "1.0", "not an integer");
	}
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		rejects(lists[i], "{}", "not a list of strings");
		rejects(lists[i], "[\"a\",1]", "not a list of strings");
		rejects(lists[i], "[null]", "not a list of strings");
	}
	for (size_t i = 0; i < sizeof objects / sizeof *objects; i++) {
		rejects(objects[i], "[]", "not an object");
		rejects(objects[i], "\"80\"", "not an object");
	}
	rejects("Env", "\"A=1\"", "not a list of strings");
	rejects("OnBuild", "\"RUN x\"", "not a list of strings");
	rejects("StopSignal", "15", "not a string");
	rejects("WorkingDir", "[]", "not a string");
	checks("[]", "config: not a JSON object", "a list is no configuration");
	checks("\"Cmd\"", "config: not a JSON object", "nor is a string");

	passes("{}");
	passes("{\"User\":\"\",\"Tty\":false,\"Memory\":-1,\"Cmd\":[],\"Labels\":{}}");
	passes("{\"Cmd\":null,\"Env\":null,\"User\":null,\"Volumes\":null}");
	passes("{\"Unknown\":[1,{\"a\":null}]}");
}

static void test_values(void)
{
	passes("{\"Env\":[\"A=1\",\"B=\",\"D==\"]}");
	rejects("Env", "[\"A=1\",\"=2\"]", "'=2' is not NAME=VALUE");
	rejects("Env", "[\"A\"]", "'A' is not NAME=VALUE");
	rejects("Env", "[\"\"]", "'' is not NAME=VALUE");

	passes("{\"ExposedPorts\":{\"80\":{},\"1/tcp\":{},\"65535/UDP\":null,"
	       "\"8000-8010/sctp\":{},\"9-9\":{}}}");
#define PORT(port)                                   \
	rejects("ExposedPorts", "{\"" port "\":{}}", \
		"'" port "' is not a port from 1 to 65535 such as 80/tcp, 53/udp or 80")
	PORT("0");
	PORT("65536");
	PORT("");
	PORT("/tcp");
	PORT("80/");
	PORT("80/icmp");
	PORT("80/tcp/udp");
	PORT("+80");
	PORT("80-");
	PORT("-80");
	PORT("80-79");
	PORT("80-65536");
	PORT("80-81-82");
	PORT("http");
	rejects("ExposedPorts", "{\"80\":1}", "the value of '80' is not {}");

	passes("{\"Volumes\":{\"/a\":{},\"b\":null}}");
	rejects("Volumes", "{\"/\":{}}", "a volume cannot be mounted on the root");
	rejects("Volumes", "{\"/a\":{},\"\":{}}",
		"a volume cannot be mounted on the root");
	rejects("Volumes", "{\"/a\":[]}", "the value of '/a' is not {}");

	passes("{\"Labels\":{\"a\":\"\",\"\":\"b\"}}");
	rejects("Labels", "{\"a\":\"b\",\"c\":1}", "the value of 'c' is not a string");
	rejects("Labels", "{\"a\":null}", "the value of 'a' is not a string");

	passes("{\"WorkingDir\":\"\"}");
	passes("{\"WorkingDir\":\"/\"}");
	rejects("WorkingDir", "\"a\"", "'a' is not an absolute path");
	rejects("WorkingDir", "\"./a\"", "'./a' is not an absolute path");

	passes("{\"StopSignal\":\"\"}");
	passes("{\"StopSignal\":\"SIGTERM\"}");
	passes("{\"StopSignal\":\"term\"}");
	passes("{\"StopSignal\":\"1\"}");
	passes("{\"StopSignal\":\"64\"}");
	passes("{\"StopSignal\":\"SIGRTMIN\"}");
	passes("{\"StopSignal\":\"SIGRTMIN+15\"}");
	passes("{\"StopSignal\":\"RTMAX-1\"}");
#define SIGNAL(name)                          \
	rejects("StopSignal", "\"" name "\"", \
		"'" name "' is not a signal such as SIGTERM or 15")
	SIGNAL("0");
	SIGNAL("65");
	SIGNAL("-9");
	SIGNAL("SIG");
	SIGNAL("SIGSIGTERM");
	SIGNAL("SIGTERMS");
	SIGNAL("SIGRTMIN+16");
	SIGNAL("SIGRTMIN-1");
	SIGNAL("SIGRTMAX+1");
	SIGNAL(" TERM");
}

static void test_healthcheck(void)
{
	passes("{\"Healthcheck\":{}}");
	passes("{\"Healthcheck\":{\"Test\":[]}}");
	passes("{\"Healthcheck\":{\"Test\":[\"NONE\"]}}");
	passes("{\"Healthcheck\":{\"Test\":[\"CMD\",\"a\"],\"Interval\":0,\"Timeout\":"
	       "1000000,\"StartPeriod\":null,\"Retries\":0}}");
	passes("{\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"a b\"],\"Other\":1}}");
	rejects("Healthcheck", "{\"Test\":\"a\"}", "Test: not a list of strings");
	rejects("Healthcheck", "{\"Test\":[\"CMD\",1]}", "Test: not a list of strings");
	rejects("Healthcheck", "{\"Test\":[\"curl\"]}",
		"Test: begins with 'curl', not with CMD, CMD-SHELL or NONE");
	rejects("Healthcheck", "{\"Interval\":999999}",
		"Interval: not an integer of nanoseconds, at least 1000000 or 0");
	rejects("Healthcheck", "{\"Timeout\":-1}",
		"Timeout: not an integer of nanoseconds, at least 1000000 or 0");
	rejects("Healthcheck", "{\"StartInterval\":\"1s\"}",
		"StartInterval: not an integer of nanoseconds, at least 1000000 or 0");
	rejects("Healthcheck", "{\"Retries\":-1}", "Retries: not an integer from 0 on");
}

static void test_spelling(void)
{
	checks("{\"cmd\":[\"a\"],\"WORKINGDIR\":\"/\",\"x\":1}",
	       "{\"Cmd\":[\"a\"],\"WorkingDir\":\"/\",\"x\":1}",
	       "keys get their documented spelling, in the same order");
	checks("{\"exposedports\":{\"0\":{}}}",
	       "config: ExposedPorts: '0' is not a port from 1 to 65535 such as 80/tcp, "
	       "53/udp or 80",
	       "and are checked");
	checks("{\"Cmd\":[],\"cmd\":[]}", "config: Cmd: given twice, also as 'cmd'",
	       "a key in two spellings");
	checks("{\"X\":1,\"x\":2}", "{\"X\":1,\"x\":2}", "other keys may differ in case");
	checks("{\"Cmd\":\"a b\"}", "{\"Cmd\":[\"a b\"]}", "a command that is a string");
	checks("{\"Entrypoint\":\"\"}", "{\"Entrypoint\":[\"\"]}",
	       "an empty command is a string");
	checks("{\"entrypoint\":\"a\",\"User\":\"u\"}",
	       "{\"Entrypoint\":[\"a\"],\"User\":\"u\"}", "the order of keys stays");
}

static void test_docker(void)
{
	static const struct {
		const char *config;
		bool is_docker;
	} cases[] = {
	    {"{}", false},
	    {"{\"config\":null}", false},
	    {"{\"config\":{}}", false},
	    {"{\"config\":{\"Cmd\":[\"a\"],\"Env\":[\"A=1\"]}}", false},
	    {"{\"config\":{\"Healthcheck\":{\"Test\":[\"NONE\"]}}}", true},
	    {"{\"config\":{\"OnBuild\":[\"RUN a\"]}}", true},
	    {"{\"config\":{\"Shell\":[\"/bin/sh\"]}}", true},
	    {"{\"config\":{\"StopTimeout\":0}}", true},
	    {"{\"config\":{\"Healthcheck\":{},\"OnBuild\":[],\"Shell\":null}}", false},
	    {"{\"OnBuild\":[\"RUN a\"]}", false},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		json_t *doc = parse(cases[i].config);
		tap_ok(config_is_docker(doc) == cases[i].is_docker, cases[i].config);
		json_decref(doc);
	}
}

/* --- config_image --- */

/* A base with the configuration `base` and `config` make the configuration `want`. */
static void inherits(const char *base, const char *config, const char *want,
		     const char *what)
{
	json_t *base_doc = json_object(), *doc = parse(config), *none = json_array();

	if (base != NULL)
		json_object_set_new(base_doc, "config", parse(base));
	json_t *image = config_image(&(struct config_image){.base = base_doc,
							    .config = doc,
							    .diff_ids = none,
							    .history = none,
							    .created = "now"});
	is_json(json_object_get(image, "config"), want, what);
	is_json(doc, config, "its own configuration is unchanged");
	if (base != NULL)
		is_json(json_object_get(base_doc, "config"), base, "and the base's");
	json_decref(image);
	json_decref(base_doc);
	json_decref(doc);
	json_decref(none);
}

static void test_inherit(void)
{
	inherits(NULL, "{\"Cmd\":[\"a\"]}", "{\"Cmd\":[\"a\"]}", "no base");
	inherits("null", "{\"Cmd\":[\"a\"]}", "{\"Cmd\":[\"a\"]}", "a base with null");
	inherits("{\"Cmd\":[\"a\"],\"x\":1}", "{}", "{\"Cmd\":[\"a\"],\"x\":1}",
		 "all keys of the base");

	inherits("{\"Env\":[\"A=1\",\"B=2\",\"C=3\"]}",
		 "{\"Env\":[\"D=4\",\"B=5=\",\"C=\"]}",
		 "{\"Env\":[\"A=1\",\"B=5=\",\"C=\",\"D=4\"]}",
		 "variables are replaced in their place");
	inherits("{\"Env\":[\"A=1\"]}", "{\"Env\":[\"AB=2\",\"a=3\"]}",
		 "{\"Env\":[\"A=1\",\"AB=2\",\"a=3\"]}", "other names are other ones");
	inherits("{\"Env\":[\"A\",\"B=2\",\"C\"]}", "{\"Env\":[\"A=1\"]}",
		 "{\"Env\":[\"A=1\",\"B=2\",\"C\"]}", "a base may lack the '='");
	inherits("{\"Env\":[\"A=1\",\"A=2\"]}", "{\"Env\":[\"B=3\",\"B=4\"]}",
		 "{\"Env\":[\"A=2\",\"B=4\"]}", "the last of equal names counts");
	inherits("{\"Env\":[\"A=1\"]}", "{\"Env\":[]}", "{\"Env\":[\"A=1\"]}",
		 "no own variables");
	inherits("{\"Env\":[\"A=1\"]}", "{}", "{\"Env\":[\"A=1\"]}", "no Env");
	inherits("{}", "{\"Env\":[\"B=1\",\"A=2\"]}", "{\"Env\":[\"B=1\",\"A=2\"]}",
		 "no variables of the base");
	inherits("{\"Env\":null}", "{\"Env\":[\"A=2\"]}", "{\"Env\":[\"A=2\"]}",
		 "or null");

	inherits("{\"Labels\":{\"b\":\"1\",\"a\":\"2\"}}",
		 "{\"Labels\":{\"c\":\"3\",\"b\":\"4\"}}",
		 "{\"Labels\":{\"b\":\"4\",\"a\":\"2\",\"c\":\"3\"}}",
		 "labels are united, and own values win");
	inherits("{\"Volumes\":{\"/a\":{}}}", "{\"Volumes\":{\"/b\":{},\"/a\":{}}}",
		 "{\"Volumes\":{\"/a\":{},\"/b\":{}}}", "volumes are united");
	inherits("{\"ExposedPorts\":{\"80\":{}}}", "{\"ExposedPorts\":{\"80/tcp\":{}}}",
		 "{\"ExposedPorts\":{\"80\":{},\"80/tcp\":{}}}", "ports are united");
	inherits("{\"Labels\":{\"a\":\"1\"}}", "{\"Labels\":{}}",
		 "{\"Labels\":{\"a\":\"1\"}}", "no own labels");
	inherits("{\"Labels\":null}", "{\"Labels\":{\"a\":\"1\"}}",
		 "{\"Labels\":{\"a\":\"1\"}}", "no labels of the base");

	inherits("{\"Entrypoint\":[\"e\"],\"Cmd\":[\"c\"]}", "{\"Entrypoint\":[\"f\"]}",
		 "{\"Entrypoint\":[\"f\"]}", "a new entrypoint removes the base's Cmd");
	inherits("{\"Entrypoint\":[\"e\"],\"Cmd\":[\"c\"]}", "{\"Cmd\":[\"d\"]}",
		 "{\"Entrypoint\":[\"e\"],\"Cmd\":[\"d\"]}",
		 "a new Cmd keeps the entrypoint");
	inherits("{\"Cmd\":[\"c\"]}", "{\"Entrypoint\":[\"f\"],\"Cmd\":[\"d\"]}",
		 "{\"Entrypoint\":[\"f\"],\"Cmd\":[\"d\"]}", "both are new");
	inherits("{\"OnBuild\":[\"RUN a\"],\"User\":\"u\"}", "{}", "{\"User\":\"u\"}",
		 "OnBuild is not inherited");
	inherits("{\"OnBuild\":[\"RUN a\"]}", "{\"OnBuild\":[\"RUN b\"]}",
		 "{\"OnBuild\":[\"RUN b\"]}", "but may be set");
	inherits("{\"User\":\"u\",\"Healthcheck\":{\"Test\":[\"NONE\"],\"Retries\":1}}",
		 "{\"User\":\"\",\"Healthcheck\":{\"Retries\":2}}",
		 "{\"User\":\"\",\"Healthcheck\":{\"Retries\":2}}",
		 "other keys are replaced");
}

static void test_env_only(void)
{
	json_t *base = parse("{\"config\":{\"Env\":[\"A=1\",\"B=2\"],\"Cmd\":[\"c\"],"
			     "\"Labels\":{\"a\":\"1\"}}}");
	json_t *config = parse("{\"Env\":[\"B=3\"],\"Labels\":{\"b\":\"2\"}}");
	json_t *none = json_array();
	json_t *image = config_image(&(struct config_image){.base = base,
							    .config = config,
							    .env_only = true,
							    .diff_ids = none,
							    .history = none,
							    .created = "now"});

	is_json(json_object_get(image, "config"),
		"{\"Env\":[\"A=1\",\"B=3\"],\"Labels\":{\"b\":\"2\"}}", "only Env");
	json_decref(image);
	json_decref(none);
	json_decref(config);
	json_decref(base);
}

static void is_image(const char *base, const struct config_image *parts, const char *want,
		     const char *what)
{
	struct config_image all = *parts;
	json_t *base_doc = base != NULL ? parse(base) : NULL, *config = parse("{}");
	json_t *diff_ids = parse("[\"sha256:n\"]"),
	       *history = parse("[{\"comment\":\"n\"}]");

	all.base = base_doc;
	all.config = config;
	all.diff_ids = diff_ids;
	all.history = history;
	all.created = "now";
	json_t *image = config_image(&all);
	is_json(image, want, what);
	if (base != NULL)
		is_json(base_doc, base, "the base is unchanged");
	is_json(diff_ids, "[\"sha256:n\"]", "its layers are unchanged");
	is_json(history, "[{\"comment\":\"n\"}]", "its history is unchanged");
	json_decref(image);
	json_decref(base_doc);
	json_decref(config);
	json_decref(diff_ids);
	json_decref(history);
}

static void test_image(void)
{
#define NEW "\"sha256:n\"]}"
	is_image(NULL, &(struct config_image){.arch = "arm", .variant = "v7"},
		 "{\"created\":\"now\",\"architecture\":\"arm\",\"variant\":\"v7\","
		 "\"os\":\"linux\",\"config\":{},\"rootfs\":{\"type\":\"layers\","
		 "\"diff_ids\":[" NEW ",\"history\":[{\"comment\":\"n\"}]}",
		 "an image without a base");
	is_image("{\"architecture\":\"arm\",\"variant\":\"v7\",\"os\":\"plan9\","
		 "\"os.version\":\"1\",\"author\":\"A\",\"created\":\"then\","
		 "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:b\"]},"
		 "\"history\":[{\"empty_layer\":true},{\"comment\":\"b\"}],\"x\":1}",
		 &(struct config_image){0},
		 "{\"created\":\"now\",\"author\":\"A\",\"architecture\":\"arm\","
		 "\"variant\":\"v7\",\"os\":\"plan9\",\"os.version\":\"1\",\"config\":{},"
		 "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:b\"," NEW
		 ",\"history\":[{\"empty_layer\":true},{\"comment\":\"b\"},{\"comment\":"
		 "\"n\"}]}",
		 "the platform, the layers and the history of the base");
	is_image("{\"architecture\":\"arm\",\"variant\":\"v7\",\"os\":\"plan9\"}",
		 &(struct config_image){.arch = "amd64", .variant = "", .os = "linux"},
		 "{\"created\":\"now\",\"architecture\":\"amd64\",\"os\":\"linux\","
		 "\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[" NEW
		 ",\"history\":[{\"comment\":\"n\"}]}",
		 "another platform removes the variant");

	/* A history that does not fit the layers. */
	static const char *const histories[] = {
	    "",
	    ",\"history\":null",
	    ",\"history\":[]",
	    ",\"history\":[{}]",
	    ",\"history\":[{},{},{}]",
	    ",\"history\":[{},{\"empty_layer\":true}]",
	    ",\"history\":[{},1]",
	};
	for (size_t i = 0; i < sizeof histories / sizeof *histories; i++) {
		char base[256], what[128];
		snprintf(base, sizeof base,
			 "{\"created\":\"then\",\"rootfs\":{\"diff_ids\":[\"sha256:a\","
			 "\"sha256:b\"]}%s}",
			 histories[i]);
		snprintf(what, sizeof what, "a history of 2 layers instead of '%s'",
			 histories[i]);
		is_image(
		    base, &(struct config_image){0},
		    "{\"created\":\"now\",\"os\":\"linux\",\"config\":{},\"rootfs\":"
		    "{\"type\":\"layers\",\"diff_ids\":[\"sha256:a\",\"sha256:b\"," NEW
		    ",\"history\":[{\"created\":\"then\"},{\"created\":\"then\"},"
		    "{\"comment\":\"n\"}]}",
		    what);
	}

	json_t *entry = config_history("now", "text");
	is_json(entry, "{\"created\":\"now\",\"comment\":\"text\"}", "an entry");
	json_decref(entry);
	entry = config_history("now", "");
	is_json(entry, "{\"created\":\"now\"}", "an empty comment is omitted");
	json_decref(entry);
}

/* --- config_fit --- */

/* "store paths: ['/p0000000', ...]" with `n` paths of 9 bytes. */
static void list_paths(struct buf *out, unsigned n, const char *last)
{
	buf_clear(out);
	buf_addstr(out, "store paths: [");
	for (unsigned i = 0; i < n; i++)
		buf_addf(out, "%s'/p%07u'", i > 0 ? ", " : "", i);
	buf_addf(out, "%s]", last);
}

/* An image configuration with two comments and `ballast` more bytes. */
static json_t *image_with(const char *comment, const char *other, size_t ballast)
{
	json_t *doc = json_object(), *history = json_array();
	char *text = malloc(ballast);

	memset(text, 'x', ballast);
	json_array_append_new(history, config_history("now", comment));
	json_array_append_new(history, config_history("now", other));
	json_object_set_new(doc, "history", history);
	json_object_set_new(doc, "ballast", json_stringn(text, ballast));
	free(text);
	return doc;
}

static const char *comment_of(const json_t *doc, size_t i)
{
	return json_string_at(json_array_get(json_object_get(doc, "history"), i),
			      "comment");
}

static size_t size_of(const json_t *doc)
{
	struct buf text = {0};

	json_write(doc, &text);
	size_t size = text.len;
	buf_release(&text);
	return size;
}

/* Counts the paths of a list, and reads N of its end ", and N more]". */
static bool count(const char *comment, unsigned *kept, unsigned *more)
{
	const char *end = strstr(comment, ", and ");
	char *rest;

	*kept = 0;
	for (const char *p = comment; (p = strchr(p, '/')) != NULL; p++)
		++*kept;
	if (end == NULL)
		return false;
	*more = (unsigned)strtoul(end + strlen(", and "), &rest, 10);
	return strcmp(rest, " more]") == 0;
}

static void test_fit(void)
{
	enum { PATHS = 4000, ROOM = 10000 };
	struct buf list = {0}, text = {0};
	struct err e;
	unsigned kept = 0, more = 0;

	list_paths(&list, PATHS, "");
	json_t *doc = image_with(list.data, list.data, JSON_LIMIT / 2);
	tap_int(config_fit(doc, &e), 0, "a configuration of less than 4 MiB");
	tap_is(comment_of(doc, 0), list.data, "stays");
	json_decref(doc);

	doc = image_with(list.data, "a comment", JSON_LIMIT - ROOM);
	json_t *shared = json_incref(json_array_get(json_object_get(doc, "history"), 0));
	tap_ok(size_of(doc) > JSON_LIMIT, "a configuration of more than 4 MiB");
	tap_int(config_fit(doc, &e), 0, "is made to fit");
	tap_ok(size_of(doc) <= JSON_LIMIT, "into 4 MiB");
	tap_ok(count(comment_of(doc, 0), &kept, &more),
	       "its list says how many paths are omitted");
	tap_int(kept + more, PATHS, "which are all but those that it keeps");
	tap_ok(kept > 100, "which are not few");
	list_paths(&text, kept, "");
	text.data[text.len - 1] = '\0';
	tap_ok(strncmp(comment_of(doc, 0), text.data, text.len - 1) == 0,
	       "they are the first");
	tap_is(comment_of(doc, 1), "a comment", "another comment stays");
	tap_is(json_string_at(shared, "comment"), list.data,
	       "an entry of the base is unchanged");
	json_decref(shared);
	json_decref(doc);

	list_paths(&list, PATHS, ", and 5 more");
	doc = image_with(list.data, "", JSON_LIMIT - ROOM);
	tap_int(config_fit(doc, &e), 0, "a list that was shortened before");
	tap_ok(count(comment_of(doc, 0), &kept, &more) && kept + more == PATHS + 5,
	       "counts these paths, too");
	json_decref(doc);

	memset(list.data, 'x', list.len);
	doc = image_with(list.data, "", JSON_LIMIT - ROOM);
	tap_ok(config_fit(doc, &e) < 0, "another comment cannot be shortened");
	tap_ok(strstr(e.text, "at most 4194304") != NULL, "which is said");
	json_decref(doc);
	buf_release(&list);
	buf_release(&text);
}

int main(void)
{
	test_types();
	test_values();
	test_healthcheck();
	test_spelling();
	test_docker();
	test_inherit();
	test_env_only();
	test_image();
	test_fit();
	return tap_done();
}
