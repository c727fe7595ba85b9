/* layer_pool.c - poolings: sliding, global, adaptive. */
#include <string.h>

#include "base/err.h"
#include "format/keras/conv.h"

/* Windows without dilation, as far from each other as they are wide unless strides say otherwise. */
static int read_window(struct call *c, int n, struct window *w)
{
    *w = (struct window){
        .n = n, .dilations = { 1, 1, 1 }, .padding = cfg_string(c, "padding", cfg_string(c, "border_mode", "valid"))
    };
    TRY(cfg_ints(c, cfg(c, "pool_length") ? "pool_length" : "pool_size", n, 2, w->kernel));
    memcpy(w->strides, w->kernel, sizeof w->strides);
    const char *key = cfg(c, "stride") ? "stride" : "strides";
    if (cfg(c, key)) TRY(cfg_ints(c, key, n, 1, w->strides));
    for (int i = 0; i < n; i++)
        if (w->kernel[i] < 1 || w->strides[i] < 1)
            return call_fail(c, ERR_MODEL, "its pool_size or strides are not 1 or more");
    if (strcmp(w->padding, "valid") && strcmp(w->padding, "same"))
        return call_fail(c, ERR_UNSUPPORTED, "padding \"%.50s\"", w->padding);
    return 0;
}

/* Padding counts neither for a maximum nor for a mean. */
static struct ktensor *lower_pool(struct call *c)
{
    struct window w;
    struct attr attrs[8] = { { 0 } };
    int64_t pads[6];
    int n = c->layer->row->axes;
    if (read_window(c, n, &w)) return NULL;
    struct value *x = spatial_in(c, c->in[0]);
    if (!x || x->shape.rank != n + 2) return call_fail(c, ERR_SHAPE, "its input is no image of %d axes", n), NULL;
    int used = window_attrs(&w, x, pads, attrs);
    attrs[used++] = attr_ints("kernel_shape", w.kernel, (size_t)n);
    return spatial_out(c, emit(c->b, c->layer->row->onnx, attrs, x));
}

/* The mean over the time steps that count. */
static struct value *masked_mean(struct call *c, struct value *x, struct value *mask, bool keep)
{
    int64_t axis = 1;
    struct value *w = k_unsqueeze(c, emit_cast(c->b, mask, x->dtype), 2); /* (N, T, 1) */
    struct value *sum = k_reduce(c, "ReduceSum", k_op2(c, "Mul", x, w), &axis, 1, keep);
    return k_op2(c, "Div", sum, k_reduce(c, "ReduceSum", w, &axis, 1, keep));
}

static struct ktensor *lower_global(struct call *c)
{
    struct ktensor *t = c->in[0];
    int n = c->layer->row->axes, rank = ktensor_rank(t);
    bool keep = cfg_bool(c, "keepdims", false), last = channels_last(c),
         mean = !strcmp(c->layer->row->onnx, "ReduceMean");
    int64_t axes[3];
    if (rank != n + 2) return call_fail(c, ERR_SHAPE, "its input has rank %d, expected %d", rank, n + 2), NULL;
    if (t->mask && n == 1 && mean && last) return ktensor_plain(c, masked_mean(c, as_plain(c, t), t->mask, keep));
    bool first = last && !t->plain; /* channels are at 1 here, whatever Keras says */
    for (int i = 0; i < n; i++) axes[i] = last && !first ? 1 + i : 2 + i;
    struct value *x = first ? t->first : as_plain(c, t);
    if (first || !last) {
        struct value *y = k_op(c, mean ? "GlobalAveragePool" : "GlobalMaxPool", x);
        if (!keep) return ktensor_plain(c, emit(c->b, "Flatten", NO_ATTRS, y));
        return in_form(c, y, first);
    }
    return ktensor_plain(c, k_reduce(c, c->layer->row->onnx, x, axes, n, keep));
}

static struct ktensor *lower_adaptive(struct call *c)
{
    int n = c->layer->row->axes;
    int64_t sizes[3];
    if (cfg_ints(c, "output_size", n, 1, sizes)) return NULL;
    struct attr attrs[] = { attr_ints("output_size", sizes, (size_t)n), { 0 } };
    return spatial_out(c, emit(c->b, c->layer->row->onnx, attrs, spatial_in(c, c->in[0])));
}

const struct layer_row keras_layers_pool[] = {
    { "MaxPooling1D MaxPool1D", lower_pool, .onnx = "MaxPool", .axes = 1 },
    { "MaxPooling2D MaxPool2D", lower_pool, .onnx = "MaxPool", .axes = 2 },
    { "MaxPooling3D MaxPool3D", lower_pool, .onnx = "MaxPool", .axes = 3 },
    { "AveragePooling1D AvgPool1D", lower_pool, .onnx = "AveragePool", .axes = 1 },
    { "AveragePooling2D AvgPool2D", lower_pool, .onnx = "AveragePool", .axes = 2 },
    { "AveragePooling3D AvgPool3D", lower_pool, .onnx = "AveragePool", .axes = 3 },
    { "GlobalAveragePooling1D GlobalAvgPool1D", lower_global, .onnx = "ReduceMean", .axes = 1 },
    { "GlobalAveragePooling2D GlobalAvgPool2D", lower_global, .onnx = "ReduceMean", .axes = 2 },
    { "GlobalAveragePooling3D GlobalAvgPool3D", lower_global, .onnx = "ReduceMean", .axes = 3 },
    { "GlobalMaxPooling1D GlobalMaxPool1D", lower_global, .onnx = "ReduceMax", .axes = 1 },
    { "GlobalMaxPooling2D GlobalMaxPool2D", lower_global, .onnx = "ReduceMax", .axes = 2 },
    { "GlobalMaxPooling3D GlobalMaxPool3D", lower_global, .onnx = "ReduceMax", .axes = 3 },
    { "AdaptiveAveragePooling1D", lower_adaptive, .onnx = "AdaptiveAveragePool", .axes = 1 },
    { "AdaptiveAveragePooling2D", lower_adaptive, .onnx = "AdaptiveAveragePool", .axes = 2 },
    { "AdaptiveAveragePooling3D", lower_adaptive, .onnx = "AdaptiveAveragePool", .axes = 3 },
    { "AdaptiveMaxPooling1D", lower_adaptive, .onnx = "AdaptiveMaxPool", .axes = 1 },
    { "AdaptiveMaxPooling2D", lower_adaptive, .onnx = "AdaptiveMaxPool", .axes = 2 },
    { "AdaptiveMaxPooling3D", lower_adaptive, .onnx = "AdaptiveMaxPool", .axes = 3 },
    { NULL },
};
