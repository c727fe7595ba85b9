/* pipeline.h - preprocess -> forward -> postprocess: the contract of a package, for one sample, a batch or a stream.
 *
 * Samples go in one at a time; answers come out in the same order through a callback. Every forward pass has the same
 * batch size (a part batch is padded with copies), and pre- and postprocessing see one sample at a time: so an answer
 * does not depend, in any bit, on what else is scored. Nor does it depend on the batch size as far as kernels sum each
 * sample in one order: oneDNN's convolutions do, and products with weights run as such (backend/dnnl/matmul.c).
 *
 * The caller's thread reads rows and takes answers; as many workers as there are processors take a batch each, all the
 * way (lot.h). So one decodes while another computes, no thread waits inside a forward pass for the others, and whoever
 * has nothing to do sleeps. Rows wait in a ring of bounded size (back-pressure): when it is full, the caller waits.
 * With fewer rows than processors the workers are fewer, and each has several threads.
 */
#ifndef TENREC_SCORE_PIPELINE_H
#define TENREC_SCORE_PIPELINE_H

#include "data/table.h"
#include "package/model.h"
#include "pass/precision.h"

struct pipeline;
struct recipe;

struct scored {
    const char *id;
    long row;                      /* in its table, from 0 */
    const char *error;             /* the row could not be scored, and why; else NULL */
    const struct provenance *from; /* of the first image input; its `seen` has pixels where they were asked for */
    const struct answer *answers;  /* one per output of the model */
    const struct tensor *outputs;  /* (1, ...) each, before postprocessing; NULL unless asked for */
    size_t n_answers;
    const struct table *table;
    const struct row *source; /* the row as the table has it; its cells may be missing in a broken row */
};

struct pipeline_options {
    int batch;    /* samples per forward pass; at least 1 */
    int threads;  /* 0: what the process may use */
    enum precision precision;
    const struct recipe *recipe; /* NULL: none */
    int64_t rows; /* how many will come, where that is known; 0: it is not */
    bool outputs, seen; /* wanted in `scored` */
    int (*answer)(void *cookie, const struct scored *s, struct err *e); /* in the caller's thread */
    bool (*cancelled)(void *cookie); /* asked while the caller waits; true: what has not begun is dropped. Or NULL */
    void *cookie;
};

/* The model's allocator must be able to serve several threads. */
struct pipeline *pipeline_new(struct model *m, const struct pipeline_options *o, struct err *e);
void pipeline_free(struct pipeline *p);
/* Where the next row is to be read into: it lives until it is answered. */
struct arena *pipeline_arena(struct pipeline *p);
/* The row that was read into pipeline_arena(), of a table that was opened with the names of the model's inputs. What is
 * wrong with the row becomes an error row; what is wrong with the model or the machine is returned. */
int pipeline_put(struct pipeline *p, const struct table *t, const struct row *row, struct err *e);
/* A row that could not even be read from its table. */
int pipeline_put_error(
    struct pipeline *p, const struct table *t, const struct row *row, const char *error, struct err *e);
/* Answers what is waiting: a stream does this when its input idles, and everybody at the end. */
int pipeline_flush(struct pipeline *p, struct err *e);

#endif
