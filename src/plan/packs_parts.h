/* packs_parts.h - what the two halves of the cache of packed weights share: packs.c packs, packs_made.c computes. */
#ifndef TENREC_PLAN_PACKS_PARTS_H
#define TENREC_PLAN_PACKS_PARTS_H

#include <pthread.h>

#include "base/arena.h"
#include "plan/packs.h"

struct pack {
    const void *data; /* of the plain weight: its identity, kept from being reused by a reference to its blob */
    struct tensor *packed; /* without a layout: an aligned copy of what lies anywhere in a file */
};

/* What a node makes of weights. A large one is computed, given back when something was made of it, and computed again
 * should that happen once more; its address stays its identity. */
struct result {
    struct node node; /* without values */
    struct tensor *in; /* no data: none */
    struct tensor **out;
    bool stays; /* somebody reads it as it is, or it is part of other memory */
    bool gone;
};

struct packs {
    struct arena arena;
    pthread_mutex_t lock;
    struct pack *items;
    size_t n, cap, bytes;
    struct blob *shelf; /* where weights are put, one behind the other */
    size_t shelf_size, shelf_used;
    struct result *results;
    size_t n_results, cap_results;
    struct graph *home; /* that the nodes of results say they are of */
    bool blank;
};

/* References the blob of a tensor, whose address is its identity: it must not be given to another one meanwhile. */
int packs_keep(struct packs *p, const struct tensor *weight, struct err *e);
/* Memory for a tensor, as long as the cache lives. */
int packs_memory(struct packs *p, struct tensor *t, size_t bytes, struct err *e);
/* `weight` as kernels may read it, for as long as `scratch` lives; its pages are fetched. NULL with the error. */
const struct tensor *packs_content(
    struct packs *p, const struct tensor *weight, struct arena *scratch, int threads, struct err *e);
/* Whether it is a result. */
bool packs_is_made(const struct packs *p, const struct tensor *weight);
/* Something was made of the weight: its memory is given back where it can be had again. */
void packs_dismiss(struct packs *p, const struct tensor *weight);
/* If the tensor is a result, its content is there from now on, for whoever reads it as it is. */
int packs_settle(struct packs *p, const struct tensor *weight, int threads, struct err *e);

#endif
