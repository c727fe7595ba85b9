/* synth.c - draws digits, shapes and street scenes. */
#include "data/synth.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/rng.h"
#include "data/mask.h"

/* Random numbers of one sample, one after another. */
struct dice {
    uint64_t seed, sample, n;
};

static double roll(struct dice *d, double from, double to)
{
    return from + (to - from) * rng_uniform(d->seed, d->sample, d->n++);
}

static int pick(struct dice *d, int n)
{
    return (int)roll(d, 0, n);
}

static void noise(struct image *img, struct dice *d, double strength)
{
    size_t n = image_row_bytes(img) * (size_t)img->height;
    for (size_t i = 0; i < n; i++) {
        double v = img->pixels[i] + roll(d, -strength, strength);
        img->pixels[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
}

/* Strokes of each digit in a unit square, y downwards; NAN lifts the pen. */
#define UP \
    { \
        NAN, NAN \
    }
static const float strokes[10][24][2] = {
    { { .5f, 0 }, { .15f, .2f }, { .1f, .5f }, { .15f, .8f }, { .5f, 1 }, { .85f, .8f }, { .9f, .5f }, { .85f, .2f },
        { .5f, 0 }, UP },
    { { .3f, .2f }, { .55f, 0 }, { .55f, 1 }, UP },
    { { .15f, .25f }, { .3f, .05f }, { .6f, 0 }, { .85f, .2f }, { .75f, .5f }, { .15f, 1 }, { .9f, 1 }, UP },
    { { .15f, .1f }, { .5f, 0 }, { .85f, .2f }, { .75f, .42f }, { .4f, .5f }, { .8f, .58f }, { .88f, .8f }, { .5f, 1 },
        { .12f, .9f }, UP },
    { { .7f, 1 }, { .7f, 0 }, { .1f, .65f }, { .95f, .65f }, UP },
    { { .85f, 0 }, { .25f, 0 }, { .18f, .45f }, { .55f, .38f }, { .88f, .6f }, { .8f, .9f }, { .45f, 1 }, { .12f, .9f },
        UP },
    { { .75f, .05f }, { .4f, .15f }, { .15f, .6f }, { .3f, .95f }, { .65f, 1 }, { .85f, .75f }, { .65f, .5f },
        { .3f, .55f }, { .16f, .7f }, UP },
    { { .1f, 0 }, { .9f, 0 }, { .4f, 1 }, UP },
    { { .5f, .48f }, { .2f, .3f }, { .3f, .05f }, { .7f, .05f }, { .8f, .3f }, { .5f, .48f }, { .15f, .72f },
        { .3f, .97f }, { .7f, .97f }, { .85f, .72f }, { .5f, .48f }, UP },
    { { .84f, .3f }, { .65f, .5f }, { .3f, .45f }, { .18f, .22f }, { .4f, .02f }, { .75f, .08f }, { .84f, .3f },
        { .78f, .7f }, { .55f, 1 }, UP },
};

/* Distance of a point from a segment. */
static double distance(double x, double y, const double *a, const double *b)
{
    double dx = b[0] - a[0], dy = b[1] - a[1], length = dx * dx + dy * dy;
    double t = length > 0 ? ((x - a[0]) * dx + (y - a[1]) * dy) / length : 0;
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    return hypot(x - a[0] - t * dx, y - a[1] - t * dy);
}

static void stroke(struct image *img, const double *a, const double *b, double width)
{
    for (int y = 0; y < img->height; y++)
        for (int x = 0; x < img->width; x++) {
            double ink = (width - distance(x + 0.5, y + 0.5, a, b)) + 0.5;
            int v = (int)((ink < 0 ? 0 : ink > 1 ? 1 : ink) * 255);
            uint8_t *p = &img->pixels[(size_t)y * (size_t)img->width + (size_t)x];
            if (v > *p) *p = (uint8_t)v;
        }
}

static int draw_digit(struct synth_sample *s, struct arena *a, int size, uint64_t seed, uint64_t index, struct err *e)
{
    struct dice d = { seed, index, 0 };
    TRY(image_new(&s->image, a, size, size, 1, 8, 0, e));
    s->class = (int)(index % 10);
    double angle = roll(&d, -0.25, 0.25), wide = roll(&d, 0.38, 0.55) * size, high = roll(&d, 0.55, 0.72) * size;
    double slant = roll(&d, -0.25, 0.25), width = roll(&d, 0.03, 0.06) * size;
    double left = size * 0.5 + roll(&d, -0.08, 0.08) * size, top = size * 0.5 + roll(&d, -0.08, 0.08) * size;
    double before[2] = { NAN, NAN };
    for (int i = 0; i < 24; i++) {
        const float *p = strokes[s->class][i];
        if (isnan(p[0])) break;
        double x = (p[0] - 0.5 + slant * (0.5 - p[1]) + roll(&d, -0.03, 0.03)) * wide;
        double y = (p[1] - 0.5 + roll(&d, -0.03, 0.03)) * high;
        double here[2] = { left + x * cos(angle) - y * sin(angle), top + x * sin(angle) + y * cos(angle) };
        if (!isnan(before[0])) stroke(&s->image, before, here, width);
        memcpy(before, here, sizeof here);
    }
    noise(&s->image, &d, 12);
    return 0;
}

static void paint(struct image *img, int x, int y, const uint8_t *color)
{
    if (x < 0 || y < 0 || x >= img->width || y >= img->height) return;
    memcpy(img->pixels + ((size_t)y * (size_t)img->width + (size_t)x) * (size_t)img->channels, color,
        (size_t)img->channels);
}

enum { CIRCLE, SQUARE, TRIANGLE };

static bool is_inside(int shape, double u, double v) /* both -1 .. 1, v downwards */
{
    if (shape == CIRCLE) return u * u + v * v <= 1;
    if (shape == SQUARE) return true;
    return fabs(u) <= (v + 1) / 2;
}

static int draw_shapes(struct synth_sample *s, struct arena *a, int size, uint64_t seed, uint64_t index, struct err *e)
{
    struct dice d = { seed, index, 0 };
    TRY(image_new(&s->image, a, size, size, 3, 8, 0, e));
    uint8_t back[3] = { (uint8_t)roll(&d, 150, 250), (uint8_t)roll(&d, 150, 250), (uint8_t)roll(&d, 150, 250) };
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x++) paint(&s->image, x, y, back);
    int n = 1 + pick(&d, 4);
    for (int i = 0; i < n; i++) {
        double half = roll(&d, 0.07, 0.18) * size, cx = roll(&d, half, size - half), cy = roll(&d, half, size - half);
        uint8_t color[3] = { (uint8_t)roll(&d, 0, 130), (uint8_t)roll(&d, 0, 130), (uint8_t)roll(&d, 0, 130) };
        int shape = pick(&d, 3);
        bool apart = true; /* hidden shapes teach nothing */
        for (int k = 0; k < s->n_boxes; k++)
            apart = apart &&
                hypot(cx - s->boxes[k].x * size, cy - s->boxes[k].y * size) >
                    1.45 * (half + s->boxes[k].width * size / 2);
        if (!apart) continue;
        for (int y = (int)(cy - half); y <= cy + half; y++)
            for (int x = (int)(cx - half); x <= cx + half; x++) {
                double u = (x + 0.5 - cx) / half, v = (y + 0.5 - cy) / half;
                if (fabs(u) <= 1 && fabs(v) <= 1 && is_inside(shape, u, v)) paint(&s->image, x, y, color);
            }
        s->boxes[s->n_boxes++] = (struct box){ shape, cx / size, cy / size, 2 * half / size, 2 * half / size };
    }
    noise(&s->image, &d, 8);
    return 0;
}

enum { SKY, BUILDING, ROAD, SIDEWALK, CAR, TREE };

/* A rectangle in the image and in the mask. */
static void block(
    struct synth_sample *s, double left, double top, double right, double bottom, uint8_t label, const uint8_t *color)
{
    for (int y = (int)top; y < bottom; y++)
        for (int x = (int)left; x < right; x++) {
            paint(&s->image, x, y, color);
            paint(&s->mask, x, y, &label);
        }
}

static void shade(struct dice *d, uint8_t color[3], int r, int g, int b)
{
    double light = roll(d, -25, 25);
    const int base[3] = { r, g, b };
    for (int c = 0; c < 3; c++)
        color[c] = (uint8_t)(base[c] + light < 0 ? 0 : base[c] + light > 255 ? 255 : base[c] + light);
}

static void draw_tree(struct synth_sample *s, struct dice *d, double x, double ground, double size)
{
    uint8_t trunk[3], crown[3], label = TREE;
    double radius = roll(d, 0.06, 0.1) * size, top = ground - radius * 2.6;
    shade(d, trunk, 90, 60, 40);
    shade(d, crown, 50, 110, 50);
    block(s, x - radius * 0.15, top + radius, x + radius * 0.15, ground, TREE, trunk);
    for (int v = (int)(top - radius); v < top + radius; v++)
        for (int u = (int)(x - radius); u < x + radius; u++)
            if (hypot(u - x, v - top) <= radius) paint(&s->image, u, v, crown), paint(&s->mask, u, v, &label);
}

static int draw_scene(struct synth_sample *s, struct arena *a, int size, uint64_t seed, uint64_t index, struct err *e)
{
    struct dice d = { seed, index, 0 };
    uint8_t color[3];
    TRY(image_new(&s->image, a, size, size, 3, 8, 0, e));
    int32_t *blank = ARENA_ARRAY(a, (size_t)size * (size_t)size, int32_t);
    TRY_MEM(blank, e);
    TRY(mask_to_image(&s->mask, a, blank, size, size, NULL, e));
    double horizon = roll(&d, 0.45, 0.6) * size, walk = horizon + roll(&d, 0.06, 0.12) * size;
    shade(&d, color, 150, 190, 230);
    block(s, 0, 0, size, horizon, SKY, color);
    for (double x = roll(&d, -0.2, 0) * size; x < size;) {
        double wide = roll(&d, 0.12, 0.3) * size;
        shade(&d, color, 150, 120, 100);
        block(s, x, horizon - roll(&d, 0.1, 0.4) * size, x + wide, horizon, BUILDING, color);
        x += wide + (pick(&d, 3) ? 0 : roll(&d, 0.03, 0.12) * size);
    }
    shade(&d, color, 180, 175, 170);
    block(s, 0, horizon, size, walk, SIDEWALK, color);
    shade(&d, color, 85, 85, 90);
    block(s, 0, walk, size, size, ROAD, color);
    for (int n = pick(&d, 3); n > 0; n--) draw_tree(s, &d, roll(&d, 0, 1) * size, walk, size);
    for (int n = 1 + pick(&d, 3); n > 0; n--) {
        double left = roll(&d, -0.05, 0.85) * size, bottom = roll(&d, 0.1, 1) * (size - walk) + walk;
        double wide = roll(&d, 0.15, 0.28) * size, high = wide * 0.4;
        shade(&d, color, 40 + pick(&d, 180), 40 + pick(&d, 100), 40 + pick(&d, 180));
        block(s, left, bottom - high, left + wide, bottom, CAR, color);
        block(s, left + wide * 0.2, bottom - high * 1.6, left + wide * 0.8, bottom - high, CAR, color);
    }
    noise(&s->image, &d, 10);
    return 0;
}

static const char *const digit_classes[] = { "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", NULL };
static const char *const shape_classes[] = { "circle", "square", "triangle", NULL };
static const char *const scene_classes[] = { "sky", "building", "road", "sidewalk", "car", "tree", NULL };
static const struct synth_kind kinds[] = {
    { "digits", digit_classes, 28, draw_digit },
    { "shapes", shape_classes, 128, draw_shapes },
    { "scenes", scene_classes, 128, draw_scene },
};

const struct synth_kind *synth_at(size_t i)
{
    return i < sizeof kinds / sizeof *kinds ? &kinds[i] : NULL;
}
