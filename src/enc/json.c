/* json.c - the thin layer between jansson and the house's errors and arenas. */
#include "enc/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

static void drop(void *tree)
{
    json_decref(tree);
}

int json_own(struct arena *a, json_t *tree, struct err *e)
{
    TRY_MEM(tree, e);
    return arena_closer(a, drop, tree) < 0 ? fail_nomem(e) : 0;
}

int json_parse(struct arena *a, const char *path, struct bytes text, json_t **out, struct err *e)
{
    json_error_t at;
    *out = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &at);
    if (*out) return json_own(a, *out, e);
    if (json_error_code(&at) == json_error_out_of_memory) return fail_nomem(e);
    return fail(e, ERR_DATA, "%s:%d:%d: %s", path, at.line, at.column < 0 ? 0 : at.column, at.text);
}

static int add(const char *text, size_t len, void *s)
{
    str_addn(s, text, len);
    return ((struct str *)s)->oom ? -1 : 0;
}

/* The fewest digits (of 15, 16, 17) from which every number of the tree reads back to the same bits. */
static size_t digits_needed(const json_t *tree)
{
    for (size_t digits = 15; digits < 17; digits++) {
        char *text = json_dumps(tree, JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
        json_t *back = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
        bool same = back && json_equal(back, tree);
        json_decref(back);
        free(text);
        if (same) return digits;
    }
    return 17;
}

int json_print(const json_t *tree, unsigned flags, struct arena *a, struct bytes *out, struct err *e)
{
    struct str s = str_in(a);
    size_t how = JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits_needed(tree));
    how |= flags & JSON_IN_ORDER ? 0 : JSON_SORT_KEYS;
    how |= flags & JSON_ONE_LINE ? JSON_COMPACT : JSON_INDENT(2);
    if (json_dump_callback(tree, add, &s, how))
        return s.oom ? fail_nomem(e) : fail(e, ERR_FAILED, "this tree cannot be printed as JSON: it contains itself");
    str_addc(&s, '\n');
    if (!str_done(&s)) return fail_nomem(e);
    *out = (struct bytes){ (const unsigned char *)s.s, s.len };
    return 0;
}

bool json_get_number(const json_t *value, double *out)
{
    static const struct {
        const char *text;
        double number;
    } special[] = { { ".inf", INFINITY }, { "-.inf", -INFINITY }, { ".nan", NAN } };
    if (json_is_number(value)) return *out = json_number_value(value), true;
    for (size_t i = 0; json_is_string(value) && i < sizeof special / sizeof *special; i++)
        if (!strcmp(json_string_value(value), special[i].text)) return *out = special[i].number, true;
    return false;
}
