/* state.c - models that keep something between runs: attributes of modules as states of the graph.
 *
 * Streaming models often begin with an empty tensor, None or a zero, and make their state in the first run. A
 * graph has one shape for a state: such a model is read again with the attributes as they are after that run,
 * tensors beginning with zeros, and both readings are run on made-up inputs. Where they agree, zeros are the right
 * beginning.
 */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "base/rng.h"
#include "base/str.h"
#include "format/torch/entry.h"
#include "graph/op.h"
#include "ops/interpret.h"

static int bind_next(struct eval *v, const struct slot *s, struct value *next)
{
    struct value *state = s->initial->tensor->state;
    if (!state || value_resolve(state) == next) return 0;
    next = emit_cast(&v->t.b, next, state->dtype);
    if (!next) return v->err->code;
    state->next = next;
    return 0;
}

static int add_change(struct map *changed, const char *key, const struct settled *s, struct err *e)
{
    struct settled *copy = ARENA_NEW(changed->arena, struct settled);
    if (!copy) return fail_nomem(e);
    *copy = *s;
    return map_set(changed, key, copy) ? 0 : fail_nomem(e);
}

static int check_tensor(struct eval *v, const struct slot *s, struct torch_tensor *now, struct map *changed)
{
    struct value *next = torch_tensor_read(&v->t, now);
    if (!next) return v->err->code;
    struct settled settled = { .kind = OBJECT_TENSOR, .dtype = next->dtype, .shape = torch_hint(&v->t, next)->shape };
    bool same = s->initial->kind == OBJECT_TENSOR && shape_equal(&s->initial->tensor->data->shape, &settled.shape);
    if (same) return bind_next(v, s, next);
    if (settled.shape.rank < 0) return fail(v->err, ERR_UNSUPPORTED, "the state %s has no known shape", s->key);
    return add_change(changed, s->key, &settled, v->err);
}

int entry_states(struct eval *v, struct map *changed)
{
    for (size_t i = 0; i < v->n_slots; i++) {
        const struct slot *s = &v->slots[i];
        const struct object *now = map_get(&s->owner->attrs, s->name);
        if (object_is(now, OBJECT_TENSOR)) TRY(check_tensor(v, s, now->tensor, changed));
        else if (object_is_number(now) && !object_equal(now, s->initial)) {
            struct settled settled = { .kind = now->kind, .number = object_number(now) };
            TRY(add_change(changed, s->key, &settled, v->err));
        }
    }
    return torch_settle(&v->t);
}

/* A tensor like input `x` at its example shape: floats in [-1, 1), zeros otherwise. */
static struct tensor *made_up(
    struct arena *a, const struct value *x, const struct torch *hints, int stream, struct err *e)
{
    struct shape s = (size_t)x->id < hints->n_hints && hints->hints[x->id].known ? hints->hints[x->id].shape : x->shape;
    if (!shape_is_known(&s)) return fail(e, ERR_FAILED, "the input %s has no example shape", x->name), NULL;
    struct tensor *t = tensor_new(a, x->dtype, &s, e);
    for (int64_t i = 0; t && dtype_is_float(x->dtype) && i < tensor_count(t); i++)
        tensor_set_f64(t, i, 2 * rng_uniform(1, (uint64_t)stream, (uint64_t)i) - 1);
    return t;
}

static double difference(const struct tensor *a, const struct tensor *b)
{
    double most = 0, scale = 1e-30;
    if (a->dtype != b->dtype || !shape_equal(&a->shape, &b->shape)) return INFINITY;
    for (int64_t i = 0; i < tensor_count(a); i++) {
        most = fmax(most, fabs(tensor_get_f64(a, i) - tensor_get_f64(b, i)));
        scale = fmax(scale, fabs(tensor_get_f64(a, i)));
    }
    return most / scale;
}

static bool same_content(const struct tensor *a, const struct tensor *b)
{
    if (!a != !b || (a && (a->dtype == DT_STRING || b->dtype != a->dtype || !shape_equal(&a->shape, &b->shape))))
        return false;
    if (!a || !a->data || !b->data) return !a || (!a->data && !b->data);
    return !memcmp(a->data, b->data, (size_t)tensor_bytes(a));
}

/* What the text of a graph, which is one for both, does not say: the constants of it and of its bodies. */
static bool same_constants(const struct graph *a, const struct graph *b)
{
    if (a->n_values != b->n_values || a->n_nodes != b->n_nodes) return false;
    for (size_t i = 0; i < a->n_values; i++)
        if (a->values[i]->kind == VALUE_CONST && !same_content(a->values[i]->data, b->values[i]->data)) return false;
    for (size_t i = 0; i < a->n_nodes; i++) {
        const struct node *m = a->nodes[i], *n = b->nodes[i];
        for (size_t k = 0; k < m->n_attrs && k < n->n_attrs; k++) {
            const struct attr *x = &m->attrs[k], *y = &n->attrs[k];
            if (x->type == ATTR_TENSOR && !same_content(x->tensor, y->tensor)) return false;
            if (x->type == ATTR_GRAPH && !same_constants(x->graph, y->graph)) return false;
        }
    }
    return true;
}

/* Whether two readings made one graph, so that nothing need be run: what changed was only told, as warnings are. */
static int same_graph(
    const struct graph *first, const struct graph *second, struct arena *scratch, bool *same, struct err *e)
{
    struct str a = str_in(scratch), b = str_in(scratch);
    graph_print(first, &a);
    graph_print(second, &b);
    const char *x = str_done(&a), *y = str_done(&b);
    if (!x || !y) return fail_nomem(e);
    *same = !strcmp(x, y) && same_constants(first, second);
    return 0;
}

int entry_compare(struct graph *first, struct graph *second, const struct torch *hints, struct err *e)
{
    struct arena a;
    arena_init(&a, first->arena->mem);
    size_t n = first->n_outputs;
    struct tensor **in = ARENA_ARRAY(&a, first->n_inputs, struct tensor *);
    struct tensor **x = ARENA_ARRAY(&a, n, struct tensor *), **y = ARENA_ARRAY(&a, n, struct tensor *);
    int code = in && x && y ? 0 : fail_nomem(e);
    if (!code && (second->n_outputs != n || second->n_inputs != first->n_inputs))
        code = fail(e, ERR_FAILED, "other outputs");
    for (size_t i = 0; !code && i < first->n_inputs; i++)
        if (!(in[i] = made_up(&a, first->inputs[i], hints, (int)i, e))) code = e->code;
    if (!code) code = graph_tidy(first, e); /* only now: hints go by the numbers of values */
    if (!code) code = graph_tidy(second, e);
    bool same = false;
    if (!code) code = same_graph(first, second, &a, &same, e);
    if (same) n = 0;
    if (!code && !same) code = graph_interpret(first, in, x, &a, NULL, e);
    if (!code && !same) code = graph_interpret(second, in, y, &a, NULL, e);
    for (size_t i = 0; !code && i < n; i++)
        if (!(difference(x[i], y[i]) <= 1e-5))
            code = fail(e, ERR_UNSUPPORTED, "output %s of its first run is not that of a state of zeros",
                first->outputs[i]->name);
    arena_release(&a);
    return code;
}
