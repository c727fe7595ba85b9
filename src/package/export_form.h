/* export_form.h - the form in which a graph leaves: names, sizes, folding, images prepared inside, metadata. */
#ifndef TENREC_PACKAGE_EXPORT_FORM_H
#define TENREC_PACKAGE_EXPORT_FORM_H

#include "data/image_ops.h"
#include "package/model.h"

struct export_form {
    const char *const *rename; /* OLD=NEW, of inputs and outputs */
    size_t n_rename;
    const struct import_hint *shapes; /* of inputs: numbers fix a dimension, letters leave it open */
    size_t n_shapes;
    bool fold;       /* compute what depends on weights alone: nothing can be trained in the file any more */
    bool processing; /* raw images in, (N, H, W, C) of uint8; probabilities and classes out */
    struct extent images; /* their size, for resizing inside; 0: what the model sees, and resizing stays outside */
};

/* Changes `g`, a copy of the model's graph. Tells in `r` what stays outside. ERR_USAGE for names and shapes that do not
 * fit, ERR_UNSUPPORTED naming the step that cannot be said. */
int export_form_apply(
    struct graph *g, const struct model *m, const struct export_form *f, struct report *r, struct err *e);

/* process.c: the manifest's steps around the graph. */
int process_inside(
    struct graph *g, const json_t *manifest, struct extent images, struct report *r, struct err *e);

#endif
