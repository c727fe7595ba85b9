/* mover_infer.c - parameters of movers (axes, pads, indices) read and checked; shapes and contents of their outputs. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/known.h"
#include "ops/infer.h"
#include "ops/mover.h"

static int check_list(int input, const char *what, enum dtype t, const struct shape *s, struct err *e)
{
    if (t != DT_NONE && !dtype_is_integer(t))
        return fail(e, ERR_SHAPE, "%s (input %d) must be integers, not %s", what, input, dtype_name(t));
    if (s->rank > 1) return fail(e, ERR_SHAPE, "%s (input %d) must have one dimension, not %d", what, input, s->rank);
    if (s->rank == 1 && s->dim[0] > MOVE_MAX)
        return fail(e, ERR_SHAPE, "%s (input %d) has %lld elements, more than any rank allows", what, input,
            (long long)s->dim[0]);
    return 0;
}

int infer_list(const struct node *n, int i, const char *what, struct ints *out, struct err *e)
{
    const struct value *v = i < n->n_in ? n->in[i] : NULL;
    *out = (struct ints){ .n = -1 };
    if (!v) return 0;
    TRY(check_list(i, what, v->dtype, &v->shape, e));
    int64_t known[KNOWN_MAX], count = shape_count(&v->shape);
    if (count < 0) return 0;
    out->n = (int)count;
    out->all = true;
    const struct tensor *t = value_const(v);
    bool some = t || value_contents(v, known) == count;
    if (t) load_i64(t->dtype, t->data, count, known);
    for (int k = 0; k < out->n; k++) {
        out->at[k] = some ? known[k] : KNOWN_UNKNOWN;
        if (t && known[k] < KNOWN_SYMBOL_END) out->at[k] = KNOWN_SYMBOL_END; /* as far away: "to the very start" */
        out->all &= known_is_number(out->at[k]);
    }
    return 0;
}

int step_list(const struct step *s, int i, const char *what, struct ints *out, struct err *e)
{
    const struct tensor *t = i < s->node->n_in ? s->in[i] : NULL;
    *out = (struct ints){ .n = -1 };
    if (!t) return 0;
    TRY(check_list(i, what, t->dtype, &t->shape, e));
    out->n = (int)tensor_count(t);
    out->all = true;
    load_i64(t->dtype, t->data, out->n, out->at);
    return 0;
}

int step_scalar(const struct step *s, int i, const char *what, int64_t *out, struct err *e)
{
    const struct tensor *t = i < s->node->n_in ? s->in[i] : NULL;
    if (!t) return 0;
    if (tensor_count(t) != 1) return fail(e, ERR_SHAPE, "%s (input %d) must be one number", what, i);
    *out = tensor_get_i64(t, 0);
    return 0;
}

int axes_check(struct ints *axes, int rank, struct err *e)
{
    unsigned seen = 0;
    for (int i = 0; i < axes->n; i++) {
        int k = shape_axis(axes->at[i], rank);
        if (k < 0) return fail(e, ERR_SHAPE, "axis %lld is outside [%d, %d)", (long long)axes->at[i], -rank, rank);
        if (seen >> k & 1) return fail(e, ERR_SHAPE, "axis %d is named twice", k);
        seen |= 1u << k;
        axes->at[i] = k;
    }
    return 0;
}

int infer_sized(struct node *n, int i, enum dtype t, const struct shape *s, struct err *e)
{
    if (s->rank > SHAPE_MAX)
        return fail(e, ERR_SHAPE, "the result would have rank %d, at most %d are possible", s->rank, SHAPE_MAX);
    if (shape_is_known(s) && shape_count(s) < 0)
        return fail(e, ERR_SHAPE, "the result would have more elements than can be addressed");
    infer_out(n, i, t, s);
    return 0;
}

int dim_times(int64_t *dim, int64_t by, struct err *e)
{
    if (by == 1 || *dim == 0) return 0;
    if (*dim == 1 || by == 0) return *dim = by, 0;
    if (*dim < 0 || by < 0) return *dim = DIM_UNKNOWN, 0;
    if (__builtin_mul_overflow(*dim, by, dim)) return fail(e, ERR_SHAPE, "a dimension is too large");
    return 0;
}

/* Contents of an input as a tensor; KNOWN_UNKNOWN where nothing is known. NULL when it cannot take part. */
static struct tensor *contents_tensor(const struct value *v, bool moved, struct arena *a, struct err *e)
{
    int64_t known[KNOWN_MAX], count = shape_count(&v->shape);
    if (!moved && value_const(v)) return (struct tensor *)(uintptr_t)value_const(v);
    if (count < 0 || count > KNOWN_MAX) return NULL;
    if (value_contents(v, known) < 0) {
        if (!moved) return NULL;
        for (int64_t i = 0; i < count; i++) known[i] = KNOWN_UNKNOWN;
    }
    for (int64_t i = 0; i < count && !moved; i++)
        if (!known_is_number(known[i])) return NULL;
    return tensor_copy(a, DT_I64, &v->shape, known, e);
}

static void move_contents(struct node *n, unsigned data, struct arena *a, struct err *e)
{
    struct tensor **in = ARENA_ARRAY(a, n->n_in + n->n_out, struct tensor *), **out = in + n->n_in;
    if (!in) return;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] && !(in[i] = contents_tensor(n->in[i], data >> (i < 31 ? i : 31) & 1, a, e))) return;
    for (int i = 0; i < n->n_out; i++) {
        int64_t count = shape_count(&n->out[i]->shape);
        if (count < 0 || count > KNOWN_MAX || !(out[i] = tensor_new(a, DT_I64, &n->out[i]->shape, e))) return;
    }
    struct step s = { .node = n, .in = in, .out = out, .threads = 1, .arena = a, .scratch = a };
    if (n->op->run(&s, e)) return;
    for (int i = 0; i < n->n_out; i++)
        value_set_contents(n->out[i], n->graph->arena, out[i]->data, (int)tensor_count(out[i]));
}

int contents_moved(struct node *n, unsigned data)
{
    const struct value *v = n->out[0];
    int64_t count = shape_count(&v->shape);
    bool some = false;
    int64_t known[KNOWN_MAX];
    if (!dtype_is_integer(v->dtype) || count < 0 || count > KNOWN_MAX) return 0;
    for (int i = 0; i < n->n_in && !some; i++)
        some = (data >> (i < 31 ? i : 31) & 1) && n->in[i] && value_contents(n->in[i], known) >= 0;
    if (!some) return 0;
    struct arena a;
    struct err quiet = { 0 }; /* what is wrong with the data is said when the node runs */
    arena_init(&a, NULL);
    move_contents(n, data, &a, &quiet);
    arena_release(&a);
    return 0;
}

int contents_moved0(struct node *n, struct err *e)
{
    (void)e;
    return contents_moved(n, 1);
}

int contents_moved_all(struct node *n, struct err *e)
{
    (void)e;
    return contents_moved(n, ~0u);
}

struct value *emit_filled_like(struct builder *b, enum dtype t, double v, struct value *like)
{
    if (b->err->code || !like) return NULL;
    struct shape one = shape_of(1, (int64_t[]){ 1 });
    struct tensor *value = tensor_new(b->g->arena, t, &one, b->err);
    if (!value) return NULL;
    tensor_set_f64(value, 0, v);
    return emit(b, "ConstantOfShape", ATTRS(attr_tensor("value", value)), emit(b, "Shape", NO_ATTRS, like));
}

struct value *emit_zeros(struct builder *b, struct value *like)
{
    return like ? emit_filled_like(b, like->dtype, 0, like) : NULL;
}

struct value *emit_with_parameters(
    struct builder *b, const char *op, const struct node *n, struct value *in0, struct value *in1, int from)
{
    struct value *in[SHAPE_MAX];
    int count = 0;
    in[count++] = in0;
    if (in1) in[count++] = in1;
    for (int i = from; i < n->n_in; i++) in[count++] = n->in[i];
    return builder_emit(b, op, n->attrs && n->n_attrs ? n->attrs : NO_ATTRS, in, count);
}
