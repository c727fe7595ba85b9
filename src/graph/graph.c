/* graph.c - making values and nodes, names, symbols, aliases, attributes. */
#include "graph/graph.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "graph/op.h"

struct graph *graph_new(struct arena *a, const struct op_table *ops, const char *name, struct err *e)
{
    struct graph *g = ARENA_NEW(a, struct graph);
    if (!g || !(g->name = arena_strdup(a, name ? name : "graph"))) return fail_nomem(e), NULL;
    g->arena = a;
    g->ops = ops;
    g->names = map_in(a);
    g->metadata = map_in(a);
    return g;
}

/* Sets v->name to `wanted`, or to "wanted_2", "wanted_3" .. when taken. */
static int take_name(struct graph *g, struct value *v, const char *wanted, struct err *e)
{
    char made[32];
    if (!wanted || !wanted[0]) {
        snprintf(made, sizeof made, "v%d", v->id);
        wanted = made;
    }
    const char *name = wanted;
    for (int i = 2; map_get(&g->names, name); i++) {
        name = arena_printf(g->arena, "%s_%d", wanted, v->id + i);
        TRY_MEM(name, e);
    }
    if (!map_set(&g->names, name, v)) return fail_nomem(e);
    v->name = map_find(&g->names, name)->key;
    return 0;
}

static struct value *add_value(struct graph *g, enum value_kind kind, const char *name, struct err *e)
{
    struct value *v = ARENA_NEW(g->arena, struct value);
    if (!v) return fail_nomem(e), NULL;
    v->kind = kind;
    v->id = (int)g->n_values;
    v->shape = shape_unknown();
    if (!ARRAY_PUSH(g->arena, g->values, g->n_values, g->cap_values, v)) return fail_nomem(e), NULL;
    return take_name(g, v, name, e) ? NULL : v;
}

struct value *graph_input(struct graph *g, const char *name, enum dtype t, const struct shape *s, struct err *e)
{
    struct value *v = add_value(g, VALUE_INPUT, name, e);
    if (!v) return NULL;
    v->dtype = t;
    v->shape = *s;
    if (!ARRAY_PUSH(g->arena, g->inputs, g->n_inputs, g->cap_inputs, v)) return fail_nomem(e), NULL;
    return v;
}

static struct value *add_data(
    struct graph *g, enum value_kind kind, const char *name, const struct tensor *t, struct err *e)
{
    struct value *v = add_value(g, kind, name, e);
    if (!v) return NULL;
    v->dtype = t->dtype;
    v->shape = t->shape;
    v->data = t;
    return v;
}

struct value *graph_const(struct graph *g, const char *name, const struct tensor *data, struct err *e)
{
    return add_data(g, VALUE_CONST, name, data, e);
}

struct value *graph_state(
    struct graph *g, const char *name, const struct tensor *initial, unsigned flags, struct err *e)
{
    struct value *v = add_data(g, VALUE_STATE, name, initial, e);
    if (!v) return NULL;
    v->flags = flags;
    if (!ARRAY_PUSH(g->arena, g->states, g->n_states, g->cap_states, v)) return fail_nomem(e), NULL;
    return v;
}

int graph_output(struct graph *g, struct value *v, struct err *e)
{
    return ARRAY_PUSH(g->arena, g->outputs, g->n_outputs, g->cap_outputs, v) ? 0 : fail_nomem(e);
}

int graph_rename(struct graph *g, struct value *v, const char *name, struct err *e)
{
    if (!strcmp(v->name, name)) return 0;
    struct map_entry *old = map_find(&g->names, v->name), *other = map_find(&g->names, name);
    if (old && old->value == v) old->value = NULL;
    struct value *holder = other ? other->value : NULL;
    if (!map_set(&g->names, name, v)) return fail_nomem(e);
    v->name = map_find(&g->names, name)->key;
    return holder && holder != v ? take_name(g, holder, name, e) : 0;
}

struct value *graph_find(const struct graph *g, const char *name)
{
    return map_get(&g->names, name);
}

int64_t graph_symbol(struct graph *g, const char *name)
{
    for (size_t i = 0; i < g->n_symbols; i++)
        if (!strcmp(g->symbols[i], name)) return DIM_SYMBOL((int64_t)i);
    const char *copy = arena_strdup(g->arena, name);
    if (!copy || !ARRAY_PUSH(g->arena, g->symbols, g->n_symbols, g->cap_symbols, copy)) return DIM_UNKNOWN;
    return DIM_SYMBOL((int64_t)g->n_symbols - 1);
}

const char *graph_symbol_name(const struct graph *g, int64_t dim)
{
    int i = DIM_SYMBOL_INDEX(dim);
    return i >= 0 && (size_t)i < g->n_symbols ? g->symbols[i] : "?";
}

int graph_guard(struct graph *g, struct value *v, int64_t expected, const char *where, struct err *e)
{
    struct guard guard = { v, expected, where ? arena_strdup(g->arena, where) : NULL };
    return ARRAY_PUSH(g->arena, g->guards, g->n_guards, g->cap_guards, guard) ? 0 : fail_nomem(e);
}

/* Copies of attribute lists and strings; tensors and graphs are shared (they lie in arenas that live as long). */
static bool copy_attr(struct arena *a, struct attr *to, const struct attr *from)
{
    *to = *from;
    if (!(to->name = arena_strdup(a, from->name))) return false;
    size_t width = sizeof(int64_t);
    switch (from->type) {
    case ATTR_STRING: return (to->s = arena_strdup(a, from->s)) != NULL;
    case ATTR_INTS:
    case ATTR_FLOATS:
        to->ints = arena_array(a, from->n, width); /* doubles have the same size, and share the union */
        if (to->ints && from->n) memcpy((void *)(uintptr_t)to->ints, from->ints, from->n * width);
        return to->ints != NULL;
    case ATTR_STRINGS: {
        const char **list = ARENA_ARRAY(a, from->n, const char *);
        for (size_t i = 0; list && i < from->n; i++)
            if (!(list[i] = arena_strdup(a, from->strings[i]))) return false;
        to->strings = list;
        return list != NULL;
    }
    default: return true;
    }
}

static int copy_attrs(struct graph *g, struct node *n, const struct attr *attrs, struct err *e)
{
    size_t count = 0;
    while (attrs && attrs[count].name) count++;
    struct attr *copy = ARENA_ARRAY(g->arena, count + 1, struct attr);
    TRY_MEM(copy, e);
    for (size_t i = 0; i < count; i++)
        if (!copy_attr(g->arena, &copy[i], &attrs[i])) return fail_nomem(e);
    n->attrs = copy;
    n->n_attrs = count;
    return 0;
}

struct node *graph_node(struct graph *g, const struct op *op, const char *name, const struct attr *attrs,
    struct value *const *in, int n_in, int n_out, struct err *e)
{
    struct node *n = ARENA_NEW(g->arena, struct node);
    if (!n) return fail_nomem(e), NULL;
    *n = (struct node){ .id = (int)g->n_nodes, .op = op, .n_in = n_in, .n_out = n_out, .graph = g };
    n->in = ARENA_ARRAY(g->arena, n_in, struct value *);
    n->out = ARENA_ARRAY(g->arena, n_out, struct value *);
    const char *before = g->outer ? g->name : ""; /* names around a body are not to be had in it as well */
    n->name = name && name[0] ? arena_strdup(g->arena, name)
                              : arena_printf(g->arena, "%s%s%s_%d", before, &"_"[!before[0]], op->name, n->id);
    if (!n->in || !n->out || !n->name) return fail_nomem(e), NULL;
    if (n_in) memcpy(n->in, in, (size_t)n_in * sizeof *in);
    if (copy_attrs(g, n, attrs, e)) return NULL;
    for (int i = 0; i < n_out; i++) {
        char suffixed[256];
        snprintf(suffixed, sizeof suffixed, "%.240s_out%d", n->name, i);
        if (!(n->out[i] = add_value(g, VALUE_NODE, i ? suffixed : n->name, e))) return NULL;
        n->out[i]->node = n;
        n->out[i]->index = i;
    }
    if (!ARRAY_PUSH(g->arena, g->nodes, g->n_nodes, g->cap_nodes, n)) return fail_nomem(e), NULL;
    return n;
}

struct value *value_resolve(struct value *v)
{
    while (v && v->alias) v = v->alias;
    return v;
}

void graph_alias(struct value *from, struct value *to)
{
    to = value_resolve(to);
    if (from != to) from->alias = to;
}

const struct attr *node_attr(const struct node *n, const char *name)
{
    for (size_t i = 0; i < n->n_attrs; i++)
        if (!strcmp(n->attrs[i].name, name)) return &n->attrs[i];
    return NULL;
}

static const struct attr_spec *default_of(const struct node *n, const char *name)
{
    for (const struct attr_spec *s = n->op->attrs; s && s->name; s++)
        if (!strcmp(s->name, name)) return s->presence == ATTR_DEFAULT ? s : NULL;
    return NULL;
}

int64_t node_int(const struct node *n, const char *name)
{
    const struct attr *a = node_attr(n, name);
    if (a) return a->i;
    const struct attr_spec *s = default_of(n, name);
    return s ? s->i : 0;
}

double node_float(const struct node *n, const char *name)
{
    const struct attr *a = node_attr(n, name);
    if (a) return a->f;
    const struct attr_spec *s = default_of(n, name);
    return s ? s->f : 0;
}

const char *node_string(const struct node *n, const char *name)
{
    const struct attr *a = node_attr(n, name);
    if (a) return a->s;
    const struct attr_spec *s = default_of(n, name);
    return s ? s->s : NULL;
}

const int64_t *node_ints(const struct node *n, const char *name, size_t *count)
{
    const struct attr *a = node_attr(n, name);
    *count = a ? a->n : 0;
    return a ? a->ints : NULL;
}

struct graph *node_graph(const struct node *n, const char *name)
{
    const struct attr *a = node_attr(n, name);
    return a ? a->graph : NULL;
}

struct value *node_in(const struct node *n, int i)
{
    return i < n->n_in ? value_resolve(n->in[i]) : NULL;
}

bool node_has(const struct node *n, const char *name)
{
    return node_attr(n, name) != NULL;
}

bool node_is(const struct node *n, const char *op)
{
    return n && !strcmp(n->op->name, op);
}

const struct tensor *value_const(const struct value *v)
{
    return v && v->kind == VALUE_CONST ? v->data : NULL;
}

bool value_is_fixed(const struct value *v)
{
    while (v && v->kind == VALUE_NODE && node_is(v->node, "Cast")) v = v->node->in[0];
    return !v || v->kind == VALUE_CONST || (v->kind == VALUE_STATE && !v->next);
}

int node_err(const struct node *n, struct err *e)
{
    return err_prefix(e, "%s (%s)%s%s", n->name, n->op->name, n->where ? " at " : "", n->where ? n->where : "");
}
