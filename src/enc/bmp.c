/* bmp.c - Windows bitmaps without compression: with a palette (1, 4, 8 bits), 16, 24 and 32 bits. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "enc/bytes.h"
#include "enc/image.h"

enum { PLAIN = 0, BITFIELDS = 3, FILE_HEAD = 14 };

struct header {
    int64_t width, height;
    bool top_down;
    unsigned bits, compression, colors;
    size_t pixels, palette, entry; /* offsets; bytes of a palette's entry */
    uint32_t masks[3];
};

static int read_header(struct header *h, struct bytes in, struct err *e)
{
    uint32_t size = in.len >= FILE_HEAD + 12 ? get_le32(in.data + FILE_HEAD) : 0;
    if (size < 12 || size > in.len - FILE_HEAD) return fail(e, ERR_DATA, "truncated BMP: %zu bytes", in.len);
    const unsigned char *p = in.data + FILE_HEAD;
    *h = (struct header){ .pixels = get_le32(in.data + 10), .palette = FILE_HEAD + size, .entry = 4 };
    if (size < 40) {
        h->width = get_le16(p + 4), h->height = get_le16(p + 6), h->bits = get_le16(p + 10), h->entry = 3;
    } else {
        h->width = (int32_t)get_le32(p + 4), h->height = (int32_t)get_le32(p + 8), h->bits = get_le16(p + 14);
        h->compression = get_le32(p + 16), h->colors = get_le32(p + 32);
    }
    if (h->height < 0) h->height = -h->height, h->top_down = true;
    if (h->bits <= 8 && (!h->colors || h->colors > 1u << h->bits)) h->colors = 1u << h->bits;
    static const uint32_t of_16[] = { 0x7c00, 0x3e0, 0x1f }, of_32[] = { 0xff0000, 0xff00, 0xff };
    memcpy(h->masks, h->bits == 16 ? of_16 : of_32, sizeof h->masks);
    if (h->compression != BITFIELDS) return 0;
    size_t at = FILE_HEAD + 40; /* in the longer header, or behind the shorter one: the same place */
    if (in.len < at + 12) return fail(e, ERR_DATA, "truncated BMP: %zu bytes", in.len);
    for (int i = 0; i < 3; i++) h->masks[i] = get_le32(in.data + at + 4 * i);
    return 0;
}

static int check(const struct header *h, struct bytes in, struct err *e)
{
    bool known = h->bits == 1 || h->bits == 4 || h->bits == 8 || h->bits == 16 || h->bits == 24 || h->bits == 32;
    if (!known || (h->compression != PLAIN && !(h->compression == BITFIELDS && h->bits >= 16)))
        return fail(e, ERR_UNSUPPORTED, "BMP of %u bits with compression %u: save it as PNG", h->bits, h->compression);
    if (h->bits <= 8 && in.len - h->palette < h->colors * h->entry)
        return fail(e, ERR_DATA, "truncated BMP: its palette is cut off");
    return 0;
}

/* A value of a mask's bits as 0 .. 255; Pillow repeats the highest bits of 5 and 6 bits by division. */
static uint8_t field(uint32_t v, uint32_t mask)
{
    if (!mask) return 0;
    int shift = __builtin_ctz(mask);
    uint32_t most = mask >> shift;
    return (uint8_t)((uint64_t)(v >> shift & most) * 255 / most);
}

static void read_row(const struct header *h, const unsigned char *row, uint8_t *out)
{
    unsigned per = h->bits < 8 ? 8 / h->bits : 1, bytes = h->bits / 8;
    for (int64_t x = 0; x < h->width; x++) {
        if (h->bits <= 8) {
            unsigned shift = 8 - h->bits - (unsigned)(x % per) * h->bits;
            *out++ = (uint8_t)(row[x / per] >> shift & ((1u << h->bits) - 1));
        } else if (h->bits == 24) {
            for (int c = 0; c < 3; c++) *out++ = row[x * 3 + 2 - c];
        } else {
            uint32_t v = (uint32_t)get_le(row + x * bytes, bytes);
            for (int c = 0; c < 3; c++) *out++ = field(v, h->masks[c]);
        }
    }
}

static int read_palette(const struct header *h, struct bytes in, struct image *out, struct arena *a, struct err *e)
{
    const unsigned char *p = in.data + h->palette;
    TRY_MEM(out->palette = arena_alloc(a, 256 * 4), e);
    out->n_palette = (int)h->colors;
    for (unsigned i = 0; i < 256; i++) out->palette[i * 4 + 3] = 255;
    for (unsigned i = 0; i < h->colors; i++)
        for (int c = 0; c < 3; c++) out->palette[i * 4 + (unsigned)c] = p[i * h->entry + 2 - (unsigned)c];
    return 0;
}

int bmp_decode(struct image *out, struct arena *a, struct bytes in, const struct image_options *o, struct err *e)
{
    struct header h = { 0 };
    TRY(read_header(&h, in, e));
    TRY(check(&h, in, e));
    int channels = h.bits <= 8 ? 1 : 3;
    uint64_t stride = h.width > 0 ? ((uint64_t)h.width * h.bits + 31) / 32 * 4 : 0;
    if (!o->header_only && (h.pixels > in.len || (h.height > 0 && (in.len - h.pixels) / (uint64_t)h.height < stride)))
        return fail(e, ERR_DATA, "truncated BMP: %zu bytes cannot hold %lld x %lld pixels", in.len, (long long)h.width,
            (long long)h.height);
    if (o->header_only) *out = (struct image){ (int)h.width, (int)h.height, channels, 8, .orientation = 1 };
    else TRY(image_new(out, a, h.width, h.height, channels, 8, o->max_pixels, e));
    for (int y = 0; out->pixels && y < out->height; y++) {
        size_t from = h.top_down ? (size_t)y : (size_t)(out->height - 1 - y);
        read_row(&h, in.data + h.pixels + from * stride, out->pixels + (size_t)y * image_row_bytes(out));
    }
    if (h.bits <= 8) TRY(read_palette(&h, in, out, a, e));
    return out->palette && !o->keep_index ? image_expand_palette(out, a, o->max_pixels, e) : 0;
}
