/* canvas.c - cairo behind pointers: without it everything but pictures works, and no start waits for it. */
#include "draw/canvas.h"

#include <stdbool.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "base/library.h"
#include "enc/image.h"

/* The part of cairo's interface (stable since 1.0) that is used; opaque pointers are void. */
struct extents {
    double x_bearing, y_bearing, width, height, x_advance, y_advance;
};
struct cairo {
    void *(*image_surface_create)(int format, int width, int height);
    void *(*image_surface_create_for_data)(unsigned char *data, int format, int width, int height, int stride);
    unsigned char *(*image_surface_get_data)(void *surface);
    int (*image_surface_get_stride)(void *surface);
    void (*surface_flush)(void *surface);
    int (*surface_status)(void *surface);
    void (*surface_destroy)(void *surface);
    void *(*create)(void *surface);
    void (*destroy)(void *cr);
    void (*set_source_rgb)(void *cr, double r, double g, double b);
    void (*set_source_surface)(void *cr, void *surface, double x, double y);
    void (*rectangle)(void *cr, double x, double y, double width, double height);
    void (*fill)(void *cr);
    void (*paint)(void *cr);
    void (*move_to)(void *cr, double x, double y);
    void (*line_to)(void *cr, double x, double y);
    void (*set_line_width)(void *cr, double width);
    void (*stroke)(void *cr);
    void (*select_font_face)(void *cr, const char *family, int slant, int weight);
    void (*set_font_size)(void *cr, double size);
    void (*text_extents)(void *cr, const char *text, struct extents *out);
    void (*show_text)(void *cr, const char *text);
    void (*save)(void *cr);
    void (*restore)(void *cr);
    void (*translate)(void *cr, double x, double y);
    void (*scale)(void *cr, double x, double y);
};
static const char *const names[] = {
    "cairo_image_surface_create", "cairo_image_surface_create_for_data",
    "cairo_image_surface_get_data", "cairo_image_surface_get_stride", "cairo_surface_flush",
    "cairo_surface_status", "cairo_surface_destroy", "cairo_create", "cairo_destroy",
    "cairo_set_source_rgb", "cairo_set_source_surface", "cairo_rectangle", "cairo_fill",
    "cairo_paint", "cairo_move_to", "cairo_line_to", "cairo_set_line_width", "cairo_stroke",
    "cairo_select_font_face", "cairo_set_font_size", "cairo_text_extents", "cairo_show_text",
    "cairo_save", "cairo_restore", "cairo_translate", "cairo_scale"
};
enum { N_NAMES = sizeof names / sizeof names[0], FORMAT_RGB24 = 1 };
_Static_assert(sizeof(struct cairo) == N_NAMES * sizeof(void *), "a name for each function");

struct canvas {
    struct cairo f;
    void *surface, *cr;
    int width, height;
};

static void close_canvas(void *ptr)
{
    struct canvas *c = ptr;
    if (c->cr) c->f.destroy(c->cr);
    if (c->surface) c->f.surface_destroy(c->surface);
}

static int load(struct canvas *c, struct err *e)
{
    if (library_load("libcairo.so.2", names, (void **)&c->f, N_NAMES)) return 0;
    return fail(e, ERR_UNSUPPORTED, "pictures need cairo, which is not there (package libcairo2)");
}

struct canvas *canvas_new(struct arena *a, int width, int height, struct err *e)
{
    struct canvas *c = ARENA_NEW(a, struct canvas);
    if (!c) return fail_nomem(e), NULL;
    c->width = width;
    c->height = height;
    if (load(c, e)) return NULL;
    c->surface = c->f.image_surface_create(FORMAT_RGB24, width, height);
    if (arena_closer(a, close_canvas, c)) return fail_nomem(e), NULL;
    if (c->f.surface_status(c->surface)) return fail(e, ERR_NOMEM, "no memory for a picture"), NULL;
    c->cr = c->f.create(c->surface);
    c->f.select_font_face(c->cr, "sans-serif", 0, 0);
    canvas_box(c, 0, 0, width, height, 0xffffff);
    return c;
}

static void set_color(struct canvas *c, uint32_t color)
{
    c->f.set_source_rgb(c->cr, (color >> 16 & 255) / 255.0, (color >> 8 & 255) / 255.0, (color & 255) / 255.0);
}

void canvas_box(struct canvas *c, double x, double y, double width, double height, uint32_t color)
{
    set_color(c, color);
    c->f.rectangle(c->cr, x, y, width, height);
    c->f.fill(c->cr);
}

void canvas_line(struct canvas *c, const double *xy, int points, double thickness, uint32_t color)
{
    set_color(c, color);
    c->f.set_line_width(c->cr, thickness);
    for (int i = 0; i < points; i++) (i ? c->f.line_to : c->f.move_to)(c->cr, xy[2 * i], xy[2 * i + 1]);
    c->f.stroke(c->cr);
}

void canvas_text(
    struct canvas *c, double x, double y, double size, enum canvas_align align, uint32_t color, const char *text)
{
    struct extents box;
    set_color(c, color);
    c->f.set_font_size(c->cr, size);
    c->f.text_extents(c->cr, text, &box);
    c->f.move_to(c->cr, x - box.x_advance * align / 2, y);
    c->f.show_text(c->cr, text);
}

int canvas_image(struct canvas *c, const struct image *img, double x, double y, double width, double height,
    struct arena *a, struct err *e)
{
    size_t n = (size_t)img->width * (size_t)img->height;
    uint32_t *pixels = ARENA_ARRAY(a, n, uint32_t); /* in the host's byte order, as cairo has it */
    TRY_MEM(pixels, e);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *p = img->pixels + i * (size_t)img->channels;
        int green = img->channels >= 3, blue = img->channels >= 3 ? 2 : 0;
        pixels[i] = (uint32_t)p[0] << 16 | (uint32_t)p[green] << 8 | p[blue];
    }
    void *surface = c->f.image_surface_create_for_data(
        (unsigned char *)pixels, FORMAT_RGB24, img->width, img->height, img->width * 4);
    c->f.save(c->cr);
    c->f.translate(c->cr, x, y);
    c->f.scale(c->cr, width / img->width, height / img->height);
    c->f.set_source_surface(c->cr, surface, 0, 0);
    c->f.paint(c->cr);
    c->f.restore(c->cr);
    c->f.surface_destroy(surface);
    return 0;
}

int canvas_write(struct canvas *c, const char *path, struct arena *a, struct err *e)
{
    struct image img;
    struct bytes png;
    c->f.surface_flush(c->surface);
    TRY(image_new(&img, a, c->width, c->height, 3, 8, 0, e));
    const unsigned char *from = c->f.image_surface_get_data(c->surface);
    int stride = c->f.image_surface_get_stride(c->surface);
    uint8_t *to = img.pixels;
    for (int y = 0; y < c->height; y++)
        for (int x = 0; x < c->width; x++) {
            uint32_t pixel;
            memcpy(&pixel, from + (size_t)y * (size_t)stride + 4 * (size_t)x, 4);
            *to++ = (uint8_t)(pixel >> 16);
            *to++ = (uint8_t)(pixel >> 8);
            *to++ = (uint8_t)pixel;
        }
    TRY(png_encode(&png, a, &img, e));
    return file_write(a, path, png.data, png.len, e);
}
