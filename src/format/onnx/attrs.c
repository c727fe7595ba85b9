/* attrs.c - attributes of nodes, subgraphs among them; Constant nodes, which are nothing but an attribute. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/onnx/reader.h"
#include "ops/control.h"

const struct onnx_attr *onnx_attr_resolve(const struct onnx_scope *scope, const struct onnx_attr *a)
{
    if (!a->ref_attr_name[0]) return a;
    while (scope && !scope->function) scope = scope->outer;
    if (!scope) return NULL;
    for (size_t i = 0; i < scope->n_given; i++)
        if (!strcmp(scope->given[i].name, a->ref_attr_name)) return &scope->given[i];
    const struct onnx_function *f = scope->function;
    for (size_t i = 0; i < f->attribute_proto.n; i++)
        if (!strcmp(f->attribute_proto.items[i].name, a->ref_attr_name)) return &f->attribute_proto.items[i];
    return NULL;
}

/* Files of the first version leave the type out; the field that is there tells. */
static int64_t type_of(const struct onnx_attr *a)
{
    static const unsigned char types[] = { [2] = ONNX_FLOAT,
        [3] = ONNX_INT,
        [4] = ONNX_STRING,
        [5] = ONNX_TENSOR,
        [6] = ONNX_GRAPH,
        [7] = ONNX_FLOATS,
        [8] = ONNX_INTS,
        [9] = ONNX_STRINGS };
    if (a->type) return a->type;
    for (unsigned i = 2; i < sizeof types; i++)
        if (ONNX_HAS(a, i)) return types[i];
    return 0;
}

static int read_subgraph(struct onnx_reader *r, struct onnx_scope *scope, const struct onnx_node *n,
    struct value *const *in, const struct onnx_graph *from, struct onnx_captures *captures)
{
    struct onnx_scope inner = { .outer = scope, .captures = captures, .opset = scope->opset, .prefix = "" };
    int depth = 1;
    inner.values = map_in(r->arena), inner.hints = map_in(r->arena), inner.used = map_in(r->arena);
    inner.g = graph_new(r->arena, r->root->ops, from->name, r->err);
    if (!inner.g) return r->err->code;
    inner.g->outer = scope->g;
    captures->g = inner.g;
    for (const struct graph *g = scope->g; g->outer; g = g->outer) depth++;
    if (depth > CONTROL_DEPTH_MAX)
        return fail(r->err, ERR_UNSUPPORTED, "graphs nest deeper than %d", CONTROL_DEPTH_MAX);
    return onnx_read_graph(r, &inner, from, n, in);
}

static bool is_vague(const struct onnx_scope *scope)
{
    for (; scope; scope = scope->outer)
        if (scope->captures && scope->captures->vague) return true;
    return false;
}

/* A branch of an If may be for other shapes than these: it is read once more as if it knew none. */
static int read_branch(struct onnx_reader *r, struct onnx_scope *scope, const struct onnx_node *n,
    struct value *const *in, const struct onnx_graph *from, struct onnx_captures *captures)
{
    int code = read_subgraph(r, scope, n, in, from, captures);
    if (code != ERR_SHAPE || strcmp(n->op_type, "If") != 0 || is_vague(scope)) return code;
    err_clear(r->err);
    *captures = (struct onnx_captures){ .vague = true };
    return read_subgraph(r, scope, n, in, from, captures);
}

/* What this program wrote beside a float that is no float32. */
static double exact_float(const struct onnx_reader *r, const struct onnx_node *n, const struct onnx_attr *a)
{
    static const char prefix[] = "tenrec.float.";
    for (size_t i = 0; r->own && i < n->metadata_props.n; i++) {
        const struct onnx_entry *m = &n->metadata_props.items[i];
        if (!strncmp(m->key, prefix, sizeof prefix - 1) && !strcmp(m->key + sizeof prefix - 1, a->name)) {
            double v = strtod(m->value, NULL);
            if ((float)v == a->f) return v;
        }
    }
    return a->f;
}

static int convert(struct onnx_reader *r, struct onnx_scope *scope, const struct onnx_node *n, struct value *const *in,
    const struct onnx_attr *a, struct attr *out, struct onnx_captures **captures)
{
    switch (type_of(a)) {
    case ONNX_FLOAT: return *out = attr_float(out->name, exact_float(r, n, a)), 0;
    case ONNX_INT: return *out = attr_int(out->name, a->i), 0;
    case ONNX_STRING: return *out = attr_string(out->name, a->s), 0;
    case ONNX_INTS: return *out = attr_ints(out->name, a->ints.i64, a->ints.n), 0;
    case ONNX_FLOATS: {
        double *v = ARENA_ARRAY(r->arena, a->floats.n, double);
        TRY_MEM(v, r->err);
        for (size_t i = 0; i < a->floats.n; i++) v[i] = a->floats.f32[i];
        return *out = attr_floats(out->name, v, a->floats.n), 0;
    }
    case ONNX_STRINGS:
        *out = (struct attr){ .name = out->name, .type = ATTR_STRINGS, .n = a->strings.n, .strings = a->strings.items };
        return 0;
    case ONNX_TENSOR:
        if (!a->t) break;
        *out = attr_tensor(out->name, onnx_tensor_load(&r->source, a->t, r->err));
        return out->tensor ? 0 : r->err->code;
    case ONNX_GRAPH: {
        struct onnx_captures *list = a->g ? ARENA_NEW(r->arena, struct onnx_captures) : NULL;
        if (!a->g) break;
        TRY_MEM(list, r->err);
        while (*captures) captures = &(*captures)->next;
        *captures = list;
        TRY(read_branch(r, scope, n, in, a->g, list));
        return *out = attr_graph(out->name, list->g), 0;
    }
    default: break;
    }
    return fail(r->err, ERR_UNSUPPORTED, "attribute \"%s\" has type %lld", out->name, (long long)a->type);
}

int onnx_read_attrs(struct onnx_reader *r, struct onnx_scope *scope, const struct onnx_node *n, struct value *const *in,
    struct attr **attrs, size_t *n_attrs, struct onnx_captures **captures)
{
    struct attr *list = ARENA_ARRAY(r->arena, n->attribute.n + 1, struct attr);
    TRY_MEM(list, r->err);
    *attrs = list;
    *n_attrs = 0;
    for (size_t i = 0; i < n->attribute.n; i++) {
        const struct onnx_attr *a = onnx_attr_resolve(scope, &n->attribute.items[i]);
        if (!a || a->type == ONNX_TYPE) continue; /* of an Optional without an input: what it would hold */
        list->name = n->attribute.items[i].name;
        if (convert(r, scope, n, in, a, list, captures))
            return err_prefix(r->err, "%s (%s)", onnx_node_label(n), n->op_type);
        list++, ++*n_attrs;
    }
    return 0;
}

/* A tensor of `n` numbers; a 0-d one when `scalar`. */
static const struct tensor *numbers(struct onnx_reader *r, enum dtype t, const void *data, size_t n, bool scalar)
{
    struct shape s = shape_of(scalar ? 0 : 1, (int64_t[]){ (int64_t)n });
    return tensor_copy(r->root->arena, t, &s, data, r->err);
}

static const struct tensor *texts(struct onnx_reader *r, const char *const *list, size_t n, bool scalar)
{
    struct string_element *elements = ARENA_ARRAY(r->arena, n, struct string_element);
    if (!elements) return fail_nomem(r->err), NULL;
    for (size_t i = 0; i < n; i++) elements[i] = (struct string_element){ list[i], strlen(list[i]) };
    return numbers(r, DT_STRING, elements, n, scalar);
}

static const struct tensor *constant(struct onnx_reader *r, const char *name, const struct onnx_attr *a)
{
    if (!strcmp(name, "value") && a->t) return onnx_tensor_load(&r->source, a->t, r->err);
    if (!strcmp(name, "sparse_value") && a->sparse_tensor)
        return onnx_sparse_load(&r->source, a->sparse_tensor, r->err);
    if (!strcmp(name, "value_float")) return numbers(r, DT_F32, &a->f, 1, true);
    if (!strcmp(name, "value_floats")) return numbers(r, DT_F32, a->floats.f32, a->floats.n, false);
    if (!strcmp(name, "value_int")) return numbers(r, DT_I64, &a->i, 1, true);
    if (!strcmp(name, "value_ints")) return numbers(r, DT_I64, a->ints.i64, a->ints.n, false);
    if (!strcmp(name, "value_string")) return texts(r, &a->s, 1, true);
    if (!strcmp(name, "value_strings")) return texts(r, a->strings.items, a->strings.n, false);
    return fail(r->err, ERR_UNSUPPORTED, "unknown attribute \"%s\"", name), NULL;
}

int onnx_read_constant(struct onnx_reader *r, struct onnx_scope *scope, const struct onnx_node *n, struct value **out)
{
    const struct onnx_attr *a = n->attribute.n == 1 ? onnx_attr_resolve(scope, &n->attribute.items[0]) : NULL;
    if (!a || n->output.n != 1)
        return fail(r->err, ERR_MODEL, "%s (Constant): expected one attribute and one output", onnx_node_label(n));
    const struct tensor *t = constant(r, n->attribute.items[0].name, a);
    if (!t) return err_prefix(r->err, "%s (Constant)", onnx_node_label(n));
    const char *name = arena_printf(r->arena, "%s%s", scope->prefix, n->output.items[0]);
    TRY_MEM(name, r->err);
    out[0] = graph_const(scope->g, name, t, r->err);
    return out[0] ? 0 : r->err->code;
}
