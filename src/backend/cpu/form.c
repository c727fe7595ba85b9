/* form.c - images in memory as samples, blocks of channels, positions and channels. */
#include "backend/cpu/form.h"

#include "base/err.h"

bool form_of(const struct tensor *t, struct form *f)
{
    const struct shape *s = &t->shape;
    int64_t c = s->rank > 1 ? s->dim[1] : 1, block = s->rank > 2 ? 1 : c;
    if (t->layout) block = t->layout->rank == s->rank ? t->layout->block : 0;
    if (block < 1 || s->rank < 1) return false;
    *f = (struct form){ s->dim[0], c / block, s->rank > 2 ? shape_span(s, 2, s->rank) : 1, block };
    return true;
}

const struct layout *form_keep(struct step *s, int i)
{
    struct form f;
    return s->want_in[i] = form_of(s->in[i], &f) ? s->in[i]->layout : NULL;
}

/* Blocks of few channels are rows of LANES numbers from end to end; of more, LANES channels a unit. */
static bool is_narrow(const struct form *f)
{
    return LANES % f->channels == 0;
}

static int64_t chunks(const struct form *f)
{
    return is_narrow(f) ? 1 : (f->channels + LANES - 1) / LANES;
}

int64_t form_units(const struct form *f)
{
    return f->blocks * chunks(f);
}

struct unit form_unit(const struct form *f, int64_t index)
{
    int64_t block = index / chunks(f), chunk = index % chunks(f), size = f->positions * f->channels;
    struct unit u = { .first = block * f->channels + chunk * LANES, .count = f->channels,
        .offset = block * size + chunk * LANES, .sample = f->blocks * size, .stride = LANES, .lanes = LANES };
    if (is_narrow(f)) {
        u.rows = (size + LANES - 1) / LANES;
        u.last = (int)(size - (u.rows - 1) * LANES);
        return u;
    }
    u.rows = f->positions;
    u.stride = f->channels;
    if (chunk == chunks(f) - 1) u.lanes = (int)(f->channels - chunk * LANES);
    u.count = u.last = u.lanes;
    return u;
}

int64_t form_rows(const struct form *f)
{
    return f->samples * form_unit(f, 0).rows;
}

/* Rows [begin, end) of a sample; its last one may have fewer numbers. */
static void walk_some(const struct form *f, int64_t sample, int64_t begin, int64_t end, form_visit visit, void *ctx)
{
    for (int64_t i = 0, units = form_units(f); i < units; i++) {
        struct unit u = form_unit(f, i);
        int64_t at = u.offset + sample * u.sample, whole = end < u.rows || u.last == u.lanes ? end : end - 1;
        if (whole > begin) visit(ctx, i, at + begin * u.stride, whole - begin, u.stride, u.lanes);
        if (whole < end) visit(ctx, i, at + whole * u.stride, 1, u.stride, u.last);
    }
}

void form_walk(const struct form *f, int64_t begin, int64_t end, form_visit visit, void *ctx)
{
    enum { SOME = 64 };
    int64_t rows = form_unit(f, 0).rows;
    while (begin < end) {
        int64_t sample = begin / rows, from = begin % rows, n = end - begin < SOME ? end - begin : SOME;
        if (n > rows - from) n = rows - from;
        walk_some(f, sample, from, from + n, visit, ctx);
        begin += n;
    }
}
