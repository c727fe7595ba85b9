/* postprocess.h - from a model's output to an answer: a list of named steps, data and never code.
 *
 *   classification:  [{"op": "softmax", "axis": 1}, {"op": "top_k", "k": 5}]
 *                    [{"op": "sigmoid"}, {"op": "two_classes"}, {"op": "top_k", "k": 2}] for one number that is the
 *                    probability of the second of two classes
 *   segmentation:    [{"op": "argmax", "axis": 1}, {"op": "resize_to_original", "interpolation": "nearest"}]
 *   detection:       [{"op": "boxes", "form": "separate", "scores": "scores", "labels": "labels"}],
 *                    and [{"op": "omit"}] at the outputs that it reads beside its own (data/boxes.h)
 *
 * It works on one sample at a time, so that an answer never depends on its neighbours in a batch.
 */
#ifndef TENREC_DATA_POSTPROCESS_H
#define TENREC_DATA_POSTPROCESS_H

#include <jansson.h>

#include "data/boxes.h"

enum answer_kind { ANSWER_TENSOR, ANSWER_CLASSES, ANSWER_MASK, ANSWER_BOXES, ANSWER_NONE };

struct answer {
    enum answer_kind kind;
    struct tensor tensor; /* ANSWER_TENSOR: (1, ...) as the steps left it */
    int64_t n;            /* ANSWER_CLASSES, ANSWER_BOXES: best first */
    int64_t *index;       /* (n) the class */
    double *score;        /* (n) */
    double *box;          /* ANSWER_BOXES: (n, 4) left, top, right, bottom in pixels of the sample's image */
    int width, height;    /* ANSWER_MASK, ANSWER_BOXES: of the image; 0: the sample was none */
    int32_t *labels;      /* ANSWER_MASK: (height, width) */
};

struct postprocess_step;
struct postprocess {
    struct postprocess_step *steps;
    size_t n;
};

int postprocess_parse(struct postprocess *p, struct arena *a, const json_t *list, const char *where, struct err *e);
/* Of output `at` of one sample. The answer lies in the arena. */
int postprocess_run(const struct postprocess *p, struct arena *a, const struct outputs *outputs, size_t at,
    const struct provenance *from, struct answer *answer, struct err *e);
/* The usual steps for a task ("image-classification", "image-segmentation", else none) and an output that has its
 * classes along `axis`. A new reference. */
json_t *postprocess_for_task(const char *task, int64_t classes, int axis);

#endif
