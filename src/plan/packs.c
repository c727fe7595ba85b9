/* packs.c - the cache of packed weights. */
#include "plan/packs.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "graph/op.h"

enum { BLANK_MIN = 1024 /* elements of a result that a blank cache does not compute */ };

struct pack {
    const void *data; /* of the plain weight: its identity, kept from being reused by a reference to its blob */
    struct tensor *packed;
};
struct result {
    const struct op *op;
    size_t n_attrs;
    const struct attr *attrs;
    int n_in, n_out;
    struct tensor *in; /* no data: none */
    struct tensor **out;
};
struct packs {
    struct arena arena;
    pthread_mutex_t lock;
    struct pack *items;
    size_t n, cap, bytes;
    struct blob *shelf; /* where weights are put, one behind the other */
    size_t shelf_size, shelf_used;
    struct result *results;
    size_t n_results, cap_results;
    bool blank;
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

/* The memory of a weight is its identity: it must not be given to another one while the cache lives. */
static int keep(struct packs *p, const struct tensor *weight, struct err *e)
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

static int give_memory(struct packs *p, struct tensor *t, size_t bytes, struct err *e)
{
    if (!p->blank) return (t->data = place_for(p, bytes, &t->blob)) ? 0 : fail_nomem(e);
    t->blob = blob_zeros(p->arena.mem, bytes);
    if (!t->blob || blob_adopt(&p->arena, t->blob)) return fail_nomem(e);
    t->data = blob_data(t->blob);
    return 0;
}

static struct tensor *pack(
    struct packs *p, const struct tensor *weight, const struct layout *layout, int threads, struct err *e)
{
    struct tensor *t = ARENA_NEW(&p->arena, struct tensor);
    if (!t) return fail_nomem(e), NULL;
    *t = *weight;
    t->layout = layout->backend->layout_copy(layout, &p->arena, e);
    if (!t->layout) return NULL;
    if (give_memory(p, t, layout->bytes, e)) return NULL;
    if (!p->blank) blob_fetch(weight->blob, weight->data, (size_t)tensor_bytes(weight));
    if (!p->blank && reorder_once(weight, t, threads, e)) return NULL;
    if (!p->blank) blob_forget(weight->blob, weight->data, (size_t)tensor_bytes(weight));
    struct pack item = { weight->data, t };
    if (keep(p, weight, e)) return NULL;
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

static bool same_attr(const struct attr *a, const struct attr *b)
{
    if (strcmp(a->name, b->name) || a->type != b->type || a->n != b->n) return false;
    switch (a->type) {
    case ATTR_INT: return a->i == b->i;
    case ATTR_FLOAT: return a->f == b->f;
    case ATTR_STRING: return !strcmp(a->s, b->s);
    case ATTR_INTS: return !memcmp(a->ints, b->ints, a->n * sizeof *a->ints);
    default: return false;
    }
}

static bool is_result_of(const struct result *r, const struct node *n, struct tensor *const *in)
{
    if (r->op != n->op || r->n_in != n->n_in || r->n_out != n->n_out || r->n_attrs != n->n_attrs) return false;
    for (size_t i = 0; i < n->n_attrs; i++)
        if (!same_attr(&r->attrs[i], &n->attrs[i])) return false;
    for (int i = 0; i < n->n_in; i++) {
        if (r->in[i].data != (in[i] ? in[i]->data : NULL)) return false;
        if (in[i] && (r->in[i].dtype != in[i]->dtype || !shape_equal(&r->in[i].shape, &in[i]->shape))) return false;
    }
    return true;
}

static bool is_kept_kind(const struct node *n)
{
    for (size_t i = 0; i < n->n_attrs; i++)
        if (!same_attr(&n->attrs[i], &n->attrs[i])) return false;
    return n->op->run && !(n->op->flags & (OP_RANDOM | OP_EFFECT | OP_SHAPE_ONLY));
}

static int copy_attrs(struct packs *p, struct result *r, const struct node *n, struct err *e)
{
    struct attr *list = ARENA_ARRAY(&p->arena, n->n_attrs, struct attr);
    TRY_MEM(list, e);
    for (size_t i = 0; i < n->n_attrs; i++) {
        list[i] = n->attrs[i];
        if (!(list[i].name = arena_strdup(&p->arena, n->attrs[i].name))) return fail_nomem(e);
        if (list[i].type == ATTR_STRING && !(list[i].s = arena_strdup(&p->arena, n->attrs[i].s))) return fail_nomem(e);
        if (list[i].type != ATTR_INTS) continue;
        int64_t *ints = ARENA_ARRAY(&p->arena, list[i].n, int64_t);
        TRY_MEM(ints, e);
        if (list[i].n) memcpy(ints, n->attrs[i].ints, list[i].n * sizeof *ints);
        list[i].ints = ints;
    }
    r->attrs = list;
    r->n_attrs = n->n_attrs;
    return 0;
}

static int blank_results(struct packs *p, const struct node *n, struct tensor **out, struct err *e)
{
    for (int i = 0; i < n->n_out; i++) {
        struct tensor *t = out[i] = ARENA_NEW(&p->arena, struct tensor);
        TRY_MEM(t, e);
        *t = (struct tensor){ .dtype = n->out[i]->dtype, .shape = n->out[i]->shape };
        TRY(give_memory(p, t, (size_t)tensor_bytes(t), e));
    }
    return 0;
}

/* Large results of known shape; small ones may decide how a plan looks. */
static bool may_be_blank(const struct packs *p, const struct node *n)
{
    for (int i = 0; i < n->n_out; i++)
        if (!dtype_is_float(n->out[i]->dtype) || shape_count(&n->out[i]->shape) < BLANK_MIN) return false;
    return p->blank;
}

static int compute(
    struct packs *p, struct result *r, const struct node *n, struct tensor *const *in, int threads, struct err *e)
{
    *r = (struct result){ .op = n->op, .n_in = n->n_in, .n_out = n->n_out };
    r->in = ARENA_ARRAY(&p->arena, n->n_in, struct tensor);
    r->out = ARENA_ARRAY(&p->arena, n->n_out, struct tensor *);
    if (!r->in || !r->out) return fail_nomem(e);
    TRY(copy_attrs(p, r, n, e));
    for (int i = 0; i < n->n_in; i++) {
        if (!in[i]) continue;
        r->in[i] = *in[i];
        TRY(keep(p, in[i], e));
    }
    TRY(may_be_blank(p, n) ? blank_results(p, n, r->out, e) : op_eval(n, in, r->out, &p->arena, threads, e));
    for (int i = 0; i < n->n_out; i++) p->bytes += (size_t)tensor_bytes(r->out[i]);
    for (int i = 0; i < n->n_in; i++)
        if (in[i] && !p->blank) blob_forget(in[i]->blob, in[i]->data, (size_t)tensor_bytes(in[i]));
    return ARRAY_PUSH(&p->arena, p->results, p->n_results, p->cap_results, *r) ? 0 : fail_nomem(e);
}

int packs_results(
    struct packs *p, const struct node *n, struct tensor *const *in, struct tensor **out, int threads, struct err *e)
{
    if (!is_kept_kind(n)) return 0;
    struct result fresh, *found = NULL;
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < p->n_results && !found; i++)
        if (is_result_of(&p->results[i], n, in)) found = &p->results[i];
    int code = found ? 0 : compute(p, found = &fresh, n, in, threads, e);
    for (int i = 0; i < n->n_out && !code; i++) out[i] = found->out[i];
    pthread_mutex_unlock(&p->lock);
    return code ? code : 1;
}
