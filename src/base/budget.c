/* budget.c - counting what an allocator gives. */
#include "base/budget.h"

static void *budget_alloc(void *cookie, size_t size)
{
    struct budget *b = cookie;
    size_t used = atomic_fetch_add(&b->used, size), granted = b->granted;
    bool over = used > granted || size > granted - used;
    if (over) b->spent = true;
    void *p = over ? NULL : b->inner->alloc(b->inner->cookie, size);
    if (!p) atomic_fetch_sub(&b->used, size);
    return p;
}

static void budget_free(void *cookie, void *ptr, size_t size)
{
    struct budget *b = cookie;
    if (ptr) atomic_fetch_sub(&b->used, size);
    b->inner->free(b->inner->cookie, ptr, size);
}

void budget_init(struct budget *b, const struct mem *inner, size_t granted)
{
    *b = (struct budget){ .inner = inner ? inner : &mem_default, .granted = granted };
    b->mem = (struct mem){ budget_alloc, budget_free, b, b->inner->block, b->inner->zeroed };
}

void budget_grant(const struct mem *mem, size_t bytes)
{
    if (mem->alloc != budget_alloc) return;
    struct budget *b = mem->cookie;
    size_t had = b->granted, sum;
    do sum = bytes > SIZE_MAX - had ? SIZE_MAX : had + bytes;
    while (!atomic_compare_exchange_weak(&b->granted, &had, sum));
}
