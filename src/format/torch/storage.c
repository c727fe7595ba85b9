/* storage.c - tensors of an archive: views of mapped records where they are row-major, copies where they are not. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "format/torch/archive.h"
#include "graph/tensor.h"

struct storage {
    struct bytes bytes;
    bool mapped;
};

static enum dtype storage_dtype(const char *name)
{
    static const struct {
        const char *name;
        enum dtype dtype;
    } types[] = {
        { "FloatStorage", DT_F32 },
        { "DoubleStorage", DT_F64 },
        { "HalfStorage", DT_F16 },
        { "BFloat16Storage", DT_BF16 },
        { "LongStorage", DT_I64 },
        { "IntStorage", DT_I32 },
        { "ShortStorage", DT_I16 },
        { "CharStorage", DT_I8 },
        { "ByteStorage", DT_U8 },
        { "BoolStorage", DT_BOOL },
        { "ComplexFloatStorage", DT_C64 },
        { "ComplexDoubleStorage", DT_C128 },
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(types[i].name, name)) return types[i].dtype;
    return DT_NONE;
}

static struct storage *find_storage(struct archive *r, const char *folder, const char *key)
{
    const char *name = arena_printf(r->arena, "%s/%s", folder, key);
    struct storage *s = name ? map_get(&r->storages, name) : NULL;
    if (s) return s;
    const struct zip_entry *entry = name ? archive_find(r, name) : NULL;
    if (!entry) return fail(r->err, ERR_MODEL, "no record \"%s/%s\"", folder, key), NULL;
    if (!(s = ARENA_NEW(r->arena, struct storage))) return fail_nomem(r->err), NULL;
    if (archive_read(r, entry, &s->bytes)) return NULL;
    s->mapped = entry->method == ZIP_STORED;
    if (!map_set(&r->storages, name, s)) return fail_nomem(r->err), NULL;
    return s;
}

struct strided {
    struct storage *storage;
    enum dtype dtype;
    int64_t offset, stride[SHAPE_MAX]; /* in elements */
    struct shape shape;
};

/* The persistent id: ('storage', torch FloatStorage, key, device, count). */
static int read_id(
    struct archive *r, const struct pickle_value *v, const char *folder, struct strided *s, const char **key)
{
    const struct pickle_value *id = v && v->kind == PICKLE_PERSISTENT ? v->id : NULL;
    const struct pickle_value *type = pickle_item(id, 1), *name = pickle_item(id, 2);
    if (!pickle_is_str(pickle_item(id, 0), "storage") || !name || name->kind != PICKLE_STR || !type ||
        type->kind != PICKLE_GLOBAL)
        return fail(r->err, ERR_MODEL, "a tensor without a storage, at offset %zu of the pickle", v ? v->at : 0);
    s->dtype = storage_dtype(type->global->name);
    if (s->dtype == DT_NONE)
        return fail(r->err, ERR_UNSUPPORTED, "tensors of %s (quantized models are not read yet)", type->global->name);
    *key = name->text.s;
    s->storage = find_storage(r, folder, *key);
    return s->storage ? 0 : r->err->code;
}

static int read_numbers(struct archive *r, const struct pickle_value *v, const char *what, int64_t *out, int *n)
{
    const struct pickle_items *items = pickle_seq(v);
    if (!items || items->n > SHAPE_MAX)
        return fail(r->err, ERR_MODEL, "a tensor's %s is no tuple of at most 8 ints", what);
    for (size_t i = 0; i < items->n; i++)
        if (!pickle_get_int(items->items[i], &out[i]) || out[i] < 0)
            return fail(r->err, ERR_MODEL, "a tensor's %s holds something that is no size", what);
    *n = (int)items->n;
    return 0;
}

/* Every element must lie in the storage. */
static int check_bounds(struct archive *r, const struct strided *s, const char *key)
{
    int64_t last = s->offset, step, count = 1;
    int64_t have = (int64_t)(s->storage->bytes.len / dtype_size(s->dtype));
    bool bad = false;
    for (int i = 0; i < s->shape.rank; i++) {
        bad |= __builtin_mul_overflow(count, s->shape.dim[i], &count);
        if (s->shape.dim[i] == 0) return 0;
        bad |= __builtin_mul_overflow(s->shape.dim[i] - 1, s->stride[i], &step);
        bad |= __builtin_add_overflow(last, step, &last);
    }
    if (bad || last >= have || count > INT64_MAX / 64)
        return fail(r->err, ERR_MODEL, "a tensor reaches past the end of its storage \"%s\" of %lld elements", key,
            (long long)have);
    return 0;
}

static bool is_row_major(const struct strided *s)
{
    int64_t want[SHAPE_MAX];
    shape_strides(&s->shape, want);
    for (int i = 0; i < s->shape.rank; i++)
        if (s->shape.dim[i] != 1 && s->stride[i] != want[i]) return shape_count(&s->shape) == 0;
    return true;
}

/* Row by row of the last dimension into plain order. */
static void gather(const struct strided *s, size_t width, const char *from, char *to)
{
    int rank = s->shape.rank;
    int64_t index[SHAPE_MAX] = { 0 }, count = shape_count(&s->shape);
    for (int64_t n = 0; n < count; n++, to += width) {
        int64_t at = 0;
        for (int i = 0; i < rank; i++) at += index[i] * s->stride[i];
        memcpy(to, from + (size_t)at * width, width);
        for (int i = rank; i-- > 0;) {
            if (++index[i] < s->shape.dim[i]) break;
            index[i] = 0;
        }
    }
}

static struct tensor *make_tensor(struct archive *r, const struct strided *s, const char *key)
{
    enum { SPREAD_MAX = 256 << 20 }; /* bytes that stride 0 may make of less */
    int64_t count = shape_count(&s->shape);
    size_t width = dtype_size(s->dtype);
    const unsigned char *data = s->storage->bytes.data + (count ? (size_t)s->offset * width : 0);
    bool plain = is_row_major(s);
    if (plain && s->storage->mapped && count && (uintptr_t)data % width == 0) {
        struct tensor *t = ARENA_NEW(r->keep, struct tensor);
        if (!t) return fail_nomem(r->err), NULL;
        *t = (struct tensor){ s->dtype, s->shape, (void *)(uintptr_t)data, r->blob, NULL };
        return t;
    }
    if (count < 0 || ((uint64_t)count * width > s->storage->bytes.len && (uint64_t)count * width > SPREAD_MAX))
        return fail(r->err, ERR_MODEL, "a tensor is much larger than its storage \"%s\"", key), NULL;
    struct tensor *t = tensor_new(r->keep, s->dtype, &s->shape, r->err);
    if (t && count && plain) memcpy(t->data, data, (size_t)count * width);
    else if (t && count) gather(s, width, (const char *)data, t->data);
    return t;
}

static const char *identity_of(struct arena *a, const struct strided *s, const char *folder, const char *key)
{
    struct str text = str_in(a);
    str_addf(&text, "%s/%s %d %lld", folder, key, (int)s->dtype, (long long)s->offset);
    for (int i = 0; i < s->shape.rank; i++)
        str_addf(&text, " %lld*%lld", (long long)s->shape.dim[i], (long long)s->stride[i]);
    return str_done(&text);
}

const struct tensor *archive_tensor(
    struct archive *r, const struct pickle_value *v, const char *folder, const char **identity)
{
    if (pickle_is_call(v, "torch._utils", "_rebuild_parameter")) v = pickle_arg(v, 0);
    if (pickle_is_call(v, "torch._utils", "_rebuild_qtensor"))
        return fail(r->err, ERR_UNSUPPORTED, "quantized tensors are not read yet"), NULL;
    if (!pickle_is_call(v, "torch._utils", "_rebuild_tensor_v2") &&
        !pickle_is_call(v, "torch._utils", "_rebuild_tensor"))
        return fail(r->err, ERR_MODEL, "no tensor at offset %zu of the pickle", v ? v->at : 0), NULL;
    struct strided s = { 0 };
    const char *key = "";
    int rank = 0;
    if (read_id(r, pickle_arg(v, 0), folder, &s, &key)) return NULL;
    if (!pickle_get_int(pickle_arg(v, 1), &s.offset) || s.offset < 0)
        return fail(r->err, ERR_MODEL, "a tensor's offset is no size"), NULL;
    if (read_numbers(r, pickle_arg(v, 2), "shape", s.shape.dim, &s.shape.rank)) return NULL;
    if (read_numbers(r, pickle_arg(v, 3), "strides", s.stride, &rank)) return NULL;
    if (rank != s.shape.rank)
        return fail(r->err, ERR_MODEL, "a tensor has %d sizes and %d strides", s.shape.rank, rank), NULL;
    if (check_bounds(r, &s, key)) return NULL;
    if (!(*identity = identity_of(r->arena, &s, folder, key))) return fail_nomem(r->err), NULL;
    return make_tensor(r, &s, key);
}
