/* panel.c - the layout of weights that product.h multiplies by. */
#include "backend/cpu/panel.h"

#include "backend/cpu/winograd.h"
#include "backend/cpu/winograd_tile.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/team.h"

const struct layout *panel_layout(struct arena *a, int64_t matrices, int64_t n, int64_t k, struct err *e)
{
    struct panel_layout *l = ARENA_NEW(a, struct panel_layout);
    if (!l) return fail_nomem(e), NULL;
    size_t bytes = (size_t)(matrices * packed_floats(k, n)) * sizeof(float);
    *l = (struct panel_layout){ { &backend_cpu, bytes, 0, 0 }, matrices, n, k, false };
    return &l->base;
}

const struct layout *panel_layout_winograd(struct arena *a, int64_t n, int64_t k, struct err *e)
{
    const struct layout *l = panel_layout(a, WINO_POINTS, n, k, e);
    if (l) ((struct panel_layout *)(uintptr_t)l)->winograd = true;
    return l;
}

bool panel_same(const struct layout *a, const struct layout *b)
{
    const struct panel_layout *x = (const struct panel_layout *)a, *y = (const struct panel_layout *)b;
    return x->matrices == y->matrices && x->winograd == y->winograd && x->n == y->n && x->k == y->k;
}

struct layout *panel_copy(const struct layout *l, struct arena *a, struct err *e)
{
    struct panel_layout *copy = ARENA_NEW(a, struct panel_layout);
    if (!copy) return fail_nomem(e), NULL;
    *copy = *(const struct panel_layout *)l;
    return &copy->base;
}

struct move {
    const struct panel_layout *layout;
    bool pack;
    const float *from;
    float *to;
};

static void matrices(void *ctx, int64_t begin, int64_t end)
{
    const struct move *m = ctx;
    int64_t n = m->layout->n, k = m->layout->k, plain = n * k, packed = packed_floats(k, n);
    for (int64_t i = begin; i < end; i++) {
        if (m->pack) product_pack(k, n, m->from + i * plain, 1, k, m->to + i * packed);
        else product_unpack(k, n, m->from + i * packed, m->to + i * plain, 1, k);
    }
}

int panel_reorder_prepare(struct step *s, const struct layout *from, const struct layout *to, struct err *e)
{
    if (from && to) return fail(e, ERR_UNSUPPORTED, "two layouts that are not row-major");
    if (from && ((const struct panel_layout *)from)->winograd)
        return fail(e, ERR_UNSUPPORTED, "transformed weights have no way back");
    struct move *m = ARENA_NEW(s->arena, struct move);
    TRY_MEM(m, e);
    m->pack = to != NULL;
    m->layout = (const struct panel_layout *)(to ? to : from);
    s->priv = m;
    return 0;
}

int panel_reorder_run(const struct step *s, struct err *e)
{
    struct move m = *(const struct move *)s->priv;
    m.from = s->in[0]->data;
    m.to = s->out[0]->data;
    if (m.layout->winograd) return winograd_pack(m.layout->n, m.layout->k, m.from, m.to, s->threads), 0;
    team_run(s->threads, m.layout->matrices, 1, matrices, &m);
    return 0;
}
