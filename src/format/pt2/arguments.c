/* arguments.c - arguments of a program's nodes as objects of PyTorch's host language. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "format/pt2/program.h"

enum { DEPTH = 8 };

const json_t *union_get(const json_t *x, const char **tag)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)x, key, value)
    {
        if (json_is_null(value)) continue;
        *tag = key;
        return value;
    }
    return NULL;
}

/* Not PyTorch's own numbers of its element types: those of the export's schema. */
static const signed char types[] = { DT_NONE, DT_U8, DT_I8, DT_I16, DT_I32, DT_I64, DT_F16, DT_F32, DT_F64, DT_NONE,
    DT_C64, DT_C128, DT_BOOL,
    DT_BF16, [28] = DT_U16, [29] = DT_F8E4M3FN, [30] = DT_F8E5M2, [31] = DT_F8E4M3FNUZ, [32] = DT_F8E5M2FNUZ };

enum dtype program_dtype(int64_t number)
{
    return number < 0 || number >= (int64_t)sizeof types ? DT_NONE : (enum dtype)types[number];
}

int env_set(struct program *p, struct map *env, const char *name, struct object *o)
{
    return o && map_set(env, name, o) ? 0 : fail_nomem(p->err);
}

static struct object *lookup(struct program *p, const struct map *env, const char *name)
{
    struct object *o = name ? map_get(env, name) : NULL;
    if (o) return o;
    return fail(p->err, ERR_MODEL, "the name \"%s\" is used before it is made", name ? name : "?"), NULL;
}

/* JSON has no infinity: newer files write it as text. */
static bool read_float(const json_t *x, double *out)
{
    static const struct {
        const char *text;
        double value;
    } words[] = { { "Infinity", INFINITY }, { "-Infinity", -INFINITY }, { "NaN", NAN }, { "inf", INFINITY },
        { "-inf", -INFINITY }, { "nan", NAN } };
    const char *text = json_string_value(x);
    if (json_is_number(x)) return *out = json_number_value(x), true;
    for (size_t i = 0; text && i < sizeof words / sizeof *words; i++)
        if (!strcmp(text, words[i].text)) return *out = words[i].value, true;
    return false;
}

typedef struct object *reader(struct program *p, const struct map *env, const json_t *x);

static struct object *bad(struct program *p, const char *what)
{
    return fail(p->err, ERR_MODEL, "an argument that is no %s", what), NULL;
}

static struct object *read_none(struct program *p, const struct map *env, const json_t *x)
{
    return object_none(&p->scratch);
}
static struct object *read_tensor(struct program *p, const struct map *env, const json_t *x)
{
    return lookup(p, env, json_string_value(json_object_get(x, "name")));
}
static struct object *read_int(struct program *p, const struct map *env, const json_t *x)
{
    return json_is_integer(x) ? object_int(&p->scratch, json_integer_value(x), NULL) : bad(p, "int");
}
static struct object *read_real(struct program *p, const struct map *env, const json_t *x)
{
    double v;
    return read_float(x, &v) ? object_float(&p->scratch, v, NULL) : bad(p, "float");
}
static struct object *read_bool(struct program *p, const struct map *env, const json_t *x)
{
    return json_is_boolean(x) ? object_bool(&p->scratch, json_is_true(x), NULL) : bad(p, "bool");
}
static struct object *read_string(struct program *p, const struct map *env, const json_t *x)
{
    return json_is_string(x) ? object_str(&p->scratch, OBJECT_STR, json_string_value(x)) : bad(p, "string");
}
static struct object *read_type(struct program *p, const struct map *env, const json_t *x)
{
    return object_int(&p->scratch, dtype_to_torch(program_dtype(json_integer_value(x))), NULL);
}
/* 1 contiguous, 2 channels_last, 3 channels_last_3d, 4 preserve: values do not depend on it. */
static struct object *read_format(struct program *p, const struct map *env, const json_t *x)
{
    return object_int(&p->scratch, 0, NULL);
}
static struct object *read_device(struct program *p, const struct map *env, const json_t *x)
{
    return object_str(&p->scratch, OBJECT_DEVICE, "cpu");
}
/* {"as_name": "sym_size"} or a number */
static struct object *read_symbolic(struct program *p, const struct map *env, const json_t *x)
{
    const char *tag = "";
    const json_t *v = union_get(x, &tag);
    double f;
    if (v && !strcmp(tag, "as_name")) return lookup(p, env, json_string_value(v));
    if (json_is_integer(v)) return read_int(p, env, v);
    if (json_is_boolean(v)) return read_bool(p, env, v);
    return v && read_float(v, &f) ? object_float(&p->scratch, f, NULL) : bad(p, "number");
}
static struct object *read_complex(struct program *p, const struct map *env, const json_t *x)
{
    struct object *o = object_none(&p->scratch);
    if (!o) return NULL;
    o->kind = OBJECT_COMPLEX;
    if (!read_float(json_object_get(x, "real"), &o->complex[0]) ||
        !read_float(json_object_get(x, "imag"), &o->complex[1]))
        return bad(p, "complex number");
    return o;
}
static struct object *read_union(struct program *p, const struct map *env, const json_t *x)
{
    return argument_read(p, env, x);
}

static const struct {
    const char *tag;
    reader *read;
    bool list;
} tags[] = {
    { "as_none", read_none },
    { "as_tensor", read_tensor },
    { "as_tensors", read_tensor, true },
    { "as_int", read_int },
    { "as_ints", read_int, true },
    { "as_float", read_real },
    { "as_floats", read_real, true },
    { "as_bool", read_bool },
    { "as_bools", read_bool, true },
    { "as_string", read_string },
    { "as_strings", read_string, true },
    { "as_scalar_type", read_type },
    { "as_memory_format", read_format },
    { "as_layout", read_format },
    { "as_device", read_device },
    { "as_sym_int", read_symbolic },
    { "as_sym_ints", read_symbolic, true },
    { "as_sym_bool", read_symbolic },
    { "as_sym_bools", read_symbolic, true },
    { "as_sym_float", read_symbolic },
    { "as_sym_floats", read_symbolic, true },
    { "as_optional_tensor", read_union },
    { "as_optional_tensors", read_union, true },
    { "as_complex", read_complex },
};

static struct object *read_list(struct program *p, const struct map *env, const json_t *x, reader *read)
{
    struct object *list = object_list(&p->scratch, OBJECT_LIST);
    if (!json_is_array(x)) return bad(p, "list");
    for (size_t i = 0; list && i < json_array_size(x); i++) {
        struct object *item = read(p, env, json_array_get(x, i));
        if (!item || !object_append(&p->scratch, list, item)) return NULL;
    }
    return list;
}

struct object *argument_read(struct program *p, const struct map *env, const json_t *x)
{
    const char *tag = "";
    const json_t *v = union_get(x, &tag);
    struct object *o = NULL;
    if (!v) return object_none(&p->scratch);
    if (++p->depth > DEPTH) return fail(p->err, ERR_MODEL, "an argument is nested too deep"), NULL;
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        if (strcmp(tag, tags[i].tag)) continue;
        o = tags[i].list ? read_list(p, env, v, tags[i].read) : tags[i].read(p, env, v);
        p->depth--;
        if (!o && !p->err->code) fail_nomem(p->err);
        return o;
    }
    p->depth--;
    return fail(p->err, ERR_UNSUPPORTED, "an argument of the kind %s", tag), NULL;
}
