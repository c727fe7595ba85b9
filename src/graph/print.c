/* print.c - a graph as text, one node per line. */
#include "base/str.h"
#include "graph/graph.h"
#include "graph/op.h"

void shape_print(const struct graph *g, const struct shape *s, struct str *out)
{
    if (s->rank < 0) {
        str_add(out, "[?]");
        return;
    }
    str_addc(out, '[');
    for (int i = 0; i < s->rank; i++) {
        if (i) str_addc(out, ',');
        if (s->dim[i] >= 0) str_addf(out, "%lld", (long long)s->dim[i]);
        else str_add(out, s->dim[i] == DIM_UNKNOWN ? "?" : graph_symbol_name(g, s->dim[i]));
    }
    str_addc(out, ']');
}

const char *attr_type_name(enum attr_type t)
{
    static const char *const names[] = { "none", "int", "float", "string", "tensor", "graph", "ints", "floats",
        "strings" };
    return names[t];
}

static void print_type(
    const struct graph *g, enum dtype t, const struct shape *s, const struct content *of, struct str *out)
{
    str_add(out, dtype_name(t));
    if (of) {
        str_addc(out, '(');
        print_type(g, of->dtype, &of->shape, of->of, out);
        str_addc(out, ')');
    }
    shape_print(g, s, out);
}

static void print_value(const struct graph *g, const struct value *v, struct str *out)
{
    str_addf(out, "%s ", v->name);
    print_type(g, v->dtype, &v->shape, v->of, out);
}

static void print_attr(const struct attr *a, struct str *out)
{
    str_addf(out, " %s=", a->name);
    switch (a->type) {
    case ATTR_INT: str_addf(out, "%lld", (long long)a->i); break;
    case ATTR_FLOAT: str_addf(out, "%.9g", a->f); break;
    case ATTR_STRING: str_addf(out, "\"%s\"", a->s); break;
    case ATTR_INTS:
        for (size_t i = 0; i < a->n; i++) str_addf(out, "%s%lld", i ? "," : "", (long long)a->ints[i]);
        break;
    case ATTR_FLOATS:
        for (size_t i = 0; i < a->n; i++) str_addf(out, "%s%.9g", i ? "," : "", a->floats[i]);
        break;
    case ATTR_STRINGS:
        for (size_t i = 0; i < a->n; i++) str_addf(out, "%s\"%s\"", i ? "," : "", a->strings[i]);
        break;
    default: str_addf(out, "<%s>", attr_type_name(a->type));
    }
}

static void print_graph(const struct graph *g, int depth, struct str *out);

static void print_node(const struct graph *g, const struct node *n, int depth, struct str *out)
{
    str_addf(out, "%*s", 2 * depth, "");
    for (int i = 0; i < n->n_out; i++) {
        if (i) str_add(out, ", ");
        print_value(g, n->out[i], out);
    }
    str_addf(out, " = %s(", n->op->name);
    for (int i = 0; i < n->n_in; i++) str_addf(out, "%s%s", i ? ", " : "", n->in[i] ? n->in[i]->name : "-");
    str_addc(out, ')');
    for (size_t i = 0; i < n->n_attrs; i++) print_attr(&n->attrs[i], out);
    if (n->where) str_addf(out, "  # %s", n->where);
    str_addc(out, '\n');
    for (size_t i = 0; i < n->n_attrs; i++) {
        if (n->attrs[i].type != ATTR_GRAPH) continue;
        str_addf(out, "%*s%s = ", 2 * depth + 2, "", n->attrs[i].name);
        print_graph(n->attrs[i].graph, depth + 2, out);
    }
}

static void print_graph(const struct graph *g, int depth, struct str *out)
{
    int indent = 2 * depth;
    str_addf(out, "graph %s\n", g->name);
    for (size_t i = 0; i < g->n_inputs; i++) {
        str_addf(out, "%*sinput ", indent, "");
        print_value(g, g->inputs[i], out);
        str_addc(out, '\n');
    }
    for (size_t i = 0; i < g->n_states; i++) {
        str_addf(out, "%*s%s ", indent, "", g->states[i]->flags & VALUE_TRAINABLE ? "parameter" : "buffer");
        print_value(g, g->states[i], out);
        if (g->states[i]->next) str_addf(out, " <- %s", g->states[i]->next->name);
        str_addc(out, '\n');
    }
    for (size_t i = 0; i < g->n_nodes; i++) print_node(g, g->nodes[i], depth, out);
    for (size_t i = 0; i < g->n_guards; i++)
        str_addf(out, "%*sguard %s == %lld  # %s\n", indent, "", g->guards[i].value->name,
            (long long)g->guards[i].expected, g->guards[i].where ? g->guards[i].where : "");
    for (size_t i = 0; i < g->n_outputs; i++) str_addf(out, "%*soutput %s\n", indent, "", g->outputs[i]->name);
}

void graph_print(const struct graph *g, struct str *out)
{
    print_graph(g, 1, out);
}
