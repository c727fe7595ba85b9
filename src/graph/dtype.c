/* dtype.c - the table of element types. */
#include "graph/dtype.h"

#include <string.h>

static const struct {
    size_t size;
    enum dtype_kind kind;
    const char *name, *oip, *safetensors;
} table[DT_COUNT] = { [DT_NONE] = { 0, KIND_OTHER, "?", NULL, NULL },
#define X(id, number, size, kind, name, oip, safetensors) [number] = { size, kind, name, oip, safetensors },
    DTYPE_LIST(X)
#undef X
};

bool dtype_is_valid(int number)
{
    return number > 0 && number < DT_COUNT && table[number].size && !dtype_is_container((enum dtype)number);
}

bool dtype_is_container(enum dtype t)
{
    return t == DT_SEQUENCE || t == DT_OPTIONAL;
}

size_t dtype_size(enum dtype t)
{
    return table[t].size;
}

int dtype_bits(enum dtype t)
{
    static const unsigned char narrow[DT_COUNT] = {
        [DT_U4] = 4, [DT_I4] = 4, [DT_F4E2M1] = 4, [DT_U2] = 2, [DT_I2] = 2
    };
    return narrow[t] ? narrow[t] : 8 * (int)dtype_size(t);
}

enum dtype_kind dtype_kind(enum dtype t)
{
    return table[t].kind;
}

bool dtype_is_float(enum dtype t)
{
    return table[t].kind == KIND_FLOAT;
}

bool dtype_is_integer(enum dtype t)
{
    return table[t].kind == KIND_INT || table[t].kind == KIND_UINT;
}

const char *dtype_name(enum dtype t)
{
    return table[t].name ? table[t].name : "?";
}

const char *dtype_oip(enum dtype t)
{
    return table[t].oip;
}

const char *dtype_safetensors(enum dtype t)
{
    return table[t].safetensors;
}

static bool same(const char *a, const char *b)
{
    return a && !strcmp(a, b);
}

enum dtype dtype_from_name(const char *name)
{
    for (int t = 1; t < DT_COUNT; t++)
        if (dtype_is_valid(t) &&
            (same(table[t].name, name) || same(table[t].oip, name) || same(table[t].safetensors, name)))
            return (enum dtype)t;
    return DT_NONE;
}
