/* bundle.c - opening a package: the container, the manifest, the graph in it, labels. */
#include "package/bundle.h"

#include <string.h>

#include "base/err.h"
#include "enc/json.h"
#include "enc/zip.h"

enum { MAX_TEXT = 16 << 20 };

/* The manifest is the first entry: its name is in the first local header. */
static bool begins_as_package(struct bytes file)
{
    static const char name[] = "manifest.json";
    enum { HEADER = 30 };
    return file.len >= HEADER + sizeof name - 1 && !memcmp(file.data + HEADER, name, sizeof name - 1);
}

static int find_container(struct model *m, struct format_file *file, bool *found, struct err *e)
{
    if (file_is_dir(m->path)) {
        const char *manifest = file_join(&m->arena, m->path, "manifest.json");
        TRY_MEM(manifest, e);
        if (!file_exists(manifest))
            return fail(e, ERR_MODEL, "%s: a folder without manifest.json is no package", m->path);
        m->folder = m->path;
        *found = true;
        return 0;
    }
    file->path = m->path;
    if (!(file->blob = mapped_file(&m->arena, m->path, &file->bytes, e))) return e->code;
    if (!zip_is(file->bytes)) return 0;
    struct zip *z = ARENA_NEW(&m->arena, struct zip);
    struct err broken = { 0 };
    TRY_MEM(z, e);
    if (zip_open(z, &m->arena, m->path, file->bytes, &broken)) /* else for the formats to complain about */
        return begins_as_package(file->bytes) ? fail(e, broken.code, "%s", broken.text) : 0;
    if (!zip_find(z, "manifest.json")) return 0;
    m->zip = z;
    *found = true;
    return 0;
}

int model_file(struct model *m, const char *name, struct bytes *out, struct err *e)
{
    if (!file_is_inside(name)) return fail(e, ERR_UNSAFE, "%s: \"%s\" leaves the package", m->path, name);
    if (m->folder) {
        const char *path = file_join(&m->arena, m->folder, name);
        TRY_MEM(path, e);
        return file_map(&m->arena, path, out, e);
    }
    const struct zip_entry *entry = m->zip ? zip_find(m->zip, name) : NULL;
    if (!entry) return fail(e, ERR_MODEL, "%s: there is no \"%s\" in it", m->path, name);
    if (entry->method != ZIP_STORED)
        return fail(e, ERR_MODEL, "%s: \"%s\" is compressed; packages are stored", m->path, name);
    return zip_read(m->zip, entry, &m->arena, UINT64_MAX, 0, out, e);
}

static int file_of_package(void *cookie, const char *name, struct bytes *out, struct err *e)
{
    return model_file(cookie, name, out, e);
}

static const char *file_in(const json_t *m, const char *section, const char *fallback)
{
    const char *name = json_string_value(json_object_get(json_object_get(m, section), "file"));
    return name ? name : fallback;
}

static int read_graph(struct model *m, struct blob *blob, struct err *e)
{
    struct format_file file = { .path = m->path, .blob = blob };
    const char *name = file_in(m->manifest, "graph", "model.onnx");
    if (m->folder) { /* the files lie in the folder as the reader expects them */
        const char *path = file_join(&m->arena, m->folder, name);
        TRY_MEM(path, e);
        if (!file_is_inside(name)) return fail(e, ERR_UNSAFE, "%s: \"%s\" leaves the package", m->path, name);
        return format_read(&m->arena, path, NULL, &m->graph, &m->report, e);
    }
    TRY(model_file(m, name, &file.bytes, e));
    file.beside = file_of_package;
    file.cookie = m;
    return format_read_file(&m->arena, &file, format_find("onnx"), NULL, &m->graph, &m->report, e);
}

static int read_labels(struct model *m, struct err *e)
{
    size_t i;
    json_t *port;
    json_array_foreach(json_object_get(m->manifest, "outputs"), i, port)
    {
        const char *name = json_string_value(json_object_get(json_object_get(port, "labels"), "file"));
        struct bytes text;
        if (!name) continue;
        TRY(model_file(m, name, &text, e));
        return labels_parse(&m->labels, &m->arena, name, text, e);
    }
    return 0;
}

int package_open(struct model *m, struct format_file *file, bool *found, struct err *e)
{
    struct bytes text;
    TRY(find_container(m, file, found, e));
    if (!*found) return 0;
    m->format = "package";
    TRY(model_file(m, "manifest.json", &text, e));
    if (text.len > MAX_TEXT) return fail(e, ERR_MODEL, "%s: the manifest is too large", m->path);
    if (json_parse(&m->arena, "manifest.json", text, &m->manifest, e)) {
        e->code = ERR_MODEL;
        return err_prefix(e, "%s", m->path);
    }
    TRY(manifest_check(m->manifest, m->path, e));
    TRY(read_graph(m, file->blob, e));
    return read_labels(m, e);
}
