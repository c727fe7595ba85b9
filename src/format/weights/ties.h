/* ties.h - tied weights: one state of the graph that its source has under several keys. */
#ifndef TENREC_FORMAT_WEIGHTS_TIES_H
#define TENREC_FORMAT_WEIGHTS_TIES_H

#include <jansson.h>

struct arena;
struct err;
struct graph;
struct value;

/* They stand in the graph's metadata, so that packages and files keep them: {"head.weight": "embedding.weight"}. */
#define TIED_WEIGHTS "tied_weights"

/* Puts them there; an empty object or NULL (out of memory) is an answer, too. Takes the reference. */
int ties_put(struct graph *g, json_t *ties, struct err *e);
/* Those of a graph; NULL: none. Lives as long as `a`. What is no text there was not written by us, and is no tie. */
const json_t *ties_of(const struct graph *g, struct arena *a);
/* The next further key of a weight that has `key`, behind `at` (NULL: the first); NULL: no more. */
const char *ties_next(const json_t *ties, const char *key, void **at);

#endif
