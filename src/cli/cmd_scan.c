/* cmd_scan.c - what a file would have executed: every pickle in it, named and judged. */
#include <stdio.h>

#include "cli/findings.h"
#include "cli/opening.h"
#include "enc/json.h"

static const char *const verdicts[] = { "allowed", "unknown", "DANGEROUS" };
static const char *const verdict_names[] = { "allowed", "unknown", "dangerous" };

static void print_finding(const struct finding *f)
{
    printf("%s%s%s\n", f->what, f->where[0] ? " " : "", f->where);
    for (size_t i = 0; i < f->pickle.n_globals; i++) {
        const struct pickle_global *g = f->pickle.globals[i];
        printf("  %-9s  %s.%s  %s, %zu time%s, first at byte %zu\n", verdicts[g->verdict], g->module, g->name,
            g->called ? "would be called" : "named only", g->count, g->count == 1 ? "" : "s", g->at);
    }
    if (!f->pickle.n_globals && !f->error)
        puts(f->what[0] == 'L' ? "  unknown    holds a Python function that Keras would run; Tenrec never does"
                               : "  plain data: names no function and no class");
    if (f->error) printf("  unreadable  %s\n", f->error);
}

static void print_verdict(const struct findings *f, const char *path)
{
    if (!f->n && f->kind) printf("%s: %s: holds no code that loading would run\n", path, f->kind);
    if (!f->n && !f->kind)
        printf("%s: no pickle, archive, HDF5 or JSON: no code is found that loading would run\n", path);
    if (f->sources)
        printf("%zu source files of TorchScript: interpreted as a description of the model, never run\n", f->sources);
    if (f->n)
        printf("%s: %zu place%s looked at: %zu dangerous, %zu unknown, %zu unreadable\n", path, f->n,
            f->n == 1 ? "" : "s", f->n_dangerous, f->n_unknown, f->n_broken);
}

static json_t *finding_json(const struct finding *f)
{
    json_t *globals = json_array();
    for (size_t i = 0; i < f->pickle.n_globals; i++) {
        const struct pickle_global *g = f->pickle.globals[i];
        json_array_append_new(globals,
            json_pack("{s:s,s:s,s:I,s:I,s:b,s:s}", "module", g->module, "name", g->name, "count", (json_int_t)g->count,
                "offset", (json_int_t)g->at, "called", (int)g->called, "verdict", verdict_names[g->verdict]));
    }
    return json_pack("{s:s,s:s,s:o,s:s?}", "where", f->where, "what", f->what, "globals", globals, "error", f->error);
}

static int print_as_json(const struct findings *f, const char *path, struct arena *a, struct err *e)
{
    json_t *list = json_array();
    for (size_t i = 0; i < f->n; i++) json_array_append_new(list, finding_json(&f->list[i]));
    json_t *root = json_pack("{s:s,s:s?,s:o,s:I,s:I,s:I,s:I}", "file", path, "kind", f->kind, "findings", list,
        "sources", (json_int_t)f->sources, "dangerous", (json_int_t)f->n_dangerous, "unknown", (json_int_t)f->n_unknown,
        "unreadable", (json_int_t)f->n_broken);
    TRY(json_own(a, root, e));
    return print_json(a, root, e);
}

static int run(struct args *args, struct err *e)
{
    const char *path = args->words[0];
    struct bytes file;
    struct findings f;
    if (file_map(args->arena, path, &file, e)) {
        if (e->code == ERR_DATA) e->code = ERR_MODEL; /* a folder, a device: nothing is certain */
        return e->code;
    }
    TRY(findings_collect(&f, args->arena, path, file, e));
    if (conf_flag(&args->conf, "json")) {
        TRY(print_as_json(&f, path, args->arena, e));
    } else {
        for (size_t i = 0; i < f.n; i++) print_finding(&f.list[i]);
        print_verdict(&f, path);
    }
    if (f.n_dangerous)
        return fail(e, ERR_UNSAFE, "%s: names what could run code or reach files; do not load it with Python", path);
    return f.n_broken ? fail(e, ERR_MODEL, "%s: a part of it cannot be read, so nothing is certain", path) : 0;
}

static const struct conf_key keys[] = {
    KEY_JSON,
    { 0 },
};

const struct command command_scan = {
    .name = "scan",
    .synopsis = "FILE [--json]",
    .doc = "What loading a file in Python would have executed. Nothing is run to find out.\n\n"
           "Looks at pickles (also those inside zip archives, PyTorch's older files and NumPy's object arrays) and at\n"
           "Keras's Lambda layers. Every function and class that is named gets a verdict: allowed (model files need\n"
           "it), unknown (not known to be harmful; Tenrec never calls it) or dangerous. Exit code 3 when something is\n"
           "dangerous or cannot be read to its end, as in a file that bzip2 or xz has packed.",
    .examples = "  tenrec scan resnet18.pt\n  tenrec scan checkpoint.pth --json | jq '.findings[].globals'\n",
    .min_words = 1,
    .max_words = 1,
    .keys = keys,
    .run = run,
};
