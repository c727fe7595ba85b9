/* image.c - fuzz target: WebP, GIF, TIFF, BMP and PNM images; JPEG and PNG have targets of their own. */
#include "enc/image.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct image_options options[] = { { .max_pixels = 1 << 20 },
        { .max_pixels = 1 << 20, .allow_truncated = true, .keep_index = true }, { .header_only = true } };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        struct arena a;
        struct err e = { 0 };
        struct image img;
        fuzz_arena(&a);
        if (fuzz_ok(image_decode(&img, &a, (struct bytes){ data, size }, &options[i], &e), &e)) {
            FUZZ_CHECK(img.width > 0 && img.height > 0 && img.channels >= 1 && img.channels <= 4);
            FUZZ_CHECK(options[i].header_only ? !img.pixels : img.pixels != NULL);
        }
        arena_release(&a);
    }
    return 0;
}
