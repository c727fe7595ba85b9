/* conv_shape.c - sliding windows of convolutions and poolings. */
#include "ops/conv_shape.h"

#include <string.h>

#include "base/err.h"

enum { LIMIT = 1 << 30 }; /* strides, kernels, pads: far past sense, and safe to multiply */

static int check_number(const char *name, int64_t v, int64_t min, struct err *e)
{
    if (v >= min && v <= LIMIT) return 0;
    return fail(e, ERR_SHAPE, "%s holds %lld, expected %lld to %d", name, (long long)v, (long long)min, LIMIT);
}

int window_ints(
    const struct node *n, const char *name, int spatial, int64_t min, int64_t none, int64_t *to, struct err *e)
{
    size_t count;
    const int64_t *v = node_ints(n, name, &count);
    for (int a = 0; a < WINDOW_AXES; a++) to[a] = none;
    if (!count) return 0;
    if (count != (size_t)spatial)
        return fail(e, ERR_SHAPE, "%s has %zu entries, the input has %d spatial dimensions", name, count, spatial);
    for (int a = 0; a < spatial; a++) {
        TRY(check_number(name, v[a], min, e));
        to[WINDOW_AXES - spatial + a] = v[a];
    }
    return 0;
}

static int read_pads(struct window *w, const struct node *n, struct err *e)
{
    size_t count;
    const int64_t *v = node_ints(n, "pads", &count);
    if (!count) return 0;
    if (count != 2 * (size_t)w->spatial)
        return fail(e, ERR_SHAPE, "pads has %zu entries, expected %d (begins, then ends)", count, 2 * w->spatial);
    for (int a = 0; a < w->spatial; a++) {
        TRY(check_number("pads", v[a], -LIMIT, e));
        TRY(check_number("pads", v[w->spatial + a], -LIMIT, e));
        w->before[WINDOW_AXES - w->spatial + a] = v[a];
        w->after[WINDOW_AXES - w->spatial + a] = v[w->spatial + a];
    }
    return 0;
}

static int read_common(
    struct window *w, const struct node *n, const struct shape *x, const int64_t *kernel, struct err *e)
{
    int spatial = x->rank - 2;
    if (spatial < 1 || spatial > WINDOW_AXES)
        return fail(
            e, ERR_UNSUPPORTED, "an input of rank %d; windows have 1 to %d spatial dimensions", x->rank, WINDOW_AXES);
    *w = (struct window){ .spatial = spatial };
    for (int a = 0; a < WINDOW_AXES; a++) w->in[a] = w->out[a] = w->kernel[a] = 1;
    for (int a = 0; a < spatial; a++) {
        w->kernel[WINDOW_AXES - spatial + a] = kernel[a];
        if (kernel[a] != -1) TRY(check_number("the kernel's shape", kernel[a], 1, e));
    }
    TRY(window_ints(n, "strides", spatial, 1, 1, w->stride, e));
    TRY(window_ints(n, "dilations", spatial, 1, 1, w->dilation, e));
    return read_pads(w, n, e);
}

/* NOTSET, SAME_UPPER, SAME_LOWER or VALID: 0 to 3. */
static int auto_pad(const struct node *n, struct err *e)
{
    static const char *const names[] = { "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID" };
    const char *s = node_string(n, "auto_pad");
    for (int i = 0; i < 4; i++)
        if (!s || !strcmp(s, names[i])) return i;
    return fail(e, ERR_SHAPE, "auto_pad is \"%s\", expected NOTSET, SAME_UPPER, SAME_LOWER or VALID", s);
}

static int64_t reach(const struct window *w, int a)
{
    return (w->kernel[a] - 1) * w->dilation[a] + 1;
}

static void split_pads(struct window *w, int a, int64_t total, bool upper)
{
    w->before[a] = upper ? total / 2 : total - total / 2;
    w->after[a] = total - w->before[a];
}

/* out = ceil(in / stride), whatever the kernel */
static void resolve_same(struct window *w, int a, bool upper)
{
    int64_t stride = w->stride[a];
    w->out[a] = stride == 1 ? w->in[a] : w->in[a] < 0 ? DIM_UNKNOWN : (w->in[a] + stride - 1) / stride;
    if (w->kernel[a] < 0 || (w->out[a] < 0 && stride > 1)) return;
    int64_t total = stride == 1 ? reach(w, a) - 1 : (w->out[a] - 1) * stride + reach(w, a) - w->in[a];
    split_pads(w, a, total > 0 ? total : 0, upper);
}

static int resolve_given(struct window *w, int a, bool ceil_mode, struct err *e)
{
    int64_t pads = w->before[a] + w->after[a], stride = w->stride[a];
    w->out[a] = DIM_UNKNOWN;
    if (w->kernel[a] < 0) return 0;
    if (w->in[a] < 0) {
        if (stride == 1 && pads == reach(w, a) - 1) w->out[a] = w->in[a];
        return 0;
    }
    int64_t room = w->in[a] + pads - reach(w, a);
    if (!w->in[a]) return fail(e, ERR_SHAPE, "a spatial dimension of the input is empty");
    if (room < 0)
        return fail(e, ERR_SHAPE, "the window reaches over %lld elements, the padded input has %lld",
            (long long)reach(w, a), (long long)(w->in[a] + pads));
    w->out[a] = (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
    /* the last window must start in the input or the padding before it (PyTorch; ONNX since 22) */
    if (ceil_mode && (w->out[a] - 1) * stride >= w->in[a] + w->before[a]) w->out[a]--;
    return 0;
}

int window_init(struct window *w, const struct node *n, const struct shape *x, const int64_t *kernel, struct err *e)
{
    TRY(read_common(w, n, x, kernel, e));
    int mode = auto_pad(n, e), first = WINDOW_AXES - w->spatial;
    if (mode < 0) return mode;
    for (int a = first; a < WINDOW_AXES; a++) {
        w->in[a] = x->dim[2 + a - first];
        if (w->in[a] > INT64_MAX / 4)
            return fail(e, ERR_SHAPE, "a spatial dimension of %lld is more than can be", (long long)w->in[a]);
        if (mode == 3) w->before[a] = w->after[a] = 0;
        if (mode == 1 || mode == 2) resolve_same(w, a, mode == 1);
        else TRY(resolve_given(w, a, node_int(n, "ceil_mode") != 0, e));
    }
    return 0;
}

/* The formulas of ONNX's ConvTranspose; a padding that would be negative becomes 0, and the rest of the output is then
 * reached by no input. */
static int resolve_transposed(struct window *w, int a, int mode, int64_t extra, int64_t wanted, struct err *e)
{
    w->in[a] = DIM_UNKNOWN;
    if (w->kernel[a] < 0 || (w->out[a] < 0 && wanted < 0 && mode != 1 && mode != 2)) return 0;
    if (wanted < 0 && (mode == 1 || mode == 2)) {
        int64_t total = reach(w, a) + extra - w->stride[a]; /* for a wanted size of out * stride */
        split_pads(w, a, total > 0 ? total : 0, mode == 1);
        w->in[a] = w->out[a] < 0 ? DIM_UNKNOWN : w->out[a] * w->stride[a];
        return 0;
    }
    int64_t full = w->stride[a] * (w->out[a] - 1) + extra + reach(w, a);
    if (wanted >= 0) {
        if (w->out[a] >= 0) split_pads(w, a, full > wanted ? full - wanted : 0, mode == 1);
        w->in[a] = wanted;
        return 0;
    }
    w->in[a] = full - w->before[a] - w->after[a];
    if (w->in[a] < 1)
        return fail(e, ERR_SHAPE, "the padding removes the whole output (%lld elements)", (long long)full);
    return 0;
}

int window_init_transposed(
    struct window *w, const struct node *n, const struct shape *x, const int64_t *kernel, struct err *e)
{
    int64_t extra[WINDOW_AXES], wanted[WINDOW_AXES];
    TRY(read_common(w, n, x, kernel, e));
    int mode = auto_pad(n, e), first = WINDOW_AXES - w->spatial;
    if (mode < 0) return mode;
    TRY(window_ints(n, "output_padding", w->spatial, 0, 0, extra, e));
    TRY(window_ints(n, "output_shape", w->spatial, 1, -1, wanted, e));
    for (int a = first; a < WINDOW_AXES; a++) {
        w->out[a] = x->dim[2 + a - first];
        if (w->out[a] >= LIMIT) return fail(e, ERR_SHAPE, "a spatial dimension of %lld elements", (long long)w->out[a]);
        if (mode == 3) w->before[a] = w->after[a] = 0;
        TRY(resolve_transposed(w, a, mode, extra[a], wanted[a], e));
    }
    return 0;
}

int window_kernel(const struct node *n, const struct shape *x, const struct shape *weight, int64_t kernel[WINDOW_AXES],
    int *spatial, struct err *e)
{
    size_t count;
    const int64_t *given = node_ints(n, "kernel_shape", &count);
    int rank = x->rank >= 0 ? x->rank : weight && weight->rank >= 0 ? weight->rank : count ? (int)count + 2 : -1;
    *spatial = -1;
    if (rank < 0) return 0;
    if (rank < 3 || rank > 2 + WINDOW_AXES)
        return fail(e, ERR_UNSUPPORTED, "an input of rank %d, expected 3 to %d", rank, 2 + WINDOW_AXES);
    if (count && (int)count != rank - 2)
        return fail(e, ERR_SHAPE, "kernel_shape has %zu entries, the input has %d spatial dimensions", count, rank - 2);
    if (weight && weight->rank >= 0 && weight->rank != rank)
        return fail(e, ERR_SHAPE, "the weight has rank %d, the input has %d", weight->rank, rank);
    for (int a = 0; a < rank - 2; a++) {
        int64_t own = weight && weight->rank >= 0 && weight->dim[2 + a] >= 0 ? weight->dim[2 + a] : -1;
        kernel[a] = count ? given[a] : own;
        if (count && own >= 0 && own != given[a])
            return fail(
                e, ERR_SHAPE, "kernel_shape says %lld, the weight has %lld", (long long)given[a], (long long)own);
        if (kernel[a] < 0 && count) return fail(e, ERR_SHAPE, "kernel_shape holds %lld", (long long)kernel[a]);
    }
    *spatial = rank - 2;
    return 0;
}

int64_t window_range(const struct window *w, int axis, int64_t k, int64_t *lo, int64_t *hi)
{
    int64_t shift = k * w->dilation[axis] - w->before[axis], stride = w->stride[axis], last = w->in[axis] - 1 - shift;
    *lo = shift < 0 ? (-shift + stride - 1) / stride : 0;
    *hi = last < 0 ? 0 : last / stride + 1;
    if (*hi > w->out[axis]) *hi = w->out[axis];
    if (*lo > *hi) *lo = *hi;
    return shift;
}
