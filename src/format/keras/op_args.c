/* op_args.c - reading the arguments of operations. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "enc/json.h"
#include "format/keras/ops.h"

enum { NUMBERS_MAX = 1 << 20 };

void snake_case(const char *name, char *out, size_t size)
{
    size_t n = 0;
    for (const char *p = name; *p && n + 2 < size; p++) {
        if (!isalnum((unsigned char)*p) && *p != '_') continue;
        bool up = isupper((unsigned char)*p);
        bool starts = up && p > name && islower((unsigned char)p[1]);
        bool follows = up && p > name && islower((unsigned char)p[-1]);
        if ((starts || follows) && n && out[n - 1] != '_') out[n++] = '_';
        out[n++] = (char)tolower((unsigned char)*p);
    }
    out[n] = 0;
}

const char *op_name(const struct call *c, char out[64])
{
    const char *name = c->layer->mapped, *function = json_string_value(json_object_get(c->layer->config, "function"));
    if (!name) name = function && !strcmp(c->layer->class_name, "TFOpLambda") ? function : c->layer->class_name;
    const char *dot = strrchr(name, '.');
    snake_case(dot ? dot + 1 : name, out, 64);
    return out;
}

const json_t *op_argument(const struct call *c, size_t place, const char *names)
{
    const json_t *v = json_array_get(c->args, place);
    char name[32];
    for (size_t len; *names && (!v || json_is_null(v)); names += len + (names[len] == ' ')) {
        len = strcspn(names, " ");
        snprintf(name, sizeof name, "%.*s", (int)len, names);
        v = json_object_get(c->kwargs, name);
        if (!v && !c->layer->mapped) v = json_object_get(c->config, name);
    }
    return json_is_null(v) ? NULL : v;
}

int64_t op_int(const struct call *c, size_t place, const char *names, int64_t otherwise)
{
    const json_t *v = op_argument(c, place, names);
    return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

bool op_bool(const struct call *c, size_t place, const char *names, bool otherwise)
{
    const json_t *v = op_argument(c, place, names);
    return json_is_boolean(v) ? json_is_true(v) : json_is_number(v) ? json_number_value(v) != 0 : otherwise;
}

struct ktensor *first_tensor(struct call *c)
{
    const json_t *v = op_argument(c, 0, "x x1 input inputs features tensor a logits input_tensor");
    struct ktensor *t = tensor_of(c, v);
    if (!t && c->n_in) t = c->in[0];
    if (!t) call_fail(c, ERR_MODEL, "it has no tensor among its arguments");
    return t;
}

/* What a list is in: a plain one, or a tuple with its class. */
static const json_t *items_of(const json_t *v)
{
    const char *class_name = json_is_object(v) ? class_of(v) : NULL;
    if (class_name && (!strcmp(class_name, "__tuple__") || !strcmp(class_name, "TensorShape"))) {
        const json_t *inner = json_object_get(v, "items"), *value = json_object_get(config_of(v), "value");
        return inner ? inner : value ? value : config_of(v);
    }
    return v;
}

int op_ints(struct call *c, const json_t *arg, int64_t *out, int max)
{
    const json_t *list = items_of(arg);
    int n = json_is_array(list) ? (int)json_array_size(list) : list ? 1 : 0;
    if (n > max) return call_fail(c, ERR_UNSUPPORTED, "a list of %d numbers", n), -1;
    for (int i = 0; i < n; i++) {
        const json_t *item = json_is_array(list) ? json_array_get(list, (size_t)i) : list;
        if (!json_is_integer(item))
            return call_fail(c, ERR_UNSUPPORTED, "an argument that should be whole numbers"), -1;
        out[i] = json_integer_value(item);
    }
    return n;
}

struct value *op_sizes(struct call *c, const json_t *arg)
{
    struct value *parts[64];
    const json_t *list = items_of(arg);
    struct ktensor *whole = tensor_of(c, list);
    if (whole) return emit_cast(c->b, as_plain(c, whole), DT_I64);
    int n = json_is_array(list) ? (int)json_array_size(list) : 1;
    if (!list || n > 64 || n < 1) return call_fail(c, ERR_UNSUPPORTED, "a shape of %d numbers", n), NULL;
    for (int i = 0; i < n; i++) {
        const json_t *item = json_is_array(list) ? json_array_get(list, (size_t)i) : list;
        struct ktensor *t = tensor_of(c, item);
        if (t) parts[i] = k_reshape(c, emit_cast(c->b, as_plain(c, t), DT_I64), &(int64_t){ 1 }, 1);
        else if (json_is_null(item)) parts[i] = emit_i64s(c->b, &(int64_t){ -1 }, 1);
        else if (json_is_integer(item)) parts[i] = emit_i64s(c->b, &(int64_t){ json_integer_value(item) }, 1);
        else return call_fail(c, ERR_UNSUPPORTED, "a shape that is no list of whole numbers"), NULL;
    }
    return k_concat(c, parts, n, 0);
}

/* The shape of nested lists, from the first of each. */
static bool list_shape(const json_t *v, struct shape *s, int64_t *count)
{
    *s = (struct shape){ 0 };
    *count = 1;
    for (; json_is_array(v); v = json_array_get(v, 0)) {
        if (s->rank == SHAPE_MAX) return false;
        s->dim[s->rank++] = (int64_t)json_array_size(v);
        *count *= (int64_t)json_array_size(v);
        if (*count > NUMBERS_MAX) return false;
    }
    return true;
}

static bool fill(const json_t *v, const struct shape *s, int depth, struct tensor *t, int64_t *at)
{
    if (depth == s->rank) {
        double d = json_is_boolean(v) ? json_is_true(v) : 0;
        bool is = json_is_boolean(v) || json_get_number(v, &d);
        if (json_is_integer(v) && !dtype_is_float(t->dtype)) tensor_set_i64(t, (*at)++, json_integer_value(v));
        else tensor_set_f64(t, (*at)++, d);
        return is;
    }
    if (!json_is_array(v) || (int64_t)json_array_size(v) != s->dim[depth]) return false;
    for (size_t i = 0; i < json_array_size(v); i++)
        if (!fill(json_array_get(v, i), s, depth + 1, t, at)) return false;
    return true;
}

static enum dtype type_of(const json_t *v, enum dtype like)
{
    while (json_is_array(v)) v = json_array_get(v, 0);
    if (json_is_boolean(v)) return DT_BOOL;
    if (json_is_real(v) || json_is_string(v)) return dtype_is_float(like) ? like : DT_F32;
    return like ? like : DT_I32;
}

struct value *operand(struct call *c, const json_t *arg, enum dtype like)
{
    const char *class_name = json_is_object(arg) ? class_of(arg) : NULL;
    struct ktensor *t = tensor_of(c, arg);
    if (t) return as_plain(c, t);
    if (class_name && (!strcmp(class_name, "__tensor__") || !strcmp(class_name, "__numpy__"))) {
        const char *type = json_string_value(json_object_get(config_of(arg), "dtype"));
        if (type && dtype_from_name(type)) like = dtype_from_name(type);
        arg = json_object_get(config_of(arg), "value");
    }
    struct shape s;
    int64_t count, at = 0;
    arg = items_of(arg);
    if (!arg || !list_shape(arg, &s, &count))
        return call_fail(c, ERR_UNSUPPORTED, "an argument that is no number"), NULL;
    struct tensor *made = tensor_new(c->k->keep, type_of(arg, like), &s, c->b->err);
    if (!made) return NULL;
    if (!fill(arg, &s, 0, made, &at)) return call_fail(c, ERR_UNSUPPORTED, "an argument that is no number"), NULL;
    return emit_const(c->b, made);
}
