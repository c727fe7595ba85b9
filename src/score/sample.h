/* sample.h - one row on its way to the model: what the table has, the tensors made of it, the answers. */
#ifndef TENREC_SCORE_SAMPLE_H
#define TENREC_SCORE_SAMPLE_H

#include "base/err.h"
#include "data/table.h"
#include "package/model.h"

struct sample {
    struct arena *arena; /* of the row and the answers */
    const struct table *table;
    struct row row;
    struct tensor *in; /* one per input of the model, (1, ...); until the model has run */
    struct provenance from;
    struct answer *answers; /* one per output; NULL: not yet */
    struct tensor *outputs; /* what the model gave, (1, ...) each; NULL where nobody wants it */
    struct err bad;         /* why it cannot be scored */
};

/* Reads and preprocesses the row, with what memory that takes given back at once; any thread. The tensors go to
 * `inputs`, the pixels that the model saw (`seen`: somebody wants them) to the sample's own arena. Sets `in`, `from` or
 * `bad` (ERR_NOMEM and ERR_USAGE are no fault of the row). A sample that is bad already is left alone. */
void sample_load(struct sample *s, const struct model *m, int threads, bool seen, struct arena *inputs);

#endif
