/* group_norm.c - Instance, Group and RMSNormalization: lines of numbers that lie side by side.
 *
 * A line is a sample's group of channels, or the last dimensions. Its sums are in double precision, in one order
 * whatever the threads; (x - mean) / sqrt(variance + epsilon) * scale + bias is one multiplication and
 * addition a number.
 */
#include <math.h>

#include "backend/cpu/lanes.h"
#include "base/err.h"
#include "base/team.h"
#include "graph/op.h"

struct lines {
    const float *x, *scale, *bias; /* bias: NULL: none */
    float *y;
    int64_t count, length;
    int64_t channels, span; /* of groups: channels of one line and numbers of a channel; 0: a scale for each number */
    int64_t groups;
    double epsilon;
};

CLONES static double sum_of(const float *x, int64_t n)
{
    double sum;
    LANE_SUM(sum, n, (double)x[i]);
    return sum;
}

CLONES static double squares_of(const float *x, int64_t n, double mean)
{
    double sum;
    LANE_SUM(sum, n, ((double)x[i] - mean) * ((double)x[i] - mean));
    return sum;
}

CLONES static void scale_span(const float *x, float *y, int64_t n, float factor, float offset)
{
    INDEPENDENT
    for (int64_t i = 0; i < n; i++) y[i] = x[i] * factor + offset;
}

CLONES static void scale_each(const float *x, float *y, int64_t n, float factor, const float *scale)
{
    INDEPENDENT
    for (int64_t i = 0; i < n; i++) y[i] = x[i] * factor * scale[i];
}

/* The channels of a group. */
static void normalize_group(const struct lines *w, int64_t line)
{
    const float *x = w->x + line * w->length;
    float *y = w->y + line * w->length;
    double mean = sum_of(x, w->length) / (double)w->length;
    double by = 1 / sqrt(squares_of(x, w->length, mean) / (double)w->length + w->epsilon);
    for (int64_t k = 0; k < w->channels; k++) {
        int64_t c = line % w->groups * w->channels + k;
        double factor = by * w->scale[c];
        scale_span(x + k * w->span, y + k * w->span, w->span, (float)factor, (float)(w->bias[c] - mean * factor));
    }
}

static void some_groups(void *ctx, int64_t begin, int64_t end)
{
    for (int64_t i = begin; i < end; i++) normalize_group(ctx, i);
}

static void some_lines(void *ctx, int64_t begin, int64_t end)
{
    const struct lines *w = ctx;
    for (int64_t i = begin; i < end; i++) {
        const float *x = w->x + i * w->length;
        double by = 1 / sqrt(squares_of(x, w->length, 0) / (double)w->length + w->epsilon);
        scale_each(x, w->y + i * w->length, w->length, (float)by, w->scale);
    }
}

/* in: x, scale, bias where there is one */
static struct lines lines_of(const struct step *s)
{
    const struct shape *x = &s->in[0]->shape;
    return (struct lines){ .x = s->in[0]->data, .scale = s->in[1]->data, .y = s->out[0]->data,
        .bias = s->node->n_in > 2 ? s->in[2]->data : NULL, .epsilon = node_float(s->node, "epsilon"),
        .span = shape_span(x, 2, x->rank) };
}

int group_norm_run(const struct step *s, struct err *e)
{
    struct lines w = lines_of(s);
    int64_t channels = s->in[0]->shape.dim[1];
    w.groups = node_int(s->node, "num_groups"); /* 0: each channel */
    if (!w.groups) w.groups = channels;
    w.channels = channels / w.groups;
    w.length = w.channels * w.span;
    w.count = tensor_count(s->in[0]) / w.length;
    team_run(s->threads, w.count, 1 + 8192 / w.length, some_groups, &w);
    return 0;
}

int rms_norm_prepare(struct step *s, struct err *e)
{
    const struct shape *x = &s->in[0]->shape;
    int axis = shape_axis(node_int(s->node, "axis"), x->rank);
    if (axis < 0 || tensor_count(s->in[1]) != shape_span(x, axis, x->rank))
        return fail(e, ERR_UNSUPPORTED, "the scale is broadcast");
    return 0;
}

int rms_norm_run(const struct step *s, struct err *e)
{
    struct lines w = lines_of(s);
    w.length = tensor_count(s->in[1]);
    w.count = tensor_count(s->in[0]) / w.length;
    team_run(s->threads, w.count, 1 + 8192 / w.length, some_lines, &w);
    return 0;
}
