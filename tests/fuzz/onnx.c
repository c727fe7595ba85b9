/* onnx.c - fuzz target: reads a model; one that is taken is written, and read again as the same graph. */
#include <string.h>

#include "base/report.h"
#include "base/str.h"
#include "format/onnx/write.h"
#include "fuzz.h"
#include "graph/graph.h"
#include "pass/pass.h"

static int read_model(struct arena *a, struct bytes bytes, struct graph **g, struct err *e)
{
    struct report r = report_in(a);
    struct format_file file = { .path = "/nowhere/fuzz.onnx", .bytes = bytes };
    file.blob = blob_wrap(NULL, bytes.data, bytes.len, NULL, NULL);
    if (!file.blob || blob_adopt(a, file.blob)) return fail_nomem(e);
    return format_read_file(a, &file, format_find("onnx"), NULL, g, &r, e);
}

static void write_again(struct arena *a, const struct graph *g)
{
    struct err e = { 0 };
    struct report r = report_in(a);
    struct proto_message m;
    struct bytes bytes;
    struct graph *back;
    struct str was = str_in(a), is = str_in(a);
    if (!fuzz_ok(onnx_write(g, a, &(struct onnx_write_options){ .exact = true }, &m, &r, &e), &e)) return;
    if (!fuzz_ok(proto_bytes(&m, a, &bytes, &e), &e)) return;
    if (!fuzz_ok(read_model(a, bytes, &back, &e), &e)) return;
    graph_print(g, &was);
    graph_print(back, &is);
    FUZZ_CHECK(g->n_nodes == back->n_nodes && g->n_outputs == back->n_outputs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct err e = { 0 };
    struct graph *g;
    fuzz_arena(&a);
    if (fuzz_ok(read_model(&a, (struct bytes){ data, size }, &g, &e), &e)) {
        write_again(&a, g);
        if (fuzz_ok(pass_run(g, PASS_IMPORT, NULL, &e), &e)) FUZZ_CHECK(!graph_verify(g, &e));
    }
    arena_release(&a);
    return 0;
}
