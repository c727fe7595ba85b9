/* image_commands.h - a line of text names an operation on a made-up image or a file; the answer is a checksum or sizes.
 *
 * tools/golden_images.py gives the answers that Pillow and torchvision have for the same lines: the golden file holds
 * some of them, tests/oracle/images.py compares random ones.
 */
#ifndef TENREC_TESTS_IMAGE_COMMANDS_H
#define TENREC_TESTS_IMAGE_COMMANDS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "base/hash.h"
#include "data/image_ops.h"
#include "data/mask.h"
#include "data/normalize.h"
#include "data/resample.h"
#include "data/resample_refs.h"
#include "enc/image.h"

struct command {
    struct arena *arena;
    const char *folder; /* of the image files */
    char *words[16];
    int n;
    char answer[80];
    struct err *e;
};

static long number(const struct command *c, int i)
{
    return i < c->n ? atol(c->words[i]) : 0;
}

static double real(const struct command *c, int i)
{
    return i < c->n ? atof(c->words[i]) : 0;
}

/* Noise (a hash of the sample's index) for even seeds, slopes with edges for odd ones. */
static uint8_t pattern(uint32_t seed, uint32_t i, uint32_t x, uint32_t y, uint32_t channel)
{
    if (seed % 2) return (uint8_t)((x * 7 + y * 5 + channel * 50 + (x * y >> 3) + seed) & 255);
    uint32_t h = i * 0x9e3779b1u + seed;
    h ^= h >> 15;
    h *= 0x85ebca77u;
    h ^= h >> 13;
    return (uint8_t)h;
}

/* The image of words SEED W H C, from word `at`. */
static int make(struct command *c, int at, struct image *img)
{
    TRY(image_new(img, c->arena, number(c, at + 1), number(c, at + 2), (int)number(c, at + 3), 8, 0, c->e));
    uint32_t i = 0, w = (uint32_t)img->width, n = (uint32_t)img->channels;
    for (uint32_t y = 0; y < (uint32_t)img->height; y++)
        for (uint32_t x = 0; x < w; x++)
            for (uint32_t k = 0; k < n; k++, i++) img->pixels[i] = pattern((uint32_t)number(c, at), i, x, y, k);
    return 0;
}

static int answer_bytes(struct command *c, const void *data, size_t len, int width, int height)
{
    char hex[65];
    hash_sha256(data, len, hex);
    snprintf(c->answer, sizeof c->answer, "%dx%d %.16s", width, height, hex);
    return 0;
}

static int answer_image(struct command *c, const struct image *img)
{
    return answer_bytes(c, img->pixels, image_row_bytes(img) * (size_t)img->height, img->width, img->height);
}

static struct resample_box box_at(const struct command *c, int at)
{
    return (struct resample_box){ (float)real(c, at), (float)real(c, at + 1), (float)real(c, at + 2),
                                  (float)real(c, at + 3) };
}

static enum resample_filter filter_at(const struct command *c, int at)
{
    return (enum resample_filter)resample_filter_parse(c->words[at]);
}

/* resize SEED W H C FILTER OW OH L T R B THREADS */
static int do_resize(struct command *c)
{
    struct image in, out;
    TRY(make(c, 1, &in));
    struct resample_box box = box_at(c, 8);
    TRY(image_resize(&out, c->arena, &in, number(c, 6), number(c, 7), filter_at(c, 5), &box, (int)number(c, 12), c->e));
    return answer_image(c, &out);
}

/* as SEED W H C REFERENCE METHOD OW OH */
static int do_as(struct command *c)
{
    struct image in, out;
    TRY(make(c, 1, &in));
    TRY(image_resize_as(&out, c->arena, &in, number(c, 7), number(c, 8), (enum resample_reference)number(c, 5),
                        (enum resample_method)number(c, 6), c->e));
    return answer_image(c, &out);
}

/* plane SEED W H 1 FILTER OW OH L T R B THREADS: float values 1.25 * byte - 100 */
static int do_plane(struct command *c)
{
    struct image in;
    TRY(make(c, 1, &in));
    size_t n = (size_t)in.width * (size_t)in.height;
    struct plane from = { in.width, in.height, ARENA_ARRAY(c->arena, n, float) }, to;
    for (size_t i = 0; i < n; i++) from.values[i] = 1.25f * (float)in.pixels[i] - 100.0f;
    struct resample_box box = box_at(c, 8);
    TRY(plane_resize(&to, c->arena, &from, (int)number(c, 6), (int)number(c, 7), filter_at(c, 5), &box,
                     (int)number(c, 12), c->e));
    return answer_bytes(c, to.values, (size_t)to.width * (size_t)to.height * sizeof(float), to.width, to.height);
}

/* labels SEED W H 1 OW OH: int32 labels, nearest */
static int do_labels(struct command *c)
{
    struct image in;
    TRY(make(c, 1, &in));
    size_t n = (size_t)in.width * (size_t)in.height;
    int w = (int)number(c, 5), h = (int)number(c, 6);
    int32_t *from = ARENA_ARRAY(c->arena, n, int32_t), *to = ARENA_ARRAY(c->arena, (size_t)w * (size_t)h, int32_t);
    for (size_t i = 0; i < n; i++) from[i] = in.pixels[i] * 1000 - 7;
    TRY(resample_nearest(to, w, h, from, in.width, in.height, sizeof *to, NULL, c->arena, c->e));
    return answer_bytes(c, to, (size_t)w * (size_t)h * sizeof *to, w, h);
}

/* window SEED W H C L T W H */
static int do_window(struct command *c)
{
    struct image in, out;
    TRY(make(c, 1, &in));
    TRY(image_window(&out, c->arena, &in, number(c, 5), number(c, 6), number(c, 7), number(c, 8), NULL, c->e));
    return answer_image(c, &out);
}

/* pad SEED W H C VALUE L T R B */
static int do_pad(struct command *c)
{
    struct image in, out;
    TRY(make(c, 1, &in));
    uint8_t v = (uint8_t)number(c, 5), fill[4] = { v, v, v, v };
    TRY(image_window(&out, c->arena, &in, -number(c, 6), -number(c, 7), in.width + number(c, 6) + number(c, 8),
                     in.height + number(c, 7) + number(c, 9), fill, c->e));
    return answer_image(c, &out);
}

/* crop SEED W H C W H */
static int do_crop(struct command *c)
{
    struct image in, out;
    TRY(make(c, 1, &in));
    TRY(image_center_crop(&out, c->arena, &in, (int)number(c, 5), (int)number(c, 6), c->e));
    return answer_image(c, &out);
}

/* orient SEED W H C ORIENTATION */
static int do_orient(struct command *c)
{
    struct image in, out;
    TRY(make(c, 1, &in));
    in.orientation = (int)number(c, 5);
    TRY(image_orient(&out, c->arena, &in, c->e));
    return answer_image(c, &out);
}

/* convert SEED W H C gray|rgb|rgba */
static int convert(struct command *c, const struct image *in, const char *color, struct image *out)
{
    enum image_color to = !strcmp(color, "gray") ? IMAGE_GRAY : !strcmp(color, "rgb") ? IMAGE_RGB : IMAGE_RGBA;
    return image_convert(out, c->arena, in, to, c->e);
}

static int do_convert(struct command *c)
{
    struct image in, out;
    TRY(make(c, 1, &in));
    TRY(convert(c, &in, c->words[5], &out));
    return answer_image(c, &out);
}

/* fit W H SIZE MAX */
static int do_fit(struct command *c)
{
    struct extent x = extent_shortest_edge((struct extent){ number(c, 1), number(c, 2) }, number(c, 3), number(c, 4));
    snprintf(c->answer, sizeof c->answer, "%lldx%lld", (long long)x.width, (long long)x.height);
    return 0;
}

static const struct normalization imagenet = {
    RESCALE_DIVIDE, 255, true, true, { 0.485, 0.456, 0.406 }, { 0.229, 0.224, 0.225 },
};

static int answer_floats(struct command *c, const struct image *img, const struct normalization *n, bool planar)
{
    size_t count = (size_t)img->width * (size_t)img->height * (size_t)img->channels;
    float *values = ARENA_ARRAY(c->arena, count, float);
    TRY_MEM(values, c->e);
    TRY(image_normalize(values, img, n, planar, c->e));
    return answer_bytes(c, values, count * sizeof(float), img->width, img->height);
}

/* normalize SEED W H 3 torchvision|huggingface|keras|rescaling */
static int do_normalize(struct command *c)
{
    struct image in;
    TRY(make(c, 1, &in));
    struct normalization n = imagenet;
    const char *like = c->words[5];
    if (!strcmp(like, "huggingface")) n.rescale = RESCALE_MULTIPLY, n.factor = 0.00392156862745098;
    if (!strcmp(like, "rescaling")) n = (struct normalization){ RESCALE_MULTIPLY_FLOAT, 1.0 / 255 };
    if (!strcmp(like, "keras")) n = (struct normalization){ RESCALE_DIVIDE, 127.5, true, false, { 1, 1, 1 } };
    return answer_floats(c, &in, &n, !strcmp(like, "torchvision") || !strcmp(like, "huggingface"));
}

/* preset SEED W H 3 FILTER RESIZE CROP: Resize, CenterCrop, ToTensor, Normalize */
static int do_preset(struct command *c)
{
    struct image img;
    TRY(make(c, 1, &img));
    struct extent x = extent_shortest_edge((struct extent){ img.width, img.height }, number(c, 6), 0);
    TRY(image_resize(&img, c->arena, &img, x.width, x.height, filter_at(c, 5), NULL, 1, c->e));
    TRY(image_center_crop(&img, c->arena, &img, (int)number(c, 7), (int)number(c, 7), c->e));
    return answer_floats(c, &img, &imagenet, true);
}

/* overlay SEED W H 3 ALPHA: labels of the next seed, VOC colours, nothing left out */
static int do_overlay(struct command *c)
{
    struct image img;
    TRY(make(c, 1, &img));
    uint8_t palette[256 * 3];
    palette_voc(palette);
    uint32_t w = (uint32_t)img.width, n = w * (uint32_t)img.height;
    int32_t *labels = ARENA_ARRAY(c->arena, n, int32_t);
    for (uint32_t i = 0; i < n; i++) labels[i] = pattern((uint32_t)number(c, 1) + 2, i, i % w, i / w, 0);
    struct overlay o = { palette, 256, (float)real(c, 5), -1, -1 };
    TRY(mask_overlay(&img, labels, &o, c->e));
    return answer_image(c, &img);
}

/* decode FILE native|index|gray|rgb|rgba|upright */
static int do_decode(struct command *c)
{
    char *path = file_join(c->arena, c->folder, c->words[1]);
    const char *as = c->words[2];
    struct bytes in;
    struct image img;
    TRY_MEM(path, c->e);
    TRY(file_map(c->arena, path, &in, c->e));
    struct image_options o = { .keep_index = !strcmp(as, "index") };
    if (image_decode(&img, c->arena, in, &o, c->e)) return err_prefix(c->e, "%s", path);
    if (!strcmp(as, "upright")) TRY(image_orient(&img, c->arena, &img, c->e));
    if (strcmp(as, "native") && strcmp(as, "index")) TRY(convert(c, &img, strcmp(as, "upright") ? as : "rgb", &img));
    return answer_image(c, &img);
}

static const struct {
    const char *name;
    int words;
    int (*run)(struct command *c);
} commands[] = {
    { "as", 9, do_as },
    { "resize", 13, do_resize },   { "plane", 13, do_plane },     { "labels", 7, do_labels },
    { "window", 9, do_window },    { "pad", 10, do_pad },         { "crop", 7, do_crop },
    { "orient", 6, do_orient },    { "convert", 6, do_convert },  { "fit", 5, do_fit },
    { "normalize", 6, do_normalize }, { "preset", 8, do_preset }, { "overlay", 6, do_overlay },
    { "decode", 3, do_decode },
};

/* Runs one line (changed by splitting it). The answer is in c->answer. */
static int command_run(struct command *c, char *line)
{
    char *rest = line;
    c->n = 0;
    for (char *word; c->n < 16 && (word = strsep(&rest, " \n"));)
        if (*word) c->words[c->n++] = word;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (c->n == commands[i].words && !strcmp(c->words[0], commands[i].name)) return commands[i].run(c);
    return fail(c->e, ERR_USAGE, "no such command, or not with %d words", c->n);
}

#endif
