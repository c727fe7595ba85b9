/* lift_sample.c - older spellings of resizing, sampling and pooling. */
#include <string.h>

#include "base/err.h"
#include "format/onnx/lift.h"

/* Before opset 11 coordinates were asymmetric; nearest rounded down where it enlarged and up where it made smaller. */
static int old_coordinates(struct lift *l, struct value *scales, struct err *e)
{
    const struct attr *mode = lift_attr(l, "mode");
    const struct tensor *t = value_const(scales);
    bool smaller = false, larger = false;
    for (int64_t i = 0; t && i < tensor_count(t); i++) {
        double k = tensor_get_f64(t, i);
        smaller |= k < 1;
        larger |= k > 1;
    }
    bool linear = mode && mode->type == ATTR_STRING && strstr(mode->s, "linear");
    l->op = "Resize";
    l->in[1] = NULL; /* roi */
    lift_input(l, 2, scales);
    TRY(lift_set(l, attr_string("mode", linear ? "linear" : "nearest"), e));
    TRY(lift_set(l, attr_string("coordinate_transformation_mode", "asymmetric"), e));
    return linear ? 0 : lift_set(l, attr_string("nearest_mode", smaller && !larger ? "ceil" : "floor"), e);
}

static struct value *scales_const(struct lift *l, const double *v, size_t n, struct err *e)
{
    struct shape s = shape_of(1, (int64_t[]){ (int64_t)n });
    struct tensor *t = tensor_new(l->b->g->arena, DT_F32, &s, e);
    if (t) store_f64(DT_F32, t->data, (int64_t)n, v);
    return emit_const(l->b, t);
}

/* Scales as two attributes (1), one attribute (7), or input 1 (9 and Resize-10). */
static int upsample(struct lift *l, const char *arg, struct err *e)
{
    const struct attr *list = lift_attr(l, "scales");
    struct value *scales = l->n_in > 1 ? l->in[1] : NULL;
    if (list && list->type == ATTR_FLOATS) scales = scales_const(l, list->floats, list->n, e);
    if (lift_attr(l, "height_scale")) {
        double v[] = { 1, 1, lift_float(l, "height_scale", 1), lift_float(l, "width_scale", 1) };
        scales = scales_const(l, v, 4, e);
    }
    if (!scales) return fail(e, ERR_MODEL, "no scales");
    lift_drop(l, "scales");
    lift_drop(l, "height_scale");
    lift_drop(l, "width_scale");
    return old_coordinates(l, scales, e);
}

/* Before opset 16 coordinates were not shifted by half a pixel. */
static int roi_align(struct lift *l, const char *arg, struct err *e)
{
    return lift_set(l, attr_string("coordinate_transformation_mode", "output_half_pixel"), e);
}

static int grid_sample(struct lift *l, const char *arg, struct err *e)
{
    const struct attr *mode = lift_attr(l, "mode");
    if (!mode || mode->type != ATTR_STRING) return 0;
    if (!strcmp(mode->s, "bilinear")) return lift_set(l, attr_string("mode", "linear"), e);
    return strcmp(mode->s, "bicubic") ? 0 : lift_set(l, attr_string("mode", "cubic"), e);
}

const struct lift_row lift_sample_rows[] = {
    { "Upsample", 1, LIFT_ANY, upsample, NULL, "Resize" },
    { "Resize", 10, 10, upsample },
    { "RoiAlign", 10, 15, roi_align },
    { "GridSample", 16, 19, grid_sample },
    { "LpPool", 1, 1, lift_float_to_int, "p" },
    { "GlobalLpPool", 1, 1, lift_float_to_int, "p" },
    { NULL },
};
