/* tensor.c - TensorProtos to tensors. */
#include "format/onnx/tensor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/aligned.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "raw data are little-endian and used as they are");

enum { STAYS_IN_FILE = 16 << 10 }; /* bytes of a tensor that is not copied, wherever it lies */
enum { SPARSE_BYTES_MAX = 1 << 28 }; /* of the dense form, whose size no bytes of the file stand for */

struct external {
    struct bytes bytes;
    struct blob *blob;
};

/* In which typed field the elements of a type stand; every element is the low bytes of `parts` numbers there. */
static const struct typed {
    size_t at;
    enum proto_number number;
    unsigned char parts;
} typed_fields[DT_COUNT] = {
#define T(id, member, number, parts) [DT_##id] = { offsetof(struct onnx_tensor, member), number, parts }
    T(F32, float_data, PROTO_FLOAT, 1),
    T(C64, float_data, PROTO_FLOAT, 2),
    T(F64, double_data, PROTO_DOUBLE, 1),
    T(C128, double_data, PROTO_DOUBLE, 2),
    T(I64, int64_data, PROTO_INT64, 1),
    T(U64, uint64_data, PROTO_UINT64, 1),
    T(U32, uint64_data, PROTO_UINT64, 1),
    T(I32, int32_data, PROTO_INT32, 1),
    T(I16, int32_data, PROTO_INT32, 1),
    T(I8, int32_data, PROTO_INT32, 1),
    T(U16, int32_data, PROTO_INT32, 1),
    T(U8, int32_data, PROTO_INT32, 1),
    T(BOOL, int32_data, PROTO_INT32, 1),
    T(F16, int32_data, PROTO_INT32, 1),
    T(BF16, int32_data, PROTO_INT32, 1),
    T(F8E4M3FN, int32_data, PROTO_INT32, 1),
    T(F8E5M2, int32_data, PROTO_INT32, 1),
    T(F8E4M3FNUZ, int32_data, PROTO_INT32, 1),
    T(F8E5M2FNUZ, int32_data, PROTO_INT32, 1),
    T(F8E8M0, int32_data, PROTO_INT32, 1),
    T(F4E2M1, int32_data, PROTO_INT32, 1), /* packed: a byte in each number */
    T(U4, int32_data, PROTO_INT32, 1),
    T(I4, int32_data, PROTO_INT32, 1),
    T(U2, int32_data, PROTO_INT32, 1),
    T(I2, int32_data, PROTO_INT32, 1),
#undef T
};

const char *onnx_type_name(int64_t data_type)
{
    bool is_known = data_type == (int)data_type && dtype_is_valid((int)data_type);
    return is_known ? dtype_name((enum dtype)data_type) : "of an unknown type";
}

int onnx_source_init(struct onnx_source *s, struct arena *a, const struct format_file *file, struct err *e)
{
    *s = (struct onnx_source){ a, file, file_dir(a, file->path), map_in(a) };
    TRY_MEM(s->folder, e);
    return 0;
}

static int read_number(const char *key, const char *text, uint64_t *out, struct err *e)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    if (errno || *end || end == text || *text == '-')
        return fail(e, ERR_MODEL, "external data: %s is \"%s\", expected a number", key, text);
    return 0;
}

static struct external *external_file(struct onnx_source *s, const char *location, struct err *e)
{
    struct external *x = map_get(&s->external, location);
    if (x) return x;
    if (!location[0] || !file_is_inside(location))
        return fail(e, ERR_UNSAFE, "external data at \"%s\": a model may only name files of its own folder", location),
               NULL;
    char *path = file_join(s->arena, s->folder, location);
    x = ARENA_NEW(s->arena, struct external);
    if (!path || !x) return fail_nomem(e), NULL;
    if (s->file->beside) x->blob = s->file->beside(s->file->cookie, location, &x->bytes, e) ? NULL : s->file->blob;
    else x->blob = mapped_file(s->arena, path, &x->bytes, e);
    if (!x->blob && e->code == ERR_IO) e->code = ERR_MODEL; /* half of a model is missing */
    if (!x->blob) return err_prefix(e, "external data"), NULL;
    return map_set(&s->external, location, x) ? x : (fail_nomem(e), NULL);
}

/* The span of another file that holds the data; `want` bytes when the entry does not say how many. */
static int external_span(struct onnx_source *s, const struct onnx_tensor *t, size_t want, struct bytes *out,
    struct blob **blob, struct err *e)
{
    const char *location = "";
    uint64_t offset = 0, length = want;
    for (size_t i = 0; i < t->external_data.n; i++) {
        const struct onnx_entry *entry = &t->external_data.items[i];
        if (!strcmp(entry->key, "location")) location = entry->value;
        if (!strcmp(entry->key, "offset")) TRY(read_number("offset", entry->value, &offset, e));
        if (!strcmp(entry->key, "length")) TRY(read_number("length", entry->value, &length, e));
    }
    struct external *x = external_file(s, location, e);
    if (!x) return e->code;
    if (offset > x->bytes.len || length > x->bytes.len - offset)
        return fail(e, ERR_MODEL,
            "external data: bytes %llu to %llu of %s, which has %zu; is it another version's file?",
            (unsigned long long)offset, (unsigned long long)(offset + length), location, x->bytes.len);
    *out = (struct bytes){ x->bytes.data + offset, (size_t)length };
    *blob = x->blob;
    return 0;
}

/* One packed field of floats or doubles is as good as raw data. */
static bool as_raw(const struct onnx_tensor *t, const struct typed *typed, struct bytes *out)
{
    if (ONNX_HAS(t, 9)) return *out = t->raw_data, true;
    if (typed->number != PROTO_FLOAT && typed->number != PROTO_DOUBLE) return false;
    const struct onnx_fields *fields = (const void *)((const char *)t + typed->at);
    if (fields->n != 1 || fields->items[0].wire != PROTO_SPAN) return false;
    return *out = fields->items[0].span, true;
}

static bool is_packed(const struct tensor *t)
{
    return dtype_bits(t->dtype) < 8;
}

static int take_packed(struct onnx_source *s, struct tensor *t, const unsigned char *bytes, struct err *e)
{
    struct tensor *made = tensor_new(s->arena, t->dtype, &t->shape, e);
    if (!made) return e->code;
    tensor_unpack(made, bytes);
    *t = *made;
    return 0;
}

/* Lets the tensor lie in the file. What is small, or no weight, only where its address allows kernels to read it. */
static int take_raw(
    struct onnx_source *s, struct tensor *t, struct bytes raw, struct blob *blob, size_t want, struct err *e)
{
    if (raw.len != want) return fail(e, ERR_MODEL, "%zu bytes of data, the shape needs %zu", raw.len, want);
    if (is_packed(t)) return take_packed(s, t, raw.data, e);
    if (want) t->data = (void *)(uintptr_t)raw.data, t->blob = blob;
    bool may_lie_anywhere = want >= STAYS_IN_FILE && dtype_is_float(t->dtype);
    if (may_lie_anywhere || (want && tensor_is_aligned(t))) return 0;
    const struct tensor *copy = tensor_copy(s->arena, t->dtype, &t->shape, raw.data, e);
    if (!copy) return e->code;
    blob_forget(blob, raw.data, raw.len);
    *t = *copy;
    return 0;
}

static int append_all(struct onnx_source *s, const struct onnx_tensor *t, const struct typed *typed, struct arena *a,
    struct proto_list *list, struct err *e)
{
    const struct onnx_fields *fields = (const void *)((const char *)t + typed->at);
    struct proto p;
    proto_init(&p, s->file->path, s->file->bytes);
    for (size_t i = 0; i < fields->n; i++) TRY(proto_append(&p, &fields->items[i], a, typed->number, list, e));
    return 0;
}

static int take_typed(struct onnx_source *s, struct tensor *t, const struct onnx_tensor *from,
    const struct typed *typed, struct arena *scratch, struct err *e)
{
    struct proto_list list = { 0 };
    TRY(append_all(s, from, typed, scratch, &list, e));
    size_t size = dtype_size(t->dtype) / typed->parts, count = (size_t)tensor_packed_bytes(t) / size;
    if (list.n != count) return fail(e, ERR_MODEL, "%zu numbers of data, the shape needs %zu", list.n, count);
    size_t width = typed->number == PROTO_FLOAT || typed->number == PROTO_INT32 ? 4 : 8;
    unsigned char *bytes = arena_alloc(scratch, count * size);
    TRY_MEM(bytes, e);
    for (size_t i = 0; i < count; i++) memcpy(bytes + i * size, (const char *)list.items + i * width, size);
    if (is_packed(t)) return take_packed(s, t, bytes, e);
    struct tensor *made = tensor_copy(s->arena, t->dtype, &t->shape, bytes, e);
    if (!made) return e->code;
    *t = *made;
    return 0;
}

/* Elements first, then the texts, in one blob. */
static int take_strings(struct onnx_source *s, struct tensor *t, const struct onnx_tensor *from, struct err *e)
{
    size_t n = from->string_data.n, bytes = n * sizeof(struct string_element);
    if ((int64_t)n != tensor_count(t))
        return fail(e, ERR_MODEL, "%zu strings, the shape needs %lld", n, (long long)tensor_count(t));
    for (size_t i = 0; i < n; i++) bytes += from->string_data.items[i].span.len;
    struct blob *b = blob_new(s->arena->mem, bytes);
    if (!b || blob_adopt(s->arena, b)) return fail_nomem(e);
    struct string_element *element = t->data = blob_data(b);
    char *text = (char *)(element + n);
    t->blob = b;
    for (size_t i = 0; i < n; i++) {
        struct bytes span = from->string_data.items[i].span;
        if (span.len) memcpy(text, span.data, span.len);
        element[i] = (struct string_element){ text, span.len };
        text += span.len;
    }
    return 0;
}

static int read_shape(const struct proto_list *dims, struct shape *out, struct err *e)
{
    if (dims->n > SHAPE_MAX) return fail(e, ERR_UNSUPPORTED, "rank %zu, at most %d can be taken", dims->n, SHAPE_MAX);
    *out = shape_of((int)dims->n, dims->i64);
    for (size_t i = 0; i < dims->n; i++)
        if (dims->i64[i] < 0) return fail(e, ERR_MODEL, "dimension %zu is %lld", i, (long long)dims->i64[i]);
    return shape_count(out) < 0 ? fail(e, ERR_MODEL, "its shape has more elements than there can be") : 0;
}

static int load(
    struct onnx_source *s, const struct onnx_tensor *from, struct tensor *t, struct arena *scratch, struct err *e)
{
    struct bytes raw;
    if (!dtype_is_valid((int)from->data_type) || from->data_type != (int)from->data_type)
        return fail(
            e, ERR_UNSUPPORTED, "element type %lld (%s)", (long long)from->data_type, onnx_type_name(from->data_type));
    if (ONNX_HAS(from, 3)) return fail(e, ERR_UNSUPPORTED, "stored in segments");
    t->dtype = (enum dtype)from->data_type;
    TRY(read_shape(&from->dims, &t->shape, e));
    if (t->dtype == DT_STRING) return take_strings(s, t, from, e);
    const struct typed *typed = &typed_fields[t->dtype];
    size_t want = (size_t)tensor_packed_bytes(t);
    struct blob *blob = s->file->blob;
    if (from->data_location == 1) {
        TRY(external_span(s, from, want, &raw, &blob, e));
        return take_raw(s, t, raw, blob, want, e);
    }
    if (as_raw(from, typed, &raw)) return take_raw(s, t, raw, blob, want, e);
    return take_typed(s, t, from, typed, scratch, e);
}

const struct tensor *onnx_weight_load(struct onnx_source *s, const struct onnx_tensor *from, struct err *e)
{
    struct tensor *t = ARENA_NEW(s->arena, struct tensor);
    if (!t) return fail_nomem(e), NULL;
    struct arena scratch;
    arena_init(&scratch, s->arena->mem);
    int code = load(s, from, t, &scratch, e);
    arena_release(&scratch);
    if (code < 0) return err_prefix(e, "tensor \"%s\"", from->name), NULL;
    return t;
}

const struct tensor *onnx_tensor_load(struct onnx_source *s, const struct onnx_tensor *from, struct err *e)
{
    const struct tensor *t = onnx_weight_load(s, from, e);
    return t ? tensor_aligned(s->arena, t, e) : NULL;
}

/* Row-major place of the i-th entry; -1 when it lies outside. */
static int64_t sparse_place(const struct tensor *indices, const struct shape *s, int64_t i)
{
    if (indices->shape.rank == 1) {
        int64_t at = tensor_get_i64(indices, i);
        return at >= 0 && at < shape_count(s) ? at : -1;
    }
    int64_t at = 0;
    for (int d = 0; d < s->rank; d++) {
        int64_t k = tensor_get_i64(indices, i * s->rank + d);
        if (k < 0 || k >= s->dim[d]) return -1;
        at = at * s->dim[d] + k;
    }
    return at;
}

const struct tensor *onnx_sparse_load(struct onnx_source *s, const struct onnx_sparse *from, struct err *e)
{
    const char *name = from->values.name;
    const struct tensor *values = onnx_tensor_load(s, &from->values, e);
    const struct tensor *indices = values ? onnx_tensor_load(s, &from->indices, e) : NULL;
    struct shape shape;
    if (!indices || read_shape(&from->dims, &shape, e)) return err_prefix(e, "sparse tensor \"%s\"", name), NULL;
    int64_t n = tensor_count(values), rank = indices->shape.rank;
    bool fits = indices->dtype == DT_I64 && values->shape.rank == 1 && values->dtype != DT_STRING &&
        ((rank == 1 && tensor_count(indices) == n) ||
            (rank == 2 && indices->shape.dim[0] == n && indices->shape.dim[1] == shape.rank));
    if (!fits) return fail(e, ERR_MODEL, "sparse tensor \"%s\": values and indices do not fit", name), NULL;
    if (shape_count(&shape) > SPARSE_BYTES_MAX / 16)
        return fail(e, ERR_UNSUPPORTED, "sparse tensor \"%s\": too large to be stored densely", name), NULL;
    struct tensor *t = tensor_new(s->arena, values->dtype, &shape, e);
    size_t size = dtype_size(values->dtype);
    for (int64_t i = 0; t && i < n; i++) {
        int64_t at = sparse_place(indices, &shape, i);
        if (at < 0)
            return fail(e, ERR_MODEL, "sparse tensor \"%s\": index %lld lies outside", name, (long long)i), NULL;
        memcpy((char *)t->data + (size_t)at * size, (const char *)values->data + (size_t)i * size, size);
    }
    return t;
}
