/* cmd_score.c - a model answers every row of a table. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"
#include "cli/interrupt.h"
#include "cli/opening.h"
#include "score/results.h"

enum { IDLE_MS = 50 }; /* a stream that gives nothing for so long has its part batch answered */

struct job {
    struct args *args;
    struct model model;
    struct table *table;
    struct pipeline *pipeline;
    struct results *results;
    double began, told;
    bool terminal;
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
        if (job->terminal) fputs("\r\033[K", stderr);
        fprintf(stderr, "tenrec: row %ld: %s\n", s->row + 1, s->error);
    }
    return results_put(job->results, s, e);
}

static void show_progress(struct job *job, bool last)
{
    double now = clock_now();
    if (!job->terminal || (!last && now - job->told < 0.2)) return;
    long rows = results_rows(job->results), all = (long)table_count(job->table);
    job->told = now;
    fprintf(stderr, "\r\033[K%ld", rows);
    if (all > 0) fprintf(stderr, " of %ld", all);
    fprintf(stderr, " rows, %.1f rows/s%s", (double)rows / (now - job->began + 1e-9), last ? "\r\033[K" : "");
}

/* Where the results go: OUT ending in .csv, .tsv, .jsonl is a file; anything else a folder that gets everything. */
static int choose_results(struct job *job, struct results_options *o, struct err *e)
{
    const struct conf *c = &job->args->conf;
    struct arena *a = job->args->arena;
    const char *out = conf_string(c, "output"), *format = conf_string(c, "format");
    if (out && !strcmp(out, "-")) out = NULL;
    bool tsv = out && str_ends(out, ".tsv"), jsonl = out && (str_ends(out, ".jsonl") || str_ends(out, ".ndjson"));
    bool folder = out && !tsv && !jsonl && !str_ends(out, ".csv");
    if (format) tsv = !strcmp(format, "tsv"), jsonl = !strcmp(format, "jsonl");
    o->format = jsonl ? RESULTS_JSONL : tsv ? RESULTS_TSV : RESULTS_CSV;
    o->out = out;
    if (!folder) return 0;
    TRY(file_mkdirs(out, e));
    static const char *const endings[] = { "csv", "tsv", "jsonl" };
    o->out = arena_printf(a, "%s/results.%s", out, endings[o->format]);
    if (!o->masks) o->masks = arena_printf(a, "%s/masks", out);
    if (!o->overlays) o->overlays = arena_printf(a, "%s/overlays", out);
    if (!o->tensors) o->tensors = arena_printf(a, "%s/tensors", out);
    return o->out && o->masks && o->overlays && o->tensors ? 0 : fail_nomem(e);
}

static bool has_answer(const struct model *m, const char *const *steps)
{
    for (size_t i = 0; i < m->graph->n_outputs; i++) {
        const json_t *port = manifest_port(m->manifest, "outputs", m->graph->outputs[i]->name), *step;
        bool any = false;
        size_t k;
        json_array_foreach(json_object_get(port, "postprocess"), k, step)
        {
            const char *op = json_string_value(json_object_get(step, "op"));
            for (size_t j = 0; op && steps[j]; j++) any = any || !strcmp(op, steps[j]);
            if (op && !steps[0]) any = any || !strcmp(op, "top_k") || !strcmp(op, "argmax") || !strcmp(op, "threshold");
        }
        if (any == (steps[0] != NULL)) return true;
    }
    return false;
}

/* Folders nothing would be put into are not made; asked for by name, that is worth a word. */
static void drop_useless(const struct job *job, struct results_options *o)
{
    static const char *const mask_steps[] = { "argmax", "threshold", NULL }, *const none[] = { NULL };
    if (!has_answer(&job->model, mask_steps)) {
        if (conf_has(&job->args->conf, "masks") || conf_has(&job->args->conf, "overlays"))
            fputs("tenrec: note: this model gives no masks; see --task image-segmentation\n", stderr);
        o->masks = o->overlays = NULL;
    }
    if (!has_answer(&job->model, none)) o->tensors = NULL;
}

static int open_results(struct job *job, struct err *e)
{
    const struct conf *c = &job->args->conf;
    struct results_options o = {
        .model = &job->model,
        .write = write_stdout,
        .masks = conf_string(c, "masks"),
        .overlays = conf_string(c, "overlays"),
        .tensors = conf_string(c, "tensors"),
        .root = file_is_dir(job->args->words[1]) ? job->args->words[1] : NULL,
        .alpha = (float)conf_float(c, "alpha"),
    };
    if (o.alpha < 0 || o.alpha > 1) return fail(e, ERR_USAGE, "--alpha: a number from 0 to 1");
    TRY(choose_results(job, &o, e));
    drop_useless(job, &o);
    job->results = results_new(&o, e);
    return job->results ? 0 : e->code;
}

static int open_table(struct job *job, struct err *e)
{
    const struct graph *g = job->model.graph;
    const char *path = job->args->words[1];
    const char **inputs = ARENA_ARRAY(job->args->arena, g->n_inputs + 1, const char *);
    TRY_MEM(inputs, e);
    for (size_t i = 0; i < g->n_inputs; i++) inputs[i] = g->inputs[i]->name;
    size_t n;
    const char *const *said = conf_list(&job->args->conf, "columns", &n);
    const char **columns = ARENA_ARRAY(job->args->arena, n + 1, const char *);
    TRY_MEM(columns, e);
    for (size_t i = 0; i < n; i++) columns[i] = said[i];
    struct table_options o = { .inputs = inputs, .columns = columns };
    if (!(job->table = table_open(job->args->arena, path, &o, e))) return e->code;
    size_t fed = 0;
    for (size_t i = 0; i < table_columns(job->table); i++) fed += table_column_at(job->table, i)->input >= 0;
    if (fed >= g->n_inputs) return 0;
    struct str names = str_in(job->args->arena);
    for (size_t i = 0; i < g->n_inputs; i++) str_addf(&names, "%s%s", i ? "," : "", g->inputs[i]->name);
    if (g->n_inputs == 1)
        return fail(e, ERR_USAGE, "%s: no column for the model's input %s: say which, as in --columns image=NAME", path,
            str_done(&names));
    return fail(e, ERR_USAGE, "%s: the model has %zu inputs: give a table with the columns %s", path, g->n_inputs,
        str_done(&names));
}

static int open_pipeline(struct job *job, struct err *e)
{
    const struct conf *c = &job->args->conf;
    struct pipeline_options o = {
        .batch = (int)conf_int(c, "batch"),
        .threads = (int)conf_int(c, "threads"),
        .answer = take_answer,
        .cookie = job,
    };
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
    long limit = (long)conf_int(&job->args->conf, "limit"), rows = 0;
    bool idle = false;
    int got = 1;
    while (got > 0 && !interrupt_signal() && (!limit || rows < limit)) {
        got = score_next(job, &idle, e);
        rows += !idle;
        show_progress(job, false);
    }
    if (got >= 0) got = pipeline_flush(job->pipeline, e);
    if (got >= 0) got = results_finish(job->results, e);
    show_progress(job, true);
    return got < 0 ? got : 0;
}

static int summarize(struct job *job, struct err *e)
{
    long rows = results_rows(job->results), errors = results_errors(job->results);
    const struct conf *c = &job->args->conf;
    double seconds = clock_now() - job->began;
    fprintf(stderr, "tenrec: %ld rows, %ld with errors, %.1f rows/s\n", rows, errors, (double)rows / (seconds + 1e-9));
    if (interrupt_signal())
        return fail(e, ERR_CANCELLED, "interrupted: the rows up to here are written and the files are whole");
    if (conf_has(c, "max-errors") && errors > conf_int(c, "max-errors"))
        return fail(e, ERR_DATA, "%ld rows have errors, at most %lld are allowed", errors,
            (long long)conf_int(c, "max-errors"));
    return 0;
}

static int work(struct job *job, struct err *e)
{
    TRY(open_model(&job->model, job->args, 0, e));
    print_report(&job->model.report, true);
    TRY(open_table(job, e));
    TRY(open_results(job, e));
    TRY(open_pipeline(job, e));
    interrupt_catch();
    job->began = job->told = clock_now();
    TRY(score_all(job, e));
    return summarize(job, e);
}

static int run(struct args *args, struct err *e)
{
    struct job job = { .args = args, .terminal = isatty(2) };
    int code = work(&job, e);
    pipeline_free(job.pipeline);
    results_free(job.results);
    model_close(&job.model);
    return code;
}

static const struct conf_key keys[] = {
    { "output", 'o', CONF_STRING, "OUT", NULL, NULL, 0, 0,
        "OUT.csv, OUT.tsv, OUT.jsonl, or a folder for the table, masks, overlays and arrays; else CSV on stdout" },
    { "format", 0, CONF_CHOICE, NULL, NULL, "csv|tsv|jsonl", 0, 0, "of the table, where its name does not say" },
    { "masks", 0, CONF_STRING, "FOLDER", NULL, NULL, 0, 0, "label maps as PNG with a palette" },
    { "overlays", 0, CONF_STRING, "FOLDER", NULL, NULL, 0, 0, "the images with the label maps painted over them" },
    { "alpha", 0, CONF_FLOAT, "0..1", "0.5", NULL, 0, 0, "how strong an overlay's colours are" },
    { "tensors", 0, CONF_STRING, "FOLDER", NULL, NULL, 0, 0, "outputs that are no classes and no masks, as .npy" },
    { "columns", 'c', CONF_LIST, "ROLE=NAME[,NAME]", NULL, NULL, 0, 0,
        "what columns are for, where their names do not say: image, mask, label, boxes, numbers, sequence, id; "
        "image:INPUT=NAME feeds an input of the model" },
    { "batch", 'b', CONF_INT, "N", "1", NULL, 1, 65536, "samples per forward pass; changes no answer, in no bit" },
    { "threads", 't', CONF_INT, "N", "0", NULL, 0, 4096, "0: as many as this process may use" },
    { "limit", 'n', CONF_INT, "N", "0", NULL, 0, INT64_MAX, "stop after so many rows; 0: all" },
    { "max-errors", 0, CONF_INT, "N", NULL, NULL, 0, INT64_MAX, "exit code 4 when more rows than this have errors" },
    KEYS_OPEN,
    { 0 },
};

const struct command command_score = {
    .name = "score",
    .synopsis = "MODEL TABLE [-o OUT] [OPTIONS]",
    .doc =
        "Score a table: classes, masks or numbers for every row.\n\n"
        "TABLE is a folder of images, a CSV or TSV (a column image, path or file; or one column per input, named as\n"
        "the model names it), one file, or - for paths on stdin, answered as they come. Rows that cannot be scored\n"
        "get a text in the column `error`, and the job goes on. An answer does not depend on its batch.\n\n"
        "CSV columns: path; label, score, class (best first, then label_2 ...), or classes (shares), mask, overlay,\n"
        "or the numbers; error. JSON lines hold the same and more, one object per row.",
    .examples = "  tenrec score resnet18.tenrec photos/ -o answers.csv\n"
                "  tenrec score seg.tenrec street.csv --masks masks/ --overlays look/ -o answers.jsonl\n"
                "  find . -name '*.jpg' | tenrec score resnet18.tenrec - --batch 8\n",
    .min_words = 2,
    .max_words = 2,
    .keys = keys,
    .run = run,
};
