/* jpeg.c - fuzz target: decodes strictly and leniently; what the strict reader takes, the lenient one reads alike. */
#include "fuzz.h"

#include <string.h>

#include "enc/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct image_options strict = { .max_pixels = 1 << 18 }, lenient = strict;
    lenient.allow_truncated = true;
    struct bytes in = { data, size };
    struct arena a;
    struct err e = { 0 };
    struct image one, other;
    fuzz_arena(&a);
    int taken = fuzz_ok(jpeg_decode(&one, &a, in, &strict, &e), &e);
    int forgiven = fuzz_ok(jpeg_decode(&other, &a, in, &lenient, &e), &e);
    FUZZ_CHECK(forgiven || !taken);
    if (forgiven) FUZZ_CHECK(other.orientation >= 1 && other.orientation <= 8 && other.bits == 8);
    if (taken) FUZZ_CHECK(!memcmp(one.pixels, other.pixels, image_row_bytes(&one) * (size_t)one.height));
    arena_release(&a);
    return 0;
}
