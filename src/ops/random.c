/* random.c - tensors of random numbers: each element a pure function of (seed, step, its position).
 *
 * Every row takes an input of our own, last and optional: `step`, an int64 that makes the draws of one run differ from
 * those of another. Without a seed the node's name is one, so that two nodes draw different numbers. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/rng.h"
#include "base/team.h"
#include "ops/gradient.h"
#include "ops/infer.h"
#include "ops/mover.h"

struct draw {
    const struct step *s;
    uint64_t key, stream;
    double a, b;  /* mean and scale; low and width */
    double grain; /* uniform numbers are multiples of it: as fine as the type can hold below 1 */
};

static int draw_init(struct draw *d, const struct step *s, int step_at, struct err *e)
{
    const struct attr *seed = node_attr(s->node, "seed");
    size_t size = dtype_size(s->out[0]->dtype);
    int64_t step = 0;
    TRY(step_scalar(s, step_at, "step", &step, e));
    *d = (struct draw){ .s = s, .stream = (uint64_t)step, .grain = size == 8 ? 0x1p-53 : size == 4 ? 0x1p-24 : 0x1p-8 };
    if (seed) memcpy(&d->key, &seed->f, sizeof d->key);
    else d->key = hash_bytes(s->node->name, strlen(s->node->name));
    return 0;
}

static void normal_part(void *ctx, int64_t begin, int64_t end)
{
    const struct draw *d = ctx;
    for (int64_t i = begin; i < end; i++)
        tensor_set_f64(d->s->out[0], i, d->a + d->b * rng_normal(d->key, d->stream, (uint64_t)i));
}

static void uniform_part(void *ctx, int64_t begin, int64_t end)
{
    const struct draw *d = ctx;
    for (int64_t i = begin; i < end; i++) {
        double u = floor(rng_uniform(d->key, d->stream, (uint64_t)i) / d->grain) * d->grain;
        tensor_set_f64(d->s->out[0], i, d->a + d->b * u);
    }
}

static void bernoulli_part(void *ctx, int64_t begin, int64_t end)
{
    const struct draw *d = ctx;
    for (int64_t i = begin; i < end; i++)
        tensor_set_i64(d->s->out[0], i, rng_uniform(d->key, d->stream, (uint64_t)i) < tensor_get_f64(d->s->in[0], i));
}

static int draw_run(const struct step *s, int step_at, void (*part)(void *, int64_t, int64_t), struct err *e)
{
    struct draw d;
    TRY(draw_init(&d, s, step_at, e));
    bool normal = part == normal_part;
    d.a = node_float(s->node, normal ? "mean" : "low");
    d.b = normal ? node_float(s->node, "scale") : node_float(s->node, "high") - d.a;
    team_run(s->threads, tensor_count(s->out[0]), 1024, part, &d);
    return 0;
}

static int normal_run(const struct step *s, struct err *e)
{
    return draw_run(s, s->node->op->max_in - 1, normal_part, e);
}

static int uniform_run(const struct step *s, struct err *e)
{
    return draw_run(s, s->node->op->max_in - 1, uniform_part, e);
}

static int bernoulli_run(const struct step *s, struct err *e)
{
    return draw_run(s, 1, bernoulli_part, e);
}

/* The attribute "dtype", else the type of `like`, else the attribute's default; one of `types`. */
static int read_type(const struct node *n, const struct value *like, unsigned types, enum dtype *t, struct err *e)
{
    int64_t number = like && !node_has(n, "dtype") ? (int64_t)like->dtype : node_int(n, "dtype");
    *t = DT_NONE;
    if (like && number == DT_NONE) return 0;
    if (number < 0 || number >= DT_COUNT || !dtype_is_valid((int)number))
        return fail(e, ERR_MODEL, "dtype is %lld", (long long)number);
    *t = (enum dtype)number;
    return types >> dtype_kind(*t) & 1 ? 0 : fail(e, ERR_SHAPE, "random numbers of type %s", dtype_name(*t));
}

static int shaped_infer(struct node *n, struct err *e)
{
    size_t rank;
    enum dtype t;
    const int64_t *dims = node_ints(n, "shape", &rank);
    TRY(read_type(n, NULL, TYPES_FLOAT, &t, e));
    if (rank > SHAPE_MAX) return fail(e, ERR_SHAPE, "rank %zu, at most %d are possible", rank, SHAPE_MAX);
    for (size_t i = 0; i < rank; i++)
        if (dims[i] < 0) return fail(e, ERR_SHAPE, "dimension %zu is %lld", i, (long long)dims[i]);
    struct shape s = shape_of((int)rank, dims);
    return infer_sized(n, 0, t, &s, e);
}

static int like_infer(struct node *n, struct err *e)
{
    enum dtype t;
    TRY(read_type(n, n->in[0], TYPES_FLOAT, &t, e));
    infer_out(n, 0, t, &n->in[0]->shape);
    return 0;
}

static int bernoulli_infer(struct node *n, struct err *e)
{
    enum dtype t;
    TRY(infer_type(n, 0, TYPES_FLOAT, e));
    TRY(read_type(n, n->in[0], TYPES_NUMBER | TYPES_BOOL, &t, e));
    infer_out(n, 0, t, &n->in[0]->shape);
    return 0;
}

/* in: (batch, classes) logarithms of weights; out: (batch, sample_size) classes */
static int multinomial_infer(struct node *n, struct err *e)
{
    int64_t dtype = node_int(n, "dtype"), samples = node_int(n, "sample_size");
    struct shape s = n->in[0]->shape;
    TRY(infer_type(n, 0, TYPES_FLOAT, e));
    TRY(infer_rank(n, 0, 2, 2, e));
    if (dtype != DT_I32 && dtype != DT_I64) return fail(e, ERR_SHAPE, "dtype must be int32 or int64");
    if (samples < 0) return fail(e, ERR_SHAPE, "sample_size is %lld", (long long)samples);
    if (s.rank == 2) s.dim[1] = samples;
    return infer_sized(n, 0, (enum dtype)dtype, &s, e);
}

/* Sums of exp(x - max) up to each class; false when they are no weights. */
static bool accumulate(const struct tensor *x, int64_t row, int64_t classes, double *sum)
{
    double highest = -INFINITY, total = 0;
    load_f64(x->dtype, element(x, row * classes), classes, sum);
    for (int64_t c = 0; c < classes; c++) highest = fmax(highest, sum[c]);
    for (int64_t c = 0; c < classes; c++) sum[c] = total += exp(sum[c] - highest);
    return isfinite(highest) && isfinite(total);
}

static int multinomial_run(const struct step *s, struct err *e)
{
    const struct tensor *x = s->in[0];
    int64_t batch = x->shape.dim[0], classes = x->shape.dim[1], samples = s->out[0]->shape.dim[1];
    struct draw d;
    TRY(draw_init(&d, s, 1, e));
    double *sum = ARENA_ARRAY(s->scratch, classes, double);
    TRY_MEM(sum, e);
    for (int64_t row = 0; samples && row < batch; row++) {
        if (!accumulate(x, row, classes, sum)) return fail(e, ERR_DATA, "row %lld holds no weights", (long long)row);
        for (int64_t i = row * samples; i < (row + 1) * samples; i++) {
            double u = rng_uniform(d.key, d.stream, (uint64_t)i) * sum[classes - 1];
            int64_t low = 0, high = classes - 1; /* the first class whose sum is past u */
            while (low < high) {
                int64_t middle = low + (high - low) / 2;
                if (sum[middle] > u) high = middle;
                else low = middle + 1;
            }
            tensor_set_i64(s->out[0], i, low);
        }
    }
    return 0;
}

#define SEED \
    { \
        "seed", ATTR_FLOAT, ATTR_OPTIONAL, .doc = "of the draws; absent: the node's name" \
    }
#define TYPE \
    { \
        "dtype", ATTR_INT, ATTR_OPTIONAL, .doc = "type of the result; absent: that of the input" \
    }
#define FLOAT_TYPE \
    { \
        "dtype", ATTR_INT, ATTR_DEFAULT, .i = DT_F32, .doc = "type of the result" \
    }
#define NORMAL \
    { "mean", ATTR_FLOAT, ATTR_DEFAULT, .f = 0, .doc = "mean" }, \
    { \
        "scale", ATTR_FLOAT, ATTR_DEFAULT, .f = 1, .doc = "standard deviation" \
    }
#define UNIFORM \
    { "low", ATTR_FLOAT, ATTR_DEFAULT, .f = 0, .doc = "lower end" }, \
    { \
        "high", ATTR_FLOAT, ATTR_DEFAULT, .f = 1, .doc = "upper end, not reached" \
    }
#define DIMENSIONS \
    { \
        "shape", ATTR_INTS, ATTR_REQUIRED, .doc = "shape of the result" \
    }

static const struct attr_spec normal_attrs[] = { FLOAT_TYPE, NORMAL, SEED, DIMENSIONS, { 0 } };
static const struct attr_spec uniform_attrs[] = { FLOAT_TYPE, UNIFORM, SEED, DIMENSIONS, { 0 } };
static const struct attr_spec normal_like_attrs[] = { TYPE, NORMAL, SEED, { 0 } };
static const struct attr_spec uniform_like_attrs[] = { TYPE, UNIFORM, SEED, { 0 } };
static const struct attr_spec bernoulli_attrs[] = { TYPE, SEED, { 0 } };
static const struct attr_spec multinomial_attrs[] = {
    { "dtype", ATTR_INT, ATTR_DEFAULT, .i = DT_I32, .doc = "type of the result: int32 or int64" },
    { "sample_size", ATTR_INT, ATTR_DEFAULT, .i = 1, .doc = "draws per row" },
    SEED,
    { 0 },
};

const struct op ops_random[] = {
    { .name = "RandomNormal",
        .doc = "normally distributed numbers",
        .min_in = 0,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_RANDOM,
        .attrs = normal_attrs,
        .infer = shaped_infer,
        .run = normal_run,
        .samples = "| shape=2,3 seed=5; | shape=4 dtype=10 mean=3 scale=0.5" },
    { .name = "RandomUniform",
        .doc = "uniformly distributed numbers",
        .min_in = 0,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_RANDOM,
        .attrs = uniform_attrs,
        .infer = shaped_infer,
        .run = uniform_run,
        .samples = "| shape=2,3 seed=5; | shape=4 dtype=11 low=-1" },
    { .name = "RandomNormalLike",
        .doc = "normally distributed numbers in the shape of x",
        .min_in = 1,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_RANDOM | OP_SHAPE_ONLY,
        .attrs = normal_like_attrs,
        .infer = like_infer,
        .run = normal_run,
        .grad = grad_zero,
        .samples = "f32[2,3] | seed=5; i8[4] i64{3} | dtype=1" },
    { .name = "RandomUniformLike",
        .doc = "uniformly distributed numbers in the shape of x",
        .min_in = 1,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_RANDOM | OP_SHAPE_ONLY,
        .attrs = uniform_like_attrs,
        .infer = like_infer,
        .run = uniform_run,
        .grad = grad_zero,
        .samples = "f32[2,3] | high=7; i8[4] i64{3} | dtype=16" },
    { .name = "Bernoulli",
        .doc = "1 with the probability that x gives, else 0",
        .min_in = 1,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_RANDOM,
        .attrs = bernoulli_attrs,
        .infer = bernoulli_infer,
        .run = bernoulli_run,
        .samples = "f32{0,0.3,0.7,1}; f32[2,3] i64{1} | dtype=9 seed=2" },
    { .name = "Multinomial",
        .doc = "classes drawn with the weights exp(x) of each row",
        .min_in = 1,
        .max_in = 2,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_RANDOM,
        .attrs = multinomial_attrs,
        .infer = multinomial_infer,
        .run = multinomial_run,
        .samples = "f32[2,3] | sample_size=4; f64[1,5] i64{9} | dtype=7 seed=1" },
    { 0 },
};
