/* step.c - runs one training step of a model file for the oracles: gradients, loss and states after it, as arrays.
 *
 *   step MODEL BATCH.npz OUT.npz MODE f32|f64 session|interpret [momentum nesterov weight_decay]
 *
 * BATCH.npz holds the model's inputs by name, `target` and `lr`. MODE is score, train or saved. OUT.npz receives the
 * outputs of the step ("loss", "grad/NAME") and every state after it ("state/NAME"). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "data/arrays.h"
#include "exec/session.h"
#include "format/format.h"
#include "ops/interpret.h"
#include "pass/mode.h"
#include "pass/pass.h"
#include "train/step.h"

struct work {
    struct arena a;
    struct graph *g;
    struct tensor **in, *out;
};

static int read_batch(struct work *w, const char *path, struct err *e)
{
    struct bytes file;
    struct zip z;
    TRY(file_map(&w->a, path, &file, e));
    TRY(zip_open(&z, &w->a, path, file, e));
    w->in = ARENA_ARRAY(&w->a, w->g->n_inputs, struct tensor *);
    for (size_t i = 0; i < w->g->n_inputs; i++) {
        struct npy array;
        TRY(npz_read(&array, &w->a, &z, w->g->inputs[i]->name, UINT64_MAX, e));
        TRY(tensor_from_npy(&w->in[i], &w->a, &array, path, e));
        enum dtype want = w->g->inputs[i]->dtype;
        if (w->in[i]->dtype == want) continue;
        struct tensor *t = tensor_new(&w->a, want, &w->in[i]->shape, e);
        for (int64_t k = 0; k < tensor_count(t); k++) tensor_set_f64(t, k, tensor_get_f64(w->in[i], k));
        w->in[i] = t;
    }
    return 0;
}

static int add_array(struct zip_writer *z, const char *prefix, const char *name, const struct tensor *t, struct err *e)
{
    char full[300];
    struct npy array;
    snprintf(full, sizeof full, "%s%s", prefix, name);
    TRY(npy_from_tensor(&array, t, e));
    return npz_add(z, full, &array, e);
}

static int write_results(struct work *w, const char *path, const struct tensor *const *states, struct err *e)
{
    struct file_writer f;
    struct zip_writer z;
    TRY(file_writer_open(&f, &w->a, path, e));
    zip_writer_init(&z, &w->a, &f);
    for (size_t i = 0; i < w->g->n_outputs; i++) TRY(add_array(&z, "", w->g->outputs[i]->name, &w->out[i], e));
    for (size_t i = 0; i < w->g->n_states; i++) TRY(add_array(&z, "state/", w->g->states[i]->name, states[i], e));
    TRY(zip_writer_finish(&z, e));
    return file_writer_commit(&f, e);
}

static int run_session(struct work *w, const struct tensor **states, const char *path, struct err *e)
{
    struct session *s = session_new(w->g, &(struct session_options){ 0 }, e);
    if (!s) return e->code;
    TRY(session_run(s, (const struct tensor *const *)w->in, w->out, e));
    for (size_t i = 0; i < w->g->n_states; i++) states[i] = session_state(s, i, &w->a, e);
    int code = write_results(w, path, states, e);
    session_free(s);
    return code;
}

static int run_interpreter(struct work *w, const struct tensor **states, const char *path, struct err *e)
{
    struct tensor **out = ARENA_ARRAY(&w->a, w->g->n_outputs, struct tensor *);
    struct tensor **after = ARENA_ARRAY(&w->a, w->g->n_states, struct tensor *);
    TRY(graph_interpret(w->g, w->in, out, &w->a, &(struct interpret){ .threads = 2, .states = after }, e));
    for (size_t i = 0; i < w->g->n_outputs; i++) w->out[i] = *out[i];
    for (size_t i = 0; i < w->g->n_states; i++) states[i] = after[i] ? after[i] : w->g->states[i]->data;
    return write_results(w, path, states, e);
}

static int run(struct work *w, char **v, int n, struct err *e)
{
    struct report r = report_in(&w->a);
    struct graph *model;
    struct import_options in = { .n_inputs = 1, .mode = IMPORT_SCORE };
    struct import_hint hint;
    if (strcmp(v[4], "score")) in.mode = !strcmp(v[4], "train") ? IMPORT_TRAIN : IMPORT_AS_SAVED;
    TRY(import_hint_parse(&w->a, "Nx3xHxW", &hint, e));
    in.inputs = &hint;
    TRY(format_read(&w->a, v[1], &in, &model, &r, e));
    TRY(pass_run(model, PASS_IMPORT, NULL, e));
    enum dtype precision = !strcmp(v[5], "f64") ? DT_F64 : DT_F32;
    if (precision == DT_F64) TRY(graph_precision(model, DT_F32, DT_F64, e));
    struct train_head head = { .loss.name = "cross_entropy" };
    struct attr attrs[4] = { { 0 } };
    if (n > 7) {
        attrs[0] = attr_float("momentum", atof(v[7]));
        attrs[1] = attr_int("nesterov", atoi(v[8]));
        attrs[2] = attr_float("weight_decay", atof(v[9]));
    }
    struct train_step_options o = { .heads = &head, .n_heads = 1, .attrs = attrs, .show_gradients = true };
    if (!(w->g = train_step_new(model, &o, &w->a, e))) return e->code;
    TRY(read_batch(w, v[2], e));
    w->out = ARENA_ARRAY(&w->a, w->g->n_outputs, struct tensor);
    const struct tensor **states = ARENA_ARRAY(&w->a, w->g->n_states, const struct tensor *);
    return !strcmp(v[6], "session") ? run_session(w, states, v[3], e) : run_interpreter(w, states, v[3], e);
}

int main(int argc, char **argv)
{
    struct err e = { 0 };
    struct work w = { 0 };
    if (argc != 7 && argc != 10) return 2;
    arena_init(&w.a, NULL);
    if (run(&w, argv, argc, &e)) fprintf(stderr, "%s\n", e.text);
    arena_release(&w.a);
    return err_exit_code(e.code);
}
