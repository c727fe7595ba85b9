/* chain.c - FusedElementwise: reading what it says, and its steps as operators of their own. */
#include "ops/chain.h"

#include <string.h>

#include "base/err.h"
#include "graph/builder.h"
#include "ops/eval.h"
#include "ops/infer.h"
#include "ops/registry.h"
#include "ops/unary.h"

static const char *const taken[] = { "Abs", "Add", "Ceil", "Celu", "Clip", "Div", "Elu", "Erf", "Exp", "Floor",
    "HardSigmoid", "HardSwish", "LeakyRelu", "Log", "Max", "Min", "Mish", "Mul", "Neg", "Reciprocal", "Relu", "Round",
    "Selu", "Sigmoid", "Sign", "Softplus", "Softsign", "Sqrt", "Sub", "Swish", "Tanh", "ThresholdedRelu" };

bool chain_takes(const struct op *op)
{
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (!strcmp(op->name, taken[i])) return true;
    return false;
}

/* Of as many inputs as there may be, Max and Min take two. */
int chain_arity(const struct op *op)
{
    return op->max_in == OP_VARIADIC ? 2 : op->max_in;
}

static int count_parameters(const struct op *op)
{
    int n = 0;
    for (const struct attr_spec *a = op->attrs; a && a->name; a++) n++;
    return n;
}

int chain_read(struct chain *c, const struct node *n, struct err *e)
{
    const struct attr *steps = node_attr(n, "steps"), *parameters = node_attr(n, "parameters");
    size_t n_operands, at = 0, parameter = 0;
    const int64_t *operands = node_ints(n, "operands", &n_operands);
    if (!steps || steps->n < 1 || steps->n > CHAIN_STEPS)
        return fail(e, ERR_MODEL, "has %zu steps: 1 to %d are possible", steps ? steps->n : 0, CHAIN_STEPS);
    c->n = (int)steps->n;
    for (int i = 0; i < c->n; i++) {
        struct chain_step *s = &c->steps[i];
        *s = (struct chain_step){ .op = op_registry.find(steps->strings[i]) };
        if (!s->op || !chain_takes(s->op)) return fail(e, ERR_MODEL, "%s cannot be a step", steps->strings[i]);
        s->n = chain_arity(s->op);
        s->n_parameters = count_parameters(s->op);
        if (at + (size_t)s->n > n_operands || parameter + (size_t)s->n_parameters > (parameters ? parameters->n : 0))
            return fail(e, ERR_MODEL, "has too few operands or parameters");
        for (int k = 0; k < s->n; k++) {
            int64_t operand = operands[at++];
            if (operand < -(int64_t)i || operand >= n->n_in)
                return fail(e, ERR_MODEL, "step %d: there is no operand %lld", i, (long long)operand);
            s->operand[k] = (int)operand;
        }
        for (int k = 0; k < s->n_parameters; k++) s->parameter[k] = parameters->floats[parameter++];
    }
    if (at < n_operands) return fail(e, ERR_MODEL, "has %zu operands too many", n_operands - at);
    return 0;
}

static int chain_infer(struct node *n, struct err *e)
{
    struct chain c;
    TRY(infer_same_types(n, 0, n->n_in, e));
    TRY(chain_read(&c, n, e));
    return infer_broadcast(n, e);
}

static int chain_expand(struct builder *b, const struct node *n, struct value **out)
{
    struct chain c;
    struct value *made[CHAIN_STEPS];
    TRY(chain_read(&c, n, b->err));
    for (int i = 0; i < c.n; i++) {
        const struct chain_step *s = &c.steps[i];
        struct attr attrs[CHAIN_PARAMETERS + 1] = { { 0 } };
        struct value *in[CHAIN_OPERANDS];
        for (int k = 0; k < s->n_parameters; k++) attrs[k] = attr_float(s->op->attrs[k].name, s->parameter[k]);
        for (int k = 0; k < s->n; k++) in[k] = s->operand[k] < 0 ? made[-1 - s->operand[k]] : n->in[s->operand[k]];
        if (!(made[i] = builder_emit(b, s->op->name, attrs, in, s->n))) return b->err->code;
    }
    out[0] = made[c.n - 1];
    return 0;
}

static const struct attr_spec chain_attrs[] = {
    { "steps", ATTR_STRINGS, ATTR_REQUIRED, .doc = "names of operators" },
    { "operands", ATTR_INTS, ATTR_REQUIRED, .doc = "of the steps: an input's number; -1: the first step's result" },
    { "parameters", ATTR_FLOATS, ATTR_OPTIONAL, .doc = "attributes of the steps, in the order of their tables" },
    { 0 },
};

const struct op ops_chain[] = {
    { .name = "FusedElementwise",
        .doc = "several element-wise operators as one",
        .min_in = 1,
        .max_in = CHAIN_INPUTS,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN | OP_INPLACE,
        .attrs = chain_attrs,
        .infer = chain_infer,
        .run = step_run_expanded,
        .expand = chain_expand,
        .samples = "f32[2,3,4,5] f32+[] f32{-3} f32{3} | steps=Div,Round,Clip,Mul operands=0,1,-1,-2,2,3,-3,1; "
                   "f32~[3,700] f32~[3,700] f32[1] | steps=Add,Relu,Mul,Max operands=0,1,-1,-2,2,-3,0; "
                   "f32~[2,16,5,5] | steps=LeakyRelu,HardSigmoid,Sigmoid,Elu operands=0,-1,-2,-3 "
                   "parameters=0.1,0.25,0.5,1.5; f32~[5,7] | steps=Tanh,Softplus,Mish,Erf,Softsign,Swish "
                   "operands=0,-1,-2,-3,-4,-5 parameters=1.5; f32+[40] | steps=Log,Exp,Sqrt,Reciprocal,Neg,Abs "
                   "operands=0,-1,-2,-3,-4,-5; f32~[6,6] f32~[6,6] | steps=Sub,Min,HardSwish,Selu,Celu,ThresholdedRelu "
                   "operands=0,1,-1,1,-2,-3,-4,-5 parameters=1.67,1.05,0.8,0.2; f32~[9] | "
                   "steps=Ceil,Floor,Sign operands=0,-1,-2; f64~[3] f64[3] | steps=Mul,Add operands=0,1,-1,0" },
    { 0 },
};
