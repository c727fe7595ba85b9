/* module.c - fuzz target: a module that was pickled as a whole is rebuilt. */
#include "fuzz.h"

#include "base/report.h"
#include "format/format.h"
#include "format/torch/module.h"
#include "graph/graph.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct err e = { 0 };
    struct graph *g;
    fuzz_arena(&a);
    struct report r = report_in(&a);
    struct import_hint hint = { .dtype = DT_F32, .rank = 2, .dim = { { .size = 2 }, { .size = 3 } } };
    struct import_options o = { .inputs = &hint, .n_inputs = 1 };
    struct format_file file = { .path = "fuzz", .bytes = { data, size } };
    if (fuzz_ok(module_read(&a, &file, &o, &g, &r, &e), &e) && fuzz_ok(graph_tidy(g, &e), &e))
        FUZZ_CHECK(!graph_verify(g, &e));
    arena_release(&a);
    return 0;
}
