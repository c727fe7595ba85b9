/* zip.c - fuzz target: opens an archive and reads every entry. */
#include "fuzz.h"

#include "enc/zip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct err e = { 0 };
    struct zip z;
    fuzz_arena(&a);
    if (fuzz_ok(zip_open(&z, &a, "fuzz", (struct bytes){ data, size }, &e), &e)) {
        for (size_t i = 0; i < z.n; i++) {
            struct bytes out;
            if (!fuzz_ok(zip_read(&z, &z.entries[i], &a, 1 << 20, ZIP_CHECK_CRC, &out, &e), &e)) continue;
            FUZZ_CHECK(out.len == z.entries[i].size);
            FUZZ_CHECK(zip_find(&z, z.entries[i].name) == &z.entries[i]);
        }
    }
    arena_release(&a);
    return 0;
}
