/* sample.h - one row on its way to the model: what the table has, and the tensors made of it. */
#ifndef TENREC_SCORE_SAMPLE_H
#define TENREC_SCORE_SAMPLE_H

#include "base/err.h"
#include "data/table.h"
#include "package/model.h"

struct sample {
    struct arena arena; /* of all below */
    const struct table *table;
    struct row row;
    struct tensor *in; /* one per input of the model, (1, ...) */
    struct provenance from;
    struct err bad; /* why it cannot be scored */
};

/* Reads and preprocesses the row, with what memory that takes given back at once; any thread. Sets `in`, `from` or
 * `bad` (ERR_NOMEM and ERR_USAGE are no fault of the row). A sample that is bad already is left alone. */
void sample_load(struct sample *s, const struct model *m, int threads);

#endif
