/* images.c - decoding, resizing and preprocessing against the golden file; hostile images; PNG writing; masks. */
#include "tap.h"

#include "image_commands.h"

static const char *golden_folder(void)
{
    static char path[4000];
    const char *root = getenv("TENREC_SOURCE");
    snprintf(path, sizeof path, "%s/tests/golden/images", root ? root : ".");
    return path;
}

static struct bytes slurp(struct arena *a, const char *name)
{
    struct err e = { 0 };
    struct bytes b = { NULL, 0 };
    CHECK_OK(file_read(a, file_join(a, golden_folder(), name), 1 << 20, &b, &e), &e);
    return b;
}

/* ---- bad input first ---- */

static const char *const victims[] = { "420.jpg", "progressive420.jpg", "cmyk.jpg", "orientation6.jpg", "gray.jpg",
                                       "rgb8i.png", "index4.png", "gray16.png", "index_translucent.png",
                                       "orientation6.png", "lossy.webp", "lossless.webp", "frames.webp", "index.bmp",
                                       "alpha.bmp", "color.ppm", "text.ppm", "index.gif", "noise.gif", "lzw.tif",
                                       "gray16.tif", "index.tif", "color.jp2", "gray.j2k", "lossy.jp2" };
enum { N_VICTIMS = sizeof victims / sizeof victims[0] };

/* The bytes stand in a block of their own, so that a sanitizer sees a read past them. */
static int decode_copy(const unsigned char *data, size_t len, const struct image_options *o)
{
    struct arena a;
    arena_init(&a, NULL);
    unsigned char *copy = malloc(len + !len);
    struct image img;
    struct err e = { 0 };
    memcpy(copy, data, len);
    int code = image_decode(&img, &a, (struct bytes){ copy, len }, o, &e);
    CHECK(code == e.code);
    if (!code && img.pixels) CHECK(img.orientation >= 1 && img.orientation <= 8);
    free(copy);
    arena_release(&a);
    return code;
}

TEST(every_truncation_is_an_error_or_harmless)
{
    struct arena a;
    arena_init(&a, NULL);
    struct image_options lenient = { .allow_truncated = true };
    for (int v = 0; v < N_VICTIMS; v++) {
        struct bytes in = slurp(&a, victims[v]);
        int refused = 0;
        for (size_t n = 0; n < in.len; n++) {
            refused += decode_copy(in.data, n, NULL) < 0;
            decode_copy(in.data, n, &lenient);
        }
        /* only what follows the last row may be missing: an end marker, or IEND and what stands before it */
        if (strstr(victims[v], "frames")) continue; /* later frames are not looked at */
        if ((size_t)refused + 2 < in.len && (v < 5 || (size_t)refused + 60 < in.len))
            TAP_FAIL("%s: %d of %zu truncations are refused", victims[v], refused, in.len);
    }
    arena_release(&a);
}

TEST(bit_flips_are_an_error_or_harmless)
{
    struct arena a;
    arena_init(&a, NULL);
    struct image_options small = { .max_pixels = 1 << 20, .allow_truncated = true };
    for (int v = 0; v < N_VICTIMS; v++) {
        struct bytes in = slurp(&a, victims[v]);
        unsigned char *bad = arena_alloc(&a, in.len);
        for (uint32_t i = 0; i < 400; i++) {
            memcpy(bad, in.data, in.len);
            for (uint32_t k = 0; k <= i % 3; k++) {
                uint32_t h = (i * 3 + k + 1) * 0x9e3779b1u;
                bad[(h >> 7) % in.len] ^= (unsigned char)(1 << (h & 7));
            }
            decode_copy(bad, in.len, i % 2 ? &small : NULL);
        }
    }
    arena_release(&a);
}

static struct err decode_error(const void *data, size_t len, const struct image_options *o)
{
    struct arena a;
    arena_init(&a, NULL);
    a.limit = 64 << 20;
    struct image img;
    struct err e = { 0 };
    CHECK(image_decode(&img, &a, (struct bytes){ data, len }, o, &e) < 0);
    CHECK(a.used < 1 << 20); /* refused before its pixels were allocated */
    arena_release(&a);
    return e;
}

TEST(lying_dimensions_are_refused_before_allocating)
{
    struct arena a;
    arena_init(&a, NULL);
    struct bytes in = slurp(&a, "420.jpg");
    unsigned char *bad = arena_alloc(&a, in.len);
    memcpy(bad, in.data, in.len);
    size_t at = 0;
    while (at + 9 < in.len && !(bad[at] == 0xff && bad[at + 1] == 0xc0)) at++;
    memcpy(bad + at + 5, "\xfd\xe8\xfd\xe8", 4);
    CHECK_STR(decode_error(bad, in.len, NULL).text,
              "JPEG of 65000 x 65000 has more than 178956970 pixels: raise the limit to use it");
    memcpy(bad + at + 5, "\x20\x00\x20\x00", 4);
    CHECK(strstr(decode_error(bad, in.len, NULL).text, "cannot hold 8192 x 8192 pixels"));
    /* 8000 x 8000 RGB whose rows were never written */
    static const unsigned char png[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x1f\x40\0\0\x1f\x40"
                                       "\x08\x02\0\0\0\x60\xd8\x67\x2f"
                                       "\0\0\0\0IDAT\x35\xaf\x06\x1e\0\0\0\0IEND\xae\x42\x60\x82";
    struct err e = decode_error(png, sizeof png - 1, NULL);
    CHECK(strstr(e.text, "PNG") && e.code == ERR_DATA);
    struct image_options tiny = { .max_pixels = 100 };
    CHECK(strstr(decode_error(in.data, in.len, &tiny).text, "more than 100 pixels"));
    arena_release(&a);
}

TEST(what_is_no_image_says_so)
{
    CHECK(strstr(decode_error("%PDF-1.4........", 16, NULL).text, "no image by its first bytes"));
    CHECK(strstr(decode_error("GIF89a..........", 16, NULL).text, "GIF: byte 13 begins no block"));
    CHECK_STR(decode_error("", 0, NULL).text, "empty file");
    CHECK(strstr(decode_error("\xff\xd8\xff\xe0", 4, NULL).text, "truncated JPEG"));
    CHECK(strstr(decode_error("\x89PNG\r\n\x1a\n\0", 9, NULL).text, "truncated PNG: ends at byte 9"));
}

TEST(exif_is_read_within_its_bytes)
{
    static const unsigned char good[] = "MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0";
    CHECK_INT(exif_orientation((struct bytes){ good, sizeof good - 1 }), 6);
    for (size_t n = 0; n < sizeof good - 1; n++) {
        unsigned char *copy = malloc(n + !n);
        memcpy(copy, good, n);
        CHECK_INT(exif_orientation((struct bytes){ copy, n }), 1);
        free(copy);
    }
    static const unsigned char far[] = "II*\0\xff\xff\xff\xff\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0";
    CHECK_INT(exif_orientation((struct bytes){ far, sizeof far - 1 }), 1);
}

TEST(sizes_that_cannot_be_are_refused)
{
    struct arena a;
    struct err e = { 0 };
    struct image img, out;
    arena_init(&a, NULL);
    CHECK_OK(image_new(&img, &a, 4, 3, 3, 8, 0, &e), &e);
    CHECK_INT(image_resize(&out, &a, &img, 1LL << 40, 2, RESAMPLE_BILINEAR, NULL, 1, &e), ERR_DATA);
    err_clear(&e);
    CHECK_INT(image_resize(&out, &a, &img, 0, 2, RESAMPLE_BILINEAR, NULL, 1, &e), ERR_DATA);
    err_clear(&e);
    struct resample_box outside = { 0, 0, 5, 3 }, not_a_number = { 0, 0, NAN, 3 };
    CHECK_INT(image_resize(&out, &a, &img, 2, 2, RESAMPLE_BOX, &outside, 1, &e), ERR_DATA);
    err_clear(&e);
    CHECK_INT(image_resize(&out, &a, &img, 2, 2, RESAMPLE_BOX, &not_a_number, 1, &e), ERR_DATA);
    err_clear(&e);
    CHECK_INT(image_center_crop(&out, &a, &img, 0, 5, &e), ERR_DATA);
    err_clear(&e);
    CHECK_INT(image_window(&out, &a, &img, INT64_MAX - 1, INT64_MIN, 5, 5, NULL, &e), 0);
    /* one pixel high and enormously long: the shortest-edge rule asks for billions of pixels */
    struct extent x = extent_shortest_edge((struct extent){ 2000000000, 1 }, INT64_MAX / 4, 0);
    CHECK_INT(image_new(&out, &a, x.width, x.height, 3, 8, 0, &e), ERR_DATA);
    arena_release(&a);
}

/* ---- the same bits as Pillow and torchvision ---- */

/* Runs every line of the golden file that begins with `word`; returns how many. */
static int run_golden(const char *word)
{
    char path[5000], line[600];
    snprintf(path, sizeof path, "%s/golden.txt", golden_folder());
    FILE *f = fopen(path, "r");
    CHECK(f != NULL);
    int n = 0;
    while (f && fgets(line, sizeof line, f)) {
        char *expected = strstr(line, " = ");
        if (strncmp(line, word, strlen(word)) || line[strlen(word)] != ' ' || !expected) continue;
        *expected = 0, expected += 3;
        expected[strcspn(expected, "\n")] = 0;
        char said[600];
        memcpy(said, line, sizeof said);
        struct arena a;
        struct err e = { 0 };
        arena_init(&a, NULL);
        struct command c = { .arena = &a, .folder = golden_folder(), .e = &e };
        if (command_run(&c, line)) TAP_FAIL("%s: %s", said, e.text);
        else if (strcmp(c.answer, expected)) TAP_FAIL("%s is %s, expected %s", said, c.answer, expected);
        arena_release(&a);
        n++;
    }
    if (f) fclose(f);
    return n;
}

TEST(golden_decode)
{
    CHECK(run_golden("decode") >= 200);
}

TEST(golden_resize)
{
    CHECK(run_golden("resize") >= 288);
    CHECK(run_golden("plane") >= 6);
    CHECK(run_golden("labels") >= 1);
}

TEST(golden_geometry)
{
    static const char *const words[] = { "window", "pad", "crop", "orient", "fit" };
    for (int i = 0; i < 5; i++) CHECK(run_golden(words[i]) >= 1);
}

TEST(golden_values)
{
    static const char *const words[] = { "convert", "normalize", "preset", "overlay" };
    for (int i = 0; i < 4; i++) CHECK(run_golden(words[i]) >= 1);
}

/* ---- the rest ---- */

TEST(header_only_tells_what_decoding_gives)
{
    struct arena a;
    struct err e = { 0 };
    arena_init(&a, NULL);
    for (int v = 0; v < N_VICTIMS; v++) {
        struct bytes in = slurp(&a, victims[v]);
        struct image head, whole;
        struct image_options o = { .header_only = true };
        CHECK_OK(image_decode(&head, &a, in, &o, &e), &e);
        CHECK_OK(image_decode(&whole, &a, in, NULL, &e), &e);
        CHECK(!head.pixels && head.width == whole.width && head.height == whole.height);
        CHECK(head.channels == whole.channels && head.bits == whole.bits && head.orientation == whole.orientation);
        if (head.channels != whole.channels) TAP_FAIL("%s", victims[v]);
    }
    arena_release(&a);
}

TEST(png_writes_what_it_reads)
{
    static const char *const names[] = { "gray8.png",  "gray16.png", "grayalpha8.png", "rgb8.png", "rgb16i.png",
                                         "rgba8.png",  "rgba16.png", "index4.png",     "index_translucent.png" };
    struct arena a;
    struct err e = { 0 };
    arena_init(&a, NULL);
    for (int i = 0; i < 9; i++) {
        struct image_options o = { .keep_index = true };
        struct image img, again;
        struct bytes out, same;
        CHECK_OK(image_decode(&img, &a, slurp(&a, names[i]), &o, &e), &e);
        CHECK_OK(png_encode(&out, &a, &img, &e), &e);
        CHECK_OK(png_encode(&same, &a, &img, &e), &e);
        CHECK(out.len == same.len && !memcmp(out.data, same.data, out.len));
        CHECK_OK(image_decode(&again, &a, out, &o, &e), &e);
        CHECK(again.channels == img.channels && again.bits == img.bits);
        CHECK(!memcmp(again.pixels, img.pixels, image_row_bytes(&img) * (size_t)img.height));
        if (img.palette) CHECK(!memcmp(again.palette, img.palette, 4 * (size_t)img.n_palette));
    }
    arena_release(&a);
}

TEST(png_goes_into_a_file)
{
    struct arena a;
    struct err e = { 0 };
    arena_init(&a, NULL);
    char path[] = "/tmp/tenrec-images-XXXXXX";
    close(mkstemp(path));
    struct image img;
    struct bytes memory, file;
    struct file_writer w;
    CHECK_OK(image_decode(&img, &a, slurp(&a, "rgb8.png"), NULL, &e), &e);
    CHECK_OK(png_encode(&memory, &a, &img, &e), &e);
    CHECK_OK(file_writer_open(&w, &a, path, &e), &e);
    CHECK_OK(png_write(&w, &img, &e), &e);
    CHECK_OK(file_writer_commit(&w, &e), &e);
    CHECK_OK(file_map(&a, path, &file, &e), &e);
    CHECK(file.len == memory.len && !memcmp(file.data, memory.data, file.len));
    unlink(path);
    img.bits = 5;
    CHECK_INT(png_encode(&memory, &a, &img, &e), ERR_USAGE);
    arena_release(&a);
}

TEST(letterbox_places_the_image)
{
    struct letterbox l = letterbox_fit((struct extent){ 1280, 721 }, (struct extent){ 640, 640 }, true, true);
    CHECK_INT(l.width, 640);
    CHECK_INT(l.height, 360); /* 360.5 to even */
    CHECK_INT(l.top, 140);
    CHECK_INT(l.left, 0);
    l = letterbox_fit((struct extent){ 100, 51 }, (struct extent){ 640, 640 }, false, true);
    CHECK_INT(l.left, 270);
    CHECK_INT(l.top, 294); /* 294.5: the odd row goes below */
    CHECK_NEAR(l.scale, 1, 0);
    l = letterbox_fit((struct extent){ 100, 50 }, (struct extent){ 640, 640 }, true, false);
    CHECK_INT(l.top, 0);
    CHECK_INT(l.height, 320);
    struct extent x = extent_longest_edge((struct extent){ 300, 199 }, 100, false);
    CHECK_INT(x.height, 66);
    x = extent_longest_edge((struct extent){ 199, 300 }, 100, true);
    CHECK_INT(x.width, 66);
    x = extent_longest_edge((struct extent){ 10000, 1 }, 100, true);
    CHECK_INT(x.height, 1);
}

TEST(masks_have_their_colours)
{
    uint8_t palette[768];
    palette_voc(palette);
    static const uint8_t person[3] = { 192, 128, 128 }, monitor[3] = { 0, 64, 128 }, border[3] = { 224, 224, 192 };
    CHECK(!memcmp(palette + 15 * 3, person, 3) && !memcmp(palette + 20 * 3, monitor, 3));
    CHECK(!memcmp(palette + 255 * 3, border, 3));
    struct arena a;
    struct err e = { 0 };
    struct image img, mask;
    arena_init(&a, NULL);
    int32_t labels[4] = { 0, 15, 255, 20 };
    CHECK_OK(image_new(&img, &a, 2, 2, 3, 8, 0, &e), &e);
    struct overlay o = { palette, 256, 0.5f, 0, 255 };
    CHECK_OK(mask_overlay(&img, labels, &o, &e), &e);
    static const uint8_t expected[12] = { 0, 0, 0, 96, 64, 64, 0, 0, 0, 0, 32, 64 };
    CHECK(!memcmp(img.pixels, expected, 12));
    CHECK_OK(mask_to_image(&mask, &a, labels, 2, 2, NULL, &e), &e);
    CHECK(mask.pixels[1] == 15 && mask.palette[15 * 4] == 192 && mask.palette[15 * 4 + 3] == 255);
    labels[2] = 256;
    CHECK_INT(mask_to_image(&mask, &a, labels, 2, 2, NULL, &e), ERR_DATA);
    arena_release(&a);
}

TEST(sixteen_bits_keep_their_high_byte)
{
    struct arena a;
    struct err e = { 0 };
    struct image img, out;
    arena_init(&a, NULL);
    CHECK_OK(image_new(&img, &a, 2, 1, 1, 16, 0, &e), &e);
    uint16_t *wide = (uint16_t *)(void *)img.pixels;
    wide[0] = 0x1234, wide[1] = 200;
    CHECK_OK(image_to_8bit(&out, &a, &img, &e), &e);
    CHECK(out.bits == 8 && out.pixels[0] == 0x12 && out.pixels[1] == 0);
    CHECK_OK(image_convert(&out, &a, &img, IMAGE_BGR, &e), &e);
    CHECK(out.channels == 3 && out.pixels[0] == 255 && out.pixels[3] == 200);
    arena_release(&a);
}
