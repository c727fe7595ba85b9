/* torch_samples.c - TorchScript archives with known outputs: imported, interpreted, within 1e-4 of their scale. */
#include "tap.h"

#include "base/report.h"
#include "corpus_line.h"
#include "exec/session.h"
#include "graph/graph.h"
#include "ops/interpret.h"
#include "pass/mode.h"
#include "shared.h"
#include "tensors.h"

enum { IO_MAX = 64 };

struct sample {
    struct arena *arena;
    const char *model;
    struct tensor *in[IO_MAX], *want[IO_MAX];
    int n_in, n_want;
};

static struct tensor *array_of(struct arena *a, const struct zip *z, const char *kind, int i, struct err *e)
{
    struct npy n;
    char name[16];
    snprintf(name, sizeof name, "%s%d.npy", kind, i);
    if (!zip_find(z, name)) return NULL;
    snprintf(name, sizeof name, "%s%d", kind, i);
    if (npz_read(&n, a, z, name, 1u << 30, e)) return NULL;
    snprintf(name, sizeof name, "%s%u", n.kind == 'f' ? "float" : n.kind == 'u' ? "uint" : "int", n.size * 8);
    enum dtype t = n.kind == 'b' ? DT_BOOL : dtype_from_name(name);
    struct shape s = shape_of((int)n.rank, n.shape);
    return tensor_copy(a, t, &s, n.data.data, e);
}

/* in0.. and out0.. of NAME.io.npz */
static int load(struct sample *s, const char *io, struct err *e)
{
    struct bytes file;
    struct zip z;
    TRY(file_map(s->arena, io, &file, e));
    TRY(zip_open(&z, s->arena, io, file, e));
    for (int i = 0; i < IO_MAX; i++) {
        struct tensor *in = array_of(s->arena, &z, "in", i, e), *out = array_of(s->arena, &z, "out", i, e);
        if (in) s->in[s->n_in++] = in;
        if (out) s->want[s->n_want++] = out;
    }
    return e->code;
}

/* Guards that the run did not keep. */
struct guards {
    const struct graph *g;
    int broken;
};

static void see(void *cookie, const struct node *n, struct tensor *const *out)
{
    struct guards *g = cookie;
    for (size_t i = 0; i < g->g->n_guards; i++)
        for (int k = 0; k < n->n_out; k++)
            if (g->g->guards[i].value == n->out[k]) g->broken += tensor_get_i64(out[k], 0) != g->g->guards[i].expected;
}

/* How samples are read. `symbols`: one letter per dimension of the inputs, for example "N HW"; a blank keeps the
 * number; NULL: numbers. */
struct way {
    const char *symbols;
    enum import_mode mode;
    bool in_plan; /* compare what a session makes of it, too */
    bool train;   /* turn training on, and compare what neither run dropped */
    int at_least;
};

static double difference_of_kept(const struct tensor *got, const struct tensor *want)
{
    double most = 0, scale = 0;
    int64_t n = shape_equal(&got->shape, &want->shape) ? tensor_count(want) : 0, kept = 0;
    for (int64_t i = 0; i < n; i++) {
        double x = tensor_get_f64(got, i), y = tensor_get_f64(want, i);
        scale = fmax(scale, fabs(y));
        if (x == 0 || y == 0) continue;
        kept++;
        most = fmax(most, fabs(x - y));
    }
    return kept * 4 < n || !n ? INFINITY : most / scale;
}

static int run(struct sample *s, const struct way *way, double *most, struct err *e)
{
    struct import_hint hints[IO_MAX] = { 0 };
    const char *symbols = way->symbols;
    struct tensor *out[IO_MAX] = { 0 };
    for (int i = 0; i < s->n_in; i++) {
        hints[i].dtype = s->in[i]->dtype;
        hints[i].rank = s->in[i]->shape.rank;
        for (int k = 0; k < hints[i].rank; k++) hints[i].dim[k].size = s->in[i]->shape.dim[k];
        for (int k = 0; symbols && symbols[k] && k < hints[i].rank; k++)
            if (symbols[k] != ' ') hints[i].dim[k].symbol = arena_strndup(s->arena, symbols + k, 1);
    }
    struct import_options o = { .inputs = hints, .n_inputs = (size_t)s->n_in, .mode = way->mode };
    struct report r = report_in(s->arena);
    struct graph *g;
    TRY(format_read(s->arena, s->model, &o, &g, &r, e));
    if ((int)g->n_outputs != s->n_want) return fail(e, ERR_FAILED, "%zu outputs, expected %d", g->n_outputs, s->n_want);
    if (way->train) TRY(graph_training(g, &(struct train_mode){ .unbiased = true }, e));
    struct guards guards = { g, 0 };
    if (symbols && (g->inputs[0]->shape.dim[0] >= 0 || g->outputs[0]->shape.dim[0] >= 0))
        return fail(e, ERR_FAILED, "the first dimension is no symbol any more");
    TRY(graph_interpret(g, s->in, out, s->arena, &(struct interpret){ .seen = see, .cookie = &guards }, e));
    if (guards.broken) return fail(e, ERR_FAILED, "%d guards do not hold", guards.broken);
    struct tensor planned[IO_MAX];
    struct session *session = way->in_plan ? session_new(g, &(struct session_options){ .threads = 1 }, e) : NULL;
    int code = session ? session_run(session, (const struct tensor *const *)s->in, planned, e) : e->code;
    for (int i = 0; i < s->n_want && !code; i++) {
        *most = fmax(*most, (way->train ? difference_of_kept : tensor_difference)(out[i], s->want[i]));
        if (session) *most = fmax(*most, tensor_difference(&planned[i], s->want[i]));
    }
    session_free(session);
    return code;
}

static bool was_training(const char *name)
{
    return !strncmp(name, "misc_train_mode", 15);
}

static bool is_control(const char *name)
{
    return !strncmp(name, "ctl_", 4);
}

/* Control flow on data and detectors are tried below. */
static bool is_asked(const char *name)
{
    return !is_control(name) && strncmp(name, "det_", 4) && !was_training(name);
}

/* One sample in a process-wide table: 1 when it is right. */
static int one(const char *folder, const char *name, const struct way *way)
{
    struct arena a;
    struct err e = { 0 };
    double most = 0;
    arena_init(&a, NULL);
    struct sample s = { .arena = &a, .model = file_join(&a, folder, name) };
    char *io = arena_strdup(&a, s.model);
    for (int cut = 0; cut < 2 && io; cut++) { /* NAME.traced.pt -> NAME.io.npz; NAME.frozen.io.npz where it is */
        char *dot = strrchr(io, '.');
        if (dot) *dot = 0;
        const char *path = arena_printf(&a, "%s.io.npz", io);
        if (!file_exists(path)) continue;
        io = NULL;
        if (!load(&s, path, &e)) run(&s, way, &most, &e);
    }
    bool right = !e.code && s.n_want && most <= 1e-4;
    if (getenv("TENREC_VERBOSE")) printf("# %s %-40s %g %s\n", right ? "right" : "wrong", name, most, e.text);
    else if (!way->symbols && way->mode != IMPORT_TRAIN)
        corpus_line("torchscript samples", name,
            right                           ? "right"
                : e.code == ERR_UNSUPPORTED ? "refused"
                : strstr(name, "mixed_out") ? "left out"
                                            : "WRONG",
            most,
            strstr(name, "mixed_out") ? "gives numbers and texts beside tensors, which the sample does not hold"
                                      : e.text);
    arena_release(&a);
    return right;
}

static bool is_image(const char *name)
{
    return !strncmp(name, "tv_", 3) || !strncmp(name, "seed3_cnn.", 10);
}

static void all(bool (*wanted)(const char *name), const struct way *way)
{
    struct arena a;
    struct err e = { 0 };
    const char **names, *only = getenv("TENREC_SAMPLE");
    size_t n;
    int right = 0, total = 0;
    if (!shared_dir()) SKIP("no shared samples");
    arena_init(&a, NULL);
    const char *folder = file_join(&a, shared_dir(), "samples/ts");
    if (!file_is_dir(folder)) SKIP("no TorchScript samples");
    CHECK_OK(file_list(&a, folder, &names, &n, &e), &e);
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(names[i]);
        if (len > 4 && !strcmp(names[i] + len - 4, ".npz")) continue;
        if (only ? !strstr(names[i], only) : !wanted(names[i])) continue;
        right += one(folder, names[i], way);
        total++;
    }
    printf("# %d of %d\n", right, total);
    CHECK(only || right >= way->at_least);
    arena_release(&a);
}

TEST(samples)
{
    all(is_asked, &(struct way){ .at_least = 77 });
}

/* Branches and loops on data, in plans too; what returns no tensors alone (mixed_out) is left out. */
TEST(control_flow)
{
    all(is_control, &(struct way){ .in_plan = true, .at_least = 8 });
}

static bool is_detector(const char *name)
{
    return !strncmp(name, "det_", 4);
}

/* Detectors: non-maximum suppression, and what hangs on how many boxes are left. */
TEST(detectors)
{
    all(is_detector, &(struct way){ .in_plan = true, .at_least = 6 });
}

/* The number of images stays open, whatever example the program was run with. */
TEST(batches_of_any_size)
{
    all(is_image, &(struct way){ .symbols = "N", .at_least = 41 });
}

/* The same for height and width: what pins them leaves guards, which then do not hold. */
TEST(images_of_any_size)
{
    all(is_image, &(struct way){ .symbols = "N HW", .at_least = 34 });
}

/* Read for training, networks have their dropout and stochastic depth in the graph; until a pass turns them on
 * they are the identity. */
TEST(networks_read_for_training_score_the_same)
{
    all(is_image, &(struct way){ .mode = IMPORT_TRAIN, .at_least = 40 });
}

/* A model that was saved while it trained: statistics of the batch, and dropout but for which elements it drops. */
TEST(a_model_saved_in_training_mode_trains)
{
    all(was_training, &(struct way){ .train = true, .at_least = 2 });
}
