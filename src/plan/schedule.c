/* schedule.c - the order of nodes: the graph's own, but what updates a state in place, and what follows from it, last;
 * and what such a graph would have to hold for long (gradients of large weights) not before it is read. */
#include <stdlib.h>

#include "base/err.h"
#include "graph/op.h"
#include "plan/plan.h"

static bool updates_in_place(const struct graph *g, const struct node *n)
{
    if (!(n->op->flags & OP_INPLACE) || !n->in[0] || n->in[0]->kind != VALUE_STATE) return false;
    return n->in[0]->next == n->out[0];
}

struct slot {
    struct node *node;
    size_t at, from; /* runs just before the node that was the at-th, in the order they had */
};

static int earlier(const void *a, const void *b)
{
    const struct slot *x = a, *y = b;
    if (x->at != y->at) return x->at < y->at ? -1 : 1;
    return x->from < y->from ? -1 : x->from > y->from;
}

/* Where each value is first and last read. */
struct reading {
    size_t first, last;
};

static double bytes_of(const struct value *v)
{
    int64_t count = shape_count(&v->shape); /* below 0: only a run knows */
    return count > 0 ? (double)count * (double)dtype_size(v->dtype) : 0;
}

/* Bytes, times the steps they lie there, that are spared when the node at `at` waits until `to`: its results are held
 * for less long, and what it reads for longer. */
static double spared(const struct node *n, size_t at, size_t to, const struct reading *of)
{
    double sum = 0;
    for (int k = 0; k < n->n_out; k++) sum += bytes_of(n->out[k]) * (double)(to - at);
    for (int k = 0; k < n->n_in; k++) {
        const struct value *v = n->in[k];
        if (v && v->kind == VALUE_NODE && of[v->id].last < to) sum -= bytes_of(v) * (double)(to - of[v->id].last);
    }
    return sum;
}

/* A node waits for the first that reads of it where that spares memory. `n` nodes, of which those from `late` on
 * stay where they are. */
static int delay(struct plan *p, struct node **list, size_t n, size_t late, struct err *e)
{
    struct slot *slots = ARENA_ARRAY(&p->arena, n, struct slot);
    struct reading *of = ARENA_ARRAY(&p->arena, p->graph->n_values, struct reading);
    if (!slots || !of) return fail_nomem(e);
    for (size_t i = 0; i < p->graph->n_values; i++) of[i] = (struct reading){ n, 0 };
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < list[i]->n_in; k++) {
            if (!list[i]->in[k]) continue;
            struct reading *r = &of[list[i]->in[k]->id];
            if (i < r->first) r->first = i;
            if (i > r->last) r->last = i;
        }
    for (size_t i = 0; i < n; i++) {
        size_t first = n;
        slots[i] = (struct slot){ list[i], i, i };
        for (int k = 0; k < list[i]->n_out; k++)
            if (of[list[i]->out[k]->id].first < first) first = of[list[i]->out[k]->id].first;
        bool may = i < late && first < n && first > i + 1 && !(list[i]->op->flags & OP_EFFECT);
        if (may && spared(list[i], i, first, of) > 0) slots[i].at = first;
    }
    if (n) qsort(slots, n, sizeof *slots, earlier);
    for (size_t i = 0; i < n; i++) list[i] = slots[i].node;
    return 0;
}

int plan_schedule(struct plan *p, struct node ***order, struct err *e)
{
    const struct graph *g = p->graph;
    struct node **list = ARENA_ARRAY(&p->arena, g->n_nodes, struct node *);
    bool *late = ARENA_ARRAY(&p->arena, g->n_nodes, bool);
    if (!list || !late) return fail_nomem(e);
    size_t n = 0;
    for (size_t i = 0; i < g->n_nodes; i++) {
        struct node *node = g->nodes[i];
        late[i] = updates_in_place(g, node);
        for (int k = 0; k < node->n_in; k++)
            if (node->in[k] && node->in[k]->kind == VALUE_NODE) late[i] |= late[node->in[k]->node->id];
        if (!late[i]) list[n++] = node;
    }
    size_t first_late = n;
    for (size_t i = 0; i < g->n_nodes; i++)
        if (late[i]) list[n++] = g->nodes[i];
    *order = list;
    return first_late < n ? delay(p, list, n, first_late, e) : 0;
}
