/* process.c - pre- and postprocessing as nodes of the graph: what data/preprocess.c does to pixels behind the resize,
 * and what data/postprocess.c makes of the first output, up to what has to know the original image. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "enc/json.h"
#include "package/export_form.h"
#include "package/process.h"

struct process_kind {
    const char *op;
    int (*put)(struct process *p);
};

const char *process_text(const struct process *p, const char *key, const char *otherwise)
{
    const char *s = json_string_value(json_object_get(p->step, key));
    return s ? s : otherwise;
}

double process_number(const struct process *p, const char *key, double otherwise)
{
    const json_t *v = json_object_get(p->step, key);
    return json_is_number(v) ? json_number_value(v) : otherwise;
}

/* A number, or one for each channel, along the last axis. */
static struct value *numbers_of(struct process *p, const char *key)
{
    const json_t *v = json_object_get(p->step, key);
    size_t n = json_is_array(v) ? json_array_size(v) : v != NULL;
    struct shape s = shape_of(1, (int64_t[]){ (int64_t)n });
    struct tensor *t = n ? tensor_new(p->b->g->arena, DT_F32, &s, p->b->err) : NULL;
    for (size_t i = 0; t && i < n; i++)
        tensor_set_f64(t, (int64_t)i, json_number_value(json_is_array(v) ? json_array_get(v, i) : v));
    return t ? emit_const(p->b, t) : NULL;
}

static struct value *put2(struct process *p, const char *op, struct value *x, struct value *y)
{
    return emit(p->b, op, NO_ATTRS, x, y);
}

static int put_decode(struct process *p)
{
    int64_t back[] = { 2, 1, 0 };
    if (strcmp(process_text(p, "color_space", "RGB"), "BGR") != 0) return 0;
    p->v = emit(p->b, "Gather", ATTRS(attr_int("axis", 3)), p->v, emit_i64s(p->b, back, 3));
    return 0;
}

static int put_size(struct process *p)
{
    if (p->at.width) return process_size(p);
    if (p->outside) return 0;
    p->outside = true;
    report_add(p->report, REPORT_NOTE, "",
        "images must come in the size that the model sees: resizing stays outside (--image-size HxW puts it inside)");
    return 0;
}

/* The three ways of normalize.h, with the same roundings. */
static int put_rescale(struct process *p)
{
    const char *how = process_text(p, "arithmetic", "divide");
    double factor = process_number(p, "factor", 255);
    if (!strcmp(how, "multiply")) {
        struct value *wide = put2(p, "Mul", emit_cast(p->b, p->v, DT_F64), emit_scalar(p->b, DT_F64, factor));
        p->v = emit_cast(p->b, wide, DT_F32);
        return 0;
    }
    struct value *x = emit_cast(p->b, p->v, DT_F32);
    p->v = put2(p, strcmp(how, "divide") ? "Mul" : "Div", x, emit_scalar(p->b, DT_F32, factor));
    return 0;
}

static int put_normalize(struct process *p)
{
    struct value *x = emit_cast(p->b, p->v, DT_F32), *mean = numbers_of(p, "mean"), *std = numbers_of(p, "std");
    if (mean) x = put2(p, "Sub", x, mean);
    if (std) x = put2(p, "Div", x, std);
    double scale = process_number(p, "scale", 0);
    p->v = scale != 0 ? put2(p, "Mul", x, emit_scalar(p->b, DT_F32, scale)) : x;
    return 0;
}

static int put_layout(struct process *p)
{
    int64_t perm[] = { 0, 3, 1, 2 };
    if (!strcmp(process_text(p, "layout", "NCHW"), "NCHW"))
        p->v = emit(p->b, "Transpose", ATTRS(attr_ints("perm", perm, 4)), p->v);
    return 0;
}

static const struct process_kind before[] = {
    { "decode", put_decode },
    { "resize", put_size },
    { "center_crop", put_size },
    { "pad", put_size },
    { "rescale", put_rescale },
    { "normalize", put_normalize },
    { "layout", put_layout },
    { 0 },
};

/* --- behind --- */

static int put_softmax(struct process *p)
{
    p->v = emit(p->b, "Softmax", ATTRS(attr_int("axis", (int64_t)process_number(p, "axis", 1))), p->v);
    return 0;
}

static int put_sigmoid(struct process *p)
{
    p->v = emit(p->b, "Sigmoid", NO_ATTRS, p->v);
    return 0;
}

/* (N, 1) becomes (N, 2). */
static int put_two_classes(struct process *p)
{
    struct value *one = emit_scalar(p->b, p->v ? p->v->dtype : DT_F32, 1);
    p->v = emit(p->b, "Concat", ATTRS(attr_int("axis", 1)), put2(p, "Sub", one, p->v), p->v);
    return 0;
}

/* One output more, beside the numbers it is made of. */
static int put_class(struct process *p, struct value *index)
{
    struct graph *g = p->b->g;
    if (!index) return p->b->err->code;
    TRY(graph_rename(g, index, "class", p->b->err));
    return graph_output(g, index, p->b->err);
}

static int put_best(struct process *p)
{
    int64_t axis = (int64_t)process_number(p, "axis", 1);
    return put_class(p, emit(p->b, "ArgMax", ATTRS(attr_int("axis", axis), attr_int("keepdims", 0)), p->v));
}

static int put_threshold(struct process *p)
{
    struct value *limit = emit_scalar(p->b, p->v ? p->v->dtype : DT_F32, process_number(p, "value", 0.5));
    return put_class(p, emit_cast(p->b, put2(p, "Greater", p->v, limit), DT_I64));
}

static int put_nothing(struct process *p)
{
    return 0;
}

static const struct process_kind behind[] = {
    { "softmax", put_softmax },
    { "sigmoid", put_sigmoid },
    { "two_classes", put_two_classes },
    { "top_k", put_best },
    { "argmax", put_best },
    { "threshold", put_threshold },
    { "resize_to_original", put_nothing },
    { 0 },
};

static int put_steps(struct process *p, const struct process_kind *kinds, const json_t *steps)
{
    size_t i;
    json_array_foreach(steps, i, p->step)
    {
        const char *op = process_text(p, "op", "");
        const struct process_kind *k = kinds;
        while (k->op && strcmp(k->op, op) != 0) k++;
        if (!k->op) return fail(p->b->err, ERR_UNSUPPORTED, "the step %s cannot be put into the graph", op);
        TRY(k->put(p));
        if (p->b->err->code) return err_prefix(p->b->err, "the step %s", op);
    }
    return 0;
}

static bool is_nchw(const json_t *steps)
{
    size_t i;
    const json_t *step;
    bool nchw = true;
    json_array_foreach(steps, i, step)
    {
        const char *layout = json_string_value(json_object_get(step, "layout"));
        if (layout) nchw = !strcmp(layout, "NCHW");
    }
    return nchw;
}

/* A new input of raw images in the place of the i-th. */
static int put_before(struct process *p, size_t i, const json_t *steps)
{
    struct graph *g = p->b->g;
    struct value *old = g->inputs[i];
    const int64_t *d = old->shape.dim;
    bool nchw = is_nchw(steps);
    if (old->shape.rank != 4) return fail(p->b->err, ERR_UNSUPPORTED, "input %s is no image", old->name);
    struct shape s = shape_of(4, nchw ? (int64_t[]){ d[0], d[2], d[3], d[1] } : d);
    if (p->at.width) s.dim[1] = p->at.height, s.dim[2] = p->at.width;
    p->v = graph_input(g, "image", DT_U8, &s, p->b->err);
    if (!p->v) return p->b->err->code;
    g->inputs[i] = g->inputs[--g->n_inputs];
    TRY(put_steps(p, before, steps));
    p->v = emit_cast(p->b, p->v, old->dtype);
    if (!p->v) return p->b->err->code;
    struct shape made = p->v->shape;
    if (!shape_merge(&made, &old->shape))
        return fail(p->b->err, ERR_USAGE, "--image-size: they become %lld x %lld, which the model does not take",
            (long long)p->at.height, (long long)p->at.width);
    graph_alias(old, p->v);
    return 0;
}

static int put_behind(struct process *p, const json_t *steps)
{
    struct graph *g = p->b->g;
    struct value *was = p->v = g->outputs[0];
    TRY(put_steps(p, behind, steps));
    if (p->v == was) return 0;
    g->outputs[0] = p->v;
    return graph_rename(g, p->v, "probabilities", p->b->err);
}

int process_inside(
    struct graph *g, const json_t *manifest, struct extent images, struct report *r, struct err *e)
{
    struct builder b = { g, .err = e };
    struct process p = { .b = &b, .report = r, .at = images };
    bool any = false;
    for (size_t i = 0; i < g->n_inputs && !any; i++) {
        const json_t *steps = json_object_get(manifest_port(manifest, "inputs", g->inputs[i]->name), "preprocess");
        if (!steps) continue;
        any = true;
        TRY(put_before(&p, i, steps));
    }
    if (!any) return fail(e, ERR_USAGE, "no input of the model has preprocessing that could be put inside");
    const char *name = g->n_outputs ? g->outputs[0]->name : "";
    TRY(put_behind(&p, json_object_get(manifest_port(manifest, "outputs", name), "postprocess")));
    return graph_tidy(g, e);
}
