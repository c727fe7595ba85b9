/* pass.c - the lists of passes. */
#include "pass/pass.h"

#include <string.h>

#include "base/err.h"

#define X(name) extern const struct pass pass_##name;
#include "pass/pass_list.h"
#undef X

static const struct pass *const list[] = {
#define X(name) &pass_##name,
#include "pass/pass_list.h"
#undef X
};

const struct pass *pass_at(size_t i)
{
    return i < sizeof list / sizeof list[0] ? list[i] : NULL;
}

int pass_run(struct graph *g, enum pass_stage stage, const char *after, struct err *e)
{
    for (size_t i = 0; pass_at(i); i++) {
        if (list[i]->stage != stage) continue;
        if (list[i]->run(g, e)) return err_prefix(e, "pass %s", list[i]->name);
#ifndef NDEBUG
        TRY(graph_verify(g, e));
#endif
        if (after && !strcmp(after, list[i]->name)) return 0;
    }
    return after ? fail(e, ERR_USAGE, "there is no pass \"%s\" in this stage", after) : 0;
}
