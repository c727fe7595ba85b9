/* rows.c - every operator's row is tried on its own samples: inference, determinism, gradient, expansion, backends.
 * TENREC_OP=Name in the environment tries one row only, and says what it tries. */
#include "tap.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/rng.h"
#include "exec/session.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "graph/sequence.h"
#include "ops/interpret.h"
#include "ops/registry.h"
#include "pass/expand.h"
#include "pass/gradient.h"
#include "problem.h"

/* Said of a row and a problem, when one of the checks below fails. */
#define WRONG(p, fmt, ...) TAP_FAIL("%s: %s: " fmt, (p)->op->name, (p)->text, __VA_ARGS__)

static bool wanted(const struct op *op)
{
    const char *only = getenv("TENREC_OP");
    return !only || !strcmp(only, op->name);
}

/* Calls check() for every problem of every row, each with an arena of its own. */
static void each_problem(void (*check)(struct problem *p, struct arena *a, void *ctx), void *ctx)
{
    const struct op *op;
    for (size_t i = 0; (op = op_at(i)); i++) {
        int found = 1;
        for (int k = 0; wanted(op) && found > 0; k++) {
            struct arena a;
            struct err e = { 0 };
            static struct problem p;
            arena_init(&a, NULL);
            found = problem_get(&p, op, k, &a, &e);
            if (found < 0) WRONG(&p, "%s", e.text);
            if (found > 0 && getenv("TENREC_OP")) printf("# %s: %s\n", op->name, p.text), fflush(stdout);
            if (found > 0) check(&p, &a, ctx);
            arena_release(&a);
        }
    }
}

static bool has_graph_attribute(const struct op *op)
{
    for (const struct attr_spec *s = op->attrs; s && s->name; s++)
        if (s->type == ATTR_GRAPH) return true;
    return false;
}

TEST(every_row_has_samples_and_a_way_to_run)
{
    const struct op *op;
    for (size_t i = 0; (op = op_at(i)); i++) {
        bool written_out = op->flags & OP_WRITTEN_OUT;
        if (!op->run && !op->expand && !written_out) TAP_FAIL("%s can neither run nor be expanded", op->name);
        if (!op->samples && !has_graph_attribute(op) && !written_out) TAP_FAIL("%s has no samples", op->name);
        if (!op->doc || !op->infer) TAP_FAIL("%s has no help or no inference", op->name);
    }
}

TEST(names_are_unique)
{
    const struct op *op;
    for (size_t i = 0; (op = op_at(i)); i++)
        if (op_registry.find(op->name) != op) TAP_FAIL("two rows are named %s", op->name);
}

static bool cannot_run(const struct node *n)
{
    return !n->op->run;
}

static bool any_node(const struct node *n)
{
    return true;
}

/* Outputs of the problem's graph; expanded first where that is the only way, or everywhere. False on error. */
static bool run(
    const struct problem *p, int threads, bool expanded, struct tensor **out, struct arena *a, struct err *e)
{
    struct graph *g;
    struct tensor *in[PROBLEM_MAX];
    if (!problem_graph(p, SHAPES_KNOWN, false, &g, a, e) || graph_tidy(g, e)) return false;
    if (graph_expand(g, expanded ? any_node : cannot_run, e)) return false;
    problem_inputs(p, false, in);
    return !graph_interpret(g, in, out, a, &(struct interpret){ .threads = threads }, e);
}

static bool same_bits(const struct tensor *a, const struct tensor *b)
{
    if (a->dtype != b->dtype || !shape_equal(&a->shape, &b->shape)) return false;
    for (int64_t i = 0; dtype_is_container(a->dtype) && i < tensor_count(a); i++)
        if (!same_bits(sequence_item(a, i), sequence_item(b, i))) return false;
    if (dtype_is_container(a->dtype)) return true;
    if (a->dtype != DT_STRING) return !tensor_bytes(a) || !memcmp(a->data, b->data, (size_t)tensor_bytes(a));
    const struct string_element *s = a->data, *t = b->data;
    for (int64_t i = 0; i < tensor_count(a); i++)
        if (s[i].len != t[i].len || (s[i].len && memcmp(s[i].text, t[i].text, s[i].len))) return false;
    return true;
}

static void check_determinism(struct problem *p, struct arena *a, void *ctx)
{
    struct err e = { 0 };
    struct tensor *one[PROBLEM_MAX], *again[PROBLEM_MAX], *three[PROBLEM_MAX];
    bool ok = run(p, 1, false, one, a, &e) && run(p, 1, false, again, a, &e) && run(p, 3, false, three, a, &e);
    if (!ok) {
        WRONG(p, "%s", e.text);
        return;
    }
    for (int i = 0; i < p->n_out; i++) {
        if (!same_bits(one[i], again[i])) WRONG(p, "output %d differs in a second run", i);
        if (!same_bits(one[i], three[i])) WRONG(p, "output %d differs with 3 threads", i);
    }
}

TEST(reference_kernels_give_the_same_bits_with_any_number_of_threads)
{
    each_problem(check_determinism, NULL);
}

/* A symbol must stand for the size that its name says. */
static bool symbols_hold(const struct graph *g, const struct shape *s, const struct shape *concrete)
{
    for (int d = 0; d < s->rank; d++)
        if (s->dim[d] <= DIM_SYMBOL(0) && atoll(graph_symbol_name(g, s->dim[d]) + 1) != concrete->dim[d]) return false;
    return true;
}

static void check_inference(struct problem *p, struct arena *a, void *ctx)
{
    static const char *const words[] = { "known shapes", "symbols", "unknown dimensions", "unknown ranks" };
    struct err e = { 0 };
    struct tensor *out[PROBLEM_MAX];
    if (!run(p, 1, false, out, a, &e)) return; /* told by the test above */
    for (int k = 0; k < SHAPES_END * 2; k++) {
        struct graph *g;
        enum problem_shapes shapes = (enum problem_shapes)(k % SHAPES_END);
        struct node *n = problem_graph(p, shapes, k >= SHAPES_END, &g, a, &e);
        if (!n) {
            WRONG(p, "with %s: %s", words[shapes], e.text);
            return;
        }
        for (int i = 0; i < p->n_out; i++) {
            struct shape s = n->out[i]->shape;
            if (n->out[i]->dtype && n->out[i]->dtype != out[i]->dtype)
                WRONG(p, "with %s: output %d has another type", words[shapes], i);
            if (!symbols_hold(g, &s, &out[i]->shape)) WRONG(p, "output %d has a wrong symbol", i);
            if (!shape_merge(&s, &out[i]->shape)) WRONG(p, "with %s: output %d has another shape", words[shapes], i);
        }
    }
}

TEST(inference_takes_what_is_not_known_and_agrees_with_the_run)
{
    each_problem(check_inference, NULL);
}

/* --- gradients: the derivative along a random direction, against central differences, in float64 --- */

#define STEP_LENGTH 1e-5
#define TOLERANCE 1e-6

/* sum(output * random) over the float outputs; NULL without an error when there is none to be measured. */
static struct value *make_loss(struct builder *b, const struct node *n, int n_smooth)
{
    struct value *loss = NULL;
    for (int i = 0; i < n->n_out && i < n_smooth; i++) {
        if (n->out[i]->dtype != DT_F64 || !shape_is_known(&n->out[i]->shape)) continue;
        struct tensor *r = tensor_new(b->g->arena, DT_F64, &n->out[i]->shape, b->err);
        if (!r) return NULL;
        for (int64_t k = 0; k < tensor_count(r); k++) tensor_set_f64(r, k, rng_normal(5, (uint64_t)i, (uint64_t)k));
        struct value *product = emit(b, "Mul", NO_ATTRS, n->out[i], emit_const(b, r));
        struct value *sum = emit(b, "ReduceSum", ATTRS(attr_int("keepdims", 0)), product);
        loss = loss ? emit(b, "Add", NO_ATTRS, loss, sum) : sum;
    }
    return loss;
}

struct slope {
    struct problem *p;
    struct graph *g;
    int n; /* inputs of the graph */
    struct tensor *in[PROBLEM_MAX];
    bool moved[PROBLEM_MAX]; /* inputs along which the derivative is taken */
    struct value *grad[PROBLEM_MAX];
};

static double direction(int input, int64_t k)
{
    return rng_normal(6, (uint64_t)input, (uint64_t)k);
}

static double loss_at(const struct slope *s, double step, struct arena *a, struct err *e)
{
    struct tensor *in[PROBLEM_MAX], *out[PROBLEM_MAX + 1];
    for (int i = 0; i < s->n; i++) {
        in[i] = s->in[i];
        if (!s->moved[i]) continue;
        if (!(in[i] = tensor_copy(a, DT_F64, &s->in[i]->shape, s->in[i]->data, e))) return NAN;
        double *x = in[i]->data;
        for (int64_t k = 0; k < tensor_count(in[i]); k++) x[k] += step * direction(i, k);
    }
    return graph_interpret(s->g, in, out, a, NULL, e) ? NAN : *(double *)out[0]->data;
}

/* The derivative by the gradients; `size` is the sum of its terms' magnitudes. NAN on error. */
static double slope_by_gradient(const struct slope *s, double *size, struct arena *a, struct err *e)
{
    struct tensor *out[PROBLEM_MAX + 1];
    double sum = 0;
    int next = 1;
    *size = 0;
    if (graph_interpret(s->g, (struct tensor *const *)s->in, out, a, NULL, e)) return NAN;
    for (int i = 0; i < s->n; i++) {
        if (!s->grad[i]) continue;
        const struct tensor *d = out[next++];
        if (d->dtype != DT_F64 || !shape_equal(&d->shape, &s->in[i]->shape))
            return fail(e, ERR_SHAPE, "the gradient of input %d has another type or shape", i), NAN;
        for (int64_t k = 0; k < tensor_count(d); k++) {
            double term = ((double *)d->data)[k] * direction(i, k);
            sum += term;
            *size += fabs(term);
        }
    }
    return sum;
}

/* Makes the graph of loss and gradients. False without an error when there is nothing to differentiate. */
static bool make_slope(struct slope *s, struct arena *a, struct err *e)
{
    struct node *n = problem_graph(s->p, SHAPES_KNOWN, false, &s->g, a, e);
    struct value *wrt[PROBLEM_MAX], *out[PROBLEM_MAX];
    size_t count = 0, some = 0;
    int where[PROBLEM_MAX];
    if (!n || (!n->op->grad && !n->op->expand)) return false;
    s->n = (int)s->g->n_inputs;
    problem_inputs(s->p, false, s->in);
    for (int i = 0; i < s->n; i++)
        if (s->in[i]->dtype == DT_F64) where[count] = i, wrt[count++] = s->g->inputs[i];
    struct builder b = { s->g, e };
    struct value *loss = make_loss(&b, n, s->p->n_smooth);
    if (!loss || !count) return false;
    s->g->n_outputs = 0;
    if (graph_output(s->g, loss, e) || graph_tidy(s->g, e)) return false;
    if (graph_gradient(s->g, loss, wrt, count, out, e)) return false;
    for (size_t k = 0; k < count; k++) some += out[k] != NULL;
    for (size_t k = 0; k < count; k++) {
        s->grad[where[k]] = out[k];
        s->moved[where[k]] = out[k] || !some; /* no gradient at all: the loss must not change */
        if (out[k] && graph_output(s->g, out[k], e)) return false;
    }
    return !graph_tidy(s->g, e) && !graph_expand(s->g, cannot_run, e);
}

static void check_gradient(struct problem *p, struct arena *a, void *ctx)
{
    struct err e = { 0 };
    struct slope s = { .p = p };
    double *worst = ctx, size;
    if (!problem_to_f64(p, a, &e) || !make_slope(&s, a, &e)) {
        if (strstr(e.text, "unknown operator Unsqueeze") || strstr(e.text, "unknown operator Transpose"))
            printf("# %s: not yet: %s\n", p->op->name, e.text);
        else if (e.code) WRONG(p, "%s", e.text);
        return;
    }
    double exact = slope_by_gradient(&s, &size, a, &e);
    double measured = (loss_at(&s, STEP_LENGTH, a, &e) - loss_at(&s, -STEP_LENGTH, a, &e)) / (2 * STEP_LENGTH);
    double error = fabs(exact - measured) / fmax(1, size);
    if (e.code) WRONG(p, "%s", e.text);
    else if (!(error <= TOLERANCE)) WRONG(p, "the derivative is %.9g, by differences %.9g", exact, measured);
    else if (error > *worst) *worst = error;
}

TEST(gradients_agree_with_finite_differences)
{
    double worst = 0;
    each_problem(check_gradient, &worst);
    printf("# largest relative error of a gradient: %.2g (tolerance %.0g)\n", worst, TOLERANCE);
}

/* --- the same by other means --- */

static double difference(const struct tensor *a, const struct tensor *b)
{
    double worst = 0;
    if (a->dtype != b->dtype || !shape_equal(&a->shape, &b->shape)) return INFINITY;
    for (int64_t i = 0; i < tensor_count(a); i++) {
        double x = tensor_get_f64(a, i), y = tensor_get_f64(b, i);
        if (x == y || (x != x && y != y)) continue;
        worst = fmax(worst, isfinite(x) && isfinite(y) ? fabs(x - y) / fmax(1, fabs(x)) : INFINITY);
    }
    return worst;
}

static void check_expansion(struct problem *p, struct arena *a, void *ctx)
{
    struct err e = { 0 };
    struct tensor *whole[PROBLEM_MAX], *parts[PROBLEM_MAX];
    if (!p->op->run || !p->op->expand) return;
    problem_to_f64(p, a, &e);
    if (!run(p, 1, false, whole, a, &e) || !run(p, 1, true, parts, a, &e)) {
        WRONG(p, "%s", e.text);
        return;
    }
    for (int i = 0; i < p->n_out; i++)
        if (!(difference(whole[i], parts[i]) <= 1e-12))
            WRONG(p, "output %d and its expansion are %.3g apart", i, difference(whole[i], parts[i]));
}

TEST(expansions_agree_with_the_kernels)
{
    each_problem(check_expansion, NULL);
}

/* A real number half way between two steps may be rounded to either: one step is no difference. */
static bool within_a_step(const struct problem *p, const struct tensor *want, const struct tensor *got)
{
    if (p->op->name[0] != 'Q' || (want->dtype != DT_U8 && want->dtype != DT_I8)) return false;
    if (want->dtype != got->dtype || !shape_equal(&want->shape, &got->shape)) return false;
    for (int64_t i = 0; i < tensor_count(want); i++)
        if (llabs(tensor_get_i64(want, i) - tensor_get_i64(got, i)) > 1) return false;
    return true;
}

/* Largest difference that a backend may have, over the largest magnitude of the output. */
static double allowed(enum dtype t)
{
    return !dtype_is_float(t) ? 0 : dtype_size(t) == 1 ? 0.2 : dtype_size(t) == 2 ? 1e-2 : t == DT_F32 ? 1e-4 : 1e-9;
}

static double relative_difference(const struct tensor *want, const struct tensor *got)
{
    double worst = 0, scale = 1e-30;
    if (want->dtype != got->dtype || !shape_equal(&want->shape, &got->shape)) return INFINITY;
    for (int64_t i = 0; i < tensor_count(want); i++) {
        double x = tensor_get_f64(want, i), y = tensor_get_f64(got, i);
        if (isfinite(x)) scale = fmax(scale, fabs(x));
        if (x == y || (x != x && y != y)) continue;
        worst = isfinite(x) && isfinite(y) ? fmax(worst, fabs(x - y)) : INFINITY;
    }
    return worst / scale;
}

static void check_session(struct problem *p, struct arena *a, void *ctx)
{
    const struct session_options *o = ctx;
    struct err e = { 0 };
    struct graph *g;
    struct tensor *want[PROBLEM_MAX], *in[PROBLEM_MAX], got[PROBLEM_MAX];
    if (!run(p, 1, false, want, a, &e)) return; /* told by the first test */
    bool open = true;                           /* a graph of constants only would be folded away */
    for (int i = 0; i < p->n_in; i++) open &= !p->in[i] || p->literal[i];
    if (!problem_graph(p, SHAPES_KNOWN, open, &g, a, &e) || graph_tidy(g, &e)) return;
    problem_inputs(p, open, in);
    struct session *s = session_new(g, o, &e);
    if (!s || session_run(s, (const struct tensor *const *)in, got, &e)) WRONG(p, "%s", e.text);
    else
        for (int i = 0; i < p->n_out; i++) {
            if (o->reference && !same_bits(want[i], &got[i])) WRONG(p, "output %d differs in a session", i);
            double d = !dtype_size(want[i]->dtype) || dtype_kind(want[i]->dtype) == KIND_OTHER
                ? 0
                : relative_difference(want[i], &got[i]);
            if (!(d <= allowed(want[i]->dtype)) && !within_a_step(p, want[i], &got[i]))
                WRONG(p, "output %d of a backend is %.3g away", i, d);
        }
    session_free(s);
}

TEST(sessions_give_the_same_bits_with_the_reference_kernels)
{
    each_problem(check_session, &(struct session_options){ .threads = 2, .reference = true });
}

TEST(backends_agree_with_the_reference_kernels)
{
    each_problem(check_session, &(struct session_options){ .threads = 2 });
}
