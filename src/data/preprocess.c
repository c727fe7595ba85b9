/* preprocess.c - the steps from an image to a tensor. */
#include "data/preprocess.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/team.h"
#include "data/normalize.h"
#include "data/resample.h"
#include "data/resample_refs.h"
#include "data/steps.h"

enum { FILTER_AREA = N_RESAMPLE_FILTERS }; /* OpenCV's */

enum resize_mode { RESIZE_SHORTEST, RESIZE_LONGEST, RESIZE_EXACT, RESIZE_LETTERBOX };
static const char *const resize_modes[] = { "shortest_edge", "longest_edge", "exact", "letterbox", NULL };
static const char *const colors[] = { "GRAY", "RGB", "BGR", "RGBA", NULL }; /* enum image_color */
static const char *const layouts[] = { "NCHW", "NHWC", NULL };
static const char *const arithmetics[] = { "divide", "multiply", "multiply_float32", NULL };
static const char *const references[] = { "pillow-9.4", "opencv-4.6", "torchvision-0.14-tensor", NULL };
static const char *const orientations[] = { "ignore", "apply", NULL };
static const char *const roundings[] = { "floor", "round", NULL };
/* where an odd number of pixels is cut: as torchvision does it, and as Hugging Face does */
static const char *const crop_roundings[] = { "half_even", "floor", NULL };
static const char *const positions[] = { "center", "top_left", NULL };
static const char *const filters[] = { "nearest", "box", "bilinear", "hamming", "bicubic", "lanczos", "area", NULL };

struct preprocess_kind;
struct preprocess_step {
    const struct preprocess_kind *kind;
    int mode, choice; /* resize mode, colour, arithmetic, layout; rounding, position, orientation */
    int filter, reference, method; /* of a resize; reference: enum resample_reference */
    int64_t height, width; /* sizes; pad multiple */
    int64_t max_size;
    bool high_byte, grow;
    double factor;
    int n_mean, n_std;
    double mean[4], std[4];
    uint8_t fill[4];
};

struct work {
    struct arena *arena;
    struct image img;
    struct provenance *from;
    struct normalization norm;
    bool planar, labels; /* labels: the pixels are numbers of classes and must not be mixed */
    uint8_t outside[4];  /* the label of what lies outside the image */
    int threads;
};

struct preprocess_kind {
    const char *name;
    int (*parse)(struct preprocess_step *s, struct step_reader *r);
    int (*run)(const struct preprocess_step *s, struct work *w, struct err *e);
    bool floats; /* acts on the pixels when they become floats, not before */
};

static void parse_size(struct preprocess_step *s, struct step_reader *r, const char *key)
{
    double v[2];
    int n = step_numbers(r, key, v, 2);
    for (int i = 0; i < n; i++)
        if (!(v[i] >= 1 && v[i] <= 65536) || v[i] != (double)(int64_t)v[i])
            fail(r->err, ERR_USAGE, "%s: \"%s\" must be whole numbers from 1 to 65536", r->where, key);
    if (r->err->code) return;
    if (!n) {
        fail(r->err, ERR_USAGE, "%s: \"%s\" is missing", r->where, key);
        return;
    }
    s->height = (int64_t)v[0];
    s->width = (int64_t)v[n - 1];
}

static void parse_fill(struct preprocess_step *s, struct step_reader *r)
{
    double v[4];
    int n = step_numbers(r, "value", v, 4);
    for (int i = 0; n && i < 4; i++) s->fill[i] = (uint8_t)v[i < n ? i : n - 1];
}

static int parse_decode(struct preprocess_step *s, struct step_reader *r)
{
    s->mode = step_choice(r, "color_space", colors, IMAGE_RGB);
    s->choice = step_choice(r, "exif_orientation", orientations, 0);
    s->high_byte = step_bool(r, "high_byte", false); /* of 16-bit gray; else it is clipped, as Pillow does */
    return 0;
}

static int run_decode(const struct preprocess_step *s, struct work *w, struct err *e)
{
    if (s->choice) TRY(image_orient(&w->img, w->arena, &w->img, e));
    if (w->labels) return 0;
    if (s->high_byte) TRY(image_to_8bit(&w->img, w->arena, &w->img, e));
    w->from->original = (struct extent){ w->img.width, w->img.height };
    return image_convert(&w->img, w->arena, &w->img, (enum image_color)s->mode, e);
}

static int parse_resize(struct preprocess_step *s, struct step_reader *r)
{
    s->mode = step_choice(r, "mode", resize_modes, RESIZE_EXACT);
    s->filter = step_choice(r, "interpolation", filters, RESAMPLE_BILINEAR);
    s->choice = step_choice(r, s->mode == RESIZE_LETTERBOX ? "position" : "rounding",
        s->mode == RESIZE_LETTERBOX ? positions : roundings, 0);
    s->reference = step_choice(r, "reference", references, 0);
    s->max_size = step_int(r, "max_size", 0, 0, 65536);
    s->grow = step_bool(r, "grow", true);
    bool antialias = step_bool(r, "antialias", s->reference != RESAMPLE_OPENCV);
    s->method = s->filter == FILTER_AREA ? METHOD_AREA : antialias ? METHOD_LINEAR_ANTIALIAS : METHOD_LINEAR;
    bool linear = s->filter == RESAMPLE_BILINEAR, area = s->filter == FILTER_AREA;
    bool pillow = !area && antialias, opencv = area || (linear && !antialias);
    bool nearest = s->filter == RESAMPLE_NEAREST && s->reference == RESAMPLE_PILLOW;
    if (!nearest && !(s->reference == RESAMPLE_PILLOW ? pillow : s->reference == RESAMPLE_OPENCV ? opencv : linear))
        fail(r->err, ERR_UNSUPPORTED,
            "%s: %s does not do that: pillow-9.4 has all but area, with antialias; opencv-4.6 bilinear and area, "
            "without; torchvision-0.14-tensor bilinear, with and without",
            r->where, references[s->reference]);
    memset(s->fill, 114, sizeof s->fill);
    parse_fill(s, r);
    parse_size(s, r, "size");
    return 0;
}

/* What is put around the image: labels have a colour of their own. */
static const uint8_t *outside(const struct work *w, const uint8_t *fill)
{
    return w->labels ? w->outside : fill;
}

/* Every reference leaves an image alone that has the size. */
static int resize_to(const struct preprocess_step *s, struct work *w, struct extent to, struct err *e)
{
    enum resample_filter filter = w->labels ? RESAMPLE_NEAREST : (enum resample_filter)s->filter;
    if (to.width == w->img.width && to.height == w->img.height) return 0;
    if (s->reference == RESAMPLE_PILLOW || filter == RESAMPLE_NEAREST)
        return image_resize(&w->img, w->arena, &w->img, to.width, to.height, filter, NULL, w->threads, e);
    return image_resize_as(&w->img, w->arena, &w->img, to.width, to.height, (enum resample_reference)s->reference,
        (enum resample_method)s->method, e);
}

static int run_resize(const struct preprocess_step *s, struct work *w, struct err *e)
{
    struct extent in = { w->img.width, w->img.height }, to = { s->width, s->height };
    if (s->mode == RESIZE_SHORTEST) to = extent_shortest_edge(in, s->height, s->max_size);
    if (s->mode == RESIZE_LONGEST) to = extent_longest_edge(in, s->height, s->choice == 1);
    struct letterbox box = { 0 };
    if (s->mode == RESIZE_LETTERBOX) {
        box = letterbox_fit(in, to, s->grow, s->choice == 0);
        to = (struct extent){ box.width, box.height };
    }
    TRY(resize_to(s, w, to, e));
    if (s->mode != RESIZE_LETTERBOX) return 0;
    w->from->letterbox = box;
    return image_window(
        &w->img, w->arena, &w->img, -box.left, -box.top, box.out_width, box.out_height, outside(w, s->fill), e);
}

static int parse_crop(struct preprocess_step *s, struct step_reader *r)
{
    parse_size(s, r, "size");
    s->choice = step_choice(r, "rounding", crop_roundings, 0);
    return 0;
}

static int64_t half_down(int64_t x)
{
    return x >= 0 ? x / 2 : -((1 - x) / 2);
}

static int run_crop(const struct preprocess_step *s, struct work *w, struct err *e)
{
    int64_t left = half_down(w->img.width - s->width), top = half_down(w->img.height - s->height);
    if (s->choice == 0) left = image_center(w->img.width, s->width), top = image_center(w->img.height, s->height);
    return image_window(&w->img, w->arena, &w->img, left, top, s->width, s->height, outside(w, NULL), e);
}

static int parse_pad(struct preprocess_step *s, struct step_reader *r)
{
    parse_size(s, r, "multiple_of");
    parse_fill(s, r);
    return 0;
}

/* Right and below, to a multiple of (height, width). */
static int run_pad(const struct preprocess_step *s, struct work *w, struct err *e)
{
    int64_t width = (w->img.width + s->width - 1) / s->width * s->width;
    int64_t height = (w->img.height + s->height - 1) / s->height * s->height;
    return image_window(&w->img, w->arena, &w->img, 0, 0, width, height, outside(w, s->fill), e);
}

static int parse_rescale(struct preprocess_step *s, struct step_reader *r)
{
    s->factor = step_number(r, "factor", 255);
    s->mode = step_choice(r, "arithmetic", arithmetics, 0);
    if (s->factor == 0) fail(r->err, ERR_USAGE, "%s: \"factor\" is 0", r->where);
    return 0;
}

static int run_rescale(const struct preprocess_step *s, struct work *w, struct err *e)
{
    w->norm.rescale = (enum rescale)(RESCALE_DIVIDE + s->mode);
    w->norm.factor = s->factor;
    return 0;
}

static int parse_normalize(struct preprocess_step *s, struct step_reader *r)
{
    s->n_mean = step_numbers(r, "mean", s->mean, 4);
    s->n_std = step_numbers(r, "std", s->std, 4);
    s->factor = step_number(r, "scale", 0);
    for (int i = 0; i < s->n_std; i++)
        if (s->std[i] == 0) fail(r->err, ERR_USAGE, "%s: \"std\" holds a 0", r->where);
    return 0;
}

static int run_normalize(const struct preprocess_step *s, struct work *w, struct err *e)
{
    w->norm.has_mean = s->n_mean > 0;
    w->norm.has_std = s->n_std > 0;
    w->norm.scale = s->factor;
    for (int i = 0; i < 4; i++) {
        w->norm.mean[i] = s->mean[i < s->n_mean ? i : 0];
        w->norm.std[i] = s->n_std ? s->std[i < s->n_std ? i : 0] : 1;
    }
    bool fits = (s->n_mean <= 1 || s->n_mean == w->img.channels) && (s->n_std <= 1 || s->n_std == w->img.channels);
    return fits ? 0
                : fail(e, ERR_USAGE, "normalize: %d means and %d deviations for %d channels", s->n_mean, s->n_std,
                      w->img.channels);
}

static int parse_layout(struct preprocess_step *s, struct step_reader *r)
{
    s->mode = step_choice(r, "layout", layouts, 0);
    return 0;
}

static int run_layout(const struct preprocess_step *s, struct work *w, struct err *e)
{
    w->planar = s->mode == 0;
    return 0;
}

static const struct preprocess_kind kinds[] = {
    { "decode", parse_decode, run_decode },
    { "resize", parse_resize, run_resize },
    { "center_crop", parse_crop, run_crop },
    { "pad", parse_pad, run_pad },
    { "rescale", parse_rescale, run_rescale, true },
    { "normalize", parse_normalize, run_normalize, true },
    { "layout", parse_layout, run_layout, true },
};

static int parse_step(void *ctx, size_t i, int kind, struct step_reader *r)
{
    struct preprocess *p = ctx;
    p->steps[i].kind = &kinds[kind];
    TRY(kinds[kind].parse(&p->steps[i], r));
    if (kinds[kind].run == run_decode) p->color = (enum image_color)p->steps[i].mode;
    return 0;
}

int preprocess_parse(struct preprocess *p, struct arena *a, const json_t *list, const char *where, struct err *e)
{
    const char *names[sizeof kinds / sizeof kinds[0] + 1] = { NULL };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) names[i] = kinds[i].name;
    *p = (struct preprocess){ .n = json_array_size(list), .color = IMAGE_RGB };
    p->steps = ARENA_ARRAY(a, p->n < STEPS_MAX ? p->n : STEPS_MAX, struct preprocess_step);
    TRY_MEM(p->steps, e);
    return steps_parse(list, where, names, parse_step, p, e);
}

static int run_steps(const struct preprocess *p, struct work *w, bool floats, struct err *e)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->steps[i].kind->floats == floats) TRY(p->steps[i].kind->run(&p->steps[i], w, e));
    return 0;
}

int preprocess_pixels(const struct preprocess *p, struct arena *a, const struct image *img, struct provenance *from,
    int threads, struct err *e)
{
    *from = (struct provenance){ .original = { img->width, img->height } };
    struct work w = { .arena = a, .img = *img, .from = from, .threads = threads };
    TRY(run_steps(p, &w, false, e));
    from->seen = w.img;
    return 0;
}

int preprocess_labels(const struct preprocess *p, struct arena *a, const struct image *labels, uint8_t outside,
    struct image *out, struct err *e)
{
    struct provenance unused = { .original = { labels->width, labels->height } };
    struct work w = {
        .arena = a, .img = *labels, .from = &unused, .labels = true, .outside = { outside }, .threads = 1
    };
    if (labels->channels != 1 || labels->bits != 8)
        return fail(e, ERR_DATA, "a mask of %d channels of %d bits, expected one of 8", labels->channels, labels->bits);
    TRY(run_steps(p, &w, false, e));
    *out = w.img;
    return 0;
}

struct shape preprocess_shape(const struct preprocess *p, const struct image *seen)
{
    bool planar = true;
    for (size_t i = 0; i < p->n; i++)
        if (p->steps[i].kind->run == run_layout) planar = p->steps[i].mode == 0;
    int64_t c = seen->channels, h = seen->height, w = seen->width;
    return planar ? shape_of(4, (int64_t[]){ 1, c, h, w }) : shape_of(4, (int64_t[]){ 1, h, w, c });
}

int preprocess_floats(const struct preprocess *p, const struct image *seen, float *out, struct err *e)
{
    struct work w = { .img = *seen, .planar = true };
    TRY(run_steps(p, &w, true, e));
    return image_normalize(out, seen, &w.norm, w.planar, e);
}

int preprocess_image(const struct preprocess *p, struct arena *a, const struct image *img, struct tensor *out,
    struct provenance *from, struct err *e)
{
    TRY(preprocess_pixels(p, a, img, from, p->threads ? p->threads : team_default_size(), e));
    struct shape s = preprocess_shape(p, &from->seen);
    struct tensor *t = tensor_new(a, DT_F32, &s, e);
    if (!t) return e->code;
    *out = *t;
    return preprocess_floats(p, &from->seen, out->data, e);
}

int preprocess_bytes(const struct preprocess *p, struct arena *a, struct bytes file, struct tensor *out,
    struct provenance *from, struct err *e)
{
    struct image img;
    TRY(image_decode(&img, a, file, NULL, e));
    return preprocess_image(p, a, &img, out, from, e);
}
