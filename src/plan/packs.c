/* packs.c - the cache of packed weights. */
#include <string.h>

#include "base/array.h"
#include "base/err.h"
#include "graph/aligned.h"
#include "plan/packs_parts.h"

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

struct packs *packs_blank(const struct mem *mem)
{
    struct packs *p = packs_new(mem);
    if (p) p->blank = true;
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

static int reorder(const struct tensor *from, struct tensor *to, int threads, struct arena *a, struct err *e)
{
    const struct layout *owner = to->layout ? to->layout : from->layout;
    const struct tensor *aligned = tensor_aligned(a, from, e);
    if (!aligned) return e->code;
    struct tensor source = *aligned, *in = &source;
    struct step s = { .in = &in, .out = &to, .threads = threads, .arena = a, .scratch = a };
    TRY(owner->backend->reorder_prepare(&s, from->layout, to->layout, e));
    if (s.work_bytes) TRY_MEM(s.work = arena_alloc(a, s.work_bytes), e);
    return owner->backend->reorder_run(&s, e);
}

int reorder_once(const struct tensor *from, struct tensor *to, int threads, struct err *e)
{
    struct arena a;
    arena_init(&a, NULL);
    int code = reorder(from, to, threads, &a, e);
    arena_release(&a);
    return code;
}

int packs_keep(struct packs *p, const struct tensor *weight, struct err *e)
{
    return weight->blob && blob_adopt(&p->arena, blob_ref(weight->blob)) ? fail_nomem(e) : 0;
}

enum { ALIGNMENT = 64, LEAST_SHELF = 4 << 20, MOST_SHELF = 32 << 20 };

/* A shelf for weights that come one after another, so that few of them end inside a large page. Only what is used of it
 * takes memory, if its allocator maps so much at once; else there is none, and each weight is alone. */
static struct blob *new_shelf(struct packs *p, size_t bytes)
{
    const struct mem *mem = p->arena.mem;
    size_t size = p->bytes < LEAST_SHELF ? LEAST_SHELF : p->bytes > MOST_SHELF ? MOST_SHELF : p->bytes;
    if (size < bytes || !mem->zeroed || mem->zeroed > LEAST_SHELF) size = bytes;
    struct blob *b = blob_new(mem, size);
    if (!b || blob_adopt(&p->arena, b)) return NULL;
    p->shelf = b;
    p->shelf_size = size;
    p->shelf_used = 0;
    return b;
}

/* Memory of the cache for one weight, and the blob it is of. */
static void *place_for(struct packs *p, size_t bytes, struct blob **of)
{
    size_t size = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if ((!p->shelf || size > p->shelf_size - p->shelf_used) && !new_shelf(p, size)) return NULL;
    *of = p->shelf;
    p->shelf_used += size;
    return (unsigned char *)blob_data(p->shelf) + p->shelf_used - size;
}

int packs_memory(struct packs *p, struct tensor *t, size_t bytes, struct err *e)
{
    if (!p->blank) return (t->data = place_for(p, bytes, &t->blob)) ? 0 : fail_nomem(e);
    t->blob = blob_zeros(p->arena.mem, bytes);
    if (!t->blob || blob_adopt(&p->arena, t->blob)) return fail_nomem(e);
    t->data = blob_data(t->blob);
    return 0;
}

/* Bytes of a file that are in memory at a time while a large weight is packed, about. */
enum { PART = 8 << 20, LEAST_IN_PARTS = 4 * PART };

/* `part` of a weight, which begins at byte `at`. */
static int move_part(
    const struct tensor *part, size_t at, struct tensor *to, int threads, struct arena *a, struct err *e)
{
    const struct backend *b = to->layout->backend;
    TRY(tensor_fetch(part, e));
    struct tensor *in = (struct tensor *)(uintptr_t)tensor_aligned(a, part, e);
    struct step s = { .in = &in, .out = &to, .threads = threads, .arena = a, .scratch = a };
    if (!in) return e->code;
    TRY(b->part_prepare(&s, to->layout, at, (size_t)tensor_bytes(part), e));
    if (s.work_bytes) TRY_MEM(s.work = arena_alloc(a, s.work_bytes), e);
    return b->reorder_run(&s, e);
}

static int move_parts(const struct tensor *weight, struct tensor *to, size_t bytes, int threads, struct err *e)
{
    size_t all = (size_t)tensor_bytes(weight);
    for (size_t at = 0; at < all && !e->code; at += bytes) {
        size_t n = all - at < bytes ? all - at : bytes;
        struct tensor part = { .dtype = weight->dtype, .blob = weight->blob };
        part.shape = shape_of(1, (int64_t[]){ (int64_t)(n / dtype_size(weight->dtype)) });
        part.data = (unsigned char *)weight->data + at;
        struct arena a;
        arena_init(&a, NULL);
        move_part(&part, at, to, threads, &a, e);
        arena_release(&a);
        blob_forget(part.blob, part.data, n);
    }
    return e->code;
}

/* Bytes of one part; 0: the weight is packed as a whole. */
static size_t part_of(const struct packs *p, const struct tensor *weight, const struct layout *layout)
{
    const struct backend *b = layout->backend;
    if (tensor_bytes(weight) < LEAST_IN_PARTS || !b->part_bytes || packs_is_made(p, weight)) return 0;
    size_t unit = b->part_bytes(layout);
    return unit && unit < PART ? PART / unit * unit : unit;
}

/* Moves the content of a weight to where it is packed, and gives back what the move took. */
static int move(struct packs *p, const struct tensor *weight, struct tensor *to, int threads, struct err *e)
{
    struct arena scratch;
    size_t part = part_of(p, weight, to->layout);
    if (part) return move_parts(weight, to, part, threads, e);
    arena_init(&scratch, p->arena.mem);
    const struct tensor *from = packs_content(p, weight, &scratch, threads, e);
    if (from) reorder_once(from, to, threads, e);
    arena_release(&scratch);
    return e->code;
}

static const struct tensor *pack(
    struct packs *p, const struct tensor *weight, const struct layout *layout, int threads, struct err *e)
{
    struct tensor *t = ARENA_NEW(&p->arena, struct tensor);
    if (!t) return fail_nomem(e), NULL;
    *t = *weight;
    if (layout && !(t->layout = layout->backend->layout_copy(layout, &p->arena, e))) return NULL;
    size_t bytes = layout ? layout->bytes : (size_t)tensor_bytes(weight);
    if (packs_memory(p, t, bytes, e)) return NULL;
    if (!p->blank && layout && move(p, weight, t, threads, e)) return NULL;
    if (!p->blank && !layout && tensor_copy_content(weight, t->data, e)) return NULL;
    packs_dismiss(p, weight);
    struct pack item = { weight->data, t };
    if (packs_keep(p, weight, e)) return NULL;
    if (!ARRAY_PUSH(&p->arena, p->items, p->n, p->cap, item)) return fail_nomem(e), NULL;
    p->bytes += bytes;
    return t;
}

static bool same_layout(const struct layout *a, const struct layout *b)
{
    if (!a || !b) return a == b;
    return a->backend == b->backend && a->backend->layout_same(a, b);
}

static const struct tensor *find_pack(const struct packs *p, const struct tensor *weight, const struct layout *layout)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct tensor *t = p->items[i].packed;
        if (p->items[i].data != weight->data || !shape_equal(&t->shape, &weight->shape)) continue;
        if (same_layout(t->layout, layout)) return t;
    }
    return NULL;
}

const struct tensor *packs_get(
    struct packs *p, const struct tensor *weight, const struct layout *layout, int threads, struct err *e)
{
    pthread_mutex_lock(&p->lock);
    const struct tensor *found;
    if (!layout && tensor_is_aligned(weight)) found = packs_settle(p, weight, threads, e) ? NULL : weight;
    else if (!(found = find_pack(p, weight, layout))) found = pack(p, weight, layout, threads, e);
    pthread_mutex_unlock(&p->lock);
    return found;
}
