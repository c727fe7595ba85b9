/* mixup.c - a draw from the beta distribution, an order of partners, and the sums. */
#include "train/mixup.h"

#include <math.h>
#include <string.h>

#include "base/err.h"
#include "base/rng.h"
#include "data/augment.h"

/* Joehnk 1964: u^(1/a) / (u^(1/a) + v^(1/a)), drawn again while the sum is above 1. By logarithms, because the powers
 * of a small a vanish. */
static double draw_beta(double alpha, uint64_t seed, uint64_t stream, uint64_t row)
{
    for (uint64_t k = 0; k < 1000; k++) {
        double x = log(rng_uniform(seed, stream, row + (2 * k << 40))) / alpha;
        double y = log(rng_uniform(seed, stream, row + ((2 * k + 1) << 40))) / alpha;
        double top = fmax(x, y), sum = exp(x - top) + exp(y - top);
        if (isfinite(top) && top + log(sum) <= 0) return exp(x - top) / sum;
    }
    return 1;
}

/* Sample i meets sample (i + shift) mod n: every sample is a partner once. */
static void mix_input(struct tensor *t, int64_t n, int64_t shift, float mix, const float *from)
{
    int64_t each = tensor_count(t) / n;
    float *to = t->data;
    for (int64_t i = 0; i < n; i++) {
        const float *mine = from + i * each, *other = from + (i + shift) % n * each;
        for (int64_t k = 0; k < each; k++) to[i * each + k] = mix * mine[k] + (1 - mix) * other[k];
    }
}

static struct tensor *shifted(const struct tensor *t, int64_t n, int64_t shift, struct arena *a, struct err *e)
{
    size_t each = (size_t)tensor_bytes(t) / (size_t)n;
    struct tensor *out = tensor_new(a, t->dtype, &t->shape, e);
    for (int64_t i = 0; out && i < n; i++)
        memcpy((char *)out->data + (size_t)i * each, (const char *)t->data + (size_t)((i + shift) % n) * each, each);
    return out;
}

int mixup_batch(struct batch *b, double alpha, uint64_t seed, int64_t epoch, struct arena *a, struct err *e)
{
    b->mix = 1;
    memcpy(b->mixed, b->target, sizeof b->mixed);
    if (!b->n || alpha <= 0) return 0;
    uint64_t stream = (uint64_t)epoch << 8 | STREAM_MIX, row = (uint64_t)b->rows[0];
    int64_t shift = b->n > 1 ? 1 + (int64_t)(rng_uniform(seed, stream + 1, row) * (double)(b->n - 1)) : 0;
    b->mix = draw_beta(alpha, seed, stream, row);
    for (size_t i = 0; i < b->n_inputs; i++) {
        struct tensor *t = b->in[i], *was = tensor_copy(a, t->dtype, &t->shape, t->data, e);
        if (!was) return e->code;
        if (t->dtype == DT_F32) mix_input(t, b->n, shift, (float)b->mix, was->data);
    }
    for (size_t k = 0; k < b->n_heads; k++)
        if (!(b->mixed[k] = shifted(b->target[k], b->n, shift, a, e))) return e->code;
    return 0;
}
