/* script_shape.c - shapes, joining, indexing and padding as TorchScript. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/torch/aten.h"
#include "format/torch/script.h"
#include "graph/op.h"

static int input_rank(const struct node *n, int i)
{
    return script_rank(value_resolve(node_in(n, i)));
}

/* 0 copies a dimension unless allowzero says otherwise. */
static const char *say_reshape(struct script *s, const struct node *n)
{
    const struct script_ints *shape = ints_of(s, n->in[1]);
    const char *x = in(s, n, 0);
    if (!shape || node_int(n, "allowzero")) return say(s, "torch.reshape(%s, %s)", x, ints_argument(s, n, 1));
    struct str list = str_in(s->arena);
    for (size_t i = 0; i < shape->n; i++) {
        const char *one = shape->items[i];
        str_addf(&list, "%s%s", i ? ", " : "", strcmp(one, "0") ? one : say(s, "torch.size(%s, %zu)", x, i));
    }
    const char *text = str_done(&list);
    return text ? say(s, "torch.reshape(%s, [%s])", x, text) : NULL;
}

static const char *say_flatten(struct script *s, const struct node *n)
{
    int64_t axis = node_int(n, "axis");
    const char *x = in(s, n, 0);
    if (axis < 0) axis += input_rank(n, 0);
    if (axis == 1) return say(s, "torch.flatten(%s, 1)", x);
    if (axis == 0) return say(s, "torch.reshape(%s, [1, -1])", x);
    if (axis >= input_rank(n, 0)) return say(s, "torch.reshape(%s, [-1, 1])", x);
    return say(s, "torch.flatten(torch.flatten(%s, %lld), 0, %lld)", x, (long long)axis, (long long)axis - 1);
}

static const char *say_transpose(struct script *s, const struct node *n)
{
    size_t count;
    const int64_t *perm = node_ints(n, "perm", &count);
    int64_t turned[SHAPE_MAX];
    int rank = input_rank(n, 0);
    if (!perm && rank < 0) return script_cannot(s, n, "an unknown rank");
    for (int i = 0; i < rank; i++) turned[i] = rank - 1 - i;
    return say(
        s, "torch.permute(%s, %s)", in(s, n, 0), perm ? int_list(s, perm, count) : int_list(s, turned, (size_t)rank));
}

static const char *inputs_text(struct script *s, const struct node *n)
{
    struct str list = str_in(s->arena);
    for (int i = 0; i < n->n_in; i++) str_addf(&list, "%s%s", i ? ", " : "", in(s, n, i));
    const char *text = str_done(&list);
    return text ? text : (fail_nomem(s->err), "");
}

static const char *say_concat(struct script *s, const struct node *n)
{
    return say(s, "torch.cat([%s], %lld)", inputs_text(s, n), (long long)node_int(n, "axis"));
}

static const char *say_split(struct script *s, const struct node *n)
{
    long long axis = node_int(n, "axis");
    if (node_in(n, 1))
        return script_results(
            s, n, say(s, "torch.split_with_sizes(%s, %s, %lld)", in(s, n, 0), ints_argument(s, n, 1), axis), true);
    return script_results(s, n, say(s, "torch.chunk(%s, %d, %lld)", in(s, n, 0), n->n_out, axis), true);
}

static const char *slice_one(
    struct script *s, const struct node *n, const char *x, int64_t axis, size_t i, const int64_t *steps)
{
    const struct script_ints *from = ints_of(s, n->in[1]), *to = ints_of(s, n->in[2]);
    int64_t step = steps ? steps[i] : 1;
    if (!from || !to || i >= from->n || i >= to->n) return script_cannot(s, n, "limits that are not known");
    bool reversed = step == -1 && (!strcmp(from->items[i], "-1") || strlen(from->items[i]) > 9);
    if (reversed && to->items[i][0] == '-' && strlen(to->items[i]) > 4)
        return assign(s, say(s, "torch.flip(%s, [%lld])", x, (long long)axis));
    if (step < 1) return script_cannot(s, n, "a negative step");
    const char *start = !strncmp(from->items[i], "-9223372036854775808", 20) ? "0" : from->items[i];
    return assign(
        s, say(s, "torch.slice(%s, %lld, %s, %s, %lld)", x, (long long)axis, start, to->items[i], (long long)step));
}

static const char *say_slice(struct script *s, const struct node *n)
{
    size_t n_axes, n_steps;
    const int64_t *axes = const_ints(s, n, 3, &n_axes), *steps = const_ints(s, n, 4, &n_steps);
    const struct script_ints *from = ints_of(s, n->in[1]);
    const char *x = in(s, n, 0);
    if ((node_in(n, 3) && !axes) || (node_in(n, 4) && !steps) || !from)
        return script_cannot(s, n, "axes that are not known");
    for (size_t i = 0; x && i < from->n; i++) x = slice_one(s, n, x, axes ? axes[i] : (int64_t)i, i, steps);
    return x;
}

/* A copy of x with v written into a part of it. Inputs as those of Slice, with v in second place. */
static const char *say_scatter_slice(struct script *s, const struct node *n)
{
    size_t n_axes, n_steps;
    const int64_t *axes = const_ints(s, n, 4, &n_axes), *steps = const_ints(s, n, 5, &n_steps);
    const struct script_ints *from = ints_of(s, n->in[2]), *to = ints_of(s, n->in[3]);
    if ((node_in(n, 4) && !axes) || (node_in(n, 5) && !steps) || !from || !to || from->n != to->n)
        return script_cannot(s, n, "limits that are not known");
    const char *copy = assign(s, say(s, "torch.clone(%s)", in(s, n, 0))), *part = copy;
    for (size_t i = 0; i < from->n; i++) {
        if (steps && steps[i] < 1) return script_cannot(s, n, "a negative step");
        part = assign(s,
            say(s, "torch.slice(%s, %lld, %s, %s, %lld)", part, axes ? (long long)axes[i] : (long long)i,
                from->items[i], to->items[i], steps ? (long long)steps[i] : 1LL));
    }
    assign(s, say(s, "torch.copy_(%s, %s)", part, in(s, n, 1)));
    return copy;
}

static const char *say_gather(struct script *s, const struct node *n)
{
    size_t count;
    int64_t axis = node_int(n, "axis");
    const struct script_ints *k = ints_of(s, n->in[1]);
    const char *x = in(s, n, 0);
    struct str list = str_in(s->arena);
    if (axis < 0) axis += input_rank(n, 0);
    if (k && k->scalar) return say(s, "torch.select(%s, %lld, %s)", x, (long long)axis, k->items[0]);
    const char *index = in(s, n, 1);
    if (value_resolve(n->in[1])->dtype != DT_I64) index = assign(s, say(s, "torch.to(%s, 4)", index));
    for (int64_t i = 0; i < axis; i++) str_add(&list, "None, ");
    const char *text = str_done(&list);
    const_ints(s, n, 1, &count);
    return text ? say(s, "torch.index(%s, annotate(List[Optional[Tensor]], [%s%s]))", x, text, index) : NULL;
}

static const char *long_index(struct script *s, const struct node *n, int i)
{
    const char *x = in(s, n, i);
    return value_resolve(n->in[i])->dtype == DT_I64 ? x : assign(s, say(s, "torch.to(%s, 4)", x));
}

static const char *say_gather_elements(struct script *s, const struct node *n)
{
    return say(s, "torch.gather(%s, %lld, %s)", in(s, n, 0), (long long)node_int(n, "axis"), long_index(s, n, 1));
}

static const char *say_scatter_elements(struct script *s, const struct node *n)
{
    const char *how = node_string(n, "reduction");
    if (how && strcmp(how, "none")) return script_cannot(s, n, how);
    return say(s, "torch.scatter(%s, %lld, %s, %s)", in(s, n, 0), (long long)node_int(n, "axis"), long_index(s, n, 1),
        in(s, n, 2));
}

/* [indices[.., 0], indices[.., 1], ..]: positions along the first dimensions, as index() takes them. */
static const char *positions(struct script *s, const struct node *n)
{
    const struct value *indices = value_resolve(n->in[1]);
    struct str list = str_in(s->arena);
    int rank = script_rank(indices);
    int64_t k = rank > 0 ? indices->shape.dim[rank - 1] : -1;
    const char *all = k > 0 && k <= SHAPE_MAX ? long_index(s, n, 1) : NULL;
    for (int64_t i = 0; all && i < k; i++)
        str_addf(
            &list, "%s%s", i ? ", " : "", assign(s, say(s, "torch.select(%s, %d, %lld)", all, rank - 1, (long long)i)));
    const char *text = all ? str_done(&list) : NULL;
    return text ? say(s, "annotate(List[Optional[Tensor]], [%s])", text) : NULL;
}

static const char *say_scatter_nd(struct script *s, const struct node *n)
{
    const char *how = node_string(n, "reduction"), *at = positions(s, n);
    if (!at || (how && strcmp(how, "none"))) return script_cannot(s, n, "this form");
    return say(s, "torch.index_put(%s, %s, %s)", in(s, n, 0), at, in(s, n, 2));
}

static const char *say_gather_nd(struct script *s, const struct node *n)
{
    const char *at = positions(s, n);
    if (!at || node_int(n, "batch_dims")) return script_cannot(s, n, "this form");
    return say(s, "torch.index(%s, %s)", in(s, n, 0), at);
}

/* Sorted axes, wrapped into the rank of the larger of both shapes. */
static int sorted_axes(struct script *s, const struct node *n, int rank, int64_t *out)
{
    size_t count;
    const int64_t *axes = const_ints(s, n, 1, &count);
    if (!axes || rank < 0 || count > SHAPE_MAX) return -1;
    for (size_t i = 0; i < count; i++) {
        int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
        size_t k = i;
        for (; k > 0 && out[k - 1] > axis; k--) out[k] = out[k - 1];
        out[k] = axis;
    }
    return (int)count;
}

static const char *say_unsqueeze(struct script *s, const struct node *n)
{
    int64_t axes[SHAPE_MAX];
    int count = sorted_axes(s, n, script_rank(n->out[0]), axes);
    const char *x = in(s, n, 0);
    if (count < 0) return script_cannot(s, n, "axes that are not known");
    for (int i = 0; i < count; i++) x = assign(s, say(s, "torch.unsqueeze(%s, %lld)", x, (long long)axes[i]));
    return x;
}

static const char *say_squeeze(struct script *s, const struct node *n)
{
    int64_t axes[SHAPE_MAX];
    const char *x = in(s, n, 0);
    if (!node_in(n, 1)) return say(s, "torch.squeeze(%s)", x);
    int count = sorted_axes(s, n, input_rank(n, 0), axes);
    if (count < 0) return script_cannot(s, n, "axes that are not known");
    while (count-- > 0) x = assign(s, say(s, "torch.squeeze(%s, %lld)", x, (long long)axes[count]));
    return x;
}

/* ONNX's 1 keeps a dimension; PyTorch says -1 for that. */
static const char *say_expand(struct script *s, const struct node *n)
{
    const struct script_ints *shape = ints_of(s, n->in[1]);
    int rank = input_rank(n, 0);
    const char *x = in(s, n, 0);
    if (!shape || rank < 0) /* broadcast by a tensor of that shape */
        return say(s, "torch.add(%s, torch.zeros(%s, dtype=%lld))", x, ints_argument(s, n, 1),
            (long long)dtype_to_torch(n->out[0]->dtype));
    struct str list = str_in(s->arena);
    int extra = (int)shape->n - rank;
    for (int i = 0; i < -extra; i++) str_addf(&list, "%s-1", i ? ", " : "");
    for (size_t i = 0; i < shape->n; i++) {
        bool keeps = (int)i >= extra && !strcmp(shape->items[i], "1");
        str_addf(&list, "%s%s", list.len ? ", " : "", keeps ? "-1" : shape->items[i]);
    }
    const char *text = str_done(&list);
    return text ? say(s, "torch.expand(%s, [%s])", x, text) : NULL;
}

static const char *say_tile(struct script *s, const struct node *n)
{
    return say(s, "torch.repeat(%s, %s)", in(s, n, 0), ints_argument(s, n, 1));
}

/* (begin, end) of the axes from the last to the first */
static const char *pad_list(struct script *s, const int64_t *pads, int rank, int first)
{
    int64_t turned[2 * SHAPE_MAX];
    size_t n = 0;
    for (int i = rank; i-- > first;) {
        turned[n++] = pads[i];
        turned[n++] = pads[i + rank];
    }
    return int_list(s, turned, n);
}

static const char *say_pad(struct script *s, const struct node *n)
{
    static const struct {
        const char *mode, *torch;
    } modes[] = { { "reflect", "reflect" }, { "edge", "replicate" }, { "wrap", "circular" } };
    size_t count, n_axes;
    const int64_t *given = const_ints(s, n, 1, &count), *axes = const_ints(s, n, 3, &n_axes);
    int64_t pads[2 * SHAPE_MAX] = { 0 };
    int rank = input_rank(n, 0), first = 0;
    double value = 0;
    const char *mode = node_string(n, "mode");
    if (!given || rank < 0 || (node_in(n, 3) && !axes) || count > 2 * SHAPE_MAX)
        return script_cannot(s, n, "borders that are not constant");
    for (size_t i = 0; i < count / 2; i++) {
        int64_t axis = axes ? axes[i] < 0 ? axes[i] + rank : axes[i] : (int64_t)i;
        if (axis < 0 || axis >= rank) return script_cannot(s, n, "an axis that the input does not have");
        pads[axis] = given[i];
        pads[axis + rank] = given[i + count / 2];
    }
    if (!strcmp(mode, "constant")) {
        if (node_in(n, 2) && !const_number(n, 2, &value)) return script_cannot(s, n, "a value that is not constant");
        return say(s, "torch.constant_pad_nd(%s, %s, %s)", in(s, n, 0), pad_list(s, pads, rank, 0),
            scalar_text(s, n->out[0]->dtype, value));
    }
    while (first < rank && !pads[first] && !pads[first + rank]) first++;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (!strcmp(mode, modes[i].mode))
            return say(s, "torch.pad(%s, %s, \"%s\")", in(s, n, 0), pad_list(s, pads, rank, first < 2 ? first : 2),
                modes[i].torch);
    return script_cannot(s, n, mode);
}

static const char *say_filled(struct script *s, const struct node *n)
{
    const struct attr *value = node_attr(n, "value");
    enum dtype t = n->out[0]->dtype;
    double v = value && value->type == ATTR_TENSOR ? tensor_get_f64(value->tensor, 0) : 0;
    return say(s, "torch.full(%s, %s, dtype=%lld)", ints_argument(s, n, 0), scalar_text(s, t, v),
        (long long)dtype_to_torch(t));
}

static const char *say_range(struct script *s, const struct node *n)
{
    enum dtype t = n->out[0]->dtype;
    const char *part[3];
    for (int i = 0; i < 3; i++) {
        double v;
        bool known = const_number(n, i, &v);
        part[i] = dtype_is_float(t) ? known ? float_text(s, v) : say(s, "float(%s)", in(s, n, i))
                                    : int_argument(s, n, i);
    }
    return say(s, "torch.arange(%s, %s, %s, dtype=%lld)", part[0], part[1], part[2], (long long)dtype_to_torch(t));
}

static const char *say_topk(struct script *s, const struct node *n)
{
    return script_results(s, n,
        say(s, "torch.topk(%s, %s, %lld, %s, %s)", in(s, n, 0), int_argument(s, n, 1), (long long)node_int(n, "axis"),
            node_int(n, "largest") ? "True" : "False", node_int(n, "sorted") ? "True" : "False"),
        false);
}

static const char *say_trilu(struct script *s, const struct node *n)
{
    return say(s, "torch.%s(%s, %s)", node_int(n, "upper") ? "triu" : "tril", in(s, n, 0),
        node_in(n, 1) ? int_argument(s, n, 1) : "0");
}

static const char *say_nonzero(struct script *s, const struct node *n)
{
    return say(s, "torch.t(torch.nonzero(%s))", in(s, n, 0));
}

static const char *say_shape(struct script *s, const struct node *n)
{
    int64_t from = node_int(n, "start");
    const char *all = say(s, "torch._shape_as_tensor(%s)", in(s, n, 0));
    if (!from && !node_has(n, "end")) return all;
    return say(s, "torch.slice(%s, 0, %lld, %lld, 1)", all, (long long)from,
        node_has(n, "end") ? (long long)node_int(n, "end") : INT64_MAX);
}

static const char *say_size(struct script *s, const struct node *n)
{
    return say(s, "torch.tensor(torch.numel(%s), dtype=4)", in(s, n, 0));
}

static const char *say_identity(struct script *s, const struct node *n)
{
    return in(s, n, 0);
}

/* Blocks of channels to places; CRD is PyTorch's order, DCR another one of the same dimensions. */
static const char *say_depth_to_space(struct script *s, const struct node *n)
{
    long long b = node_int(n, "blocksize");
    const char *mode = node_string(n, "mode"), *x = in(s, n, 0);
    if (mode && !strcmp(mode, "CRD")) return say(s, "torch.pixel_shuffle(%s, %lld)", x, b);
    const char *split = assign(s,
        say(s, "torch.reshape(%s, [torch.size(%s, 0), %lld, %lld, -1, torch.size(%s, 2), torch.size(%s, 3)])", x, x, b,
            b, x, x));
    const char *turned = assign(s, say(s, "torch.permute(%s, [0, 3, 4, 1, 5, 2])", split));
    return say(s,
        "torch.reshape(%s, [torch.size(%s, 0), -1, torch.mul(torch.size(%s, 2), %lld), "
        "torch.mul(torch.size(%s, 3), %lld)])",
        turned, x, x, b, x, b);
}

static const char *say_space_to_depth(struct script *s, const struct node *n)
{
    long long b = node_int(n, "blocksize");
    const char *x = in(s, n, 0), *mode = node_string(n, "mode");
    if (!strcmp(n->op->name, "PixelUnshuffle") && (!mode || !strcmp(mode, "CRD")))
        return say(s, "torch.pixel_unshuffle(%s, %lld)", x, b);
    const char *split = assign(s,
        say(s,
            "torch.reshape(%s, [torch.size(%s, 0), torch.size(%s, 1), torch.floordiv(torch.size(%s, 2), %lld), %lld, "
            "torch.floordiv(torch.size(%s, 3), %lld), %lld])",
            x, x, x, x, b, b, x, b, b));
    const char *turned = assign(s, say(s, "torch.permute(%s, [0, 3, 5, 1, 2, 4])", split));
    return say(s, "torch.flatten(%s, 1, 3)", turned);
}

const struct script_row script_shape[] = {
    { "Reshape", say_reshape },
    { "Flatten", say_flatten },
    { "Transpose", say_transpose },
    { "Concat", say_concat },
    { "Split", say_split },
    { "Slice", say_slice },
    { "Gather", say_gather },
    { "GatherElements", say_gather_elements },
    { "ScatterElements", say_scatter_elements },
    { "ScatterND", say_scatter_nd },
    { "GatherND", say_gather_nd },
    { "Unsqueeze", say_unsqueeze },
    { "Squeeze", say_squeeze },
    { "Expand", say_expand },
    { "Tile", say_tile },
    { "Pad", say_pad },
    { "ConstantOfShape", say_filled },
    { "Range", say_range },
    { "TopK", say_topk },
    { "Trilu", say_trilu },
    { "NonZero", say_nonzero },
    { "Shape", say_shape },
    { "Size", say_size },
    { "Identity", say_identity },
    { "DepthToSpace", say_depth_to_space },
    { "SpaceToDepth", say_space_to_depth },
    { "PixelUnshuffle", say_space_to_depth },
    { "ScatterSlice", say_scatter_slice },
    { 0 },
};
