/* prototxt.c - fuzz target: a text as a Caffe net, and the same bytes as one in the wire format; both build. */
#include "fuzz.h"

#include "base/report.h"
#include "enc/prototxt.h"
#include "format/caffe/schema.h"
#include "format/format.h"

/* Every message stands in the text, and every enum's number has a word or none. */
static void walk(const struct tree *t, size_t size, int depth)
{
    FUZZ_CHECK(depth <= TREE_DEPTH_MAX && t->at <= size);
    for (size_t i = 0; i < t->n; i++) {
        const struct tree_field *f = &t->fields[i];
        FUZZ_CHECK(f->packed.len || f->n <= f->cap);
        for (size_t k = 0; f->row->kind == TREE_MESSAGE && k < f->n; k++) walk(f->messages[k], size, depth + 1);
    }
}

static void build(struct arena *a, const uint8_t *data, size_t size)
{
    struct err e = { 0 };
    struct graph *g;
    struct report r = report_in(a);
    struct format_file file = { .path = "fuzz.prototxt", .bytes = { data, size } };
    fuzz_ok(format_read_file(a, &file, format_find("caffe"), NULL, &g, &r, &e), &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct err e = { 0 };
    struct bytes bytes = { data, size };
    fuzz_arena(&a);
    struct report r = report_in(&a);
    struct tree *t = prototxt_read(&a, "fuzz", bytes, &caffe_net_schema, &r, &e);
    if (fuzz_ok(e.code, &e)) walk(t, size, 0);
    t = proto_tree_read(&a, "fuzz", bytes, &caffe_net_schema, &e);
    if (fuzz_ok(e.code, &e)) walk(t, size, 0);
    build(&a, data, size);
    arena_release(&a);
    return 0;
}
