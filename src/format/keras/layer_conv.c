/* layer_conv.c - convolutions: plain, depthwise, separable, transposed.
 *
 * Kernels lie in files as (spatial.., in, out) and become (out, in, spatial..). */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/keras/conv.h"

enum { AXES_MAX = 3 };

static int old_pair(struct call *c, const char *const *keys, int n, int64_t *out)
{
    for (int i = 0; i < n; i++) out[i] = cfg_int(c, keys[i], 1);
    return 0;
}

/* Keras 1 has nb_row, nb_col and subsample. */
static int read_kernel(struct call *c, int n, int64_t *out)
{
    static const char *const rows[] = { "nb_row", "nb_col" }, *const lengths[] = { "filter_length" };
    if (n == 2 && cfg(c, "nb_row")) return old_pair(c, rows, 2, out);
    if (n == 1 && cfg(c, "filter_length")) return old_pair(c, lengths, 1, out);
    return cfg_ints(c, "kernel_size", n, 1, out);
}

static int read_strides(struct call *c, int n, int64_t *out)
{
    if (cfg(c, "subsample")) return cfg_ints(c, "subsample", n, 1, out);
    if (cfg(c, "subsample_length")) return cfg_ints(c, "subsample_length", n, 1, out);
    return cfg_ints(c, "strides", n, 1, out);
}

int window_read(struct call *c, int n, struct window *w)
{
    *w = (struct window){ .n = n, .padding = cfg_string(c, "padding", cfg_string(c, "border_mode", "valid")) };
    TRY(read_kernel(c, n, w->kernel));
    TRY(read_strides(c, n, w->strides));
    TRY(cfg_ints(c, "dilation_rate", n, 1, w->dilations));
    for (int i = 0; i < n; i++) {
        const int64_t numbers[] = { w->kernel[i], w->strides[i], w->dilations[i] };
        for (int k = 0; k < 3; k++)
            if (numbers[k] < 1 || numbers[k] > INT32_MAX)
                return call_fail(c, ERR_MODEL, "its kernel_size, strides or dilation_rate are below 1 or absurd");
    }
    if (strcmp(w->padding, "valid") && strcmp(w->padding, "same") && strcmp(w->padding, "causal"))
        return call_fail(c, ERR_UNSUPPORTED, "padding \"%.50s\"", w->padding);
    return 0;
}

/* TensorFlow's "same": ceil(size / stride) windows; what is lacking goes half before and half behind, an odd one
 * behind. Sizes that are not known leave it to the operator, which has the same rule. */
int window_attrs(const struct window *w, const struct value *x, int64_t pads[2 * AXES_MAX], struct attr *attrs)
{
    bool known = true, any = false;
    memset(pads, 0, 2 * AXES_MAX * sizeof *pads);
    for (int i = 0; i < w->n; i++) {
        int64_t extent = (w->kernel[i] - 1) * w->dilations[i] + 1, size = x->shape.dim[2 + i], total;
        if (size > INT64_MAX / 4) size = -1; /* inference refuses it */
        if (!strcmp(w->padding, "causal")) pads[i] = extent - 1;
        if (strcmp(w->padding, "same")) continue;
        known &= size >= 0 || w->strides[i] == 1;
        if (w->strides[i] == 1) total = extent - 1;
        else total = size < 0 ? 0 : ((size + w->strides[i] - 1) / w->strides[i] - 1) * w->strides[i] + extent - size;
        if (total < 0) total = 0;
        pads[i] = total / 2;
        pads[w->n + i] = total - total / 2;
    }
    for (int i = 0; i < 2 * w->n; i++) any |= pads[i] != 0;
    int n = 0;
    attrs[n++] = attr_ints("strides", w->strides, (size_t)w->n);
    if (!known) attrs[n++] = attr_string("auto_pad", "SAME_UPPER");
    else if (any) attrs[n++] = attr_ints("pads", pads, (size_t)(2 * w->n));
    for (int i = 0; i < w->n; i++)
        if (w->dilations[i] != 1) {
            attrs[n++] = attr_ints("dilations", w->dilations, (size_t)w->n);
            break;
        }
    return n;
}

/* (spatial.., a, b) to (b, a, spatial..) */
static void turned(int n, int *perm)
{
    perm[0] = n + 1;
    perm[1] = n;
    for (int i = 0; i < n; i++) perm[2 + i] = i;
}

struct value *convolve(
    struct call *c, const struct window *w, struct value *x, struct value *kernel, struct value *bias, int64_t groups)
{
    struct attr attrs[8] = { { 0 } };
    int64_t pads[2 * AXES_MAX];
    if (!x || c->b->err->code) return NULL;
    if (x->shape.rank != w->n + 2)
        return call_fail(c, ERR_SHAPE, "its input has rank %d, expected %d", x->shape.rank, w->n + 2), NULL;
    int n = window_attrs(w, x, pads, attrs);
    if (groups != 1) attrs[n++] = attr_int("group", groups);
    return emit(c->b, "Conv", attrs, x, kernel, bias);
}

static int64_t filters_of(struct call *c)
{
    return cfg_int(c, "filters", cfg_int(c, "nb_filter", -1));
}

static struct ktensor *finish(struct call *c, struct value *y)
{
    return activate_tensor(c, "activation", spatial_out(c, y));
}

static struct ktensor *lower_conv(struct call *c)
{
    int n = c->layer->row->axes, perm[SHAPE_MAX];
    struct window w;
    if (window_read(c, n, &w)) return NULL;
    struct value *x = spatial_in(c, c->in[0]);
    int64_t out = filters_of(c), groups = cfg_int(c, "groups", 1), dims[SHAPE_MAX];
    if (!x || groups < 1) return x ? (call_fail(c, ERR_MODEL, "groups is not 1 or more"), NULL) : NULL;
    for (int i = 0; i < n; i++) dims[i] = w.kernel[i];
    dims[n] = x->shape.rank == n + 2 && x->shape.dim[1] >= 0 ? x->shape.dim[1] / groups : -1;
    dims[n + 1] = out;
    turned(n, perm);
    struct value *k = weight(c, "kernel", n + 2, dims, perm), *b = weight(c, "bias", 1, &out, NULL);
    return finish(c, convolve(c, &w, x, k, b, groups));
}

/* (spatial.., C, M) to (C M, 1, spatial..): output c M + m comes from channel c. */
static struct value *depthwise_kernel(
    struct call *c, const char *role, const struct window *w, int64_t in, int64_t each)
{
    int n = w->n, perm[SHAPE_MAX];
    int64_t dims[SHAPE_MAX], made[SHAPE_MAX] = { in * each, 1 };
    if (in < 0 || each < 1) return call_fail(c, ERR_SHAPE, "the number of its input's channels is not known"), NULL;
    for (int i = 0; i < n; i++) dims[i] = made[2 + i] = w->kernel[i], perm[2 + i] = i;
    dims[n] = in;
    dims[n + 1] = each;
    perm[0] = n;
    perm[1] = n + 1;
    return weight_as(c, role, n + 2, dims, perm, n + 2, made);
}

static struct ktensor *lower_depthwise(struct call *c)
{
    int n = c->layer->row->axes;
    struct window w;
    if (window_read(c, n, &w)) return NULL;
    struct value *x = spatial_in(c, c->in[0]);
    if (!x || x->shape.rank != n + 2) return call_fail(c, ERR_SHAPE, "its input is no image of %d axes", n), NULL;
    int64_t in = x->shape.dim[1], each = cfg_int(c, "depth_multiplier", 1), out = in * each;
    struct value *k = depthwise_kernel(c, "depthwise_kernel", &w, in, each), *b = weight(c, "bias", 1, &out, NULL);
    return finish(c, convolve(c, &w, x, k, b, in));
}

/* Depthwise, then 1 x 1. */
static struct ktensor *lower_separable(struct call *c)
{
    int n = c->layer->row->axes, perm[SHAPE_MAX];
    struct window w;
    if (window_read(c, n, &w)) return NULL;
    struct value *x = spatial_in(c, c->in[0]);
    if (!x || x->shape.rank != n + 2) return call_fail(c, ERR_SHAPE, "its input is no image of %d axes", n), NULL;
    int64_t in = x->shape.dim[1], each = cfg_int(c, "depth_multiplier", 1), out = filters_of(c);
    struct value *k = depthwise_kernel(c, "depthwise_kernel", &w, in, each);
    struct value *y = convolve(c, &w, x, k, NULL, in);
    int64_t dims[SHAPE_MAX] = { 1, 1, 1, 1, 1 };
    dims[n] = in * each;
    dims[n + 1] = out;
    turned(n, perm);
    struct window one = {
        .n = n, .kernel = { 1, 1, 1 }, .strides = { 1, 1, 1 }, .dilations = { 1, 1, 1 }, .padding = "valid"
    };
    struct value *point = weight(c, "pointwise_kernel", n + 2, dims, perm);
    return finish(c, convolve(c, &one, y, point, weight(c, "bias", 1, &out, NULL), 1));
}

/* How much of the full result, (size - 1) stride + extent, is cut off; negative: what is added behind. */
static int64_t cut_of(const struct window *w, int i, const int64_t *output_padding)
{
    int64_t extent = (w->kernel[i] - 1) * w->dilations[i] + 1, stride = w->strides[i];
    bool same = !strcmp(w->padding, "same");
    if (output_padding) return (same ? 2 * (extent / 2) : 0) - output_padding[i];
    return same || extent < stride ? extent - stride : 0;
}

/* The kernel lies as (spatial.., out, in); nothing is turned around. */
static struct ktensor *lower_transposed(struct call *c)
{
    int n = c->layer->row->axes, perm[SHAPE_MAX];
    struct window w;
    int64_t extra[AXES_MAX], pads[2 * AXES_MAX] = { 0 }, behind[AXES_MAX] = { 0 }, dims[SHAPE_MAX], out = filters_of(c);
    bool given = cfg(c, "output_padding") != NULL;
    if (window_read(c, n, &w) || (given && cfg_ints(c, "output_padding", n, 0, extra))) return NULL;
    struct value *x = spatial_in(c, c->in[0]);
    if (!x || x->shape.rank != n + 2) return call_fail(c, ERR_SHAPE, "its input is no image of %d axes", n), NULL;
    for (int i = 0; i < n; i++) {
        int64_t cut = cut_of(&w, i, given ? extra : NULL);
        pads[i] = cut > 0 ? cut / 2 : 0;
        pads[n + i] = cut > 0 ? cut - cut / 2 : 0;
        behind[i] = cut < 0 ? -cut : 0;
        dims[i] = w.kernel[i];
    }
    dims[n] = out;
    dims[n + 1] = x->shape.dim[1];
    turned(n, perm);
    struct attr attrs[] = { attr_ints("strides", w.strides, (size_t)n), attr_ints("dilations", w.dilations, (size_t)n),
        attr_ints("pads", pads, (size_t)(2 * n)), attr_ints("output_padding", behind, (size_t)n), { 0 } };
    struct value *k = weight(c, "kernel", n + 2, dims, perm);
    return finish(c, emit(c->b, "ConvTranspose", attrs, x, k, weight(c, "bias", 1, &out, NULL)));
}

#define KERNEL "kernel bias?use_bias"
#define DEPTHWISE "depthwise_kernel bias?use_bias"
#define SEPARABLE "depthwise_kernel pointwise_kernel bias?use_bias"

const struct layer_row keras_layers_conv[] = {
    { "Conv1D Convolution1D", lower_conv, KERNEL, .axes = 1 },
    { "Conv2D Convolution2D", lower_conv, KERNEL, .axes = 2 },
    { "Conv3D Convolution3D", lower_conv, KERNEL, .axes = 3 },
    { "DepthwiseConv1D", lower_depthwise, DEPTHWISE, .axes = 1 },
    { "DepthwiseConv2D", lower_depthwise, DEPTHWISE, .axes = 2 },
    { "SeparableConv1D SeparableConvolution1D", lower_separable, SEPARABLE, .axes = 1 },
    { "SeparableConv2D SeparableConvolution2D", lower_separable, SEPARABLE, .axes = 2 },
    { "Conv1DTranspose Convolution1DTranspose", lower_transposed, KERNEL, .axes = 1 },
    { "Conv2DTranspose Convolution2DTranspose Deconvolution2D", lower_transposed, KERNEL, .axes = 2 },
    { "Conv3DTranspose Convolution3DTranspose", lower_transposed, KERNEL, .axes = 3 },
    { NULL },
};
