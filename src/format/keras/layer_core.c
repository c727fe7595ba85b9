/* layer_core.c - inputs, models in models, dense layers, embeddings, masking, and what does nothing when scoring. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/keras/keras.h"

static struct ktensor *lower_identity(struct call *c)
{
    return c->in[0];
}

/* Drops when a pass turns training on. */
static struct value *dropout(struct call *c, struct value *x)
{
    struct value *rate = emit_scalar(c->b, DT_F32, cfg_float(c, "rate", cfg_float(c, "p", 0.5)));
    return emit(c->b, "Dropout", NO_ATTRS, x, rate, emit_scalar(c->b, DT_BOOL, 0));
}

static struct ktensor *lower_dropout(struct call *c)
{
    return each_element(c, c->in[0], dropout);
}

/* (.., I) by (I, O): a Gemm for rows, a product and a sum for what has more dimensions. */
static struct ktensor *lower_dense(struct call *c)
{
    struct value *x = as_plain(c, c->in[0]);
    int rank = ktensor_rank(c->in[0]);
    int64_t units = cfg_int(c, "units", cfg_int(c, "output_dim", -1)), in = ktensor_dim(c->in[0], -1);
    if (rank < 2) return call_fail(c, ERR_SHAPE, "its input has rank %d, expected 2 or more", rank), NULL;
    struct value *w = weight(c, "kernel", 2, (int64_t[]){ in, units }, NULL);
    struct value *b = weight(c, "bias", 1, &units, NULL);
    if (rank == 2) x = emit(c->b, "Gemm", NO_ATTRS, x, w, b);
    else {
        x = k_op2(c, "MatMul", x, w);
        if (b) x = k_op2(c, "Add", x, b);
    }
    return ktensor_plain(c, activate(c, json_object_get(c->config, "activation"), x, false));
}

/* y = einsum(equation, x, kernel) + bias; the shapes are those of the file. */
static struct ktensor *lower_einsum_dense(struct call *c)
{
    const char *equation = cfg_string(c, "equation", NULL);
    if (!equation) return call_fail(c, ERR_MODEL, "its config has no equation"), NULL;
    if (!c->k->has_weights) return call_fail(c, ERR_UNSUPPORTED, "without weights their shapes are not known"), NULL;
    struct value *x = as_plain(c, c->in[0]), *w = weight(c, "kernel", -1, NULL, NULL),
                 *b = weight(c, "bias", -1, NULL, NULL);
    x = emit(c->b, "Einsum", ATTRS(attr_string("equation", equation)), x, w);
    if (b) x = k_op2(c, "Add", x, b);
    return ktensor_plain(c, activate(c, json_object_get(c->config, "activation"), x, false));
}

static struct ktensor *lower_embedding(struct call *c)
{
    int64_t dims[] = { cfg_int(c, "input_dim", -1), cfg_int(c, "output_dim", -1) };
    struct value *x = as_plain(c, c->in[0]), *w = weight(c, "embeddings", 2, dims, NULL);
    struct value *ids = emit_cast(c->b, x, x && x->dtype == DT_I64 ? DT_I64 : DT_I32);
    struct ktensor *out = ktensor_plain(c, emit(c->b, "Gather", ATTRS(attr_int("axis", 0)), w, ids));
    if (out && cfg_bool(c, "mask_zero", false)) out->mask = k_op(c, "Not", k_op2(c, "Equal", ids, k_like(c, ids, 0)));
    return out;
}

/* A time step counts when any of its features is another number than mask_value; the others become zeros. */
static struct ktensor *lower_masking(struct call *c)
{
    struct value *x = as_plain(c, c->in[0]);
    int64_t last = -1;
    if (!x) return NULL;
    struct value *same = k_op2(c, "Equal", x, k_like(c, x, cfg_float(c, "mask_value", 0)));
    struct value *differ = emit_cast(c->b, k_op(c, "Not", same), x->dtype);
    struct value *any = k_reduce(c, "ReduceMax", differ, &last, 1, true); /* (N, T, 1) of 0 and 1 */
    struct ktensor *out = ktensor_plain(c, k_op2(c, "Mul", x, any));
    if (out && any && any->shape.rank == 3) out->mask = emit_cast(c->b, k_squeeze(c, any, -1), DT_BOOL);
    return out;
}

static struct ktensor *lower_repeat_vector(struct call *c)
{
    int64_t n = cfg_int(c, "n", -1), repeats[] = { 1, n, 1 };
    if (n < 1) return call_fail(c, ERR_MODEL, "n is not a number of 1 or more"), NULL;
    struct value *x = k_unsqueeze(c, as_plain(c, c->in[0]), 1);
    return ktensor_plain(c, emit(c->b, "Tile", NO_ATTRS, x, emit_i64s(c->b, repeats, 3)));
}

/* The layer inside, on every time step as if it were a sample: (N, T, ..) as (N T, ..). */
static struct ktensor *lower_time_distributed(struct call *c)
{
    struct value *x = as_plain(c, c->in[0]);
    int rank = ktensor_rank(c->in[0]);
    if (rank < 3) return call_fail(c, ERR_SHAPE, "its input has rank %d, expected 3 or more", rank), NULL;
    if (c->b->err->code) return NULL;
    struct value *all = emit_i64s(c->b, &(int64_t){ -1 }, 1), *rest = k_sizes(c, x, 2, rank),
                 *steps = k_sizes(c, x, 0, 2);
    struct value *flat = k_op2(c, "Reshape", x, k_concat(c, (struct value *[]){ all, rest }, 2, 0));
    struct ktensor *in = ktensor_plain(c, flat), *y = in ? layer_apply_to(c, c->layer->sub[0], &in, 1) : NULL;
    struct value *out = as_plain(c, y);
    if (!out) return NULL;
    struct value *shape = k_concat(c, (struct value *[]){ steps, k_sizes(c, out, 1, out->shape.rank) }, 2, 0);
    return ktensor_plain(c, k_op2(c, "Reshape", out, shape));
}

static struct ktensor *lower_wrapped(struct call *c)
{
    return layer_apply_to(c, c->layer->sub[0], c->in, c->n_in);
}

const struct layer_row keras_layers_core[] = {
    { "Functional Model Sequential Container", lower_model, .flags = LAYER_MODEL },
    { "InputLayer", lower_identity },
    { "Identity ActivityRegularization", lower_identity, .flags = LAYER_KEEPS_MASK | LAYER_ANY_TYPE },
    { "Dropout", lower_dropout, .flags = LAYER_KEEPS_MASK },
    { "SpatialDropout1D SpatialDropout2D SpatialDropout3D AlphaDropout GaussianDropout GaussianNoise", lower_identity,
        .flags = LAYER_KEEPS_MASK },
    { "Dense", lower_dense, "kernel bias?use_bias", LAYER_KEEPS_MASK },
    { "EinsumDense", lower_einsum_dense, "kernel bias?bias_axes" },
    { "Embedding", lower_embedding, "embeddings", LAYER_OWN_MASK | LAYER_ANY_TYPE },
    { "Masking", lower_masking, .flags = LAYER_OWN_MASK },
    { "RepeatVector", lower_repeat_vector },
    { "TimeDistributed", lower_time_distributed, .flags = LAYER_KEEPS_MASK },
    { "SpectralNormalization", lower_wrapped, "vector_u!" },
    { NULL },
};
