/* grid_sample.c - GridSample and AffineGrid, with their gradients. */
#include <string.h>

#include "base/err.h"
#include "base/team.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/grid.h"
#include "ops/infer.h"
#include "ops/mover.h"
#include "ops/operand.h"
#include "ops/taps.h"

static int choice(const struct node *n, const char *name, const char *const *list, struct err *e)
{
    const char *s = node_string(n, name);
    for (int i = 0; i < 3; i++)
        if (!strcmp(list[i], s)) return i;
    return fail(e, ERR_SHAPE, "%s is \"%s\", expected %s, %s or %s", name, s, list[0], list[1], list[2]);
}

static int read_rule(const struct node *n, struct grid_rule *r, struct err *e)
{
    static const char *const modes[] = { "linear", "nearest", "cubic" };
    static const char *const paddings[] = { "zeros", "border", "reflection" };
    r->align_corners = node_int(n, "align_corners") != 0;
    TRY(r->mode = choice(n, "mode", modes, e));
    return r->padding = choice(n, "padding_mode", paddings, e);
}

/* x (N, C, [D,] H, W) at input i, grid (N, [D,] H, W, axes) after it */
static int check_pair(const struct node *n, int i, struct shape *y, struct err *e)
{
    struct grid_rule rule;
    const struct shape *x = &n->in[i]->shape, *grid = &n->in[i + 1]->shape;
    *y = shape_unknown();
    TRY(read_rule(n, &rule, e));
    TRY(infer_rank(n, i, 4, 5, e));
    TRY(infer_rank(n, i + 1, 4, 5, e));
    if (n->in[i]->dtype != DT_NONE && !dtype_is_float(n->in[i]->dtype)) return fail(e, ERR_SHAPE, "expected floats");
    if (x->rank < 0 || grid->rank < 0) return 0;
    if (x->rank != grid->rank) return fail(e, ERR_SHAPE, "the input has rank %d, the grid %d", x->rank, grid->rank);
    int64_t axes = grid->dim[grid->rank - 1];
    if (axes >= 0 && axes != x->rank - 2)
        return fail(
            e, ERR_SHAPE, "the grid's positions have %lld coordinates, expected %d", (long long)axes, x->rank - 2);
    if (x->dim[0] >= 0 && grid->dim[0] >= 0 && x->dim[0] != grid->dim[0])
        return fail(e, ERR_SHAPE, "the batches of input and grid differ");
    *y = *x;
    for (int d = 2; d < x->rank; d++) {
        if (!x->dim[d]) return fail(e, ERR_SHAPE, "a spatial dimension of the input is empty");
        y->dim[d] = grid->dim[d - 1];
    }
    return 0;
}

static int sample_infer(struct node *n, struct err *e)
{
    struct shape y;
    TRY(check_pair(n, 0, &y, e));
    infer_out(n, 0, n->in[0]->dtype, &y);
    return 0;
}

struct job {
    struct grid_rule rule;
    int axes;                                 /* 2 or 3; a missing first one has size 1 */
    int64_t channels, size[3], in, positions; /* per batch entry: elements of a plane, positions of the grid */
    struct taps_planes planes; /* of x, and the result; or */
    const struct tensor *to;
    const double *x, *grid, *dy;
    double *dx, *dgrid;
};

static int open_job(struct job *j, const struct node *n, const struct shape *x, const struct shape *grid, struct err *e)
{
    *j = (struct job){ .axes = x->rank - 2,
        .channels = x->dim[1],
        .in = shape_span(x, 2, x->rank),
        .positions = shape_span(grid, 1, grid->rank - 1) };
    for (int a = 0; a < 3; a++) j->size[a] = a < 3 - j->axes ? 1 : x->dim[a - 3 + x->rank];
    return read_rule(n, &j->rule, e);
}

/* Taps of position p (over the whole batch); the grid's coordinates are in the order x, y, z. */
static void open_axes(const struct job *j, int64_t p, struct grid_axis *axis)
{
    for (int a = 0; a < 3; a++) {
        if (a < 3 - j->axes) axis[a] = (struct grid_axis){ .taps = 1, .weight = { 1 } };
        else grid_axis_init(&axis[a], &j->rule, j->grid[p * j->axes + 2 - a], j->size[a]);
    }
}

/* Combination t of taps: its offset in a plane, -1 outside. weight[0]: the product of weights; weight[1 + a], where
 * four are asked for: the same with the slope of axis a in place of its weight. */
static inline int64_t tap(const struct job *j, const struct grid_axis *axis, int t, double *weight, int weights)
{
    int k[3] = { t / (axis[1].taps * axis[2].taps), t / axis[2].taps % axis[1].taps, t % axis[2].taps };
    int64_t at = 0;
    for (int w = 0; w < weights; w++) weight[w] = 1;
    for (int a = 0; a < 3; a++) {
        if (axis[a].index[k[a]] < 0) return -1;
        at = at * j->size[a] + axis[a].index[k[a]];
        for (int w = 0; w < weights; w++) weight[w] *= w == 1 + a ? axis[a].slope[k[a]] : axis[a].weight[k[a]];
    }
    return at;
}

static int tap_count(const struct grid_axis *axis)
{
    return axis[0].taps * axis[1].taps * axis[2].taps;
}

enum { POSITIONS = 64, MOST_TAPS = GRID_TAPS * GRID_TAPS * GRID_TAPS };

/* n positions of one batch entry from p on: where their taps lie, and their weights; tap t of position i is number
 * t * n + i. Returns how many taps each has. */
static int find_taps(const struct job *j, int64_t p, int64_t n, int64_t *at, double *weights)
{
    struct grid_axis axis[3];
    int taps = 0;
    for (int64_t i = 0; i < n; i++) {
        open_axes(j, p + i, axis);
        taps = tap_count(axis);
        for (int t = 0; t < taps; t++) {
            at[t * n + i] = tap(j, axis, t, &weights[t * n + i], 1);
        }
    }
    return taps;
}

static void sample_positions(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    int64_t at[MOST_TAPS * POSITIONS];
    double weight[MOST_TAPS * POSITIONS], y[POSITIONS];
    for (int64_t p = begin, n; p < end; p += n) {
        int64_t left = j->positions - p % j->positions, plane = p / j->positions * j->channels;
        n = end - p < POSITIONS ? end - p : POSITIONS;
        n = n < left ? n : left;
        int taps = find_taps(j, p, n, at, weight);
        for (int64_t c = plane; c < plane + j->channels; c++) {
            taps_sum(&j->planes, c * j->in, at, weight, taps, n, y);
            store_f64(j->to->dtype, element(j->to, c * j->positions + p % j->positions), n, y);
        }
    }
}

static int sample_run(const struct step *s, struct err *e)
{
    struct job j;
    TRY(open_job(&j, s->node, &s->in[0]->shape, &s->in[1]->shape, e));
    TRY(taps_open(&j.planes, s, s->in[0], e));
    if (!(j.grid = operand_load(s, s->in[1], e))) return e->code;
    j.to = s->out[0];
    team_run(s->threads, s->in[0]->shape.dim[0] * j.positions, 64, sample_positions, &j);
    return 0;
}

static int sample_grad(struct grad *g)
{
    const struct node *n = g->node;
    struct value *in[] = { g->dy[0], n->in[0], n->in[1] };
    struct node *m = builder_node(g->b, "GridSampleGrad", n->attrs, in, 3, 2);
    if (!m) return 0;
    g->dx[0] = m->out[0];
    g->dx[1] = m->out[1];
    return 0;
}

static int grad_infer(struct node *n, struct err *e)
{
    struct shape y;
    TRY(check_pair(n, 1, &y, e));
    if (!shape_merge(&y, &n->in[0]->shape)) return fail(e, ERR_SHAPE, "the gradient's shape is not that of the output");
    for (int i = 0; i < 2; i++) infer_out(n, i, n->in[1 + i]->dtype, &n->in[1 + i]->shape);
    return 0;
}

/* Planes of dx: many positions may add to one element, always in their order. */
static void grad_planes(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    struct grid_axis axis[3];
    double weight[4];
    for (int64_t c = begin; c < end; c++)
        for (int64_t i = 0; i < j->positions; i++) {
            open_axes(j, c / j->channels * j->positions + i, axis);
            for (int t = 0; t < tap_count(axis); t++) {
                int64_t at = tap(j, axis, t, weight, 4);
                if (at >= 0) j->dx[c * j->in + at] += weight[0] * j->dy[c * j->positions + i];
            }
        }
}

static void grad_positions(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    struct grid_axis axis[3];
    double weight[4];
    for (int64_t p = begin; p < end; p++) {
        int64_t plane = p / j->positions * j->channels;
        open_axes(j, p, axis);
        for (int t = 0; t < tap_count(axis); t++) {
            int64_t at = tap(j, axis, t, weight, 4);
            double sum = 0;
            for (int64_t c = plane; at >= 0 && c < plane + j->channels; c++)
                sum += j->x[c * j->in + at] * j->dy[c * j->positions + p % j->positions];
            for (int a = 0; at >= 0 && a < j->axes; a++) j->dgrid[p * j->axes + a] += sum * weight[1 + 2 - a];
        }
    }
}

static int grad_run(const struct step *s, struct err *e)
{
    struct job j;
    int64_t batch = s->in[1]->shape.dim[0];
    TRY(open_job(&j, s->node, &s->in[1]->shape, &s->in[2]->shape, e));
    j.dy = operand_load(s, s->in[0], e);
    j.x = operand_load(s, s->in[1], e);
    j.grid = operand_load(s, s->in[2], e);
    j.dx = operand_zeros(s, tensor_count(s->out[0]), e);
    j.dgrid = operand_zeros(s, tensor_count(s->out[1]), e);
    if (e->code) return e->code;
    team_run(s->threads, batch * j.channels, 1, grad_planes, &j);
    team_run(s->threads, batch * j.positions, 64, grad_positions, &j);
    operand_store(s, s->out[0], j.dx);
    operand_store(s, s->out[1], j.dgrid);
    return 0;
}

static const struct attr_spec sample_attrs[] = {
    { "align_corners", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "-1 and 1 are centres of elements, not their edges" },
    { "mode", ATTR_STRING, ATTR_DEFAULT, .s = "linear", .doc = "linear, nearest or cubic" },
    { "padding_mode", ATTR_STRING, ATTR_DEFAULT, .s = "zeros", .doc = "zeros, border or reflection" },
    { 0 },
};

/* theta (N, axes, axes + 1), size (N, C, [D,] H, W) to (N, [D,] H, W, axes) */
static int affine_infer(struct node *n, struct err *e)
{
    TRY(infer_rank(n, 0, 3, 3, e));
    const struct shape *theta = &n->in[0]->shape;
    struct shape size = infer_shape_input(n, 1), grid = shape_unknown();
    if (size.rank < 0 && theta->rank == 3 && theta->dim[1] >= 0)
        for (size.rank = 0; size.rank < theta->dim[1] + 2 && size.rank < 5;) size.dim[size.rank++] = DIM_UNKNOWN;
    if (size.rank >= 0) {
        struct shape want = shape_of(3, (int64_t[]){ size.dim[0], size.rank - 2, size.rank - 1 });
        if (size.rank < 4 || size.rank > 5 || !shape_merge(&want, theta))
            return fail(e, ERR_SHAPE, "theta must be (N, 2, 3) for a size of 4 entries or (N, 3, 4) for one of 5");
        grid.rank = size.rank;
        grid.dim[0] = want.dim[0];
        for (int d = 1; d < size.rank - 1; d++) grid.dim[d] = size.dim[d + 1];
        grid.dim[size.rank - 1] = size.rank - 2;
    }
    infer_out(n, 0, n->in[0]->dtype, &grid);
    return 0;
}

/* The undistorted position of grid element p: x, y[, z], 1. */
static void base_position(const struct shape *grid, bool align, int64_t p, double *at)
{
    int axes = grid->rank - 2;
    for (int a = 0; a < axes; a++) {
        int64_t size = grid->dim[axes - a], i = p % size;
        p /= size;
        at[a] = align ? (size > 1 ? 2 * (double)i / (double)(size - 1) - 1 : 0)
                      : (2 * (double)i + 1) / (double)size - 1;
    }
    at[axes] = 1;
}

/* grid += theta base, or by its transpose dtheta += dgrid base */
static void affine(
    const struct shape *shape, bool align, const double *theta, double *grid, const double *dgrid, double *dtheta)
{
    int axes = shape->rank - 2;
    int64_t positions = shape_span(shape, 1, shape->rank - 1);
    double at[4];
    for (int64_t p = 0; p < shape->dim[0] * positions; p++) {
        int64_t m = p / positions * axes * (axes + 1);
        base_position(shape, align, p % positions, at);
        for (int i = 0; i < axes * (axes + 1); i++) {
            if (grid) grid[p * axes + i / (axes + 1)] += theta[m + i] * at[i % (axes + 1)];
            else dtheta[m + i] += dgrid[p * axes + i / (axes + 1)] * at[i % (axes + 1)];
        }
    }
}

static int affine_run(const struct step *s, struct err *e)
{
    const double *theta = operand_load(s, s->in[0], e);
    double *grid = operand_zeros(s, tensor_count(s->out[0]), e);
    if (!theta || !grid) return e->code;
    affine(&s->out[0]->shape, node_int(s->node, "align_corners"), theta, grid, NULL, NULL);
    operand_store(s, s->out[0], grid);
    return 0;
}

static int affine_grad(struct grad *g)
{
    g->dx[0] = emit(g->b, "AffineGridGrad", g->node->attrs, g->dy[0], g->node->in[0]);
    return 0;
}

static int affine_grad_infer(struct node *n, struct err *e)
{
    TRY(infer_rank(n, 0, 4, 5, e));
    const struct shape *grid = &n->in[0]->shape;
    struct shape theta = shape_unknown();
    if (grid->rank > 0) theta = shape_of(3, (int64_t[]){ grid->dim[0], grid->rank - 2, grid->rank - 1 });
    if (!shape_merge(&theta, &n->in[1]->shape)) return fail(e, ERR_SHAPE, "theta does not belong to the grid");
    infer_out(n, 0, n->in[0]->dtype, &theta);
    return 0;
}

static int affine_grad_run(const struct step *s, struct err *e)
{
    const double *dgrid = operand_load(s, s->in[0], e);
    double *dtheta = operand_zeros(s, tensor_count(s->out[0]), e);
    if (!dgrid || !dtheta) return e->code;
    affine(&s->in[0]->shape, node_int(s->node, "align_corners"), NULL, NULL, dgrid, dtheta);
    operand_store(s, s->out[0], dtheta);
    return 0;
}

static const struct attr_spec affine_attrs[] = {
    { "align_corners", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "-1 and 1 are centres of elements, not their edges" },
    { 0 },
};

#define TAKES(inputs, outputs) .min_in = inputs, .max_in = inputs, .min_out = outputs, .max_out = outputs

const struct op ops_grid_sample[] = {
    { .name = "GridSample",
        .doc = "values of x (N, C, ...) at the positions of a grid (N, ..., axes)",
        TAKES(2, 1),
        .attrs = sample_attrs,
        .infer = sample_infer,
        .run = sample_run,
        .grad = sample_grad,
        .samples =
            "f32[2,3,4,5] f32%[2,3,2,2]; f32[1,2,4,4] f32[1,3,3,2] | mode=nearest padding_mode=border; f32[1,2,5,4] "
            "f32%[1,2,3,2] | mode=cubic align_corners=1 padding_mode=reflection; f32[1,2,3,4,5] f32%[1,2,2,3,3]" },
    { .name = "GridSampleGrad",
        .doc = "gradients of GridSample by x and grid, of (dy, x, grid)",
        TAKES(3, 2),
        .flags = OP_OWN | OP_TRAINING_ONLY,
        .attrs = sample_attrs,
        .infer = grad_infer,
        .run = grad_run,
        .samples =
            "f32[2,3,3,2] f32[2,3,4,5] f32%[2,3,2,2]; f32[1,2,3,3] f32[1,2,4,4] f32[1,3,3,2] | padding_mode=border; "
            "f32[1,2,2,3] f32[1,2,5,4] f32[1,2,3,2] | mode=cubic align_corners=1 padding_mode=reflection" },
    { .name = "AffineGrid",
        .doc = "positions of a distorted grid, of (theta (N, axes, axes + 1), size)",
        TAKES(2, 1),
        .attrs = affine_attrs,
        .infer = affine_infer,
        .run = affine_run,
        .grad = affine_grad,
        .samples = "f32[2,2,3] i64{2,1,3,4}; f32[1,2,3] i64{1,1,2,5} | align_corners=1; f32[1,3,4] i64{1,1,2,3,2}" },
    { .name = "AffineGridGrad",
        .doc = "gradient of AffineGrid, of (gradient of the grid, shaped as theta)",
        TAKES(2, 1),
        .flags = OP_OWN | OP_TRAINING_ONLY,
        .attrs = affine_attrs,
        .infer = affine_grad_infer,
        .run = affine_grad_run,
        .samples = "f32[2,3,4,2] f32[2,2,3]; f32[1,2,5,2] f32[1,2,3] | align_corners=1; f32[1,2,3,2,3] f32[1,3,4]" },
    { 0 },
};
