/* tenrec.c - Tenrec as a peer: tenrec MODE MODEL THREADS DIMS..., where MODE is infer, infer:RECIPE,
 * infer-bf16, train or train-bf16. */
#include <string.h>

#include "backend/backend.h"
#include "base/arena.h"
#include "base/err.h"
#include "exec/session.h"
#include "graph/builder.h"
#include "graph/release.h"
#include "package/model.h"
#include "peer.h"
#include "plan/recipe.h"
#include "train/step.h"

enum { CLASSES = 2 }; /* that labels are drawn from; every network has as many */

struct job {
    struct arena arena;
    struct model model;
    const struct graph *graph;
    struct session *session;
    struct tensor *in[3], out[8]; /* of a training step: x, target, learning rate */
    struct err err;
};

static int failed(const struct err *e)
{
    fprintf(stderr, "tenrec: %s\n", e->text);
    exit(1);
}

static void run(void *ctx)
{
    struct job *j = ctx;
    if (session_run(j->session, (const struct tensor *const *)j->in, j->out, &j->err)) failed(&j->err);
}

/* TorchScript, which is what is trained, does not say the shape of its input. */
static void open_model(struct job *j, const char *path, const struct shape *x, bool train)
{
    struct import_hint hint = { .rank = x->rank };
    for (int i = 0; i < x->rank; i++) hint.dim[i].size = x->dim[i];
    struct model_options o = { .import = { .inputs = &hint, .n_inputs = train } };
    if (model_open(&j->model, path, &o, &j->err)) failed(&j->err);
    j->graph = j->model.graph;
    if (!(j->in[0] = tensor_new(&j->arena, DT_F32, x, &j->err))) failed(&j->err);
    peer_fill(j->in[0]->data, (size_t)tensor_count(j->in[0]));
}

/* One label a sample, or one a pixel. */
static void make_step(struct job *j)
{
    struct train_head head = { .loss.name = "cross_entropy" };
    const struct attr *attrs = ATTRS(attr_float("momentum", 0.9));
    struct train_step_options o = { .heads = &head, .n_heads = 1, .attrs = attrs };
    if (!(j->graph = train_step_new(j->model.graph, &o, &j->arena, &j->err))) failed(&j->err);
    struct shape labels = j->graph->inputs[1]->shape, scalar = shape_of(0, NULL);
    for (int i = 0; i < labels.rank; i++) labels.dim[i] = j->in[0]->shape.dim[i ? i + 1 : 0];
    j->in[1] = tensor_new(&j->arena, DT_I64, &labels, &j->err);
    j->in[2] = tensor_new(&j->arena, DT_F32, &scalar, &j->err);
    if (j->err.code) failed(&j->err);
    for (int64_t i = 0; i < tensor_count(j->in[1]); i++) tensor_set_i64(j->in[1], i, i % CLASSES);
    tensor_set_f64(j->in[2], 0, 1e-3);
}

/* A recipe for something else is no recipe here: the comparison would compare nothing. */
static const struct recipe *recipe_of(struct job *j, const char *mode)
{
    const struct recipe *recipe = NULL;
    const char *path = strchr(mode, ':'), *ignored = NULL;
    if (path && recipe_open(&recipe, &j->arena, path + 1, j->model.graph, &ignored, &j->err)) failed(&j->err);
    if (ignored) fail(&j->err, ERR_DATA, "%s", ignored), failed(&j->err);
    return recipe;
}

int main(int argc, char **argv)
{
    static struct job j;
    struct shape x = { 0 };
    if (argc < 5) return 2;
    for (int i = 4; i < argc && x.rank < SHAPE_MAX; i++) x.dim[x.rank++] = atoll(argv[i]);
    double begin = peer_clock(CLOCK_MONOTONIC), before = peer_resident();
    arena_init(&j.arena, NULL);
    bool train = !strncmp(argv[1], "train", 5), narrow = strstr(argv[1], "-bf16");
    open_model(&j, argv[2], &x, train);
    if (train) make_step(&j);
    struct session_options o = { .threads = atoi(argv[3]), .packs = j.model.packs, .recipe = recipe_of(&j, argv[1]),
        .precision = narrow ? PRECISION_BF16 : PRECISION_FULL };
    if (narrow && backend_against_bf16()) return 3;
    if (!(j.session = session_new(j.graph, &o, &j.err))) failed(&j.err);
    if (train && graph_release_states(j.model.graph, j.graph, &j.err)) failed(&j.err);
    run(&j);
    double loaded = peer_clock(CLOCK_MONOTONIC) - begin;
    peer_serve(TENREC_VERSION, loaded, before, peer_sum(j.out[0].data, (size_t)tensor_count(&j.out[0])), run, &j);
    return 0;
}
