/* cmd_score.c - a model answers every row of a table. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/plural.h"
#include "base/str.h"
#include "cli/interrupt.h"
#include "cli/opening.h"
#include "cli/outputs.h"
#include "cli/progress.h"
#include "enc/json.h"
#include "graph/graph.h"
#include "score/targets.h"
#include "score/results.h"

enum { IDLE_MS = 50 }; /* a stream that gives nothing for so long has its part batch answered */

struct job {
    struct args *args;
    struct model model;
    struct table *table;
    struct pipeline *pipeline;
    struct results *results;
    struct targets *targets;
    const char *out; /* the table's file; NULL: stdout */
    int64_t rows;    /* of the table that were read */
    int64_t missing; /* rows of other shards */
    int shards;
    struct progress progress;
};

static int write_stdout(void *cookie, const void *text, size_t len, struct err *e)
{
    bool bad = fwrite(text, 1, len, stdout) != len || fflush(stdout);
    return bad ? fail(e, ERR_IO, "stdout: cannot write the results") : 0;
}

static int take_answer(void *cookie, const struct scored *s, struct err *e)
{
    struct job *job = cookie;
    if (s->error && results_errors(job->results) < 10) {
        if (job->progress.terminal) fputs("\r\033[K", stderr);
        fprintf(stderr, "tenrec: row %ld: %s\n", s->row + 1, s->error);
    }
    return results_put(job->results, s, e);
}

/* How many rows this process will read at most; 0: not known. */
static int64_t rows_expected(const struct job *job)
{
    int64_t rows = table_count(job->table), limit = conf_int(&job->args->conf, "limit");
    if (table_is_stream(job->table) || rows < 0) rows = 0;
    return limit && (!rows || limit < rows) ? limit : rows;
}

static void show_progress(struct job *job, bool last)
{
    struct progress *p = &job->progress;
    if (!progress_due(p, last)) return;
    int64_t all = rows_expected(job);
    double share = all ? (double)job->rows / (double)all : table_share(job->table);
    p->done = results_rows(job->results), p->before = results_resumed(job->results);
    p->errors = results_errors(job->results), p->all = all;
    p->left = share > 0 ? (double)job->rows * (1 - share) / share / job->shards : -1;
    progress_tell(p);
}

static const struct {
    const char *name;
    enum results_format format;
    const char *endings[4];
} formats[] = {
    { "csv", RESULTS_CSV, { ".csv" } },
    { "tsv", RESULTS_TSV, { ".tsv" } },
    { "jsonl", RESULTS_JSONL, { ".jsonl", ".ndjson" } },
    { "sqlite", RESULTS_SQLITE, { ".db", ".sqlite", ".sqlite3" } },
    { "npy", RESULTS_NPY, { ".npy" } },
};
enum { N_FORMATS = sizeof formats / sizeof *formats };

/* The format that a file's ending, or --format, says; -1: none. */
static int find_format(const char *out, const char *said)
{
    for (int i = 0; i < N_FORMATS; i++) {
        if (said && !strcmp(said, formats[i].name)) return i;
        for (int k = 0; out && !said && k < 4 && formats[i].endings[k]; k++)
            if (str_ends(out, formats[i].endings[k])) return i;
    }
    return -1;
}

/* Whether OUT is a folder that gets everything: it is there as one, ends with a slash, or has no ending at all. */
static int is_folder(const char *out, bool said, struct err *e)
{
    const char *base = file_base(out), *dot = strrchr(base, '.');
    if (!*base || !dot || dot == base || file_is_dir(out)) return 1;
    if (said) return 0;
    return fail(e, ERR_USAGE, "-o %s: no table ends so; there are .csv, .tsv, .jsonl, .db and .npy; --format says what "
        "a file of another name holds, and %s/ makes a folder for everything", out, out);
}

/* Where the results go: OUT ending in .csv ... is a file. */
static int choose_results(struct job *job, struct results_options *o, struct err *e)
{
    const struct conf *c = &job->args->conf;
    struct arena *a = job->args->arena;
    const char *out = conf_string(c, "output");
    if (out && !strcmp(out, "-")) out = NULL;
    if (!out && conf_flag(c, "json")) return fail(e, ERR_USAGE, "--json: the table goes to stdout: give it -o OUT");
    int by_name = find_format(out, NULL), said = find_format(NULL, conf_string(c, "format"));
    int format = said >= 0 ? said : by_name >= 0 ? by_name : 0;
    o->format = formats[format].format;
    o->out = out;
    if (!out && o->format >= RESULTS_SQLITE)
        return fail(e, ERR_USAGE, "--format %s: needs a file, -o OUT%s", formats[format].name,
            formats[format].endings[0]);
    int folder = out && by_name < 0 ? is_folder(out, said >= 0, e) : 0;
    if (folder <= 0) return folder;
    TRY(file_mkdirs(out, e));
    const char *name = arena_printf(a, "results%s", formats[format].endings[0]);
    TRY_MEM(name, e);
    o->out = file_join(a, out, name);
    if (!o->masks) o->masks = file_join(a, out, "masks");
    if (!o->overlays) o->overlays = file_join(a, out, "overlays");
    if (!o->tensors) o->tensors = file_join(a, out, "tensors");
    if (!o->out || !o->masks || !o->overlays || !o->tensors) return fail_nomem(e);
    return output_add(job->args, "-o", o->out, e);
}

/* Whether any output has one of these steps; none named: whether any has no step that makes an answer of another kind.
 */
static bool has_answer(const struct model *m, const char *const *steps)
{
    static const char *const making[] = { "top_k", "argmax", "threshold", "boxes", "omit", NULL };
    for (size_t i = 0; i < m->graph->n_outputs; i++) {
        const json_t *port = manifest_port(m->manifest, "outputs", m->graph->outputs[i]->name), *step;
        bool any = false;
        size_t k;
        json_array_foreach(json_object_get(port, "postprocess"), k, step)
        {
            const char *op = json_string_value(json_object_get(step, "op"));
            const char *const *wanted = steps[0] ? steps : making;
            for (size_t j = 0; op && wanted[j]; j++) any = any || !strcmp(op, wanted[j]);
        }
        if (any == (steps[0] != NULL)) return true;
    }
    return false;
}

/* Folders nothing would be put into are not made; asked for by name, that is worth a word. */
static void drop_useless(const struct job *job, struct results_options *o)
{
    static const char *const mask_steps[] = { "argmax", "threshold", NULL }, *const none[] = { NULL };
    static const char *const box_steps[] = { "boxes", NULL };
    bool masks = has_answer(&job->model, mask_steps), boxes = has_answer(&job->model, box_steps);
    if (!masks) {
        if (conf_has(&job->args->conf, "masks") || (!boxes && conf_has(&job->args->conf, "overlays")))
            fputs("tenrec: note: this model gives no masks; see --task image-segmentation\n", stderr);
        o->masks = NULL;
        if (!boxes) o->overlays = NULL;
    }
    if (!has_answer(&job->model, none)) o->tensors = NULL;
}

/* Columns to carry along: names with commas between, or "all" that feed nothing. */
static int choose_carried(struct job *job, struct results_options *o, struct err *e)
{
    const char *said = conf_string(&job->args->conf, "carry");
    size_t n = table_columns(job->table);
    int *carry = ARENA_ARRAY(job->args->arena, n, int);
    TRY_MEM(carry, e);
    bool all = said && !strcmp(said, "all"), *taken = ARENA_ARRAY(job->args->arena, n, bool);
    TRY_MEM(taken, e);
    for (size_t i = 0; all && i < n; i++) {
        const struct column *c = table_column_at(job->table, i);
        taken[i] = c->input < 0 && c->role != ROLE_ID && c->role != ROLE_IMAGE;
    }
    for (const char *p = said; p && *p && !all;) {
        size_t len = strcspn(p, ","), i = 0;
        while (i < n && (strlen(table_column_at(job->table, i)->name) != len ||
                            strncasecmp(table_column_at(job->table, i)->name, p, len)))
            i++;
        if (i == n) return fail(e, ERR_USAGE, "--carry: %s has no column \"%.*s\"", job->args->words[1], (int)len, p);
        taken[i] = true;
        p += len + (p[len] == ',');
    }
    for (size_t i = 0; i < n; i++)
        if (taken[i]) carry[o->n_carry++] = (int)i;
    o->carry = carry;
    return 0;
}

static int choose_shard(struct job *job, struct results_options *o, struct err *e)
{
    const char *said = conf_string(&job->args->conf, "shard");
    char rest;
    o->shard = o->shards = 1;
    if (said && (sscanf(said, "%d/%d%c", &o->shard, &o->shards, &rest) != 2 || o->shard < 1 || o->shards < o->shard ||
                    o->shards > 100000))
        return fail(e, ERR_USAGE, "--shard %s: I/N wanted, as in 1/3 for the first of three processes", said);
    return said && !o->job ? fail(e, ERR_USAGE, "--shard: needs a table that can be read again, and -o OUT") : 0;
}

/* What makes this job what it is: the same words later go on with it. What changes no answer is left out. */
static int describe_job(struct job *job, struct results_options *o, struct err *e)
{
    static const char *const free_to_change[] = { "batch", "threads", "shard", "restart", "max-errors", "json" };
    const struct conf *c = &job->args->conf;
    struct str s = str_in(job->args->arena);
    struct stat st = { 0 };
    size_t k = 0;
    stat(job->args->words[0], &st);
    str_addf(&s, "tenrec %s\nmodel %s %lld %lld.%09ld\ntable %s %016llx\n", TENREC_VERSION, job->args->words[0],
        (long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, job->args->words[1],
        (unsigned long long)table_stamp(job->table));
    for (const struct conf_key *const *t = c->tables; *t; t++)
        for (const struct conf_key *key = *t; key->name; key++, k++) {
            const struct conf_value *v = &c->values[k];
            bool ignored = !v->set;
            for (size_t i = 0; i < sizeof free_to_change / sizeof *free_to_change; i++)
                ignored = ignored || !strcmp(key->name, free_to_change[i]);
            if (ignored) continue;
            str_addf(&s, "%s", key->name);
            if (key->type == CONF_INT) str_addf(&s, " %lld", (long long)v->i);
            else if (key->type == CONF_FLOAT) str_addf(&s, " %.17g", v->f);
            else if (v->s) str_addf(&s, " %s", v->s);
            for (size_t i = 0; i < v->n; i++) str_addf(&s, " %s", v->list[i]);
            str_addc(&s, '\n');
        }
    TRY_MEM(o->job = str_done(&s), e);
    return 0;
}

static int compare(struct job *job, struct results_options *o, struct err *e)
{
    struct arena *a = job->args->arena;
    const char *folder = o->out ? file_dir(a, o->out) : NULL; /* where there is room for the results */
    if (o->out && !folder) return fail_nomem(e);
    job->targets = o->targets = targets_new(a, &job->model, job->table, folder, e);
    return job->targets ? 0 : e->code;
}

static int open_results(struct job *job, struct err *e)
{
    const struct conf *c = &job->args->conf;
    struct results_options o = {
        .model = &job->model,
        .table = job->table,
        .write = write_stdout,
        .masks = conf_string(c, "masks"),
        .overlays = conf_string(c, "overlays"),
        .tensors = conf_string(c, "tensors"),
        .root = file_is_dir(job->args->words[1]) ? job->args->words[1] : NULL,
        .alpha = (float)conf_float(c, "alpha"),
        .old_names = !strcmp(conf_string(c, "names"), "sas"),
        .restart = conf_flag(c, "restart"),
    };
    if (o.alpha < 0 || o.alpha > 1) return fail(e, ERR_USAGE, "--alpha: a number from 0 to 1");
    TRY(choose_results(job, &o, e));
    TRY(choose_carried(job, &o, e));
    drop_useless(job, &o);
    if (o.out && !table_is_stream(job->table)) TRY(describe_job(job, &o, e));
    if (o.format >= RESULTS_SQLITE && !o.job)
        return fail(e, ERR_USAGE, "paths on stdin: give a .csv or .jsonl for the results");
    TRY(choose_shard(job, &o, e));
    if (conf_flag(c, "metrics")) TRY(compare(job, &o, e));
    job->out = o.out;
    job->shards = o.shards;
    job->results = results_new(&o, e);
    if (!job->results) return e->code;
    if (results_resumed(job->results))
        fprintf(stderr, "tenrec: going on where an earlier run stopped, after %lld row%s\n",
            (long long)results_resumed(job->results), plural(results_resumed(job->results)));
    return 0;
}

static bool is_interrupted(void *cookie)
{
    (void)cookie;
    return interrupt_signal() != 0;
}

/* Where nobody says: a few samples share a forward pass if there are many, and each knows its part of every output. */
static int usual_batch(const struct job *job)
{
    enum { MANY = 64, SOME = 4 };
    const struct graph *g = job->model.graph;
    bool fit = rows_expected(job) >= MANY;
    for (size_t i = 0; i < g->n_inputs; i++)
        fit = fit && g->inputs[i]->shape.rank > 1 && g->inputs[i]->shape.dim[0] < 0;
    for (size_t i = 0; i < g->n_outputs; i++)
        fit = fit && g->outputs[i]->shape.rank > 0 && g->outputs[i]->shape.dim[0] == g->inputs[0]->shape.dim[0];
    return fit ? SOME : 1;
}

static int open_pipeline(struct job *job, struct err *e)
{
    const struct conf *c = &job->args->conf;
    struct pipeline_options o = {
        .batch = conf_int(c, "batch") ? (int)conf_int(c, "batch") : usual_batch(job),
        .threads = (int)conf_int(c, "threads"),
        .rows = rows_expected(job),
        .precision = read_precision(job->args),
        .answer = take_answer,
        .cancelled = is_interrupted,
        .cookie = job,
    };
    TRY(read_recipe(job->args, job->model.graph, &o.recipe, e));
    results_needs(job->results, &o.outputs, &o.seen);
    job->pipeline = pipeline_new(&job->model, &o, e);
    return job->pipeline ? 0 : e->code;
}

/* One row, or the news that there is none now. Returns 1 to go on, 0 at the end. */
static int score_next(struct job *job, bool *idle, struct err *e)
{
    struct row row;
    struct err bad = { 0 };
    struct pipeline *p = job->pipeline;
    struct arena *a = pipeline_arena(p);
    struct arena_mark mark = arena_mark(a);
    int got = table_next(job->table, a, *idle ? -1 : IDLE_MS, &row, &bad);
    if (got < 0 && got != ERR_DATA) return fail(e, got, "%s", bad.text);
    *idle = got == 2;
    if (got == 1 || got < 0) job->rows = row.index + 1;
    if ((got == 1 || got < 0) && !results_wants(job->results, row.index)) {
        TRY(results_pass(job->results, row.id, row.index, e));
        arena_rewind(a, mark);
        return 1;
    }
    if (got == 1) TRY(pipeline_put(p, job->table, &row, e));
    else if (got < 0) TRY(pipeline_put_error(p, job->table, &row, bad.text, e));
    else arena_rewind(a, mark);
    if (*idle) {
        TRY(pipeline_flush(p, e));
        TRY(results_flush(job->results, e));
    }
    return got != 0;
}

static int score_all(struct job *job, struct err *e)
{
    int64_t limit = conf_int(&job->args->conf, "limit");
    bool idle = false;
    int got = 1;
    while (got > 0 && !interrupt_signal() && (!limit || job->rows < limit)) {
        got = score_next(job, &idle, e);
        show_progress(job, false);
    }
    if (got >= 0) got = pipeline_flush(job->pipeline, e);
    if (got >= 0) {
        bool stopped = interrupt_signal();
        got = stopped ? results_pause(job->results, e) : results_finish(job->results, job->rows, &job->missing, e);
    } else {
        struct err ignored = { 0 }; /* the error that ends the job is told; what is done is kept */
        results_pause(job->results, &ignored);
    }
    show_progress(job, true);
    return got < 0 ? got : 0;
}

/* Of one output, with its name before each line unless it is the first. */
static void print_measures(const json_t *report, const char *output)
{
    static const char *const measures[][2] = { { "loss", "loss" }, { "accuracy", "accuracy" },
        { "pixel_accuracy", "pixel accuracy" }, { "pixel_error", "pixel error" },
        { "top_5_accuracy", "top-5 accuracy" },
        { "mean_iou", "mean IoU" }, { "map", "mAP 0.50:0.95" }, { "map_50", "mAP 0.50" },
        { "map_75", "mAP 0.75" }, { "mar_100", "mean recall" },
        { "f1_macro", "F1 (macro)" }, { "roc_auc", "ROC AUC" }, { "mae", "MAE" },
        { "mse", "MSE" }, { "rmse", "RMSE" }, { "r2", "R2" } };
    const char *of = output ? output : "", *colon = output ? ": " : "";
    for (size_t i = 0; i < sizeof measures / sizeof *measures; i++) {
        const json_t *v = json_object_get(report, measures[i][0]);
        if (v) fprintf(stderr, "tenrec: %s%s%-18s %.6g\n", of, colon, measures[i][1], json_number_value(v));
    }
    long without = (long)json_integer_value(json_object_get(report, "without_target"));
    if (without)
        fprintf(stderr, "tenrec: %s%sno target that the model knows: %ld row%s\n", of, colon, without, plural(without));
}

/* To stderr for people; whole to a file beside the table. */
static int tell_metrics(struct job *job, json_t **out, struct err *e)
{
    const char *name;
    json_t *report, *other;
    struct bytes text;
    TRY(targets_report(job->targets, out, e));
    report = *out;
    print_measures(report, NULL);
    json_object_foreach(json_object_get(report, "outputs"), name, other) print_measures(other, name);
    if (!job->out) return 0;
    const char *path = arena_printf(job->args->arena, "%s.metrics.json", job->out);
    TRY_MEM(path, e);
    TRY(json_print(report, JSON_IN_ORDER, job->args->arena, &text, e));
    return file_write(job->args->arena, path, text.data, text.len, e);
}

static int tell_json(const struct job *job, long rows, long errors, double seconds, json_t *metrics, struct err *e)
{
    json_t *told = json_pack("{s:s,s:I,s:I,s:I,s:I,s:f,s:O*}", "file", job->out, "rows", (json_int_t)rows, "errors",
        (json_int_t)errors, "resumed", (json_int_t)results_resumed(job->results), "missing", (json_int_t)job->missing,
        "seconds", seconds, "metrics", metrics);
    TRY(json_own(job->args->arena, told, e));
    return print_json(job->args->arena, told, e);
}

static int summarize(struct job *job, struct err *e)
{
    json_t *metrics = NULL;
    long rows = results_rows(job->results), errors = results_errors(job->results);
    long all = rows + (job->missing ? 0 : (long)results_resumed(job->results));
    const struct conf *c = &job->args->conf;
    double seconds = clock_now() - job->progress.began;
    fprintf(stderr, "tenrec: %ld row%s, %ld with errors, %.1f rows/s\n", all, plural(all), errors,
        (double)rows / (seconds + 1e-9));
    const char *parts = results_parts(job->results);
    if (interrupt_signal() && parts)
        return fail(e, ERR_CANCELLED, "interrupted: what is done is kept in %s; the same command goes on there", parts);
    if (interrupt_signal())
        return fail(e, ERR_CANCELLED, "interrupted: the rows up to here are written and the files are whole");
    if (job->missing)
        fprintf(stderr, "tenrec: %lld row%s of other shards missing: the last shard to end writes %s\n",
            (long long)job->missing, plural(job->missing), job->out);
    else if (job->targets) TRY(tell_metrics(job, &metrics, e));
    if (conf_flag(c, "json")) TRY(tell_json(job, all, errors, seconds, metrics, e));
    if (conf_has(c, "max-errors") && errors > conf_int(c, "max-errors"))
        return fail(e, ERR_DATA, "%ld row%s with errors, at most %lld allowed", errors, plural(errors),
            (long long)conf_int(c, "max-errors"));
    return 0;
}

static int work(struct job *job, struct err *e)
{
    TRY(open_model(&job->model, job->args, 0, e));
    print_report(&job->model.report, true);
    const char *layer = conf_string(&job->args->conf, "features");
    if (layer) TRY(model_features(&job->model, layer, e));
    TRY(open_rows(&job->table, &job->model, job->args, job->args->words[1], e));
    TRY(open_results(job, e));
    TRY(open_pipeline(job, e));
    interrupt_catch();
    progress_begin(&job->progress);
    TRY(score_all(job, e));
    return summarize(job, e);
}

static int run(struct args *args, struct err *e)
{
    struct job job = { .args = args };
    int code = work(&job, e);
    pipeline_free(job.pipeline);
    results_free(job.results);
    model_close(&job.model);
    return code;
}

static const struct conf_key keys[] = {
    { "output", 'o', CONF_PLACE, "OUT", NULL, NULL, 0, 0,
        "OUT.csv, .tsv, .jsonl, .db (SQLite), .npy, or a folder (OUT/) for the table, masks, overlays and arrays; else "
        "CSV on stdout" },
    { "format", 0, CONF_CHOICE, NULL, NULL, "csv|tsv|jsonl|sqlite|npy", 0, 0,
        "of the table, where its name does not say" },
    { "query", 0, CONF_STRING, "SELECT", NULL, NULL, 0, 0, "rows of an SQLite database; else all of its only table" },
    { "carry", 0, CONF_STRING, "NAME[,NAME]", NULL, NULL, 0, 0,
        "columns of the table that go along into the results; all: those that feed nothing" },
    { "names", 0, CONF_CHOICE, NULL, "tenrec", "tenrec|sas", 0, 0,
        "what columns of the results are called; sas: _predClass_, _predName_, _predImg_; _nObjects_, _Object0_ ..." },
    { "metrics", 0, CONF_FLAG, NULL, NULL, NULL, 0, 0,
        "compare with the column of the truth (label, mask, boxes or numbers), of several outputs each with its own; "
        "everything goes to OUT.metrics.json" },
    { "features", 0, CONF_STRING, "LAYER", NULL, NULL, 0, 0,
        "the numbers of an inner layer instead of the model's outputs; tenrec show MODEL names them" },
    { "shard", 0, CONF_STRING, "I/N", NULL, NULL, 0, 0,
        "do the I-th of N shares; processes with the same OUT make one table together" },
    { "restart", 0, CONF_FLAG, NULL, NULL, NULL, 0, 0, "throw away what an earlier run of this job has done" },
    { "masks", 0, CONF_PLACE, "FOLDER", NULL, NULL, 0, 0, "label maps as PNG with a palette" },
    { "overlays", 0, CONF_PLACE, "FOLDER", NULL, NULL, 0, 0, "the images with the label maps painted over them" },
    { "alpha", 0, CONF_FLOAT, "0..1", "0.5", NULL, 0, 0, "how strong an overlay's colours are" },
    { "tensors", 0, CONF_PLACE, "FOLDER", NULL, NULL, 0, 0, "outputs that are no classes and no masks, as .npy" },
    { "columns", 'c', CONF_LIST, "ROLE=NAME[,NAME]", NULL, NULL, 0, 0,
        "what columns are for, where their names do not say: image, mask, label, boxes, numbers, sequence, id; "
        "image:INPUT=NAME feeds an input of the model" },
    { "batch", 'b', CONF_INT, "N", "0", NULL, 0, 65536,
        "samples per forward pass; changes no answer, in no bit; 0: 1, or 4 of many rows where the model takes them" },
    { "threads", 't', CONF_INT, "N", "0", NULL, 0, 4096, "0: as many as this process may use" },
    { "limit", 'n', CONF_INT, "N", "0", NULL, 0, INT64_MAX, "stop after so many rows; 0: all" },
    { "max-errors", 0, CONF_INT, "N", NULL, NULL, 0, INT64_MAX, "exit code 4 when more rows than this have errors" },
    { "json", 0, CONF_FLAG, NULL, NULL, NULL, 0, 0, "print what was done, and the measures, as JSON" },
    KEY_PRECISION,
    KEY_RECIPE,
    KEYS_OPEN,
    { 0 },
};

const struct command command_score = {
    .name = "score",
    .synopsis = "MODEL TABLE [-o OUT] [OPTIONS]",
    .doc =
        "Score a table: classes, masks or numbers for every row.\n\n"
        "TABLE is a folder of images, a glob, a CSV, TSV, .jsonl or SQLite database (a column image, path or file; or\n"
        "one column per input, named as the model names it), .tar shards (WebDataset), an IDX, .npy or .npz file, one\n"
        "image, or - for paths on stdin (one a line, or ended by zero bytes), answered as they come. Rows that\n"
        "cannot be scored get a text in the column `error`, and the job goes on. An answer does not depend on its\n"
        "batch. A job that was killed goes on when the same command is given again.\n\n"
        "CSV columns: path; label, score, class (best first, then label_2 ...), or classes (shares), mask, overlay,\n"
        "or the numbers; error. JSON lines hold the same and more, one object per row.",
    .examples = "  tenrec score resnet18.tenrec photos/ -o answers.csv\n"
                "  tenrec score seg.tenrec street.csv --masks masks/ --overlays look/ -o answers.jsonl\n"
                "  tenrec score resnet18.tenrec rows.csv --columns label=species --metrics --carry all -o answers.db\n"
                "  tenrec score resnet18.tenrec photos/ --features avgpool -o vectors.npy\n"
                "  find . -name '*.jpg' | tenrec score resnet18.tenrec - --batch 8\n",
    .min_words = 2,
    .max_words = 2,
    .keys = keys,
    .run = run,
};
