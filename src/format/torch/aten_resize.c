/* aten_resize.c - resampling, grids, shuffles of pixels and channels, padding. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/torch/torch.h"

/* How row->onnx says it: "nearest", "exact" (nearest by centres), "linear", "cubic", or these two with " aa". */
struct sampling {
    const char *mode, *coordinates, *nearest;
    double cubic;
    bool antialias;
};

static struct sampling sampling_of(const struct aten_call *c, bool corners)
{
    const char *kind = c->row->onnx;
    struct sampling s = { .cubic = -0.75, .antialias = strstr(kind, " aa") != NULL };
    if (s.antialias) s.cubic = -0.5; /* Pillow's */
    s.mode = kind[0] == 'l' ? "linear" : kind[0] == 'c' ? "cubic" : "nearest";
    s.coordinates = corners ? "align_corners" : kind[0] == 'n' ? "asymmetric" : "half_pixel";
    s.nearest = kind[0] == 'n' ? "floor" : "round_prefer_ceil"; /* floor((i + 1/2) scale) */
    return s;
}

/* The last `n` dimensions to `sizes`, or by `scales` (1-d values; the other NULL). */
static struct value *resize(
    struct aten_call *c, struct value *x, struct value *sizes, struct value *scales, size_t n, const struct sampling *s)
{
    int64_t axes[3];
    int rank = value_rank(c, x);
    for (size_t i = 0; i < n; i++) axes[i] = rank - (int64_t)(n - i);
    return emit(c->b, "Resize",
        ATTRS(attr_string("mode", s->mode), attr_string("coordinate_transformation_mode", s->coordinates),
            attr_string("nearest_mode", s->nearest), attr_float("cubic_coeff_a", s->cubic),
            attr_int("antialias", s->antialias), attr_int("exclude_outside", s->antialias), attr_ints("axes", axes, n)),
        x, NULL, scales, scales ? NULL : sizes);
}

static struct value *floats(struct aten_call *c, const double *v, size_t n)
{
    struct shape s = shape_of(1, (int64_t[]){ (int64_t)n });
    struct tensor *t = c->b->err->code ? NULL : tensor_new(c->b->g->arena, DT_F32, &s, c->b->err);
    for (size_t i = 0; t && i < n; i++) tensor_set_f64(t, (int64_t)i, v[i]);
    return emit_const(c->b, t);
}

/* The scale decides where samples are taken, unless corners are aligned; PyTorch derives it from the sizes when it is
 * not given. The output's size is floor(size scale) in double; where float32 would say otherwise the sizes are
 * given. */
static struct value *resize_by(
    struct aten_call *c, struct value *x, const double *scales, struct value *sizes, size_t n, const struct sampling *s)
{
    for (size_t i = 0; i < n; i++)
        if (!(scales[i] > 0)) return aten_fail(c, ERR_SHAPE, "a scale of %g", scales[i]), NULL;
    bool exact = true;
    for (size_t i = 0; i < n; i++) {
        int64_t in = value_dim(c, x, (int)i - (int)n);
        exact &= in < 0 || floor((double)in * scales[i]) == floor((double)in * (double)(float)scales[i]);
    }
    if (exact) return resize(c, x, NULL, floats(c, scales, n), n, s);
    int64_t out[3];
    for (size_t i = 0; i < n; i++) out[i] = (int64_t)floor((double)value_dim(c, x, (int)i - (int)n) * scales[i]);
    return resize(c, x, sizes ? sizes : emit_i64s(c->b, out, n), NULL, n, s);
}

/* upsample_*.vec(input, output_size?, [align_corners], scale_factors?) */
static struct value *lower_upsample_vec(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    bool has_corners = c->n_args == 4, corners = has_corners && arg_bool(c, 2);
    int last = c->n_args - 1;
    struct sampling s = sampling_of(c, corners);
    double scales[3] = { 0 };
    if (arg_given(c, 1)) return resize(c, x, arg_ints_value(c, 1), NULL, arg_len(c, 1), &s);
    size_t n = arg_len(c, last);
    if (!n || n > 3) return aten_fail(c, ERR_SHAPE, "neither sizes nor scales"), NULL;
    for (size_t i = 0; i < n; i++) scales[i] = object_number(c->arg[last]->list->items[i]);
    return resize_by(c, x, scales, NULL, n, &s);
}

/* upsample_*(self, output_size, [align_corners], float? scales_d, scales_h, scales_w) */
static struct value *lower_upsample(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *sizes = arg_ints_value(c, 1);
    size_t n = arg_len(c, 1);
    int first = c->n_args - (int)n;
    bool corners = first == 3 && arg_bool(c, 2), by_scale = !corners;
    double scales[3] = { 0 };
    struct sampling s = sampling_of(c, corners);
    if (n > 3 || first < 2 || first > 3) return aten_fail(c, ERR_SHAPE, "%zu sizes", n), NULL;
    for (size_t i = 0; i < n; i++) {
        by_scale &= arg_given(c, first + (int)i);
        if (by_scale) scales[i] = arg_float(c, first + (int)i);
    }
    return by_scale ? resize_by(c, x, scales, sizes, n, &s) : resize(c, x, sizes, NULL, n, &s);
}

static struct value *lower_grid_sampler(struct aten_call *c)
{
    static const char *const modes[] = { "linear", "nearest", "cubic" };
    static const char *const paddings[] = { "zeros", "border", "reflection" };
    int64_t mode = arg_int(c, 2), padding = arg_int(c, 3);
    if (mode < 0 || mode > 2 || padding < 0 || padding > 2) return aten_fail(c, ERR_SHAPE, "an unknown mode"), NULL;
    return emit(c->b, "GridSample",
        ATTRS(attr_string("mode", modes[mode]), attr_string("padding_mode", paddings[padding]),
            attr_int("align_corners", arg_bool(c, 4))),
        arg_tensor(c, 0), arg_tensor(c, 1));
}

static struct value *lower_affine_grid(struct aten_call *c)
{
    struct attr attrs[] = { attr_int("align_corners", arg_bool(c, 2)), { 0 } };
    return emit(c->b, "AffineGrid", attrs, arg_tensor(c, 0), arg_ints_value(c, 1));
}

static struct value *lower_pixel_shuffle(struct aten_call *c)
{
    struct attr size = attr_int("blocksize", arg_int(c, 1));
    if (c->row->onnx) return emit(c->b, c->row->onnx, ATTRS(size), arg_tensor(c, 0));
    return emit(c->b, "DepthToSpace", ATTRS(size, attr_string("mode", "CRD")), arg_tensor(c, 0));
}

/* (N, g, C / g, ..) to (N, C / g, g, ..) */
static struct value *lower_channel_shuffle(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    int64_t groups = arg_int(c, 1), channels = value_size_pinned(c, x, 1);
    if (groups < 1 || channels % groups)
        return aten_fail(c, ERR_SHAPE, "%lld channels in %lld groups", (long long)channels, (long long)groups), NULL;
    struct value *y = emit_reshape(c, x, (int64_t[]){ 0, groups, channels / groups, -1 }, 4);
    y = emit_transpose(c, y, (int64_t[]){ 0, 2, 1, 3 }, 4);
    return emit_op(c, "Reshape", y, emit_shape_of(c, x));
}

/* Both take pads as (begin.., end..). */
static const int64_t *twice(struct aten_call *c, int i)
{
    const int64_t *v = arg_ints_n(c, i, 2);
    int64_t *pads = ARENA_ARRAY(c->t->arena, 4, int64_t);
    for (int k = 0; pads && k < 4; k++) pads[k] = v[k % 2];
    return pads ? pads : (fail_nomem(c->t->err), v);
}

static struct value *lower_im2col(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    bool batched = value_rank(c, x) != 3;
    if (!batched) x = emit_unsqueeze(c, x, 0);
    const int64_t *kernel = arg_ints_n(c, 1, 2), *dilation = arg_ints_n(c, 2, 2), *pads = twice(c, 3);
    const int64_t *stride = arg_ints_n(c, 4, 2);
    if (c->b->err->code) return NULL;
    struct value *y = emit(c->b, "Im2Col",
        ATTRS(attr_ints("kernel_shape", kernel, 2), attr_ints("dilations", dilation, 2), attr_ints("pads", pads, 4),
            attr_ints("strides", stride, 2)),
        x);
    return batched ? y : emit_squeeze(c, y, 0);
}

static struct value *lower_col2im(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    bool batched = value_rank(c, x) != 2;
    if (!batched) x = emit_unsqueeze(c, x, 0);
    const int64_t *dilation = arg_ints_n(c, 3, 2), *pads = twice(c, 4), *stride = arg_ints_n(c, 5, 2);
    if (c->b->err->code) return NULL;
    struct value *y = emit(c->b, "Col2Im",
        ATTRS(attr_ints("dilations", dilation, 2), attr_ints("pads", pads, 4), attr_ints("strides", stride, 2)), x,
        arg_ints_value(c, 1), arg_ints_value(c, 2));
    return batched ? y : emit_squeeze(c, y, 0);
}

/* PyTorch lists (before, after) from the last dimension backwards; ONNX all befores, then all afters. */
static struct value *pad(struct aten_call *c, const char *mode, struct value *value)
{
    struct value *x = arg_tensor(c, 0), *parts[2 * SHAPE_MAX];
    size_t n = arg_len(c, 1) / 2;
    int64_t axes[SHAPE_MAX];
    int rank = value_rank(c, x);
    if (n > (size_t)rank || c->b->err->code) return aten_fail(c, ERR_SHAPE, "%zu pairs", n), NULL;
    for (size_t i = 0; i < n; i++) {
        size_t from = n - 1 - i;
        axes[i] = rank - (int64_t)(n - i);
        parts[i] = arg_item_value(c, 1, 2 * from);
        parts[n + i] = arg_item_value(c, 1, 2 * from + 1);
    }
    if (!n) return x;
    return emit(c->b, "Pad", ATTRS(attr_string("mode", mode)), x, emit_concat_ints(c, parts, 2 * n), value,
        emit_i64s(c->b, axes, n));
}

static struct value *lower_pad(struct aten_call *c)
{
    static const char *const modes[][2] = { { "constant", "constant" }, { "reflect", "reflect" },
        { "replicate", "edge" }, { "circular", "wrap" } };
    struct value *x = arg_tensor(c, 0);
    const char *mode = arg_str(c, 2);
    if (!x) return NULL;
    bool has_value = !strcmp(mode, "constant") && arg_given(c, 3) && arg_float(c, 3) != 0;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (!strcmp(mode, modes[i][0])) return pad(c, modes[i][1], has_value ? arg_scalar(c, 3, x->dtype) : NULL);
    return aten_fail(c, ERR_UNSUPPORTED, "padding mode %s", mode), NULL;
}

static struct value *lower_constant_pad(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0);
    return x ? pad(c, "constant", arg_scalar(c, 2, x->dtype)) : NULL;
}

static struct value *lower_pad_mode(struct aten_call *c)
{
    return pad(c, c->row->onnx, NULL);
}

#define SCALES_1 "float? scales=None"
#define SCALES_2 "float? scales_h=None, float? scales_w=None"
#define SCALES_3 "float? scales_d=None, float? scales_h=None, float? scales_w=None"
#define UPSAMPLE(name, n, kind, corners, scales) \
    { name ".vec(Tensor input, SymInt[]? output_size, " corners "float[]? scale_factors) -> Tensor", \
        lower_upsample_vec, kind }, \
    { \
        name "(Tensor self, SymInt[" n "] output_size, " corners scales ") -> Tensor", lower_upsample, kind \
    }
#define CORNERS "bool align_corners, "
#define GRID "(Tensor input, Tensor grid, int interpolation_mode, int padding_mode, bool align_corners) -> Tensor"

const struct aten_row aten_resize[] = {
    UPSAMPLE("upsample_nearest1d", "1", "nearest", "", SCALES_1),
    UPSAMPLE("upsample_nearest2d", "2", "nearest", "", SCALES_2),
    UPSAMPLE("upsample_nearest3d", "3", "nearest", "", SCALES_3),
    UPSAMPLE("_upsample_nearest_exact1d", "1", "exact", "", SCALES_1),
    UPSAMPLE("_upsample_nearest_exact2d", "2", "exact", "", SCALES_2),
    UPSAMPLE("_upsample_nearest_exact3d", "3", "exact", "", SCALES_3),
    UPSAMPLE("upsample_linear1d", "1", "linear", CORNERS, SCALES_1),
    UPSAMPLE("upsample_bilinear2d", "2", "linear", CORNERS, SCALES_2),
    UPSAMPLE("upsample_trilinear3d", "3", "linear", CORNERS, SCALES_3),
    UPSAMPLE("upsample_bicubic2d", "2", "cubic", CORNERS, SCALES_2),
    UPSAMPLE("_upsample_bilinear2d_aa", "2", "linear aa", CORNERS, SCALES_2),
    UPSAMPLE("_upsample_bicubic2d_aa", "2", "cubic aa", CORNERS, SCALES_2),
    { "grid_sampler" GRID, lower_grid_sampler },
    { "grid_sampler_2d" GRID, lower_grid_sampler },
    { "grid_sampler_3d" GRID, lower_grid_sampler },
    { "affine_grid_generator(Tensor theta, int[] size, bool align_corners) -> Tensor", lower_affine_grid },
    { "pixel_shuffle(Tensor self, int upscale_factor) -> Tensor", lower_pixel_shuffle },
    { "pixel_unshuffle(Tensor self, int downscale_factor) -> Tensor", lower_pixel_shuffle, "PixelUnshuffle" },
    { "channel_shuffle(Tensor self, int groups) -> Tensor", lower_channel_shuffle },
    { "im2col(Tensor self, int[2] kernel_size, int[2] dilation, int[2] padding, int[2] stride) -> Tensor",
        lower_im2col },
    { "col2im(Tensor self, SymInt[2] output_size, int[2] kernel_size, int[2] dilation, int[2] padding, "
      "int[2] stride) -> Tensor",
        lower_col2im },
    { "pad(Tensor self, SymInt[] pad, str mode=\"constant\", float? value=None) -> Tensor", lower_pad },
    { "constant_pad_nd(Tensor self, SymInt[] pad, Scalar value=0) -> Tensor", lower_constant_pad },
    { "_pad_circular(Tensor self, SymInt[] pad) -> Tensor", lower_pad_mode, "wrap" },
    { "reflection_pad1d(Tensor self, SymInt[2] padding) -> Tensor", lower_pad_mode, "reflect" },
    { "reflection_pad2d(Tensor self, SymInt[4] padding) -> Tensor", lower_pad_mode, "reflect" },
    { "reflection_pad3d(Tensor self, SymInt[6] padding) -> Tensor", lower_pad_mode, "reflect" },
    { "replication_pad1d(Tensor self, SymInt[2] padding) -> Tensor", lower_pad_mode, "edge" },
    { "replication_pad2d(Tensor self, SymInt[4] padding) -> Tensor", lower_pad_mode, "edge" },
    { "replication_pad3d(Tensor self, SymInt[6] padding) -> Tensor", lower_pad_mode, "edge" },
    { 0 },
};
