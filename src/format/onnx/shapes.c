/* shapes.c - types and shapes that an ONNX file states: believed for inputs, hints for everything else. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "format/onnx/reader.h"

static int64_t find_symbol(const struct graph *g, const char *name)
{
    for (size_t i = 0; i < g->n_symbols; i++)
        if (!strcmp(g->symbols[i], name)) return DIM_SYMBOL((int64_t)i);
    return DIM_UNKNOWN;
}

static int read_tensor_type(struct onnx_reader *r, struct graph *g, const struct onnx_tensor_type *type,
    const char *name, bool may_add, struct content *out)
{
    out->dtype = dtype_is_valid((int)type->elem_type) ? (enum dtype)type->elem_type : DT_NONE;
    if (!ONNX_HAS(type, 2)) return 0;
    if (type->shape.dim.n > SHAPE_MAX)
        return fail(
            r->err, ERR_UNSUPPORTED, "%s has rank %zu, at most %d can be taken", name, type->shape.dim.n, SHAPE_MAX);
    out->shape.rank = (int)type->shape.dim.n;
    for (int i = 0; i < out->shape.rank; i++) {
        const struct onnx_dim *d = &type->shape.dim.items[i];
        int64_t *to = &out->shape.dim[i];
        *to = DIM_UNKNOWN;
        if (ONNX_HAS(d, 1) && d->dim_value >= 0) *to = d->dim_value;
        else if (d->dim_param[0]) *to = may_add ? graph_symbol(g, d->dim_param) : find_symbol(g, d->dim_param);
    }
    return 0;
}

static enum dtype element(int64_t number)
{
    return number == (int)number && dtype_is_valid((int)number) ? (enum dtype)number : DT_NONE;
}

bool onnx_map_types(const struct onnx_type *type, enum dtype *key, enum dtype *of)
{
    const struct onnx_type *value = ONNX_HAS(type, 5) ? type->map.value_type : NULL;
    *key = value ? element(type->map.key_type) : DT_NONE;
    *of = value && ONNX_HAS(value, 1) ? element(value->tensor_type.elem_type) : DT_NONE;
    return *key && *of;
}

enum { CONTAINERS_MAX = 4 }; /* within one another: more than any operator makes */

static int read_type(struct onnx_reader *r, struct graph *g, const struct onnx_type *type, const char *name,
    bool may_add, int depth, struct content *out)
{
    *out = (struct content){ .shape = shape_unknown() };
    bool sequence = ONNX_HAS(type, 4);
    if (!sequence && !ONNX_HAS(type, 9)) return read_tensor_type(r, g, &type->tensor_type, name, may_add, out);
    if (depth > CONTAINERS_MAX) return fail(r->err, ERR_UNSUPPORTED, "%s: types within types within types", name);
    out->dtype = sequence ? DT_SEQUENCE : DT_OPTIONAL;
    out->shape = shape_of(1, (int64_t[]){ DIM_UNKNOWN });
    const struct onnx_type *of = sequence ? type->sequence.elem_type : type->optional.elem_type;
    struct content inner;
    if (!of) return 0;
    TRY(read_type(r, g, of, name, false, depth + 1, &inner));
    out->of = content_new(g->arena, &inner, r->err);
    return r->err->code;
}

int onnx_type_read(
    struct onnx_reader *r, struct graph *g, const struct onnx_value *v, bool may_add, struct content *out)
{
    return read_type(r, g, &v->type, v->name, may_add, 0, out);
}

static void warn(struct onnx_reader *r, const char *name, const struct value *v, enum dtype t, const struct shape *s)
{
    struct str found = str_in(r->report->arena), stated = str_in(r->report->arena);
    str_add(&found, dtype_name(v->dtype));
    shape_print(r->root, &v->shape, &found);
    str_add(&stated, dtype_name(t));
    shape_print(r->root, s, &stated);
    const char *a = str_done(&found), *b = str_done(&stated);
    if (a && b)
        report_add(r->report, REPORT_WARNING, name, "%s is %s; the file says %s, which is not used", name, a, b);
}

static bool conflicts(const struct shape *a, const struct shape *b)
{
    if (a->rank < 0 || b->rank < 0) return false;
    if (a->rank != b->rank) return true;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] >= 0 && b->dim[i] >= 0 && a->dim[i] != b->dim[i]) return true;
    return false;
}

/* The file's shapes may be those of another input size; they fill a gap only where sizes cannot vary. */
static void fill_gaps(const struct onnx_reader *r, struct shape *into, const struct shape *from)
{
    struct shape s = *from;
    for (int i = 0; i < s.rank && !r->own; i++)
        if (s.dim[i] < 0 || !r->static_inputs) s.dim[i] = DIM_UNKNOWN;
    shape_merge(into, &s);
}

void onnx_check_hint(struct onnx_reader *r, const struct onnx_scope *scope, const char *name, struct value *v)
{
    const struct onnx_value *hint = map_get(&scope->hints, name);
    struct content c;
    struct err ignored = { 0 }, *kept = r->err;
    if (!hint || v->kind != VALUE_NODE) return;
    r->err = &ignored;
    int code = onnx_type_read(r, scope->g, hint, r->own, &c);
    r->err = kept;
    if (code) return;
    if ((c.dtype && v->dtype && c.dtype != v->dtype) || conflicts(&v->shape, &c.shape)) {
        warn(r, name, v, c.dtype, &c.shape);
        return;
    }
    if (!v->dtype) v->dtype = c.dtype;
    if (!v->of) v->of = c.of;
    fill_gaps(r, &v->shape, &c.shape);
}
