/* lift_map.c - ai.onnx.ml's operators on maps, which arrive as two inputs: values, and keys in the same order. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/onnx/forest.h"
#include "format/onnx/lift.h"
#include "format/onnx/lift_emit.h"

/* The keys (n) that belong to the values (n) at input 0. */
static struct value *keys_of(struct lift *l, struct err *e)
{
    struct value *values = lift_in(l, 0);
    if (!values) return fail(e, ERR_MODEL, "input 0 is missing"), NULL;
    const char *name = arena_printf(l->arena, "%s_keys", values->name);
    struct value *keys = name ? l->value(l, name) : NULL;
    if (!keys) fail(e, ERR_UNSUPPORTED, "%s is no map that the model is given", values->name);
    return keys;
}

/* (1, C): the values whose keys are in `wanted` (C), in that order, and the last of `pool` where there is none. `pool`
 * is the values and one more. The place is n - sum(n - place where the keys are equal): keys are there once. */
static struct value *looked_up(struct lift *l, struct value *keys, struct value *wanted, struct value *pool)
{
    struct value *n = lift_dim(l, keys, 0), *left = lift_two(l, "Sub", n, lift_range(l, n));
    struct value *equal = lift_two(l, "Equal", lift_unsqueezed(l, wanted, (int64_t[]){ 1 }, 1),
        lift_unsqueezed(l, keys, (int64_t[]){ 0 }, 1));
    struct value *found = lift_two(l, "Mul", emit_cast(l->b, equal, DT_I64), left);
    struct value *sum = emit(
        l->b, "ReduceSum", ATTRS(attr_int("keepdims", 0)), found, emit_i64s(l->b, (int64_t[]){ 1 }, 1));
    struct value *row = emit(l->b, "Gather", ATTRS(attr_int("axis", 0)), pool, lift_two(l, "Sub", n, sum));
    return lift_unsqueezed(l, row, (int64_t[]){ 0 }, 1);
}

/* The values and what stands for a key that is not there. */
static struct value *padded(struct lift *l, struct value *values, const char *text)
{
    struct shape one = shape_of(1, (int64_t[]){ 1 });
    struct tensor *pad = values ? tensor_new(l->b->g->arena, values->dtype, &one, l->b->err) : NULL;
    if (!pad) return NULL;
    if (values->dtype == DT_STRING)
        *(struct string_element *)pad->data = (struct string_element){ (char *)(uintptr_t)text, strlen(text) };
    else tensor_set_f64(pad, 0, 0);
    return emit(l->b, "Concat", ATTRS(attr_int("axis", 0)), values, emit_const(l->b, pad));
}

static int dict_vectorizer(struct lift *l, const char *arg, struct err *e)
{
    struct value *keys = keys_of(l, e), *words = keys ? ml_list(l, "string_vocabulary", DT_STRING, e) : NULL;
    if (keys && !words) words = ml_list(l, "int64_vocabulary", DT_I64, e);
    if (e->code) return e->code;
    if (!words) return fail(e, ERR_MODEL, "neither string_vocabulary nor int64_vocabulary");
    lift_result(l, looked_up(l, keys, words, padded(l, l->in[0], "")));
    return e->code;
}

/* (1, n) in the order of the keys, or (1, max_map) with the keys as places. Texts that are missing are "0.f", as in
 * ONNX Runtime. */
static int cast_map(struct lift *l, const char *arg, struct err *e)
{
    static const struct {
        const char *name;
        enum dtype type;
    } known[] = { { "TO_FLOAT", DT_F32 }, { "TO_STRING", DT_STRING }, { "TO_INT64", DT_I64 } };
    enum { SIZE_MAX_MAP = 1 << 24 };
    const struct attr *to = lift_attr(l, "cast_to"), *form = lift_attr(l, "map_form");
    const char *name = to && to->type == ATTR_STRING ? to->s : "TO_FLOAT";
    bool sparse = form && form->type == ATTR_STRING && !strcmp(form->s, "SPARSE");
    int64_t size = lift_int(l, "max_map", 1);
    size_t i = 0;
    while (i < 3 && strcmp(known[i].name, name) != 0) i++;
    if (i == 3) return fail(e, ERR_MODEL, "cast_to is \"%s\", expected TO_FLOAT, TO_STRING or TO_INT64", name);
    if (size < 1 || size > SIZE_MAX_MAP) return fail(e, ERR_MODEL, "max_map is %lld", (long long)size);
    struct value *keys = keys_of(l, e);
    if (!keys) return e->code;
    struct value *values = emit_cast(l->b, l->in[0], known[i].type);
    if (sparse) {
        struct value *places = lift_range(l, emit_i64(l->b, size));
        lift_result(l, looked_up(l, keys, places, padded(l, values, "0.f")));
        return e->code;
    }
    struct value *in[] = { keys, lift_unsqueezed(l, lift_dim(l, keys, 0), (int64_t[]){ 0 }, 1) };
    struct node *sorted = builder_node(l->b, "TopK", ATTRS(attr_int("axis", 0), attr_int("largest", 0)), in, 2, 2);
    if (!sorted) return e->code;
    values = emit(l->b, "Gather", ATTRS(attr_int("axis", 0)), values, sorted->out[1]);
    lift_result(l, lift_unsqueezed(l, values, (int64_t[]){ 0 }, 1));
    return e->code;
}

const struct lift_row lift_map_rows[] = {
    { "DictVectorizer", 1, LIFT_ANY, dict_vectorizer, NULL, "" },
    { "CastMap", 1, LIFT_ANY, cast_map, NULL, "" },
    { NULL },
};
