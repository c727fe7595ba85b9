/* say_net.c - convolutions, poolings, normalizations, products with weights and embeddings as layers of Keras.
 *
 * Kernels become (spatial.., in, out); what a layer cannot pad by itself is padded by a layer in front of it. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/keras/write.h"
#include "graph/op.h"

enum { AXES_MAX = 3 };
static const char *const dims_of[] = { "", "1D", "2D", "3D" };

static const char *dimensional(struct kwriter *w, const char *before, int n, const char *behind)
{
    const char *name = arena_printf(w->arena, "%s%s%s", before, dims_of[n], behind);
    return name ? name : (fail_nomem(w->err), "");
}

/* Windows of a node, and the padding that Keras calls "same". */
struct windows {
    int n;
    int64_t kernel[AXES_MAX], strides[AXES_MAX], dilations[AXES_MAX], pads[2 * AXES_MAX];
    bool same;
};

static void read_ints(const struct node *n, const char *name, int64_t otherwise, int count, int64_t *out)
{
    size_t have;
    const int64_t *v = node_ints(n, name, &have);
    for (int i = 0; i < count; i++) out[i] = v && have == (size_t)count ? v[i] : otherwise;
}

/* Does TensorFlow's rule for "same" give these pads? Only where sizes are known, or every stride is 1. */
static bool is_same(const struct windows *x, const struct shape *s)
{
    for (int i = 0; i < x->n; i++) {
        int64_t extent = (x->kernel[i] - 1) * x->dilations[i] + 1, size = s->dim[2 + i], total = extent - 1;
        if (x->strides[i] != 1 && size < 0) return false;
        if (x->strides[i] != 1)
            total = ((size + x->strides[i] - 1) / x->strides[i] - 1) * x->strides[i] + extent - size;
        if (total < 0) total = 0;
        if (x->pads[i] != total / 2 || x->pads[x->n + i] != total - total / 2) return false;
    }
    return true;
}

static bool any_pad(const struct windows *x)
{
    for (int i = 0; i < 2 * x->n; i++)
        if (x->pads[i]) return true;
    return false;
}

static bool read_windows(struct kwriter *w, const struct node *n, struct windows *x)
{
    const struct value *in = node_in(n, 0);
    const char *pad = node_string(n, "auto_pad");
    *x = (struct windows){ .n = in->shape.rank - 2 };
    if (x->n < 1 || x->n > AXES_MAX) return kw_cannot(w, n, "%d dimensions", in->shape.rank), false;
    read_ints(n, "strides", 1, x->n, x->strides);
    read_ints(n, "dilations", 1, x->n, x->dilations);
    read_ints(n, "pads", 0, 2 * x->n, x->pads);
    read_ints(n, "kernel_shape", 1, x->n, x->kernel);
    const struct value *kernel = strstr(n->op->name, "Conv") ? node_in(n, 1) : NULL;
    for (int i = 0; kernel && i < x->n; i++) x->kernel[i] = kernel->shape.dim[2 + i];
    bool automatic = pad && !strncmp(pad, "SAME", 4);
    if (automatic && strcmp(pad, "SAME_UPPER")) return kw_cannot(w, n, "auto_pad %s", pad), false;
    if (automatic) memset(x->pads, 0, sizeof x->pads);
    x->same = automatic || (any_pad(x) && is_same(x, &in->shape));
    for (int i = 0; i < 2 * x->n; i++)
        if (x->pads[i] < 0) return kw_cannot(w, n, "negative padding"), false;
    return true;
}

static json_t *pairs(const struct windows *x)
{
    json_t *list = json_array();
    if (x->n == 1) return json_decref(list), kw_ints(x->pads, 2);
    for (int i = 0; i < x->n; i++) json_array_append_new(list, json_pack("[I,I]", x->pads[i], x->pads[x->n + i]));
    return list;
}

static struct shape padded_shape(const struct windows *x, const struct made *t)
{
    struct shape s = t->shape;
    for (int i = 0; i < x->n; i++)
        if (s.dim[1 + i] >= 0) s.dim[1 + i] += x->pads[i] + x->pads[x->n + i];
        else s.dim[1 + i] = DIM_UNKNOWN;
    return s;
}

/* Zeros around an image, channels last. */
static struct made *padded(struct kwriter *w, const struct windows *x, struct made *t)
{
    if (!t || x->same || !any_pad(x)) return t;
    struct shape s = padded_shape(x, t);
    return kw_one(w, dimensional(w, "ZeroPadding", x->n, ""), "pad", json_pack("{s:o}", "padding", pairs(x)), t, &s);
}

/* The smallest number around, where a maximum is taken: an operation of Keras 3. */
static struct made *padded_low(struct kwriter *w, const struct windows *x, struct made *t)
{
    if (!t || x->same || !any_pad(x)) return t;
    if (!w->v3) return kw_only_v3(w, w->node), NULL;
    struct shape s = padded_shape(x, t);
    json_t *widths = json_pack("[[i,i]]", 0, 0);
    for (int i = 0; i < x->n; i++) json_array_append_new(widths, json_pack("[I,I]", x->pads[i], x->pads[x->n + i]));
    json_array_append_new(widths, json_pack("[i,i]", 0, 0));
    return kw_op(w, "keras.src.ops.numpy", "Pad", "pad",
        json_pack("{s:o,s:s}", "pad_width", widths, "mode", "constant"),
        json_pack("{s:[o],s:{s:f}}", "args", kw_tensor(t), "kwargs", "constant_values", -3.4028234663852886e38), &s,
        t->dtype);
}

static json_t *window_config(const struct windows *x, const char *kernel)
{
    json_t *c = json_pack("{s:o,s:o,s:s,s:s}", kernel, kw_ints(x->kernel, x->n), "strides", kw_ints(x->strides, x->n),
        "padding", x->same ? "same" : "valid", "data_format", "channels_last");
    return c;
}

static void give_last(struct kwriter *w, struct value *v, struct made *t)
{
    int order[SHAPE_MAX];
    kw_order_last(v->shape.rank, order);
    kw_give(w, v, t, order);
}

static struct shape last_shape(const struct value *v)
{
    int order[SHAPE_MAX];
    kw_order_last(v->shape.rank, order);
    return kw_shape(v, order);
}

/* (out, in, spatial..) to (spatial.., in, out) */
static void to_last(int n, int *perm)
{
    for (int i = 0; i < n; i++) perm[i] = 2 + i;
    perm[n] = 1;
    perm[n + 1] = 0;
}

static void put_bias(struct kwriter *w, const struct node *n, int i, const char *path)
{
    if (node_in(n, i)) kw_weight(w, path, "bias", kw_content(w, n->in[i]));
}

static bool are_weights(struct kwriter *w, const struct node *n, int from)
{
    for (int i = from; i < n->n_in; i++)
        if (n->in[i] && !w->fixed[value_resolve(n->in[i])->id])
            return kw_cannot(
                       w, n, "its %s is no weight but computed from inputs", i == 1 ? "second operand" : "operand"),
                   false;
    return true;
}

static bool is_depthwise(const struct node *n, int axes)
{
    const struct shape *x = &node_in(n, 0)->shape, *k = &node_in(n, 1)->shape;
    return axes < 3 && node_int(n, "group") > 1 && node_int(n, "group") == x->dim[1] && k->dim[1] == 1;
}

static void say_conv(struct kwriter *w, const struct node *n)
{
    struct windows x;
    int perm[SHAPE_MAX];
    if (!are_weights(w, n, 1) || !read_windows(w, n, &x)) return;
    struct made *t = padded(w, &x, kw_last(w, n->in[0]));
    const struct tensor *k = kw_content(w, n->in[1]);
    if (!t || !k) return;
    json_t *c = window_config(&x, "kernel_size");
    json_object_set_new(c, "dilation_rate", kw_ints(x.dilations, x.n));
    json_object_set_new(c, "activation", json_string("linear"));
    json_object_set_new(c, "use_bias", json_boolean(node_in(n, 2)));
    bool depthwise = is_depthwise(n, x.n);
    to_last(x.n, perm);
    w->source = value_resolve(n->in[1]);
    if (depthwise) { /* (C M, 1, spatial..) to (spatial.., C, M) */
        int64_t in = node_int(n, "group");
        struct tensor *parts = ARENA_NEW(w->arena, struct tensor);
        if (!parts) {
            json_decref(c);
            fail_nomem(w->err);
            return;
        }
        *parts = *k;
        parts->shape.dim[0] = in;
        parts->shape.dim[1] = k->shape.dim[0] / in;
        perm[x.n] = 0;
        perm[x.n + 1] = 1;
        json_object_set_new(c, "depth_multiplier", json_integer(parts->shape.dim[1]));
        kw_weight(w, "", "depthwise_kernel", kw_turned(w, parts, perm));
    } else {
        json_object_set_new(c, "filters", json_integer(k->shape.dim[0]));
        json_object_set_new(c, "groups", json_integer(node_int(n, "group")));
        kw_weight(w, "", "kernel", kw_turned(w, k, perm));
    }
    put_bias(w, n, 2, "");
    struct shape s = last_shape(n->out[0]);
    give_last(w, n->out[0], kw_one(w, dimensional(w, depthwise ? "DepthwiseConv" : "Conv", x.n, ""), "", c, t, &s));
}

static struct made *cropped(struct kwriter *w, const struct windows *x, struct made *t, const struct shape *out)
{
    if (!t || !any_pad(x)) return t;
    return kw_one(w, dimensional(w, "Cropping", x->n, ""), "crop", json_pack("{s:o}", "cropping", pairs(x)), t, out);
}

/* Keras' "valid" gives all of (size - 1) stride + extent, or size stride where that is more: the rest is cut off. */
static void say_conv_transpose(struct kwriter *w, const struct node *n)
{
    struct windows x;
    int perm[SHAPE_MAX];
    int64_t extra[AXES_MAX];
    if (!are_weights(w, n, 1) || !read_windows(w, n, &x)) return;
    if (node_int(n, "group") != 1) return kw_cannot(w, n, "groups");
    if (node_has(n, "output_shape") || (node_string(n, "auto_pad") && !strncmp(node_string(n, "auto_pad"), "SAME", 4)))
        return kw_cannot(w, n, "output_shape or auto_pad");
    read_ints(n, "output_padding", 0, x.n, extra);
    struct made *t = kw_last(w, n->in[0]);
    const struct tensor *k = kw_content(w, n->in[1]);
    if (!t || !k) return;
    struct shape whole = last_shape(n->out[0]), out = whole;
    for (int i = 0; i < x.n; i++) {
        int64_t extent = (x.kernel[i] - 1) * x.dilations[i] + 1,
                more = x.strides[i] > extent ? x.strides[i] - extent : 0;
        x.pads[x.n + i] += more - extra[i];
        if (x.pads[x.n + i] < 0) return kw_cannot(w, n, "output_padding beyond what the kernel reaches");
        whole.dim[1 + i] = out.dim[1 + i] < 0 ? DIM_UNKNOWN : out.dim[1 + i] + x.pads[i] + x.pads[x.n + i];
    }
    x.same = false;
    json_t *c = window_config(&x, "kernel_size");
    json_object_set_new(c, "dilation_rate", kw_ints(x.dilations, x.n));
    json_object_set_new(c, "activation", json_string("linear"));
    json_object_set_new(c, "use_bias", json_boolean(node_in(n, 2)));
    json_object_set_new(c, "filters", json_integer(k->shape.dim[1]));
    to_last(x.n, perm); /* (in, out, spatial..) to (spatial.., out, in) */
    w->source = value_resolve(n->in[1]);
    kw_weight(w, "", "kernel", kw_turned(w, k, perm));
    put_bias(w, n, 2, "");
    t = kw_one(w, dimensional(w, "Conv", x.n, "Transpose"), any_pad(&x) ? "all" : "", c, t, &whole);
    give_last(w, n->out[0], cropped(w, &x, t, &out));
}

/* Rounding up gives more windows: as many as padding behind gives. */
static bool read_pool(struct kwriter *w, const struct node *n, struct windows *x)
{
    if (!read_windows(w, n, x)) return false;
    for (int i = 0; i < x->n; i++) {
        int64_t size = node_in(n, 0)->shape.dim[2 + i], out = n->out[0]->shape.dim[2 + i];
        if (x->dilations[i] != 1) return kw_cannot(w, n, "dilations"), false;
        if (!node_int(n, "ceil_mode") || x->same) continue;
        if (size < 0 || out < 0)
            return kw_cannot(w, n, "ceil_mode where sizes are not known; fix them with --shape"), false;
        int64_t more = (out - 1) * x->strides[i] + x->kernel[i] - size - x->pads[i] - x->pads[x->n + i];
        if (more <= 0) continue;
        if (strcmp(n->op->name, "MaxPool")) return kw_cannot(w, n, "ceil_mode"), false;
        x->pads[x->n + i] += more;
    }
    return true;
}

/* Are the value's numbers never below zero? */
static bool is_positive(struct kwriter *w, struct value *v)
{
    static const char *const ops[] = { "Relu", "Sigmoid", "Softmax", "Exp", "Softplus", "HardSigmoid", "MaxPool",
        "Abs" };
    double low;
    const struct node *n = value_resolve(v)->node;
    for (size_t i = 0; n && i < sizeof ops / sizeof *ops; i++)
        if (!strcmp(n->op->name, ops[i])) return strcmp(ops[i], "MaxPool") != 0 || is_positive(w, n->in[0]);
    return n && node_is(n, "Clip") && node_in(n, 1) && kw_scalar(w, n->in[1], &low) && low >= 0;
}

static void say_pool(struct kwriter *w, const struct node *n)
{
    struct windows x;
    bool max = !strcmp(n->op->name, "MaxPool");
    if (max && n->n_out > 1 && n->out[1] && w->needed[n->out[1]->id]) return kw_cannot(w, n, "its indices");
    if (!read_pool(w, n, &x)) return;
    bool counts = !max && node_int(n, "count_include_pad");
    if (!max && !counts && !x.same && any_pad(&x)) return kw_cannot(w, n, "padding that does not count");
    if (counts && x.same && !any_pad(&x)) return kw_cannot(w, n, "auto_pad whose padding counts");
    if (counts) x.same = false;
    struct made *t = kw_last(w, n->in[0]);
    t = max && !is_positive(w, n->in[0]) ? padded_low(w, &x, t) : padded(w, &x, t);
    struct shape s = last_shape(n->out[0]);
    give_last(w, n->out[0],
        kw_one(w, dimensional(w, max ? "MaxPooling" : "AveragePooling", x.n, ""), "", window_config(&x, "pool_size"), t,
            &s));
}

static void say_global(struct kwriter *w, const struct node *n)
{
    int axes = node_in(n, 0)->shape.rank - 2;
    if (axes < 1 || axes > AXES_MAX) return kw_cannot(w, n, "%d dimensions", axes + 2);
    struct shape s = last_shape(n->out[0]);
    bool max = !strcmp(n->op->name, "GlobalMaxPool");
    give_last(w, n->out[0],
        kw_one(w, dimensional(w, max ? "GlobalMaxPooling" : "GlobalAveragePooling", axes, ""), "",
            json_pack("{s:s,s:b}", "data_format", "channels_last", "keepdims", 1), kw_last(w, n->in[0]), &s));
}

static void say_batch_norm(struct kwriter *w, const struct node *n)
{
    static const char *const roles[] = { "gamma", "beta", "moving_mean", "moving_variance" };
    if (!are_weights(w, n, 1)) return;
    if (node_int(n, "training_mode")) return kw_cannot(w, n, "a model in training mode");
    struct made *t = kw_last(w, n->in[0]);
    w->source = value_resolve(n->in[1]);
    for (int i = 0; i < 4; i++) kw_weight(w, "", roles[i], kw_content(w, n->in[1 + i]));
    struct shape s = last_shape(n->out[0]);
    give_last(w, n->out[0],
        kw_one(w, "BatchNormalization", "",
            json_pack("{s:i,s:f,s:f,s:b,s:b}", "axis", -1, "momentum", node_float(n, "momentum"), "epsilon",
                node_float(n, "epsilon"), "center", 1, "scale", 1),
            t, &s));
}

static void say_layer_norm(struct kwriter *w, const struct node *n)
{
    int order[SHAPE_MAX], rank = node_in(n, 0)->shape.rank, axis = shape_axis(node_int(n, "axis"), rank);
    int64_t axes[SHAPE_MAX];
    if (!are_weights(w, n, 1) || axis < 1) return;
    bool one = axis == rank - 1;
    struct made *t = one ? kw_features(w, n->in[0], order) : kw_plain(w, n->in[0]);
    for (int d = axis; d < rank; d++) axes[d - axis] = d - rank;
    json_t *c = json_pack("{s:o,s:f,s:b,s:b}", "axis", one ? json_integer(-1) : kw_ints(axes, rank - axis), "epsilon",
        node_float(n, "epsilon"), "center", node_in(n, 2) != NULL, "scale", 1);
    w->source = value_resolve(n->in[1]);
    kw_weight(w, "", "gamma", kw_content(w, n->in[1]));
    if (node_in(n, 2)) kw_weight(w, "", "beta", kw_content(w, n->in[2]));
    struct shape s = kw_shape(n->out[0], one ? order : NULL);
    kw_give(w, n->out[0], kw_one(w, "LayerNormalization", "", c, t, &s), one ? order : NULL);
}

static void say_group_norm(struct kwriter *w, const struct node *n)
{
    bool each = !strcmp(n->op->name, "InstanceNormalization");
    if (!are_weights(w, n, 1)) return;
    int64_t groups = each ? node_in(n, 0)->shape.dim[1] : node_int(n, "num_groups");
    if (groups < 1) return kw_cannot(w, n, "the number of channels is not known");
    struct made *t = kw_last(w, n->in[0]);
    w->source = value_resolve(n->in[1]);
    kw_weight(w, "", "gamma", kw_content(w, n->in[1]));
    kw_weight(w, "", "beta", kw_content(w, n->in[2]));
    struct shape s = last_shape(n->out[0]);
    give_last(w, n->out[0],
        kw_one(w, "GroupNormalization", "",
            json_pack("{s:I,s:i,s:f,s:b,s:b}", "groups", (json_int_t)groups, "axis", -1, "epsilon",
                node_float(n, "epsilon"), "center", 1, "scale", 1),
            t, &s));
}

/* A bias of `units` numbers, for a dense layer. */
static const struct tensor *flat_bias(struct kwriter *w, struct value *v, int64_t units)
{
    const struct tensor *t = kw_content(w, v);
    int64_t n = t ? tensor_count(t) : 0;
    if (!t || (n != 1 && n != units) || (t->shape.rank && t->shape.dim[t->shape.rank - 1] != n)) return NULL;
    struct shape s = shape_of(1, &units);
    struct tensor *made = tensor_new(w->arena, t->dtype, &s, w->err);
    for (int64_t i = 0; made && i < units; i++) tensor_set_f64(made, i, tensor_get_f64(t, n == 1 ? 0 : i));
    return made;
}

static void dense(
    struct kwriter *w, const struct node *n, const struct tensor *kernel, const struct tensor *bias, struct value *out)
{
    int order[SHAPE_MAX];
    struct made *t = kw_features(w, n->in[0], order);
    if (!t || !kernel) return;
    json_t *c = json_pack(
        "{s:I,s:s,s:b}", "units", (json_int_t)kernel->shape.dim[1], "activation", "linear", "use_bias", bias != NULL);
    w->source = value_resolve(n->in[1]);
    kw_weight(w, "", "kernel", kernel);
    if (bias) kw_weight(w, "", "bias", bias);
    struct shape s = kw_shape(out, order);
    kw_give(w, out, kw_one(w, "Dense", "", c, t, &s), order);
}

static void say_gemm(struct kwriter *w, const struct node *n)
{
    static const int turn[] = { 1, 0 };
    if (!are_weights(w, n, 1)) return;
    if (node_int(n, "transA") || node_float(n, "alpha") != 1 || (node_in(n, 2) && node_float(n, "beta") != 1))
        return kw_cannot(w, n, "transA, alpha or beta");
    const struct tensor *k = kw_content(w, n->in[1]), *b = NULL;
    if (k && node_int(n, "transB")) k = kw_turned(w, k, turn);
    if (k && node_in(n, 2) && !(b = flat_bias(w, n->in[2], k->shape.dim[1])))
        return kw_cannot(w, n, "its third operand");
    dense(w, n, k, b, n->out[0]);
}

/* The sum behind it is the bias, if nothing else reads the product. */
static void say_matmul(struct kwriter *w, const struct node *n)
{
    const struct value *x = node_in(n, 0), *y = node_in(n, 1);
    bool left = w->fixed[value_resolve(n->in[0])->id], right = w->fixed[value_resolve(n->in[1])->id];
    if (right && y->shape.rank == 2 && x->shape.rank > 1) {
        const struct tensor *k = kw_content(w, n->in[1]), *b = NULL;
        struct node *sum = kw_only_reader(w, n, "Add");
        struct value *other = sum ? value_resolve(sum->in[value_resolve(sum->in[0]) == n->out[0]]) : NULL;
        if (k && other && w->fixed[other->id] && sum->out[0]->shape.rank == n->out[0]->shape.rank)
            b = flat_bias(w, other, k->shape.dim[1]);
        if (b) w->said[sum->id] = true;
        dense(w, n, k, b, b ? sum->out[0] : n->out[0]);
        return;
    }
    bool simple = !left && !right && x->shape.rank == 3 && y->shape.rank == 3;
    if (!w->v3 && !simple) return kw_only_v3(w, n);
    struct made *in[] = { left ? NULL : kw_plain(w, n->in[0]), right ? NULL : kw_plain(w, n->in[1]) };
    struct shape s = n->out[0]->shape;
    if ((!left && !in[0]) || (!right && !in[1])) return;
    if (!w->v3) {
        kw_give(w, n->out[0],
            kw_layer(w, "Dot", "", json_pack("{s:[i,i],s:b}", "axes", 2, 1, "normalize", 0), in, 2, &s, in[0]->dtype),
            NULL);
        return;
    }
    json_t *args = json_array();
    for (int i = 0; i < 2; i++) {
        if (!in[i]) kw_frozen(w, n->in[i]);
        json_array_append_new(args, in[i] ? kw_tensor(in[i]) : kw_constant(w, kw_content(w, n->in[i])));
    }
    kw_give(
        w, n->out[0], kw_op(w, "keras.src.ops.numpy", "Matmul", "", json_object(), args, &s, n->out[0]->dtype), NULL);
}

static void say_gather(struct kwriter *w, const struct node *n)
{
    struct value *table = value_resolve(n->in[0]);
    if (!w->fixed[table->id]) return say_take(w, n);
    if (table->shape.rank != 2 || shape_axis(node_int(n, "axis"), 2) != 0)
        return kw_cannot(w, n, "rows of a table that has not two dimensions");
    struct made *t = kw_plain(w, n->in[1]);
    if (!t) return;
    w->source = table;
    kw_weight(w, "", "embeddings", kw_content(w, table));
    struct shape s = n->out[0]->shape;
    json_t *c = json_pack("{s:I,s:I,s:b}", "input_dim", (json_int_t)table->shape.dim[0], "output_dim",
        (json_int_t)table->shape.dim[1], "mask_zero", 0);
    kw_give(w, n->out[0], kw_layer(w, "Embedding", "", c, &t, 1, &s, DT_F32), NULL); /* whatever the table's type */
}

const struct say_row say_net[] = {
    { "Conv", say_conv },
    { "ConvTranspose", say_conv_transpose },
    { "MaxPool", say_pool },
    { "AveragePool", say_pool },
    { "GlobalAveragePool", say_global },
    { "GlobalMaxPool", say_global },
    { "BatchNormalization", say_batch_norm },
    { "LayerNormalization", say_layer_norm },
    { "GroupNormalization", say_group_norm },
    { "InstanceNormalization", say_group_norm },
    { "Gemm", say_gemm },
    { "MatMul", say_matmul },
    { "Gather", say_gather },
    { NULL },
};
