/* args.c - what lowering functions read: arguments as numbers and values, type promotion, sizes. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/torch/torch.h"

bool arg_given(const struct aten_call *c, int i)
{
    return c->arg[i]->kind != OBJECT_NONE;
}

static struct value *tensor_of(struct aten_call *c, const struct object *o)
{
    if (o->kind == OBJECT_NONE || c->t->err->code) return NULL;
    if (o->kind != OBJECT_TENSOR)
        return fail(c->t->err, ERR_FAILED, "a %s is no tensor", object_kind_name(o->kind)), NULL;
    return torch_tensor_read(c->t, o->tensor);
}

struct value *arg_tensor(struct aten_call *c, int i)
{
    return tensor_of(c, c->arg[i]);
}

struct value **arg_tensors(struct aten_call *c, int i, size_t *n)
{
    const struct object *o = c->arg[i];
    *n = 0;
    if (o->kind == OBJECT_NONE) return NULL;
    struct value **list = ARENA_ARRAY(c->t->arena, o->list->n + 1, struct value *);
    if (!list) return fail_nomem(c->t->err), NULL;
    for (size_t k = 0; k < o->list->n; k++) list[k] = tensor_of(c, o->list->items[k]);
    if (c->t->err->code) return NULL;
    *n = o->list->n;
    return list;
}

bool arg_bool(struct aten_call *c, int i)
{
    torch_guard(c->t, c->arg[i]);
    return object_truth(c->arg[i]);
}

static int fail_on_data(struct aten_call *c)
{
    return fail(c->t->err, ERR_UNSUPPORTED, "a number that depends on data, where it has to be known");
}

double arg_float(struct aten_call *c, int i)
{
    if (c->arg[i]->kind == OBJECT_TENSOR) return fail_on_data(c), 0;
    if (!object_is_number(c->arg[i]))
        return fail(c->t->err, ERR_UNSUPPORTED, "a %s for a number", object_kind_name(c->arg[i]->kind)), 0;
    torch_guard(c->t, c->arg[i]);
    return object_number(c->arg[i]);
}

const char *arg_str(struct aten_call *c, int i)
{
    return arg_given(c, i) ? c->arg[i]->text : NULL;
}

static int64_t pinned(struct aten_call *c, const struct object *o)
{
    if (o->kind == OBJECT_TENSOR) return fail_on_data(c);
    if (o->kind == OBJECT_FLOAT) return (int64_t)o->real;
    if (o->kind != OBJECT_INT && o->kind != OBJECT_BOOL)
        return fail(c->t->err, ERR_UNSUPPORTED, "a %s for an int", object_kind_name(o->kind)), 0;
    torch_guard(c->t, o);
    return o->kind == OBJECT_INT ? o->integer : o->boolean;
}

int64_t arg_int(struct aten_call *c, int i)
{
    return pinned(c, c->arg[i]);
}

static bool is_list(const struct object *o)
{
    return o->kind == OBJECT_LIST || o->kind == OBJECT_TUPLE;
}

const int64_t *arg_ints(struct aten_call *c, int i, size_t *n)
{
    const struct object *o = c->arg[i];
    *n = 0;
    if (o->kind == OBJECT_NONE) return NULL;
    size_t count = is_list(o) ? o->list->n : (size_t)c->signature->params[i].repeat;
    int64_t *v = ARENA_ARRAY(c->t->arena, count + 1, int64_t);
    if (!v) return fail_nomem(c->t->err), NULL;
    for (size_t k = 0; k < count; k++) v[k] = pinned(c, is_list(o) ? o->list->items[k] : o);
    *n = count;
    return v;
}

const int64_t *arg_ints_n(struct aten_call *c, int i, size_t n)
{
    size_t have;
    const int64_t *v = arg_ints(c, i, &have);
    int64_t *copy = ARENA_ARRAY(c->t->arena, n + 1, int64_t);
    if (!copy) return fail_nomem(c->t->err), NULL;
    if (v && have != n && have != 1)
        return fail(c->t->err, ERR_SHAPE, "%s has %zu numbers, expected %zu", c->signature->params[i].name, have, n),
               copy;
    for (size_t k = 0; v && k < n; k++) copy[k] = v[have == 1 ? 0 : k];
    return copy;
}

struct value *arg_int_value(struct aten_call *c, int i)
{
    return torch_scalar(c->t, c->arg[i], DT_I64);
}

size_t arg_len(const struct aten_call *c, int i)
{
    return is_list(c->arg[i]) ? c->arg[i]->list->n : arg_given(c, i) ? (size_t)c->signature->params[i].repeat : 0;
}

struct value *arg_item_value(struct aten_call *c, int i, size_t k)
{
    return torch_scalar(c->t, is_list(c->arg[i]) ? c->arg[i]->list->items[k] : c->arg[i], DT_I64);
}

struct value *arg_ints_value(struct aten_call *c, int i)
{
    size_t n = arg_len(c, i);
    struct value **parts = ARENA_ARRAY(c->t->arena, n + 1, struct value *);
    if (!parts) return fail_nomem(c->t->err), NULL;
    for (size_t k = 0; k < n; k++) parts[k] = arg_item_value(c, i, k);
    return emit_concat_ints(c, parts, n);
}

enum dtype arg_dtype(struct aten_call *c, int i, enum dtype otherwise)
{
    if (!arg_given(c, i)) return otherwise;
    int64_t number = arg_int(c, i);
    enum dtype t = dtype_from_torch(number);
    if (t == DT_NONE) aten_fail(c, ERR_UNSUPPORTED, "type number %lld", (long long)number);
    return t;
}

int arg_axis(struct aten_call *c, int i, int rank)
{
    int64_t axis = arg_int(c, i);
    int k = shape_axis(axis, rank ? rank : 1);
    if (k < 0) aten_fail(c, ERR_SHAPE, "dimension %lld of a tensor of rank %d", (long long)axis, rank);
    return k < 0 ? 0 : k;
}

struct value *arg_scalar(struct aten_call *c, int i, enum dtype t)
{
    if (c->arg[i]->kind == OBJECT_TENSOR) return emit_cast(c->b, arg_tensor(c, i), t);
    if (!object_is_number(c->arg[i]))
        return aten_fail(c, ERR_UNSUPPORTED, "a %s for a number", object_kind_name(c->arg[i]->kind)), NULL;
    return torch_scalar(c->t, c->arg[i], t);
}

/* Types by category (bool, integer, float), and by rank within it: u8 with a signed type goes to i16. */
static enum dtype join(enum dtype a, enum dtype b)
{
    if (a == b || b == DT_NONE) return a;
    if (a == DT_NONE) return b;
    enum dtype_kind ka = dtype_kind(a), kb = dtype_kind(b);
    if (ka == KIND_BOOL) return b;
    if (kb == KIND_BOOL) return a;
    if (ka == KIND_FLOAT && kb == KIND_FLOAT && dtype_size(a) == dtype_size(b)) return DT_F32; /* f16 and bf16 */
    if ((ka == KIND_FLOAT) != (kb == KIND_FLOAT)) return ka == KIND_FLOAT ? a : b;
    if (dtype_size(a) == dtype_size(b)) return dtype_size(a) == 1 ? DT_I16 : dtype_size(a) == 2 ? DT_I32 : DT_I64;
    enum dtype large = dtype_size(a) > dtype_size(b) ? a : b;
    return large;
}

static int category(enum dtype t)
{
    return t == DT_NONE ? 0 : dtype_kind(t) == KIND_BOOL ? 1 : dtype_kind(t) == KIND_FLOAT ? 3 : 2;
}

/* Dimensioned tensors decide within a category, then 0-d tensors, then numbers (float32, int64, bool). */
enum dtype promote(struct aten_call *c, int i, int j)
{
    enum dtype class[3] = { DT_NONE, DT_NONE, DT_NONE };
    for (int k = i;; k = j) {
        const struct object *o = c->arg[k];
        if (o->kind == OBJECT_TENSOR) {
            struct value *v = arg_tensor(c, k);
            if (!v) return DT_F32;
            enum dtype *into = &class[value_rank(c, v) == 0];
            *into = join(*into, v->dtype);
        } else
            class[2] = join(class[2], o -> kind == OBJECT_FLOAT ? DT_F32 : o -> kind == OBJECT_INT ? DT_I64 : DT_BOOL);
        if (k == j) break;
    }
    enum dtype t = class[0];
    for (int k = 1; k < 3; k++)
        if (category(class[k]) > category(t)) t = class[k];
    return t;
}

void arg_operands(struct aten_call *c, int i, int j, struct value **x, struct value **y)
{
    enum dtype t = promote(c, i, j);
    *x = arg_scalar(c, i, t);
    *y = arg_scalar(c, j, t);
}

/* Dimensioned tensors decide within a category, then 0-d ones. */
enum dtype promote_values(struct aten_call *c, struct value **v, size_t n)
{
    enum dtype class[2] = { DT_NONE, DT_NONE };
    for (size_t i = 0; i < n; i++) {
        if (!v[i]) return DT_F32;
        enum dtype *into = &class[value_rank(c, v[i]) == 0];
        *into = join(*into, v[i]->dtype);
    }
    enum dtype t = category(class[1]) > category(class[0]) ? class[1] : class[0];
    for (size_t i = 0; i < n; i++) v[i] = emit_cast(c->b, v[i], t);
    return t;
}

struct value *arg_as_float(struct aten_call *c, int i)
{
    struct value *x = arg_tensor(c, i);
    return x && !dtype_is_float(x->dtype) ? emit_cast(c->b, x, DT_F32) : x;
}

struct shape value_hint(struct aten_call *c, struct value *v)
{
    return torch_hint(c->t, v)->shape;
}

const struct tensor *value_content(struct aten_call *c, struct value *v)
{
    return torch_hint(c->t, v)->content;
}

int value_rank(struct aten_call *c, const struct value *v)
{
    if (!v || c->t->err->code) return 0;
    v = value_resolve((struct value *)(uintptr_t)v);
    if (v->shape.rank >= 0) return v->shape.rank;
    int rank = value_hint(c, (struct value *)(uintptr_t)v).rank;
    if (rank < 0) aten_fail(c, ERR_UNSUPPORTED, "the rank of %s is not known", v->name);
    return rank < 0 ? 0 : rank;
}

static int wrap(struct aten_call *c, const struct value *v, int axis)
{
    int rank = value_rank(c, v), k = shape_axis(axis, rank);
    if (k < 0 && v) aten_fail(c, ERR_SHAPE, "dimension %d of a tensor of rank %d", axis, rank);
    return k;
}

int64_t value_dim(struct aten_call *c, const struct value *v, int axis)
{
    int k = wrap(c, v, axis);
    v = value_resolve((struct value *)(uintptr_t)v);
    return k >= 0 && v->shape.rank > k && v->shape.dim[k] >= 0 ? v->shape.dim[k] : -1;
}

struct value *value_size(struct aten_call *c, struct value *v, int axis)
{
    int k = wrap(c, v, axis);
    return k < 0 ? NULL : torch_size(c->t, v, k);
}

int64_t value_size_pinned(struct aten_call *c, struct value *v, int axis)
{
    int k = wrap(c, v, axis);
    struct object *o = k < 0 ? NULL : torch_size_object(c->t, v, k);
    if (!o) return aten_fail(c, ERR_UNSUPPORTED, "a size that depends on data"), 0;
    return pinned(c, o);
}

static const signed char torch_types[] = {
    DT_U8,
    DT_I8,
    DT_I16,
    DT_I32,
    DT_I64,
    DT_F16,
    DT_F32,
    DT_F64,
    DT_NONE,
    DT_C64,
    DT_C128,
    DT_BOOL,
    DT_NONE,
    DT_NONE,
    DT_NONE,
    DT_BF16,
    DT_NONE,
    DT_NONE,
    DT_NONE,
    DT_NONE,
    DT_NONE,
    DT_NONE,
    DT_NONE,
    DT_F8E5M2,
    DT_F8E4M3FN,
    DT_F8E5M2FNUZ,
    DT_F8E4M3FNUZ,
    DT_U16,
    DT_U32,
    DT_U64,
};

enum dtype dtype_from_torch(int64_t number)
{
    if (number < 0 || number >= (int64_t)(sizeof torch_types)) return DT_NONE;
    return (enum dtype)torch_types[number];
}

int64_t dtype_to_torch(enum dtype t)
{
    for (size_t i = 0; i < sizeof torch_types; i++)
        if (torch_types[i] == (int)t && t != DT_NONE) return (int64_t)i;
    return -1;
}
