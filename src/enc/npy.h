/* npy.h - NumPy's .npy arrays, and .npz archives of them; it knows element kinds and shapes, no tensors. */
#ifndef TENREC_ENC_NPY_H
#define TENREC_ENC_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/file.h"
#include "enc/zip.h"

struct arena;
struct err;
struct file_writer;

enum { NPY_RANK_MAX = 16 };

struct npy {
    char kind;     /* 'b' bool, 'i' signed, 'u' unsigned, 'f' float, 'c' complex, 'S' bytes, 'U' UCS-4 */
    unsigned size; /* bytes of one element */
    bool fortran;  /* the first index runs fastest */
    size_t rank;
    int64_t shape[NPY_RANK_MAX];
    size_t n;          /* elements */
    struct bytes data; /* n * size bytes, little-endian; not aligned to anything */
};

/* The data are a span of `file`, or a copy in `a` if they were big-endian. Objects and records are refused.
 * `path` is for messages. Errors: ERR_DATA. */
int npy_read(struct npy *out, struct arena *a, const char *path, struct bytes file, struct err *e);
/* Element i of an array of 'S' or 'U' as UTF-8 (bytes as they are); NULL: no memory. */
const char *npy_text(const struct npy *array, struct arena *a, size_t i);
/* Everything before the data, a multiple of 64 bytes long; from kind, size, fortran, rank and shape. */
int npy_header(const struct npy *array, struct arena *a, struct bytes *out, struct err *e);
int npy_write(const struct npy *array, struct arena *a, struct file_writer *file, struct err *e);

/* The array "name" of an archive, in its entry "name.npy". ERR_DATA naming what there is, if absent. */
int npz_read(struct npy *out, struct arena *a, const struct zip *archive, const char *name, uint64_t limit,
    struct err *e);
int npz_add(struct zip_writer *w, const char *name, const struct npy *array, struct err *e);

#endif
