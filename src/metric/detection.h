/* detection.h - average precision of detected boxes, as pycocotools defines it: AP at IoU 0.50:0.05:0.95, all areas. */
#ifndef TENREC_METRIC_DETECTION_H
#define TENREC_METRIC_DETECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;
struct sorter;

enum { DETECTION_IOUS = 10, DETECTION_MAX = 100 }; /* 0.50, 0.55 ... 0.95; boxes of a class that count in an image */

struct detected {
    int64_t class;
    double score;
    double box[4];             /* left, top, right, bottom; any unit, that of the truth */
    bool ignored;              /* of a truth: neither a hit nor a miss */
    uint16_t matched, outside; /* a bit per IoU: it met a truth; it counts neither way */
};
/* What is kept of it. */
struct detection {
    double score;
    uint64_t order; /* among those of all images: equal scores keep it */
    int32_t class;
    uint16_t matched, outside;
};

/* Within one image: each detection, best first, takes the truth that it overlaps most (COCOeval.evaluateImg). Sorts
 * `found` and sets `matched` and `outside`; those past DETECTION_MAX of their class are `outside` everywhere. */
int detection_match(
    const struct detected *truth, size_t n_truth, struct detected *found, size_t n, struct arena *a, struct err *e);

/* Those of all images are sorted in bounded memory (base/sorter.h; `folder` as there). */
struct sorter *detection_sorter(struct arena *a, const char *folder, struct err *e);

/* Detections of all images, and how many truths each class has that are not ignored. */
struct detection_measures {
    double ap, ap50, ap75;         /* means over the classes of the truth; NaN: there is none */
    double recall;                 /* AR: at DETECTION_MAX boxes, mean over the IoUs */
    double *class_ap, *class_ap50; /* (classes); NaN where the truth has none */
};
int detection_measure(struct sorter *found, const uint64_t *truths, int64_t classes, struct arena *a,
    struct detection_measures *out, struct err *e);

#endif
