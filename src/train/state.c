/* state.c - what a run leaves on the disk so that it can go on, and the packages it makes. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backend/backend.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/hash.h"
#include "enc/json.h"
#include "tenrec/tenrec.h"
#include "train/checkpoint.h"
#include "train/run.h"

#define CHECKPOINT "checkpoint.safetensors"

static json_t *number(double v)
{
    return isfinite(v) ? json_real(v) : json_null(); /* NaN: there is none yet */
}

static double get_number(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static json_t *history_json(const struct history *h)
{
    json_t *list = json_array();
    for (size_t i = 0; i < h->n; i++) json_array_append_new(list, number(h->values[i]));
    return list;
}

/* The library that brings kernels, its version and the instructions it takes here. */
static const char *kernels(void)
{
    for (size_t i = 0; backend_list[i]; i++)
        if (backend_list[i]->version) return backend_list[i]->version();
    return "our own";
}

/* What must be the same for a resumed run to give the same bits; the first four may differ when that is asked for. */
static const char *const soft[] = { "program", "kernels", "threads", "recipe" };
static json_t *recipe(const struct train_run *r)
{
    return json_pack("{s:s,s:s,s:i,s:s,s:I,s:I,s:I}", soft[0], tenrec_version(), soft[1], kernels(), soft[2],
        r->threads, soft[3], r->kernels_hash, "rows", (json_int_t)r->train.n, "batch", (json_int_t)r->batch,
        "rows_valid", (json_int_t)r->valid.n);
}

static bool is_soft(const char *key)
{
    for (size_t i = 0; i < sizeof soft / sizeof *soft; i++)
        if (!strcmp(key, soft[i])) return true;
    return false;
}

int run_save(struct train_run *r, struct err *e)
{
    struct arena a;
    arena_init(&a, NULL);
    json_t *t = json_pack("{s:o,s:I,s:I,s:I,s:o,s:I,s:I,s:o,s:I,s:I,s:b,s:[o,o,i,i],s:o}", "recipe", recipe(r), "epoch",
        (json_int_t)r->epoch, "at", (json_int_t)r->at, "updates", (json_int_t)r->updates, "loss_sum",
        number(r->loss_sum), "loss_n", (json_int_t)r->loss_n, "errors", (json_int_t)r->errors, "best", number(r->best),
        "best_epoch", (json_int_t)r->best_epoch, "since_best", (json_int_t)r->since_best, "done", (int)r->done,
        "plateau", number(r->schedule.factor), number(r->schedule.best), r->schedule.bad, r->schedule.wait, "history",
        history_json(&r->history));
    json_own(&a, t, e);
    const char *path = e->code ? NULL : folder_file(&a, r->folder, CHECKPOINT, e);
    if (path && checkpoint_write(path, r->session, r->step, t, e))
        err_prefix(e, "the checkpoint could not be written (the one before is whole; make room and use --resume %s)",
            r->folder);
    arena_release(&a);
    r->saved = clock_now();
    return e->code;
}

bool run_has_checkpoint(const struct train_run *r)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/" CHECKPOINT, r->folder);
    return file_exists(path);
}

static int check_recipe(struct train_run *r, const json_t *was, const char *path, struct err *e)
{
    json_t *now = recipe(r);
    const char *key;
    json_t *v;
    if (json_own(&r->a, now, e)) return e->code;
    json_object_foreach(now, key, v)
    {
        const json_t *old = json_object_get(was, key);
        if (old && json_equal(v, old)) continue;
        char *a = old ? json_dumps(old, JSON_ENCODE_ANY) : NULL, *b = json_dumps(v, JSON_ENCODE_ANY);
        if (!is_soft(key) || !r->force)
            fail(e, is_soft(key) ? ERR_USAGE : ERR_DATA, "%s: %s was %s and is %s now%s", path, key, a ? a : "?",
                b ? b : "?",
                is_soft(key) ? ", so the result would have other bits; --force goes on all the same"
                     : ": the table or the settings have changed since");
        free(a);
        free(b);
        TRY(e->code);
    }
    return 0;
}

int run_restore(struct train_run *r, struct err *e)
{
    const char *path = folder_file(&r->a, r->folder, CHECKPOINT, e);
    json_t *t;
    if (!path) return e->code;
    if (!file_exists(path)) return run_say(r, "%s: no checkpoint yet, the run begins anew", r->folder), 0;
    TRY(checkpoint_read(path, r->session, r->step, &r->a, &t, e));
    TRY(check_recipe(r, json_object_get(t, "recipe"), path, e));
    r->epoch = json_integer_value(json_object_get(t, "epoch"));
    r->at = json_integer_value(json_object_get(t, "at"));
    r->updates = json_integer_value(json_object_get(t, "updates"));
    r->loss_sum = get_number(t, "loss_sum");
    r->loss_n = json_integer_value(json_object_get(t, "loss_n"));
    r->errors = json_integer_value(json_object_get(t, "errors"));
    r->best = get_number(t, "best");
    r->best_epoch = json_integer_value(json_object_get(t, "best_epoch"));
    r->since_best = json_integer_value(json_object_get(t, "since_best"));
    r->done = json_is_true(json_object_get(t, "done"));
    const json_t *plateau = json_object_get(t, "plateau"), *history = json_object_get(t, "history"), *item;
    r->schedule.factor = json_number_value(json_array_get(plateau, 0));
    const json_t *best = json_array_get(plateau, 1);
    r->schedule.best = json_is_number(best) ? json_number_value(best) : NAN;
    r->schedule.bad = (int)json_integer_value(json_array_get(plateau, 2));
    r->schedule.wait = (int)json_integer_value(json_array_get(plateau, 3));
    bool counts = r->epoch >= 0 && r->at >= 0 && r->at <= (int64_t)r->batches && r->updates >= 0 && r->errors >= 0;
    if (!counts || r->loss_n < 0 || json_array_size(history) % r->history.n_names)
        return fail(e, ERR_DATA, "%s: its counters make no sense", path);
    for (size_t i = 0; i < json_array_size(history); i += r->history.n_names) {
        double row[COLUMNS_MAX];
        for (size_t k = 0; k < r->history.n_names; k++) {
            item = json_array_get(history, i + k);
            row[k] = json_is_number(item) ? json_number_value(item) : NAN;
        }
        TRY(history_add(&r->history, row, e));
    }
    return 0;
}

static int state_index(const struct graph *g, const char *name)
{
    for (size_t i = 0; i < g->n_states; i++)
        if (!strcmp(g->states[i]->name, name)) return (int)i;
    return -1;
}

/* The trained content of a state of the model: its running average where there is one. NULL without an error: as it
 * was. */
static const struct tensor *trained(struct train_run *r, const struct value *v, struct arena *a, struct err *e)
{
    char name[300];
    snprintf(name, sizeof name, "average/%.250s", v->name);
    int i = state_index(r->step, name);
    if (i < 0) i = state_index(r->step, v->name);
    return i < 0 ? NULL : session_state(r->session, (size_t)i, a, e);
}

int run_weights_hash(struct train_run *r, char hex[65], struct err *e)
{
    struct hash_stream h;
    const struct graph *g = r->model.graph;
    struct arena a;
    arena_init(&a, NULL);
    hash_begin(&h);
    for (size_t i = 0; i < g->n_states; i++) {
        const struct tensor *t = trained(r, g->states[i], &a, e);
        if (!t) t = g->states[i]->data;
        hash_add(&h, g->states[i]->name, strlen(g->states[i]->name) + 1);
        hash_add(&h, t->data, (size_t)tensor_bytes(t));
    }
    hash_end(&h, hex);
    arena_release(&a);
    return e->code;
}

/* A sample of the run with the model's answer, so that the package can prove itself. */
static int make_example(struct train_run *r, struct session *s, struct example *ex, struct arena *a, struct err *e)
{
    const struct samples *from = r->valid.n ? &r->valid : &r->train;
    const struct graph *g = r->model.graph;
    struct samples plain = *from;
    struct batch b = { 0 };
    plain.augment = NULL;
    for (size_t i = 0; i < plain.n && i < 10 && !b.n; i++) TRY(samples_batch(&plain, 0, &i, 1, a, &b, e));
    if (!b.n) return 0;
    struct tensor *out = ARENA_ARRAY(a, g->n_outputs, struct tensor);
    const struct tensor **list = ARENA_ARRAY(a, g->n_outputs, const struct tensor *);
    if (!out || !list) return fail_nomem(e);
    TRY(session_run(s, (const struct tensor *const *)b.in, out, e));
    for (size_t i = 0; i < g->n_outputs; i++)
        if (!(list[i] = tensor_copy(a, out[i].dtype, &out[i].shape, out[i].data, e))) return e->code;
    *ex = (struct example){ arena_printf(a, "tenrec %s", tenrec_version()), (const struct tensor *const *)b.in, list };
    return ex->made_by ? 0 : fail_nomem(e);
}

static void describe(struct train_run *r)
{
    json_t *m = r->model.manifest, *port = json_array_get(json_object_get(m, "outputs"), 0);
    const struct shape *s = &r->model.graph->outputs[0]->shape;
    json_object_del(m, "examples");
    if (r->task->target != SAMPLE_CLASS) return;
    if (s->rank >= 2) json_array_set_new(json_object_get(port, "shape"), 1, json_integer(s->dim[1]));
    manifest_label(port, r->model.graph->outputs[0], &r->model.labels, &r->model.report);
}

static int write_package(struct train_run *r, const char *name, struct arena *a, struct err *e)
{
    const char *path = folder_file(a, r->folder, name, e);
    struct example ex = { 0 };
    if (!path) return e->code;
    struct session *s = session_new(r->model.graph, &(struct session_options){ .threads = r->threads }, e);
    if (s) make_example(r, s, &ex, a, e);
    session_free(s);
    TRY(e->code);
    describe(r);
    if (package_write(&r->model, path, ex.in ? &ex : NULL, e)) return err_prefix(e, "%s", path);
    return 0;
}

/* The model takes the trained weights for as long as the package is written. */
int run_write_package(struct train_run *r, const char *name, struct err *e)
{
    struct graph *g = r->model.graph;
    struct arena a;
    arena_init(&a, NULL);
    const struct tensor **was = ARENA_ARRAY(&a, g->n_states, const struct tensor *);
    if (!was) fail_nomem(e);
    size_t n = 0;
    for (; n < g->n_states && !e->code; n++) {
        was[n] = g->states[n]->data;
        const struct tensor *t = trained(r, g->states[n], &a, e);
        if (t) g->states[n]->data = t;
    }
    if (!e->code) write_package(r, name, &a, e);
    for (size_t i = 0; i < n; i++) g->states[i]->data = was[i];
    arena_release(&a);
    return e->code;
}
