/* output.c - what a TorchScript model returns as outputs of the graph. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "format/torch/entry.h"
#include "graph/op.h"

enum { DEPTH = 16 };

static bool is_output(const struct graph *g, const struct value *v)
{
    for (size_t i = 0; i < g->n_outputs; i++)
        if (value_resolve(g->outputs[i]) == v) return true;
    return false;
}

/* An input, a weight or an output already there keeps its name: an Identity stands between. */
static int add_output(struct eval *v, struct value *x, const char *name)
{
    struct graph *g = v->t.g;
    if (!x) return v->err->code;
    x = value_resolve(x);
    if (x->kind != VALUE_NODE || is_output(g, x)) {
        const struct op *identity = g->ops->find("Identity");
        if (!identity) return fail(v->err, ERR_FAILED, "no operator Identity");
        struct node *n = graph_node(g, identity, NULL, NULL, &x, 1, 1, v->err);
        if (!n) return v->err->code;
        n->out[0]->dtype = x->dtype;
        n->out[0]->shape = x->shape;
        x = n->out[0];
    }
    TRY(graph_rename(g, x, name, v->err));
    return graph_output(g, x, v->err);
}

static const char *below(struct eval *v, const char *path, const char *name)
{
    const char *s = path[0] ? arena_printf(v->arena, "%s.%s", path, name) : name;
    if (!s) fail_nomem(v->err);
    return s;
}

static int flatten(struct eval *v, const struct object *o, const char *path, int depth);

static int flatten_list(struct eval *v, const struct object *o, const char *path, int depth)
{
    const struct ts_class *type = o->list->type;
    for (size_t i = 0; i < o->list->n; i++) {
        bool named = type && i < type->n_members;
        const char *name = named ? type->members[i].name : arena_printf(v->arena, "%zu", i);
        TRY_MEM(name, v->err);
        if (!(name = below(v, path, name))) return v->err->code;
        TRY(flatten(v, o->list->items[i], name, depth + 1));
    }
    return 0;
}

static int flatten_dict(struct eval *v, const struct object *o, const char *path, int depth)
{
    for (size_t i = 0; i < o->dict->n; i++) {
        const struct object *key = o->dict->pairs[i].key;
        const char *name = key->kind == OBJECT_STR
            ? key->text
            : arena_printf(v->arena, "%lld", (long long)(object_is_number(key) ? object_number(key) : (double)i));
        TRY_MEM(name, v->err);
        if (!(name = below(v, path, name))) return v->err->code;
        TRY(flatten(v, o->dict->pairs[i].value, name, depth + 1));
    }
    return 0;
}

static int flatten(struct eval *v, const struct object *o, const char *path, int depth)
{
    static const enum dtype types[] = { [OBJECT_BOOL] = DT_BOOL, [OBJECT_INT] = DT_I64, [OBJECT_FLOAT] = DT_F32 };
    const char *name = path[0] ? path : "output";
    if (depth > DEPTH) return fail(v->err, ERR_UNSUPPORTED, "what the model returns is nested too deep");
    switch (o->kind) {
    case OBJECT_TENSOR: return add_output(v, torch_tensor_read(&v->t, o->tensor), name);
    case OBJECT_LIST:
    case OBJECT_TUPLE: return flatten_list(v, o, path, depth);
    case OBJECT_DICT: return flatten_dict(v, o, path, depth);
    case OBJECT_BOOL:
    case OBJECT_INT:
    case OBJECT_FLOAT: return add_output(v, torch_scalar(&v->t, o, types[o->kind]), name);
    case OBJECT_NONE:
    case OBJECT_UNKNOWN: return 0;
    default:
        report_add(v->t.report, REPORT_WARNING, name, "the model returns a %s, which is no output of a graph",
            object_kind_name(o->kind));
        return 0;
    }
}

int entry_outputs(struct eval *v, struct object *result)
{
    TRY(flatten(v, result, "", 0));
    if (!v->t.g->n_outputs && !v->t.report->n_errors)
        return fail(v->err, ERR_UNSUPPORTED, "the model returns no tensor");
    return 0;
}
