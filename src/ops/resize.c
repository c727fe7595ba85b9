/* resize.c - Resize and its gradient: separable resampling of any axes. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/infer.h"
#include "ops/operand.h"
#include "ops/resize_axis.h"

/* Index of a string attribute's value in a list that ends with NULL. */
static int choice(const struct node *n, const char *name, const char *const *list, struct err *e)
{
    const char *s = node_string(n, name);
    for (int i = 0; list[i]; i++)
        if (!strcmp(list[i], s)) return i;
    return fail(e, ERR_SHAPE, "%s is \"%s\", which is none of the known ones", name, s);
}

static const char *const modes[] = { "nearest", "linear", "cubic", NULL };
static const char *const coordinates[] = { "half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric",
    "half_pixel_symmetric", "tf_crop_and_resize", "tf_half_pixel_for_nn", NULL };
static const char *const nearests[] = { "round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL };
static const char *const policies[] = { "stretch", "not_larger", "not_smaller", NULL };

static int read_rule(const struct node *n, struct resize_rule *r, struct err *e)
{
    *r = (struct resize_rule){ .antialias = node_int(n, "antialias"),
        .exclude_outside = node_int(n, "exclude_outside"),
        .cubic_a = node_float(n, "cubic_coeff_a") };
    TRY(r->mode = choice(n, "mode", modes, e));
    TRY(r->coordinate = choice(n, "coordinate_transformation_mode", coordinates, e));
    return r->nearest = choice(n, "nearest_mode", nearests, e);
}

/* What the node asks for: one entry per axis of the input. */
struct wish {
    struct shape out;
    double scale[SHAPE_MAX], start[SHAPE_MAX], end[SHAPE_MAX];
};

static bool is_given(const struct tensor *t)
{
    return t && tensor_count(t) > 0;
}

/* The axes in the order of scales, sizes and roi; how many, or an error. */
static int read_axes(const struct node *n, int rank, int *axes, struct err *e)
{
    size_t count;
    bool seen[SHAPE_MAX] = { false };
    const int64_t *v = node_ints(n, "axes", &count);
    for (int d = 0; d < rank && !count; d++) axes[d] = d;
    if (!count) return rank;
    for (size_t i = 0; i < count; i++) {
        int axis = shape_axis(v[i], rank);
        if (axis < 0 || seen[axis] || i >= SHAPE_MAX)
            return fail(e, ERR_SHAPE, "axes holds %lld, the input has rank %d", (long long)v[i], rank);
        seen[axis] = true;
        axes[i] = axis;
    }
    return (int)count;
}

static int check_length(const struct tensor *t, const char *what, int64_t want, struct err *e)
{
    if (!is_given(t) || tensor_count(t) == want) return 0;
    return fail(e, ERR_SHAPE, "%s has %lld entries, expected %lld", what, (long long)tensor_count(t), (long long)want);
}

static int use_scales(struct wish *w, const struct tensor *scales, const int *axes, int count, struct err *e)
{
    for (int i = 0; i < count; i++) {
        double scale = tensor_get_f64(scales, i);
        int64_t *dim = &w->out.dim[axes[i]];
        w->scale[axes[i]] = scale;
        if (!(scale > 0) || !(scale < 1e6)) return fail(e, ERR_SHAPE, "scale %d is %g", i, scale);
        if (scale == 1) continue;
        /* in float, as the frameworks do: 10 * 0.7f is 7 */
        *dim = *dim < 0 ? DIM_UNKNOWN : (int64_t)floorf((float)*dim * (float)scale);
    }
    return 0;
}

static int use_sizes(struct wish *w, const int64_t *sizes, const int *axes, int count, int policy, struct err *e)
{
    double best = 0;
    for (int i = 0; i < count; i++) {
        int64_t *dim = &w->out.dim[axes[i]];
        if (sizes[i] < 0 || sizes[i] > INT64_C(1) << 40)
            return fail(e, ERR_SHAPE, "size %d is %lld", i, (long long)sizes[i]);
        double scale = (double)sizes[i] / (double)*dim;
        if (!i || (policy == 1 ? scale < best : scale > best)) best = scale;
        w->scale[axes[i]] = *dim > 0 ? scale : 1;
        if (!policy) *dim = sizes[i];
        else if (*dim < 0) best = -1;
    }
    for (int i = 0; policy && i < count; i++) {
        int64_t *dim = &w->out.dim[axes[i]];
        *dim = best < 0 || *dim < 0 ? DIM_UNKNOWN : (int64_t)floor(best * (double)*dim + 0.5);
        w->scale[axes[i]] = best;
    }
    return 0;
}

static int use_roi(struct wish *w, const struct tensor *roi, const int *axes, int count)
{
    for (int i = 0; i < count; i++) {
        w->start[axes[i]] = tensor_get_f64(roi, i);
        w->end[axes[i]] = tensor_get_f64(roi, count + i);
    }
    return 0;
}

/* t: roi, scales, sizes, NULL where absent or not yet known */
static int read_wish(
    const struct node *n, const struct shape *x, const struct tensor *const *t, struct wish *w, struct err *e)
{
    int axes[SHAPE_MAX], count = read_axes(n, x->rank, axes, e);
    if (count < 0) return count;
    *w = (struct wish){ .out = *x };
    for (int d = 0; d < SHAPE_MAX; d++) w->scale[d] = w->end[d] = 1;
    int policy = choice(n, "keep_aspect_ratio_policy", policies, e);
    if (policy < 0) return policy;
    TRY(check_length(t[0], "roi", 2 * (int64_t)count, e));
    TRY(check_length(t[1], "scales", count, e));
    TRY(check_length(t[2], "sizes", count, e));
    if (is_given(t[0])) use_roi(w, t[0], axes, count);
    if (is_given(t[1])) return use_scales(w, t[1], axes, count, e);
    int64_t sizes[SHAPE_MAX];
    for (int i = 0; is_given(t[2]) && i < count; i++) sizes[i] = tensor_get_i64(t[2], i);
    if (is_given(t[2])) return use_sizes(w, sizes, axes, count, policy, e);
    for (int i = 0; i < count; i++) w->out.dim[axes[i]] = DIM_UNKNOWN;
    return 0;
}

static bool is_empty(const struct value *v)
{
    return !v || (v->shape.rank == 1 && v->shape.dim[0] == 0);
}

/* Sizes that are known in part (symbols) still tell dimensions. */
static void use_known_sizes(const struct node *n, int first, struct shape *out)
{
    const struct value *sizes = node_in(n, first + 2);
    struct shape known = infer_shape_input(n, first + 2);
    const char *policy = node_string(n, "keep_aspect_ratio_policy");
    if (!sizes || value_const(sizes) || node_has(n, "axes") || strcmp(policy, "stretch")) return;
    if (known.rank == out->rank) *out = known;
}

/* x at input `x`; roi, scales, sizes at `first` and after it */
static int infer_size(const struct node *n, int x, int first, struct shape *out, struct err *e)
{
    struct resize_rule rule;
    struct wish w;
    const struct tensor *t[3];
    *out = n->in[x]->shape;
    TRY(read_rule(n, &rule, e));
    for (int i = 0; i < 3; i++) t[i] = value_const(node_in(n, first + i));
    bool scales = !is_empty(node_in(n, first + 1)), sizes = !is_empty(node_in(n, first + 2));
    if (scales == sizes) return fail(e, ERR_SHAPE, "expected either scales or sizes");
    if (n->in[x]->shape.rank < 0) return 0;
    TRY(read_wish(n, &n->in[x]->shape, t, &w, e));
    *out = w.out;
    use_known_sizes(n, first, out);
    return 0;
}

static int resize_infer(struct node *n, struct err *e)
{
    struct shape out;
    TRY(infer_size(n, 0, 1, &out, e));
    infer_out(n, 0, n->in[0]->dtype, &out);
    return 0;
}

/* Sets up every axis; x is the shape of the input, y of the output. */
static int open_axes(const struct step *s, int first, const struct shape *x, const struct shape *y,
    struct resize_axis *axes, struct err *e)
{
    struct resize_rule rule;
    struct wish w;
    const struct tensor *t[3];
    TRY(read_rule(s->node, &rule, e));
    for (int i = 0; i < 3; i++) t[i] = step_in(s, first + i);
    TRY(read_wish(s->node, x, t, &w, e));
    if (!shape_equal(&w.out, y)) return fail(e, ERR_SHAPE, "the sizes at run time are not those of the output");
    for (int d = 0; d < x->rank; d++) {
        axes[d] = (struct resize_axis){
            .in = x->dim[d], .out = y->dim[d], .scale = w.scale[d], .roi_start = w.start[d], .roi_end = w.end[d]
        };
        if (!x->dim[d] && y->dim[d]) return fail(e, ERR_SHAPE, "axis %d of the input is empty", d);
        TRY(resize_axis_init(&axes[d], &rule, s->scratch, e));
    }
    return 0;
}

int resize_axes(const struct step *s, struct resize_axis axes[SHAPE_MAX], struct err *e)
{
    bool grad = node_is(s->node, "ResizeGrad");
    const struct shape *x = &s->in[grad]->shape, *y = grad ? &s->in[0]->shape : &s->out[0]->shape;
    return open_axes(s, 1 + grad, x, y, axes, e);
}

/* Writes `value` wherever an axis lies outside of the input. */
static void set_outside(const struct resize_axis *axes, const struct shape *y, double *out, double value)
{
    int64_t count = shape_count(y);
    if (!y->rank || !axes[0].outside) return;
    for (int64_t i = 0; i < count; i++) {
        bool outside = false;
        int64_t rest = i;
        for (int d = y->rank - 1; d >= 0; d--) {
            outside |= axes[d].outside[rest % y->dim[d]];
            rest /= y->dim[d];
        }
        if (outside) out[i] = value;
    }
}

static int resize_run(const struct step *s, struct err *e)
{
    struct resize_axis axes[SHAPE_MAX];
    struct shape now = s->in[0]->shape;
    TRY(resize_axes(s, axes, e));
    const double *x = operand_load(s, s->in[0], e);
    if (!x) return e->code;
    for (int d = 0; d < now.rank; d++) {
        if (axes[d].identity) continue;
        int64_t outer = shape_span(&now, 0, d), inner = shape_span(&now, d + 1, now.rank);
        now.dim[d] = axes[d].out;
        double *y = operand_zeros(s, shape_count(&now), e);
        if (!y) return e->code;
        resize_axis_apply(&axes[d], outer, inner, x, y, s->threads);
        x = y;
    }
    if (now.rank && axes[0].outside && shape_count(&now)) {
        double *y = operand_zeros(s, shape_count(&now), e);
        if (!y) return e->code;
        memcpy(y, x, (size_t)shape_count(&now) * sizeof *y);
        set_outside(axes, &now, y, node_float(s->node, "extrapolation_value"));
        x = y;
    }
    operand_store(s, s->out[0], x);
    return 0;
}

static int resize_grad(struct grad *g)
{
    const struct node *n = g->node;
    g->dx[0] = emit(g->b, "ResizeGrad", n->attrs, g->dy[0], n->in[0], node_in(n, 1), node_in(n, 2), node_in(n, 3));
    return 0;
}

static int grad_infer(struct node *n, struct err *e)
{
    struct shape y;
    TRY(infer_size(n, 1, 2, &y, e));
    if (!shape_merge(&y, &n->in[0]->shape))
        return fail(e, ERR_SHAPE, "the gradient's shape is not that of the resized output");
    infer_out(n, 0, n->in[0]->dtype, &n->in[1]->shape);
    return 0;
}

static int grad_run(const struct step *s, struct err *e)
{
    struct resize_axis axes[SHAPE_MAX];
    struct shape now = s->in[0]->shape;
    TRY(resize_axes(s, axes, e));
    double *dy = operand_zeros(s, shape_count(&now), e);
    const double *given = operand_load(s, s->in[0], e);
    if (!dy || !given) return e->code;
    memcpy(dy, given, (size_t)shape_count(&now) * sizeof *dy);
    set_outside(axes, &now, dy, 0);
    for (int d = now.rank - 1; d >= 0; d--) {
        if (axes[d].identity) continue;
        int64_t outer = shape_span(&now, 0, d), inner = shape_span(&now, d + 1, now.rank);
        now.dim[d] = axes[d].in;
        double *dx = operand_zeros(s, shape_count(&now), e);
        if (!dx) return e->code;
        resize_axis_transpose(&axes[d], outer, inner, dy, dx, s->threads);
        dy = dx;
    }
    operand_store(s, s->out[0], dy);
    return 0;
}

static const struct attr_spec resize_attrs[] = {
    { "antialias", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "widen the filter when shrinking" },
    { "axes", ATTR_INTS, .doc = "what scales, sizes and roi are for; all axes when absent" },
    { "coordinate_transformation_mode", ATTR_STRING, ATTR_DEFAULT, .s = "half_pixel", .doc = "from output to input" },
    { "cubic_coeff_a", ATTR_FLOAT, ATTR_DEFAULT, .f = -0.75, .doc = "of the cubic filter" },
    { "exclude_outside", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "taps outside weigh nothing" },
    { "extrapolation_value", ATTR_FLOAT, ATTR_DEFAULT, .f = 0, .doc = "outside, with tf_crop_and_resize" },
    { "keep_aspect_ratio_policy", ATTR_STRING, ATTR_DEFAULT, .s = "stretch", .doc = "or not_larger, not_smaller" },
    { "mode", ATTR_STRING, ATTR_DEFAULT, .s = "nearest", .doc = "nearest, linear or cubic" },
    { "nearest_mode", ATTR_STRING, ATTR_DEFAULT, .s = "round_prefer_floor", .doc = "how a position is rounded" },
    { 0 },
};

const struct op ops_resize[] = {
    { .name = "Resize",
        .doc = "resampling of (x, roi, scales, sizes)",
        .min_in = 1,
        .max_in = 4,
        .min_out = 1,
        .max_out = 1,
        .attrs = resize_attrs,
        .infer = resize_infer,
        .run = resize_run,
        .grad = resize_grad,
        .samples =
            "f32[1,2,3,4] - f32{1,1,2,2}; f32[1,2,5,4] - - i64{1,2,7,3} | mode=linear; f32[1,1,4,5] - f32{1.5,0.6} | "
            "mode=cubic axes=2,3 coordinate_transformation_mode=align_corners; f32[1,1,8,6] - - i64{3,4} | mode=linear "
            "antialias=1 axes=2,3; f32[1,1,4,5] f32{0.2,0.1,0.7,1.3} - i64{3,4} | mode=linear axes=2,3 "
            "coordinate_transformation_mode=tf_crop_and_resize extrapolation_value=3; f32[1,2,3,4] - "
            "f32{1,1,1.7,2.5} | coordinate_transformation_mode=asymmetric nearest_mode=floor" },
    { .name = "ResizeGrad",
        .doc = "gradient of Resize, of (dy, shaped as x, roi, scales, sizes)",
        .min_in = 2,
        .max_in = 5,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN | OP_TRAINING_ONLY,
        .attrs = resize_attrs,
        .infer = grad_infer,
        .run = grad_run,
        .samples =
            "f32[1,2,6,8] f32[1,2,3,4] - f32{1,1,2,2}; f32[1,2,7,3] f32[1,2,5,4] - - i64{1,2,7,3} | mode=linear; "
            "f32[1,1,3,4] f32[1,1,8,6] - - i64{3,4} | mode=cubic antialias=1 axes=2,3 exclude_outside=1" },
    { 0 },
};
