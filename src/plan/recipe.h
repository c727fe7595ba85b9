/* recipe.h - which kernel takes which node, as `tenrec bench --tune` measured it on one machine.
 *
 * A node is known by its operator, the shapes of its inputs without the batch, and its attributes. A plan made by a
 * recipe is as deterministic as any other: nothing is timed when it is made or run.
 */
#ifndef TENREC_PLAN_RECIPE_H
#define TENREC_PLAN_RECIPE_H

#include "ops/kernel.h"

struct recipe;
struct recipe *recipe_new(struct arena *a); /* NULL: no memory */
/* A NULL kernel: as if nothing were said. */
int recipe_set(struct recipe *r, const char *key, const char *kernel, struct err *e);
const char *recipe_key(struct arena *a, const struct step *s); /* NULL: no memory */
const char *recipe_kernel(const struct recipe *r, const char *key); /* NULL: it says nothing */
size_t recipe_count(const struct recipe *r);

/* `graph`: of the model, for which the recipe holds. A file made for another machine, version or model sets *other to
 * what differs, and says nothing. Errors: ERR_IO, ERR_DATA. */
int recipe_read(
    struct recipe *r, const char *path, const struct graph *graph, const char **other, struct err *e);
/* What a command or a training was told to follow, in `a`: *out is NULL where `path` is, or where the file is for
 * something else; then *ignored says so in one line, and else is NULL. Errors: as recipe_read. */
int recipe_open(const struct recipe **out, struct arena *a, const char *path, const struct graph *graph,
    const char **ignored, struct err *e);
/* SHA-256 of what it says, in whatever order; equal where the kernels are. `r` may be NULL: it says nothing, as one
 * without kernels. ERR_NOMEM. */
int recipe_hash(const struct recipe *r, char hex[65], struct err *e);
int recipe_write(const struct recipe *r, const char *path, const struct graph *graph, struct err *e);

#endif
