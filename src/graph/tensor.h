/* tensor.h - blobs (shared memory of weights) and tensors (typed, shaped views of memory). */
#ifndef TENREC_GRAPH_TENSOR_H
#define TENREC_GRAPH_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "graph/dtype.h"
#include "graph/shape.h"

struct arena;
struct err;
struct mem;
struct layout;

/* Memory that many may share: owned, or a span of something (a mapped file) that `release` lets go of.
 * Reference counts are atomic; contents are immutable once shared. */
struct blob;
struct blob *blob_new(const struct mem *mem, size_t size); /* one reference; aligned to 64, zeroed; NULL: no memory */
/* The same as pages that take memory only where they are written. */
struct blob *blob_zeros(const struct mem *mem, size_t size);
/* A blob over memory owned elsewhere; `release(cookie)` runs with the last reference (may be NULL). */
struct blob *blob_wrap(
    const struct mem *mem, const void *data, size_t size, void (*release)(void *cookie), void *cookie);
/* Marks what is wrapped as a private mapping of a file that nobody writes to. */
void blob_is_file(struct blob *b);
bool blob_holds(const struct blob *b, const void *data, size_t size);
/* A part of such a mapping is about to be read: it is mapped at once instead of page by page. False: it cannot be read,
 * since the file has become shorter; nothing else is refused, and other blobs never. */
bool blob_fetch(const struct blob *b, const void *data, size_t size);
/* The memory of a part of such a mapping is given back until it is read again; nothing happens to other blobs, nor to
 * memory outside. */
void blob_forget(const struct blob *b, const void *data, size_t size);
struct blob *blob_ref(struct blob *b);
void blob_unref(struct blob *b); /* NULL is fine */
void *blob_data(const struct blob *b);
size_t blob_size(const struct blob *b);
/* Hands one reference to the arena: it is given back when the arena is released. ERR_NOMEM gives it back at once. */
int blob_adopt(struct arena *a, struct blob *b);

struct tensor {
    enum dtype dtype;
    struct shape shape; /* every dimension known */
    void *data;         /* row-major unless `layout` says otherwise; strings: struct string_element */
    struct blob *blob;  /* what `data` lies in, when it is shared; the holder of the tensor holds the reference */
    const struct layout *layout; /* NULL: plain row-major */
};

/* Bytes of the plain form; -1 when past what can be addressed. */
int64_t tensor_bytes(const struct tensor *t);
int64_t tensor_count(const struct tensor *t);
/* A zeroed tensor whose memory is a blob adopted by `a` (large ones are aligned to 64). */
struct tensor *tensor_new(struct arena *a, enum dtype dtype, const struct shape *shape, struct err *e);
/* The same, copying `count` elements of `dtype` from data. */
struct tensor *tensor_copy(
    struct arena *a, enum dtype dtype, const struct shape *shape, const void *data, struct err *e);

/* Conversion tables: n elements of any numeric type to and from double / int64. This is the one load/store table: no
 * operator writes a switch over types. Stores round to nearest even, saturate never: integers wrap as a C cast of the
 * int64 does; float to integer truncates; bool is != 0. Strings and complex numbers are not taken (they load as 0).
 * */
void load_f64(enum dtype t, const void *src, int64_t n, double *dst);
void store_f64(enum dtype t, void *dst, int64_t n, const double *src);
void load_i64(enum dtype t, const void *src, int64_t n, int64_t *dst);
void store_i64(enum dtype t, void *dst, int64_t n, const int64_t *src);
double tensor_get_f64(const struct tensor *t, int64_t index);
int64_t tensor_get_i64(const struct tensor *t, int64_t index);
void tensor_set_f64(struct tensor *t, int64_t index, double v);
void tensor_set_i64(struct tensor *t, int64_t index, int64_t v);
/* Elements of fewer than 8 bits as files hold them: side by side, the first in the lowest bits of its byte. Other types
 * have their plain bytes, and nothing is to be packed. */
int64_t tensor_packed_bytes(const struct tensor *t);
void tensor_pack(const struct tensor *t, unsigned char *to);
void tensor_unpack(struct tensor *t, const unsigned char *from);
float half_to_float(uint16_t h);
uint16_t float_to_half(float f);

#endif
