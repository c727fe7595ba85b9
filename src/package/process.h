/* process.h - steps that become nodes: what process.c and process_size.c share. */
#ifndef TENREC_PACKAGE_PROCESS_H
#define TENREC_PACKAGE_PROCESS_H

#include <jansson.h>

#include "data/image_ops.h"
#include "graph/builder.h"

struct report;

struct process {
    struct builder *b;
    struct report *report;
    struct value *v;
    const json_t *step;
    struct extent at; /* size of the images by now; 0: it is the model's, and sizes are made outside */
    bool outside;     /* told already that they are */
};

const char *process_text(const struct process *p, const char *key, const char *otherwise);
double process_number(const struct process *p, const char *key, double otherwise);

/* process_size.c: resize, center_crop and pad, with the bits of data/preprocess.c; ERR_UNSUPPORTED for a resize that is
 * not Pillow's. p->at is what it was, and becomes what it is then. */
int process_size(struct process *p);

#endif
