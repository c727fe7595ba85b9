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

enum rate backend_multiplies(enum dtype t)
{
    enum rate best = t == DT_F32 ? RATE_FAST : RATE_NONE;
    for (size_t i = 0; backend_list[i]; i++) {
        enum rate r = backend_list[i]->multiplies ? backend_list[i]->multiplies(t) : RATE_NONE;
        best = r > best ? r : best;
    }
    return best;
}

const char *backend_against_bf16(void)
{
    static const char *const texts[] = { "has no instructions for bf16", "multiplies bf16 no faster than float32" };
    enum rate r = backend_multiplies(DT_BF16);
    return r < RATE_FAST ? texts[r] : NULL;
}
