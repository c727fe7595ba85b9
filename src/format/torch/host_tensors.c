/* host_tensors.c - what TorchScript asks of tensors and of its surroundings, and tensors made of host numbers. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "format/torch/eval.h"

static struct value *read_tensor(struct host_call *c, size_t i)
{
    const struct object *o = host_arg(c, i);
    if (!object_is(o, OBJECT_TENSOR)) return host_fail(c, "not a tensor"), NULL;
    return torch_tensor_read(&c->v->t, o->tensor);
}

static int rank_of(struct host_call *c, struct value *x)
{
    int rank = x->shape.rank >= 0 ? x->shape.rank : torch_hint(&c->v->t, x)->shape.rank;
    if (rank < 0 && x->kind == VALUE_INPUT)
        return eval_fault(
            c->v, ERR_USAGE, "the shape of the input %s is not known; say --input %s=SHAPE", x->name, x->name);
    if (rank < 0) host_fail(c, "the rank of the tensor is not known");
    return rank;
}

/* A size; one that depends on data is a number that only a run knows. */
static struct object *size_of(struct host_call *c, struct value *x, int axis)
{
    c->v->t.b.where = eval_where(c->v);
    struct object *o = torch_size_object(&c->v->t, x, axis);
    if (o || c->v->err->code) return o;
    struct value *size = torch_size(&c->v->t, x, axis);
    o = size ? torch_object(&c->v->t, size) : NULL;
    if (o) o->number = true;
    return o;
}

/* size(x) and size(x, d) */
static struct object *run_size(struct host_call *c)
{
    struct value *x = read_tensor(c, 0);
    int rank = x ? rank_of(c, x) : -1;
    if (rank < 0) return NULL;
    if (c->n > 1) {
        int axis = object_is(c->args[1], OBJECT_INT) ? shape_axis(c->args[1]->integer, rank) : -1;
        return axis < 0 ? host_fail(c, "no such dimension") : size_of(c, x, axis);
    }
    struct object *list = object_list(c->v->arena, OBJECT_LIST);
    for (int i = 0; list && i < rank; i++)
        if (!object_append(c->v->arena, list, size_of(c, x, i))) return NULL;
    return list;
}

static struct object *run_dim(struct host_call *c)
{
    struct value *x = read_tensor(c, 0);
    int rank = x ? rank_of(c, x) : -1;
    return rank < 0 ? NULL : object_int(c->v->arena, rank, NULL);
}

static struct object *run_len(struct host_call *c)
{
    const struct object *o = host_arg(c, 0);
    if (object_is(o, OBJECT_LIST) || object_is(o, OBJECT_TUPLE))
        return object_int(c->v->arena, (int64_t)o->list->n, NULL);
    if (object_is(o, OBJECT_DICT)) return object_int(c->v->arena, (int64_t)o->dict->n, NULL);
    if (object_is(o, OBJECT_STR)) return object_int(c->v->arena, (int64_t)strlen(o->text), NULL);
    struct value *x = read_tensor(c, 0);
    if (!x) return NULL;
    return rank_of(c, x) > 0 ? size_of(c, x, 0) : host_fail(c, "a tensor without dimensions");
}

static struct object *run_numel(struct host_call *c)
{
    struct value *x = read_tensor(c, 0);
    int rank = x ? rank_of(c, x) : -1;
    struct object *n = object_int(c->v->arena, 1, NULL);
    for (int i = 0; n && i < rank; i++) {
        struct object *size = size_of(c, x, i);
        if (!size) return NULL;
        n = eval_builtin(c->v, "torch.mul", (struct object *[]){ n, size }, 2, NULL, 0);
    }
    return rank < 0 ? NULL : n;
}

static struct object *run_dtype(struct host_call *c)
{
    struct value *x = read_tensor(c, 0);
    return x ? object_int(c->v->arena, dtype_to_torch(x->dtype), NULL) : NULL;
}

static struct object *run_is_floating_point(struct host_call *c)
{
    struct value *x = read_tensor(c, 0);
    return x ? object_bool(c->v->arena, dtype_is_float(x->dtype), NULL) : NULL;
}

static struct object *run_is_complex(struct host_call *c)
{
    struct value *x = read_tensor(c, 0);
    return x ? object_bool(c->v->arena, x->dtype == DT_C64 || x->dtype == DT_C128, NULL) : NULL;
}

static struct object *run_device(struct host_call *c)
{
    return object_str(c->v->arena, OBJECT_DEVICE, "cpu");
}
static struct object *run_device_type(struct host_call *c)
{
    return object_str(c->v->arena, OBJECT_STR, "cpu");
}
static struct object *run_zero(struct host_call *c)
{
    return object_int(c->v->arena, 0, NULL);
}
static struct object *run_minus_one(struct host_call *c)
{
    return object_int(c->v->arena, -1, NULL);
}
static struct object *run_false(struct host_call *c)
{
    return object_bool(c->v->arena, false, NULL);
}
static struct object *run_true(struct host_call *c)
{
    return object_bool(c->v->arena, true, NULL);
}
static struct object *run_none(struct host_call *c)
{
    return object_none(c->v->arena);
}
static struct object *run_first(struct host_call *c)
{
    return c->n ? c->args[0] : host_fail(c, "an argument is missing");
}

static struct object *run_raise(struct host_call *c)
{
    const struct object *text = host_arg(c, 0);
    eval_fault(c->v, ERR_SHAPE, "the model stops with \"%s\"; give it inputs it takes with --input NAME=SHAPE",
        object_is(text, OBJECT_STR) ? text->text : "");
    return NULL;
}

static struct object *run_num_to_tensor(struct host_call *c)
{
    const struct object *o = host_arg(c, 0);
    if (object_is(o, OBJECT_TENSOR)) return (struct object *)(uintptr_t)o;
    if (!object_is_number(o)) return host_fail(c, "not a number");
    static const enum dtype types[] = { [OBJECT_BOOL] = DT_BOOL, [OBJECT_INT] = DT_I64, [OBJECT_FLOAT] = DT_F64 };
    return torch_object(&c->v->t, torch_scalar(&c->v->t, o, types[o->kind]));
}

/* Numbers of nested lists, flat, with the shape of the nest. */
struct nest {
    struct object **items;
    size_t n;
    struct shape shape;
    bool real, whole; /* a float, an int is among them */
    bool dynamic;     /* one depends on shapes */
};

enum { NEST_MAX = 1 << 20 };

static bool flatten(struct host_call *c, const struct object *o, struct nest *nest, int depth)
{
    if (o->kind != OBJECT_LIST && o->kind != OBJECT_TUPLE) {
        if (!object_is_number(o) || depth != nest->shape.rank || nest->n >= NEST_MAX)
            return host_fail(c, "a ragged list"), false;
        nest->real |= o->kind == OBJECT_FLOAT;
        nest->whole |= o->kind == OBJECT_INT;
        nest->dynamic |= o->value != NULL;
        nest->items[nest->n++] = (struct object *)(uintptr_t)o;
        return true;
    }
    if (depth >= nest->shape.rank || (int64_t)o->list->n != nest->shape.dim[depth])
        return host_fail(c, "a ragged list"), false;
    for (size_t i = 0; i < o->list->n; i++)
        if (!flatten(c, o->list->items[i], nest, depth + 1)) return false;
    return true;
}

static bool nest_init(struct host_call *c, const struct object *o, struct nest *nest)
{
    int64_t count = 1;
    *nest = (struct nest){ 0 };
    for (const struct object *p = o; p->kind == OBJECT_LIST || p->kind == OBJECT_TUPLE; p = p->list->items[0]) {
        if (nest->shape.rank == SHAPE_MAX) return host_fail(c, "lists are nested too deep"), false;
        nest->shape.dim[nest->shape.rank++] = (int64_t)p->list->n;
        if (__builtin_mul_overflow(count, (int64_t)p->list->n, &count) || count > NEST_MAX)
            return host_fail(c, "a very long list"), false;
        if (!p->list->n) break;
    }
    nest->items = ARENA_ARRAY(c->v->arena, count + 1, struct object *);
    return nest->items && flatten(c, o, nest, 0);
}

/* Parts that depend on shapes are joined in the graph. */
static struct value *join(struct host_call *c, const struct nest *nest, enum dtype t)
{
    struct torch *x = &c->v->t;
    struct value **parts = ARENA_ARRAY(c->v->arena, nest->n + 1, struct value *),
                 *axis = emit_i64s(&x->b, &(int64_t){ 0 }, 1);
    if (!parts) return fail_nomem(c->v->err), NULL;
    if (!nest->shape.rank) return torch_scalar(x, nest->items[0], t);
    for (size_t i = 0; i < nest->n; i++)
        parts[i] = emit(&x->b, "Unsqueeze", NO_ATTRS, torch_scalar(x, nest->items[i], t), axis);
    struct value *flat = builder_emit(&x->b, "Concat", ATTRS(attr_int("axis", 0)), parts, (int)nest->n);
    if (nest->shape.rank == 1) return flat;
    return emit(&x->b, "Reshape", NO_ATTRS, flat, emit_i64s(&x->b, nest->shape.dim, (size_t)nest->shape.rank));
}

/* tensor(data, dtype=None, device=None, requires_grad=False): a constant; float32, int64 or bool unless told. */
static struct object *run_tensor(struct host_call *c)
{
    struct object *o = host_arg(c, 0), *dtype = host_keyword(c, "dtype");
    struct nest nest;
    c->v->t.b.where = eval_where(c->v);
    if (!dtype && object_is(host_arg(c, 1), OBJECT_INT)) dtype = c->args[1];
    if (object_is(o, OBJECT_TENSOR)) {
        struct keyword k = { "dtype", dtype };
        return object_is(dtype, OBJECT_INT) ? aten_call(&c->v->t, "to", &o, 1, &k, 1) : o;
    }
    if (!o || !nest_init(c, o, &nest)) return c->v->err->code || !o ? NULL : host_fail(c, "not for these");
    enum dtype t = nest.real || !nest.n ? DT_F32 : nest.whole ? DT_I64 : DT_BOOL;
    if (object_is(dtype, OBJECT_INT)) t = dtype_from_torch(dtype->integer);
    if (t == DT_NONE) return host_fail(c, "an unknown type");
    if (nest.dynamic) return torch_object(&c->v->t, join(c, &nest, t));
    struct tensor *x = tensor_new(c->v->t.g->arena, t, &nest.shape, c->v->err);
    for (size_t i = 0; x && i < nest.n; i++) {
        if (nest.items[i]->kind == OBJECT_INT) tensor_set_i64(x, (int64_t)i, nest.items[i]->integer);
        else tensor_set_f64(x, (int64_t)i, object_number(nest.items[i]));
    }
    return torch_object(&c->v->t, emit_const(&c->v->t.b, x));
}

static struct object *unflatten(struct host_call *c, struct object **items, const struct shape *s, int axis)
{
    struct object *list = object_list(c->v->arena, OBJECT_LIST);
    int64_t step = shape_span(s, axis + 1, s->rank);
    for (int64_t i = 0; list && i < s->dim[axis]; i++) {
        struct object *item = axis + 1 == s->rank ? items[i] : unflatten(c, items + i * step, s, axis + 1);
        if (!object_append(c->v->arena, list, item)) return NULL;
    }
    return list;
}

/* Each number with the graph value it is, when it depends on shapes. */
static struct object *run_to_list(struct host_call *c)
{
    struct value *x = read_tensor(c, 0);
    struct torch *t = &c->v->t;
    const struct tensor *content = x ? torch_hint(t, x)->content : NULL;
    if (!x) return NULL;
    if (!content || tensor_count(content) > NEST_MAX)
        return host_data(c->v, arena_printf(c->v->arena, "the content of %s", x->name));
    size_t n = (size_t)tensor_count(content);
    struct object **items = ARENA_ARRAY(c->v->arena, n + 1, struct object *);
    if (!items) return NULL;
    struct value *flat = emit(&t->b, "Reshape", NO_ATTRS, x, emit_i64s(&t->b, &(int64_t){ -1 }, 1));
    for (size_t i = 0; i < n; i++) {
        struct value *k = emit(&t->b, "Gather", ATTRS(attr_int("axis", 0)), flat, emit_i64(&t->b, (int64_t)i));
        if (torch_settle(t) || !(items[i] = torch_number(t, k))) return NULL;
    }
    return content->shape.rank ? unflatten(c, items, &content->shape, 0) : items[0];
}

const struct host_row host_tensors[] = {
    { "size", run_size },
    { "ops.prim.shape", run_size },
    { "dim", run_dim },
    { "ndimension", run_dim },
    { "len", run_len },
    { "numel", run_numel },
    { "is_floating_point", run_is_floating_point },
    { "is_complex", run_is_complex },
    { "ops.prim.dtype", run_dtype },
    { "ops.prim.device", run_device },
    { "device", run_device },
    { "ops.prim.type", run_device_type },
    { "ops.prim.layout", run_zero },
    { "get_device", run_minus_one },
    { "ops.prim.is_cuda", run_false },
    { "ops.prim.is_nested", run_false },
    { "ops.prim.is_quantized", run_false },
    { "ops.prim.is_sparse", run_false },
    { "ops.prim.is_meta", run_false },
    { "ops.prim.is_xpu", run_false },
    { "ops.prim.is_mps", run_false },
    { "ops.prim.is_vulkan", run_false },
    { "ops.prim.is_mkldnn", run_false },
    { "ops.prim.is_ort", run_false },
    { "ops.prim.is_sparse_csr", run_false },
    { "ops.prim.requires_grad", run_false },
    { "is_contiguous", run_true },
    { "ops.prim.data", run_first },
    /* true, so that scripted attention takes its plain path and not a fused one */
    { "is_autocast_enabled", run_true },
    { "is_autocast_cpu_enabled", run_true },
    { "is_grad_enabled", run_false },
    { "is_scripting", run_true },
    { "ops.prim.grad_mode", run_false },
    { "set_grad_enabled", run_none },
    { "manual_seed", run_none },
    { "warn", run_none, false, true },
    { "print", run_none, false, true },
    { "_assert", run_none, false, true },
    { "ops.prim.RaiseException", run_raise, false, true },
    { "_unwrap_optional", run_first, false, true },
    { "ops.prim.unchecked_unwrap_optional", run_first, false, true },
    { "ops.prim.unchecked_cast", run_first, false, true },
    { "ops.prim.NumToTensor", run_num_to_tensor },
    { "tensor", run_tensor },
    { "as_tensor", run_tensor },
    { "tolist", run_to_list },
    { "ops.prim.tolist", run_to_list },
    { 0 },
};
