/* registry.c - looking operators up by name. */
#include "ops/registry.h"

#include <stdlib.h>
#include <string.h>

#define X(family) extern const struct op ops_##family[];
#include "ops/ops_list.h"
#undef X

static const struct {
    const struct op *rows;
    const char *name;
} families[] = {
#define X(family) { ops_##family, #family },
#include "ops/ops_list.h"
#undef X
};
enum { N_FAMILIES = sizeof families / sizeof families[0] };

const struct op *op_at(size_t i)
{
    for (size_t f = 0; f < N_FAMILIES; f++)
        for (const struct op *op = families[f].rows; op->name; op++)
            if (!i--) return op;
    return NULL;
}

const char *op_family(size_t i)
{
    for (size_t f = 0; f < N_FAMILIES; f++)
        for (const struct op *op = families[f].rows; op->name; op++)
            if (!i--) return families[f].name;
    return NULL;
}

static const struct op *find(const char *name)
{
    for (size_t f = 0; f < N_FAMILIES; f++)
        for (const struct op *op = families[f].rows; op->name; op++)
            if (!strcmp(op->name, name)) return op;
    return NULL;
}

const struct op_table op_registry = { find };
