/* channels.c - channels of images gathered where they lie side by side, in blocks or all of them. */
#include "backend/cpu/bytes_move.h"
#include "backend/cpu/form.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/team.h"
#include "graph/op.h"

struct gather {
    struct form x, y;
    const int64_t *from; /* by channel of y: of position 0 in x */
    size_t size; /* of an element */
    struct bytes_picks *picks; /* of bytes whose channels lie side by side all; else NULL */
    const void *in;
    void *out;
};

/* The index of a channel, which may be counted from the end. */
static bool channel_at(const struct tensor *index, int64_t i, int64_t channels, int64_t *to)
{
    *to = tensor_get_i64(index, i);
    if (*to < 0) *to += channels;
    return *to >= 0 && *to < channels;
}

bool gather_channels_accepts(const struct step *s, struct str *why)
{
    bool typed = s->in[0]->dtype == DT_F32 || dtype_size(s->in[0]->dtype) == 1;
    bool taken = typed && tensor_count(s->in[0]) > 0 && tensor_count(s->out[0]) > 0;
    if (!taken && why) str_add(why, "neither float32 nor bytes, or empty");
    return taken;
}

/* in: x (N, C, ...), indices that never change, along axis 1 */
int gather_channels_prepare(struct step *s, struct err *e)
{
    const struct tensor *x = s->in[0], *index = s->in[1];
    int64_t axis = node_int(s->node, "axis"), n = s->out[0]->shape.rank > 1 ? s->out[0]->shape.dim[1] : 0;
    struct form f;
    if ((axis != 1 && axis != 1 - x->shape.rank) || x->shape.rank < 3 || index->shape.rank != 1 || !index->data)
        return fail(e, ERR_UNSUPPORTED, "not along channels, or by indices that change");
    if (!x->layout || !form_of(x, &f)) return fail(e, ERR_UNSUPPORTED, "no channels side by side");
    struct gather *g = ARENA_NEW(s->arena, struct gather);
    int64_t *from = ARENA_ARRAY(s->arena, n, int64_t);
    if (!g || !from) return fail_nomem(e);
    for (int64_t i = 0, c; i < n; i++) {
        if (!channel_at(index, i, x->shape.dim[1], &c)) return fail(e, ERR_UNSUPPORTED, "an index out of range");
        from[i] = c / f.channels * f.positions * f.channels + c % f.channels;
    }
    s->want_in[0] = x->layout;
    s->want_out[0] = x->layout->backend->layout_alike(x->layout, &s->out[0]->shape, s->arena, e);
    if (e->code) return e->code;
    struct tensor y = { .dtype = x->dtype, .shape = s->out[0]->shape, .layout = s->want_out[0] };
    if (!form_of(&y, &g->y)) return fail(e, ERR_UNSUPPORTED, "no channels side by side");
    g->size = dtype_size(x->dtype);
    bool whole = g->size == 1 && f.blocks == 1 && g->y.blocks == 1;
    if (whole && !(g->picks = bytes_picks_new(s->arena, f.channels, n, from, e))) return e->code;
    g->x = f;
    g->from = from;
    s->priv = g;
    return 0;
}

/* Positions of blocks of the output, counted through all samples; of one sample's block without a division each. */
#define POSITIONS(name, type) \
    INLINE void name##_block(const type *in, int64_t apart, const int64_t *from, type *to, int64_t size, int64_t n) \
    { \
        for (int64_t i = 0; i < n; i++) \
            for (int64_t c = 0; c < size; c++) to[i * size + c] = in[i * apart + from[c]]; \
    } \
    CLONES static void name(const struct gather *g, int64_t begin, int64_t end) \
    { \
        const struct form *x = &g->x, *y = &g->y; \
        int64_t size = y->channels, n; \
        for (int64_t i = begin; i < end; i += n) { \
            int64_t line = i / y->positions, at = i % y->positions, sample = line / y->blocks; \
            const int64_t *from = g->from + line % y->blocks * size; \
            const type *in = g->in; \
            type *to = g->out; \
            in += (sample * x->blocks * x->positions + at) * x->channels, to += i * size; \
            n = y->positions - at < end - i ? y->positions - at : end - i; \
            if (size == LANES) name##_block(in, x->channels, from, to, LANES, n); \
            else name##_block(in, x->channels, from, to, size, n); \
        } \
    }
POSITIONS(float_positions, float)
POSITIONS(byte_positions, uint8_t)

static void part(void *ctx, int64_t begin, int64_t end)
{
    const struct gather *g = ctx;
    if (g->picks)
        bytes_pick(g->picks, (const uint8_t *)g->in + begin * g->x.channels, end - begin,
            (uint8_t *)g->out + begin * g->y.channels);
    else (g->size == 1 ? byte_positions : float_positions)(g, begin, end);
}

int gather_channels_run(const struct step *s, struct err *e)
{
    struct gather g = *(const struct gather *)s->priv;
    (void)e;
    g.in = s->in[0]->data;
    g.out = s->out[0]->data;
    team_run(s->threads, g.y.samples * g.y.blocks * g.y.positions, 1 + 32768 / g.y.channels, part, &g);
    return 0;
}
