/* layer_encode.c - layers that make numbers of categories: buckets, and one place for each category. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/keras/keras.h"

enum { BOUNDS_MAX = 1 << 16 };

/* (.., T) of categories to (.., tokens): which occur, or how often. "one_hot" is of one category each: the last axis
 * counts as such where it has one place, else there is one more. */
static struct value *encoded(struct call *c, struct value *x, const char *mode, int64_t tokens)
{
    bool one = !strcmp(mode, "one_hot"), count = !strcmp(mode, "count");
    if (!x || (!one && !count && strcmp(mode, "multi_hot")))
        return x ? (call_fail(c, ERR_UNSUPPORTED, "output_mode \"%.50s\"", mode), NULL) : NULL;
    if (tokens < 1) return call_fail(c, ERR_MODEL, "its number of categories"), NULL;
    if (tensor_of(c, json_object_get(c->kwargs, "count_weights")))
        return call_fail(c, ERR_UNSUPPORTED, "count_weights"), NULL;
    if (x->shape.rank < 1 || (one && x->shape.dim[x->shape.rank - 1] != 1)) x = k_unsqueeze(c, x, -1);
    struct value *all = emit(c->b, "Range", NO_ATTRS, emit_i64(c->b, 0), emit_i64(c->b, tokens), emit_i64(c->b, 1));
    int64_t over = -2;
    struct value *is = k_op2(c, "Equal", k_unsqueeze(c, emit_cast(c->b, x, DT_I64), -1), all);
    return k_reduce(c, count ? "ReduceSum" : "ReduceMax", emit_cast(c->b, is, c->k->compute), &over, 1, false);
}

static struct ktensor *lower_category(struct call *c)
{
    const char *mode = cfg_string(c, "output_mode", "multi_hot");
    return ktensor_plain(c, encoded(c, as_plain(c, c->in[0]), mode, cfg_int(c, "num_tokens", -1)));
}

/* How many of the boundaries are not above each number. */
static struct ktensor *lower_discretization(struct call *c)
{
    const json_t *bounds = cfg(c, "bin_boundaries");
    const char *mode = cfg_string(c, "output_mode", "int");
    int64_t n = (int64_t)json_array_size(bounds), last = -1;
    struct value *x = as_plain(c, c->in[0]);
    if (!x || n < 1 || n > BOUNDS_MAX)
        return x ? (call_fail(c, ERR_UNSUPPORTED, "its config has no bin_boundaries"), NULL) : NULL;
    struct shape s = shape_of(1, &n);
    struct tensor *t = tensor_new(c->k->keep, c->k->compute, &s, c->b->err);
    for (int64_t i = 0; t && i < n; i++) tensor_set_f64(t, i, json_number_value(json_array_get(bounds, (size_t)i)));
    x = k_unsqueeze(c, emit_cast(c->b, x, c->k->compute), -1);
    struct value *above = emit_cast(c->b, k_op2(c, "GreaterOrEqual", x, emit_const(c->b, t)), DT_I32);
    struct value *place = k_reduce(c, "ReduceSum", above, &last, 1, false);
    return ktensor_plain(c, strcmp(mode, "int") ? encoded(c, place, mode, n + 1) : place);
}

/* Several layers in a row. */
static struct ktensor *lower_pipeline(struct call *c)
{
    struct ktensor *x = c->in[0];
    for (size_t i = 0; x && i < c->layer->n_sub; i++) x = layer_apply_to(c, c->layer->sub[i], &x, 1);
    return x;
}

const struct layer_row keras_layers_encode[] = {
    { "CategoryEncoding", lower_category, .flags = LAYER_ANY_TYPE },
    { "Discretization", lower_discretization, .flags = LAYER_ANY_TYPE },
    { "Pipeline", lower_pipeline, .flags = LAYER_ANY_TYPE },
    { NULL },
};
