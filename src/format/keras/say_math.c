/* say_math.c - activations, sums and products, comparisons and reductions as layers or operations of Keras. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/keras/write.h"
#include "graph/op.h"

#define NUMPY "keras.src.ops.numpy"
#define NN "keras.src.ops.nn"
#define MATH "keras.src.ops.math"

/* The value's first view, and a result in the same one. */
static struct made *source(struct kwriter *w, const struct node *n)
{
    struct view *v = kw_view(w, node_in(n, 0));
    return v ? v->t : NULL;
}

static void give_alike(struct kwriter *w, const struct node *n, struct made *t)
{
    struct view *v = kw_view(w, node_in(n, 0));
    if (v) kw_give_view(w, n->out[0], t, v->axis);
}

static void one_layer(struct kwriter *w, const struct node *n, const char *class_name, json_t *config)
{
    struct made *t = source(w, n);
    if (!t) json_decref(config);
    else give_alike(w, n, kw_one(w, class_name, "", config, t, &t->shape));
}

static void say_activation(struct kwriter *w, const struct node *n)
{
    one_layer(w, n, "Activation", json_pack("{s:s}", "activation", say_find(n->op->name)->keras));
}

/* An operation of Keras 3 on one tensor. */
static void one_op(struct kwriter *w, const struct node *n, const char *module, const char *name, json_t *config)
{
    struct made *t = source(w, n);
    if (!t || !w->v3) {
        json_decref(config);
        if (t) kw_only_v3(w, n);
        return;
    }
    give_alike(w, n, kw_op(w, module, name, "", config, json_pack("[o]", kw_tensor(t)), &t->shape, n->out[0]->dtype));
}

static void say_unary(struct kwriter *w, const struct node *n)
{
    const struct say_row *row = say_find(n->op->name);
    one_op(w, n, row->module, row->keras, json_object());
}

/* Activations that only Keras 3 has by name. */
static void say_activation3(struct kwriter *w, const struct node *n)
{
    if (w->v3) say_activation(w, n);
    else kw_only_v3(w, n);
}

static void say_swish(struct kwriter *w, const struct node *n)
{
    if (node_has(n, "alpha") && node_float(n, "alpha") != 1) return kw_cannot(w, n, "alpha other than 1");
    one_layer(w, n, "Activation", json_pack("{s:s}", "activation", w->v3 ? "silu" : "swish"));
}

static void say_gelu(struct kwriter *w, const struct node *n)
{
    const char *how = node_string(n, "approximate");
    if (!how || strcmp(how, "tanh")) one_layer(w, n, "Activation", json_pack("{s:s}", "activation", "gelu"));
    else one_op(w, n, NN, "Gelu", json_pack("{s:b}", "approximate", 1));
}

static void say_elu(struct kwriter *w, const struct node *n)
{
    one_layer(w, n, "ELU", json_pack("{s:f}", "alpha", node_float(n, "alpha")));
}

static void say_leaky(struct kwriter *w, const struct node *n)
{
    one_layer(w, n, "LeakyReLU", json_pack("{s:f}", w->v3 ? "negative_slope" : "alpha", node_float(n, "alpha")));
}

static json_t *relu(json_t *max, double threshold)
{
    return json_pack("{s:o,s:f,s:f}", "max_value", max, "negative_slope", 0.0, "threshold", threshold);
}

static void say_thresholded(struct kwriter *w, const struct node *n)
{
    one_layer(w, n, "ReLU", relu(json_null(), node_float(n, "alpha")));
}

static void say_clip(struct kwriter *w, const struct node *n)
{
    double low = -INFINITY, high = INFINITY;
    if ((node_in(n, 1) && !kw_scalar(w, n->in[1], &low)) || (node_in(n, 2) && !kw_scalar(w, n->in[2], &high)))
        return kw_cannot(w, n, "bounds that are computed");
    if (low == 0) return one_layer(w, n, "ReLU", relu(isinf(high) ? json_null() : json_real(high), 0));
    low = fmax(low, -3.4028234663852886e38);
    high = fmin(high, 3.4028234663852886e38);
    one_op(w, n, NUMPY, "Clip", json_pack("{s:f,s:f}", "x_min", low, "x_max", high));
}

/* max(0, min(1, alpha x + beta)): Keras' own changed its numbers with version 3. */
static void say_hard_sigmoid(struct kwriter *w, const struct node *n)
{
    struct made *t = source(w, n);
    if (!t) return;
    t = kw_one(w, "Rescaling", "scaled",
        json_pack("{s:f,s:f}", "scale", node_float(n, "alpha"), "offset", node_float(n, "beta")), t, &t->shape);
    if (t) give_alike(w, n, kw_one(w, "ReLU", "", relu(json_real(1), 0), t, &t->shape));
}

/* x max(0, min(1, x / 6 + 1/2)) */
static void say_hard_swish(struct kwriter *w, const struct node *n)
{
    if (w->v3) return one_layer(w, n, "Activation", json_pack("{s:s}", "activation", "hard_silu"));
    struct made *t = source(w, n), *gate;
    if (!t) return;
    gate = kw_one(w, "Rescaling", "scaled", json_pack("{s:f,s:f}", "scale", 1.0 / 6, "offset", 0.5), t, &t->shape);
    gate = gate ? kw_one(w, "ReLU", "gate", relu(json_real(1), 0), gate, &t->shape) : NULL;
    give_alike(w, n, kw_layer(w, "Multiply", "", json_object(), (struct made *[]){ t, gate }, 2, &t->shape, t->dtype));
}

/* One slope for each channel, or for all. */
static void say_prelu(struct kwriter *w, const struct node *n)
{
    const struct tensor *s = kw_content(w, n->in[1]);
    int rank = node_in(n, 0)->shape.rank;
    int64_t dims[SHAPE_MAX], shared[SHAPE_MAX], c = node_in(n, 0)->shape.dim[rank > 1];
    int64_t count = s ? tensor_count(s) : 0;
    bool each = s && count == c &&
        (rank < 3 || (s->shape.rank >= rank - 1 && s->shape.dim[s->shape.rank - rank + 1] == c));
    if (!s || (count != 1 && !each) || c < 1) return kw_cannot(w, n, "slopes that are not one for each channel");
    struct made *t = kw_last(w, n->in[0]);
    for (int d = 0; d < rank - 1; d++) dims[d] = d == rank - 2 ? c : 1, shared[d] = d + 1;
    struct shape shape = shape_of(rank - 1, dims);
    struct tensor *alpha = tensor_new(w->arena, s->dtype, &shape, w->err);
    for (int64_t i = 0; alpha && i < c; i++) tensor_set_f64(alpha, i, tensor_get_f64(s, count == 1 ? 0 : i));
    w->source = value_resolve(n->in[1]);
    kw_weight(w, "", "alpha", alpha);
    int order[SHAPE_MAX];
    kw_order_last(rank, order);
    struct shape out = kw_shape(n->out[0], order);
    kw_give(w, n->out[0], kw_one(w, "PReLU", "", json_pack("{s:o}", "shared_axes", kw_ints(shared, rank - 2)), t, &out),
        order);
}

static void say_softmax(struct kwriter *w, const struct node *n)
{
    struct view *v = kw_view(w, n->in[0]);
    int rank = node_in(n, 0)->shape.rank, axis = shape_axis(node_int(n, "axis"), rank);
    if (!v || axis < 0) return;
    if (v->axis[axis] < 0) return kw_cannot(w, n, "along a dimension of 1");
    int at = v->axis[axis] == v->t->shape.rank - 1 ? -1 : v->axis[axis];
    if (!strcmp(n->op->name, "Softmax")) one_layer(w, n, "Softmax", json_pack("{s:i}", "axis", at));
    else one_op(w, n, NN, "LogSoftmax", json_pack("{s:i}", "axis", at));
}

static void say_dropout(struct kwriter *w, const struct node *n)
{
    double rate = 0.5;
    if (node_in(n, 1) && !kw_scalar(w, n->in[1], &rate)) return kw_cannot(w, n, "a ratio that is computed");
    one_layer(w, n, "Dropout", json_pack("{s:f}", "rate", rate));
}

static void say_identity(struct kwriter *w, const struct node *n)
{
    for (struct view *v = kw_view(w, n->in[0]); v; v = v->next) kw_give_view(w, n->out[0], v->t, v->axis);
}

static void say_cast(struct kwriter *w, const struct node *n)
{
    enum dtype from = node_in(n, 0)->dtype, to = n->out[0]->dtype;
    struct node *table = from == DT_F32 ? kw_only_reader(w, n, "Gather")
                                        : NULL; /* Embedding takes floats as they are */
    if (from == to || (table && w->fixed[value_resolve(table->in[0])->id])) return say_identity(w, n);
    if (dtype_bits(to) < 8) return kw_cannot(w, n, "the type %s", dtype_name(to));
    one_op(w, n, "keras.src.ops.core", "Cast", json_pack("{s:s}", "dtype", dtype_name(to)));
}

/* A tensor or a constant, in the order of the result. */
struct operand {
    struct made *t;
    const struct tensor *constant;
    struct value *value;
};

/* The order in which the node's operands meet: that of the first that has all dimensions of the result. */
static bool common_order(struct kwriter *w, const struct node *n, int *order)
{
    int rank = n->out[0]->shape.rank;
    for (int i = 0; i < n->n_in; i++) {
        struct view *v = kw_view(w, n->in[i]);
        bool whole = v && value_resolve(n->in[i])->shape.rank == rank;
        for (int d = 0; whole && d < rank; d++) whole = v->axis[d] >= 0;
        for (int d = 0; whole && d < rank; d++) order[v->axis[d]] = d;
        if (whole) return true;
    }
    for (int d = 0; d < rank; d++) order[d] = d;
    return rank >= 0;
}

/* A constant with as many dimensions as the result, in that order. */
static const struct tensor *ordered(struct kwriter *w, const struct tensor *t, int rank, const int *order)
{
    int perm[SHAPE_MAX];
    struct tensor *whole = ARENA_NEW(w->arena, struct tensor);
    if (!whole || tensor_count(t) == 1) return whole ? t : (fail_nomem(w->err), NULL);
    *whole = *t;
    whole->shape.rank = rank;
    for (int d = 0; d < rank; d++)
        whole->shape.dim[d] = d < rank - t->shape.rank ? 1 : t->shape.dim[d - (rank - t->shape.rank)];
    for (int d = 0; d < rank; d++) perm[d] = order[d];
    return kw_turned(w, whole, perm);
}

static bool read_operand(struct kwriter *w, const struct node *n, int i, const int *order, struct operand *o)
{
    int rank = n->out[0]->shape.rank;
    *o = (struct operand){ .value = value_resolve(n->in[i]) };
    if (w->fixed[o->value->id]) {
        const struct tensor *t = kw_content(w, o->value);
        return t && (o->constant = ordered(w, t, rank, order));
    }
    if (o->value->shape.rank == rank) return (o->t = kw_want(w, o->value, order)) != NULL;
    struct made *t = kw_plain(w, o->value); /* fewer dimensions: as if there were ones in front */
    struct shape s = { .rank = rank };
    for (int k = 0; k < rank; k++) {
        int d = order[k] - (rank - o->value->shape.rank);
        s.dim[k] = d < 0 ? 1 : o->value->shape.dim[d];
    }
    bool plain = true;
    for (int k = 0; k < rank; k++) plain &= order[k] == k;
    if (t && !plain) return kw_cannot(w, n, "operands of different rank"), false;
    return (o->t = kw_reshaped(w, t, "expanded", rank, s.dim)) != NULL;
}

/* Along the last dimension only, so that a list says it; 1: one number. */
static int64_t per_last(const struct tensor *t)
{
    int64_t n = tensor_count(t);
    return n == 1 || (t->shape.rank && t->shape.dim[t->shape.rank - 1] == n) ? n : 0;
}

static json_t *numbers(const struct tensor *t, double (*f)(double v))
{
    int64_t n = tensor_count(t);
    json_t *list = json_array();
    for (int64_t i = 0; i < n; i++) json_array_append_new(list, json_real(f(tensor_get_f64(t, i))));
    if (n != 1) return list;
    json_t *only = json_incref(json_array_get(list, 0));
    json_decref(list);
    return only;
}

static double same(double v)
{
    return v;
}

static double negated(double v)
{
    return -v;
}

static double inverse(double v)
{
    return 1 / v;
}

/* scale x + offset, which a layer says: for .h5, where there are no operations. */
static bool say_rescaling(struct kwriter *w, const struct node *n, const struct operand *o, const int *order)
{
    const char *op = n->op->name;
    int c = o[1].constant ? 1 : 0;
    const struct tensor *k = o[c].constant;
    bool add = !strcmp(op, "Add"), sub = !strcmp(op, "Sub"), mul = !strcmp(op, "Mul"), div = !strcmp(op, "Div");
    if (!k || !per_last(k) || !(add || sub || mul || (div && c)) || !dtype_is_float(n->out[0]->dtype)) return false;
    struct made *x = o[!c].t;
    bool wider = x->shape.rank && per_last(k) > 1 && x->shape.dim[x->shape.rank - 1] == 1;
    if (wider) return false;
    json_t *scale = mul ? numbers(k, same) : div ? numbers(k, inverse) : json_real(sub && !c ? -1 : 1);
    json_t *offset = add || (sub && !c) ? numbers(k, same) : sub ? numbers(k, negated) : json_real(0);
    kw_frozen(w, o[c].value);
    kw_give(w, n->out[0],
        kw_one(w, "Rescaling", "", json_pack("{s:o,s:o}", "scale", scale, "offset", offset), x, &x->shape), order);
    return true;
}

static void merge(struct kwriter *w, const struct node *n, const struct operand *o, const int *order, const char *layer)
{
    struct made *in[] = { o[0].t, o[1].t };
    struct shape s = kw_shape(n->out[0], order);
    kw_give(w, n->out[0], kw_layer(w, layer, "", json_object(), in, 2, &s, in[0]->dtype), order);
}

/* Layers that merge want one batch; operations do not. */
static bool one_batch(const struct made *a, const struct made *b)
{
    int64_t m = a->shape.rank ? a->shape.dim[0] : 1, n = b->shape.rank ? b->shape.dim[0] : 1;
    return m < 0 || n < 0 || m == n;
}

/* Layers that merge two tensors; operations where one is a constant, or where there is no such layer. */
static void say_binary(struct kwriter *w, const struct node *n)
{
    static const char *const layers[][2] = { { "Add", "Add" }, { "Sub", "Subtract" }, { "Mul", "Multiply" },
        { "Max", "Maximum" }, { "Min", "Minimum" }, { "Mean", "Average" } };
    const struct say_row *row = say_find(n->op->name);
    struct operand o[2];
    int order[SHAPE_MAX];
    if (n->n_in != 2) return kw_cannot(w, n, "%d operands", n->n_in);
    if (!common_order(w, n, order) || !read_operand(w, n, 0, order, &o[0]) || !read_operand(w, n, 1, order, &o[1]))
        return;
    const char *layer = NULL;
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        if (!strcmp(layers[i][0], n->op->name)) layer = layers[i][1];
    if (o[0].t && o[1].t && layer && one_batch(o[0].t, o[1].t)) return merge(w, n, o, order, layer);
    if (!w->v3) {
        if (!say_rescaling(w, n, o, order)) kw_only_v3(w, n);
        return;
    }
    json_t *args = json_array();
    for (int i = 0; i < 2; i++) {
        if (!o[i].t) kw_frozen(w, o[i].value);
        json_array_append_new(args, o[i].t ? kw_tensor(o[i].t) : kw_constant(w, o[i].constant));
    }
    struct shape s = kw_shape(n->out[0], order);
    kw_give(w, n->out[0], kw_op(w, row->module, row->keras, "", json_object(), args, &s, n->out[0]->dtype), order);
}

/* Sums of one, two or more tensors. */
static void say_many(struct kwriter *w, const struct node *n)
{
    struct made *in[64];
    struct operand o;
    int order[SHAPE_MAX];
    const char *op = n->op->name;
    const char *layer = !strcmp(op, "Max") ? "Maximum"
        : !strcmp(op, "Min")               ? "Minimum"
        : !strcmp(op, "Sum")               ? "Add"
                                           : "Average";
    if (n->n_in == 1) return say_identity(w, n);
    if (n->n_in == 2 && strcmp(op, "Sum")) return say_binary(w, n);
    if (n->n_in > 64 || !common_order(w, n, order)) return kw_cannot(w, n, "%d operands", n->n_in);
    for (int i = 0; i < n->n_in; i++) {
        if (!read_operand(w, n, i, order, &o)) return;
        if (!(in[i] = o.t)) return kw_cannot(w, n, "a constant among its operands");
    }
    struct shape s = kw_shape(n->out[0], order);
    kw_give(w, n->out[0], kw_layer(w, layer, "", json_object(), in, n->n_in, &s, in[0]->dtype), order);
}

static void say_where(struct kwriter *w, const struct node *n)
{
    struct operand o[3];
    int order[SHAPE_MAX];
    if (!w->v3) return kw_only_v3(w, n);
    if (!common_order(w, n, order)) return;
    json_t *args = json_array();
    for (int i = 0; i < 3; i++) {
        if (!read_operand(w, n, i, order, &o[i])) {
            json_decref(args);
            return;
        }
        json_array_append_new(args, o[i].t ? kw_tensor(o[i].t) : kw_constant(w, o[i].constant));
    }
    struct shape s = kw_shape(n->out[0], order);
    kw_give(w, n->out[0], kw_op(w, NUMPY, "Where", "", json_object(), args, &s, n->out[0]->dtype), order);
}

/* The mean or maximum over all that lies between batch and channels has a layer. */
static bool global(struct kwriter *w, const struct node *n, const bool *gone, bool keep)
{
    static const char *const dims[] = { "", "1D", "2D", "3D" };
    int rank = node_in(n, 0)->shape.rank, order[SHAPE_MAX];
    bool max = !strcmp(n->op->name, "ReduceMax"), mean = !strcmp(n->op->name, "ReduceMean");
    if ((!max && !mean) || rank < 3 || rank > 5 || gone[0]) return false;
    bool last = gone[rank - 1]; /* channels at 1 */
    if (last) kw_order_last(rank, order);
    else
        for (int d = 0; d < rank; d++) order[d] = d;
    for (int k = 0; k < rank; k++)
        if (gone[order[k]] != (k > 0 && k < rank - 1)) return false;
    struct shape s = kw_shape(n->out[0], keep ? order : NULL);
    char *name = arena_printf(w->arena, "Global%sPooling%s", max ? "Max" : "Average", dims[rank - 2]);
    if (!name) return fail_nomem(w->err), true;
    json_t *c = json_pack("{s:s,s:b}", "data_format", "channels_last", "keepdims", keep);
    struct made *t = kw_one(w, name, "", c, kw_want(w, n->in[0], order), &s);
    kw_give(w, n->out[0], t, keep ? order : NULL);
    return true;
}

static void say_reduce(struct kwriter *w, const struct node *n)
{
    const struct say_row *row = say_find(n->op->name);
    int rank = node_in(n, 0)->shape.rank, count = 0;
    bool gone[SHAPE_MAX] = { false }, keep = node_int(n, "keepdims");
    const int64_t *axes = node_in(n, 1) ? kw_numbers(w, n->in[1], &count) : NULL;
    int64_t list[SHAPE_MAX];
    if (node_in(n, 1) && !axes) return kw_cannot(w, n, "axes that are computed");
    if (!axes && node_int(n, "noop_with_empty_axes")) return say_identity(w, n);
    for (int i = 0; i < count; i++)
        if (shape_axis(axes[i], rank) >= 0) gone[shape_axis(axes[i], rank)] = true;
    for (int d = 0; !count && d < rank; d++) gone[d] = true;
    if (global(w, n, gone, keep)) return;
    if (!w->v3) return kw_only_v3(w, n);
    struct made *t = kw_plain(w, n->in[0]);
    count = 0;
    for (int d = 0; d < rank; d++)
        if (gone[d]) list[count++] = d;
    struct shape s = n->out[0]->shape;
    if (t)
        kw_give(w, n->out[0],
            kw_op(w, NUMPY, row->keras, "", json_pack("{s:o,s:b}", "axis", kw_ints(list, count), "keepdims", keep),
                json_pack("[o]", kw_tensor(t)), &s, n->out[0]->dtype),
            NULL);
}

/* A product of a tensor and weights is a layer. */
static void say_einsum_dense(struct kwriter *w, const struct node *n)
{
    const struct shape *s = &n->out[0]->shape;
    char *equation = arena_strdup(w->arena, node_string(n, "equation")), *to = equation;
    for (const char *c = equation; c && *c; c++)
        if (*c != ' ') *to++ = *c;
    if (!equation) {
        fail_nomem(w->err);
        return;
    }
    *to = 0;
    struct made *t = kw_plain(w, n->in[0]);
    const char *axes = strchr(strstr(equation, "->"), 0);
    const struct tensor *bias = NULL;
    struct node *sum = kw_only_reader(w, n, "Add"); /* of weights along the last dimensions: the bias */
    struct value *other = sum ? value_resolve(sum->in[value_resolve(sum->in[0]) == n->out[0]]) : NULL;
    if (other && w->fixed[other->id] && other->shape.rank > 0 && other->shape.rank < s->rank)
        bias = kw_content(w, other);
    for (int d = 1; bias && d <= bias->shape.rank; d++)
        if (bias->shape.dim[bias->shape.rank - d] != s->dim[s->rank - d]) bias = NULL;
    if (bias) w->said[sum->id] = true, axes -= bias->shape.rank;
    w->source = value_resolve(n->in[1]);
    kw_weight(w, "", "kernel", kw_content(w, n->in[1]));
    if (bias) kw_weight(w, "", "bias", bias);
    kw_give(w, bias ? sum->out[0] : n->out[0],
        kw_one(w, "EinsumDense", "",
            json_pack("{s:s,s:o,s:s,s:s?}", "equation", equation, "output_shape", kw_dims(s, 1), "activation", "linear",
                "bias_axes", bias ? axes : NULL),
            t, s),
        NULL);
}

static void say_einsum(struct kwriter *w, const struct node *n)
{
    const char *equation = node_string(n, "equation");
    bool weights = n->n_in == 2 && w->fixed[value_resolve(n->in[1])->id] && !w->fixed[value_resolve(n->in[0])->id];
    if (weights && strstr(equation, "->")) return say_einsum_dense(w, n);
    if (!w->v3) return kw_only_v3(w, n);
    json_t *args = json_array();
    for (int i = 0; i < n->n_in; i++) {
        bool fixed = w->fixed[value_resolve(n->in[i])->id];
        struct made *t = fixed ? NULL : kw_plain(w, n->in[i]);
        if (fixed) kw_frozen(w, n->in[i]);
        if (!t && !fixed) {
            json_decref(args);
            return;
        }
        json_array_append_new(args, fixed ? kw_constant(w, kw_content(w, n->in[i])) : kw_tensor(t));
    }
    struct shape s = n->out[0]->shape;
    kw_give(w, n->out[0],
        kw_op(w, NUMPY, "Einsum", "", json_pack("{s:s}", "subscripts", node_string(n, "equation")), args, &s,
            n->out[0]->dtype),
        NULL);
}

/* Sums of squares, and their root. */
static void say_squares(struct kwriter *w, const struct node *n)
{
    int rank = node_in(n, 0)->shape.rank, count = 0;
    const int64_t *axes = node_in(n, 1) ? kw_numbers(w, n->in[1], &count) : NULL;
    struct made *t = kw_plain(w, n->in[0]);
    struct shape s = n->out[0]->shape;
    json_t *list = json_array();
    if (!w->v3 || !axes || !t) {
        json_decref(list);
        if (t) w->v3 ? kw_cannot(w, n, "axes that are computed, or all") : kw_only_v3(w, n);
        return;
    }
    for (int i = 0; i < count; i++) json_array_append_new(list, json_integer(shape_axis(axes[i], rank)));
    bool root = !strcmp(n->op->name, "ReduceL2");
    t = kw_op(w, NUMPY, "Square", "squared", json_object(), json_pack("[o]", kw_tensor(t)), &t->shape, t->dtype);
    json_t *config = json_pack("{s:o,s:b}", "axis", list, "keepdims", node_int(n, "keepdims") != 0);
    t = kw_op(
        w, NUMPY, "Sum", root ? "summed" : "", config, t ? json_pack("[o]", kw_tensor(t)) : NULL, &s, n->out[0]->dtype);
    if (root && t) t = kw_op(w, NUMPY, "Sqrt", "", json_object(), json_pack("[o]", kw_tensor(t)), &s, t->dtype);
    kw_give(w, n->out[0], t, NULL);
}

static void say_arg(struct kwriter *w, const struct node *n)
{
    struct made *t = kw_plain(w, n->in[0]);
    struct shape s = n->out[0]->shape;
    if (!t) return;
    if (!w->v3) return kw_only_v3(w, n);
    if (node_int(n, "select_last_index")) return kw_cannot(w, n, "select_last_index");
    json_t *config = json_pack(
        "{s:I,s:b}", "axis", (json_int_t)node_int(n, "axis"), "keepdims", node_int(n, "keepdims") != 0);
    t = kw_op(w, NUMPY, say_find(n->op->name)->keras, "index", config, json_pack("[o]", kw_tensor(t)), &s, DT_I32);
    if (t)
        kw_give(w, n->out[0],
            kw_op(w, "keras.src.ops.core", "Cast", "", json_pack("{s:s}", "dtype", "int64"),
                json_pack("[o]", kw_tensor(t)), &s, DT_I64),
            NULL);
}

const struct say_row say_math[] = {
    { "Relu", say_activation, "relu" },
    { "Sigmoid", say_activation, "sigmoid" },
    { "Tanh", say_activation, "tanh" },
    { "Softplus", say_activation, "softplus" },
    { "Softsign", say_activation, "softsign" },
    { "Selu", say_activation, "selu" },
    { "Exp", say_activation, "exponential" },
    { "Mish", say_activation3, "mish" },
    { "LogSigmoid", say_activation3, "log_sigmoid" },
    { "Swish", say_swish },
    { "Gelu", say_gelu },
    { "Elu", say_elu },
    { "LeakyRelu", say_leaky },
    { "ThresholdedRelu", say_thresholded },
    { "Clip", say_clip, .reads = 1 },
    { "HardSigmoid", say_hard_sigmoid },
    { "HardSwish", say_hard_swish },
    { "PRelu", say_prelu, .reads = 1 },
    { "Softmax", say_softmax },
    { "LogSoftmax", say_softmax },
    { "Dropout", say_dropout, .reads = 1 },
    { "Identity", say_identity },
    { "Cast", say_cast },
    { "Add", say_binary, "Add", NUMPY },
    { "Sub", say_binary, "Subtract", NUMPY },
    { "Mul", say_binary, "Multiply", NUMPY },
    { "Div", say_binary, "Divide", NUMPY },
    { "Pow", say_binary, "Power", NUMPY },
    { "Greater", say_binary, "Greater", NUMPY },
    { "GreaterOrEqual", say_binary, "GreaterEqual", NUMPY },
    { "Less", say_binary, "Less", NUMPY },
    { "LessOrEqual", say_binary, "LessEqual", NUMPY },
    { "Equal", say_binary, "Equal", NUMPY },
    { "And", say_binary, "LogicalAnd", NUMPY },
    { "Or", say_binary, "LogicalOr", NUMPY },
    { "Max", say_many, "Maximum", NUMPY },
    { "Min", say_many, "Minimum", NUMPY },
    { "Mean", say_many, "Average", NUMPY },
    { "Sum", say_many },
    { "Where", say_where },
    { "Sqrt", say_unary, "Sqrt", NUMPY },
    { "Log", say_unary, "Log", NUMPY },
    { "Abs", say_unary, "Absolute", NUMPY },
    { "Neg", say_unary, "Negative", NUMPY },
    { "Reciprocal", say_unary, "Reciprocal", NUMPY },
    { "Erf", say_unary, "Erf", MATH },
    { "Floor", say_unary, "Floor", NUMPY },
    { "Ceil", say_unary, "Ceil", NUMPY },
    { "Round", say_unary, "Round", NUMPY },
    { "Sign", say_unary, "Sign", NUMPY },
    { "Sin", say_unary, "Sin", NUMPY },
    { "Cos", say_unary, "Cos", NUMPY },
    { "Not", say_unary, "LogicalNot", NUMPY },
    { "ReduceMean", say_reduce, "Mean", .reads = 1 },
    { "ReduceSum", say_reduce, "Sum", .reads = 1 },
    { "ReduceMax", say_reduce, "Max", .reads = 1 },
    { "ReduceMin", say_reduce, "Min", .reads = 1 },
    { "ReduceProd", say_reduce, "Prod", .reads = 1 },
    { "ReduceSumSquare", say_squares, .reads = 1 },
    { "ReduceL2", say_squares, .reads = 1 },
    { "ArgMax", say_arg, "Argmax" },
    { "ArgMin", say_arg, "Argmin" },
    { "Einsum", say_einsum },
    { NULL },
};
