/* families.h - the table of operators that tests print: cases passed and worst error, by family of operators. */
#ifndef TENREC_TESTS_FORMAT_FAMILIES_H
#define TENREC_TESTS_FORMAT_FAMILIES_H

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "graph/graph.h"
#include "graph/op.h"
#include "ops/registry.h"

struct family {
    struct map ops; /* names of operators met */
    int passed, failed;
    double worst; /* error over the output's scale, of those that passed */
};

static inline const char *family_of(const struct graph *g)
{
    const struct value *v = g && g->n_outputs ? g->outputs[0] : NULL;
    for (size_t i = 0; v && v->node && op_at(i); i++)
        if (op_at(i) == v->node->op) return op_family(i);
    return "none";
}

/* The family that makes the first output of what was read (NULL: nothing was); its operators are counted. */
static inline struct family *families_find(struct map *table, const struct graph *g)
{
    const char *key = family_of(g);
    struct family *f = map_get(table, key);
    if (!f) {
        f = ARENA_NEW(table->arena, struct family);
        f->ops = map_in(table->arena);
        map_set(table, key, f);
    }
    for (size_t i = 0; g && i < g->n_nodes; i++) map_set(&f->ops, g->nodes[i]->op->name, f);
    return f;
}

static inline void family_count(struct family *f, bool passed, double error)
{
    f->passed += passed;
    f->failed += !passed;
    if (passed && error > f->worst) f->worst = error;
}

static inline void families_print(const struct map *table)
{
    printf("# %-16s %9s %7s %7s %11s\n", "family", "operators", "passed", "failed", "worst error");
    for (size_t i = 0; i < table->n; i++) {
        const struct family *f = table->entries[i].value;
        printf("# %-16s %9zu %7d %7d %11.2g\n", table->entries[i].key, f->ops.n, f->passed, f->failed, f->worst);
    }
}

#endif
