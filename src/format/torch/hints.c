/* hints.c - what graph values are for the example inputs: concrete shapes, content computed from shapes,
 * constants. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "format/torch/torch.h"
#include "graph/known.h"
#include "graph/op.h"
#include "ops/kernel.h"

enum {
    CONTENT_MAX = 1 << 20, /* elements of content that is kept as a hint */
    FOLD_MAX = 1 << 24,    /* elements of a folded constant; larger ones stay nodes */
    SPEND_MAX = 512 << 20  /* bytes of both in one import; past it nodes stay nodes */
};

static struct hint *slot(struct torch *t, const struct value *v)
{
    struct hint none = { 0 };
    while (t->n_hints <= (size_t)v->id)
        if (!ARRAY_PUSH(t->arena, t->hints, t->n_hints, t->cap_hints, none)) return fail_nomem(t->err), NULL;
    return &t->hints[v->id];
}

/* A hint from what the value itself says: constants with their content, shapes that are numbers. */
static struct hint hint_of(struct torch *t, const struct value *v)
{
    if ((size_t)v->id < t->n_hints && t->hints[v->id].known) return t->hints[v->id];
    struct hint h = { .known = true, .shape = shape_unknown(), .content = value_const(v) };
    if (shape_is_known(&v->shape)) h.shape = v->shape;
    return h;
}

int torch_set_hint(struct torch *t, const struct value *v, const struct shape *shape)
{
    struct hint *h = slot(t, v);
    if (!h) return t->err->code;
    h->known = true;
    h->shape = *shape;
    return 0;
}

/* A copy of node `n` whose inputs are as the hints say, for infer() and run(). */
struct scratch_node {
    struct node node;
    struct value values[32];
    struct value *list[32];
    struct tensor shapes[32], *content[32];
    bool all_content, all_shapes, all_const;
};

static bool scratch_init(struct torch *t, struct scratch_node *s, const struct node *n)
{
    if (n->n_in + n->n_out > 32) return false;
    memset(s, 0, sizeof *s);
    s->node = *n;
    s->node.in = s->list;
    s->node.out = s->list + n->n_in;
    s->all_content = s->all_shapes = s->all_const = true;
    for (int i = 0; i < n->n_in + n->n_out; i++) {
        struct value *from = i < n->n_in ? value_resolve(n->in[i]) : n->out[i - n->n_in], *v = &s->values[i];
        if (!from) continue;
        s->list[i] = v;
        *v = (struct value){ .kind = VALUE_INPUT, .name = from->name, .dtype = from->dtype, .shape = shape_unknown() };
        if (i >= n->n_in) continue;
        struct hint h = hint_of(t, from);
        v->shape = h.shape;
        v->data = h.content;
        if (h.content) v->kind = VALUE_CONST;
        s->content[i] = (struct tensor *)(uintptr_t)h.content;
        s->all_const &= from->kind == VALUE_CONST;
        s->all_shapes &= h.shape.rank >= 0;
        if (h.content || h.shape.rank < 0 || !(n->op->flags & OP_SHAPE_ONLY) || i) {
            s->all_content &= h.content != NULL;
            continue;
        }
        s->shapes[i] = (struct tensor){ .dtype = from->dtype, .shape = h.shape };
        s->content[i] = &s->shapes[i];
    }
    return true;
}

/* May the outputs be computed? Counts their bytes. */
static bool spend(struct torch *t, const struct scratch_node *s)
{
    uint64_t bytes = 0;
    for (int i = 0; i < s->node.n_out; i++) {
        int64_t n = shape_count(&s->node.out[i]->shape);
        if (n < 0 || n > (s->all_const ? FOLD_MAX : CONTENT_MAX)) return false;
        bytes += (uint64_t)n * dtype_size(s->node.out[i]->dtype);
    }
    if (t->spent + bytes > SPEND_MAX) return false;
    t->spent += bytes;
    return true;
}

static int fold(struct torch *t, struct node *n, int i, const struct tensor *data)
{
    t->b.name = NULL;
    struct value *v = graph_const(t->g, n->out[i]->name, data, t->err);
    struct hint *h = v ? slot(t, v) : NULL;
    if (!h) return t->err->code;
    *h = (struct hint){ .known = true, .shape = data->shape, .content = data, .folded = n->out[i] };
    graph_alias(n->out[i], v);
    return 0;
}

/* Output i, an integer value whose contents inference knows for every input, is a constant. */
static int fold_known(struct torch *t, struct node *n, int i)
{
    int64_t k[KNOWN_MAX];
    int count = n->out[i]->dtype == DT_I64 ? value_contents(n->out[i], k) : -1;
    if (count < 0) return 0;
    for (int j = 0; j < count; j++)
        if (!known_is_number(k[j])) return 0;
    struct tensor *data = tensor_copy(t->g->arena, DT_I64, &n->out[i]->shape, k, t->err);
    return data ? fold(t, n, i, data) : t->err->code;
}

static int settle_node(struct torch *t, struct node *n)
{
    struct scratch_node s;
    struct tensor *out[32] = { NULL };
    if (!scratch_init(t, &s, n)) return 0;
    bool runs = n->op->run && !(n->op->flags & (OP_RANDOM | OP_EFFECT | OP_UNPACKS)) && n->n_in > 0 && s.all_content;
    if (s.all_shapes && n->op->infer && n->op->infer(&s.node, t->err)) return node_err(n, t->err);
    if (runs && spend(t, &s)) TRY(op_eval(&s.node, s.content, out, s.all_const ? t->g->arena : t->arena, 1, t->err));
    for (int i = 0; i < n->n_out; i++) {
        if (out[i] && s.all_const) {
            TRY(fold(t, n, i, out[i]));
            continue;
        }
        struct hint *h = slot(t, n->out[i]);
        if (!h) return t->err->code;
        *h = (struct hint){ .known = true, .shape = out[i] ? out[i]->shape : s.node.out[i]->shape, .content = out[i] };
        if (!shape_is_known(&h->shape)) h->shape = shape_unknown();
        if (h->shape.rank < 0 && shape_is_known(&n->out[i]->shape)) h->shape = n->out[i]->shape;
        TRY(fold_known(t, n, i));
    }
    return 0;
}

int torch_settle(struct torch *t)
{
    while (t->settled < t->g->n_nodes && !t->err->code) TRY(settle_node(t, t->g->nodes[t->settled++]));
    return t->err->code;
}

const struct hint *torch_hint(struct torch *t, struct value *v)
{
    static const struct hint unknown = { .shape = { RANK_UNKNOWN, { 0 } } };
    if (!v || torch_settle(t)) return &unknown;
    v = value_resolve(v);
    struct hint h = hint_of(t, v), *kept = slot(t, v);
    if (!kept) return &unknown;
    *kept = h;
    return kept;
}

struct value *torch_size(struct torch *t, struct value *v, int axis)
{
    v = value_resolve(v);
    if (v->shape.rank > axis && v->shape.dim[axis] >= 0) return emit_i64(&t->b, v->shape.dim[axis]);
    char key[32];
    snprintf(key, sizeof key, "%d.%d", v->id, axis);
    struct value *size = map_get(&t->sizes, key);
    if (size) return value_resolve(size);
    size = emit(&t->b, "Gather", ATTRS(attr_int("axis", 0)), emit(&t->b, "Shape", NO_ATTRS, v), emit_i64(&t->b, axis));
    if (torch_settle(t)) return NULL;
    if (!map_set(&t->sizes, key, size)) return fail_nomem(t->err), NULL;
    return value_resolve(size);
}

struct object *torch_size_object(struct torch *t, struct value *v, int axis)
{
    v = value_resolve(v);
    if (v->shape.rank > axis && v->shape.dim[axis] >= 0) return object_int(t->arena, v->shape.dim[axis], NULL);
    struct value *size = torch_size(t, v, axis);
    return size ? torch_number(t, size) : NULL;
}
