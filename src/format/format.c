/* format.c - finding out whose file it is, reading and writing it. */
#include "format/format.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "format/foreign.h"
#include "graph/graph.h"

#define X(name) extern const struct format format_##name;
#include "format/format_list.h"
#undef X

static const struct format *const formats[] = {
#define X(name) &format_##name,
#include "format/format_list.h"
#undef X
};
enum { N_FORMATS = sizeof formats / sizeof formats[0] };

const struct format *format_at(size_t i)
{
    return i < N_FORMATS ? formats[i] : NULL;
}

const struct format *format_find(const char *name)
{
    for (size_t i = 0; i < N_FORMATS; i++)
        if (!strcmp(formats[i]->name, name)) return formats[i];
    return NULL;
}

/* Does the file's name end with one of these? */
static bool lists_extension(const char *list, const char *path)
{
    const char *name = file_base(path);
    size_t end = strlen(name);
    for (const char *p = list; p && *p; p += strcspn(p, " "), p += *p == ' ') {
        size_t len = strcspn(p, " ");
        if (len < end && name[end - len - 1] == '.' && !strncasecmp(p, name + end - len, len)) return true;
    }
    return false;
}

bool format_has_extension(const struct format *f, const char *path)
{
    return lists_extension(f->extensions, path);
}

bool format_is_pair(const char *structure, const char *weights)
{
    for (size_t i = 0; i < N_FORMATS; i++)
        if (lists_extension(formats[i]->structure, structure) && lists_extension(formats[i]->weights, weights))
            return true;
    return false;
}

/* All that can be read, for messages. */
static const char *known(struct arena *a)
{
    struct str s = str_in(a);
    for (size_t i = 0; i < N_FORMATS; i++)
        if (formats[i]->read)
            str_addf(&s, "%s%s", s.len ? ", " : "", formats[i]->name);
    const char *text = str_done(&s);
    return text ? text : "";
}

/* A name alone does not make a model of what is something else by its content. */
static const struct format *recognise(const struct format_file *file, struct arena *a, struct err *e)
{
    const struct format *best = NULL;
    enum format_match most = FORMAT_NO;
    for (size_t i = 0; i < N_FORMATS; i++) {
        if (!formats[i]->read) continue;
        enum format_match m = formats[i]->probe(file->bytes, file->path);
        if (m > most) most = m, best = formats[i];
    }
    const char *foreign = most == FORMAT_BY_CONTENT ? NULL : foreign_text(file->bytes);
    if (foreign) return fail(e, ERR_MODEL, "%s: not a model: %s", file->path, foreign), NULL;
    if (!best) fail(e, ERR_MODEL, "%s: not a model this program knows (it reads %s)", file->path, known(a));
    return best;
}

static int read_checked(struct arena *a, const struct format_file *file, const struct format *f,
    const struct import_options *o, struct graph **g, struct report *r, struct err *e)
{
    TRY(f->read(a, file, o, g, r, e));
    if (!map_set(&(*g)->metadata, "format", (void *)(uintptr_t)f->name)) return fail_nomem(e);
    TRY(graph_tidy(*g, e));
    return graph_verify(*g, e);
}

int format_read_file(struct arena *a, const struct format_file *file, const struct format *f,
    const struct import_options *o, struct graph **g, struct report *r, struct err *e)
{
    static const struct import_options defaults = { 0 };
    if (!f && !(f = recognise(file, a, e))) return e->code;
    if (!read_checked(a, file, f, o ? o : &defaults, g, r, e)) return 0;
    if (e->code == ERR_DATA) e->code = ERR_MODEL; /* data inside a model */
    return str_starts(e->text, file->path) ? e->code : err_prefix(e, "%s", file->path);
}

int format_read(struct arena *a, const char *path, const struct import_options *o, struct graph **g, struct report *r,
    struct err *e)
{
    struct format_file file = { .path = path };
    if (!(file.blob = mapped_file(a, path, &file.bytes, e))) return e->code;
    return format_read_file(a, &file, NULL, o, g, r, e);
}

static const char *endings(struct arena *a)
{
    struct str s = str_in(a);
    for (size_t i = 0; i < N_FORMATS; i++)
        if (formats[i]->write)
            str_addf(&s, "%s%s", s.len ? " " : "", formats[i]->writes ? formats[i]->writes : formats[i]->extensions);
    const char *text = str_done(&s);
    return text ? text : "";
}

const struct format *format_for_writing(const char *path, struct arena *a, struct err *e)
{
    for (size_t i = 0; i < N_FORMATS; i++) {
        const struct format *f = formats[i];
        if (f->write && lists_extension(f->writes ? f->writes : f->extensions, path)) return f;
    }
    return fail(e, ERR_USAGE, "%s: no format is written under this name (it can end in: %s)", path, endings(a)), NULL;
}

int format_write(
    const struct graph *g, const char *path, const struct export_options *o, struct report *r, struct err *e)
{
    static const struct export_options defaults = { 0 };
    const struct format *f = format_for_writing(path, g->arena, e);
    return f ? f->write(g, path, o ? o : &defaults, r, e) : e->code;
}
