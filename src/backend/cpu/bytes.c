/* bytes.c - layouts of the kernels for 8-bit numbers: images with their channels last, and packed weights. */
#include "backend/cpu/bytes.h"

#include <string.h>

#include "backend/cpu/bytes_move.h"
#include "backend/cpu/form.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/team.h"

struct bytes_layout {
    struct layout base;
    bool packed;
    struct shape shape;         /* channels last: of the tensor */
    struct bytes_weight weight; /* packed */
};

static const struct backend owner;

static int64_t round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

int64_t bytes_weight_panels(const struct bytes_weight *w)
{
    return round_up(w->deep ? w->groups : w->m, BYTES_PANEL) / BYTES_PANEL;
}

int64_t bytes_weight_panel_size(const struct bytes_weight *w)
{
    return BYTES_PANEL * (w->deep ? round_up(w->taps, 2) : w->taps * round_up(w->c, 2));
}

const struct layout *bytes_weight_layout(struct arena *a, const struct bytes_weight *w, struct err *e)
{
    struct bytes_layout *l = ARENA_NEW(a, struct bytes_layout);
    if (!l) return fail_nomem(e), NULL;
    int64_t panels = bytes_weight_panels(w) * (w->deep ? 1 : w->groups);
    *l = (struct bytes_layout){ .base = { &owner, (size_t)(panels * bytes_weight_panel_size(w)) * sizeof(int16_t) },
        .packed = true, .weight = *w };
    return &l->base;
}

int bytes_last_layout(struct arena *a, const struct tensor *t, const struct layout **to, struct err *e)
{
    const struct shape *s = &t->shape;
    *to = NULL;
    if (s->rank < 3 || s->dim[1] == 1 || shape_span(s, 2, s->rank) == 1) return 0;
    struct bytes_layout *l = ARENA_NEW(a, struct bytes_layout);
    TRY_MEM(l, e);
    *l = (struct bytes_layout){ .base = { &owner, (size_t)tensor_bytes(t), s->rank, s->dim[1] }, .shape = *s };
    *to = &l->base;
    return 0;
}

const struct layout *bytes_last(const struct tensor *t, struct arena *a, struct err *e)
{
    const struct layout *to = NULL;
    if (dtype_size(t->dtype) == 1 && tensor_count(t) > 0) bytes_last_layout(a, t, &to, e);
    return to;
}

int bytes_want_last(struct step *s, int i, struct err *e)
{
    const struct layout *have = s->in[i]->layout;
    if (have && have->backend == &owner) return s->want_in[i] = have, 0;
    return bytes_last_layout(s->arena, s->in[i], &s->want_in[i], e);
}

const struct layout *bytes_keep(struct step *s, int i)
{
    const struct layout *have = s->in[i]->layout;
    return s->want_in[i] = have && have->backend == &owner ? have : NULL;
}

/* Of the owner. */

static bool same_weight(const struct bytes_weight *a, const struct bytes_weight *b)
{
    return a->groups == b->groups && a->m == b->m && a->c == b->c && a->taps == b->taps && a->m_step == b->m_step &&
        a->c_step == b->c_step && a->deep == b->deep &&
        !memcmp(a->zero, b->zero, (size_t)(a->groups * a->m) * sizeof *a->zero);
}

static bool same(const struct layout *a, const struct layout *b)
{
    const struct bytes_layout *x = (const struct bytes_layout *)a, *y = (const struct bytes_layout *)b;
    if (x->packed || y->packed) return x->packed && y->packed && same_weight(&x->weight, &y->weight);
    return shape_equal(&x->shape, &y->shape);
}

static struct layout *copy(const struct layout *l, struct arena *a, struct err *e)
{
    struct bytes_layout *to = ARENA_NEW(a, struct bytes_layout);
    if (!to) return fail_nomem(e), NULL;
    *to = *(const struct bytes_layout *)l;
    if (!to->packed) return &to->base;
    int64_t n = to->weight.groups * to->weight.m;
    int16_t *zero = ARENA_ARRAY(a, n, int16_t);
    if (!zero) return fail_nomem(e), NULL;
    memcpy(zero, to->weight.zero, (size_t)n * sizeof *zero);
    to->weight.zero = zero;
    return &to->base;
}

/* Channels last, of the same type. */
static const struct layout *alike(const struct layout *l, const struct shape *shape, struct arena *a, struct err *e)
{
    const struct bytes_layout *of = (const struct bytes_layout *)l;
    const struct layout *to = NULL;
    struct tensor t = { .shape = *shape };
    size_t size = l->bytes / (size_t)shape_count(&of->shape);
    t.dtype = size == 1 ? DT_U8 : DT_F32;
    return bytes_last_layout(a, &t, &to, e) ? NULL : to;
}

struct move {
    const struct bytes_layout *layout;
    bool to_last;
    const struct tensor *from, *to;
};

/* (rows, cols) to (cols, rows), a few columns at a time. */
static void turn_words(const uint32_t *x, int64_t rows, int64_t cols, uint32_t *y)
{
    for (int64_t c = 0; c < cols; c += 16) {
        int64_t end = c + 16 < cols ? c + 16 : cols;
        for (int64_t r = 0; r < rows; r++)
            for (int64_t k = c; k < end; k++) y[k * rows + r] = x[r * cols + k];
    }
}

static void turn_samples(void *ctx, int64_t begin, int64_t end)
{
    const struct move *m = ctx;
    const struct shape *s = &m->layout->shape;
    int64_t channels = s->dim[1], positions = shape_span(s, 2, s->rank);
    size_t size = dtype_size(m->from->dtype), bytes = (size_t)(channels * positions) * size;
    for (int64_t i = begin; i < end; i++) {
        const void *from = (const unsigned char *)m->from->data + (size_t)i * bytes;
        void *to = (unsigned char *)m->to->data + (size_t)i * bytes;
        int64_t rows = m->to_last ? channels : positions, cols = m->to_last ? positions : channels;
        if (size == 1) bytes_turn(from, rows, cols, to);
        else turn_words(from, rows, cols, to);
    }
}

/* The weight of output o of a group for channel c (both may be past the last) at a tap. */
static int16_t weight_at(const struct move *m, int64_t group, int64_t o, int64_t c, int64_t tap)
{
    const struct bytes_weight *w = &m->layout->weight;
    if (o >= w->m || c >= w->c || tap >= w->taps || group >= w->groups) return 0;
    int64_t at = (group * w->m + o) * w->m_step + c * w->c_step + tap;
    int x = m->from->dtype == DT_I8 ? ((const int8_t *)m->from->data)[at] : ((const uint8_t *)m->from->data)[at];
    return (int16_t)(x - w->zero[group * w->m + o]);
}

static void pack_panel(const struct move *m, int64_t group, int64_t panel, int16_t *to)
{
    const struct bytes_weight *w = &m->layout->weight;
    for (int64_t tap = 0; tap < w->taps; tap++)
        for (int64_t c = 0; c < w->c; c += 2)
            for (int64_t i = 0; i < 2 * BYTES_PANEL; i++)
                *to++ = weight_at(m, group, panel * BYTES_PANEL + i / 2, c + i % 2, tap);
}

/* Two taps of 16 channels side by side, as unpacking the low and the high halves of both halves leaves them: channels
 * 0-3, 8-11, then 4-7, 12-15. */
static void pack_deep(const struct move *m, int64_t panel, int16_t *to)
{
    const struct bytes_weight *w = &m->layout->weight;
    for (int64_t tap = 0; tap < w->taps; tap += 2)
        for (int64_t i = 0; i < 2 * BYTES_PANEL; i++) {
            int64_t pair = i / 2, channel = pair % 4 + pair / 4 % 2 * 8 + pair / 8 * 4;
            *to++ = weight_at(m, panel * BYTES_PANEL + channel, 0, 0, tap + i % 2);
        }
}

static void pack_panels(void *ctx, int64_t begin, int64_t end)
{
    const struct move *m = ctx;
    const struct bytes_weight *w = &m->layout->weight;
    int64_t panels = bytes_weight_panels(w), size = bytes_weight_panel_size(w);
    for (int64_t i = begin; i < end; i++) {
        int16_t *to = (int16_t *)m->to->data + i * size;
        if (w->deep) pack_deep(m, i, to);
        else pack_panel(m, i / panels, i % panels, to);
    }
}

static int reorder_prepare(struct step *s, const struct layout *from, const struct layout *to, struct err *e)
{
    const struct bytes_layout *of = (const struct bytes_layout *)(to ? to : from);
    size_t size = dtype_size(s->in[0]->dtype);
    if (from && to) return fail(e, ERR_UNSUPPORTED, "two layouts that are not row-major");
    if (from && of->packed) return fail(e, ERR_UNSUPPORTED, "packed weights have no way back");
    if (!of->packed && size != 1 && size != 4) return fail(e, ERR_UNSUPPORTED, "elements of %zu bytes", size);
    struct move *m = ARENA_NEW(s->arena, struct move);
    TRY_MEM(m, e);
    *m = (struct move){ of, to != NULL, NULL, NULL };
    s->priv = m;
    return 0;
}

static int reorder_run(const struct step *s, struct err *e)
{
    struct move m = *(const struct move *)s->priv;
    const struct bytes_weight *w = &m.layout->weight;
    m.from = s->in[0];
    m.to = s->out[0];
    if (m.layout->packed) team_run(s->threads, bytes_weight_panels(w) * (w->deep ? 1 : w->groups), 4, pack_panels, &m);
    else team_run(s->threads, m.from->shape.dim[0], 1, turn_samples, &m);
    return 0;
}

static const struct backend owner = {
    .name = "bytes",
    .layout_same = same,
    .layout_copy = copy,
    .layout_alike = alike,
    .reorder_prepare = reorder_prepare,
    .reorder_run = reorder_run,
};
