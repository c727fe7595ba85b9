/* aten_pool.c - pooling. */
#include "base/err.h"
#include "format/torch/aten.h"

struct window {
    const int64_t *kernel, *stride;
    int64_t pads[2 * SHAPE_MAX];
    size_t n; /* spatial dimensions */
    bool batched;
    struct value *x;
};

/* Kernel, stride (empty: the kernel) and padding from arguments 1 to 3. */
static bool window_init(struct aten_call *c, struct window *w, size_t spatial)
{
    size_t given;
    w->n = spatial;
    w->kernel = arg_ints_n(c, 1, spatial);
    w->stride = arg_ints(c, 2, &given);
    w->stride = given ? arg_ints_n(c, 2, spatial) : w->kernel;
    const int64_t *padding = arg_ints_n(c, 3, spatial);
    if (c->b->err->code) return false;
    for (size_t i = 0; i < spatial; i++) w->pads[i] = w->pads[spatial + i] = padding[i];
    w->x = arg_tensor(c, 0);
    w->batched = value_rank(c, w->x) != (int)spatial + 1;
    if (!w->batched) w->x = emit_unsqueeze(c, w->x, 0);
    return !c->b->err->code;
}

static struct value *window_done(struct aten_call *c, const struct window *w, struct value *y)
{
    return w->batched ? y : emit_squeeze(c, y, 0);
}

static struct value *max_pool(struct aten_call *c, size_t spatial)
{
    struct window w;
    const int64_t *dilation = arg_ints_n(c, 4, spatial);
    if (!window_init(c, &w, spatial)) return NULL;
    struct value *y = emit(c->b, "MaxPool",
        ATTRS(attr_ints("kernel_shape", w.kernel, w.n), attr_ints("strides", w.stride, w.n),
            attr_ints("pads", w.pads, 2 * w.n), attr_ints("dilations", dilation, w.n),
            attr_int("ceil_mode", arg_bool(c, 5))),
        w.x);
    return window_done(c, &w, y);
}

static struct value *lower_max_pool1d(struct aten_call *c)
{
    return max_pool(c, 1);
}
static struct value *lower_max_pool2d(struct aten_call *c)
{
    return max_pool(c, 2);
}
static struct value *lower_max_pool3d(struct aten_call *c)
{
    return max_pool(c, 3);
}

static struct value *avg_pool(struct aten_call *c, size_t spatial)
{
    struct window w;
    if (!window_init(c, &w, spatial)) return NULL;
    bool divisor = c->n_args > 6 && arg_given(c, 6);
    struct value *y = emit(c->b, "AveragePool",
        ATTRS(attr_ints("kernel_shape", w.kernel, w.n), attr_ints("strides", w.stride, w.n),
            attr_ints("pads", w.pads, 2 * w.n), attr_int("ceil_mode", arg_bool(c, 4)),
            attr_int("count_include_pad", divisor || arg_bool(c, 5))),
        w.x);
    if (divisor) {
        double area = 1;
        for (size_t i = 0; i < w.n; i++) area *= (double)w.kernel[i];
        y = emit(c->b, "Mul", NO_ATTRS, y, emit_scalar(c->b, y ? y->dtype : DT_F32, area / arg_float(c, 6)));
    }
    return window_done(c, &w, y);
}

static struct value *lower_avg_pool1d(struct aten_call *c)
{
    return avg_pool(c, 1);
}
static struct value *lower_avg_pool2d(struct aten_call *c)
{
    return avg_pool(c, 2);
}
static struct value *lower_avg_pool3d(struct aten_call *c)
{
    return avg_pool(c, 3);
}

/* None in the output's size keeps the input's: -1 of our own operator. */
static struct value *adaptive_pool(struct aten_call *c, const char *op, size_t n)
{
    struct value *x = arg_tensor(c, 0);
    const int64_t *size = arg_ints_n(c, 1, n);
    bool batched = value_rank(c, x) != (int)n + 1, ones = true;
    if (c->b->err->code) return NULL;
    for (size_t i = 0; i < n; i++) ones &= size[i] == 1;
    if (!batched) x = emit_unsqueeze(c, x, 0);
    struct value *y = ones ? emit(c->b, op[8] == 'A' ? "GlobalAveragePool" : "GlobalMaxPool", NO_ATTRS, x)
                           : emit(c->b, op, ATTRS(attr_ints("output_size", size, n)), x);
    return batched ? y : emit_squeeze(c, y, 0);
}

static struct value *adaptive_avg_pool(struct aten_call *c, size_t n)
{
    return adaptive_pool(c, "AdaptiveAveragePool", n);
}

static struct value *lower_adaptive_avg_pool1d(struct aten_call *c)
{
    return adaptive_avg_pool(c, 1);
}
static struct value *lower_adaptive_avg_pool2d(struct aten_call *c)
{
    return adaptive_avg_pool(c, 2);
}
static struct value *lower_adaptive_avg_pool3d(struct aten_call *c)
{
    return adaptive_avg_pool(c, 3);
}

#define POOL_ARGS(n) "int[" n "] kernel_size, int[" n "] stride=[], int[" n "] padding=0, "
const struct aten_row aten_pool[] = {
    { "max_pool1d(Tensor self, " POOL_ARGS("1") "int[1] dilation=1, bool ceil_mode=False) -> Tensor",
        lower_max_pool1d },
    { "max_pool2d(Tensor self, " POOL_ARGS("2") "int[2] dilation=1, bool ceil_mode=False) -> Tensor",
        lower_max_pool2d },
    { "max_pool3d(Tensor self, " POOL_ARGS("3") "int[3] dilation=1, bool ceil_mode=False) -> Tensor",
        lower_max_pool3d },
    { "avg_pool1d(Tensor self, " POOL_ARGS("1") "bool ceil_mode=False, bool count_include_pad=True) -> Tensor",
        lower_avg_pool1d },
    { "avg_pool2d(Tensor self, " POOL_ARGS("2") "bool ceil_mode=False, bool count_include_pad=True, "
                                                "int? divisor_override=None) -> Tensor",
        lower_avg_pool2d },
    { "avg_pool3d(Tensor self, " POOL_ARGS("3") "bool ceil_mode=False, bool count_include_pad=True, "
                                                "int? divisor_override=None) -> Tensor",
        lower_avg_pool3d },
    { "adaptive_avg_pool1d(Tensor self, int[1] output_size) -> Tensor", lower_adaptive_avg_pool1d },
    { "adaptive_avg_pool2d(Tensor self, SymInt[2] output_size) -> Tensor", lower_adaptive_avg_pool2d },
    { "_adaptive_avg_pool2d(Tensor self, SymInt[2] output_size) -> Tensor", lower_adaptive_avg_pool2d },
    { "adaptive_avg_pool3d(Tensor self, int[3] output_size) -> Tensor", lower_adaptive_avg_pool3d },
    { 0 },
};
