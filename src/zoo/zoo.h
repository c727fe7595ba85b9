/* zoo.h - networks by name, with fresh weights: one file per family, rows of a list. */
#ifndef TENREC_ZOO_ZOO_H
#define TENREC_ZOO_ZOO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "graph/graph.h"

struct net;

struct zoo_options {
    int64_t classes;                 /* 0: as the row has it */
    int64_t channels, height, width; /* of the input; 0: as the row has it, -1: any (height and width) */
    uint64_t seed;
    bool bare; /* parameters without content: for who asks for names and shapes only; never run such a graph */
};

struct zoo_model {
    const char *name, *doc, *task;
    int64_t classes, channels, height, width; /* defaults */
    /* x (N, channels, height, width) to the output */
    struct value *(*build)(struct net *n, struct value *x, const struct zoo_model *m, const struct zoo_options *o);
    int variant; /* of the family */
};

const struct zoo_model *zoo_at(size_t i);                          /* NULL past the end */
const struct zoo_model *zoo_find(const char *name, struct err *e); /* ERR_USAGE with a did-you-mean */
/* `o` is completed with the row's defaults. Parameters have the names that torchvision gives them where it has the
 * network, and are drawn as PyTorch draws them, from `seed`. ERR_SHAPE where the input does not fit. */
struct graph *zoo_new(const struct zoo_model *m, struct zoo_options *o, struct arena *a, struct err *e);

#endif
