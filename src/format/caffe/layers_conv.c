/* layers_conv.c - Caffe's layers with windows and products: convolution, pooling, fully connected. */
#include <math.h>
#include <string.h>

#include "base/err.h"
#include "format/caffe/layers.h"

enum { AXES_MAX = 3 };

struct window {
    int n; /* spatial axes */
    int64_t kernel[AXES_MAX], stride[AXES_MAX], dilation[AXES_MAX], pads[2 * AXES_MAX];
};

/* A size per axis: repeated `name` (one for all), or name_h and name_w where there are two axes. */
static void sizes(struct caffe_call *c, const struct tree *p, const char *name, const char *h, const char *w,
    int64_t otherwise, int n, int64_t *out)
{
    size_t given = tree_count(p, name);
    bool pair = h && (tree_has(p, h) || tree_has(p, w));
    if (pair && (n != 2 || given))
        caffe_fail(c, ERR_MODEL, "%s and %s where \"%s\" is given, or not two axes", h, w, name);
    if (given > 1 && given != (size_t)n) caffe_fail(c, ERR_MODEL, "%zu of \"%s\" for %d axes", given, name, n);
    for (int i = 0; i < n && !c->b->err->code; i++) {
        out[i] = pair ? tree_int(p, i ? w : h, otherwise)
            : given   ? tree_int_at(p, name, given > 1 ? (size_t)i : 0)
                      : otherwise;
        if (out[i] < 0 || out[i] > INT32_MAX) caffe_fail(c, ERR_MODEL, "%s is %lld", name, (long long)out[i]);
    }
}

static bool window_init(struct caffe_call *c, const struct tree *p, struct window *w, bool dilates)
{
    int64_t pad[AXES_MAX] = { 0 };
    *w = (struct window){ .n = caffe_rank(c, c->in[0]) - 2 };
    if (c->b->err->code) return false;
    if (w->n < 1 || w->n > AXES_MAX) return caffe_fail(c, ERR_UNSUPPORTED, "%d spatial axes", w->n), false;
    sizes(c, p, "kernel_size", "kernel_h", "kernel_w", 0, w->n, w->kernel);
    sizes(c, p, "stride", "stride_h", "stride_w", 1, w->n, w->stride);
    sizes(c, p, "pad", "pad_h", "pad_w", 0, w->n, pad);
    for (int i = 0; i < w->n; i++) w->pads[i] = w->pads[w->n + i] = pad[i], w->dilation[i] = 1;
    if (dilates) sizes(c, p, "dilation", NULL, NULL, 1, w->n, w->dilation);
    return !c->b->err->code;
}

static bool has_kernel(struct caffe_call *c, const struct window *w)
{
    for (int i = 0; i < w->n; i++)
        if (w->kernel[i] < 1 || w->stride[i] < 1 || w->dilation[i] < 1)
            return caffe_fail(c, ERR_MODEL, "kernel %lld, stride %lld, dilation %lld", (long long)w->kernel[i],
                       (long long)w->stride[i], (long long)w->dilation[i]),
                   false;
    return true;
}

#define WINDOW_ATTRS(w, group) \
    ATTRS(attr_ints("kernel_shape", (w).kernel, (size_t)(w).n), attr_ints("strides", (w).stride, (size_t)(w).n), \
        attr_ints("dilations", (w).dilation, (size_t)(w).n), attr_ints("pads", (w).pads, 2 * (size_t)(w).n), \
        attr_int("group", group))

/* row->onnx: Conv or ConvTranspose. `depthwise`: as many groups as channels, whatever the file says. */
static struct value *convolve(struct caffe_call *c, bool depthwise)
{
    const struct tree *p = caffe_param(c, "convolution_param");
    struct window w;
    struct value *x = c->in[0], *bias = NULL;
    if (!window_init(c, p, &w, true) || !has_kernel(c, &w)) return NULL;
    if (tree_int(p, "axis", 1) != 1) return caffe_fail(c, ERR_UNSUPPORTED, "channels along an axis other than 1");
    int64_t in = caffe_dim(c, x, 1), out = tree_int(p, "num_output", 0), group = tree_int(p, "group", 1);
    if (depthwise) group = in;
    if (c->b->err->code) return NULL;
    if (out < 1 || group < 1 || in % group || out % group)
        return caffe_fail(
            c, ERR_MODEL, "%lld to %lld channels in %lld groups", (long long)in, (long long)out, (long long)group);
    bool transposed = !strcmp(c->row->onnx, "ConvTranspose");
    int64_t dims[2 + AXES_MAX] = { transposed ? in : out, (transposed ? out : in) / group };
    memcpy(dims + 2, w.kernel, sizeof w.kernel);
    struct value *weight = caffe_weight(c, 0, 2 + w.n, dims);
    if (tree_int(p, "bias_term", 1)) bias = caffe_weight(c, 1, 1, &out);
    return emit(c->b, c->row->onnx, WINDOW_ATTRS(w, group), x, weight, bias);
}
static struct value *lower_convolution(struct caffe_call *c)
{
    return convolve(c, false);
}
static struct value *lower_depthwise(struct caffe_call *c)
{
    return convolve(c, true);
}

/* (N, C, H, W) to (N, C kh kw, oh, ow) */
static struct value *lower_im2col(struct caffe_call *c)
{
    struct window w;
    if (!window_init(c, caffe_param(c, "convolution_param"), &w, true) || !has_kernel(c, &w)) return NULL;
    int64_t dims[2 + AXES_MAX] = { 0, -1 };
    struct value *x = c->in[0];
    for (int i = 0; i < w.n; i++) {
        int64_t reach = caffe_dim(c, x, 2 + i) + 2 * w.pads[i] - w.dilation[i] * (w.kernel[i] - 1) - 1;
        dims[2 + i] = reach / w.stride[i] + 1;
        if (reach < 0) caffe_fail(c, ERR_SHAPE, "the window is larger than the input");
    }
    struct value *y = emit(c->b, "Im2Col",
        ATTRS(attr_ints("kernel_shape", w.kernel, (size_t)w.n), attr_ints("strides", w.stride, (size_t)w.n),
            attr_ints("dilations", w.dilation, (size_t)w.n), attr_ints("pads", w.pads, 2 * (size_t)w.n)),
        x);
    return caffe_reshaped(c, y, dims, 2 + w.n);
}

/* --- pooling --- */

/* Caffe rounds sizes up, and takes the last window away that would begin beyond the input and its padding, but only
 * where there is padding; without any, such a window is empty. */
static bool check_reach(struct caffe_call *c, const struct window *w, bool ceil_mode)
{
    for (int i = 0; i < w->n && ceil_mode; i++) {
        if (w->pads[i] || w->stride[i] <= w->kernel[i]) continue;
        int64_t in = caffe_dim(c, c->in[0], 2 + i);
        if (c->b->err->code) return false;
        if (in < w->kernel[i]) continue;
        int64_t last = (in - w->kernel[i] + w->stride[i] - 1) / w->stride[i] * w->stride[i];
        if (last >= in)
            return caffe_fail(c, ERR_UNSUPPORTED, "its last window lies beyond the input, where Caffe finds no number"),
                   false;
    }
    return true;
}

static struct value *average(struct caffe_call *c, const struct window *w, bool ceil_mode, struct value *x)
{
    return emit(c->b, "AveragePool",
        ATTRS(attr_ints("kernel_shape", w->kernel, (size_t)w->n), attr_ints("strides", w->stride, (size_t)w->n),
            attr_ints("pads", w->pads, 2 * (size_t)w->n), attr_int("ceil_mode", ceil_mode),
            attr_int("count_include_pad", 1)),
        x);
}

/* The mean of numbers weighted by themselves: what stochastic pooling expects. */
static struct value *weighted(struct caffe_call *c, struct value *squares, struct value *sums)
{
    return emit_op(c, "Div", squares, emit_op(c, "Add", sums, caffe_number(c, 1.17549435e-38)));
}

/* With a second top: where in its plane each maximum was. */
static struct value *max_pool(struct caffe_call *c, const struct window *w, bool ceil_mode)
{
    bool mask = c->layer->n_top > 1;
    struct node *n = builder_node(c->b, "MaxPool",
        ATTRS(attr_ints("kernel_shape", w->kernel, (size_t)w->n), attr_ints("strides", w->stride, (size_t)w->n),
            attr_ints("pads", w->pads, 2 * (size_t)w->n), attr_int("ceil_mode", ceil_mode)),
        c->in, 1, mask ? 2 : 1);
    if (!n) return NULL;
    if (mask) {
        int64_t plane = caffe_span(c, c->in[0], 2, 2 + w->n);
        c->out[1] = emit_cast(c->b, emit_op(c, "Mod", n->out[1], emit_i64(c->b, plane)), DT_F32);
    }
    return n->out[0];
}

static struct value *pool_windows(struct caffe_call *c, int64_t how, const struct window *w, bool ceil_mode)
{
    struct value *x = c->in[0];
    if (how == 0) return max_pool(c, w, ceil_mode);
    if (how == 1) return average(c, w, ceil_mode, x);
    return weighted(c, average(c, w, ceil_mode, emit_op(c, "Mul", x, x)), average(c, w, ceil_mode, x));
}

static struct value *pool_all(struct caffe_call *c, int64_t how)
{
    struct value *x = c->in[0];
    if (how == 0) return emit_op(c, "GlobalMaxPool", x);
    if (how == 1) return emit_op(c, "GlobalAveragePool", x);
    return weighted(c, emit_op(c, "GlobalAveragePool", emit_op(c, "Mul", x, x)), emit_op(c, "GlobalAveragePool", x));
}

static struct value *lower_pooling(struct caffe_call *c)
{
    const struct tree *p = caffe_param(c, "pooling_param");
    int64_t how = tree_int(p, "pool", 0);
    struct window w;
    if (how < 0 || how > 2) return caffe_fail(c, ERR_MODEL, "pool is %lld", (long long)how);
    if (!window_init(c, p, &w, false)) return NULL;
    if (tree_int(p, "global_pooling", 0)) {
        for (int i = 0; i < w.n; i++)
            if (w.pads[i] || w.stride[i] != 1 || w.kernel[i])
                return caffe_fail(c, ERR_MODEL, "a global pooling has no kernel, no padding and a stride of 1");
        return pool_all(c, how);
    }
    if (!has_kernel(c, &w)) return NULL;
    for (int i = 0; i < w.n; i++)
        if (w.pads[i] >= w.kernel[i]) return caffe_fail(c, ERR_MODEL, "the padding is as large as the kernel");
    bool ceil_mode = !tree_int(p, "round_mode", 0) && tree_int(p, "ceil_mode", 1);
    if (!check_reach(c, &w, ceil_mode)) return NULL;
    return pool_windows(c, how, &w, ceil_mode);
}

/* Spatial pyramid: poolings to 1, 4, 16 .. cells, flattened and joined (He et al., 2014), with Caffe's windows. */
static struct value *lower_spp(struct caffe_call *c)
{
    enum { LEVELS = 12 };
    const struct tree *p = caffe_param(c, "spp_param");
    int64_t height = tree_int(p, "pyramid_height", 0), how = tree_int(p, "pool", 0);
    struct value *parts[LEVELS];
    if (height < 1 || height > LEVELS || how < 0 || how > 2)
        return caffe_fail(c, ERR_MODEL, "a pyramid of %lld levels", (long long)height);
    if (caffe_rank(c, c->in[0]) != 4) return caffe_fail(c, ERR_MODEL, "the input is no image");
    for (int level = 0; level < height && !c->b->err->code; level++) {
        struct window w = { .n = 2 };
        int64_t bins = (int64_t)1 << level;
        for (int i = 0; i < 2; i++) {
            int64_t in = caffe_dim(c, c->in[0], 2 + i);
            w.kernel[i] = w.stride[i] = (in + bins - 1) / bins;
            w.pads[i] = w.pads[2 + i] = (w.kernel[i] * bins - in + 1) / 2;
            w.dilation[i] = 1;
        }
        if (c->b->err->code || !has_kernel(c, &w)) return NULL;
        parts[level] = emit(c->b, "Flatten", ATTRS(attr_int("axis", 1)), pool_windows(c, how, &w, true));
    }
    return builder_emit(c->b, "Concat", ATTRS(attr_int("axis", 1)), parts, (int)height);
}

/* --- products --- */

static struct value *product(
    struct caffe_call *c, struct value *rows, struct value *weight, struct value *bias, bool turned)
{
    return emit(c->b, "Gemm", ATTRS(attr_int("transB", !turned)), rows, weight, bias);
}

/* Everything from `axis` on is one vector. */
static struct value *lower_inner_product(struct caffe_call *c)
{
    const struct tree *p = caffe_param(c, "inner_product_param");
    struct value *x = c->in[0], *bias = NULL;
    int rank = caffe_rank(c, x), axis = caffe_axis(c, tree_int(p, "axis", 1), rank);
    int64_t out = tree_int(p, "num_output", 0), len = caffe_span(c, x, axis, rank);
    bool turned = tree_int(p, "transpose", 0) != 0;
    if (out < 1 || out > INT32_MAX) caffe_fail(c, ERR_MODEL, "num_output is %lld", (long long)out);
    if (c->b->err->code) return NULL;
    struct value *weight = caffe_weight(c, 0, 2, turned ? (int64_t[]){ len, out } : (int64_t[]){ out, len });
    if (tree_int(p, "bias_term", 1)) bias = caffe_weight(c, 1, 1, &out);
    if (axis == 1) {
        if (rank != 2) x = emit(c->b, "Flatten", ATTRS(attr_int("axis", 1)), x);
        return product(c, x, weight, bias, turned);
    }
    int64_t dims[SHAPE_MAX] = { -1, len };
    struct value *y = product(c, caffe_reshaped(c, x, dims, 2), weight, bias, turned);
    int64_t leading = -1;
    for (int i = 0; i < axis; i++) dims[i] = i ? caffe_dim(c, x, i) : leading;
    dims[axis] = out;
    return axis ? caffe_reshaped(c, y, dims, axis + 1) : caffe_reshaped(c, y, &out, 1);
}

/* Rows of a table; whole numbers come as floats. */
static struct value *lower_embed(struct caffe_call *c)
{
    const struct tree *p = caffe_param(c, "embed_param");
    int64_t out = tree_int(p, "num_output", 0), in = tree_int(p, "input_dim", 0);
    if (out < 1 || in < 1 || out > INT32_MAX || in > INT32_MAX)
        return caffe_fail(c, ERR_MODEL, "a table of %lld rows of %lld", (long long)in, (long long)out);
    struct value *table = caffe_weight(c, 0, 2, (int64_t[]){ in, out });
    struct value *y = emit(c->b, "Gather", ATTRS(attr_int("axis", 0)), table, emit_cast(c->b, c->in[0], DT_I64));
    return tree_int(p, "bias_term", 1) ? emit_op(c, "Add", y, caffe_weight(c, 1, 1, &out)) : y;
}

const struct caffe_row caffe_conv[] = {
    { "Convolution", lower_convolution, 1, 1, 0, "Conv" },
    { "ConvolutionDepthwise", lower_depthwise, 1, 1, 0, "Conv" },
    { "DepthwiseConvolution", lower_depthwise, 1, 1, 0, "Conv" },
    { "DepthwiseConv", lower_depthwise, 1, 1, 0, "Conv" },
    { "Deconvolution", lower_convolution, 1, 1, 0, "ConvTranspose" },
    { "Im2col", lower_im2col, 1, 1, 0, NULL },
    { "Pooling", lower_pooling, 1, 1, 0, NULL },
    { "SPP", lower_spp, 1, 1, 0, NULL },
    { "InnerProduct", lower_inner_product, 1, 1, 0, "Gemm" },
    { "Embed", lower_embed, 1, 1, 0, "Gather" },
    { 0 },
};
