/* pad.c - widening or cropping a tensor at its borders, and the gradient of that. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "graph/known.h"
#include "ops/infer.h"
#include "ops/mover.h"

enum pad_mode { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP };

static int read_mode(const struct node *n, enum pad_mode *mode, struct err *e)
{
    static const char *const names[] = { "constant", "reflect", "edge", "wrap" };
    const char *name = node_string(n, "mode");
    for (int i = 0; i < 4; i++)
        if (!strcmp(name, names[i])) return *mode = (enum pad_mode)i, 0;
    return fail(e, ERR_MODEL, "mode is \"%s\", expected constant, reflect, edge or wrap", name);
}

/* Pads per axis of the input, in the code of known.h; `complete` when the axes they belong to are known. */
struct pads {
    bool complete;
    int64_t before[SHAPE_MAX], after[SHAPE_MAX];
};

static int pads_of(const struct ints *list, struct ints *axes, bool has_axes, int rank, struct pads *p, struct err *e)
{
    *p = (struct pads){ 0 };
    if (!has_axes) {
        axes->n = rank;
        axes->all = true;
        for (int d = 0; d < rank; d++) axes->at[d] = d;
    }
    if (axes->n < 0 || !axes->all) return 0;
    TRY(axes_check(axes, rank, e));
    if (list->n >= 0 && list->n != 2 * axes->n)
        return fail(e, ERR_SHAPE, "%d pads for %d axes, expected two for each", list->n, axes->n);
    p->complete = true;
    for (int i = 0; i < axes->n; i++) {
        p->before[axes->at[i]] = list->n < 0 ? KNOWN_UNKNOWN : list->at[i];
        p->after[axes->at[i]] = list->n < 0 ? KNOWN_UNKNOWN : list->at[i + axes->n];
    }
    return 0;
}

static int padded(int64_t dim, int64_t before, int64_t after, int axis, enum pad_mode mode, int64_t *out, struct err *e)
{
    int64_t sum;
    *out = before == 0 && after == 0 ? dim : DIM_UNKNOWN;
    if (!known_is_number(before) || !known_is_number(after) || dim < 0) return 0;
    if (__builtin_add_overflow(before, after, &sum) || __builtin_add_overflow(sum, dim, &sum) || sum < 0)
        return fail(e, ERR_SHAPE, "pads of %lld and %lld to a size of %lld along axis %d", (long long)before,
            (long long)after, (long long)dim, axis);
    if (mode != PAD_CONSTANT && !dim && sum)
        return fail(e, ERR_SHAPE, "axis %d is empty: there is nothing to repeat", axis);
    *out = sum;
    return 0;
}

/* in: x, pads, constant value, axes. `x` is the unpadded shape. */
static int padded_shape(
    const struct node *n, int pads_at, int axes_at, const struct shape *x, struct shape *out, struct err *e)
{
    struct ints list, axes;
    struct pads p;
    enum pad_mode mode = PAD_CONSTANT;
    TRY(read_mode(n, &mode, e));
    TRY(infer_list(n, pads_at, "pads", &list, e));
    TRY(infer_list(n, axes_at, "axes", &axes, e));
    *out = *x;
    if (x->rank < 0) return 0;
    TRY(pads_of(&list, &axes, node_in(n, axes_at) != NULL, x->rank, &p, e));
    for (int d = 0; d < x->rank; d++) {
        if (p.complete) TRY(padded(x->dim[d], p.before[d], p.after[d], d, mode, &out->dim[d], e));
        else out->dim[d] = DIM_UNKNOWN;
    }
    return 0;
}

static int pad_infer(struct node *n, struct err *e)
{
    struct shape s;
    TRY(padded_shape(n, 1, 3, &n->in[0]->shape, &s, e));
    const struct value *fill = node_in(n, 2);
    if (fill && fill->dtype != DT_NONE && n->in[0]->dtype != DT_NONE && fill->dtype != n->in[0]->dtype)
        return fail(e, ERR_SHAPE, "the constant value is %s, the input %s", dtype_name(fill->dtype),
            dtype_name(n->in[0]->dtype));
    if (fill && shape_is_known(&fill->shape) && shape_count(&fill->shape) != 1)
        return fail(e, ERR_SHAPE, "the constant value must be one element");
    return infer_sized(n, 0, n->in[0]->dtype, &s, e);
}

/* Where element i of a padded axis comes from: in [0, dim), or -1. i counts from the first unpadded element. */
static int64_t source(int64_t i, int64_t dim, enum pad_mode mode)
{
    if (i >= 0 && i < dim) return i;
    switch (mode) {
    case PAD_EDGE: return i < 0 ? 0 : dim - 1;
    case PAD_WRAP: i %= dim; return i < 0 ? i + dim : i;
    case PAD_REFLECT: {
        int64_t period = dim > 1 ? 2 * (dim - 1) : 1;
        i %= period;
        if (i < 0) i += period;
        return i < dim ? i : period - i;
    }
    default: return -1;
    }
}

/* map[d][i]: which element of axis d of the small tensor element i of the wide one is, times the stride; -1: none. */
struct pad_map {
    int64_t *map[SHAPE_MAX];
    /* Of the last axis: stretches whose elements follow each other on both sides. */
    struct stretch {
        int64_t at, from, n; /* from < 0: nowhere */
    } *stretches;
    int64_t n_stretches;
};

static int find_stretches(const struct step *s, struct pad_map *m, const int64_t *map, int64_t n, struct err *e)
{
    TRY_MEM(m->stretches = ARENA_ARRAY(s->scratch, n, struct stretch), e);
    for (int64_t i = 0, len; i < n; i += len) {
        for (len = 1; i + len < n && map[i + len] == (map[i] < 0 ? -1 : map[i] + len); len++)
            ;
        m->stretches[m->n_stretches++] = (struct stretch){ i, map[i], len };
    }
    return 0;
}

static int pad_map(const struct step *s, int pads_at, int axes_at, const struct shape *x, const struct shape *y,
    struct pad_map *m, struct err *e)
{
    struct ints list, axes;
    struct pads p;
    enum pad_mode mode = PAD_CONSTANT;
    int64_t strides[SHAPE_MAX];
    TRY(read_mode(s->node, &mode, e));
    TRY(step_list(s, pads_at, "pads", &list, e));
    TRY(step_list(s, axes_at, "axes", &axes, e));
    TRY(pads_of(&list, &axes, axes_at < s->node->n_in && s->in[axes_at], x->rank, &p, e));
    shape_strides(x, strides);
    for (int d = 0; d < x->rank; d++) {
        int64_t size;
        TRY(padded(x->dim[d], p.before[d], p.after[d], d, mode, &size, e));
        if (size != y->dim[d])
            return fail(e, ERR_SHAPE, "axis %d becomes %lld, not %lld", d, (long long)size, (long long)y->dim[d]);
        TRY_MEM(m->map[d] = ARENA_ARRAY(s->scratch, size, int64_t), e);
        for (int64_t i = 0; i < size; i++) {
            int64_t from = source(i - p.before[d], x->dim[d], mode);
            m->map[d][i] = from < 0 ? -1 : from * strides[d];
        }
    }
    static const int64_t nothing[1] = { 0 };
    int last = x->rank - 1;
    m->n_stretches = 0;
    return find_stretches(s, m, last < 0 ? nothing : m->map[last], last < 0 ? 1 : y->dim[last], e);
}

/* Calls `touch` for each run of elements that follow each other on both sides. */
struct pad_walk {
    const struct tensor *small, *wide;
    void (*touch)(const struct pad_walk *w, int64_t small, int64_t wide, int64_t n); /* small < 0: nowhere */
    const void *fill;
};

static void walk(const struct pad_walk *w, const struct pad_map *m)
{
    const struct shape *y = &w->wide->shape;
    int last = y->rank - 1;
    int64_t index[SHAPE_MAX] = { 0 }, count = shape_count(y), len = last < 0 ? 1 : y->dim[last];
    for (int64_t at = 0; at < count; at += len) {
        int64_t base = 0;
        for (int d = 0; d < last; d++) base = base < 0 || m->map[d][index[d]] < 0 ? -1 : base + m->map[d][index[d]];
        for (const struct stretch *t = m->stretches; t < m->stretches + m->n_stretches; t++)
            w->touch(w, base < 0 || t->from < 0 ? -1 : base + t->from, at + t->at, t->n);
        for (int d = last - 1; d >= 0 && ++index[d] == y->dim[d]; d--) index[d] = 0;
    }
}

static void pad_touch(const struct pad_walk *w, int64_t small, int64_t wide, int64_t n)
{
    size_t size = dtype_size(w->wide->dtype);
    if (small >= 0) memcpy(element(w->wide, wide), element(w->small, small), (size_t)n * size);
    else
        for (int64_t i = 0; i < n; i++) memcpy(element(w->wide, wide + i), w->fill, size);
}

static int pad_run(const struct step *s, struct err *e)
{
    static const unsigned char zero[16];
    struct pad_map m;
    const struct tensor *fill = s->node->n_in > 2 ? s->in[2] : NULL;
    if (fill && tensor_count(fill) != 1) return fail(e, ERR_SHAPE, "the constant value must be one element");
    TRY(pad_map(s, 1, 3, &s->in[0]->shape, &s->out[0]->shape, &m, e));
    walk(&(struct pad_walk){ s->in[0], s->out[0], pad_touch, fill ? fill->data : zero }, &m);
    return 0;
}

static int pad_grad(struct grad *g)
{
    const struct node *n = g->node;
    g->dx[0] = emit(g->b, "PadGrad", ATTRS(attr_string("mode", node_string(n, "mode"))), g->dy[0], n->in[0], n->in[1],
        node_in(n, 3));
    return 0;
}

/* in: dy, x, pads, axes */
static int pad_grad_infer(struct node *n, struct err *e)
{
    struct shape s;
    TRY(padded_shape(n, 2, 3, &n->in[1]->shape, &s, e));
    if (!shape_merge(&s, &n->in[0]->shape)) return fail(e, ERR_SHAPE, "the gradient is not of the padded shape");
    infer_out(n, 0, n->in[0]->dtype, &n->in[1]->shape);
    return 0;
}

static void pad_grad_touch(const struct pad_walk *w, int64_t small, int64_t wide, int64_t n)
{
    if (small >= 0) combine(COMBINE_ADD, w->small->dtype, element(w->small, small), element(w->wide, wide), n);
}

static int pad_grad_run(const struct step *s, struct err *e)
{
    struct pad_map m;
    TRY(pad_map(s, 2, 3, &s->out[0]->shape, &s->in[0]->shape, &m, e));
    memset(s->out[0]->data, 0, (size_t)tensor_bytes(s->out[0]));
    walk(&(struct pad_walk){ s->out[0], s->in[0], pad_grad_touch, NULL }, &m);
    return 0;
}

static int pad_grad_grad(struct grad *g)
{
    const struct node *n = g->node;
    g->dx[0] = emit(
        g->b, "Pad", ATTRS(attr_string("mode", node_string(n, "mode"))), g->dy[0], n->in[2], NULL, node_in(n, 3));
    return 0;
}

static const struct attr_spec pad_attrs[] = {
    { "mode", ATTR_STRING, ATTR_DEFAULT, .s = "constant", .doc = "constant, reflect, edge or wrap" },
    { 0 },
};

const struct op ops_pad[] = {
    { .name = "Pad",
        .doc = "x with borders added, or cut where pads are negative",
        .min_in = 2,
        .max_in = 4,
        .min_out = 1,
        .max_out = 1,
        .attrs = pad_attrs,
        .infer = pad_infer,
        .contents = contents_moved0,
        .run = pad_run,
        .grad = pad_grad,
        .samples =
            "f32[2,3] i64{1,0,0,2} f32{1.5}; f32[2,1,4,3] i64{0,0,2,1,0,0,1,2} | mode=reflect;"
            " f32[3,4] i64{-1,2} - i64{1} | mode=edge; f32[3,4] i64{4,1,5,-1} | mode=wrap; string{a,b} i64{1,1}" },
    { .name = "PadGrad",
        .doc = "dy of a Pad summed to where it came from, of (dy, x, pads, axes)",
        .min_in = 3,
        .max_in = 4,
        .min_out = 1,
        .max_out = 1,
        .flags = OP_OWN | OP_TRAINING_ONLY,
        .attrs = pad_attrs,
        .infer = pad_grad_infer,
        .run = pad_grad_run,
        .grad = pad_grad_grad,
        .samples = "f32[3,5] f32[2,3] i64{1,0,0,2}; f32[7,6] f32[4,3] i64{2,1,1,2} | mode=reflect" },
    { 0 },
};
