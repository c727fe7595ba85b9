/* aligned.c - tensors whose elements lie anywhere in a file. */
#include "graph/aligned.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"

enum { PIECE = 1 << 20 }; /* bytes of a file that are in memory at a time while they are copied */

bool tensor_is_aligned(const struct tensor *t)
{
    size_t size = dtype_size(t->dtype), align = size > 8 ? 8 : size;
    return t->layout || !align || (uintptr_t)t->data % align == 0;
}

static int fetch(const struct tensor *t, const void *data, size_t bytes, struct err *e)
{
    if (blob_fetch(t->blob, data, bytes)) return 0;
    return fail(e, ERR_IO, "the file of the weights was cut short while it was in use: open the model again");
}

int tensor_fetch(const struct tensor *t, struct err *e)
{
    return fetch(t, t->data, (size_t)tensor_bytes(t), e);
}

int tensor_copy_content(const struct tensor *t, void *to, struct err *e)
{
    const unsigned char *from = t->data;
    size_t bytes = (size_t)tensor_bytes(t);
    for (size_t at = 0, n; at < bytes; at += n) {
        n = bytes - at < PIECE ? bytes - at : PIECE;
        TRY(fetch(t, from + at, n, e));
        memcpy((unsigned char *)to + at, from + at, n);
        blob_forget(t->blob, from + at, n);
    }
    blob_forget(t->blob, from, bytes); /* the pages between two pieces */
    return 0;
}

const struct tensor *tensor_aligned(struct arena *a, const struct tensor *t, struct err *e)
{
    if (tensor_is_aligned(t)) return t;
    struct tensor *copy = tensor_new(a, t->dtype, &t->shape, e);
    return copy && !tensor_copy_content(t, copy->data, e) ? copy : NULL;
}
