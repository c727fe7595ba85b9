/* regression.c - errors of predicted numbers. */
#include "metric/regression.h"

#include <math.h>

#include "base/arena.h"
#include "base/err.h"

int regression_init(struct regression *r, struct arena *a, int64_t outputs, struct err *e)
{
    *r = (struct regression){ .outputs = outputs, .sums = ARENA_ARRAY(a, outputs, struct regression_sums) };
    TRY_MEM(r->sums, e);
    return 0;
}

void regression_add(struct regression *r, const double *truth, const double *prediction)
{
    r->n++;
    for (int64_t i = 0; i < r->outputs; i++) {
        struct regression_sums *s = &r->sums[i];
        double error = prediction[i] - truth[i], off = truth[i] - s->mean;
        s->absolute += fabs(error);
        s->square += error * error;
        s->mean += off / (double)r->n;
        s->spread += off * (truth[i] - s->mean);
    }
}

static struct regression_measures of_one(const struct regression *r, int64_t output)
{
    const struct regression_sums *s = &r->sums[output];
    double n = (double)r->n;
    struct regression_measures m = { s->absolute / n, s->square / n, sqrt(s->square / n), NAN };
    if (r->n) m.r2 = s->spread > 0 ? 1 - s->square / s->spread : s->square > 0 ? 0 : 1;
    return m;
}

struct regression_measures regression_measure(const struct regression *r, int64_t output)
{
    if (output >= 0) return of_one(r, output);
    struct regression_measures all = { 0 };
    double n = (double)r->outputs;
    for (int64_t i = 0; i < r->outputs; i++) {
        struct regression_measures m = of_one(r, i);
        all.mae += m.mae / n, all.mse += m.mse / n, all.r2 += m.r2 / n;
    }
    all.rmse = sqrt(all.mse);
    return all;
}
