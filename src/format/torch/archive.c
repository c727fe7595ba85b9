/* archive.c - finding records, reading code and pickles of an archive of PyTorch's. */
#include "format/torch/archive.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "format/format.h"

enum {
    CODE_MAX = 64 << 20,   /* bytes of one source file */
    PICKLE_MAX = 512 << 20 /* bytes of a pickle */
};

bool archive_is(struct bytes file)
{
    return zip_is(file);
}

const struct zip_entry *archive_find(struct archive *r, const char *name)
{
    const char *full = r->root ? arena_printf(r->arena, "%s%s", r->root, name) : NULL;
    if (r->root && !full) fail_nomem(r->err);
    return full ? zip_find(&r->zip, full) : NULL;
}

int archive_read(struct archive *r, const struct zip_entry *entry, struct bytes *out)
{
    return zip_read(&r->zip, entry, r->arena, UINT64_MAX, 0, out, r->err);
}

static int read_version(struct archive *r)
{
    struct bytes text;
    const struct zip_entry *entry = archive_find(r, ".data/version");
    if (!entry) entry = archive_find(r, "version");
    if (r->err->code) return r->err->code;
    if (!entry) return fail(r->err, ERR_MODEL, "no record \"version\": this is no archive of PyTorch");
    TRY(zip_read(&r->zip, entry, r->arena, 32, 0, &text, r->err));
    char number[33] = { 0 };
    memcpy(number, text.data, text.len);
    r->version = atoi(number);
    return r->version > 0 ? 0 : fail(r->err, ERR_MODEL, "the record \"version\" holds no number");
}

static int check_byteorder(struct archive *r)
{
    struct bytes text;
    const struct zip_entry *entry = archive_find(r, "byteorder");
    if (!entry) return r->err->code;
    TRY(zip_read(&r->zip, entry, r->arena, 32, 0, &text, r->err));
    if (text.len >= 3 && !memcmp(text.data, "big", 3))
        return fail(r->err, ERR_UNSUPPORTED, "saved on a big-endian machine; save it on a little-endian one");
    return 0;
}

int archive_check_script(struct archive *r)
{
    if (archive_find(r, "model.json"))
        return fail(r->err, ERR_UNSUPPORTED,
            "an archive of PyTorch 1.0 to 1.2 (model.json); load and save it with PyTorch 1.3 or later");
    if (!archive_find(r, "constants.pkl"))
        return fail(r->err, ERR_UNSUPPORTED, "no \"constants.pkl\": this is no TorchScript archive");
    return archive_find(r, "data.pkl") ? 0 : fail(r->err, ERR_MODEL, "no record \"data.pkl\"");
}

void archive_init(struct archive *r, struct arena *a, struct arena *keep, const struct format_file *file, struct err *e)
{
    *r = (struct archive){ .arena = a, .keep = keep, .err = e, .path = file->path, .blob = file->blob };
    r->files = map_in(a);
    r->storages = map_in(a);
    r->tensors = map_in(a);
}

int archive_open(struct archive *r, struct arena *a, struct arena *keep, const struct format_file *file, struct err *e)
{
    archive_init(r, a, keep, file, e);
    TRY(zip_open(&r->zip, a, file->path, file->bytes, e));
    if (!r->zip.n) return fail(e, ERR_MODEL, "an empty zip archive");
    const char *first = r->zip.entries[0].name, *slash = strchr(first, '/');
    if (!slash)
        return fail(e, ERR_MODEL, "its first record, \"%s\", is in no folder: this is no archive of PyTorch", first);
    TRY_MEM(r->root = arena_strndup(a, first, (size_t)(slash - first) + 1), e);
    TRY(check_byteorder(r));
    return read_version(r);
}

static void warn_of_globals(const struct archive *r, const struct pickle *p, const char *name, struct report *report)
{
    for (size_t i = 0; i < p->n_globals; i++) {
        const struct pickle_global *g = p->globals[i];
        if (g->verdict == PICKLE_UNKNOWN && !str_starts(g->module, "__torch__"))
            report_add(report, REPORT_WARNING, arena_printf(r->arena, "%s:%zu", name, g->at),
                "unknown class %s.%s, kept as it is", g->module, g->name);
    }
}

int archive_pickle_at(
    struct archive *r, const char *name, struct bytes data, size_t *at, struct pickle *out, struct report *report)
{
    const char *path = arena_printf(r->arena, "%s:%s", r->path, name);
    TRY_MEM(path, r->err);
    TRY(pickle_read(out, r->arena, path, data, *at, r->err));
    TRY(pickle_check(out, path, r->err));
    if (report) warn_of_globals(r, out, name, report);
    *at = out->end;
    return 0;
}

struct pickle_value *archive_pickle(struct archive *r, const char *name, struct report *report)
{
    const struct zip_entry *entry = archive_find(r, name);
    struct bytes data;
    struct pickle p = { 0 };
    size_t at = 0;
    if (!entry) return fail(r->err, ERR_MODEL, "no record \"%s\"", name), NULL;
    if (zip_read(&r->zip, entry, r->arena, PICKLE_MAX, 0, &data, r->err)) return NULL;
    return archive_pickle_at(r, name, data, &at, &p, report) ? NULL : p.root;
}

/* "__torch__.torch.nn" is in code/__torch__/torch/nn.py */
static struct ts_file *load_code(struct archive *r, const char *prefix)
{
    char *path = arena_printf(r->arena, "code/%s.py", prefix);
    if (!path) return fail_nomem(r->err), NULL;
    for (char *s = path + 5; s < path + strlen(path) - 3; s++)
        if (*s == '.') *s = '/';
    const struct zip_entry *entry = archive_find(r, path);
    struct bytes text;
    const char *kept = arena_strdup(r->arena, prefix);
    if (!kept) return fail_nomem(r->err), NULL;
    if (!entry || zip_read(&r->zip, entry, r->arena, CODE_MAX, 0, &text, r->err)) return NULL;
    return ts_parse(r->arena, path, kept, text, r->err);
}

struct ts_file *archive_code(struct archive *r, const char *prefix)
{
    const struct map_entry *known = map_find(&r->files, prefix);
    if (known) return known->value;
    struct ts_file *file = load_code(r, prefix);
    if (r->err->code) return NULL;
    if (!map_set(&r->files, prefix, file)) return fail_nomem(r->err), NULL;
    return file;
}
