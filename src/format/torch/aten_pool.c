/* aten_pool.c - pooling. */
#include "base/arena.h"
#include "base/err.h"
#include "format/torch/torch.h"

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

/* Positions in the whole tensor to positions in their (channel) plane of the spatial sizes of x, as PyTorch counts
 * them. */
static struct value *in_plane(struct aten_call *c, struct value *index, struct value *x, size_t spatial)
{
    struct value *plane = value_size(c, x, -1);
    for (size_t i = 1; i < spatial; i++) plane = emit_op(c, "Mul", plane, value_size(c, x, -1 - (int)i));
    return emit_op(c, "Mod", index, plane);
}

/* row->onnx: "with indices" when both results are wanted. */
static struct value *max_pool(struct aten_call *c, size_t spatial)
{
    struct window w;
    const int64_t *dilation = arg_ints_n(c, 4, spatial);
    if (!window_init(c, &w, spatial)) return NULL;
    struct node *n = builder_node(c->b, "MaxPool",
        ATTRS(attr_ints("kernel_shape", w.kernel, w.n), attr_ints("strides", w.stride, w.n),
            attr_ints("pads", w.pads, 2 * w.n), attr_ints("dilations", dilation, w.n),
            attr_int("ceil_mode", arg_bool(c, 5))),
        &w.x, 1, c->row->onnx ? 2 : 1);
    if (!n || !c->row->onnx) return n ? window_done(c, &w, n->out[0]) : NULL;
    give(c, window_done(c, &w, n->out[0]));
    return window_done(c, &w, in_plane(c, n->out[1], w.x, spatial));
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

/* Zeros in the output's shape with x at the positions that a pooling found. */
static struct value *unpool(struct aten_call *c, struct value *x, struct value *index, size_t spatial)
{
    size_t leading = (size_t)value_rank(c, x) - spatial, n = 0;
    struct value *sizes[SHAPE_MAX + 1], *flat[SHAPE_MAX + 1];
    for (size_t i = 0; i < leading; i++) sizes[i] = flat[i] = value_size(c, x, (int)i), n++;
    struct value *plane = arg_item_value(c, 2, 0);
    for (size_t i = 0; i < spatial; i++) sizes[n + i] = arg_item_value(c, 2, i);
    for (size_t i = 1; i < spatial; i++) plane = emit_op(c, "Mul", plane, sizes[n + i]);
    flat[n] = emit_i64(c->b, -1);
    struct value *parts = emit_concat_ints(c, flat, n + 1);
    flat[n] = plane;
    struct value *zeros = emit_filled(c, emit_concat_ints(c, flat, n + 1), x ? x->dtype : DT_F32, 0);
    struct value *y = emit(c->b, "ScatterElements", ATTRS(attr_int("axis", (int64_t)leading)), zeros,
        emit_op(c, "Reshape", index, parts), emit_op(c, "Reshape", x, parts));
    return emit_op(c, "Reshape", y, emit_concat_ints(c, sizes, n + spatial));
}
static struct value *lower_max_unpool2d(struct aten_call *c)
{
    return unpool(c, arg_tensor(c, 0), arg_tensor(c, 1), 2);
}
static struct value *lower_max_unpool3d(struct aten_call *c)
{
    return unpool(c, arg_tensor(c, 0), arg_tensor(c, 1), 3);
}

static struct value *avg_pool(struct aten_call *c, size_t spatial)
{
    struct window w;
    if (!window_init(c, &w, spatial)) return NULL;
    int64_t divisor = c->n_args > 6 && arg_given(c, 6) ? arg_int(c, 6) : 0;
    struct value *y = emit(c->b, "AveragePool",
        ATTRS(attr_ints("kernel_shape", w.kernel, w.n), attr_ints("strides", w.stride, w.n),
            attr_ints("pads", w.pads, 2 * w.n), attr_int("ceil_mode", arg_bool(c, 4)),
            attr_int("count_include_pad", arg_bool(c, 5)), attr_int("divisor", divisor)),
        w.x);
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

/* What the output sizes of adaptive pooling come to: None (in a list: as a size of -1) keeps the input's. */
static const int64_t *adaptive_sizes(struct aten_call *c, size_t n)
{
    static const int64_t none[3] = { -1, -1, -1 };
    const struct object *o = c->arg[1];
    int64_t *sizes = ARENA_ARRAY(c->t->arena, n, int64_t);
    if (!sizes) return fail_nomem(c->t->err), none;
    bool list = o->kind == OBJECT_LIST || o->kind == OBJECT_TUPLE;
    for (size_t i = 0; i < n; i++) {
        const struct object *item = !list ? o : i < o->list->n ? o->list->items[i] : NULL;
        if (!item) return aten_fail(c, ERR_SHAPE, "%zu sizes, expected %zu", o->list->n, n), none;
        torch_guard(c->t, item);
        sizes[i] = item->kind == OBJECT_NONE ? -1 : item->integer;
    }
    return sizes;
}

/* Windows of one size, when the sizes of x are known and multiples of the output's, are ordinary ones. */
static struct value *whole_windows(struct aten_call *c, struct value *x, const int64_t *out, size_t n)
{
    int64_t kernel[3];
    for (size_t i = 0; i < n; i++) {
        int64_t in = value_dim(c, x, (int)i - (int)n);
        if (in < 1 || out[i] < 1 || in % out[i]) return NULL;
        kernel[i] = in / out[i];
    }
    return emit(c->b, "AveragePool", ATTRS(attr_ints("kernel_shape", kernel, n), attr_ints("strides", kernel, n)), x);
}

static struct value *adaptive_avg_pool(struct aten_call *c, size_t n)
{
    struct value *x = arg_tensor(c, 0), *y = NULL;
    const int64_t *out = adaptive_sizes(c, n);
    bool ones = true, batched = value_rank(c, x) != (int)n + 1;
    for (size_t i = 0; i < n; i++) ones &= out[i] == 1;
    if (!batched) x = emit_unsqueeze(c, x, 0);
    if (c->b->err->code) return NULL;
    if (ones) y = emit_op(c, "GlobalAveragePool", x);
    if (!y) y = whole_windows(c, x, out, n);
    if (!y) y = emit(c->b, "AdaptiveAveragePool", ATTRS(attr_ints("output_size", out, n)), x);
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

static struct value *adaptive_max_pool(struct aten_call *c, size_t n)
{
    struct value *x = arg_tensor(c, 0);
    bool batched = value_rank(c, x) != (int)n + 1;
    if (!batched) x = emit_unsqueeze(c, x, 0);
    struct node *pool = builder_node(
        c->b, "AdaptiveMaxPool", ATTRS(attr_ints("output_size", adaptive_sizes(c, n), n)), &x, 1, 2);
    if (!pool) return NULL;
    struct value *index = in_plane(c, pool->out[1], x, n);
    give(c, batched ? pool->out[0] : emit_squeeze(c, pool->out[0], 0));
    return batched ? index : emit_squeeze(c, index, 0);
}

static struct value *lower_adaptive_max_pool1d(struct aten_call *c)
{
    return adaptive_max_pool(c, 1);
}
static struct value *lower_adaptive_max_pool2d(struct aten_call *c)
{
    return adaptive_max_pool(c, 2);
}
static struct value *lower_adaptive_max_pool3d(struct aten_call *c)
{
    return adaptive_max_pool(c, 3);
}

#define POOL_ARGS(n) "int[" n "] kernel_size, int[" n "] stride=[], int[" n "] padding=0, "
#define MAX_POOL(n, d, function) \
    { "max_pool" n "d(Tensor self, " POOL_ARGS(n) "int[" n "] dilation=1, bool ceil_mode=False) -> Tensor", \
        function }, \
        { "max_pool" n "d_with_indices(Tensor self, " POOL_ARGS(n) "int[" n "] dilation=1, bool ceil_mode=False) " \
                                                                   "-> (Tensor, Tensor)", \
            function, "with indices" }, \
    { \
        "adaptive_max_pool" n "d(Tensor self, int[" n "] output_size) -> (Tensor, Tensor)", lower_adaptive_max_pool##d \
    }
#define ADAPTIVE(name, n, d) \
    { \
        name "(Tensor self, SymInt?[" n "] output_size) -> Tensor", lower_adaptive_avg_pool##d \
    }

const struct aten_row aten_pool[] = {
    MAX_POOL("1", 1d, lower_max_pool1d),
    MAX_POOL("2", 2d, lower_max_pool2d),
    MAX_POOL("3", 3d, lower_max_pool3d),
    { "max_unpool2d(Tensor self, Tensor indices, int[2] output_size) -> Tensor", lower_max_unpool2d },
    { "max_unpool3d(Tensor self, Tensor indices, int[3] output_size, int[3] stride, int[3] padding) -> Tensor",
        lower_max_unpool3d },
    { "avg_pool1d(Tensor self, " POOL_ARGS("1") "bool ceil_mode=False, bool count_include_pad=True) -> Tensor",
        lower_avg_pool1d },
    { "avg_pool2d(Tensor self, " POOL_ARGS("2") "bool ceil_mode=False, bool count_include_pad=True, "
                                                "int? divisor_override=None) -> Tensor",
        lower_avg_pool2d },
    { "avg_pool3d(Tensor self, " POOL_ARGS("3") "bool ceil_mode=False, bool count_include_pad=True, "
                                                "int? divisor_override=None) -> Tensor",
        lower_avg_pool3d },
    ADAPTIVE("adaptive_avg_pool1d", "1", 1d),
    ADAPTIVE("adaptive_avg_pool2d", "2", 2d),
    ADAPTIVE("adaptive_avg_pool3d", "3", 3d),
    ADAPTIVE("_adaptive_avg_pool2d", "2", 2d),
    ADAPTIVE("_adaptive_avg_pool3d", "3", 3d),
    { 0 },
};
