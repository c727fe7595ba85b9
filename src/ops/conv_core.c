/* conv_core.c - direct loops over planes, taps and rows; every sum runs in one fixed order. */
#include "ops/conv_core.h"

#include "base/err.h"
#include "base/team.h"

/* What one tap does along a row: large[i * stride] and small[i] for i in [0, n), and the tap's weight. */
typedef void row_function(int64_t n, double *large, int64_t stride, double *small, double *weight);

static void row_small(int64_t n, double *large, int64_t stride, double *small, double *weight)
{
    double w = *weight;
    if (stride == 1)
        for (int64_t i = 0; i < n; i++) small[i] += w * large[i];
    else
        for (int64_t i = 0; i < n; i++) small[i] += w * large[i * stride];
}

static void row_large(int64_t n, double *large, int64_t stride, double *small, double *weight)
{
    double w = *weight;
    for (int64_t i = 0; i < n; i++) large[i * stride] += w * small[i];
}

static void row_weight(int64_t n, double *large, int64_t stride, double *small, double *weight)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += large[i * stride] * small[i];
    *weight += sum;
}

static int64_t plane(const int64_t *size)
{
    return size[0] * size[1] * size[2];
}

/* One tap (weight at `weight`, its last coordinate k2) over two planes, rows of the first two axes as given. */
static void sweep_rows(
    const struct window *w, const int64_t *tap, double *large, double *small, double *weight, row_function *row)
{
    int64_t lo[WINDOW_AXES], hi[WINDOW_AXES], shift[WINDOW_AXES];
    for (int a = 0; a < WINDOW_AXES; a++) shift[a] = window_range(w, a, tap[a], &lo[a], &hi[a]);
    if (lo[2] == hi[2]) return;
    for (int64_t z = lo[0]; z < hi[0]; z++)
        for (int64_t y = lo[1]; y < hi[1]; y++) {
            int64_t from = (z * w->stride[0] + shift[0]) * w->in[1] + y * w->stride[1] + shift[1];
            int64_t to = z * w->out[1] + y;
            row(hi[2] - lo[2], large + from * w->in[2] + lo[2] * w->stride[2] + shift[2], w->stride[2],
                small + to * w->out[2] + lo[2], weight);
        }
}

static void sweep(const struct conv *c, int64_t n, int64_t g, int64_t m, int64_t ch, row_function *row)
{
    const struct window *w = &c->window;
    double *large = c->large + ((n * c->groups + g) * c->c + ch) * plane(w->in);
    double *small = c->small + ((n * c->groups + g) * c->m + m) * plane(w->out);
    double *weight = c->weight + ((g * c->m + m) * c->c + ch) * plane(w->kernel);
    int64_t tap[WINDOW_AXES];
    for (tap[0] = 0; tap[0] < w->kernel[0]; tap[0]++)
        for (tap[1] = 0; tap[1] < w->kernel[1]; tap[1]++)
            for (tap[2] = 0; tap[2] < w->kernel[2]; tap[2]++) sweep_rows(w, tap, large, small, weight++, row);
}

/* Tasks are planes of the side that is written. */
static void small_planes(void *ctx, int64_t begin, int64_t end)
{
    const struct conv *c = ctx;
    for (int64_t t = begin; t < end; t++)
        for (int64_t ch = 0; ch < c->c; ch++)
            sweep(c, t / (c->groups * c->m), t / c->m % c->groups, t % c->m, ch, row_small);
}

static void large_planes(void *ctx, int64_t begin, int64_t end)
{
    const struct conv *c = ctx;
    for (int64_t t = begin; t < end; t++)
        for (int64_t m = 0; m < c->m; m++)
            sweep(c, t / (c->groups * c->c), t / c->c % c->groups, m, t % c->c, row_large);
}

static void weight_planes(void *ctx, int64_t begin, int64_t end)
{
    const struct conv *c = ctx;
    for (int64_t t = begin; t < end; t++)
        for (int64_t n = 0; n < c->batch; n++) sweep(c, n, t / (c->m * c->c), t / c->c % c->m, t % c->c, row_weight);
}

int64_t conv_count(const struct conv *c, enum conv_side side)
{
    if (side == CONV_SMALL) return c->batch * c->groups * c->m * plane(c->window.out);
    if (side == CONV_LARGE) return c->batch * c->groups * c->c * plane(c->window.in);
    return c->groups * c->m * c->c * plane(c->window.kernel);
}

void conv_accumulate(const struct conv *c, enum conv_side side, int threads)
{
    static void (*const run[])(void *, int64_t, int64_t) = { small_planes, large_planes, weight_planes };
    int64_t tasks = side == CONV_SMALL ? c->batch * c->groups * c->m
        : side == CONV_LARGE           ? c->batch * c->groups * c->c
                                       : c->groups * c->m * c->c;
    team_run(threads, tasks, 1, run[side], (void *)(uintptr_t)c);
}

const struct attr_spec conv_attrs[] = {
    { "auto_pad", ATTR_STRING, ATTR_DEFAULT, .s = "NOTSET", .doc = "NOTSET, SAME_UPPER, SAME_LOWER or VALID" },
    { "dilations", ATTR_INTS, .doc = "distance of the taps per axis; 1 when absent" },
    { "group", ATTR_INT, ATTR_DEFAULT, .i = 1, .doc = "groups of channels that do not see each other" },
    { "kernel_shape", ATTR_INTS, .doc = "as the weight has it" },
    { "pads", ATTR_INTS, .doc = "begins of all axes, then ends; 0 when absent" },
    { "strides", ATTR_INTS, .doc = "step per axis; 1 when absent" },
    { 0 },
};

/* channels: of x; own: of the weight that must be of equal count; grouped: of the weight that group divides */
static int check_channels(int64_t channels, int64_t own, int64_t grouped, int64_t group, struct err *e)
{
    if (group < 1 || group > 1 << 30) return fail(e, ERR_SHAPE, "group is %lld", (long long)group);
    if (channels >= 0 && own >= 0 && channels != own)
        return fail(
            e, ERR_SHAPE, "the input has %lld channels, the weight is for %lld", (long long)channels, (long long)own);
    if (grouped >= 0 && grouped % group)
        return fail(e, ERR_SHAPE, "%lld channels do not divide into %lld groups", (long long)grouped, (long long)group);
    return 0;
}

static void bind(
    struct conv *c, const struct window *w, const struct shape *x, const struct shape *weight, int64_t group)
{
    c->window = *w;
    c->batch = x->dim[0];
    c->groups = group;
    c->m = weight->dim[0] / group;
    c->c = weight->dim[1];
}

int conv_resolve(const struct node *n, bool transposed, const struct shape *x, const struct shape *weight,
    struct shape *y, struct conv *c, struct err *e)
{
    int64_t kernel[WINDOW_AXES], group = node_int(n, "group"), m = -1, c1 = -1;
    int spatial;
    struct window w;
    *y = shape_unknown();
    TRY(window_kernel(n, x, weight, kernel, &spatial, e));
    if (weight->rank > 0) m = weight->dim[0], c1 = weight->dim[1];
    int64_t wide = c1 >= 0 && c1 < INT64_MAX >> 32 && group > 0 && group < 1 << 30 ? c1 * group : -1;
    int64_t channels = x->rank > 0 ? x->dim[1] : -1;
    TRY(check_channels(channels, transposed ? m : wide, m, group, e));
    if (spatial < 0) return 0;
    struct shape open = { spatial + 2, { 0 } };
    for (int d = 0; d < open.rank; d++) open.dim[d] = x->rank >= 0 ? x->dim[d] : DIM_UNKNOWN;
    TRY(transposed ? window_init_transposed(&w, n, &open, kernel, e) : window_init(&w, n, &open, kernel, e));
    *y = open;
    y->dim[1] = transposed ? (wide >= 0 ? wide : DIM_UNKNOWN) : m >= 0 ? m : DIM_UNKNOWN;
    for (int a = 0; a < spatial; a++) y->dim[2 + a] = (transposed ? w.in : w.out)[WINDOW_AXES - spatial + a];
    if (c && shape_is_known(y) && shape_is_known(&open) && shape_is_known(weight)) bind(c, &w, &open, weight, group);
    return 0;
}
