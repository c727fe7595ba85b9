/* augment.c - random changes of images: hues as torchvision turns them, image and mask together, by draws alone. */
#include "tap.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"
#include "data/augment.h"
#include "data/hue.h"
#include "enc/image.h"

/* Hashes of torchvision.transforms.functional.adjust_hue of a Pillow image that holds every fifth value of each
 * channel, red slowest. (All 256 values of each were compared once: no difference in any bit.) */
TEST(hues_are_turned_as_torchvision_does)
{
    static const struct {
        double share;
        uint64_t hash;
    } want[] = { { 0.1, 0xc586f2798b197741 }, { -0.337, 0x12be7717c680ae39 }, { 0.5, 0x1a58318fab08def2 } };
    static uint8_t pixels[52 * 52 * 52 * 3];
    for (size_t k = 0; k < 3; k++) {
        for (int i = 0; i < 52 * 52 * 52; i++) {
            uint8_t *p = pixels + (ptrdiff_t)i * 3;
            p[0] = (uint8_t)(i / (52 * 52) * 5);
            p[1] = (uint8_t)(i / 52 % 52 * 5);
            p[2] = (uint8_t)(i % 52 * 5);
            hue_turn(p, want[k].share);
        }
        CHECK(hash_bytes(pixels, sizeof pixels) == want[k].hash);
    }
}

enum { W = 12, H = 10 };

/* Red counts columns, green counts rows; the mask is the left half. */
static void make(struct image *img, struct image *mask, uint8_t *pixels, uint8_t *labels)
{
    *img = (struct image){ .width = W, .height = H, .channels = 3, .bits = 8, .pixels = pixels };
    *mask = (struct image){ .width = W, .height = H, .channels = 1, .bits = 8, .pixels = labels };
    for (int i = 0; i < W * H; i++) {
        pixels[3 * i] = (uint8_t)(i % W * 20);
        pixels[3 * i + 1] = (uint8_t)(i / W * 20);
        pixels[3 * i + 2] = 128;
        labels[i] = i % W < W / 2;
    }
}

TEST(image_and_mask_are_mirrored_together)
{
    struct arena a;
    struct err e = { 0 };
    struct image img, mask;
    uint8_t pixels[W * H * 3], labels[W * H];
    struct draws d = { 1, 2, 3 };
    arena_init(&a, NULL);
    make(&img, &mask, pixels, labels);
    CHECK_OK(augment_image(&(struct augment){ .flip_h = 1, .crop_scale = 1 }, &d, &a, &img, &mask, 255, &e), &e);
    for (int i = 0; i < W * H; i++) {
        CHECK_INT(img.pixels[3 * i], (W - 1 - i % W) * 20);
        CHECK_INT(mask.pixels[i], i % W >= W / 2);
    }
    arena_release(&a);
}

/* Every strength alone changes pixels, the same ones for the same draws and others for another sample; only what moves
 * changes the mask. */
TEST(every_strength_changes_pixels_by_its_draws_alone)
{
    static const struct augment all[] = { { .flip_v = 1, .crop_scale = 1 }, { .crop_scale = 0.3, .crop_ratio = 1.3 },
        { .crop_scale = 1, .degrees = 40 }, { .crop_scale = 1, .translate = 0.4 }, { .crop_scale = 1, .scale = 0.5 },
        { .crop_scale = 1, .shear = 30 }, { .crop_scale = 1, .perspective = 0.3 },
        { .crop_scale = 1, .brightness = 0.5 }, { .crop_scale = 1, .contrast = 0.5 },
        { .crop_scale = 1, .saturation = 0.9 }, { .crop_scale = 1, .hue = 0.5 }, { .crop_scale = 1, .noise = 0.2 },
        { .crop_scale = 1, .blur = 3 }, { .crop_scale = 1, .cutout = 0.5 } };
    struct arena a;
    struct err e = { 0 };
    arena_init(&a, NULL);
    for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) {
        struct image img[3], mask[3], plain, half;
        uint8_t pixels[3][W * H * 3], labels[3][W * H], was[W * H * 3], held[W * H];
        for (int i = 0; i < 3; i++) {
            struct draws d = { 7, 1, i == 2 ? 60 : 5 };
            make(&img[i], &mask[i], pixels[i], labels[i]);
            CHECK_OK(augment_image(&all[k], &d, &a, &img[i], &mask[i], 255, &e), &e);
        }
        make(&plain, &half, was, held);
        CHECK(memcmp(img[0].pixels, was, sizeof was) != 0);
        CHECK(memcmp(img[0].pixels, img[1].pixels, sizeof was) == 0);
        CHECK(k == 0 || memcmp(img[0].pixels, img[2].pixels, sizeof was) != 0); /* 0: each is turned upside down */
        if (k > 6) CHECK(memcmp(mask[0].pixels, held, sizeof held) == 0);
    }
    arena_release(&a);
}
