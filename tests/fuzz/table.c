/* table.c - fuzz target: a table of samples; the first byte says what its file is called. */
#include <unistd.h>

#include "data/table.h"
#include "fuzz.h"

static const char *const endings[] = { ".csv", ".jsonl", ".idx", ".npz", ".tar", ".db", ".txt" };
enum { N_ENDINGS = sizeof endings / sizeof *endings };

static void read_cells(const struct table *t, const struct row *row, struct arena *a)
{
    struct err e = { 0 };
    struct image img;
    struct tensor *x;
    struct box *boxes;
    double *numbers;
    int64_t class;
    size_t n;
    FUZZ_CHECK(row->id && row->where);
    for (size_t i = 0; i < table_columns(t) && i < 8; i++) {
        fuzz_ok(row_class(t, row, (int)i, &class, &e), &e);
        fuzz_ok(row_mask(t, row, (int)i, a, &img, &e), &e);
        fuzz_ok(row_tensor(t, row, (int)i, a, &x, &e), &e);
        fuzz_ok(row_boxes(t, row, (int)i, a, &boxes, &n, &e), &e);
    }
    fuzz_ok(row_numbers(t, row, a, &numbers, &n, &e), &e);
}

static void read_rows(struct arena *a, const char *path, const struct table_options *o)
{
    struct err e = { 0 };
    struct row row;
    struct table *t = table_open(a, path, o, &e);
    if (!fuzz_ok(t ? 0 : e.code, &e)) return;
    fuzz_ok(table_index(t, &e), &e);
    for (int got = 1, n = 0; got && n < 1000; n++) {
        struct arena scratch;
        fuzz_arena(&scratch);
        got = table_next(t, &scratch, -1, &row, &e);
        if (fuzz_ok(got, &e) && got == 1) read_cells(t, &row, &scratch);
        arena_release(&scratch);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const inputs[] = { "left", "right", NULL },
                             *const columns[] = { "numbers=*", "image=left", "id=right", NULL };
    static const struct table_options options[] = { { 0 }, { .inputs = inputs }, { .columns = columns } };
    struct arena a;
    char path[64];
    if (!size) return 0;
    snprintf(path, sizeof path, "/tmp/tenrec-fuzz-%d%s", (int)getpid(), endings[data[0] % N_ENDINGS]);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data + 1, 1, size - 1, f) != size - 1 || fclose(f)) abort();
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        fuzz_arena(&a);
        read_rows(&a, path, &options[i]);
        arena_release(&a);
    }
    unlink(path);
    return 0;
}
