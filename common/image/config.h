/*
 * config: the configuration of an image, and the "config" in it: Cmd, Env and the like.
 *
 * OCI image specification, config.md, "Properties", and Docker's additions to it.
 */
#ifndef DT_CONFIG_H
#define DT_CONFIG_H

#include "base/json.h"

#include <stdbool.h>

struct err;

/*
 * Checks the types and values of all documented keys: Docker refuses a wrong type when it
 * loads the image, and some wrong values only when it runs it. Documented keys in another
 * case, which Docker takes, are spelled as documented; a Cmd or Entrypoint that is one
 * string becomes a list of it. Returns 0, or -1 and why not: "config: KEY: reason".
 */
int config_check(json_t *config, struct err *e);

/*
 * Whether the "config" of an image configuration has values that the OCI image
 * specification does not define and engines use: Healthcheck, OnBuild, Shell,
 * StopTimeout. A program that reads the configuration by its OCI media type drops them.
 */
bool config_is_docker(const json_t *image);

/* An entry of an image's history; `comment`, UTF-8, may be empty. A new reference. */
json_t *config_history(const char *created, const char *comment);

/* What an image configuration is made of. Nothing is taken over or changed. */
struct config_image {
	json_t *base;               /* the base image's, or NULL */
	const json_t *config;       /* the new "config", which inherits the base's */
	json_t *diff_ids;           /* of the layers on top of the base's, "sha256:HEX" */
	json_t *history;            /* an entry for each of them */
	const char *created;        /* RFC 3339 */
	const char *arch, *variant; /* `arch` NULL: the base's */
	const char *os;             /* NULL: the base's, else linux */
};

/*
 * The image configuration, keys in the order in which config.md has them. Its "config"
 * inherits the base's as FROM does in a Dockerfile: Env is merged by name, in the base's
 * order; Labels, Volumes and ExposedPorts are united; a new Entrypoint drops the base's
 * Cmd; OnBuild is not handed on; the rest is replaced key by key. The base's
 * history is kept if it fits the base's layers; else there is an entry for each of them.
 * Returns a new reference.
 */
json_t *config_image(const struct config_image *parts);

/*
 * Makes the image configuration `doc` fit into JSON_LIMIT, which every reader demands.
 * If it is larger, those comments of its history that are long lists of store paths,
 * "store paths: ['PATH', ...]", are shortened to "store paths: ['PATH', and N more]".
 * Nothing reads them but people. Returns 0, or -1 if it is still too large.
 */
int config_fit(json_t *doc, struct err *e);

#endif
