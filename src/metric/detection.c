/* detection.c - matching of boxes and average precision. The rules are those of pycocotools' cocoeval (Lin et al.,
 * "Microsoft COCO", 2014; its greedy matching and the 101 points of recall). */
#include "metric/detection.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/sorter.h"
#include "data/boxes.h"

enum { POINTS = 101, HELD = 8 << 20 };

static double threshold_at(int t)
{
    return fmin(0.5 + t * ((0.95 - 0.5) / (DETECTION_IOUS - 1)), 1 - 1e-10); /* as numpy.linspace rounds it */
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

static int by_class_and_score(const void *a, const void *b)
{
    const struct detection *x = a, *y = b;
    if (x->class != y->class) return x->class < y->class ? -1 : 1;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return (x->order > y->order) - (x->order < y->order);
}

struct sorter *detection_sorter(struct arena *a, const char *folder, struct err *e)
{
    return sorter_new(a, &(struct sorter_options){ sizeof(struct detection), by_class_and_score, HELD, folder }, e);
}

/* Of one class at one IoU, best detections first. The precision at a recall is the best that any higher recall has, so
 * the best between one of the 101 recalls and the next is all that need be kept. */
struct curve {
    double hits, misses, recall;
    double best[POINTS]; /* precision at recalls from k * 0.01 on */
    int point;           /* the last one that `recall` reaches */
};

static void add_point(struct curve *c, bool hit, double truths)
{
    *(hit ? &c->hits : &c->misses) += 1;
    double precision = c->hits / (c->hits + c->misses + DBL_EPSILON);
    c->recall = c->hits / truths;
    while (c->point + 1 < POINTS && (c->point + 1) * 0.01 <= c->recall) c->point++;
    c->best[c->point] = fmax(c->best[c->point], precision);
}

static double mean_precision(struct curve *c)
{
    double ap = 0;
    for (int k = POINTS - 1; k-- > 0;) c->best[k] = fmax(c->best[k], c->best[k + 1]);
    for (int k = 0; k < POINTS; k++) ap += c->best[k] / POINTS;
    return ap;
}

static void add_detection(struct curve *curves, const struct detection *d, double truths)
{
    for (int t = 0; t < DETECTION_IOUS; t++)
        if (!(d->outside >> t & 1)) add_point(&curves[t], d->matched >> t & 1, truths);
}

static void measure_class(struct detection_measures *out, struct curve *curves, int64_t class)
{
    double ap = 0;
    for (int t = 0; t < DETECTION_IOUS; t++) {
        double one = mean_precision(&curves[t]);
        ap += one / DETECTION_IOUS;
        out->recall += curves[t].recall / DETECTION_IOUS;
        if (t == 0) out->ap50 += out->class_ap50[class] = one;
        if (t == 5) out->ap75 += one;
    }
    out->ap += out->class_ap[class] = ap;
}

int detection_measure(struct sorter *found, const uint64_t *truths, int64_t classes, struct arena *a,
    struct detection_measures *out, struct err *e)
{
    const void *record;
    double with_truth = 0;
    *out = (struct detection_measures){ .class_ap = ARENA_ARRAY(a, classes, double),
        .class_ap50 = ARENA_ARRAY(a, classes, double) };
    if (!out->class_ap || !out->class_ap50) return fail_nomem(e);
    int got = sorter_next(found, &record, e);
    for (int64_t k = 0; k < classes; k++) {
        struct curve curves[DETECTION_IOUS] = { 0 };
        for (const struct detection *d; got > 0 && (d = record)->class <= k; got = sorter_next(found, &record, e))
            if (truths[k]) add_detection(curves, d, (double)truths[k]);
        TRY(got);
        out->class_ap[k] = out->class_ap50[k] = NAN;
        if (!truths[k]) continue;
        measure_class(out, curves, k);
        with_truth++;
    }
    double *const all[] = { &out->ap, &out->ap50, &out->ap75, &out->recall };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) *all[i] = with_truth > 0 ? *all[i] / with_truth : NAN;
    return 0;
}
