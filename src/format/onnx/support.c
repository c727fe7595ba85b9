/* support.c - which operators and types of a model cannot be taken, all at once; which initializers are constants. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/onnx/lift.h"
#include "format/onnx/reader.h"
#include "graph/op.h"
#include "ops/registry.h"

/* Inputs whose contents shapes or quantisation depend on: they are read when the graph is made. Bit i: input i. */
static const struct {
    const char *op;
    unsigned inputs;
} fixed_inputs[] = {
    { "Resize", 1 << 1 | 1 << 2 },
    { "Upsample", 1 << 1 },
    { "OneHot", 1 << 2 },
    { "QuantizeLinear", 1 << 1 },
    { "DequantizeLinear", 1 << 1 },
    { "QLinearConv", 1 << 1 | 1 << 4 | 1 << 6 },
    { "QLinearMatMul", 1 << 1 | 1 << 4 | 1 << 6 },
};

struct check {
    struct onnx_reader *r;
    struct map seen; /* functions looked at */
};

bool onnx_is_standard(const char *domain)
{
    return !domain[0] || !strcmp(domain, "ai.onnx");
}

static bool is_known(const struct onnx_node *n, int64_t opset)
{
    bool own = !strcmp(n->domain, ONNX_OWN_DOMAIN), standard = onnx_is_standard(n->domain);
    if (standard && !strcmp(n->op_type, "Constant")) return true;
    const char *needs = own ? n->op_type
                            : lift_needs(standard ? "" : n->domain, n->op_type, standard ? opset : LIFT_ANY);
    if (!needs || !needs[0]) return needs != NULL;
    const struct op *op = op_registry.find(needs);
    return op && (own == ((op->flags & OP_OWN) != 0) || !(own || standard));
}

static int note_fixed(struct check *c, const struct onnx_node *n)
{
    for (size_t i = 0; i < sizeof fixed_inputs / sizeof fixed_inputs[0]; i++) {
        if (strcmp(fixed_inputs[i].op, n->op_type) != 0) continue;
        for (size_t k = 0; k < n->input.n && k < 32; k++)
            if (fixed_inputs[i].inputs >> k & 1 && !map_set(&c->r->fixed, n->input.items[k], c->r))
                return fail_nomem(c->r->err);
    }
    return 0;
}

static int check_graph(struct check *c, const struct onnx_graph *g, int64_t opset);

static int check_nodes(struct check *c, const struct onnx_node *nodes, size_t n_nodes, int64_t opset)
{
    struct onnx_reader *r = c->r;
    for (size_t i = 0; i < n_nodes; i++) {
        const struct onnx_node *n = &nodes[i];
        TRY(note_fixed(c, n));
        const struct onnx_function *f = onnx_function_find(r, n);
        if (!f && !is_known(n, opset))
            report_add(r->report, REPORT_ERROR, onnx_node_label(n), "unsupported operator %s%s%s (opset %lld)",
                n->domain, n->domain[0] ? "." : "", n->op_type, (long long)opset);
        char key[32];
        snprintf(key, sizeof key, "%p", (const void *)f);
        if (f && !map_find(&c->seen, key)) {
            if (!map_set(&c->seen, key, c)) return fail_nomem(r->err);
            TRY(check_nodes(c, f->node.items, f->node.n, onnx_function_opset(r, f)));
        }
        for (size_t k = 0; k < n->attribute.n; k++)
            if (n->attribute.items[k].g) TRY(check_graph(c, n->attribute.items[k].g, opset));
    }
    return 0;
}

static void check_value(struct check *c, const struct onnx_value *v, const char *what)
{
    const struct onnx_type *t = &v->type;
    static const struct {
        unsigned number;
        const char *name;
    } others[] = { { 5, "map" }, { 7, "opaque value" }, { 8, "sparse tensor" } };
    enum dtype key, of;
    if (!strcmp(what, "input") && onnx_map_types(t, &key, &of)) return;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (ONNX_HAS(t, others[i].number))
            report_add(c->r->report, REPORT_ERROR, v->name, "unsupported type of %s: %s", what, others[i].name);
    int64_t element = t->tensor_type.elem_type;
    if (ONNX_HAS(t, 1) && element && (element != (int)element || !dtype_is_valid((int)element)))
        report_add(c->r->report, REPORT_ERROR, v->name, "unsupported element type %lld (%s)", (long long)element,
            onnx_type_name(element));
}

static int check_graph(struct check *c, const struct onnx_graph *g, int64_t opset)
{
    for (size_t i = 0; i < g->input.n; i++) check_value(c, &g->input.items[i], "input");
    for (size_t i = 0; i < g->output.n; i++) check_value(c, &g->output.items[i], "output");
    return check_nodes(c, g->node.items, g->node.n, opset);
}

int onnx_check_support(struct onnx_reader *r)
{
    struct check c = { r, map_in(r->arena) };
    TRY(check_graph(&c, &r->model->graph, r->opset));
    return report_fail(r->report, ERR_UNSUPPORTED, "this model needs what is not there yet", r->err);
}
