/* tenrec.c - Tenrec as a peer: tenrec MODEL THREADS DIMS... */
#include "base/arena.h"
#include "base/err.h"
#include "exec/session.h"
#include "package/model.h"
#include "peer.h"

struct job {
    struct session *session;
    const struct tensor *in;
    struct tensor out[64];
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
    if (session_run(j->session, &j->in, j->out, &j->err)) failed(&j->err);
}

int main(int argc, char **argv)
{
    static struct job job;
    struct model model;
    struct arena a;
    struct shape shape = { 0 };
    if (argc < 4) return 2;
    for (int i = 3; i < argc && shape.rank < SHAPE_MAX; i++) shape.dim[shape.rank++] = atoll(argv[i]);
    double begin = peer_clock(CLOCK_MONOTONIC);
    arena_init(&a, NULL);
    if (model_open(&model, argv[1], &(struct model_options){ 0 }, &job.err)) failed(&job.err);
    struct session_options o = { .threads = atoi(argv[2]), .packs = model.packs };
    struct tensor *in = tensor_new(&a, DT_F32, &shape, &job.err);
    if (!in || !(job.session = session_new(model.graph, &o, &job.err))) failed(&job.err);
    peer_fill(in->data, (size_t)tensor_count(in));
    job.in = in;
    run(&job);
    double loaded = peer_clock(CLOCK_MONOTONIC) - begin;
    peer_serve(TENREC_VERSION, loaded, peer_sum(job.out[0].data, (size_t)tensor_count(&job.out[0])), run, &job);
    return 0;
}
