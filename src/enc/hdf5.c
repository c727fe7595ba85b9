/* hdf5.c - HDF5: the superblock, objects by address and by path. */
#include "enc/hdf5.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "enc/hdf5_parts.h"

enum {
    LINKS_MAX = 16,      /* soft links followed for one path */
    FUEL_BASE = 1 << 20, /* bytes of structure, beside so many for each byte of the file */
    FUEL_RATIO = 4,
    INFLATE_RATIO = 1032, /* no deflate stream does better */
};

static const unsigned char signature[8] = "\211HDF\r\n\032\n";

/* The file's beginning: 0, 512, 1024, 2048 ...; the file's length if there is none. */
static size_t find_signature(struct bytes file)
{
    for (size_t at = 0; file.len >= 8 && at <= file.len - 8; at = at ? at * 2 : 512)
        if (!memcmp(file.data + at, signature, 8)) return at;
    return file.len;
}

bool hdf5_is(struct bytes file)
{
    return find_signature(file) < file.len;
}

int hdf5_broken(const struct hdf5 *h, uint64_t address, const char *what, struct err *e)
{
    return fail(
        e, ERR_MODEL, "%s: offset %llu: broken HDF5: %s", h->path, (unsigned long long)(h->base + address), what);
}

int hdf5_pay(struct hdf5 *h, uint64_t bytes, struct err *e)
{
    if (bytes > h->fuel)
        return fail(
            e, ERR_MODEL, "%s: broken HDF5: the file's structure is larger than the file; it runs in circles", h->path);
    h->fuel -= bytes;
    return 0;
}

int hdf5_span(struct hdf5 *h, uint64_t address, uint64_t len, const char *what, struct hdf5_cursor *out, struct err *e)
{
    uint64_t room = h->file.len - h->base;
    if (address > room || len > room - address)
        return fail(e, ERR_MODEL, "%s: broken HDF5: %s of %llu bytes at offset %llu lies outside the file of %zu",
            h->path, what, (unsigned long long)len, (unsigned long long)address, h->file.len);
    TRY(hdf5_pay(h, len + 16, e));
    const unsigned char *p = h->file.data + h->base + address;
    *out = (struct hdf5_cursor){ p, p + len, false };
    return 0;
}

/* Versions 0 and 1: sizes, then addresses, then the root's symbol table entry. */
static int read_old(struct hdf5 *h, struct hdf5_cursor c, unsigned version, uint64_t *root, struct err *e)
{
    hdf5_take(&c, 4);
    h->offset_size = (unsigned)hdf5_get(&c, 1);
    h->length_size = (unsigned)hdf5_get(&c, 1);
    hdf5_take(&c, version ? 13 : 9);
    if (h->offset_size > 8 || h->length_size > 8 || !h->offset_size || !h->length_size)
        return hdf5_broken(h, 0, "a superblock with impossible sizes of numbers", e);
    uint64_t base = hdf5_address(&c, h);
    hdf5_take(&c, 3 * (uint64_t)h->offset_size);
    hdf5_address(&c, h); /* the link's name */
    *root = hdf5_address(&c, h);
    if (base != HDF5_NOWHERE && base <= h->file.len && base > h->base) h->base = base;
    return c.over ? hdf5_broken(h, 0, "the superblock is cut short", e) : 0;
}

static int read_new(struct hdf5 *h, struct hdf5_cursor c, uint64_t *root, struct err *e)
{
    h->offset_size = (unsigned)hdf5_get(&c, 1);
    h->length_size = (unsigned)hdf5_get(&c, 1);
    hdf5_take(&c, 1);
    if (h->offset_size > 8 || h->length_size > 8 || !h->offset_size || !h->length_size)
        return hdf5_broken(h, 0, "a superblock with impossible sizes of numbers", e);
    hdf5_take(&c, 3 * (uint64_t)h->offset_size);
    *root = hdf5_address(&c, h);
    return c.over ? hdf5_broken(h, 0, "the superblock is cut short", e) : 0;
}

static struct hdf5_object *object_at(struct hdf5 *h, uint64_t address, struct err *e)
{
    char key[24];
    snprintf(key, sizeof key, "%llx", (unsigned long long)address);
    struct hdf5_object *o = map_get(&h->objects, key);
    if (o) return o;
    if (!(o = ARENA_NEW(h->arena, struct hdf5_object))) return fail_nomem(e), NULL;
    *o = (struct hdf5_object){ .kind = HDF5_OTHER, .address = address, .links = map_in(h->arena) };
    o->attrs = map_in(h->arena);
    if (hdf5_read_header(h, o, e)) return NULL;
    return map_set(&h->objects, key, o) ? o : (fail_nomem(e), NULL);
}

int hdf5_open(struct hdf5 *h, struct arena *a, const char *path, struct bytes file, struct err *e)
{
    *h = (struct hdf5){ .path = path, .arena = a, .file = file, .base = find_signature(file) };
    if (h->base == file.len) return fail(e, ERR_MODEL, "%s: no HDF5 file", path);
    h->objects = map_in(a);
    h->fuel = (uint64_t)file.len * FUEL_RATIO + FUEL_BASE;
    h->inflate = (uint64_t)file.len * INFLATE_RATIO;
    struct hdf5_cursor c = { file.data + h->base + 8, file.data + file.len, false };
    unsigned version = (unsigned)hdf5_get(&c, 1);
    uint64_t root = HDF5_NOWHERE;
    if (version > 3)
        return fail(e, ERR_UNSUPPORTED, "%s: HDF5 superblock of version %u; versions 0 to 3 are read", path, version);
    TRY(version < 2 ? read_old(h, c, version, &root, e) : read_new(h, c, &root, e));
    return (h->root = object_at(h, root, e)) ? 0 : e->code;
}

static struct hdf5_object *walk(struct hdf5 *h, struct hdf5_object *from, const char *path, int *links, struct err *e);

static struct hdf5_object *follow(
    struct hdf5 *h, struct hdf5_object *group, const struct hdf5_link *l, int *links, struct err *e)
{
    if (!l->soft) return object_at(h, l->address, e);
    if (++*links > LINKS_MAX)
        return fail(e, ERR_MODEL, "%s: HDF5 soft links in a circle (%.100s)", h->path, l->soft), NULL;
    return walk(h, l->soft[0] == '/' ? h->root : group, l->soft, links, e);
}

static struct hdf5_object *walk(struct hdf5 *h, struct hdf5_object *from, const char *path, int *links, struct err *e)
{
    while (from && *path) {
        size_t len = strcspn(path, "/");
        char *name = arena_strndup(h->arena, path, len);
        if (!name) return fail_nomem(e), NULL;
        path += len + (path[len] == '/');
        if (!len || !strcmp(name, ".")) continue;
        const struct hdf5_link *l = from->kind == HDF5_GROUP ? map_get(&from->links, name) : NULL;
        from = l ? follow(h, from, l, links, e) : NULL;
    }
    return from;
}

struct hdf5_object *hdf5_find(struct hdf5 *h, struct hdf5_object *from, const char *path, struct err *e)
{
    int links = 0;
    return walk(h, from && path[0] != '/' ? from : h->root, path, &links, e);
}

struct hdf5_object *hdf5_child(struct hdf5 *h, struct hdf5_object *group, const char *name, struct err *e)
{
    int links = 0;
    const struct hdf5_link *l = group->kind == HDF5_GROUP ? map_get(&group->links, name) : NULL;
    return l ? follow(h, group, l, &links, e) : NULL;
}

const struct hdf5_attr *hdf5_attr(const struct hdf5_object *o, const char *name)
{
    return map_get(&o->attrs, name);
}
