/* keras.c - fuzz target: a Keras model is imported, in whichever of its forms it comes. */
#include "fuzz.h"

#include "base/report.h"
#include "format/format.h"
#include "graph/graph.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct err e = { 0 };
    struct graph *g;
    fuzz_arena(&a);
    struct report r = report_in(&a);
    struct import_lambda lambda = { "l", "relu6" };
    struct import_options o = { .lambdas = &lambda, .n_lambdas = 1 };
    struct format_file file = { .path = "fuzz", .bytes = { data, size } };
    if (fuzz_ok(format_find("keras")->read(&a, &file, &o, &g, &r, &e), &e) && fuzz_ok(graph_tidy(g, &e), &e))
        FUZZ_CHECK(!graph_verify(g, &e));
    arena_release(&a);
    return 0;
}
