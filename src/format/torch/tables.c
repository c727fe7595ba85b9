/* tables.c - the list of the tables of aten operators, made from the build's list. */
#include <stddef.h>
#include <string.h>

#include "format/format.h"
#include "format/torch/aten.h"

#define X(name) extern const struct aten_row aten_##name[];
#include "format/torch/aten_list.h"
#undef X

const struct aten_row *const aten_tables[] = {
#define X(name) aten_##name,
#include "format/torch/aten_list.h"
#undef X
    NULL,
};

bool aten_knows(size_t i, struct format_item *out)
{
    for (int t = 0; aten_tables[t]; t++)
        for (const struct aten_row *r = aten_tables[t]; r->schema; r++) {
            if (i--) continue;
            *out = (struct format_item){ "operators", r->schema, strcspn(r->schema, ".(") };
            return true;
        }
    return false;
}
