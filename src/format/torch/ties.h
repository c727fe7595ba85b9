/* ties.h - weights that a module has in several places. */
#ifndef TENREC_FORMAT_TORCH_TIES_H
#define TENREC_FORMAT_TORCH_TIES_H

#include "format/torch/eval.h"

/* Once v->root is bound: puts their further keys into the graph (format/weights/ties.h). */
int ties_collect(struct eval *v);

#endif
