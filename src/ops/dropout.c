/* dropout.c - Dropout: the identity when scoring; when training, a mask that is a pure function of (seed,
 * step, element). */
#include "base/err.h"
#include "base/rng.h"
#include "base/team.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/infer.h"
#include "ops/mover.h"

enum { BLOCK = 256 };

/* Inputs: x (or dy), ratio, training_mode, step (our own: updates done so far, so that every step draws
 * anew). */
struct dropout {
    const struct step *s;
    double ratio;
    bool drops;
    uint64_t seed, step;
};

static struct dropout read_inputs(const struct step *s)
{
    int n = s->node->n_in;
    const struct tensor *ratio = n > 1 ? s->in[1] : NULL, *mode = n > 2 ? s->in[2] : NULL,
                        *step = n > 3 ? s->in[3] : NULL;
    struct dropout d = { .s = s, .ratio = ratio ? tensor_get_f64(ratio, 0) : 0.5 };
    d.drops = mode && tensor_get_i64(mode, 0) && d.ratio > 0;
    d.seed = (uint64_t)node_int(s->node, "seed");
    d.step = step ? (uint64_t)tensor_get_i64(step, 0) : 0;
    return d;
}

/* Which of n elements from `begin` on are kept; v holds them, and what becomes of them. */
static void draw(const struct dropout *d, int64_t begin, int64_t n, double *restrict v, int64_t *restrict kept)
{
    double drawn[BLOCK], ratio = d->ratio, scale = ratio < 1 ? 1 / (1 - ratio) : 0;
    rng_uniforms(d->seed, d->step, (uint64_t)begin, n, drawn);
    for (int64_t i = 0; i < n; i++) {
        union {
            double f;
            uint64_t u;
        } bits = { v[i] * scale };
        kept[i] = drawn[i] >= ratio;
        bits.u &= 0 - (uint64_t)kept[i]; /* no branch, which nobody could predict */
        v[i] = bits.f;
    }
}

static void drop_block(const struct dropout *d, int64_t begin, int64_t n)
{
    double v[BLOCK];
    int64_t kept[BLOCK];
    struct tensor *mask = d->s->node->n_out > 1 ? d->s->out[1] : NULL;
    load_f64(d->s->in[0]->dtype, element(d->s->in[0], begin), n, v);
    for (int64_t i = 0; i < n; i++) kept[i] = 1;
    if (d->drops) draw(d, begin, n, v, kept);
    store_f64(d->s->out[0]->dtype, element(d->s->out[0], begin), n, v);
    if (mask) store_i64(mask->dtype, element(mask, begin), n, kept);
}

static void drop_part(void *ctx, int64_t begin, int64_t end)
{
    for (int64_t i = begin; i < end; i += BLOCK) drop_block(ctx, i, end - i < BLOCK ? end - i : BLOCK);
}

static int dropout_run(const struct step *s, struct err *e)
{
    struct dropout d = read_inputs(s);
    if (!(d.ratio >= 0 && d.ratio <= 1)) return fail(e, ERR_SHAPE, "ratio is %g, expected 0 to 1", d.ratio);
    team_run(s->threads, tensor_count(s->in[0]), 4096, drop_part, &d);
    return 0;
}

static int dropout_infer(struct node *n, struct err *e)
{
    infer_out(n, 0, n->in[0]->dtype, &n->in[0]->shape);
    infer_out(n, 1, DT_BOOL, &n->in[0]->shape);
    for (int i = 1; i < n->n_in; i++) {
        if (!n->in[i]) continue;
        int64_t count = shape_count(&n->in[i]->shape);
        if (count >= 0 && count != 1)
            return fail(e, ERR_SHAPE, "input %d has %lld numbers, expected 1", i, (long long)count);
    }
    return 0;
}

static int dropout_grad(struct grad *g)
{
    const struct node *n = g->node;
    struct value *in[4] = { g->dy[0], node_in(n, 1), node_in(n, 2), node_in(n, 3) };
    g->dx[0] = builder_emit(g->b, "DropoutGrad", ATTRS(attr_int("seed", node_int(n, "seed"))), in, 4);
    return 0;
}

static const struct attr_spec attrs[] = {
    { .name = "seed", .type = ATTR_INT, .presence = ATTR_DEFAULT, .doc = "of the random draws" },
    { 0 },
};

const struct op ops_dropout[] = {
    { .name = "Dropout",
        .doc = "y = x, or in training x / (1 - ratio) where it is kept and 0 elsewhere",
        .min_in = 1,
        .max_in = 4,
        .min_out = 1,
        .max_out = 2,
        .flags = OP_RANDOM | OP_INPLACE,
        .attrs = attrs,
        .infer = dropout_infer,
        .run = dropout_run,
        .grad = dropout_grad,
        .samples = "f32[2,3,5] f32{0.5} bool{0}; f32[4,9] f32{0.3} bool{1} i64{7} | seed=5; f32[3]" },
    { .name = "DropoutGrad",
        .doc = "dx of Dropout, of (dy, ratio, training_mode, step)",
        .min_in = 1,
        .max_in = 4,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_RANDOM | OP_INPLACE | OP_OWN | OP_TRAINING_ONLY,
        .attrs = attrs,
        .infer = dropout_infer,
        .run = dropout_run,
        .samples = "f32[4,9] f32{0.3} bool{1} i64{7} | seed=5" },
    { 0 },
};
