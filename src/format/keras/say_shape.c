/* say_shape.c - reshaping, cutting, joining, padding and enlarging as layers or operations of Keras. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/keras/write.h"
#include "graph/op.h"

#define NUMPY "keras.src.ops.numpy"
static const char *const dims_of[] = { "", "1D", "2D", "3D" };

static const char *dimensional(struct kwriter *w, const char *before, int n)
{
    const char *name = arena_printf(w->arena, "%s%s", before, dims_of[n]);
    return name ? name : (fail_nomem(w->err), "");
}

/* The dimension that is Keras' batch; -1: it is none of these. */
static int batch_of(const struct view *v, int rank)
{
    for (int d = 0; d < rank; d++)
        if (v->axis[d] == 0) return d;
    return -1;
}

/* What both shapes begin with stays; it goes in front, the batch first, and the rest becomes what it has to be. */
static void say_reshape(struct kwriter *w, const struct node *n)
{
    const struct shape *from = &node_in(n, 0)->shape, *to = &n->out[0]->shape;
    struct view *v = kw_view(w, n->in[0]);
    int same = 0, order[SHAPE_MAX], at = 0;
    if (!v) return;
    if (from->rank < 0 || to->rank < 0) return kw_cannot(w, n, "a rank that is not known");
    while (same < from->rank && same < to->rank && from->dim[same] == to->dim[same] && from->dim[same] != DIM_UNKNOWN)
        same++;
    int batch = batch_of(v, from->rank);
    if (batch >= same || batch < 0) {
        struct made *t = kw_plain(w, n->in[0]);
        if (t) kw_give(w, n->out[0], kw_reshaped(w, t, "", to->rank, to->dim), NULL);
        return;
    }
    order[at++] = batch;
    for (int d = 0; d < from->rank; d++)
        if (d != batch) order[at++] = d;
    struct made *t = kw_want(w, n->in[0], order);
    for (int d = at = 0; d < to->rank; d++) order[at++] = d == 0 ? batch : d <= batch ? d - 1 : d;
    struct shape s = kw_shape(n->out[0], order);
    kw_give(w, n->out[0], kw_reshaped(w, t, "", s.rank, s.dim), order);
}

static void say_flatten(struct kwriter *w, const struct node *n)
{
    struct made *t = NULL;
    int rank = node_in(n, 0)->shape.rank;
    if (shape_axis(node_int(n, "axis"), rank) != 1) return say_reshape(w, n);
    if (rank > 1) t = kw_plain(w, n->in[0]);
    if (t && rank == 2) return kw_give(w, n->out[0], t, NULL);
    kw_give(w, n->out[0],
        kw_one(w, "Flatten", "", json_pack("{s:s}", "data_format", "channels_last"), t, &n->out[0]->shape), NULL);
}

static void say_transpose(struct kwriter *w, const struct node *n)
{
    size_t count;
    const int64_t *perm = node_ints(n, "perm", &count);
    int rank = node_in(n, 0)->shape.rank, axis[SHAPE_MAX];
    for (struct view *v = kw_view(w, n->in[0]); v; v = v->next) {
        for (int d = 0; d < rank; d++) axis[d] = v->axis[perm ? perm[d] : rank - 1 - d];
        kw_give_view(w, n->out[0], v->t, axis);
    }
}

static bool among(const int64_t *axes, int n, int rank, int d)
{
    for (int i = 0; i < n; i++)
        if (shape_axis(axes[i], rank) == d) return true;
    return false;
}

static void say_unsqueeze(struct kwriter *w, const struct node *n)
{
    int count = 0, rank = n->out[0]->shape.rank, axis[SHAPE_MAX];
    const int64_t *axes = kw_numbers(w, n->in[1], &count);
    if (!axes) return kw_cannot(w, n, "axes that are computed");
    for (struct view *v = kw_view(w, n->in[0]); v; v = v->next) {
        for (int d = 0, at = 0; d < rank; d++) axis[d] = among(axes, count, rank, d) ? -1 : v->axis[at++];
        kw_give_view(w, n->out[0], v->t, axis);
    }
}

/* Dimensions that the tensor has not are dropped for nothing. */
static void say_squeeze(struct kwriter *w, const struct node *n)
{
    int count = 0, rank = node_in(n, 0)->shape.rank, axis[SHAPE_MAX];
    const int64_t *axes = node_in(n, 1) ? kw_numbers(w, n->in[1], &count) : NULL;
    struct view *v = kw_view(w, n->in[0]);
    bool free_of_charge = axes && v;
    for (int d = 0, at = 0; free_of_charge && d < rank; d++)
        if (!among(axes, count, rank, d)) axis[at++] = v->axis[d];
        else free_of_charge = v->axis[d] < 0;
    if (free_of_charge) kw_give_view(w, n->out[0], v->t, axis);
    else say_reshape(w, n);
}

/* The value's first view with every dimension there, or the plain one. */
static struct made *whole(struct kwriter *w, struct value *v, int *order)
{
    struct view *at = kw_view(w, v);
    int rank = value_resolve(v)->shape.rank;
    bool good = at != NULL;
    for (int d = 0; good && d < rank; d++) good = at->axis[d] >= 0;
    for (int d = 0; d < rank; d++) order[good ? at->axis[d] : d] = d;
    return good ? at->t : kw_plain(w, v);
}

/* With a weight or constant among them: an operation. */
static void say_concat_constant(struct kwriter *w, const struct node *n, int axis)
{
    if (!w->v3) return kw_only_v3(w, n);
    json_t *list = json_array();
    for (int i = 0; i < n->n_in; i++) {
        bool fixed = w->fixed[value_resolve(n->in[i])->id];
        struct made *t = fixed ? NULL : kw_plain(w, n->in[i]);
        if (fixed) kw_frozen(w, n->in[i]);
        json_t *one = fixed ? kw_constant(w, kw_content(w, n->in[i])) : kw_tensor(t);
        if (!one || json_array_append_new(list, one)) return json_decref(list);
    }
    struct shape s = n->out[0]->shape;
    kw_give(w, n->out[0],
        kw_op(w, NUMPY, "Concatenate", "", json_pack("{s:i}", "axis", axis), json_pack("[o]", list), &s,
            n->out[0]->dtype),
        NULL);
}

static void say_concat(struct kwriter *w, const struct node *n)
{
    struct made *in[256];
    int order[SHAPE_MAX], rank = n->out[0]->shape.rank, axis = shape_axis(node_int(n, "axis"), rank), at = 0;
    if (n->n_in > 256 || axis < 0) return kw_cannot(w, n, "%d operands", n->n_in);
    for (int i = 0; i < n->n_in; i++)
        if (w->fixed[value_resolve(n->in[i])->id]) return say_concat_constant(w, n, axis);
    if (!whole(w, n->in[0], order)) return;
    for (int i = 0; i < n->n_in; i++)
        if (!(in[i] = kw_want(w, n->in[i], order))) return;
    while (order[at] != axis) at++;
    struct shape s = kw_shape(n->out[0], order);
    if (n->n_in == 1) return kw_give(w, n->out[0], in[0], order);
    kw_give(w, n->out[0],
        kw_layer(
            w, "Concatenate", "", json_pack("{s:i}", "axis", at == rank - 1 ? -1 : at), in, n->n_in, &s, in[0]->dtype),
        order);
}

static json_t *bound(int64_t v)
{
    return v == INT64_MAX ? json_null() : json_integer(v);
}

static json_t *slice_json(int64_t from, int64_t to, int64_t step)
{
    json_t *start = from == 0 && step > 0 ? json_null() : bound(from), *stop = bound(to);
    if (step < 0 && to < -INT32_MAX) json_decref(stop), stop = json_null();
    return json_pack("{s:s,s:{s:o,s:o,s:o}}", "class_name", "__slice__", "config", "start", start, "stop", stop, "step",
        step == 1 ? json_null() : json_integer(step));
}

/* Rows from the front and the back of images or sequences. */
static bool say_cropping(struct kwriter *w, const struct node *n, const int64_t (*cut)[3])
{
    int rank = n->out[0]->shape.rank, order[SHAPE_MAX], axes = rank - 2;
    json_t *list = json_array();
    bool there = rank > 0 && whole(w, n->in[0], order) && !cut[order[0]][2] && !cut[order[rank - 1]][2];
    if (!there) kw_order_last(rank, order);
    bool good = rank >= 3 && rank <= 5 && cut[order[0]][2] == 0 && cut[order[rank - 1]][2] == 0;
    for (int k = 1; good && k < rank - 1; k++) {
        int64_t size = node_in(n, 0)->shape.dim[order[k]], from = cut[order[k]][0], to = cut[order[k]][1];
        if (!cut[order[k]][2]) from = 0, to = INT64_MAX;
        if (from < 0) from += size < 0 ? INT32_MIN : size;
        int64_t behind = to >= INT32_MAX ? 0 : to < 0 ? -to : size < 0 ? -1 : size - to;
        if (size >= 0 && behind < 0) behind = 0;
        good = from >= 0 && behind >= 0 && cut[order[k]][2] <= 1;
        json_array_append_new(list, json_pack("[I,I]", (json_int_t)from, (json_int_t)behind));
    }
    struct made *t = good ? kw_want(w, n->in[0], order) : NULL;
    struct shape s = kw_shape(n->out[0], order);
    if (t) {
        json_t *by = axes == 1 ? json_incref(json_array_get(list, 0)) : json_incref(list);
        kw_give(w, n->out[0],
            kw_one(w, dimensional(w, "Cropping", axes), "", json_pack("{s:o}", "cropping", by), t, &s), order);
    }
    json_decref(list);
    return good;
}

static void say_slice(struct kwriter *w, const struct node *n)
{
    int64_t cut[SHAPE_MAX][3] = { { 0 } }; /* from, to, step; step 0: all of it */
    int rank = node_in(n, 0)->shape.rank, order[SHAPE_MAX], n_from = 0, n_to = 0, n_axes = 0, n_steps = 0;
    const int64_t *from = kw_numbers(w, n->in[1], &n_from), *to = kw_numbers(w, n->in[2], &n_to);
    const int64_t *axes = node_in(n, 3) ? kw_numbers(w, n->in[3], &n_axes) : NULL;
    const int64_t *steps = node_in(n, 4) ? kw_numbers(w, n->in[4], &n_steps) : NULL;
    if (!from || !to || (node_in(n, 3) && !axes) || (node_in(n, 4) && !steps))
        return kw_cannot(w, n, "bounds that are computed");
    for (int i = 0; i < n_from && i < n_to && i < SHAPE_MAX; i++) {
        int d = axes ? shape_axis(axes[i], rank) : i;
        if (d < 0 || d >= rank) return;
        cut[d][0] = from[i];
        cut[d][1] = to[i];
        cut[d][2] = steps && i < n_steps ? steps[i] : 1;
    }
    if (say_cropping(w, n, (const int64_t(*)[3])cut) || w->err->code) return;
    if (!w->v3) return kw_only_v3(w, n);
    struct made *t = whole(w, n->in[0], order);
    if (!t) return;
    json_t *key = json_array();
    for (int k = 0; k < rank; k++) {
        const int64_t *c = cut[order[k]];
        json_array_append_new(
            key, c[2] ? slice_json(c[0], c[1] >= INT32_MAX ? INT64_MAX : c[1], c[2]) : slice_json(0, INT64_MAX, 1));
    }
    struct shape s = kw_shape(n->out[0], order);
    kw_give(w, n->out[0],
        kw_op(w, NUMPY, "GetItem", "", json_object(), json_pack("[o,o]", kw_tensor(t), key), &s, t->dtype), order);
}

/* One place along an axis, which goes: a slice, then another shape. */
static void take_one(struct kwriter *w, const struct node *n, int axis, int64_t at)
{
    int rank = node_in(n, 0)->shape.rank, order[SHAPE_MAX], less[SHAPE_MAX], k = 0;
    struct made *t = whole(w, n->in[0], order);
    if (!t) return;
    for (int i = 0; i < rank; i++)
        if (order[i] != axis) less[k++] = order[i] - (order[i] > axis);
    struct shape s = kw_shape(n->out[0], less);
    int64_t size = node_in(n, 0)->shape.dim[axis];
    if (w->v3) {
        json_t *key = json_array();
        for (int i = 0; i < rank; i++)
            json_array_append_new(key, order[i] == axis ? json_integer(at) : slice_json(0, INT64_MAX, 1));
        t = kw_op(w, NUMPY, "GetItem", "", json_object(), json_pack("[o,o]", kw_tensor(t), key), &s, t->dtype);
    } else {
        if (rank != 3 || order[0] == axis || size < 0)
            return kw_cannot(w, n, "one place along an axis; .keras has an operation for it");
        int turn[] = { order[0], axis, 3 - order[0] - axis };
        struct shape one = kw_shape(node_in(n, 0), turn);
        one.dim[1] = 1;
        if (at < 0) at += size;
        t = kw_one(w, "Cropping1D", "cut",
            json_pack("{s:[I,I]}", "cropping", (json_int_t)at, (json_int_t)(size - 1 - at)), kw_want(w, n->in[0], turn),
            &one);
        s.dim[0] = one.dim[0], s.dim[1] = one.dim[2];
        t = kw_reshaped(w, t, "", 2, s.dim);
        less[0] = turn[0] - (turn[0] > axis), less[1] = turn[2] - (turn[2] > axis);
    }
    kw_give(w, n->out[0], t, less);
}

void say_take(struct kwriter *w, const struct node *n)
{
    const struct tensor *at = kw_content(w, n->in[1]);
    int rank = node_in(n, 0)->shape.rank, axis = shape_axis(node_int(n, "axis"), rank);
    if (!at || axis < 0) return kw_cannot(w, n, "from a computed tensor at computed places");
    if (!at->shape.rank) return take_one(w, n, axis, tensor_get_i64(at, 0));
    if (!w->v3) return kw_only_v3(w, n);
    struct made *t = kw_plain(w, n->in[0]);
    struct shape s = n->out[0]->shape;
    if (t)
        kw_give(w, n->out[0],
            kw_op(w, NUMPY, "Take", "", json_pack("{s:i}", "axis", axis),
                json_pack("[o,o]", kw_tensor(t), kw_constant(w, at)), &s, t->dtype),
            NULL);
}

static void say_split(struct kwriter *w, const struct node *n)
{
    int order[SHAPE_MAX], rank = node_in(n, 0)->shape.rank, axis = shape_axis(node_int(n, "axis"), rank), at = 0;
    int64_t places[64], sum = 0;
    if (!w->v3) return kw_only_v3(w, n);
    if (n->n_out > 64 || axis < 0) return kw_cannot(w, n, "%d parts", n->n_out);
    struct made *t = whole(w, n->in[0], order);
    if (!t) return;
    while (order[at] != axis) at++;
    for (int i = 0; i < n->n_out; i++) {
        if (n->out[i]->shape.dim[axis] < 0) return kw_cannot(w, n, "parts of sizes that are not known");
        places[i] = sum += n->out[i]->shape.dim[axis];
    }
    struct shape s = kw_shape(n->out[0], order);
    struct made *first = kw_op(w, NUMPY, "Split", "",
        json_pack("{s:o,s:i}", "indices_or_sections", kw_ints(places, n->n_out - 1), "axis", at),
        json_pack("[o]", kw_tensor(t)), &s, t->dtype);
    for (int i = 0; i < n->n_out && first; i++) {
        s = kw_shape(n->out[i], order);
        kw_give(w, n->out[i], i ? kw_result(w, first, i, &s) : first, order);
    }
}

/* The order that is there, if nothing happens to its first and last dimension. */
static bool spatial_order(struct kwriter *w, const struct node *n, int *order, int64_t (*by)[2])
{
    int rank = node_in(n, 0)->shape.rank;
    if (rank < 1 || !whole(w, n->in[0], order)) return false;
    const int64_t *first = by[order[0]], *last = by[order[rank - 1]];
    return !first[0] && !first[1] && !last[0] && !last[1];
}

static void say_pad(struct kwriter *w, const struct node *n)
{
    int order[SHAPE_MAX], rank = node_in(n, 0)->shape.rank, count = 0, n_axes = 0;
    int64_t by[SHAPE_MAX][2] = { { 0 } };
    double fill = 0;
    const char *mode = node_string(n, "mode");
    const int64_t *pads = kw_numbers(w, n->in[1], &count),
                  *axes = node_in(n, 3) ? kw_numbers(w, n->in[3], &n_axes) : NULL;
    if (!pads || (node_in(n, 3) && !axes) || (node_in(n, 2) && !kw_scalar(w, n->in[2], &fill)))
        return kw_cannot(w, n, "widths that are computed");
    bool constant = !mode || !strcmp(mode, "constant"), spatial = true;
    if (!constant && strcmp(mode, "reflect")) return kw_cannot(w, n, "mode %s", mode);
    for (int i = 0; i < count / 2; i++) {
        int d = axes ? shape_axis(axes[i], rank) : i;
        if (d < 0 || d >= rank) return;
        by[d][0] = pads[i], by[d][1] = pads[count / 2 + i];
        if (by[d][0] < 0 || by[d][1] < 0) return kw_cannot(w, n, "negative padding");
    }
    if (!spatial_order(w, n, order, by)) kw_order_last(rank, order);
    json_t *all = json_array(), *inner = json_array();
    for (int k = 0; k < rank; k++) {
        const int64_t *p = by[order[k]];
        json_array_append_new(all, json_pack("[I,I]", (json_int_t)p[0], (json_int_t)p[1]));
        if (k && k < rank - 1) json_array_append_new(inner, json_pack("[I,I]", (json_int_t)p[0], (json_int_t)p[1]));
        else spatial &= !p[0] && !p[1];
    }
    struct made *t = kw_want(w, n->in[0], order);
    struct shape s = kw_shape(n->out[0], order);
    if (t && constant && fill == 0 && spatial && rank >= 3 && rank <= 5) {
        json_t *c = rank == 3 ? json_incref(json_array_get(inner, 0)) : json_incref(inner);
        t = kw_one(w, dimensional(w, "ZeroPadding", rank - 2), "", json_pack("{s:o}", "padding", c), t, &s);
    } else if (t && w->v3) {
        json_t *args = constant ? json_pack("{s:[o],s:{s:f}}", "args", kw_tensor(t), "kwargs", "constant_values", fill)
                                : json_pack("[o]", kw_tensor(t));
        t = kw_op(w, NUMPY, "Pad", "",
            json_pack("{s:O,s:s}", "pad_width", all, "mode", constant ? "constant" : "reflect"), args, &s, t->dtype);
    } else if (t) kw_only_v3(w, n), t = NULL;
    kw_give(w, n->out[0], t, order);
    json_decref(all);
    json_decref(inner);
}

/* How many times larger each spatial dimension becomes; 0: not by a whole number, or not known. */
static bool scales_of(struct kwriter *w, const struct node *n, int rank, int64_t *out)
{
    size_t n_axes = 0;
    const int64_t *axes = node_ints(n, "axes", &n_axes);
    const struct tensor *scales = node_in(n, 2) ? kw_content(w, n->in[2]) : NULL;
    for (int d = 0; d < rank; d++) {
        int64_t from = node_in(n, 0)->shape.dim[d], to = n->out[0]->shape.dim[d];
        double s = from > 0 && to > 0 ? (double)to / (double)from : from == to && from != DIM_UNKNOWN ? 1 : 0;
        for (size_t i = 0; scales && tensor_count(scales) && i < (axes ? n_axes : (size_t)rank); i++)
            if ((axes ? shape_axis(axes[i], rank) : (int)i) == d) s = tensor_get_f64(scales, (int64_t)i);
        out[d] = s == floor(s) && s >= 1 && s < 1024 ? (int64_t)s : 0;
        if (!out[d]) return false;
    }
    return out[0] == 1 && out[1] == 1;
}

static void say_resize(struct kwriter *w, const struct node *n)
{
    int rank = node_in(n, 0)->shape.rank, order[SHAPE_MAX];
    int64_t by[SHAPE_MAX];
    const char *mode = node_string(n, "mode"), *where = node_string(n, "coordinate_transformation_mode");
    const char *nearest = node_string(n, "nearest_mode");
    bool linear = !strcmp(mode, "linear"), half = !strcmp(where, "half_pixel") || !strcmp(where, "pytorch_half_pixel");
    bool repeats = !strcmp(mode, "nearest") &&
        ((!strcmp(where, "asymmetric") && nearest && !strcmp(nearest, "floor")) ||
            (half && nearest && !strncmp(nearest, "round", 5)));
    if (node_int(n, "antialias") || !(repeats || (linear && half && rank == 4)))
        return kw_cannot(w, n, "%s with %s coordinates", mode, where);
    kw_order_last(rank, order);
    struct shape s = kw_shape(n->out[0], order);
    if (rank < 3 || rank > 5) return kw_cannot(w, n, "%d dimensions", rank);
    if (scales_of(w, n, rank, by)) {
        json_t *c = json_pack("{s:o}", "size", rank == 3 ? json_integer(by[2]) : kw_ints(by + 2, rank - 2));
        if (rank == 4) json_object_set_new(c, "interpolation", json_string(linear ? "bilinear" : "nearest"));
        kw_give(
            w, n->out[0], kw_one(w, dimensional(w, "UpSampling", rank - 2), "", c, kw_last(w, n->in[0]), &s), order);
        return;
    }
    const char *policy = node_string(n, "keep_aspect_ratio_policy");
    const struct tensor *scales = node_in(n, 2) ? kw_content(w, n->in[2]) : NULL;
    if (!linear || s.dim[1] < 0 || s.dim[2] < 0 || (scales && tensor_count(scales)) ||
        (policy && strcmp(policy, "stretch")))
        return kw_cannot(w, n, "a size that is no multiple and not given as such");
    kw_give(w, n->out[0],
        kw_one(w, "Resizing", "",
            json_pack("{s:I,s:I,s:s}", "height", (json_int_t)s.dim[1], "width", (json_int_t)s.dim[2], "interpolation",
                "bilinear"),
            kw_last(w, n->in[0]), &s),
        order);
}

static void say_expand(struct kwriter *w, const struct node *n)
{
    struct made *t = kw_plain(w, n->in[0]);
    struct shape s = n->out[0]->shape;
    if (!t) return;
    if (shape_equal(&node_in(n, 0)->shape, &s)) return kw_give(w, n->out[0], t, NULL);
    if (!w->v3) return kw_only_v3(w, n);
    if (!shape_is_known(&s)) return kw_cannot(w, n, "to a shape that is not known");
    kw_give(w, n->out[0],
        kw_op(w, NUMPY, "BroadcastTo", "", json_pack("{s:o}", "shape", kw_ints(s.dim, s.rank)),
            json_pack("[o]", kw_tensor(t)), &s, t->dtype),
        NULL);
}

const struct say_row say_shape[] = {
    { "Reshape", say_reshape, .reads = 1 },
    { "Flatten", say_flatten },
    { "Transpose", say_transpose },
    { "Unsqueeze", say_unsqueeze, .reads = 1 },
    { "Squeeze", say_squeeze, .reads = 1 },
    { "Concat", say_concat },
    { "Slice", say_slice, .reads = 1 },
    { "Split", say_split, .reads = 1 },
    { "Pad", say_pad, .reads = 1 },
    { "Resize", say_resize, .reads = 1 },
    { "Expand", say_expand, .reads = 1 },
    { NULL },
};
