/* yaml.c - libyaml's events into a JSON tree. */
#include "enc/yaml.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"

enum {
    DEPTH_MAX = 64,
    TEXT_MAX = 4 << 20,      /* bytes; what people write is far smaller */
    COPIED_MAX = 100 * 1000, /* values that aliases may add */
    NUMBER_MAX = 64,        /* characters */
};

struct anchor {
    const char *name;
    json_t *value; /* borrowed: whole values are in the tree already */
};

struct builder {
    yaml_parser_t parser;
    yaml_event_t event;
    bool has_event;
    struct yaml *out;
    struct arena *arena;
    const char *path;
    struct anchor *anchors;
    size_t n_anchors, cap_anchors;
    size_t copied;
    struct err *e;
};

static int fail_at(struct builder *b, yaml_mark_t at, const char *what, const char *name)
{
    return fail(b->e, ERR_DATA, "%s:%zu:%zu: %s%s%.100s%s", b->path, at.line + 1, at.column + 1, what,
        name ? " \"" : "", name ? name : "", name ? "\"" : "");
}

static int next_event(struct builder *b)
{
    if (b->has_event) yaml_event_delete(&b->event);
    b->has_event = yaml_parser_parse(&b->parser, &b->event);
    if (b->has_event) return 0;
    const yaml_parser_t *p = &b->parser;
    if (p->error == YAML_MEMORY_ERROR) return fail_nomem(b->e);
    if (p->error == YAML_READER_ERROR)
        return fail(b->e, ERR_DATA, "%s: byte %zu: %s", b->path, p->problem_offset, p->problem);
    return fail_at(b, p->problem_mark, p->problem ? p->problem : "cannot be read", NULL);
}

/* Plain scalars. */

static bool is_one_of(const char *text, const char *words)
{
    size_t len = strlen(text);
    for (const char *p = words; *p; p += strcspn(p, " "), p += *p == ' ')
        if (strcspn(p, " ") == len && !memcmp(p, text, len)) return true;
    return false;
}

/* [-+]? ( digits | 0o octal | 0x hex ); -1: too large, 0: no integer, 1: one. */
static int read_int(const char *text, json_int_t *out)
{
    const char *digits = text + (*text == '-' || *text == '+');
    bool prefixed = text[0] == '0' && (text[1] == 'x' || text[1] == 'o');
    int base = !prefixed ? 10 : text[1] == 'x' ? 16 : 8;
    if (prefixed) digits = text + 2;
    if (!*digits || strspn(digits, "0123456789abcdefABCDEF") != strlen(digits)) return 0;
    if (base < 16 && strspn(digits, base == 8 ? "01234567" : "0123456789") != strlen(digits)) return 0;
    errno = 0;
    long long v = strtoll(prefixed ? digits : text, NULL, base);
    *out = v;
    return errno == ERANGE ? -1 : 1;
}

/* [-+]? ( . digits | digits ( . digits? )? ) ( [eE] [-+]? digits )? */
static bool is_float(const char *p)
{
    p += *p == '-' || *p == '+';
    size_t before = strspn(p, "0123456789");
    p += before;
    size_t after = *p == '.' ? strspn(p + 1, "0123456789") : 0;
    p += *p == '.' ? 1 + after : 0;
    if (!before && !after) return false;
    if (*p != 'e' && *p != 'E') return !*p;
    p++;
    p += *p == '-' || *p == '+';
    size_t digits = strspn(p, "0123456789");
    return digits && !p[digits];
}

static const char *special_number(const char *text)
{
    if (is_one_of(text, ".inf .Inf .INF +.inf +.Inf +.INF")) return ".inf";
    if (is_one_of(text, "-.inf -.Inf -.INF")) return "-.inf";
    return is_one_of(text, ".nan .NaN .NAN") ? ".nan" : NULL;
}

/* The value of a scalar without quotes. A new reference in *out, NULL when memory ran out. */
static int plain_value(struct builder *b, yaml_mark_t at, const char *text, size_t len, json_t **out)
{
    json_int_t integer = 0;
    const char *special = special_number(text);
    int code = len < NUMBER_MAX ? read_int(text, &integer) : 0;
    if (code < 0) return fail_at(b, at, "the integer does not fit into 64 bits:", text);
    if (is_one_of(text, "~ null Null NULL") || !len)
        *out = json_null();
    else if (is_one_of(text, "true True TRUE"))
        *out = json_true();
    else if (is_one_of(text, "false False FALSE"))
        *out = json_false();
    else if (special)
        *out = json_string(special);
    else if (code)
        *out = json_integer(integer);
    else if (len < NUMBER_MAX && is_float(text)) {
        double v = strtod(text, NULL);
        if (isinf(v)) return fail_at(b, at, "the number does not fit into a double:", text);
        *out = json_real(v);
    } else
        *out = json_stringn_nocheck(text, len);
    return 0;
}

static int scalar(struct builder *b, json_t **out)
{
    const char *text = (const char *)b->event.data.scalar.value;
    size_t len = b->event.data.scalar.length;
    yaml_mark_t at = b->event.start_mark;
    const char *tag = (const char *)b->event.data.scalar.tag;
    bool is_text = tag && (!strcmp(tag, YAML_STR_TAG) || !strcmp(tag, "!"));
    if (tag && !is_text) return fail_at(b, at, "tags other than !!str are not known:", tag);
    if (memchr(text, 0, len)) return fail_at(b, at, "a zero character in a text", NULL);
    *out = NULL;
    if (is_text || b->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        *out = json_stringn_nocheck(text, len); /* libyaml has checked that it is UTF-8 */
    else
        TRY(plain_value(b, at, text, len, out));
    TRY_MEM(*out, b->e);
    return 0;
}

/* Containers. Each value is put into its container before it is filled, so one reference, the root's, owns all. */

static int node(struct builder *b, json_t *parent, const char *key, yaml_mark_t at, int depth);

static int attach(struct builder *b, json_t *parent, const char *key, yaml_mark_t at, json_t *value)
{
    struct yaml_mark mark = { parent, key, json_array_size(parent), (unsigned)at.line + 1, (unsigned)at.column + 1 };
    if (!value) return fail_nomem(b->e);
    int bad = 0;
    if (!parent) {
        TRY(json_own(b->arena, value, b->e));
        b->out->root = value;
    } else if (key)
        bad = json_object_set_new_nocheck(parent, key, value);
    else
        bad = json_array_append_new(parent, value);
    if (bad || !ARRAY_PUSH(b->arena, b->out->marks, b->out->n, b->out->cap, mark)) return fail_nomem(b->e);
    return 0;
}

static int mapping(struct builder *b, json_t *object, int depth)
{
    for (;;) {
        TRY(next_event(b));
        yaml_mark_t at = b->event.start_mark;
        if (b->event.type == YAML_MAPPING_END_EVENT) return 0;
        if (b->event.type != YAML_SCALAR_EVENT) return fail_at(b, at, "a key must be a plain word or text", NULL);
        const char *key = (const char *)b->event.data.scalar.value;
        if (strlen(key) != b->event.data.scalar.length) return fail_at(b, at, "a zero character in a key", NULL);
        if (!strcmp(key, "<<")) return fail_at(b, at, "merge keys are not read; write the values out", NULL);
        if (json_object_get(object, key)) return fail_at(b, at, "this key stands here a second time:", key);
        key = arena_strdup(b->arena, key);
        TRY_MEM(key, b->e);
        TRY(next_event(b));
        TRY(node(b, object, key, at, depth));
    }
}

static int sequence(struct builder *b, json_t *array, int depth)
{
    for (;;) {
        TRY(next_event(b));
        if (b->event.type == YAML_SEQUENCE_END_EVENT) return 0;
        TRY(node(b, array, NULL, b->event.start_mark, depth));
    }
}

/* Counts values, children included, but not further than `most`: bombs are not walked. */
static size_t count_values(const json_t *value, size_t most)
{
    size_t n = 1, i;
    const char *key;
    json_t *child;
    if (json_is_object(value))
        json_object_foreach((json_t *)(uintptr_t)value, key, child)
            if (n < most) n += count_values(child, most - n);
    if (json_is_array(value))
        json_array_foreach(value, i, child)
            if (n < most) n += count_values(child, most - n);
    return n;
}

static unsigned height_of(const json_t *value)
{
    unsigned most = 0, height;
    size_t i;
    const char *key;
    json_t *child;
    if (json_is_object(value))
        json_object_foreach((json_t *)(uintptr_t)value, key, child)
            if ((height = height_of(child)) > most) most = height;
    if (json_is_array(value))
        json_array_foreach(value, i, child)
            if ((height = height_of(child)) > most) most = height;
    return most + 1;
}

static int alias(struct builder *b, json_t *parent, const char *key, yaml_mark_t at, int depth)
{
    const char *name = (const char *)b->event.data.alias.anchor;
    for (size_t i = b->n_anchors; i-- > 0;) {
        if (strcmp(b->anchors[i].name, name)) continue;
        const json_t *value = b->anchors[i].value;
        b->copied += count_values(value, COPIED_MAX);
        if (b->copied > COPIED_MAX) return fail_at(b, at, "aliases make the document too large:", name);
        if ((int)height_of(value) + depth > DEPTH_MAX) return fail_at(b, at, "nested too deeply", NULL);
        return attach(b, parent, key, at, json_deep_copy(value));
    }
    return fail_at(b, at, "there is no such anchor before this alias:", name);
}

static int remember(struct builder *b, const char *name, json_t *value)
{
    struct anchor anchor = { name, value };
    if (!name) return 0;
    return ARRAY_PUSH(b->arena, b->anchors, b->n_anchors, b->cap_anchors, anchor) ? 0 : fail_nomem(b->e);
}

/* The value that begins with the current event, put into `parent`. */
static int node(struct builder *b, json_t *parent, const char *key, yaml_mark_t at, int depth)
{
    yaml_event_type_t type = b->event.type;
    if (type == YAML_ALIAS_EVENT) return alias(b, parent, key, at, depth);
    if (depth >= DEPTH_MAX) return fail_at(b, at, "nested too deeply", NULL);
    json_t *value = NULL;
    const char *anchor = type == YAML_SCALAR_EVENT ? (const char *)b->event.data.scalar.anchor
        : type == YAML_MAPPING_START_EVENT         ? (const char *)b->event.data.mapping_start.anchor
                                                   : (const char *)b->event.data.sequence_start.anchor;
    if (anchor) TRY_MEM(anchor = arena_strdup(b->arena, anchor), b->e);
    if (type == YAML_SCALAR_EVENT) {
        TRY(scalar(b, &value));
        TRY(attach(b, parent, key, at, value));
        return remember(b, anchor, value);
    }
    bool is_mapping = type == YAML_MAPPING_START_EVENT;
    const char *tag = (const char *)(is_mapping ? b->event.data.mapping_start.tag : b->event.data.sequence_start.tag);
    if (tag) return fail_at(b, at, "tags other than !!str are not known:", tag);
    value = is_mapping ? json_object() : json_array();
    TRY(attach(b, parent, key, at, value));
    TRY(is_mapping ? mapping(b, value, depth + 1) : sequence(b, value, depth + 1));
    return remember(b, anchor, value);
}

static int document(struct builder *b)
{
    do TRY(next_event(b));
    while (b->event.type == YAML_STREAM_START_EVENT || b->event.type == YAML_DOCUMENT_START_EVENT);
    if (b->event.type == YAML_STREAM_END_EVENT) return attach(b, NULL, NULL, b->event.start_mark, json_null());
    TRY(node(b, NULL, NULL, b->event.start_mark, 0));
    TRY(next_event(b)); /* end of document */
    TRY(next_event(b));
    if (b->event.type == YAML_STREAM_END_EVENT) return 0;
    return fail_at(b, b->event.start_mark, "a second document begins; one is read", NULL);
}

int yaml_parse(struct yaml *y, struct arena *a, const char *path, struct bytes text, struct err *e)
{
    *y = (struct yaml){ 0 };
    if (text.len > TEXT_MAX) return fail(e, ERR_DATA, "%s: %zu bytes are too many for YAML", path, text.len);
    struct builder b = { .out = y, .arena = a, .path = path, .e = e };
    if (!yaml_parser_initialize(&b.parser)) return fail_nomem(e);
    yaml_parser_set_input_string(&b.parser, text.data, text.len);
    int code = document(&b);
    if (b.has_event) yaml_event_delete(&b.event);
    yaml_parser_delete(&b.parser);
    return code;
}

const struct yaml_mark *yaml_find(const struct yaml *y, const json_t *parent, const char *key, size_t index)
{
    for (size_t i = 0; i < y->n; i++) {
        const struct yaml_mark *m = &y->marks[i];
        if (m->parent != parent || !m->key != !key) continue;
        if (key ? !strcmp(m->key, key) : m->index == index) return m;
    }
    return NULL;
}

static const char *real_text(struct arena *a, double v)
{
    char text[40];
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) break;
    }
    return arena_strdup(a, text);
}

const char *yaml_scalar_text(struct arena *a, const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_STRING: return json_string_value(v);
    case JSON_INTEGER: return arena_printf(a, "%lld", (long long)json_integer_value(v));
    case JSON_REAL: return real_text(a, json_real_value(v));
    case JSON_TRUE: return "true";
    case JSON_FALSE: return "false";
    default: return NULL;
    }
}
