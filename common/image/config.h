/*
 * config: check image configurations, and derive one from a base image's.
 *
 * An image configuration is the JSON document whose digest is the image ID. Its object
 * "config" has what an engine needs to run a container: Cmd, Env, User and the like. A
 * tool checks the user's "config" first, then lets it inherit the base image's:
 *
 *	if (config_check(config, &e) < 0)
 *		die("%s", e.text);
 *	doc = config_image(&(struct config_image){.base = base, .config = config, ...});
 *	if (config_fit(doc, &e) < 0)
 *		die("%s", e.text);
 *
 * Specification: OCI image specification, config.md, "Properties". The fields that Docker
 * adds to it are supported too.
 */
#ifndef DT_CONFIG_H
#define DT_CONFIG_H

#include "base/json.h"

#include <stdbool.h>

struct err;

/*
 * Checks the types and values of all documented keys of a "config". Docker rejects a
 * wrong type when it loads the image, but some wrong values only when it runs the image.
 *
 * Two things are changed in place. A documented key in another case gets its documented
 * spelling, because Docker accepts both. A Cmd or Entrypoint that is a string becomes an
 * array of that string.
 *
 * Returns 0, or -1 and a reason of the form "config: KEY: reason".
 */
int config_check(json_t *config, struct err *e);

/*
 * Whether the "config" of an image configuration has values that only Docker defines:
 * Healthcheck, OnBuild, Shell or StopTimeout. A program that reads the configuration by
 * its OCI media type drops these values.
 */
bool config_is_docker(const json_t *image);

/*
 * Returns a new entry of an image's history, a new reference. `comment` must be UTF-8; an
 * empty one is omitted.
 */
json_t *config_history(const char *created, const char *comment);

/*
 * The parts of an image configuration. All of them stay owned by the caller and
 * unchanged.
 */
struct config_image {
	json_t *base;               /* the base image's configuration, or NULL */
	const json_t *config;       /* the new "config", which inherits the base's */
	bool env_only;              /* it inherits only Env */
	json_t *diff_ids;           /* of the layers on top of the base's: "sha256:HEX" */
	json_t *history;            /* one entry for each element of diff_ids */
	const char *created;        /* RFC 3339 */
	const char *arch, *variant; /* if `arch` is NULL: the base's */
	const char *os;             /* if NULL: the base's, else linux */
};

/*
 * Makes an image configuration, with its keys in the order of config.md. Returns a new
 * reference.
 *
 * The new "config" inherits the base's as FROM does in a Dockerfile:
 *
 *   - Env is merged by variable name, in the base's order.
 *   - Labels, Volumes and ExposedPorts are united.
 *   - A new Entrypoint removes the base's Cmd.
 *   - OnBuild is not inherited.
 *   - Every other key replaces the base's.
 *
 * With `env_only` it inherits Env, in the same way, and no other key.
 *
 * The base's history is kept if it has one entry for each of the base's layers, besides
 * entries that are marked as empty. Otherwise a new entry is made for each layer.
 */
json_t *config_image(const struct config_image *parts);

/*
 * Makes the image configuration `doc` fit into JSON_LIMIT, which other readers impose
 * too. If it is larger, the long comments "store paths: ['PATH', ...]" in its history are
 * shortened to "store paths: ['PATH', and N more]". No program reads these comments.
 *
 * Returns 0, or -1 and a reason if the document is still too large, or is nested too
 * deeply to be read.
 */
int config_fit(json_t *doc, struct err *e);

#endif
