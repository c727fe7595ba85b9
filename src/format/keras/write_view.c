/* write_view.c - values of the graph as tensors of Keras, in the order of dimensions that a layer wants. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/keras/write.h"

void kw_order_last(int rank, int *order)
{
    for (int k = 0; k < rank; k++) order[k] = rank < 3 || k == 0 ? k : k == rank - 1 ? 1 : k + 1;
}

struct shape kw_shape(const struct value *v, const int *order)
{
    struct shape s = v->shape;
    for (int k = 0; order && k < s.rank; k++) s.dim[k] = v->shape.dim[order[k]];
    return s;
}

void kw_give_view(struct kwriter *w, struct value *v, struct made *t, const int *axis)
{
    if (!t || !v) return;
    struct view *made = ARENA_NEW(w->arena, struct view), **at = &w->views[v->id];
    if (!made) {
        fail_nomem(w->err);
        return;
    }
    made->t = t;
    for (int d = 0; d < v->shape.rank && d < SHAPE_MAX; d++) made->axis[d] = axis[d];
    while (*at) at = &(*at)->next;
    *at = made;
}

void kw_give(struct kwriter *w, struct value *v, struct made *t, const int *order)
{
    int axis[SHAPE_MAX];
    for (int k = 0; k < v->shape.rank; k++) axis[order ? order[k] : k] = k;
    kw_give_view(w, v, t, axis);
}

struct view *kw_view(struct kwriter *w, struct value *v)
{
    v = value_resolve(v);
    return v && !w->err->code ? w->views[v->id] : NULL;
}

/* Axes of `t` in another order: a layer where the batch stays first, an operation else. */
static struct made *permuted(struct kwriter *w, struct made *t, const int *perm, int n)
{
    int64_t axes[SHAPE_MAX];
    struct shape s = { .rank = n };
    bool same = true;
    for (int k = 0; k < n; k++) {
        same &= perm[k] == k;
        axes[k] = perm[k];
        s.dim[k] = t->shape.dim[perm[k]];
    }
    if (same) return t;
    if (perm[0] == 0)
        return kw_one(w, "Permute", "permute", json_pack("{s:o}", "dims", kw_ints(axes + 1, n - 1)), t, &s);
    if (!w->v3) {
        if (w->node) kw_only_v3(w, w->node);
        else report_add(w->errors, REPORT_ERROR, "", "an output whose batch is not its first dimension");
        return NULL;
    }
    return kw_op(w, "keras.src.ops.numpy", "Transpose", "transpose", json_pack("{s:o}", "axes", kw_ints(axes, n)),
        json_pack("[o]", kw_tensor(t)), &s, t->dtype);
}

static struct made *rearranged(struct kwriter *w, const struct value *v, const struct view *from, const int *order)
{
    int perm[SHAPE_MAX], n = 0;
    bool whole = true;
    for (int k = 0; k < v->shape.rank; k++) {
        if (from->axis[order[k]] >= 0) perm[n++] = from->axis[order[k]];
        else whole = false;
    }
    struct made *t = permuted(w, from->t, perm, n);
    if (whole || !t) return t;
    struct shape s = kw_shape(v, order);
    return kw_reshaped(w, t, "reshape", s.rank, s.dim);
}

struct made *kw_want(struct kwriter *w, struct value *v, const int *order)
{
    int plain[SHAPE_MAX];
    v = value_resolve(v);
    struct view *first = kw_view(w, v);
    if (!first) return NULL;
    for (int k = 0; k < SHAPE_MAX; k++) plain[k] = k;
    if (!order) order = plain;
    for (const struct view *at = first; at; at = at->next) {
        bool same = true;
        for (int k = 0; same && k < v->shape.rank; k++) same = at->axis[order[k]] == k;
        if (same) return at->t;
    }
    struct made *t = rearranged(w, v, first, order);
    if (t) kw_give(w, v, t, order);
    return t;
}

struct made *kw_plain(struct kwriter *w, struct value *v)
{
    return kw_want(w, v, NULL);
}

struct made *kw_last(struct kwriter *w, struct value *v)
{
    int order[SHAPE_MAX];
    kw_order_last(value_resolve(v)->shape.rank, order);
    return kw_want(w, v, order);
}

struct made *kw_features(struct kwriter *w, struct value *v, int *order)
{
    v = value_resolve(v);
    int rank = v->shape.rank;
    for (const struct view *at = kw_view(w, v); at; at = at->next) {
        bool good = rank > 0 && at->axis[rank - 1] == rank - 1;
        for (int d = 0; d < rank; d++) good &= at->axis[d] >= 0;
        for (int d = 0; good && d < rank; d++) order[at->axis[d]] = d;
        if (good) return at->t;
    }
    for (int d = 0; d < rank; d++) order[d] = d;
    return kw_plain(w, v);
}
