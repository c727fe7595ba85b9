/* arena.h - memory with a lifetime.
 *
 * Three lifetimes, three arenas: model (graph, names, attributes), plan (steps, descriptors), scratch (one call).
 * Nothing in an arena is freed alone, so there is no clean-up ladder and TRY is safe. Things that are not memory
 * (files, library handles, references to blobs) register a closer; closers run newest first.
 */
#ifndef TENREC_BASE_ARENA_H
#define TENREC_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An allocator as a value. `alloc` returns memory aligned to 64 bytes, not cleared, or NULL. */
struct mem {
    void *(*alloc)(void *cookie, size_t size);
    void (*free)(void *cookie, void *ptr, size_t size);
    void *cookie;
    size_t block; /* bytes an arena takes at a time; 0: as it sees fit, 1: each allocation alone (to test failures) */
    size_t zeroed; /* allocations of so many bytes and more hold zeros already; 0: none need to */
};
extern const struct mem mem_default;

struct arena_block;
struct arena_closer;
struct arena {
    const struct mem *mem;
    struct arena_block *blocks;
    struct arena_closer *closers;
    size_t used;  /* bytes handed out */
    size_t limit; /* 0: none; past it allocation fails as if memory were out */
    bool failed;  /* an allocation failed: sticky, so that callers of what drops things silently can ask afterwards */
};

void arena_init(struct arena *a, const struct mem *mem /* NULL: mem_default */);
void arena_release(struct arena *a); /* runs the closers, frees everything; the arena may be used again */
/* Zeroed, aligned to 16; NULL when out of memory. Size 0 gives a valid pointer. */
void *arena_alloc(struct arena *a, size_t size);
/* n * size with the overflow checked. */
void *arena_array(struct arena *a, size_t n, size_t size);
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t len);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Registers `close(ptr)`. On failure it calls close(ptr) at once and returns ERR_NOMEM: the caller need do nothing. */
int arena_closer(struct arena *a, void (*close)(void *ptr), void *ptr);

#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, n, type) ((type *)arena_array((a), (size_t)(n), sizeof(type)))

/* A mark lets a loop give back what it took: closers registered after the mark run, memory after it is reused. */
struct arena_mark {
    struct arena_block *block;
    size_t at, used;
    struct arena_closer *closers;
};
struct arena_mark arena_mark(const struct arena *a);
void arena_rewind(struct arena *a, struct arena_mark m);

#endif
