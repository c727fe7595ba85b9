/* image_orient.c - turning images upright. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "enc/image.h"

/* Result pixel (x, y) is source pixel (x, y), after swapping the two and then counting from the far side, as said. */
static const struct {
    bool swap, from_right, from_bottom;
} turns[9] = {
    [2] = { false, true, false }, [3] = { false, true, true }, [4] = { false, false, true },
    [5] = { true, false, false }, [6] = { true, false, true }, [7] = { true, true, true },
    [8] = { true, true, false },
};

int image_orient(struct image *out, struct arena *a, const struct image *in, struct err *e)
{
    int o = in->orientation;
    if (o < 2 || o > 8) {
        *out = *in;
        return 0;
    }
    bool swap = turns[o].swap;
    struct image img, made = *in;
    made.width = swap ? in->height : in->width, made.height = swap ? in->width : in->height, made.orientation = 1;
    if (in->pixels) {
        TRY(image_new(&img, a, made.width, made.height, in->channels, in->bits, UINT64_MAX, e));
        made.pixels = img.pixels;
    }
    size_t px = (size_t)(in->channels * in->bits / 8), row = image_row_bytes(in);
    uint8_t *to = made.pixels;
    for (int y = 0; to && y < made.height; y++)
        for (int x = 0; x < made.width; x++, to += px) {
            int sx = swap ? y : x, sy = swap ? x : y;
            if (turns[o].from_right) sx = in->width - 1 - sx;
            if (turns[o].from_bottom) sy = in->height - 1 - sy;
            memcpy(to, in->pixels + (size_t)sy * row + (size_t)sx * px, px);
        }
    *out = made;
    return 0;
}
