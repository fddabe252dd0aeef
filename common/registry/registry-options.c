#include "registry/registry.h"

#include "base/err.h"
#include "base/num.h"
#include "base/sandbox.h"
#include "image/reference.h"
#include "registry/credentials.h"

#include <string.h>

enum { TIMEOUT = 60, TIMEOUT_MAX = 86400, RETRIES = 4, RETRIES_MAX = 20 };

void registry_options_init(struct registry_options *o)
{
	*o = (struct registry_options){
	    .verify = true, .timeout = TIMEOUT, .retries = RETRIES};
}

bool registry_option(struct registry_options *o, int key, const char *value)
{
	switch (key) {
	case REGISTRY_OPT_RETRIES:
		o->retries = (unsigned)num_option("retries", value, 0, RETRIES_MAX);
		return true;
	case REGISTRY_OPT_TIMEOUT:
		o->timeout = (unsigned)num_option("timeout", value, 1, TIMEOUT_MAX);
		return true;
	case REGISTRY_OPT_TLS_VERIFY:
		o->verify = strcmp(value, "true") == 0;
		if (!o->verify && strcmp(value, "false") != 0)
			die_usage("--tls-verify takes false or true, not '%s'", value);
		return true;
	default:
		return false;
	}
}

enum { PORT_DNS = 53, PORT_HTTP = 80, PORT_HTTPS = 443 };

/* Whether HOST[:PORT][/PATH] has a port. An IPv6 address is in brackets. */
static bool has_port(const char *name)
{
	const char *bracket = strchr(name, ']');
	const char *host = bracket != NULL ? bracket : name;

	return host[strcspn(host, ":/")] == ':';
}

static void list_file(void *arg, const char *file)
{
	sandbox_read(arg, file);
}

void registry_sandbox(struct sandbox *s, const struct reference *ref,
		      const struct registry_options *o)
{
	s->has_network = true;
	s->has_any_port = has_port(ref->host) || http_has_proxy() ||
			  (o->mirror != NULL && has_port(o->mirror));
	sandbox_port(s, PORT_HTTPS);
	sandbox_port(s, PORT_DNS);
	if (!o->verify)
		sandbox_port(s, PORT_HTTP);
	credentials_files(list_file, s);
	s->spawn = credentials_helper;
}
