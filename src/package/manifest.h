/* manifest.h - the manifest of a package: what goes in, what comes out, how images become inputs and
 * outputs answers, labels, where it came from, checksums. A JSON object; keys it does not know are kept and
 * shown, never acted upon.
 *
 *  *   format, format_version, name, version, task, license, description
 *   graph {file}, weights {file, dtype, parameters}
 *   inputs  [{name, datatype, shape (-1: free), dims [names], kind image|tensor, preprocess [steps]}]
 *   outputs [{name, datatype, shape, dims, postprocess [steps], labels {file, count}}]
 *   examples [{id, inputs, outputs, made_by, rtol}]
 *   provenance {source {file, format, sha256, producer}, imported_by}, guessed [..], files [{path, size, sha256}]
 */
#ifndef TENREC_PACKAGE_MANIFEST_H
#define TENREC_PACKAGE_MANIFEST_H

#include <jansson.h>

#include "package/labels.h"

struct graph;
struct value;
struct report;

#define MANIFEST_FORMAT "tenrec-model"
enum { MANIFEST_VERSION = 1 };

struct manifest_options {
    const char *name;         /* of the package; NULL: from the path */
    const char *task;         /* NULL: guessed from the shapes */
    const char *like;         /* a preset of preprocessing; NULL: none unless something describes it */
    const json_t *preprocess; /* steps for the first image input, stronger than `like`; NULL: none */
    const struct labels *labels;
    const char *const *set; /* STEP.PARAMETER=VALUE */
    size_t n_set;
};

/* A manifest for a graph just read from `path`; what had to be guessed is said in the report and in
 * `guessed`. The result is owned by the arena. */
int manifest_make(json_t **out, struct arena *a, const struct graph *g, const char *path, const char *format,
    const struct manifest_options *o, struct report *r, struct err *e);
/* Checks the magic, the version and the kinds of all fields that are used. ERR_MODEL. */
int manifest_check(const json_t *m, const char *path, struct err *e);
/* The labels of the output `v`, whose entry is `port`; a count that does not fit is a warning. */
void manifest_label(json_t *port, const struct value *v, const struct labels *l, struct report *r);
/* The entry of the input or output `name` ("inputs", "outputs"); NULL if there is none. */
json_t *manifest_port(const json_t *m, const char *list, const char *name);
/* Applies STEP.PARAMETER=VALUE to the first input that has such a step, or to the outputs. ERR_USAGE. */
int manifest_set(json_t *m, const char *assignment, struct err *e);

#endif
