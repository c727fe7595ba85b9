/* host.c - built-in functions of TorchScript: which are computed here, which are operators of the graph. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "format/torch/eval.h"
#include "graph/op.h"

struct object *host_arg(const struct host_call *c, size_t i)
{
    return i < c->n ? c->args[i] : NULL;
}

struct object *host_keyword(const struct host_call *c, const char *name)
{
    for (size_t i = 0; i < c->n_keywords; i++)
        if (!strcmp(c->keywords[i].name, name)) return c->keywords[i].value;
    return NULL;
}

struct object *host_fail(struct host_call *c, const char *what)
{
    struct str kinds = str_in(c->v->arena);
    for (size_t i = 0; i < c->n; i++) str_addf(&kinds, "%s%s", i ? ", " : "", object_kind_name(c->args[i]->kind));
    const char *text = str_done(&kinds);
    eval_fault(c->v, ERR_UNSUPPORTED, "%s(%s): %s", c->name, text ? text : "", what);
    return NULL;
}

struct object *host_data(struct eval *v, const char *what)
{
    struct object *o = object_unknown(v->arena);
    if (!o) return fail_nomem(v->err), NULL;
    o->text = what;
    return o;
}

static const enum dtype number_types[] = { [OBJECT_BOOL] = DT_BOOL, [OBJECT_INT] = DT_I64, [OBJECT_FLOAT] = DT_F64 };

struct object *host_convert(struct eval *v, struct object *o, enum object_kind kind)
{
    if (o->kind == OBJECT_UNKNOWN || o->kind == kind || kind == OBJECT_NONE) return o;
    if (o->kind == OBJECT_TENSOR && o->number) return host_extract(v, o, kind);
    if (!object_is_number(o))
        return eval_fault(v, ERR_UNSUPPORTED, "%s() of a %s", object_kind_name(kind), object_kind_name(o->kind)), NULL;
    double x = object_number(o);
    struct value *value = o->value ? emit_cast(&v->t.b, o->value, number_types[kind]) : NULL;
    if (v->err->code) return NULL;
    if (kind == OBJECT_BOOL) return object_bool(v->arena, x != 0, value);
    if (kind == OBJECT_FLOAT) return object_float(v->arena, x, value);
    if (o->kind == OBJECT_BOOL) return object_int(v->arena, o->boolean, value);
    if (!(fabs(x) < 9e18)) return eval_fault(v, ERR_MODEL, "int() of %g", x), NULL;
    return object_int(v->arena, (int64_t)x, value);
}

struct object *host_extract(struct eval *v, struct object *o, enum object_kind kind)
{
    struct value *x = torch_tensor_read(&v->t, o->tensor);
    struct object *number = x ? torch_number(&v->t, x) : NULL;
    if (v->err->code) return NULL;
    if (number) return host_convert(v, number, kind);
    if (torch_hint(&v->t, x)->shape.rank < 0) {
        const char *made_by = x->kind == VALUE_NODE ? x->node->op->name : "an input";
        return host_data(v, arena_printf(v->arena, "the number comes from %s (%s)", x->name, made_by));
    }
    if (kind != OBJECT_NONE) x = emit_cast(&v->t.b, x, number_types[kind]);
    if (x && x->shape.rank != 0) x = emit(&v->t.b, "Reshape", NO_ATTRS, x, emit_i64s(&v->t.b, NULL, 0));
    struct object *open = x && !torch_settle(&v->t) ? torch_object(&v->t, x) : NULL;
    if (open) open->number = true;
    return open;
}

/* A tensor among the arguments themselves; tensors in lists are the business of list functions. */
static bool has_tensor(struct object *const *args, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (args[i]->kind == OBJECT_TENSOR) return true;
    return false;
}

/* A number that only a run knows: what can be said of it is said by operators. */
static bool has_number(struct object *const *args, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (args[i]->kind == OBJECT_TENSOR && args[i]->number) return true;
    return false;
}

static bool has_rows(struct object *const *args, size_t n)
{
    return n && args[0]->kind == OBJECT_TENSOR && args[0]->rows;
}

static struct object *unknown_among(struct object *const *args, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (args[i]->kind == OBJECT_UNKNOWN) return args[i];
    return NULL;
}

static const struct host_row *find_row(const char *name)
{
    static const struct host_row *const tables[] = { host_numbers, host_containers, host_tensors, host_packed,
        host_program, host_quantized };
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const struct host_row *row = tables[t]; row->name; row++)
            if (!strcmp(row->name, name)) return row;
    return NULL;
}

bool eval_is_builtin(const char *name)
{
    return find_row(name) || aten_is_known(name);
}

/* "torch.add" is aten's "add", "ops.torchvision.nms" is "torchvision::nms". */
static struct object *call_operator(struct eval *v, const char *name, struct object *const *args, size_t n,
    const struct keyword *keywords, size_t n_keywords)
{
    const char *op = NULL;
    if (str_starts(name, "torch.")) op = name + 6;
    else if (str_starts(name, "ops.aten.")) op = name + 9;
    else if (str_starts(name, "ops.") && strchr(name + 4, '.')) {
        const char *dot = strchr(name + 4, '.');
        op = arena_printf(v->arena, "%.*s::%s", (int)(dot - name - 4), name + 4, dot + 1);
        if (!op) return fail_nomem(v->err), NULL;
    }
    if (!op) return eval_fault(v, ERR_MODEL, "unknown function %s", name), NULL;
    v->t.b.where = eval_where(v);
    return aten_call(&v->t, op, args, n, keywords, n_keywords);
}

/* Operators want a tensor first (minimum and maximum everywhere): the program's numbers become some. NULL: error. */
static struct object *const *as_tensors(struct eval *v, struct object *const *args, size_t n, size_t first)
{
    struct object **list = ARENA_ARRAY(v->arena, n, struct object *);
    if (!list) return fail_nomem(v->err), NULL;
    memcpy(list, args, n * sizeof *list);
    for (size_t i = 0; i < first; i++) {
        if (!object_is_number(args[i])) continue;
        struct value *x = torch_scalar(&v->t, args[i], number_types[args[i]->kind]);
        if (!(list[i] = x ? torch_object(&v->t, x) : NULL)) return v->err->code ? NULL : (fail_nomem(v->err), NULL);
        list[i]->number = true;
    }
    return list;
}

/* What operators make of nothing but numbers is one. */
static struct object *as_number(struct object *o, struct object *const *args, size_t n)
{
    bool all = has_number(args, n);
    for (size_t i = 0; i < n; i++) all &= args[i]->kind != OBJECT_TENSOR || args[i]->number;
    if (object_is(o, OBJECT_TENSOR) && all) o->number = true;
    return o;
}

struct object *eval_builtin(struct eval *v, const char *name, struct object *const *args, size_t n,
    const struct keyword *keywords, size_t n_keywords)
{
    const char *plain = str_starts(name, "torch.") ? name + 6 : name;
    const struct host_row *row = find_row(plain);
    if (has_rows(args, n)) return host_rows(v, plain, args, n);
    bool of_graph = !row || (row->or_tensor && has_tensor(args, n)) || (has_number(args, n) && aten_is_known(plain));
    bool both = !strcmp(plain, "minimum") || !strcmp(plain, "maximum");
    if (of_graph && has_number(args, n) && !(args = as_tensors(v, args, n, both ? n : 1))) return NULL;
    if (of_graph) return as_number(call_operator(v, name, args, n, keywords, n_keywords), args, n);
    if (n == 2 && has_number(args, n) && (!strcmp(plain, "ops.prim.min") || !strcmp(plain, "ops.prim.max")))
        return eval_builtin(v, plain[10] == 'i' ? "torch.minimum" : "torch.maximum", args, n, keywords, n_keywords);
    struct object *unknown = unknown_among(args, n);
    if (unknown && !row->takes_unknown) return unknown;
    struct host_call c = { v, name, args, n, keywords, n_keywords };
    struct object *o = row->run(&c);
    if (!o && !v->err->code) fail_nomem(v->err);
    return o;
}
