/* export.c - a model as a file of another framework; checked before it is announced. */
#include "package/export.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/rng.h"
#include "exec/session.h"
#include "graph/op.h"
#include "package/compare.h"
#include "pass/expand.h"
#include "pass/pass.h"

static const double TOLERANCE = 1e-4; /* of an output's scale */

struct exporting {
    struct model *m;
    const struct format *format;
    const struct export_options *options;
    const struct example *example;
    struct arena a; /* for all that is made on the way */
    const struct export_form *form;
    struct graph *graph; /* the model in the form asked for: what the file is held against */
    void (*say)(void *cookie, const char *line);
    void *cookie;
    int n_bad;
};

static void line(struct exporting *x, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void line(struct exporting *x, const char *fmt, ...)
{
    char text[1000];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    x->say(x->cookie, text);
}

/* "dir/.net.part.onnx": the ending chooses the format. */
static const char *part_name(struct arena *a, const char *path)
{
    const char *base = file_base(path), *dot = strrchr(base, '.');
    return arena_printf(a, "%.*s.%.*s.part%s", (int)(base - path), path, (int)(dot - base), base, dot);
}

/* The graph as the format can write it: what it cannot say is expanded, weights that nothing reads are dropped where
 * they have no place. */
static struct graph *prepare(struct exporting *x, struct err *e)
{
    struct graph *g = graph_copy(x->graph, &x->a, e);
    if (!g) return NULL;
    for (size_t i = 0; i < g->n_states; i++)
        if (!x->format->whole) g->states[i]->flags &= ~(unsigned)VALUE_KEPT;
    if (graph_tidy(g, e)) return NULL;
    return x->format->cannot && graph_expand(g, x->format->cannot, e) ? NULL : g;
}

/* Inputs as they are, so that no importer has to guess. */
static struct import_options hints_of(struct exporting *x, const struct graph *g, struct err *e)
{
    struct import_hint *h = ARENA_ARRAY(&x->a, g->n_inputs, struct import_hint);
    struct import_options o = { .inputs = h, .n_inputs = g->n_inputs };
    if (!h) fail_nomem(e);
    for (size_t i = 0; h && i < g->n_inputs; i++) {
        const struct shape *s = &g->inputs[i]->shape;
        h[i].dtype = g->inputs[i]->dtype;
        h[i].rank = s->rank;
        for (int d = 0; d < s->rank; d++) {
            h[i].dim[d].size = s->dim[d];
            if (s->dim[d] < DIM_UNKNOWN) h[i].dim[d].symbol = graph_symbol_name(g, s->dim[d]);
            else if (s->dim[d] == DIM_UNKNOWN) h[i].dim[d].symbol = arena_printf(&x->a, "d%zu_%d", i, d);
        }
    }
    return o;
}

static int compare_outputs(
    struct exporting *x, const struct graph *g, const struct tensor *ours, const struct tensor *theirs, struct err *e)
{
    for (size_t i = 0; i < g->n_outputs; i++) {
        struct difference d;
        bool same_form = tensor_compare(&theirs[i], &ours[i], &d);
        double relative = difference_relative(&d);
        bool good = same_form && (d.exact ? d.max == 0 : relative <= TOLERANCE);
        x->n_bad += !good;
        const char *name = g->outputs[i]->name;
        if (!same_form) line(x, "output %s: shape or type DIFFERS when read back", name);
        else
            line(x, "output %s: max |difference| %.3g of scale %.3g = %.3g when read back and run (%s %.0e)", name,
                d.max, d.scale, relative, good ? "within" : "OVER", TOLERANCE);
    }
    return x->n_bad
        ? fail(e, ERR_MISMATCH, "%d of %zu outputs differ when the file is read back", x->n_bad, g->n_outputs)
        : 0;
}

/* Noise in the form that the input has now; sizes that are open as the example has them. */
static const struct tensor *noise_like(
    struct exporting *x, size_t i, const struct value *v, const struct tensor *was, struct err *e)
{
    struct shape s = v->shape;
    bool pixels = v->dtype != was->dtype, turned = pixels && s.rank == 4 && s.dim[3] == was->shape.dim[1];
    for (int d = 0; d < s.rank; d++)
        if (s.dim[d] < 0) s.dim[d] = was->shape.dim[turned && d ? d % 3 + 1 : d];
    if (!pixels && shape_equal(&s, &was->shape)) return was;
    struct tensor *t = tensor_new(&x->a, v->dtype, &s, e);
    for (int64_t k = 0; t && k < tensor_count(t); k++) {
        double u = rng_uniform(1, i, (uint64_t)k);
        if (dtype_is_float(v->dtype)) tensor_set_f64(t, k, 2 * u - 1);
        else tensor_set_i64(t, k, (int64_t)(u * (pixels ? 256 : 2)));
    }
    return t;
}

/* The example's inputs, as far as they still fit. */
static const struct tensor *const *inputs_in_form(struct exporting *x, struct err *e)
{
    const struct graph *g = x->graph;
    const struct tensor **in = ARENA_ARRAY(&x->a, g->n_inputs, const struct tensor *);
    if (!in) return fail_nomem(e), NULL;
    for (size_t i = 0; i < g->n_inputs; i++)
        if (!(in[i] = noise_like(x, i, g->inputs[i], x->example->in[i], e))) return NULL;
    return in;
}

static int run_both(struct exporting *x, const struct graph *again, struct err *e)
{
    const struct graph *g = x->graph;
    struct tensor *ours = ARENA_ARRAY(&x->a, g->n_outputs, struct tensor);
    struct tensor *theirs = ARENA_ARRAY(&x->a, g->n_outputs, struct tensor);
    if (!ours || !theirs) return fail_nomem(e);
    if (again->n_inputs != g->n_inputs || again->n_outputs != g->n_outputs)
        return fail(e, ERR_MISMATCH, "read back it has %zu inputs and %zu outputs, the model %zu and %zu",
            again->n_inputs, again->n_outputs, g->n_inputs, g->n_outputs);
    struct session *a = session_new(g, &(struct session_options){ 0 }, e);
    struct session *b = a ? session_new(again, &(struct session_options){ 0 }, e) : NULL;
    const struct tensor *const *in = b ? inputs_in_form(x, e) : NULL;
    int code = in ? session_run(a, in, ours, e) : e->code;
    if (!code && session_run(b, in, theirs, e)) code = err_prefix(e, "read back and run");
    if (!code) code = compare_outputs(x, g, ours, theirs, e);
    session_free(a);
    session_free(b);
    return code;
}

static int check(struct exporting *x, const char *path, struct err *e)
{
    struct graph *again;
    struct report quiet = report_in(&x->a);
    if (x->format->check) {
        char text[200] = "";
        TRY(x->format->check(x->graph, path, &x->a, text, sizeof text, e));
        return line(x, "%s", text), 0;
    }
    struct import_options o = hints_of(x, x->graph, e);
    if (e->code) return e->code;
    if (format_read(&x->a, path, &o, &again, &quiet, e) || pass_run(again, PASS_IMPORT, NULL, e))
        return err_prefix(e, "the written file cannot be read back");
    if (!x->example) return line(x, "read back, but not run: there are no inputs to run it on"), 0;
    return run_both(x, again, e);
}

static int write_checked(struct exporting *x, const char *path, const char *part, struct err *e)
{
    static const struct export_form as_it_is = { 0 };
    if (!(x->graph = graph_copy(x->m->graph, &x->a, e))) return e->code;
    TRY(export_form_apply(x->graph, x->m, x->form ? x->form : &as_it_is, &x->m->report, e));
    struct graph *g = prepare(x, e);
    if (!g) return e->code;
    TRY(x->format->write(g, part, x->options, &x->m->report, e));
    TRY(check(x, part, e));
    return rename(part, path) ? fail(e, ERR_IO, "%s: cannot be given its name: %m", path) : 0;
}

int package_export(struct model *m, const char *path, const struct export_options *o, const struct export_form *form,
    const struct example *ex, void (*say)(void *cookie, const char *line), void *cookie, struct err *e)
{
    struct exporting x = { .m = m, .options = o, .form = form, .example = ex, .say = say, .cookie = cookie };
    arena_init(&x.a, m->arena.mem);
    x.format = format_for_writing(path, &x.a, e);
    const char *part = x.format ? part_name(&x.a, path) : NULL;
    int code = !x.format ? e->code : !part ? fail_nomem(e) : write_checked(&x, path, part, e);
    if (code && part) unlink(part);
    arena_release(&x.a);
    return code;
}
