/* inspect.h - a look at tables before anybody trains on them: what cannot be read, what is there twice, what lies on
 * its side, how classes, sizes and mask labels are spread. */
#ifndef TENREC_DATA_INSPECT_H
#define TENREC_DATA_INSPECT_H

#include <jansson.h>

#include "data/table.h"

struct inspection;
struct inspection *inspection_new(struct arena *a, struct err *e);
/* Decodes every image and mask. Several tables are splits of one data set: equal contents in two of them are leaks. */
int inspection_add(struct inspection *i, struct table *t, struct err *e);
/* {"tables": [{"path", "kind", "rows", "unreadable", "rotated", "duplicates", "classes" ..}], "leaks", "findings"}.
 * Lives as long as the arena. */
int inspection_report(const struct inspection *i, json_t **out, struct err *e);

/* Sums over all pixels of the images of a table, as RGB or gray, scaled to 0 .. 1. */
struct channel_stats {
    int64_t images, unreadable;
    uint64_t pixels, sum[3], squares[3];
    int channels;
    double mean[3], std[3]; /* std: of the population, as numpy.std() */
};
int channel_stats(struct channel_stats *s, struct table *t, enum role role, bool gray, struct err *e);

#endif
