/* batch.h - letting a model take any number of samples. */
#ifndef TENREC_PASS_BATCH_H
#define TENREC_PASS_BATCH_H

struct err;
struct graph;

/* A model that was exported for one sample gets the free dimension "N" in its place: in the inputs, and in constant
 * shapes that samples are put into. The graph is inferred anew. ERR_UNSUPPORTED when an output does not follow: the
 * graph is then of no use. Without an input for one sample nothing changes. */
int graph_free_batch(struct graph *g, struct err *e);

#endif
