/* lift_experts.c - com.microsoft's MoE: every expert computes, the router says how much of each counts. */
#include <string.h>

#include "base/err.h"
#include "format/onnx/lift.h"
#include "format/onnx/lift_emit.h"

enum { X, ROUTER, W1, B1, W2, B2, W3, B3, INPUTS };

/* The weights of the experts for each token (tokens, experts): a softmax, of which the k largest are kept. */
static struct value *routing(struct lift *l, int64_t k)
{
    struct value *all = emit(l->b, "Softmax", ATTRS(attr_int("axis", -1)), l->in[ROUTER]);
    struct value *in[] = { all, emit_i64s(l->b, &k, 1) };
    struct node *top = builder_node(l->b, "TopK", ATTRS(attr_int("axis", -1)), in, 2, 2);
    if (!top) return NULL;
    struct value *kept = top->out[0], *axis = emit_i64s(l->b, (int64_t[]){ -1 }, 1);
    if (lift_int(l, "normalize_routing_weights", 0))
        kept = lift_two(l, "Div", kept, lift_two(l, "ReduceSum", kept, axis));
    struct value *none = lift_two(l, "Mul", all, lift_number(l, all, 0));
    return emit(l->b, "ScatterElements", ATTRS(attr_int("axis", 1)), none, top->out[1], kept);
}

/* x (1 or experts, tokens, in) by weights (experts, out, in), and a bias (experts, out) */
static struct value *layer(struct lift *l, struct value *x, int weight, int bias)
{
    struct value *y = lift_two(l, "MatMul", x, lift_permuted(l, l->in[weight], 3, (int64_t[]){ 0, 2, 1 }));
    return lift_in(l, bias) ? lift_two(l, "Add", y, lift_unsqueezed(l, l->in[bias], (int64_t[]){ 1 }, 1)) : y;
}

static struct value *activated(struct lift *l, struct value *x, struct err *e)
{
    static const struct {
        const char *name, *op, *mode;
    } known[] = { { "relu", "Relu", NULL }, { "silu", "Swish", NULL }, { "gelu", "Gelu", "tanh" },
        { "identity", "Identity", NULL } };
    const struct attr *a = lift_attr(l, "activation_type");
    const char *name = a && a->type == ATTR_STRING ? a->s : "relu";
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (!strcmp(known[i].name, name))
            return emit(
                l->b, known[i].op, known[i].mode ? ATTRS(attr_string("approximate", known[i].mode)) : NO_ATTRS, x);
    return fail(e, ERR_UNSUPPORTED, "activation_type is \"%s\", known are relu, silu, gelu and identity", name), NULL;
}

/* x (.., width), router (tokens, experts), and for each layer of the experts its weight and bias; a third multiplies
 * what the first gives. */
static int experts(struct lift *l, const char *arg, struct err *e)
{
    static const int needed[] = { X, ROUTER, W1, W2 };
    for (int i = 0; i < 4; i++)
        if (!lift_in(l, needed[i])) return fail(e, ERR_MODEL, "input %d is missing", needed[i]);
    if (l->n_in > INPUTS) return fail(e, ERR_UNSUPPORTED, "%d inputs, %d are known", l->n_in, INPUTS);
    const struct shape *in = &l->in[X]->shape;
    int64_t k = lift_int(l, "k", 1), width = in->rank > 1 ? in->dim[in->rank - 1] : -1;
    if (k < 1) return fail(e, ERR_MODEL, "k is %lld", (long long)k);
    if (width < 1) return fail(e, ERR_UNSUPPORTED, "an input of unknown width");
    if (lift_int(l, "use_sparse_mixer", 0)) return fail(e, ERR_UNSUPPORTED, "use_sparse_mixer=1");
    struct value *x = lift_reshaped(l, l->in[X], 3, (int64_t[]){ 1, -1, width });
    struct value *shape = lift_one(l, "Shape", l->in[X]);
    struct value *y = activated(l, layer(l, x, W1, B1), e);
    if (lift_in(l, W3)) y = lift_two(l, "Mul", y, layer(l, x, W3, B3));
    y = layer(l, y, W2, B2);
    struct value *part = routing(l, k);
    part = lift_unsqueezed(l, lift_permuted(l, part, 2, (int64_t[]){ 1, 0 }), (int64_t[]){ 2 }, 1);
    y = emit(l->b, "ReduceSum", ATTRS(attr_int("keepdims", 0)), lift_two(l, "Mul", y, part),
        emit_i64s(l->b, (int64_t[]){ 0 }, 1));
    lift_result(l, lift_two(l, "Reshape", y, shape));
    return e->code;
}

const struct lift_row lift_experts_rows[] = {
    { "MoE", 1, LIFT_ANY, experts, NULL, "" },
    { NULL },
};
