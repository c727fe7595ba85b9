/* tables.c - the list of the tables of aten operators, made from the build's list. */
#include <stddef.h>

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
