/* steps.c - reading the parameters of one named step. */
#include "data/steps.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "enc/json.h"

const json_t *step_get(struct step_reader *r, const char *key)
{
    if (r->n_asked < STEP_KEYS) r->asked[r->n_asked++] = key;
    const json_t *v = json_object_get(r->object, key);
    return json_is_null(v) ? NULL : v;
}

static void wrong(struct step_reader *r, const char *key, const char *expected)
{
    fail(r->err, ERR_USAGE, "%s: \"%s\" must be %s", r->where, key, expected);
}

double step_number(struct step_reader *r, const char *key, double fallback)
{
    const json_t *v = step_get(r, key);
    double d = fallback;
    if (v && !json_get_number(v, &d)) wrong(r, key, "a number");
    return d;
}

int64_t step_int(struct step_reader *r, const char *key, int64_t fallback, int64_t min, int64_t max)
{
    const json_t *v = step_get(r, key);
    if (!v) return fallback;
    if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max) {
        fail(r->err, ERR_USAGE, "%s: \"%s\" must be a whole number from %lld to %lld", r->where, key, (long long)min,
            (long long)max);
        return fallback;
    }
    return json_integer_value(v);
}

bool step_bool(struct step_reader *r, const char *key, bool fallback)
{
    const json_t *v = step_get(r, key);
    if (!v) return fallback;
    if (!json_is_boolean(v)) wrong(r, key, "true or false");
    return json_is_true(v);
}

const char *step_string(struct step_reader *r, const char *key, const char *fallback)
{
    const json_t *v = step_get(r, key);
    if (!v) return fallback;
    if (!json_is_string(v)) return wrong(r, key, "a text"), fallback;
    return json_string_value(v);
}

int step_choice(struct step_reader *r, const char *key, const char *const *choices, int fallback)
{
    const char *text = step_string(r, key, NULL);
    if (!text || r->err->code) return fallback;
    char all[256] = "";
    for (int i = 0; choices[i]; i++) {
        if (!strcmp(choices[i], text)) return i;
        strncat(all, i ? ", " : "", sizeof all - strlen(all) - 1);
        strncat(all, choices[i], sizeof all - strlen(all) - 1);
    }
    fail(r->err, ERR_USAGE, "%s: \"%s\" is \"%s\", expected one of %s", r->where, key, text, all);
    return fallback;
}

int step_numbers(struct step_reader *r, const char *key, double *out, int max)
{
    const json_t *v = step_get(r, key);
    if (!v) return 0;
    if (json_get_number(v, out)) return 1;
    int n = (int)json_array_size(v);
    if (!json_is_array(v) || n < 1 || n > max) return wrong(r, key, "a number or a short list of numbers"), 0;
    for (int i = 0; i < n; i++)
        if (!json_get_number(json_array_get(v, (size_t)i), &out[i])) return wrong(r, key, "a list of numbers"), 0;
    return n;
}

int step_end(struct step_reader *r)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)r->object, key, value)
    {
        bool known = !strcmp(key, "op");
        for (int i = 0; i < r->n_asked; i++) known |= !strcmp(key, r->asked[i]);
        if (known) continue;
        const char *near = str_closest(key, r->asked, (size_t)r->n_asked);
        return fail(r->err, ERR_USAGE, "%s: unknown key \"%s\"%s%s%s", r->where, key, near ? ", did you mean \"" : "",
            near ? near : "", near ? "\"?" : "");
    }
    return r->err->code;
}

static int kind_of(const char *name, const char *const *names, const char *where, struct err *e)
{
    size_t n = 0;
    for (; names[n]; n++)
        if (name && !strcmp(names[n], name)) return (int)n;
    const char *near = name ? str_closest(name, names, n) : NULL;
    return fail(e, ERR_USAGE, "%s: unknown step \"%s\"%s%s%s", where, name ? name : "", near ? ", did you mean \"" : "",
        near ? near : "", near ? "\"?" : "");
}

int steps_parse(const json_t *list, const char *where, const char *const *names,
    int (*parse)(void *ctx, size_t i, int kind, struct step_reader *r), void *ctx, struct err *e)
{
    size_t n = json_array_size(list);
    if (list && !json_is_array(list)) return fail(e, ERR_USAGE, "%s: a list of steps was expected", where);
    if (n > STEPS_MAX) return fail(e, ERR_USAGE, "%s: %zu steps", where, n);
    for (size_t i = 0; i < n; i++) {
        char place[300];
        const json_t *object = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(object, "op"));
        snprintf(place, sizeof place, "%s: step %zu (%s)", where, i + 1, name ? name : "?");
        int kind = kind_of(name, names, place, e);
        if (kind < 0) return kind;
        struct step_reader r = { .object = object, .where = place, .err = e };
        TRY(parse(ctx, i, kind, &r));
        TRY(step_end(&r));
    }
    return 0;
}
