/* nodes.c - the nodes of a graph or function: names to values, older spellings lifted, results named. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/onnx/lift.h"
#include "format/onnx/reader.h"

const char *onnx_node_label(const struct onnx_node *n)
{
    if (n->name[0]) return n->name;
    for (size_t i = 0; i < n->output.n; i++)
        if (n->output.items[i][0]) return n->output.items[i];
    return "a node without a name";
}

bool onnx_lookup(struct onnx_reader *r, struct onnx_scope *scope, const char *name, struct value **out)
{
    struct value *outer = NULL;
    const struct map_entry *entry = map_find(&scope->values, name);
    if (entry) return *out = value_resolve(entry->value), true;
    if (!scope->outer || !onnx_lookup(r, scope->outer, name, &outer)) return false;
    *out = outer ? onnx_capture(r, scope, outer) : NULL;
    if (!map_set(&scope->values, name, *out)) fail_nomem(r->err);
    return !r->err->code;
}

static int read_inputs(struct onnx_reader *r, struct onnx_scope *scope, const struct onnx_node *n, struct value **in)
{
    for (size_t i = 0; i < n->input.n; i++) {
        const char *name = n->input.items[i];
        if (name[0] && !onnx_lookup(r, scope, name, &in[i]))
            return fail(
                r->err, ERR_MODEL, "%s (%s): nothing makes its input \"%s\"", onnx_node_label(n), n->op_type, name);
    }
    return 0;
}

/* The node's own name where no other has it, else that of its first output. */
static const char *unique_name(struct onnx_reader *r, const struct onnx_scope *scope, const struct onnx_node *n)
{
    const char *name = arena_printf(r->arena, "%s%s", scope->prefix, onnx_node_label(n));
    if (name && map_find(&r->node_names, name) && n->output.n)
        name = arena_printf(r->arena, "%s%s", scope->prefix, n->output.items[0]);
    return name && map_set(&r->node_names, name, r) ? name : NULL;
}

/* What this program wrote beside a node. */
static const char *own_property(const struct onnx_reader *r, const struct onnx_node *n, const char *key)
{
    for (size_t i = 0; r->own && i < n->metadata_props.n; i++)
        if (!strcmp(n->metadata_props.items[i].key, key)) return n->metadata_props.items[i].value;
    return NULL;
}

/* A constant that we wrote as an attribute gets its name back; several nodes may share it. */
static int restore_axes(struct onnx_reader *r, struct onnx_scope *scope, const char *name, struct lift *l)
{
    struct value *v = NULL;
    const struct attr *axes = lift_attr(l, "axes");
    if (!name) return 0;
    if (!onnx_lookup(r, scope, name, &v)) {
        struct shape s = shape_of(1, (int64_t[]){ axes ? (int64_t)axes->n : 0 });
        if (axes && axes->type != ATTR_INTS) return fail(r->err, ERR_MODEL, "%s: axes are no list of ints", l->name);
        const struct tensor *t = tensor_copy(r->root->arena, DT_I64, &s, axes ? axes->ints : NULL, r->err);
        if (!t || !(v = graph_const(scope->g, name, t, r->err))) return r->err->code;
        if (!map_set(&scope->values, name, v)) return fail_nomem(r->err);
    }
    lift_drop(l, "axes");
    lift_input(l, 1, v);
    return 0;
}

struct place {
    struct onnx_reader *r;
    struct onnx_scope *scope;
};

static struct value *value_named(const struct lift *l, const char *name)
{
    const struct place *at = l->cookie;
    struct value *v = NULL;
    return onnx_lookup(at->r, at->scope, name, &v) ? v : NULL;
}

static int emit_operator(
    struct onnx_reader *r, struct onnx_scope *scope, const struct onnx_node *n, struct value **in, struct value **out)
{
    struct builder b = { scope->g, r->err, .where = own_property(r, n, "tenrec.where") };
    struct onnx_captures *captures = NULL;
    struct place at = { r, scope };
    int captured = 0;
    bool *read = ARENA_ARRAY(r->arena, n->output.n, bool);
    struct lift l = { .b = &b,
        .arena = r->arena,
        .domain = onnx_is_standard(n->domain) ? "" : n->domain,
        .op = n->op_type,
        .name = unique_name(r, scope, n),
        .in = in,
        .n_in = (int)n->input.n,
        .out = out,
        .n_out = (int)n->output.n,
        .read = read,
        .value = value_named,
        .cookie = &at };
    if (!read || !l.name) return fail_nomem(r->err);
    l.version = onnx_is_standard(n->domain) ? scope->opset : LIFT_ANY;
    while (l.n_out > 1 && !n->output.items[l.n_out - 1][0]) l.n_out--;
    for (int i = 0; i < l.n_out; i++) read[i] = map_find(&scope->used, n->output.items[i]) != NULL;
    TRY(onnx_read_attrs(r, scope, n, in, &l.attrs, &l.n_attrs, &captures));
    l.cap_attrs = l.n_attrs + 1;
    if (captures) {
        TRY(onnx_join_captures(r, captures, l.op, &l.in, &l.n_in, &captured));
        if (captured && strcmp(l.op, "If") != 0) TRY(lift_set(&l, attr_int("captures", captured), r->err));
    }
    TRY(restore_axes(r, scope, own_property(r, n, "tenrec.axes"), &l));
    return lift_emit(&l, r->err);
}

/* Values made since `first` take the file's names; others (an input handed through) keep their own. */
static int name_output(struct onnx_reader *r, struct onnx_scope *scope, const char *name, struct value *v, int first)
{
    if (!map_set(&scope->values, name, v)) return fail_nomem(r->err);
    if (!v) return 0;
    onnx_check_hint(r, scope, name, v);
    if (v->kind != VALUE_NODE || v->node->graph != scope->g || v->id < first) return 0;
    if (!scope->prefix[0]) return graph_rename(scope->g, v, name, r->err);
    const char *full = arena_printf(r->arena, "%s%s", scope->prefix, name);
    TRY_MEM(full, r->err);
    return graph_find(scope->g, full) ? 0 : graph_rename(scope->g, v, full, r->err);
}

static int read_node(struct onnx_reader *r, struct onnx_scope *scope, const struct onnx_node *n)
{
    const struct onnx_function *f = onnx_function_find(r, n);
    struct value **in = ARENA_ARRAY(r->arena, n->input.n + LIFT_ROOM, struct value *);
    struct value **out = ARENA_ARRAY(r->arena, n->output.n + 1, struct value *);
    int first = (int)scope->g->n_values;
    if (!in || !out) return fail_nomem(r->err);
    if (r->nodes_left-- <= 0) return fail(r->err, ERR_MODEL, "too many nodes once its functions are unfolded");
    if (n->input.n > INT32_MAX || n->output.n > INT32_MAX)
        return fail(r->err, ERR_MODEL, "%s has %zu inputs", onnx_node_label(n), n->input.n);
    TRY(read_inputs(r, scope, n, in));
    if (f) TRY(onnx_inline(r, scope, f, n, in, out));
    else if (onnx_is_standard(n->domain) && !strcmp(n->op_type, "Constant")) TRY(onnx_read_constant(r, scope, n, out));
    else TRY(emit_operator(r, scope, n, in, out));
    for (size_t i = 0; i < n->output.n; i++)
        if (n->output.items[i][0]) TRY(name_output(r, scope, n->output.items[i], out[i], first));
    return 0;
}

int onnx_read_nodes(struct onnx_reader *r, struct onnx_scope *scope, const struct onnx_body *body)
{
    size_t *order = ARENA_ARRAY(r->arena, body->n, size_t);
    TRY_MEM(order, r->err);
    struct arena scratch;
    arena_init(&scratch, r->arena->mem);
    int code = onnx_sort(body, &scope->values, &scope->used, &scratch, order, r->err);
    arena_release(&scratch);
    TRY(code);
    for (size_t i = 0; i < body->n; i++) TRY(read_node(r, scope, &body->nodes[order[i]]));
    return 0;
}
