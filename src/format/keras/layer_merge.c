/* layer_merge.c - layers of several tensors. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/keras/keras.h"

/* Tensors of fewer dimensions get ones behind the batch, as Keras has it; channels first only where all can. */
static bool operands(struct call *c, struct value **out, bool *first)
{
    int most = 0;
    *first = false;
    for (size_t i = 0; i < c->n_in; i++) {
        int rank = ktensor_rank(c->in[i]);
        most = rank > most ? rank : most;
        *first |= !c->in[i]->plain;
    }
    for (size_t i = 0; i < c->n_in; i++) *first &= ktensor_rank(c->in[i]) == most;
    for (size_t i = 0; i < c->n_in; i++) {
        out[i] = *first ? as_first(c, c->in[i]) : as_plain(c, c->in[i]);
        for (int r = ktensor_rank(c->in[i]); r < most && out[i]; r++) out[i] = k_unsqueeze(c, out[i], 1);
    }
    return !c->b->err->code;
}

static struct ktensor *lower_merge(struct call *c)
{
    struct value *v[CALL_INPUTS];
    bool first;
    if (!operands(c, v, &first)) return NULL;
    const char *op = c->layer->row->onnx;
    struct value *y = v[0];
    bool mean = !strcmp(op, "Mean");
    for (size_t i = 1; i < c->n_in; i++) y = k_op2(c, mean ? "Add" : op, y, v[i]);
    if (mean) y = k_scaled(c, y, 1.0 / (double)c->n_in, 0);
    return in_form(c, y, first);
}

/* A mask for each input that has none, so that masks can be joined. */
static struct value *joined_masks(struct call *c, int64_t axis, int rank)
{
    struct value *masks[CALL_INPUTS], *all = NULL;
    for (size_t i = 0; i < c->n_in; i++) all = and_masks(c, all, c->in[i]->mask);
    if (!all || shape_axis(axis, rank) != 1) return all;
    for (size_t i = 0; i < c->n_in; i++) {
        masks[i] = c->in[i]->mask;
        if (masks[i]) continue;
        struct value *x = as_plain(c, c->in[i]), *shape = k_sizes(c, x, 0, 2);
        masks[i] = emit(c->b, "Expand", NO_ATTRS, emit_scalar(c->b, DT_BOOL, 1), shape);
    }
    return k_concat(c, masks, (int)c->n_in, 1);
}

static struct ktensor *lower_concat(struct call *c)
{
    struct value *v[CALL_INPUTS];
    bool first;
    if (!operands(c, v, &first)) return NULL;
    int rank = v[0]->shape.rank;
    int64_t axis = shape_axis(cfg_int(c, "axis", cfg_int(c, "concat_axis", -1)), rank);
    if (axis < 0) return call_fail(c, ERR_MODEL, "its axis is not one of the input's"), NULL;
    int64_t place = !first || !axis ? axis : axis == rank - 1 ? 1 : axis + 1;
    struct ktensor *out = in_form(c, k_concat(c, v, (int)c->n_in, place), first);
    if (out) out->mask = joined_masks(c, axis, rank);
    return out;
}

/* x (N, .., K, ..) with K at `axis` as (N, rest, K) */
static struct value *contracted_last(struct call *c, struct value *x, int axis)
{
    int64_t perm[SHAPE_MAX];
    int at = 0;
    for (int d = 0; d < x->shape.rank; d++)
        if (d != axis) perm[at++] = d;
    perm[at] = axis;
    return k_transpose(c, x, perm, x->shape.rank);
}

/* x / sqrt(max(sum of squares, 1e-12)) along an axis */
static struct value *unit(struct call *c, struct value *x, int64_t axis)
{
    struct value *sum = k_reduce(c, "ReduceSumSquare", x, &axis, 1, true);
    sum = emit(c->b, "Max", NO_ATTRS, sum, k_like(c, sum, 1e-12));
    return k_op2(c, "Div", x, k_op(c, "Sqrt", sum));
}

/* The product of two tensors, sample by sample, along an axis of each. */
static struct ktensor *lower_dot(struct call *c)
{
    int64_t axes[2];
    if (c->n_in != 2) return call_fail(c, ERR_MODEL, "it takes two tensors, not %zu", c->n_in), NULL;
    const json_t *given = cfg(c, "axes") ? cfg(c, "axes") : cfg(c, "dot_axes");
    for (int i = 0; i < 2; i++) {
        const json_t *a = json_is_array(given) ? json_array_get(given, (size_t)i) : given;
        axes[i] = shape_axis(json_is_integer(a) ? json_integer_value(a) : -1, ktensor_rank(c->in[i]));
        if (axes[i] < 1 || ktensor_rank(c->in[i]) > 3)
            return call_fail(c, ERR_UNSUPPORTED, "its axes, or more than 3 dimensions"), NULL;
    }
    struct value *v[2];
    for (int i = 0; i < 2; i++) {
        v[i] = as_plain(c, c->in[i]);
        if (cfg_bool(c, "normalize", false)) v[i] = unit(c, v[i], axes[i]);
        if (!v[i]) return NULL;
        v[i] = contracted_last(c, v[i], (int)axes[i]);
        if (v[i] && v[i]->shape.rank == 2) v[i] = k_unsqueeze(c, v[i], 1);
    }
    struct value *y = k_op2(c, "MatMul", v[0], k_transpose(c, v[1], (int64_t[]){ 0, 2, 1 }, 3)); /* (N, rest, rest) */
    bool left = ktensor_rank(c->in[0]) == 3, right = ktensor_rank(c->in[1]) == 3;
    if (!right) y = k_squeeze(c, y, 2);
    if (!left && right) y = k_squeeze(c, y, 1);
    return ktensor_plain(c, y);
}

/* Keras 1: one class for all of them. */
static struct ktensor *lower_merge1(struct call *c)
{
    static const char *const modes[][2] = { { "sum", "Add" }, { "mul", "Multiply" }, { "concat", "Concatenate" },
        { "ave", "Average" }, { "max", "Maximum" }, { "dot", "Dot" } };
    const char *mode = cfg_string(c, "mode", "sum");
    struct layer *l = c->layer, as = *l;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(modes[i][0], mode)) continue;
        as.row = layer_row_find(modes[i][1]);
        c->layer = &as;
        struct ktensor *out = as.row->lower(c);
        c->layer = l;
        return out;
    }
    return call_fail(c, ERR_UNSUPPORTED, "mode \"%.50s\"", mode), NULL;
}

const struct layer_row keras_layers_merge[] = {
    { "Add", lower_merge, .flags = LAYER_KEEPS_MASK, .onnx = "Add" },
    { "Subtract", lower_merge, .flags = LAYER_KEEPS_MASK, .onnx = "Sub" },
    { "Multiply", lower_merge, .flags = LAYER_KEEPS_MASK, .onnx = "Mul" },
    { "Average", lower_merge, .flags = LAYER_KEEPS_MASK, .onnx = "Mean" },
    { "Maximum", lower_merge, .flags = LAYER_KEEPS_MASK, .onnx = "Max" },
    { "Minimum", lower_merge, .flags = LAYER_KEEPS_MASK, .onnx = "Min" },
    { "Concatenate", lower_concat, .flags = LAYER_OWN_MASK },
    { "Dot", lower_dot },
    { "Merge", lower_merge1 },
    { NULL },
};
