/* tree.c - ensembles of decision trees over rows of features. */
#include "ops/tree.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/team.h"
#include "graph/op.h"
#include "ops/gradient.h"
#include "ops/infer.h"
#include "ops/operand.h"

enum { X, NODES, VALUES, ROOTS, TARGETS, WEIGHTS };
static const char *const aggregates[] = { "SUM", "AVERAGE", "MIN", "MAX", NULL };
enum { SUM, AVERAGE, MIN, MAX };

static int read_aggregate(const struct node *n, struct err *e)
{
    const char *name = node_string(n, "aggregate");
    for (int i = 0; aggregates[i]; i++)
        if (!strcmp(name, aggregates[i])) return i;
    return fail(e, ERR_MODEL, "aggregate is \"%s\"", name);
}

static int tree_infer(struct node *n, struct err *e)
{
    static const int ranks[] = { 2, 2, 1, 1, 1, 1 };
    const struct shape *x = &n->in[X]->shape;
    int64_t targets = node_int(n, "n_targets");
    TRY(read_aggregate(n, e));
    for (int i = 0; i < 6; i++) TRY(infer_rank(n, i, ranks[i], ranks[i], e));
    TRY(infer_type(n, X, TYPES_NUMBER, e));
    static const int whole[] = { NODES, ROOTS, TARGETS };
    for (int i = 0; i < 3; i++) TRY(infer_type(n, whole[i], TYPES_INTEGER, e));
    TRY(infer_type(n, VALUES, TYPES_FLOAT, e));
    TRY(infer_type(n, WEIGHTS, TYPES_FLOAT, e));
    if (targets < 1) return fail(e, ERR_MODEL, "n_targets is %lld", (long long)targets);
    struct shape y = shape_of(2, (int64_t[]){ x->rank == 2 ? x->dim[0] : DIM_UNKNOWN, targets });
    return infer_out(n, 0, n->in[WEIGHTS]->dtype, &y), 0;
}

struct forest {
    const struct tensor *x;
    struct tensor *y;
    int64_t features, n_targets, n_roots;
    const int64_t *nodes, *roots, *targets;
    const double *values, *weights;
    int aggregate;
    double *scores; /* (rows, n_targets) */
    bool *touched;
};

/* Every index points at what is there, and children come after their parents: so every walk ends. */
static int check_forest(const struct forest *f, const struct step *s, struct err *e)
{
    int64_t n = s->in[NODES]->shape.dim[0], weights = tensor_count(s->in[WEIGHTS]);
    if (s->in[NODES]->shape.dim[1] != TREE_COLUMNS || tensor_count(s->in[VALUES]) != n ||
        tensor_count(s->in[TARGETS]) != weights)
        return fail(e, ERR_MODEL, "the tables of the trees do not fit together");
    for (int64_t i = 0; i < n; i++) {
        const int64_t *v = &f->nodes[i * TREE_COLUMNS];
        int64_t mode = v[TREE_MODE] & ~TREE_MISSING;
        bool leaf = mode == TREE_LEAF;
        bool good = leaf
            ? v[TREE_YES] >= 0 && v[TREE_YES] <= v[TREE_NO] && v[TREE_NO] <= weights
            : mode >= 0 && mode < TREE_LEAF && v[TREE_YES] > i && v[TREE_YES] < n && v[TREE_NO] > i && v[TREE_NO] < n;
        if (!good) return fail(e, ERR_MODEL, "node %lld of the trees leads nowhere", (long long)i);
        if (!leaf && (v[TREE_FEATURE] < 0 || v[TREE_FEATURE] >= f->features))
            return fail(e, ERR_DATA, "node %lld of the trees asks for feature %lld, there are %lld", (long long)i,
                (long long)v[TREE_FEATURE], (long long)f->features);
    }
    for (int64_t i = 0; i < f->n_roots; i++)
        if (f->roots[i] < 0 || f->roots[i] >= n) return fail(e, ERR_MODEL, "tree %lld has no root", (long long)i);
    for (int64_t i = 0; i < weights; i++)
        if (f->targets[i] < 0 || f->targets[i] >= f->n_targets)
            return fail(
                e, ERR_MODEL, "a leaf is for target %lld of %lld", (long long)f->targets[i], (long long)f->n_targets);
    return 0;
}

static bool goes_yes(int64_t mode, double x, double value)
{
    if (isnan(x) && mode & TREE_MISSING) return true;
    switch (mode & ~TREE_MISSING) {
    case TREE_LEQ: return x <= value;
    case TREE_LT: return x < value;
    case TREE_GTE: return x >= value;
    case TREE_GT: return x > value;
    case TREE_EQ: return x == value;
    default: return x != value;
    }
}

static const int64_t *leaf_of(const struct forest *f, int64_t root, const double *x)
{
    const int64_t *v = &f->nodes[root * TREE_COLUMNS];
    while ((v[TREE_MODE] & ~TREE_MISSING) != TREE_LEAF) {
        int64_t at = (v - f->nodes) / TREE_COLUMNS;
        bool yes = goes_yes(v[TREE_MODE], x[v[TREE_FEATURE]], f->values[at]);
        v = &f->nodes[v[yes ? TREE_YES : TREE_NO] * TREE_COLUMNS];
    }
    return v;
}

static void add_leaf(const struct forest *f, const int64_t *leaf, double *score, bool *touched)
{
    for (int64_t i = leaf[TREE_YES]; i < leaf[TREE_NO]; i++) {
        int64_t t = f->targets[i];
        double w = f->weights[i];
        if (f->aggregate == MIN) score[t] = touched[t] ? fmin(score[t], w) : w;
        else if (f->aggregate == MAX) score[t] = touched[t] ? fmax(score[t], w) : w;
        else score[t] += w;
        touched[t] = true;
    }
}

static void score_rows(void *ctx, int64_t begin, int64_t end)
{
    const struct forest *f = ctx;
    const double *x = (const double *)f->x->data;
    for (int64_t row = begin; row < end; row++) {
        double *score = &f->scores[row * f->n_targets];
        for (int64_t t = 0; t < f->n_roots; t++)
            add_leaf(f, leaf_of(f, f->roots[t], &x[row * f->features]), score, &f->touched[row * f->n_targets]);
        for (int64_t k = 0; f->aggregate == AVERAGE && k < f->n_targets; k++) score[k] /= (double)f->n_roots;
    }
}

static int tree_run(const struct step *s, struct err *e)
{
    struct tensor x = *s->in[X];
    struct forest f = { .x = &x,
        .features = x.shape.dim[1],
        .n_targets = node_int(s->node, "n_targets"),
        .n_roots = tensor_count(s->in[ROOTS]),
        .aggregate = read_aggregate(s->node, e) };
    x.data = (void *)(uintptr_t)operand_load(s, s->in[X], e);
    f.nodes = operand_load_ints(s, s->in[NODES], e);
    f.roots = operand_load_ints(s, s->in[ROOTS], e);
    f.targets = operand_load_ints(s, s->in[TARGETS], e);
    f.values = operand_load(s, s->in[VALUES], e);
    f.weights = operand_load(s, s->in[WEIGHTS], e);
    f.scores = operand_zeros(s, tensor_count(s->out[0]), e);
    f.touched = ARENA_ARRAY(s->scratch, tensor_count(s->out[0]), bool);
    if (e->code || !f.touched) return e->code ? e->code : fail_nomem(e);
    TRY(check_forest(&f, s, e));
    team_run(s->threads, x.shape.dim[0], 16, score_rows, &f);
    operand_store(s, s->out[0], f.scores);
    return 0;
}

static const struct attr_spec tree_attrs[] = {
    { "aggregate", ATTR_STRING, ATTR_DEFAULT, .s = "SUM", .doc = "of the trees: SUM, AVERAGE, MIN or MAX" },
    { "n_targets", ATTR_INT, ATTR_REQUIRED, .doc = "scores of a row" },
    { 0 },
};

const struct op ops_tree[] = {
    { .name = "Trees",
        .doc = "scores of decision trees, of (x, nodes, thresholds, roots, targets and weights of leaves)",
        .min_in = 6,
        .max_in = 6,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN,
        .attrs = tree_attrs,
        .infer = tree_infer,
        .run = tree_run,
        .grad = grad_zero,
        .samples =
            "f32~[6,2] i64[5,4]{0,0,1,2,0,6,0,1,1,11,3,4,0,6,1,2,0,6,2,4} f32{0.01,0,0.02,0,0} i64{0} i64{0,1,0,1} "
            "f32{1,2,3,4} | n_targets=2; f32~[3,1] i64[2,4]{0,6,0,1,0,6,1,2} f32{0,0} i64{0,1} i64{0,0} f32{1,2} | "
            "n_targets=1 aggregate=MAX" },
    { 0 },
};
