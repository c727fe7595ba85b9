/* config.c - reading what a layer's config and the arguments of a call say. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "enc/json.h"
#include "format/keras/keras.h"

const json_t *cfg(const struct call *c, const char *key)
{
    const json_t *v = json_object_get(c->config, key);
    return json_is_null(v) ? NULL : v;
}

static bool whole(const json_t *v, int64_t *out)
{
    double d = json_number_value(v);
    if (json_is_integer(v)) return *out = json_integer_value(v), true;
    if (!json_is_real(v) || !(d >= -1e15 && d <= 1e15)) return false;
    *out = (int64_t)d;
    return (double)*out == d;
}

int64_t cfg_int(const struct call *c, const char *key, int64_t otherwise)
{
    int64_t v;
    return whole(cfg(c, key), &v) && v <= INT32_MAX && v >= INT32_MIN ? v : otherwise;
}

double cfg_float(const struct call *c, const char *key, double otherwise)
{
    double v;
    const json_t *j = cfg(c, key);
    if (json_is_object(j)) j = json_object_get(config_of(j), "value"); /* Keras 2 may write a number like this */
    return json_get_number(j, &v) ? v : otherwise;
}

bool cfg_bool(const struct call *c, const char *key, bool otherwise)
{
    const json_t *v = cfg(c, key);
    return json_is_boolean(v) ? json_is_true(v) : json_is_number(v) ? json_number_value(v) != 0 : otherwise;
}

const char *cfg_string(const struct call *c, const char *key, const char *otherwise)
{
    const char *s = json_string_value(cfg(c, key));
    return s ? s : otherwise;
}

static int bad(struct call *c, const char *key)
{
    return call_fail(c, ERR_MODEL, "%s of its config is not what it should be", key);
}

int cfg_ints(struct call *c, const char *key, int n, int64_t otherwise, int64_t *out)
{
    const json_t *v = cfg(c, key);
    for (int i = 0; i < n; i++) {
        const json_t *item = json_is_array(v) ? json_array_get(v, (size_t)i) : v;
        if (!v) out[i] = otherwise;
        else if (!whole(item, &out[i])) return bad(c, key);
        if (out[i] > INT32_MAX || out[i] < INT32_MIN) return bad(c, key);
    }
    return json_is_array(v) && json_array_size(v) != (size_t)n ? bad(c, key) : 0;
}

int cfg_pairs(struct call *c, const char *key, int n, int64_t otherwise, int64_t (*out)[2])
{
    const json_t *v = cfg(c, key);
    bool flat = n == 1 && json_array_size(v) == 2 && json_is_number(json_array_get(v, 0)); /* (left, right) */
    for (int i = 0; i < n; i++)
        for (int k = 0; k < 2; k++) {
            const json_t *item = json_is_array(v) && !flat ? json_array_get(v, (size_t)i) : v;
            if (json_is_array(item)) item = json_array_get(item, (size_t)k);
            out[i][k] = otherwise;
            if (v && (!whole(item, &out[i][k]) || out[i][k] < 0 || out[i][k] > INT32_MAX)) return bad(c, key);
        }
    return 0;
}

const char *class_of(const json_t *object)
{
    return json_string_value(json_is_object(object) ? json_object_get(object, "class_name") : object);
}

const json_t *config_of(const json_t *object)
{
    return json_object_get(object, "config");
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **sorted_keys(struct arena *a, const json_t *object, struct err *e)
{
    size_t n = 0;
    const char **keys = arena_alloc(a, (1 + json_object_size(object)) * sizeof *keys), *key;
    json_t *item;
    if (!keys) return fail_nomem(e), NULL;
    json_object_foreach((json_t *)(uintptr_t)object, key, item) keys[n++] = key;
    qsort(keys, n, sizeof *keys, by_text);
    return keys;
}

const json_t *argument(const struct call *c, size_t place, const char *name)
{
    const json_t *v = json_object_get(c->kwargs, name);
    if (!v) v = json_array_get(c->args, place);
    if (!v) v = json_object_get(c->config, name);
    return json_is_null(v) ? NULL : v;
}

struct ktensor *tensor_of(const struct call *c, const json_t *v)
{
    const json_t *place = json_object_get(v, "__tensor");
    return json_is_integer(place) ? c->tensors[json_integer_value(place)] : NULL;
}

struct ktensor *tensor_argument(const struct call *c, size_t place, const char *name)
{
    return tensor_of(c, argument(c, place, name));
}

int call_fail(const struct call *c, int code, const char *fmt, ...)
{
    char text[1000];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return fail(c->b->err, code, "layer %s (%s): %s", c->layer->label, c->layer->class_name, text);
}

void call_warn(const struct call *c, enum report_kind kind, const char *fmt, ...)
{
    char text[500];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    report_add(c->k->report, kind, c->layer->label, "%s: %s", c->layer->class_name, text);
}
