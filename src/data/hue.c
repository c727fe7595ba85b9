/* hue.c - colours to hue, saturation and value in bytes, and back, rounding where Pillow rounds. */
#include "data/hue.h"

#include <math.h>

static uint8_t byte_of(float share)
{
    return (uint8_t)(share * 255.0);
}

/* In sixths of the circle, from the largest of the three; all distances from it in shares of the spread. */
static float sixths(const uint8_t rgb[3], int largest, float spread)
{
    float far[3];
    for (int c = 0; c < 3; c++) far[c] = (float)(rgb[largest] - rgb[c]) / spread;
    float beyond = far[(largest + 2) % 3], before = far[(largest + 1) % 3];
    return largest ? (float)(2.0 * largest + beyond - before) : beyond - before;
}

static void to_hsv(const uint8_t rgb[3], uint8_t *hue, uint8_t *saturation, uint8_t *value)
{
    int largest = 0, smallest = 0;
    for (int c = 1; c < 3; c++) {
        if (rgb[c] > rgb[largest]) largest = c;
        if (rgb[c] < rgb[smallest]) smallest = c;
    }
    *value = rgb[largest];
    *hue = *saturation = 0;
    if (largest == smallest) return;
    float spread = (float)(rgb[largest] - rgb[smallest]);
    *hue = byte_of((float)fmod(sixths(rgb, largest, spread) / 6.0 + 1.0, 1.0));
    *saturation = byte_of(spread / (float)rgb[largest]);
}

static uint8_t dimmed(uint8_t value, double by)
{
    return (uint8_t)round((double)value * (1.0 - by));
}

static void from_hsv(uint8_t rgb[3], uint8_t hue, uint8_t saturation, uint8_t value)
{
    /* per sixth: where the value, the rising or falling one, and the lowest one go */
    static const uint8_t places[6][3] = { { 0, 1, 2 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 1, 0 }, { 2, 0, 1 },
        { 0, 2, 1 } };
    double turn = hue * 6.0 / 255.0;
    int sixth = (int)floor(turn);
    float part = (float)(turn - sixth), pure = (float)(saturation / 255.0);
    const uint8_t *at = places[sixth % 6];
    rgb[at[0]] = value;
    rgb[at[1]] = sixth % 2 ? dimmed(value, pure * part) : dimmed(value, pure * (1.0 - part));
    rgb[at[2]] = dimmed(value, pure);
}

void hue_turn(uint8_t rgb[3], double share)
{
    uint8_t hue, saturation, value;
    to_hsv(rgb, &hue, &saturation, &value);
    hue = (uint8_t)(hue + (int)(share * 255));
    from_hsv(rgb, hue, saturation, value);
}
