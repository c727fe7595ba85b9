/* torch.c - reading a TorchScript archive: records, code, one run of the partial evaluator, a graph. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "format/format.h"
#include "format/torch/entry.h"
#include "format/torch/script_file.h"
#include "ops/registry.h"

/* One reading of a file. */
struct reading {
    const struct format_file *file;
    const struct import_options *options;
    struct report *report;
    struct arena *keep; /* of the graph */
    struct arena scratch;
    struct archive archive;
    struct eval eval;
    const struct map *settled; /* attributes to begin with; see state.c */
    struct map changed;        /* and those that were others after the run */
    struct graph *graph;
};

static int run(struct reading *r)
{
    struct eval *v = &r->eval;
    const struct ts_def *def = entry_find(v);
    struct object **args = def ? entry_arguments(v, def, r->options) : NULL;
    if (!args) return v->err->code;
    struct object *result = eval_method(v, v->root, def, args, def->n_params ? def->n_params - 1 : 0);
    if (!result && !v->stopped && !v->err->code) return fail_nomem(v->err); /* whatever could not be made */
    if (!result) return v->err->code;
    v->t.b.where = NULL;
    TRY(entry_outputs(v, result));
    return entry_states(v, &r->changed);
}

/* A shape that was guessed, or a number that a letter was given, is the likely cause of what goes wrong with it. */
static int explain(struct eval *v)
{
    if (v->err->code != ERR_SHAPE) return v->err->code;
    if (v->t.n_guessed) return err_prefix(v->err, "with an input shape that was guessed (say --input NAME=SHAPE)");
    if (v->examples) return err_prefix(v->err, "with %s, where the input's shape has letters", v->examples);
    return v->err->code;
}

static int read_once(struct reading *r, struct err *e)
{
    struct eval *v = &r->eval;
    *v = (struct eval){ .archive = &r->archive, .arena = &r->scratch, .err = e, .mode = r->options->mode };
    v->settled = r->settled;
    arena_init(&r->scratch, r->keep->mem);
    r->changed = map_in(&r->scratch);
    if (!(r->graph = graph_new(r->keep, &op_registry, file_base(r->file->path), e))) return e->code;
    TRY(archive_open(&r->archive, &r->scratch, r->keep, r->file, e));
    TRY(archive_check_script(&r->archive));
    TRY(torch_init(&v->t, &r->scratch, r->graph, r->report, e));
    v->t.version = r->archive.version;
    TRY(eval_load(v, r->report));
    if (run(r)) return explain(v);
    if (r->scratch.failed) return fail_nomem(e); /* what was not found may be there */
    if (v->examples) report_add(r->report, REPORT_NOTE, "", "the program was run with %s", v->examples);
    return r->report->n_errors ? report_fail(r->report, ERR_UNSUPPORTED, "TorchScript that cannot be imported", e) : 0;
}

static void tell_changes(const struct reading *r, enum report_kind kind, const char *what)
{
    for (size_t i = 0; i < r->changed.n; i++)
        report_add(r->report, kind, "", "the attribute %s %s", r->changed.entries[i].key, what);
}

/* The first run changed attributes: read again with them as they are then, and see that it is the same model. */
static int read_settled(struct reading *first, struct graph **g, struct err *e)
{
    struct report quiet = report_in(&first->scratch);
    struct reading second = { first->file, first->options, &quiet, first->keep, .settled = &first->changed };
    int code = read_once(&second, e);
    if (!code) code = entry_compare(first->graph, second.graph, &first->eval.t, e);
    if (code < 0) {
        arena_release(&second.scratch);
        return err_prefix(e, "the model changes attributes in its first run (%s)", first->changed.entries[0].key);
    }
    tell_changes(first, REPORT_NOTE, "is taken as it is after the first run (tensors begin with zeros)");
    tell_changes(&second, REPORT_WARNING, "changes in every run, and keeps its value here");
    *g = second.graph;
    arena_release(&second.scratch);
    return 0;
}

static int torch_read(struct arena *a, const struct format_file *file, const struct import_options *o, struct graph **g,
    struct report *report, struct err *e)
{
    static const struct map none = { 0 };
    struct reading r = { file, o, report, a, .settled = &none };
    int code = read_once(&r, e);
    *g = r.graph;
    if (!code && r.changed.n) code = read_settled(&r, g, e);
    arena_release(&r.scratch);
    return code;
}

static bool starts(struct bytes file, size_t at, const char *magic)
{
    size_t n = strlen(magic);
    return file.len >= at + n && !memcmp(file.data + at, magic, n);
}

static int refuse(struct arena *a, const struct format_file *file, const struct import_options *o, struct graph **g,
    struct report *report, struct err *e)
{
    if (starts(file->bytes, 0, "PYTORCH1"))
        return fail(e, ERR_UNSUPPORTED, "a preview format of PyTorch 1.0; save it again with a released PyTorch");
    if (starts(file->bytes, 4, "PTMF"))
        return fail(e, ERR_UNSUPPORTED,
            "a flatbuffer of the lite interpreter, which holds no code; save it with _use_flatbuffer=False");
    return torch_read(a, file, o, g, report, e);
}

static enum format_match probe(struct bytes file, const char *path);

const struct format format_torch = {
    .name = "torch",
    .doc = "TorchScript archives (.pt, .ptl) of torch.jit.save",
    .extensions = "pt pth jit ptl",
    .probe = probe,
    .writes = "pt",
    .whole = true,
    .read = refuse,
    .cannot = script_cannot_say,
    .write = script_write,
    .knows = aten_knows,
};

static bool holds(struct bytes file, const char *name)
{
    return memmem(file.data, file.len < 4096 ? file.len : 4096, name, strlen(name)) != NULL;
}

static enum format_match probe(struct bytes file, const char *path)
{
    if (starts(file, 0, "PYTORCH1") || starts(file, 4, "PTMF")) return FORMAT_BY_CONTENT;
    if (!zip_is(file)) return FORMAT_NO;
    if (format_has_extension(&format_torch, path)) return FORMAT_BY_CONTENT;
    return holds(file, "/data.pkl") || holds(file, "/version") || holds(file, "/data/0") ? FORMAT_BY_CONTENT
                                                                                         : FORMAT_NO;
}
