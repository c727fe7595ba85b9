/* charts.c - drawing curves and confusions. */
#include "draw/charts.h"

#include <math.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/err.h"
#include "draw/canvas.h"

enum { WIDTH = 460, HEIGHT = 320, LEFT = 62, RIGHT = 16, TOP = 34, BOTTOM = 40, MOST_CLASSES = 40 };
static const uint32_t colors[] = { 0x1f77b4, 0xff7f0e, 0x2ca02c, 0xd62728, 0x9467bd, 0x8c564b, 0xe377c2, 0x7f7f7f };
enum { N_COLORS = sizeof colors / sizeof colors[0], INK = 0x303030, PALE = 0xdddddd };

struct span {
    double low, high;
};

static void widen(struct span *s, double v)
{
    if (isnan(v)) return;
    if (!(v >= s->low)) s->low = v;
    if (!(v <= s->high)) s->high = v;
}

/* 1, 2 or 5 times a power of ten, so that about `count` of them fill the span (Heckbert, "Nice numbers for graph
 * labels", 1990). */
static double tick(struct span s, int count)
{
    double raw = (s.high - s.low) / count, base = pow(10, floor(log10(raw))), share = raw / base;
    return base * (share < 1.5 ? 1 : share < 3.5 ? 2 : share < 7.5 ? 5 : 10);
}

struct panel {
    struct canvas *c;
    double x;
    struct span across, up;
};

static double at_x(const struct panel *p, double v)
{
    return p->x + LEFT + (v - p->across.low) / (p->across.high - p->across.low) * (WIDTH - LEFT - RIGHT);
}

static double at_y(const struct panel *p, double v)
{
    return HEIGHT - BOTTOM - (v - p->up.low) / (p->up.high - p->up.low) * (HEIGHT - TOP - BOTTOM);
}

static void axes(const struct panel *p, const char *title, const char *below)
{
    char text[32];
    double step = tick(p->up, 5), left = p->x + LEFT, right = p->x + WIDTH - RIGHT;
    for (double v = ceil(p->up.low / step) * step; v <= p->up.high + step / 1e6; v += step) {
        double y = at_y(p, v);
        canvas_line(p->c, (double[]){ left, y, right, y }, 2, 1, PALE);
        snprintf(text, sizeof text, "%.4g", fabs(v) < step / 1e6 ? 0 : v);
        canvas_text(p->c, left - 6, y + 4, 11, ALIGN_RIGHT, INK, text);
    }
    step = fmax(1, tick(p->across, 6));
    for (double v = ceil(p->across.low / step) * step; v <= p->across.high + step / 1e6; v += step) {
        snprintf(text, sizeof text, "%.6g", v);
        canvas_text(p->c, at_x(p, v), HEIGHT - BOTTOM + 16, 11, ALIGN_CENTER, INK, text);
    }
    double foot = HEIGHT - BOTTOM;
    canvas_line(p->c, (double[]){ left, TOP, left, foot, right, foot }, 3, 1, INK);
    canvas_text(p->c, p->x + WIDTH / 2.0, 20, 14, ALIGN_CENTER, INK, title);
    canvas_text(p->c, p->x + WIDTH / 2.0, HEIGHT - 8, 11, ALIGN_CENTER, INK, below);
}

static int curve(
    const struct panel *p, const struct curves *c, size_t column, int place, struct arena *a, struct err *e)
{
    double *xy = ARENA_ARRAY(a, 2 * c->n_rows, double);
    int n = 0;
    TRY_MEM(xy, e);
    for (size_t i = 0; i < c->n_rows; i++) {
        double v = c->values[i * c->n_columns + column];
        if (isnan(v)) continue;
        xy[2 * n] = at_x(p, c->values[i * c->n_columns]);
        xy[2 * n++ + 1] = at_y(p, v);
    }
    uint32_t color = colors[column % N_COLORS];
    canvas_line(p->c, xy, n, 2, color);
    for (int i = 0; i < n && n <= 60; i++) canvas_box(p->c, xy[2 * i] - 2, xy[2 * i + 1] - 2, 4, 4, color);
    double y = TOP + 14 + 15 * place, x = p->x + WIDTH - RIGHT - 8;
    canvas_text(p->c, x, y, 11, ALIGN_RIGHT, color, c->names[column]);
    return 0;
}

static int draw_panel(struct canvas *canvas, const struct curves *c, int k, struct arena *a, struct err *e)
{
    struct panel p = { canvas, k * WIDTH, { NAN, NAN }, { NAN, NAN } };
    for (size_t i = 0; i < c->n_rows; i++) widen(&p.across, c->values[i * c->n_columns]);
    for (size_t i = 0; i < c->n_rows * c->n_columns; i++)
        if (c->panel[i % c->n_columns] == k) widen(&p.up, c->values[i]);
    if (isnan(p.up.low)) p.up = (struct span){ 0, 1 };
    double room = p.up.low != 0 ? fabs(p.up.low) / 2 : 0.5;
    if (!(p.up.high > p.up.low)) p.up.low -= room, p.up.high += room;
    if (!(p.across.high > p.across.low)) p.across.low -= 0.5, p.across.high += 0.5;
    axes(&p, c->titles[k], c->names[0]);
    int place = 0;
    for (size_t i = 0; i < c->n_columns; i++)
        if (c->panel[i] == k) TRY(curve(&p, c, i, place++, a, e));
    return 0;
}

int curves_write(const struct curves *c, const char *path, struct arena *a, struct err *e)
{
    struct canvas *canvas = canvas_new(a, WIDTH * c->n_panels, HEIGHT, e);
    if (!canvas) return e->code;
    for (int k = 0; k < c->n_panels; k++) TRY(draw_panel(canvas, c, k, a, e));
    return canvas_write(canvas, path, a, e);
}

/* From white to dark blue. */
static uint32_t shade(double share)
{
    uint32_t r = (uint32_t)(255 - 247 * share), g = (uint32_t)(255 - 207 * share), b = (uint32_t)(255 - 148 * share);
    return r << 16 | g << 8 | b;
}

int confusion_write(
    const uint64_t *counts, size_t classes, const char *const *names, const char *path, struct arena *a, struct err *e)
{
    size_t n = classes < MOST_CLASSES ? classes : MOST_CLASSES;
    double cell = n <= 12 ? 44 : 24, left = 130, top = 60;
    double width = left + cell * (double)n + 20, title = 320;
    struct canvas *c = canvas_new(a, (int)(width > title ? width : title), (int)(top + cell * (double)n + 40), e);
    if (!c) return e->code;
    canvas_text(c, 10, 20, 14, ALIGN_LEFT, INK, "rows: what is, columns: what was answered");
    for (size_t i = 0; i < n; i++) {
        char name[24], number[24];
        uint64_t sum = 0;
        for (size_t k = 0; k < classes; k++) sum += counts[i * classes + k];
        snprintf(number, sizeof number, "%zu", i);
        snprintf(name, sizeof name, "%.18s", names ? names[i] : number);
        double y = top + cell * (double)i;
        canvas_text(c, left - 8, y + cell / 2 + 4, 12, ALIGN_RIGHT, INK, name);
        snprintf(name, sizeof name, "%.6s", names ? names[i] : number);
        canvas_text(c, left + cell * ((double)i + 0.5), top - 8, 11, ALIGN_CENTER, INK, name);
        for (size_t k = 0; k < n; k++) {
            double share = sum ? (double)counts[i * classes + k] / (double)sum : 0;
            canvas_box(c, left + cell * (double)k, y, cell - 1, cell - 1, shade(share));
            if (!counts[i * classes + k] || cell < 40) continue;
            snprintf(name, sizeof name, "%lld", (long long)counts[i * classes + k]);
            canvas_text(c, left + cell * ((double)k + 0.5), y + cell / 2 + 4, 11, ALIGN_CENTER,
                share > 0.5 ? 0xffffff : INK, name);
        }
    }
    return canvas_write(c, path, a, e);
}
