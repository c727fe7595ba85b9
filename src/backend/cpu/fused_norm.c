/* fused_norm.c - a batch normalisation by fixed statistics, of pieces that are joined on the way, and Relu. */
#include <math.h>
#include <string.h>

#include "backend/cpu/form.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/team.h"
#include "graph/op.h"
#include "ops/conv_shape.h"

enum { SECOND = 5 }; /* x, scale, bias, mean, variance, then the other pieces */

struct piece {
    const float *x;
    struct form form;
    int64_t first; /* of its channels, among all */
};

struct joined {
    const struct piece *pieces;
    int n;
    struct form form;
    float *y;
    const float *factor, *offset; /* (C) */
    float least;
};

static int piece_input(int i)
{
    return i ? SECOND + i - 1 : 0;
}

static int count_pieces(const struct step *s)
{
    return s->node->n_in - SECOND + 1;
}

/* Whether each run of a piece's channels lies side by side in the result. */
static bool fits(const struct form *piece, int64_t first, const struct form *whole)
{
    for (int64_t b = 0; b < piece->blocks; b++)
        if ((first + b * piece->channels) % whole->channels + piece->channels > whole->channels) return false;
    return true;
}

/* Asks for all pieces and the result in the layout of the first that has one. */
static int want_alike(struct step *s, struct err *e)
{
    const struct layout *l = NULL;
    struct form f;
    int n = count_pieces(s);
    for (int i = 0; i < n && !l; i++)
        if (form_of(s->in[piece_input(i)], &f)) l = s->in[piece_input(i)]->layout;
    for (int i = 0; i <= n && l; i++) {
        const struct shape *shape = i < n ? &s->in[piece_input(i)]->shape : &s->out[0]->shape;
        const struct layout *want = l->backend->layout_alike(l, shape, s->arena, e);
        if (!want) return e->code;
        *(i < n ? &s->want_in[piece_input(i)] : &s->want_out[0]) = want;
    }
    return 0;
}

static bool all_fit(const struct step *s)
{
    struct form whole, f;
    int64_t first = 0;
    struct tensor y = { .shape = s->out[0]->shape, .layout = s->want_out[0] };
    if (!form_of(&y, &whole)) return false;
    for (int i = 0; i < count_pieces(s); i++) {
        struct tensor x = { .shape = s->in[piece_input(i)]->shape, .layout = s->want_in[piece_input(i)] };
        if (!form_of(&x, &f) || !fits(&f, first, &whole)) return false;
        first += x.shape.dim[1];
    }
    return true;
}

int fused_norm_prepare(struct step *s, struct err *e)
{
    const char *name = node_string(s->node, "activation");
    if (name[0] && strcmp(name, "Relu")) return fail(e, ERR_UNSUPPORTED, "the activation %s", name);
    TRY(want_alike(s, e));
    if (all_fit(s)) return 0;
    for (int i = 0; i < count_pieces(s); i++) s->want_in[piece_input(i)] = NULL;
    s->want_out[0] = NULL;
    return 0;
}

INLINE void line(const float *x, float *y, int64_t n, const float *factor, const float *offset, float least)
{
    INDEPENDENT
    for (int64_t i = 0; i < n; i++) {
        float v = x[i] * factor[i] + offset[i];
        y[i] = v < least ? least : v;
    }
}

/* Rows of `lanes` channels side by side. */
CLONES static void rows_of_channels(const struct joined *j, const float *x, int64_t x_row, float *y, int64_t y_row,
    int64_t rows, int64_t lanes, int64_t channel)
{
    const float *factor = j->factor + channel, *offset = j->offset + channel;
    for (int64_t r = 0; r < rows && lanes == LANES; r++)
        line(x + r * x_row, y + r * y_row, LANES, factor, offset, j->least);
    for (int64_t r = 0; r < rows && lanes != LANES; r++)
        line(x + r * x_row, y + r * y_row, lanes, factor, offset, j->least);
}

CLONES static void one_channel(const struct joined *j, const float *x, float *y, int64_t n, int64_t channel)
{
    const float factor = j->factor[channel], offset = j->offset[channel], least = j->least;
    INDEPENDENT
    for (int64_t i = 0; i < n; i++) {
        float v = x[i] * factor + offset;
        y[i] = v < least ? least : v;
    }
}

/* Positions [at, at + n) of a sample. */
static void some_positions(const struct joined *j, const struct piece *p, int64_t sample, int64_t at, int64_t n)
{
    const struct form *from = &p->form, *to = &j->form;
    for (int64_t b = 0; b < from->blocks; b++) {
        int64_t c = p->first + b * from->channels, block = sample * to->blocks + c / to->channels;
        const float *x = p->x + ((sample * from->blocks + b) * from->positions + at) * from->channels;
        float *y = j->y + (block * to->positions + at) * to->channels + c % to->channels;
        if (to->channels == 1) one_channel(j, x, y, n, c);
        else rows_of_channels(j, x, from->channels, y, to->channels, n, from->channels, c);
    }
}

static void apply(void *ctx, int64_t begin, int64_t end)
{
    enum { SOME = 1024 };
    const struct joined *j = ctx;
    while (begin < end) {
        int64_t sample = begin / j->form.positions, at = begin % j->form.positions, n = j->form.positions - at;
        if (n > end - begin) n = end - begin;
        if (n > SOME) n = SOME;
        for (int i = 0; i < j->n; i++) some_positions(j, &j->pieces[i], sample, at, n);
        begin += n;
    }
}

static void fold(const struct step *s, int64_t channels, float *factor, float *offset)
{
    const float *scale = s->in[1]->data, *bias = s->in[2]->data, *mean = s->in[3]->data, *var = s->in[4]->data;
    double epsilon = node_float(s->node, "epsilon");
    for (int64_t c = 0; c < channels; c++) {
        double by = scale[c] / sqrt(var[c] + epsilon);
        factor[c] = (float)by;
        offset[c] = (float)(bias[c] - mean[c] * by);
    }
}

int fused_norm_run(const struct step *s, struct err *e)
{
    int64_t channels = s->out[0]->shape.dim[1], first = 0;
    int n = count_pieces(s);
    float *numbers = ARENA_ARRAY(s->scratch, 2 * channels, float);
    struct piece *pieces = ARENA_ARRAY(s->scratch, n, struct piece);
    if (!numbers || !pieces) return fail_nomem(e);
    fold(s, channels, numbers, numbers + channels);
    struct joined j = { .pieces = pieces, .n = n, .y = s->out[0]->data, .factor = numbers, .offset = numbers + channels,
        .least = node_string(s->node, "activation")[0] ? 0 : -INFINITY };
    form_of(s->out[0], &j.form);
    for (int i = 0; i < n; i++) {
        const struct tensor *x = s->in[piece_input(i)];
        pieces[i] = (struct piece){ .x = x->data, .first = first };
        form_of(x, &pieces[i].form);
        first += x->shape.dim[1];
    }
    team_run(s->threads, j.form.samples * j.form.positions, 1 + 16384 / channels, apply, &j);
    return 0;
}
