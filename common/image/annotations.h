/*
 * annotations: the annotations of image manifests.
 *
 * An annotation describes an image to people and registries, for example its sources or
 * its license. Annotations are an object of strings in the image's manifest. Labels are
 * such an object in the image's configuration, where engines find them.
 *
 *	json_t *own = annotations_read(file, &e);
 *	if (own == NULL)
 *		die("%s", e.text);
 *	json_t *notes = annotations_of_image(own, config);
 *
 * Specification: OCI image specification, annotations.md.
 */
#ifndef DT_ANNOTATIONS_H
#define DT_ANNOTATIONS_H

#include "base/json.h"

struct err;

/*
 * Reads a JSON object of annotations from a file. Returns a new reference, or NULL and a
 * reason.
 */
json_t *annotations_read(const char *file, struct err *e);

/*
 * The annotations of an image with this configuration: `own`, and those of its labels
 * whose keys begin with "org.opencontainers.image.". For a key of both, the value in
 * `own` counts. The specification reserves the key "org.opencontainers.image.ref.name"
 * for index.json, so that label is left out. Returns a new reference.
 */
json_t *annotations_of_image(json_t *own, const json_t *config);

/*
 * The annotations in a manifest, a new object, which is empty if there are none. Values
 * that are not strings are left out.
 */
json_t *annotations_of_manifest(const json_t *manifest);

#endif
