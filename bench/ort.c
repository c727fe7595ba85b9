/* ort.c - ONNX Runtime as a peer: ort LIBRARY MODEL.onnx THREADS DIMS... */
#include "ort.h"

#include "peer.h"

int main(int argc, char **argv)
{
    struct job job = { NULL };
    int64_t dims[8];
    size_t rank = 0, count = 1;
    if (argc < 5) return 2;
    for (int i = 4; i < argc && rank < 8; i++) count *= (size_t)(dims[rank++] = atoll(argv[i]));
    double begin = peer_clock(CLOCK_MONOTONIC), before = peer_resident();
    load_library(argv[1]);
    open_session(&job, argv[2], atoi(argv[3]));
    float *x = malloc(count * sizeof *x);
    if (!x) return 1;
    peer_fill(x, count);
    set_input(&job, x, count, dims, rank);
    run_once(&job);
    double loaded = peer_clock(CLOCK_MONOTONIC) - begin;
    const float *y = result(&job, &count);
    peer_serve(api_base->get_version(), loaded, before, peer_sum(y, count), run_once, &job);
    return 0;
}
