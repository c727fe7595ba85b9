/* builder.c - adding checked, inferred nodes. */
#include "graph/builder.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/op.h"

static const struct attr_spec *spec_of(const struct op *op, const char *name)
{
    for (const struct attr_spec *s = op->attrs; s && s->name; s++)
        if (!strcmp(s->name, name)) return s;
    return NULL;
}

static int check_attrs(const struct node *n, struct err *e)
{
    for (size_t i = 0; i < n->n_attrs; i++) {
        const struct attr_spec *s = spec_of(n->op, n->attrs[i].name);
        if (!s) return fail(e, ERR_UNSUPPORTED, "unknown attribute \"%s\"", n->attrs[i].name);
        if (s->type != n->attrs[i].type)
            return fail(e, ERR_MODEL, "attribute \"%s\" is %s, expected %s", s->name, attr_type_name(n->attrs[i].type),
                attr_type_name(s->type));
    }
    for (const struct attr_spec *s = n->op->attrs; s && s->name; s++)
        if (s->presence == ATTR_REQUIRED && !node_has(n, s->name))
            return fail(e, ERR_MODEL, "attribute \"%s\" is missing", s->name);
    return 0;
}

static int check_arity(const struct op *op, int n_in, int n_out, struct err *e)
{
    if (n_in < op->min_in || (op->max_in != OP_VARIADIC && n_in > op->max_in))
        return fail(e, ERR_MODEL, "%d inputs, expected %d to %d", n_in, op->min_in, op->max_in);
    if (n_out < op->min_out || (op->max_out != OP_VARIADIC && n_out > op->max_out))
        return fail(e, ERR_MODEL, "%d outputs, expected %d to %d", n_out, op->min_out, op->max_out);
    return 0;
}

int node_check_inputs(const struct node *n, struct err *e)
{
    for (int i = 0; i < n->n_in; i++) {
        const struct value *v = n->in[i];
        if (!v && i < n->op->min_in) return fail(e, ERR_MODEL, "input %d is missing", i);
        if (v && dtype_is_container(v->dtype) && !(n->op->flags & OP_CONTAINERS))
            return fail(e, ERR_SHAPE, "input %d (%s) is %s %s, expected a tensor", i, v->name,
                v->dtype == DT_OPTIONAL ? "an" : "a", dtype_name(v->dtype));
    }
    return 0;
}

static int infer_node(struct node *n, struct err *e)
{
    TRY(check_arity(n->op, n->n_in, n->n_out, e));
    TRY(check_attrs(n, e));
    TRY(node_check_inputs(n, e));
    if (n->op->infer) TRY(n->op->infer(n, e));
    if (n->op->contents) TRY(n->op->contents(n, e));
    return n->graph->arena->failed ? fail_nomem(e) : 0;
}

struct node *builder_node(
    struct builder *b, const char *name, const struct attr *attrs, struct value *const *in, int n_in, int n_out)
{
    if (b->err->code) return NULL;
    const struct op *op = b->g->ops->find(name);
    if (!op) return fail(b->err, ERR_UNSUPPORTED, "unknown operator %s", name), NULL;
    while (n_in > op->min_in && !in[n_in - 1]) n_in--; /* absent optional inputs at the end are not written */
    struct node *n = graph_node(b->g, op, b->name, attrs, in, n_in, n_out, b->err);
    if (!n) return NULL;
    b->name = NULL;
    n->where = b->where;
    for (int i = 0; i < n_in; i++) n->in[i] = value_resolve(n->in[i]);
    return infer_node(n, b->err) ? node_err(n, b->err), NULL : n;
}

struct value *builder_emit(
    struct builder *b, const char *op, const struct attr *attrs, struct value *const *in, int n_in)
{
    struct node *n = builder_node(b, op, attrs, in, n_in, 1);
    return n ? n->out[0] : NULL;
}

struct value *emit_const(struct builder *b, const struct tensor *t)
{
    if (b->err->code || !t) return NULL;
    struct value *v = graph_const(b->g, b->name, t, b->err);
    b->name = NULL;
    return v;
}

struct value *emit_i64s(struct builder *b, const int64_t *v, size_t n)
{
    if (b->err->code) return NULL;
    struct shape s = shape_of(1, (int64_t[]){ (int64_t)n });
    return emit_const(b, tensor_copy(b->g->arena, DT_I64, &s, v, b->err));
}

struct value *emit_i64(struct builder *b, int64_t v)
{
    if (b->err->code) return NULL;
    struct shape s = shape_of(0, NULL);
    return emit_const(b, tensor_copy(b->g->arena, DT_I64, &s, &v, b->err));
}

struct value *emit_scalar(struct builder *b, enum dtype t, double v)
{
    if (b->err->code) return NULL;
    struct shape s = shape_of(0, NULL);
    struct tensor *x = tensor_new(b->g->arena, t, &s, b->err);
    if (x) tensor_set_f64(x, 0, v);
    return emit_const(b, x);
}

struct value *emit_cast(struct builder *b, struct value *v, enum dtype t)
{
    if (b->err->code || !v || v->dtype == t) return v;
    return emit(b, "Cast", ATTRS(attr_int("to", (int64_t)t)), v);
}
