/* labels.c - fuzz target: names of classes as text, table, JSON and Python dictionary. */
#include "fuzz.h"
#include "package/labels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = { "labels.txt", "labels.csv", "labels.tsv", "labels.json" };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct arena a;
        struct labels l = { 0 };
        struct err e = { 0 };
        fuzz_arena(&a);
        if (fuzz_ok(labels_parse(&l, &a, paths[i], (struct bytes){ data, size }, &e), &e))
            for (size_t k = 0; k < l.n; k++) FUZZ_CHECK(l.names[k]);
        arena_release(&a);
    }
    return 0;
}
