/* script_ints.c - arithmetic of shapes as ints of the code, as a reader expects them: torch.size(x, 0). */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/torch/script.h"
#include "graph/op.h"

enum { MOST = 64 }; /* items of a list that is followed */

static struct script_ints *new_ints(struct script *s, size_t n, bool scalar)
{
    struct script_ints *x = ARENA_NEW(s->arena, struct script_ints);
    if (!x || !(x->items = ARENA_ARRAY(s->arena, n + 1, const char *))) return fail_nomem(s->err), NULL;
    x->n = n;
    x->scalar = scalar;
    return x;
}

/* Small whole constants are literals. */
static struct script_ints *of_constant(struct script *s, const struct tensor *t)
{
    if (t->shape.rank > 1 || tensor_count(t) > MOST || (t->dtype != DT_I64 && t->dtype != DT_I32)) return NULL;
    struct script_ints *x = new_ints(s, (size_t)tensor_count(t), t->shape.rank == 0);
    for (size_t i = 0; x && i < x->n; i++) x->items[i] = say(s, "%lld", (long long)tensor_get_i64(t, (int64_t)i));
    return x;
}

const struct script_ints *ints_of(struct script *s, struct value *v)
{
    v = value_resolve(v);
    if (!v) return NULL;
    if (!s->ints[v->id] && v->kind == VALUE_CONST) s->ints[v->id] = of_constant(s, v->data);
    return s->ints[v->id];
}

static struct script_ints *of_shape(struct script *s, const struct node *n)
{
    const struct value *x = value_resolve(n->in[0]);
    int64_t from = node_int(n, "start"), to = node_has(n, "end") ? node_int(n, "end") : INT64_MAX;
    int rank = x->shape.rank;
    if (rank < 0) return NULL;
    if (from < 0) from += rank;
    if (to < 0) to += rank;
    if (to > rank) to = rank;
    if (from < 0 || from > to) return NULL;
    struct script_ints *out = new_ints(s, (size_t)(to - from), false);
    const char *name = value_text(s, n->in[0]);
    for (int64_t d = from; out && d < to; d++)
        out->items[d - from] = x->shape.dim[d] >= 0 ? say(s, "%lld", (long long)x->shape.dim[d])
                                                    : say(s, "torch.size(%s, %lld)", name, (long long)d);
    return out;
}

static struct script_ints *of_gather(struct script *s, const struct node *n)
{
    size_t count;
    const struct script_ints *x = ints_of(s, n->in[0]);
    const struct tensor *t = value_const(value_resolve(n->in[1]));
    const int64_t *index = const_ints(s, n, 1, &count);
    if (!x || x->scalar || !index || t->shape.rank > 1) return NULL;
    struct script_ints *out = new_ints(s, count, t->shape.rank == 0);
    for (size_t i = 0; out && i < count; i++) {
        int64_t k = index[i] < 0 ? index[i] + (int64_t)x->n : index[i];
        if (k < 0 || k >= (int64_t)x->n) return NULL;
        out->items[i] = x->items[k];
    }
    return out;
}

static struct script_ints *of_concat(struct script *s, const struct node *n)
{
    size_t count = 0, at = 0;
    for (int i = 0; i < n->n_in; i++) {
        const struct script_ints *x = ints_of(s, n->in[i]);
        if (!x || x->scalar || count > MOST) return NULL;
        count += x->n;
    }
    struct script_ints *out = new_ints(s, count, false);
    for (int i = 0; out && i < n->n_in; i++) {
        const struct script_ints *x = ints_of(s, n->in[i]);
        for (size_t k = 0; k < x->n; k++) out->items[at++] = x->items[k];
    }
    return out;
}

/* The same items under rank 0 or 1. */
static struct script_ints *of_same(struct script *s, const struct node *n)
{
    const struct script_ints *x = ints_of(s, n->in[0]);
    int rank = n->out[0]->shape.rank;
    if (!x || rank < 0 || rank > 1 || dtype_is_float(n->out[0]->dtype) || n->out[0]->dtype == DT_BOOL) return NULL;
    struct script_ints *out = new_ints(s, x->n, rank == 0);
    for (size_t i = 0; out && i < x->n; i++) out->items[i] = x->items[i];
    return out;
}

static struct script_ints *of_slice(struct script *s, const struct node *n)
{
    const struct script_ints *x = ints_of(s, n->in[0]);
    size_t n_from, n_to, n_step;
    const int64_t *from = const_ints(s, n, 1, &n_from), *to = const_ints(s, n, 2, &n_to);
    const int64_t *step = const_ints(s, n, 4, &n_step);
    if (!x || x->scalar || !from || !to || n_from != 1 || n_to != 1 || (step && step[0] != 1)) return NULL;
    int64_t size = (int64_t)x->n, a = from[0], b = to[0];
    if (a < 0) a += size;
    if (b < 0) b += size;
    a = a < 0 ? 0 : a > size ? size : a;
    b = b < a ? a : b > size ? size : b;
    struct script_ints *out = new_ints(s, (size_t)(b - a), false);
    for (int64_t i = a; out && i < b; i++) out->items[i - a] = x->items[i];
    return out;
}

static struct script_ints *of_binary(struct script *s, const struct node *n, const char *format)
{
    const struct script_ints *x = ints_of(s, n->in[0]), *y = ints_of(s, n->in[1]);
    if (!x || !y || n->n_in != 2 || n->out[0]->dtype != DT_I64) return NULL;
    if (x->n != y->n && x->n != 1 && y->n != 1) return NULL;
    struct script_ints *out = new_ints(s, x->n == 1 ? y->n : x->n, x->scalar && y->scalar);
    for (size_t i = 0; out && i < out->n; i++)
        out->items[i] = say(s, "%s(%s, %s)", format, x->items[x->n == 1 ? 0 : i], y->items[y->n == 1 ? 0 : i]);
    return out;
}

static const struct {
    const char *op;
    struct script_ints *(*follow)(struct script *s, const struct node *n);
    const char *binary;
} followed[] = {
    { "Shape", of_shape },
    { "Gather", of_gather },
    { "Concat", of_concat },
    { "Unsqueeze", of_same },
    { "Squeeze", of_same },
    { "Reshape", of_same },
    { "Cast", of_same },
    { "Identity", of_same },
    { "Slice", of_slice },
    { "Add", NULL, "torch.add" },
    { "Sub", NULL, "torch.sub" },
    { "Mul", NULL, "torch.mul" },
    { "Div", NULL, "torch.floordiv" }, /* sizes are not negative */
    { "FloorDiv", NULL, "torch.floordiv" },
    { "Remainder", NULL, "torch.remainder" },
    { "Max", NULL, "ops.prim.max" },
    { "Min", NULL, "ops.prim.min" },
};

int ints_follow(struct script *s, const struct node *n)
{
    for (size_t i = 0; i < sizeof followed / sizeof *followed; i++) {
        if (strcmp(n->op->name, followed[i].op)) continue;
        struct script_ints *x = followed[i].follow ? followed[i].follow(s, n) : of_binary(s, n, followed[i].binary);
        if (!x) return s->err->code;
        for (size_t k = 0; k < x->n; k++)
            if (strlen(x->items[k]) > 80) x->items[k] = assign(s, x->items[k]);
        s->ints[n->out[0]->id] = x;
        return 1;
    }
    return 0;
}

const char *ints_argument(struct script *s, const struct node *n, int i)
{
    const struct script_ints *x = ints_of(s, node_in(n, i));
    struct str text = str_in(s->arena);
    if (!x) return assign(s, say(s, "annotate(List[int], (%s).tolist())", in(s, n, i)));
    str_addc(&text, '[');
    for (size_t k = 0; k < x->n; k++) str_addf(&text, "%s%s", k ? ", " : "", x->items[k]);
    str_addc(&text, ']');
    const char *out = str_done(&text);
    return out ? out : (fail_nomem(s->err), "[]");
}

const char *int_argument(struct script *s, const struct node *n, int i)
{
    const struct script_ints *x = ints_of(s, node_in(n, i));
    return x && x->n == 1 ? x->items[0] : say(s, "int(%s)", in(s, n, i));
}
