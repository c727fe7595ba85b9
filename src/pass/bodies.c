/* bodies.c - inference of nodes and of the graphs they hold: bodies are told what their inputs are. */
#include "pass/bodies.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/op.h"
#include "ops/control.h"

/* Rounds in which the shape of what a loop carries may be found to vary. Deeper bodies than the first few get no round:
 * what they carry counts as unknown, so that the work does not grow with the power of the depth. */
enum { ROUNDS = 3, ROUNDS_DEPTH = 3 };

static void forget(struct value *v)
{
    v->dtype = DT_NONE;
    v->shape = shape_unknown();
    v->known = NULL;
    v->of = NULL;
}

static int depth_of(const struct graph *g)
{
    int depth = 0;
    for (; g->outer; g = g->outer) depth++;
    return depth;
}

static int infer_graph(struct graph *g, struct err *e)
{
    for (size_t i = 0; i < g->n_nodes; i++) TRY(pass_infer_node(g->nodes[i], e));
    return 0;
}

/* The type of a body's input before its first turn. */
static void tell_input(const struct node *n, struct graph *body, int i)
{
    struct body_input from = control_input(n, i);
    struct value *v = body->inputs[i];
    if (from.source == BODY_NOTHING) return;
    if (from.source == BODY_COUNTER || from.source == BODY_GOES_ON) {
        v->dtype = from.source == BODY_COUNTER ? DT_I64 : DT_BOOL;
        if (v->shape.rank != 1 || v->shape.dim[0] != 1) v->shape = shape_of(0, NULL);
        return;
    }
    const struct value *x = node_in(n, from.from);
    v->dtype = x->dtype;
    v->of = x->of;
    v->shape = control_shape(n->graph, body, &x->shape, true);
    if (from.source == BODY_ITEM && x->dtype == DT_SEQUENCE) {
        v->dtype = x->of ? x->of->dtype : DT_NONE;
        v->shape = x->of ? x->of->shape : shape_unknown();
        v->of = NULL;
    }
    int axis = from.source == BODY_SLICE ? shape_axis(from.axis, v->shape.rank) : -1;
    if (axis < 0) return;
    memmove(&v->shape.dim[axis], &v->shape.dim[axis + 1], (size_t)(v->shape.rank - 1 - axis) * sizeof *v->shape.dim);
    v->shape.rank--;
}

/* What comes back must be what went in, as far as that is known; where it is not, less is known. */
static bool settle(struct value *in, const struct value *back)
{
    bool same = true;
    if (in->dtype != back->dtype && dtype_is_container(in->dtype) && dtype_is_container(back->dtype)) {
        in->dtype = DT_NONE;
        in->of = NULL;
        return false;
    }
    if (in->of != back->of && in->of && (!back->of || in->of->dtype != back->of->dtype)) {
        in->of = in->of->dtype == DT_NONE ? back->of : NULL;
        same = false;
    }
    if (in->shape.rank < 0) return same;
    if (in->shape.rank != back->shape.rank) return in->shape = shape_unknown(), false;
    for (int d = 0; d < in->shape.rank; d++) {
        if (in->shape.dim[d] == DIM_UNKNOWN || in->shape.dim[d] == back->shape.dim[d]) continue;
        in->shape.dim[d] = DIM_UNKNOWN;
        same = false;
    }
    return same;
}

static int bind_loop(struct node *n, struct graph *body, struct err *e)
{
    bool same = false;
    int rounds = depth_of(body) <= ROUNDS_DEPTH ? ROUNDS : 0;
    for (int round = 0; !same && round < rounds; round++) {
        TRY(infer_graph(body, e));
        same = true;
        for (int i = 0; i < (int)body->n_inputs; i++) {
            struct body_input from = control_input(n, i);
            if (from.source != BODY_CARRIED || (size_t)from.back >= body->n_outputs) continue;
            same &= settle(body->inputs[i], value_resolve(body->outputs[from.back]));
        }
    }
    for (int i = 0; !same && i < (int)body->n_inputs; i++)
        if (control_input(n, i).source == BODY_CARRIED) body->inputs[i]->shape = shape_unknown();
    return same ? 0 : infer_graph(body, e);
}

static int bind_body(struct node *n, struct graph *body, struct err *e)
{
    bool carries = false;
    if (depth_of(body) > CONTROL_DEPTH_MAX)
        return fail(e, ERR_UNSUPPORTED, "graphs nest deeper than %d", CONTROL_DEPTH_MAX);
    for (int i = 0; i < (int)body->n_inputs; i++) {
        tell_input(n, body, i);
        carries |= control_input(n, i).source == BODY_CARRIED;
    }
    return carries ? bind_loop(n, body, e) : infer_graph(body, e);
}

/* Branches of an If are often for other inputs than these: one that does not fit is barred, the other says what comes
 * out. Where none fits, or it is no branch, the fault is told. */
static int bind_bodies(struct node *n, struct err *e)
{
    size_t fit = 0;
    struct err first = { 0 };
    for (size_t i = 0; i < n->n_attrs; i++) {
        struct graph *body = n->attrs[i].type == ATTR_GRAPH ? n->attrs[i].graph : NULL;
        if (!body) continue;
        int code = bind_body(n, body, e);
        body->barred = code == ERR_SHAPE && node_is(n, "If");
        if (code && !body->barred) return code;
        if (code && !first.code) first = *e;
        if (code) err_clear(e);
        fit += !code;
    }
    if (!fit && first.code) *e = first;
    return e->code;
}

int pass_infer_node(struct node *n, struct err *e)
{
    for (int i = 0; i < n->n_in; i++) n->in[i] = value_resolve(n->in[i]);
    int code = control_is(n) ? bind_bodies(n, e) : 0;
    if (!n->op->infer || code) return code ? node_err(n, e) : 0;
    for (int i = 0; i < n->n_out; i++) forget(n->out[i]);
    code = node_check_inputs(n, e);
    if (!code) code = n->op->infer(n, e);
    if (!code && n->op->contents) code = n->op->contents(n, e);
    if (!code && n->graph->arena->failed) code = fail_nomem(e);
    return code ? node_err(n, e) : 0;
}

/* Body input `i` becomes a constant. */
static int replace_input(struct graph *body, int i, const struct tensor *t, struct err *e)
{
    struct value *old = body->inputs[i], *v = graph_const(body, NULL, t, e);
    if (!v) return e->code;
    graph_alias(old, v);
    body->n_inputs--;
    memmove(&body->inputs[i], &body->inputs[i + 1], (body->n_inputs - (size_t)i) * sizeof *body->inputs);
    return graph_tidy(body, e);
}

static void set_captures(struct node *n, int64_t count)
{
    struct attr *attrs = (struct attr *)(uintptr_t)n->attrs; /* the node's own copy */
    for (size_t i = 0; i < n->n_attrs; i++)
        if (!strcmp(attrs[i].name, "captures")) attrs[i].i = count;
}

int pass_capture_constants(struct node *n, struct err *e)
{
    int captures = control_captures(n);
    for (int i = n->n_in - 1; captures && i >= n->n_in - captures; i--) {
        const struct tensor *t = value_const(node_in(n, i));
        if (!t) continue;
        for (size_t k = 0; k < n->n_attrs; k++) {
            struct graph *body = n->attrs[k].type == ATTR_GRAPH ? n->attrs[k].graph : NULL;
            if (body) TRY(replace_input(body, (int)body->n_inputs - (n->n_in - i), t, e));
        }
        n->n_in--;
        memmove(&n->in[i], &n->in[i + 1], (size_t)(n->n_in - i) * sizeof(struct value *));
        captures--;
    }
    set_captures(n, captures);
    return 0;
}
