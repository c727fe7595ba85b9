/* signal.c - windows, discrete Fourier transforms and mel filters. */
#include <math.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "ops/fourier.h"
#include "ops/gradient.h"
#include "ops/infer.h"
#include "ops/lanes.h"
#include "ops/mover.h"
#include "ops/operand.h"

enum { SIZE_MAX_HERE = 1 << 28 };

/* An integer input that is a constant; -1 when it is not known yet. */
static int known_int(const struct node *n, int i, const char *what, int64_t *out, struct err *e)
{
    const struct tensor *t = value_const(node_in(n, i));
    *out = -1;
    TRY(infer_type(n, i, TYPES_INTEGER, e));
    if (!t) return 0;
    if (tensor_count(t) != 1) return fail(e, ERR_SHAPE, "%s (input %d) must be one number", what, i);
    *out = tensor_get_i64(t, 0);
    if (*out < 0 || *out > SIZE_MAX_HERE) return fail(e, ERR_SHAPE, "%s is %lld", what, (long long)*out);
    return 0;
}

static int float_type(const struct node *n, unsigned kinds, enum dtype *t, struct err *e)
{
    int64_t number = node_int(n, "output_datatype");
    *t = DT_NONE;
    if (number != (int)number || !dtype_is_valid((int)number))
        return fail(e, ERR_MODEL, "output_datatype is %lld", (long long)number);
    *t = (enum dtype)number;
    return kinds >> dtype_kind(*t) & 1 ? 0 : fail(e, ERR_SHAPE, "output_datatype is %s", dtype_name(*t));
}

/* --- windows: a0 - a1 cos(2 pi i / N) + a2 cos(4 pi i / N) --- */

static int window_infer(struct node *n, struct err *e)
{
    int64_t size;
    enum dtype t;
    TRY(known_int(n, 0, "the size", &size, e));
    TRY(float_type(n, TYPES_NUMBER, &t, e));
    struct shape s = shape_of(1, (int64_t[]){ size < 0 ? DIM_UNKNOWN : size });
    infer_out(n, 0, t, &s);
    return 0;
}

static int window(const struct step *s, double a0, double a1, double a2)
{
    struct tensor *y = s->out[0];
    int64_t size = tensor_count(y), period = node_int(s->node, "periodic") ? size : size - 1;
    for (int64_t i = 0; i < size; i++) {
        double at = period ? 2 * M_PI * (double)i / (double)period : 0;
        tensor_set_f64(y, i, period ? a0 - a1 * cos(at) + a2 * cos(2 * at) : 1);
    }
    return 0;
}

static int blackman_run(const struct step *s, struct err *e)
{
    return window(s, 0.42, 0.5, 0.08);
}

static int hann_run(const struct step *s, struct err *e)
{
    return window(s, 0.5, 0.5, 0);
}

static int hamming_run(const struct step *s, struct err *e)
{
    return window(s, 25.0 / 46, 21.0 / 46, 0);
}

/* --- DFT: x (..., len, ..., 1 or 2), its length, the axis --- */

/* What is known of it: axis -1 and length -1 where they are not. */
struct dft {
    int axis;
    int64_t length; /* of the transform */
    bool inverse, onesided;
};

/* To real numbers from the first half of a spectrum, whose other half mirrors it. */
static bool is_halved(const struct dft *d)
{
    return d->inverse && d->onesided;
}

/* Of the transform of an axis of `len`, when none is given; -1 when that is not known. */
static int64_t usual_length(const struct dft *d, int64_t len)
{
    if (len < 0) return -1;
    return !is_halved(d) ? len : len > 1 ? 2 * (len - 1) : 1;
}

static int read_dft(const struct node *n, struct dft *d, struct err *e)
{
    const struct shape *x = &n->in[0]->shape;
    const struct tensor *axis = value_const(node_in(n, 2));
    *d = (struct dft){ -1, -1, node_int(n, "inverse"), node_int(n, "onesided") };
    TRY(known_int(n, 1, "dft_length", &d->length, e));
    if (node_in(n, 2) && !axis) return 0;
    if (axis && tensor_count(axis) != 1) return fail(e, ERR_SHAPE, "axis must be one number");
    int64_t at = axis ? tensor_get_i64(axis, 0) : -2;
    if (x->rank < 0) return 0;
    d->axis = shape_axis(at, x->rank);
    if (d->axis < 0 || d->axis == x->rank - 1)
        return fail(e, ERR_SHAPE, "axis is %lld, the signal has rank %d", (long long)at, x->rank);
    if (!node_in(n, 1)) d->length = usual_length(d, x->dim[d->axis]);
    return 0;
}

static int check_parts(const struct shape *x, bool real, struct err *e)
{
    int64_t parts = x->rank > 0 ? x->dim[x->rank - 1] : DIM_UNKNOWN;
    if (parts >= 0 && parts != 1 && (parts != 2 || real))
        return fail(e, ERR_SHAPE, "the last dimension is %lld, expected 1 (real)%s", (long long)parts,
            real ? "" : " or 2 (complex)");
    return 0;
}

static int dft_infer(struct node *n, struct err *e)
{
    struct dft d;
    struct shape y = n->in[0]->shape;
    TRY(infer_type(n, 0, TYPES_FLOAT, e));
    TRY(infer_rank(n, 0, 2, SHAPE_MAX, e));
    TRY(read_dft(n, &d, e));
    TRY(check_parts(&y, d.onesided && !d.inverse, e));
    if (is_halved(&d) && y.rank > 0 && y.dim[y.rank - 1] == 1)
        return fail(e, ERR_SHAPE, "half a spectrum of real numbers; the last dimension must be 2");
    bool halves = d.onesided && !d.inverse;
    if (y.rank >= 0 && d.axis < 0)
        for (int i = 0; i < y.rank; i++) y.dim[i] = DIM_UNKNOWN;
    if (y.rank >= 0 && d.axis >= 0)
        y.dim[d.axis] = d.length < 0 ? (d.onesided || node_in(n, 1) ? DIM_UNKNOWN : y.dim[d.axis])
            : halves                 ? d.length / 2 + 1
                                     : d.length;
    if (y.rank >= 0) y.dim[y.rank - 1] = is_halved(&d) ? 1 : 2;
    infer_out(n, 0, n->in[0]->dtype, &y);
    return 0;
}

/* The input lies as (outer, len, inner, parts): every line along the axis is a transform. */
struct transform {
    const struct fourier *f;
    bool mirrored; /* the input is half a spectrum, the output real */
    int64_t len, out, inner, parts;
    const double *x;
    double *y, *work; /* four times the length */
    double scale;
};

static void transform_line(const struct transform *t, int64_t line)
{
    int64_t n = t->f->n, most = t->mirrored ? n / 2 + 1 : n, take = t->len < most ? t->len : most;
    int parts = t->mirrored ? 1 : 2;
    const double *x = t->x + (line / t->inner * t->len * t->inner + line % t->inner) * t->parts;
    double *y = t->y + (line / t->inner * t->out * t->inner + line % t->inner) * parts, *v = t->work;
    for (int64_t i = 0; i < n; i++) {
        v[2 * i] = i < take ? x[i * t->inner * t->parts] : 0;
        v[2 * i + 1] = i < take && t->parts == 2 ? x[i * t->inner * t->parts + 1] : 0;
    }
    for (int64_t i = 1; t->mirrored && i < take && 2 * i < n; i++) {
        v[2 * (n - i)] = v[2 * i];
        v[2 * (n - i) + 1] = -v[2 * i + 1];
    }
    fourier_apply(t->f, v, v + 2 * n);
    for (int64_t i = 0; i < t->out; i++)
        for (int p = 0; p < parts; p++) y[i * t->inner * parts + p] = v[2 * n + 2 * i + p] * t->scale;
}

static int dft_run(const struct step *s, struct err *e)
{
    const struct shape *x = &s->in[0]->shape;
    struct dft d = { .inverse = node_int(s->node, "inverse"), .onesided = node_int(s->node, "onesided") };
    int64_t axis = -2;
    TRY(step_scalar(s, 2, "axis", &axis, e));
    d.axis = shape_axis(axis, x->rank);
    if (d.axis < 0 || d.axis == x->rank - 1) return fail(e, ERR_SHAPE, "axis is %lld", (long long)axis);
    d.length = usual_length(&d, x->dim[d.axis]);
    TRY(step_scalar(s, 1, "dft_length", &d.length, e));
    if (d.length < 1 || d.length > SIZE_MAX_HERE) return fail(e, ERR_SHAPE, "dft_length is %lld", (long long)d.length);
    struct fourier f;
    TRY(fourier_init(&f, d.length, d.inverse, s->scratch, e));
    struct transform t = { .f = &f,
        .mirrored = is_halved(&d),
        .len = x->dim[d.axis],
        .out = s->out[0]->shape.dim[d.axis],
        .inner = shape_span(x, d.axis + 1, x->rank - 1),
        .parts = x->dim[x->rank - 1],
        .scale = d.inverse ? 1 / (double)d.length : 1 };
    t.x = operand_load(s, s->in[0], e);
    t.y = operand_zeros(s, tensor_count(s->out[0]), e);
    t.work = operand_zeros(s, 4 * d.length, e);
    if (e->code) return e->code;
    for (int64_t line = 0; line < shape_span(x, 0, d.axis) * t.inner; line++) transform_line(&t, line);
    operand_store(s, s->out[0], t.y);
    return 0;
}

/* v with `size` elements along an axis: the first ones, or zeros after them. */
static struct value *resized(struct builder *b, struct value *v, int axis, int64_t size)
{
    if (b->err->code || v->shape.dim[axis] == size) return v;
    if (v->shape.dim[axis] > size)
        return emit(b, "Slice", NO_ATTRS, v, emit_i64s(b, (int64_t[]){ 0 }, 1), emit_i64s(b, &size, 1),
            emit_i64s(b, (int64_t[]){ axis }, 1));
    int64_t pads[2 * SHAPE_MAX] = { 0 };
    pads[v->shape.rank + axis] = size - v->shape.dim[axis];
    return emit(b, "Pad", NO_ATTRS, v, emit_i64s(b, pads, 2 * (size_t)v->shape.rank));
}

/* Adjoint of half a spectrum's: the transform of dy, whose numbers count twice but for those that mirror themselves. */
static struct value *halved_grad(struct grad *g, const struct dft *d)
{
    struct builder *b = g->b;
    int64_t bins = d->length / 2 + 1, rank = g->node->in[0]->shape.rank;
    struct shape s = { .rank = (int)rank - d->axis };
    for (int i = 0; i < s.rank; i++) s.dim[i] = i ? 1 : bins;
    struct tensor *weights = tensor_new(b->g->arena, g->node->in[0]->dtype, &s, b->err);
    if (!weights) return NULL;
    for (int64_t i = 0; i < bins; i++)
        tensor_set_f64(weights, i, (i == 0 || 2 * i == d->length ? 1 : 2) / (double)d->length);
    struct value *dx = emit(b, "DFT", ATTRS(attr_int("onesided", 1)), g->dy[0], NULL, emit_i64(b, d->axis));
    return emit2(b, "Mul", dx, emit_const(b, weights));
}

/* The transform is linear: its adjoint is the transform the other way round, but for the factor. */
static int dft_grad(struct grad *g)
{
    const struct node *n = g->node;
    const struct shape *x = &n->in[0]->shape;
    struct dft d;
    TRY(read_dft(n, &d, g->b->err));
    if (d.axis < 0 || d.length < 0 || x->dim[d.axis] < 0)
        return fail(g->b->err, ERR_SHAPE, "the gradient needs the transform's axis and length");
    if (is_halved(&d)) {
        g->dx[0] = resized(g->b, halved_grad(g, &d), d.axis, x->dim[d.axis]);
        return 0;
    }
    struct value *dy = resized(g->b, g->dy[0], d.axis, d.length);
    struct value *dx = emit(g->b, "DFT", ATTRS(attr_int("inverse", !d.inverse)), dy, NULL, emit_i64(g->b, d.axis));
    if (!dx) return 0;
    double scale = d.inverse ? 1 / (double)d.length : (double)d.length;
    dx = emit2(g->b, "Mul", dx, emit_scalar(g->b, dx->dtype, scale));
    dx = resized(g->b, dx, d.axis, x->dim[d.axis]);
    g->dx[0] = resized(g->b, dx, x->rank - 1, x->dim[x->rank - 1]);
    return 0;
}

/* --- STFT: signal (N, L, 1 or 2), frame_step, window, frame_length to (N, frames, bins, 2) --- */

static int read_frames(const struct node *n, int64_t *step, int64_t *length, struct err *e)
{
    const struct value *window = node_in(n, 2);
    TRY(known_int(n, 1, "frame_step", step, e));
    TRY(known_int(n, 3, "frame_length", length, e));
    if (window) TRY(infer_rank(n, 2, 1, 1, e));
    int64_t own = window && window->shape.rank == 1 ? window->shape.dim[0] : -1;
    if (!node_in(n, 3) && own >= 0) *length = own;
    if (!node_in(n, 3) && !window) return fail(e, ERR_MODEL, "neither a window nor a frame_length");
    if (own >= 0 && *length >= 0 && own != *length)
        return fail(e, ERR_SHAPE, "the window has %lld elements, a frame %lld", (long long)own, (long long)*length);
    if (!*step || !*length) return fail(e, ERR_SHAPE, "a frame or a step of 0");
    return 0;
}

static int stft_infer(struct node *n, struct err *e)
{
    int64_t step, length;
    const struct shape *x = &n->in[0]->shape;
    struct shape y = shape_of(4, (int64_t[]){ DIM_UNKNOWN, DIM_UNKNOWN, DIM_UNKNOWN, 2 });
    TRY(infer_type(n, 0, TYPES_FLOAT, e));
    TRY(infer_rank(n, 0, 3, 3, e));
    TRY(read_frames(n, &step, &length, e));
    TRY(check_parts(x, node_int(n, "onesided"), e));
    if (x->rank == 3) y.dim[0] = x->dim[0];
    if (x->rank == 3 && x->dim[1] >= 0 && step > 0 && length > 0) {
        if (x->dim[1] < length)
            return fail(e, ERR_SHAPE, "a signal of %lld, shorter than a frame of %lld", (long long)x->dim[1],
                (long long)length);
        y.dim[1] = (x->dim[1] - length) / step + 1;
    }
    if (length > 0) y.dim[2] = node_int(n, "onesided") ? length / 2 + 1 : length;
    infer_out(n, 0, n->in[0]->dtype, &y);
    return 0;
}

static struct value *unsqueezed(struct builder *b, struct value *v, int64_t axis)
{
    return emit(b, "Unsqueeze", NO_ATTRS, v, emit_i64s(b, &axis, 1));
}

/* Positions of the elements of every frame, (frames, length). */
static struct value *frame_positions(struct builder *b, struct value *signal, int64_t step, int64_t length)
{
    struct value *zero = emit_i64(b, 0), *one = emit_i64(b, 1);
    struct value *size = emit(b, "Shape", ATTRS(attr_int("start", 1), attr_int("end", 2)), signal);
    size = emit(b, "Squeeze", NO_ATTRS, size, emit_i64s(b, (int64_t[]){ 0 }, 1));
    struct value *count = emit2(b, "Div", emit2(b, "Sub", size, emit_i64(b, length)), emit_i64(b, step));
    struct value *first = emit(b, "Range", NO_ATTRS, zero, emit2(b, "Add", count, one), one);
    first = unsqueezed(b, emit2(b, "Mul", first, emit_i64(b, step)), 1);
    return emit2(b, "Add", first, emit(b, "Range", NO_ATTRS, zero, emit_i64(b, length), one));
}

static int stft_expand(struct builder *b, const struct node *n, struct value **out)
{
    int64_t step, length;
    TRY(read_frames(n, &step, &length, b->err));
    if (step < 0 || length < 0)
        return fail(b->err, ERR_UNSUPPORTED, "needs to know the step and the length of its frames");
    struct value *x = n->in[0], *window = node_in(n, 2);
    struct value *frames = emit(b, "Gather", ATTRS(attr_int("axis", 1)), x, frame_positions(b, x, step, length));
    if (window) frames = emit2(b, "Mul", frames, unsqueezed(b, emit_cast(b, window, x->dtype), 1));
    out[0] = emit(b, "DFT", ATTRS(attr_int("onesided", node_int(n, "onesided"))), frames, NULL, emit_i64(b, 2));
    return 0;
}

/* --- MelWeightMatrix: num_mel_bins, dft_length, sample_rate, lower and upper edge --- */

static int mel_infer(struct node *n, struct err *e)
{
    int64_t bins, length, rate;
    enum dtype t;
    TRY(known_int(n, 0, "num_mel_bins", &bins, e));
    TRY(known_int(n, 1, "dft_length", &length, e));
    TRY(known_int(n, 2, "sample_rate", &rate, e));
    for (int i = 3; i < 5; i++) TRY(infer_type(n, i, TYPES_FLOAT, e));
    TRY(float_type(n, TYPES_NUMBER, &t, e));
    struct shape s = shape_of(
        2, (int64_t[]){ length < 0 ? DIM_UNKNOWN : length / 2 + 1, bins < 0 ? DIM_UNKNOWN : bins });
    return infer_sized(n, 0, t, &s, e);
}

static double mel_of(double hertz)
{
    return 2595 * log10(1 + hertz / 700);
}

/* The bin of the spectrum at edge i of num_mel_bins + 2. */
static int64_t edge(double low, double step, int64_t i, int64_t length, int64_t rate)
{
    double hertz = 700 * (pow(10, (low + (double)i * step) / 2595) - 1);
    return (int64_t)floor((double)(length + 1) * hertz / (double)rate);
}

static int mel_run(const struct step *s, struct err *e)
{
    int64_t bins = tensor_get_i64(s->in[0], 0), length = tensor_get_i64(s->in[1], 0);
    int64_t rate = tensor_get_i64(s->in[2], 0), rows = length / 2 + 1;
    double low = mel_of(tensor_get_f64(s->in[3], 0)), high = mel_of(tensor_get_f64(s->in[4], 0));
    double step = (high - low) / (double)(bins + 2);
    struct tensor *y = s->out[0];
    if (rate < 1 || !(low >= 0) || !(high >= low) || !isfinite(high))
        return fail(e, ERR_SHAPE, "sample_rate or the edges make no sense");
    for (int64_t i = 0; i < bins; i++) {
        int64_t from = edge(low, step, i, length, rate), middle = edge(low, step, i + 1, length, rate);
        int64_t to = edge(low, step, i + 2, length, rate);
        if (from < 0 || to > rows)
            return fail(e, ERR_SHAPE, "upper_edge_hertz lies past half the sample rate (%lld)", (long long)rate);
        for (int64_t j = from; j <= middle && j < rows; j++)
            tensor_set_f64(y, j * bins + i, middle > from ? (double)(j - from) / (double)(middle - from) : 1);
        for (int64_t j = middle; j < to && to > middle; j++)
            tensor_set_f64(y, j * bins + i, (double)(to - j) / (double)(to - middle));
    }
    return 0;
}

static const struct attr_spec window_attrs[] = {
    { "output_datatype", ATTR_INT, ATTR_DEFAULT, .i = DT_F32, .doc = "TensorProto.DataType" },
    { "periodic", ATTR_INT, ATTR_DEFAULT, .i = 1, .doc = "0: symmetric" },
    { 0 },
};
static const struct attr_spec dft_attrs[] = {
    { "inverse", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "back from the spectrum, over the length" },
    { "onesided", ATTR_INT, ATTR_DEFAULT, .i = 0, .doc = "only the first half of the spectrum of a real signal" },
    { 0 },
};
static const struct attr_spec stft_attrs[] = {
    { "onesided", ATTR_INT, ATTR_DEFAULT, .i = 1, .doc = "only the first half of the spectrum of a real signal" },
    { 0 },
};
static const struct attr_spec mel_attrs[] = {
    { "output_datatype", ATTR_INT, ATTR_DEFAULT, .i = DT_F32, .doc = "TensorProto.DataType" },
    { 0 },
};

#define WINDOW(id, kernel, help) \
    { \
        .name = #id, .doc = help, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .attrs = window_attrs, \
        .infer = window_infer, .run = kernel, \
        .samples = "i64[]{10}; i32[]{7} | periodic=0 output_datatype=11; i64[]{1}" \
    }

const struct op ops_signal[] = {
    WINDOW(BlackmanWindow, blackman_run, "Blackman's window of a size"),
    WINDOW(HannWindow, hann_run, "Hann's window of a size"),
    WINDOW(HammingWindow, hamming_run, "Hamming's window of a size"),
    { .name = "DFT",
        .doc = "discrete Fourier transform along an axis, of (x with parts last, length, axis)",
        .min_in = 1,
        .max_in = 3,
        .min_out = 1,
        .max_out = 1,
        .attrs = dft_attrs,
        .infer = dft_infer,
        .run = dft_run,
        .grad = dft_grad,
        .samples = "f32[2,6,1]; f32[2,8,3,2] - i64[]{1} | inverse=1; f32[3,5,1] i64[]{8} | onesided=1; f32[2,7,2] "
                   "i64[]{4}; f32[9,2,2] - i64[]{0}; f32[1,10,1] - i64[]{1} | onesided=1; "
                   "f32[2,4,3,2] - i64[]{1} | inverse=1 onesided=1; f32[2,5,2] i64[]{7} | inverse=1 onesided=1" },
    { .name = "STFT",
        .doc = "Fourier transforms of overlapping frames, of (signal, step, window, length)",
        .min_in = 2,
        .max_in = 4,
        .min_out = 1,
        .max_out = 1,
        .attrs = stft_attrs,
        .infer = stft_infer,
        .expand = stft_expand,
        .samples = "f32[2,20,1] i64[]{4} - i64[]{8}; f32[1,17,1] i64[]{3} f32[6]; f32[1,12,2] i64[]{5} f32[4] i64[]{4} "
                   "| onesided=0" },
    { .name = "MelWeightMatrix",
        .doc = "weights from bins of a spectrum to mel bins (bins, frequencies, sample rate, edges)",
        .min_in = 5,
        .max_in = 5,
        .min_out = 1,
        .max_out = 1,
        .attrs = mel_attrs,
        .infer = mel_infer,
        .run = mel_run,
        .samples = "i64[]{8} i64[]{16} i64[]{8192} f32[]{0} f32[]{4096}; i32[]{3} i32[]{64} i32[]{16000} f32[]{125} "
                   "f32[]{7500} | output_datatype=11" },
    { 0 },
};
