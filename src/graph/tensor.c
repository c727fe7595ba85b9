/* tensor.c - blobs and tensors. */
#include "graph/tensor.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/release.h"

struct blob {
    atomic_int refs;
    const struct mem *mem;
    void *data;
    size_t size, allocated; /* allocated: header and payload, 0 payload when wrapped */
    void (*release)(void *cookie);
    void *cookie;
    bool is_file; /* a private mapping of a file, never written to */
};

enum { HEADER = 64 };
_Static_assert(sizeof(struct blob) <= HEADER, "the payload begins 64 bytes after the blob, so that it stays aligned");

static struct blob *blob_make(const struct mem *mem, size_t payload)
{
    if (payload > SIZE_MAX / 2) return NULL;
    mem = mem ? mem : &mem_default;
    struct blob *b = mem->alloc(mem->cookie, HEADER + payload);
    if (!b) return NULL;
    *b = (struct blob){ .mem = mem, .allocated = HEADER + payload };
    atomic_init(&b->refs, 1);
    return b;
}

struct blob *blob_new(const struct mem *mem, size_t size)
{
    struct blob *b = blob_make(mem, size);
    if (!b) return NULL;
    b->data = (unsigned char *)b + HEADER;
    b->size = size;
    if (!b->mem->zeroed || b->allocated < b->mem->zeroed) memset(b->data, 0, size);
    return b;
}

struct blob *blob_wrap(
    const struct mem *mem, const void *data, size_t size, void (*release)(void *cookie), void *cookie)
{
    struct blob *b = blob_make(mem, 0);
    if (!b) return NULL;
    b->data = (void *)(uintptr_t)data;
    b->size = size;
    b->release = release;
    b->cookie = cookie;
    return b;
}

static void unmap(void *blob)
{
    struct blob *b = blob;
    munmap(b->data, b->size ? b->size : 1);
}

struct blob *blob_zeros(const struct mem *mem, size_t size)
{
    struct blob *b = blob_wrap(mem, NULL, size, unmap, NULL);
    if (!b) return NULL;
    b->data = mmap(NULL, size ? size : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (b->data == MAP_FAILED) return b->release = NULL, blob_unref(b), NULL;
    b->cookie = b;
    return b;
}

void blob_is_file(struct blob *b)
{
    b->is_file = true;
}

bool blob_holds(const struct blob *b, const void *data, size_t size)
{
    uintptr_t at = (uintptr_t)data, begin = (uintptr_t)b->data;
    return at >= begin && size <= b->size && at - begin <= b->size - size;
}

bool blob_fetch(const struct blob *b, const void *data, size_t size)
{
#if defined MADV_POPULATE_READ
    uintptr_t page = 4096, from = (uintptr_t)data & ~(page - 1), to = ((uintptr_t)data + size + page - 1) & ~(page - 1);
    if (!b || !b->is_file || !size || !blob_holds(b, data, size)) return true;
    return !madvise((void *)from, to - from, MADV_POPULATE_READ) || errno != EFAULT;
#else
    return (void)b, (void)data, (void)size, true;
#endif
}

/* The pages that lie in it as a whole. */
static void drop_pages(const struct blob *b, const void *data, size_t size)
{
    uintptr_t page = 4096, at = (uintptr_t)data, from = (at + page - 1) & ~(page - 1), to = (at + size) & ~(page - 1);
    if (to > from && blob_holds(b, data, size)) madvise((void *)from, to - from, MADV_DONTNEED);
}

void blob_forget(const struct blob *b, const void *data, size_t size)
{
    if (b && b->is_file) drop_pages(b, data, size);
}

void blob_discard(const struct blob *b, const void *data, size_t size)
{
    if (b && (b->is_file || (b->mem == &mem_default && !b->release))) drop_pages(b, data, size);
}

struct blob *blob_ref(struct blob *b)
{
    if (b) atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void blob_unref(struct blob *b)
{
    if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1) return;
    if (b->release) b->release(b->cookie);
    b->mem->free(b->mem->cookie, b, b->allocated);
}

void *blob_data(const struct blob *b)
{
    return b->data;
}

size_t blob_size(const struct blob *b)
{
    return b->size;
}

static void unref_closer(void *p)
{
    blob_unref(p);
}

int blob_adopt(struct arena *a, struct blob *b)
{
    return arena_closer(a, unref_closer, b);
}

int64_t tensor_count(const struct tensor *t)
{
    return shape_count(&t->shape);
}

int64_t tensor_bytes(const struct tensor *t)
{
    int64_t n = shape_count(&t->shape); /* at most INT64_MAX / 16, the largest element */
    return n < 0 ? -1 : n * (int64_t)dtype_size(t->dtype);
}

struct tensor *tensor_new(struct arena *a, enum dtype dtype, const struct shape *shape, struct err *e)
{
    struct tensor *t = ARENA_NEW(a, struct tensor);
    if (!t) return fail_nomem(e), NULL;
    t->dtype = dtype;
    t->shape = *shape;
    int64_t bytes = tensor_bytes(t);
    if (bytes < 0) return fail(e, ERR_SHAPE, "a tensor of impossible size"), NULL;
    t->blob = blob_new(a->mem, (size_t)bytes);
    if (!t->blob || blob_adopt(a, t->blob)) return fail_nomem(e), NULL;
    t->data = blob_data(t->blob);
    return t;
}

struct tensor *tensor_copy(
    struct arena *a, enum dtype dtype, const struct shape *shape, const void *data, struct err *e)
{
    struct tensor *t = tensor_new(a, dtype, shape, e);
    if (t && tensor_bytes(t)) memcpy(t->data, data, (size_t)tensor_bytes(t));
    return t;
}
