/* control_expand.c - control flow that is decided beforehand, said without bodies: so gradients go through it. */
#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "ops/control.h"

int control_if_expand(struct builder *b, const struct node *n, struct value **out)
{
    const struct tensor *t = value_const(node_in(n, 0));
    if (!t) return fail(b->err, ERR_UNSUPPORTED, "depends on data (%s): it cannot be unfolded", node_in(n, 0)->name);
    const struct graph *branch = node_graph(n, tensor_get_i64(t, 0) ? "then_branch" : "else_branch");
    const char *prefix = arena_printf(b->g->arena, "%s/", n->name);
    TRY_MEM(prefix, b->err);
    return graph_inline(b->g, branch, n->in + 1, out, prefix, b->err);
}

/* Turns put one after another. */
struct unrolling {
    struct builder *b;
    const struct node *n;
    const struct graph *body;
    int carried, gathered;
    int64_t turns;
    struct value **in, **out;
    struct value ***made; /* per gathered output, per turn */
};

static int prepare(struct unrolling *u, struct builder *b, const struct node *n, int64_t turns)
{
    struct arena *a = b->g->arena;
    *u = (struct unrolling){ b, n, node_graph(n, "body"), control_carried(n), 0, turns, NULL, NULL, NULL };
    u->gathered = n->n_out - u->carried;
    u->in = ARENA_ARRAY(a, u->body->n_inputs, struct value *);
    u->out = ARENA_ARRAY(a, u->body->n_outputs, struct value *);
    u->made = ARENA_ARRAY(a, u->gathered, struct value **);
    if (!u->in || !u->out || !u->made) return fail_nomem(b->err);
    for (int k = 0; k < u->gathered; k++) TRY_MEM(u->made[k] = ARENA_ARRAY(a, turns, struct value *), b->err);
    for (size_t i = 0; i < u->body->n_inputs; i++) {
        struct body_input from = control_input(n, (int)i);
        bool reads = from.source == BODY_CARRIED || from.source == BODY_PASSED;
        u->in[i] = reads ? node_in(n, from.from) : NULL;
    }
    return 0;
}

static int turn(struct unrolling *u, int64_t t, int first_in, int first_out)
{
    struct builder *b = u->b;
    const char *prefix = arena_printf(b->g->arena, "%s/%lld/", u->n->name, (long long)t);
    TRY_MEM(prefix, b->err);
    TRY(graph_inline(b->g, u->body, u->in, u->out, prefix, b->err));
    for (int i = 0; i < u->carried; i++) u->in[first_in + i] = u->out[first_out + i];
    for (int k = 0; k < u->gathered; k++) {
        struct value *axis = emit_i64s(b, (int64_t[]){ control_axis(u->n, "scan_output_axes", k) }, 1);
        int64_t at = control_axis(u->n, "scan_output_directions", k) ? u->turns - 1 - t : t;
        u->made[k][at] = emit(b, "Unsqueeze", NO_ATTRS, u->out[first_out + u->carried + k], axis);
    }
    return b->err->code;
}

static int results(struct unrolling *u, int first_in, struct value **out)
{
    struct builder *b = u->b;
    for (int i = 0; i < u->carried; i++) out[i] = u->in[first_in + i];
    for (int k = 0; k < u->gathered; k++) {
        const struct value *v = u->n->out[u->carried + k];
        struct attr axis = attr_int("axis", control_axis(u->n, "scan_output_axes", k));
        out[u->carried + k] = u->turns ? builder_emit(b, "Concat", ATTRS(axis), u->made[k], (int)u->turns)
                                       : emit_const(b, tensor_new(b->g->arena, v->dtype, &v->shape, b->err));
    }
    return b->err->code;
}

int control_loop_expand(struct builder *b, const struct node *n, struct value **out)
{
    struct unrolling u;
    if (!control_unrolls(n)) return fail(b->err, ERR_UNSUPPORTED, "its number of turns is not known, or large");
    const struct tensor *first = value_const(node_in(n, 1)), *count = value_const(node_in(n, 0));
    int64_t turns = first && !tensor_get_i64(first, 0) ? 0 : tensor_get_i64(count, 0);
    TRY(prepare(&u, b, n, turns < 0 ? 0 : turns));
    u.in[1] = emit_scalar(b, DT_BOOL, 1);
    for (int64_t t = 0; t < u.turns; t++) {
        u.in[0] = emit_i64(b, t);
        TRY(turn(&u, t, 2, 1));
    }
    return results(&u, 2, out);
}

int control_scan_expand(struct builder *b, const struct node *n, struct value **out)
{
    struct unrolling u;
    if (!control_unrolls(n)) return fail(b->err, ERR_UNSUPPORTED, "its number of turns is not known, or large");
    int carried = control_carried(n), slices = (int)node_int(n, "num_scan_inputs");
    const struct value *x = node_in(n, carried);
    TRY(prepare(&u, b, n, x->shape.dim[shape_axis(control_axis(n, "scan_input_axes", 0), x->shape.rank)]));
    for (int64_t t = 0; t < u.turns; t++) {
        for (int i = 0; i < slices; i++) {
            int64_t at = control_axis(n, "scan_input_directions", i) ? u.turns - 1 - t : t;
            struct attr axis = attr_int("axis", control_axis(n, "scan_input_axes", i));
            u.in[carried + i] = emit(b, "Gather", ATTRS(axis), node_in(n, carried + i), emit_i64(b, at));
        }
        TRY(turn(&u, t, 0, 0));
    }
    return results(&u, 0, out);
}
