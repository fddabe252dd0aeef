#include "registry/registry.h"

#include "base/err.h"
#include "base/num.h"

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
