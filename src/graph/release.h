/* release.h - memory of states that somebody else holds now. */
#ifndef TENREC_GRAPH_RELEASE_H
#define TENREC_GRAPH_RELEASE_H

#include "graph/graph.h"

/* The pages of a part of a blob are given back: what was there reads as zeros from now on, or as the file has it where
 * the blob is a mapping of one. Nothing happens to memory of somebody else's allocator, nor to what is only wrapped. */
void blob_discard(const struct blob *b, const void *data, size_t size);

/* A session over `step` has copies of the states that change there; what `model`, whose step it is, holds for states of
 * the same names is given back. Those values of both graphs, and session_reset(), are void from then on. What any other
 * value of either graph lies in as well stays as it is. ERR_NOMEM: nothing was given back. */
int graph_release_states(const struct graph *model, const struct graph *step, struct err *e);

#endif
