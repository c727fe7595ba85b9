/* cmd_import.c - a model of any framework becomes a package. */
#include <stdio.h>
#include <string.h>

#include "base/plural.h"
#include "base/str.h"
#include "cli/opening.h"
#include "cli/self_example.h"
#include "data/arrays.h"
#include "enc/json.h"

/* A golden example given as .npz: inputs by name, outputs by name; made by the framework named in --made-by. */
static int read_example(struct model *m, const char *path, const char *made_by, struct example *ex, struct err *e)
{
    struct bytes file;
    struct zip z;
    TRY(file_map(&m->arena, path, &file, e));
    TRY(zip_open(&z, &m->arena, path, file, e));
    const struct graph *g = m->graph;
    const struct tensor **list = ARENA_ARRAY(&m->arena, g->n_inputs + g->n_outputs, const struct tensor *);
    TRY_MEM(list, e);
    for (size_t i = 0; i < g->n_inputs + g->n_outputs; i++) {
        const struct value *v = i < g->n_inputs ? g->inputs[i] : g->outputs[i - g->n_inputs];
        struct npy array;
        struct tensor *t;
        TRY(npz_read(&array, &m->arena, &z, v->name, UINT64_MAX, e));
        TRY(tensor_from_npy(&t, &m->arena, &array, path, e));
        list[i] = t;
    }
    *ex = (struct example){ made_by, list, list + g->n_inputs };
    return 0;
}

/* The example given, else one of its own; *has tells whether there is any. */
static int find_example(struct model *m, struct args *args, struct example *ex, bool *has, struct err *e)
{
    const char *example = conf_string(&args->conf, "example");
    struct err why = { 0 };
    *has = true;
    if (example) return read_example(m, example, conf_string(&args->conf, "made-by"), ex, e);
    *has = !strcmp(conf_string(&args->conf, "self-example"), "yes");
    if (!*has || !self_example(m, ex, &why)) return 0;
    if (why.code == ERR_NOMEM) return fail_nomem(e);
    *has = false;
    fprintf(stderr, "tenrec: warning: the package has no example: %s\n", why.text);
    return 0;
}

static int write_package(struct model *m, struct args *args, struct err *e)
{
    struct example ex;
    bool has;
    const char *out = conf_string(&args->conf, "output");
    TRY(find_example(m, args, &ex, &has, e));
    TRY(package_write(m, out, has ? &ex : NULL, e));
    const char *task = json_string_value(json_object_get(m->manifest, "task"));
    const struct graph *g = m->graph;
    if (!conf_flag(&args->conf, "json")) {
        fprintf(stderr, "tenrec: %s: %s, %zu input%s, %zu output%s, %zu node%s\n", out, task, g->n_inputs,
            plural((long long)g->n_inputs), g->n_outputs, plural((long long)g->n_outputs), g->n_nodes,
            plural((long long)g->n_nodes));
        return 0;
    }
    json_t *o = json_pack("{s:s,s:s?,s:I,s:I,s:I,s:b,s:O*}", "file", out, "task", task, "inputs",
        (json_int_t)g->n_inputs, "outputs", (json_int_t)g->n_outputs, "nodes", (json_int_t)g->n_nodes, "example", has,
        "guessed", json_object_get(m->manifest, "guessed"));
    TRY(json_own(args->arena, o, e));
    return print_json(args->arena, o, e);
}

static int run(struct args *args, struct err *e)
{
    struct model m;
    if (!conf_has(&args->conf, "output")) return fail(e, ERR_USAGE, "import: -o NAME.tenrec is missing");
    int code = open_model(&m, args, 0, e);
    if (!code) print_report(&m.report, true);
    if (!code) code = write_package(&m, args, e);
    model_close(&m);
    return code;
}

static const struct conf_key keys[] = {
    { "output", 'o', CONF_WRITE, "NAME.tenrec", NULL, NULL, 0, 0, "the package to write" },
    KEY_JSON,
    KEYS_OPEN,
    { "example", 0, CONF_READ, "FILE.npz", NULL, NULL, 0, 0,
        "inputs and outputs by name, from the source framework; verify compares with them" },
    { "made-by", 0, CONF_STRING, "WHO", "unknown", NULL, 0, 0, "what made the example, as in \"torch 1.13.1\"" },
    { "self-example", 0, CONF_CHOICE, NULL, "yes", "yes|no", 0, 0,
        "without --example: run the model once on random inputs of a fixed seed and keep what it answers" },
    { 0 },
};

const struct command command_import = {
    .name = "import",
    .synopsis = "FILE -o NAME.tenrec [OPTIONS]",
    .doc = "Import a model of any framework as a package; say what had to be guessed.\n\n"
           "The package holds an example: with --example one that the source framework answered, by which verify\n"
           "proves fidelity; else one that Tenrec answered itself, by which verify proves that the package still\n"
           "answers, on any machine and with any version, as it did at its import.",
    .examples = "  tenrec import resnet18.pt -o resnet18.tenrec --input Nx3x224x224 --labels imagenet.txt\n"
                "  tenrec import net.onnx -o net.tenrec --like keras --set resize.interpolation=bilinear\n",
    .min_words = 1,
    .max_words = 1,
    .keys = keys,
    .run = run,
};
