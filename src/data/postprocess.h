/* postprocess.h - from a model's output to an answer: a list of named steps, data and never code.
 *
 *   classification:  [{"op": "softmax", "axis": 1}, {"op": "top_k", "k": 5}]
 *   segmentation:    [{"op": "argmax", "axis": 1}, {"op": "resize_to_original", "interpolation": "nearest"}]
 *
 * It works on one sample at a time, so that an answer never depends on its neighbours in a batch.
 */
#ifndef TENREC_DATA_POSTPROCESS_H
#define TENREC_DATA_POSTPROCESS_H

#include <jansson.h>

#include "data/preprocess.h"

enum answer_kind { ANSWER_TENSOR, ANSWER_CLASSES, ANSWER_MASK };

struct answer {
    enum answer_kind kind;
    struct tensor tensor; /* ANSWER_TENSOR: (1, ...) as the steps left it */
    int64_t n;            /* ANSWER_CLASSES: best first */
    int64_t *index;
    double *score;
    int width, height; /* ANSWER_MASK: labels (height, width) */
    int32_t *labels;
};

struct postprocess_step;
struct postprocess {
    struct postprocess_step *steps;
    size_t n;
};

int postprocess_parse(struct postprocess *p, struct arena *a, const json_t *list, const char *where, struct err *e);
/* `out` is one sample of a model's output, (1, ...). The answer lies in the arena. */
int postprocess_run(const struct postprocess *p, struct arena *a, const struct tensor *out,
    const struct provenance *from, struct answer *answer, struct err *e);
/* The usual steps for a task ("image-classification", "image-segmentation", else none) and an output that has its
 * classes along `axis`. A new reference. */
json_t *postprocess_for_task(const char *task, int64_t classes, int axis);

#endif
