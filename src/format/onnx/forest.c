/* forest.c - decision trees in the order that the operator Trees wants: parents before their children. */
#include "format/onnx/forest.h"

#include "base/arena.h"
#include "base/err.h"
#include "format/onnx/lift_emit.h"
#include "ops/tree.h"

struct sorting {
    const struct forest *f;
    int64_t *parents; /* by index: how many nodes lead there */
    int64_t *rank;    /* by index: the new one; -1: not reached */
    int64_t *order;   /* the reverse; also the queue */
    int64_t met;
};

static bool is_leaf(const struct forest_node *n)
{
    return (n->mode & ~TREE_MISSING) == TREE_LEAF;
}

static int check_child(const struct forest *f, int64_t i, struct err *e)
{
    return i >= 0 && i < f->n ? 0 : fail(e, ERR_MODEL, "a tree has no node %lld", (long long)i);
}

/* Everything that the roots lead to, and from how many places (sets of members share their children). */
static int reach(struct sorting *s, struct err *e)
{
    const struct forest *f = s->f;
    for (int64_t i = 0; i < f->n; i++) s->rank[i] = -1;
    for (int64_t i = 0; i < f->n_roots; i++) {
        TRY(check_child(f, f->roots[i], e));
        if (s->rank[f->roots[i]] >= 0) return fail(e, ERR_MODEL, "two trees share their root");
        s->rank[f->roots[i]] = 0;
        s->order[s->met++] = f->roots[i];
    }
    for (int64_t k = 0; k < s->met; k++) {
        const struct forest_node *n = &f->nodes[s->order[k]];
        int64_t children[] = { n->yes, n->no };
        for (int c = 0; c < 2 && !is_leaf(n); c++) {
            TRY(check_child(f, children[c], e));
            s->parents[children[c]]++;
            if (s->rank[children[c]] >= 0) continue;
            s->rank[children[c]] = 0;
            s->order[s->met++] = children[c];
        }
    }
    return 0;
}

/* Parents before children (Kahn 1962). */
static int sort(struct sorting *s, struct err *e)
{
    const struct forest *f = s->f;
    TRY(reach(s, e));
    int64_t all = s->met;
    for (int64_t i = s->met = 0; i < f->n_roots; i++) {
        if (s->parents[f->roots[i]]) return fail(e, ERR_MODEL, "a root of the trees is a child");
        s->order[s->met++] = f->roots[i];
    }
    for (int64_t k = 0; k < s->met; k++) {
        const struct forest_node *n = &f->nodes[s->order[k]];
        int64_t children[] = { n->yes, n->no };
        s->rank[s->order[k]] = k;
        for (int c = 0; c < 2 && !is_leaf(n); c++)
            if (!--s->parents[children[c]]) s->order[s->met++] = children[c];
    }
    return s->met == all ? 0 : fail(e, ERR_MODEL, "a tree runs in a circle");
}

static struct value *table(struct lift *l, enum dtype t, int rank, const int64_t *dims, struct tensor **out)
{
    struct shape s = shape_of(rank, dims);
    *out = tensor_new(l->b->g->arena, t, &s, l->b->err);
    return *out ? emit_const(l->b, *out) : NULL;
}

struct value *forest_emit(struct forest *f, struct value *x, const char *aggregate, int64_t n_targets, struct err *e)
{
    struct lift *l = f->l;
    enum dtype t = f->as_double ? DT_F64 : DT_F32;
    struct sorting s = { .f = f };
    s.parents = ARENA_ARRAY(l->arena, f->n, int64_t);
    s.rank = ARENA_ARRAY(l->arena, f->n, int64_t);
    s.order = ARENA_ARRAY(l->arena, f->n, int64_t);
    if (!s.parents || !s.rank || !s.order) return fail_nomem(e), NULL;
    if (sort(&s, e)) return NULL;
    struct tensor *nodes, *values, *roots, *targets, *weights;
    struct value *in[] = { x, table(l, DT_I64, 2, (int64_t[]){ s.met, TREE_COLUMNS }, &nodes),
        table(l, t, 1, &s.met, &values), table(l, DT_I64, 1, &f->n_roots, &roots),
        table(l, DT_I64, 1, &f->n_weights, &targets), table(l, t, 1, &f->n_weights, &weights) };
    if (e->code) return NULL;
    for (int64_t k = 0; k < s.met; k++) {
        const struct forest_node *n = &f->nodes[s.order[k]];
        bool leaf = is_leaf(n);
        int64_t row[] = { n->feature, n->mode, leaf ? n->yes : s.rank[n->yes], leaf ? n->no : s.rank[n->no] };
        store_i64(DT_I64, (int64_t *)nodes->data + k * TREE_COLUMNS, TREE_COLUMNS, row);
        tensor_set_f64(values, k, n->value);
    }
    for (int64_t i = 0; i < f->n_roots; i++) tensor_set_i64(roots, i, s.rank[f->roots[i]]);
    store_i64(DT_I64, targets->data, f->n_weights, f->targets);
    store_f64(t, weights->data, f->n_weights, f->weights);
    return builder_emit(
        l->b, "Trees", ATTRS(attr_int("n_targets", n_targets), attr_string("aggregate", aggregate)), in, 6);
}
