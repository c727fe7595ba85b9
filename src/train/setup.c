/* setup.c - from a description to a run that could begin: everything that can be wrong is found here. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/err.h"
#include "base/str.h"
#include "base/team.h"
#include "graph/release.h"
#include "pass/batch.h"
#include "plan/recipe.h"
#include "train/run.h"

void run_say(const struct train_run *r, const char *fmt, ...)
{
    char line[1000];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (r->listener->say) r->listener->say(r->listener->cookie, line);
}

static const char *const *texts(struct train_run *r, const char *key, struct err *e)
{
    size_t n;
    const char *const *list = conf_list(r->conf, key, &n);
    const char **copy = ARENA_ARRAY(&r->a, n + 1, const char *);
    if (!copy) return fail_nomem(e), NULL;
    for (size_t i = 0; i < n; i++) copy[i] = list[i];
    return n ? copy : NULL;
}

static int open_model(struct train_run *r, struct err *e)
{
    const struct conf *c = r->conf;
    struct model_options o = { 0 };
    size_t n;
    const char *path = conf_string(c, "model"), *mode = conf_string(c, "mode");
    if (!path) return fail(e, ERR_USAGE, "model: say what is to be trained, a package or a model file");
    const char *const *hints = conf_list(c, "input", &n);
    struct import_hint *list = ARENA_ARRAY(&r->a, n, struct import_hint);
    TRY_MEM(list, e);
    for (size_t i = 0; i < n; i++) TRY(import_hint_parse(&r->a, hints[i], &list[i], e));
    o.import.inputs = list;
    o.import.n_inputs = n;
    o.import.mode = !strcmp(mode, "train") ? IMPORT_TRAIN : !strcmp(mode, "saved") ? IMPORT_AS_SAVED : IMPORT_SCORE;
    o.manifest.like = conf_string(c, "like");
    o.manifest.set = conf_list(c, "set", &o.manifest.n_set);
    const char *task = conf_string(c, "task");
    if (!strncmp(task, "image-", 6)) o.manifest.task = task;
    o.labels_path = conf_string(c, "labels");
    o.preprocess_path = conf_string(c, "preprocess");
    o.weights_path = conf_string(c, "weights");
    o.classes = conf_int(c, "classes");
    o.seed = r->train.seed;
    TRY(model_open(&r->model, path, &o, e));
    r->fresh = !strcmp(r->model.format, "zoo") && !o.weights_path;
    for (size_t i = 0; i < r->model.report.n; i++)
        if (r->model.report.items[i].kind == REPORT_GUESS) run_say(r, "guess: %s", r->model.report.items[i].what);
    if (!r->model.graph->n_outputs) return fail(e, ERR_USAGE, "%s: the model has no outputs", path);
    return 0;
}

/* Of the model as its file has it: what a training changes in it (the batch, the last layer) finds no kernel named. */
static int open_recipe(struct train_run *r, struct err *e)
{
    const char *ignored;
    TRY(recipe_open(&r->recipe, &r->a, conf_string(r->conf, "recipe"), r->model.graph, &ignored, e));
    if (ignored) run_say(r, "%s", ignored);
    return recipe_hash(r->recipe, r->kernels_hash, e);
}

static void free_port(json_t *ports)
{
    size_t i;
    json_t *port;
    json_array_foreach(ports, i, port)
    {
        json_array_set_new(json_object_get(port, "shape"), 0, json_integer(-1));
        json_array_set_new(json_object_get(port, "dims"), 0, json_string("N"));
    }
}

/* A model that was exported for one sample takes any number from now on, where that can be. */
static int free_batch(struct train_run *r, struct err *e)
{
    const struct graph *g = r->model.graph;
    struct err why = { 0 };
    bool one = false;
    for (size_t i = 0; i < g->n_inputs; i++)
        one = one || (g->inputs[i]->shape.rank > 1 && g->inputs[i]->shape.dim[0] == 1);
    if (!one || conf_int(r->conf, "batch") == 1) return 0;
    struct graph *freed = graph_copy(g, &r->model.arena, e);
    if (!freed) return e->code;
    if (!graph_free_batch(freed, &why)) {
        r->model.graph = freed;
        free_port(json_object_get(r->model.manifest, "inputs"));
        free_port(json_object_get(r->model.manifest, "outputs"));
        run_say(r, "note: the model was made for one sample at a time; it takes any number now");
        return 0;
    }
    if (conf_has(r->conf, "batch"))
        return fail(
            e, ERR_USAGE, "batch: the model takes one sample at a time (%s): use batch: 1, and accumulate", why.text);
    r->single = true;
    run_say(r, "note: the model takes one sample at a time (%s), so batch is 1; see accumulate", why.text);
    return 0;
}

static int open_table(struct train_run *r, const char *path, const char *labels, struct table **out, struct err *e)
{
    const struct graph *g = r->model.graph;
    const char **inputs = ARENA_ARRAY(&r->a, g->n_inputs + 1, const char *);
    TRY_MEM(inputs, e);
    for (size_t i = 0; i < g->n_inputs; i++) inputs[i] = g->inputs[i]->name;
    struct table_options o = {
        .columns = texts(r, "columns", e), .inputs = inputs, .labels = labels ? conf_string(r->conf, labels) : NULL
    };
    if (e->code || !(*out = table_open(&r->a, path, &o, e))) return e->code;
    TRY(table_index(*out, e));
    if (table_count(*out) < 1) return fail(e, ERR_DATA, "%s: there are no rows", path);
    return 0;
}

static int open_tables(struct train_run *r, struct err *e)
{
    const char *data = conf_string(r->conf, "data"), *valid = conf_string(r->conf, "valid");
    if (!data) return fail(e, ERR_USAGE, "data: say what to learn from, a folder or a table");
    TRY(open_table(r, data, "data_labels", &r->data, e));
    r->judged = r->data;
    return valid ? open_table(r, valid, "valid_labels", &r->judged, e) : 0;
}

static int by_number(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* A share of the rows, drawn by the seed, is kept back to judge by; each part stays in the order of the table. */
static int split_rows(struct train_run *r, struct err *e)
{
    double share = conf_float(r->conf, "valid_share");
    int64_t n = table_count(r->data), limit = conf_int(r->conf, "limit");
    if (!(share >= 0 && share < 1)) return fail(e, ERR_USAGE, "valid_share: %g is no share from 0 to 1", share);
    int64_t *rows = ARENA_ARRAY(&r->a, n, int64_t);
    size_t *order = ARENA_ARRAY(&r->a, n, size_t);
    if (!rows || !order) return fail_nomem(e);
    for (int64_t i = 0; i < n; i++) rows[i] = i;
    bool own = r->judged == r->data;
    struct samples all = { .rows = rows, .n = (size_t)n, .shuffle = own || limit, .seed = r->train.seed };
    TRY(samples_order(&all, INT32_MAX, order, &r->a, e));
    for (int64_t i = 0; i < n; i++) rows[i] = (int64_t)order[i];
    if (limit && limit < n) n = limit;
    int64_t kept = own ? (int64_t)floor((double)n * share) : 0;
    qsort(rows, (size_t)(n - kept), sizeof *rows, by_number);
    qsort(rows + n - kept, (size_t)kept, sizeof *rows, by_number);
    r->train.rows = rows;
    r->train.n = (size_t)(n - kept);
    r->valid.rows = rows + n - kept;
    r->valid.n = (size_t)kept;
    if (own) return 0;
    int64_t m = table_count(r->judged), *others = ARENA_ARRAY(&r->a, m, int64_t);
    TRY_MEM(others, e);
    for (int64_t i = 0; i < m; i++) others[i] = i;
    r->valid.rows = others;
    r->valid.n = (size_t)m;
    return 0;
}

/* The step's; the model is judged as it will be scored. */
static enum precision precision_of(struct train_run *r)
{
    const char *said = conf_string(r->conf, "precision");
    if (!strcmp(said, "bf16-rounded")) return PRECISION_ROUNDED;
    if (strcmp(said, "bf16")) return PRECISION_FULL;
    const char *against = backend_against_bf16();
    if (!against) return PRECISION_BF16;
    run_say(r, "note: this processor %s: it trains in float32", against);
    return PRECISION_FULL;
}

static int make_sessions(struct train_run *r, struct err *e)
{
    struct session_options o = { .threads = r->threads, .recipe = r->recipe, .plan_bytes = (size_t)256 << 20 };
    o.precision = precision_of(r);
    if (!(r->session = session_new(r->step, &o, e))) return e->code;
    o.precision = PRECISION_FULL;
    o.states_of = r->session;
    if (!(r->judge_session = session_new(r->judging, &o, e))) return e->code;
    return graph_release_states(r->model.graph, r->step, e); /* trained() in state.c has what was there */
}

static int settle_batches(struct train_run *r, struct err *e)
{
    bool drop = conf_int(r->conf, "drop_last");
    r->batch = r->single ? 1 : (size_t)conf_int(r->conf, "batch");
    r->accumulate = (int)conf_int(r->conf, "accumulate");
    if (r->batch > r->train.n && r->train.n) r->batch = r->train.n;
    r->batches = drop ? r->train.n / r->batch : (r->train.n + r->batch - 1) / r->batch;
    if (!r->batches) return fail(e, ERR_DATA, "%s: no rows are left to learn from", table_path(r->data));
    return 0;
}

/* Of one target, where answers have this shape: without samples, and without classes. Rank below 0: it cannot be. */
static struct shape target_shape(const struct shape *answer, bool classes)
{
    struct shape want = *answer;
    int from = classes ? 2 : 1;
    want.rank -= from;
    memmove(want.dim, want.dim + from, (size_t)(want.rank > 0 ? want.rank : 0) * sizeof *want.dim);
    return want;
}

static int check_further(struct train_run *r, const struct tensor *out, struct err *e)
{
    for (size_t k = 1; k < r->n_heads; k++) {
        struct further *f = &r->train.further[k];
        const char *name = r->model.graph->outputs[r->heads[k].output]->name;
        bool classes = f->names ? f->classes > 0 : r->train.classes > 0;
        f->want = target_shape(&out[r->heads[k].output].shape, classes);
        r->valid.further[k].want = f->want;
        if (f->want.rank < 0) return fail(e, ERR_UNSUPPORTED, "heads: %s has no dimension of samples", name);
        if (!f->names && !shape_equal(&f->want, &r->train.want))
            return fail(e, ERR_SHAPE, "heads: %s is of another size than the first output, and needs columns", name);
        if (f->names && classes && f->want.rank > 0 && shape_count(&f->want) != 1)
            return fail(e, ERR_SHAPE, "heads: %s gives classes at many places, a column holds one", name);
    }
    return 0;
}

/* What the model answers to one sample fits what it is to learn. */
static int check_answers(struct train_run *r, const struct tensor *out, const struct batch *b, struct err *e)
{
    struct shape want = target_shape(&out[0].shape, r->train.classes > 0);
    if (r->task->target == SAMPLE_INPUT && !shape_equal(&out[0].shape, &b->in[0]->shape))
        return fail(
            e, ERR_USAGE, "the model's answer has another shape than its input: it cannot learn to give it back");
    if (want.rank < 0) return fail(e, ERR_UNSUPPORTED, "the model's output has no dimension of samples");
    r->train.want = r->valid.want = want;
    if (r->task->target == SAMPLE_CLASS && shape_count(&want) != 1)
        return fail(e, ERR_SHAPE, "the model gives classes at many places: its task is image-segmentation");
    if (r->task->target == SAMPLE_MASK && want.rank != 2)
        return fail(e, ERR_SHAPE, "the model gives no classes at each pixel: it cannot learn masks");
    return check_further(r, out, e);
}

/* One sample goes through the model before the first step: sizes of targets are known then, and faults are found. */
static int try_sample(struct train_run *r, struct err *e)
{
    struct arena a;
    struct batch b = { 0 };
    size_t tried = 0;
    arena_init(&a, NULL);
    for (; tried < r->train.n && tried < 10 && !b.n && !e->code; tried++)
        samples_batch(&r->train, 0, &tried, 1, &a, &b, e);
    if (!e->code && !b.n)
        fail(
            e, ERR_DATA, "none of the first %zu rows can be used; the last: %s", tried, b.n_errors ? b.errors[0] : "?");
    struct session *s = e->code ? NULL
                                : session_new(r->model.graph, &(struct session_options){ .threads = r->threads }, e);
    struct tensor *out = ARENA_ARRAY(&a, r->model.graph->n_outputs, struct tensor);
    if (!out) fail_nomem(e);
    if (!e->code && !session_run(s, (const struct tensor *const *)b.in, out, e)) check_answers(r, out, &b, e);
    session_free(s);
    arena_release(&a);
    return e->code;
}

int run_setup(struct train_run *r, struct err *e)
{
    int threads = (int)conf_int(r->conf, "threads");
    r->threads = threads > 0 ? threads : team_default_size();
    r->train.seed = r->valid.seed = (uint64_t)conf_int(r->conf, "seed");
    r->train.shuffle = conf_int(r->conf, "shuffle");
    TRY(open_model(r, e));
    TRY(open_recipe(r, e));
    TRY(free_batch(r, e));
    TRY(open_tables(r, e));
    TRY(run_choose_task(r, e));
    TRY(split_rows(r, e));
    TRY(run_settle_targets(r, e));
    TRY(settle_batches(r, e));
    TRY(run_settle_loss(r, e));
    TRY(run_settle_metric(r, e));
    TRY(run_settle_schedule(r, e));
    TRY(run_settle_augment(r, e));
    TRY(try_sample(r, e));
    TRY(run_check_rows(r, e));
    TRY(run_make_step(r, e));
    TRY(run_make_judging(r, e));
    return make_sessions(r, e);
}
