/* lift_tree.c - ai.onnx.ml's ensembles of decision trees, in all their spellings. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/onnx/forest.h"
#include "format/onnx/lift_emit.h"
#include "ops/tree.h"

static const char *const modes[] = { "BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ",
    "LEAF", NULL };

static const int64_t *ints(const struct lift *l, const char *name, int64_t *n)
{
    const struct attr *a = lift_attr(l, name);
    *n = a && a->type == ATTR_INTS ? (int64_t)a->n : 0;
    return *n ? a->ints : NULL;
}

/* Numbers of a list attribute, or of a tensor attribute. */
static const double *numbers(struct lift *l, const char *name, const char *tensor, int64_t *n, struct err *e)
{
    const struct attr *a = lift_attr(l, name), *t = lift_attr(l, tensor);
    *n = 0;
    if (a && a->type == ATTR_FLOATS) return *n = (int64_t)a->n, a->floats;
    if (!t || t->type != ATTR_TENSOR) return NULL;
    double *v = ARENA_ARRAY(l->arena, tensor_count(t->tensor), double);
    if (!v) return fail_nomem(e), NULL;
    *n = tensor_count(t->tensor);
    load_f64(t->tensor->dtype, t->tensor->data, *n, v);
    return v;
}

static bool holds_double(const struct lift *l, const char *tensor)
{
    const struct attr *t = lift_attr(l, tensor);
    return t && t->type == ATTR_TENSOR && t->tensor->dtype == DT_F64;
}

/* A node by its tree and its number there. */
struct key {
    int64_t tree, node, at;
};

static int by_key(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    if (x->tree != y->tree) return x->tree < y->tree ? -1 : 1;
    return x->node == y->node ? 0 : x->node < y->node ? -1 : 1;
}

static int64_t find_key(const struct key *keys, int64_t n, int64_t tree, int64_t node)
{
    struct key want = { tree, node, 0 };
    const struct key *k = bsearch(&want, keys, (size_t)n, sizeof *keys, by_key);
    return k ? k->at : -1;
}

/* The lists nodes_*, all of one length. */
struct lists {
    int64_t n;
    const int64_t *tree, *node, *feature, *yes, *no, *missing;
    const double *value;
    const struct attr *mode;
    struct key *keys;
};

static int read_lists(struct lift *l, struct lists *s, struct err *e)
{
    int64_t counts[6], n_missing, n_values;
    s->tree = ints(l, "nodes_treeids", &counts[0]);
    s->node = ints(l, "nodes_nodeids", &counts[1]);
    s->feature = ints(l, "nodes_featureids", &counts[2]);
    s->yes = ints(l, "nodes_truenodeids", &counts[3]);
    s->no = ints(l, "nodes_falsenodeids", &counts[4]);
    s->missing = ints(l, "nodes_missing_value_tracks_true", &n_missing);
    s->value = numbers(l, "nodes_values", "nodes_values_as_tensor", &n_values, e);
    s->mode = lift_attr(l, "nodes_modes");
    if (e->code) return e->code;
    s->n = counts[0];
    counts[5] = n_values;
    for (int i = 0; i < 6; i++)
        if (counts[i] != s->n) return fail(e, ERR_MODEL, "the lists of nodes have different lengths");
    if (!s->n || !s->mode || s->mode->type != ATTR_STRINGS || (int64_t)s->mode->n != s->n ||
        (n_missing && n_missing != s->n))
        return fail(e, ERR_MODEL, "the lists of nodes have different lengths");
    TRY_MEM(s->keys = ARENA_ARRAY(l->arena, s->n, struct key), e);
    for (int64_t i = 0; i < s->n; i++) s->keys[i] = (struct key){ s->tree[i], s->node[i], i };
    qsort(s->keys, (size_t)s->n, sizeof *s->keys, by_key);
    for (int64_t i = 1; i < s->n; i++)
        if (!by_key(&s->keys[i - 1], &s->keys[i]))
            return fail(
                e, ERR_MODEL, "two nodes %lld in tree %lld", (long long)s->keys[i].node, (long long)s->keys[i].tree);
    return 0;
}

static int mode_named(const char *name)
{
    for (int i = 0; modes[i]; i++)
        if (!strcmp(modes[i], name)) return i;
    return -1;
}

static int make_nodes(struct forest *f, const struct lists *s, struct err *e)
{
    f->n = s->n;
    f->nodes = ARENA_ARRAY(f->l->arena, s->n, struct forest_node);
    f->roots = ARENA_ARRAY(f->l->arena, s->n, int64_t);
    bool *child = ARENA_ARRAY(f->l->arena, s->n, bool);
    if (!f->nodes || !f->roots || !child) return fail_nomem(e);
    for (int64_t i = 0; i < s->n; i++) {
        int mode = mode_named(s->mode->strings[i]);
        if (mode < 0) return fail(e, ERR_UNSUPPORTED, "nodes_modes holds %s", s->mode->strings[i]);
        struct forest_node *n = &f->nodes[i];
        *n = (struct forest_node){ s->feature[i], mode, s->value[i], 0, 0 };
        if (mode == TREE_LEAF) continue;
        if (s->missing && s->missing[i]) n->mode |= TREE_MISSING;
        n->yes = find_key(s->keys, s->n, s->tree[i], s->yes[i]);
        n->no = find_key(s->keys, s->n, s->tree[i], s->no[i]);
        if (n->yes < 0 || n->no < 0)
            return fail(e, ERR_MODEL, "node %lld of tree %lld has a child that is not there", (long long)s->node[i],
                (long long)s->tree[i]);
        child[n->yes] = child[n->no] = true;
    }
    for (int64_t i = 0; i < s->n; i++)
        if (!child[s->keys[i].at]) f->roots[f->n_roots++] = s->keys[i].at; /* trees in the order of their numbers */
    return 0;
}

/* Leaf weights in the order of their nodes; PREFIX_treeids, PREFIX_nodeids, PREFIX_ids, PREFIX_weights. */
static int read_weights(struct forest *f, const struct lists *s, const char *prefix, int64_t *n_ids, struct err *e)
{
    struct lift *l = f->l;
    int64_t n[4];
    const int64_t *tree = ints(l, arena_printf(l->arena, "%s_treeids", prefix), &n[0]);
    const int64_t *node = ints(l, arena_printf(l->arena, "%s_nodeids", prefix), &n[1]);
    const int64_t *id = ints(l, arena_printf(l->arena, "%s_ids", prefix), &n[2]);
    const double *w = numbers(l, arena_printf(l->arena, "%s_weights", prefix),
        arena_printf(l->arena, "%s_weights_as_tensor", prefix), &n[3], e);
    if (e->code) return e->code;
    if (n[0] != n[1] || n[0] != n[2] || n[0] != n[3]) return fail(e, ERR_MODEL, "the lists of leaves differ in length");
    int64_t *at = ARENA_ARRAY(l->arena, n[0], int64_t), *targets = ARENA_ARRAY(l->arena, n[0], int64_t);
    double *weights = ARENA_ARRAY(l->arena, n[0], double);
    if (!at || !targets || !weights) return fail_nomem(e);
    for (int64_t i = 0; i < n[0]; i++) {
        at[i] = find_key(s->keys, s->n, tree[i], node[i]);
        if (at[i] < 0 || f->nodes[at[i]].mode != TREE_LEAF)
            return fail(e, ERR_MODEL, "tree %lld has no leaf %lld", (long long)tree[i], (long long)node[i]);
        f->nodes[at[i]].no++; /* counted first, then turned into ranges */
    }
    int64_t from = 0;
    for (int64_t i = 0; i < f->n; i++) {
        struct forest_node *v = &f->nodes[i];
        if (v->mode != TREE_LEAF) continue;
        int64_t count = v->no;
        v->yes = v->no = from;
        from += count;
    }
    for (int64_t i = 0; i < n[0]; i++) {
        int64_t to = f->nodes[at[i]].no++;
        targets[to] = id[i];
        weights[to] = w[i];
    }
    f->targets = targets, f->weights = weights, f->n_weights = n[0];
    *n_ids = n[0];
    return 0;
}

static int open_forest(struct forest *f, struct lift *l, const char *prefix, struct err *e)
{
    struct lists s = { 0 };
    int64_t n;
    *f = (struct forest){ .l = l, .as_double = holds_double(l, "nodes_values_as_tensor") };
    if (!lift_in(l, 0)) return fail(e, ERR_MODEL, "input 0 is missing");
    TRY(read_lists(l, &s, e));
    TRY(make_nodes(f, &s, e));
    return read_weights(f, &s, prefix, &n, e);
}

static struct value *with_base(struct lift *l, struct value *scores, int64_t from, int64_t n_targets, struct err *e)
{
    int64_t n;
    const double *base = numbers(l, "base_values", "base_values_as_tensor", &n, e);
    if (!base || !scores || !n) return scores;
    if (n < from + n_targets) return fail(e, ERR_MODEL, "%lld base values", (long long)n), NULL;
    struct shape s = shape_of(1, &n_targets);
    struct tensor *t = tensor_new(l->b->g->arena, scores->dtype, &s, e);
    if (!t) return NULL;
    store_f64(t->dtype, t->data, n_targets, base + from);
    return lift_two(l, "Add", scores, emit_const(l->b, t));
}

static const char *text(const struct lift *l, const char *name, const char *otherwise)
{
    const struct attr *a = lift_attr(l, name);
    return a && a->type == ATTR_STRING ? a->s : otherwise;
}

static int regressor(struct lift *l, const char *arg, struct err *e)
{
    struct forest f;
    int64_t n = lift_int(l, "n_targets", 1);
    TRY(open_forest(&f, l, "target", e));
    struct value *y = forest_emit(&f, l->in[0], text(l, "aggregate_function", "SUM"), n, e);
    y = with_base(l, y, 0, n, e);
    lift_result(l, ml_transformed(l, y, text(l, "post_transform", "NONE"), e));
    return e->code;
}

/* One score for two classes: that of the second. What stands for the first depends on the sign of the weights, as
 * ONNX Runtime has it. */
static int two_classes(struct lift *l, struct value *score, bool positive, struct err *e)
{
    bool logistic = !strcmp(text(l, "post_transform", "NONE"), "LOGISTIC");
    struct value *limit = lift_number(l, score, positive ? 0.5 : 0), *other;
    struct value *label = emit_cast(l->b, lift_two(l, "Greater", score, limit), DT_I64);
    l->out[0] = ml_labels(
        l, lift_reshaped(l, label, 1, (int64_t[]){ -1 }), "classlabels_int64s", "classlabels_strings", e);
    if (positive) other = lift_two(l, "Sub", lift_number(l, score, 1), score);
    else other = lift_one(l, "Neg", score);
    if (!positive && logistic) score = lift_one(l, "Sigmoid", score), other = lift_one(l, "Sigmoid", other);
    l->out[1] = emit(l->b, "Concat", ATTRS(attr_int("axis", 1)), other, score);
    return e->code;
}

static int64_t count_labels(const struct lift *l)
{
    const struct attr *a = lift_attr(l, "classlabels_int64s"), *s = lift_attr(l, "classlabels_strings");
    return a ? (int64_t)a->n : s ? (int64_t)s->n : 0;
}

/* Outputs: the label of each row, the scores of each class. */
static int classifier(struct lift *l, const char *arg, struct err *e)
{
    struct forest f;
    int64_t labels = count_labels(l);
    bool one_class = true, positive = true;
    TRY(open_forest(&f, l, "class", e));
    if (labels < 1 || l->n_out > 2) return fail(e, ERR_MODEL, "%lld labels", (long long)labels);
    for (int64_t i = 0; i < f.n_weights; i++) {
        one_class &= f.targets[i] == f.targets[0];
        positive &= f.weights[i] >= 0;
    }
    bool binary = labels == 2 && one_class && f.n_weights;
    int64_t *zeros = ARENA_ARRAY(l->arena, f.n_weights, int64_t);
    TRY_MEM(zeros, e);
    if (binary) f.targets = zeros;
    struct value *y = forest_emit(&f, l->in[0], "SUM", binary ? 1 : labels, e);
    int64_t n_base;
    numbers(l, "base_values", "base_values_as_tensor", &n_base, e);
    y = with_base(l, y, binary && n_base == 2, binary ? 1 : labels, e);
    if (e->code) return e->code;
    struct value **out = l->out, *spare[2];
    if (l->n_out < 2) l->out = spare;
    if (binary) TRY(two_classes(l, y, positive, e));
    else {
        struct value *best = emit(l->b, "ArgMax", ATTRS(attr_int("axis", 1), attr_int("keepdims", 0)), y);
        l->out[0] = ml_labels(l, best, "classlabels_int64s", "classlabels_strings", e);
        l->out[1] = ml_transformed(l, y, text(l, "post_transform", "NONE"), e);
    }
    out[0] = l->out[0];
    l->out = out;
    l->done = true;
    return e->code;
}

/* --- TreeEnsemble of version 5: inner nodes and leaves apart, sets of members --- */

struct five {
    int64_t n, leaves, n_members, member;
    const int64_t *feature, *yes, *no, *yes_leaf, *no_leaf, *missing, *target;
    const double *split, *weight, *members;
    const struct tensor *mode;
};

static int read_five(struct lift *l, struct five *v, struct err *e)
{
    int64_t n[7], n_split, n_weight, n_missing;
    const struct attr *mode = lift_attr(l, "nodes_modes");
    v->feature = ints(l, "nodes_featureids", &n[0]);
    v->yes = ints(l, "nodes_truenodeids", &n[1]);
    v->no = ints(l, "nodes_falsenodeids", &n[2]);
    v->yes_leaf = ints(l, "nodes_trueleafs", &n[3]);
    v->no_leaf = ints(l, "nodes_falseleafs", &n[4]);
    v->missing = ints(l, "nodes_missing_value_tracks_true", &n_missing);
    v->target = ints(l, "leaf_targetids", &v->leaves);
    v->split = numbers(l, "", "nodes_splits", &n_split, e);
    v->weight = numbers(l, "", "leaf_weights", &n_weight, e);
    v->members = numbers(l, "", "membership_values", &v->n_members, e);
    if (e->code) return e->code;
    v->n = n[0];
    v->mode = mode && mode->type == ATTR_TENSOR ? mode->tensor : NULL;
    for (int i = 0; i < 5; i++)
        if (n[i] != v->n || !v->n) return fail(e, ERR_MODEL, "the lists of nodes have different lengths");
    if (!v->mode || tensor_count(v->mode) != v->n || n_split != v->n || n_weight != v->leaves ||
        (n_missing && n_missing != v->n))
        return fail(e, ERR_MODEL, "the lists of nodes or leaves have different lengths");
    return 0;
}

/* Leaves stand behind the inner nodes: index n + leaf. */
static int64_t child(const struct five *v, int64_t at, int64_t leaf)
{
    if (at < 0 || at >= (leaf ? v->leaves : v->n)) return -1;
    return leaf ? v->n + at : at;
}

/* The members of the next set, which ends with NaN. */
static int64_t next_set(struct five *v, const double **list)
{
    int64_t from = v->member;
    while (v->member < v->n_members && !isnan(v->members[v->member])) v->member++;
    int64_t count = v->member - from;
    *list = v->members + from;
    v->member += v->member < v->n_members;
    return count;
}

/* Node i tells whether its feature is in the set: a chain of comparisons, whose links after the first are new nodes. */
static void make_set(struct forest *f, struct five *v, int64_t i)
{
    const double *list;
    int64_t count = next_set(v, &list), at = i, no = f->nodes[i].no;
    f->nodes[i].mode |= TREE_EQ;
    f->nodes[i].value = count ? list[0] : NAN;
    for (int64_t k = 1; k < count; k++) {
        f->nodes[at].no = f->n;
        f->nodes[f->n] = f->nodes[at];
        f->nodes[f->n].value = list[k];
        at = f->n++;
    }
    f->nodes[at].no = no;
}

static int make_five(struct forest *f, struct five *v, struct err *e)
{
    static const int order[] = { TREE_LEQ, TREE_LT, TREE_GTE, TREE_GT, TREE_EQ, TREE_NEQ };
    enum { MEMBER = 6 };
    TRY_MEM(f->nodes = ARENA_ARRAY(f->l->arena, v->n + v->leaves + v->n_members, struct forest_node), e);
    f->n = v->n + v->leaves;
    for (int64_t i = 0; i < v->n; i++) {
        int64_t mode = tensor_get_i64(v->mode, i), missing = v->missing && v->missing[i] ? TREE_MISSING : 0;
        int64_t yes = child(v, v->yes[i], v->yes_leaf[i]), no = child(v, v->no[i], v->no_leaf[i]);
        if (mode < 0 || mode > MEMBER || yes < 0 || no < 0)
            return fail(e, ERR_MODEL, "node %lld of the trees makes no sense", (long long)i);
        f->nodes[i] = (struct forest_node){ v->feature[i], missing, v->split[i], yes, no };
        if (mode == MEMBER) make_set(f, v, i);
        else f->nodes[i].mode |= order[mode];
    }
    for (int64_t i = 0; i < v->leaves; i++) f->nodes[v->n + i] = (struct forest_node){ 0, TREE_LEAF, 0, i, i + 1 };
    return 0;
}

static int ensemble(struct lift *l, const char *arg, struct err *e)
{
    static const char *const aggregates[] = { "AVERAGE", "SUM", "MIN", "MAX" };
    static const char *const transforms[] = { "NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT" };
    struct five v = { 0 };
    struct forest f = { .l = l, .as_double = holds_double(l, "nodes_splits") };
    int64_t aggregate = lift_int(l, "aggregate_function", 1), transform = lift_int(l, "post_transform", 0);
    if (!lift_in(l, 0)) return fail(e, ERR_MODEL, "input 0 is missing");
    if (aggregate < 0 || aggregate > 3 || transform < 0 || transform > 4)
        return fail(e, ERR_MODEL, "aggregate_function or post_transform is out of range");
    TRY(read_five(l, &v, e));
    TRY(make_five(&f, &v, e));
    f.roots = (int64_t *)(uintptr_t)ints(l, "tree_roots", &f.n_roots);
    for (int64_t i = 0; i < f.n_roots; i++)
        if (f.roots[i] < 0 || f.roots[i] >= v.n) return fail(e, ERR_MODEL, "tree %lld has no root", (long long)i);
    f.targets = v.target, f.weights = v.weight, f.n_weights = v.leaves;
    struct value *y = forest_emit(&f, l->in[0], aggregates[aggregate], lift_int(l, "n_targets", 1), e);
    lift_result(l, ml_transformed(l, y, transforms[transform], e));
    return e->code;
}

const struct lift_row lift_tree_rows[] = {
    { "TreeEnsembleRegressor", 1, LIFT_ANY, regressor, NULL, "Trees" },
    { "TreeEnsembleClassifier", 1, LIFT_ANY, classifier, NULL, "Trees" },
    { "TreeEnsemble", 1, LIFT_ANY, ensemble, NULL, "Trees" },
    { NULL },
};
