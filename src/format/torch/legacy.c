/* legacy.c - torch.save before 1.6: five pickles one behind the other, then the bytes of all storages.
 *
 * The pickles: a magic number, the version of the form, what the machine was like, the object, and the keys of the
 * storages in the order of the file. Each storage is its count of elements and the elements; their type stands only in
 * the object, in the persistent ids by which its tensors name the storage.
 */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "enc/bytes.h"
#include "format/format.h"
#include "format/torch/container.h"

static const unsigned char magic[] = { 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19 };

bool legacy_is(struct bytes file)
{
    enum { FRAME = 9 }; /* protocol 4 puts the length of what follows in front */
    size_t at = file.len > 3 && file.data[2] == 0x95 ? 2 + FRAME : 2;
    return file.len > at + sizeof magic && file.data[0] == 0x80 && !memcmp(file.data + at, magic, sizeof magic);
}

int legacy_storage(struct archive *r, const char *key, enum dtype dtype, struct bytes data, size_t *at)
{
    size_t left = data.len - *at, width = dtype_size(dtype);
    if (left < 8) return fail(r->err, ERR_MODEL, "cut short at byte %zu, before storage \"%s\"", *at, key);
    uint64_t n = get_le64(data.data + *at);
    if (n > (left - 8) / width)
        return fail(r->err, ERR_MODEL, "storage \"%s\" at byte %zu should have %llu elements; the file ends before",
            key, *at, (unsigned long long)n);
    TRY(archive_add_storage(r, "data", key, (struct bytes){ data.data + *at + 8, (size_t)n * width }));
    *at += 8 + (size_t)n * width;
    return 0;
}

/* Storage key -> its type, from all persistent ids of the object. */
static int find_types(struct archive *r, const struct pickle *p, struct map *types)
{
    for (size_t i = 0; i < p->n_persistent; i++) {
        const struct pickle_value *id = p->persistent[i]->id, *key = pickle_item(id, 2);
        enum dtype t = archive_storage_dtype(pickle_item(id, 1));
        if (!pickle_is_str(pickle_item(id, 0), "storage") || !key || key->kind != PICKLE_STR || !t) continue;
        if (!map_set(types, key->text.s, (void *)(uintptr_t)t)) return fail_nomem(r->err);
    }
    return 0;
}

static int read_storages(
    struct archive *r, const struct pickle *object, const struct pickle_value *keys, struct bytes data, size_t at)
{
    struct map types = map_in(r->arena);
    const struct pickle_items *list = pickle_seq(keys);
    if (!list) return fail(r->err, ERR_MODEL, "no list of storages behind the object, at byte %zu", at);
    TRY(find_types(r, object, &types));
    for (size_t i = 0; i < list->n; i++) {
        const struct pickle_value *key = list->items[i];
        if (key->kind != PICKLE_STR) return fail(r->err, ERR_MODEL, "the key of storage %zu is no string", i);
        enum dtype t = (enum dtype)(uintptr_t)map_get(&types, key->text.s);
        if (!t) return fail(r->err, ERR_UNSUPPORTED, "storage \"%s\" has no type that is known here", key->text.s);
        TRY(legacy_storage(r, key->text.s, t, data, &at));
    }
    return 0;
}

struct pickle_value *legacy_open(struct archive *r, const struct format_file *file, struct report *report)
{
    static const char *const names[] = { "magic", "version", "system", "object", "storages" };
    struct pickle p[5];
    size_t at = 0;
    int64_t version = 0;
    for (int i = 0; i < 5; i++)
        if (archive_pickle_at(r, names[i], file->bytes, &at, &p[i], i == 3 ? report : NULL)) return NULL;
    const struct pickle_value *little = pickle_dict_get(p[2].root, "little_endian");
    if (!pickle_get_int(p[1].root, &version) || version != 1001)
        return fail(r->err, ERR_UNSUPPORTED, "version %lld of PyTorch's old form; 1001 is known", (long long)version),
               NULL;
    if (little && little->kind == PICKLE_BOOL && !little->boolean)
        return fail(r->err, ERR_UNSUPPORTED, "saved on a big-endian machine; save it on a little-endian one"), NULL;
    return read_storages(r, &p[3], p[4].root, file->bytes, at) ? NULL : p[3].root;
}
