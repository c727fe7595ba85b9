/* process_size.c - images of one size, resized, cropped and padded by nodes of the graph.
 *
 * Pillow sums samples of 8 bits with weights of 22 fractional bits and rounds after each pass. In double these sums are
 * exact whatever their order (below 2^32 of 2^53), so each pass is a product with a constant matrix, and a floor. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "data/resample.h"
#include "enc/json.h"
#include "package/process.h"

enum { SIDE_MAX = 16384 };

/* Sums of pixels to pixels: (x + 2^21) / 2^22, downwards, in 0 .. 255. */
static struct value *rounded(struct process *p, struct value *x)
{
    const double one = (double)RESAMPLE_ONE;
    x = emit(p->b, "Add", NO_ATTRS, x, emit_scalar(p->b, DT_F64, one / 2));
    x = emit(p->b, "Floor", NO_ATTRS, emit(p->b, "Mul", NO_ATTRS, x, emit_scalar(p->b, DT_F64, 1 / one)));
    x = emit(p->b, "Max", NO_ATTRS, x, emit_scalar(p->b, DT_F64, 0));
    return emit(p->b, "Min", NO_ATTRS, x, emit_scalar(p->b, DT_F64, 255));
}

/* (to, from): what each pixel of the result takes of each of the source, times 2^22 */
static struct value *matrix(struct process *p, int64_t from, int64_t to, enum resample_filter filter)
{
    struct shape s = shape_of(2, (int64_t[]){ to, from });
    struct tensor *t = tensor_new(p->b->g->arena, DT_F64, &s, p->b->err);
    if (!t || resample_matrix(t->data, p->b->g->arena, (int)from, (int)to, filter, p->b->err)) return NULL;
    return emit_const(p->b, t);
}

static struct value *reshaped(struct process *p, struct value *x, int64_t a, int64_t b, int64_t c)
{
    int64_t dims[] = { 0, a, b, c }; /* as many images as there are */
    return emit(p->b, "Reshape", NO_ATTRS, x, emit_i64s(p->b, dims, c ? 4 : 3));
}

/* Columns first, then rows; a pass that would change nothing is left out. (N, H, W, C) */
static void resize(struct process *p, struct extent to, enum resample_filter filter)
{
    int64_t channels = p->v->shape.dim[3];
    struct value *x = emit_cast(p->b, p->v, DT_F64);
    if (to.width != p->at.width)
        x = rounded(p, emit(p->b, "MatMul", NO_ATTRS, matrix(p, p->at.width, to.width, filter), x));
    if (to.height != p->at.height) {
        x = reshaped(p, x, p->at.height, to.width * channels, 0);
        x = rounded(p, emit(p->b, "MatMul", NO_ATTRS, matrix(p, p->at.height, to.height, filter), x));
        x = reshaped(p, x, to.height, to.width, channels);
    }
    p->v = emit_cast(p->b, x, DT_U8);
    p->at = to;
}

/* Where the window begins, and how large it is; `fill` outside of the image. */
static void window(struct process *p, int64_t left, int64_t top, struct extent size, double fill)
{
    int64_t right = left + size.width, bottom = top + size.height, axes[] = { 1, 2 };
    int64_t from[] = { top > 0 ? top : 0, left > 0 ? left : 0 };
    int64_t to[] = { bottom < p->at.height ? bottom : p->at.height, right < p->at.width ? right : p->at.width };
    int64_t pads[8] = { 0, top < 0 ? -top : 0, left < 0 ? -left : 0, 0, 0,
        bottom > p->at.height ? bottom - p->at.height : 0, right > p->at.width ? right - p->at.width : 0, 0 };
    struct value *x = emit_cast(p->b, p->v, DT_F32); /* old operator sets pad floats only */
    x = emit(p->b, "Slice", NO_ATTRS, x, emit_i64s(p->b, from, 2), emit_i64s(p->b, to, 2), emit_i64s(p->b, axes, 2));
    if (pads[1] || pads[2] || pads[5] || pads[6])
        x = emit(p->b, "Pad", NO_ATTRS, x, emit_i64s(p->b, pads, 8), emit_scalar(p->b, DT_F32, fill));
    p->v = emit_cast(p->b, x, DT_U8);
    p->at = size;
}

static struct extent size_of(struct process *p, const char *key)
{
    const json_t *v = json_object_get(p->step, key);
    const json_t *h = json_is_array(v) ? json_array_get(v, 0) : v, *w = json_is_array(v) ? json_array_get(v, 1) : v;
    if (!w) w = h;
    return (struct extent){ (int64_t)json_number_value(w), (int64_t)json_number_value(h) };
}

static int fill_of(struct process *p, double otherwise, double *out)
{
    const json_t *v = json_object_get(p->step, "value");
    *out = json_is_number(v) ? json_number_value(v) : otherwise;
    for (size_t i = 0; i < json_array_size(v); i++) {
        if (i && json_number_value(json_array_get(v, i)) != *out)
            return fail(p->b->err, ERR_UNSUPPORTED, "a fill of several values");
        *out = json_number_value(json_array_get(v, i));
    }
    return 0;
}

static int put_resize(struct process *p)
{
    const char *mode = process_text(p, "mode", "exact"), *reference = process_text(p, "reference", "pillow-9.4");
    int filter = resample_filter_parse(process_text(p, "interpolation", "bilinear"));
    struct extent size = size_of(p, "size"), to = size;
    const json_t *antialias = json_object_get(p->step, "antialias"), *grow = json_object_get(p->step, "grow");
    if (strcmp(reference, "pillow-9.4") || filter <= RESAMPLE_NEAREST || json_is_false(antialias))
        return fail(p->b->err, ERR_UNSUPPORTED, "resizing as %s with %s is not done inside a graph; Pillow's is",
            reference, process_text(p, "interpolation", "bilinear"));
    if (!strcmp(mode, "shortest_edge"))
        to = extent_shortest_edge(p->at, size.height, (int64_t)process_number(p, "max_size", 0));
    if (!strcmp(mode, "longest_edge"))
        to = extent_longest_edge(p->at, size.height, !strcmp(process_text(p, "rounding", "floor"), "round"));
    if (strcmp(mode, "letterbox")) return resize(p, to, (enum resample_filter)filter), p->b->err->code;
    struct letterbox box = letterbox_fit(
        p->at, size, !json_is_false(grow), strcmp(process_text(p, "position", "center"), "top_left") != 0);
    double fill;
    TRY(fill_of(p, 114, &fill));
    resize(p, (struct extent){ box.width, box.height }, (enum resample_filter)filter);
    window(p, -box.left, -box.top, (struct extent){ box.out_width, box.out_height }, fill);
    return p->b->err->code;
}

static int64_t half_down(int64_t x)
{
    return x >= 0 ? x / 2 : -((1 - x) / 2);
}

static int put_crop(struct process *p)
{
    struct extent size = size_of(p, "size");
    bool even = strcmp(process_text(p, "rounding", "half_even"), "floor") != 0;
    int64_t left = even ? image_center(p->at.width, size.width) : half_down(p->at.width - size.width);
    int64_t top = even ? image_center(p->at.height, size.height) : half_down(p->at.height - size.height);
    window(p, left, top, size, 0);
    return p->b->err->code;
}

static int put_pad(struct process *p)
{
    struct extent by = size_of(p, "multiple_of");
    double fill;
    TRY(fill_of(p, 0, &fill));
    struct extent to = { (p->at.width + by.width - 1) / by.width * by.width,
        (p->at.height + by.height - 1) / by.height * by.height };
    window(p, 0, 0, to, fill);
    return p->b->err->code;
}

int process_size(struct process *p)
{
    const char *op = process_text(p, "op", "");
    if (p->at.width > SIDE_MAX || p->at.height > SIDE_MAX)
        return fail(
            p->b->err, ERR_USAGE, "images of more than %d pixels a side are not resized inside a graph", SIDE_MAX);
    return !strcmp(op, "resize") ? put_resize(p) : !strcmp(op, "pad") ? put_pad(p) : put_crop(p);
}
