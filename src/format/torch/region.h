/* region.h - parts of a program that run only sometimes, or again and again. */
#ifndef TENREC_FORMAT_TORCH_REGION_H
#define TENREC_FORMAT_TORCH_REGION_H

#include "format/torch/run.h"

struct kept_list {
    struct object_list *list;
    struct object **items; /* as they were */
    size_t n;
};
struct region {
    const struct map *locals; /* before it */
    struct kept_list *lists;  /* that can be reached from there */
    size_t n_lists, cap_lists;
    size_t first, last; /* nodes it has made */
    unsigned changes, frozen;
    size_t guards, first_write;
    struct torch_write *writes; /* tensors from before it that it wrote into; they have their old content again */
    size_t n_writes;
};

int region_begin(struct eval *v, struct region *r, const struct map *locals);
/* Takes back what it wrote into tensors; refuses one that set attributes. `what`: "a branch on data" */
int region_end(struct eval *v, struct region *r, const char *what);
bool region_list_changed(const struct kept_list *k);
void region_restore_list(const struct kept_list *k);
int region_copy_names(struct map *to, const struct map *from, struct err *e);
/* The graph value of a tensor or number; NULL for everything else, or with the error. DT_NONE: the type it has. */
struct value *region_value(struct eval *v, const struct object *o, enum dtype t);
/* A result as the program sees it: a tensor, or a number that only a run knows. */
struct object *region_result(struct eval *v, struct value *x, const struct object *like);

/* branch.c: both sides of a branch on data. */
int run_data_if(struct eval *v, struct map *locals, const struct ts_stmt *s, const struct object *cond);
/* turns.c: a loop whose length depends on data; `cond` of a while, `count` of a for. */
/* The first `n_before` names are from before the loop: turns run already may have left others. */
int run_data_loop(
    struct eval *v, struct map *locals, const struct ts_stmt *s, const struct object *cond, size_t n_before);

#endif
