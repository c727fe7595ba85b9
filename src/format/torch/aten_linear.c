/* aten_linear.c - products of matrices and vectors, linear layers, embeddings. */
#include <math.h>
#include <string.h>

#include "base/err.h"
#include "format/torch/torch.h"

/* Two dimensions are a Gemm, as exporters say it; more are a MatMul with the weight (out, in) transposed. */
static struct value *lower_linear(struct aten_call *c)
{
    struct value *x = arg_tensor(c, 0), *w = arg_tensor(c, 1), *bias = arg_tensor(c, 2);
    if (value_rank(c, x) == 2 && value_rank(c, w) == 2)
        return emit(c->b, "Gemm", ATTRS(attr_int("transB", 1)), x, w, bias);
    if (value_rank(c, w) == 2) w = emit_transpose(c, w, (int64_t[]){ 1, 0 }, 2);
    struct value *y = emit_op(c, "MatMul", x, w);
    return bias ? emit_op(c, "Add", y, bias) : y;
}

/* beta self + alpha (mat1 @ mat2) */
static struct value *lower_addmm(struct aten_call *c)
{
    return emit(c->b, "Gemm", ATTRS(attr_float("alpha", arg_float(c, 4)), attr_float("beta", arg_float(c, 3))),
        arg_tensor(c, 1), arg_tensor(c, 2), arg_tensor(c, 0));
}

static struct value *scaled(struct aten_call *c, struct value *x, int i)
{
    return arg_float(c, i) == 1 ? x : emit_op(c, "Mul", x, emit_like(c, x, arg_float(c, i)));
}

/* The same for matrices in a batch and for vectors; row->onnx: the batch is summed. */
static struct value *lower_baddbmm(struct aten_call *c)
{
    struct value *y = emit_op(c, "MatMul", arg_tensor(c, 1), arg_tensor(c, 2));
    if (c->row->onnx) y = emit_reduce(c, c->row->onnx, y, &(int64_t){ 0 }, 1, false);
    y = scaled(c, y, 4);
    return arg_float(c, 3) ? emit_op(c, "Add", scaled(c, arg_tensor(c, 0), 3), y) : y;
}

static struct value *lower_outer(struct aten_call *c)
{
    return emit_op(c, "Mul", emit_unsqueeze(c, arg_tensor(c, 0), 1), arg_tensor(c, 1));
}

static struct value *lower_einsum(struct aten_call *c)
{
    size_t n;
    struct value **list = arg_tensors(c, 1, &n);
    if (!list || !n) return aten_fail(c, ERR_SHAPE, "without operands"), NULL;
    return builder_emit(c->b, "Einsum", ATTRS(attr_string("equation", arg_str(c, 0))), list, (int)n);
}

/* y[.., o] = x1[.., i] w[o, i, j] x2[.., j] + bias[o] */
static struct value *lower_bilinear(struct aten_call *c)
{
    struct value *x1 = arg_tensor(c, 0), *x2 = arg_tensor(c, 1), *w = arg_tensor(c, 2), *bias = arg_tensor(c, 3);
    struct value *row = emit_op(c, "Unsqueeze", x1, emit_i64s(c->b, (int64_t[]){ -3, -2 }, 2)); /* (.., 1, 1, i) */
    struct value *left = emit_squeeze(c, emit_op(c, "MatMul", row, w), -2);                     /* (.., o, j) */
    struct value *y = emit_op(c, "Mul", left, emit_unsqueeze(c, x2, -2));
    y = emit_reduce(c, "ReduceSum", y, &(int64_t){ -1 }, 1, false);
    return bias ? emit_op(c, "Add", y, bias) : y;
}

static struct value *lower_embedding(struct aten_call *c)
{
    return emit(c->b, "Gather", ATTRS(attr_int("axis", 0)), arg_tensor(c, 0), arg_tensor(c, 1));
}

/* Which of n indices lie in which bag: (bags, n) of bool, by the offsets where the bags start. */
static struct value *bag_members(struct aten_call *c, struct value *indices, struct value *offsets, bool last)
{
    struct value *n = emit_concat_ints(c, &(struct value *){ value_size(c, indices, 0) }, 1), *starts, *ends;
    offsets = emit_cast(c->b, offsets, DT_I64);
    starts = last ? emit_slice(c, offsets, 0, 0, -1, 1) : offsets;
    ends = emit_slice(c, offsets, 0, 1, INT64_MAX, 1);
    if (!last) ends = emit(c->b, "Concat", ATTRS(attr_int("axis", 0)), ends, n);
    struct value *at = emit_op(c, "Range", emit_i64(c->b, 0), value_size(c, indices, 0), emit_i64(c->b, 1));
    struct value *after = emit_op(c, "GreaterOrEqual", at, emit_unsqueeze(c, starts, 1));
    return emit_op(c, "And", after, emit_op(c, "Less", at, emit_unsqueeze(c, ends, 1)));
}

/* Sums and means of bags are products with the (bags, n) matrix of members. */
static struct value *sum_bags(
    struct aten_call *c, struct value *rows, struct value *members, struct value *weights, bool mean)
{
    struct value *m = rows ? emit_cast(c->b, members, rows->dtype) : NULL;
    struct value *y = emit_op(c, "MatMul", weights ? emit_op(c, "Mul", m, weights) : m, rows);
    if (!mean) return y;
    struct value *count = emit_reduce(c, "ReduceSum", m, &(int64_t){ 1 }, 1, true);
    return emit_op(c, "Div", y, emit_op(c, "Max", count, emit_like(c, count, 1)));
}

static struct value *largest_of_bags(struct aten_call *c, struct value *rows, struct value *members)
{
    struct value *inside = emit_unsqueeze(c, members, 2); /* (bags, n, 1) */
    struct value *each = emit_op(c, "Where", inside, rows, emit_like(c, rows, -INFINITY));
    struct value *y = emit_reduce(c, "ReduceMax", each, &(int64_t){ 1 }, 1, false);
    struct value *empty = emit_op(c, "Equal", y, emit_like(c, y, -INFINITY));
    return emit_op(c, "Where", empty, emit_like(c, y, 0), y);
}

/* The embeddings of bags of indices, summed (mode 0), averaged (1), or the largest of each number (2). The other
 * results serve the gradient only. */
static struct value *lower_embedding_bag(struct aten_call *c)
{
    struct value *indices = arg_tensor(c, 1), *weights = arg_tensor(c, 6);
    struct value *members = bag_members(c, indices, arg_tensor(c, 2), arg_bool(c, 7));
    if (c->n_args > 8 && arg_given(c, 8) && indices) {
        struct value *padding = emit_op(c, "Equal", indices, arg_scalar(c, 8, indices->dtype));
        members = emit_op(c, "And", members, emit_op(c, "Not", padding));
    }
    struct value *rows = emit(c->b, "Gather", ATTRS(attr_int("axis", 0)), arg_tensor(c, 0), indices);
    int64_t mode = arg_int(c, 4);
    give(c, mode == 2 ? largest_of_bags(c, rows, members) : sum_bags(c, rows, members, weights, mode == 1));
    for (int i = 0; i < 3; i++) give(c, emit_i64s(c->b, NULL, 0));
    return NULL;
}

/* v g / |v|, the norm over all dimensions but `dim` (-1: over all) */
static struct value *lower_weight_norm(struct aten_call *c)
{
    struct value *v = arg_tensor(c, 0), *g = arg_tensor(c, 1);
    int64_t dim = arg_int(c, 2), axes[SHAPE_MAX];
    size_t n = 0;
    for (int i = 0; i < value_rank(c, v); i++)
        if (i != dim) axes[n++] = i;
    struct value *norm = n ? emit_reduce(c, "ReduceL2", v, axes, n, true) : emit_op(c, "Abs", v);
    return emit_op(c, "Mul", v, emit_op(c, "Div", g, norm));
}

const struct aten_row aten_linear[] = {
    { "linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor", lower_linear },
    { "matmul(Tensor self, Tensor other) -> Tensor", lower_binary, "MatMul" },
    { "mm(Tensor self, Tensor mat2) -> Tensor", lower_binary, "MatMul" },
    { "bmm(Tensor self, Tensor mat2) -> Tensor", lower_binary, "MatMul" },
    { "mv(Tensor self, Tensor vec) -> Tensor", lower_binary, "MatMul" },
    { "dot(Tensor self, Tensor tensor) -> Tensor", lower_binary, "MatMul" },
    { "addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor", lower_addmm },
    { "addmv(Tensor self, Tensor mat, Tensor vec, *, Scalar beta=1, Scalar alpha=1) -> Tensor", lower_baddbmm },
    { "baddbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor", lower_baddbmm },
    { "addbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor", lower_baddbmm,
        "ReduceSum" },
    { "outer(Tensor self, Tensor vec2) -> Tensor", lower_outer },
    { "ger(Tensor self, Tensor vec2) -> Tensor", lower_outer },
    { "einsum(str equation, Tensor[] tensors, *, int[]? path=None) -> Tensor", lower_einsum },
    { "bilinear(Tensor input1, Tensor input2, Tensor weight, Tensor? bias=None) -> Tensor", lower_bilinear },
    { "embedding(Tensor weight, Tensor indices, int padding_idx=-1, bool scale_grad_by_freq=False, "
      "bool sparse=False) -> Tensor",
        lower_embedding },
    { "embedding_bag(Tensor weight, Tensor indices, Tensor offsets, bool scale_grad_by_freq=False, int mode=0, "
      "bool sparse=False, Tensor? per_sample_weights=None, bool include_last_offset=False) "
      "-> (Tensor, Tensor, Tensor, Tensor)",
        lower_embedding_bag },
    { "embedding_bag.padding_idx(Tensor weight, Tensor indices, Tensor offsets, bool scale_grad_by_freq, int mode, "
      "bool sparse, Tensor? per_sample_weights, bool include_last_offset, int? padding_idx) "
      "-> (Tensor, Tensor, Tensor, Tensor)",
        lower_embedding_bag },
    { "_weight_norm(Tensor v, Tensor g, int dim=0) -> Tensor", lower_weight_norm },
    { 0 },
};
