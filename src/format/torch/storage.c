/* storage.c - tensors of an archive: views of mapped records where they are row-major, copies where they are not. */
#include <stdio.h>
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

enum dtype archive_storage_dtype(const struct pickle_value *type)
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
        { "QInt8Storage", DT_I8 },
        { "QUInt8Storage", DT_U8 },
        { "QInt32Storage", DT_I32 },
        { "UntypedStorage", DT_U8 },
    };
    for (size_t i = 0; type && type->kind == PICKLE_GLOBAL && i < sizeof types / sizeof *types; i++)
        if (!strcmp(types[i].name, type->global->name)) return types[i].dtype;
    return DT_NONE;
}

static int add_storage(struct archive *r, const char *name, struct bytes data, bool mapped, struct storage **out)
{
    struct storage *s = ARENA_NEW(r->arena, struct storage);
    TRY_MEM(s, r->err);
    *s = (struct storage){ data, mapped };
    if (out) *out = s;
    return map_set(&r->storages, name, s) ? 0 : fail_nomem(r->err);
}

int archive_add_storage(struct archive *r, const char *folder, const char *key, struct bytes data)
{
    const char *name = arena_printf(r->arena, "%s/%s", folder, key);
    TRY_MEM(name, r->err);
    return add_storage(r, name, data, true, NULL);
}

static struct storage *find_storage(struct archive *r, const char *folder, const char *key)
{
    const char *name = arena_printf(r->arena, "%s/%s", folder, key);
    struct storage *s = name ? map_get(&r->storages, name) : NULL;
    struct bytes data;
    if (s) return s;
    const struct zip_entry *entry = name ? archive_find(r, name) : NULL;
    if (!entry) return fail(r->err, ERR_MODEL, "no record \"%s/%s\"", folder, key), NULL;
    if (archive_read(r, entry, &data) || add_storage(r, name, data, entry->method == ZIP_STORED, &s)) return NULL;
    return s;
}

struct strided {
    struct storage *storage;
    enum dtype dtype;
    int64_t offset, stride[SHAPE_MAX]; /* in elements */
    int64_t view;                      /* where the storage begins in one that it is a part of */
    struct shape shape;
};

/* The persistent id: ('storage', torch FloatStorage, key, device, count), and in old files a view of the storage:
 * (key of the view, offset, count) or None. */
static int read_id(
    struct archive *r, const struct pickle_value *v, const char *folder, struct strided *s, const char **key)
{
    const struct pickle_value *id = v && v->kind == PICKLE_PERSISTENT ? v->id : v; /* some writers leave it plain */
    const struct pickle_value *type = pickle_item(id, 1), *name = pickle_item(id, 2), *view = pickle_item(id, 5);
    if (!pickle_is_str(pickle_item(id, 0), "storage") || !name || name->kind != PICKLE_STR || !type ||
        type->kind != PICKLE_GLOBAL)
        return fail(r->err, ERR_MODEL, "a tensor without a storage, at offset %zu of the pickle", v ? v->at : 0);
    s->dtype = archive_storage_dtype(type);
    if (s->dtype == DT_NONE) return fail(r->err, ERR_UNSUPPORTED, "tensors of %s", type->global->name);
    if (view && view->kind == PICKLE_TUPLE && (!pickle_get_int(pickle_item(view, 1), &s->view) || s->view < 0))
        return fail(r->err, ERR_MODEL, "the view of storage \"%s\" has no offset", name->text.s);
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
    if (plain && s->storage->mapped && r->blob && count && (uintptr_t)data % width == 0) {
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
    if (plain) blob_forget(r->blob, data, (size_t)count * width);
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

/* Calls whose arguments begin with storage, offset, sizes, strides; and those that only wrap another. */
static const char *const calls[] = { "_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3",
    "_rebuild_qtensor" };
static const char *const wrappers[] = { "_rebuild_parameter", "_rebuild_parameter_with_state" };

static const struct pickle_value *unwrap(const struct pickle_value *v)
{
    for (int depth = 0; depth < 4; depth++) {
        bool wrapped = pickle_is_call(v, "torch.nn.parameter", "Parameter") ||
            pickle_is_call(v, "torch.nn.parameter", "Buffer");
        for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++)
            wrapped |= pickle_is_call(v, "torch._utils", wrappers[i]);
        if (!wrapped) return v;
        v = pickle_arg(v, 0);
    }
    return v;
}

static bool is_rebuild(const struct pickle_value *function)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (pickle_is_global(function, "torch._utils", calls[i])) return true;
    return false;
}

/* The function that makes the tensor, and its arguments; NULL when it is no tensor. */
static const struct pickle_value *rebuilt(const struct pickle_value *v, const struct pickle_value **args)
{
    v = unwrap(v);
    if (pickle_is_call(v, "torch._tensor", "_rebuild_from_type_v2")) {
        *args = pickle_arg(v, 2);
        return is_rebuild(pickle_arg(v, 0)) ? pickle_arg(v, 0) : NULL;
    }
    if (!v || (v->kind != PICKLE_CALL && v->kind != PICKLE_OBJECT) || !is_rebuild(v->call->function)) return NULL;
    *args = v->call->args;
    return v->call->function;
}

/* Tensors that stand beside the pickle are named by a number. */
static const struct pickled_tensor *beside(const struct archive *r, const struct pickle_value *v)
{
    char key[24];
    v = unwrap(v);
    const struct pickle_value *id = v && v->kind == PICKLE_PERSISTENT ? v->id : NULL;
    if (!r->tensors.n || !id) return NULL;
    if (id->kind == PICKLE_STR) return map_get(&r->tensors, id->text.s);
    if (id->kind != PICKLE_INT) return NULL;
    snprintf(key, sizeof key, "%lld", (long long)id->integer);
    return map_get(&r->tensors, key);
}

bool archive_is_tensor(const struct archive *r, const struct pickle_value *v)
{
    const struct pickle_value *args;
    return beside(r, v) || rebuilt(v, &args);
}

int archive_tensor_rank(const struct archive *r, const struct pickle_value *v)
{
    const struct pickled_tensor *known = beside(r, v);
    const struct pickle_value *args = NULL;
    if (known) return known->tensor->shape.rank;
    const struct pickle_items *sizes = rebuilt(v, &args) ? pickle_seq(pickle_item(args, 2)) : NULL;
    return sizes ? (int)sizes->n : -1;
}

static int read_strided(struct archive *r, const struct pickle_value *args, struct strided *s)
{
    int rank = 0;
    if (!pickle_get_int(pickle_item(args, 1), &s->offset) || s->offset < 0)
        return fail(r->err, ERR_MODEL, "a tensor's offset is no size");
    TRY(read_numbers(r, pickle_item(args, 2), "shape", s->shape.dim, &s->shape.rank));
    TRY(read_numbers(r, pickle_item(args, 3), "strides", s->stride, &rank));
    if (rank != s->shape.rank)
        return fail(r->err, ERR_MODEL, "a tensor has %d sizes and %d strides", s->shape.rank, rank);
    if (__builtin_add_overflow(s->offset, s->view, &s->offset))
        return fail(r->err, ERR_MODEL, "a tensor's offset is no size");
    return 0;
}

static int make_rebuilt(struct archive *r, const struct pickle_value *function, const struct pickle_value *args,
    const char *folder, struct pickled_tensor *out);

/* scale, or a tensor of scales */
static const struct tensor *read_scales(
    struct archive *r, const struct pickle_value *v, const char *folder, enum dtype t, int64_t count)
{
    struct pickled_tensor given = { 0 };
    struct shape shape = shape_of(1, &count);
    const struct pickle_value *args, *function = rebuilt(v, &args);
    if (pickle_is_global(function, "torch._utils", "_rebuild_qtensor")) /* which might hold itself */
        return fail(r->err, ERR_MODEL, "the scales of a quantized tensor are quantized"), NULL;
    if (function && make_rebuilt(r, function, args, folder, &given)) return NULL;
    if (given.tensor && tensor_count(given.tensor) != count)
        return fail(r->err, ERR_MODEL, "a quantized tensor has a wrong number of scales"), NULL;
    struct tensor *out = tensor_new(r->keep, t, &shape, r->err);
    double number = 0;
    if (!given.tensor && (count != 1 || !pickle_get_number(v, &number)))
        return fail(r->err, ERR_MODEL, "a quantized tensor without a scale"), NULL;
    for (int64_t i = 0; out && i < count; i++)
        if (t == DT_I64) tensor_set_i64(out, i, given.tensor ? tensor_get_i64(given.tensor, i) : (int64_t)number);
        else tensor_set_f64(out, i, given.tensor ? tensor_get_f64(given.tensor, i) : number);
    return out;
}

/* (per_tensor_affine, scale, zero point) or (per_channel_affine, scales, zero points, axis) */
static const struct quantization *read_quantizer(
    struct archive *r, const struct pickle_value *v, const char *folder, const struct shape *s)
{
    struct quantization *q = ARENA_NEW(r->keep, struct quantization);
    const struct pickle_value *scheme = pickle_item(v, 0);
    int64_t axis = -1, count = 1;
    if (!q) return fail_nomem(r->err), NULL;
    if (pickle_is_global(scheme, "torch", "per_channel_affine") ||
        pickle_is_global(scheme, "torch", "per_channel_affine_float_qparams")) {
        if (!pickle_get_int(pickle_item(v, 3), &axis) || axis < 0 || axis >= s->rank)
            return fail(r->err, ERR_MODEL, "a tensor is quantized along an axis that it does not have"), NULL;
        count = s->dim[axis];
    } else if (!pickle_is_global(scheme, "torch", "per_tensor_affine")) {
        return fail(r->err, ERR_UNSUPPORTED, "a tensor quantized by an unknown scheme"), NULL;
    }
    q->axis = (int)axis;
    q->scales = read_scales(r, pickle_item(v, 1), folder, DT_F64, count);
    q->zero_points = q->scales ? read_scales(r, pickle_item(v, 2), folder, DT_I64, count) : NULL;
    return q->zero_points ? q : NULL;
}

/* Complex numbers that were saved as a view of their conjugates. */
static const struct tensor *conjugate(struct archive *r, const struct tensor *t)
{
    size_t half = dtype_size(t->dtype) / 2, n = (size_t)tensor_count(t);
    if (t->dtype != DT_C64 && t->dtype != DT_C128) return t;
    struct tensor *copy = tensor_copy(r->keep, t->dtype, &t->shape, t->data, r->err);
    for (size_t i = 0; copy && i < n; i++) ((unsigned char *)copy->data)[(2 * i + 2) * half - 1] ^= 0x80; /* the sign */
    return copy;
}

static int make_rebuilt(struct archive *r, const struct pickle_value *function, const struct pickle_value *args,
    const char *folder, struct pickled_tensor *out)
{
    struct strided s = { 0 };
    const char *key = "";
    bool conjugated = false;
    bool quantized = pickle_is_global(function, "torch._utils", "_rebuild_qtensor");
    bool typed = pickle_is_global(function, "torch._utils", "_rebuild_tensor_v3");
    const struct pickle_value *metadata = pickle_item(args, typed ? 7 : 6), *type = pickle_item(args, 6);
    TRY(read_id(r, pickle_item(args, 0), folder, &s, &key));
    if (typed) {
        s.dtype = type && type->kind == PICKLE_GLOBAL ? dtype_from_name(type->global->name) : DT_NONE;
        if (s.dtype == DT_NONE || s.dtype == DT_STRING)
            return fail(r->err, ERR_UNSUPPORTED, "a tensor of type %s",
                type && type->kind == PICKLE_GLOBAL ? type->global->name : "unknown");
    }
    TRY(read_strided(r, args, &s));
    TRY(check_bounds(r, &s, key));
    if (!(out->identity = identity_of(r->arena, &s, folder, key))) return fail_nomem(r->err);
    if (quantized && !(out->quantized = read_quantizer(r, pickle_item(args, 4), folder, &s.shape))) return r->err->code;
    out->tensor = make_tensor(r, &s, key);
    if (!quantized && metadata && metadata->kind == PICKLE_DICT) {
        const struct pickle_value *conj = pickle_dict_get(metadata, "conj"), *neg = pickle_dict_get(metadata, "neg");
        conjugated = conj && conj->kind == PICKLE_BOOL && conj->boolean;
        if (neg && neg->kind == PICKLE_BOOL && neg->boolean)
            return fail(r->err, ERR_UNSUPPORTED, "a tensor that was saved as the negative of another");
    }
    if (out->tensor && conjugated) out->tensor = conjugate(r, out->tensor);
    return out->tensor ? 0 : r->err->code;
}

int archive_read_tensor(struct archive *r, const struct pickle_value *v, const char *folder, struct pickled_tensor *out)
{
    const struct pickled_tensor *known = beside(r, v);
    const struct pickle_value *args = NULL, *function = rebuilt(v, &args);
    *out = (struct pickled_tensor){ 0 };
    if (known) return *out = *known, 0;
    if (!function) return fail(r->err, ERR_MODEL, "no tensor at offset %zu of the pickle", v ? v->at : 0);
    return make_rebuilt(r, function, args, folder, out);
}

const struct tensor *archive_storage(struct archive *r, const struct pickle_value *id, const char *folder)
{
    struct strided s = { .shape = { .rank = 1 }, .stride = { 1 } };
    const char *key = "";
    if (read_id(r, id, folder, &s, &key)) return NULL;
    s.shape.dim[0] = (int64_t)(s.storage->bytes.len / dtype_size(s.dtype));
    return check_bounds(r, &s, key) ? NULL : make_tensor(r, &s, key);
}

const struct tensor *archive_view(struct archive *r, const char *folder, const char *key, enum dtype dtype,
    int64_t offset, int rank, const int64_t *sizes, const int64_t *strides, const char **identity)
{
    struct strided s = { .storage = find_storage(r, folder, key), .dtype = dtype, .offset = offset };
    if (!s.storage) return NULL;
    s.shape = shape_of(rank, sizes);
    for (int i = 0; i < rank; i++)
        if (sizes[i] < 0 || strides[i] < 0 || offset < 0)
            return fail(r->err, ERR_MODEL, "a tensor of storage \"%s\" has a negative size or stride", key), NULL;
    if (rank) memcpy(s.stride, strides, (size_t)rank * sizeof *strides);
    if (check_bounds(r, &s, key)) return NULL;
    if (!(*identity = identity_of(r->arena, &s, folder, key))) return fail_nomem(r->err), NULL;
    return make_tensor(r, &s, key);
}
