/* ranking.c - measures of scores. */
#include "metric/ranking.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/err.h"

struct scored_sample {
    float score;
    bool positive;
};

static int by_score(const void *a, const void *b)
{
    float x = ((const struct scored_sample *)a)->score, y = ((const struct scored_sample *)b)->score;
    return (x > y) - (x < y);
}

int roc_auc(const float *scores, const bool *positive, int64_t n, struct arena *a, double *out, struct err *e)
{
    struct scored_sample *s = ARENA_ARRAY(a, n, struct scored_sample);
    TRY_MEM(s, e);
    for (int64_t i = 0; i < n; i++) s[i] = (struct scored_sample){ scores[i], positive[i] };
    if (n) qsort(s, (size_t)n, sizeof *s, by_score);
    double wins = 0, negatives = 0, positives = 0;
    for (int64_t i = 0, k; i < n; i = k) { /* a run of equal scores at a time */
        double here[2] = { 0, 0 };
        for (k = i; k < n && s[k].score == s[i].score; k++) here[s[k].positive]++;
        if (k == i) k++; /* NaN equals nothing: it is passed over */
        wins += here[1] * (negatives + here[0] / 2);
        negatives += here[0], positives += here[1];
    }
    *out = negatives && positives ? wins / (negatives * positives) : NAN;
    return 0;
}

int64_t rank_of(const double *scores, int64_t n, int64_t class)
{
    int64_t rank = 0;
    for (int64_t i = 0; i < n; i++) rank += scores[i] > scores[class] || (scores[i] == scores[class] && i < class);
    return rank;
}

double cross_entropy(const double *scores, int64_t n, int64_t class, bool logits)
{
    double max = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) max = scores[i] > max ? scores[i] : max;
    for (int64_t i = 0; i < n; i++) sum += logits ? exp(scores[i] - max) : scores[i];
    if (logits) return log(sum) - (scores[class] - max);
    double p = scores[class] / sum;
    return -log(p < DBL_EPSILON ? DBL_EPSILON : p > 1 - DBL_EPSILON ? 1 - DBL_EPSILON : p);
}
