/* layer_norm.c - gradients of layer and RMS normalization of float32, by vectors.
 *
 * Lines are shared out in parts whose number depends on the shape alone; each part sums what its lines give to the
 * weights, and the parts' sums are added in order: the same bits with any number of threads.
 */
#include <math.h>
#include <string.h>

#include "backend/cpu/lanes.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/team.h"
#include "graph/op.h"
#include "ops/operand.h"

enum { PARTS = 32, LEAST_LINES = 8, GRAIN = 1 << 12 };

struct layer {
    int64_t lines, len, parts;
    double epsilon;
    bool centred;
    const float *dy, *x, *scale;
    float *dx, *dscale, *dbias; /* the last two may be NULL */
    double *sums;               /* by part: of dscale, of dbias */
};

/* With g = dy scale and u = (x - mean) inverse: dx = inverse (g - mean(g) - u mean(g u)), without mean(g) where nothing
 * is centred; the weights get dy u and dy. */
CLONES static void differentiate(const struct layer *l, int64_t line, double *restrict dscale, double *restrict dbias)
{
    int64_t n = l->len;
    const float *x = l->x + line * n, *dy = l->dy + line * n, *scale = l->scale;
    float *restrict dx = l->dx + line * n;
    double mean = 0, squares, sum, dot;
    if (l->centred) {
        LANE_SUM(mean, n, (double)x[i]);
        mean /= (double)n;
    }
    LANE_SUM(squares, n, ((double)x[i] - mean) * ((double)x[i] - mean));
    double inverse = 1 / sqrt(squares / (double)n + l->epsilon);
    LANE_SUM(sum, n, (double)(dy[i] * scale[i]));
    LANE_SUM(dot, n, (double)(dy[i] * scale[i]) * ((double)x[i] - mean));
    double by_mean = l->centred ? sum / (double)n : 0, by_place = dot * inverse / (double)n;
    for (int64_t i = 0; i < n; i++) {
        double u = ((double)x[i] - mean) * inverse, g = (double)(dy[i] * scale[i]);
        dx[i] = (float)(inverse * (g - by_mean - u * by_place));
        dscale[i] += (double)dy[i] * u;
        dbias[i] += (double)dy[i];
    }
}

static void run_parts(void *ctx, int64_t begin, int64_t end)
{
    const struct layer *l = ctx;
    for (int64_t part = begin; part < end; part++) {
        double *sums = l->sums + part * 2 * l->len;
        memset(sums, 0, (size_t)(2 * l->len) * sizeof *sums);
        for (int64_t i = l->lines * part / l->parts; i < l->lines * (part + 1) / l->parts; i++)
            differentiate(l, i, sums, sums + l->len);
    }
}

CLONES static void join_parts(void *ctx, int64_t begin, int64_t end)
{
    const struct layer *l = ctx;
    for (int64_t i = begin; i < end; i++) {
        double dscale = 0, dbias = 0;
        for (int64_t part = 0; part < l->parts; part++) {
            dscale += l->sums[part * 2 * l->len + i];
            dbias += l->sums[part * 2 * l->len + l->len + i];
        }
        if (l->dscale) l->dscale[i] = (float)dscale;
        if (l->dbias) l->dbias[i] = (float)dbias;
    }
}

static void cut(const struct step *s, struct layer *l)
{
    const struct shape *x = &s->in[1]->shape;
    int axis = shape_axis(node_int(s->node, "axis"), x->rank);
    l->lines = shape_span(x, 0, axis);
    l->len = shape_span(x, axis, x->rank);
    l->parts = l->lines / LEAST_LINES < 1 ? 1 : l->lines / LEAST_LINES < PARTS ? l->lines / LEAST_LINES : PARTS;
}

/* in: dy, x, scale */
int layer_norm_grad_prepare(struct step *s, struct err *e)
{
    struct layer l;
    cut(s, &l);
    return tensor_count(s->in[2]) == l.len ? 0 : fail(e, ERR_UNSUPPORTED, "the scale is broadcast");
}

/* out: dx, dscale, dbias */
int layer_norm_grad_run(const struct step *s, struct err *e)
{
    struct layer l = { .epsilon = node_float(s->node, "epsilon"),
        .centred = !strcmp(s->node->op->name, "LayerNormalizationGrad"),
        .dy = s->in[0]->data,
        .x = s->in[1]->data,
        .scale = s->in[2]->data,
        .dx = s->out[0]->data };
    cut(s, &l);
    if (step_out(s, 1)) l.dscale = s->out[1]->data;
    if (step_out(s, 2)) l.dbias = s->out[2]->data;
    TRY_MEM(l.sums = ARENA_ARRAY(s->scratch, l.parts * 2 * l.len, double), e);
    team_run(s->threads, l.parts, 1 + GRAIN / (l.len * (l.lines / l.parts)), run_parts, &l);
    team_run(s->threads, l.len, GRAIN, join_parts, &l);
    return 0;
}
