/* packs.c - the cache of packed weights. */
#include "plan/packs.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"

struct pack {
    const void *data; /* of the plain weight: its identity, kept from being reused by a reference to its blob */
    struct tensor *packed;
};
struct packs {
    struct arena arena;
    pthread_mutex_t lock;
    struct pack *items;
    size_t n, cap, bytes;
};

struct packs *packs_new(const struct mem *mem)
{
    struct arena a;
    arena_init(&a, mem);
    struct packs *p = ARENA_NEW(&a, struct packs);
    if (!p) return arena_release(&a), NULL;
    p->arena = a; /* the cache lies in its own arena */
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

void packs_free(struct packs *p)
{
    if (!p) return;
    pthread_mutex_destroy(&p->lock);
    struct arena a = p->arena;
    arena_release(&a);
}

size_t packs_bytes(struct packs *p)
{
    return p->bytes;
}

int reorder_once(const struct tensor *from, struct tensor *to, int threads, struct err *e)
{
    const struct layout *owner = to->layout ? to->layout : from->layout;
    struct arena a;
    arena_init(&a, NULL);
    struct tensor source = *from, *in = &source;
    struct step s = { .in = &in, .out = &to, .threads = threads, .arena = &a, .scratch = &a };
    int code = owner->backend->reorder_prepare(&s, from->layout, to->layout, e);
    if (!code && s.work_bytes && !(s.work = arena_alloc(&a, s.work_bytes))) code = fail_nomem(e);
    if (!code) code = owner->backend->reorder_run(&s, e);
    arena_release(&a);
    return code;
}

static struct tensor *pack(
    struct packs *p, const struct tensor *weight, const struct layout *layout, int threads, struct err *e)
{
    struct tensor *t = ARENA_NEW(&p->arena, struct tensor);
    if (!t) return fail_nomem(e), NULL;
    *t = *weight;
    t->layout = layout->backend->layout_copy(layout, &p->arena, e);
    if (!t->layout) return NULL;
    t->blob = blob_new(p->arena.mem, layout->bytes);
    if (!t->blob || blob_adopt(&p->arena, t->blob)) return fail_nomem(e), NULL;
    t->data = blob_data(t->blob);
    if (reorder_once(weight, t, threads, e)) return NULL;
    struct pack item = { weight->data, t };
    if (weight->blob && blob_adopt(&p->arena, blob_ref(weight->blob))) return fail_nomem(e), NULL;
    if (!ARRAY_PUSH(&p->arena, p->items, p->n, p->cap, item)) return fail_nomem(e), NULL;
    p->bytes += layout->bytes;
    return t;
}

const struct tensor *packs_get(
    struct packs *p, const struct tensor *weight, const struct layout *layout, int threads, struct err *e)
{
    const struct tensor *found = NULL;
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < p->n && !found; i++) {
        const struct tensor *t = p->items[i].packed;
        if (p->items[i].data == weight->data && shape_equal(&t->shape, &weight->shape) &&
            t->layout->backend == layout->backend && layout->backend->layout_same(t->layout, layout))
            found = t;
    }
    if (!found) found = pack(p, weight, layout, threads, e);
    pthread_mutex_unlock(&p->lock);
    return found;
}
