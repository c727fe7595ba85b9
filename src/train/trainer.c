/* trainer.c - the loop: epochs, batches, evaluations, checkpoints. */
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/plural.h"
#include "base/str.h"
#include "train/loader.h"
#include "train/run.h"
#include "train/torch_state.h"

enum { SAVE_SECONDS = 60 };

static bool stopping(const struct train_run *r)
{
    double limit = conf_float(r->conf, "max_seconds");
    if (r->listener->cancelled && r->listener->cancelled(r->listener->cookie)) return true;
    return limit > 0 && clock_now() - r->began > limit;
}

static void tell(struct train_run *r, double lr)
{
    double now = clock_now(), spent = now - r->began;
    if (!r->listener->progress) return;
    int64_t epochs = conf_int(r->conf, "epochs"), left = (epochs - r->epoch) * (int64_t)r->batches - r->at;
    double rate = (double)r->seen / (spent + 1e-9);
    struct train_progress p = { r->epoch + 1, epochs, r->at, (int64_t)r->batches, r->loss_sum / (double)r->loss_n, lr,
        spent, rate > 0 ? (double)left * (double)r->batch / rate : -1, rate };
    r->listener->progress(r->listener->cookie, &p);
    r->told = now;
}

static int count_errors(struct train_run *r, const struct batch *b, struct err *e)
{
    int64_t limit = conf_int(r->conf, "max_errors");
    for (size_t i = 0; i < b->n_errors; i++) {
        if (++r->errors <= 10) run_say(r, "skipped: %s", b->errors[i]);
        if (r->errors > limit)
            return fail(e, ERR_DATA, "%lld rows have failed, more than max_errors: %lld; the last: %s",
                (long long)r->errors, (long long)limit, b->errors[i]);
    }
    return 0;
}

static struct tensor *scalar(struct arena *a, enum dtype t, double v, struct err *e)
{
    struct shape none = shape_of(0, NULL);
    struct tensor *s = tensor_new(a, t, &none, e);
    if (s) tensor_set_f64(s, 0, v);
    return s;
}

/* How many batches share the update that batch `at` of the epoch belongs to, and whether it is the last of them. */
static int group_of(const struct train_run *r, int64_t at, bool *last)
{
    int64_t begin = at / r->accumulate * r->accumulate, left = (int64_t)r->batches - begin;
    int size = left < r->accumulate ? (int)left : r->accumulate;
    *last = at == begin + size - 1;
    return size;
}

/* Points for TensorBoard; their times are the only thing in a run's folder that a clock decides. */
static int log_step(struct train_run *r, double loss, double lr, struct err *e)
{
    int64_t every = conf_int(r->conf, "log_updates");
    if (!every || r->updates % every) return 0;
    double now = (double)time(NULL);
    TRY(events_scalar(r->events, now, r->updates, "train/loss", loss, e));
    return events_scalar(r->events, now, r->updates, "train/lr", lr, e);
}

static int run_step(struct train_run *r, const struct batch *b, struct arena *a, struct err *e)
{
    size_t n = r->model.graph->n_inputs;
    const struct tensor **in = ARENA_ARRAY(a, n + STEP_EXTRA, const struct tensor *);
    struct tensor out[2] = { { 0 } };
    bool last = true;
    int group = group_of(r, r->at, &last);
    double lr = schedule_rate(&r->schedule, r->updates);
    TRY_MEM(in, e);
    for (size_t i = 0; i < n; i++) in[i] = b->in[i];
    for (size_t k = 0; k < b->n_heads; k++) {
        in[n++] = b->target[k];
        if (run_mixes(r)) in[n++] = b->mixed[k];
        if (run_mixes(r) && !k) in[n++] = scalar(a, DT_F32, b->mix, e);
    }
    in[n++] = scalar(a, DT_F32, lr, e);
    if (r->accumulate > 1) in[n++] = scalar(a, DT_BOOL, last, e);
    if (r->accumulate > 1) in[n++] = scalar(a, DT_F32, 1.0 / group, e);
    TRY(e->code);
    TRY(session_run(r->session, in, out, e));
    if (!tensor_get_i64(&out[1], 0)) return run_trace(r, in, e);
    r->loss_sum += tensor_get_f64(&out[0], 0) * (double)b->n;
    r->loss_n += b->n;
    r->seen += b->n;
    r->updates += last;
    return last ? log_step(r, tensor_get_f64(&out[0], 0), lr, e) : 0;
}

static int save_when_due(struct train_run *r, struct err *e)
{
    int64_t every = conf_int(r->conf, "checkpoint_updates");
    bool due = every ? r->updates && r->updates % every == 0 : clock_now() - r->saved > SAVE_SECONDS;
    return due && r->at < (int64_t)r->batches ? run_save(r, e) : 0;
}

static int run_epoch(struct train_run *r, struct err *e)
{
    struct arena a, once;
    struct loader loader;
    arena_init(&a, NULL);
    arena_init(&once, NULL);
    size_t *order = ARENA_ARRAY(&once, r->train.n, size_t);
    if (!order) fail_nomem(e);
    else samples_order(&r->train, r->epoch, order, &once, e);
    struct loader_options o = { (int)conf_int(r->conf, "loaders"), r->epoch, order, (size_t)r->at * r->batch, r->batch,
        conf_float(r->conf, "mixup") };
    loader_init(&loader, &r->train, &o);
    while (!e->code && r->at < (int64_t)r->batches && !stopping(r)) {
        struct batch b;
        if (!loader_next(&loader, &b, e) && !count_errors(r, &b, e) && b.n) run_step(r, &b, &a, e);
        arena_release(&a);
        if (e->code) break;
        r->at++;
        if (clock_now() - r->told > 0.2) tell(r, schedule_rate(&r->schedule, r->updates));
        save_when_due(r, e);
    }
    loader_release(&loader);
    arena_release(&once);
    return e->code;
}

static int judge_batch(struct train_run *r, const size_t *order, size_t count, struct arena *a, struct err *e)
{
    size_t n = r->model.graph->n_inputs, n_out = r->judging->n_outputs;
    struct batch b;
    TRY(samples_batch(&r->valid, 0, order, count, a, &b, e));
    TRY(count_errors(r, &b, e));
    if (!b.n) return 0;
    const struct tensor **in = ARENA_ARRAY(a, n + MOST_HEADS, const struct tensor *);
    struct tensor *out = ARENA_ARRAY(a, n_out, struct tensor);
    if (!in || !out) return fail_nomem(e);
    for (size_t i = 0; i < n; i++) in[i] = b.in[i];
    for (size_t k = 0; k < b.n_heads; k++) in[n + k] = b.target[k];
    TRY(session_run(r->judge_session, in, out, e));
    const struct tensor *loss = &out[r->model.graph->n_outputs]; /* of all, then of each head, times its weight */
    judge_add(&r->judges[0], tensor_get_f64(loss, 0), &out[0], b.target[0]);
    for (size_t k = 0; k < b.n_heads && b.n_heads > 1; k++) {
        double own = tensor_get_f64(&loss[1 + k], 0) / r->heads[k].weight;
        judge_add(k ? &r->judges[k] : &r->own, own, k ? &out[r->heads[k].output] : NULL, b.target[k]);
    }
    return 0;
}

int run_evaluate(struct train_run *r, struct err *e)
{
    struct arena a;
    arena_init(&a, NULL);
    for (size_t k = 0; k < r->n_heads; k++) judge_reset(&r->judges[k]);
    judge_reset(&r->own);
    for (size_t i = 0, count; i < r->valid.n && !e->code; i += count) {
        size_t order[4096];
        count = r->batch < sizeof order / sizeof order[0] ? r->batch : sizeof order / sizeof order[0];
        if (count > r->valid.n - i) count = r->valid.n - i;
        for (size_t k = 0; k < count; k++) order[k] = i + k;
        judge_batch(r, order, count, &a, e);
        arena_release(&a);
    }
    if (!e->code && !r->judges[0].samples) fail(e, ERR_DATA, "no row to judge by could be used");
    return e->code;
}

static double value_of(const struct measured *m)
{
    return judge_value(m->of, m->at);
}

/* A new best is written at once; the plateau and the patience hear of every evaluation. */
static int weigh(struct train_run *r, bool judged, double loss, struct err *e)
{
    bool more = judged && judge_more_is_better(judge_name(r->metric->of, r->metric->at));
    double value = judged ? value_of(r->metric) : loss;
    schedule_tell(&r->schedule, value, more);
    if (!(isnan(r->best) || (more ? value > r->best : value < r->best))) return r->since_best++, 0;
    r->best = value;
    r->best_epoch = r->epoch + 1;
    r->since_best = 0;
    return run_write_package(r, "best.tenrec", e);
}

static int log_epoch(struct train_run *r, const double *row, struct err *e)
{
    double now = (double)time(NULL);
    for (size_t i = 3; i < r->history.n_names; i++)
        if (!isnan(row[i])) TRY(events_scalar(r->events, now, r->epoch + 1, r->tags[i], row[i], e));
    return events_flush(r->events, e);
}

static int record(struct train_run *r, bool judged, double loss, struct err *e)
{
    double row[COLUMNS_MAX] = { (double)(r->epoch + 1), (double)r->updates,
        schedule_rate(&r->schedule, r->updates ? r->updates - 1 : 0), loss };
    struct arena a;
    arena_init(&a, NULL);
    struct str s = str_in(&a);
    str_addf(&s, "epoch %lld: loss %.5g", (long long)r->epoch + 1, loss);
    for (size_t i = 0; i < r->n_measured; i++) {
        row[4 + i] = judged ? value_of(&r->measured[i]) : NAN;
        if (judged) str_addf(&s, ", valid %s %.5g", r->measured[i].name, row[4 + i]);
    }
    if (r->since_best == 0) str_addf(&s, " (best %s)", judged ? r->metric->name : "loss");
    run_say(r, "%s", str_done(&s) ? s.s : "");
    const char *path = folder_file(&a, r->folder, "results.csv", e);
    if (path && !history_add(&r->history, row, e)) history_write(&r->history, path, e);
    if (!e->code) log_epoch(r, row, e);
    arena_release(&a);
    return e->code;
}

static int end_epoch(struct train_run *r, struct err *e)
{
    int64_t epochs = conf_int(r->conf, "epochs"), patience = conf_int(r->conf, "patience");
    double loss = r->loss_n ? r->loss_sum / (double)r->loss_n : NAN;
    bool judged = r->valid.n && ((r->epoch + 1) % conf_int(r->conf, "valid_every") == 0 || r->epoch + 1 == epochs);
    if (judged) TRY(run_evaluate(r, e));
    if (judged || !r->valid.n) TRY(weigh(r, judged, loss, e));
    TRY(record(r, judged, loss, e));
    r->epoch++;
    r->at = 0;
    r->loss_sum = 0;
    r->loss_n = 0;
    r->done = r->epoch >= epochs || (patience && r->since_best >= patience);
    if (r->done && r->epoch < epochs)
        run_say(r, "no better %s for %lld evaluations: enough", r->metric->name, (long long)r->since_best);
    return run_save(r, e);
}

/* How good the model was when it came: what fine-tuning has to beat. */
static int judge_first(struct train_run *r, struct err *e)
{
    struct arena a;
    if (r->updates || r->epoch || r->fresh || !r->valid.n) return 0;
    TRY(run_evaluate(r, e));
    arena_init(&a, NULL);
    struct str s = str_in(&a);
    for (size_t i = 0; i < r->n_measured; i++)
        str_addf(&s, "%s valid %s %.5g", i ? "," : "", r->measured[i].name, value_of(&r->measured[i]));
    run_say(r, "before:%s", str_done(&s) ? s.s : "");
    arena_release(&a);
    return 0;
}

static int train(struct train_run *r, struct err *e)
{
    TRY(judge_first(r, e));
    while (!r->done) {
        TRY(run_epoch(r, e));
        if (r->at < (int64_t)r->batches) { /* told to stop */
            TRY(run_save(r, e));
            return fail(e, ERR_CANCELLED, "stopped in epoch %lld after %lld of %zu batches; --resume %s goes on",
                (long long)r->epoch + 1, (long long)r->at, r->batches, r->folder);
        }
        TRY(end_epoch(r, e));
    }
    return 0;
}

static int begin_history(struct train_run *r, struct err *e)
{
    const char **names = ARENA_ARRAY(&r->a, COLUMNS_MAX, const char *),
               **tags = ARENA_ARRAY(&r->a, COLUMNS_MAX, const char *);
    if (!names || !tags) return fail_nomem(e);
    static const char *const first[] = { "epoch", "updates", "lr", "train_loss" };
    size_t n = 0;
    for (; n < 4; n++) names[n] = first[n];
    for (size_t i = 0; i < r->n_measured; i++)
        TRY_MEM(names[n++] = arena_printf(&r->a, "valid_%s", r->measured[i].name), e);
    for (size_t i = 0; i < n; i++) TRY_MEM(tags[i] = arena_printf(&r->a, "epoch/%s", names[i]), e);
    r->tags = tags;
    r->history = (struct history){ .arena = &r->a, .names = names, .n_names = n };
    return 0;
}

static int write_args(struct train_run *r, struct err *e)
{
    struct str s = str_in(&r->a);
    conf_print(r->conf, &s);
    const char *text = str_done(&s), *path = folder_file(&r->a, r->folder, "args.yaml", e);
    TRY_MEM(text, e);
    return path ? file_write(&r->a, path, text, s.len, e) : e->code;
}

static void introduce(const struct train_run *r)
{
    int64_t all = 0, trained = 0;
    for (size_t i = 0; i < r->step->n_states; i++) {
        const struct value *s = r->step->states[i];
        if (!(s->flags & VALUE_TRAINABLE)) continue;
        all += tensor_count(s->data);
        if (s->next) trained += tensor_count(s->data);
    }
    run_say(r, "%s: %zu rows to learn from, %zu to judge by; %lld parameters, %lld of them trained", r->task->name,
        r->train.n, r->valid.n, (long long)all, (long long)trained);
}

static int begin(struct train_run *r, const char *resume, struct err *e)
{
    TRY(run_setup(r, e));
    TRY(begin_history(r, e));
    introduce(r);
    TRY(run_first_plans(r, e));
    if (resume) {
        r->folder = resume;
        TRY(run_restore(r, e));
    } else {
        const char *state = conf_string(r->conf, "optimizer_state");
        if (state) TRY(torch_state_import(r, state, e));
        if (!(r->folder = folder_make(&r->a, conf_string(r->conf, "out"), e))) return e->code;
        TRY(write_args(r, e));
    }
    if (r->done) return 0;
    return (r->events = events_open(&r->a, r->folder, (double)time(NULL), e)) ? 0 : e->code;
}

static int finish(struct train_run *r, struct err *e)
{
    char hex[65];
    TRY(run_write_package(r, "last.tenrec", e));
    if (r->events) TRY(run_pictures(r, e)); /* not when all was done before */
    TRY(run_weights_hash(r, hex, e));
    run_say(r, "best %s %.5g in epoch %lld; %s holds best.tenrec, last.tenrec, results.csv",
        r->valid.n ? r->metric->name : "loss", r->best, (long long)r->best_epoch, r->folder);
    run_say(r, "memory: %.0f MB at the peak", (double)memory_peak() / 1e6);
    if (r->errors) run_say(r, "skipped: %lld row%s", (long long)r->errors, plural(r->errors));
    run_say(r, "weights %s", hex);
    return 0;
}

int train_run(const struct conf *conf, const char *resume, bool force, const struct train_listener *l, struct err *e)
{
    struct train_run r = { .conf = conf, .listener = l, .force = force, .best = NAN };
    arena_init(&r.a, NULL);
    r.began = r.saved = clock_now();
    if (!begin(&r, resume, e) && !train(&r, e)) finish(&r, e);
    session_free(r.judge_session);
    session_free(r.session);
    arena_release(&r.a);
    model_close(&r.model);
    return e->code;
}
