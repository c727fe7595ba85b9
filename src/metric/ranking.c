/* ranking.c - measures of scores. */
#include "metric/ranking.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/err.h"
#include "base/sorter.h"

enum { HELD = 8 << 20 };

struct scored_sample {
    double score;
    int32_t class;
    bool positive;
};

static int by_class_and_score(const void *a, const void *b)
{
    const struct scored_sample *x = a, *y = b;
    if (x->class != y->class) return x->class < y->class ? -1 : 1;
    if (x->score != y->score) return x->score < y->score ? -1 : 1;
    return x->positive - y->positive;
}

int roc_init(struct roc *r, struct arena *a, int64_t classes, const char *folder, struct err *e)
{
    const struct sorter_options o = { sizeof(struct scored_sample), by_class_and_score, HELD, folder };
    *r = (struct roc){ sorter_new(a, &o, e), classes };
    return r->scores ? 0 : e->code;
}

/* Of two classes the first needs no curve: it is that of the second. */
int roc_add(struct roc *r, const double *scores, int64_t truth, struct err *e)
{
    for (int64_t c = r->classes == 2; c < r->classes; c++) {
        struct scored_sample s;
        memset(&s, 0, sizeof s); /* the gap, too: it is written to a file */
        s.score = scores[c], s.class = (int32_t)c, s.positive = c == truth;
        if (!isnan(s.score)) TRY(sorter_add(r->scores, &s, e));
    }
    return 0;
}

/* One class's curve: [0] counts negatives, [1] positives; `level` those of the score that is being counted. */
struct curve {
    double wins, below[2], level[2], score;
};

static void end_level(struct curve *c)
{
    c->wins += c->level[1] * (c->below[0] + c->level[0] / 2);
    for (int k = 0; k < 2; k++) c->below[k] += c->level[k], c->level[k] = 0;
}

int roc_areas(struct roc *r, double *areas, struct err *e)
{
    const void *record;
    const struct scored_sample *s = NULL;
    int got = sorter_next(r->scores, &record, e);
    for (int64_t class = 0; class < r->classes; class++) {
        struct curve c = { 0 };
        for (; got > 0 && (s = record)->class == class; got = sorter_next(r->scores, &record, e)) {
            if (s->score != c.score) end_level(&c);
            c.score = s->score;
            c.level[s->positive]++;
        }
        TRY(got);
        end_level(&c);
        areas[class] = c.below[0] && c.below[1] ? c.wins / (c.below[0] * c.below[1]) : NAN;
    }
    if (r->classes == 2) areas[0] = areas[1];
    return 0;
}

double roc_mean(const double *areas, int64_t classes)
{
    double sum = 0;
    if (classes <= 2) return classes == 2 ? areas[1] : NAN;
    for (int64_t c = 0; c < classes; c++) sum += areas[c];
    return sum / (double)classes;
}

void probabilities(double *scores, int64_t n)
{
    double max = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) max = scores[i] > max ? scores[i] : max;
    for (int64_t i = 0; i < n; i++) sum += scores[i] = exp(scores[i] - max);
    for (int64_t i = 0; i < n; i++) scores[i] /= sum;
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
