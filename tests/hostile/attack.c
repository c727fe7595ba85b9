/* attack.c - the child that opens a damaged file, and the parent that judges how it ended. */
#include "attack.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "exec/session.h"
#include "package/model.h"
#include "plan/plan.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum {
    OPEN_SECONDS = SANITIZED ? 20 : 2,
    RUN_SECONDS = 1,    /* then a run is cancelled */
    WALL_SECONDS = 300, /* a child that waits for something */
    SPARE = 256 << 20,  /* bytes beyond four times the file */
    MAX_BROKEN = 12,
    MAX_ELEMENTS = 1 << 20, /* of an input */
    RUN_ALL = 30, RUN_EACH = 10, /* so many models that open are run, then each tenth */
};

struct attack_sum attack_sum;
const char *attack_hint;

/* What a child tells, in memory shared with it. */
static struct told {
    atomic_llong now, peak, limit; /* bytes of the allocator */
    atomic_int code, opened, ran;
    atomic_long live;
    char text[sizeof((struct err *)0)->text];
} *told;

static void *count_alloc(void *cookie, size_t size)
{
    long long now = atomic_fetch_add(&told->now, (long long)size) + (long long)size;
    void *p = now > told->limit ? NULL : mem_default.alloc(NULL, size);
    if (!p) return atomic_fetch_sub(&told->now, (long long)size), NULL;
    if (now > told->peak) told->peak = now;
    atomic_fetch_add(&told->live, 1);
    return p;
}

static void count_free(void *cookie, void *ptr, size_t size)
{
    if (!ptr) return;
    atomic_fetch_sub(&told->now, (long long)size);
    atomic_fetch_sub(&told->live, 1);
    mem_default.free(NULL, ptr, size);
}

static double cpu_seconds(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + 1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static bool late(void *cookie)
{
    return cpu_seconds() > *(const double *)cookie;
}

/* Unknown dimensions become the smallest that images of small models have. */
static const struct tensor *small_input(struct arena *a, const struct value *v, struct err *e)
{
    struct shape s = v->shape;
    if (s.rank < 0) s = shape_of(2, (int64_t[]){ 1, 4 });
    for (int i = 0; i < s.rank; i++)
        if (s.dim[i] < 0) s.dim[i] = s.rank == 4 && i > 1 ? 32 : i ? 3 : 1;
    int64_t n = shape_count(&s);
    if (n < 0 || n > MAX_ELEMENTS) return NULL;
    return tensor_new(a, v->dtype ? v->dtype : DT_F32, &s, e);
}

static int run_model(struct model *m, const struct mem *mem, struct err *e)
{
    const struct graph *g = m->graph;
    double end = cpu_seconds() + RUN_SECONDS;
    struct session_options o = { .threads = 1, .packs = m->packs, .mem = mem, .cancelled = late, .cookie = &end };
    const struct tensor **in = ARENA_ARRAY(&m->arena, g->n_inputs, const struct tensor *);
    struct tensor *out = ARENA_ARRAY(&m->arena, g->n_outputs, struct tensor);
    struct shape *shapes = ARENA_ARRAY(&m->arena, g->n_inputs, struct shape);
    struct session *s = session_new(g, &o, e);
    bool small = in && out && shapes && s;
    for (size_t i = 0; small && i < g->n_inputs; i++) {
        small = (in[i] = small_input(&m->arena, g->inputs[i], e)) != NULL;
        if (small) shapes[i] = in[i]->shape;
    }
    const struct plan *p = small ? session_plan(s, shapes, e) : NULL;
    if (p && p->memory < SPARE) session_run(s, in, out, e);
    session_free(s);
    return p ? e->code : 0;
}

/* To ask for the shape of an input is no refusal. */
static bool good_error(const char *path, const struct err *e)
{
    bool asks = e->code == ERR_USAGE && strstr(e->text, "--input");
    return (err_exit_code(e->code) == 3 || asks) && e->text[0] && strstr(e->text, file_base(path));
}

static void child(const char *path, long long size)
{
    static const struct mem mem = { count_alloc, count_free, NULL, 0 };
    struct model m;
    struct err e = { 0 };
    struct itimerval timer = { .it_value.tv_sec = OPEN_SECONDS };
    told->limit = 4 * size + SPARE;
    setitimer(ITIMER_PROF, &timer, NULL);
    alarm(WALL_SECONDS);
    if (!SANITIZED) {
        unsigned long long pages = 0;
        FILE *f = fopen("/proc/self/statm", "r");
        if (!f || fscanf(f, "%llu", &pages) != 1) pages = 0;
        if (f) fclose(f);
        rlim_t most = pages * 4096 + (rlim_t)told->limit;
        setrlimit(RLIMIT_AS, &(struct rlimit){ most, most });
    }
    struct arena a;
    struct import_hint hint;
    struct model_options o = { .mem = &mem, .import.inputs = &hint, .import.n_inputs = attack_hint != NULL };
    arena_init(&a, NULL);
    if (attack_hint && import_hint_parse(&a, attack_hint, &hint, &e)) abort();
    int code = model_open(&m, path, &o, &e);
    told->code = code;
    memcpy(told->text, e.text, sizeof told->text);
    if (!code) {
        told->opened = 1;
        told->limit += 2ll * SPARE;
        setrlimit(RLIMIT_AS, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY });
        timer.it_value.tv_sec = 10 * OPEN_SECONDS;
        setitimer(ITIMER_PROF, &timer, NULL);
        bool run = attack_sum.opened < RUN_ALL || attack_sum.opened % RUN_EACH == 0;
        told->ran = run && !run_model(&m, &mem, &e);
    } else if (code != e.code || !good_error(path, &e)) {
        model_close(&m);
        _exit(1);
    }
    model_close(&m);
    _exit(told->live ? 2 : 0);
}

static void broken(const char *path, const char *what, const char *how, int detail)
{
    printf("# %s, %s: %s %d (error %d \"%s\")\n", path, what, how, detail, told->code, told->text);
    fflush(stdout);
    if (++attack_sum.broken < MAX_BROKEN) return;
    puts("# enough");
    fflush(stdout);
    _exit(1);
}

static void add(const struct rusage *r, long long size)
{
    double s = (double)(r->ru_utime.tv_sec + r->ru_stime.tv_sec) +
               1e-6 * (double)(r->ru_utime.tv_usec + r->ru_stime.tv_usec);
    double memory = (double)(told->peak - 4 * size);
    attack_sum.files++;
    attack_sum.opened += told->opened;
    attack_sum.ran += told->ran;
    attack_sum.seconds += s;
    if (s > attack_sum.slowest) attack_sum.slowest = s;
    if (!told->opened && memory > attack_sum.memory) attack_sum.memory = memory;
}

int attack(const char *path, const char *what)
{
    struct stat st = { 0 };
    struct rusage used;
    int status = 0;
    if (!told) {
        told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (told == MAP_FAILED) abort();
    }
    memset(told, 0, sizeof *told);
    long long size = !stat(path, &st) && S_ISREG(st.st_mode) ? (long long)st.st_size : 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0) abort();
    if (!pid) child(path, size);
    if (wait4(pid, &status, 0, &used) != pid) abort();
    add(&used, size);
    if (WIFSIGNALED(status)) {
        int s = WTERMSIG(status);
        broken(path, what, s == SIGPROF || s == SIGALRM ? "hangs, stopped by signal" : "crashes, signal", s);
    } else if (WEXITSTATUS(status) == 1) broken(path, what, "a poor error, code", told->code);
    else if (WEXITSTATUS(status) == 2) broken(path, what, "blocks of memory leaked:", (int)told->live);
    else if (WEXITSTATUS(status)) broken(path, what, "a sanitizer's report, exit", WEXITSTATUS(status));
    return err_exit_code(told->code);
}

int attack_bytes(const char *path, const void *data, size_t len, const char *what)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, len, f) != len || fclose(f)) abort();
    return attack(path, what);
}

void attack_report(void)
{
    printf("# %ld files, %ld opened, %ld ran, %.1f s of processor time, slowest %.2f s, most memory beyond 4 times the "
           "file %.1f MB, %ld broken promises\n",
        attack_sum.files, attack_sum.opened, attack_sum.ran, attack_sum.seconds, attack_sum.slowest,
        attack_sum.memory / 1e6, attack_sum.broken);
}
