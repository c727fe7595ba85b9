/* tensor.c - tensors between layers, with their channels last or first. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/keras/keras.h"

static struct ktensor *fresh(struct call *c, struct value *plain, struct value *first)
{
    if (c->b->err->code) return NULL;
    if (!plain && !first) return call_fail(c, ERR_MODEL, "an argument is no tensor"), NULL;
    struct ktensor *t = ARENA_NEW(&c->k->scratch, struct ktensor);
    if (!t) return fail_nomem(c->b->err), NULL;
    *t = (struct ktensor){ .plain = plain, .first = first };
    return t;
}

struct ktensor *ktensor_plain(struct call *c, struct value *v)
{
    return fresh(c, v, NULL);
}

struct ktensor *ktensor_first(struct call *c, struct value *v)
{
    return v && v->shape.rank >= 0 && v->shape.rank < 3 ? fresh(c, v, NULL) : fresh(c, NULL, v);
}

struct value *ktensor_form(const struct ktensor *t, bool *first)
{
    *first = !t->plain;
    return t->plain ? t->plain : t->first;
}

struct ktensor *in_form(struct call *c, struct value *v, bool first)
{
    return first ? ktensor_first(c, v) : ktensor_plain(c, v);
}

int ktensor_rank(const struct ktensor *t)
{
    return (t->plain ? t->plain : t->first)->shape.rank;
}

enum dtype ktensor_type(const struct ktensor *t)
{
    return (t->plain ? t->plain : t->first)->dtype;
}

int64_t ktensor_dim(const struct ktensor *t, int axis)
{
    int rank = ktensor_rank(t);
    if (axis < 0) axis += rank;
    if (axis < 0 || axis >= rank) return DIM_UNKNOWN;
    if (t->plain) return t->plain->shape.dim[axis];
    return t->first->shape.dim[axis == 0 ? 0 : axis == rank - 1 ? 1 : axis + 1];
}

struct value *as_plain(struct call *c, struct ktensor *t)
{
    int64_t perm[SHAPE_MAX];
    if (!t || c->b->err->code) return NULL;
    if (t->plain) return t->plain;
    int rank = t->first->shape.rank;
    for (int i = 0; i < rank; i++) perm[i] = i == 0 ? 0 : i == rank - 1 ? 1 : i + 1;
    return t->plain = k_transpose(c, t->first, perm, rank);
}

struct value *as_first(struct call *c, struct ktensor *t)
{
    int64_t perm[SHAPE_MAX];
    if (!t || c->b->err->code) return NULL;
    if (t->first) return t->first;
    int rank = t->plain->shape.rank;
    if (rank < 0) return call_fail(c, ERR_SHAPE, "the rank of its input is not known"), NULL;
    if (rank < 3) return t->plain;
    for (int i = 0; i < rank; i++) perm[i] = i == 0 ? 0 : i == 1 ? rank - 1 : i - 1;
    return t->first = k_transpose(c, t->plain, perm, rank);
}

bool channels_last(const struct call *c)
{
    const char *format = cfg_string(c, "data_format", NULL);
    if (!format) { /* Keras 1: "tf" or "th" */
        const char *order = cfg_string(c, "dim_ordering", "tf");
        return strcmp(order, "th") != 0;
    }
    return strcmp(format, "channels_first") != 0;
}

struct value *spatial_in(struct call *c, struct ktensor *t)
{
    return channels_last(c) ? as_first(c, t) : as_plain(c, t);
}

struct ktensor *spatial_out(struct call *c, struct value *v)
{
    return in_form(c, v, channels_last(c));
}

struct ktensor *each_element(struct call *c, struct ktensor *t, struct value *(*f)(struct call *c, struct value *v))
{
    bool first;
    struct value *v = ktensor_form(t, &first);
    return in_form(c, f(c, v), first);
}

struct ktensor *ktensor_cast(struct call *c, struct ktensor *t, enum dtype to)
{
    bool first;
    struct value *v = ktensor_form(t, &first);
    if (v->dtype == to) return t;
    struct ktensor *made = in_form(c, emit_cast(c->b, v, to), first);
    if (made) made->mask = t->mask;
    return made;
}

struct value *and_masks(struct call *c, struct value *a, struct value *b)
{
    if (!a || !b || a == b) return a ? a : b;
    return k_op2(c, "And", a, b);
}
