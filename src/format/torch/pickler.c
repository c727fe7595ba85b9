/* pickler.c - writing pickles of protocol 2 as PyTorch reads them. */
#include "format/torch/pickler.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "enc/bytes.h"

struct pickler pickler_in(struct arena *a)
{
    struct pickler p = { .text = str_in(a) };
    str_addn(&p.text, "\x80\x02", 2);
    return p;
}

static void put_number(struct pickler *p, char op, uint64_t v, size_t bytes)
{
    unsigned char n[8];
    str_addc(&p->text, op);
    put_le(n, v, bytes);
    str_addn(&p->text, (const char *)n, bytes);
}

void pickle_put_str(struct pickler *p, const char *s)
{
    put_number(p, 'X', strlen(s), 4);
    str_add(&p->text, s);
}

void pickle_put_int(struct pickler *p, int64_t v)
{
    if (v >= INT32_MIN && v <= INT32_MAX) {
        put_number(p, 'J', (uint64_t)v, 4);
        return;
    }
    str_addn(&p->text, "\x8a\x08", 2); /* PyTorch wants exactly eight bytes */
    unsigned char n[8];
    put_le(n, (uint64_t)v, 8);
    str_addn(&p->text, (const char *)n, 8);
}

void pickle_put_float(struct pickler *p, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    str_addc(&p->text, 'G'); /* the highest byte first */
    for (int shift = 56; shift >= 0; shift -= 8) str_addc(&p->text, (char)(bits >> shift & 0xff));
}

void pickle_put_global(struct pickler *p, const char *module, const char *name)
{
    str_addf(&p->text, "c%s\n%s\n", module, name);
}

void pickle_put_op(struct pickler *p, const char *ops)
{
    str_add(&p->text, ops);
}

static const char *storage_name(enum dtype t)
{
    static const char *const names[] = { [DT_F32] = "FloatStorage",
        [DT_F64] = "DoubleStorage",
        [DT_F16] = "HalfStorage",
        [DT_BF16] = "BFloat16Storage",
        [DT_I64] = "LongStorage",
        [DT_I32] = "IntStorage",
        [DT_I16] = "ShortStorage",
        [DT_I8] = "CharStorage",
        [DT_U8] = "ByteStorage",
        [DT_BOOL] = "BoolStorage",
        [DT_C64] = "ComplexFloatStorage",
        [DT_C128] = "ComplexDoubleStorage" };
    return (size_t)t < sizeof names / sizeof *names ? names[t] : NULL;
}

static void put_ints(struct pickler *p, const int64_t *v, int n)
{
    pickle_put_op(p, "(");
    for (int i = 0; i < n; i++) pickle_put_int(p, v[i]);
    pickle_put_op(p, "t");
}

int pickle_put_tensor(struct pickler *p, const struct tensor *t, struct err *e)
{
    char key[24];
    int64_t strides[SHAPE_MAX];
    const char *storage = storage_name(t->dtype);
    if (!storage) return fail(e, ERR_UNSUPPORTED, "PyTorch has no storage for %s", dtype_name(t->dtype));
    snprintf(key, sizeof key, "%zu", p->n);
    shape_strides(&t->shape, strides);
    pickle_put_global(p, "torch._utils", "_rebuild_tensor_v2");
    pickle_put_op(p, "((");
    pickle_put_str(p, "storage");
    pickle_put_global(p, "torch", storage);
    pickle_put_str(p, key);
    pickle_put_str(p, "cpu");
    pickle_put_int(p, tensor_count(t));
    pickle_put_op(p, "tQ");
    pickle_put_int(p, 0);
    put_ints(p, t->shape.dim, t->shape.rank);
    put_ints(p, strides, t->shape.rank);
    pickle_put_op(p, "\x89"); /* requires_grad: False */
    pickle_put_global(p, "collections", "OrderedDict");
    pickle_put_op(p, ")RtR");
    return ARRAY_PUSH(p->text.arena, p->storages, p->n, p->cap, t) ? 0 : fail_nomem(e);
}

int pickler_write(struct pickler *p, struct zip_writer *z, const char *root, const char *folder, struct err *e)
{
    struct arena *a = p->text.arena;
    const char *text = str_done(&p->text), *name = arena_printf(a, "%s/%s.pkl", root, folder);
    if (!text || !name) return fail_nomem(e);
    TRY(zip_writer_add(z, name, text, p->text.len, e));
    for (size_t i = 0; i < p->n; i++) {
        TRY_MEM(name = arena_printf(a, "%s/%s/%zu", root, folder, i), e);
        TRY(zip_writer_add(z, name, p->storages[i]->data, (size_t)tensor_bytes(p->storages[i]), e));
    }
    return 0;
}
