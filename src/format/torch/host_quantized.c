/* host_quantized.c - quantized convolutions and linear layers: objects of torch's own classes that hold weight, bias
 * and geometry, and the operators that take them. */
#include "format/torch/quantized.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum { QUINT8 = 13 };

static struct object *packed_of(struct eval *v, struct object *const *items, size_t n)
{
    struct object *o = object_none(v->arena), *state = object_list(v->arena, OBJECT_TUPLE);
    struct instance *x = ARENA_NEW(v->arena, struct instance);
    if (!o || !state || !x) return fail_nomem(v->err), NULL;
    for (size_t i = 0; i < n; i++)
        if (!object_append(v->arena, state, items[i])) return fail_nomem(v->err), NULL;
    x->attrs = map_in(v->arena);
    x->type_name = "packed";
    x->state = state;
    o->kind = OBJECT_INSTANCE;
    o->instance = x;
    return o;
}

/* weight, bias, and of a convolution strides, padding, dilation, groups */
static struct object *run_prepack(struct host_call *c)
{
    bool conv = strstr(c->name, "conv") != NULL;
    if (c->n < (conv ? 6 : 2)) return host_fail(c, "weight, bias and geometry");
    return packed_of(c->v, c->args, conv ? 6 : 2);
}

static struct object *run_unpack(struct host_call *c)
{
    const struct object *packed = host_arg(c, 0);
    if (!object_is(packed, OBJECT_INSTANCE) || !object_is(packed->instance->state, OBJECT_TUPLE) ||
        packed->instance->state->list->n < 2)
        return host_fail(c, "packed weights");
    struct object *both = object_list(c->v->arena, OBJECT_TUPLE);
    for (size_t i = 0; both && i < 2; i++)
        if (!object_append(c->v->arena, both, packed->instance->state->list->items[i])) return NULL;
    return both;
}

static struct object *ints(struct eval *v, const struct tensor *config, int64_t from, int64_t n)
{
    struct object *list = object_list(v->arena, OBJECT_LIST);
    for (int64_t i = 0; list && i < n; i++)
        if (!object_append(v->arena, list, object_int(v->arena, tensor_get_i64(config, from + i), NULL))) return NULL;
    return list;
}

/* ("2", [config, weight], [bias]): config is the number of axes, then strides, padding, dilation and output padding
 * for each, the groups, and whether it is transposed. */
static bool is_second_form(const struct object *state)
{
    if (!object_is(state, OBJECT_TUPLE) || state->list->n != 3) return false;
    struct object *const *items = state->list->items;
    return object_is(items[0], OBJECT_STR) && !strcmp(items[0]->text, "2") && object_is(items[1], OBJECT_LIST) &&
        object_is(items[2], OBJECT_LIST) && items[1]->list->n == 2 && items[2]->list->n == 1 &&
        object_is(items[1]->list->items[0], OBJECT_TENSOR) && object_is(items[1]->list->items[1], OBJECT_TENSOR);
}

int quantized_open_state(struct eval *v, struct instance *x)
{
    if (!x->type_name || !strstr(x->type_name, ".quantized.Conv")) return 0;
    if (!is_second_form(x->state)) return fail(v->err, ERR_UNSUPPORTED, "%s in a form that is not known", x->type_name);
    struct object *const *items = x->state->list->items;
    const struct tensor *config = items[1]->list->items[0]->tensor->data;
    int64_t n = tensor_count(config) ? tensor_get_i64(config, 0) : 0;
    if (n < 1 || n > 3 || tensor_count(config) != 4 * n + 3)
        return fail(v->err, ERR_MODEL, "%s has %lld numbers", x->type_name, (long long)tensor_count(config));
    if (tensor_get_i64(config, 4 * n + 2))
        return fail(v->err, ERR_UNSUPPORTED, "%s: a quantized transposed convolution", x->type_name);
    struct object *parts[] = { items[1]->list->items[1], items[2]->list->items[0], ints(v, config, 1, n),
        ints(v, config, 1 + n, n), ints(v, config, 1 + 2 * n, n),
        object_int(v->arena, tensor_get_i64(config, 4 * n + 1), NULL) };
    for (int i = 0; i < 6; i++) TRY_MEM(parts[i], v->err);
    struct object *o = packed_of(v, parts, 6);
    if (!o) return v->err->code;
    x->state = o->instance->state;
    return 0;
}

int quantized_bind(struct eval *v, struct torch_tensor *t, const char *key)
{
    const struct quantization *q = t->quantized;
    struct shape s = shape_of(q->axis < 0 ? 0 : 1, q->scales->shape.dim);
    struct graph *g = v->t.g;
    struct tensor *scale = tensor_new(g->arena, DT_F32, &s, v->err);
    struct tensor *zero = scale ? tensor_new(g->arena, t->data->dtype, &s, v->err) : NULL;
    if (!zero) return v->err->code;
    for (int64_t i = 0; i < tensor_count(scale); i++) {
        tensor_set_f64(scale, i, tensor_get_f64(q->scales, i));
        tensor_set_i64(zero, i, tensor_get_i64(q->zero_points, i));
    }
    struct builder *b = &v->t.b;
    struct value *data = graph_const(g, key, t->data, v->err);
    t->value = emit(b, "DequantizeLinear", ATTRS(attr_int("axis", q->axis < 0 ? 0 : q->axis)), data,
        emit_const(b, scale), emit_const(b, zero));
    return v->err->code;
}

/* The layer as real numbers; the weight is what its integers stand for. */
static struct object *layer(struct host_call *c, struct object *x)
{
    struct torch *t = &c->v->t;
    const struct object *packed = host_arg(c, 1);
    bool conv = strstr(c->name, "conv") != NULL;
    if (!object_is(packed, OBJECT_INSTANCE) || !object_is(packed->instance->state, OBJECT_TUPLE) ||
        packed->instance->state->list->n != (conv ? 6 : 2))
        return host_fail(c, "packed weights of its kind");
    struct object **items = packed->instance->state->list->items;
    struct object *args[] = { x, items[0], items[1], conv ? items[2] : NULL, conv ? items[3] : NULL,
        conv ? items[4] : NULL, conv ? items[5] : NULL };
    t->b.where = eval_where(c->v);
    if (object_is(items[0], OBJECT_TENSOR) && !items[0]->tensor->value)
        return host_fail(c, "weights that belong to the model");
    const char *op = !conv          ? "linear"
        : strstr(c->name, "conv1d") ? "conv1d"
        : strstr(c->name, "3d")     ? "conv3d"
                                    : "conv2d";
    struct object *y = aten_call(t, op, args, conv ? 7 : 3, NULL, 0);
    return y && strstr(c->name, "relu") ? aten_call(t, "relu", &y, 1, NULL, 0) : y;
}

/* x, packed weights, scale and zero point of the result */
static struct object *run_layer(struct host_call *c)
{
    struct object *y = c->n == 4 ? layer(c, c->args[0]) : host_fail(c, "four arguments"), *type;
    if (!y || !(type = object_int(c->v->arena, QUINT8, NULL))) return NULL;
    return aten_call(
        &c->v->t, "quantize_per_tensor", (struct object *[]){ y, c->args[2], c->args[3], type }, 4, NULL, 0);
}

/* x (real), packed weights, whether to use 7 bits */
static struct object *run_dynamic(struct host_call *c)
{
    struct object *args[] = { host_arg(c, 0), host_arg(c, 2) };
    if (c->n < 2) return host_fail(c, "a tensor and packed weights");
    struct object *x = aten_call(&c->v->t, "quantized::dynamic", args, args[1] ? 2 : 1, NULL, 0);
    return x ? layer(c, x) : NULL;
}

const struct host_row host_quantized[] = {
    { "ops.quantized.conv1d_prepack", run_prepack },
    { "ops.quantized.conv2d_prepack", run_prepack },
    { "ops.quantized.conv3d_prepack", run_prepack },
    { "ops.quantized.linear_prepack", run_prepack },
    { "ops.quantized.conv2d_unpack", run_unpack },
    { "ops.quantized.linear_unpack", run_unpack },
    { "ops.quantized.conv1d", run_layer },
    { "ops.quantized.conv1d_relu", run_layer },
    { "ops.quantized.conv2d", run_layer },
    { "ops.quantized.conv2d_relu", run_layer },
    { "ops.quantized.conv3d", run_layer },
    { "ops.quantized.conv3d_relu", run_layer },
    { "ops.quantized.linear", run_layer },
    { "ops.quantized.linear_relu", run_layer },
    { "ops.quantized.linear_dynamic", run_dynamic },
    { "ops.quantized.linear_relu_dynamic", run_dynamic },
    { 0 },
};
