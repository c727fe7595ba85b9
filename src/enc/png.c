/* png.c - PNG through libpng: every colour type and depth, interlaced or not. */
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "enc/image.h"

struct reader {
    png_structp png;
    png_infop info;
    struct bytes in;
    size_t at;
    jmp_buf jump;
    char message[200];
    int warnings;
    bool got_header; /* the rows have begun: what fails now is a truncated or damaged image */
    bool got_rows;   /* nothing that fails now is of interest */
};

static void on_error(png_structp png, png_const_charp message)
{
    struct reader *r = png_get_error_ptr(png);
    snprintf(r->message, sizeof r->message, "%s", message);
    longjmp(r->jump, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    struct reader *r = png_get_error_ptr(png);
    (void)message;
    r->warnings++;
}

static void on_read(png_structp png, png_bytep to, size_t n)
{
    struct reader *r = png_get_io_ptr(png);
    if (n > r->in.len - r->at) png_error(png, "the file ends here");
    memcpy(to, r->in.data + r->at, n);
    r->at += n;
}

/* Colour profiles, gamma and texts change no pixel here, so they are passed over, still compressed. */
static void skip_chunks(png_structp png)
{
    static const png_byte names[] = "iCCP\0tEXt\0zTXt\0iTXt\0sPLT\0hIST\0gAMA\0cHRM\0sRGB\0sBIT\0bKGD\0pHYs\0tIME";
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, names, (int)sizeof names / 5);
}

static int channels_of(int color_type)
{
    static const int channels[] = { [PNG_COLOR_TYPE_GRAY] = 1, [PNG_COLOR_TYPE_PALETTE] = 1,
                                    [PNG_COLOR_TYPE_GRAY_ALPHA] = 2, [PNG_COLOR_TYPE_RGB] = 3,
                                    [PNG_COLOR_TYPE_RGB_ALPHA] = 4 };
    return channels[color_type];
}

static int read_orientation(const struct reader *r)
{
    png_bytep exif = NULL;
    png_uint_32 n = 0;
    return png_get_eXIf_1(r->png, r->info, &n, &exif) ? exif_orientation((struct bytes){ exif, n }) : 1;
}

/* PLTE and tRNS as RGBA; entries that the file leaves out are a gray ramp, as in Pillow. */
static int read_palette(const struct reader *r, struct image *out, struct arena *a, struct err *e)
{
    png_colorp colors = NULL;
    png_bytep alpha = NULL;
    int n = 0, n_alpha = 0;
    png_get_PLTE(r->png, r->info, &colors, &n);
    png_get_tRNS(r->png, r->info, &alpha, &n_alpha, NULL);
    TRY_MEM(out->palette = arena_alloc(a, 256 * 4), e);
    out->n_palette = n;
    for (int i = 0; i < 256; i++) {
        uint8_t *p = out->palette + i * 4;
        memset(p, i, 3);
        if (i < n) p[0] = colors[i].red, p[1] = colors[i].green, p[2] = colors[i].blue;
        p[3] = alpha && i < n_alpha ? alpha[i] : 255;
    }
    return 0;
}

static void read_key(const struct reader *r, struct image *out)
{
    png_color_16p color = NULL;
    if (!png_get_tRNS(r->png, r->info, NULL, NULL, &color) || !color) return;
    bool gray = out->channels == 1;
    out->has_key = true;
    out->key[0] = gray ? color->gray : color->red;
    out->key[1] = gray ? color->gray : color->green;
    out->key[2] = gray ? color->gray : color->blue;
}

static int check_size(const struct reader *r, uint64_t width, uint64_t height, size_t row_bytes,
                      const struct image_options *o, struct err *e)
{
    uint64_t limit = o->max_pixels ? o->max_pixels : IMAGE_MAX_PIXELS;
    if (width * height > limit)
        return fail(e, ERR_DATA, "PNG of %llu x %llu has more than %llu pixels: raise the limit to use it",
                    (unsigned long long)width, (unsigned long long)height, (unsigned long long)limit);
    /* Deflate packs at most 1032 bytes into one (zlib's technical notes); 1100 leaves room. */
    if (!o->header_only && !o->allow_truncated && r->in.len < height * (uint64_t)row_bytes / 1100)
        return fail(e, ERR_DATA, "truncated PNG: %zu bytes cannot hold %llu x %llu pixels", r->in.len,
                    (unsigned long long)width, (unsigned long long)height);
    return 0;
}

static int read_header(struct reader *r, struct image *out, struct arena *a, const struct image_options *o,
                       struct err *e)
{
    png_set_read_fn(r->png, r, on_read);
    png_set_user_limits(r->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* check_size() has the say */
    skip_chunks(r->png);
    png_read_info(r->png, r->info);
    png_uint_32 width = png_get_image_width(r->png, r->info), height = png_get_image_height(r->png, r->info);
    TRY(check_size(r, width, height, png_get_rowbytes(r->png, r->info), o, e));
    int type = png_get_color_type(r->png, r->info), depth = png_get_bit_depth(r->png, r->info);
    *out = (struct image){ (int)width, (int)height, channels_of(type), depth == 16 ? 16 : 8 };
    out->orientation = read_orientation(r);
    if (type == PNG_COLOR_TYPE_PALETTE) return read_palette(r, out, a, e);
    read_key(r, out);
    return 0;
}

static void read_rows(struct reader *r, struct image *img)
{
    png_structp png = r->png;
    if (png_get_bit_depth(png, r->info) < 8) {
        if (img->palette) png_set_packing(png);
        else png_set_expand_gray_1_2_4_to_8(png);
    }
    const uint16_t one = 1;
    if (img->bits == 16 && *(const uint8_t *)&one) png_set_swap(png);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, r->info);
    size_t stride = image_row_bytes(img);
    if (png_get_rowbytes(png, r->info) != stride) png_error(png, "rows of an unexpected size");
    r->got_header = true;
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < img->height; y++) png_read_row(png, img->pixels + (size_t)y * stride, NULL);
    r->got_rows = true;
    png_read_end(png, r->info);
}

static int start_image(struct reader *r, struct image *out, struct arena *a, const struct image_options *o,
                       struct err *e)
{
    TRY(read_header(r, out, a, o, e));
    if (o->header_only) return 0;
    struct image head = *out;
    TRY(image_new(out, a, head.width, head.height, head.channels, head.bits, o->max_pixels, e));
    head.pixels = out->pixels;
    *out = head;
    return 0;
}

static int read_failed(struct reader *r, const struct image_options *o, struct err *e)
{
    if (r->got_rows || (r->got_header && o->allow_truncated)) return r->warnings++, 0;
    if (r->at + 12 > r->in.len || !strcmp(r->message, "the file ends here"))
        return fail(e, ERR_DATA, "truncated PNG: ends at byte %zu", r->in.len);
    return fail(e, ERR_DATA, "not a readable PNG: %s (at byte %zu of %zu)", r->message, r->at, r->in.len);
}

static int read_image(struct reader *r, struct image *out, struct arena *a, const struct image_options *o,
                      struct err *e)
{
    if (setjmp(r->jump)) return read_failed(r, o, e);
    if (!(r->info = png_create_info_struct(r->png))) png_error(r->png, "out of memory");
    TRY(start_image(r, out, a, o, e));
    if (!o->header_only) read_rows(r, out);
    return 0;
}

int png_decode(struct image *out, struct arena *a, struct bytes in, const struct image_options *options, struct err *e)
{
    static const struct image_options defaults = { 0 };
    const struct image_options *o = options ? options : &defaults;
    struct reader *r = ARENA_NEW(a, struct reader); /* not on the stack: it must survive longjmp */
    TRY_MEM(r, e);
    r->in = in;
    r->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, r, on_error, on_warning);
    TRY_MEM(r->png, e);
    int code = read_image(r, out, a, o, e);
    if (!code && r->got_rows) out->orientation = read_orientation(r); /* eXIf may stand behind the pixels */
    if (!code) out->warnings = r->warnings;
    png_destroy_read_struct(&r->png, &r->info, NULL);
    if (!code && out->palette && !o->keep_index) code = image_expand_palette(out, a, o->max_pixels, e);
    return code;
}
