/* backend.c - the list of backends. */
#include "backend/backend.h"

#define X(name) extern const struct backend backend_##name;
#include "backend/backend_list.h"
#undef X

const struct backend *const backend_list[] = {
#define X(name) &backend_##name,
#include "backend/backend_list.h"
#undef X
    NULL,
};

bool backend_multiplies(enum dtype t)
{
    for (size_t i = 0; backend_list[i]; i++)
        if (backend_list[i]->multiplies && backend_list[i]->multiplies(t)) return true;
    return t == DT_F32;
}
