/* judge.c - confusions and distances. */
#include "train/judge.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/tensor.h"

int judge_init(struct judge *j, struct arena *a, int64_t classes, int64_t ignored, struct err *e)
{
    *j = (struct judge){ .classes = classes, .ignored = ignored };
    if (classes > 16384) return fail(e, ERR_UNSUPPORTED, "%lld classes are too many to count", (long long)classes);
    if (classes) TRY_MEM(j->confusion = ARENA_ARRAY(a, classes * classes, int64_t), e);
    return 0;
}

void judge_reset(struct judge *j)
{
    if (j->confusion) memset(j->confusion, 0, (size_t)(j->classes * j->classes) * sizeof *j->confusion);
    j->loss = j->squares = j->absolutes = 0;
    j->n = j->samples = 0;
}

static void add_classes(struct judge *j, const struct tensor *out, const struct tensor *target)
{
    int64_t n = out->shape.dim[0], c = out->shape.dim[1], d = shape_span(&out->shape, 2, out->shape.rank);
    for (int64_t i = 0; i < n * d; i++) {
        int64_t want = tensor_get_i64(target, i), at = i / d * c * d + i % d, best = 0;
        if (want == j->ignored || want < 0 || want >= j->classes) continue;
        double top = -INFINITY;
        for (int64_t k = 0; k < c; k++) {
            double v = tensor_get_f64(out, at + k * d);
            if (v > top) top = v, best = k;
        }
        j->confusion[want * j->classes + best]++;
        j->n++;
    }
}

static void add_numbers(struct judge *j, const struct tensor *out, const struct tensor *target)
{
    int64_t n = tensor_count(target);
    for (int64_t i = 0; i < n; i++) {
        double d = tensor_get_f64(out, i) - tensor_get_f64(target, i);
        j->squares += d * d;
        j->absolutes += fabs(d);
    }
    j->n += n;
}

void judge_add(struct judge *j, double loss, const struct tensor *out, const struct tensor *target)
{
    int64_t n = target->shape.rank > 0 ? target->shape.dim[0] : 1;
    j->loss += loss * (double)n;
    j->samples += n;
    if (j->classes) add_classes(j, out, target);
    else add_numbers(j, out, target);
}

static double mean_loss(const struct judge *j)
{
    return j->loss / (double)j->samples;
}

static double accuracy(const struct judge *j)
{
    int64_t right = 0;
    for (int64_t i = 0; i < j->classes; i++) right += j->confusion[i * j->classes + i];
    return (double)right / (double)j->n;
}

/* hit / (hit + share * (missed + wrong)), a mean over the classes that occur: 1 gives IoU, 0.5 gives F1. */
static double overlap(const struct judge *j, double share)
{
    double sum = 0;
    int64_t there = 0;
    for (int64_t i = 0; i < j->classes; i++) {
        int64_t hit = j->confusion[i * j->classes + i], row = 0, column = 0;
        for (int64_t k = 0; k < j->classes; k++) {
            row += j->confusion[i * j->classes + k];
            column += j->confusion[k * j->classes + i];
        }
        if (!(row + column)) continue;
        sum += (double)hit / ((double)hit + share * (double)(row + column - 2 * hit));
        there++;
    }
    return there ? sum / (double)there : NAN;
}

static double miou(const struct judge *j)
{
    return overlap(j, 1);
}

static double f1(const struct judge *j)
{
    return overlap(j, 0.5);
}

static double mae(const struct judge *j)
{
    return j->absolutes / (double)j->n;
}

static double rmse(const struct judge *j)
{
    return sqrt(j->squares / (double)j->n);
}

struct measure {
    const char *name;
    double (*value)(const struct judge *j);
};
static const struct measure of_classes[] = { { "loss", mean_loss }, { "accuracy", accuracy }, { "miou", miou },
    { "f1", f1 }, { 0 } };
static const struct measure of_numbers[] = { { "loss", mean_loss }, { "mae", mae }, { "rmse", rmse }, { 0 } };

static const struct measure *list(const struct judge *j)
{
    return j->classes ? of_classes : of_numbers;
}

const char *judge_name(const struct judge *j, size_t i)
{
    return list(j)[i].name;
}

double judge_value(const struct judge *j, size_t i)
{
    return list(j)[i].value(j);
}

bool judge_more_is_better(const char *name)
{
    return !strcmp(name, "accuracy") || !strcmp(name, "miou") || !strcmp(name, "f1");
}
