/* judge.c - what a run measures of its model: losses, the measures of metric/, distances. */
#include "train/judge.h"

#include <math.h>
#include <string.h>

#include "base/err.h"
#include "graph/tensor.h"

int judge_init(struct judge *j, struct arena *a, int64_t classes, int64_t ignored, struct err *e)
{
    *j = (struct judge){ .classes = classes, .ignored = ignored };
    return classes ? confusion_init(&j->confusion, a, classes, e) : 0;
}

void judge_reset(struct judge *j)
{
    if (j->classes) memset(j->confusion.count, 0, (size_t)(j->classes * j->classes) * sizeof *j->confusion.count);
    j->confusion.total = 0;
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
        for (int64_t k = 0; k < c && k < j->classes; k++) {
            double v = tensor_get_f64(out, at + k * d);
            if (v > top) top = v, best = k;
        }
        confusion_add(&j->confusion, want, best, 1);
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
    if (!out) return;
    if (j->classes) add_classes(j, out, target);
    else add_numbers(j, out, target);
}

static double mean_loss(const struct judge *j)
{
    return j->loss / (double)j->samples;
}

static double accuracy(const struct judge *j)
{
    return confusion_measure(&j->confusion).accuracy;
}

static double miou(const struct judge *j)
{
    return confusion_measure(&j->confusion).mean_iou;
}

static double f1(const struct judge *j)
{
    return confusion_measure(&j->confusion).f1;
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
