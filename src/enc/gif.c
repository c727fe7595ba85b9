/* gif.c - the first frame of a GIF (87a, 89a): LZW codes of a palette's indices. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "enc/bytes.h"
#include "enc/image.h"

enum { CODES = 4096 };

struct reader {
    struct bytes in;
    size_t at, block; /* block: bytes left of the block of data that is being read */
    uint32_t bits;
    int n_bits;
    bool ended;
};

struct frame {
    int left, top, width, height;
    bool interlaced;
    int transparent; /* index; -1: none */
    const unsigned char *palette;
    int n_palette;
};

static int cut_off(const struct reader *r, struct err *e)
{
    return fail(e, ERR_DATA, "truncated GIF: ends or is damaged at byte %zu of %zu", r->at, r->in.len);
}

static const unsigned char *take(struct reader *r, size_t n)
{
    if (r->in.len - r->at < n) return NULL;
    r->at += n;
    return r->in.data + r->at - n;
}

static int skip_blocks(struct reader *r, struct err *e)
{
    for (;;) {
        const unsigned char *n = take(r, 1);
        if (!n || !take(r, *n)) return cut_off(r, e);
        if (!*n) return 0;
    }
}

static const unsigned char *color_table(struct reader *r, unsigned flags, int *n)
{
    *n = 2 << (flags & 7);
    return flags & 0x80 ? take(r, (size_t)*n * 3) : NULL;
}

/* Extensions up to the first image. */
static int find_frame(struct reader *r, struct frame *f, struct err *e)
{
    for (;;) {
        const unsigned char *p = take(r, 1);
        if (!p || *p == 0x3b) return cut_off(r, e);
        if (*p == 0x21) {
            if (!(p = take(r, 1))) return cut_off(r, e);
            if (*p == 0xf9 && r->in.len - r->at >= 6 && r->in.data[r->at] == 4)
                f->transparent = r->in.data[r->at + 1] & 1 ? r->in.data[r->at + 4] : -1;
            TRY(skip_blocks(r, e));
        } else if (*p == 0x2c) {
            if (!(p = take(r, 9))) return cut_off(r, e);
            f->left = (int)get_le16(p), f->top = (int)get_le16(p + 2);
            f->width = (int)get_le16(p + 4), f->height = (int)get_le16(p + 6);
            f->interlaced = p[8] & 0x40;
            int n;
            const unsigned char *own = color_table(r, p[8], &n);
            if (own) f->palette = own, f->n_palette = n;
            return (p[8] & 0x80) && !own ? cut_off(r, e) : 0;
        } else {
            return fail(e, ERR_DATA, "GIF: byte %zu begins no block", r->at - 1);
        }
    }
}

/* -1 at the end of the data. */
static int next_code(struct reader *r, int width)
{
    while (r->n_bits < width) {
        if (!r->block) {
            const unsigned char *n = take(r, 1);
            if (!n || !*n) return -1;
            r->block = *n;
        }
        const unsigned char *p = take(r, 1);
        if (!p) return -1;
        r->block--;
        r->bits |= (uint32_t)*p << r->n_bits;
        r->n_bits += 8;
    }
    int code = (int)(r->bits & ((1u << width) - 1));
    r->bits >>= width, r->n_bits -= width;
    return code;
}

struct lzw {
    uint16_t before[CODES]; /* the code whose string this one continues */
    uint8_t last[CODES], stack[CODES + 1];
    int clear, width, next, old, first;
};

static void reset(struct lzw *z, int size)
{
    z->clear = 1 << size;
    z->width = size + 1, z->next = z->clear + 2, z->old = -1;
}

/* The string of a code, backwards on the stack; its length, or -1 for a code that is not known yet. */
static int expand(struct lzw *z, int code)
{
    int n = 0, at = code;
    if (code > z->next || (code == z->next && z->old < 0)) return -1;
    if (code == z->next) z->stack[n++] = (uint8_t)z->first, at = z->old;
    for (; at >= z->clear; at = z->before[at]) {
        if (n >= CODES) return -1;
        z->stack[n++] = z->last[at];
    }
    z->stack[n++] = (uint8_t)at;
    z->first = at;
    return n;
}

static void learn(struct lzw *z)
{
    if (z->old < 0 || z->next >= CODES) return;
    z->before[z->next] = (uint16_t)z->old;
    z->last[z->next++] = (uint8_t)z->first;
    if (z->next == 1 << z->width && z->width < 12) z->width++;
}

/* Indices of the frame in the order of the file; what is missing at the end stays 0 with allow_truncated. */
static int read_indices(struct reader *r, struct arena *a, uint8_t *out, size_t n, bool lenient, struct err *e)
{
    const unsigned char *size = take(r, 1);
    struct lzw *z = ARENA_NEW(a, struct lzw);
    TRY_MEM(z, e);
    if (!size || *size < 1 || *size > 11) return cut_off(r, e);
    reset(z, *size);
    size_t done = 0;
    while (done < n) {
        int code = next_code(r, z->width);
        if (code == z->clear) {
            reset(z, *size);
            continue;
        }
        int len = code < 0 || code == z->clear + 1 ? -1 : expand(z, code);
        if (len < 0) return lenient ? 0 : cut_off(r, e);
        learn(z);
        z->old = code;
        while (len && done < n) out[done++] = z->stack[--len];
    }
    return 0;
}

/* Rows come in four sweeps when interlaced. */
static int row_of(const struct frame *f, int i)
{
    static const int begin[] = { 0, 4, 2, 1 }, step[] = { 8, 8, 4, 2 };
    for (int pass = 0; f->interlaced && pass < 4; pass++) {
        int rows = f->height > begin[pass] ? (f->height - begin[pass] + step[pass] - 1) / step[pass] : 0;
        if (i < rows) return begin[pass] + i * step[pass];
        i -= rows;
    }
    return i;
}

static int set_palette(const struct frame *f, struct image *out, struct arena *a, struct err *e)
{
    TRY_MEM(out->palette = arena_alloc(a, 256 * 4), e);
    out->n_palette = f->palette ? f->n_palette : 256;
    for (int i = 0; i < 256; i++) {
        uint8_t *p = out->palette + i * 4;
        memset(p, f->palette ? 0 : i, 3);
        if (f->palette && i < f->n_palette) memcpy(p, f->palette + i * 3, 3);
        p[3] = i == f->transparent ? 0 : 255;
    }
    return 0;
}

int gif_decode(struct image *out, struct arena *a, struct bytes in, const struct image_options *o, struct err *e)
{
    struct reader r = { in, 6 };
    struct frame f = { .transparent = -1 };
    const unsigned char *p = take(&r, 7);
    if (!p) return cut_off(&r, e);
    int width = (int)get_le16(p), height = (int)get_le16(p + 2), background = p[4] & 0x80 ? p[5] : 0;
    f.palette = color_table(&r, p[4], &f.n_palette);
    if ((p[4] & 0x80) && !f.palette) return cut_off(&r, e);
    TRY(find_frame(&r, &f, e));
    if (f.left + f.width > width) width = f.left + f.width;
    if (f.top + f.height > height) height = f.top + f.height;
    size_t n = (size_t)f.width * (size_t)f.height;
    if (!o->header_only && n / CODES > (in.len - r.at) * 8) return cut_off(&r, e); /* a code makes at most so many */
    if (o->header_only) *out = (struct image){ width, height, 1, 8, .orientation = 1 };
    else TRY(image_new(out, a, width, height, 1, 8, o->max_pixels, e));
    uint8_t *indices = out->pixels ? arena_alloc(a, n) : NULL;
    if (out->pixels && !indices) return fail_nomem(e);
    if (indices) {
        TRY(read_indices(&r, a, indices, n, o->allow_truncated, e));
        memset(out->pixels, f.transparent >= 0 ? f.transparent : background, (size_t)width * (size_t)height);
    }
    for (int i = 0; indices && i < f.height; i++)
        memcpy(out->pixels + (size_t)(f.top + row_of(&f, i)) * (size_t)width + f.left,
            indices + (size_t)i * (size_t)f.width, (size_t)f.width);
    TRY(set_palette(&f, out, a, e));
    return o->keep_index ? 0 : image_expand_palette(out, a, o->max_pixels, e);
}
