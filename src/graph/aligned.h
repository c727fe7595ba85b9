/* aligned.h - tensors whose elements lie anywhere in a file, and their content where kernels may read it. */
#ifndef TENREC_GRAPH_ALIGNED_H
#define TENREC_GRAPH_ALIGNED_H

#include "graph/tensor.h"

/* Whether the elements lie at multiples of their size (of 8 bytes, for larger ones). A weight need not: it may lie in
 * a mapped file wherever that has it. load_f64() and its like, memcpy() and writers take it as it is; kernels do not:
 * plans hand them tensor_aligned() or a packed form of it. */
bool tensor_is_aligned(const struct tensor *t);
/* The elements are about to be read, if they lie in a file. ERR_IO: it has become shorter since it was mapped. */
int tensor_fetch(const struct tensor *t, struct err *e);
/* Copies the elements; the pages of a file are given back as they are copied. ERR_IO as above. */
int tensor_copy_content(const struct tensor *t, void *to, struct err *e);
/* The tensor itself, or where it is not aligned a copy whose memory belongs to `a`. NULL with the error. */
const struct tensor *tensor_aligned(struct arena *a, const struct tensor *t, struct err *e);

#endif
