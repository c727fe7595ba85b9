/* mapped.c - a mapped file as a blob, so that tensors may lie in it. */
#include "base/arena.h"
#include "base/budget.h"
#include "base/err.h"
#include "format/format.h"
#include "graph/tensor.h"

/* Reading a file may take so many times its bytes, where there is a budget. */
enum { GRANT = 3 };

struct mapped {
    struct arena arena; /* holds the mapping */
    const struct mem *mem;
};

static void release(void *cookie)
{
    struct mapped *m = cookie;
    const struct mem *mem = m->mem;
    arena_release(&m->arena);
    mem->free(mem->cookie, m, sizeof *m);
}

struct blob *mapped_file(struct arena *a, const char *path, struct bytes *out, struct err *e)
{
    struct mapped *m = a->mem->alloc(a->mem->cookie, sizeof *m);
    if (!m) return fail_nomem(e), NULL;
    m->mem = a->mem;
    arena_init(&m->arena, a->mem);
    if (file_map(&m->arena, path, out, e)) {
        if (e->code == ERR_DATA) e->code = ERR_MODEL;
        return release(m), NULL;
    }
    budget_grant(a->mem, out->len > SIZE_MAX / GRANT ? SIZE_MAX : out->len * GRANT);
    struct blob *b = blob_wrap(a->mem, out->data, out->len, release, m);
    if (!b) return release(m), fail_nomem(e), NULL;
    blob_is_file(b);
    return blob_adopt(a, b) ? fail_nomem(e), NULL : b;
}
