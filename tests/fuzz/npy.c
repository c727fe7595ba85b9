/* npy.c - fuzz target: reads an array; what is read lies inside the file and has a header of its own. */
#include "fuzz.h"

#include "enc/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct err e = { 0 };
    struct npy array;
    struct bytes header = { 0 };
    fuzz_arena(&a);
    if (fuzz_ok(npy_read(&array, &a, "fuzz", (struct bytes){ data, size }, &e), &e)) {
        FUZZ_CHECK(array.data.len <= size && array.data.len == array.n * array.size);
        FUZZ_CHECK(fuzz_ok(npy_header(&array, &a, &header, &e), &e));
        FUZZ_CHECK(header.len % 64 == 0);
    }
    arena_release(&a);
    return 0;
}
