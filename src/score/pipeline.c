/* pipeline.c - a ring of lots: the caller fills them and takes the answers in order, workers run them. */
#include "score/pipeline.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/team.h"
#include "exec/session.h"
#include "score/lot.h"

enum { WAITING_BYTES = 32 << 20, ROWS_MOST = 256, LOTS_MOST = 64, WORKERS_MOST = 16, PATIENCE_MS = 100 };
enum { PROBES = 64, PROBE_ROWS = 16 }; /* so many files in a row were in memory: one of so many is looked at */

struct worker {
    struct pipeline *p;
    struct runner runner;
    pthread_t thread;
    bool started, proven; /* proven: it has run a lot, so its memory is there */
};

struct pipeline {
    struct arena arena;
    struct model *model;
    struct pipeline_options o;
    struct worker *workers;
    size_t n_workers;
    struct lot *lots;  /* a ring */
    size_t cap, limit; /* limit: how many may wait, by the bytes of the largest so far */
    size_t largest;    /* bytes */
    bool stopped;      /* nothing more is answered */
    int64_t in_memory; /* files expected since the last one that a disk was asked for */
    long blocks;       /* of file_expect() */
    pthread_mutex_t lock; /* of the states of lots and of what follows */
    pthread_cond_t work, done;
    size_t head, end; /* the first that is not answered, the one that is being filled; counted without end */
    size_t working;   /* workers that have not given up */
    size_t wanted;    /* the caller waits for this lot */
    bool closing;
    atomic_bool dropping;
};

static struct lot *lot_at(const struct pipeline *p, size_t i)
{
    return &p->lots[i % p->cap];
}

/* The first lot that nobody has begun; NULL: none. The lock is held. */
static struct lot *take_lot(struct pipeline *p)
{
    for (size_t i = p->head; i < p->end; i++)
        if (lot_at(p, i)->state == LOT_READY) return lot_at(p, i)->state = LOT_TAKEN, lot_at(p, i);
    return NULL;
}

static struct lot *next_lot(struct pipeline *p)
{
    struct lot *l;
    pthread_mutex_lock(&p->lock);
    while (!(l = take_lot(p)) && !p->closing) pthread_cond_wait(&p->work, &p->lock);
    pthread_mutex_unlock(&p->lock);
    return l;
}

/* A worker that finds no memory for its plan leaves the work to the others. */
static bool gives_up(struct worker *w, struct lot *l, int code)
{
    struct pipeline *p = w->p;
    if (code != ERR_NOMEM || w->proven) return false;
    pthread_mutex_lock(&p->lock);
    bool last = p->working == 1;
    if (!last) {
        p->working--;
        lot_undo(l);
        l->state = LOT_READY;
        pthread_cond_signal(&p->work);
    }
    pthread_mutex_unlock(&p->lock);
    return !last;
}

static void hand_in(struct pipeline *p, struct lot *l)
{
    pthread_mutex_lock(&p->lock);
    l->state = LOT_DONE;
    if (l == lot_at(p, p->wanted) || l == lot_at(p, p->head)) pthread_cond_signal(&p->done);
    pthread_mutex_unlock(&p->lock);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct pipeline *p = w->p;
    for (struct lot *l; (l = next_lot(p));) {
        struct err bad = { 0 };
        int code = atomic_load(&p->dropping) ? ERR_CANCELLED : lot_run(l, &w->runner, &bad);
        if (gives_up(w, l, code)) break;
        w->proven = w->proven || !code;
        l->dropped = code == ERR_CANCELLED;
        if (code && !l->dropped) l->fatal = bad;
        hand_in(p, l);
    }
    return NULL;
}

static bool is_dropping(void *cookie)
{
    return atomic_load((const atomic_bool *)cookie);
}

/* Signals are the business of the thread that reads and writes. */
static int start(struct worker *w, struct err *e)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&w->thread, NULL, work, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    w->started = !code;
    return code ? fail(e, ERR_NOMEM, "cannot start a thread: %s", strerror(code)) : 0;
}

static int add_worker(struct pipeline *p, int threads, struct err *e)
{
    struct model *m = p->model;
    struct worker *w = &p->workers[p->n_workers];
    struct session_options so = { .threads = threads, .precision = p->o.precision, .recipe = p->o.recipe,
        .packs = m->packs, .mem = m->arena.mem, .cancelled = is_dropping, .cookie = &p->dropping };
    *w = (struct worker){ p, { m, session_new(m->graph, &so, e), p->o.batch, threads, p->o.outputs, p->o.seen } };
    if (!w->runner.session) return e->code;
    arena_init(&w->runner.scratch, m->arena.mem);
    p->n_workers++, p->working++;
    return start(w, e);
}

/* One worker a thread; more threads each when there are not enough rows for all. */
static int add_workers(struct pipeline *p, struct err *e)
{
    int threads = p->o.threads ? p->o.threads : team_default_size();
    int n = threads < WORKERS_MOST ? threads : WORKERS_MOST;
    int64_t lots = (p->o.rows + p->o.batch - 1) / p->o.batch;
    if (p->o.rows > 0 && lots < n) n = (int)lots;
    TRY_MEM(p->workers = ARENA_ARRAY(&p->arena, n, struct worker), e);
    for (int i = 0; i < n; i++) TRY(add_worker(p, threads / n, e));
    return 0;
}

static int make_ring(struct pipeline *p, struct err *e)
{
    size_t least = 2 * WORKERS_MOST + 2, lots = ROWS_MOST / (size_t)p->o.batch;
    p->cap = lots < least ? least : lots > LOTS_MOST ? LOTS_MOST : lots;
    p->limit = p->cap - 1;
    TRY_MEM(p->lots = ARENA_ARRAY(&p->arena, p->cap, struct lot), e);
    for (size_t i = 0; i < p->cap; i++) arena_init(&p->lots[i].arena, p->arena.mem);
    return 0;
}

static void make_locks(struct pipeline *p)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->done, &attr);
    pthread_condattr_destroy(&attr);
}

static int check_graph(const struct graph *g, int batch, struct err *e)
{
    for (size_t i = 0; i < g->n_inputs; i++) {
        const struct shape *s = &g->inputs[i]->shape;
        if (batch > 1 && s->rank > 0 && s->dim[0] > 0 && s->dim[0] != batch)
            return fail(e, ERR_USAGE, "input %s takes %lld at a time, not %d: use --batch %lld", g->inputs[i]->name,
                (long long)s->dim[0], batch, s->rank == 3 ? 1LL : (long long)s->dim[0]);
    }
    for (size_t i = 0; i < g->n_outputs; i++)
        if (dtype_is_container(g->outputs[i]->dtype))
            return fail(e, ERR_UNSUPPORTED, "output %s is a %s: answers are made of tensors", g->outputs[i]->name,
                dtype_name(g->outputs[i]->dtype));
    return 0;
}

struct pipeline *pipeline_new(struct model *m, const struct pipeline_options *o, struct err *e)
{
    struct arena a;
    arena_init(&a, m->arena.mem);
    struct pipeline *p = ARENA_NEW(&a, struct pipeline);
    if (!p) return arena_release(&a), fail_nomem(e), NULL;
    p->arena = a; /* it lies in its own arena */
    p->model = m;
    p->o = *o;
    if (p->o.batch < 1) p->o.batch = 1;
    make_locks(p);
    if (check_graph(m->graph, p->o.batch, e) || make_ring(p, e) || add_workers(p, e)) return pipeline_free(p), NULL;
    return p;
}

static void stop_workers(struct pipeline *p)
{
    atomic_store(&p->dropping, true);
    pthread_mutex_lock(&p->lock);
    p->closing = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 0; i < p->n_workers; i++) {
        struct worker *w = &p->workers[i];
        if (w->started) pthread_join(w->thread, NULL);
        session_free(w->runner.session);
        arena_release(&w->runner.scratch);
    }
}

void pipeline_free(struct pipeline *p)
{
    if (!p) return;
    stop_workers(p);
    for (size_t i = 0; p->lots && i < p->cap; i++) arena_release(&p->lots[i].arena);
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->done);
    pthread_mutex_destroy(&p->lock);
    struct arena a = p->arena;
    arena_release(&a);
}

/* Until a lot is done, or for a while: so that the caller comes to tell what is. */
static void wait_for(struct pipeline *p, size_t lot)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += PATIENCE_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&p->lock);
    p->wanted = lot;
    int late = 0;
    while (lot_at(p, lot)->state != LOT_DONE && !late) late = pthread_cond_timedwait(&p->done, &p->lock, &until);
    pthread_mutex_unlock(&p->lock);
    if (p->o.cancelled && p->o.cancelled(p->o.cookie)) atomic_store(&p->dropping, true);
}

static int tell(struct pipeline *p, struct sample *s, struct err *e)
{
    struct scored scored = { s->row.id, (long)s->row.index, s->bad.code ? s->bad.text : NULL, &s->from, s->answers,
        s->outputs, p->model->graph->n_outputs, s->table, &s->row };
    return p->o.answer(p->o.cookie, &scored, e);
}

/* Its place is free again; the more it took, the fewer may wait. */
static void free_lot(struct pipeline *p, struct lot *l)
{
    if (l->arena.used > p->largest) {
        size_t fit = WAITING_BYTES / (p->largest = l->arena.used), least = p->n_workers + 1;
        p->limit = fit < least ? least : fit < p->cap ? fit : p->cap - 1;
    }
    arena_release(&l->arena);
    l->n = 0, l->dropped = false;
    err_clear(&l->fatal);
    pthread_mutex_lock(&p->lock);
    l->state = LOT_OPEN;
    p->head++;
    pthread_mutex_unlock(&p->lock);
}

/* The first lot is done. Behind a lot that fails or was dropped nothing is answered: rows come without gaps. */
static int answer_lot(struct pipeline *p, struct lot *l, struct err *e)
{
    int code = l->fatal.code && !p->stopped ? fail(e, l->fatal.code, "%s", l->fatal.text) : 0;
    p->stopped = p->stopped || l->dropped || code;
    for (size_t i = 0; i < l->n && !p->stopped; i++) {
        code = tell(p, &l->samples[i], e);
        p->stopped = code != 0;
    }
    if (p->stopped) atomic_store(&p->dropping, true);
    free_lot(p, l);
    return code;
}

static int answer_done(struct pipeline *p, struct err *e)
{
    for (bool done = true; done && p->head < p->end;) {
        struct lot *l = lot_at(p, p->head);
        pthread_mutex_lock(&p->lock);
        done = l->state == LOT_DONE;
        pthread_mutex_unlock(&p->lock);
        if (done) TRY(answer_lot(p, l, e));
    }
    return 0;
}

static bool is_full(const struct pipeline *p)
{
    return p->end - p->head >= p->limit;
}

/* The caller sleeps until half of what waits is done: fewer awakenings where rows are fast. */
static int make_room(struct pipeline *p, struct err *e)
{
    while (is_full(p)) {
        wait_for(p, p->head + (p->end - p->head) / 2);
        TRY(answer_done(p, e));
        if (is_full(p)) wait_for(p, p->head);
        TRY(answer_done(p, e));
    }
    return 0;
}

static void hand_out(struct pipeline *p)
{
    pthread_mutex_lock(&p->lock);
    lot_at(p, p->end)->state = LOT_READY;
    p->end++;
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
}

int pipeline_flush(struct pipeline *p, struct err *e)
{
    if (lot_at(p, p->end)->n) hand_out(p);
    while (p->head < p->end) {
        wait_for(p, p->head);
        TRY(answer_done(p, e));
    }
    return 0;
}

struct arena *pipeline_arena(struct pipeline *p)
{
    return &lot_at(p, p->end)->arena;
}

static int push(struct pipeline *p, const struct table *t, const struct row *row, const char *error, struct err *e)
{
    struct lot *l = lot_at(p, p->end);
    if (!l->samples) TRY_MEM(l->samples = ARENA_ARRAY(&p->arena, p->o.batch, struct sample), e);
    struct sample *s = &l->samples[l->n++];
    *s = (struct sample){ .arena = &l->arena, .table = t, .row = *row };
    if (error) fail(&s->bad, ERR_DATA, "%s", error);
    if (l->n < (size_t)p->o.batch) return 0;
    hand_out(p);
    return make_room(p, e);
}

int pipeline_put_error(
    struct pipeline *p, const struct table *t, const struct row *row, const char *error, struct err *e)
{
    return push(p, t, row, error, e);
}

/* Disks read ahead what is on them; where all is in memory, looking at every file would only cost. */
static void expect(struct pipeline *p, const struct table *t, const struct row *row)
{
    for (size_t i = 0; i < table_columns(t); i++) {
        if (table_column_at(t, i)->input < 0 || !row->cells[i].path) continue;
        p->in_memory = file_expect(row->cells[i].path, &p->blocks) ? 0 : p->in_memory + 1;
    }
}

int pipeline_put(struct pipeline *p, const struct table *t, const struct row *row, struct err *e)
{
    if (p->in_memory < PROBES || row->index % PROBE_ROWS == 0) expect(p, t, row);
    return push(p, t, row, NULL, e);
}
