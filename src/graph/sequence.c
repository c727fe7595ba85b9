/* sequence.c - tensors that hold tensors, and tensors of texts that own them. */
#include "graph/sequence.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"

/* What the blob of a container wraps. */
struct items {
    const struct mem *mem;
    size_t allocated, n;
    struct tensor **list; /* one pointer per item, to its slot */
    struct tensor slots[];
};

static void drop_items(void *cookie)
{
    struct items *held = cookie;
    for (size_t i = 0; i < held->n; i++) blob_unref(held->slots[i].blob);
    held->mem->free(held->mem->cookie, held, held->allocated);
}

static struct items *new_items(const struct mem *mem, size_t n)
{
    if (n > SIZE_MAX / 4 / sizeof(struct tensor)) return NULL;
    size_t bytes = sizeof(struct items) + n * (sizeof(struct tensor) + sizeof(struct tensor *));
    struct items *held = mem->alloc(mem->cookie, bytes);
    if (!held) return NULL;
    *held = (struct items){ .mem = mem, .allocated = bytes };
    held->list = (struct tensor **)(void *)(held->slots + n);
    return held;
}

static bool owns_texts(const struct tensor *t)
{
    const char *begin = t->blob ? blob_data(t->blob) : NULL, *end = t->blob ? begin + blob_size(t->blob) : NULL;
    const struct string_element *s = t->data;
    for (int64_t i = 0; i < tensor_count(t); i++)
        if (s[i].len && (s[i].text < begin || s[i].text >= end)) return false;
    return t->blob != NULL;
}

static bool is_whole(const struct tensor *t)
{
    return t->blob && !t->layout && (t->dtype != DT_STRING || owns_texts(t));
}

struct tensor *tensor_of_texts(
    struct arena *a, const struct shape *shape, const struct string_element *elements, struct err *e)
{
    struct tensor *t = ARENA_NEW(a, struct tensor);
    if (!t) return fail_nomem(e), NULL;
    *t = (struct tensor){ .dtype = DT_STRING, .shape = *shape };
    int64_t n = tensor_count(t), bytes = tensor_bytes(t);
    if (bytes < 0) return fail(e, ERR_SHAPE, "a tensor of impossible size"), NULL;
    for (int64_t i = 0; i < n; i++)
        if (__builtin_add_overflow(bytes, (int64_t)elements[i].len, &bytes)) return fail_nomem(e), NULL;
    t->blob = blob_new(a->mem, (size_t)bytes);
    if (!t->blob || blob_adopt(a, t->blob)) return fail_nomem(e), NULL;
    struct string_element *to = t->data = blob_data(t->blob);
    char *text = (char *)(to + n);
    for (int64_t i = 0; i < n; i++) {
        if (elements[i].len) memcpy(text, elements[i].text, elements[i].len);
        to[i] = (struct string_element){ text, elements[i].len };
        text += elements[i].len;
    }
    return t;
}

struct tensor *tensor_keep(struct arena *a, const struct tensor *t, struct err *e)
{
    if (!is_whole(t))
        return t->dtype == DT_STRING ? tensor_of_texts(a, &t->shape, t->data, e)
                                     : tensor_copy(a, t->dtype, &t->shape, t->data, e);
    struct tensor *same = ARENA_NEW(a, struct tensor);
    if (!same || blob_adopt(a, blob_ref(t->blob))) return fail_nomem(e), NULL;
    *same = *t;
    return same;
}

struct tensor *sequence_new(
    struct arena *a, enum dtype container, const struct tensor *const *items, int64_t n, struct err *e)
{
    struct tensor *s = ARENA_NEW(a, struct tensor);
    struct items *held = s ? new_items(a->mem, (size_t)n) : NULL;
    if (!held) return fail_nomem(e), NULL;
    struct arena scratch; /* of the references that keeping takes */
    arena_init(&scratch, a->mem);
    for (int64_t i = 0; i < n; i++) {
        const struct tensor *kept = tensor_keep(&scratch, items[i], e);
        if (!kept) break;
        held->slots[i] = *kept;
        held->list[i] = &held->slots[i];
        blob_ref(kept->blob);
        held->n++;
    }
    arena_release(&scratch);
    if (held->n < (size_t)n) return drop_items(held), NULL;
    *s = (struct tensor){ .dtype = container, .shape = shape_of(1, &n), .data = held->list };
    if (!(s->blob = blob_wrap(a->mem, held->list, (size_t)n * sizeof *held->list, drop_items, held)))
        return drop_items(held), fail_nomem(e), NULL;
    return blob_adopt(a, s->blob) ? (fail_nomem(e), NULL) : s;
}

const struct tensor *sequence_item(const struct tensor *s, int64_t i)
{
    return ((struct tensor *const *)s->data)[i];
}

int64_t tensor_bytes_deep(const struct tensor *t)
{
    int64_t sum = tensor_bytes(t);
    for (int64_t i = 0; dtype_is_container(t->dtype) && i < tensor_count(t); i++)
        if (__builtin_add_overflow(sum, tensor_bytes_deep(sequence_item(t, i)), &sum)) return INT64_MAX;
    return sum;
}
