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

/* Averaging matrix (out, in) of adaptive pooling: row i averages [floor(i in / out), ceil((i + 1) in / out)). */
static struct value *averaging(struct aten_call *c, int64_t in, int64_t out, enum dtype t)
{
    struct shape s = shape_of(2, (int64_t[]){ out, in });
    struct tensor *m = tensor_new(c->b->g->arena, t, &s, c->b->err);
    for (int64_t i = 0; m && i < out; i++) {
        int64_t from = i * in / out, to = ((i + 1) * in + out - 1) / out;
        for (int64_t k = from; k < to; k++) tensor_set_f64(m, i * in + k, 1.0 / (double)(to - from));
    }
    return emit_const(c->b, m);
}

/* Averages over one dimension (negative) by a matrix product; every in and out is below ADAPTIVE_MAX. */
static struct value *average_axis(struct aten_call *c, struct value *x, int axis, int64_t in, int64_t out)
{
    enum { ADAPTIVE_MAX = 1 << 14 };
    if (in > ADAPTIVE_MAX || out > ADAPTIVE_MAX)
        return aten_fail(c, ERR_UNSUPPORTED, "from %lld to %lld elements", (long long)in, (long long)out), NULL;
    int rank = value_rank(c, x);
    int64_t perm[SHAPE_MAX];
    for (int i = 0; i < rank; i++) perm[i] = i;
    perm[rank - 1] = rank + axis;
    perm[rank + axis] = rank - 1;
    struct value *m = emit_transpose(c, averaging(c, in, out, x->dtype), (int64_t[]){ 1, 0 }, 2);
    if (axis == -1) return emit(c->b, "MatMul", NO_ATTRS, x, m);
    return emit_transpose(
        c, emit(c->b, "MatMul", NO_ATTRS, emit_transpose(c, x, perm, (size_t)rank), m), perm, (size_t)rank);
}

/* Whole windows are an AveragePool, one output a global one, uneven windows products with averaging matrices. */
static struct value *adaptive_avg_pool(struct aten_call *c, size_t n)
{
    struct value *x = arg_tensor(c, 0);
    const int64_t *want = arg_ints_n(c, 1, n);
    int64_t out[3] = { 1, 1, 1 }, in[3] = { 0 }, kernel[3];
    bool ones = true, whole = true, same = true, batched = value_rank(c, x) != (int)n + 1;
    for (size_t i = 0; i < n && !c->b->err->code; i++) ones &= (out[i] = want[i]) == 1;
    if (!batched) x = emit_unsqueeze(c, x, 0);
    for (size_t i = 0; i < n && !ones && !c->b->err->code; i++) {
        in[i] = value_size_pinned(c, x, (int)(i + 2));
        if (out[i] < 1) return aten_fail(c, ERR_UNSUPPORTED, "an output of %lld", (long long)out[i]), NULL;
        same &= in[i] == out[i];
        whole &= in[i] % out[i] == 0;
        kernel[i] = in[i] / out[i];
    }
    if (c->b->err->code) return NULL;
    struct value *y = x;
    if (ones) y = emit(c->b, "GlobalAveragePool", NO_ATTRS, x);
    else if (whole && !same)
        y = emit(c->b, "AveragePool", ATTRS(attr_ints("kernel_shape", kernel, n), attr_ints("strides", kernel, n)), x);
    for (size_t i = 0; i < n && !ones && !whole; i++)
        if (in[i] != out[i]) y = average_axis(c, y, (int)i - (int)n, in[i], out[i]);
    return batched ? y : emit_squeeze(c, y, 0);
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
