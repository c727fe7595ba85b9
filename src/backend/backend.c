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
