/* source.c - fuzz target: a table of samples. */
#include <unistd.h>

#include "data/source.h"
#include "fuzz.h"

static void read_rows(struct arena *a, const char *path)
{
    static const char *const wanted[] = { "left", "right", NULL };
    struct err e = { 0 };
    struct source_row row;
    for (int i = 0; i < 2; i++) {
        struct source *s = source_open(a, path, i ? wanted : NULL, &e);
        if (!fuzz_ok(s ? 0 : e.code, &e)) continue;
        for (int got = 1, n = 0; got && n < 1000; n++) {
            got = source_next(s, a, -1, &row, &e);
            fuzz_ok(got, &e);
            if (got > 0) FUZZ_CHECK(row.id && row.path);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    char path[64];
    snprintf(path, sizeof path, "/tmp/tenrec-fuzz-%d.csv", (int)getpid());
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f)) abort();
    fuzz_arena(&a);
    read_rows(&a, path);
    arena_release(&a);
    unlink(path);
    return 0;
}
