/* pipeline.h - preprocess -> forward -> postprocess: the contract of a package, for one sample, a batch or a stream.
 *
 * Samples go in one at a time; answers come out in the same order through a callback. Every forward pass has the same
 * batch size (a part batch is padded with copies), and pre- and postprocessing see one sample at a time: so an answer
 * does not depend, in any bit, on what else is scored. Nor does it depend on the batch size as far as kernels sum each
 * sample in one order: oneDNN's convolutions do, and products with weights run as such (backend/dnnl/matmul.c).
 */
#ifndef TENREC_SCORE_PIPELINE_H
#define TENREC_SCORE_PIPELINE_H

#include "data/table.h"
#include "package/model.h"

struct pipeline;

struct scored {
    const char *id;
    const char *path; /* of the first file; NULL when the row names none */
    long row;
    const char *error;             /* the row could not be scored, and why; else NULL */
    const struct provenance *from; /* of the first image input */
    const struct answer *answers;  /* one per output of the model */
    size_t n_answers;
};

struct pipeline_options {
    int batch;   /* samples per forward pass; at least 1 */
    int threads; /* 0: what the process may use */
    int (*answer)(void *cookie, const struct scored *s, struct err *e);
    void *cookie;
};

struct pipeline *pipeline_new(struct model *m, const struct pipeline_options *o, struct err *e);
void pipeline_free(struct pipeline *p);
/* One row of a table that was opened with the names of the model's inputs. What is wrong with the row becomes an error
 * row; what is wrong with the model or the machine is returned. */
int pipeline_put(struct pipeline *p, const struct table *t, const struct row *row, struct err *e);
/* A row that could not even be read from its table. */
int pipeline_put_error(struct pipeline *p, const char *id, const char *error, struct err *e);
/* Answers what is waiting: a stream does this when its input idles, and everybody at the end. */
int pipeline_flush(struct pipeline *p, struct err *e);

#endif
