/* compare.c - how far two tensors are apart. */
#include "package/compare.h"

#include <math.h>

#include "graph/tensor.h"

bool tensor_compare(const struct tensor *got, const struct tensor *want, struct difference *d)
{
    *d = (struct difference){ .exact = !dtype_is_float(want->dtype) };
    if (got->dtype != want->dtype || !shape_equal(&got->shape, &want->shape)) return false;
    for (int64_t i = 0; i < tensor_count(want); i++) {
        double x = tensor_get_f64(got, i), y = tensor_get_f64(want, i);
        if (isnan(x) && isnan(y)) continue;
        double diff = x == y ? 0 : fabs(x - y); /* equal infinities */
        if (!(diff <= d->max)) d->max = isnan(diff) ? INFINITY : diff;
        if (isfinite(y) && fabs(y) > d->scale) d->scale = fabs(y);
    }
    return true;
}

double difference_relative(const struct difference *d)
{
    return d->max == 0 ? 0 : d->max / (d->scale > 0 ? d->scale : 1);
}
