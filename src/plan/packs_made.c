/* packs_made.c - what is computed from weights alone, once per model. */
#include <string.h>

#include "base/array.h"
#include "base/err.h"
#include "graph/aligned.h"
#include "graph/op.h"
#include "graph/release.h"
#include "graph/sequence.h"
#include "plan/packs_parts.h"

enum { BLANK_MIN = 1024 /* elements of a result that a blank cache does not compute */ };
enum { LEAST_GONE = 64 << 10 /* bytes of a result that is not kept beside what was made of it */ };

static bool same_tensor(const struct tensor *a, const struct tensor *b)
{
    if (a->dtype != b->dtype || a->dtype == DT_STRING || !shape_equal(&a->shape, &b->shape)) return false;
    return a->data == b->data || !memcmp(a->data, b->data, (size_t)tensor_bytes(a));
}

static bool same_strings(const struct attr *a, const struct attr *b)
{
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->strings[i], b->strings[i]) != 0) return false;
    return true;
}

static bool same_attr(const struct attr *a, const struct attr *b)
{
    if (strcmp(a->name, b->name) || a->type != b->type || a->n != b->n) return false;
    switch (a->type) {
    case ATTR_INT: return a->i == b->i;
    case ATTR_FLOAT: return a->f == b->f;
    case ATTR_STRING: return !strcmp(a->s, b->s);
    case ATTR_TENSOR: return same_tensor(a->tensor, b->tensor);
    case ATTR_INTS: return !memcmp(a->ints, b->ints, a->n * sizeof *a->ints);
    case ATTR_FLOATS: return !memcmp(a->floats, b->floats, a->n * sizeof *a->floats);
    case ATTR_STRINGS: return same_strings(a, b);
    default: return false;
    }
}

static bool is_result_of(const struct result *r, const struct node *n, struct tensor *const *in)
{
    const struct node *m = &r->node;
    if (m->op != n->op || m->n_in != n->n_in || m->n_out != n->n_out || m->n_attrs != n->n_attrs) return false;
    for (size_t i = 0; i < n->n_attrs; i++)
        if (!same_attr(&m->attrs[i], &n->attrs[i])) return false;
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

static void *copy_list(struct packs *p, const void *list, size_t n, size_t size, struct err *e)
{
    void *copy = arena_array(&p->arena, n, size);
    if (!copy) return fail_nomem(e), NULL;
    return n ? memcpy(copy, list, n * size) : copy;
}

static int copy_strings(struct packs *p, struct attr *to, const char *const *list, struct err *e)
{
    const char **copy = ARENA_ARRAY(&p->arena, to->n, const char *);
    TRY_MEM(copy, e);
    for (size_t i = 0; i < to->n; i++) TRY_MEM(copy[i] = arena_strdup(&p->arena, list[i]), e);
    to->strings = copy;
    return 0;
}

/* Of a kind that is kept: graphs are not. */
static int copy_attr(struct packs *p, struct attr *to, const struct attr *of, struct err *e)
{
    *to = *of;
    TRY_MEM(to->name = arena_strdup(&p->arena, of->name), e);
    switch (of->type) {
    case ATTR_STRING: TRY_MEM(to->s = arena_strdup(&p->arena, of->s), e); break;
    case ATTR_TENSOR: to->tensor = tensor_keep(&p->arena, of->tensor, e); break;
    case ATTR_INTS: to->ints = copy_list(p, of->ints, of->n, sizeof *of->ints, e); break;
    case ATTR_FLOATS: to->floats = copy_list(p, of->floats, of->n, sizeof *of->floats, e); break;
    case ATTR_STRINGS: return copy_strings(p, to, of->strings, e);
    default: break;
    }
    return e->code;
}

static int copy_attrs(struct packs *p, struct node *to, const struct node *n, struct err *e)
{
    struct attr *list = ARENA_ARRAY(&p->arena, n->n_attrs + 1, struct attr); /* ends with a nameless one */
    TRY_MEM(list, e);
    for (size_t i = 0; i < n->n_attrs; i++) TRY(copy_attr(p, &list[i], &n->attrs[i], e));
    to->attrs = list;
    to->n_attrs = n->n_attrs;
    return 0;
}

static int blank_results(struct packs *p, const struct node *n, struct tensor **out, struct err *e)
{
    for (int i = 0; i < n->n_out; i++) {
        struct tensor *t = out[i] = ARENA_NEW(&p->arena, struct tensor);
        TRY_MEM(t, e);
        *t = (struct tensor){ .dtype = n->out[i]->dtype, .shape = n->out[i]->shape };
        TRY(packs_memory(p, t, (size_t)tensor_bytes(t), e));
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

static int copy_node(struct packs *p, struct node *to, const struct node *n, struct err *e)
{
    if (!p->home && !(p->home = graph_new(&p->arena, n->graph->ops, "weights", e))) return e->code;
    *to = (struct node){ .op = n->op, .n_in = n->n_in, .n_out = n->n_out, .graph = p->home };
    TRY_MEM(to->name = arena_strdup(&p->arena, n->name), e);
    return copy_attrs(p, to, n, e);
}

static struct result *result_of(const struct packs *p, const struct tensor *t)
{
    for (size_t i = 0; i < p->n_results; i++)
        for (int k = 0; k < p->results[i].node.n_out; k++)
            if (p->results[i].out[k]->data == t->data) return &p->results[i];
    return NULL;
}

bool packs_is_made(const struct packs *p, const struct tensor *weight)
{
    return result_of(p, weight) != NULL;
}

/* Runs the node on what its inputs hold at this time. */
static int evaluate(
    struct packs *p, const struct result *r, struct tensor **out, struct arena *a, int threads, struct err *e)
{
    struct arena scratch;
    arena_init(&scratch, p->arena.mem);
    struct tensor **in = ARENA_ARRAY(&scratch, r->node.n_in, struct tensor *);
    if (!in) fail_nomem(e);
    for (int i = 0; i < r->node.n_in && !e->code; i++)
        if (r->in[i].data) in[i] = (struct tensor *)(uintptr_t)packs_content(p, &r->in[i], &scratch, threads, e);
    if (!e->code) op_eval(&r->node, in, out, a, threads, e);
    arena_release(&scratch);
    return e->code;
}

const struct tensor *packs_content(
    struct packs *p, const struct tensor *weight, struct arena *scratch, int threads, struct err *e)
{
    const struct result *r = p->blank ? NULL : result_of(p, weight);
    if (r && r->gone) {
        struct tensor *again = NULL, *t = ARENA_NEW(scratch, struct tensor);
        if (!t) return fail_nomem(e), NULL;
        if (evaluate(p, r, &again, scratch, threads, e)) return NULL;
        *t = *weight;
        t->data = again->data;
        t->blob = again->blob;
        return t;
    }
    if (p->blank) return weight;
    if (tensor_is_aligned(weight)) return tensor_fetch(weight, e) ? NULL : weight;
    return tensor_aligned(scratch, weight, e);
}

void packs_dismiss(struct packs *p, const struct tensor *weight)
{
    struct result *r = result_of(p, weight);
    size_t bytes = (size_t)tensor_bytes(weight);
    if (!r && !p->blank) blob_forget(weight->blob, weight->data, bytes);
    if (!r || r->stays || r->gone || bytes < LEAST_GONE) return;
    if (!p->blank) blob_discard(weight->blob, weight->data, bytes);
    r->gone = true;
    p->bytes -= bytes;
}

int packs_settle(struct packs *p, const struct tensor *weight, int threads, struct err *e)
{
    struct result *r = result_of(p, weight);
    if (!r) return 0;
    r->stays = true;
    if (!r->gone) return 0;
    struct arena scratch;
    arena_init(&scratch, p->arena.mem);
    const struct tensor *again = packs_content(p, weight, &scratch, threads, e);
    size_t bytes = (size_t)tensor_bytes(weight);
    if (again && again != weight) memcpy(weight->data, again->data, bytes);
    if (again) r->gone = false, p->bytes += bytes;
    arena_release(&scratch);
    return e->code;
}

/* A result in the memory of an input, or one of several, is not given back; nor is what it lies in. */
static int settle_shared(struct packs *p, struct result *r, int threads, struct err *e)
{
    r->stays = r->node.n_out != 1;
    for (int i = 0; i < r->node.n_in; i++)
        for (int k = 0; k < r->node.n_out; k++) {
            if (!r->in[i].data || r->in[i].blob != r->out[k]->blob) continue;
            r->stays = true;
            TRY(packs_settle(p, &r->in[i], threads, e));
        }
    return 0;
}

static int compute(
    struct packs *p, struct result *r, const struct node *n, struct tensor *const *in, int threads, struct err *e)
{
    *r = (struct result){ 0 };
    r->in = ARENA_ARRAY(&p->arena, n->n_in, struct tensor);
    r->out = ARENA_ARRAY(&p->arena, n->n_out, struct tensor *);
    if (!r->in || !r->out) return fail_nomem(e);
    TRY(copy_node(p, &r->node, n, e));
    for (int i = 0; i < n->n_in; i++) {
        if (!in[i]) continue;
        r->in[i] = *in[i];
        TRY(packs_keep(p, in[i], e));
    }
    bool blank = may_be_blank(p, n);
    if (blank ? blank_results(p, n, r->out, e) : evaluate(p, r, r->out, &p->arena, threads, e)) return e->code;
    TRY(settle_shared(p, r, threads, e));
    for (int i = 0; i < n->n_out; i++) p->bytes += (size_t)tensor_bytes(r->out[i]);
    for (int i = 0; i < n->n_in; i++)
        if (in[i]) packs_dismiss(p, in[i]);
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
