/* sequences.c - sequences whose items are known when the model is read become those items: gradients go through them,
 * and plans need no run-time containers. */
#include <stdio.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/map.h"
#include "graph/builder.h"
#include "pass/pass.h"
#include "pass/uses.h"

enum { ITEMS_MAX = 4096, DEPTH_MAX = 4096 };

struct items {
    struct value **v;
    size_t n, cap;
};

struct search {
    struct graph *g;
    struct builder b;
    struct arena scratch;
    struct map cut; /* id of a SplitToSequence's result: the Split that stands for it */
};

static const struct node *maker(struct value *v)
{
    v = value_resolve(v);
    return v && v->kind == VALUE_NODE ? v->node : NULL;
}

static bool push(struct search *s, struct items *to, struct value *v)
{
    return to->n < ITEMS_MAX && ARRAY_PUSH(&s->scratch, to->v, to->n, to->cap, v);
}

/* The lengths of the pieces, as a constant; NULL when they are not known. */
static struct value *lengths_of(struct search *s, const struct node *n, int axis, int64_t *count)
{
    int64_t dim = n->in[0]->shape.dim[axis], each = 1, lengths[ITEMS_MAX];
    const struct tensor *t = node_in(n, 1) ? value_const(n->in[1]) : NULL;
    if (t && t->shape.rank == 1) return *count = tensor_count(t), *count <= ITEMS_MAX ? n->in[1] : NULL;
    if (!node_const_integer(n, 1, 1, &each) || each < 1 || dim < 0) return NULL;
    *count = dim / each + (dim % each != 0);
    if (*count > ITEMS_MAX) return NULL;
    for (int64_t i = 0; i < *count; i++) lengths[i] = i * each + each <= dim ? each : dim - i * each;
    return emit_i64s(&s->b, lengths, (size_t)*count);
}

/* The Split that gives the pieces; one for all readers of the sequence. */
static struct node *cut(struct search *s, const struct node *n, int axis)
{
    char key[16];
    int64_t count;
    snprintf(key, sizeof key, "%d", n->out[0]->id);
    struct node *done = map_get(&s->cut, key);
    if (done) return done;
    struct value *lengths = lengths_of(s, n, axis, &count), *in[] = { n->in[0], lengths };
    if (!lengths || !count) return NULL;
    s->b.where = n->where;
    done = builder_node(&s->b, "Split", ATTRS(attr_int("axis", axis)), in, 2, (int)count);
    const char *kept = arena_strdup(&s->scratch, key);
    return done && kept && map_set(&s->cut, kept, done) ? done : NULL;
}

static bool pieces(struct search *s, const struct node *n, struct items *to)
{
    int rank = n->in[0]->shape.rank, axis = rank > 0 ? shape_axis(node_int(n, "axis"), rank) : -1;
    struct node *split = axis >= 0 ? cut(s, n, axis) : NULL;
    bool flat = !node_in(n, 1) && !node_int(n, "keepdims"), ok = split != NULL;
    for (int i = 0; ok && i < split->n_out; i++) {
        struct value *v = split->out[i];
        if (flat) v = emit(&s->b, "Squeeze", NO_ATTRS, v, emit_i64s(&s->b, (int64_t[]){ axis }, 1));
        ok = v && push(s, to, v);
    }
    return ok;
}

static bool find(struct search *s, struct value *sequence, struct items *to, int depth);

/* One more or one less, at a place that is known; `last` is the place where none is given. */
static bool changed(struct search *s, const struct node *n, struct items *to, int depth)
{
    bool more = node_is(n, "SequenceInsert");
    int64_t at, last;
    if (!find(s, n->in[0], to, depth + 1)) return false;
    last = (int64_t)to->n - !more;
    if (!node_const_integer(n, more ? 2 : 1, last, &at)) return false;
    if (at < 0) at += (int64_t)to->n;
    if (at < 0 || at > last) return false;
    if (more && !push(s, to, NULL)) return false;
    for (size_t i = to->n - 1; more && i > (size_t)at; i--) to->v[i] = to->v[i - 1];
    if (more) return to->v[at] = n->in[1], true;
    for (size_t i = (size_t)at; i + 1 < to->n; i++) to->v[i] = to->v[i + 1];
    return to->n--, true;
}

/* The items of a sequence, in order; false when they are not known. */
static bool find(struct search *s, struct value *sequence, struct items *to, int depth)
{
    const struct node *n = maker(sequence);
    if (!n || depth > DEPTH_MAX) return false;
    if (node_is(n, "SequenceEmpty")) return true;
    if (node_is(n, "SplitToSequence")) return pieces(s, n, to);
    if (node_is(n, "SequenceInsert") || node_is(n, "SequenceErase")) return changed(s, n, to, depth);
    if (!node_is(n, "SequenceConstruct")) return false;
    for (int i = 0; i < n->n_in; i++)
        if (!push(s, to, n->in[i])) return false;
    return true;
}

static struct value *item(struct search *s, const struct node *n, const struct items *of)
{
    int64_t at;
    if (!node_const_integer(n, 1, 0, &at)) return NULL;
    if (at < 0) at += (int64_t)of->n;
    return at >= 0 && at < (int64_t)of->n ? of->v[at] : NULL; /* a place that is not there is told by the run */
}

static struct value *joined(struct search *s, const struct node *n, const struct items *of)
{
    struct value *axis = emit_i64s(&s->b, (int64_t[]){ node_int(n, "axis") }, 1);
    bool stack = node_int(n, "new_axis") != 0;
    if (!of->n) return NULL;
    for (size_t i = 0; stack && i < of->n; i++) of->v[i] = emit(&s->b, "Unsqueeze", NO_ATTRS, of->v[i], axis);
    return builder_emit(&s->b, "Concat", ATTRS(attr_int("axis", node_int(n, "axis"))), of->v, (int)of->n);
}

static struct value *length(struct search *s, const struct node *n, const struct items *of)
{
    return emit_i64(&s->b, (int64_t)of->n);
}

static const struct {
    const char *op;
    struct value *(*make)(struct search *s, const struct node *n, const struct items *of);
} readers[] = { { "SequenceAt", item }, { "ConcatFromSequence", joined }, { "SequenceLength", length } };

static int visit(struct search *s, struct node *n)
{
    struct items of = { 0 };
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++) {
        if (!node_is(n, readers[i].op) || !find(s, n->in[0], &of, 0)) continue;
        s->b.where = n->where;
        struct value *v = readers[i].make(s, n, &of);
        if (v) graph_alias(n->out[0], v);
    }
    return s->scratch.failed ? fail_nomem(s->b.err) : s->b.err->code;
}

static int sequences(struct graph *g, struct err *e)
{
    struct search s = { .g = g, .b = { g, e } };
    arena_init(&s.scratch, g->arena->mem);
    s.cut = map_in(&s.scratch);
    size_t n = g->n_nodes;
    int code = 0;
    for (size_t i = 0; i < n && !code; i++) code = visit(&s, g->nodes[i]);
    arena_release(&s.scratch);
    return code ? code : graph_tidy(g, e);
}

const struct pass pass_sequences = { "sequences", "sequences of known items as those items", PASS_IMPORT, sequences };
