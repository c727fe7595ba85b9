/* conf.c - reading and checking configuration values by their table. */
#include "conf/conf.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/str.h"

static const struct conf_key *key_at(const struct conf *c, size_t i)
{
    for (size_t t = 0; c->tables[t]; t++)
        for (const struct conf_key *k = c->tables[t]; k->name; k++)
            if (!i--) return k;
    return NULL;
}

static int index_of(const struct conf *c, const char *name)
{
    for (size_t i = 0; i < c->n_keys; i++)
        if (!strcmp(key_at(c, i)->name, name)) return (int)i;
    return -1;
}

const struct conf_key *conf_find(const struct conf *c, const char *name)
{
    int i = index_of(c, name);
    return i < 0 ? NULL : key_at(c, (size_t)i);
}

const struct conf_key *conf_letter(const struct conf *c, char letter)
{
    for (size_t i = 0; i < c->n_keys; i++)
        if (key_at(c, i)->letter == letter) return key_at(c, i);
    return NULL;
}

int conf_unknown(const struct conf *c, const char *name, const char *where, const char *what, const char *mark,
    struct err *e)
{
    const char **names = ARENA_ARRAY(c->arena, c->n_keys, const char *);
    TRY_MEM(names, e);
    for (size_t i = 0; i < c->n_keys; i++) names[i] = key_at(c, i)->name;
    const char *near = str_closest(name, names, c->n_keys);
    if (near)
        return fail(e, ERR_USAGE, "%s: unknown %s \"%s%s\", did you mean \"%s%s\"?", where, what, mark, name, mark,
            near);
    return fail(e, ERR_USAGE, "%s: unknown %s \"%s%s\"", where, what, mark, name);
}

static bool is_choice(const char *choices, const char *text)
{
    size_t len = strlen(text);
    for (const char *p = choices; p; p = strchr(p, '|')) {
        p += *p == '|';
        if (len && !strncmp(p, text, len) && (p[len] == '|' || !p[len])) return true;
    }
    return false;
}

static int parse(const struct conf_key *k, struct conf_value *v, const char *text, const char *where, struct err *e)
{
    char *end = NULL;
    errno = 0;
    switch (k->type) {
    case CONF_BOOL:
        v->i = is_choice("true|yes|on|1", text);
        if (!v->i && !is_choice("false|no|off|0", text))
            return fail(e, ERR_USAGE, "%s: %s: \"%s\" is neither true nor false", where, k->name, text);
        return 0;
    case CONF_INT:
        v->i = strtoll(text, &end, 10);
        if (end == text || *end || errno)
            return fail(e, ERR_USAGE, "%s: %s: \"%s\" is no whole number", where, k->name, text);
        if (k->max > k->min && (v->i < k->min || v->i > k->max))
            return fail(e, ERR_USAGE, "%s: %s: %s is not between %lld and %lld", where, k->name, text,
                (long long)k->min, (long long)k->max);
        return 0;
    case CONF_FLOAT:
        v->f = strtod(text, &end);
        if (end == text || *end || isnan(v->f))
            return fail(e, ERR_USAGE, "%s: %s: \"%s\" is no number", where, k->name, text);
        return 0;
    case CONF_CHOICE:
        if (!is_choice(k->choices, text))
            return fail(e, ERR_USAGE, "%s: %s: \"%s\" is not one of %s", where, k->name, text, k->choices);
        return 0;
    default: return 0;
    }
}

static int set_value(struct conf *c, size_t i, const char *text, const char *where, struct err *e)
{
    const struct conf_key *k = key_at(c, i);
    struct conf_value *v = &c->values[i];
    TRY(parse(k, v, text, where, e));
    v->s = arena_strdup(c->arena, text);
    TRY_MEM(v->s, e);
    if (k->type == CONF_LIST && !ARRAY_PUSH(c->arena, v->list, v->n, v->cap, v->s)) return fail_nomem(e);
    return 0;
}

int conf_set(struct conf *c, const char *name, const char *text, const char *where, struct err *e)
{
    int i = index_of(c, name);
    if (i < 0) return conf_unknown(c, name, where, "key", "", e);
    TRY(set_value(c, (size_t)i, text, where, e));
    c->values[i].set = true;
    return 0;
}

/* How long the first item of a list is. */
static size_t item_length(const char *text)
{
    size_t n = strcspn(text, ",");
    bool pair = memchr(text, '=', n) != NULL;
    while (pair && text[n]) {
        size_t more = strcspn(text + n + 1, ",");
        if (memchr(text + n + 1, '=', more)) break;
        n += 1 + more;
    }
    return n;
}

int conf_items(struct conf *c, const char *name, const char *text, const char *where, struct err *e)
{
    int i = index_of(c, name);
    if (i < 0) return conf_unknown(c, name, where, "key", "", e);
    if (!c->values[i].begun) TRY(conf_reset(c, name, e));
    c->values[i].begun = true;
    while (*text) {
        size_t n = item_length(text);
        const char *item = arena_strndup(c->arena, text, n);
        TRY_MEM(item, e);
        if (n) TRY(conf_set(c, name, item, where, e));
        text += n + (text[n] == ',');
    }
    return 0;
}

int conf_init(struct conf *c, struct arena *a, const struct conf_key *const *tables, struct err *e)
{
    *c = (struct conf){ .arena = a, .tables = tables };
    for (size_t t = 0; tables[t]; t++)
        for (const struct conf_key *k = tables[t]; k->name; k++) c->n_keys++;
    c->values = ARENA_ARRAY(a, c->n_keys, struct conf_value);
    TRY_MEM(c->values, e);
    for (size_t i = 0; i < c->n_keys; i++)
        if (key_at(c, i)->fallback) TRY(set_value(c, i, key_at(c, i)->fallback, "default", e));
    return 0;
}

int conf_reset(struct conf *c, const char *name, struct err *e)
{
    int i = index_of(c, name);
    if (i < 0) return conf_unknown(c, name, "reset", "key", "", e);
    c->values[i] = (struct conf_value){ 0 };
    const char *fallback = key_at(c, (size_t)i)->fallback;
    return fallback ? set_value(c, (size_t)i, fallback, "default", e) : 0;
}

static const struct conf_value *value_of(const struct conf *c, const char *name)
{
    int i = index_of(c, name);
    assert(i >= 0);
    return &c->values[i];
}

bool conf_has(const struct conf *c, const char *name)
{
    return value_of(c, name)->set;
}

bool conf_flag(const struct conf *c, const char *name)
{
    return value_of(c, name)->set;
}

int64_t conf_int(const struct conf *c, const char *name)
{
    return value_of(c, name)->i;
}

double conf_float(const struct conf *c, const char *name)
{
    return value_of(c, name)->f;
}

const char *conf_string(const struct conf *c, const char *name)
{
    return value_of(c, name)->s;
}

const char *const *conf_list(const struct conf *c, const char *name, size_t *n)
{
    const struct conf_value *v = value_of(c, name);
    *n = v->n;
    return v->list;
}

static void help_text(const struct conf_key *k, struct str *out)
{
    str_addf(out, "\n        %s", k->help);
    if (k->fallback) str_addf(out, " (default %s)", k->fallback);
    if (k->type == CONF_LIST || k->type == CONF_BREAK) str_add(out, "; may be given again");
    str_addc(out, '\n');
}

void conf_help(const struct conf_key *table, struct str *out)
{
    for (const struct conf_key *k = table; k->name; k++) {
        str_add(out, "  ");
        if (k->letter) str_addf(out, "-%c, ", k->letter);
        str_addf(out, "--%s", k->name);
        if (k->type != CONF_FLAG) str_addf(out, " %s", k->choices ? k->choices : k->arg);
        help_text(k, out);
    }
}

void conf_help_keys(const struct conf_key *table, struct str *out)
{
    for (const struct conf_key *k = table; k->name; k++) {
        str_addf(out, "  %s: %s", k->name, k->type == CONF_BOOL ? "true|false" : k->choices ? k->choices : k->arg);
        help_text(k, out);
    }
}

/* Whether YAML would take a word for something else, or write it in another way: a number, true, null. */
static bool is_ambiguous(const char *text)
{
    static const char *const words[] = { "true", "false", "null" };
    for (size_t i = 0; i < 3; i++)
        if (!strcasecmp(text, words[i])) return true;
    bool whole = strlen(text) < 10 && strspn(text, "0123456789") == strlen(text) && (text[0] != '0' || !text[1]);
    return isdigit((unsigned char)text[0]) && !whole;
}

/* Words that read back as they are stand so; all else is quoted as JSON quotes it. */
static void print_text(struct str *out, const char *text, bool number)
{
    bool plain = *text != 0;
    for (const char *p = text; *p; p++) plain = plain && (isalnum((unsigned char)*p) || strchr("_./+-", *p));
    if (plain && (number || ((isalnum((unsigned char)*text) || *text == '/') && !is_ambiguous(text)))) {
        str_add(out, text);
        return;
    }
    str_addc(out, '"');
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '"' || *p == '\\') str_addf(out, "\\%c", *p);
        else if (*p < 0x20) str_addf(out, "\\x%02x", *p);
        else str_addc(out, (char)*p);
    }
    str_addc(out, '"');
}

void conf_print(const struct conf *c, struct str *out)
{
    for (size_t i = 0; i < c->n_keys; i++) {
        const struct conf_key *k = key_at(c, i);
        const struct conf_value *v = &c->values[i];
        if (!v->s) continue;
        str_addf(out, "%s: ", k->name);
        bool number = k->type == CONF_BOOL || k->type == CONF_INT || k->type == CONF_FLOAT;
        if (k->type != CONF_LIST) print_text(out, v->s, number);
        for (size_t j = 0; k->type == CONF_LIST && j < v->n; j++) {
            str_add(out, j ? ", " : "[");
            print_text(out, v->list[j], false);
        }
        str_add(out, k->type == CONF_LIST ? "]\n" : "\n");
    }
}
