/* safetensors.c - reading and writing safetensors files. */
#include "format/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "enc/bytes.h"
#include "enc/json.h"

enum { HEADER_MAX = 100000000, LENGTH_BYTES = 8, ALIGN = 8 };

bool safetensors_is(struct bytes file)
{
    if (file.len < LENGTH_BYTES + 2) return false;
    uint64_t n = get_le64(file.data);
    return n >= 2 && n <= HEADER_MAX && n <= file.len - LENGTH_BYTES && file.data[LENGTH_BYTES] == '{';
}

static enum dtype type_of(const char *name)
{
    for (int t = 1; name && t < DT_COUNT; t++)
        if (dtype_safetensors((enum dtype)t) && !strcmp(dtype_safetensors((enum dtype)t), name)) return (enum dtype)t;
    return DT_NONE;
}

static int read_shape(const json_t *dims, struct shape *out, struct err *e)
{
    if (!json_is_array(dims)) return fail(e, ERR_MODEL, "no shape");
    if (json_array_size(dims) > SHAPE_MAX)
        return fail(e, ERR_UNSUPPORTED, "rank %zu, at most %d can be taken", json_array_size(dims), SHAPE_MAX);
    *out = shape_of(0, NULL);
    out->rank = (int)json_array_size(dims);
    for (int i = 0; i < out->rank; i++) {
        const json_t *d = json_array_get(dims, (size_t)i);
        if (!json_is_integer(d) || json_integer_value(d) < 0) return fail(e, ERR_MODEL, "dimension %d is no size", i);
        out->dim[i] = json_integer_value(d);
    }
    return shape_count(out) < 0 ? fail(e, ERR_MODEL, "its shape has more elements than there can be") : 0;
}

/* `data`: all that follows the header. */
static int read_entry(struct safetensors_entry *x, const json_t *json, struct bytes data, struct err *e)
{
    const char *type = json_string_value(json_object_get(json, "dtype"));
    const json_t *offsets = json_object_get(json, "data_offsets");
    const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
    if (!(x->tensor.dtype = type_of(type)))
        return fail(e, ERR_UNSUPPORTED, "element type %s", type ? type : "is not given");
    TRY(read_shape(json_object_get(json, "shape"), &x->tensor.shape, e));
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(last) ||
        json_integer_value(first) < 0 || json_integer_value(last) < json_integer_value(first))
        return fail(e, ERR_MODEL, "data_offsets are not two ascending numbers");
    x->offset = (uint64_t)json_integer_value(first);
    x->length = (uint64_t)json_integer_value(last) - x->offset;
    if (x->offset + x->length > data.len)
        return fail(e, ERR_MODEL, "its data end at %llu, the file's data at %zu; was it cut short?",
            (unsigned long long)(x->offset + x->length), data.len);
    if (x->length != (uint64_t)tensor_bytes(&x->tensor))
        return fail(e, ERR_MODEL, "%llu bytes of data, its shape needs %lld", (unsigned long long)x->length,
            (long long)tensor_bytes(&x->tensor));
    return 0;
}

/* Lets the tensor lie in the file when its address allows. */
static int place(struct safetensors_entry *x, struct arena *a, struct bytes data, struct blob *blob, struct err *e)
{
    const unsigned char *p = data.data + x->offset;
    size_t size = dtype_size(x->tensor.dtype);
    if (blob && x->length && (uintptr_t)p % (size > ALIGN ? ALIGN : size) == 0) {
        x->tensor.data = (void *)(uintptr_t)p;
        x->tensor.blob = blob;
        return 0;
    }
    const struct tensor *copy = tensor_copy(a, x->tensor.dtype, &x->tensor.shape, p, e);
    if (!copy) return e->code;
    x->tensor = *copy;
    return 0;
}

static int by_offset(const void *x, const void *y)
{
    const struct safetensors_entry *a = x, *b = y;
    if (a->offset != b->offset) return a->offset < b->offset ? -1 : 1;
    if (a->length != b->length) return a->length < b->length ? -1 : 1;
    return strcmp(a->name, b->name);
}

static int check_overlap(const struct safetensors *s, struct err *e)
{
    for (size_t i = 1; i < s->n; i++)
        if (s->entries[i].offset < s->entries[i - 1].offset + s->entries[i - 1].length)
            return fail(
                e, ERR_MODEL, "the data of \"%s\" and \"%s\" overlap", s->entries[i - 1].name, s->entries[i].name);
    return 0;
}

static int read_metadata(struct safetensors *s, struct arena *a, const json_t *json, struct err *e)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        char *text = json_is_string(value) ? arena_strdup(a, json_string_value(value)) : NULL;
        if (!json_is_string(value)) return fail(e, ERR_MODEL, "__metadata__: \"%s\" is no text", key);
        if (!text || !map_set(&s->metadata, key, text)) return fail_nomem(e);
    }
    return 0;
}

static int read_entries(
    struct safetensors *s, struct arena *a, json_t *json, struct bytes data, struct blob *blob, struct err *e)
{
    const char *name;
    json_t *value;
    s->entries = ARENA_ARRAY(a, json_object_size(json), struct safetensors_entry);
    TRY_MEM(s->entries, e);
    json_object_foreach(json, name, value)
    {
        if (!strcmp(name, "__metadata__")) {
            TRY(read_metadata(s, a, value, e));
            continue;
        }
        struct safetensors_entry *x = &s->entries[s->n++];
        x->name = arena_strdup(a, name);
        TRY_MEM(x->name, e);
        if (read_entry(x, value, data, e)) return err_prefix(e, "tensor \"%s\"", name);
    }
    if (s->n) qsort(s->entries, s->n, sizeof *s->entries, by_offset);
    TRY(check_overlap(s, e)); /* before anything is copied: together the copies are no larger than the file */
    for (size_t i = 0; i < s->n; i++) TRY(place(&s->entries[i], a, data, blob, e));
    return 0;
}

int safetensors_read(
    struct safetensors *s, struct arena *a, const char *path, struct bytes file, struct blob *blob, struct err *e)
{
    json_t *json;
    safetensors_init(s, a);
    if (!safetensors_is(file))
        return fail(e, ERR_MODEL, "%s: no safetensors file: it does not begin with the length of a header", path);
    size_t n = (size_t)get_le64(file.data);
    if (json_parse(a, path, (struct bytes){ file.data + LENGTH_BYTES, n }, &json, e)) return e->code = ERR_MODEL;
    struct bytes data = { file.data + LENGTH_BYTES + n, file.len - LENGTH_BYTES - n };
    if (!json_is_object(json)) return fail(e, ERR_MODEL, "%s: the header is no JSON object", path);
    if (read_entries(s, a, json, data, blob, e)) return err_prefix(e, "%s", path);
    for (size_t i = 0; i < s->n; i++) {
        s->entries[i].offset += LENGTH_BYTES + n;
        if (!map_set(&s->by_name, s->entries[i].name, &s->entries[i])) return fail_nomem(e);
    }
    s->size = file.len;
    return 0;
}

const struct safetensors_entry *safetensors_find(const struct safetensors *s, const char *name)
{
    return map_get(&s->by_name, name);
}

void safetensors_init(struct safetensors *s, struct arena *a)
{
    *s = (struct safetensors){ .by_name = map_in(a), .metadata = map_in(a) };
}

int safetensors_add(struct safetensors *s, const char *name, const struct tensor *t, struct err *e)
{
    if (!dtype_safetensors(t->dtype))
        return fail(
            e, ERR_UNSUPPORTED, "tensor \"%s\": safetensors has no element type for %s", name, dtype_name(t->dtype));
    if (map_find(&s->by_name, name) || !strcmp(name, "__metadata__"))
        return fail(e, ERR_FAILED, "two tensors are called \"%s\"", name);
    struct safetensors_entry x = { .name = name, .tensor = *t, .length = (uint64_t)tensor_bytes(t) };
    if (!ARRAY_PUSH(s->by_name.arena, s->entries, s->n, s->cap, x)) return fail_nomem(e);
    return map_set(&s->by_name, name, NULL) ? 0 : fail_nomem(e);
}

static int by_size_and_name(const void *x, const void *y)
{
    const struct safetensors_entry *a = x, *b = y;
    size_t p = dtype_size(a->tensor.dtype), q = dtype_size(b->tensor.dtype);
    return p != q ? p > q ? -1 : 1 : strcmp(a->name, b->name);
}

static json_t *entry_json(const struct safetensors_entry *x)
{
    json_t *dims = json_array();
    for (int i = 0; i < x->tensor.shape.rank; i++) json_array_append_new(dims, json_integer(x->tensor.shape.dim[i]));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype_safetensors(x->tensor.dtype), "shape", dims, "data_offsets",
        (json_int_t)x->offset, (json_int_t)(x->offset + x->length));
}

static int make_header(struct safetensors *s, json_t *json, struct err *e)
{
    struct arena *a = s->by_name.arena;
    struct bytes text;
    json_t *metadata = json_object();
    for (size_t i = 0; i < s->metadata.n; i++)
        if (json_object_set_new(metadata, s->metadata.entries[i].key, json_string(s->metadata.entries[i].value)))
            return json_decref(metadata),
                   fail(e, ERR_FAILED, "metadata \"%s\" is not UTF-8", s->metadata.entries[i].key);
    if (!s->metadata.n) json_decref(metadata);
    else if (json_object_set_new(json, "__metadata__", metadata)) return fail_nomem(e);
    for (size_t i = 0; i < s->n; i++)
        if (json_object_set_new(json, s->entries[i].name, entry_json(&s->entries[i])))
            return fail(e, ERR_FAILED, "the name \"%s\" is not UTF-8", s->entries[i].name);
    TRY(json_print(json, JSON_IN_ORDER | JSON_ONE_LINE, a, &text, e));
    while (text.len && text.data[text.len - 1] == '\n') text.len--;
    size_t n = (text.len + ALIGN - 1) / ALIGN * ALIGN;
    unsigned char *header = arena_alloc(a, LENGTH_BYTES + n);
    TRY_MEM(header, e);
    put_le(header, n, LENGTH_BYTES);
    memset(header + LENGTH_BYTES, ' ', n);
    memcpy(header + LENGTH_BYTES, text.data, text.len);
    s->header = (struct bytes){ header, LENGTH_BYTES + n };
    return 0;
}

int safetensors_layout(struct safetensors *s, struct err *e)
{
    json_t *json = json_object();
    uint64_t at = 0;
    TRY_MEM(json, e);
    TRY(json_own(s->by_name.arena, json, e));
    if (s->n) qsort(s->entries, s->n, sizeof *s->entries, by_size_and_name);
    for (size_t i = 0; i < s->n; i++) {
        s->entries[i].offset = at;
        at += s->entries[i].length;
    }
    TRY(make_header(s, json, e));
    for (size_t i = 0; i < s->n; i++) {
        s->entries[i].offset += s->header.len;
        if (!map_set(&s->by_name, s->entries[i].name, &s->entries[i])) return fail_nomem(e);
    }
    s->size = s->header.len + at;
    return 0;
}

int safetensors_put(const struct safetensors *s, int (*put)(void *cookie, const void *data, size_t len, struct err *e),
    void *cookie, struct err *e)
{
    TRY(put(cookie, s->header.data, s->header.len, e));
    for (size_t i = 0; i < s->n; i++) {
        const struct tensor *t = &s->entries[i].tensor;
        if (!s->entries[i].length) continue;
        TRY(put(cookie, t->data, (size_t)s->entries[i].length, e));
        blob_forget(t->blob, t->data, (size_t)s->entries[i].length); /* its pages, where it lies in a file */
    }
    return 0;
}

static int put_file(void *cookie, const void *data, size_t len, struct err *e)
{
    return file_writer_put(cookie, data, len, e);
}

int safetensors_write(const struct safetensors *s, struct arena *a, const char *path, struct err *e)
{
    struct file_writer w;
    TRY(file_writer_open(&w, a, path, e));
    if (safetensors_put(s, put_file, &w, e)) return file_writer_abort(&w), e->code;
    return file_writer_commit(&w, e);
}
