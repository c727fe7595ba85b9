/* resize.c - enlarging and shrinking images along their last two dimensions by the rules that oneDNN lacks: linear with
 * aligned corners, cubic, with antialiasing; and the gradients of all. Rows are blended first, then the numbers of a
 * row, in whatever layout.
 */
#include <string.h>

#include "backend/cpu/form.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/team.h"
#include "graph/op.h"
#include "ops/resize_axis.h"

/* An axis with positions in int32 and weights in float32. */
struct taps {
    int64_t in, out, n;
    const int32_t *index; /* (n, out) */
    const float *weight;
};
struct scaling {
    struct taps y, x;
    int64_t side;     /* channels side by side */
    const float *from;
    float *to, *rows; /* rows: one of the input's width for each thread's part */
    int64_t parts, planes;
};

static bool is(const struct node *n, const char *attr, const char *text)
{
    return !strcmp(node_string(n, attr), text);
}

/* Whether oneDNN has the rule, and keeps the layouts of its own convolutions. */
static bool is_of_others(const struct node *n)
{
    const char *rule = node_string(n, "coordinate_transformation_mode");
    if (is(n, "mode", "nearest") || !strcmp(rule, "tf_crop_and_resize")) return true;
    return is(n, "mode", "linear") && !node_int(n, "antialias") &&
        (!strcmp(rule, "half_pixel") || !strcmp(rule, "pytorch_half_pixel"));
}

/* in: x (N, C, ..., H, W), roi, scales, sizes */
int resize_rows_prepare(struct step *s, struct err *e)
{
    const struct tensor *x = s->in[0];
    int rank = x->shape.rank;
    if (is_of_others(s->node) || rank < 3) return fail(e, ERR_UNSUPPORTED, "a rule that others have");
    for (int d = 0; d < rank - (rank > 3 ? 2 : 1); d++)
        if (x->shape.dim[d] != s->out[0]->shape.dim[d]) return fail(e, ERR_UNSUPPORTED, "more than two dimensions");
    const struct layout *l = rank < 5 ? form_keep(s, 0) : NULL;
    s->want_out[0] = l ? l->backend->layout_alike(l, &s->out[0]->shape, s->arena, e) : NULL;
    return e->code;
}

bool resize_rows_accepts(const struct step *s, struct str *why)
{
    return s->in[0]->dtype == DT_F32 && tensor_count(s->in[0]) > 0 && tensor_count(s->out[0]) > 0;
}

static int taps_of(struct taps *t, const struct resize_axis *a, struct arena *scratch, struct err *e)
{
    int32_t *index = ARENA_ARRAY(scratch, a->taps * a->out, int32_t);
    float *weight = ARENA_ARRAY(scratch, a->taps * a->out, float);
    if (!index || !weight) return fail_nomem(e);
    for (int64_t o = 0; o < a->out; o++)
        for (int64_t k = 0; k < a->taps; k++) {
            index[k * a->out + o] = (int32_t)a->index[o * a->taps + k];
            weight[k * a->out + o] = (float)a->weight[o * a->taps + k];
        }
    *t = (struct taps){ a->in, a->out, a->taps, index, weight };
    return 0;
}

/* A row of the output's height: the sum of rows of the input. */
CLONES static void blend_rows(const struct taps *t, int64_t o, const float *plane, int64_t width, float *restrict row)
{
    for (int64_t k = 0; k < t->n; k++) {
        float w = t->weight[k * t->out + o];
        const float *restrict x = plane + t->index[k * t->out + o] * width;
        for (int64_t i = 0; i < width; i++) row[i] = (k ? row[i] : 0) + w * x[i];
    }
}

CLONES static void blend_numbers(const struct taps *t, const float *restrict row, float *restrict y)
{
    for (int64_t k = 0; k < t->n; k++) {
        const int32_t *restrict index = t->index + k * t->out;
        const float *restrict weight = t->weight + k * t->out;
        for (int64_t o = 0; o < t->out; o++) y[o] = (k ? y[o] : 0) + weight[o] * row[index[o]];
    }
}

CLONES static void blend_pixels(const struct taps *t, int64_t side, const float *restrict row, float *restrict y)
{
    for (int64_t o = 0; o < t->out; o++, y += side)
        for (int64_t k = 0; k < t->n; k++) {
            float w = t->weight[k * t->out + o];
            const float *restrict x = row + t->index[k * t->out + o] * side;
            for (int64_t c = 0; c < side; c++) y[c] = (k ? y[c] : 0) + w * x[c];
        }
}

static void some_rows(void *ctx, int64_t begin, int64_t end)
{
    const struct scaling *g = ctx;
    int64_t width = g->x.in * g->side, rows = g->planes * g->y.out;
    for (int64_t part = begin; part < end; part++) {
        float *row = g->rows + part * width;
        for (int64_t r = rows * part / g->parts; r < rows * (part + 1) / g->parts; r++) {
            float *y = g->to + r * g->x.out * g->side;
            blend_rows(&g->y, r % g->y.out, g->from + r / g->y.out * g->y.in * width, width, row);
            if (g->side == 1) blend_numbers(&g->x, row, y);
            else blend_pixels(&g->x, g->side, row, y);
        }
    }
}

/* The last two axes; false: another one changes too, which a scale may ask for although the sizes agree. */
static int two_axes(const struct step *s, const struct shape *x, struct scaling *g, bool *rest, struct err *e)
{
    struct resize_axis axes[SHAPE_MAX], none = { .in = 1, .out = 1, .taps = 1, .index = (int64_t[]){ 0 },
        .weight = (double[]){ 1 } };
    bool flat = x->rank == 3; /* (N, C, W): rows of one */
    struct form f;
    TRY(resize_axes(s, axes, e));
    *rest = false;
    for (int d = 0; d < x->rank - (flat ? 1 : 2); d++) *rest = *rest || !axes[d].identity;
    *g = (struct scaling){ .from = s->in[0]->data, .to = s->out[0]->data, .side = 1 };
    TRY(taps_of(&g->x, &axes[x->rank - 1], s->scratch, e));
    TRY(taps_of(&g->y, flat ? &none : &axes[x->rank - 2], s->scratch, e));
    if (x->rank < 5 && form_of(s->in[0], &f)) g->side = f.channels;
    g->planes = shape_count(x) / (g->x.in * g->y.in * g->side);
    if (*rest && s->in[0]->layout) return fail(e, ERR_UNSUPPORTED, "a scale of channels");
    return 0;
}

int resize_rows_run(const struct step *s, struct err *e)
{
    struct scaling g;
    bool rest;
    TRY(two_axes(s, &s->in[0]->shape, &g, &rest, e));
    if (rest) return s->node->op->run(s, e);
    g.parts = 4 * s->threads;
    g.rows = ARENA_ARRAY(s->scratch, g.parts * g.x.in * g.side, float);
    TRY_MEM(g.rows, e);
    team_run(s->threads, g.parts, 1, some_rows, &g);
    return 0;
}

/* --- gradients: what blended an output hands its share back --- */

/* in: dy, something shaped as x, roi, scales, sizes */
int resize_grad_prepare(struct step *s, struct err *e)
{
    const struct shape *x = &s->in[1]->shape, *y = &s->in[0]->shape;
    int rank = x->rank;
    if (rank < 3 || is(s->node, "coordinate_transformation_mode", "tf_crop_and_resize"))
        return fail(e, ERR_UNSUPPORTED, "a rule or rank that others have");
    for (int d = 0; d < rank - (rank > 3 ? 2 : 1); d++)
        if (x->dim[d] != y->dim[d]) return fail(e, ERR_UNSUPPORTED, "more than two dimensions");
    const struct layout *l = rank < 5 ? form_keep(s, 0) : NULL;
    struct form f;
    int64_t side = rank < 5 && form_of(s->in[0], &f) ? f.channels : 1, height = rank > 3 ? x->dim[rank - 2] : 1;
    s->want_in[1] = s->in[1]->layout; /* only its shape is looked at */
    s->want_out[0] = l ? l->backend->layout_alike(l, x, s->arena, e) : NULL;
    s->work_bytes = (size_t)(s->threads * height * y->dim[rank - 1] * side) * sizeof(float);
    return e->code;
}

CLONES static void add_row(float *restrict to, const float *restrict from, int64_t n, float by)
{
    for (int64_t i = 0; i < n; i++) to[i] += by * from[i];
}

static void share_numbers(const struct taps *t, int64_t side, const float *dy, float *dx)
{
    for (int64_t k = 0; k < t->n; k++)
        for (int64_t o = 0; o < t->out; o++) {
            float w = t->weight[k * t->out + o];
            if (side == 1) dx[t->index[k * t->out + o]] += w * dy[o];
            else add_row(dx + t->index[k * t->out + o] * side, dy + o * side, side, w);
        }
}

/* Rows go back to `some` rows of the output's width first: enlarging has more rows than it came from. */
static void some_planes(void *ctx, int64_t begin, int64_t end)
{
    const struct scaling *g = ctx;
    int64_t wide = g->x.out * g->side, narrow = g->x.in * g->side;
    for (int64_t part = begin; part < end; part++) {
        float *some = g->rows + part * g->y.in * wide;
        for (int64_t p = g->planes * part / g->parts; p < g->planes * (part + 1) / g->parts; p++) {
            const float *dy = g->from + p * g->y.out * wide;
            float *dx = g->to + p * g->y.in * narrow;
            memset(some, 0, (size_t)(g->y.in * wide) * sizeof *some);
            memset(dx, 0, (size_t)(g->y.in * narrow) * sizeof *dx);
            for (int64_t o = 0; o < g->y.out; o++)
                for (int64_t k = o; k < g->y.n * g->y.out; k += g->y.out)
                    add_row(some + g->y.index[k] * wide, dy + o * wide, wide, g->y.weight[k]);
            for (int64_t i = 0; i < g->y.in; i++)
                share_numbers(&g->x, g->side, some + i * wide, dx + i * narrow);
        }
    }
}

int resize_grad_run(const struct step *s, struct err *e)
{
    struct scaling g;
    bool rest;
    TRY(two_axes(s, &s->in[1]->shape, &g, &rest, e));
    if (rest) return s->node->op->run(s, e);
    g.parts = s->threads;
    g.rows = s->work;
    team_run(s->threads, g.parts, 1, some_planes, &g);
    return 0;
}
