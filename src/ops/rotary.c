/* rotary.c - rotary position embeddings (Su et al. 2021), written as slices and products. */
#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/gradient.h"
#include "ops/infer.h"

/* x (B, heads, L, size) or (B, L, heads * size); cos and sin (positions, size / 2), or (B, L, size / 2) without
 * positions. */
static int rotary_infer(struct node *n, struct err *e)
{
    TRY(infer_rank(n, 0, 3, 4, e));
    for (int i = 1; i < 3; i++) TRY(infer_rank(n, i, node_in(n, 3) ? 2 : 3, node_in(n, 3) ? 2 : 3, e));
    if (node_in(n, 3)) TRY(infer_rank(n, 3, 2, 2, e));
    TRY(infer_type(n, 3, TYPES_INTEGER, e));
    if (n->in[0]->shape.rank == 3 && node_int(n, "num_heads") < 1)
        return fail(e, ERR_SHAPE, "an input of rank 3 needs num_heads");
    int64_t part = node_int(n, "rotary_embedding_dim");
    if (part < 0 || part % 2) return fail(e, ERR_SHAPE, "rotary_embedding_dim is %lld", (long long)part);
    return infer_float(n, e);
}

static struct value *part(struct builder *b, struct value *v, int64_t from, int64_t to, int64_t step)
{
    return emit(b, "Slice", NO_ATTRS, v, emit_i64s(b, &from, 1), emit_i64s(b, &to, 1),
        emit_i64s(b, (int64_t[]){ -1 }, 1), emit_i64s(b, &step, 1));
}

static struct value *joined(struct builder *b, int axis, struct value *x, struct value *y)
{
    return emit(b, "Concat", ATTRS(attr_int("axis", axis)), x, y);
}

static struct value *unsqueezed(struct builder *b, struct value *v, int64_t axis)
{
    return emit(b, "Unsqueeze", NO_ATTRS, v, emit_i64s(b, &axis, 1));
}

/* A table at the positions, for x (B, L, heads, size): (B, L, 1, size / 2) */
static struct value *table(struct builder *b, const struct node *n, int i)
{
    struct value *v = emit_cast(b, n->in[i], n->in[0]->dtype), *at = node_in(n, 3);
    if (at) v = emit(b, "Gather", ATTRS(attr_int("axis", 0)), v, at);
    return unsqueezed(b, v, 2);
}

static struct value *turned(
    struct builder *b, const struct node *n, struct value *x, struct value *cosine, struct value *sine, int64_t size)
{
    bool pairs = node_int(n, "interleaved");
    struct value *u = pairs ? part(b, x, 0, INT64_MAX, 2) : part(b, x, 0, size / 2, 1);
    struct value *v = pairs ? part(b, x, 1, INT64_MAX, 2) : part(b, x, size / 2, size, 1);
    struct value *re = emit2(b, "Sub", emit2(b, "Mul", u, cosine), emit2(b, "Mul", v, sine));
    struct value *im = emit2(b, "Add", emit2(b, "Mul", u, sine), emit2(b, "Mul", v, cosine));
    if (!pairs) return joined(b, -1, re, im);
    struct value *both = joined(b, -1, unsqueezed(b, re, -1), unsqueezed(b, im, -1));
    return emit(b, "Reshape", NO_ATTRS, both, emit_i64s(b, (int64_t[]){ 0, 0, 0, -1 }, 4));
}

static int rotary_expand(struct builder *b, const struct node *n, struct value **out)
{
    static const int64_t heads_behind[] = { 0, 2, 1, 3 };
    struct value *x = n->in[0];
    const struct shape *s = &x->shape;
    if (s->rank < 0 || s->dim[s->rank - 1] < 0)
        return fail(b->err, ERR_UNSUPPORTED, "needs to know the size of its heads");
    int64_t heads = node_int(n, "num_heads"), some = node_int(n, "rotary_embedding_dim");
    int64_t size = s->rank == 3 ? s->dim[2] / heads : s->dim[3], turn = some ? some : size;
    if (turn > size || turn % 2) return fail(b->err, ERR_SHAPE, "heads of %lld elements", (long long)size);
    if (s->rank == 3) x = emit(b, "Reshape", NO_ATTRS, x, emit_i64s(b, (int64_t[]){ 0, 0, heads, size }, 4));
    else x = emit(b, "Transpose", ATTRS(attr_ints("perm", heads_behind, 4)), x);
    struct value *rest = turn < size ? part(b, x, turn, size, 1) : NULL;
    if (rest) x = part(b, x, 0, turn, 1);
    x = turned(b, n, x, table(b, n, 1), table(b, n, 2), turn);
    if (rest) x = joined(b, -1, x, rest);
    if (s->rank == 3) x = emit(b, "Reshape", NO_ATTRS, x, emit_i64s(b, (int64_t[]){ 0, 0, -1 }, 3));
    else x = emit(b, "Transpose", ATTRS(attr_ints("perm", heads_behind, 4)), x);
    out[0] = x;
    return 0;
}

static const struct attr_spec rotary_attrs[] = {
    { "interleaved", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "neighbours are turned together, not halves" },
    { "num_heads", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "for inputs of rank 3" },
    { "rotary_embedding_dim", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "how much of a head is turned; 0: all" },
    { 0 },
};

const struct op ops_rotary[] = {
    { .name = "RotaryEmbedding",
        .doc = "x with pairs of elements turned by their position, of (x, cos, sin, positions)",
        .min_in = 3,
        .max_in = 4,
        .min_out = 1,
        .max_out = 1,
        .attrs = rotary_attrs,
        .infer = rotary_infer,
        .expand = rotary_expand,
        .samples = "f32[2,3,4,6] f32[9,3] f32[9,3] i64<9>[2,4]; f32[2,4,12] f32[2,4,3] f32[2,4,3] | num_heads=2 "
                   "interleaved=1; f32[1,2,3,8] f32[5,2] f32[5,2] i64<5>[1,3] | rotary_embedding_dim=4" },
    { 0 },
};
