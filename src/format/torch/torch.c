/* torch.c - reading a TorchScript archive: records, code, one run of the partial evaluator, a graph. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "format/format.h"
#include "format/torch/entry.h"
#include "ops/registry.h"

static int run(struct eval *v, const struct import_options *o)
{
    const struct ts_def *def = entry_find(v);
    struct object **args = def ? entry_arguments(v, def, o) : NULL;
    if (!args) return v->err->code;
    struct object *result = eval_method(v, v->root, def, args, def->n_params ? def->n_params - 1 : 0);
    if (!result) return v->stopped ? 0 : v->err->code;
    v->t.b.where = NULL;
    TRY(entry_outputs(v, result));
    return entry_states(v);
}

/* A shape that was guessed is the likely cause of what goes wrong with it. */
static int explain(struct eval *v)
{
    if (!v->t.n_guessed || v->err->code != ERR_SHAPE) return v->err->code;
    return err_prefix(v->err, "with an input shape that was guessed (say --input NAME=SHAPE)");
}

static int import(struct eval *v, const struct import_options *o, struct report *report)
{
    TRY(eval_load(v, report));
    if (run(v, o)) return explain(v);
    return report->n_errors ? report_fail(report, ERR_UNSUPPORTED, "TorchScript that cannot be imported", v->err) : 0;
}

static int torch_read(struct arena *a, const struct format_file *file, const struct import_options *o, struct graph **g,
    struct report *report, struct err *e)
{
    struct arena scratch;
    struct archive archive;
    struct eval v = { .archive = &archive, .arena = &scratch, .err = e, .mode = o->mode };
    if (!(*g = graph_new(a, &op_registry, file_base(file->path), e))) return e->code;
    arena_init(&scratch, a->mem);
    int code = archive_open(&archive, &scratch, a, file, e);
    if (!code) code = torch_init(&v.t, &scratch, *g, report, e);
    if (!code) code = import(&v, o, report);
    arena_release(&scratch);
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
    .read = refuse,
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
