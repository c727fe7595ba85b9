/* function.c - local functions of a model, unfolded where they are called. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/onnx/reader.h"

static const char *function_key(struct arena *a, const char *domain, const char *name)
{
    return arena_printf(a, "%s:%s", onnx_is_standard(domain) ? "" : domain, name);
}

int onnx_functions_collect(struct onnx_reader *r)
{
    for (size_t i = 0; i < r->model->functions.n; i++) {
        const struct onnx_function *f = &r->model->functions.items[i];
        const char *key = function_key(r->arena, f->domain, f->name);
        if (!key || !map_set(&r->functions, key, (void *)(uintptr_t)f)) return fail_nomem(r->err);
    }
    return 0;
}

const struct onnx_function *onnx_function_find(const struct onnx_reader *r, const struct onnx_node *n)
{
    if (!r->functions.n) return NULL;
    struct arena_mark mark = arena_mark(r->arena);
    const char *key = function_key(r->arena, n->domain, n->op_type);
    const struct onnx_function *f = key ? map_get(&r->functions, key) : NULL;
    arena_rewind(r->arena, mark);
    return f;
}

int64_t onnx_function_opset(const struct onnx_reader *r, const struct onnx_function *f)
{
    for (size_t i = 0; i < f->opset_import.n; i++)
        if (onnx_is_standard(f->opset_import.items[i].domain)) return f->opset_import.items[i].version;
    return r->opset;
}

/* The call's attributes, with references to those of a function around it resolved. */
static int give_attrs(
    struct onnx_reader *r, const struct onnx_scope *caller, const struct onnx_node *call, struct onnx_scope *body)
{
    struct onnx_attr *given = ARENA_ARRAY(r->arena, call->attribute.n, struct onnx_attr);
    TRY_MEM(given, r->err);
    for (size_t i = 0; i < call->attribute.n; i++) {
        const struct onnx_attr *from = onnx_attr_resolve(caller, &call->attribute.items[i]);
        if (!from) continue;
        given[body->n_given] = *from;
        given[body->n_given++].name = call->attribute.items[i].name;
    }
    body->given = given;
    return 0;
}

static int unfold(struct onnx_reader *r, struct onnx_scope *caller, const struct onnx_function *f,
    const struct onnx_node *call, struct value *const *in, struct value **out)
{
    struct onnx_scope body = { .g = caller->g,
        .caller = caller,
        .captures = caller->captures,
        .function = f,
        .opset = onnx_function_opset(r, f) };
    body.values = map_in(r->arena), body.hints = map_in(r->arena), body.used = map_in(r->arena);
    body.prefix = arena_printf(r->arena, "%s%.64s/", caller->prefix, onnx_node_label(call));
    TRY_MEM(body.prefix, r->err);
    TRY(give_attrs(r, caller, call, &body));
    if (call->input.n > f->input.n || call->output.n > f->output.n)
        return fail(r->err, ERR_MODEL, "%zu inputs and %zu outputs, the function %s has %zu and %zu", call->input.n,
            call->output.n, f->name, f->input.n, f->output.n);
    for (size_t i = 0; i < f->input.n; i++)
        if (!map_set(&body.values, f->input.items[i], i < call->input.n ? in[i] : NULL)) return fail_nomem(r->err);
    struct onnx_body nodes = { f->node.items, f->node.n, f->output.items, f->output.n };
    TRY(onnx_read_nodes(r, &body, &nodes));
    for (size_t i = 0; i < call->output.n; i++)
        if (!onnx_lookup(r, &body, f->output.items[i], &out[i]) || !out[i])
            return fail(r->err, ERR_MODEL, "the function %s never makes its output %s", f->name, f->output.items[i]);
    return 0;
}

int onnx_inline(struct onnx_reader *r, struct onnx_scope *caller, const struct onnx_function *f,
    const struct onnx_node *call, struct value *const *in, struct value **out)
{
    if (r->calls >= ONNX_CALLS_MAX)
        return fail(
            r->err, ERR_MODEL, "functions call one another more than %d deep, %s among them", ONNX_CALLS_MAX, f->name);
    r->calls++;
    int code = unfold(r, caller, f, call, in, out);
    r->calls--;
    return code;
}
