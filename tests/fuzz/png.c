/* png.c - fuzz target: what is decoded is written, and read again the same; palettes are kept and looked up. */
#include "fuzz.h"

#include <string.h>

#include "enc/image.h"

static void round_trip(const struct image *img, const struct image_options *o, struct arena *a)
{
    struct err e = { 0 };
    struct bytes out;
    struct image again;
    if (!fuzz_ok(png_encode(&out, a, img, &e), &e)) { /* an index may lie outside the palette: read, but not written */
        FUZZ_CHECK(img->palette);
        return;
    }
    FUZZ_CHECK(fuzz_ok(png_decode(&again, a, out, o, &e), &e));
    FUZZ_CHECK(again.width == img->width && again.height == img->height && again.bits == img->bits);
    FUZZ_CHECK(!memcmp(again.pixels, img->pixels, image_row_bytes(img) * (size_t)img->height));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct err e = { 0 };
    struct image img;
    fuzz_arena(&a);
    for (int i = 0; i < 4; i++) {
        struct image_options o = { .max_pixels = 1 << 18, .allow_truncated = i & 1, .keep_index = i >> 1 };
        if (!fuzz_ok(png_decode(&img, &a, (struct bytes){ data, size }, &o, &e), &e)) continue;
        FUZZ_CHECK(img.orientation >= 1 && img.orientation <= 8);
        round_trip(&img, &o, &a);
    }
    arena_release(&a);
    return 0;
}
