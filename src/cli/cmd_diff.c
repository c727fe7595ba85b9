/* cmd_diff.c - the first node at which two models part. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/map.h"
#include "base/plural.h"
#include "base/rng.h"
#include "base/str.h"
#include "cli/inputs.h"
#include "cli/opening.h"
#include "enc/json.h"
#include "graph/op.h"
#include "ops/interpret.h"

enum { SHOWN = 10 };

/* A value some node made. */
struct made {
    const char *name;
    const struct node *node;
    const struct tensor *tensor;
    size_t ordinal; /* among the results of this operator */
    bool paired;
};

struct side {
    const char *path;
    struct model model;
    struct arena *arena;
    struct tensor **in, **out;
    struct made *made;
    size_t n, cap;
    struct map by_name; /* -> struct made, filled when all is made */
    struct map counts;  /* operator -> how many results so far, as a pointer */
    bool oom;
};

struct pair {
    const struct made *a, *b;
    bool by_name;
    double scale, worst; /* largest |a|; largest |a - b| */
    int64_t at;
    bool differs;
};

static void see(void *cookie, const struct node *n, struct tensor *const *out)
{
    struct side *s = cookie;
    size_t count = (size_t)(uintptr_t)map_get(&s->counts, n->op->name);
    for (int i = 0; i < n->n_out; i++) {
        struct made m = { n->out[i]->name, n, out[i], count++, false };
        if (out[i] && !ARRAY_PUSH(s->arena, s->made, s->n, s->cap, m)) s->oom = true;
    }
    if (!map_set(&s->counts, n->op->name, (void *)(uintptr_t)count)) s->oom = true;
}

static int interpret(struct side *s, int threads, struct err *e)
{
    const struct graph *g = s->model.graph;
    s->by_name = map_in(s->arena);
    s->counts = map_in(s->arena);
    s->out = ARENA_ARRAY(s->arena, g->n_outputs, struct tensor *);
    TRY_MEM(s->out, e);
    struct interpret o = { .threads = threads, .seen = see, .cookie = s };
    if (graph_interpret(g, s->in, s->out, s->arena, &o, e)) return err_prefix(e, "%s", s->path);
    for (size_t i = 0; i < s->n && !s->oom; i++) s->oom = !map_set(&s->by_name, s->made[i].name, &s->made[i]);
    return s->oom ? fail_nomem(e) : 0;
}

/* Reproducible numbers: standard normal floats, integers 0 to 9, bools. */
static struct tensor *random_input(
    struct arena *a, const struct value *v, const struct shape *shape, uint64_t seed, size_t input, struct err *e)
{
    enum dtype dtype = v->dtype == DT_NONE ? DT_F32 : v->dtype;
    if (dtype_is_container(dtype)) return fail(e, ERR_UNSUPPORTED, "no %s can be drawn", dtype_name(dtype)), NULL;
    struct tensor *t = tensor_new(a, dtype, shape, e);
    if (!t) return NULL;
    int64_t n = tensor_count(t);
    double *numbers = ARENA_ARRAY(a, n, double);
    if (!numbers) return fail_nomem(e), NULL;
    for (int64_t i = 0; i < n; i++)
        numbers[i] = dtype_is_float(dtype) ? rng_normal(seed, input, (uint64_t)i)
            : dtype == DT_BOOL             ? rng_uniform(seed, input, (uint64_t)i) < 0.5
                                           : floor(10 * rng_uniform(seed, input, (uint64_t)i));
    store_f64(dtype, t->data, n, numbers);
    return t;
}

static int make_inputs(struct side *s, struct args *args, struct err *e)
{
    const struct graph *g = s->model.graph;
    const struct conf *c = &args->conf;
    s->in = ARENA_ARRAY(s->arena, g->n_inputs, struct tensor *);
    TRY_MEM(s->in, e);
    TRY(inputs_read(&s->model, s->arena, args->words + 2, args->n_words - 2, s->in, NULL, e));
    if (args->n_words > 2) return inputs_check(g, s->arena, s->in, e);
    struct shape *shapes;
    TRY(concrete_shapes(g, conf_int(c, "batch"), conf_int(c, "size"), &shapes, e));
    for (size_t i = 0; i < g->n_inputs; i++) {
        s->in[i] = random_input(s->arena, g->inputs[i], &shapes[i], (uint64_t)conf_int(c, "seed"), i, e);
        if (!s->in[i]) return err_prefix(e, "input %s", g->inputs[i]->name);
    }
    return 0;
}

/* B gets what A got: by name, else by place. */
static int share_inputs(const struct side *a, struct side *b, struct err *e)
{
    const struct graph *ga = a->model.graph, *gb = b->model.graph;
    if (ga->n_inputs != gb->n_inputs)
        return fail(e, ERR_MISMATCH, "%s has %zu inputs, %s has %zu", a->path, ga->n_inputs, b->path, gb->n_inputs);
    b->in = ARENA_ARRAY(b->arena, gb->n_inputs, struct tensor *);
    TRY_MEM(b->in, e);
    for (size_t i = 0; i < gb->n_inputs; i++) {
        const struct value *v = gb->inputs[i];
        b->in[i] = a->in[i];
        for (size_t k = 0; k < ga->n_inputs; k++)
            if (!strcmp(ga->inputs[k]->name, v->name)) b->in[i] = a->in[k];
        if (v->dtype == DT_NONE || b->in[i]->dtype == v->dtype) continue;
        if (!(b->in[i] = tensor_converted(b->arena, b->in[i], v->dtype, v->name, true, e))) return e->code;
    }
    return 0;
}

static int compare(struct pair *p, double tolerance, struct arena *scratch, struct err *e)
{
    const struct tensor *a = p->a->tensor, *b = p->b->tensor;
    int64_t n = tensor_count(a);
    double *x = ARENA_ARRAY(scratch, n, double), *y = ARENA_ARRAY(scratch, n, double);
    if (!x || !y) return fail_nomem(e);
    load_f64(a->dtype, a->data, n, x);
    load_f64(b->dtype, b->data, n, y);
    for (int64_t i = 0; i < n; i++) {
        bool same = x[i] == y[i] || (isnan(x[i]) && isnan(y[i]));
        double d = same ? 0 : fabs(x[i] - y[i]);
        if (isnan(d)) d = INFINITY;
        if (d > p->worst) p->worst = d, p->at = i;
        if (isfinite(x[i]) && fabs(x[i]) > p->scale) p->scale = fabs(x[i]);
    }
    p->differs = p->worst > tolerance * p->scale;
    return 0;
}

/* The value of B at the same place among results of the same operator, if it has the shape. */
static struct made *same_place(struct side *b, const struct made *m)
{
    for (size_t i = 0; i < b->n; i++) {
        struct made *other = &b->made[i];
        if (!other->paired && other->ordinal == m->ordinal && !strcmp(other->node->op->name, m->node->op->name) &&
            shape_equal(&other->tensor->shape, &m->tensor->shape))
            return other;
    }
    return NULL;
}

static bool comparable(const struct made *a, const struct made *b)
{
    return shape_equal(&a->tensor->shape, &b->tensor->shape) && a->tensor->dtype != DT_STRING &&
        b->tensor->dtype != DT_STRING;
}

/* Names first, all of them; then places. Pairs stay in A's order. */
static int pair_values(struct side *a, struct side *b, struct pair *pairs, size_t *n, struct err *e)
{
    const struct made **partner = ARENA_ARRAY(a->arena, a->n, const struct made *);
    TRY_MEM(partner, e);
    for (size_t i = 0; i < a->n; i++) {
        struct made *m = map_get(&b->by_name, a->made[i].name);
        if (m && comparable(&a->made[i], m)) partner[i] = m, m->paired = a->made[i].paired = true;
    }
    *n = 0;
    for (size_t i = 0; i < a->n; i++) {
        struct made *m = partner[i] ? NULL : same_place(b, &a->made[i]);
        if (m && comparable(&a->made[i], m)) m->paired = true, partner[i] = m;
        if (partner[i])
            pairs[(*n)++] = (struct pair){ .a = &a->made[i], .b = partner[i], .by_name = a->made[i].paired };
    }
    return 0;
}

static int worst_first(const void *a, const void *b)
{
    const struct pair *x = *(const struct pair *const *)a, *y = *(const struct pair *const *)b;
    double p = x->worst / (x->scale + 1e-300), q = y->worst / (y->scale + 1e-300);
    return (p < q) - (p > q);
}

static double relative(const struct pair *p)
{
    return p->worst == 0 ? 0 : p->worst / (p->scale + 1e-300);
}

static void print_pair(const struct pair *p, const char *lead)
{
    printf("%s%-12s %s%s%s  max difference %.3g of %.3g (%.2e) at element %lld: %.9g and %.9g%s\n", lead,
        p->a->node->op->name, p->a->name, strcmp(p->a->name, p->b->name) ? " / " : "",
        strcmp(p->a->name, p->b->name) ? p->b->name : "", p->worst, p->scale, relative(p), (long long)p->at,
        tensor_get_f64(p->a->tensor, p->at), tensor_get_f64(p->b->tensor, p->at),
        p->by_name ? "" : "  (paired by place)");
}

static int print_text(const struct pair *pairs, size_t n, const struct pair *first, struct arena *a, struct err *e)
{
    const struct pair **order = ARENA_ARRAY(a, n, const struct pair *);
    TRY_MEM(order, e);
    for (size_t i = 0; i < n; i++) order[i] = &pairs[i];
    if (n) qsort(order, n, sizeof *order, worst_first);
    if (first) {
        print_pair(first, "they part at  ");
        if (first->a->node->where) printf("              %s\n", first->a->node->where);
    }
    puts("worst:");
    for (size_t i = 0; i < n && i < SHOWN; i++) print_pair(order[i], "  ");
    return 0;
}

static int print_as_json(const struct pair *pairs, size_t n, const struct pair *first, struct arena *a, struct err *e)
{
    json_t *list = json_array(), *root = json_object();
    TRY(json_own(a, root, e));
    for (size_t i = 0; i < n; i++) {
        double r = relative(&pairs[i]);
        json_t *o = json_pack("{s:s,s:s,s:s,s:b,s:b,s:o}", "a", pairs[i].a->name, "b", pairs[i].b->name, "op",
            pairs[i].a->node->op->name, "by_name", (int)pairs[i].by_name, "differs", (int)pairs[i].differs, "relative",
            isfinite(r) ? json_real(r) : json_null());
        json_array_append_new(list, o);
    }
    json_object_set_new(root, "first", first ? json_string(first->a->name) : json_null());
    json_object_set_new(root, "values", list);
    return print_json(a, root, e);
}

/* Outputs that no node makes, or that could not be paired, still have to agree in number and shape. */
static int check_outputs(const struct side *a, const struct side *b, struct err *e)
{
    const struct graph *g = a->model.graph;
    if (g->n_outputs != b->model.graph->n_outputs)
        return fail(e, ERR_MISMATCH, "%zu outputs against %zu", g->n_outputs, b->model.graph->n_outputs);
    for (size_t i = 0; i < g->n_outputs; i++)
        if (!shape_equal(&a->out[i]->shape, &b->out[i]->shape))
            return fail(e, ERR_MISMATCH, "output %s has another shape", g->outputs[i]->name);
    return 0;
}

/* Outputs are compared by place, too, whatever their nodes are called. */
static int outputs_differ(const struct side *a, const struct side *b, double tolerance, bool *differ, struct err *e)
{
    *differ = false;
    for (size_t i = 0; i < a->model.graph->n_outputs; i++) {
        struct made x = { .tensor = a->out[i] }, y = { .tensor = b->out[i] };
        struct pair p = { .a = &x, .b = &y };
        if (x.tensor->dtype == DT_STRING || y.tensor->dtype == DT_STRING) continue;
        TRY(compare(&p, tolerance, a->arena, e));
        *differ = *differ || p.differs;
    }
    return 0;
}

static int report(struct side *a, struct side *b, struct args *args, struct err *e)
{
    double tolerance = conf_float(&args->conf, "tolerance");
    struct pair *pairs = ARENA_ARRAY(a->arena, a->n, struct pair);
    const struct pair *first = NULL, *first_named = NULL;
    size_t n = 0;
    bool differ;
    TRY_MEM(pairs, e);
    TRY(pair_values(a, b, pairs, &n, e));
    for (size_t i = 0; i < n; i++) {
        TRY(compare(&pairs[i], tolerance, a->arena, e));
        if (pairs[i].differs && !first) first = &pairs[i];
        if (pairs[i].differs && pairs[i].by_name && !first_named) first_named = &pairs[i];
    }
    TRY(check_outputs(a, b, e));
    TRY(outputs_differ(a, b, tolerance, &differ, e));
    if (!differ && !first_named) first = NULL; /* values paired by their place only may never have been the same */
    bool json = conf_flag(&args->conf, "json");
    TRY(json ? print_as_json(pairs, n, first, a->arena, e) : print_text(pairs, n, first, a->arena, e));
    fprintf(stderr, "tenrec: %zu value%s of %zu and %zu compared\n", n, plural((long long)n), a->n, b->n);
    return first || differ ? fail(e, ERR_MISMATCH, "they differ by more than %g of the value's scale", tolerance) : 0;
}

static int work(struct side *a, struct side *b, struct args *args, struct err *e)
{
    int threads = (int)conf_int(&args->conf, "threads");
    a->path = args->words[0], b->path = args->words[1];
    TRY(open_model(&a->model, args, 0, e));
    TRY(open_model(&b->model, args, 1, e));
    TRY(make_inputs(a, args, e));
    TRY(share_inputs(a, b, e));
    TRY(interpret(a, threads, e));
    TRY(interpret(b, threads, e));
    return report(a, b, args, e);
}

static int run(struct args *args, struct err *e)
{
    struct side a = { .arena = args->arena }, b = { .arena = args->arena };
    int code = work(&a, &b, args, e);
    model_close(&a.model);
    model_close(&b.model);
    return code;
}

static const struct conf_key keys[] = {
    { "tolerance", 0, CONF_FLOAT, "X", "1e-4", NULL, 0, 0, "of the largest number in a value; more is a difference" },
    { "seed", 0, CONF_INT, "N", "1", NULL, 0, INT64_MAX, "of the random inputs, where none are given" },
    { "batch", 'b', CONF_INT, "N", "1", NULL, 1, 1 << 20, "the first dimension of random inputs, where it is free" },
    { "size", 's', CONF_INT, "N", "224", NULL, 1, 1 << 20, "their other free dimensions" },
    { "threads", 't', CONF_INT, "N", "1", NULL, 1, 4096, "for the kernels" },
    KEY_JSON,
    KEYS_OPEN,
    { 0 },
};

const struct command command_diff = {
    .name = "diff",
    .synopsis = "A B [IN ...] [--tolerance X]",
    .doc =
        "Run two models on the same inputs and show the first node at which they part.\n\n"
        "Both run node by node with the plain kernels. Values are paired by name, else by their place among the\n"
        "results of the same operator. Inputs are given as for `run`, or random ones are made. Exit code 1 when the\n"
        "models differ.",
    .examples = "  tenrec diff net.onnx net.tenrec\n  tenrec diff old.pt new.pt photo.jpg --tolerance 1e-5\n",
    .min_words = 2,
    .max_words = -1,
    .keys = keys,
    .run = run,
};
