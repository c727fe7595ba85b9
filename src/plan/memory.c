/* memory.c - lifetimes, results in place, and offsets in one arena. */
#include <stdlib.h>

#include "base/err.h"
#include "graph/op.h"
#include "plan/plan.h"

enum { ALIGN = 64 };

static void use(struct place *p, int step)
{
    struct place *r = place_root(p);
    if (r->first < 0) r->first = step;
    if (step > r->last) r->last = step;
}

static void lifetimes(struct plan *p)
{
    for (size_t i = 0; i < p->n_places; i++) p->places[i]->first = p->places[i]->last = -1;
    for (size_t i = 0; i < p->n_steps; i++) {
        const struct plan_step *s = p->steps[i];
        int n_in = s->step.node ? s->step.node->n_in : 1, n_out = s->step.node ? s->step.node->n_out : 1;
        for (int k = 0; k < n_in; k++)
            if (s->in[k]) use(s->in[k], (int)i);
        for (int k = 0; k < n_out; k++)
            if (s->out[k]) use(s->out[k], (int)i);
        if (s->work) use(s->work, (int)i);
    }
    const struct graph *g = p->graph;
    for (size_t i = 0; i < g->n_outputs; i++) use(p->of_value[g->outputs[i]->id], (int)p->n_steps);
    for (size_t i = 0; i < g->n_states; i++)
        if (g->states[i]->next) use(p->of_value[g->states[i]->next->id], (int)p->n_steps);
}

/* Dynamic places leave after their last reader; results stay until the next run. */
static void list_dying(struct plan *p)
{
    for (size_t i = 0; i < p->n_places; i++) {
        struct place *q = p->places[i];
        if (q->kind != PLACE_DYNAMIC || q->last < 0 || q->last >= (int)p->n_steps) continue;
        q->next_dying = p->steps[q->last]->dying;
        p->steps[q->last]->dying = q;
    }
}

/* An element-wise step reads each element before it writes it; one that sums into an input still reads the others. */
static bool shares_other_input(const struct plan_step *s, int j, const struct place *root)
{
    for (int k = 0; k < s->step.node->n_in; k++)
        if (k != j && s->in[k] && (s->in[k] != s->in[j] || s->step.sums_into) && place_root(s->in[k]) == root)
            return true;
    return false;
}

/* The input whose memory output k may take: the state it replaces, what the step sums into, or input 0 for output 0;
 * -1: none. */
static int source_of(const struct step *s, int k)
{
    const struct node *n = s->node;
    for (int i = 0; i < n->n_in && n->op->flags & OP_INPLACE; i++)
        if (n->in[i] && n->in[i]->kind == VALUE_STATE && n->in[i]->next == n->out[k]) return i;
    if (k) return -1;
    return s->sums_into ? s->sums_into : n->op->flags & OP_INPLACE ? 0 : -1;
}

/* Whether output k of step i may be written over input j. */
static bool may_overwrite(const struct plan *p, int i, int k, int j)
{
    const struct plan_step *s = p->steps[i];
    if (s->step.kernel && !s->step.kernel->inplace && !s->step.sums_into) return false;
    const struct place *from = s->in[j], *to = s->out[k];
    if (from->tensor.dtype != to->tensor.dtype || !shape_equal(&from->tensor.shape, &to->tensor.shape)) return false;
    if (from->tensor.layout != to->tensor.layout || place_root(s->out[k])->kind != PLACE_ARENA) return false;
    struct place *root = place_root(s->in[j]);
    if (root->bytes < to->bytes || root->last != i || shares_other_input(s, j, root)) return false;
    if (root->kind == PLACE_ARENA) return true;
    const struct value *v = s->step.node->in[j];
    return root->kind == PLACE_STATE && v->kind == VALUE_STATE && v->next == s->step.node->out[k];
}

static void write_in_place(struct plan *p)
{
    for (int i = 0; i < (int)p->n_steps; i++) {
        const struct node *n = p->steps[i]->step.node;
        if (p->steps[i]->kind != STEP_KERNEL) continue;
        for (int k = 0; k < n->n_out; k++) {
            int j = source_of(&p->steps[i]->step, k);
            if (j < 0 || !p->steps[i]->in[j] || !may_overwrite(p, i, k, j)) continue;
            struct place *to = place_root(p->steps[i]->out[k]), *root = place_root(p->steps[i]->in[j]);
            if (to->last > root->last) root->last = to->last;
            to->root = root;
            to->kind = root->kind;
            to->index = root->index;
        }
    }
}

static int larger_first(const void *a, const void *b)
{
    const struct place *x = *(struct place *const *)a, *y = *(struct place *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->first != y->first ? (x->first > y->first) - (x->first < y->first)
                                : (x->index > y->index) - (x->index < y->index);
}

static bool overlap_in_time(const struct place *a, const struct place *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest gap among the places set so far (sorted by offset) that are alive at the same time. */
static size_t lowest_gap(struct place *const *set, size_t n, const struct place *q)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (!overlap_in_time(set[i], q)) continue;
        if (set[i]->offset >= at + q->bytes) break;
        size_t end = (set[i]->offset + set[i]->bytes + ALIGN - 1) / ALIGN * ALIGN;
        if (end > at) at = end;
    }
    return at;
}

static int offsets(struct plan *p, struct err *e)
{
    struct place **list = ARENA_ARRAY(&p->arena, p->n_places, struct place *);
    struct place **set = ARENA_ARRAY(&p->arena, p->n_places, struct place *);
    if (!list || !set) return fail_nomem(e);
    size_t n = 0;
    for (size_t i = 0; i < p->n_places; i++) {
        struct place *q = p->places[i];
        if (q->kind != PLACE_ARENA || q->root != q || q->first < 0) continue;
        q->index = (int)i;
        list[n++] = q;
    }
    if (n) qsort(list, n, sizeof *list, larger_first); /* the order is total, so the plan is the same every time */
    for (size_t i = 0; i < n; i++) {
        struct place *q = list[i];
        q->offset = lowest_gap(set, i, q);
        if (q->offset > SIZE_MAX / 2 - q->bytes)
            return fail(e, ERR_NOMEM, "the plan needs more memory than can be addressed");
        size_t k = i;
        for (; k && set[k - 1]->offset > q->offset; k--) set[k] = set[k - 1];
        set[k] = q;
        if (q->offset + q->bytes > p->memory) p->memory = q->offset + q->bytes;
    }
    return 0;
}

int plan_memory(struct plan *p, struct err *e)
{
    lifetimes(p);
    list_dying(p);
    write_in_place(p);
    return offsets(p, e);
}
