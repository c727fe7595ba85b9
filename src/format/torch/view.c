/* view.c - tensors with identity: views are chains of graph nodes, writes into them are undone to the base. */
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "format/torch/torch.h"
#include "graph/op.h"

enum { CHAIN_MAX = 16 };

struct chain { /* nodes from the content of the viewed tensor (first) to the view (last) */
    struct node *nodes[CHAIN_MAX];
    int index[CHAIN_MAX]; /* which output of it */
    int n;
};

enum view_shape { VIEW_SAME_ORDER, VIEW_PART, VIEW_PERMUTED };

static const struct view_kind {
    const char *op;
    enum view_shape shape;
} view_kinds[] = {
    { "Reshape", VIEW_SAME_ORDER },
    { "Squeeze", VIEW_SAME_ORDER },
    { "Unsqueeze", VIEW_SAME_ORDER },
    { "Flatten", VIEW_SAME_ORDER },
    { "Identity", VIEW_SAME_ORDER },
    { "Slice", VIEW_PART },
    { "Gather", VIEW_PART },
    { "Split", VIEW_PART },
    { "Transpose", VIEW_PERMUTED },
    { "Expand", VIEW_PERMUTED },
};

static const struct view_kind *view_kind(const struct node *n)
{
    for (size_t i = 0; i < sizeof view_kinds / sizeof *view_kinds; i++)
        if (!strcmp(n->op->name, view_kinds[i].op)) return &view_kinds[i];
    return NULL;
}

/* The value as its node made it, before a constant took its place. */
static struct value *made(struct torch *t, struct value *v)
{
    while (v->kind == VALUE_CONST && (size_t)v->id < t->n_hints && t->hints[v->id].folded) v = t->hints[v->id].folded;
    return v;
}

static bool find_chain(struct torch *t, struct value *in, struct value *out, struct chain *c)
{
    c->n = 0;
    for (struct value *v = out; value_resolve(v) != value_resolve(in); v = v->node->in[0]) {
        v = made(t, v);
        if (v->kind != VALUE_NODE || c->n == CHAIN_MAX || !view_kind(v->node)) return false;
        c->index[c->n] = v->index;
        c->nodes[c->n++] = v->node;
    }
    for (int i = 0; i < c->n / 2; i++) {
        int k = c->n - 1 - i, index = c->index[i];
        struct node *node = c->nodes[i];
        c->nodes[i] = c->nodes[k], c->nodes[k] = node;
        c->index[i] = c->index[k], c->index[k] = index;
    }
    return true;
}

static struct value *again(struct torch *t, const struct node *n, int index, struct value *in0)
{
    struct value *in[8];
    if (n->n_in > 8) return fail(t->err, ERR_UNSUPPORTED, "%s is no view", n->op->name), NULL;
    memcpy(in, n->in, (size_t)n->n_in * sizeof *in);
    in[0] = in0;
    struct node *made_node = builder_node(&t->b, n->op->name, n->attrs, in, n->n_in, n->n_out);
    return made_node ? made_node->out[index] : NULL;
}

static struct value *reshape_like(struct torch *t, struct value *v, struct value *like)
{
    struct value *shape = shape_is_known(&like->shape) ? emit_i64s(&t->b, like->shape.dim, (size_t)like->shape.rank)
                                                       : emit(&t->b, "Shape", NO_ATTRS, like);
    return emit(&t->b, "Reshape", NO_ATTRS, v, shape);
}

static struct value *undo_transpose(struct torch *t, const struct node *n, struct value *v)
{
    size_t rank;
    const int64_t *perm = node_ints(n, "perm", &rank);
    int64_t inverse[SHAPE_MAX];
    if (!perm) return emit(&t->b, "Transpose", NO_ATTRS, v); /* reversed, its own inverse */
    for (size_t i = 0; i < rank; i++) inverse[perm[i]] = (int64_t)i;
    return emit(&t->b, "Transpose", ATTRS(attr_ints("perm", inverse, rank)), v);
}

static struct value *scatter(
    struct torch *t, struct value *into, struct value *v, struct value *start, struct value *end, int64_t axis)
{
    return emit(&t->b, "ScatterSlice", NO_ATTRS, into, v, start, end, emit_i64s(&t->b, &axis, 1));
}

static struct value *undo_gather(struct torch *t, const struct node *n, struct value *into, struct value *v)
{
    int64_t axis = shape_axis(node_int(n, "axis"), into->shape.rank), zero = 0, one = 1;
    if (n->in[1]->shape.rank != 0) return fail(t->err, ERR_UNSUPPORTED, "a write into an indexed copy"), NULL;
    struct value *start = emit(&t->b, "Unsqueeze", NO_ATTRS, n->in[1], emit_i64s(&t->b, &zero, 1)), *end;
    const struct tensor *index = value_const(value_resolve(n->in[1]));
    if (index && tensor_get_i64(index, 0) == -1) end = emit_i64s(&t->b, &(int64_t){ INT64_MAX }, 1);
    else end = emit(&t->b, "Add", NO_ATTRS, start, emit_i64s(&t->b, &one, 1));
    return scatter(t, into, emit(&t->b, "Unsqueeze", NO_ATTRS, v, emit_i64s(&t->b, &axis, 1)), start, end, axis);
}

static struct value *undo_split(struct torch *t, const struct node *n, int index, struct value *into, struct value *v)
{
    int64_t axis = shape_axis(node_int(n, "axis"), into->shape.rank), start = 0, size;
    for (int i = 0; i <= index; i++) {
        if ((size = n->out[i]->shape.dim[axis]) < 0)
            return fail(t->err, ERR_UNSUPPORTED, "a write into a part whose size depends on the input"), NULL;
        if (i < index) start += size;
    }
    size += start;
    return scatter(t, into, v, emit_i64s(&t->b, &start, 1), emit_i64s(&t->b, &size, 1), axis);
}

/* The content `n` must have had as input 0 for its output to be v; `into`: the content it has. */
static struct value *undo(struct torch *t, const struct node *n, int index, struct value *into, struct value *v)
{
    struct value *in[6] = { into, v };
    if (node_is(n, "Transpose")) return undo_transpose(t, n, v);
    if (node_is(n, "Gather")) return undo_gather(t, n, into, v);
    if (node_is(n, "Split")) return undo_split(t, n, index, into, v);
    if (node_is(n, "Slice")) {
        for (int i = 1; i < n->n_in && i < 5; i++) in[i + 1] = n->in[i];
        return builder_emit(&t->b, "ScatterSlice", NO_ATTRS, in, n->n_in + 1);
    }
    if (!node_is(n, "Expand")) return reshape_like(t, v, into);
    if (shape_equal(&into->shape, &v->shape)) return v;
    return fail(t->err, ERR_UNSUPPORTED, "a write into an expanded tensor"), NULL;
}

struct torch_tensor *torch_tensor_new(struct torch *t, struct value *v)
{
    struct torch_tensor *x = v ? ARENA_NEW(t->arena, struct torch_tensor) : NULL;
    if (!x) return v ? fail_nomem(t->err) : 0, NULL;
    x->value = v;
    x->dense = true;
    x->serial = ++t->serial;
    return x;
}

static struct torch_tensor *base_of(struct torch_tensor *x)
{
    while (x->from) x = x->from;
    return x;
}

int torch_tensor_make_state(struct torch *t, struct torch_tensor *x)
{
    struct torch_tensor *base = base_of(x);
    if (!base->data || base->state || !base->key || !base->value || base->value->kind != VALUE_CONST) return 0;
    struct value *state = graph_state(t->g, base->key, base->data, 0, t->err);
    if (!state) return t->err->code;
    state->origin = base->value->origin;
    graph_alias(base->value, state);
    base->state = base->value = state;
    return 0;
}

struct value *torch_tensor_read(struct torch *t, struct torch_tensor *x)
{
    unsigned version = base_of(x)->version;
    if (!x->from && !x->value && x->data && !(x->value = graph_const(t->g, NULL, x->data, t->err))) return NULL;
    if (!x->from || x->version == version) return value_resolve(x->value);
    struct chain c;
    struct value *v = torch_tensor_read(t, x->from);
    if (!v || !find_chain(t, x->view_in, x->view_out, &c)) return NULL;
    for (int i = 0; i < c.n && v; i++) v = again(t, c.nodes[i], c.index[i], v);
    if (!v || torch_settle(t)) return NULL;
    x->value = v;
    x->version = version;
    return value_resolve(v);
}

static int note_write(struct torch *t, struct torch_tensor *x)
{
    for (size_t i = t->first_write; i < t->n_writes; i++)
        if (t->writes[i].tensor == x) return 0;
    struct torch_write w = { x, x->value, NULL };
    return ARRAY_PUSH(t->arena, t->writes, t->n_writes, t->cap_writes, w) ? 0 : fail_nomem(t->err);
}

static int store(struct torch *t, struct torch_tensor *x, struct value *v)
{
    if (!x->from) {
        if (x->serial < t->frozen) TRY(note_write(t, x));
        x->version++;
        x->value = v;
        return 0;
    }
    struct chain c;
    struct value *in[CHAIN_MAX + 1] = { torch_tensor_read(t, x->from) };
    if (!in[0] || !find_chain(t, x->view_in, x->view_out, &c)) return t->err->code;
    for (int i = 0; i + 1 < c.n; i++)
        if (!(in[i + 1] = again(t, c.nodes[i], c.index[i], in[i]))) return t->err->code;
    struct value *undone = v;
    for (int i = c.n; i-- > 0 && undone;) undone = undo(t, c.nodes[i], c.index[i], in[i], undone);
    if (!undone) return t->err->code;
    TRY(store(t, x->from, undone));
    x->value = v;
    x->version = base_of(x)->version;
    return 0;
}

int torch_tensor_write(struct torch *t, struct torch_tensor *x, struct value *v)
{
    struct value *old = torch_tensor_read(t, x);
    if (!old || !v) return t->err->code;
    v = emit_cast(&t->b, value_resolve(v), old->dtype);
    struct shape want = torch_hint(t, old)->shape, have = torch_hint(t, v)->shape;
    if (!shape_equal(&want, &have) && have.rank >= 0 && want.rank >= 0) {
        struct value *shape = shape_is_known(&old->shape) ? emit_i64s(&t->b, old->shape.dim, (size_t)old->shape.rank)
                                                          : emit(&t->b, "Shape", NO_ATTRS, old);
        v = emit(&t->b, "Expand", NO_ATTRS, v, shape);
    }
    if (!v) return t->err->code;
    TRY(store(t, x, v));
    return torch_settle(t);
}

/* Is the output of `n` row-major without gaps when its input is? By concrete sizes. */
static bool keeps_dense(struct torch *t, const struct node *n)
{
    const struct view_kind *kind = view_kind(n);
    if (kind->shape != VIEW_PART) return kind->shape == VIEW_SAME_ORDER;
    struct shape s = torch_hint(t, n->in[0])->shape, o = torch_hint(t, n->out[0])->shape;
    for (int i = 1; i < s.rank; i++) /* the whole of every dimension but the first */
        if (o.rank != s.rank || s.dim[i] != o.dim[i]) return node_is(n, "Gather") && node_int(n, "axis") == 0;
    return s.rank >= 0;
}

struct torch_tensor *torch_tensor_view(struct torch *t, struct torch_tensor *x, struct value *v, bool dense_only)
{
    struct chain c;
    struct value *in = torch_tensor_read(t, x);
    struct torch_tensor *view = torch_tensor_new(t, v);
    if (!in || !view || (dense_only && !x->dense) || !find_chain(t, in, v, &c)) return view;
    view->from = x;
    view->view_in = in;
    view->view_out = v;
    view->version = base_of(x)->version;
    view->dense = x->dense;
    for (int i = 0; i < c.n; i++) view->dense &= keeps_dense(t, c.nodes[i]);
    return view;
}
