/* tiff.c - TIFF through libtiff: the first page. */
#include <pthread.h>
#include <string.h>
#include <tiffio.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "base/library.h"
#include "enc/image.h"
#include "tiff_calls.h"

enum { MEMORY = 1 << 30 }; /* for one of libtiff's own allocations */

struct source {
    struct bytes in;
    size_t at;
    char message[200];
};

static tmsize_t on_read(thandle_t handle, void *to, tmsize_t n)
{
    struct source *s = handle;
    size_t left = s->at < s->in.len ? s->in.len - s->at : 0, take = (size_t)n < left ? (size_t)n : left;
    if (take) memcpy(to, s->in.data + s->at, take);
    s->at += take;
    return (tmsize_t)take;
}

static tmsize_t on_write(thandle_t handle, void *from, tmsize_t n)
{
    return 0;
}

static toff_t on_seek(thandle_t handle, toff_t offset, int whence)
{
    struct source *s = handle;
    s->at = (size_t)(whence == SEEK_SET ? offset : whence == SEEK_CUR ? s->at + offset : s->in.len + offset);
    return s->at;
}

static int on_close(thandle_t handle)
{
    return 0;
}

static toff_t on_size(thandle_t handle)
{
    return ((struct source *)handle)->in.len;
}

static int on_map(thandle_t handle, void **base, toff_t *size)
{
    struct source *s = handle;
    *base = (void *)(uintptr_t)s->in.data, *size = s->in.len;
    return 1;
}

static void on_unmap(thandle_t handle, void *base, toff_t size)
{
}

static int on_error(TIFF *tiff, void *user, const char *module, const char *fmt, va_list ap)
{
    struct source *s = user;
    if (!s->message[0]) vsnprintf(s->message, sizeof s->message, fmt, ap);
    return 1;
}

static int on_warning(TIFF *tiff, void *user, const char *module, const char *fmt, va_list ap)
{
    return 1;
}

struct page {
    uint32_t width, height;
    uint16_t bits, samples, photometric, planar, orientation, format;
    bool plain; /* gray, a palette or RGB(A) of 8 bits, gray of 16: read as it is */
};

static void describe(TIFF *t, struct page *p)
{
    *p = (struct page){ .photometric = PHOTOMETRIC_MINISBLACK };
    TIFFGetField(t, TIFFTAG_IMAGEWIDTH, &p->width);
    TIFFGetField(t, TIFFTAG_IMAGELENGTH, &p->height);
    TIFFGetFieldDefaulted(t, TIFFTAG_BITSPERSAMPLE, &p->bits);
    TIFFGetFieldDefaulted(t, TIFFTAG_SAMPLESPERPIXEL, &p->samples);
    TIFFGetFieldDefaulted(t, TIFFTAG_ORIENTATION, &p->orientation);
    TIFFGetFieldDefaulted(t, TIFFTAG_SAMPLEFORMAT, &p->format);
    TIFFGetField(t, TIFFTAG_PHOTOMETRIC, &p->photometric);
    bool gray = p->photometric == PHOTOMETRIC_MINISBLACK, index = p->photometric == PHOTOMETRIC_PALETTE;
    bool rgb = p->photometric == PHOTOMETRIC_RGB && (p->samples == 3 || p->samples == 4);
    TIFFGetFieldDefaulted(t, TIFFTAG_PLANARCONFIG, &p->planar);
    bool one = p->samples == 1 && ((p->bits == 8 && (gray || index)) || (p->bits == 16 && gray));
    bool colors = rgb && p->bits == 8 && p->planar == PLANARCONFIG_CONTIG;
    p->plain = (one || colors) && p->format == SAMPLEFORMAT_UINT && !TIFFIsTiled(t);
}

static int read_palette(TIFF *t, struct image *out, struct arena *a, struct err *e)
{
    uint16_t *color[3];
    if (!TIFFGetField(t, TIFFTAG_COLORMAP, &color[0], &color[1], &color[2]))
        return fail(e, ERR_DATA, "TIFF: an image of indices without a palette");
    TRY_MEM(out->palette = arena_alloc(a, 256 * 4), e);
    out->n_palette = 256;
    for (int i = 0; i < 256; i++) {
        for (int c = 0; c < 3; c++) out->palette[i * 4 + c] = (uint8_t)(color[c][i] / 256);
        out->palette[i * 4 + 3] = 255;
    }
    return 0;
}

static int damaged(const struct source *s, struct err *e)
{
    return fail(e, ERR_DATA, "not a readable TIFF: %s", s->message[0] ? s->message : "truncated or damaged");
}

static int read_plain(TIFF *t, const struct source *s, const struct page *p, struct image *out, struct arena *a,
    const struct image_options *o, struct err *e)
{
    size_t row = image_row_bytes(out);
    if (out->pixels && TIFFScanlineSize64(t) != row) return damaged(s, e);
    for (uint32_t y = 0; out->pixels && y < p->height; y++)
        if (TIFFReadScanline(t, out->pixels + y * row, y, 0) < 0) return o->allow_truncated ? 0 : damaged(s, e);
    if (p->photometric != PHOTOMETRIC_PALETTE) return 0;
    TRY(read_palette(t, out, a, e));
    return o->keep_index ? 0 : image_expand_palette(out, a, o->max_pixels, e);
}

/* Whatever else there is: libtiff makes RGBA of it. */
static int read_any(
    TIFF *t, const struct source *s, const struct page *p, struct image *out, struct arena *a, struct err *e)
{
    size_t n = (size_t)p->width * p->height;
    uint32_t *rgba = ARENA_ARRAY(a, n, uint32_t);
    TRY_MEM(rgba, e);
    /* the file's own orientation: rows stay where they are stored until image_orient() */
    if (!TIFFReadRGBAImageOriented(t, p->width, p->height, rgba, p->orientation, 1)) return damaged(s, e);
    for (size_t i = 0; i < n; i++) {
        uint8_t px[4] = { TIFFGetR(rgba[i]), TIFFGetG(rgba[i]), TIFFGetB(rgba[i]), TIFFGetA(rgba[i]) };
        memcpy(out->pixels + i * (size_t)out->channels, px, (size_t)out->channels);
    }
    return 0;
}

static int read_page(
    TIFF *t, const struct source *s, struct image *out, struct arena *a, const struct image_options *o, struct err *e)
{
    struct page p;
    uint16_t extra = 0, *kinds = NULL;
    describe(t, &p);
    TIFFGetField(t, TIFFTAG_EXTRASAMPLES, &extra, &kinds);
    bool color = p.photometric != PHOTOMETRIC_MINISBLACK && p.photometric != PHOTOMETRIC_MINISWHITE;
    int channels = p.plain ? p.samples : extra && color ? 4 : 3, bits = p.plain && p.bits == 16 ? 16 : 8;
    if (p.width > INT32_MAX || p.height > INT32_MAX) return damaged(s, e);
    *out = (struct image){ (int)p.width, (int)p.height, channels, bits };
    if (!o->header_only) TRY(image_new(out, a, p.width, p.height, channels, bits, o->max_pixels, e));
    int code = p.plain ? read_plain(t, s, &p, out, a, o, e) : out->pixels ? read_any(t, s, &p, out, a, e) : 0;
    TRY(code);
    out->orientation = p.orientation >= 1 && p.orientation <= 8 ? p.orientation : 1;
    return image_orient(out, a, out, e);
}

struct tiff_calls tiff_calls;
static bool is_loaded;

static void load(void)
{
    static const char *const names[] = { tiff_NAMES };
    is_loaded = library_load(tiff_SONAME, names, (void **)&tiff_calls, sizeof names / sizeof names[0]);
}

int tiff_decode(struct image *out, struct arena *a, struct bytes in, const struct image_options *o, struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    if (!is_loaded) return fail(e, ERR_UNSUPPORTED, "TIFF images need " tiff_SONAME ", which is not there");
    struct source s = { .in = in };
    TIFFOpenOptions *opts = TIFFOpenOptionsAlloc();
    TRY_MEM(opts, e);
    TIFFOpenOptionsSetErrorHandlerExtR(opts, on_error, &s);
    TIFFOpenOptionsSetWarningHandlerExtR(opts, on_warning, &s);
    TIFFOpenOptionsSetMaxSingleMemAlloc(opts, MEMORY);
    TIFF *t = TIFFClientOpenExt("TIFF", "r", &s, on_read, on_write, on_seek, on_close, on_size, on_map, on_unmap, opts);
    TIFFOpenOptionsFree(opts);
    if (!t) return damaged(&s, e);
    int code = read_page(t, &s, out, a, o, e);
    TIFFClose(t);
    return code;
}
