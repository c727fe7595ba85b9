/* bind.c - concrete shapes for the inputs; symbols become numbers, guards are checked. */
#include "base/arena.h"
#include "base/err.h"
#include "pass/pass.h"

struct binding {
    int64_t number; /* -1: not bound yet */
    const char *by; /* the input that bound it */
};

static int bind_dim(struct graph *g, struct value *v, int d, int64_t number, struct binding *symbols, struct err *e)
{
    int64_t *dim = &v->shape.dim[d];
    if (*dim >= 0 && *dim != number)
        return fail(e, ERR_SHAPE,
            "input %s: dimension %d is %lld, the model expects %lld; a letter in its place, as in %s=Nx3x224x224, when "
            "the model is opened leaves it free", v->name, d, (long long)number, (long long)*dim, v->name);
    if (*dim < DIM_UNKNOWN) {
        struct binding *s = &symbols[DIM_SYMBOL_INDEX(*dim)];
        if (s->by && s->number != number)
            return fail(e, ERR_SHAPE, "input %s: dimension %d (%s) is %lld, but input %s has %lld", v->name, d,
                graph_symbol_name(g, *dim), (long long)number, s->by, (long long)s->number);
        *s = (struct binding){ number, v->name };
    }
    *dim = number;
    return 0;
}

static int bind_input(struct graph *g, struct value *v, const struct shape *s, struct binding *symbols, struct err *e)
{
    if (v->dtype == DT_NONE || dtype_is_container(v->dtype)) return v->shape = shape_unknown(), 0;
    if (!shape_is_known(s)) return fail(e, ERR_SHAPE, "input %s: the shape given is not complete", v->name);
    if (v->shape.rank < 0) return v->shape = *s, 0;
    if (v->shape.rank != s->rank)
        return fail(e, ERR_SHAPE, "input %s: rank %d was given, the model expects %d", v->name, s->rank, v->shape.rank);
    for (int d = 0; d < s->rank; d++) TRY(bind_dim(g, v, d, s->dim[d], symbols, e));
    return 0;
}

static int check_guard(const struct guard *guard, struct err *e)
{
    const struct tensor *t = value_const(guard->value);
    const char *where = guard->where ? guard->where : "the model";
    if (!t || tensor_count(t) != 1) return 0; /* depends on data after all: nothing to hold it against */
    int64_t found = tensor_get_i64(t, 0);
    if (found == guard->expected) return 0;
    return fail(e, ERR_SHAPE,
        "these input shapes take another way through the model than the one it was imported for (%s: %lld, was %lld); "
        "import it again with --input for these shapes",
        where, (long long)found, (long long)guard->expected);
}

int pass_bind(struct graph *g, const struct shape *inputs, struct err *e)
{
    struct binding *symbols = ARENA_ARRAY(g->arena, g->n_symbols, struct binding);
    TRY_MEM(symbols, e);
    for (size_t i = 0; i < g->n_inputs; i++) TRY(bind_input(g, g->inputs[i], &inputs[i], symbols, e));
    TRY(pass_fold_graph(g, e));
    for (size_t i = 0; i < g->n_guards; i++) TRY(check_guard(&g->guards[i], e));
    g->n_guards = 0;
    return 0;
}
