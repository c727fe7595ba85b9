/* detection.c - matching of boxes and average precision. The rules are those of pycocotools' cocoeval (Lin et al.,
 * "Microsoft COCO", 2014; its greedy matching and the 101 points of recall). */
#include "metric/detection.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "data/boxes.h"

enum { POINTS = 101 };

static double threshold_at(int t)
{
    return fmin(0.5 + 0.05 * t, 1 - 1e-10);
}

/* A detection and where it stood: equal scores keep their order. */
struct ranked {
    struct detected d;
    size_t order;
};

static int best_first(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->d.score != y->d.score) return x->d.score < y->d.score ? 1 : -1;
    return (x->order > y->order) - (x->order < y->order);
}

/* The truth for one detection at one IoU; those that are ignored only where no other will do. -1: none. */
static int64_t find_truth(
    const struct detected *d, const struct detected *truth, size_t n, const bool *taken, double least)
{
    int64_t found = -1;
    for (int pass = 0; pass < 2 && found < 0; pass++) {
        double best = least;
        for (size_t i = 0; i < n; i++) {
            if (truth[i].class != d->class || truth[i].ignored != (pass == 1) || taken[i]) continue;
            double iou = boxes_iou(d->box, truth[i].box);
            if (iou >= best) best = iou, found = (int64_t)i;
        }
    }
    return found;
}

int detection_match(
    const struct detected *truth, size_t n_truth, struct detected *found, size_t n, struct arena *a, struct err *e)
{
    struct ranked *ranked = ARENA_ARRAY(a, n, struct ranked);
    bool *taken = ARENA_ARRAY(a, n_truth, bool);
    if (!ranked || !taken) return fail_nomem(e);
    for (size_t i = 0; i < n; i++) ranked[i] = (struct ranked){ found[i], i };
    if (n) qsort(ranked, n, sizeof *ranked, best_first);
    for (size_t i = 0; i < n; i++) {
        size_t before = 0;
        found[i] = ranked[i].d;
        found[i].matched = found[i].outside = 0;
        for (size_t k = 0; k < i; k++) before += found[k].class == found[i].class;
        if (before >= DETECTION_MAX) found[i].outside = (1u << DETECTION_IOUS) - 1;
    }
    for (int t = 0; t < DETECTION_IOUS; t++) {
        memset(taken, 0, n_truth * sizeof *taken);
        for (size_t i = 0; i < n; i++) {
            if (found[i].outside >> t & 1) continue;
            int64_t at = find_truth(&found[i], truth, n_truth, taken, threshold_at(t));
            if (at < 0) continue;
            taken[at] = true;
            if (truth[at].ignored) found[i].outside |= (uint16_t)(1u << t);
            else found[i].matched |= (uint16_t)(1u << t);
        }
    }
    return 0;
}

/* Of one class at one IoU: the mean precision at 101 recalls, and the recall reached. */
struct curve {
    double *recall, *precision;
    double ap, reached;
};

static void trace(struct curve *c, const struct detection *found, size_t n, int t, double truths)
{
    double hits = 0, misses = 0;
    size_t points = 0, at = 0;
    for (size_t i = 0; i < n; i++) {
        if (found[i].outside >> t & 1) continue;
        if (found[i].matched >> t & 1) hits++;
        else misses++;
        c->recall[points] = hits / truths;
        c->precision[points++] = hits / (hits + misses + DBL_EPSILON);
    }
    for (size_t i = points; i-- > 1;)
        if (c->precision[i] > c->precision[i - 1]) c->precision[i - 1] = c->precision[i];
    c->reached = points ? c->recall[points - 1] : 0;
    c->ap = 0;
    for (int k = 0; k < POINTS; k++) {
        while (at < points && c->recall[at] < k * 0.01) at++;
        if (at < points) c->ap += c->precision[at] / POINTS;
    }
}

static int by_class_and_score(const void *a, const void *b)
{
    const struct detection *x = a, *y = b;
    if (x->class != y->class) return x->class < y->class ? -1 : 1;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return (x->order > y->order) - (x->order < y->order);
}

static void measure_class(struct detection_measures *out, struct curve *c, const struct detection *found, size_t n,
    int64_t class, double truths)
{
    double ap = 0;
    for (int t = 0; t < DETECTION_IOUS; t++) {
        trace(c, found, n, t, truths);
        ap += c->ap / DETECTION_IOUS;
        out->recall += c->reached / DETECTION_IOUS;
        if (t == 0) out->ap50 += out->class_ap50[class] = c->ap;
        if (t == 5) out->ap75 += c->ap;
    }
    out->ap += out->class_ap[class] = ap;
}

int detection_measure(struct detection *found, size_t n, const uint64_t *truths, int64_t classes, struct arena *a,
    struct detection_measures *out, struct err *e)
{
    struct curve c = { ARENA_ARRAY(a, n, double), ARENA_ARRAY(a, n, double), 0, 0 };
    double with_truth = 0;
    size_t begin = 0, end;
    *out = (struct detection_measures){ .class_ap = ARENA_ARRAY(a, classes, double),
        .class_ap50 = ARENA_ARRAY(a, classes, double) };
    if (!c.recall || !c.precision || !out->class_ap || !out->class_ap50) return fail_nomem(e);
    if (n) qsort(found, n, sizeof *found, by_class_and_score);
    for (int64_t k = 0; k < classes; k++, begin = end) {
        for (end = begin; end < n && found[end].class <= k;) end++;
        out->class_ap[k] = out->class_ap50[k] = NAN;
        if (!truths[k]) continue;
        measure_class(out, &c, found + begin, end - begin, k, (double)truths[k]);
        with_truth++;
    }
    double *const all[] = { &out->ap, &out->ap50, &out->ap75, &out->recall };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) *all[i] = with_truth > 0 ? *all[i] / with_truth : NAN;
    return 0;
}
