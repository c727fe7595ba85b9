/* pickler.h - writing pickles of protocol 2 that PyTorch reads, also where it allows weights only: plain values,
 * tensors by _rebuild_tensor_v2, OrderedDict, and objects of TorchScript classes. */
#ifndef TENREC_FORMAT_TORCH_PICKLER_H
#define TENREC_FORMAT_TORCH_PICKLER_H

#include <stdint.h>

#include "base/str.h"
#include "enc/zip.h"
#include "graph/tensor.h"

/* Storages that tensors of the pickle lie in, one per tensor, to be written as records "FOLDER/0" and so on. */
struct pickler {
    struct str text;
    const struct tensor **storages;
    size_t n, cap;
};

struct pickler pickler_in(struct arena *a); /* begins with the protocol */
void pickle_put_str(struct pickler *p, const char *s);
void pickle_put_int(struct pickler *p, int64_t v);
void pickle_put_float(struct pickler *p, double v);
void pickle_put_global(struct pickler *p, const char *module, const char *name);
void pickle_put_op(struct pickler *p, const char *ops); /* opcodes without arguments: "(", ")R", "u." */
/* ERR_UNSUPPORTED for types PyTorch has no storage for. The tensor must live until its record is written. */
int pickle_put_tensor(struct pickler *p, const struct tensor *t, struct err *e);
/* Writes ROOT/FOLDER.pkl and the records ROOT/FOLDER/K. */
int pickler_write(struct pickler *p, struct zip_writer *z, const char *root, const char *folder, struct err *e);

#endif
