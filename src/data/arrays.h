/* arrays.h - tensors from files of NumPy's, and back. */
#ifndef TENREC_DATA_ARRAYS_H
#define TENREC_DATA_ARRAYS_H

#include "graph/npy_tensor.h"

int tensor_read_npy(struct tensor **out, struct arena *a, const char *path, struct err *e);
int tensor_write_npy(struct arena *a, const char *path, const struct tensor *t, struct err *e);

#endif
