/* quantized.c - element-wise kernels of quantized tensors, and joins of bytes with their channels last. */
#include "backend/cpu/quantized.h"

#include <math.h>
#include <string.h>

#include "backend/cpu/bytes_move.h"
#include "backend/cpu/nearest.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/team.h"
#include "graph/op.h"
#include "ops/quantize.h"
#include "ops/quantized.h"

enum { GRAIN = 1 << 14, WIDE = 64 };

double single_value(const struct tensor *t, double none)
{
    return t ? tensor_get_f64(t, 0) : none;
}

bool is_byte(const struct tensor *t)
{
    return t && (t->dtype == DT_U8 || t->dtype == DT_I8);
}

bool is_single(const struct tensor *t)
{
    return !t || tensor_count(t) == 1;
}

static bool says(struct str *why, const char *text)
{
    if (why) str_add(why, text);
    return false;
}

/* --- rounding to steps --- */

void finish_range(struct finish *f, double low, double high, double scale, float after)
{
    double least, most;
    if (f->to == DT_F32) f->low = (float)low, f->high = (float)high;
    if (f->to == DT_F32 || !quantized_range(f->to, &least, &most)) return;
    least -= f->zero, most -= f->zero;
    f->low = (float)fmax(least, fmin(rintf((float)low / (float)scale + after), most));
    f->high = (float)fmin(most, fmax(rintf((float)high / (float)scale + after), least));
}

/* A whole panel is moved by one instruction. */
INLINE void put(void *to, const void *from, int64_t count, size_t size)
{
    if (count == BYTES_PANEL) memcpy(to, from, BYTES_PANEL * size);
    else memcpy(to, from, (size_t)count * size);
}

CLONES static void finish_bytes(const struct finish *f, int64_t channel, int rows, int64_t count,
    int32_t (*sum)[BYTES_PANEL], uint8_t *y, const int64_t *at)
{
    const float *before = f->before + channel, *factor = f->factor + channel, *after = f->after + channel;
    const float low = f->low, high = f->high;
    int zero = f->zero;
    for (int r = 0; r < rows; r++) {
        uint8_t to[BYTES_PANEL];
        for (int i = 0; i < BYTES_PANEL; i++) {
            float v = ((float)sum[r][i] + before[i]) * factor[i] + after[i];
            to[i] = (uint8_t)(nearest(v, low, high) + zero);
        }
        put(y + at[r], to, count, 1);
    }
}

CLONES static void finish_floats(const struct finish *f, int64_t channel, int rows, int64_t count,
    int32_t (*sum)[BYTES_PANEL], float *y, const int64_t *at)
{
    const float *before = f->before + channel, *factor = f->factor + channel, *after = f->after + channel;
    const float low = f->low, high = f->high;
    for (int r = 0; r < rows; r++) {
        float to[BYTES_PANEL];
        for (int i = 0; i < BYTES_PANEL; i++) {
            float v = ((float)sum[r][i] + before[i]) * factor[i] + after[i];
            v = v < low ? low : v;
            to[i] = v > high ? high : v;
        }
        put(y + at[r], to, count, sizeof *y);
    }
}

void finish_rows(const struct finish *f, int64_t channel, int rows, int64_t count, int32_t (*sum)[BYTES_PANEL],
    void *y, const int64_t *at)
{
    if (f->to == DT_F32) finish_floats(f, channel, rows, count, sum, y, at);
    else if (f->to != DT_I32) finish_bytes(f, channel, rows, count, sum, y, at);
    else
        for (int r = 0; r < rows; r++) put((int32_t *)y + at[r], sum[r], count, sizeof(int32_t));
}

/* --- QuantizeLinear and DequantizeLinear, whole tensors --- */

struct span {
    const void *x;
    void *y;
    float scale;
    struct finish f;
    bool is_signed;
    int zero;
    const uint8_t *table;
    const struct step *step;
};

CLONES static void quantize_span(void *ctx, int64_t begin, int64_t end)
{
    const struct span *j = ctx;
    const float *x = j->x, scale = j->scale, low = j->f.low, high = j->f.high;
    uint8_t *y = j->y;
    int zero = j->f.zero;
    for (int64_t i = begin; i < end; i++) y[i] = (uint8_t)(nearest(x[i] / scale, low, high) + zero);
}

/* The same without divisions. What is larger than all results is cut off first, so that infinity is none. */
CLONES static void quantize_quickly(void *ctx, int64_t begin, int64_t end)
{
    const struct span *j = ctx;
    const float *x = j->x, scale = j->scale, low = j->f.low, high = j->f.high, inverse = 1 / scale, most = 512 * scale;
    uint8_t *y = j->y;
    int zero = j->f.zero;
    for (int64_t i = begin; i < end; i++) {
        float v = x[i] == x[i] ? x[i] : 0;
        v = v > -most ? v : -most;
        v = v < most ? v : most;
        y[i] = (uint8_t)(nearest(quotient(v, scale, inverse), low, high) + zero);
    }
}

bool quantize_accepts(const struct step *s, struct str *why)
{
    if (s->in[0]->dtype != DT_F32 || s->in[1]->dtype != DT_F32) return says(why, "not float32");
    if (!is_byte(s->out[0])) return says(why, "not to 8-bit integers");
    if (node_int(s->node, "precision") > DT_F32) return says(why, "a precision of its own");
    if (!is_single(s->in[1]) || node_int(s->node, "block_size")) return says(why, "more than one scale");
    return true;
}

int steps_prepare(struct step *s, struct err *e)
{
    return bytes_keep(s, 0) ? bytes_last_layout(s->arena, s->out[0], &s->want_out[0], e) : 0;
}

int quantize_run(const struct step *s, struct err *e)
{
    struct span j = { .x = s->in[0]->data, .y = s->out[0]->data, .scale = (float)single_value(s->in[1], 1),
        .f = { .to = s->out[0]->dtype } };
    j.f.zero = (int)single_value(s->node->n_in > 2 ? s->in[2] : NULL, 0);
    finish_range(&j.f, -INFINITY, INFINITY, 1, 0);
    bool quick = quotient_serves(j.scale);
    team_run(s->threads, tensor_count(s->in[0]), GRAIN, quick ? quantize_quickly : quantize_span, &j);
    return 0;
}

CLONES static void dequantize_unsigned(const uint8_t *x, int zero, float scale, int64_t n, float *y)
{
    for (int64_t i = 0; i < n; i++) y[i] = (float)(x[i] - zero) * scale;
}

CLONES static void dequantize_signed(const int8_t *x, int zero, float scale, int64_t n, float *y)
{
    for (int64_t i = 0; i < n; i++) y[i] = (float)(x[i] - zero) * scale;
}

static void dequantize_span(void *ctx, int64_t begin, int64_t end)
{
    const struct span *j = ctx;
    float *y = (float *)j->y + begin;
    if (j->is_signed) dequantize_signed((const int8_t *)j->x + begin, j->zero, j->scale, end - begin, y);
    else dequantize_unsigned((const uint8_t *)j->x + begin, j->zero, j->scale, end - begin, y);
}

bool dequantize_accepts(const struct step *s, struct str *why)
{
    if (!is_byte(s->in[0])) return says(why, "not of 8-bit integers");
    if (s->in[1]->dtype != DT_F32 || s->out[0]->dtype != DT_F32) return says(why, "not to float32");
    if (!is_single(s->in[1]) || node_int(s->node, "block_size")) return says(why, "more than one scale");
    return true;
}

int dequantize_run(const struct step *s, struct err *e)
{
    struct span j = { .x = s->in[0]->data, .y = s->out[0]->data, .scale = (float)single_value(s->in[1], 1),
        .is_signed = s->in[0]->dtype == DT_I8 };
    j.zero = (int)single_value(s->node->n_in > 2 ? s->in[2] : NULL, 0);
    team_run(s->threads, tensor_count(s->in[0]), GRAIN, dequantize_span, &j);
    return 0;
}

/* --- QuantizedLookup, in any layout --- */

static void lookup_span(void *ctx, int64_t begin, int64_t end)
{
    const struct span *j = ctx;
    const uint8_t *x = j->x;
    uint8_t *y = j->y, table[256];
    for (int i = 0; i < 256; i++) table[i] = j->table[i ^ (j->is_signed ? 128 : 0)];
    bytes_look_up(x + begin, table, end - begin, y + begin);
}

bool bytes_accepts(const struct step *s, struct str *why)
{
    if (!is_byte(s->in[0]) || !is_byte(s->out[0])) return says(why, "not 8-bit integers");
    return tensor_count(s->out[0]) > 0 || says(why, "an empty tensor");
}

int lookup_prepare(struct step *s, struct err *e)
{
    s->want_out[0] = bytes_keep(s, 0);
    return 0;
}

int lookup_run(const struct step *s, struct err *e)
{
    struct span j = { .x = s->in[0]->data, .y = s->out[0]->data, .table = s->in[1]->data,
        .is_signed = s->in[0]->dtype == DT_I8 };
    team_run(s->threads, tensor_count(s->in[0]), GRAIN, lookup_span, &j);
    return 0;
}

/* --- DepthToSpace, with channels last --- */

int bytes_spread_prepare(struct step *s, struct err *e)
{
    if (strcmp(node_string(s->node, "mode"), "DCR")) return fail(e, ERR_UNSUPPORTED, "blocks whose channels lie apart");
    TRY(bytes_want_last(s, 0, e));
    return bytes_last_layout(s->arena, s->out[0], &s->want_out[0], e);
}

/* Rows of the result: of each pixel of a row of the input so many channels side by side. */
static void spread_span(void *ctx, int64_t begin, int64_t end)
{
    const struct step *s = ctx;
    const struct shape *x = &s->in[0]->shape;
    int64_t side = node_int(s->node, "blocksize"), all = x->dim[1], run = all / side, wide = x->dim[3];
    for (int64_t r = begin; r < end; r++) {
        const uint8_t *from = (const uint8_t *)s->in[0]->data + r / side * wide * all + r % side * run;
        uint8_t *to = (uint8_t *)s->out[0]->data + r * wide * run;
        for (int64_t i = 0; i < wide; i++) memcpy(to + i * run, from + i * all, (size_t)run);
    }
}

int bytes_spread_run(const struct step *s, struct err *e)
{
    const struct shape *y = &s->out[0]->shape;
    team_run(s->threads, y->dim[0] * y->dim[2], 4, spread_span, (void *)(uintptr_t)s);
    return 0;
}

/* --- Concat of channels, with channels last --- */

bool bytes_concat_accepts(const struct step *s, struct str *why)
{
    if (!is_byte(s->out[0]) && s->out[0]->dtype != DT_F32) return says(why, "neither 8-bit integers nor float32");
    return tensor_count(s->out[0]) > 0 || says(why, "an empty tensor");
}

int bytes_concat_prepare(struct step *s, struct err *e)
{
    bool laid = false;
    int axis = shape_axis(node_int(s->node, "axis"), s->out[0]->shape.rank);
    if (axis != 1) return fail(e, ERR_UNSUPPORTED, "another axis");
    for (int i = 0; i < s->node->n_in; i++) {
        bool ours = bytes_keep(s, i);
        laid |= ours;
        if (s->in[i]->layout && !ours) return fail(e, ERR_UNSUPPORTED, "inputs in another backend's layout");
    }
    if (!laid) return fail(e, ERR_UNSUPPORTED, "row-major inputs");
    for (int i = 0; i < s->node->n_in; i++) TRY(bytes_want_last(s, i, e));
    return bytes_last_layout(s->arena, s->out[0], &s->want_out[0], e);
}

/* So many bytes, and up to the next whole `WIDE` of them, while they are there at both ends. */
INLINE void copy_wide(uint8_t *to, const uint8_t *to_end, const uint8_t *from, const uint8_t *from_end, int64_t n)
{
    int64_t whole = (n + WIDE - 1) / WIDE * WIDE;
    if (to_end - to < whole || from_end - from < whole) memcpy(to, from, (size_t)n);
    else
        for (int64_t i = 0; i < whole; i += WIDE) memcpy(to + i, from + i, WIDE);
}

/* Positions, in order: what is copied too much belongs to what comes next. */
CLONES static void join_span(void *ctx, int64_t begin, int64_t end)
{
    const struct span *j = ctx;
    const struct step *s = j->step;
    int64_t size = (int64_t)dtype_size(s->out[0]->dtype), all = s->out[0]->shape.dim[1] * size;
    uint8_t *to = (uint8_t *)j->y + begin * all, *to_end = (uint8_t *)j->y + end * all;
    for (int64_t i = begin; i < end; i++)
        for (int k = 0; k < s->node->n_in; k++) {
            int64_t n = s->in[k]->shape.dim[1] * size;
            const uint8_t *x = s->in[k]->data;
            copy_wide(to, to_end, x + i * n, x + end * n, n);
            to += n;
        }
}

int bytes_concat_run(const struct step *s, struct err *e)
{
    struct span j = { .y = s->out[0]->data, .step = s };
    const struct shape *y = &s->out[0]->shape;
    team_run(s->threads, y->dim[0] * shape_span(y, 2, y->rank), 1 + GRAIN / y->dim[1], join_span, &j);
    return 0;
}
