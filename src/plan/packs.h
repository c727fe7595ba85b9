/* packs.h - weights in the layouts kernels want, and what is computed from weights alone, made once per model and
 * shared by its plans and sessions. */
#ifndef TENREC_PLAN_PACKS_H
#define TENREC_PLAN_PACKS_H

#include "ops/kernel.h"

struct packs;
struct packs *packs_new(const struct mem *mem); /* NULL: no memory */
/* For plans that are measured and never run: the memory of what it holds is never written, so takes none. */
struct packs *packs_blank(const struct mem *mem);
void packs_free(struct packs *p);
/* `weight` (plain, immutable) in `layout`: a tensor that lives as long as the cache. NULL with the error. */
const struct tensor *packs_get(
    struct packs *p, const struct tensor *weight, const struct layout *layout, int threads, struct err *e);
/* The results of a node whose inputs are all such weights (`in`, plain; NULL where absent), as out[0..n_out). Returns
 * 1, or 0 when the node is of a kind that is not kept. */
int packs_results(
    struct packs *p, const struct node *n, struct tensor *const *in, struct tensor **out, int threads, struct err *e);
size_t packs_bytes(struct packs *p);

/* Moves `from` into `to` (memory is there, layouts are set) by the backend that owns a layout of the two. */
int reorder_once(const struct tensor *from, struct tensor *to, int threads, struct err *e);

#endif
