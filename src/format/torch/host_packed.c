/* host_packed.c - convolutions and linear layers whose weights were packed for phones (optimize_for_mobile):
 * objects of torch's own classes that hold weight, bias, geometry and the bounds of a clamp. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/torch/eval.h"

/* Items of the packed object's state after weight and bias, in the order of the operator's arguments; the bounds
 * last. */
static const struct packed {
    const char *name, *op;
    size_t n;           /* items of the state */
    signed char arg[8]; /* arguments after (input, weight, bias): which items */
    size_t n_args;
} kinds[] = {
    { "ops.prepacked.conv2d_clamp_run", "conv2d", 8, { 2, 3, 4, 5 }, 4 },
    { "ops.prepacked.conv2d_transpose_clamp_run", "conv_transpose2d", 9, { 2, 3, 4, 6, 5 }, 5 },
    { "ops.prepacked.linear_clamp_run", "linear", 4, { 0 }, 0 },
};

static struct object *run_packed(struct host_call *c)
{
    struct torch *t = &c->v->t;
    const struct packed *k = kinds;
    while (strcmp(k->name, c->name)) k++;
    const struct object *packed = host_arg(c, 1), *state;
    if (!object_is(packed, OBJECT_INSTANCE) || !(state = packed->instance->state))
        return host_fail(c, "not packed weights");
    if (state->kind != OBJECT_TUPLE || state->list->n != k->n) return host_fail(c, "packed weights of another kind");
    struct object **items = state->list->items, *args[8] = { c->args[0], items[0], items[1] };
    for (size_t i = 0; i < k->n_args; i++) args[3 + i] = items[(int)k->arg[i]];
    t->b.where = eval_where(c->v);
    struct object *y = aten_call(t, k->op, args, 3 + k->n_args, NULL, 0);
    const struct object *low = items[k->n - 2], *high = items[k->n - 1];
    if (!y || (low->kind == OBJECT_NONE && high->kind == OBJECT_NONE)) return y;
    return aten_call(t, "clamp", (struct object *[]){ y, items[k->n - 2], items[k->n - 1] }, 3, NULL, 0);
}

const struct host_row host_packed[] = {
    { "ops.prepacked.conv2d_clamp_run", run_packed },
    { "ops.prepacked.conv2d_transpose_clamp_run", run_packed },
    { "ops.prepacked.linear_clamp_run", run_packed },
    { 0 },
};
