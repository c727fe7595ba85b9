/* inspect.c - a look at tables before anybody trains on them. */
#include "data/inspect.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/map.h"
#include "data/image_ops.h"
#include "enc/json.h"

enum { LISTED = 20, MASK_LABELS = 65536 };

/* Where some contents were met first. */
struct content {
    size_t table;
    const char *id, *class;
};

struct inspection {
    struct arena *arena;
    struct map contents; /* SHA-256 -> struct content */
    json_t *tables, *findings;
    size_t n_tables;
    int64_t duplicates, leaks, listed;
};

/* What is counted of one table. */
struct tally {
    struct inspection *all;
    struct arena *arena;
    struct map classes, sizes, formats, reasons; /* text -> int64_t */
    int64_t rows, unreadable, rotated, duplicates, leaks, without_class, mask_sizes, listed;
    int64_t *labels; /* (MASK_LABELS) pixels of each mask label; NULL: no masks */
    int min_width, min_height, max_width, max_height;
};

struct inspection *inspection_new(struct arena *a, struct err *e)
{
    struct inspection *i = ARENA_NEW(a, struct inspection);
    if (!i) return fail_nomem(e), NULL;
    *i = (struct inspection){ .arena = a, .contents = map_in(a), .tables = json_array(), .findings = json_array() };
    if (json_own(a, i->tables, e) || json_own(a, i->findings, e)) return NULL;
    return i;
}

static int count(struct map *m, const char *key, int64_t by, struct err *e)
{
    int64_t *n = map_get(m, key);
    if (!n) {
        TRY_MEM(n = ARENA_NEW(m->arena, int64_t), e);
        if (!map_set(m, key, n)) return fail_nomem(e);
    }
    *n += by;
    return 0;
}

/* A finding by name; after LISTED of a table they are only counted. */
static void tell(struct tally *t, const char *kind, const char *where, const char *what)
{
    if (t->listed++ >= LISTED) return;
    json_array_append_new(t->all->findings,
        json_pack("{s:s,s:s%,s:s%}", "kind", kind, "where", where, strlen(where), "what", what, strlen(what)));
}

static int see_content(struct tally *t, const struct row *row, const char *class, struct bytes file, struct err *e)
{
    char hex[65], what[700];
    struct inspection *all = t->all;
    hash_sha256(file.data, file.len, hex);
    struct content *first = map_get(&all->contents, hex);
    if (!first) {
        struct content here = { all->n_tables, arena_strdup(all->arena, row->id),
            class ? arena_strdup(all->arena, class) : NULL };
        struct content *keep = ARENA_NEW(all->arena, struct content);
        if (!here.id || !keep) return fail_nomem(e);
        *keep = here;
        return map_set(&all->contents, hex, keep) ? 0 : fail_nomem(e);
    }
    bool leak = first->table != all->n_tables, torn = class && first->class && strcmp(class, first->class);
    t->duplicates += !leak, t->leaks += leak;
    snprintf(what, sizeof what, "the same bytes as %.400s%s%s%s", first->id, leak ? " of another split" : "",
        torn ? ", but of another class: " : "", torn ? first->class : "");
    tell(t, leak ? "leak" : "duplicate", row->id, what);
    return 0;
}

static int see_image(struct tally *t, const struct image *img, struct bytes file, const struct row *row, struct err *e)
{
    char size[40];
    snprintf(size, sizeof size, "%dx%dx%d%s", img->width, img->height, img->channels, img->bits == 16 ? " 16 bit" : "");
    TRY(count(&t->sizes, size, 1, e));
    TRY(count(&t->formats, file.data ? image_format_name(image_recognize(file)) : "array", 1, e));
    if (!t->max_width || img->width < t->min_width) t->min_width = img->width;
    if (!t->max_height || img->height < t->min_height) t->min_height = img->height;
    if (img->width > t->max_width) t->max_width = img->width;
    if (img->height > t->max_height) t->max_height = img->height;
    if (img->orientation < 2) return 0;
    t->rotated++;
    tell(t, "rotated", row->id, "its EXIF orientation turns it: decoders that ignore it see it on its side");
    return 0;
}

static int see_mask(struct tally *t, const struct table *table, const struct row *row, int column,
    const struct image *of, struct arena *a, struct err *e)
{
    struct image mask;
    TRY(row_mask(table, row, column, a, &mask, e));
    if (!t->labels) TRY_MEM(t->labels = ARENA_ARRAY(t->arena, MASK_LABELS, int64_t), e);
    size_t n = (size_t)mask.width * (size_t)mask.height;
    const uint16_t *wide = (const uint16_t *)(const void *)mask.pixels;
    for (size_t i = 0; i < n; i++) t->labels[mask.bits == 16 ? wide[i] : mask.pixels[i]]++;
    if (!of->pixels || (of->width == mask.width && of->height == mask.height)) return 0;
    t->mask_sizes++;
    tell(t, "mask size", row->id, "the mask has another size than the image");
    return 0;
}

static int see_row(struct tally *t, const struct table *table, const struct row *row, struct arena *a, struct err *e)
{
    int image = table_column(table, ROLE_IMAGE, 0), mask = table_column(table, ROLE_MASK, 0);
    int label = table_column(table, ROLE_LABEL, 0);
    const char *class = label >= 0 ? row->cells[label].text : NULL;
    struct image img = { 0 };
    struct bytes file = { 0 };
    if (label >= 0 && (!class || !class[0])) t->without_class++;
    else if (class) TRY(count(&t->classes, class, 1, e));
    if (image >= 0 && row->cells[image].array) {
        const struct tensor *x = row->cells[image].array;
        TRY(see_content(t, row, class, (struct bytes){ x->data, (size_t)tensor_bytes(x) }, e));
    } else if (image >= 0) {
        TRY(row_bytes(table, row, image, a, &file, e));
    }
    if (image >= 0 && (!row->cells[image].array || row->cells[image].array->dtype == DT_U8)) {
        TRY(row_image(table, row, image, a, NULL, &img, e));
        TRY(see_image(t, &img, file, row, e));
    }
    if (file.data) TRY(see_content(t, row, class, file, e));
    return mask >= 0 ? see_mask(t, table, row, mask, &img, a, e) : 0;
}

static json_t *map_json(const struct map *m)
{
    json_t *o = json_object();
    for (size_t i = 0; i < m->n; i++) {
        const int64_t *n = m->entries[i].value;
        json_object_set_new(o, m->entries[i].key, json_integer((json_int_t)*n));
    }
    return o;
}

static json_t *tally_json(const struct tally *t, const struct table *table)
{
    json_t *o = json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I}", "path", table_path(table), "kind", table_kind(table), "rows",
        (json_int_t)t->rows, "unreadable", (json_int_t)t->unreadable, "duplicates", (json_int_t)t->duplicates, "leaks",
        (json_int_t)t->leaks, "rotated", (json_int_t)t->rotated);
    json_object_set_new(o, "formats", map_json(&t->formats));
    json_object_set_new(o, "classes", map_json(&t->classes));
    json_object_set_new(o, "without_class", json_integer((json_int_t)t->without_class));
    if (t->sizes.n <= 50) json_object_set_new(o, "sizes", map_json(&t->sizes));
    json_object_set_new(o, "different_sizes", json_integer((json_int_t)t->sizes.n));
    json_object_set_new(o, "smallest", json_pack("[i,i]", t->min_width, t->min_height));
    json_object_set_new(o, "largest", json_pack("[i,i]", t->max_width, t->max_height));
    if (!t->labels) return o;
    json_t *labels = json_object();
    for (int i = 0; i < MASK_LABELS; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        if (t->labels[i]) json_object_set_new(labels, name, json_integer((json_int_t)t->labels[i]));
    }
    json_object_set_new(o, "mask_labels", labels);
    json_object_set_new(o, "mask_sizes_differ", json_integer((json_int_t)t->mask_sizes));
    return o;
}

static int see_table(struct tally *t, struct table *table, struct err *e)
{
    for (int got = 1; got;) {
        struct arena scratch;
        struct row row;
        struct err bad = { 0 };
        arena_init(&scratch, t->arena->mem);
        got = table_next(table, &scratch, -1, &row, &bad);
        if (got > 0) see_row(t, table, &row, &scratch, &bad);
        t->rows += got != 0;
        int code = bad.code;
        if (code == ERR_DATA || code == ERR_UNSUPPORTED) {
            t->unreadable++;
            tell(t, "unreadable", row.id, bad.text);
            code = 0;
        }
        arena_release(&scratch);
        if (code) return fail(e, code, "%s", bad.text);
    }
    return 0;
}

int inspection_add(struct inspection *i, struct table *table, struct err *e)
{
    struct arena *a = i->arena;
    struct tally t = { .all = i, .arena = a, .classes = map_in(a), .sizes = map_in(a), .formats = map_in(a) };
    TRY(see_table(&t, table, e));
    json_array_append_new(i->tables, tally_json(&t, table));
    i->duplicates += t.duplicates, i->leaks += t.leaks;
    i->n_tables++;
    return 0;
}

int inspection_report(const struct inspection *i, json_t **out, struct err *e)
{
    *out = json_pack("{s:O,s:I,s:O}", "tables", i->tables, "leaks", (json_int_t)i->leaks, "findings", i->findings);
    return json_own(i->arena, *out, e);
}

static int add_pixels(struct channel_stats *s, const struct image *img, bool gray, struct arena *a, struct err *e)
{
    struct image c;
    TRY(image_convert(&c, a, img, gray ? IMAGE_GRAY : IMAGE_RGB, e));
    size_t n = (size_t)c.width * (size_t)c.height;
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < c.channels; k++) {
            uint64_t v = c.pixels[i * (size_t)c.channels + (size_t)k];
            s->sum[k] += v, s->squares[k] += v * v;
        }
    s->pixels += n;
    s->images++;
    s->channels = c.channels;
    return 0;
}

int channel_stats(struct channel_stats *s, struct table *t, enum role role, bool gray, struct err *e)
{
    int column = table_column(t, role, 0);
    *s = (struct channel_stats){ 0 };
    if (column < 0)
        return fail(e, ERR_USAGE, "%s: no column of images: say which, as in --columns image=NAME", table_path(t));
    for (int got = 1; got;) {
        struct arena scratch;
        struct row row;
        struct image img;
        struct err bad = { 0 };
        arena_init(&scratch, NULL);
        got = table_next(t, &scratch, -1, &row, &bad);
        int code = got > 0 ? row_image(t, &row, column, &scratch, NULL, &img, &bad) : got;
        if (got > 0 && !code) code = add_pixels(s, &img, gray, &scratch, &bad);
        arena_release(&scratch);
        s->unreadable += code == ERR_DATA;
        if (code < 0 && code != ERR_DATA) return fail(e, code, "%s", bad.text);
    }
    if (!s->pixels) return fail(e, ERR_DATA, "%s: no image in it can be read", table_path(t));
    for (int k = 0; k < s->channels; k++) {
        double n = (double)s->pixels, mean = (double)s->sum[k] / n, square = (double)s->squares[k] / n;
        s->mean[k] = mean / 255;
        s->std[k] = sqrt(square - mean * mean) / 255;
    }
    return 0;
}
