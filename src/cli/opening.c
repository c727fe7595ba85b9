/* opening.c - opening a model as the options say. */
#include "cli/opening.h"

#include <stdio.h>
#include <string.h>

#include "backend/backend.h"
#include "base/str.h"
#include "enc/json.h"
#include "plan/recipe.h"
#include "zoo/zoo.h"

void print_report(const struct report *r, bool guesses)
{
    static const char *const words[] = { "note", "guess", "warning", "error" };
    for (size_t i = 0; i < r->n; i++) {
        const struct report_item *it = &r->items[i];
        if (it->kind == REPORT_ERROR) continue; /* they are in the error's text */
        if ((it->kind == REPORT_GUESS) != guesses) continue;
        fprintf(stderr, "tenrec: %s: %s", words[it->kind], it->what);
        if (it->count > 1) fprintf(stderr, " (%zu times)", it->count);
        if (it->where[0]) fprintf(stderr, " at %s", it->where);
        fputc('\n', stderr);
    }
}

/* LAYER=OPERATION */
static int read_lambdas(struct import_options *o, struct args *args, struct err *e)
{
    const char *const *given = conf_list(&args->conf, "lambda", &o->n_lambdas);
    struct import_lambda *list = ARENA_ARRAY(args->arena, o->n_lambdas, struct import_lambda);
    TRY_MEM(list, e);
    for (size_t i = 0; i < o->n_lambdas; i++) {
        const char *equals = strrchr(given[i], '=');
        if (!equals || equals == given[i] || !equals[1])
            return fail(e, ERR_USAGE, "--lambda %s: expected LAYER=OPERATION, as in lambda_1=relu6", given[i]);
        list[i].op = equals + 1;
        TRY_MEM(list[i].name = arena_strndup(args->arena, given[i], (size_t)(equals - given[i])), e);
    }
    o->lambdas = list;
    return 0;
}

static int read_options(struct model_options *o, struct args *args, struct err *e)
{
    const struct conf *c = &args->conf;
    *o = (struct model_options){ 0 };
    size_t n;
    const char *const *hints = conf_list(c, "input", &n);
    struct import_hint *list = ARENA_ARRAY(args->arena, n, struct import_hint);
    TRY_MEM(list, e);
    for (size_t i = 0; i < n; i++) TRY(import_hint_parse(args->arena, hints[i], &list[i], e));
    o->import.inputs = list;
    o->import.n_inputs = n;
    const char *mode = conf_string(c, "mode");
    o->import.mode = !strcmp(mode, "train") ? IMPORT_TRAIN : !strcmp(mode, "saved") ? IMPORT_AS_SAVED : IMPORT_SCORE;
    TRY(read_lambdas(&o->import, args, e));
    o->manifest.like = conf_string(c, "like");
    o->manifest.task = conf_string(c, "task");
    o->manifest.name = conf_string(c, "name");
    o->manifest.set = conf_list(c, "set", &o->manifest.n_set);
    o->labels_path = conf_string(c, "labels");
    o->label_length = conf_int(c, "label-length");
    o->preprocess_path = conf_string(c, "preprocess");
    return 0;
}

/* "net" of "models/net.pth" */
static int name_of(const char **out, struct arena *a, const char *path, struct err *e)
{
    const char *base = file_base(path), *dot = strrchr(base, '.');
    *out = arena_strndup(a, base, dot && dot > base ? (size_t)(dot - base) : strlen(base));
    return *out ? 0 : fail_nomem(e);
}

/* A file, or else a name of the zoo. */
static int structure_path(const char **out, struct arena *a, const char *arch, struct err *e)
{
    *out = arch;
    if (file_exists(arch) || file_is_dir(arch) || str_starts(arch, "zoo:")) return 0;
    if (!zoo_find(arch, e)) return err_prefix(e, "--arch %s: there is no such file, and", arch);
    *out = arena_printf(a, "zoo:%s", arch);
    return *out ? 0 : fail_nomem(e);
}

int open_model(struct model *m, struct args *args, size_t word, struct err *e)
{
    struct model_options o;
    *m = (struct model){ 0 };
    const char *path = args->words[word], *arch;
    TRY(read_options(&o, args, e));
    o.import.weights = args->seconds[word];
    if ((arch = conf_string(&args->conf, "arch"))) {
        if (format_is_pair(arch, path)) o.import.weights = path;
        else o.weights_path = path;
        o.weights_key = conf_string(&args->conf, "key");
        if (!o.manifest.name) TRY(name_of(&o.manifest.name, args->arena, path, e));
        TRY(structure_path(&path, args->arena, arch, e));
    }
    int code = model_open(m, path, &o, e);
    print_report(&m->report, false);
    if (code) print_report(&m->report, true); /* a wrong guess may be why */
    return code;
}

/* Columns are found by the names of the inputs; a table with one column feeds the first input. */
int open_rows(struct table **t, const struct model *m, struct args *args, const char *path, struct err *e)
{
    const struct graph *g = m->graph;
    const char **inputs = ARENA_ARRAY(args->arena, g->n_inputs + 1, const char *);
    bool *tensors = ARENA_ARRAY(args->arena, g->n_inputs, bool);
    if (!inputs || !tensors) return fail_nomem(e);
    for (size_t i = 0; i < g->n_inputs; i++) inputs[i] = g->inputs[i]->name, tensors[i] = !m->preprocess[i];
    size_t n;
    const char *const *said = conf_list(&args->conf, "columns", &n);
    const char **columns = ARENA_ARRAY(args->arena, n + 1, const char *);
    TRY_MEM(columns, e);
    for (size_t i = 0; i < n; i++) columns[i] = said[i];
    struct table_options o = { .inputs = inputs, .tensors = tensors, .columns = columns };
    o.query = conf_string(&args->conf, "query");
    if (!(*t = table_open(args->arena, path, &o, e))) return e->code;
    size_t fed = 0;
    for (size_t i = 0; i < table_columns(*t); i++) {
        const struct column *c = table_column_at(*t, i);
        bool data = c->role == ROLE_IMAGE || c->role == ROLE_SEQUENCE;
        fed += c->input >= 0;
        if (c->input < 0 && c->place && data)
            fprintf(stderr, "tenrec: note: column %s feeds no input of the model\n", c->name);
    }
    if (fed >= g->n_inputs) return 0;
    struct str names = str_in(args->arena);
    for (size_t i = 0; i < g->n_inputs; i++) str_addf(&names, "%s%s", i ? "," : "", g->inputs[i]->name);
    const char *wanted = str_done(&names), *there = table_column_list(*t, args->arena);
    if (!wanted || !there) return fail_nomem(e);
    if (g->n_inputs == 1)
        return fail(e, ERR_USAGE,
            "%s: no column for the model's input %s: say which, as in --columns image=NAME; there are: %s", path,
            wanted, there);
    return fail(e, ERR_USAGE,
        "%s: the model has %zu inputs: give a table with the columns %s, or say which feeds which, as in --columns "
        "image:%s=NAME; there are: %s",
        path, g->n_inputs, wanted, g->inputs[0]->name, there);
}

int read_recipe(const struct args *args, const struct graph *g, const struct recipe **r, struct err *e)
{
    const char *ignored;
    TRY(recipe_open(r, args->arena, conf_string(&args->conf, "recipe"), g, &ignored, e));
    if (ignored) fprintf(stderr, "tenrec: %s\n", ignored);
    return 0;
}

enum precision read_precision(const struct args *args)
{
    const char *said = conf_string(&args->conf, "precision");
    if (!strcmp(said, "bf16-rounded")) return PRECISION_ROUNDED;
    if (strcmp(said, "bf16")) return PRECISION_FULL;
    const char *against = backend_against_bf16();
    if (!against) return PRECISION_BF16;
    fprintf(stderr, "tenrec: this processor %s: it runs in float32 (bf16-rounded shows what bf16 would answer)\n",
        against);
    return PRECISION_FULL;
}

const char *human_bytes(char buf[32], double bytes)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
    int u = 0;
    while (bytes >= 1000 && u < 4) bytes /= 1000, u++;
    snprintf(buf, 32, u ? "%.1f %s" : "%.0f %s", bytes, units[u]);
    return buf;
}

int print_json(struct arena *a, const json_t *root, struct err *e)
{
    struct bytes text;
    TRY(json_print(root, 0, a, &text, e));
    fwrite(text.data, 1, text.len, stdout);
    return 0;
}
