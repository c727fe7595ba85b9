/* infer.c - shape and type rules that many operators share. */
#include "ops/infer.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "graph/known.h"

void infer_out(struct node *n, int i, enum dtype t, const struct shape *s)
{
    if (i >= n->n_out) return;
    n->out[i]->dtype = t;
    n->out[i]->shape = *s;
}

int infer_same(struct node *n, struct err *e)
{
    infer_out(n, 0, n->in[0]->dtype, &n->in[0]->shape);
    return 0;
}

int infer_same_types(const struct node *n, int from, int to, struct err *e)
{
    enum dtype t = DT_NONE;
    for (int i = from; i < to && i < n->n_in; i++) {
        if (!n->in[i] || n->in[i]->dtype == DT_NONE) continue;
        if (t == DT_NONE) t = n->in[i]->dtype;
        if (t != n->in[i]->dtype)
            return fail(e, ERR_SHAPE, "input %d (%s) is %s, the others are %s", i, n->in[i]->name,
                dtype_name(n->in[i]->dtype), dtype_name(t));
    }
    return 0;
}

int infer_type(const struct node *n, int i, unsigned types, struct err *e)
{
    static const struct {
        unsigned types;
        const char *text;
    } words[] = {
        { TYPES_BOOL, "bool" },
        { TYPES_UNSIGNED, "an unsigned integer" },
        { TYPES_INTEGER, "an integer" },
        { TYPES_FLOAT, "a float" },
        { TYPES_NUMBER, "a number" },
        { 0, "a number or bool" },
    };
    const struct value *v = i < n->n_in ? n->in[i] : NULL;
    if (!v || v->dtype == DT_NONE || types >> dtype_kind(v->dtype) & 1) return 0;
    int k = 0;
    while (words[k].types && words[k].types != types) k++;
    return fail(e, ERR_SHAPE, "input %d (%s) is %s, expected %s", i, v->name, dtype_name(v->dtype), words[k].text);
}

static int infer_types_of_all(const struct node *n, unsigned types, struct err *e)
{
    for (int i = 0; i < n->n_in; i++) TRY(infer_type(n, i, types, e));
    return 0;
}

int infer_float(struct node *n, struct err *e)
{
    TRY(infer_type(n, 0, TYPES_FLOAT, e));
    return infer_same(n, e);
}

int infer_number(struct node *n, struct err *e)
{
    TRY(infer_type(n, 0, TYPES_NUMBER, e));
    return infer_same(n, e);
}

int infer_number_broadcast(struct node *n, struct err *e)
{
    TRY(infer_types_of_all(n, TYPES_NUMBER, e));
    return infer_broadcast(n, e);
}

int infer_float_broadcast(struct node *n, struct err *e)
{
    TRY(infer_types_of_all(n, TYPES_FLOAT, e));
    return infer_broadcast(n, e);
}

int infer_integer_broadcast(struct node *n, struct err *e)
{
    TRY(infer_types_of_all(n, TYPES_INTEGER, e));
    return infer_broadcast(n, e);
}

int infer_bool_broadcast(struct node *n, struct err *e)
{
    TRY(infer_types_of_all(n, TYPES_BOOL, e));
    return infer_broadcast(n, e);
}

int infer_number_compare(struct node *n, struct err *e)
{
    TRY(infer_types_of_all(n, TYPES_NUMBER, e));
    return infer_compare(n, e);
}

int infer_broadcast_as(struct node *n, enum dtype t, struct err *e)
{
    struct shape s = n->in[0]->shape;
    for (int i = 1; i < n->n_in; i++) {
        if (!n->in[i] || shape_broadcast(&s, &n->in[i]->shape, &s)) continue;
        struct arena a;
        arena_init(&a, NULL);
        struct str text = str_in(&a);
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k]) shape_print(n->graph, &n->in[k]->shape, &text);
        const char *shapes = str_done(&text);
        fail(e, ERR_SHAPE, "shapes %s cannot be broadcast together", shapes ? shapes : "?");
        arena_release(&a);
        return e->code;
    }
    infer_out(n, 0, t, &s);
    return 0;
}

int infer_broadcast(struct node *n, struct err *e)
{
    TRY(infer_same_types(n, 0, n->n_in, e));
    return infer_broadcast_as(n, n->in[0]->dtype, e);
}

int infer_broadcast_to(const struct shape *to, const struct shape *from, struct err *e)
{
    struct shape s;
    bool fits = to->rank < 0 || from->rank < 0 || (from->rank <= to->rank && shape_broadcast(from, to, &s));
    for (int d = 0; fits && to->rank >= 0 && d < from->rank; d++)
        fits = to->dim[to->rank - from->rank + d] != 1 || from->dim[d] <= 1;
    return fits ? 0 : fail(e, ERR_SHAPE, "the smaller input cannot be broadcast to the larger");
}

int infer_compare(struct node *n, struct err *e)
{
    TRY(infer_same_types(n, 0, n->n_in, e));
    return infer_broadcast_as(n, DT_BOOL, e);
}

int infer_axis(const struct node *n, const char *attr, int rank, struct err *e)
{
    if (rank < 0) return -1;
    int64_t axis = node_int(n, attr);
    int k = shape_axis(axis, rank);
    return k >= 0 ? k : fail(e, ERR_SHAPE, "%s is %lld, but the input has rank %d", attr, (long long)axis, rank);
}

int infer_rank(const struct node *n, int i, int min, int max, struct err *e)
{
    const struct value *v = i < n->n_in ? n->in[i] : NULL;
    if (!v) return fail(e, ERR_MODEL, "input %d is missing", i);
    if (v->shape.rank >= 0 && (v->shape.rank < min || v->shape.rank > max))
        return fail(e, ERR_SHAPE, "input %d (%s) has rank %d, expected %d%s%.0d", i, v->name, v->shape.rank, min,
            max > min ? " to " : "", max > min ? max : 0);
    return 0;
}

const int64_t *infer_ints(const struct node *n, int i, size_t *count, struct err *e)
{
    const struct tensor *t = i < n->n_in ? value_const(n->in[i]) : NULL;
    *count = 0;
    if (!t) return NULL;
    if (!dtype_is_integer(t->dtype)) return fail(e, ERR_SHAPE, "input %d must hold integers", i), NULL;
    int64_t len = tensor_count(t);
    *count = (size_t)len;
    if (t->dtype == DT_I64) return t->data;
    if (!n->graph) return fail(e, ERR_SHAPE, "input %d must be int64", i), NULL;
    int64_t *copy = ARENA_ARRAY(n->graph->arena, len, int64_t);
    if (!copy) return fail_nomem(e), NULL;
    load_i64(t->dtype, t->data, len, copy);
    return copy;
}

struct shape infer_shape_input(const struct node *n, int i)
{
    struct shape s = shape_unknown();
    const struct value *v = i < n->n_in ? n->in[i] : NULL;
    if (!v || v->shape.rank != 1 || v->shape.dim[0] < 0 || v->shape.dim[0] > SHAPE_MAX) return s;
    int64_t k[KNOWN_MAX];
    int known = value_contents(v, k);
    s.rank = (int)v->shape.dim[0];
    for (int d = 0; d < s.rank; d++) s.dim[d] = known == s.rank ? dim_from_known(k[d]) : DIM_UNKNOWN;
    return s;
}
