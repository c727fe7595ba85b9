/* tensor.c - tensors in and out. */
#include <string.h>

#include "api/api.h"
#include "graph/tensor.h"

#define SAME(name, own) _Static_assert((int)TENREC_##name == (int)DT_##own, "public number of " #name)
SAME(FLOAT32, F32);
SAME(UINT8, U8);
SAME(INT8, I8);
SAME(UINT16, U16);
SAME(INT16, I16);
SAME(INT32, I32);
SAME(INT64, I64);
SAME(BOOL, BOOL);
SAME(FLOAT16, F16);
SAME(FLOAT64, F64);
SAME(UINT32, U32);
SAME(UINT64, U64);
SAME(BFLOAT16, BF16);
_Static_assert((int)TENREC_MAX_RANK == (int)SHAPE_MAX, "public rank");

/* What the API takes and gives: not strings, whose elements point elsewhere. */
static bool is_public(int dtype)
{
    return dtype_is_valid(dtype) && dtype != DT_STRING;
}

const char *tenrec_dtype_name(int dtype)
{
    return is_public(dtype) ? dtype_name((enum dtype)dtype) : "?";
}

size_t tenrec_dtype_size(int dtype)
{
    return is_public(dtype) ? dtype_size((enum dtype)dtype) : 0;
}

void api_tensor(struct tenrec_tensor *to, const struct tensor *from)
{
    *to = (struct tenrec_tensor){ .dtype = (int)from->dtype, .rank = from->shape.rank, .data = from->data };
    memcpy(to->dim, from->shape.dim, (size_t)from->shape.rank * sizeof *to->dim);
}

int api_tensor_in(struct tensor *to, const struct tenrec_tensor *from, const char *what, struct err *e)
{
    if (!is_public(from->dtype)) return fail(e, ERR_USAGE, "%s: %d is no element type", what, from->dtype);
    if (from->rank < 0 || from->rank > TENREC_MAX_RANK)
        return fail(e, ERR_USAGE, "%s: rank %d is not between 0 and %d", what, from->rank, TENREC_MAX_RANK);
    for (int i = 0; i < from->rank; i++)
        if (from->dim[i] < 0) return fail(e, ERR_USAGE, "%s: dimension %d is negative", what, i);
    *to = (struct tensor){ .dtype = (enum dtype)from->dtype, .data = from->data };
    to->shape = shape_of(from->rank, from->dim);
    int64_t bytes = tensor_bytes(to);
    if (bytes < 0) return fail(e, ERR_SHAPE, "%s: more elements than can be addressed", what);
    return bytes && !from->data ? fail(e, ERR_USAGE, "%s: no data", what) : 0;
}
