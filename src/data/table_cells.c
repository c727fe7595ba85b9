/* table_cells.c - what the cells of a row hold: bytes, pixels, masks, classes, numbers, arrays, boxes. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/str.h"
#include "data/arrays.h"
#include "data/boxes_voc.h"
#include "data/table_kinds.h"
#include "enc/json.h"

static const struct cell *cell_at(const struct row *row, int column)
{
    static const struct cell none = { 0 };
    return column < 0 ? &none : &row->cells[column];
}

static int nothing(const struct table *t, const struct row *row, int column, struct err *e)
{
    return fail(e, ERR_DATA, "%s: column \"%s\" is empty", row->where, column < 0 ? "?" : t->columns[column].name);
}

int row_bytes(
    const struct table *t, const struct row *row, int column, struct arena *a, struct bytes *out, struct err *e)
{
    const struct cell *c = cell_at(row, column);
    if (c->bytes.data) return *out = c->bytes, 0;
    if (!c->path) return nothing(t, row, column, e);
    if (file_load(a, c->path, out, e)) {
        if (e->code == ERR_IO) e->code = ERR_DATA; /* it is this row that fails */
        return e->code;
    }
    return 0;
}

/* What errors about a cell begin with: the file, or the place in the table. */
static const char *called(const struct row *row, const struct cell *c)
{
    return c->path ? c->path : row->where;
}

/* (H, W), (H, W, C) or (C, H, W) of uint8. The pixels are shared where they lie in order. */
static int array_image(const struct row *row, const struct tensor *t, struct arena *a, struct image *out, struct err *e)
{
    int64_t d[3] = { 1, 1, 1 };
    if (t->dtype != DT_U8 || t->shape.rank < 2 || t->shape.rank > 3)
        return fail(e, ERR_DATA, "%s: an array of %s with rank %d is no image: uint8 (H, W), (H, W, C) or (C, H, W) is",
            row->where, dtype_name(t->dtype), t->shape.rank);
    for (int i = 0; i < t->shape.rank; i++) d[i] = t->shape.dim[i];
    bool planar = t->shape.rank == 3 && d[0] <= 4 && d[2] > 4;
    int64_t channels = planar ? d[0] : d[2], height = planar ? d[1] : d[0], width = planar ? d[2] : d[1];
    if (channels < 1 || channels > 4)
        return fail(e, ERR_DATA, "%s: an array of %lld channels is no image", row->where, (long long)channels);
    if (image_new(out, a, width, height, (int)channels, 8, 0, e)) return err_prefix(e, "%s", row->where);
    const uint8_t *from = t->data;
    size_t n = (size_t)(width * height);
    if (!planar) memcpy(out->pixels, from, n * (size_t)channels);
    for (int64_t c = 0; planar && c < channels; c++)
        for (size_t i = 0; i < n; i++) out->pixels[i * (size_t)channels + (size_t)c] = from[(size_t)c * n + i];
    return 0;
}

int row_image(const struct table *t, const struct row *row, int column, struct arena *a,
    const struct image_options *options, struct image *out, struct err *e)
{
    const struct cell *c = cell_at(row, column);
    struct bytes file;
    if (c->array) return array_image(row, c->array, a, out, e);
    TRY(row_bytes(t, row, column, a, &file, e));
    return image_decode(out, a, file, options, e) ? err_prefix(e, "%s", called(row, c)) : 0;
}

int row_mask(
    const struct table *t, const struct row *row, int column, struct arena *a, struct image *out, struct err *e)
{
    TRY(row_image(t, row, column, a, &(struct image_options){ .keep_index = true }, out, e));
    if (out->channels == 1) return 0;
    return fail(e, ERR_DATA, "%s: a mask must be gray or have a palette, this one has %d channels",
        called(row, cell_at(row, column)), out->channels);
}

static bool same(const char *a, const char *b)
{
    return !strcmp(a, b);
}

static int class_named(const struct table *t, const char *where, const char *name, int64_t *out, struct err *e)
{
    const struct classes *k = &t->classes;
    for (size_t i = 0; i < k->n; i++)
        if (same(k->names[i], name)) return *out = (int64_t)i, 0;
    char *end;
    unsigned long n = strtoul(name, &end, 10);
    if (isdigit((unsigned char)name[0]) && !*end && (n < k->n || !k->n)) return *out = (int64_t)n, 0;
    const char *near = str_closest(name, k->names, k->n);
    if (near)
        return fail(
            e, ERR_DATA, "%s: \"%s\" is none of the %zu classes; did you mean \"%s\"?", where, name, k->n, near);
    return fail(e, ERR_DATA, "%s: \"%s\" is none of the %zu classes", where, name, k->n);
}

int row_class(const struct table *t, const struct row *row, int column, int64_t *out, struct err *e)
{
    const struct cell *c = cell_at(row, column);
    *out = -1;
    return c->text && c->text[0] ? class_named(t, row->where, c->text, out, e) : 0;
}

struct numbers {
    double *of;
    size_t n, cap;
};

static int add_number(struct arena *a, struct numbers *list, double v, struct err *e)
{
    return ARRAY_PUSH(a, list->of, list->n, list->cap, v) ? 0 : fail_nomem(e);
}

/* Numbers separated by blanks, commas, semicolons or brackets. */
static int parse_numbers(const struct row *row, struct arena *a, const char *text, struct numbers *list, struct err *e)
{
    static const char between[] = " \t\r\n,;[]()";
    for (text += strspn(text, between); *text; text += strspn(text, between)) {
        char *end;
        double v = strtod(text, &end);
        if (end == text)
            return fail(e, ERR_DATA, "%s: \"%.*s\" is no number", row->where, (int)strcspn(text, between), text);
        TRY(add_number(a, list, v, e));
        text = end;
    }
    return 0;
}

static int cell_numbers(
    const struct row *row, const struct cell *c, struct arena *a, struct numbers *list, struct err *e)
{
    if (!c->array) return c->text ? parse_numbers(row, a, c->text, list, e) : 0;
    for (int64_t i = 0; i < tensor_count(c->array); i++) TRY(add_number(a, list, tensor_get_f64(c->array, i), e));
    return 0;
}

/* The numbers of every column of a list. */
static int gather_numbers(const struct table *t, const struct row *row, const int *columns, size_t n, struct arena *a,
    struct numbers *list, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        size_t before = list->n;
        TRY(cell_numbers(row, &row->cells[columns[i]], a, list, e));
        if (list->n == before) return nothing(t, row, columns[i], e);
    }
    return 0;
}

int row_numbers(const struct table *t, const struct row *row, struct arena *a, double **out, size_t *n, struct err *e)
{
    struct numbers list = { 0 };
    TRY(gather_numbers(t, row, t->numbers, t->n_numbers, a, &list, e));
    *out = list.of, *n = list.n;
    return 0;
}

int row_cell_numbers(const struct table *t, const struct row *row, int column, struct arena *a, double **out,
    size_t *n, struct err *e)
{
    struct numbers list = { 0 };
    TRY(cell_numbers(row, cell_at(row, column), a, &list, e));
    if (!list.n) return nothing(t, row, column, e);
    *out = list.of, *n = list.n;
    return 0;
}

static int tensor_of_numbers(const struct numbers *list, struct arena *a, struct tensor **out, struct err *e)
{
    struct shape s = shape_of(1, (int64_t[]){ (int64_t)list->n });
    if (!(*out = tensor_new(a, DT_F32, &s, e))) return e->code;
    store_f64(DT_F32, (*out)->data, (int64_t)list->n, list->of);
    return 0;
}

/* The columns of numbers that feed an input, as a part of t->numbers; how many there are. */
static size_t feeding(const struct table *t, int input, const int **columns)
{
    size_t n = 0;
    for (size_t i = t->n_numbers; input >= 0 && i < t->n_numbers + t->n_fed; i++) {
        if (t->columns[t->numbers[i]].input != input) continue;
        if (!n++) *columns = t->numbers + i;
    }
    return n;
}

int row_tensor(
    const struct table *t, const struct row *row, int column, struct arena *a, struct tensor **out, struct err *e)
{
    const struct cell *c = cell_at(row, column);
    struct numbers list = { 0 };
    struct bytes file;
    struct npy array;
    const int *columns = NULL;
    size_t n = feeding(t, t->columns[column].input, &columns);
    if (n > 1) {
        TRY(gather_numbers(t, row, columns, n, a, &list, e));
        return tensor_of_numbers(&list, a, out, e);
    }
    if (c->array) return *out = (struct tensor *)(uintptr_t)c->array, 0;
    if (!c->path && !c->bytes.data) {
        TRY(cell_numbers(row, c, a, &list, e));
        return list.n ? tensor_of_numbers(&list, a, out, e) : nothing(t, row, column, e);
    }
    TRY(row_bytes(t, row, column, a, &file, e));
    TRY(npy_read(&array, a, called(row, c), file, e));
    return tensor_from_npy(out, a, &array, called(row, c), e);
}

static int add_box(
    const char *where, struct arena *a, const double v[5], struct box **out, size_t *n, size_t *cap, struct err *e)
{
    struct box b = { (int64_t)v[0], v[1], v[2], v[3], v[4], false };
    if (!(v[0] >= 0 && v[0] < 1e9) || (double)b.class != v[0])
        return fail(e, ERR_DATA, "%s: box %zu: the class %g is no whole number", where, *n + 1, v[0]);
    for (int i = 1; i < 5; i++)
        if (!(v[i] >= 0 && v[i] <= 1))
            return fail(e, ERR_DATA, "%s: box %zu: %g is not between 0 and 1 (shares of the image's sides are wanted)",
                where, *n + 1, v[i]);
    return ARRAY_PUSH(a, *out, *n, *cap, b) ? 0 : fail_nomem(e);
}

static int box_of_json(const json_t *item, double v[5])
{
    static const char *const keys[] = { "class", "x", "y", "width", "height" };
    for (size_t i = 0; i < 5; i++) {
        const json_t *number = json_is_array(item) ? json_array_get(item, i) : json_object_get(item, keys[i]);
        if (!json_is_number(number)) return -1;
        v[i] = json_number_value(number);
    }
    return 0;
}

static int boxes_of_json(
    const char *where, struct arena *a, struct bytes text, struct box **out, size_t *n, struct err *e)
{
    json_t *list, *item;
    size_t i, cap = 0;
    double v[5];
    TRY(json_parse(a, where, text, &list, e));
    json_array_foreach(list, i, item)
    {
        if (box_of_json(item, v))
            return fail(e, ERR_DATA, "%s: box %zu: [class, x, y, width, height] is wanted", where, i + 1);
        TRY(add_box(where, a, v, out, n, &cap, e));
    }
    return 0;
}

/* Pascal VOC counts pixels from 1 and means the whole of the last one. */
static int boxes_of_voc(const struct table *t, const char *where, struct arena *a, struct bytes text, struct box **out,
    size_t *n, struct err *e)
{
    struct voc_file f;
    TRY(voc_read(&f, a, where, text, e));
    TRY_MEM(*out = ARENA_ARRAY(a, f.n, struct box), e);
    for (*n = 0; *n < f.n; ++*n) {
        const struct voc_object *o = &f.objects[*n];
        double x0 = (o->left - 1) / f.width, y0 = (o->top - 1) / f.height, x1 = o->right / f.width,
               y1 = o->bottom / f.height;
        struct box *b = &(*out)[*n];
        if (x0 < 0) x0 = 0; /* some tools count from 0 */
        if (y0 < 0) y0 = 0;
        *b = (struct box){ -1, (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0, o->difficult };
        if (!(x1 <= 1 && y1 <= 1 && b->width >= 0 && b->height >= 0))
            return fail(e, ERR_DATA, "%s: box %zu lies outside the image", where, *n + 1);
        if (t->classes.n) TRY(class_named(t, where, o->name, &b->class, e));
    }
    return 0;
}

int row_boxes(const struct table *t, const struct row *row, int column, struct arena *a, struct box **out, size_t *n,
    struct err *e)
{
    const struct cell *c = cell_at(row, column);
    struct bytes text = { (const unsigned char *)c->text, c->text ? strlen(c->text) : 0 };
    struct numbers list = { 0 };
    size_t cap = 0;
    *out = NULL, *n = 0;
    if (c->bytes.data || c->path) TRY(row_bytes(t, row, column, a, &text, e));
    while (text.len && isspace(text.data[0])) text.data++, text.len--;
    if (!text.len) return 0;
    if (text.len > 3 && !memcmp(text.data, "\xEF\xBB\xBF", 3)) text.data += 3, text.len -= 3;
    if (text.data[0] == '<') return boxes_of_voc(t, called(row, c), a, text, out, n, e);
    if (text.data[0] == '[') return boxes_of_json(called(row, c), a, text, out, n, e);
    const char *copy = arena_strndup(a, (const char *)text.data, text.len);
    TRY_MEM(copy, e);
    struct row here = { .where = called(row, c) };
    TRY(parse_numbers(&here, a, copy, &list, e));
    if (list.n % 5)
        return fail(e, ERR_DATA, "%s: %zu numbers are no boxes: 5 a line (class x y width height)", here.where, list.n);
    for (size_t i = 0; i < list.n; i += 5) TRY(add_box(here.where, a, list.of + i, out, n, &cap, e));
    return 0;
}
