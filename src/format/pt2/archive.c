/* archive.c - the layouts of .pt2 archives: where the program and its weights are. */
#include <ctype.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "format/format.h"
#include "format/pt2/program.h"
#include "graph/tensor.h"

enum { JSON_MAX = 512 << 20 /* bytes of a program */, CONFIG_MAX = 128 << 20 };

static const char old_program[] = "serialized_exported_program.json";

bool program_is(struct bytes file)
{
    struct arena a;
    struct zip z;
    struct err ignored = { 0 };
    bool is = false;
    arena_init(&a, NULL);
    if (zip_is(file) && !zip_open(&z, &a, "", file, &ignored))
        for (size_t i = 0; i < z.n; i++) {
            const char *name = z.entries[i].name;
            is |= !strcmp(name, old_program) || str_ends(name, "/archive_format") || !strcmp(name, "archive_format");
        }
    arena_release(&a);
    return is;
}

static const struct zip_entry *find(struct program *p, const char *name)
{
    const char *full = arena_printf(&p->scratch, "%s%s", p->root, name);
    if (!full) fail_nomem(p->err);
    return full ? zip_find(&p->zip, full) : NULL;
}

static int read_entry(struct program *p, const struct zip_entry *entry, uint64_t limit, struct bytes *out)
{
    return zip_read(&p->zip, entry, &p->scratch, limit, 0, out, p->err);
}

static int read_json(struct program *p, const struct zip_entry *entry, uint64_t limit, const json_t **out)
{
    struct bytes text;
    json_t *json;
    TRY(read_entry(p, entry, limit, &text));
    TRY(json_parse(&p->scratch, entry->name, text, &json, p->err));
    *out = json;
    return 0;
}

/* Weights that are a file of torch.save inside the archive. */
static int read_saved(struct program *p, const struct zip_entry *entry, struct map *into)
{
    struct format_file inner = { .path = entry->name };
    struct weights *w = ARENA_NEW(&p->scratch, struct weights);
    TRY_MEM(w, p->err);
    TRY(read_entry(p, entry, UINT64_MAX, &inner.bytes));
    if (!inner.bytes.len) return 0;
    if (entry->method == ZIP_STORED) inner.blob = p->file->blob;
    TRY(weights_read(w, p->eval.t.g->arena, &inner, "", p->report, p->err));
    for (size_t i = 0; i < w->n; i++)
        if (!map_set(into, w->list[i].path, &w->list[i])) return fail_nomem(p->err);
    return 0;
}

/* Sizes, strides and offset of a description are numbers here, or {"as_int": number}. */
static bool plain_int(const json_t *x, int64_t *out)
{
    const char *tag;
    if (json_is_object(x)) x = union_get(x, &tag);
    if (!json_is_integer(x)) return false;
    *out = json_integer_value(x);
    return true;
}

static int plain_ints(struct program *p, const json_t *list, const char *what, int64_t *out, int *n)
{
    *n = (int)json_array_size(list);
    if (json_array_size(list) > SHAPE_MAX) return fail(p->err, ERR_UNSUPPORTED, "more than %d %s", SHAPE_MAX, what);
    for (int i = 0; i < *n; i++)
        if (!plain_int(json_array_get(list, (size_t)i), &out[i]))
            return fail(p->err, ERR_MODEL, "a weight whose %s are no numbers", what);
    return 0;
}

/* {"path_name": "weight_0", "is_param": .., "use_pickle": .., "tensor_meta": {..}} in data/weights or data/constants */
static int read_record(struct program *p, const char *folder, const char *key, const json_t *x, struct map *into)
{
    const char *path = json_string_value(json_object_get(x, "path_name"));
    const json_t *meta = json_object_get(x, "tensor_meta");
    int64_t sizes[SHAPE_MAX], strides[SHAPE_MAX], offset = 0;
    int rank, n;
    if (!path) return fail(p->err, ERR_MODEL, "%s: no path of \"%s\"", folder, key);
    if (!json_is_object(meta)) return 0; /* an object that is no tensor, pickled or not: a call that takes it fails */
    if (json_is_true(json_object_get(x, "use_pickle"))) {
        const char *name = arena_printf(&p->scratch, "%s/%s", folder, path);
        const struct zip_entry *entry = name ? find(p, name) : NULL;
        struct map one = map_in(&p->scratch);
        if (!entry) return fail(p->err, ERR_MODEL, "no record \"%s/%s\"", folder, path);
        TRY(read_saved(p, entry, &one));
        if (!one.n) return fail(p->err, ERR_MODEL, "no tensor in the record \"%s/%s\"", folder, path);
        return map_set(into, key, one.entries[0].value) ? 0 : fail_nomem(p->err);
    }
    struct weight *w = ARENA_NEW(&p->scratch, struct weight);
    TRY_MEM(w, p->err);
    enum dtype t = program_dtype(json_integer_value(json_object_get(meta, "dtype")));
    if (t == DT_NONE) return fail(p->err, ERR_UNSUPPORTED, "weight \"%s\" has a type that is not known", key);
    TRY(plain_ints(p, json_object_get(meta, "sizes"), "sizes", sizes, &rank));
    TRY(plain_ints(p, json_object_get(meta, "strides"), "strides", strides, &n));
    if (n != rank) return fail(p->err, ERR_MODEL, "weight \"%s\" has %d sizes and %d strides", key, rank, n);
    if (json_object_get(meta, "storage_offset") && !plain_int(json_object_get(meta, "storage_offset"), &offset))
        return fail(p->err, ERR_MODEL, "weight \"%s\" has no offset", key);
    *w = (struct weight){ .path = key, .name = key };
    w->tensor = archive_view(&p->archive, folder, path, t, offset, rank, sizes, strides, &w->identity);
    if (!w->tensor) return err_prefix(p->err, "weight \"%s\"", key);
    return map_set(into, key, w) ? 0 : fail_nomem(p->err);
}

/* `kind`: "weights", "constants"; the second name is that of archives which PyTorch's C++ code writes. */
static int read_config(struct program *p, const char *folder, const char *kind, struct map *into)
{
    const char *name = arena_printf(&p->scratch, "%s/%s_%s_config.json", folder, p->name, kind);
    const char *other = arena_printf(
        &p->scratch, "%s/%s_model_%s_config.json", folder, p->name, strcmp(kind, "weights") ? kind : "param");
    const struct zip_entry *entry = name ? find(p, name) : NULL;
    if (!entry && other) entry = find(p, other);
    const json_t *json;
    const char *key;
    json_t *value;
    if (!entry) {
        const char *saved = arena_printf(&p->scratch, "%s/%s.pt", folder, p->name);
        if (saved && (entry = find(p, saved))) return read_saved(p, entry, into);
        return p->err->code;
    }
    TRY(read_json(p, entry, CONFIG_MAX, &json));
    const json_t *config = json_object_get(json, "config");
    json_object_foreach((json_t *)(uintptr_t)(config ? config : json), key, value)
        TRY(read_record(p, folder, key, value, into));
    return 0;
}

static int read_weights(struct program *p)
{
    static const char *const endings[] = { ".json", ".pt" };
    if (p->name) {
        TRY(read_config(p, "data/weights", "weights", &p->weights));
        return read_config(p, "data/constants", "constants", &p->constants);
    }
    for (int i = 0; i < 2; i++) {
        const char *state = arena_printf(&p->scratch, "serialized_state_dict%s", endings[i]);
        const char *constants = arena_printf(&p->scratch, "serialized_constants%s", endings[i]);
        if (!state || !constants) return fail_nomem(p->err);
        const struct zip_entry *a = find(p, state), *b = find(p, constants);
        if (a) TRY(read_saved(p, a, &p->weights));
        if (b) TRY(read_saved(p, b, &p->constants));
    }
    return p->err->code;
}

/* models/NAME.json; "model" if there are several. */
static const struct zip_entry *find_program(struct program *p)
{
    const struct zip_entry *found = NULL;
    size_t n = 0;
    for (size_t i = 0; i < p->zip.n; i++) {
        const char *name = p->zip.entries[i].name + strlen(p->root);
        if (strncmp(p->zip.entries[i].name, p->root, strlen(p->root)) || !str_starts(name, "models/") ||
            !str_ends(name, ".json"))
            continue;
        const char *own = arena_strndup(&p->scratch, name + 7, strlen(name) - 7 - 5);
        if (!own) return fail_nomem(p->err), NULL;
        if (n++ && strcmp(own, "model")) continue;
        found = &p->zip.entries[i];
        p->name = own;
    }
    if (n > 1) report_add(p->report, REPORT_GUESS, "", "the program \"%s\", one of %zu in the archive", p->name, n);
    return found;
}

enum { ARCHIVE_VERSION = 0, SCHEMA_VERSION = 8 };

/* Newer ones than known may be read all the same; if not, this says why. */
static int check_versions(struct program *p)
{
    const struct zip_entry *entry = find(p, "archive_version");
    const json_t *schema = json_object_get(p->json, "schema_version"), *major = json_object_get(schema, "major");
    struct bytes text = { 0 };
    long archive = 0;
    if (entry) TRY(read_entry(p, entry, 64, &text));
    for (size_t i = 0; i < text.len && isdigit(text.data[i]) && archive < 100000; i++)
        archive = archive * 10 + text.data[i] - '0';
    json_int_t version = json_integer_value(json_is_integer(major) ? major : schema);
    if (archive > ARCHIVE_VERSION)
        report_add(
            p->report, REPORT_WARNING, "", "version %ld of .pt2 archives; %d is known", archive, ARCHIVE_VERSION);
    if (version > SCHEMA_VERSION)
        report_add(p->report, REPORT_WARNING, "", "version %lld of torch.export's programs; up to %d is known",
            (long long)version, SCHEMA_VERSION);
    return 0;
}

int program_open(struct program *p, struct report *report)
{
    const struct format_file *file = p->file;
    TRY(zip_open(&p->zip, &p->scratch, file->path, file->bytes, p->err));
    p->root = "";
    if (!p->zip.n) return fail(p->err, ERR_MODEL, "an empty zip archive");
    const struct zip_entry *entry = zip_find(&p->zip, old_program);
    if (!entry) {
        const char *first = p->zip.entries[0].name, *slash = strchr(first, '/');
        bool rooted = slash && !zip_find(&p->zip, "archive_format");
        p->root = rooted ? arena_strndup(&p->scratch, first, (size_t)(slash - first) + 1) : "";
        TRY_MEM(p->root, p->err);
        archive_init(&p->archive, &p->scratch, p->eval.t.g->arena, file, p->err);
        p->archive.zip = p->zip;
        p->archive.root = p->root;
        entry = find_program(p);
    }
    if (p->err->code) return p->err->code;
    if (!entry)
        return fail(p->err, ERR_UNSUPPORTED,
            "no program in the archive (models/NAME.json); compiled packages of AOTInductor hold none");
    TRY(read_json(p, entry, JSON_MAX, &p->json));
    TRY(check_versions(p));
    return read_weights(p);
}
