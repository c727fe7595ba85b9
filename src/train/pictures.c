/* pictures.c - a run to look at: curves, confusions, and what the model answers to some samples. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "data/mask.h"
#include "draw/canvas.h"
#include "draw/charts.h"
#include "train/run.h"

enum { SAMPLES = 12, ACROSS = 6, SIDE = 150, CAPTION = 22 };

static int draw_curves(struct train_run *r, struct arena *a, struct err *e)
{
    const struct history *h = &r->history;
    const char *path = folder_file(a, r->folder, "curves.png", e), *titles[3] = { "loss", "learning rate" };
    int panel[COLUMNS_MAX];
    bool has_metric = strcmp(r->metric->name, "loss") != 0;
    titles[2] = r->metric->name;
    if (!path) return e->code;
    for (size_t i = 0; i < h->n_names; i++) {
        const char *name = h->names[i];
        bool loss = !strcmp(name, "train_loss") || !strcmp(name, "valid_loss");
        bool metric = !strncmp(name, "valid_", 6) && !strcmp(name + 6, r->metric->name) && !loss;
        panel[i] = loss ? 0 : !strcmp(name, "lr") ? 1 : metric ? 2 : -1;
    }
    struct curves c = { h->names, h->values, h->n / h->n_names, h->n_names, panel, has_metric ? 3 : 2, titles };
    return curves_write(&c, path, a, e);
}

static int draw_confusion(struct train_run *r, struct arena *a, struct err *e)
{
    const char *path = folder_file(a, r->folder, "confusion.png", e);
    const struct judge *j = &r->judges[0];
    bool named = r->model.labels.n == (size_t)j->classes;
    if (!path) return e->code;
    return confusion_write(j->confusion.count, (size_t)j->classes, named ? r->model.labels.names : NULL, path, a, e);
}

static int64_t best_class(const struct tensor *out, int64_t sample, int64_t place)
{
    int64_t c = out->shape.dim[1], d = shape_span(&out->shape, 2, out->shape.rank), best = 0;
    for (int64_t k = 1; k < c; k++)
        if (tensor_get_f64(out, (sample * c + k) * d + place) > tensor_get_f64(out, (sample * c + best) * d + place))
            best = k;
    return best;
}

static const char *class_name(const struct train_run *r, int64_t k, char buf[24])
{
    if (k >= 0 && (size_t)k < r->model.labels.n) return r->model.labels.names[k];
    snprintf(buf, 24, "%lld", (long long)k);
    return buf;
}

/* The image with labels painted over it; `labels` lie at `width` x `height`, and are stretched over the image. */
static int painted(struct image *out, const struct image *img, const int64_t *labels, int64_t height, int64_t width,
    struct arena *a, struct err *e)
{
    uint8_t palette[256 * 3];
    struct image rgb;
    palette_voc(palette);
    TRY(image_convert(&rgb, a, img, IMAGE_RGB, e));
    TRY(image_new(out, a, img->width, img->height, 3, 8, 0, e));
    memcpy(out->pixels, rgb.pixels, (size_t)img->width * (size_t)img->height * 3);
    int32_t *spread = ARENA_ARRAY(a, (size_t)img->width * (size_t)img->height, int32_t);
    TRY_MEM(spread, e);
    for (int64_t y = 0; y < img->height; y++)
        for (int64_t x = 0; x < img->width; x++)
            spread[y * img->width + x] = (int32_t)labels[y * height / img->height * width + x * width / img->width];
    return mask_overlay(out, spread, &(struct overlay){ palette, 256, 0.6F, 0, -1 }, e);
}

struct gallery {
    struct train_run *r;
    struct canvas *c;
    const struct batch *b;
    const struct tensor *out;
    struct arena *a;
};

static int tile(
    struct gallery *g, int place, const struct image *img, const char *caption, uint32_t color, struct err *e)
{
    double x = place % ACROSS * SIDE, y = place / ACROSS * (SIDE + CAPTION);
    double scale = (SIDE - 8.0) / (img->width > img->height ? img->width : img->height);
    TRY(canvas_image(g->c, img, x + 4, y + 4, img->width * scale, img->height * scale, g->a, e));
    canvas_text(g->c, x + SIDE / 2.0, y + SIDE + 12, 12, ALIGN_CENTER, color, caption);
    return 0;
}

static int show_class(struct gallery *g, int i, const struct image *img, struct err *e)
{
    char text[80], one[24], two[24];
    int64_t want = tensor_get_i64(g->b->target[0], i), got = best_class(g->out, i, 0);
    if (want == got) snprintf(text, sizeof text, "%.20s", class_name(g->r, got, one));
    else snprintf(text, sizeof text, "%.12s, is %.12s", class_name(g->r, got, one), class_name(g->r, want, two));
    return tile(g, i, img, text, want == got ? 0x107010 : 0xc02020, e);
}

static int show_mask(struct gallery *g, int i, const struct image *img, struct err *e)
{
    const struct shape *s = &g->b->target[0]->shape;
    int64_t n = s->dim[1] * s->dim[2], *got = ARENA_ARRAY(g->a, n, int64_t);
    const int64_t *want = (const int64_t *)g->b->target[0]->data + i * n;
    struct image truth, answer;
    TRY_MEM(got, e);
    for (int64_t k = 0; k < n; k++) got[k] = best_class(g->out, i, k);
    TRY(painted(&truth, img, want, s->dim[1], s->dim[2], g->a, e));
    TRY(painted(&answer, img, got, s->dim[1], s->dim[2], g->a, e));
    TRY(tile(g, 3 * i, img, "image", 0x303030, e));
    TRY(tile(g, 3 * i + 1, &truth, "mask", 0x303030, e));
    return tile(g, 3 * i + 2, &answer, "answer", 0x303030, e);
}

static int draw_samples(struct train_run *r, struct arena *a, struct err *e)
{
    bool masks = r->task->target == SAMPLE_MASK;
    size_t count = masks ? SAMPLES / 3 * 2 : SAMPLES, order[SAMPLES], n = r->model.graph->n_inputs;
    const char *path = folder_file(a, r->folder, "samples.png", e);
    struct batch b;
    if (!path) return e->code;
    if (count > r->valid.n) count = r->valid.n;
    for (size_t i = 0; i < count; i++) order[i] = i;
    TRY(samples_batch(&r->valid, 0, order, count, a, &b, e));
    if (!b.n) return 0;
    const struct tensor **in = ARENA_ARRAY(a, n + MOST_HEADS, const struct tensor *);
    struct tensor *out = ARENA_ARRAY(a, r->judging->n_outputs, struct tensor);
    if (!in || !out) return fail_nomem(e);
    for (size_t i = 0; i < n; i++) in[i] = b.in[i];
    for (size_t i = 0; i < b.n_heads; i++) in[n + i] = b.target[i];
    TRY(session_run(r->judge_session, in, out, e));
    int tiles = (int)b.n * (masks ? 3 : 1), rows = (tiles + ACROSS - 1) / ACROSS;
    struct gallery g = { r, canvas_new(a, ACROSS * SIDE, rows * (SIDE + CAPTION), e), &b, out, a };
    for (int i = 0; g.c && i < b.n && !e->code; i++) {
        struct image img;
        if (!samples_picture(&r->valid, b.rows[i], a, &img, e))
            masks ? show_mask(&g, i, &img, e) : show_class(&g, i, &img, e);
    }
    return g.c && !e->code ? canvas_write(g.c, path, a, e) : e->code;
}

int run_pictures(struct train_run *r, struct err *e)
{
    struct arena a;
    struct err local = { 0 };
    arena_init(&a, NULL);
    bool images = r->model.preprocess[0] && r->valid.n && r->judges[0].classes;
    if (!draw_curves(r, &a, &local) && r->valid.n && r->judges[0].classes && r->judges[0].samples)
        draw_confusion(r, &a, &local);
    if (!local.code && images) draw_samples(r, &a, &local);
    arena_release(&a);
    if (local.code == ERR_UNSUPPORTED) return run_say(r, "note: %s", local.text), 0;
    return local.code ? fail(e, local.code, "%s", local.text) : 0;
}
