/* reduce.c - reductions of float32 over neighbouring axes, and the place of an extreme, by vectors.
 *
 * x is (outer, n, inner), n being reduced. Results that lie side by side are made together, each by its numbers in
 * order. Where inner is 1, number i of a list goes into lane i % LANES, and lanes are joined two by two; long lists are
 * cut into parts of one size. So bits depend on the shape alone.
 */
#include "backend/cpu/reduce.h"

#include <math.h>
#include <string.h>

#include "backend/cpu/functions.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/team.h"
#include "graph/op.h"
#include "ops/infer.h"

enum { LANES = 32, WIDTH = 512, PART = 1 << 15, GRAIN = 1 << 14 };

/* `rows` rows of `width` numbers, `stride` apart, to one result for each column. shift: what is taken from each before,
 * by column, for sums of exponentials. */
typedef void columns_fn(const float *x, int64_t rows, int64_t stride, int64_t width, const double *shift, double *to);
/* A list of n numbers to one result. */
typedef double list_fn(const float *x, int64_t n, double shift);

/* The larger of a (so far) and v, NaN above all. */
INLINE float larger(float a, float v)
{
    return ((v > a) | (v != v)) ? v : a;
}

INLINE float smaller(float a, float v)
{
    return ((v < a) | (v != v)) ? v : a;
}

typedef float float_four __attribute__((vector_size(16)));
typedef int32_t mask_four __attribute__((vector_size(16)));
typedef double double_four __attribute__((vector_size(32)));

/* Of four: b where it is taken, else a. */
#define CHOSEN(takes, a, b) ((float_four)(((takes) & (mask_four)(b)) | (~(takes) & (mask_four)(a))))
#define FOUR_MAX(a, b) CHOSEN(((b) > (a)) | ((b) != (b)), a, b)
#define FOUR_MIN(a, b) CHOSEN(((b) < (a)) | ((b) != (b)), a, b)
#define FOUR_SUM(a, b) ((a) + (b))

#define JOIN(half, joined) \
    for (int64_t i = 0; i < (half); i++) { \
        const __typeof__(*sums) a = sums[i], b = sums[i + (half)]; \
        sums[i] = joined; \
    }

/* A family: what it starts with; `a` with number v, which had `s` taken away where that is asked for; `a` with b, a
 * result of others; and that for four. Halves are joined by counts that compilers know. */
#define FAMILY(name, type, start, with, joined, four) \
    INLINE void name##_fold( \
        type *restrict to, const float *x, int64_t rows, int64_t stride, int64_t width, const type *restrict shift) \
    { \
        (void)shift; \
        for (int64_t r = 0; r < rows; r++) \
            for (int64_t i = 0; i < width; i++) { \
                type a = to[i]; \
                float v = x[r * stride + i]; \
                to[i] = with; \
            } \
    } \
    CLONES static void name##_columns( \
        const float *x, int64_t rows, int64_t stride, int64_t width, const double *shift, double *to) \
    { \
        type sums[WIDTH], less[WIDTH]; \
        for (int64_t i = 0; i < width; i++) sums[i] = start, less[i] = (type)(shift ? shift[i] : 0); \
        name##_fold(sums, x, rows, stride, width, less); \
        for (int64_t i = 0; i < width; i++) to[i] = (double)sums[i]; \
    } \
    CLONES static double name##_list(const float *x, int64_t n, double shift) \
    { \
        type sums[LANES], less[LANES]; \
        for (int64_t i = 0; i < LANES; i++) sums[i] = start, less[i] = (type)shift; \
        name##_fold(sums, x, n / LANES, LANES, LANES, less); \
        name##_fold(sums, x + n / LANES * LANES, 1, LANES, n % LANES, less); \
        JOIN(LANES / 2, joined) \
        JOIN(LANES / 4, joined) \
        JOIN(LANES / 8, joined) \
        type##_four left, right; \
        memcpy(&left, sums, sizeof left); \
        right = __builtin_shufflevector(left, left, 2, 3, 0, 1); \
        left = four(left, right); \
        right = __builtin_shufflevector(left, left, 1, 0, 3, 2); \
        left = four(left, right); \
        return (double)left[0]; \
    }
FAMILY(max, float, -INFINITY, larger(a, v), larger(a, b), FOUR_MAX)
FAMILY(min, float, INFINITY, smaller(a, v), smaller(a, b), FOUR_MIN)
FAMILY(sum, double, 0, a + (double)v, a + b, FOUR_SUM)
FAMILY(l1, double, 0, a + (double)fabsf(v), a + b, FOUR_SUM)
FAMILY(square, double, 0, a + (double)v * (double)v, a + b, FOUR_SUM)
FAMILY(exponentials, double, 0, a + (double)fast_exp(v - (float)shift[i]), a + b, FOUR_SUM)

static double joined_max(double a, double b)
{
    return (double)larger((float)a, (float)b);
}

static double joined_min(double a, double b)
{
    return (double)smaller((float)a, (float)b);
}

static double joined_sum(double a, double b)
{
    return a + b;
}

static double mean(double sum, double count, double top)
{
    (void)top;
    return sum / count;
}

static double root(double sum, double count, double top)
{
    (void)count, (void)top;
    return sqrt(sum);
}

static double logarithm(double sum, double count, double top)
{
    (void)count, (void)top;
    return log(sum);
}

static double above_top(double sum, double count, double top)
{
    (void)count;
    return isfinite(top) ? top + log(sum) : top;
}

static const struct family {
    const char *op;
    columns_fn *columns;
    list_fn *list;
    double (*join)(double a, double b);
    double (*finish)(double sum, double count, double top); /* NULL: as it is */
    bool shifted;                                           /* by the largest, `top` */
} families[] = {
    { "ReduceMax", max_columns, max_list, joined_max, NULL, false },
    { "ReduceMin", min_columns, min_list, joined_min, NULL, false },
    { "ReduceSum", sum_columns, sum_list, joined_sum, NULL, false },
    { "ReduceMean", sum_columns, sum_list, joined_sum, mean, false },
    { "ReduceL1", l1_columns, l1_list, joined_sum, NULL, false },
    { "ReduceL2", square_columns, square_list, joined_sum, root, false },
    { "ReduceSumSquare", square_columns, square_list, joined_sum, NULL, false },
    { "ReduceLogSum", sum_columns, sum_list, joined_sum, logarithm, false },
    { "ReduceLogSumExp", exponentials_columns, exponentials_list, joined_sum, above_top, true },
};

struct reduce {
    const struct family *f;
    int64_t outer, n, inner;
    int64_t pieces; /* that each of `outer` is worked on in: parts of its list, or WIDTH columns */
    const float *x;
    float *y;
    double *parts, *tops; /* of lists of several parts, by list and part */
    bool finds_tops;
};

/* What is taken away before exponentials: nothing where nothing is finite. */
static double shift_of(double top)
{
    return isfinite(top) ? top : 0;
}

static float finished(const struct reduce *r, double sum, double top)
{
    return (float)(r->f->finish ? r->f->finish(sum, (double)r->n, top) : sum);
}

static void reduce_columns(const struct reduce *r, int64_t outer, int64_t first)
{
    double top[WIDTH], shift[WIDTH], sum[WIDTH];
    int64_t width = r->inner - first < WIDTH ? r->inner - first : WIDTH;
    const float *x = r->x + outer * r->n * r->inner + first;
    if (r->f->shifted) max_columns(x, r->n, r->inner, width, NULL, top);
    for (int64_t i = 0; r->f->shifted && i < width; i++) shift[i] = shift_of(top[i]);
    r->f->columns(x, r->n, r->inner, width, r->f->shifted ? shift : NULL, sum);
    for (int64_t i = 0; i < width; i++)
        r->y[outer * r->inner + first + i] = finished(r, sum[i], r->f->shifted ? top[i] : 0);
}

static void reduce_part(const struct reduce *r, int64_t list, int64_t part)
{
    int64_t n = r->n - part * PART < PART ? r->n - part * PART : PART;
    const float *x = r->x + list * r->n + part * PART;
    double top = 0;
    if (r->pieces > 1) {
        double *to = (r->finds_tops ? r->tops : r->parts) + list * r->pieces + part;
        *to = r->finds_tops ? max_list(x, n, 0) : r->f->list(x, n, r->tops ? shift_of(r->tops[list * r->pieces]) : 0);
        return;
    }
    if (r->f->shifted) top = max_list(x, n, 0);
    r->y[list] = finished(r, r->f->list(x, n, shift_of(top)), top);
}

static void reduce_pieces(void *ctx, int64_t begin, int64_t end)
{
    const struct reduce *r = ctx;
    for (int64_t i = begin; i < end; i++)
        if (r->inner > 1) reduce_columns(r, i / r->pieces, i % r->pieces * WIDTH);
        else reduce_part(r, i / r->pieces, i % r->pieces);
}

static void join_parts(const struct reduce *r, double *parts, double (*join)(double a, double b))
{
    for (int64_t list = 0; list < r->outer; list++)
        for (int64_t k = 1; k < r->pieces; k++)
            parts[list * r->pieces] = join(parts[list * r->pieces], parts[list * r->pieces + k]);
}

int reduce_axes(const struct node *n, int rank, unsigned *mask, struct err *e)
{
    size_t count = 0;
    const int64_t *axes = infer_ints(n, 1, &count, e);
    if (node_in(n, 1) && !axes) return fail(e, ERR_UNSUPPORTED, "the axes are not constants");
    *mask = 0;
    for (size_t i = 0; i < count; i++) *mask |= 1u << shape_axis(axes[i], rank);
    if (!count && !node_int(n, "noop_with_empty_axes")) *mask = (1u << rank) - 1;
    return *mask ? 0 : fail(e, ERR_UNSUPPORTED, "nothing is reduced");
}

/* The dimensions before those reduced, these, and the dimensions behind. */
static int cut(const struct shape *x, unsigned mask, int64_t *outer, int64_t *n, int64_t *inner, struct err *e)
{
    *outer = *n = *inner = 1;
    for (int d = 0; d < x->rank; d++) {
        if (x->dim[d] == 1) continue;
        bool reduced = mask >> d & 1;
        if (reduced && *inner > 1) return fail(e, ERR_UNSUPPORTED, "the axes are no neighbours");
        *(reduced ? n : *n > 1 ? inner : outer) *= x->dim[d];
    }
    return 0;
}

bool reduce_accepts(const struct step *s, struct str *why)
{
    bool taken = s->in[0]->dtype == DT_F32 && tensor_count(s->in[0]) > 0;
    if (!taken && why) str_add(why, "not float32, or empty");
    return taken;
}

bool reduce_plain_accepts(const struct step *s, struct str *why)
{
    if (!s->in[0]->layout) return reduce_accepts(s, why);
    if (why) str_add(why, "in a layout of its own");
    return false;
}

int reduce_lanes_prepare(struct step *s, struct err *e)
{
    unsigned mask;
    size_t k = 0;
    struct reduce *r = ARENA_NEW(s->arena, struct reduce);
    TRY_MEM(r, e);
    TRY(reduce_axes(s->node, s->in[0]->shape.rank, &mask, e));
    TRY(cut(&s->in[0]->shape, mask, &r->outer, &r->n, &r->inner, e));
    while (strcmp(families[k].op, s->node->op->name)) k++;
    r->f = &families[k];
    r->pieces = r->inner > 1 ? (r->inner + WIDTH - 1) / WIDTH : (r->n + PART - 1) / PART;
    s->priv = r;
    return 0;
}

int reduce_lanes_run(const struct step *s, struct err *e)
{
    struct reduce r = *(const struct reduce *)s->priv;
    int64_t tasks = r.outer * r.pieces, numbers = r.outer * r.n * r.inner;
    int64_t grain = 1 + GRAIN / (numbers / tasks + 1);
    r.x = s->in[0]->data;
    r.y = s->out[0]->data;
    if (r.inner > 1 || r.pieces == 1) return team_run(s->threads, tasks, grain, reduce_pieces, &r), 0;
    TRY_MEM(r.parts = ARENA_ARRAY(s->scratch, tasks, double), e);
    if (r.f->shifted) {
        TRY_MEM(r.tops = ARENA_ARRAY(s->scratch, tasks, double), e);
        r.finds_tops = true;
        team_run(s->threads, tasks, grain, reduce_pieces, &r);
        join_parts(&r, r.tops, joined_max);
        r.finds_tops = false;
    }
    team_run(s->threads, tasks, grain, reduce_pieces, &r);
    join_parts(&r, r.parts, r.f->join);
    for (int64_t i = 0; i < r.outer; i++)
        r.y[i] = finished(&r, r.parts[i * r.pieces], r.tops ? r.tops[i * r.pieces] : 0);
    return 0;
}

/* --- the place of an extreme --- */

/* The best so far in each lane, and where it was; rows are at `at`, at + by, ... */
typedef void places_fn(
    const float *x, int64_t rows, int64_t stride, int64_t width, int32_t at, int32_t by, float *best, int32_t *place);

/* better: x against y; NaN is better than all but a NaN before it. */
#define PLACES(name, better) \
    CLONES static void name##_places(const float *xs, int64_t rows, int64_t stride, int64_t width, int32_t at, \
        int32_t by, float *restrict best, int32_t *restrict place) \
    { \
        for (int64_t r = 0; r < rows; r++, at += by) \
            for (int64_t i = 0; i < width; i++) { \
                float x = xs[r * stride + i], y = best[i]; \
                bool takes = (x better y) | ((x != x) & (y == y)); \
                best[i] = takes ? x : y; \
                place[i] = takes ? at : place[i]; \
            } \
    }
PLACES(first_max, >)
PLACES(last_max, >=)
PLACES(first_min, <)
PLACES(last_min, <=)

struct arg {
    places_fn *places;
    float start;
    bool last;
    int64_t outer, n, inner, blocks;
    const float *x;
    int64_t *y;
};

static void arg_columns(const struct arg *a, int64_t outer, int64_t first)
{
    float best[WIDTH];
    int32_t place[WIDTH];
    int64_t width = a->inner - first < WIDTH ? a->inner - first : WIDTH;
    for (int64_t i = 0; i < width; i++) best[i] = a->start, place[i] = 0;
    a->places(a->x + outer * a->n * a->inner + first, a->n, a->inner, width, 0, 1, best, place);
    for (int64_t i = 0; i < width; i++) a->y[outer * a->inner + first + i] = place[i];
}

/* Whether lane i has what lane k has not: the better number; of equal ones the first, or the last. Places are those of
 * the row in which the lanes begin. */
static bool lane_wins(const struct arg *a, const float *best, const int32_t *place, int i, int k)
{
    float x = best[i], y = best[k];
    bool earlier = place[i] + i < place[k] + k;
    if (x != x || y != y) return x != x && (y == y || earlier);
    if (x == y) return a->last ? !earlier : earlier;
    return a->start < 0 ? x > y : x < y;
}

static void arg_list(const struct arg *a, int64_t list)
{
    float best[LANES];
    int32_t place[LANES];
    const float *x = a->x + list * a->n;
    int64_t rows = a->n / LANES, rest = a->n % LANES;
    int lanes = rows ? LANES : (int)rest, winner = 0;
    for (int i = 0; i < LANES; i++) best[i] = a->start, place[i] = 0;
    a->places(x, rows, LANES, LANES, 0, LANES, best, place);
    a->places(x + rows * LANES, 1, LANES, rest, (int32_t)(rows * LANES), LANES, best, place);
    for (int i = 1; i < lanes; i++)
        if (lane_wins(a, best, place, i, winner)) winner = i;
    a->y[list] = place[winner] + winner;
}

static void arg_blocks(void *ctx, int64_t begin, int64_t end)
{
    const struct arg *a = ctx;
    for (int64_t i = begin; i < end; i++)
        if (a->inner > 1) arg_columns(a, i / a->blocks, i % a->blocks * WIDTH);
        else arg_list(a, i);
}

bool arg_accepts(const struct step *s, struct str *why)
{
    bool taken = s->in[0]->dtype == DT_F32 && tensor_count(s->in[0]) > 0 && s->in[0]->shape.rank > 0;
    if (!taken && why) str_add(why, "not float32, or empty");
    return taken;
}

int arg_prepare(struct step *s, struct err *e)
{
    const struct shape *x = &s->in[0]->shape;
    struct arg *a = ARENA_NEW(s->arena, struct arg);
    TRY_MEM(a, e);
    bool is_max = !strcmp(s->node->op->name, "ArgMax");
    a->last = node_int(s->node, "select_last_index") != 0;
    a->places = is_max ? (a->last ? last_max_places : first_max_places) : a->last ? last_min_places : first_min_places;
    a->start = is_max ? -INFINITY : INFINITY;
    int axis = shape_axis(node_int(s->node, "axis"), x->rank);
    TRY(cut(x, 1u << axis, &a->outer, &a->n, &a->inner, e));
    if (a->n > INT32_MAX - LANES) return fail(e, ERR_UNSUPPORTED, "more than 2^31 places");
    a->blocks = a->inner > 1 ? (a->inner + WIDTH - 1) / WIDTH : 1;
    s->priv = a;
    return 0;
}

int arg_run(const struct step *s, struct err *e)
{
    struct arg a = *(const struct arg *)s->priv;
    int64_t tasks = a.outer * a.blocks;
    (void)e;
    a.x = s->in[0]->data;
    a.y = s->out[0]->data;
    team_run(s->threads, tasks, 1 + GRAIN / (a.outer * a.n * a.inner / tasks + 1), arg_blocks, &a);
    return 0;
}
