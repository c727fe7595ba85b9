/* npy_tensor.c - NumPy's arrays as tensors and back. */
#include "graph/npy_tensor.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"

static const struct {
    enum dtype dtype;
    char kind;
    unsigned size;
} table[] = {
    { DT_BOOL, 'b', 1 },
    { DT_I8, 'i', 1 },
    { DT_I16, 'i', 2 },
    { DT_I32, 'i', 4 },
    { DT_I64, 'i', 8 },
    { DT_U8, 'u', 1 },
    { DT_U16, 'u', 2 },
    { DT_U32, 'u', 4 },
    { DT_U64, 'u', 8 },
    { DT_F16, 'f', 2 },
    { DT_F32, 'f', 4 },
    { DT_F64, 'f', 8 },
    { DT_C64, 'c', 8 },
    { DT_C128, 'c', 16 },
};
enum { N_TABLE = sizeof table / sizeof table[0] };

/* Copies column-major data to row-major. */
static void copy_fortran(struct tensor *t, const struct npy *array)
{
    int64_t index[SHAPE_MAX] = { 0 }, count = tensor_count(t);
    for (int64_t i = 0; i < count; i++) {
        int64_t at = 0, step = 1;
        for (int d = 0; d < t->shape.rank; d++) at += index[d] * step, step *= t->shape.dim[d];
        memcpy((char *)t->data + (size_t)i * array->size, array->data.data + (size_t)at * array->size, array->size);
        for (int d = t->shape.rank - 1; d >= 0 && ++index[d] == t->shape.dim[d]; d--) index[d] = 0;
    }
}

static int describe(struct tensor *t, const struct npy *array, const char *path, struct err *e)
{
    *t = (struct tensor){ .dtype = DT_NONE };
    if (array->kind == 'S' || array->kind == 'U') return fail(e, ERR_DATA, "%s: its elements are strings", path);
    for (size_t i = 0; i < N_TABLE; i++)
        if (table[i].kind == array->kind && table[i].size == array->size) t->dtype = table[i].dtype;
    if (t->dtype == DT_NONE)
        return fail(e, ERR_DATA, "%s: elements '%c%u' have no tensor type", path, array->kind, array->size);
    if (array->rank > SHAPE_MAX)
        return fail(e, ERR_DATA, "%s: rank %zu, at most %d is possible", path, array->rank, SHAPE_MAX);
    t->shape = shape_of((int)array->rank, array->shape);
    return 0;
}

int tensor_view_npy(struct tensor **out, struct arena *a, const struct npy *array, const char *path, struct err *e)
{
    if (array->fortran || (uintptr_t)array->data.data % array->size) return tensor_from_npy(out, a, array, path, e);
    TRY_MEM(*out = ARENA_NEW(a, struct tensor), e);
    TRY(describe(*out, array, path, e));
    (*out)->data = (void *)(uintptr_t)array->data.data;
    return 0;
}

int tensor_from_npy(struct tensor **out, struct arena *a, const struct npy *array, const char *path, struct err *e)
{
    struct tensor t;
    TRY(describe(&t, array, path, e));
    if (!(*out = tensor_new(a, t.dtype, &t.shape, e))) return err_prefix(e, "%s", path);
    if (array->fortran) copy_fortran(*out, array);
    else if (array->data.len) memcpy((*out)->data, array->data.data, array->data.len);
    return 0;
}

int npy_from_tensor(struct npy *out, const struct tensor *t, struct err *e)
{
    *out = (struct npy){ .rank = (size_t)t->shape.rank, .n = (size_t)tensor_count(t) };
    for (size_t i = 0; i < N_TABLE; i++)
        if (table[i].dtype == t->dtype) out->kind = table[i].kind, out->size = table[i].size;
    if (!out->size) return fail(e, ERR_UNSUPPORTED, "NumPy's format has no name for %s", dtype_name(t->dtype));
    for (int d = 0; d < t->shape.rank; d++) out->shape[d] = t->shape.dim[d];
    out->data = (struct bytes){ t->data, (size_t)tensor_bytes(t) };
    return 0;
}
