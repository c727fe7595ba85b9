/* boxes.h - a detector's outputs become boxes: one postprocessing step that knows the usual forms.
 *
 *   {"op": "boxes", "form": "separate", "corners": "xyxy", "units": "pixels", "scores": "OUTPUT", "labels": "OUTPUT"}
 *
 * form  separate  (N, 4) in this output; `scores` (N), or (N, classes); `labels` (N), absent where scores has classes;
 *                 `count` how many rows count
 *       classes   (4 + classes, N) or (N, 4 + classes): YOLOv8 and its like
 *       objects   (N, 5 + classes): the fifth number is whether there is an object at all: YOLOv5, YOLOX
 *       rows      (N, 6): corners, score, class
 *       ssd       (N, 7): image, class, score, corners: Caffe's DetectionOutput
 * corners xyxy, yxyx, xywh (left, top, size) or cxcywh (centre, size); units pixels of what the model sees, or shares.
 * threshold: scores below it are left out; iou: of two boxes of a class that overlap more the lower goes (0: the model
 * did that itself); max: boxes at most; background: a class that is none (-1: all are).
 */
#ifndef TENREC_DATA_BOXES_H
#define TENREC_DATA_BOXES_H

#include "data/preprocess.h"

struct answer;
struct graph;
struct step_reader;

/* What a model gave for one sample: one tensor per output of the graph, (1, ...) each. */
struct outputs {
    const struct tensor *of;
    size_t n;
    const struct graph *graph; /* for their names */
};

enum { BOXES_MAX = 100000, BOXES_USUAL = 100 };
struct boxes_step {
    int form, corners, units;
    const char *scores, *labels, *count; /* outputs; NULL: none */
    double threshold, iou;
    int64_t max, background;
};
void boxes_parse(struct boxes_step *s, struct step_reader *r);
/* Boxes in pixels of the sample's image, cut off at its sides, best first. `at`: the output that has the step. */
int boxes_run(const struct boxes_step *s, const struct outputs *outputs, size_t at, const struct provenance *from,
    struct arena *a, struct answer *answer, struct err *e);
/* Intersection over union of two boxes, left, top, right, bottom each; 0 when both are empty. */
double boxes_iou(const double a[4], const double b[4]);

#endif
