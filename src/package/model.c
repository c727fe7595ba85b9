/* model.c - opening any model file and what goes with it. */
#include "package/model.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "enc/yaml.h"
#include "enc/zip.h"
#include "format/weights/weights.h"
#include "package/bundle.h"
#include "package/zoo_model.h"
#include "pass/pass.h"
#include "plan/packs.h"

enum {
    MAX_TEXT = 16 << 20, /* bytes of a manifest, of labels, of preprocessing steps */
    BUDGET = 160 << 20,  /* bytes that opening any file may take, beside what its size grants */
};

/* Each step by itself, so that what is wrong with it can be told with its line and column. */
static int check_steps(struct model *m, const struct yaml *y, const json_t *steps, const char *path, struct err *e)
{
    size_t i;
    json_t *step;
    json_array_foreach(steps, i, step)
    {
        struct preprocess one;
        json_t *list = json_pack("[O]", step);
        TRY(json_own(&m->arena, list, e));
        if (!preprocess_parse(&one, &m->arena, list, "", e)) continue;
        const struct yaml_mark *at = yaml_find(y, steps, NULL, i);
        const char *bad = strstr(e->text, "unknown key \""), *key;
        json_t *value;
        json_object_foreach(step, key, value)
        {
            size_t len = strlen(key);
            if (bad && !strncmp(bad + 13, key, len) && bad[13 + len] == '"') at = yaml_find(y, step, key, 0);
        }
        const char *text = arena_strdup(&m->arena, strstr(e->text, "step 1 (") ? strstr(e->text, "step 1 (") + 7 : "");
        int code = e->code;
        TRY_MEM(text, e);
        err_clear(e);
        return fail(e, code, "%s:%u:%u: step %zu %s", path, at ? at->line : 0, at ? at->column : 0, i + 1, text);
    }
    return 0;
}

/* Steps given by the user: our own list, an object with `preprocess`, or Hugging Face's file. */
static int read_steps(struct model *m, const char *path, const json_t **out, struct err *e)
{
    struct bytes text;
    struct yaml y;
    if (*path == '[') text = (struct bytes){ (const unsigned char *)path, strlen(path) }; /* the steps themselves */
    else TRY(file_read(&m->arena, path, MAX_TEXT, &text, e));
    TRY(yaml_parse(&y, &m->arena, path, text, e)); /* JSON is YAML */
    const json_t *steps = json_is_array(y.root) ? y.root : json_object_get(y.root, "preprocess");
    if (steps) return *out = steps, check_steps(m, &y, steps, path, e);
    if (!json_object_get(y.root, "image_mean") && !json_object_get(y.root, "size"))
        return fail(e, ERR_USAGE, "%s: neither a list of steps nor a Hugging Face preprocessor_config.json", path);
    json_t *made = preprocess_from_huggingface(y.root, e);
    if (!made) return err_prefix(e, "%s", path);
    *out = made;
    return json_own(&m->arena, made, e);
}

/* A file beside the model, when there is one. */
static const char *beside(struct model *m, const char *name)
{
    char *dir = file_dir(&m->arena, m->path), *path = dir ? file_join(&m->arena, dir, name) : NULL;
    return path && file_exists(path) ? path : NULL;
}

static int read_labels(struct model *m, const struct model_options *o, const char *path, struct err *e)
{
    TRY(labels_read(&m->labels, &m->arena, path, e));
    return labels_shorten(&m->labels, &m->arena, o->label_length, e);
}

/* The file beside the model that names its classes; a Hugging Face config.json may. */
static const char *labels_beside(struct model *m)
{
    const char *path = beside(m, "index_to_name.json"), *config = path ? NULL : beside(m, "config.json");
    struct bytes text;
    struct err ignored = { 0 };
    if (!config || file_read(&m->arena, config, MAX_TEXT, &text, &ignored)) return path;
    return memmem(text.data, text.len, "\"id2label\"", strlen("\"id2label\"")) ? config : NULL;
}

static int find_labels(struct model *m, const struct model_options *o, struct err *e)
{
    if (o->labels_path) return read_labels(m, o, o->labels_path, e);
    const char *names = map_get(&m->graph->metadata, "names"); /* as Ultralytics' exporter writes it */
    if (names) {
        struct err ignored = { 0 };
        struct bytes text = { (const unsigned char *)names, strlen(names) };
        if (!labels_parse(&m->labels, &m->arena, "names", text, &ignored))
            return labels_shorten(&m->labels, &m->arena, o->label_length, e);
        m->labels = (struct labels){ 0 };
        report_add(&m->report, REPORT_WARNING, "metadata", "names is no dictionary of classes: %s", ignored.text);
    }
    const char *path = labels_beside(m);
    if (!path) return 0;
    report_add(&m->report, REPORT_GUESS, "", "labels: %s, which lies beside the model", path);
    return read_labels(m, o, path, e);
}

static int describe(struct model *m, const struct model_options *o, struct err *e)
{
    struct manifest_options mo = o->manifest;
    TRY(find_labels(m, o, e));
    mo.labels = &m->labels;
    const char *steps = o->preprocess_path;
    if (!steps && !mo.like && (steps = beside(m, "preprocessor_config.json")))
        report_add(&m->report, REPORT_GUESS, "", "preprocessing: %s, which lies beside the model", steps);
    if (steps) TRY(read_steps(m, steps, &mo.preprocess, e));
    return manifest_make(&m->manifest, &m->arena, m->graph, m->path, m->format, &mo, &m->report, e);
}

/* What the file itself brings is never the user's wrong word or data: its error names the file. */
static int blame_file(const struct model *m, struct err *e)
{
    if (e->code == ERR_DATA || e->code == ERR_USAGE) e->code = ERR_MODEL;
    return str_starts(e->text, m->path) ? e->code : err_prefix(e, "%s", m->path);
}

static int import_model(struct model *m, const struct format_file *file, const struct model_options *o, struct err *e)
{
    TRY(format_read_file(&m->arena, file, NULL, &o->import, &m->graph, &m->report, e));
    if (pass_run(m->graph, PASS_IMPORT, NULL, e)) return blame_file(m, e);
    const char *format = map_get(&m->graph->metadata, "format");
    m->format = format ? format : "model";
    return describe(m, o, e);
}

/* What a user says of a package changes its manifest in memory. */
static int adjust_package(struct model *m, const struct model_options *o, struct err *e)
{
    const struct manifest_options *mo = &o->manifest;
    const json_t *steps = NULL;
    if (o->preprocess_path) TRY(read_steps(m, o->preprocess_path, &steps, e));
    if (mo->like || mo->task || steps) {
        struct manifest_options again = *mo;
        struct report unused = report_in(&m->arena);
        bool prepare = mo->like || steps;
        json_t *made;
        if (!mo->task) again.task = json_string_value(json_object_get(m->manifest, "task"));
        again.preprocess = steps;
        again.n_set = 0;
        TRY(manifest_make(&made, &m->arena, m->graph, m->path, "package", &again, prepare ? &m->report : &unused, e));
        if (prepare) json_object_set(m->manifest, "inputs", json_object_get(made, "inputs"));
        if (mo->task) json_object_set(m->manifest, "task", json_object_get(made, "task"));
        if (mo->task) json_object_set(m->manifest, "outputs", json_object_get(made, "outputs"));
    }
    if (o->labels_path) {
        TRY(read_labels(m, o, o->labels_path, e));
        json_t *port = json_array_get(json_object_get(m->manifest, "outputs"), 0);
        if (port && m->graph->n_outputs) manifest_label(port, m->graph->outputs[0], &m->labels, &m->report);
    }
    for (size_t i = 0; i < mo->n_set; i++) TRY(manifest_set(m->manifest, mo->set[i], e));
    return 0;
}

static int parse_steps(struct model *m, struct err *e)
{
    const struct graph *g = m->graph;
    m->preprocess = ARENA_ARRAY(&m->arena, g->n_inputs, struct preprocess *);
    m->postprocess = ARENA_ARRAY(&m->arena, g->n_outputs, struct postprocess *);
    if (!m->preprocess || !m->postprocess) return fail_nomem(e);
    for (size_t i = 0; i < g->n_inputs; i++) {
        const json_t *steps = json_object_get(manifest_port(m->manifest, "inputs", g->inputs[i]->name), "preprocess");
        char where[200];
        snprintf(where, sizeof where, "preprocess of %.150s", g->inputs[i]->name);
        if (!steps) continue;
        TRY_MEM(m->preprocess[i] = ARENA_NEW(&m->arena, struct preprocess), e);
        TRY(preprocess_parse(m->preprocess[i], &m->arena, steps, where, e));
    }
    for (size_t i = 0; i < g->n_outputs; i++) {
        const json_t *steps = json_object_get(
            manifest_port(m->manifest, "outputs", g->outputs[i]->name), "postprocess");
        char where[200];
        snprintf(where, sizeof where, "postprocess of %.150s", g->outputs[i]->name);
        TRY_MEM(m->postprocess[i] = ARENA_NEW(&m->arena, struct postprocess), e);
        TRY(postprocess_parse(m->postprocess[i], &m->arena, steps, where, e));
    }
    return 0;
}

/* Weights of another file, for the place of the model's own. */
static int read_weights(struct model *m, const struct model_options *o, struct err *e)
{
    struct format_file file = { .path = o->weights_path };
    struct weights *w = ARENA_NEW(&m->arena, struct weights);
    TRY_MEM(w, e);
    if (!(file.blob = mapped_file(&m->arena, file.path, &file.bytes, e))) return e->code;
    TRY(weights_read(w, &m->arena, &file, o->weights_key, &m->report, e));
    m->weights = w;
    return 0;
}

static int build_zoo(struct model *m, const struct model_options *o, struct err *e)
{
    struct manifest_options mo = o->manifest;
    if (o->labels_path) TRY(read_labels(m, o, o->labels_path, e));
    if (o->preprocess_path) TRY(read_steps(m, o->preprocess_path, &mo.preprocess, e));
    budget_grant(m->arena.mem, SIZE_MAX); /* no file is read */
    TRY(zoo_model(m, o, &mo, e));
    TRY(pass_run(m->graph, PASS_IMPORT, NULL, e));
    mo.labels = &m->labels;
    return manifest_make(&m->manifest, &m->arena, m->graph, m->path, m->format, &mo, &m->report, e);
}

static int open_file(struct model *m, const struct model_options *o, struct err *e)
{
    struct format_file file = { 0 };
    bool found = false;
    if (package_open(m, &file, &found, e)) return blame_file(m, e);
    if (found && parse_steps(m, e)) return blame_file(m, e); /* before the user's words change them */
    if (found) TRY(adjust_package(m, o, e));
    else TRY(import_model(m, &file, o, e));
    return 0;
}

static int open_any(struct model *m, const struct model_options *o, struct err *e)
{
    if (o->weights_path) TRY(read_weights(m, o, e));
    TRY(str_starts(m->path, ZOO_PREFIX) ? build_zoo(m, o, e) : open_file(m, o, e));
    TRY(parse_steps(m, e));
    if (m->weights && weights_apply(m->weights, m->graph, &m->report, e)) return err_prefix(e, "%s", o->weights_path);
    return m->arena.failed ? fail_nomem(e) : 0;
}

/* A small file that wants much memory is a bomb, or as good as one. */
static int overspent(const struct model *m, struct err *e)
{
    struct err was = *e;
    err_clear(e);
    return fail(e, ERR_MODEL, "%s: to read it takes more than %zu MB of memory, too much for a file of its size (%s)",
        m->path, (size_t)m->budget.granted >> 20, was.text);
}

int model_open(struct model *m, const char *path, const struct model_options *o, struct err *e)
{
    *m = (struct model){ 0 };
    budget_init(&m->budget, o->mem, BUDGET);
    arena_init(&m->arena, &m->budget.mem);
    m->report = report_in(&m->arena);
    if (!(m->path = arena_strdup(&m->arena, path))) return fail_nomem(e);
    if (open_any(m, o, e)) return e->code == ERR_NOMEM && m->budget.spent ? overspent(m, e) : e->code;
    budget_grant(m->arena.mem, SIZE_MAX);
    TRY_MEM(m->packs = packs_new(o->mem), e);
    return 0;
}

void model_close(struct model *m)
{
    packs_free(m->packs);
    arena_release(&m->arena);
    *m = (struct model){ 0 };
}
