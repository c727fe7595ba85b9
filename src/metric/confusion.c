/* confusion.c - the confusion matrix and its measures. */
#include "metric/confusion.h"

#include <math.h>

#include "base/arena.h"
#include "base/err.h"

int confusion_init(struct confusion *c, struct arena *a, int64_t classes, struct err *e)
{
    if (classes < 1 || classes > CONFUSION_CLASSES_MAX)
        return fail(e, ERR_USAGE, "a confusion matrix of %lld classes: 1 to %d are possible", (long long)classes,
            CONFUSION_CLASSES_MAX);
    *c = (struct confusion){ .n = classes, .count = ARENA_ARRAY(a, classes * classes, uint64_t) };
    TRY_MEM(c->count, e);
    return 0;
}

void confusion_add(struct confusion *c, int64_t truth, int64_t prediction, uint64_t times)
{
    c->count[truth * c->n + prediction] += times;
    c->total += times;
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

struct class_measures confusion_class(const struct confusion *c, int64_t class)
{
    struct class_measures m = { .hits = c->count[class * c->n + class] };
    for (int64_t i = 0; i < c->n; i++) {
        m.truths += c->count[class * c->n + i];
        m.predictions += c->count[i * c->n + class];
    }
    double hits = (double)m.hits, truths = (double)m.truths, predictions = (double)m.predictions;
    m.precision = ratio(hits, predictions);
    m.recall = ratio(hits, truths);
    m.f1 = ratio(2 * hits, truths + predictions);
    m.iou = ratio(hits, truths + predictions - hits);
    return m;
}

struct confusion_measures confusion_measure(const struct confusion *c)
{
    struct confusion_measures s = { 0 };
    double classes = 0, of_truth = 0, hits = 0;
    for (int64_t i = 0; i < c->n; i++) {
        struct class_measures m = confusion_class(c, i);
        if (!m.truths && !m.predictions) continue;
        classes++;
        of_truth += m.truths > 0;
        hits += (double)m.hits;
        s.precision += m.precision, s.recall += m.recall, s.f1 += m.f1, s.mean_iou += m.iou;
        s.f1_weighted += m.f1 * (double)m.truths;
        s.balanced += m.recall;
    }
    s.accuracy = hits / (double)c->total; /* 0 / 0 is NaN: nothing can be said */
    s.balanced /= of_truth;
    s.precision /= classes, s.recall /= classes, s.f1 /= classes, s.mean_iou /= classes;
    s.f1_weighted /= (double)c->total;
    return s;
}
