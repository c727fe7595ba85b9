/* npy_tensor.h - NumPy's arrays as tensors and back. */
#ifndef TENREC_GRAPH_NPY_TENSOR_H
#define TENREC_GRAPH_NPY_TENSOR_H

#include "enc/npy.h"
#include "graph/tensor.h"

/* A row-major copy in the arena. ERR_DATA for element kinds that have no tensor type and ranks past SHAPE_MAX. */
int tensor_from_npy(struct tensor **out, struct arena *a, const struct npy *array, const char *path, struct err *e);
/* The same without copying, where the array's order and alignment allow: the bytes must outlive the tensor. */
int tensor_view_npy(struct tensor **out, struct arena *a, const struct npy *array, const char *path, struct err *e);
/* A view of a plain tensor. ERR_UNSUPPORTED for types NumPy's format has no name for (bfloat16, strings). */
int npy_from_tensor(struct npy *out, const struct tensor *t, struct err *e);

#endif
