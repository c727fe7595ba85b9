/* contents.c - partly known contents through element-wise operators. */
#include "ops/contents.h"

#include "graph/graph.h"
#include "graph/known.h"

enum { MAX_IN = 3 };

int64_t contents_number(int64_t v)
{
    return known_is_number(v) ? v : KNOWN_UNKNOWN;
}

static int64_t fit(enum dtype t, int64_t k)
{
    return t == DT_I32 && known_is_number(k) && (k < INT32_MIN || k > INT32_MAX) ? KNOWN_UNKNOWN : k;
}

int contents_map(struct node *n, int64_t (*rule)(const int64_t *k))
{
    struct value *y = n->out[0];
    int64_t in[MAX_IN][KNOWN_MAX], out[KNOWN_MAX], count = shape_count(&y->shape), k[MAX_IN];
    if (y->dtype != DT_I64 && y->dtype != DT_I32 && y->dtype != DT_BOOL) return 0;
    if (n->n_in > MAX_IN || count < 0 || count > KNOWN_MAX || !n->graph) return 0;
    bool repeat[MAX_IN];
    for (int i = 0; i < n->n_in; i++) {
        int known = value_contents(n->in[i], in[i]);
        repeat[i] = known == 1;
        if (known < 0 || (known != 1 && !shape_equal(&n->in[i]->shape, &y->shape))) return 0;
    }
    for (int64_t e = 0; e < count; e++) {
        for (int i = 0; i < n->n_in; i++) k[i] = in[i][repeat[i] ? 0 : e];
        out[e] = fit(y->dtype, rule(k));
    }
    value_set_contents(y, n->graph->arena, out, (int)count);
    return 0;
}
