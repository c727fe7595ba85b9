/* round_trip.h - a graph goes out in a format, comes back, and must answer as it did. Included after tap.h. */
#ifndef TENREC_TESTS_FORMAT_ROUND_TRIP_H
#define TENREC_TESTS_FORMAT_ROUND_TRIP_H

#include <unistd.h>

#include "base/report.h"
#include "format/format.h"
#include "graph/graph.h"
#include "graph/op.h"
#include "ops/interpret.h"
#include "pass/expand.h"
#include "tensors.h"

/* An input of the shape that x has, 3 where that is free. */
static inline struct tensor *made_up(struct arena *a, const struct value *x, struct err *e)
{
    struct shape s = x->shape;
    for (int d = 0; d < s.rank; d++)
        if (s.dim[d] < 0) s.dim[d] = 3;
    struct tensor *t = tensor_new(a, x->dtype, &s, e);
    for (int64_t i = 0; t && i < tensor_count(t); i++) {
        if (dtype_is_float(x->dtype)) tensor_set_f64(t, i, (double)(i * 37 % 101) / 50 - 1);
        else tensor_set_i64(t, i, i % 2);
    }
    return t;
}

/* *most: the largest difference of an output, relative to its scale. ERR_UNSUPPORTED only when the format cannot say
 * the graph. The inputs' shapes go along as hints, for formats that do not keep them. */
static inline int round_trip(
    struct arena *a, const struct format *f, struct graph *g, const char *ending, double *most, struct err *e)
{
    struct report r = report_in(a);
    struct graph *again;
    struct export_options none = { 0 };
    struct tensor **in = ARENA_ARRAY(a, g->n_inputs + 1, struct tensor *);
    struct tensor **x = ARENA_ARRAY(a, g->n_outputs + 1, struct tensor *);
    struct tensor **y = ARENA_ARRAY(a, g->n_outputs + 1, struct tensor *);
    struct import_hint *hints = ARENA_ARRAY(a, g->n_inputs + 1, struct import_hint);
    const char *path = arena_printf(a, "/tmp/tenrec-%s-%d.%s", f->name, (int)getpid(), ending);
    for (size_t i = 0; i < g->n_inputs; i++) {
        if (!(in[i] = made_up(a, g->inputs[i], e))) return e->code;
        hints[i] = (struct import_hint){ .dtype = in[i]->dtype, .rank = in[i]->shape.rank };
        for (int d = 0; d < in[i]->shape.rank; d++) hints[i].dim[d].size = in[i]->shape.dim[d];
    }
    struct import_options o = { .inputs = hints, .n_inputs = g->n_inputs };
    TRY(graph_expand(g, f->cannot, e));
    TRY(f->write(g, path, &none, &r, e));
    int code = format_read(a, path, &o, &again, &r, e);
    unlink(path);
    if (code) return e->code = ERR_FAILED;
    if (again->n_outputs != g->n_outputs) return fail(e, ERR_FAILED, "%zu outputs", again->n_outputs);
    TRY(graph_interpret(g, in, x, a, &(struct interpret){ 0 }, e));
    TRY(graph_interpret(again, in, y, a, &(struct interpret){ 0 }, e));
    for (size_t i = 0; i < g->n_outputs; i++) *most = fmax(*most, tensor_difference(y[i], x[i]));
    return 0;
}

#endif
