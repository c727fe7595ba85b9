/* forest.h - decision trees of ai.onnx.ml while they are put in order. */
#ifndef TENREC_FORMAT_ONNX_FOREST_H
#define TENREC_FORMAT_ONNX_FOREST_H

#include "format/onnx/lift.h"

/* Nodes as a file has them, children by index into the same list. */
struct forest_node {
    int64_t feature, mode; /* enum tree_mode, with TREE_MISSING */
    double value;
    int64_t yes, no; /* children; of a leaf the range of its weights */
};
struct forest {
    struct lift *l;
    struct forest_node *nodes;
    int64_t n, n_roots, n_weights;
    int64_t *roots;
    const int64_t *targets;
    const double *weights;
    bool as_double;
};

/* Scores (rows, n_targets) of x. Errors: children that are not there, circles. */
struct value *forest_emit(struct forest *f, struct value *x, const char *aggregate, int64_t n_targets, struct err *e);
/* ai.onnx.ml's post_transform of scores; `name` may be NULL. */
struct value *ml_transformed(struct lift *l, struct value *scores, const char *name, struct err *e);
/* The label of each index: an int64 tensor, or one of texts, from attributes `ints` or `texts` of the node. */
/* A list attribute as a constant of numbers of type t or of texts; NULL when it is absent. */
struct value *ml_list(struct lift *l, const char *name, enum dtype t, struct err *e);
struct value *ml_labels(struct lift *l, struct value *index, const char *ints, const char *texts, struct err *e);

#endif
