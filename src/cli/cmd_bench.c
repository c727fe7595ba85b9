/* cmd_bench.c - how fast a model runs here: percentiles, throughput, threads and why, memory, time per node. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/str.h"
#include "base/team.h"
#include "cli/inputs.h"
#include "cli/opening.h"
#include "cli/profile.h"
#include "cli/tune_kernels.h"
#include "enc/json.h"
#include "exec/session.h"
#include "graph/builder.h"
#include "plan/packs.h"
#include "plan/recipe.h"
#include "train/step.h"

struct bench {
    struct args *args;
    struct arena *arena;
    struct model model;
    struct arena step;         /* of a training step; it uses the model's memory */
    const struct graph *graph; /* the model's, or a training step of it */
    struct session *session;
    struct shape *shapes;
    struct tensor **in, *out;
    int threads;
    enum precision precision;
    const struct recipe *recipe;
    double open, plan, first; /* seconds */
    double *times;            /* of each run, sorted at the end */
    size_t n, cap, warm_up, disturbed;
};

/* A step by SGD with momentum: of cross entropy where the output has classes, else of the mean square. */
static int make_step(struct bench *b, struct err *e)
{
    const struct graph *g = b->model.graph;
    const struct shape *y = g->n_outputs ? &g->outputs[0]->shape : NULL;
    struct train_head head = { .loss.name = y && y->rank > 1 && y->dim[1] > 1 ? "cross_entropy" : "mse" };
    struct train_step_options o = { .heads = &head, .n_heads = 1, .attrs = ATTRS(attr_float("momentum", 0.9)) };
    b->graph = train_step_new(g, &o, &b->step, e);
    return b->graph ? 0 : e->code;
}

/* Between -1 and 1, and a learning rate; integers and bools are 0, which every index and every token list has. */
static int make_inputs(struct bench *b, struct err *e)
{
    const struct graph *g = b->graph;
    const struct conf *c = &b->args->conf;
    TRY(concrete_shapes(g, conf_int(c, "batch"), conf_int(c, "size"), &b->shapes, e));
    b->in = ARENA_ARRAY(b->arena, g->n_inputs, struct tensor *);
    b->out = ARENA_ARRAY(b->arena, g->n_outputs, struct tensor);
    if (!b->in || !b->out) return fail_nomem(e);
    for (size_t i = 0; i < g->n_inputs; i++) {
        enum dtype t = g->inputs[i]->dtype == DT_NONE ? DT_F32 : g->inputs[i]->dtype;
        if (!(b->in[i] = tensor_new(b->arena, t, &b->shapes[i], e))) return e->code;
        for (int64_t k = 0; dtype_is_float(t) && k < tensor_count(b->in[i]); k++)
            tensor_set_f64(b->in[i], k, (double)((uint32_t)k * 2654435761u >> 16 & 255) / 128 - 1);
    }
    if (b->graph != b->model.graph) tensor_set_f64(b->in[g->n_inputs - 1], 0, 1e-4);
    return 0;
}

static int one_run(struct bench *b, struct session *s, double *seconds, struct err *e)
{
    double begin = clock_now();
    TRY(session_run(s, (const struct tensor *const *)b->in, b->out, e));
    *seconds = clock_now() - begin;
    return 0;
}

static struct session *new_session(struct bench *b, bool profile, struct err *e)
{
    const struct conf *c = &b->args->conf;
    struct session_options o = { .threads = b->threads,
        .reference = conf_flag(c, "reference"),
        .profile = profile,
        .precision = b->precision,
        .recipe = b->recipe,
        .packs = conf_flag(c, "reference") ? NULL : b->model.packs };
    return session_new(b->graph, &o, e);
}

static int tune(struct bench *b, const char *path, struct err *e)
{
    struct recipe *r = recipe_new(b->arena);
    struct session_options o = { .threads = b->threads, .precision = b->precision, .packs = b->model.packs };
    TRY_MEM(r, e);
    TRY(tune_kernels(b->graph, &o, b->shapes, (const struct tensor *const *)b->in, r, e));
    b->recipe = r;
    return recipe_write(r, path, b->model.graph, e);
}

static int start(struct bench *b, struct err *e)
{
    const struct conf *c = &b->args->conf;
    double begin = clock_now();
    TRY(open_model(&b->model, b->args, 0, e));
    b->open = clock_now() - begin;
    b->graph = b->model.graph;
    if (conf_flag(c, "train")) TRY(make_step(b, e));
    b->threads = conf_int(c, "threads") ? (int)conf_int(c, "threads") : team_default_size();
    b->precision = read_precision(b->args);
    TRY(make_inputs(b, e));
    TRY(read_recipe(b->args, b->model.graph, &b->recipe, e));
    if (conf_has(c, "tune")) TRY(tune(b, conf_string(c, "tune"), e));
    if (!(b->session = new_session(b, false, e))) return e->code;
    begin = clock_now();
    if (!session_plan(b->session, b->shapes, e)) return e->code;
    b->plan = clock_now() - begin;
    return one_run(b, b->session, &b->first, e);
}

static long taken_away(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_nivcsw;
}

/* A fifth of the time warms up: caches, clocks of the processor, threads. */
static int measure(struct bench *b, struct err *e)
{
    double limit = conf_float(&b->args->conf, "seconds"), begin = clock_now(), warm = begin + limit / 5, seconds;
    do {
        TRY(one_run(b, b->session, &seconds, e));
        b->warm_up++;
    } while (clock_now() < warm);
    for (begin = clock_now(); b->n < 3 || clock_now() - begin < limit;) {
        long before = taken_away();
        TRY(one_run(b, b->session, &seconds, e));
        b->disturbed += taken_away() != before;
        if (!ARRAY_PUSH(b->arena, b->times, b->n, b->cap, seconds)) return fail_nomem(e);
    }
    return 0;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The time that `percent` of the runs did not exceed. */
static double percentile(const struct bench *b, double percent)
{
    size_t i = (size_t)((double)b->n * percent / 100);
    return b->times[i < b->n ? i : b->n - 1];
}

static double throughput(const struct bench *b)
{
    double sum = 0;
    for (size_t i = 0; i < b->n; i++) sum += b->times[i];
    return (double)(b->n * (size_t)conf_int(&b->args->conf, "batch")) / sum;
}

static const char *why(const struct bench *b, struct str *s)
{
    struct team_limits l = team_limits();
    str_add(s, conf_int(&b->args->conf, "threads") ? "as told" : "all this process may use");
    if (l.affinity) str_addf(s, "; it may run on %d processor%s", l.affinity, l.affinity == 1 ? "" : "s");
    if (l.quota > 0) str_addf(s, ", its cgroup grants %.3g", l.quota);
    const char *text = str_done(s);
    return text ? text : "";
}

static void print_shapes(const struct bench *b)
{
    const struct graph *g = b->graph;
    for (size_t i = 0; i < g->n_inputs; i++) {
        struct str s = str_in(b->arena);
        shape_print(g, &b->shapes[i], &s);
        printf("  %-12s %s %s%s\n", "input", g->inputs[i]->name, dtype_name(b->in[i]->dtype),
            str_done(&s) ? str_done(&s) : "");
    }
}

static void print_text(const struct bench *b)
{
    char m1[32], m2[32], m3[32];
    struct str reason = str_in(b->arena);
    printf("%s\n", b->model.path);
    print_shapes(b);
    printf("  %-12s %d (%s)\n", "threads", b->threads, why(b, &reason));
    printf("  %-12s %.1f ms to open, %.1f ms to plan and pack, %.1f ms for the first run\n", "start", b->open * 1e3,
        b->plan * 1e3, b->first * 1e3);
    printf("  %-12s p50 %.3f ms, p90 %.3f ms, p99 %.3f ms; fastest %.3f ms, slowest %.3f ms\n", "time",
        percentile(b, 50) * 1e3, percentile(b, 90) * 1e3, percentile(b, 99) * 1e3, b->times[0] * 1e3,
        b->times[b->n - 1] * 1e3);
    printf("  %-12s %.4g samples a second, batches of %lld\n", "throughput", throughput(b),
        (long long)conf_int(&b->args->conf, "batch"));
    printf("  %-12s %zu after %zu to warm up", "runs", b->n, b->warm_up);
    if (b->disturbed) printf("; others took a processor away in %zu of them", b->disturbed);
    printf("\n  %-12s %s for a run, %s of packed weights, %s the process at most\n", "memory",
        human_bytes(m1, (double)session_memory(b->session)), human_bytes(m2, (double)packs_bytes(b->model.packs)),
        human_bytes(m3, (double)memory_peak()));
}

static json_t *shapes_json(const struct bench *b)
{
    json_t *all = json_object();
    for (size_t i = 0; i < b->graph->n_inputs; i++) {
        json_t *dims = json_array();
        for (int d = 0; d < b->shapes[i].rank; d++) json_array_append_new(dims, json_integer(b->shapes[i].dim[d]));
        json_object_set_new(all, b->graph->inputs[i]->name, dims);
    }
    return all;
}

static json_t *as_json(const struct bench *b)
{
    struct team_limits l = team_limits();
    return json_pack("{s:s,s:o,s:i,s:i,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:I,s:I,s:I,s:I,s:I,s:I}", "file",
        b->model.path, "inputs", shapes_json(b), "threads", b->threads, "processors", l.affinity, "cgroup_processors",
        l.quota, "open_ms", b->open * 1e3, "plan_ms", b->plan * 1e3, "first_run_ms", b->first * 1e3, "p50_ms",
        percentile(b, 50) * 1e3, "p90_ms", percentile(b, 90) * 1e3, "p99_ms", percentile(b, 99) * 1e3, "fastest_ms",
        b->times[0] * 1e3, "samples_per_second", throughput(b), "runs", (json_int_t)b->n, "warm_up_runs",
        (json_int_t)b->warm_up, "disturbed_runs", (json_int_t)b->disturbed, "run_bytes",
        (json_int_t)session_memory(b->session), "packed_bytes", (json_int_t)packs_bytes(b->model.packs), "peak_bytes",
        (json_int_t)memory_peak());
}

/* A few runs of a session that times each step: it is another one, so that watching does not slow down what is told. */
static int nodes(struct bench *b, json_t *root, struct err *e)
{
    enum { RUNS = 5 };
    double seconds;
    struct session *s = new_session(b, true, e);
    const struct plan *p = s ? session_plan(s, b->shapes, e) : NULL;
    if (p && !one_run(b, s, &seconds, e)) profile_reset(p);
    for (int i = 0; p && i < RUNS && !e->code; i++) one_run(b, s, &seconds, e);
    if (p && !e->code && root) {
        json_t *list = profile_json(p, b->arena, e);
        if (list) json_object_set_new(root, "nodes", list);
    } else if (p && !e->code) {
        putchar('\n');
        profile_print(p, b->arena, e);
    }
    session_free(s);
    return e->code;
}

static int report(struct bench *b, struct err *e)
{
    const struct conf *c = &b->args->conf;
    qsort(b->times, b->n, sizeof *b->times, by_value);
    if (!conf_flag(c, "json")) {
        print_text(b);
        return conf_flag(c, "nodes") ? nodes(b, NULL, e) : 0;
    }
    json_t *root = as_json(b);
    TRY(json_own(b->arena, root, e));
    if (conf_flag(c, "nodes")) TRY(nodes(b, root, e));
    return print_json(b->arena, root, e);
}

static int run(struct args *args, struct err *e)
{
    struct bench b = { .args = args, .arena = args->arena };
    arena_init(&b.step, NULL);
    int code = start(&b, e);
    if (!code) code = measure(&b, e);
    if (!code) code = report(&b, e);
    session_free(b.session);
    arena_release(&b.step);
    model_close(&b.model);
    return code;
}

static const struct conf_key keys[] = {
    { "batch", 'b', CONF_INT, "N", "1", NULL, 1, 1 << 20, "samples a run, where the model leaves that free" },
    { "size", 's', CONF_INT, "N", "224", NULL, 1, 1 << 20, "free dimensions but the first" },
    { "threads", 't', CONF_INT, "N", "0", NULL, 0, 4096, "0: as many as this process may use" },
    { "seconds", 0, CONF_FLOAT, "S", "3", NULL, 0, 86400, "how long to measure" },
    { "train", 0, CONF_FLAG, NULL, NULL, NULL, 0, 0, "steps of training instead: forward, loss, backward, update" },
    { "nodes", 'n', CONF_FLAG, NULL, NULL, NULL, 0, 0, "time per node, of five more runs" },
    { "reference", 0, CONF_FLAG, NULL, NULL, NULL, 0, 0, "plain C kernels only" },
    KEY_PRECISION,
    KEY_RECIPE,
    { "tune", 0, CONF_WRITE, "FILE", NULL, NULL, 0, 0,
        "try other kernels for every node, and write the recipe of those that are faster" },
    KEY_JSON,
    KEYS_OPEN,
    { 0 },
};

const struct command command_bench = {
    .name = "bench",
    .synopsis = "FILE [--batch N] [--threads N] [--nodes] [--json]",
    .doc = "How fast a model runs on this machine.\n\n"
           "Inputs are made up. Half of the runs take no longer than p50, 99 of 100 no longer than p99. Runs during\n"
           "which the system gave a processor to somebody else are counted, and told.",
    .examples = "  tenrec bench resnet50.onnx --threads 1\n"
                "  tenrec bench net.pt --input Nx3x320x320 --batch 8 --nodes\n"
                "  tenrec bench zoo:resnet18 --batch 16 --train\n",
    .min_words = 1,
    .max_words = 1,
    .keys = keys,
    .run = run,
};
