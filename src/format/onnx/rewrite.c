/* rewrite.c - nodes that an older operator set says in other words: a row for each. */
#include <string.h>

#include "base/err.h"
#include "format/onnx/writer.h"
#include "graph/builder.h"
#include "graph/op.h"

/* Before 13 these took everything from the axis on as one vector: another axis than the last is moved there. */
static struct value *turn_softmax(struct builder *b, const struct node *n)
{
    int rank = n->in[0]->shape.rank, axis = rank > 0 ? shape_axis(node_int(n, "axis"), rank) : -1;
    int64_t perm[SHAPE_MAX];
    if (axis < 0 || axis == rank - 1) return NULL;
    for (int i = 0; i < rank; i++) perm[i] = i;
    perm[axis] = rank - 1, perm[rank - 1] = axis;
    struct value *x = emit(b, "Transpose", ATTRS(attr_ints("perm", perm, (size_t)rank)), n->in[0]);
    struct value *y = emit(b, n->op->name, ATTRS(attr_int("axis", -1)), x);
    return emit(b, "Transpose", ATTRS(attr_ints("perm", perm, (size_t)rank)), y);
}

static struct value *part_of_shape(struct builder *b, struct value *x, int64_t start, int64_t end)
{
    int64_t zero = 0;
    return emit(b, "Slice", NO_ATTRS, emit(b, "Shape", NO_ATTRS, x), emit_i64s(b, &start, 1), emit_i64s(b, &end, 1),
        emit_i64s(b, &zero, 1));
}

/* Shape of some of the axes: a part of the whole. */
static struct value *slice_shape(struct builder *b, const struct node *n)
{
    if (!node_has(n, "start") && !node_has(n, "end")) return NULL;
    return part_of_shape(b, n->in[0], node_int(n, "start"), node_has(n, "end") ? node_int(n, "end") : INT64_MAX);
}

/* Not "not less": a NaN is neither. */
static struct value *or_equal(struct builder *b, const struct node *n)
{
    const char *op = node_is(n, "GreaterOrEqual") ? "Greater" : "Less";
    return emit(
        b, "Or", NO_ATTRS, emit(b, op, NO_ATTRS, n->in[0], n->in[1]), emit(b, "Equal", NO_ATTRS, n->in[0], n->in[1]));
}

/* Resize of the last axes: of all, the others as they are. */
static struct value *resize_all(struct builder *b, const struct node *n)
{
    size_t count, kept = 0;
    const int64_t *axes = node_ints(n, "axes", &count);
    int rank = n->in[0]->shape.rank;
    struct attr attrs[16];
    bool last = axes && rank >= (int)count && n->n_attrs < 15 && !node_in(n, 1);
    for (size_t i = 0; last && i < count; i++) last = shape_axis(axes[i], rank) == rank - (int)count + (int)i;
    if (!last) return NULL;
    for (size_t i = 0; i < n->n_attrs; i++)
        if (strcmp(n->attrs[i].name, "axes") != 0) attrs[kept++] = n->attrs[i];
    attrs[kept] = (struct attr){ 0 };
    struct value *scales = node_in(n, 2), *sizes = node_in(n, 3), *ones[SHAPE_MAX + 1];
    int lead = rank - (int)count, m = 0;
    int64_t one = 1;
    if (sizes && lead) {
        struct value *parts[] = { part_of_shape(b, n->in[0], 0, lead), sizes };
        sizes = builder_emit(b, "Concat", ATTRS(attr_int("axis", 0)), parts, 2);
    }
    for (; scales && m < lead; m++)
        ones[m] = emit(b, "Reshape", NO_ATTRS, emit_scalar(b, scales->dtype, 1), emit_i64s(b, &one, 1));
    ones[m] = scales;
    if (scales) scales = builder_emit(b, "Concat", ATTRS(attr_int("axis", 0)), ones, m + 1);
    return emit(b, "Resize", attrs, n->in[0], NULL, scales, sizes);
}

/* The third input of Gemm had to be there. */
static struct value *add_zero(struct builder *b, const struct node *n)
{
    if (node_in(n, 2)) return NULL;
    return emit(b, "Gemm", n->attrs, n->in[0], n->in[1], emit_scalar(b, n->in[0]->dtype, 0));
}

static const struct rewrite {
    const char *op;
    int below;                                                         /* the operator set that can say it */
    struct value *(*rewrite)(struct builder *b, const struct node *n); /* NULL: it stays */
} rewrites[] = {
    { "Softmax", 13, turn_softmax },
    { "LogSoftmax", 13, turn_softmax },
    { "Hardmax", 13, turn_softmax },
    { "Shape", 15, slice_shape },
    { "GreaterOrEqual", 12, or_equal },
    { "LessOrEqual", 12, or_equal },
    { "Resize", 18, resize_all },
    { "Gemm", 11, add_zero },
};

int onnx_rewrite(struct graph *g, struct node *n, int opset, struct err *e)
{
    struct builder b = { g, e, .where = n->where };
    for (size_t i = 0; i < sizeof rewrites / sizeof *rewrites; i++) {
        const struct rewrite *r = &rewrites[i];
        if (opset >= r->below || strcmp(r->op, n->op->name) != 0) continue;
        for (int k = 0; k < n->n_in; k++) n->in[k] = value_resolve(n->in[k]);
        struct value *y = r->rewrite(&b, n);
        if (e->code) return node_err(n, e);
        if (y) graph_alias(n->out[0], y);
    }
    return 0;
}
