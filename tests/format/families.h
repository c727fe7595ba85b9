/* families.h - the table of operators that tests print: cases passed and worst error, by family of operators.
 *
 * Lines begin with "# family:", so that tools/count-tests.awk can join the tables of several tests into one.
 */
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

/* The family that makes the first output of what was read (NULL: nothing was). */
static inline struct family *families_find(struct map *table, const struct graph *g)
{
    const char *key = family_of(g);
    struct family *f = map_get(table, key);
    if (!f) {
        f = ARENA_NEW(table->arena, struct family);
        map_set(table, key, f);
    }
    return f;
}

static inline void family_count(struct family *f, bool passed, double error)
{
    f->passed += passed;
    f->failed += !passed;
    if (passed && error > f->worst) f->worst = error;
}

/* Operators that a family has; each is also tested by its own samples (tests/ops/rows.c). */
static inline int family_size(const char *name)
{
    int n = 0;
    for (size_t i = 0; op_at(i); i++) n += !strcmp(op_family(i), name);
    return n;
}

static inline void families_print(const struct map *table)
{
    printf("# family: %-16s %9s %7s %7s %11s\n", "", "operators", "passed", "failed", "worst error");
    for (size_t i = 0; i < table->n; i++) {
        const struct family *f = table->entries[i].value;
        const char *name = table->entries[i].key;
        printf("# family: %-16s %9d %7d %7d %11.2g\n", name, family_size(name), f->passed, f->failed, f->worst);
    }
}

#endif
