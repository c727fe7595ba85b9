/* split.c - stratified splits and contact sheets. */
#include "data/split.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/rng.h"
#include "data/image_ops.h"
#include "data/mask.h"
#include "data/resample.h"

enum { SPLIT_PARTS = 8 };

struct drawn {
    int64_t class, row;
    double lot;
};

static int by_class_and_lot(const void *a, const void *b)
{
    const struct drawn *x = a, *y = b;
    if (x->class != y->class) return x->class < y->class ? -1 : 1;
    if (x->lot != y->lot) return x->lot < y->lot ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* Whole rows of a class of `n`, and one more for those parts that all classes before have given least to. `owed`: what
 * each part should have had so far, less what it has got. */
static void share_out(int64_t *counts, int64_t n, const double *shares, int n_parts, double sum, double *owed)
{
    int64_t left = n;
    for (int p = 0; p < n_parts; p++) {
        counts[p] = (int64_t)floor(shares[p] / sum * (double)n);
        left -= counts[p];
        owed[p] += shares[p] / sum * (double)n - (double)counts[p];
    }
    bool more[SPLIT_PARTS] = { false };
    for (; left > 0; left--) {
        int most = -1;
        for (int p = 0; p < n_parts; p++)
            if (!more[p] && (most < 0 || owed[p] > owed[most] + 1e-9)) most = p;
        more[most] = true;
        counts[most]++, owed[most]--;
    }
}

int split_rows(int *part, struct arena *a, const int64_t *class, int64_t n, const double *shares, int n_parts,
    uint64_t seed, struct err *e)
{
    double sum = 0, owed[SPLIT_PARTS] = { 0 };
    if (n_parts > SPLIT_PARTS) return fail(e, ERR_USAGE, "at most %d parts", SPLIT_PARTS);
    for (int p = 0; p < n_parts; p++) {
        if (!(shares[p] > 0) || !isfinite(shares[p])) return fail(e, ERR_USAGE, "a part's share must be positive");
        sum += shares[p];
    }
    struct drawn *rows = ARENA_ARRAY(a, n, struct drawn);
    TRY_MEM(rows, e);
    for (int64_t i = 0; i < n; i++) rows[i] = (struct drawn){ class[i], i, rng_uniform(seed, 0, (uint64_t)i) };
    if (n) qsort(rows, (size_t)n, sizeof *rows, by_class_and_lot);
    for (int64_t begin = 0, end; begin < n; begin = end) {
        int64_t counts[SPLIT_PARTS], at = begin;
        for (end = begin; end < n && rows[end].class == rows[begin].class;) end++;
        share_out(counts, end - begin, shares, n_parts, sum, owed);
        for (int p = 0; p < n_parts; p++)
            for (int64_t k = 0; k < counts[p]; k++) part[rows[at++].row] = p;
    }
    return 0;
}

static int paint_mask(struct image *img, const struct table *t, const struct row *row, struct arena *a, struct err *e)
{
    struct image mask;
    uint8_t voc[256 * 3];
    int column = table_column(t, ROLE_MASK, 0);
    if (column < 0 || (!row->cells[column].path && !row->cells[column].bytes.data)) return 0;
    TRY(row_mask(t, row, column, a, &mask, e));
    TRY(image_resize(&mask, a, &mask, img->width, img->height, RESAMPLE_NEAREST, NULL, 1, e));
    size_t n = (size_t)img->width * (size_t)img->height;
    int32_t *labels = ARENA_ARRAY(a, n, int32_t);
    TRY_MEM(labels, e);
    for (size_t i = 0; i < n; i++)
        labels[i] = mask.bits == 16 ? ((const uint16_t *)(const void *)mask.pixels)[i] : mask.pixels[i];
    palette_voc(voc);
    return mask_overlay(img, labels, &(struct overlay){ voc, 256, 0.5f, 0, 255 }, e);
}

static int draw_boxes(struct image *img, const struct table *t, const struct row *row, struct arena *a, struct err *e)
{
    struct box *boxes;
    uint8_t voc[256 * 3];
    size_t n;
    int column = table_column(t, ROLE_BOXES, 0);
    if (column < 0) return 0;
    TRY(row_boxes(t, row, column, a, &boxes, &n, e));
    palette_voc(voc);
    for (size_t i = 0; i < n; i++) {
        const struct box *b = &boxes[i];
        double w = img->width, h = img->height;
        const double corners[4] = { (b->x - b->width / 2) * w, (b->y - b->height / 2) * h,
            (b->x + b->width / 2) * w, (b->y + b->height / 2) * h };
        image_frame(img, corners, voc + (b->class + 1) % 256 * 3);
    }
    return 0;
}

/* A row as it fits into a square of `side` pixels. */
static int thumbnail(
    struct image *out, const struct table *t, const struct row *row, int side, struct arena *a, struct err *e)
{
    struct image img;
    TRY(row_image(t, row, table_column(t, ROLE_IMAGE, 0), a, NULL, &img, e));
    if (img.bits == 16) TRY(image_to_8bit(&img, a, &img, e));
    struct letterbox box = letterbox_fit(
        (struct extent){ img.width, img.height }, (struct extent){ side, side }, true, true);
    TRY(image_convert(&img, a, &img, IMAGE_RGB, e));
    TRY(image_resize(out, a, &img, box.width, box.height, RESAMPLE_BILINEAR, NULL, 1, e));
    TRY(paint_mask(out, t, row, a, e));
    return draw_boxes(out, t, row, a, e);
}

static int paste(struct image *sheet, struct table *t, int64_t i, int side, int across, struct err *e)
{
    static const uint8_t red[3] = { 220, 30, 30 };
    struct arena scratch;
    struct row row;
    struct image small = { 0 };
    struct err bad = { 0 };
    uint8_t voc[256 * 3];
    int64_t left = i % across * (side + 6) + 3, top = i / across * (side + 6) + 3, class = -1;
    arena_init(&scratch, NULL);
    int got = table_row(t, i, &scratch, &row, &bad);
    if (got > 0 && !thumbnail(&small, t, &row, side, &scratch, &bad)) {
        int64_t x0 = left + (side - small.width) / 2, y0 = top + (side - small.height) / 2;
        for (int y = 0; y < small.height; y++)
            for (int x = 0; x < small.width; x++)
                image_dot(sheet, x0 + x, y0 + y, small.pixels + ((size_t)y * (size_t)small.width + (size_t)x) * 3);
        int label = table_column(t, ROLE_LABEL, 0);
        if (label >= 0) row_class(t, &row, label, &class, &(struct err){ 0 });
        palette_voc(voc);
        for (int k = 1; k < 3 && class >= 0; k++)
            image_frame(sheet,
                (const double[]){ (double)(left - k), (double)(top - k), (double)(left + side + k - 1),
                    (double)(top + side + k - 1) },
                voc + (class + 1) % 256 * 3);
    } else {
        for (int k = 0; k < side; k++)
            image_dot(sheet, left + k, top + k, red), image_dot(sheet, left + side - 1 - k, top + k, red);
    }
    arena_release(&scratch);
    return bad.code == ERR_NOMEM ? fail_nomem(e) : 0;
}

int contact_sheet(struct image *out, struct arena *a, struct table *t, int64_t n, int side, int across, struct err *e)
{
    if (table_column(t, ROLE_IMAGE, 0) < 0)
        return fail(e, ERR_USAGE, "%s: no column of images: say which, as in --columns image=NAME", table_path(t));
    TRY(table_index(t, e));
    if (n > table_count(t)) n = table_count(t);
    if (across > n && n) across = (int)n;
    TRY(image_new(out, a, (int64_t)across * (side + 6), (n + across - 1) / across * (side + 6), 3, 8, 0, e));
    memset(out->pixels, 245, image_row_bytes(out) * (size_t)out->height);
    for (int64_t i = 0; i < n; i++) TRY(paste(out, t, i, side, across, e));
    return 0;
}
