/* csv.c - fuzz target: reads all rows, going on behind broken ones; good rows survive being written and read. */
#include "fuzz.h"

#include <string.h>

#include "base/str.h"
#include "enc/csv.h"

static void round_trip(const struct csv_row *row, struct arena *a)
{
    struct err e = { 0 };
    struct str s = str_in(a);
    struct csv c;
    struct csv_row again;
    csv_put(&s, row->fields, row->n, ',');
    FUZZ_CHECK(str_done(&s));
    csv_init(&c, "again", (struct bytes){ (unsigned char *)s.s, s.len }, ',');
    if (!memcmp(s.s, "\xef\xbb\xbf", s.len < 3 ? s.len : 3)) return; /* taken for a byte order mark */
    FUZZ_CHECK(csv_next(&c, a, &again, &e) == 1 && again.n == row->n);
    for (size_t i = 0; i < row->n; i++) FUZZ_CHECK(!strcmp(row->fields[i], again.fields[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct err e = { 0 };
    struct csv c;
    struct csv_row row;
    fuzz_arena(&a);
    csv_init(&c, "fuzz", (struct bytes){ data, size }, 0);
    for (int code = 1; code;) {
        struct arena_mark mark = arena_mark(&a);
        size_t at = c.at;
        code = csv_next(&c, &a, &row, &e);
        if (fuzz_ok(code, &e) && code) round_trip(&row, &a);
        FUZZ_CHECK(!code || c.at > at);
        arena_rewind(&a, mark);
    }
    arena_release(&a);
    return 0;
}
