/* tar.c - torch.save before 0.1.10: a tar archive of storages, tensors and the pickle that names them by number. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "enc/bytes.h"
#include "format/format.h"
#include "format/torch/container.h"
#include "graph/shape.h"

enum { BLOCK = 512, SIZE_AT = 124, SIZE_LEN = 12, MAGIC_AT = 257, MEMBERS = 64 };

bool tar_is(struct bytes file)
{
    return file.len >= 2 * BLOCK && !memcmp(file.data + MAGIC_AT, "ustar", 5);
}

bool tar_next(struct bytes file, size_t *at, char name[TAR_NAME + 1], struct bytes *out)
{
    char digits[SIZE_LEN + 1] = { 0 };
    if (*at > file.len || file.len - *at < BLOCK || !file.data[*at]) return false;
    const char *header = (const char *)file.data + *at;
    memcpy(digits, header + SIZE_AT, SIZE_LEN);
    snprintf(name, TAR_NAME + 1, "%.*s", TAR_NAME, strncmp(header, "./", 2) ? header : header + 2);
    uint64_t size = strtoull(digits, NULL, 8);
    *at += BLOCK;
    if (size > file.len - *at) return false;
    *out = (struct bytes){ file.data + *at, (size_t)size };
    size_t padded = ((size_t)size + BLOCK - 1) / BLOCK * BLOCK;
    *at = padded > file.len - *at ? file.len : *at + padded;
    return true;
}

static bool find_member(struct bytes file, const char *name, struct bytes *out)
{
    char own[TAR_NAME + 1];
    size_t at = 0;
    for (int i = 0; i < MEMBERS && tar_next(file, &at, own, out); i++)
        if (!strcmp(own, name)) return true;
    return false;
}

static int need_member(struct archive *r, struct bytes file, const char *name, struct bytes *out)
{
    return find_member(file, name, out)
        ? 0
        : fail(r->err, ERR_MODEL, "a tar archive without a member \"%s\": none of PyTorch's", name);
}

/* A pickled number at *at of a member. */
static int read_count(struct archive *r, const char *name, struct bytes data, size_t *at, int64_t *out)
{
    struct pickle p;
    TRY(archive_pickle_at(r, name, data, at, &p, NULL));
    if (!pickle_get_int(p.root, out) || *out < 0 || (uint64_t)*out > data.len)
        return fail(r->err, ERR_MODEL, "\"%s\" does not begin with how many there are", name);
    return 0;
}

static const char *key_of(struct archive *r, const struct pickle_value *v)
{
    int64_t n;
    const char *key = NULL;
    if (v && v->kind == PICKLE_STR) return v->text.s;
    if (pickle_get_int(v, &n)) key = arena_printf(r->arena, "%lld", (long long)n);
    if (!key && !r->arena->failed) return fail(r->err, ERR_MODEL, "a storage or tensor without a key"), NULL;
    return key ? key : (fail_nomem(r->err), NULL);
}

/* Parts of storages: (key, key of the whole, offset, count). */
static int read_views(struct archive *r, const struct pickle_value *views, const struct map *types, struct map *parts)
{
    const struct pickle_items *list = pickle_seq(views);
    for (size_t i = 0; list && i < list->n; i++) {
        const char *key = key_of(r, pickle_item(list->items[i], 0)), *whole;
        if (!key || !(whole = key_of(r, pickle_item(list->items[i], 1)))) return r->err->code;
        if (!map_get(types, whole)) return fail(r->err, ERR_MODEL, "storage \"%s\" is part of none", key);
        if (!map_set(parts, key, list->items[i])) return fail_nomem(r->err);
    }
    return 0;
}

static int read_storages(struct archive *r, struct bytes data, struct map *types, struct map *parts)
{
    struct pickle p;
    size_t at = 0;
    int64_t n;
    TRY(read_count(r, "storages", data, &at, &n));
    for (int64_t i = 0; i < n; i++) {
        TRY(archive_pickle_at(r, "storages", data, &at, &p, NULL));
        const char *key = key_of(r, pickle_item(p.root, 0));
        enum dtype t = archive_storage_dtype(pickle_item(p.root, 2));
        if (!key) return r->err->code;
        if (!t) return fail(r->err, ERR_UNSUPPORTED, "storage \"%s\" has no type that is known here", key);
        TRY(legacy_storage(r, key, t, data, &at));
        if (!map_set(types, key, (void *)(uintptr_t)t)) return fail_nomem(r->err);
    }
    if (at == data.len) return 0; /* some writers leave the parts out */
    TRY(archive_pickle_at(r, "storages", data, &at, &p, NULL));
    return read_views(r, p.root, types, parts);
}

/* int32 rank, 4 bytes of nothing, sizes, strides, offset: int64 each. */
static int read_tensor(struct archive *r, const char *key, const char *storage, const struct map *types,
    const struct map *parts, struct bytes data, size_t *at)
{
    int64_t numbers[2 * SHAPE_MAX + 1], offset = 0;
    size_t left = data.len - *at;
    const struct pickle_value *part = map_get(parts, storage);
    if (part && (!pickle_get_int(pickle_item(part, 2), &offset) || !(storage = key_of(r, pickle_item(part, 1)))))
        return r->err->code ? r->err->code : fail(r->err, ERR_MODEL, "a part of a storage has no offset");
    enum dtype t = (enum dtype)(uintptr_t)map_get(types, storage);
    uint32_t rank = left < 8 ? UINT32_MAX : get_le32(data.data + *at);
    if (!t) return fail(r->err, ERR_MODEL, "tensor \"%s\" lies in no storage", key);
    if (rank > SHAPE_MAX || left < 8 + (2 * rank + 1) * 8)
        return fail(r->err, ERR_MODEL, "tensor \"%s\": its sizes are cut short or too many", key);
    for (uint32_t i = 0; i < 2 * rank + 1; i++) numbers[i] = (int64_t)get_le64(data.data + *at + 8 + i * 8);
    *at += 8 + (2 * rank + 1) * 8;
    if (numbers[2 * rank] < 0 || offset < 0 || __builtin_add_overflow(offset, numbers[2 * rank], &offset))
        return fail(r->err, ERR_MODEL, "tensor \"%s\" begins nowhere", key);
    struct pickled_tensor *out = ARENA_NEW(r->arena, struct pickled_tensor);
    TRY_MEM(out, r->err);
    out->tensor = archive_view(r, "data", storage, t, offset, (int)rank, numbers, numbers + rank, &out->identity);
    if (!out->tensor) return r->err->code;
    return map_set(&r->tensors, key, out) ? 0 : fail_nomem(r->err);
}

static int read_tensors(struct archive *r, struct bytes data, const struct map *types, const struct map *parts)
{
    struct pickle p;
    size_t at = 0;
    int64_t n;
    TRY(read_count(r, "tensors", data, &at, &n));
    for (int64_t i = 0; i < n; i++) {
        TRY(archive_pickle_at(r, "tensors", data, &at, &p, NULL));
        const char *key = key_of(r, pickle_item(p.root, 0)), *storage = key ? key_of(r, pickle_item(p.root, 1)) : NULL;
        if (!storage) return r->err->code;
        TRY(read_tensor(r, key, storage, types, parts, data, &at));
    }
    return 0;
}

struct pickle_value *tar_open(struct archive *r, const struct format_file *file, struct report *report)
{
    struct bytes storages, tensors, object;
    struct map types = map_in(r->arena), parts = map_in(r->arena);
    struct pickle p;
    size_t at = 0;
    if (need_member(r, file->bytes, "storages", &storages) || need_member(r, file->bytes, "pickle", &object))
        return NULL;
    if (read_storages(r, storages, &types, &parts)) return NULL;
    if (find_member(file->bytes, "tensors", &tensors) && read_tensors(r, tensors, &types, &parts)) return NULL;
    return archive_pickle_at(r, "pickle", object, &at, &p, report) ? NULL : p.root;
}
