/*
 * config: the "config" object of an image: Cmd, Env and the like. Level 5.
 *
 * OCI image specification, config.md, "Properties", and Docker's additions to it.
 */
#ifndef DT_CONFIG_H
#define DT_CONFIG_H

#include "json.h"

struct err;

/*
 * Refuses what Docker would refuse: no object, values of the wrong type. A Cmd or
 * Entrypoint that is one string is made a list of it. Returns 0, or -1 and why not.
 */
int config_check(json_t *config, struct err *e);

/*
 * What FROM does in a Dockerfile: Env is merged by name, in the base's order; Labels,
 * Volumes and ExposedPorts are united; a new Entrypoint drops the base's Cmd; OnBuild is
 * not handed on; the rest is replaced key by key. `base` may be NULL or null. Returns a
 * new reference.
 */
json_t *config_inherit(const json_t *base, const json_t *config);

#endif
