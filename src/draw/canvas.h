/* canvas.h - lines, boxes and words on a picture, by cairo, which is loaded when the first picture is made. */
#ifndef TENREC_DRAW_CANVAS_H
#define TENREC_DRAW_CANVAS_H

#include <stdint.h>

struct arena;
struct err;
struct image;

enum canvas_align { ALIGN_LEFT, ALIGN_CENTER, ALIGN_RIGHT };
struct canvas;
/* White; closed with the arena. ERR_UNSUPPORTED where there is no cairo. */
struct canvas *canvas_new(struct arena *a, int width, int height, struct err *e);
/* Colours are 0xRRGGBB. */
void canvas_box(struct canvas *c, double x, double y, double width, double height, uint32_t color);
void canvas_line(struct canvas *c, const double *xy, int points, double thickness, uint32_t color);
/* `y` is the foot of the letters. */
void canvas_text(
    struct canvas *c, double x, double y, double size, enum canvas_align align, uint32_t color, const char *text);
/* An 8-bit gray or RGB image, scaled to width x height. */
int canvas_image(struct canvas *c, const struct image *img, double x, double y, double width, double height,
    struct arena *a, struct err *e);
/* As PNG, written whole or not at all. */
int canvas_write(struct canvas *c, const char *path, struct arena *a, struct err *e);

#endif
