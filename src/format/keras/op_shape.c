/* op_shape.c - operations of Keras 3 and of tf.keras that move, cut, join and reshape. */
#include <string.h>

#include "base/err.h"
#include "format/keras/ops.h"

static struct value *plain_argument(struct call *c)
{
    struct ktensor *t = first_tensor(c);
    return t ? as_plain(c, t) : NULL;
}

static struct ktensor *lower_reshape(struct call *c)
{
    struct value *x = plain_argument(c), *shape = op_sizes(c, op_argument(c, 1, "newshape new_shape shape"));
    return ktensor_plain(c, emit(c->b, "Reshape", ATTRS(attr_int("allowzero", 1)), x, shape));
}

static struct ktensor *lower_transpose(struct call *c)
{
    struct value *x = plain_argument(c);
    int64_t perm[SHAPE_MAX];
    const json_t *axes = op_argument(c, 1, "axes perm dims");
    int rank = x ? x->shape.rank : 0, n = axes ? op_ints(c, axes, perm, SHAPE_MAX) : rank;
    for (int d = 0; !axes && d < rank; d++) perm[d] = rank - 1 - d;
    if (n < 0 || !x) return NULL;
    for (int d = 0; d < n; d++)
        if ((perm[d] = shape_axis(perm[d], rank)) < 0) return call_fail(c, ERR_MODEL, "its axes"), NULL;
    return ktensor_plain(c, n == rank ? k_transpose(c, x, perm, n) : (call_fail(c, ERR_MODEL, "its axes"), NULL));
}

/* numpy.swapaxes, and numpy.moveaxis of one axis. */
static struct ktensor *lower_swap(struct call *c)
{
    struct value *x = plain_argument(c);
    int64_t perm[SHAPE_MAX], from, to;
    int rank = x ? x->shape.rank : 0;
    char name[64];
    from = shape_axis(op_int(c, 1, "axis1 source", -9), rank);
    to = shape_axis(op_int(c, 2, "axis2 destination", -9), rank);
    if (!x || from < 0 || to < 0) return x ? (call_fail(c, ERR_UNSUPPORTED, "its axes"), NULL) : NULL;
    for (int d = 0, at = 0; d < rank; d++) perm[d] = d == to ? from : (at += at == from, at++);
    if (!strcmp(op_name(c, name), "swapaxes"))
        for (int d = 0; d < rank; d++) perm[d] = d == from ? to : d == to ? from : d;
    return ktensor_plain(c, k_transpose(c, x, perm, rank));
}

static struct ktensor *lower_expand(struct call *c)
{
    struct value *x = plain_argument(c);
    int64_t axes[SHAPE_MAX];
    int n = op_ints(c, op_argument(c, 1, "axis dim"), axes, SHAPE_MAX);
    if (n < 0) return NULL;
    return ktensor_plain(c, emit(c->b, "Unsqueeze", NO_ATTRS, x, emit_i64s(c->b, axes, (size_t)n)));
}

static struct ktensor *lower_squeeze(struct call *c)
{
    struct value *x = plain_argument(c);
    int64_t axes[SHAPE_MAX];
    int n = op_ints(c, op_argument(c, 1, "axis squeeze_dims"), axes, SHAPE_MAX);
    if (n < 0) return NULL;
    return ktensor_plain(
        c, n ? emit(c->b, "Squeeze", NO_ATTRS, x, emit_i64s(c->b, axes, (size_t)n)) : k_op(c, "Squeeze", x));
}

/* The tensors (and constants) of a list. */
static int list_of(struct call *c, const char *names, struct value **out)
{
    const json_t *list = op_argument(c, 0, names);
    enum dtype type = c->n_in ? ktensor_type(c->in[0]) : c->k->compute;
    int n = (int)json_array_size(list);
    if (!n || json_is_object(list)) { /* a layer that is mapped, or tensors one after the other */
        for (n = 0; n < (int)c->n_in; n++) out[n] = as_plain(c, c->in[n]);
        return n;
    }
    if (n > CALL_INPUTS) return call_fail(c, ERR_UNSUPPORTED, "%d tensors", n), -1;
    for (int i = 0; i < n; i++) {
        out[i] = operand(c, json_array_get(list, (size_t)i), type);
        if (out[i]) out[i] = emit_cast(c->b, out[i], type);
    }
    return c->b->err->code ? -1 : n;
}

static struct ktensor *lower_concat(struct call *c)
{
    struct value *v[CALL_INPUTS];
    int n = list_of(c, "xs values arrays", v);
    return n > 0 ? ktensor_plain(c, k_concat(c, v, n, op_int(c, 1, "axis", 0))) : NULL;
}

static struct ktensor *lower_stack(struct call *c)
{
    struct value *v[CALL_INPUTS];
    int64_t axis = op_int(c, 1, "axis", 0);
    int n = list_of(c, "x xs values arrays", v);
    for (int i = 0; i < n; i++) v[i] = k_unsqueeze(c, v[i], axis);
    return n > 0 ? ktensor_plain(c, k_concat(c, v, n, axis)) : NULL;
}

/* Equal parts, or numpy's places to cut at, or TensorFlow's sizes. */
static struct ktensor *lower_split(struct call *c)
{
    const json_t *how = op_argument(c, 1, "indices_or_sections num_or_size_splits num");
    char name[64];
    bool tf = !strcmp(c->layer->class_name, "TFOpLambda"), unstack = !strcmp(op_name(c, name), "unstack");
    int64_t axis = op_int(c, unstack ? 2 : tf ? 2 : 2, "axis", unstack ? 0 : 0), sizes[CALL_OUTPUTS];
    struct value *x = plain_argument(c), *in[2] = { x, NULL };
    int at = x ? shape_axis(axis, x->shape.rank) : -1, n = 0, n_in = 1;
    if (at < 0) return x ? (call_fail(c, ERR_MODEL, "its axis"), NULL) : NULL;
    struct attr attrs[3] = { attr_int("axis", at) };
    if (json_is_integer(how) || !how) {
        n = (int)(json_is_integer(how) ? json_integer_value(how) : x->shape.dim[at]);
        if (n < 1 || n > CALL_OUTPUTS) return call_fail(c, ERR_UNSUPPORTED, "%d parts", n), NULL;
        attrs[1] = attr_int("num_outputs", n);
    } else {
        if ((n = op_ints(c, how, sizes, CALL_OUTPUTS - 1)) < 0) return NULL;
        int64_t before = 0;
        for (int i = 0; !tf && i < n; i++) sizes[i] -= before, before += sizes[i];
        if (!tf) sizes[n++] = x->shape.dim[at] - before;
        in[n_in++] = emit_i64s(c->b, sizes, (size_t)n);
    }
    struct node *node = builder_node(c->b, "Split", attrs, in, n_in, n);
    for (int i = 0; node && i < n; i++) {
        struct value *part = unstack ? k_squeeze(c, node->out[i], at) : node->out[i];
        if (i) c->more[c->n_more++] = ktensor_plain(c, part);
        else x = part;
    }
    return node ? ktensor_plain(c, x) : NULL;
}

static bool is_word(const json_t *v, const char *class_name, const char *text)
{
    const char *s = json_is_object(v) ? class_of(v) : json_string_value(v);
    return s && (!strcmp(s, class_name) || !strcmp(s, text));
}

static bool read_bound(struct call *c, const json_t *v, int64_t otherwise, int64_t *out)
{
    *out = otherwise;
    if (!v || json_is_null(v)) return true;
    *out = json_integer_value(v);
    if (json_is_integer(v)) return true;
    call_fail(c, ERR_UNSUPPORTED, "a slice whose bounds are tensors");
    return false;
}

/* x[.., start:stop:step, 3, None, ...] */
static struct ktensor *lower_get_item(struct call *c)
{
    const json_t *key = op_argument(c, 1, "key slice_spec"), *inner = json_object_get(config_of(key), "value"), *item;
    struct value *x = plain_argument(c);
    if (json_is_object(key) && inner) key = inner; /* a tuple with its class */
    bool one = !json_is_array(key);
    size_t n = one ? 1 : json_array_size(key), i;
    int rank = x ? x->shape.rank : 0, axis = 0, taken = 0;
    if (!x || !key) return x ? (call_fail(c, ERR_UNSUPPORTED, "what it takes"), NULL) : NULL;
    for (i = 0; i < n; i++) {
        item = one ? key : json_array_get(key, i);
        taken += !json_is_null(item) && !is_word(item, "__ellipsis__", "Ellipsis") &&
            !is_word(item, "__ellipsis__", "...");
    }
    for (i = 0; i < n && x; i++) {
        item = one ? key : json_array_get(key, i);
        if (json_is_null(item)) x = k_unsqueeze(c, x, axis++);
        else if (is_word(item, "__ellipsis__", "Ellipsis") || is_word(item, "__ellipsis__", "..."))
            axis += rank - taken;
        else if (json_is_integer(item)) {
            int64_t at = json_integer_value(item);
            x = k_squeeze(c, k_slice(c, x, axis, at, at == -1 ? INT64_MAX : at + 1, 1), axis);
        } else if (json_is_object(item) && !tensor_of(c, item)) {
            const json_t *s = config_of(item) ? config_of(item) : item;
            int64_t step, from, to;
            if (!read_bound(c, json_object_get(s, "step"), 1, &step)) return NULL;
            if (!read_bound(c, json_object_get(s, "start"), step < 0 ? INT64_MAX : 0, &from)) return NULL;
            if (!read_bound(c, json_object_get(s, "stop"), step < 0 ? INT64_MIN : INT64_MAX, &to)) return NULL;
            if (from != 0 || to != INT64_MAX || step != 1) x = k_slice(c, x, axis, from, to, step);
            axis++;
        } else return call_fail(c, ERR_UNSUPPORTED, "an index that is a tensor"), NULL;
    }
    return ktensor_plain(c, x);
}

static struct ktensor *lower_tile(struct call *c)
{
    struct value *x = plain_argument(c);
    int64_t by[SHAPE_MAX], all[SHAPE_MAX];
    int n = op_ints(c, op_argument(c, 1, "repeats multiples reps"), by, SHAPE_MAX), rank = x ? x->shape.rank : 0;
    if (n < 0 || !x || n > rank) return n > rank && x ? (call_fail(c, ERR_UNSUPPORTED, "its repeats"), NULL) : NULL;
    for (int d = 0; d < rank; d++) all[d] = d < rank - n ? 1 : by[d - (rank - n)];
    return ktensor_plain(c, emit(c->b, "Tile", NO_ATTRS, x, emit_i64s(c->b, all, (size_t)rank)));
}

/* Each element `repeats` times along an axis: between it and a new axis of that many. */
static struct ktensor *lower_repeat(struct call *c)
{
    struct value *x = plain_argument(c);
    int64_t n = op_int(c, 1, "repeats", -1), by[SHAPE_MAX + 1], dims[SHAPE_MAX];
    int rank = x ? x->shape.rank : 0, axis = shape_axis(op_int(c, 2, "axis", -9), rank);
    if (!x) return NULL;
    if (n < 1 || axis < 1 || rank == SHAPE_MAX) return call_fail(c, ERR_UNSUPPORTED, "its repeats or axis"), NULL;
    for (int d = 0; d <= rank; d++) by[d] = d == axis + 1 ? n : 1;
    for (int d = 0; d < rank; d++)
        dims[d] = d < axis ? 0 : x->shape.dim[d] < 0 ? -1 : x->shape.dim[d] * (d == axis ? n : 1);
    x = emit(c->b, "Tile", NO_ATTRS, k_unsqueeze(c, x, axis + 1), emit_i64s(c->b, by, (size_t)rank + 1));
    return ktensor_plain(c, k_reshape(c, x, dims, rank));
}

static struct ktensor *lower_flip(struct call *c)
{
    struct value *x = plain_argument(c);
    int64_t axes[SHAPE_MAX];
    int n = op_ints(c, op_argument(c, 1, "axis"), axes, SHAPE_MAX);
    for (int i = 0; i < n && x; i++) x = k_slice(c, x, axes[i], -1, INT64_MIN, -1);
    return n > 0 ? ktensor_plain(c, x) : NULL;
}

static struct ktensor *lower_pad(struct call *c)
{
    struct value *x = plain_argument(c);
    const json_t *widths = op_argument(c, 1, "pad_width paddings"), *value = op_argument(c, 3, "constant_values");
    const char *mode = json_string_value(op_argument(c, 2, "mode"));
    int64_t pads[2 * SHAPE_MAX];
    int rank = x ? x->shape.rank : 0;
    if (!x || (int)json_array_size(widths) != rank)
        return x ? (call_fail(c, ERR_UNSUPPORTED, "its widths"), NULL) : NULL;
    for (int d = 0; d < rank; d++) {
        int64_t two[2];
        if (op_ints(c, json_array_get(widths, (size_t)d), two, 2) != 2)
            return call_fail(c, ERR_UNSUPPORTED, "its widths"), NULL;
        pads[d] = two[0];
        pads[rank + d] = two[1];
    }
    char how[16] = "constant";
    if (mode) snake_case(mode, how, sizeof how);
    if (mode && !strcmp(mode, "CONSTANT")) strcpy(how, "constant");
    if (mode && !strcmp(mode, "REFLECT")) strcpy(how, "reflect");
    struct value *fill = json_is_number(value) ? k_like(c, x, json_number_value(value)) : NULL;
    return ktensor_plain(
        c, emit(c->b, "Pad", ATTRS(attr_string("mode", how)), x, emit_i64s(c->b, pads, (size_t)(2 * rank)), fill));
}

static struct ktensor *lower_shape(struct call *c)
{
    struct value *x = plain_argument(c);
    return ktensor_plain(c, x ? emit_cast(c->b, k_sizes(c, x, 0, x->shape.rank), DT_I32) : NULL);
}

static struct ktensor *lower_flatten(struct call *c)
{
    return ktensor_plain(c, k_reshape(c, plain_argument(c), &(int64_t){ -1 }, 1));
}

static struct ktensor *lower_broadcast(struct call *c)
{
    return ktensor_plain(c, k_op2(c, "Expand", plain_argument(c), op_sizes(c, op_argument(c, 1, "shape"))));
}

static struct ktensor *lower_take(struct call *c)
{
    struct value *x = plain_argument(c);
    struct value *at = operand(c, op_argument(c, 1, "indices"), DT_I32);
    if (!x || !at) return NULL;
    return ktensor_plain(
        c, emit(c->b, "Gather", ATTRS(attr_int("axis", op_int(c, 2, "axis", 0))), x, emit_cast(c->b, at, DT_I64)));
}

/* Blocks of channels to blocks of pixels and back, channels last. */
static struct ktensor *lower_depth(struct call *c)
{
    struct ktensor *t = first_tensor(c);
    if (!t) return NULL;
    return ktensor_first(c,
        emit(c->b, c->layer->row->onnx, ATTRS(attr_int("blocksize", op_int(c, 1, "block_size", 1))), as_first(c, t)));
}

#define ANY .flags = LAYER_ANY_TYPE

const struct layer_row keras_ops_shape[] = {
    { "Reshape reshape", lower_reshape, ANY },
    { "Transpose transpose", lower_transpose, ANY },
    { "Swapaxes swapaxes SwapAxes Moveaxis moveaxis", lower_swap, ANY },
    { "ExpandDims expand_dims expand_dims_v2", lower_expand, ANY },
    { "Squeeze squeeze", lower_squeeze, ANY },
    { "Concatenate concatenate concat", lower_concat, ANY },
    { "Stack stack", lower_stack, ANY },
    { "Split split Unstack unstack", lower_split, ANY },
    { "GetItem __operators__.getitem", lower_get_item, ANY },
    { "Tile tile", lower_tile, ANY },
    { "Repeat repeat", lower_repeat, ANY },
    { "Flip flip reverse", lower_flip, ANY },
    { "Pad pad", lower_pad, ANY },
    { "Shape shape shape_v2", lower_shape, ANY },
    { "Ravel ravel", lower_flatten, ANY },
    { "BroadcastTo broadcast_to", lower_broadcast, ANY },
    { "Take take gather", lower_take, ANY },
    { "DepthToSpace depth_to_space", lower_depth, ANY, .onnx = "DepthToSpace" },
    { "SpaceToDepth space_to_depth", lower_depth, ANY, .onnx = "SpaceToDepth" },
    { NULL },
};
