/* col2im.c - windows of an image as columns, and columns summed back into an image, in any number of dimensions.
 *
 * Columns are (N, C * prod(block), L): L windows, in the order of the positions of their first elements. */
#include <string.h>

#include "base/err.h"
#include "graph/known.h"
#include "ops/gradient.h"
#include "ops/infer.h"
#include "ops/mover.h"

enum { SPATIAL_MAX = SHAPE_MAX - 2 };

struct windows {
    int n;                                          /* spatial dimensions */
    int64_t image[SPATIAL_MAX], block[SPATIAL_MAX]; /* DIM_UNKNOWN where not known */
    int64_t dilation[SPATIAL_MAX], stride[SPATIAL_MAX], begin[SPATIAL_MAX], end[SPATIAL_MAX];
    int64_t count[SPATIAL_MAX]; /* windows along each; DIM_UNKNOWN */
};

/* An attribute of `count` numbers, each in [low, 2^31); `fallback` where it is absent. */
static int read_ints(
    const struct node *n, const char *name, int count, int64_t low, int64_t fallback, int64_t *out, struct err *e)
{
    size_t given;
    const int64_t *v = node_ints(n, name, &given);
    if (v && given != (size_t)count) return fail(e, ERR_SHAPE, "%s has %zu entries, expected %d", name, given, count);
    for (int i = 0; i < count; i++) {
        out[i] = v ? v[i] : fallback;
        if (out[i] < low || out[i] > INT32_MAX) return fail(e, ERR_SHAPE, "%s[%d] is %lld", name, i, (long long)out[i]);
    }
    return 0;
}

/* Completes w, whose n, image and block are set. */
static int read_windows(const struct node *n, struct windows *w, struct err *e)
{
    int64_t pads[2 * SPATIAL_MAX];
    TRY(read_ints(n, "dilations", w->n, 1, 1, w->dilation, e));
    TRY(read_ints(n, "strides", w->n, 1, 1, w->stride, e));
    TRY(read_ints(n, "pads", 2 * w->n, 0, 0, pads, e));
    for (int d = 0; d < w->n; d++) {
        w->begin[d] = pads[d];
        w->end[d] = pads[d + w->n];
        w->count[d] = DIM_UNKNOWN;
        if (w->image[d] > INT64_MAX / 4 || w->block[d] > INT32_MAX)
            return fail(e, ERR_SHAPE, "the image or the block is too large along dimension %d", d);
        if (w->block[d] == 0) return fail(e, ERR_SHAPE, "the block is empty along dimension %d", d);
        if (w->image[d] < 0 || w->block[d] < 0) continue;
        int64_t room = w->image[d] + w->begin[d] + w->end[d] - w->dilation[d] * (w->block[d] - 1) - 1;
        if (room < 0) return fail(e, ERR_SHAPE, "the block is larger than the padded image along dimension %d", d);
        w->count[d] = room / w->stride[d] + 1;
    }
    return 0;
}

static int product(const int64_t *dims, int n, int64_t *out, struct err *e)
{
    *out = 1;
    for (int d = 0; d < n; d++) TRY(dim_times(out, dims[d], e));
    return 0;
}

/* ---- inference ---- */

static int block_of(const struct node *n, int max, struct windows *w, struct err *e)
{
    size_t count;
    const int64_t *kernel = node_ints(n, "kernel_shape", &count);
    if (count < 1 || count > (size_t)max) return fail(e, ERR_SHAPE, "kernel_shape has %zu entries", count);
    w->n = (int)count;
    memcpy(w->block, kernel, count * sizeof *kernel);
    for (int d = 0; d < w->n; d++)
        if (w->block[d] < 1) return fail(e, ERR_SHAPE, "kernel_shape[%d] is %lld", d, (long long)w->block[d]);
    return 0;
}

static int im2col_infer(struct node *n, struct err *e)
{
    struct windows w;
    const struct shape *x = &n->in[0]->shape;
    struct shape s = shape_of(3, (int64_t[]){ DIM_UNKNOWN, DIM_UNKNOWN, DIM_UNKNOWN });
    TRY(infer_type(n, 0, TYPES_NUMBER, e));
    TRY(block_of(n, SPATIAL_MAX, &w, e));
    TRY(infer_rank(n, 0, w.n + 2, w.n + 2, e));
    for (int d = 0; d < w.n; d++) w.image[d] = x->rank < 0 ? DIM_UNKNOWN : x->dim[d + 2];
    TRY(read_windows(n, &w, e));
    if (x->rank >= 0) {
        s.dim[0] = x->dim[0];
        TRY(product(w.block, w.n, &s.dim[1], e));
        TRY(dim_times(&s.dim[1], x->dim[1], e));
        TRY(product(w.count, w.n, &s.dim[2], e));
    }
    return infer_sized(n, 0, n->in[0]->dtype, &s, e);
}

/* Image and block of Col2Im from lists of either reading; 0 spatial dimensions: not known. */
static int sizes_of(const struct ints *image, const struct ints *block, struct windows *w, struct err *e)
{
    w->n = image->n >= 0 ? image->n : block->n >= 0 ? block->n : 0;
    if (image->n >= 0 && block->n >= 0 && image->n != block->n)
        return fail(e, ERR_SHAPE, "image_shape has %d entries, block_shape %d", image->n, block->n);
    if (w->n > SPATIAL_MAX || (!w->n && (image->n == 0 || block->n == 0)))
        return fail(e, ERR_SHAPE, "%d spatial dimensions, expected 1 to %d", w->n, SPATIAL_MAX);
    for (int d = 0; d < w->n; d++) {
        w->image[d] = image->n < 0 ? DIM_UNKNOWN : dim_from_known(image->at[d]);
        w->block[d] = block->n < 0 ? DIM_UNKNOWN : dim_from_known(block->at[d]);
        if ((image->n >= 0 && known_is_number(image->at[d]) && image->at[d] < 0) ||
            (block->n >= 0 && known_is_number(block->at[d]) && block->at[d] < 1))
            return fail(e, ERR_SHAPE, "image_shape or block_shape is too small along dimension %d", d);
    }
    return 0;
}

/* Columns (N, C * prod(block), L) against the windows. `channels`: C, or DIM_UNKNOWN. */
static int check_columns(const struct shape *x, const struct windows *w, int64_t *channels, struct err *e)
{
    int64_t block, count;
    *channels = DIM_UNKNOWN;
    TRY(product(w->block, w->n, &block, e));
    TRY(product(w->count, w->n, &count, e));
    if (x->rank < 0) return 0;
    if (x->dim[2] >= 0 && count >= 0 && x->dim[2] != count)
        return fail(
            e, ERR_SHAPE, "%lld columns, but the image has %lld windows", (long long)x->dim[2], (long long)count);
    if (x->dim[1] < 0 || block < 0) return 0;
    if (x->dim[1] % block)
        return fail(
            e, ERR_SHAPE, "%lld rows are no multiple of the block's %lld", (long long)x->dim[1], (long long)block);
    *channels = x->dim[1] / block;
    return 0;
}

static int col2im_infer(struct node *n, struct err *e)
{
    struct ints image, block;
    struct windows w;
    const struct shape *x = &n->in[0]->shape;
    struct shape s = shape_unknown();
    TRY(infer_type(n, 0, TYPES_NUMBER, e));
    TRY(infer_rank(n, 0, 3, 3, e));
    TRY(infer_list(n, 1, "image_shape", &image, e));
    TRY(infer_list(n, 2, "block_shape", &block, e));
    TRY(sizes_of(&image, &block, &w, e));
    if (w.n) {
        TRY(read_windows(n, &w, e));
        s.rank = w.n + 2;
        s.dim[0] = x->rank < 0 ? DIM_UNKNOWN : x->dim[0];
        TRY(check_columns(x, &w, &s.dim[1], e));
        for (int d = 0; d < w.n; d++) s.dim[d + 2] = w.image[d];
    }
    return infer_sized(n, 0, n->in[0]->dtype, &s, e);
}

/* ---- kernels ---- */

/* Along dimension d, the windows whose element k lies in the image: [*first, *last); where that of the first lies. */
static int64_t span_of(const struct windows *w, int d, int64_t k, int64_t *first, int64_t *last)
{
    int64_t at = k * w->dilation[d] - w->begin[d], stride = w->stride[d];
    *first = at < 0 ? (-at + stride - 1) / stride : 0;
    *last = at >= w->image[d] ? 0 : (w->image[d] - at + stride - 1) / stride;
    if (*last > w->count[d]) *last = w->count[d];
    if (*first > *last) *first = *last;
    return at + *first * stride;
}

/* Visits every (plane, element of the block): a regular part of the image against one of a row of columns. */
struct visit {
    const struct windows *w;
    int64_t image_size, columns;
};

static void part_of(const struct visit *v, int64_t k, struct move *m, int64_t *in_image, int64_t *in_row)
{
    const struct windows *w = v->w;
    int64_t image_stride = v->image_size, row_stride = v->columns, element_of[SPATIAL_MAX];
    for (int d = w->n - 1; d >= 0; d--) {
        element_of[d] = k % w->block[d];
        k /= w->block[d];
    }
    *in_image = *in_row = 0;
    *m = (struct move){ 0 };
    for (int d = 0; d < w->n; d++) {
        int64_t first, last, at = span_of(w, d, element_of[d], &first, &last);
        image_stride = w->image[d] ? image_stride / w->image[d] : 0;
        row_stride = w->count[d] ? row_stride / w->count[d] : 0;
        move_add(m, last - first, row_stride, image_stride * w->stride[d]);
        *in_row += first * row_stride;
        *in_image += last > first ? at * image_stride : 0;
    }
}

/* Adds a row's part to the image's. */
static void add_part(
    const struct move *m, const struct tensor *image, int64_t to, const struct tensor *columns, int64_t from)
{
    int64_t index[MOVE_MAX] = { 0 };
    int last = m->rank - 1;
    for (int d = 0; d <= last; d++)
        if (!m->dim[d]) return;
    for (;;) {
        for (int64_t i = 0; i < m->dim[last]; i++)
            combine(COMBINE_ADD, image->dtype, element(image, to + i * m->from[last]),
                element(columns, from + i * m->to[last]), 1);
        int d = last - 1;
        for (; d >= 0; d--) {
            to += m->from[d];
            from += m->to[d];
            if (++index[d] < m->dim[d]) break;
            to -= m->from[d] * m->dim[d];
            from -= m->to[d] * m->dim[d];
            index[d] = 0;
        }
        if (d < 0) return;
    }
}

/* Both directions: `image` (N, C, *image), `columns` (N, C * prod(block), L). */
static int visit_all(const struct step *s, const struct windows *w, const struct tensor *image,
    const struct tensor *columns, bool sum, struct err *e)
{
    struct visit v = { w, shape_span(&image->shape, 2, image->shape.rank), columns->shape.dim[2] };
    int64_t block, planes = image->shape.dim[0] * image->shape.dim[1], in_image, in_row;
    TRY(product(w->block, w->n, &block, e));
    if (columns->shape.dim[1] != image->shape.dim[1] * block)
        return fail(e, ERR_SHAPE, "the columns do not fit the image");
    struct tensor *y = s->out[0];
    memset(y->data, 0, (size_t)tensor_bytes(y));
    for (int64_t k = 0; k < block; k++) {
        struct move m;
        part_of(&v, k, &m, &in_image, &in_row);
        for (int64_t p = 0; p < planes; p++) {
            int64_t i = p * v.image_size + in_image, c = (p * block + k) * v.columns + in_row;
            if (sum) add_part(&m, image, i, columns, c);
            else if (tensor_count(image) && tensor_count(columns))
                move_run(&m, s->threads, dtype_size(y->dtype), element(columns, c), element(image, i));
        }
    }
    return 0;
}

static int im2col_run(const struct step *s, struct err *e)
{
    struct windows w;
    TRY(block_of(s->node, s->in[0]->shape.rank - 2, &w, e));
    memcpy(w.image, s->in[0]->shape.dim + 2, (size_t)w.n * sizeof *w.image);
    TRY(read_windows(s->node, &w, e));
    return visit_all(s, &w, s->in[0], s->out[0], false, e);
}

static int col2im_run(const struct step *s, struct err *e)
{
    struct ints image, block;
    struct windows w;
    int64_t channels;
    TRY(step_list(s, 1, "image_shape", &image, e));
    TRY(step_list(s, 2, "block_shape", &block, e));
    TRY(sizes_of(&image, &block, &w, e));
    TRY(read_windows(s->node, &w, e));
    TRY(check_columns(&s->in[0]->shape, &w, &channels, e));
    return visit_all(s, &w, s->out[0], s->in[0], true, e);
}

/* ---- gradients: of each other ---- */

static int copy_geometry(const struct node *n, struct attr *to)
{
    int count = 0;
    static const char *const names[] = { "dilations", "pads", "strides" };
    for (int i = 0; i < 3; i++)
        if (node_attr(n, names[i])) to[count++] = *node_attr(n, names[i]);
    return count;
}

static int im2col_grad(struct grad *g)
{
    struct builder *b = g->b;
    struct attr attrs[4] = { { 0 } };
    size_t count;
    const int64_t *kernel = node_ints(g->node, "kernel_shape", &count);
    copy_geometry(g->node, attrs);
    struct value *image = emit(b, "Shape", ATTRS(attr_int("start", 2)), g->node->in[0]);
    g->dx[0] = emit(b, "Col2Im", attrs, g->dy[0], image, emit_i64s(b, kernel, count));
    return 0;
}

static int col2im_grad(struct grad *g)
{
    struct attr attrs[5] = { { 0 } };
    struct ints block;
    TRY(infer_list(g->node, 2, "block_shape", &block, g->b->err));
    if (block.n < 0 || !block.all)
        return fail(g->b->err, ERR_UNSUPPORTED, "a gradient needs a block_shape that is known beforehand");
    int count = copy_geometry(g->node, attrs);
    attrs[count] = attr_ints("kernel_shape", block.at, (size_t)block.n);
    g->dx[0] = emit(g->b, "Im2Col", attrs, g->dy[0]);
    return 0;
}

#define GEOMETRY \
    { "dilations", ATTR_INTS, ATTR_OPTIONAL, .doc = "distance of a block's elements; absent: 1" }, \
        { "pads", ATTR_INTS, ATTR_OPTIONAL, .doc = "at the beginning of each dimension, then at the end; absent: 0" }, \
    { \
        "strides", ATTR_INTS, ATTR_OPTIONAL, .doc = "distance of windows; absent: 1" \
    }
static const struct attr_spec col2im_attrs[] = { GEOMETRY, { 0 } };
static const struct attr_spec im2col_attrs[] = {
    { "kernel_shape", ATTR_INTS, ATTR_REQUIRED, .doc = "size of a window" },
    GEOMETRY,
    { 0 },
};

const struct op ops_col2im[] = {
    { .name = "Col2Im",
        .doc = "columns summed into an image, of (columns, image_shape, block_shape)",
        .min_in = 3,
        .max_in = 3,
        .min_out = 1,
        .max_out = 1,
        .attrs = col2im_attrs,
        .infer = col2im_infer,
        .run = col2im_run,
        .grad = col2im_grad,
        .samples = "f32[1,5,5] i64{5,5} i64{1,5}; f32[2,12,9] i64{5,4} i64{2,3} | strides=2,1 pads=0,1,1,0;"
                   " f32[1,4,3] i64{9} i64{4} | dilations=2; f32[1,8,1] i64{3,3,3} i64{2,2,2} | dilations=2,2,2" },
    { .name = "Im2Col",
        .doc = "windows of an image as columns",
        .min_in = 1,
        .max_in = 1,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN,
        .attrs = im2col_attrs,
        .infer = im2col_infer,
        .run = im2col_run,
        .grad = im2col_grad,
        .samples = "f32[2,2,5,4] | kernel_shape=2,3 strides=2,1 pads=0,1,1,0; f32[1,2,7] | kernel_shape=3 dilations=3;"
                   " u8[1,1,3,3] | kernel_shape=2,2 strides=2,2; f32[1,1,3,3,3] | kernel_shape=2,2,2" },
    { 0 },
};
