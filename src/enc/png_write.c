/* png_write.c - pixels to PNG, into memory or a file being written; fixed settings, so equal bytes each time. */
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"
#include "enc/image.h"

struct writer {
    png_structp png;
    png_infop info;
    struct str *memory;       /* one of these two is where it goes */
    struct file_writer *file;
    jmp_buf jump;
    char message[200];
    struct err *e;
};

static void on_error(png_structp png, png_const_charp message)
{
    struct writer *w = png_get_error_ptr(png);
    snprintf(w->message, sizeof w->message, "%s", message);
    longjmp(w->jump, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png, (void)message;
}

static void on_write(png_structp png, png_bytep data, size_t n)
{
    struct writer *w = png_get_io_ptr(png);
    if (w->memory) str_addn(w->memory, (const char *)data, n);
    else if (file_writer_put(w->file, data, n, w->e)) png_error(png, "cannot write");
}

static void on_flush(png_structp png)
{
    (void)png;
}

static void put_palette(struct writer *w, const struct image *img)
{
    png_color colors[256] = { { 0 } };
    png_byte alpha[256] = { 0 };
    int n_alpha = 0;
    for (int i = 0; i < img->n_palette; i++) {
        const uint8_t *p = img->palette + i * 4;
        colors[i] = (png_color){ p[0], p[1], p[2] };
        alpha[i] = p[3];
        if (p[3] != 255) n_alpha = i + 1;
    }
    png_set_PLTE(w->png, w->info, colors, img->n_palette);
    if (n_alpha) png_set_tRNS(w->png, w->info, alpha, n_alpha, NULL);
}

static void put_image(struct writer *w, const struct image *img)
{
    static const int types[] = { PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                                 PNG_COLOR_TYPE_RGB_ALPHA };
    png_structp png = w->png;
    if (!(w->info = png_create_info_struct(png))) png_error(png, "out of memory");
    png_set_write_fn(png, w, on_write, on_flush);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_compression_level(png, 6);
    png_set_IHDR(png, w->info, (png_uint_32)img->width, (png_uint_32)img->height, img->bits,
                 img->palette ? PNG_COLOR_TYPE_PALETTE : types[img->channels - 1], PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (img->palette) put_palette(w, img);
    png_write_info(png, w->info);
    const uint16_t one = 1;
    if (img->bits == 16 && *(const uint8_t *)&one) png_set_swap(png);
    size_t stride = image_row_bytes(img);
    for (int y = 0; y < img->height; y++) png_write_row(png, img->pixels + (size_t)y * stride);
    png_write_end(png, NULL);
}

static int check(const struct image *img, struct err *e)
{
    bool indexed = img->palette != NULL;
    if (img->width < 1 || img->height < 1 || img->channels < 1 || img->channels > 4 || !img->pixels ||
        (img->bits != 8 && img->bits != 16))
        return fail(e, ERR_USAGE, "cannot write a PNG of %d x %d, %d channels of %d bits", img->width, img->height,
                    img->channels, img->bits);
    if (indexed && (img->channels != 1 || img->bits != 8 || img->n_palette < 1 || img->n_palette > 256))
        return fail(e, ERR_USAGE, "an indexed PNG has 1 channel of 8 bits and 1 .. 256 colours, not %d of %d, %d",
                    img->channels, img->bits, img->n_palette);
    size_t n = indexed ? (size_t)img->width * (size_t)img->height : 0;
    for (size_t i = 0; i < n; i++)
        if (img->pixels[i] >= img->n_palette)
            return fail(e, ERR_USAGE, "index %d at pixel (%zu, %zu) is outside a palette of %d colours", img->pixels[i],
                        i % (size_t)img->width, i / (size_t)img->width, img->n_palette);
    return 0;
}

static int write_png(struct writer *w, const struct image *img, struct err *e)
{
    TRY(check(img, e));
    w->e = e;
    w->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, w, on_error, on_warning);
    TRY_MEM(w->png, e);
    if (!setjmp(w->jump)) put_image(w, img);
    else fail(e, ERR_FAILED, "cannot write PNG: %s", w->message); /* an error of the file itself is kept */
    png_destroy_write_struct(&w->png, &w->info);
    return e->code;
}

int png_encode(struct bytes *out, struct arena *a, const struct image *img, struct err *e)
{
    struct str buffer = str_in(a);
    struct writer w = { .memory = &buffer };
    TRY(write_png(&w, img, e));
    const char *data = str_done(&buffer);
    TRY_MEM(data, e);
    *out = (struct bytes){ (const unsigned char *)data, buffer.len };
    return 0;
}

int png_write(struct file_writer *file, const struct image *img, struct err *e)
{
    struct writer w = { .file = file };
    return write_png(&w, img, e);
}
