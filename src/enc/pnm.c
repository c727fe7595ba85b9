/* pnm.c - PBM, PGM and PPM (netpbm): a header of numbers as text, then pixels as text or bytes. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "enc/image.h"

struct reader {
    struct bytes in;
    size_t at;
};

static bool is_space(int c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next number, past blanks and comments; -1 at the end or at what is no digit. At most `digits` are taken. */
static int64_t next_number(struct reader *r, int digits)
{
    int64_t v = -1;
    while (r->at < r->in.len && (is_space(r->in.data[r->at]) || r->in.data[r->at] == '#')) {
        if (r->in.data[r->at] == '#')
            while (r->at < r->in.len && r->in.data[r->at] != '\n') r->at++;
        else r->at++;
    }
    for (int i = 0; i < digits && r->at < r->in.len; i++, r->at++) {
        int c = r->in.data[r->at] - '0';
        if (c < 0 || c > 9) break;
        v = (v < 0 ? 0 : v * 10) + c;
    }
    return v;
}

static int cut_off(const struct reader *r, struct err *e)
{
    return fail(e, ERR_DATA, "truncated PNM: ends or is damaged at byte %zu of %zu", r->at, r->in.len);
}

/* Values above `most` are taken for it; below 255 they are stretched as Pillow does. */
static void put(struct image *img, size_t i, int64_t v, int64_t most)
{
    if (v > most) v = most;
    if (img->bits == 16)
        ((uint16_t *)(void *)img->pixels)[i] = (uint16_t)(most == 65535 ? v : (v * 65535 + most / 2) / most);
    else img->pixels[i] = (uint8_t)(most == 255 ? v : (v * 255 + most / 2) / most);
}

static int read_text(struct reader *r, struct image *img, int64_t most, bool bitmap, struct err *e)
{
    size_t n = (size_t)img->width * (size_t)img->height * (size_t)img->channels;
    for (size_t i = 0; i < n; i++) {
        int64_t v = next_number(r, bitmap ? 1 : 9);
        if (v < 0) return cut_off(r, e);
        put(img, i, bitmap ? !v : v, most);
    }
    return 0;
}

static int read_bits(struct reader *r, struct image *img, struct err *e)
{
    size_t stride = ((size_t)img->width + 7) / 8;
    if (r->in.len - r->at < stride * (size_t)img->height) return cut_off(r, e);
    for (int y = 0; y < img->height; y++)
        for (int x = 0; x < img->width; x++) {
            int bit = r->in.data[r->at + (size_t)y * stride + (size_t)x / 8] >> (7 - x % 8) & 1;
            img->pixels[(size_t)y * (size_t)img->width + (size_t)x] = bit ? 0 : 255;
        }
    return 0;
}

static int read_bytes(struct reader *r, struct image *img, int64_t most, struct err *e)
{
    size_t n = (size_t)img->width * (size_t)img->height * (size_t)img->channels, size = most > 255 ? 2 : 1;
    const unsigned char *p = r->in.data + r->at;
    if ((r->in.len - r->at) / size < n) return cut_off(r, e);
    for (size_t i = 0; i < n; i++) put(img, i, size == 2 ? p[2 * i] << 8 | p[2 * i + 1] : p[i], most);
    return 0;
}

int pnm_decode(struct image *out, struct arena *a, struct bytes in, const struct image_options *o, struct err *e)
{
    struct reader r = { in, 2 };
    int kind = in.data[1] - '0'; /* 1 .. 3 text, 4 .. 6 bytes: bits, gray, colours */
    bool bitmap = kind == 1 || kind == 4;
    int64_t width = next_number(&r, 9), height = next_number(&r, 9), most = bitmap ? 1 : next_number(&r, 9);
    if (width < 0 || height < 0 || most < 1 || most > 65535)
        return fail(e, ERR_DATA, "PNM: its header is damaged (byte %zu)", r.at);
    int channels = kind % 3 == 0 ? 3 : 1, bits = most > 255 ? 16 : 8;
    if (r.at < in.len) r.at++; /* one blank ends the header */
    uint64_t samples = (uint64_t)width * (uint64_t)height * (uint64_t)channels;
    if (!o->header_only && in.len - r.at < (kind == 4 ? samples / 8 : kind > 3 ? samples : samples / 2))
        return cut_off(&r, e); /* before memory is taken for what is not there */
    if (o->header_only) return *out = (struct image){ (int)width, (int)height, channels, bits, .orientation = 1 }, 0;
    TRY(image_new(out, a, width, height, channels, bits, o->max_pixels, e));
    if (kind < 4) return read_text(&r, out, most, bitmap, e);
    return bitmap ? read_bits(&r, out, e) : read_bytes(&r, out, most, e);
}
