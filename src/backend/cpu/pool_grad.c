/* pool_grad.c - the gradients of maxima and means over windows, many channels at a time. */
#include <string.h>

#include "backend/cpu/form.h"
#include "base/err.h"
#include "base/team.h"
#include "graph/op.h"
#include "ops/pool_core.h"

enum { MANY = 128 }; /* channels taken at a time */

struct job {
    struct pool pool;
    struct form form;       /* of x */
    const float *x, *dy;    /* (samples, blocks, positions, channels) */
    float *dx;
    int64_t in, out;        /* positions */
    bool apart;             /* every place of x is in one window, and is written by it */
    void (*one)(const struct job *j, int64_t plane, const int64_t *o, int64_t at);
};

/* A row of taps of a window: tap (z, y) of the first two axes. The position of its first element. */
static int64_t row_of(const struct pool *p, const int64_t *o, int64_t z, int64_t y)
{
    const struct pool_axis *a = p->axis;
    return ((a[0].first[o[0]] + z * a[0].step) * a[1].in + a[1].first[o[1]] + y * a[1].step) * a[2].in +
        a[2].first[o[2]];
}

/* The first of equal maxima gets all; NaN wins. Windows that do not share a place write all of it. */
INLINE void max_lanes(const struct job *j, const float *x, float *dx, const float *dy, const int64_t *o, int lanes)
{
    const struct pool_axis *a = j->pool.axis;
    int64_t channels = j->form.channels;
    float best[MANY];
    int32_t where[MANY], tap = 0;
    for (int64_t z = 0; z < a[0].taps[o[0]]; z++)
        for (int64_t y = 0; y < a[1].taps[o[1]]; y++) {
            const float *v = x + row_of(&j->pool, o, z, y) * channels;
            for (int64_t i = 0; i < a[2].taps[o[2]]; i++, v += a[2].step * channels, tap++) {
                if (!tap) memset(where, 0, sizeof where), memcpy(best, v, (size_t)lanes * sizeof *v);
                INDEPENDENT
                for (int l = 0; l < lanes; l++) {
                    bool better = (v[l] > best[l]) | (v[l] != v[l]);
                    best[l] = better ? v[l] : best[l];
                    where[l] = better ? tap : where[l];
                }
            }
        }
    tap = 0;
    for (int64_t z = 0; z < a[0].taps[o[0]]; z++)
        for (int64_t y = 0; y < a[1].taps[o[1]]; y++) {
            float *to = dx + row_of(&j->pool, o, z, y) * channels;
            for (int64_t i = 0; i < a[2].taps[o[2]]; i++, to += a[2].step * channels, tap++) {
                INDEPENDENT
                for (int l = 0; l < lanes; l++) to[l] = (j->apart ? 0 : to[l]) + (where[l] == tap ? dy[l] : 0);
            }
        }
}

INLINE void share_lanes(const struct job *j, float *dx, const float *dy, const int64_t *o, int lanes)
{
    const struct pool_axis *a = j->pool.axis;
    int64_t channels = j->form.channels;
    double count = j->pool.divisor;
    float share[MANY];
    if (!count) count = (double)(a[0].count[o[0]] * a[1].count[o[1]] * a[2].count[o[2]]);
    for (int l = 0; l < lanes; l++) share[l] = count ? (float)(dy[l] / count) : 0;
    for (int64_t z = 0; z < a[0].taps[o[0]]; z++)
        for (int64_t y = 0; y < a[1].taps[o[1]]; y++) {
            int64_t at = row_of(&j->pool, o, z, y);
            for (int64_t i = 0; i < a[2].taps[o[2]]; i++, at += a[2].step)
                for (int l = 0; l < lanes; l++) dx[at * channels + l] += share[l];
        }
}

/* Where a chunk of at most MANY channels lies. */
#define EACH_CHUNK(j, c, lanes) \
    for (int64_t c = 0, lanes; \
         lanes = (j)->form.channels - c < MANY ? (j)->form.channels - c : MANY, c < (j)->form.channels; c += MANY)

CLONES static void max_one(const struct job *j, int64_t plane, const int64_t *o, int64_t at)
{
    int64_t channels = j->form.channels, from = plane * j->in * channels, to = (plane * j->out + at) * channels;
    EACH_CHUNK(j, c, lanes)
    {
        const float *x = j->x + from + c, *dy = j->dy + to + c;
        float *dx = j->dx + from + c;
        if (lanes == 1) max_lanes(j, x, dx, dy, o, 1);
        else max_lanes(j, x, dx, dy, o, (int)lanes);
    }
}

CLONES static void average_one(const struct job *j, int64_t plane, const int64_t *o, int64_t at)
{
    int64_t channels = j->form.channels, from = plane * j->in * channels, to = (plane * j->out + at) * channels;
    EACH_CHUNK(j, c, lanes)
    {
        const float *dy = j->dy + to + c;
        float *dx = j->dx + from + c;
        if (lanes == 1) share_lanes(j, dx, dy, o, 1);
        else share_lanes(j, dx, dy, o, (int)lanes);
    }
}

static void planes(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    const struct pool_axis *a = j->pool.axis;
    int64_t size = j->in * j->form.channels;
    for (int64_t plane = begin; plane < end; plane++) {
        int64_t o[WINDOW_AXES], at = 0;
        if (!j->apart) memset(j->dx + plane * size, 0, (size_t)size * sizeof *j->dx);
        for (o[0] = 0; o[0] < a[0].out; o[0]++)
            for (o[1] = 0; o[1] < a[1].out; o[1]++)
                for (o[2] = 0; o[2] < a[2].out; o[2]++) j->one(j, plane, o, at++);
    }
}

/* in: dy, x. dy is asked for in the layout that x's kind of layout gives its shape. */
int pool_grad_prepare(struct step *s, struct err *e)
{
    const struct layout *l = form_keep(s, 1);
    if (tensor_count(s->in[1]) > INT32_MAX) return fail(e, ERR_UNSUPPORTED, "too large");
    s->want_out[0] = l;
    s->want_in[0] = l ? l->backend->layout_alike(l, &s->in[0]->shape, s->arena, e) : NULL;
    return e->code;
}

static bool lie_apart(const struct pool *p)
{
    for (int k = 0; k < WINDOW_AXES; k++) {
        const struct pool_axis *a = &p->axis[k];
        int64_t next = 0;
        for (int64_t o = 0; o < a->out; next = a->first[o] + a->taps[o], o++)
            if (a->first[o] != next || (a->step != 1 && a->taps[o] > 1)) return false;
        if (next != a->in) return false;
    }
    return true;
}

static int pool_grad_run(const struct step *s, struct job *j, struct err *e)
{
    j->x = s->in[1]->data;
    j->dy = s->in[0]->data;
    j->dx = s->out[0]->data;
    form_of(s->in[1], &j->form);
    j->in = j->form.positions;
    j->out = tensor_count(s->in[0]) / (j->form.samples * j->form.blocks * j->form.channels);
    TRY(pool_init(&j->pool, s, &s->in[1]->shape, &s->in[0]->shape, e));
    j->apart = j->apart && lie_apart(&j->pool);
    team_run(s->threads, j->form.samples * j->form.blocks, 1, planes, j);
    return 0;
}

int max_pool_grad_run(const struct step *s, struct err *e)
{
    return pool_grad_run(s, &(struct job){ .one = max_one, .apart = true }, e);
}

int average_pool_grad_run(const struct step *s, struct err *e)
{
    return pool_grad_run(s, &(struct job){ .one = average_one }, e);
}
