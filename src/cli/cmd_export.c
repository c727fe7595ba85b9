/* cmd_export.c - a model as a file of another framework, or its weights alone. */
#include <stdio.h>

#include "base/str.h"
#include "cli/opening.h"
#include "cli/self_example.h"
#include "enc/json.h"
#include "package/export.h"
#include "train/torch_state.h"

/* What was found out about the file: for people at once, for programs at the end. */
struct findings {
    const char *file;
    json_t *lines; /* NULL: for people */
};

static void say(void *cookie, const char *text)
{
    struct findings *f = cookie;
    if (f->lines) json_array_append_new(f->lines, json_string(text));
    else fprintf(stderr, "tenrec: %s: %s\n", f->file, text);
}

/* The package's own example, else inputs drawn from a fixed seed; without either the file is not run. */
static int find_example(struct model *m, struct example *ex, bool *has, struct err *e)
{
    struct err why = { 0 };
    int found = package_example(m, 0, ex, e);
    if (found < 0) return found;
    *has = found || !self_example(m, ex, &why);
    if (why.code == ERR_NOMEM) return fail_nomem(e);
    if (why.code) fprintf(stderr, "tenrec: warning: no inputs to check the file with: %s\n", why.text);
    return 0;
}

static int read_form(struct export_form *f, struct args *args, struct err *e)
{
    const struct conf *c = &args->conf;
    const char *const *shapes = conf_list(c, "shape", &f->n_shapes);
    struct import_hint *list = ARENA_ARRAY(args->arena, f->n_shapes, struct import_hint);
    TRY_MEM(list, e);
    for (size_t i = 0; i < f->n_shapes; i++) TRY(import_hint_parse(args->arena, shapes[i], &list[i], e));
    f->shapes = list;
    f->rename = conf_list(c, "rename", &f->n_rename);
    f->fold = conf_flag(c, "fold");
    f->processing = conf_flag(c, "processing");
    const char *size = conf_string(c, "image-size");
    long long h = 0, w = 0;
    char more;
    if (size && (sscanf(size, "%lldx%lld%c", &h, &w, &more) != 2 || h < 1 || w < 1 || h > 1 << 20 || w > 1 << 20))
        return fail(e, ERR_USAGE, "--image-size %s: expected HEIGHTxWIDTH, as in 480x640", size);
    if (size && !f->processing) return fail(e, ERR_USAGE, "--image-size goes with --processing");
    f->images = (struct extent){ w, h };
    return 0;
}

static int write_file(struct model *m, struct args *args, struct findings *f, struct err *e)
{
    const char *out = conf_string(&args->conf, "output");
    struct export_options o = { .opset = (int)conf_int(&args->conf, "opset") };
    struct export_form form;
    TRY(read_form(&form, args, e));
    struct example ex;
    bool has;
    TRY(find_example(m, &ex, &has, e));
    size_t told = m->report.n;
    int code = package_export(m, out, &o, &form, has ? &ex : NULL, say, f, e);
    struct report rest = { m->report.arena, m->report.items + told, m->report.n - told, 0, 0 };
    print_report(&rest, false);
    return code;
}

/* The folder of a run: its weights and its optimizer, as a training script of PyTorch's saves them. */
static int export_run(struct args *args, struct findings *f, struct err *e)
{
    const char *out = conf_string(&args->conf, "output");
    char text[200];
    if (!str_ends(out, ".pth") && !str_ends(out, ".pt") && !str_ends(out, ".tar"))
        return fail(e, ERR_USAGE, "%s: a run is written as a checkpoint of PyTorch's, with the ending .pth", out);
    TRY(torch_state_export(args->words[0], out, text, sizeof text, e));
    say(f, text);
    return 0;
}

static int write_any(struct model *m, struct args *args, struct findings *f, struct err *e)
{
    if (torch_state_is_run(args->words[0])) return export_run(args, f, e);
    TRY(open_model(m, args, 0, e));
    return write_file(m, args, f, e);
}

static int run(struct args *args, struct err *e)
{
    struct model m = { 0 };
    if (!conf_has(&args->conf, "output"))
        return fail(e, ERR_USAGE, "export: -o FILE is missing; its ending says the format");
    const char *out = conf_string(&args->conf, "output");
    struct findings f = { file_base(out), NULL };
    if (conf_flag(&args->conf, "json")) TRY(json_own(args->arena, f.lines = json_array(), e));
    int code = write_any(&m, args, &f, e);
    model_close(&m);
    if (code || !f.lines) return code;
    json_t *told = json_pack("{s:s,s:O}", "file", out, "findings", f.lines);
    TRY(json_own(args->arena, told, e));
    return print_json(args->arena, told, e);
}

static const struct conf_key keys[] = {
    { "output", 'o', CONF_WRITE, "FILE", NULL, NULL, 0, 0,
        "what to write: .onnx, .pt (TorchScript), .keras or .h5 (Keras), .pth (state_dict), .safetensors or .npz "
        "(weights)" },
    { "opset", 0, CONF_INT, "N", "0", NULL, 0, 100,
        "of ONNX, from 10 on; 0: the lowest that can say the model, 13 at least" },
    { "rename", 0, CONF_LIST, "OLD=NEW", NULL, NULL, 0, 0, "another name for an input or output" },
    { "shape", 0, CONF_LIST, "[NAME=]DIMS", NULL, NULL, 0, 0,
        "sizes of an input, as 1x3x224x224; letters leave a dimension open" },
    { "fold", 0, CONF_FLAG, NULL, NULL, NULL, 0, 0, "compute what depends on weights alone" },
    { "processing", 0, CONF_FLAG, NULL, NULL, NULL, 0, 0,
        "put pre- and postprocessing inside: a batch of raw images in, probabilities and classes out" },
    { "image-size", 0, CONF_STRING, "HxW", NULL, NULL, 0, 0,
        "with --processing: the images have this size, and are resized inside, with Pillow's bits" },
    KEY_JSON,
    KEYS_OPEN,
    { 0 },
};

const struct command command_export = {
    .name = "export",
    .synopsis = "P.tenrec -o FILE",
    .doc =
        "Write a model for another framework, or its weights alone under the names its source gave them.\n\n"
        "The file is read back and run before it gets its name: the largest difference of every output is told, and\n"
        "a file whose answers differ is not kept. What a format cannot say is an error that names the nodes.\n\n"
        "The folder of a training becomes a checkpoint of PyTorch's: model_state_dict and optimizer_state_dict.",
    .examples = "  tenrec export digits.tenrec -o digits.onnx\n  tenrec export digits.tenrec -o digits.pth\n"
                "  tenrec export runs/digits -o checkpoint.pth\n",
    .min_words = 1,
    .max_words = 1,
    .keys = keys,
    .run = run,
};
