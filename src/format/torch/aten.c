/* aten.c - calling an operator: overload, lowering, folding, results, writing back in place. */
#include "format/torch/aten.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/str.h"
#include "format/torch/torch.h"

int torch_init(struct torch *t, struct arena *a, struct graph *g, struct report *report, struct err *e)
{
    *t = (struct torch){ .arena = a, .g = g, .b = { .g = g, .err = e }, .err = e, .report = report, .module = "" };
    t->overloads = map_in(a);
    t->sizes = map_in(a);
    t->names = map_in(a);
    return 0;
}

void give(struct aten_call *c, struct value *v)
{
    if (!v || c->t->err->code) return;
    if (!ARRAY_PUSH(c->t->arena, c->out, c->n_out, c->cap_out, v)) fail_nomem(c->t->err);
}

void aten_fail(struct aten_call *c, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vfail(c->t->err, code, fmt, ap);
    va_end(ap);
}

static void add_kind(struct str *s, const struct object *o)
{
    if (o->kind != OBJECT_LIST && o->kind != OBJECT_TUPLE) {
        str_add(s, object_kind_name(o->kind));
        return;
    }
    str_addf(s, "[%s]", o->list->n ? object_kind_name(o->list->items[0]->kind) : "");
}

/* "(Tensor, [int], groups=int)": what was given, for messages. */
static const char *describe(
    struct torch *t, struct object *const *args, size_t n, const struct keyword *keywords, size_t n_keywords)
{
    struct str s = str_in(t->arena);
    for (size_t i = 0; i < n; i++) {
        str_add(&s, i ? ", " : "(");
        add_kind(&s, args[i]);
    }
    for (size_t i = 0; i < n_keywords; i++) {
        str_addf(&s, "%s%s=", n + i ? ", " : "(", keywords[i].name);
        add_kind(&s, keywords[i].value);
    }
    str_add(&s, n + n_keywords ? ")" : "()");
    const char *text = str_done(&s);
    return text ? text : "";
}

static struct object *unsupported(struct torch *t, const char *name, const char *why)
{
    const char *where = t->b.where ? t->b.where : "";
    report_add(
        t->report, REPORT_ERROR, where, "unsupported operator %s%s%s", strstr(name, "::") ? "" : "aten::", name, why);
    return object_unknown(t->arena);
}

/* The module that is at work: that of the weight among the arguments, which may belong to another than the code. */
static const char *module_of(struct torch *t, const struct aten_call *c)
{
    for (int i = 0; i < c->n_args; i++) {
        const char *key = c->arg[i]->kind == OBJECT_TENSOR ? c->arg[i]->tensor->key : NULL,
                   *dot = key ? strrchr(key, '.') : NULL;
        if (dot && !strcmp(dot, ".weight")) return arena_strndup(t->arena, key, (size_t)(dot - key));
    }
    return t->module;
}

/* "layer1.0.conv1/convolution", with a number when the module calls it again. */
static int name_result(struct torch *t, const struct aten_call *c, const char *op, size_t first_node)
{
    struct value *v = value_resolve(c->out[0]);
    if (v->kind != VALUE_NODE || (size_t)v->node->id < first_node || v->index) return 0;
    const char *part = strstr(op, "::") ? strstr(op, "::") + 2 : op + strspn(op, "_"), *module = module_of(t, c);
    TRY_MEM(module, t->err);
    const char *name = arena_printf(
        t->g->arena, "%s%s%.*s", module, module[0] ? "/" : "", (int)strcspn(part, "."), part);
    TRY_MEM(name, t->err);
    uintptr_t count = (uintptr_t)map_get(&t->names, name) + 1;
    if (!map_set(&t->names, name, (void *)count)) return fail_nomem(t->err);
    if (count > 1) name = arena_printf(t->g->arena, "%s_%zu", name, (size_t)count);
    TRY_MEM(name, t->err);
    if (graph_find(t->g, name)) return 0;
    v->node->name = name;
    return graph_rename(t->g, v, name, t->err);
}

static struct object *tensor_result(struct torch *t, const struct aten_call *c, struct value *v)
{
    struct object *self = c->signature->n_params ? c->arg[0] : NULL;
    if (c->signature->view && object_is(self, OBJECT_TENSOR)) {
        struct torch_tensor *x = self->tensor;
        bool same = value_resolve(torch_tensor_read(t, x)) == value_resolve(v);
        if (same && (x->dense || !c->row->dense_only)) return self;
        if (!same) return object_tensor(t->arena, torch_tensor_view(t, x, v, c->row->dense_only));
    }
    return torch_object(t, v);
}

static struct object *results(struct torch *t, const struct aten_call *c)
{
    enum aten_result kind = c->signature->result;
    if (kind == RESULT_NONE) return object_none(t->arena);
    if (kind == RESULT_ONE) {
        if (c->n_out != 1)
            return fail(t->err, ERR_FAILED, "%s gave %zu results", c->signature->overload, c->n_out), NULL;
        return tensor_result(t, c, c->out[0]);
    }
    struct object *list = object_list(t->arena, kind == RESULT_TUPLE ? OBJECT_TUPLE : OBJECT_LIST);
    for (size_t i = 0; list && i < c->n_out; i++)
        if (!object_append(t->arena, list, tensor_result(t, c, c->out[i]))) list = NULL;
    return list || t->err->code ? list : (fail_nomem(t->err), NULL);
}

/* The signature that takes the arguments, or NULL. */
static const struct aten_signature *choose(struct aten_call *c, const struct aten_signature *s,
    struct object *const *args, size_t n, const struct keyword *keywords, size_t n_keywords)
{
    while (s && !aten_bind(c, s, args, n, keywords, n_keywords)) s = s->next;
    return s;
}

static bool is_unknown(struct object *const *args, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (args[i]->kind == OBJECT_UNKNOWN) return true;
        bool list = args[i]->kind == OBJECT_LIST || args[i]->kind == OBJECT_TUPLE;
        for (size_t k = 0; list && k < args[i]->list->n; k++)
            if (args[i]->list->items[k]->kind == OBJECT_UNKNOWN) return true;
    }
    return false;
}

static bool has_complex(const struct aten_call *c)
{
    for (int i = 0; i < c->n_args; i++) {
        const struct value *v = c->arg[i]->kind == OBJECT_TENSOR ? c->arg[i]->tensor->value : NULL;
        if (v && (v->dtype == DT_C64 || v->dtype == DT_C128)) return true;
    }
    return false;
}

/* Runs the lowering. An operator that cannot be said is reported, and the import goes on to find the others. */
static int lower(struct torch *t, struct aten_call *c, const char *name)
{
    size_t first = t->g->n_nodes;
    struct value *v = aten_requantized(c, name, c->row->lower(c));
    if (!t->err->code) {
        give(c, v);
        if (c->n_out && !t->err->code) name_result(t, c, name, first);
        torch_settle(t);
    }
    if (t->err->code == ERR_UNSUPPORTED || (t->err->code == ERR_SHAPE && has_complex(c))) {
        unsupported(t, name, arena_printf(t->arena, ": %s", t->err->text));
        err_clear(t->err);
        t->settled = t->g->n_nodes;
        return 1;
    }
    if (t->err->code)
        return err_prefix(t->err, "aten::%s%s%s", name, t->b.where ? " at " : "", t->b.where ? t->b.where : "");
    return 0;
}

static bool is_inplace(const char *name)
{
    size_t n = strlen(name);
    return n > 1 && name[n - 1] == '_' && name[n - 2] != '_';
}

struct object *aten_call(struct torch *t, const char *name, struct object *const *args, size_t n,
    const struct keyword *keywords, size_t n_keywords)
{
    if (t->err->code) return NULL;
    struct aten_call c = { .t = t, .b = &t->b };
    bool inplace = is_inplace(name);
    const char *plain = inplace ? arena_strndup(t->arena, name, strlen(name) - 1) : name;
    if (!plain) return fail_nomem(t->err), NULL;
    const struct aten_signature *s = aten_find(t, plain);
    if (t->err->code) return NULL;
    if (!s) return unsupported(t, name, "");
    if (is_unknown(args, n)) return object_unknown(t->arena);
    if (!choose(&c, s, args, n, keywords, n_keywords))
        return unsupported(t, name, describe(t, args, n, keywords, n_keywords));
    if (torch_guess(t, plain, args, n)) return NULL;
    if (inplace && object_is(c.arg[0], OBJECT_TENSOR) && torch_tensor_make_state(t, c.arg[0]->tensor)) return NULL;
    int code = lower(t, &c, plain);
    if (code) return code < 0 ? NULL : object_unknown(t->arena);
    if (!inplace) return results(t, &c);
    if (!object_is(c.arg[0], OBJECT_TENSOR) || c.n_out != 1 || torch_tensor_write(t, c.arg[0]->tensor, c.out[0]))
        return fail(t->err, ERR_FAILED, "%s has nothing to write into", name), NULL;
    return c.arg[0];
}

struct value *emit_aten(struct aten_call *c, const char *name, struct object *const *args, size_t n)
{
    struct object *o = aten_call(c->t, name, args, n, NULL, 0);
    if (!o) return NULL;
    if (o->kind != OBJECT_TENSOR) return aten_fail(c, ERR_UNSUPPORTED, "it needs %s", name), NULL;
    return torch_tensor_read(c->t, o->tensor);
}

struct object *torch_object(struct torch *t, struct value *v)
{
    return object_tensor(t->arena, torch_tensor_new(t, v));
}

struct value *torch_scalar(struct torch *t, const struct object *o, enum dtype dtype)
{
    if (t->err->code) return NULL;
    if (o->value) return emit_cast(&t->b, value_resolve(o->value), dtype);
    if (o->kind == OBJECT_TENSOR) return emit_cast(&t->b, torch_tensor_read(t, o->tensor), dtype);
    if (o->kind != OBJECT_INT) return emit_scalar(&t->b, dtype, object_number(o));
    struct shape s = shape_of(0, NULL);
    struct tensor *x = tensor_new(t->g->arena, dtype, &s, t->err);
    if (x) tensor_set_i64(x, 0, o->integer);
    return emit_const(&t->b, x);
}

struct object *torch_number(struct torch *t, struct value *v)
{
    const struct tensor *x = torch_hint(t, v)->content;
    v = value_resolve(v);
    if (!x || tensor_count(x) != 1) return NULL;
    struct value *kept = v->kind == VALUE_CONST ? NULL : v;
    if (kept && kept->shape.rank != 0) kept = emit(&t->b, "Reshape", NO_ATTRS, kept, emit_i64s(&t->b, NULL, 0));
    if (x->dtype == DT_BOOL) return object_bool(t->arena, tensor_get_i64(x, 0) != 0, kept);
    if (dtype_is_float(x->dtype)) return object_float(t->arena, tensor_get_f64(x, 0), kept);
    return object_int(t->arena, tensor_get_i64(x, 0), kept);
}

int torch_guard(struct torch *t, const struct object *o)
{
    if (!o->value || t->err->code) return t->err->code;
    struct value *v = value_resolve(o->value);
    if (v->kind == VALUE_CONST) return 0;
    if (o->kind == OBJECT_FLOAT) return fail(t->err, ERR_UNSUPPORTED, "a float that depends on the input's shape");
    int64_t expected = o->kind == OBJECT_BOOL ? o->boolean : o->integer;
    for (size_t i = 0; i < t->g->n_guards; i++)
        if (t->g->guards[i].value == v) return 0;
    return graph_guard(t->g, v, expected, t->b.where, t->err);
}
