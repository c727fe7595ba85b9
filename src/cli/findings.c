/* findings.c - looking for pickles and other code in a file of any kind. */
#include "cli/findings.h"

#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/str.h"
#include "cli/unmarked.h"
#include "enc/gzip.h"
#include "enc/zip.h"
#include "format/foreign.h"
#include "format/torch/container.h"

enum {
    LEGACY_PICKLES = 5,       /* torch.save before 1.6: magic, version, system, object, keys; then raw data */
    PICKLES_MAX = 10000,      /* in one file, one behind the other */
    NESTED_MAX = 4,           /* archives in archives */
    INFLATED_MAX = 128 << 20, /* bytes of entries that have to be inflated, all together */
};

struct search {
    struct findings *found;
    struct arena *arena;
    int depth;
    uint64_t left; /* bytes that may still be inflated */
};

static int search_bytes(struct search *s, const char *where, struct bytes data, struct err *e);

static int add(struct search *s, struct finding *f, struct err *e)
{
    struct findings *all = s->found;
    all->n_broken += f->error != NULL;
    for (size_t i = 0; i < f->pickle.n_globals; i++) {
        all->n_dangerous += f->pickle.globals[i]->verdict == PICKLE_DANGEROUS;
        all->n_unknown += f->pickle.globals[i]->verdict == PICKLE_UNKNOWN;
    }
    return ARRAY_PUSH(s->arena, all->list, all->n, all->cap, *f) ? 0 : fail_nomem(e);
}

static bool begins_pickle(struct bytes data, size_t at)
{
    return data.len - at >= 2 && data.data[at] == 0x80 && data.data[at + 1] >= 1 && data.data[at + 1] <= 5;
}

/* torch.save's old form begins with this number, pickled: 0x1950a86a20f9469cfc6c. */
static bool is_legacy_torch(const struct pickle *first)
{
    static const unsigned char magic[] = { 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19 };
    const struct pickle_value *v = first->root;
    return v && v->kind == PICKLE_LONG && v->text.len >= sizeof magic && !memcmp(v->text.s, magic, sizeof magic);
}

/* Pickles one behind the other, from `at` on. */
static int search_pickles(
    struct search *s, const char *where, const char *what, struct bytes data, size_t at, struct err *e)
{
    size_t limit = PICKLES_MAX;
    for (size_t i = 0; i < limit && at < data.len && (!i || begins_pickle(data, at)); i++) {
        struct finding f = { .where = where, .what = what };
        struct err bad = { 0 };
        if (i) f.where = arena_printf(s->arena, "%s%spickle %zu", where, where[0] ? ", " : "", i + 1);
        TRY_MEM(f.where, e);
        int code = pickle_read(&f.pickle, s->arena, where[0] ? where : "pickle", data, at, &bad);
        if (code == ERR_NOMEM) return fail_nomem(e);
        if (code) TRY_MEM(f.error = arena_strdup(s->arena, bad.text), e);
        TRY(add(s, &f, e));
        if (code) return 0;
        if (!i && is_legacy_torch(&f.pickle)) limit = LEGACY_PICKLES, s->found->kind = "PyTorch file (before 1.6)";
        at = f.pickle.end;
    }
    return 0;
}

/* An array of objects is a pickle behind the header. */
static int search_npy(struct search *s, const char *where, struct bytes data, struct err *e)
{
    size_t fixed = data.len > 6 && data.data[6] == 1 ? 10 : 12;
    if (data.len < fixed) return 0;
    size_t len = (size_t)data.data[8] | (size_t)data.data[9] << 8;
    if (fixed == 12) len |= (size_t)data.data[10] << 16 | (size_t)data.data[11] << 24;
    if (len > data.len - fixed) return 0;
    const char *header = (const char *)data.data + fixed, *descr = memmem(header, len, "descr", 5);
    const char *end = header + len, *stop = descr ? memchr(descr, ',', (size_t)(end - descr)) : NULL;
    if (!stop || !memchr(descr, 'O', (size_t)(stop - descr))) return 0;
    return search_pickles(s, where, "object array", data, fixed + len, e);
}

/* Keras keeps a Lambda layer's function as Python bytecode (or names a function) in its JSON. */
static int search_lambda(struct search *s, const char *where, struct bytes data, struct err *e)
{
    static const char *const spellings[] = { "\"class_name\": \"Lambda\"", "\"class_name\":\"Lambda\"",
        "\"__lambda__\"" };
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        if (!data.len || !memmem(data.data, data.len, spellings[i], strlen(spellings[i]))) continue;
        s->found->n_unknown++;
        return add(s, &(struct finding){ .where = where, .what = "Lambda layer" }, e);
    }
    return 0;
}

static bool is_pickle_name(const char *name)
{
    return str_ends(name, ".pkl") || str_ends(name, ".pickle");
}

static int search_entry(struct search *s, const char *name, struct bytes data, struct err *e)
{
    if (is_pickle_name(name)) return search_pickles(s, name, "pickle", data, 0, e);
    return search_bytes(s, name, data, e);
}

/* What an entry may hide; weights and the like are not even inflated. */
static bool is_worth_reading(const char *name)
{
    static const char *const endings[] = { ".pkl", ".pickle", ".pk", ".joblib", ".sav", ".dat", ".ckpt", ".npy", ".npz",
        ".json", ".h5", ".hdf5", ".pt", ".pth", ".bin", ".zip", ".tar", ".gz", ".keras", ".pt2", "/byteorder" };
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (str_ends(name, endings[i])) return true;
    return false;
}

static int search_zip(struct search *s, const char *where, struct bytes data, struct err *e)
{
    struct zip z;
    if (s->depth >= NESTED_MAX) return fail(e, ERR_MODEL, "%s: archives are nested too deeply", where);
    TRY(zip_open(&z, s->arena, where[0] ? where : "archive", data, e));
    s->depth++;
    for (size_t i = 0; i < z.n; i++) {
        const struct zip_entry *entry = &z.entries[i];
        const char *name = arena_printf(s->arena, "%s%s%s", where, where[0] ? "/" : "", entry->name);
        struct bytes inner;
        TRY_MEM(name, e);
        s->found->sources += strstr(entry->name, "code/") && str_ends(entry->name, ".py");
        if (!is_worth_reading(entry->name)) continue;
        struct err bad = { 0 };
        bool stored = entry->method == ZIP_STORED;
        int code = zip_read(&z, entry, s->arena, stored ? UINT64_MAX : s->left, 0, &inner, &bad);
        if (!code && !stored) s->left -= inner.len;
        if (!code) code = search_entry(s, name, inner, &bad);
        if (code == ERR_NOMEM) return fail_nomem(e);
        if (!code) continue;
        struct finding f = { .where = name, .what = "entry", .error = arena_strdup(s->arena, bad.text) };
        TRY_MEM(f.error, e);
        TRY(add(s, &f, e));
    }
    s->depth--;
    return 0;
}

/* PyTorch's oldest form: pickles in a tar archive, also one behind the other. */
static int search_tar(struct search *s, const char *where, struct bytes data, struct err *e)
{
    char name[TAR_NAME + 1];
    struct bytes inner;
    size_t at = 0;
    if (s->depth >= NESTED_MAX) return fail(e, ERR_MODEL, "%s: archives are nested too deeply", where);
    s->depth++;
    for (int i = 0; i < PICKLES_MAX && tar_next(data, &at, name, &inner); i++) {
        const char *path = arena_printf(s->arena, "%s%s%s", where, where[0] ? "/" : "", name);
        TRY_MEM(path, e);
        TRY(search_bytes(s, path, inner, e));
    }
    s->depth--;
    return 0;
}

static int search_packed(struct search *s, const char *where, const char *by, struct err *e)
{
    struct finding f = { .where = where, .what = "compressed file" };
    TRY_MEM(f.error = arena_printf(s->arena, "packed by %s: unpack it, and scan what comes out", by), e);
    return add(s, &f, e);
}

/* One that claims more than may be inflated stays packed, and is told. */
static int search_gzip(struct search *s, const char *where, struct bytes data, struct err *e)
{
    const unsigned char *end = data.data + data.len;
    struct bytes inner;
    struct err bad = { 0 };
    if (s->depth >= NESTED_MAX) return fail(e, ERR_MODEL, "%s: archives are nested too deeply", where);
    uint32_t claimed = data.len < 18
        ? 0
        : (uint32_t)end[-4] | (uint32_t)end[-3] << 8 | (uint32_t)end[-2] << 16 | (uint32_t)end[-1] << 24;
    if (claimed > s->left) return search_packed(s, where, "gzip", e);
    const char *name = arena_printf(s->arena, "%s%sunpacked", where, where[0] ? "/" : "");
    TRY_MEM(name, e);
    int code = gzip_read(&inner, s->arena, where[0] ? where : "gzip", data, &bad);
    if (code == ERR_NOMEM) return fail_nomem(e);
    if (code) {
        struct finding f = { .where = where, .what = "compressed file", .error = arena_strdup(s->arena, bad.text) };
        TRY_MEM(f.error, e);
        return add(s, &f, e);
    }
    s->left -= inner.len;
    s->depth++;
    TRY(search_bytes(s, name, inner, e));
    s->depth--;
    return 0;
}

static bool begins(struct bytes data, const char *magic, size_t len)
{
    return data.len >= len && !memcmp(data.data, magic, len);
}

/* By content. */
static int search_bytes(struct search *s, const char *where, struct bytes data, struct err *e)
{
    const char **kind = &s->found->kind;
    const char *unused = NULL;
    if (where[0]) kind = &unused; /* of something inside */
    if (zip_is(data)) return *kind = "zip archive", search_zip(s, where, data, e);
    if (tar_is(data)) return *kind = "tar archive", search_tar(s, where, data, e);
    if (begins_pickle(data, 0)) return *kind = "pickle", search_pickles(s, where, "pickle", data, 0, e);
    if (begins(data, "\x93NUMPY", 6)) return *kind = "NumPy array", search_npy(s, where, data, e);
    if (begins(data, "\x89HDF\r\n\x1a\n", 8)) return *kind = "HDF5", search_lambda(s, where, data, e);
    if (begins(data, "{", 1)) return *kind = "JSON", search_lambda(s, where, data, e);
    if (gzip_is(data)) return *kind = "gzip file", search_gzip(s, where, data, e);
    const char *by = foreign_packed_by(data); /* joblib and pandas unpack such by themselves */
    if (by) return search_packed(s, where, by, e);
    return pickle_is_unmarked(data) ? search_pickles(s, where, "pickle", data, 0, e) : 0;
}

int findings_collect(struct findings *f, struct arena *a, const char *path, struct bytes file, struct err *e)
{
    *f = (struct findings){ 0 };
    struct search s = { f, a, 0, INFLATED_MAX };
    if (is_pickle_name(path) && !zip_is(file)) f->kind = "pickle";
    int code = f->kind ? search_pickles(&s, "", "pickle", file, 0, e) : search_bytes(&s, "", file, e);
    return code ? err_prefix(e, "%s", path) : 0;
}
