/* lift_control.c - the Scan of opset 8, which had a batch: a Scan over the batch around one over time. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/onnx/lift.h"

/* Inputs of the file's node: lengths (may be absent), states, what is scanned, what the body captures. */
struct batched {
    struct lift *l;
    int states, scans, captures;
    bool lengths;
    struct graph *sample; /* what is done with each sample */
    struct builder b;     /* of it */
    struct value **in;    /* its inputs: length, states, scans, captures */
};

static int add_input(struct batched *w, int i, struct value *from, bool sliced, struct err *e)
{
    struct shape s = shape_unknown();
    if (!from) return fail(e, ERR_MODEL, "input %d is missing", i);
    if (sliced && from->shape.rank > 0) {
        s.rank = from->shape.rank - 1;
        for (int d = 0; d < s.rank; d++) s.dim[d] = from->shape.dim[d + 1] < 0 ? DIM_UNKNOWN : from->shape.dim[d + 1];
    }
    const char *name = sliced ? arena_printf(w->l->arena, "%s_sample", from->name) : from->name;
    TRY_MEM(name, e);
    w->in[i] = graph_input(w->sample, name, from->dtype, &s, e);
    return w->in[i] ? 0 : e->code;
}

/* The first `length` of each thing scanned. */
static void cut(struct batched *w)
{
    struct value *zero = emit_i64s(&w->b, (int64_t[]){ 0 }, 1);
    struct value *end = emit(&w->b, "Reshape", NO_ATTRS, w->in[0], emit_i64s(&w->b, (int64_t[]){ 1 }, 1));
    for (int i = 0; i < w->scans; i++) {
        struct value **x = &w->in[1 + w->states + i];
        *x = emit(&w->b, "Slice", NO_ATTRS, *x, zero, end, zero);
    }
}

/* The result of a shorter sequence with zeros behind it. */
static struct value *pad(struct batched *w, struct value *y, const struct value *whole)
{
    struct builder *b = &w->b;
    struct value *zero = emit_i64s(b, (int64_t[]){ 0 }, 1), *one = emit_i64s(b, (int64_t[]){ 1 }, 1);
    struct attr first[] = { attr_int("start", 0), attr_int("end", 1), { 0 } };
    struct value *most = emit(b, "Shape", first, (struct value *)(uintptr_t)whole);
    struct value *rest = emit(b, "Sub", NO_ATTRS, most, emit(b, "Reshape", NO_ATTRS, w->in[0], one));
    struct value *pads = emit(b, "Concat", ATTRS(attr_int("axis", 0)), zero, rest);
    return emit(b, "Pad", NO_ATTRS, y, pads, NULL, zero);
}

/* The Scan over time of one sample. */
static int scan_sample(struct batched *w, const struct attr *body, struct err *e)
{
    const struct attr *directions = lift_attr(w->l, "directions");
    struct attr attrs[5] = { attr_graph("body", body->graph), attr_int("num_scan_inputs", w->scans) };
    int count = 2;
    if (w->captures) attrs[count++] = attr_int("captures", w->captures);
    if (directions && directions->type == ATTR_INTS)
        attrs[count] = attr_ints("scan_input_directions", directions->ints, directions->n);
    struct value *whole = w->in[1 + w->states];
    body->graph->outer = w->sample;
    if (w->lengths) cut(w);
    struct node *n = e->code
        ? NULL
        : builder_node(&w->b, "Scan", attrs, w->in + 1, w->states + w->scans + w->captures, w->l->n_out);
    for (int i = 0; n && i < w->l->n_out; i++) {
        struct value *y = w->lengths && i >= w->states ? pad(w, n->out[i], whole) : n->out[i];
        if (e->code || graph_output(w->sample, y, e)) return e->code;
    }
    return n ? graph_tidy(w->sample, e) : e->code;
}

static int scan(struct lift *l, const char *arg, struct err *e)
{
    const struct attr *body = lift_attr(l, "body");
    struct batched w = { .l = l,
        .scans = (int)lift_int(l, "num_scan_inputs", 0),
        .captures = (int)lift_int(l, "captures", 0),
        .lengths = l->n_in > 0 && l->in[0] };
    w.states = l->n_in - 1 - w.scans - w.captures;
    if (!body || body->type != ATTR_GRAPH || w.scans < 1 || w.states < 0 || w.captures < 0)
        return fail(e, ERR_MODEL, "%d inputs, of which %d are scanned", l->n_in, w.scans);
    w.sample = graph_new(l->b->g->arena, l->b->g->ops, "sample", e);
    w.in = ARENA_ARRAY(l->arena, l->n_in, struct value *);
    if (!w.sample || !w.in) return fail_nomem(e);
    w.sample->outer = l->b->g;
    w.b = (struct builder){ w.sample, e };
    int first = !w.lengths, sliced = l->n_in - w.captures;
    for (int i = first; i < l->n_in; i++) TRY(add_input(&w, i, l->in[i], i < sliced, e));
    TRY(scan_sample(&w, body, e));
    l->b->name = l->name;
    struct attr attrs[4] = { attr_graph("body", w.sample), attr_int("num_scan_inputs", sliced - first) };
    if (w.captures) attrs[2] = attr_int("captures", w.captures);
    struct node *n = builder_node(l->b, "Scan", attrs, l->in + first, l->n_in - first, l->n_out);
    if (!n) return e->code;
    for (int i = 0; i < l->n_out; i++) l->out[i] = n->out[i];
    l->done = true;
    return 0;
}

const struct lift_row lift_control_rows[] = {
    { "Scan", 8, 8, scan },
    { NULL },
};
