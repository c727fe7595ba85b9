/* norm.c - layer, RMS, group and instance normalisation, and their gradients. */
#include <math.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "ops/elementwise.h"
#include "ops/gradient.h"
#include "ops/infer.h"
#include "ops/norm_core.h"

#define EPSILON \
    { \
        .name = "epsilon", .type = ATTR_FLOAT, .presence = ATTR_DEFAULT, .f = 1e-5, .doc = "added to the variance" \
    }
#define AXIS \
    { \
        .name = "axis", .type = ATTR_INT, .presence = ATTR_DEFAULT, .i = -1, .doc = "first normalised dimension" \
    }
#define STASH \
    { \
        .name = "stash_type", .type = ATTR_INT, .presence = ATTR_DEFAULT, .i = 1, .doc = "type of the statistics" \
    }
#define GROUPS \
    { \
        .name = "num_groups", .type = ATTR_INT, .presence = ATTR_REQUIRED, .doc = "0: as many as channels (own)" \
    }
static const struct attr_spec layer_attrs[] = { AXIS, EPSILON, STASH, { 0 } };
static const struct attr_spec layer_grad_attrs[] = { AXIS, EPSILON, { 0 } };
static const struct attr_spec group_attrs[] = { EPSILON, GROUPS, STASH, { 0 } };
static const struct attr_spec group_grad_attrs[] = { EPSILON, GROUPS, { 0 } };
static const struct attr_spec instance_attrs[] = { EPSILON, { 0 } };

/* --- x normalised over its dimensions from `axis` on: LayerNormalization, RMSNormalization --- */

/* The normalised dimensions of input x, as far as they are known. */
static int normalised(const struct node *n, int x, struct shape *out, struct err *e)
{
    const struct shape *s = &n->in[x]->shape;
    *out = shape_unknown();
    if (s->rank < 0) return 0;
    if (!s->rank) return fail(e, ERR_SHAPE, "the input is a scalar");
    int axis = infer_axis(n, "axis", s->rank, e);
    if (axis >= 0) *out = shape_of(s->rank - axis, s->dim + axis);
    return axis < 0 ? axis : 0;
}

/* x, scale[, bias] -> y[, mean, inverse] */
static int layer_infer(struct node *n, struct err *e)
{
    struct shape inner, s = n->in[0]->shape;
    int64_t stash = node_int(n, "stash_type");
    TRY(infer_type(n, 0, TYPES_FLOAT, e));
    TRY(infer_same_types(n, 0, n->n_in, e));
    TRY(normalised(n, 0, &inner, e));
    for (int i = 1; i < n->n_in; i++)
        if (n->in[i] && infer_broadcast_to(&inner, &n->in[i]->shape, e))
            return err_prefix(e, "input %d (%s)", i, n->in[i]->name);
    if (n->n_out > 1 && !(dtype_is_valid((int)stash) && dtype_is_float((enum dtype)stash)))
        return fail(e, ERR_MODEL, "stash_type is %lld, expected a float type", (long long)stash);
    infer_out(n, 0, n->in[0]->dtype, &s);
    for (int d = s.rank - inner.rank; s.rank >= 0 && d < s.rank; d++) s.dim[d] = 1;
    infer_out(n, 1, (enum dtype)stash, &s);
    infer_out(n, 2, (enum dtype)stash, &s);
    return 0;
}

/* A tensor broadcast to `shape`, as doubles. */
static const double *spread(const struct step *s, const struct tensor *t, const struct shape *shape, struct err *e)
{
    int64_t strides[SHAPE_MAX], count = 0;
    double *v = ARENA_ARRAY(s->scratch, shape_count(shape), double);
    struct loop l;
    if (!v) return fail_nomem(e), NULL;
    broadcast_strides(&t->shape, shape, strides);
    for (loop_init(&l, shape->rank, shape->dim, 1, (const int64_t *[]){ strides }); l.ok; loop_next(&l))
        v[count++] = tensor_get_f64(t, l.at[0]);
    return v;
}

static int layer_norm(const struct step *s, const struct tensor *x, bool centred, struct norm *m, struct shape *inner)
{
    int axis = shape_axis(node_int(s->node, "axis"), x->shape.rank);
    *inner = shape_of(x->shape.rank - axis, x->shape.dim + axis);
    *m = (struct norm){ .lines = shape_span(&x->shape, 0, axis),
        .len = shape_count(inner),
        .groups = 1,
        .span = 1,
        .epsilon = node_float(s->node, "epsilon"),
        .centred = centred };
    return 0;
}

static struct tensor *output(const struct step *s, int i)
{
    return i < s->node->n_out ? s->out[i] : NULL;
}

static int run_layer(const struct step *s, bool centred, struct err *e)
{
    struct norm m;
    struct shape inner;
    layer_norm(s, s->in[0], centred, &m, &inner);
    m.scale = spread(s, s->in[1], &inner, e);
    if (s->node->n_in > 2 && s->in[2]) m.bias = spread(s, s->in[2], &inner, e);
    return e->code ? e->code : norm_run(s, &m, s->in[0], s->out[0], output(s, 1), output(s, 2), e);
}

static int layer_run(const struct step *s, struct err *e)
{
    return run_layer(s, true, e);
}

static int rms_run(const struct step *s, struct err *e)
{
    return run_layer(s, false, e);
}

/* dy, x, scale -> dx, dscale[, dbias]; those of the weights have the shape of the normalised dimensions. */
static int layer_grad_infer(struct node *n, struct err *e)
{
    struct shape inner, x = n->in[1]->shape;
    TRY(infer_type(n, 0, TYPES_FLOAT, e));
    TRY(infer_same_types(n, 0, 3, e));
    TRY(normalised(n, 1, &inner, e));
    TRY(infer_broadcast_to(&inner, &n->in[2]->shape, e));
    if (!shape_merge(&x, &n->in[0]->shape)) return fail(e, ERR_SHAPE, "the gradient has another shape than the input");
    infer_out(n, 0, n->in[1]->dtype, &x);
    infer_out(n, 1, n->in[1]->dtype, &inner);
    infer_out(n, 2, n->in[1]->dtype, &inner);
    return 0;
}

static int run_layer_grad(const struct step *s, bool centred, struct err *e)
{
    struct norm m;
    struct shape inner;
    layer_norm(s, s->in[1], centred, &m, &inner);
    m.scale = spread(s, s->in[2], &inner, e);
    return e->code ? e->code : norm_run_grad(s, &m, s->in[0], s->in[1], s->out[0], output(s, 1), output(s, 2), e);
}

static int layer_grad_run(const struct step *s, struct err *e)
{
    return run_layer_grad(s, true, e);
}

static int rms_grad_run(const struct step *s, struct err *e)
{
    return run_layer_grad(s, false, e);
}

static int emit_layer_grad(struct grad *g, const char *op, int n_out)
{
    const struct node *n = g->node;
    for (int i = 1; i < n->n_out; i++)
        if (g->dy[i]) return fail(g->b->err, ERR_UNSUPPORTED, "no gradient through the statistics of a normalisation");
    const struct attr *list = ATTRS(
        attr_int("axis", node_int(n, "axis")), attr_float("epsilon", node_float(n, "epsilon")));
    struct node *d = builder_node(g->b, op, list, (struct value *[]){ g->dy[0], n->in[0], n->in[1] }, 3, n_out);
    for (int i = 0; d && i < n_out; i++) grad_set(g, i, d->out[i]);
    return 0;
}

static int layer_grad(struct grad *g)
{
    return emit_layer_grad(g, "LayerNormalizationGrad", 3);
}

static int rms_grad(struct grad *g)
{
    return emit_layer_grad(g, "RMSNormalizationGrad", 2);
}

/* x / sqrt(mean(x^2) + epsilon) * scale */
static int rms_expand(struct builder *b, const struct node *n, struct value **out)
{
    struct value *x = n->in[0];
    int64_t axes[SHAPE_MAX], count = 0, rank = x->shape.rank;
    if (rank < 0) return fail(b->err, ERR_SHAPE, "cannot be expanded while the rank is unknown");
    for (int64_t d = shape_axis(node_int(n, "axis"), (int)rank); d < rank; d++) axes[count++] = d;
    struct value *square = emit2(b, "ReduceMean", emit2(b, "Mul", x, x), emit_i64s(b, axes, (size_t)count));
    struct value *root = emit1(b, "Sqrt", emit2(b, "Add", square, emit_scalar(b, x->dtype, node_float(n, "epsilon"))));
    out[0] = emit2(b, "Mul", emit2(b, "Div", x, root), n->in[1]);
    return 0;
}

/* --- x normalised over groups of channels: GroupNormalization; InstanceNormalization has one per channel
 * --- */

static int check_channels(const struct node *n, int x, int from, int to, struct shape *c, struct err *e)
{
    const struct shape *s = &n->in[x]->shape;
    TRY(infer_type(n, x, TYPES_FLOAT, e));
    TRY(infer_rank(n, x, 2, SHAPE_MAX, e));
    TRY(infer_same_types(n, 0, n->n_in, e));
    *c = shape_of(1, (int64_t[]){ s->rank < 0 ? DIM_UNKNOWN : s->dim[1] });
    for (int i = from; i < to; i++) {
        TRY(infer_rank(n, i, 1, 1, e));
        if (!shape_merge(c, &n->in[i]->shape))
            return fail(e, ERR_SHAPE, "input %d (%s) has %lld numbers, expected one for each of %lld channels", i,
                n->in[i]->name, (long long)n->in[i]->shape.dim[0], (long long)c->dim[0]);
    }
    int64_t groups = node_int(n, "num_groups");
    if (groups < 0 || (groups && c->dim[0] >= 0 && c->dim[0] % groups))
        return fail(e, ERR_SHAPE, "%lld groups of %lld channels", (long long)groups, (long long)c->dim[0]);
    return 0;
}

static int group_infer(struct node *n, struct err *e)
{
    struct shape c;
    TRY(check_channels(n, 0, 1, 3, &c, e));
    return infer_same(n, e);
}

static int group_norm(const struct step *s, const struct tensor *x, int scale, struct norm *m, struct err *e)
{
    const struct shape *shape = &x->shape;
    int64_t groups = node_int(s->node, "num_groups");
    if (!groups) groups = shape->dim[1] ? shape->dim[1] : 1;
    *m = (struct norm){ .lines = shape->dim[0] * groups,
        .groups = groups,
        .epsilon = node_float(s->node, "epsilon"),
        .span = shape_span(shape, 2, shape->rank),
        .centred = true };
    m->len = shape->dim[1] / groups * m->span;
    if (!m->span) m->lines = m->len = 0, m->span = 1; /* no elements */
    m->scale = spread(s, s->in[scale], &s->in[scale]->shape, e);
    return e->code;
}

static int group_run(const struct step *s, struct err *e)
{
    struct norm m;
    TRY(group_norm(s, s->in[0], 1, &m, e));
    if (!(m.bias = spread(s, s->in[2], &s->in[2]->shape, e))) return e->code;
    return norm_run(s, &m, s->in[0], s->out[0], NULL, NULL, e);
}

static int group_grad(struct grad *g)
{
    const struct node *n = g->node;
    const struct attr *list = ATTRS(
        attr_int("num_groups", node_int(n, "num_groups")), attr_float("epsilon", node_float(n, "epsilon")));
    struct value *in[] = { g->dy[0], n->in[0], n->in[1] };
    struct node *d = builder_node(g->b, "GroupNormalizationGrad", list, in, 3, 3);
    for (int i = 0; d && i < 3; i++) g->dx[i] = d->out[i];
    return 0;
}

/* dy, x, scale -> dx, dscale, dbias */
static int group_grad_infer(struct node *n, struct err *e)
{
    struct shape c, x = n->in[1]->shape;
    TRY(check_channels(n, 1, 2, 3, &c, e));
    if (!shape_merge(&x, &n->in[0]->shape)) return fail(e, ERR_SHAPE, "the gradient has another shape than the input");
    infer_out(n, 0, n->in[1]->dtype, &x);
    infer_out(n, 1, n->in[2]->dtype, &c);
    infer_out(n, 2, n->in[2]->dtype, &c);
    return 0;
}

static int group_grad_run(const struct step *s, struct err *e)
{
    struct norm m;
    TRY(group_norm(s, s->in[1], 2, &m, e));
    return norm_run_grad(s, &m, s->in[0], s->in[1], s->out[0], s->out[1], s->out[2], e);
}

#define ROW(id, inputs_min, inputs_max, outputs_min, outputs_max, function, help, mode, list, example, ...) \
    { \
        .name = id, .doc = help, .min_in = inputs_min, .max_in = inputs_max, .min_out = outputs_min, \
        .max_out = outputs_max, .flags = mode, .attrs = list, .infer = function##_infer, .samples = example, \
        __VA_ARGS__ \
    }

const struct op ops_norm[] = {
    ROW("LayerNormalization", 2, 3, 1, 3, layer,
        "(x - mean) / sqrt(var + epsilon) scale + bias over the last dimensions", OP_INPLACE, layer_attrs,
        "f32[2,3,8] f32[8] f32[8]; f32[2,3,4,5] f32[4,5] f32[5] | axis=2 outputs=3; f32[6,300] f32[300] | outputs=2; "
        "f32[2,3,4] f32[1] f32[3,4] | axis=-2 epsilon=0.1; f16[3,7] f16[7] f16[7]",
        .run = layer_run, .grad = layer_grad),
    ROW("LayerNormalizationGrad", 3, 3, 1, 3, layer_grad, "gradients of x, scale and bias, of (dy, x, scale)",
        OP_OWN | OP_TRAINING_ONLY, layer_grad_attrs,
        "f32[2,3,8] f32[2,3,8] f32[8] | outputs=3; f32[6,300] f32[6,300] f32[300] | outputs=2; f32[9,4] f32[9,4] "
        "f32[1] | axis=0",
        .run = layer_grad_run),
    ROW("RMSNormalization", 2, 2, 1, 1, layer, "x / sqrt(mean(x^2) + epsilon) scale over the last dimensions",
        OP_INPLACE, layer_attrs, "f32[2,3,8] f32[8]; f32[2,3,4,5] f32[4,5] | axis=2; f32[6,300] f32[1]",
        .run = rms_run, .grad = rms_grad, .expand = rms_expand),
    ROW("RMSNormalizationGrad", 3, 3, 1, 2, layer_grad, "gradients of x and scale, of (dy, x, scale)",
        OP_OWN | OP_TRAINING_ONLY, layer_grad_attrs, "f32[2,3,8] f32[2,3,8] f32[8] | outputs=2", .run = rms_grad_run),
    ROW("GroupNormalization", 3, 3, 1, 1, group,
        "(x - mean) / sqrt(var + epsilon) scale + bias over groups of channels", OP_INPLACE, group_attrs,
        "f32[2,6,4,5] f32[6] f32[6] | num_groups=3; f32[2,4,300] f32[4] f32[4] | num_groups=1; f32[5,4] f32[4] f32[4] "
        "| "
        "num_groups=2; f32[2,4,3] f32[4] f32[4] | num_groups=4 epsilon=0.1",
        .run = group_run, .grad = group_grad),
    ROW("InstanceNormalization", 3, 3, 1, 1, group,
        "(x - mean) / sqrt(var + epsilon) scale + bias over the space of a channel", OP_INPLACE, instance_attrs,
        "f32[2,3,4,5] f32[3] f32[3]; f32[2,3,300] f32[3] f32[3] | epsilon=0.1", .run = group_run, .grad = group_grad),
    ROW("GroupNormalizationGrad", 3, 3, 3, 3, group_grad, "gradients of x, scale and bias, of (dy, x, scale)",
        OP_OWN | OP_TRAINING_ONLY, group_grad_attrs,
        "f32[2,6,4,5] f32[2,6,4,5] f32[6] | num_groups=3; f32[2,3,300] f32[2,3,300] f32[3] | num_groups=0",
        .run = group_grad_run),
    { 0 },
};
