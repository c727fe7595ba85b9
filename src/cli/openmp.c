/* openmp.c - the program's compute threads: the six entry points of OpenMP that oneDNN and team_run() call, served by a
 * crew of our own that never leaves a core spinning for long and never waits for a thread that has not begun.
 *
 * A library inside somebody's process leaves their OpenMP alone; only the program has this file. GCC's ABI: libgomp,
 * GOMP_4.0. Each thread that opens a parallel region owns a crew. A region of n shares offers share i to worker i;
 * whoever takes the offer first runs it, the worker or the owner when its own share is done. That is safe beside
 * barriers (GOMP's, and the ones that oneDNN spins in): they are met by every share or by none, so an owner who has
 * finished a share has no barrier before it. A worker takes every offer that stays open, called or not. What a share
 * computes depends on its number, never on who runs it. */
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/team.h"
#include "cli/openmp.h"

enum {
    MOST = 256,             /* workers of a crew */
    SPIN_NS = 300 * 1000,   /* longer than the pause between two nodes, shorter than a slice of the scheduler's */
    SHORT_NS = 30 * 1000,   /* the same while a neighbour wants the core */
    POLL_NS = 10000 * 1000, /* an offer without a call is taken by its worker when it has been open for so long */
    CROWDED = 8,            /* regions in turn in which a worker found itself on its owner's processor */
    LATE_NS = 1000 * 1000,  /* an owner whose workers took this much longer than twice its own share */
    BREAK_NS = 4000 * 1000, /* works alone for so long, */
    MOST_BREAKS = 16,       /* and up to so many times as long when it happens again soon: */
    SOON_NS = 16000 * 1000, /* within this time of working together */
};

struct worker {
    _Alignas(64) atomic_uint turn; /* odd: a share is offered; even: it is taken. A futex. */
    atomic_uint asleep;
    unsigned number;
    struct crew *crew;
    pthread_t thread;
};

struct crew {
    void (*fn)(void *data);
    void *data;
    unsigned n; /* shares of the region */
    int cpu;    /* the processor that the owner was on when it began */
    bool stop;
    atomic_bool crowded; /* a worker found itself on that very processor */
    atomic_bool alone;   /* no worker was called */
    atomic_bool bound;   /* its shares seem to wait for each other: no more breaks */
    _Alignas(64) atomic_uint left; /* workers' shares that are not finished; a futex */
    atomic_uint waiting;           /* the owner sleeps on `left` */
    _Alignas(64) atomic_uint arrived, phase; /* of the barrier; phase is a futex */
    int64_t breaks;
    _Atomic int64_t alone_until; /* before this time offers come without a call */
    _Atomic int64_t spin; /* how long its threads wait awake, in nanoseconds */
    unsigned crowds; /* regions in turn that were crowded */
    unsigned n_workers;
    struct worker *workers[MOST];
};

/* Where the calling thread stands. */
static _Thread_local struct {
    struct crew *own, *crew; /* its own; the one it is working in, NULL outside every region of more than one */
    unsigned number, of;     /* its share; `of` is 0 outside every region */
    int most;                /* threads of a region that does not say; 0: not set */
} here;

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* `ns`: at most so long, 0: as long as it takes. */
static void sleep_while(atomic_uint *word, unsigned value, int64_t ns)
{
    struct timespec t = { ns / 1000000000, ns % 1000000000 };
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, ns ? &t : NULL, NULL, 0);
}

static void relax(void)
{
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

/* Until *word is no longer `old`: a while awake, then asleep. `asleep` tells the one who changes it to call. */
static void wait_while(const struct crew *c, atomic_uint *word, unsigned old, atomic_uint *asleep)
{
    int64_t end = now() + atomic_load_explicit(&c->spin, memory_order_relaxed);
    do {
        for (int i = 0; i < 32; i++, relax())
            if (atomic_load_explicit(word, memory_order_acquire) != old) return;
    } while (now() < end);
    atomic_fetch_add(asleep, 1);
    while (atomic_load(word) == old) sleep_while(word, old, now() < atomic_load(&c->alone_until) ? POLL_NS : 0);
    atomic_fetch_sub(asleep, 1);
}

static void wake(atomic_uint *word, atomic_uint *asleep)
{
    if (atomic_load(asleep)) syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Takes the offer of a worker's share, unless somebody else did. */
static bool take(struct worker *w)
{
    unsigned turn = atomic_load_explicit(&w->turn, memory_order_relaxed);
    return turn % 2 && atomic_compare_exchange_strong(&w->turn, &turn, turn + 1);
}

static void run_share(struct crew *c, unsigned number)
{
    here.crew = c, here.number = number, here.of = c->n;
    c->fn(c->data);
}

/* An offer that came without a call is left to the owner at first. True when it stays open. */
static bool hesitate(struct worker *w, unsigned turn)
{
    if (!atomic_load(&w->crew->alone)) return true;
    atomic_fetch_add(&w->asleep, 1);
    sleep_while(&w->turn, turn, POLL_NS);
    atomic_fetch_sub(&w->asleep, 1);
    if (atomic_load(&w->turn) != turn) return false;
    atomic_store(&w->crew->bound, true);
    return true;
}

static void *live(void *ptr)
{
    struct worker *w = ptr;
    for (;;) {
        unsigned turn = atomic_load_explicit(&w->turn, memory_order_acquire);
        if (turn % 2 == 0) {
            wait_while(w->crew, &w->turn, turn, &w->asleep);
            continue;
        }
        if (hesitate(w, turn) && take(w)) {
            if (w->crew->stop) return NULL;
            if (sched_getcpu() == w->crew->cpu) atomic_store(&w->crew->crowded, true);
            run_share(w->crew, w->number);
            if (atomic_fetch_sub(&w->crew->left, 1) == 1) wake(&w->crew->left, &w->crew->waiting);
        }
    }
}

static bool hire(struct crew *c)
{
    struct worker *w = aligned_alloc(64, sizeof *w);
    if (!w) return false;
    *w = (struct worker){ .number = c->n_workers + 1, .crew = c };
    sigset_t all, old; /* signals belong to the thread that began */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    bool made = !pthread_create(&w->thread, NULL, live, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (made) c->workers[c->n_workers++] = w;
    else free(w);
    return made;
}

/* By 1: an offer. By 2: just a call. */
static void advance(struct worker *w, unsigned by)
{
    atomic_fetch_add(&w->turn, by);
    wake(&w->turn, &w->asleep);
}

/* When the thread that owned the crew ends. */
static void dismiss(void *ptr)
{
    struct crew *c = ptr;
    c->stop = true;
    for (unsigned i = 0; i < c->n_workers; i++) {
        advance(c->workers[i], 1);
        pthread_join(c->workers[i]->thread, NULL);
        free(c->workers[i]);
    }
    free(c);
}

static pthread_key_t owners;
static pthread_once_t owners_once = PTHREAD_ONCE_INIT;

static void make_key(void)
{
    pthread_key_create(&owners, dismiss);
}

/* The calling thread's crew with workers for n shares, or as many as could be had; NULL: none at all. */
static struct crew *muster(unsigned n)
{
    if (!here.own) {
        pthread_once(&owners_once, make_key);
        if (!(here.own = aligned_alloc(64, sizeof *here.own))) return NULL;
        *here.own = (struct crew){ .spin = SPIN_NS };
        pthread_setspecific(owners, here.own);
    }
    struct crew *c = here.own;
    while (c->n_workers + 1 < n && c->n_workers < MOST && hire(c)) continue;
    return c;
}

/* Workers that are late or on the owner's own processor have lost theirs to a neighbour. The owner then runs all shares
 * itself for a while: the neighbour has a core, and nobody waits for a thread that the kernel has put aside. */
static void take_break(struct crew *c, int64_t t)
{
    c->breaks = !c->breaks ? 1 : c->breaks < MOST_BREAKS ? 2 * c->breaks : MOST_BREAKS;
    atomic_store(&c->alone_until, t + c->breaks * BREAK_NS);
    c->crowds = 0;
    atomic_store_explicit(&c->spin, SHORT_NS, memory_order_relaxed);
    for (unsigned i = 0; i < c->n_workers; i++) advance(c->workers[i], 2); /* none sleeps for good now */
}

static void end_breaks(struct crew *c)
{
    c->breaks = 0;
    atomic_store_explicit(&c->spin, SPIN_NS, memory_order_relaxed);
}

/* Offers the workers' shares to all. A worker looks for itself until alone_until, so a silent offer must lie before. */
static void open_region(struct crew *c, bool alone)
{
    c->cpu = alone ? -1 : sched_getcpu();
    atomic_store(&c->alone, alone);
    atomic_store_explicit(&c->left, c->n - 1, memory_order_relaxed);
    for (unsigned i = 0; i + 1 < c->n; i++) atomic_fetch_add(&c->workers[i]->turn, 1);
    if (alone && now() < c->alone_until) return;
    for (unsigned i = 0; i + 1 < c->n; i++) wake(&c->workers[i]->turn, &c->workers[i]->asleep);
}

static void run_region(struct crew *c)
{
    int64_t begin = now();
    bool alone = begin < c->alone_until && !atomic_load_explicit(&c->bound, memory_order_relaxed);
    open_region(c, alone);
    run_share(c, 0);
    int64_t own = now() - begin;
    for (unsigned i = c->n - 1; i-- > 0;) {
        if (!take(c->workers[i])) continue;
        run_share(c, i + 1);
        atomic_fetch_sub(&c->left, 1);
    }
    bool late = false;
    for (unsigned left; (left = atomic_load(&c->left)) != 0; late = now() - begin > 2 * own + LATE_NS)
        wait_while(c, &c->left, left, &c->waiting);
    if (alone) return;
    c->crowds = atomic_exchange(&c->crowded, false) ? c->crowds + 1 : 0;
    if (late || c->crowds >= CROWDED) take_break(c, now());
    else if (c->breaks && begin - c->alone_until > SOON_NS) end_breaks(c);
}

void GOMP_parallel(void (*fn)(void *), void *data, unsigned n, unsigned flags)
{
    (void)flags;
    if (!n) n = (unsigned)omp_get_max_threads();
    struct crew *c = here.of || n < 2 ? NULL : muster(n), *crew = here.crew;
    unsigned number = here.number, of = here.of;
    if (c && c->n_workers) {
        c->fn = fn, c->data = data;
        c->n = n < c->n_workers + 1 ? n : c->n_workers + 1;
        run_region(c);
    } else { /* within a region, or no thread to be had: a region of one */
        here.number = 0, here.of = 1;
        fn(data);
    }
    here.crew = crew, here.number = number, here.of = of;
}

void GOMP_barrier(void)
{
    struct crew *c = here.crew;
    if (!c || here.of < 2) return;
    unsigned phase = atomic_load(&c->phase);
    if (atomic_fetch_add(&c->arrived, 1) + 1 < c->n) {
        if (atomic_exchange(&c->alone, false))
            for (unsigned i = 0; i + 1 < c->n; i++) wake(&c->workers[i]->turn, &c->workers[i]->asleep);
        wait_while(c, &c->phase, phase, &c->waiting);
        return;
    }
    atomic_store(&c->arrived, 0);
    atomic_fetch_add(&c->phase, 1);
    wake(&c->phase, &c->waiting);
}

int omp_get_thread_num(void)
{
    return (int)here.number;
}

int omp_get_num_threads(void)
{
    return here.of ? (int)here.of : 1;
}

int omp_in_parallel(void)
{
    return here.crew != NULL;
}

int omp_get_max_threads(void)
{
    if (!here.most) here.most = team_default_size();
    return here.most;
}

void omp_set_num_threads(int n)
{
    here.most = n > 0 ? n : 1;
}
