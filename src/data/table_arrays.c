/* table_arrays.c - tables that are arrays, a row for each first index: IDX (MNIST's digits), .npy, .npz. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "data/arrays.h"
#include "data/table_kinds.h"
#include "enc/bytes.h"
#include "enc/gzip.h"
#include "enc/npy.h"

/* One array per column of the table; their first dimensions are equal. */
struct arrays {
    const struct tensor **of; /* (columns) */
    bool *labels;             /* whole numbers that become text */
    struct npy *texts;        /* where they are texts; `of` is NULL there */
};

/* Adds a column; the first one says how many rows there are. */
static int add_array(struct table *t, const char *name, enum role role, const struct tensor *array, struct err *e)
{
    struct arrays *s = t->state;
    if (array->shape.rank < 1) return fail(e, ERR_DATA, "%s: a single number is no table", t->path);
    if (t->n_columns && t->count != array->shape.dim[0])
        return fail(e, ERR_DATA, "%s: \"%s\" has %lld rows, \"%s\" before it %lld", t->path, name,
            (long long)array->shape.dim[0], t->columns[0].name, (long long)t->count);
    t->count = array->shape.dim[0];
    s->of[t->n_columns] = array;
    s->labels[t->n_columns] = array->shape.rank == 1 && !dtype_is_float(array->dtype);
    return table_add_column(t, name, role, e);
}

static int arrays_new(struct table *t, size_t n, struct err *e)
{
    struct arrays *s = t->state = ARENA_NEW(t->arena, struct arrays);
    TRY_MEM(s, e);
    s->of = ARENA_ARRAY(t->arena, n, const struct tensor *);
    s->labels = ARENA_ARRAY(t->arena, n, bool);
    s->texts = ARENA_ARRAY(t->arena, n, struct npy);
    return s->of && s->labels && s->texts ? 0 : fail_nomem(e);
}

static int read_array(
    struct table *t, struct cursor *c, struct arena *a, struct cell *cells, int idle_ms, struct err *e)
{
    const struct arrays *s = t->state;
    if (t->count < 0 || c->at >= (uint64_t)t->count) return 0;
    int64_t at = (int64_t)c->at++;
    for (size_t i = 0; i < t->n_columns; i++) {
        const struct tensor *whole = s->of[i];
        if (!whole) {
            TRY_MEM(cells[i].text = npy_text(&s->texts[i], a, (size_t)at), e);
            continue;
        }
        struct tensor *row = ARENA_NEW(a, struct tensor);
        TRY_MEM(row, e);
        *row = (struct tensor){ .dtype = whole->dtype };
        row->shape = shape_of(whole->shape.rank - 1, whole->shape.dim + 1);
        row->data = (char *)whole->data + at * tensor_bytes(row);
        cells[i].array = row;
        if (!s->labels[i]) continue;
        TRY_MEM(cells[i].text = arena_printf(a, "%lld", (long long)tensor_get_i64(row, 0)), e);
    }
    return 1;
}

static bool is_target(const char *name)
{
    static const char *const targets[] = { "y", "label", "labels", "target", "targets", NULL };
    bool target = str_starts(name, "y_") || str_ends(name, "_labels");
    for (int i = 0; targets[i]; i++) target = target || !strcmp(name, targets[i]);
    return target;
}

/* What an array holds, by its type and name. */
static enum role role_of(const struct tensor *array, const char *name, bool only)
{
    const struct shape *s = &array->shape;
    if (is_target(name)) return s->rank == 1 && !dtype_is_float(array->dtype) ? ROLE_LABEL : ROLE_NUMBERS;
    bool image = array->dtype == DT_U8 && (s->rank == 3 || s->rank == 4);
    return image ? ROLE_IMAGE : only || s->rank > 1 ? ROLE_SEQUENCE : ROLE_OTHER;
}

static bool is_npy(const char *path, struct bytes head)
{
    return head.len >= 6 && !memcmp(head.data, "\x93NUMPY", 6);
}

static int open_npy(struct table *t, struct err *e)
{
    struct bytes file;
    struct npy array;
    struct tensor *x;
    TRY(arrays_new(t, 1, e));
    TRY(table_map(t, t->path, &file, e));
    TRY(npy_read(&array, t->arena, t->path, file, e));
    TRY(tensor_view_npy(&x, t->arena, &array, t->path, e));
    return add_array(t, "", role_of(x, "", true), x, e);
}

const struct table_kind table_npy = { "npy", is_npy, open_npy, read_array };

static bool is_npz(const char *path, struct bytes head)
{
    return str_ends(path, ".npz") && zip_is(head);
}

static bool is_text(const struct npy *array)
{
    return array->kind == 'S' || array->kind == 'U';
}

/* Whether an array is a column of the table. Arrays of other lengths than those that `columns` speaks of stay outside:
 * many archives hold what to learn from and what to judge by. */
static int is_column(struct table *t, const char *name, const struct npy *array, int64_t said, struct err *e)
{
    int64_t rows = array->rank ? array->shape[0] : -1, wanted = said >= 0 ? said : t->n_columns ? t->count : rows;
    if (rows == wanted && rows >= 0) return 1;
    if (said >= 0 && !table_says(t, name)) return 0;
    if (rows < 0 && said < 0) return 0; /* a single number beside the arrays */
    return fail(e, ERR_DATA,
        "%s: \"%s\" has %lld rows, others have %lld: say which belong together, as in --columns "
        "image=x_test,label=y_test",
        t->path, name, (long long)rows, (long long)wanted);
}

static int add_npy(struct table *t, const char *name, const struct npy *array, bool only, struct err *e)
{
    struct arrays *s = t->state;
    struct tensor *x;
    if (is_text(array) && array->rank == 1) {
        t->count = array->shape[0];
        s->texts[t->n_columns] = *array;
        return table_add_column(t, name, is_target(name) ? ROLE_LABEL : ROLE_OTHER, e);
    }
    TRY(tensor_view_npy(&x, t->arena, array, name, e));
    return add_array(t, name, role_of(x, name, only), x, e);
}

/* The name of entry i's array; NULL: it is none. */
static const char *array_name(const struct table *t, const struct zip *z, size_t i, struct err *e)
{
    const char *entry = z->entries[i].name;
    if (!str_ends(entry, ".npy")) return NULL;
    const char *name = arena_strndup(t->arena, entry, strlen(entry) - 4);
    if (!name) fail_nomem(e);
    return name;
}

static int open_npz(struct table *t, struct err *e)
{
    enum { LIMIT_BITS = 34 };
    int64_t said = -1; /* rows of the first array that is spoken of */
    struct bytes file;
    struct zip z;
    TRY(table_map(t, t->path, &file, e));
    if (zip_open(&z, t->arena, t->path, file, e)) {
        e->code = ERR_DATA;
        return ERR_DATA;
    }
    if (z.n > TABLE_COLUMNS_MAX) return fail(e, ERR_DATA, "%s: too many arrays", t->path);
    TRY(arrays_new(t, z.n + 1, e));
    struct npy *arrays = ARENA_ARRAY(t->arena, z.n, struct npy);
    const char **names = ARENA_ARRAY(t->arena, z.n, const char *);
    if (!arrays || !names) return fail_nomem(e);
    for (size_t i = 0; i < z.n; i++) {
        if (!(names[i] = array_name(t, &z, i, e))) continue;
        TRY(npz_read(&arrays[i], t->arena, &z, names[i], (uint64_t)1 << LIMIT_BITS, e));
        if (said < 0 && arrays[i].rank && table_says(t, names[i])) said = arrays[i].shape[0];
    }
    if (e->code) return e->code;
    for (size_t i = 0; i < z.n; i++) {
        int belongs = names[i] ? is_column(t, names[i], &arrays[i], said, e) : 0;
        TRY(belongs);
        if (belongs) TRY(add_npy(t, names[i], &arrays[i], z.n == 1, e));
    }
    return t->n_columns ? 0 : fail(e, ERR_DATA, "%s: no array in it", t->path);
}

const struct table_kind table_npz = { "npz", is_npz, open_npz, read_array };

/* IDX: two zero bytes, the type, the rank, the dimensions and the data, all most significant byte first. */
static const struct {
    unsigned char code;
    enum dtype dtype;
} idx_types[] = {
    { 0x08, DT_U8 },
    { 0x09, DT_I8 },
    { 0x0b, DT_I16 },
    { 0x0c, DT_I32 },
    { 0x0d, DT_F32 },
    { 0x0e, DT_F64 },
};

static enum dtype idx_type(unsigned char code)
{
    for (size_t i = 0; i < sizeof idx_types / sizeof *idx_types; i++)
        if (idx_types[i].code == code) return idx_types[i].dtype;
    return DT_NONE;
}

static bool is_idx_file(struct bytes b)
{
    return b.len >= 8 && !b.data[0] && !b.data[1] && idx_type(b.data[2]) != DT_NONE && b.data[3] >= 1 &&
        b.data[3] <= SHAPE_MAX && b.len >= 4 + 4 * (size_t)b.data[3];
}

static bool is_idx(const char *path, struct bytes head)
{
    bool packed = gzip_is(head) && (strstr(file_base(path), "idx") || strstr(file_base(path), "ubyte"));
    return is_idx_file(head) || packed;
}

static int read_idx(struct table *t, const char *path, const struct tensor **out, struct err *e)
{
    struct bytes b;
    TRY(table_map(t, path, &b, e));
    if (gzip_is(b)) TRY(gzip_read(&b, t->arena, path, b, e));
    if (!is_idx_file(b)) return fail(e, ERR_DATA, "%s: not an IDX file", path);
    struct shape s = { .rank = b.data[3] };
    for (int d = 0; d < s.rank; d++) s.dim[d] = (int64_t)get_be(b.data + 4 + 4 * d, 4);
    struct tensor *x = ARENA_NEW(t->arena, struct tensor);
    TRY_MEM(x, e);
    *x = (struct tensor){ .dtype = idx_type(b.data[2]), .shape = s };
    size_t head = 4 + 4 * (size_t)s.rank, size = dtype_size(x->dtype);
    int64_t bytes = tensor_bytes(x);
    if (bytes < 0 || (uint64_t)bytes != b.len - head)
        return fail(e, ERR_DATA, "%s: its header asks for %lld bytes of data, the file has %zu", path, (long long)bytes,
            b.len - head);
    x->data = (void *)(uintptr_t)(b.data + head);
    *out = x;
    if (size == 1) return 0;
    unsigned char *to = arena_alloc(t->arena, (size_t)bytes);
    TRY_MEM(x->data = to, e);
    for (size_t i = 0; i < (size_t)bytes; i++) to[i] = b.data[head + (i / size * size + (size - 1 - i % size))];
    return 0;
}

/* "train-images-idx3-ubyte.gz" has its labels in "train-labels-idx1-ubyte.gz". NULL: no such name. */
static const char *labels_beside(struct arena *a, const char *path)
{
    const char *base = file_base(path), *images = strstr(base, "images"), *rank = strstr(base, "idx3");
    if (!images || !rank || rank < images) return NULL;
    const char *beside = arena_printf(
        a, "%.*slabels%.*sidx1%s", (int)(images - path), path, (int)(rank - images) - 6, images + 6, rank + 4);
    return beside && file_exists(beside) ? beside : NULL;
}

static int open_idx(struct table *t, struct err *e)
{
    const struct tensor *images, *labels;
    const char *path = t->options.labels ? t->options.labels : labels_beside(t->arena, t->path);
    TRY(arrays_new(t, 2, e));
    TRY(read_idx(t, t->path, &images, e));
    bool is_image = images->dtype == DT_U8 && images->shape.rank >= 3;
    bool is_label = images->dtype == DT_U8 && images->shape.rank == 1;
    TRY(add_array(t, is_label ? "label" : "image",
        is_image       ? ROLE_IMAGE
            : is_label ? ROLE_LABEL
                       : ROLE_SEQUENCE,
        images, e));
    if (!path) return 0;
    TRY(read_idx(t, path, &labels, e));
    return add_array(t, "label", labels->shape.rank == 1 ? ROLE_LABEL : ROLE_NUMBERS, labels, e);
}

const struct table_kind table_idx = { "idx", is_idx, open_idx, read_array };
