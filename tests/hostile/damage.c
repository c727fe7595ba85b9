/* damage.c - cuts, turned bits, lying sizes and values of wrong kinds. */
#include "damage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attack.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/rng.h"
#include "enc/protobuf.h"

enum { CUTS = 100, ENDS = 4096, ZIP_ENTRIES = 6, MAX_DEPTH = 6, MAX_VARINTS = 400, MAX_NODES = 120 };

static unsigned char *copy_of(struct bytes good)
{
    unsigned char *p = malloc(good.len ? good.len : 1);
    if (!p) abort();
    if (good.len) memcpy(p, good.data, good.len);
    return p;
}

void damage_cuts(const char *path, struct bytes good)
{
    char what[64];
    for (size_t i = 0; i < CUTS; i++) {
        size_t len = good.len / CUTS * i + good.len % CUTS * i / CUTS;
        snprintf(what, sizeof what, "cut to %zu bytes", len);
        attack_bytes(path, good.data, len, what);
    }
}

void damage_bits(const char *path, struct bytes good, unsigned turns)
{
    unsigned char *bad = copy_of(good);
    uint64_t key = hash_bytes(good.data, good.len);
    char what[64];
    for (unsigned i = 0; i < turns && good.len; i++) {
        uint32_t r[4];
        rng_philox(key, 0, i, r);
        size_t ends = good.len < ENDS ? good.len : ENDS, at = r[0] % good.len;
        if (i % 4 == 1) at = r[0] % ends;
        if (i % 4 == 3) at = good.len - 1 - r[0] % ends;
        snprintf(what, sizeof what, "bit %u of byte %zu turned", r[1] % 8, at);
        bad[at] ^= (unsigned char)(1u << r[1] % 8);
        attack_bytes(path, bad, good.len, what);
        bad[at] = good.data[at];
    }
    free(bad);
}

/* Fields of the zip format (APPNOTE 4.3), by signature. */
struct zip_field {
    const char *signature;
    unsigned at, size;
    const char *name;
};
static const struct zip_field zip_fields[] = {
    { "PK\1\2", 8, 2, "flags" },
    { "PK\1\2", 10, 2, "method" },
    { "PK\1\2", 16, 4, "checksum" },
    { "PK\1\2", 20, 4, "compressed size" },
    { "PK\1\2", 24, 4, "size" },
    { "PK\1\2", 28, 2, "length of name" },
    { "PK\1\2", 30, 2, "length of extra field" },
    { "PK\1\2", 32, 2, "length of comment" },
    { "PK\1\2", 42, 4, "offset of header" },
    { "PK\3\4", 8, 2, "local method" },
    { "PK\3\4", 18, 4, "local size" },
    { "PK\3\4", 26, 2, "local length of name" },
    { "PK\3\4", 28, 2, "local length of extra field" },
    { "PK\5\6", 8, 2, "entries on this disk" },
    { "PK\5\6", 10, 2, "entries" },
    { "PK\5\6", 12, 4, "size of directory" },
    { "PK\5\6", 16, 4, "offset of directory" },
    { "PK\5\6", 20, 2, "length of comment" },
};

static void lie_in_zip(const char *path, unsigned char *bad, struct bytes good, size_t at, const struct zip_field *f)
{
    const uint64_t lies[] = { 0, 1, 8, 0x7fff, 0xffff, 0xfffe, good.len - 1, good.len, 0x7fffffff, 0x80000000,
        0xffffffff, 0xfffffffe };
    char what[128];
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        if (f->size == 2 && lies[i] > 0xffff) continue;
        for (unsigned b = 0; b < f->size; b++) bad[at + f->at + b] = (unsigned char)(lies[i] >> 8 * b);
        snprintf(what, sizeof what, "%s %llu in the record at %zu", f->name, (unsigned long long)lies[i], at);
        attack_bytes(path, bad, good.len, what);
    }
    memcpy(bad + at, good.data + at, f->at + f->size);
}

void damage_zip(const char *path, struct bytes good)
{
    unsigned char *bad = copy_of(good);
    for (size_t k = 0; k < sizeof zip_fields / sizeof *zip_fields; k++) {
        const struct zip_field *f = &zip_fields[k];
        const unsigned char *p = good.data;
        for (int n = 0; n < ZIP_ENTRIES; n++, p += 4) {
            p = memmem(p, good.len - (size_t)(p - good.data), f->signature, 4);
            if (!p || good.len - (size_t)(p - good.data) < 46) break;
            lie_in_zip(path, bad, good, (size_t)(p - good.data), f);
        }
        p = good.len >= 22 ? good.data + good.len - 22 : NULL; /* the end record without a comment */
        if (p && !memcmp(p, f->signature, 4)) lie_in_zip(path, bad, good, good.len - 22, f);
    }
    free(bad);
}

struct varints {
    const char *path;
    struct bytes good;
    int n;
};

/* The bytes with the varint of `size` bytes at `at` replaced: what encloses it lies then, too. */
static void lie_in_varint(struct varints *v, size_t at, size_t size)
{
    static const char *const lies[] = { "\0", "\1", "\x7f", "\xff\xff\xff\xff\x07", "\xff\xff\xff\xff\x0f",
        "\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01" };
    unsigned char *bad = malloc(v->good.len + 16);
    char what[64];
    if (!bad) abort();
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        size_t len = i ? strlen(lies[i]) : 1;
        memcpy(bad, v->good.data, at);
        memcpy(bad + at, lies[i], len);
        memcpy(bad + at + len, v->good.data + at + size, v->good.len - at - size);
        snprintf(what, sizeof what, "lie %zu in the varint at %zu", i, at);
        attack_bytes(v->path, bad, v->good.len - size + len, what);
    }
    free(bad);
}

static size_t varint_size(const unsigned char *p)
{
    size_t n = 1;
    while (p[n - 1] & 0x80) n++;
    return n;
}

static void walk_varints(struct varints *v, struct proto *p, int depth)
{
    struct proto_field f;
    struct err e = { 0 };
    while (v->n < MAX_VARINTS && proto_next(p, &f, &e) > 0) {
        size_t at = f.at + varint_size(v->good.data + f.at); /* behind the tag */
        if (f.wire != PROTO_VARINT && f.wire != PROTO_SPAN) continue;
        v->n++;
        lie_in_varint(v, at, varint_size(v->good.data + at));
        if (f.wire == PROTO_VARINT || depth == MAX_DEPTH) continue;
        struct proto inner;
        proto_enter(&inner, p, &f);
        walk_varints(v, &inner, depth + 1); /* what is no message ends at its first byte that is none */
    }
}

void damage_varints(const char *path, struct bytes good)
{
    struct varints v = { path, good, 0 };
    struct proto p;
    proto_init(&p, path, good);
    walk_varints(&v, &p, 0);
}

struct json_damage {
    const char *json_path, *model_path;
    json_t *tree;
    int n;
};

static void attack_json(struct json_damage *d, const char *key, const char *kind)
{
    char what[200];
    if (json_dump_file(d->tree, d->json_path, JSON_ENCODE_ANY)) abort();
    snprintf(what, sizeof what, "\"%.100s\" (value %d) is %s", key, d->n, kind);
    attack(d->model_path, what);
}

static void walk_json(struct json_damage *d, json_t *parent, const char *key, size_t index);

static void walk_children(struct json_damage *d, json_t *tree)
{
    const char *key;
    json_t *child;
    void *next;
    json_object_foreach_safe(tree, next, key, child)
    {
        char *kept = strdup(key);
        walk_json(d, tree, kept, 0);
        free(kept);
    }
    for (size_t i = 0; i < json_array_size(tree) && i < 4; i++) walk_json(d, tree, NULL, i);
}

/* Replaces the value in its parent, and puts it back. */
static void walk_json(struct json_damage *d, json_t *parent, const char *key, size_t index)
{
    static const char *const kinds[] = { "null", "true", "-1", "0", "1e300", "9223372036854775807", "\"\"",
        "\"../x\"", "\"/etc/passwd\"", "[]", "{}", "[[[1]]]", "[{}]", "{\"name\": 1, \"op\": 2}" };
    if (d->n++ >= MAX_NODES) return;
    json_t *was = json_incref(key ? json_object_get(parent, key) : json_array_get(parent, index));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        json_t *lie = json_loads(kinds[i], JSON_DECODE_ANY, NULL);
        if (key) json_object_set_new(parent, key, lie);
        else json_array_set_new(parent, index, lie);
        attack_json(d, key ? key : "item", kinds[i]);
    }
    if (key) json_object_set(parent, key, was);
    else json_array_set(parent, index, was);
    walk_children(d, was);
    json_decref(was);
}

void damage_json(const char *json_path, const char *model_path, const json_t *good)
{
    struct json_damage d = { json_path, model_path, json_deep_copy(good), 0 };
    if (!d.tree) abort();
    walk_children(&d, d.tree);
    json_decref(d.tree);
}
