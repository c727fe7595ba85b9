/* weights.c - weights from files without a structure, whatever their kind, and into a graph. */
#include "format/weights/weights.h"

#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "enc/json.h"
#include "enc/zip.h"
#include "format/safetensors.h"
#include "format/torch/container.h"
#include "graph/npy_tensor.h"

enum {
    INDEX_MAX = 256 << 20, /* bytes of an index of shards */
    SHARDS_MAX = 4096,
};

int weights_add(struct weights *w, const struct weight *x, struct err *e)
{
    if (!ARRAY_PUSH(w->facts.arena, w->list, w->n, w->cap, *x)) return fail_nomem(e);
    return 0;
}

/* One kind of file. `read` puts tensors into w->list, and chooses, where the kind has anything to choose from. */
struct kind {
    bool (*is)(struct bytes file, const char *path);
    int (*read)(struct weights *w, struct arena *a, const struct format_file *file, const char *key,
        struct report *report, struct err *e);
};

static int add_safetensors(struct weights *w, struct arena *a, const struct format_file *file, struct err *e)
{
    struct safetensors *s = ARENA_NEW(a, struct safetensors);
    TRY_MEM(s, e);
    TRY(safetensors_read(s, a, file->path, file->bytes, file->blob, e));
    for (size_t i = 0; i < s->n; i++) {
        const char *name = s->entries[i].name;
        TRY(weights_add(w, &(struct weight){ .path = name, .name = name, .tensor = &s->entries[i].tensor }, e));
    }
    for (size_t i = 0; i < s->metadata.n; i++)
        if (!map_set(&w->facts, s->metadata.entries[i].key, s->metadata.entries[i].value)) return fail_nomem(e);
    return 0;
}

static int read_safetensors(struct weights *w, struct arena *a, const struct format_file *file, const char *key,
    struct report *report, struct err *e)
{
    w->format = "safetensors";
    return add_safetensors(w, a, file, e);
}

static bool is_safetensors(struct bytes file, const char *path)
{
    return safetensors_is(file);
}

/* {"metadata": .., "weight_map": {"a.weight": "model-00001-of-00002.safetensors", ..}} */
static bool is_index(struct bytes file, const char *path)
{
    size_t n = file.len < 1 << 16 ? file.len : 1 << 16;
    return str_ends(path, ".json") && n && memmem(file.data, n, "\"weight_map\"", 12) != NULL;
}

static int read_shard(struct weights *w, struct arena *a, const struct format_file *index, const char *name,
    struct report *report, struct err *e)
{
    struct format_file shard = { .path = name };
    if (!file_is_inside(name)) return fail(e, ERR_UNSAFE, "the shard \"%s\" leaves the folder of its index", name);
    if (index->beside) TRY(index->beside(index->cookie, name, &shard.bytes, e));
    else {
        const char *dir = file_dir(a, index->path);
        TRY_MEM(shard.path = dir ? file_join(a, dir, name) : NULL, e);
        if (!(shard.blob = mapped_file(a, shard.path, &shard.bytes, e))) return e->code;
    }
    if (safetensors_is(shard.bytes)) return add_safetensors(w, a, &shard, e);
    return weights_of_torch(w, a, &shard, "", report, e) ? err_prefix(e, "%s", name) : 0;
}

static int check_map(const struct weights *w, const json_t *map, struct arena *a, struct err *e)
{
    struct map have = map_in(a);
    const char *name;
    json_t *value;
    for (size_t i = 0; i < w->n; i++)
        if (!map_set(&have, w->list[i].path, (void *)&w->list[i])) return fail_nomem(e);
    json_object_foreach((json_t *)(uintptr_t)map, name, value) if (!map_get(&have, name)) return fail(
        e, ERR_MODEL, "the index names a tensor \"%s\" that is in none of its files", name);
    return 0;
}

static int read_index(struct weights *w, struct arena *a, const struct format_file *file, const char *key,
    struct report *report, struct err *e)
{
    json_t *json;
    const char *name;
    json_t *value;
    struct map shards = map_in(a);
    if (file->bytes.len > INDEX_MAX) return fail(e, ERR_MODEL, "an index of more than %d MB", INDEX_MAX >> 20);
    TRY(json_parse(a, file->path, file->bytes, &json, e));
    const json_t *map = json_object_get(json, "weight_map");
    json_object_foreach((json_t *)(uintptr_t)map, name, value)
    {
        const char *shard = json_string_value(value);
        if (!shard) return fail(e, ERR_MODEL, "the index says no file for \"%s\"", name);
        if (!map_get(&shards, shard) && !map_set(&shards, shard, &shards)) return fail_nomem(e);
    }
    if (!shards.n || shards.n > SHARDS_MAX) return fail(e, ERR_MODEL, "an index of %zu files", shards.n);
    for (size_t i = 0; i < shards.n; i++) TRY(read_shard(w, a, file, shards.entries[i].key, report, e));
    w->format = arena_printf(a, "%s in %zu files", w->format ? w->format : "safetensors", shards.n);
    TRY_MEM(w->format, e);
    return check_map(w, map, a, e);
}

/* A zip whose entries are arrays; PyTorch's have folders and none that ends so. */
static bool is_npz(struct bytes file, const char *path)
{
    enum { HEADER = 30, NAME_LENGTH = 26 };
    if (!zip_is(file) || file.len < HEADER) return false;
    size_t n = (size_t)file.data[NAME_LENGTH] | (size_t)file.data[NAME_LENGTH + 1] << 8;
    return file.len - HEADER >= n && n > 4 && !memcmp(file.data + HEADER + n - 4, ".npy", 4);
}

/* In the file where it is stored and aligned; its pages were read to check them, and are let go of. */
static int npz_tensor(
    struct tensor **t, struct arena *a, const struct format_file *file, const struct npy *array, struct err *e)
{
    bool inside = file->blob && blob_holds(file->blob, array->data.data, array->data.len);
    TRY((inside ? tensor_view_npy : tensor_from_npy)(t, a, array, file->path, e));
    if (inside && !(*t)->blob) (*t)->blob = file->blob;
    blob_forget(file->blob, array->data.data, array->data.len);
    return 0;
}

static int read_npz(struct weights *w, struct arena *a, const struct format_file *file, const char *key,
    struct report *report, struct err *e)
{
    struct zip z;
    w->format = "NumPy .npz";
    TRY(zip_open(&z, a, file->path, file->bytes, e));
    for (size_t i = 0; i < z.n; i++) {
        struct npy array;
        struct tensor *t;
        size_t len = strlen(z.entries[i].name);
        if (!str_ends(z.entries[i].name, ".npy")) continue;
        char *name = arena_strndup(a, z.entries[i].name, len - 4);
        TRY_MEM(name, e);
        if (npz_read(&array, a, &z, name, UINT64_MAX, e) || npz_tensor(&t, a, file, &array, e)) return e->code;
        TRY(weights_add(w, &(struct weight){ .path = name, .name = name, .tensor = t }, e));
    }
    return 0;
}

/* By its records: what torch.jit.save writes has constants beside the object. */
static bool is_torch_zip(struct bytes file)
{
    struct arena a;
    struct zip z;
    struct err ignored = { 0 };
    bool object = false, constants = false;
    arena_init(&a, NULL);
    if (!zip_open(&z, &a, "", file, &ignored))
        for (size_t i = 0; i < z.n; i++) {
            object |= str_ends(z.entries[i].name, "/data.pkl");
            constants |= str_ends(z.entries[i].name, "/constants.pkl");
        }
    arena_release(&a);
    return object && !constants;
}

static bool is_torch(struct bytes file, const char *path)
{
    return zip_is(file) ? is_torch_zip(file) : container_is(file) != CONTAINER_NONE;
}

static const struct kind kinds[] = {
    { is_safetensors, read_safetensors },
    { is_index, read_index },
    { is_npz, read_npz },
    { is_torch, weights_of_torch },
};

bool weights_is(struct bytes file, const char *path)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].is(file, path)) return true;
    return false;
}

/* Wrappers that only put a word in front of every name: DataParallel, torch.compile. */
static int strip_wrappers(struct weights *w, struct report *report)
{
    static const char *const words[] = { "module.", "_orig_mod." };
    for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
        size_t with = 0, all = 0;
        for (size_t i = 0; i < w->n; i++) {
            all += w->list[i].name != NULL;
            with += w->list[i].name && str_starts(w->list[i].name, words[k]);
        }
        if (!all || with < all) continue;
        for (size_t i = 0; i < w->n; i++)
            if (w->list[i].name) w->list[i].name += strlen(words[k]);
        report_add(report, REPORT_NOTE, "", "every name begins with \"%s\", which is left out", words[k]);
    }
    return 0;
}

/* What stands in front of the name's last but one dot and everything behind: the parts that --key may name. */
static int find_groups(struct weights *w, struct arena *a, struct err *e)
{
    for (size_t i = 0; i < w->n; i++) {
        const char *path = w->list[i].path, *dot = strchr(path, '.');
        char *first = arena_strndup(a, path, dot ? (size_t)(dot - path) : 0);
        TRY_MEM(first, e);
        uintptr_t n = (uintptr_t)map_get(&w->groups, first) + 1;
        if (!map_set(&w->groups, first, (void *)n)) return fail_nomem(e);
    }
    return 0;
}

static int index_names(struct weights *w, const char *path, const char *key, struct err *e)
{
    for (size_t i = 0; i < w->n; i++) {
        struct weight *x = &w->list[i];
        if (!x->name) continue;
        w->n_chosen++;
        if (!map_set(&w->by_name, x->name, x)) return fail_nomem(e);
    }
    if (w->n_chosen || !key || !key[0]) return 0;
    struct str all = str_in(w->facts.arena);
    for (size_t i = 0; i < w->groups.n && i < 20; i++) str_addf(&all, "%s%s", i ? ", " : "", w->groups.entries[i].key);
    return fail(e, ERR_USAGE, "%s: no tensors below --key %s (there are: %s)", path, key, str_done(&all));
}

/* A key in a file of a kind that has no parts of its own: what its names begin with. */
static void choose_by_prefix(struct weights *w, const char *key)
{
    size_t len = strlen(key);
    w->key = key;
    for (size_t i = 0; i < w->n; i++) {
        struct weight *x = &w->list[i];
        x->name = !strncmp(x->path, key, len) && x->path[len] == '.' ? x->path + len + 1 : NULL;
    }
}

int weights_read(struct weights *w, struct arena *a, const struct format_file *file, const char *key,
    struct report *report, struct err *e)
{
    *w = (struct weights){ .key = "", .groups = map_in(a), .by_name = map_in(a), .facts = map_in(a) };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!kinds[i].is(file->bytes, file->path)) continue;
        if (kinds[i].read(w, a, file, key, report, e)) {
            if (e->code == ERR_DATA) e->code = ERR_MODEL;
            return str_starts(e->text, file->path) ? e->code : err_prefix(e, "%s", file->path);
        }
        if (key && key[0] && kinds[i].read != weights_of_torch) choose_by_prefix(w, key);
        TRY(find_groups(w, a, e));
        TRY(strip_wrappers(w, report));
        return index_names(w, file->path, key, e);
    }
    return fail(e, ERR_MODEL, "%s: no weights that are known here (safetensors, PyTorch's, .npz)", file->path);
}
