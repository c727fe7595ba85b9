/* graph_json.c - graphs and plans as JSON. */
#include "cli/graph_json.h"

#include <math.h>
#include <stdio.h>

#include "graph/graph.h"
#include "graph/op.h"

json_t *shape_json(const struct graph *g, const struct shape *s)
{
    if (s->rank < 0) return json_null();
    json_t *list = json_array();
    for (int d = 0; d < s->rank; d++) {
        int64_t dim = s->dim[d];
        json_array_append_new(list, dim >= 0 ? json_integer((json_int_t)dim)
                : dim == DIM_UNKNOWN         ? json_null()
                                             : json_string(graph_symbol_name(g, dim)));
    }
    return list;
}

static json_t *value_json(const struct graph *g, const struct value *v)
{
    return json_pack(
        "{s:s,s:s,s:o}", "name", v->name, "datatype", dtype_name(v->dtype), "shape", shape_json(g, &v->shape));
}

static json_t *values_json(const struct graph *g, struct value *const *list, size_t n)
{
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(out, list[i] ? value_json(g, list[i]) : json_null());
    return out;
}

static json_t *states_json(const struct graph *g)
{
    json_t *out = json_array();
    for (size_t i = 0; i < g->n_states; i++) {
        const struct value *v = g->states[i];
        json_t *o = value_json(g, v);
        json_object_set_new(o, "trainable", json_boolean(v->flags & VALUE_TRAINABLE));
        if (v->next) json_object_set_new(o, "next", json_string(v->next->name));
        json_array_append_new(out, o);
    }
    return out;
}

/* JSON has no words for what is not finite: they are texts, as YAML writes them. */
static json_t *real_json(double v)
{
    return isfinite(v) ? json_real(v) : json_string(isnan(v) ? ".nan" : v < 0 ? "-.inf" : ".inf");
}

static json_t *attr_json(const struct attr *a)
{
    json_t *list = json_array();
    switch (a->type) {
    case ATTR_INT: json_array_append_new(list, json_integer((json_int_t)a->i)); break;
    case ATTR_FLOAT: json_array_append_new(list, real_json(a->f)); break;
    case ATTR_STRING: json_array_append_new(list, json_string(a->s)); break;
    case ATTR_GRAPH: json_array_append_new(list, graph_json(a->graph)); break;
    case ATTR_TENSOR: json_array_append_new(list, json_pack("{s:s,s:o}", "datatype", dtype_name(a->tensor->dtype),
                          "shape", shape_json(NULL, &a->tensor->shape))); break;
    case ATTR_INTS:
        for (size_t i = 0; i < a->n; i++) json_array_append_new(list, json_integer((json_int_t)a->ints[i]));
        return list;
    case ATTR_FLOATS:
        for (size_t i = 0; i < a->n; i++) json_array_append_new(list, real_json(a->floats[i]));
        return list;
    case ATTR_STRINGS:
        for (size_t i = 0; i < a->n; i++) json_array_append_new(list, json_string(a->strings[i]));
        return list;
    default: break;
    }
    json_t *one = json_incref(json_array_get(list, 0)); /* no list: the value itself */
    json_decref(list);
    return one ? one : json_null();
}

static json_t *node_json(const struct graph *g, const struct node *n)
{
    json_t *in = json_array(), *attrs = json_object();
    for (int i = 0; i < n->n_in; i++) json_array_append_new(in, n->in[i] ? json_string(n->in[i]->name) : json_null());
    for (size_t i = 0; i < n->n_attrs; i++) json_object_set_new(attrs, n->attrs[i].name, attr_json(&n->attrs[i]));
    return json_pack("{s:s,s:s?,s:o,s:o,s:o,s:s?}", "op", n->op->name, "name", n->name, "in", in, "out",
        values_json(g, n->out, (size_t)n->n_out), "attributes", attrs, "where", n->where);
}

json_t *graph_json(const struct graph *g)
{
    json_t *nodes = json_array(), *guards = json_array(), *outputs = json_array();
    for (size_t i = 0; i < g->n_nodes; i++) json_array_append_new(nodes, node_json(g, g->nodes[i]));
    for (size_t i = 0; i < g->n_outputs; i++) json_array_append_new(outputs, json_string(g->outputs[i]->name));
    for (size_t i = 0; i < g->n_guards; i++)
        json_array_append_new(guards, json_pack("{s:s,s:I,s:s?}", "value", g->guards[i].value->name, "expected",
                                          (json_int_t)g->guards[i].expected, "where", g->guards[i].where));
    return json_pack("{s:s?,s:o,s:o,s:o,s:o,s:o}", "name", g->name, "inputs", values_json(g, g->inputs, g->n_inputs),
        "states", states_json(g), "nodes", nodes, "guards", guards, "outputs", outputs);
}

const char *step_kernel_name(const struct plan_step *s)
{
    return s->kind == STEP_REORDER ? "reorder"
        : s->kind == STEP_EVAL     ? "node by node"
        : s->step.kernel           ? s->step.kernel->name
                                   : "reference";
}

json_t *plan_json(const struct plan *p)
{
    json_t *steps = json_array();
    for (size_t i = 0; i < p->n_steps; i++) {
        const struct node *n = p->steps[i]->step.node;
        json_array_append_new(steps, json_pack("{s:s?,s:s,s:s?}", "op", n ? n->op->name : NULL, "kernel",
                                         step_kernel_name(p->steps[i]), "node", n ? n->name : NULL));
    }
    return json_pack("{s:o,s:I}", "steps", steps, "memory_bytes", (json_int_t)p->memory);
}

json_t *arena_json(const struct plan *p)
{
    json_t *places = json_array();
    for (size_t i = 0; i < p->n_places; i++) {
        const struct place *q = p->places[i];
        if (q->kind == PLACE_ARENA && q->root == q)
            json_array_append_new(places, json_pack("{s:I,s:I,s:i,s:i}", "offset", (json_int_t)q->offset, "bytes",
                                              (json_int_t)q->bytes, "first", q->first, "last", q->last));
    }
    return json_pack("{s:I,s:o}", "memory_bytes", (json_int_t)p->memory, "places", places);
}
