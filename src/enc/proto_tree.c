/* proto_tree.c - trees of protobuf messages: making them, reading the wire format, looking things up. */
#include "enc/proto_tree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "enc/bytes.h"
#include "enc/protobuf.h"

enum { PACKED_MIN = 64 }; /* bytes of packed numbers that are worth leaving in the file */

struct tree *tree_new(struct arena *a, const struct tree_schema *schema, const char *path)
{
    struct tree *t = ARENA_NEW(a, struct tree);
    if (t) t->schema = schema, t->path = path;
    return t;
}

const struct tree_row *tree_row(const struct tree_schema *schema, const char *name)
{
    for (const struct tree_row *r = schema->rows; r->name; r++)
        if (!strcmp(r->name, name)) return r;
    return NULL;
}

static struct tree_field *find(const struct tree *t, const struct tree_row *row)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->fields[i].row == row) return &t->fields[i];
    return NULL;
}

struct tree_field *tree_field_add(struct arena *a, struct tree *t, const struct tree_row *row)
{
    struct tree_field *f = find(t, row);
    if (f) return f;
    return ARRAY_PUSH(a, t->fields, t->n, t->cap, ((struct tree_field){ .row = row })) ? &t->fields[t->n - 1] : NULL;
}

int tree_add_int(struct arena *a, struct tree_field *f, int64_t v, struct err *e)
{
    return ARRAY_PUSH(a, f->ints, f->n, f->cap, v) ? 0 : fail_nomem(e);
}

int tree_add_float(struct arena *a, struct tree_field *f, double v, struct err *e)
{
    bool added = f->row->kind == TREE_FLOAT ? ARRAY_PUSH(a, f->floats, f->n, f->cap, (float)v)
                                            : ARRAY_PUSH(a, f->doubles, f->n, f->cap, v);
    return added ? 0 : fail_nomem(e);
}

int tree_add_text(struct arena *a, struct tree_field *f, const char *text, struct err *e)
{
    return text && ARRAY_PUSH(a, f->texts, f->n, f->cap, text) ? 0 : fail_nomem(e);
}

struct tree *tree_add_message(struct arena *a, struct tree_field *f, const char *path, struct err *e)
{
    struct tree *t = tree_new(a, f->row->type, path);
    if (t && ARRAY_PUSH(a, f->messages, f->n, f->cap, t)) return t;
    fail_nomem(e);
    return NULL;
}

/* Calls `seen` with each word and its number until it says true. */
static bool each_word(
    const struct tree_row *row, bool (*seen)(void *ctx, const char *word, size_t len, int64_t number), void *ctx)
{
    int64_t number = 0;
    for (const char *w = row->words; w && *w; number++) {
        size_t len = strcspn(w, " "), name = strcspn(w, "= ");
        if (name < len) number = strtoll(w + name + 1, NULL, 10);
        if (seen(ctx, w, name, number)) return true;
        w += len + (w[len] == ' ');
    }
    return false;
}

struct word {
    const char *text;
    size_t len;
    int64_t number;
};

static bool same_text(void *ctx, const char *word, size_t len, int64_t number)
{
    struct word *w = ctx;
    w->number = number;
    return len == w->len && !memcmp(word, w->text, len);
}

static bool same_number(void *ctx, const char *word, size_t len, int64_t number)
{
    struct word *w = ctx;
    w->text = word, w->len = len;
    return number == w->number;
}

bool tree_word_number(const struct tree_row *row, const char *word, int64_t *out)
{
    struct word w = { word, strlen(word), 0 };
    if (!each_word(row, same_text, &w)) return false;
    *out = w.number;
    return true;
}

const char *tree_word(const struct tree *t, const char *name, struct arena *a)
{
    const struct tree_field *f = tree_field(t, name);
    struct word w = { .number = f ? f->ints[f->n - 1] : 0 };
    return f && each_word(f->row, same_number, &w) ? arena_strndup(a, w.text, w.len) : NULL;
}

/* --- the wire format --- */

struct reading {
    struct arena *arena;
    struct proto *p;
    struct err *err;
    int depth;
};

static int read_message(struct reading *r, struct tree *t);

static int read_numbers(struct reading *r, struct tree_field *f, const struct proto_field *in)
{
    static const enum proto_number kinds[] = { [TREE_INT] = PROTO_INT64,
        [TREE_BOOL] = PROTO_INT64,
        [TREE_ENUM] = PROTO_INT64,
        [TREE_FLOAT] = PROTO_FLOAT,
        [TREE_DOUBLE] = PROTO_DOUBLE };
    enum proto_number kind = kinds[f->row->kind];
    size_t size = kind == PROTO_FLOAT ? 4 : 8;
    if (kind != PROTO_INT64 && in->wire == PROTO_SPAN && in->span.len >= PACKED_MIN && !f->n &&
        in->span.len % size == 0) {
        f->packed = in->span, f->n = in->span.len / size;
        return 0;
    }
    struct proto_list list = { .items = f->items, .n = f->n, .cap = f->cap };
    if (f->packed.len) {
        struct proto_field first = { .number = in->number, .wire = PROTO_SPAN, .span = f->packed, .at = in->at };
        list = (struct proto_list){ 0 };
        TRY(proto_append(r->p, &first, r->arena, kind, &list, r->err));
        f->packed = (struct bytes){ 0 };
    }
    TRY(proto_append(r->p, in, r->arena, kind, &list, r->err));
    f->items = list.items, f->n = list.n, f->cap = list.cap;
    return 0;
}

static int read_inner(struct reading *r, struct tree_field *f, const struct proto_field *in)
{
    struct proto inner;
    TRY(proto_expect(r->p, in, PROTO_SPAN, r->err));
    struct tree *t = tree_add_message(r->arena, f, r->p->path, r->err);
    if (!t) return r->err->code;
    t->at = in->at;
    proto_enter(&inner, r->p, in);
    struct reading deeper = { r->arena, &inner, r->err, r->depth + 1 };
    return read_message(&deeper, t);
}

static int read_field(struct reading *r, struct tree *t, const struct tree_row *row, const struct proto_field *in)
{
    const char *text;
    struct tree_field *f = tree_field_add(r->arena, t, row);
    TRY_MEM(f, r->err);
    if (row->kind == TREE_MESSAGE) return read_inner(r, f, in);
    if (row->kind != TREE_TEXT) return read_numbers(r, f, in);
    TRY(proto_text(r->p, in, r->arena, &text, r->err));
    return tree_add_text(r->arena, f, text, r->err);
}

static const struct tree_row *row_of(const struct tree_schema *schema, unsigned number)
{
    for (const struct tree_row *r = schema->rows; r->name; r++)
        if (r->number == number) return r;
    return NULL;
}

static int read_message(struct reading *r, struct tree *t)
{
    struct proto_field in;
    int more;
    if (r->depth > TREE_DEPTH_MAX)
        return fail(r->err, ERR_MODEL, "%s: messages nest deeper than %d", r->p->path, TREE_DEPTH_MAX);
    while ((more = proto_next(r->p, &in, r->err)) > 0) {
        const struct tree_row *row = row_of(t->schema, in.number);
        if (row && row->kind != TREE_SKIP) TRY(read_field(r, t, row, &in));
    }
    return more;
}

struct tree *proto_tree_read(
    struct arena *a, const char *path, struct bytes bytes, const struct tree_schema *schema, struct err *e)
{
    struct proto p;
    proto_init(&p, path, bytes);
    struct tree *t = tree_new(a, schema, path);
    if (!t) return fail_nomem(e), NULL;
    struct reading r = { a, &p, e, 0 };
    return read_message(&r, t) ? NULL : t;
}

/* --- looking things up --- */

const char *tree_where(const struct tree *t, struct arena *a)
{
    const char *text = t->line ? arena_printf(a, "%s:%u:%u", file_base(t->path), t->line, t->column)
        : t->path              ? arena_printf(a, "%s, offset %zu", file_base(t->path), t->at)
                               : "";
    return text ? text : "";
}

const struct tree_field *tree_field(const struct tree *t, const char *name)
{
    if (!t->schema) return NULL; /* a message that was not given */
    const struct tree_row *row = tree_row(t->schema, name);
    assert(row);
    const struct tree_field *f = find(t, row);
    return f && f->n ? f : NULL;
}

size_t tree_count(const struct tree *t, const char *name)
{
    const struct tree_field *f = tree_field(t, name);
    return f ? f->n : 0;
}

bool tree_has(const struct tree *t, const char *name)
{
    return tree_field(t, name) != NULL;
}

static double float_at(const struct tree_field *f, size_t i)
{
    if (f->packed.len) {
        size_t size = f->row->kind == TREE_FLOAT ? 4 : 8;
        struct proto_field number = { .bits = get_le(f->packed.data + i * size, size) };
        return size == 4 ? (double)proto_float(&number) : proto_double(&number);
    }
    return f->row->kind == TREE_FLOAT ? (double)f->floats[i] : f->doubles[i];
}

int64_t tree_int(const struct tree *t, const char *name, int64_t otherwise)
{
    const struct tree_field *f = tree_field(t, name);
    return f ? f->ints[f->n - 1] : otherwise;
}

double tree_float(const struct tree *t, const char *name, double otherwise)
{
    const struct tree_field *f = tree_field(t, name);
    return f ? float_at(f, f->n - 1) : otherwise;
}

const char *tree_text(const struct tree *t, const char *name, const char *otherwise)
{
    const struct tree_field *f = tree_field(t, name);
    return f ? f->texts[f->n - 1] : otherwise;
}

const struct tree *tree_message(const struct tree *t, const char *name)
{
    static const struct tree none;
    const struct tree_field *f = tree_field(t, name);
    return f ? f->messages[f->n - 1] : &none;
}

int64_t tree_int_at(const struct tree *t, const char *name, size_t i)
{
    return tree_field(t, name)->ints[i];
}

double tree_float_at(const struct tree *t, const char *name, size_t i)
{
    return float_at(tree_field(t, name), i);
}

const char *tree_text_at(const struct tree *t, const char *name, size_t i)
{
    return tree_field(t, name)->texts[i];
}

const struct tree *tree_message_at(const struct tree *t, const char *name, size_t i)
{
    return tree_field(t, name)->messages[i];
}
