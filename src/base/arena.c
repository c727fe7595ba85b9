/* arena.c - bump allocation in growing blocks, with closers. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/err.h"

struct arena_block {
    struct arena_block *prev;
    size_t size, at; /* payload bytes, bytes used */
    _Alignas(16) unsigned char data[];
};
struct arena_closer {
    struct arena_closer *prev;
    void (*close)(void *ptr);
    void *ptr;
};

/* Large blocks are mapped by themselves, in large pages where the system has them: fewer faults, zeroed once only.
 * AddressSanitizer would not see past the ends of these. */
enum { HUGE_PAGE = 1 << 21 };
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined __SANITIZE_ADDRESS__ || __has_feature(address_sanitizer)
#define LARGE SIZE_MAX
#else
#define LARGE ((size_t)HUGE_PAGE)
#endif

/* Begins at a multiple of HUGE_PAGE: what was mapped around it is given back. */
static void *map_large(size_t size)
{
    size_t page = 4096, bytes = (size + page - 1) & ~(page - 1);
    unsigned char *p = mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return NULL;
    size_t before = -(uintptr_t)p & (HUGE_PAGE - 1);
    if (before) munmap(p, before);
    munmap(p + before + bytes, HUGE_PAGE - before);
    madvise(p + before, bytes, MADV_HUGEPAGE);
    return p + before;
}

static void *default_alloc(void *cookie, size_t size)
{
    (void)cookie;
    if (size > SIZE_MAX / 2) return NULL;
    return size >= LARGE ? map_large(size) : aligned_alloc(64, (size + 63) & ~(size_t)63);
}

static void default_free(void *cookie, void *ptr, size_t size)
{
    (void)cookie;
    if (ptr && size >= LARGE) munmap(ptr, (size + 4095) & ~(size_t)4095);
    else free(ptr);
}

const struct mem mem_default = { default_alloc, default_free, NULL, 0, LARGE };

void arena_init(struct arena *a, const struct mem *mem)
{
    *a = (struct arena){ .mem = mem ? mem : &mem_default };
}

static void run_closers(struct arena *a, const struct arena_closer *until)
{
    while (a->closers != until) {
        struct arena_closer *c = a->closers;
        a->closers = c->prev;
        c->close(c->ptr);
    }
}

static void free_blocks(struct arena *a, const struct arena_block *until)
{
    while (a->blocks != until) {
        struct arena_block *b = a->blocks;
        a->blocks = b->prev;
        a->mem->free(a->mem->cookie, b, sizeof *b + b->size);
    }
}

void arena_release(struct arena *a)
{
    if (!a->mem) return;
    run_closers(a, NULL);
    free_blocks(a, NULL);
    a->used = 0;
}

static struct arena_block *add_block(struct arena *a, size_t need)
{
    size_t size = a->blocks ? a->blocks->size * 2 : 4096 - sizeof(struct arena_block);
    if (size > (1u << 20)) size = 1u << 20;
    if (a->mem->block) size = a->mem->block;
    if (size < need) size = need;
    if (size > SIZE_MAX - sizeof(struct arena_block)) return NULL;
    struct arena_block *b = a->mem->alloc(a->mem->cookie, sizeof *b + size);
    if (!b) return NULL;
    b->prev = a->blocks;
    b->size = size;
    b->at = 0;
    return a->blocks = b;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > SIZE_MAX - 15) return a->failed = true, NULL;
    size = size ? (size + 15) & ~(size_t)15 : 16;
    struct arena_block *b = a->blocks;
    bool over = a->limit && (size > a->limit || a->used > a->limit - size);
    if (over || ((!b || b->size - b->at < size) && !(b = add_block(a, size)))) return a->failed = true, NULL;
    void *p = b->data + b->at;
    b->at += size;
    a->used += size;
    return memset(p, 0, size);
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) return NULL;
    return arena_alloc(a, bytes);
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
    char *p = len < SIZE_MAX ? arena_alloc(a, len + 1) : NULL;
    if (p && len) memcpy(p, s, len);
    return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    if (!p) return NULL;
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}

int arena_closer(struct arena *a, void (*close)(void *ptr), void *ptr)
{
    struct arena_closer *c = ARENA_NEW(a, struct arena_closer);
    if (!c) {
        close(ptr);
        return ERR_NOMEM;
    }
    *c = (struct arena_closer){ a->closers, close, ptr };
    a->closers = c;
    return 0;
}

struct arena_mark arena_mark(const struct arena *a)
{
    return (struct arena_mark){ a->blocks, a->blocks ? a->blocks->at : 0, a->used, a->closers };
}

void arena_rewind(struct arena *a, struct arena_mark m)
{
    run_closers(a, m.closers);
    free_blocks(a, m.block);
    if (a->blocks) a->blocks->at = m.at;
    a->used = m.used;
}
