/* weights.c - fuzz target: files of weights of every kind, all their tensors read. */
#include "fuzz.h"

#include "base/report.h"
#include "format/weights/weights.h"
#include "graph/tensor.h"

static void touch(const struct tensor *t)
{
    const unsigned char *p = t->data;
    volatile unsigned char last; /* reads that may not be left out */
    for (int64_t i = 0, n = tensor_bytes(t); i < n; i++) last = p[i];
    (void)last;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = { "fuzz.pt", "fuzz.safetensors.index.json" };
    for (int i = 0; i < 2; i++) {
        struct arena a;
        struct err e = { 0 };
        struct weights w;
        struct format_file file = { .path = paths[i], .bytes = { data, size } };
        fuzz_arena(&a);
        struct report r = report_in(&a);
        weights_is(file.bytes, file.path);
        if (fuzz_ok(weights_read(&w, &a, &file, NULL, &r, &e), &e))
            for (size_t k = 0; k < w.n; k++) touch(w.list[k].tensor);
        arena_release(&a);
    }
    return 0;
}
