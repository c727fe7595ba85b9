/* loss.c - cross entropy of scores and labels and its gradient, LANES positions at a time; nothing is kept between the
 * two, and neither needs memory of the scores' size.
 */
#include <math.h>
#include <string.h>

#include "backend/cpu/functions.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/team.h"
#include "graph/op.h"
#include "ops/operand.h"

enum { WIDTH = 64, GRAIN = 4096 };

/* Scores (n, c, d), labels (n, d); a block is up to WIDTH positions of one sample. */
struct loss {
    int64_t n, c, d, blocks; /* blocks: of a sample */
    const float *x, *class_weight;
    const int64_t *labels;
    int64_t ignored;
    bool ignores;
    double *sums; /* of the loss and of the weights, by blocks */
    float *dx, scale;
};

static float weight_of(const struct loss *l, int64_t label)
{
    if (l->ignores && label == l->ignored) return 0;
    return l->class_weight ? l->class_weight[label] : 1;
}

/* The largest score and the sum of exponentials of what the others are below it, at m positions. */
CLONES static void log_sums(const struct loss *l, const float *x, int64_t m, float *restrict top, float *restrict sum)
{
    for (int64_t i = 0; i < m; i++) top[i] = x[i], sum[i] = 0;
    for (int64_t c = 1; c < l->c; c++)
        for (int64_t i = 0; i < m; i++) top[i] = x[c * l->d + i] > top[i] ? x[c * l->d + i] : top[i];
    for (int64_t c = 0; c < l->c; c++)
        for (int64_t i = 0; i < m; i++) sum[i] += fast_exp(x[c * l->d + i] - top[i]);
}

/* dx = factor * softmax(x) */
CLONES static void shares(const struct loss *l, const float *x, int64_t m, const float *restrict top,
    const float *restrict factor, float *restrict dx)
{
    for (int64_t c = 0; c < l->c; c++)
        for (int64_t i = 0; i < m; i++) dx[c * l->d + i] = factor[i] * fast_exp(x[c * l->d + i] - top[i]);
}

/* Block b: its sample's scores, the first position among the labels, how many there are. */
static const float *block_at(const struct loss *l, int64_t b, int64_t *first, int64_t *m, int64_t *offset)
{
    int64_t sample = b / l->blocks, begin = b % l->blocks * WIDTH;
    *first = sample * l->d + begin;
    *m = l->d - begin < WIDTH ? l->d - begin : WIDTH;
    *offset = sample * l->c * l->d + begin;
    return l->x + *offset;
}

static void losses(void *ctx, int64_t begin, int64_t end)
{
    const struct loss *l = ctx;
    for (int64_t b = begin; b < end; b++) {
        int64_t first, m, offset;
        float top[WIDTH], sum[WIDTH];
        const float *x = block_at(l, b, &first, &m, &offset);
        log_sums(l, x, m, top, sum);
        for (int64_t i = 0; i < m; i++) {
            int64_t label = l->labels[first + i];
            double w = weight_of(l, label);
            if (l->ignores && label == l->ignored) continue;
            l->sums[2 * b] += w * (log(sum[i]) + ((double)top[i] - (double)x[label * l->d + i]));
            l->sums[2 * b + 1] += w;
        }
    }
}

static void gradients(void *ctx, int64_t begin, int64_t end)
{
    const struct loss *l = ctx;
    for (int64_t b = begin; b < end; b++) {
        int64_t first, m, offset;
        float top[WIDTH], sum[WIDTH], factor[WIDTH];
        const float *x = block_at(l, b, &first, &m, &offset);
        log_sums(l, x, m, top, sum);
        for (int64_t i = 0; i < m; i++) factor[i] = l->scale * weight_of(l, l->labels[first + i]) / sum[i];
        shares(l, x, m, top, factor, l->dx + offset);
        for (int64_t i = 0; i < m; i++) {
            int64_t label = l->labels[first + i];
            float w = weight_of(l, label);
            if (w != 0) l->dx[offset + label * l->d + i] -= l->scale * w;
        }
    }
}

/* Scores and labels at these inputs; ERR_DATA for a label that is none. */
static int loss_open(struct loss *l, const struct step *s, int scores, struct err *e)
{
    const struct tensor *x = s->in[scores], *w = step_in(s, scores + 2);
    *l = (struct loss){ .n = x->shape.dim[0],
        .c = x->shape.dim[1],
        .d = shape_span(&x->shape, 2, x->shape.rank),
        .x = x->data,
        .class_weight = w ? w->data : NULL,
        .labels = s->in[scores + 1]->data,
        .ignores = node_has(s->node, "ignore_index"),
        .ignored = node_int(s->node, "ignore_index") };
    l->blocks = (l->d + WIDTH - 1) / WIDTH;
    for (int64_t i = 0; i < l->n * l->d; i++) {
        if (l->ignores && l->labels[i] == l->ignored) continue;
        if (l->labels[i] < 0 || l->labels[i] >= l->c)
            return fail(e, ERR_DATA, "label %lld at position %lld, expected 0 to %lld", (long long)l->labels[i],
                (long long)i, (long long)l->c - 1);
    }
    return 0;
}

static int64_t grain(const struct loss *l)
{
    return 1 + GRAIN / (l->c * (l->d < WIDTH ? l->d : WIDTH));
}

static bool is_mean(const struct node *n)
{
    return !strcmp(node_string(n, "reduction"), "mean");
}

static bool fits(const struct step *s, int scores, struct str *why)
{
    const struct tensor *labels = s->in[scores + 1], *w = step_in(s, scores + 2);
    bool good = s->in[scores]->dtype == DT_F32 && labels->dtype == DT_I64 && (!w || w->dtype == DT_F32) &&
        s->node->n_out == 1 && tensor_count(s->in[scores]) > 0 && strcmp(node_string(s->node, "reduction"), "none");
    if (!good && why) str_add(why, "not float32 and int64, nothing to sum, or more than the sum is wanted");
    return good;
}

bool cross_entropy_accepts(const struct step *s, struct str *why)
{
    return fits(s, 0, why);
}

bool cross_entropy_grad_accepts(const struct step *s, struct str *why)
{
    return fits(s, 1, why);
}

int cross_entropy_run(const struct step *s, struct err *e)
{
    struct loss l;
    double loss = 0, weight = 0;
    TRY(loss_open(&l, s, 0, e));
    TRY_MEM(l.sums = ARENA_ARRAY(s->scratch, 2 * l.n * l.blocks, double), e);
    team_run(s->threads, l.n * l.blocks, grain(&l), losses, &l);
    for (int64_t b = 0; b < l.n * l.blocks; b++) loss += l.sums[2 * b], weight += l.sums[2 * b + 1];
    *(float *)s->out[0]->data = (float)(is_mean(s->node) ? loss / weight : loss);
    return 0;
}

int cross_entropy_grad_run(const struct step *s, struct err *e)
{
    struct loss l;
    double weight = 0;
    TRY(loss_open(&l, s, 1, e));
    for (int64_t i = 0; i < l.n * l.d; i++) weight += (double)weight_of(&l, l.labels[i]);
    l.scale = (float)(tensor_get_f64(s->in[0], 0) / (is_mean(s->node) ? weight : 1));
    l.dx = s->out[0]->data;
    team_run(s->threads, l.n * l.blocks, grain(&l), gradients, &l);
    return 0;
}
