/* channels.c - images whose channels are shuffled, and halves of them, become one Gather each.
 *
 *   Reshape (N, g, C / g, ...) -> Transpose 0 2 1 ... -> Reshape (N, C, ...)   =>  Gather of channels  (ShuffleNet)
 *   such a Gather -> Slice of channels                                         =>  Gather of fewer channels
 *
 * Kernels that find channels side by side do that without a way by row-major memory.
 */
#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "pass/pass.h"
#include "pass/uses.h"

struct search {
    struct graph *g;
    struct builder b;
    struct uses uses;
};

/* Whether the node turns (N, g, C / g, ...) into (N, C / g, g, ...). */
static bool turns_channels(const struct node *t)
{
    size_t n;
    const int64_t *perm = node_ints(t, "perm", &n);
    if (n < 5 || perm[0] != 0 || perm[1] != 2 || perm[2] != 1) return false;
    for (size_t i = 3; i < n; i++)
        if (perm[i] != (int64_t)i) return false;
    return true;
}

/* The image that this last Reshape of three shuffles, and in how many groups; NULL: it does not. */
static struct value *shuffled(const struct search *s, const struct node *last, int64_t *groups)
{
    const struct node *turn = made_by(last->in[0], "Transpose");
    const struct node *first = turn ? made_by(turn->in[0], "Reshape") : NULL;
    if (!first || !turns_channels(turn) || !uses_only(&s->uses, turn->in[0]) || !uses_only(&s->uses, last->in[0]))
        return NULL;
    struct value *x = first->in[0];
    const struct shape *from = &x->shape, *split = &turn->in[0]->shape;
    if (!shape_is_known(from) || !shape_is_known(split) || !shape_equal(from, &last->out[0]->shape)) return NULL;
    if (split->rank != from->rank + 1 || split->dim[0] != from->dim[0]) return NULL;
    for (int i = 2; i < from->rank; i++)
        if (from->dim[i] != split->dim[i + 1]) return NULL;
    *groups = split->dim[1];
    return x;
}

static struct value *gather(struct search *s, const struct node *where, struct value *x, const int64_t *index, size_t n)
{
    s->b.where = where->where;
    struct value *at = emit_i64s(&s->b, index, n);
    s->b.name = where->name;
    return emit(&s->b, "Gather", ATTRS(attr_int("axis", 1)), x, at);
}

static int shuffle(struct search *s, const struct node *n)
{
    int64_t groups;
    struct value *x = shuffled(s, n, &groups), *y;
    if (!x || groups < 2) return 0;
    int64_t channels = x->shape.dim[1], *index = ARENA_ARRAY(s->g->arena, channels, int64_t);
    TRY_MEM(index, s->b.err);
    for (int64_t i = 0; i < channels; i++) index[i] = i % groups * (channels / groups) + i / groups;
    if ((y = gather(s, n, x, index, (size_t)channels))) graph_alias(n->out[0], y);
    return s->b.err->code;
}

/* The Slice's result has its channels from `start` on; the other dimensions whole. */
static int slice(struct search *s, const struct node *n)
{
    const struct node *of = made_by(n->in[0], "Gather");
    const struct tensor *index = of && node_int(of, "axis") == 1 ? value_const(of->in[1]) : NULL;
    const struct shape *to = &n->out[0]->shape;
    int64_t start, axis, step;
    if (!index || index->shape.rank != 1 || !shape_is_known(to) || to->rank < 3) return 0;
    if (!node_const_integer(n, 1, 0, &start) || !node_const_integer(n, 3, 0, &axis)) return 0;
    if (!node_const_integer(n, 4, 1, &step)) return 0;
    int64_t have = tensor_count(index), count = to->dim[1];
    if (start < 0) start += have;
    if ((axis != 1 && axis != 1 - to->rank) || step != 1 || start < 0 || start + count > have) return 0;
    int64_t *some = ARENA_ARRAY(s->g->arena, count, int64_t);
    TRY_MEM(some, s->b.err);
    for (int64_t i = 0; i < count; i++) some[i] = tensor_get_i64(index, start + i);
    struct value *y = count ? gather(s, n, of->in[0], some, (size_t)count) : NULL;
    if (y) graph_alias(n->out[0], y);
    return s->b.err->code;
}

static int each(struct search *s, const char *op, int (*visit)(struct search *s, const struct node *n))
{
    struct arena scratch;
    size_t n = s->g->n_nodes;
    arena_init(&scratch, s->g->arena->mem);
    int code = uses_count(&s->uses, s->g, &scratch, s->b.err);
    for (size_t i = 0; i < n && !code; i++)
        if (node_is(s->g->nodes[i], op)) code = visit(s, s->g->nodes[i]);
    arena_release(&scratch);
    return code ? code : graph_tidy(s->g, s->b.err);
}

static int channels(struct graph *g, struct err *e)
{
    struct search s = { .g = g, .b = { g, e } };
    TRY(each(&s, "Reshape", shuffle));
    return each(&s, "Slice", slice);
}

const struct pass pass_channels = { "channels", "shuffled channels as one Gather each", PASS_PLAN, channels };
