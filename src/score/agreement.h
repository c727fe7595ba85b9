/* agreement.h - how two forms of one network answer the same rows, and how fast. */
#ifndef TENREC_SCORE_AGREEMENT_H
#define TENREC_SCORE_AGREEMENT_H

#include "score/calibrate.h"

struct agreement {
    int64_t rows, places, same; /* places: answers (pixels) of the first output that are choices of a class */
    int64_t labelled, right[2]; /* rows with a class, and how many of them each form gets right */
    double distance;            /* root of the mean square difference of the outputs, over that of the outputs */
    double seconds[2];          /* a run, the median of runs by turns */
};
/* `forms`: the network as it was, and as it is now; both take the model's inputs. */
int agreement_measure(const struct graph *const forms[2], struct rows *r, struct agreement *out, struct err *e);
/* The share of right answers that is lost, where there are classes; else the share of choices that changed; without
 * choices the distance. */
double agreement_drop(const struct agreement *a);

#endif
