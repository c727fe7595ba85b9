/* order.c - operators that sort: TopK and Unique. */
#include <string.h>

#include "base/arena.h"
#include "base/clones.h"
#include "base/err.h"
#include "base/team.h"
#include "graph/known.h"
#include "ops/gradient.h"
#include "ops/infer.h"
#include "ops/mover.h"

/* Elements as unsigned numbers in the same order: one mechanism for every numeric type. NaN is the largest, and
 * equal to itself; -0 is 0. */
static uint64_t key_of(double x)
{
    const uint64_t top = (uint64_t)1 << 63;
    uint64_t bits;
    x = x == 0 ? 0 : x;
    memcpy(&bits, &x, sizeof bits);
    return x != x ? UINT64_MAX : bits ^ ((uint64_t)((int64_t)bits >> 63) | top);
}

static void load_keys(enum dtype t, const void *from, int64_t n, uint64_t *key)
{
    enum { SOME = 64 };
    double v[SOME];
    if (dtype_is_float(t)) {
        for (int64_t i = 0; i < n; i += SOME) {
            int64_t some = n - i < SOME ? n - i : SOME;
            load_f64(t, (const unsigned char *)from + i * (int64_t)dtype_size(t), some, v);
            for (int64_t k = 0; k < some; k++) key[i + k] = key_of(v[k]);
        }
        return;
    }
    int64_t *number = (int64_t *)key;
    load_i64(t, from, n, number);
    for (int64_t i = 0; i < n && dtype_kind(t) == KIND_INT; i++) key[i] ^= (uint64_t)1 << 63;
}

/* A stable merge sort of indices; `before` must be a strict order. */
struct order {
    bool (*before)(const void *of, int64_t a, int64_t b);
    const void *of;
    int64_t *spare; /* as long as the list */
};

static void merge_sort(const struct order *o, int64_t *list, int64_t n)
{
    for (int64_t width = 1; width < n; width *= 2) {
        for (int64_t at = 0; at + width < n; at += 2 * width) {
            int64_t middle = at + width, end = n - middle < width ? n : middle + width, i = 0, k = middle, to = at;
            memcpy(o->spare, list + at, (size_t)width * sizeof *list);
            while (i < width && k < end)
                list[to++] = o->before(o->of, list[k], o->spare[i]) ? list[k++] : o->spare[i++];
            memcpy(list + to, o->spare + i, (size_t)(width - i) * sizeof *list);
        }
    }
}

/* ---- TopK: in x, k (one number); out: values, indices along an axis. Equal elements keep their order. ---- */

static int top_infer(struct node *n, struct err *e)
{
    struct shape s = n->in[0]->shape;
    struct ints k;
    TRY(infer_type(n, 0, TYPES_NUMBER, e));
    TRY(infer_list(n, 1, "K", &k, e));
    if (k.n >= 0 && k.n != 1) return fail(e, ERR_SHAPE, "K has %d elements, expected 1", k.n);
    int axis = infer_axis(n, "axis", s.rank, e);
    if (e->code) return e->code;
    if (k.n == 1 && k.all && (k.at[0] < 0 || (axis >= 0 && s.dim[axis] >= 0 && k.at[0] > s.dim[axis])))
        return fail(e, ERR_SHAPE, "K is %lld, the axis has size %lld", (long long)k.at[0],
            axis < 0 ? -1ll : (long long)s.dim[axis]);
    if (axis >= 0) s.dim[axis] = k.n == 1 ? dim_from_known(k.at[0]) : DIM_UNKNOWN;
    infer_out(n, 0, n->in[0]->dtype, &s);
    infer_out(n, 1, DT_I64, &s);
    return 0;
}

/* An element that may be among the k: its key and its place along the axis. */
struct entry {
    uint64_t key;
    int64_t at;
};

/* Whether a comes behind b in the result. */
static bool is_behind(const struct entry *a, const struct entry *b)
{
    return a->key != b->key ? a->key > b->key : a->at > b->at;
}

/* A heap of n entries, the last of them on top, that is one again but for the entry at i. */
static void sink(struct entry *heap, int64_t n, int64_t i)
{
    struct entry moved = heap[i];
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && is_behind(&heap[child + 1], &heap[child])) child++;
        if (!is_behind(&heap[child], &moved)) break;
        heap[i] = heap[child];
    }
    heap[i] = moved;
}

static void rise(struct entry *heap, int64_t i)
{
    struct entry moved = heap[i];
    for (int64_t parent; i && is_behind(&moved, &heap[parent = (i - 1) / 2]); i = parent) heap[i] = heap[parent];
    heap[i] = moved;
}

/* Lists of `size` elements, `inner` apart, that lie side by side `inner` times: up to `width` of them are read
 * together. Memory of a part: `width` heaps of k entries, or what top_tile() needs. */
struct top {
    const struct tensor *x, *values, *indices; /* indices NULL: not asked for */
    int64_t size, inner, k, width, groups; /* groups of `width` lists in `inner`, or in all when inner is 1 */
    bool largest;
    struct entry *heap; /* or */
    uint64_t *packed;
    int64_t room; /* numbers of `packed` of a part */
    int parts;
};

enum { TOP_WIDTH = 128, PLACES = 128, FEW = 32 };

#define TAKE(size) \
    for (int64_t i = 0; i < lists; i++) \
        memcpy(to + i * to_step * (size), from + (at[i] * t->inner + i * by) * (size), size)

/* The c-th results of neighbouring lists, their places being given in the lower half of a number, or in all of it. */
static void top_write(const struct top *t, int64_t first, int64_t lists, int64_t c, const uint64_t *place)
{
    int64_t outer = first / t->inner, column = first % t->inner, at[TOP_WIDTH];
    int64_t to_step = t->inner > 1 ? 1 : t->k, by = t->inner > 1 ? 1 : t->size;
    int64_t size = (int64_t)dtype_size(t->x->dtype), start = (outer * t->k + c) * t->inner + column;
    unsigned char *to = element(t->values, start);
    const unsigned char *from = element(t->x, outer * t->size * t->inner + column);
    for (int64_t i = 0; i < lists; i++) at[i] = (int64_t)(place[i] & (t->packed ? UINT32_MAX : UINT64_MAX));
    if (size == 4) TAKE(4);
    else TAKE(size);
    for (int64_t i = 0; t->indices && i < lists; i++) *(int64_t *)element(t->indices, start + i * to_step) = at[i];
}

/* ---- few of lists side by side, of numbers that 32 bits tell apart: a key and its place are one number, and what is
 * smaller comes before ---- */

union bits {
    float f;
    uint32_t u;
};

CLONES static void pack_floats(const float *x, int64_t n, uint32_t flip, uint64_t *to)
{
    for (int64_t i = 0; i < n; i++) {
        union bits b = { x[i] == 0 ? 0 : x[i] };
        uint32_t key = x[i] != x[i] ? UINT32_MAX : b.u ^ ((uint32_t)((int32_t)b.u >> 31) | 1u << 31);
        to[i] = (uint64_t)(key ^ flip) << 32;
    }
}

/* Keys of n <= PLACES numbers that lie side by side, in the upper halves. */
static void packed_keys(const struct top *t, int64_t from, int64_t n, uint64_t *key)
{
    enum dtype type = t->x->dtype;
    const void *x = element(t->x, from);
    uint32_t flip = t->largest ? UINT32_MAX : 0;
    float narrow[PLACES];
    double v[PLACES];
    if (type == DT_F32) pack_floats(x, n, flip, key);
    else if (dtype_is_float(type)) {
        load_f64(type, x, n, v);
        for (int64_t i = 0; i < n; i++) narrow[i] = (float)v[i];
        pack_floats(narrow, n, flip, key);
    } else {
        load_i64(type, x, n, (int64_t *)key);
        uint64_t above = dtype_kind(type) == KIND_INT ? 1u << 31 : 0;
        for (int64_t i = 0; i < n; i++) key[i] = ((key[i] + above) ^ flip) << 32;
    }
}

/* A row of keys, at place `at` of `lists` lists, among the k best of each: best + c * TOP_WIDTH has the c-th ones. */
CLONES static void top_insert(uint64_t *restrict best, int64_t k, uint64_t *restrict key, int64_t lists, uint64_t at)
{
    uint64_t any = 0;
    for (int64_t i = 0; i < lists; i++) {
        key[i] |= at;
        any |= key[i] < best[(k - 1) * TOP_WIDTH + i];
    }
    for (int64_t c = 0; any && c < k; c++)
        for (int64_t i = 0; i < lists; i++) {
            uint64_t a = best[c * TOP_WIDTH + i], b = key[i];
            best[c * TOP_WIDTH + i] = a < b ? a : b;
            key[i] = a < b ? b : a;
        }
}

/* Lists that lie one behind the other are turned, PLACES of their elements at a time, so that they lie side by side. */
static void top_tile(const struct top *t, int64_t first, int64_t lists, uint64_t *best)
{
    enum { SOME = 8 };
    uint64_t *tile = best + t->k * TOP_WIDTH, row[SOME][PLACES];
    memset(best, 0xff, (size_t)(t->k * TOP_WIDTH) * sizeof *best);
    for (int64_t begin = 0; begin < t->size; begin += PLACES) {
        int64_t n = t->size - begin < PLACES ? t->size - begin : PLACES;
        for (int64_t i = 0; i < lists && t->inner == 1; i += SOME) {
            int64_t some = lists - i < SOME ? lists - i : SOME;
            for (int64_t k = 0; k < some; k++) packed_keys(t, (first + i + k) * t->size + begin, n, row[k]);
            for (int64_t at = 0; at < n; at++)
                for (int64_t k = 0; k < some; k++) tile[at * TOP_WIDTH + i + k] = row[k][at];
        }
        for (int64_t at = begin; at < begin + n; at++) {
            uint64_t *key = t->inner > 1 ? row[0] : tile + (at - begin) * TOP_WIDTH;
            if (t->inner > 1)
                packed_keys(t, (first / t->inner * t->size + at) * t->inner + first % t->inner, lists, key);
            top_insert(best, t->k, key, lists, (uint64_t)at);
        }
    }
    for (int64_t c = 0; c < t->k; c++) top_write(t, first, lists, c, best + c * TOP_WIDTH);
}

/* ---- a heap for each list ---- */

/* n keys that lie side by side, the smallest of which are wanted. */
static void top_keys(const struct top *t, int64_t from, int64_t n, uint64_t *key)
{
    load_keys(t->x->dtype, element(t->x, from), n, key);
    for (int64_t i = 0; i < n && t->largest; i++) key[i] = ~key[i];
}

/* The element at place `at` of one list, after all before it. */
static void top_offer(const struct top *t, struct entry *heap, uint64_t key, int64_t at)
{
    if (at < t->k) {
        heap[at] = (struct entry){ key, at };
        rise(heap, at);
    } else if (key < heap[0].key) {
        heap[0] = (struct entry){ key, at };
        sink(heap, t->k, 0);
    }
}

static void top_sorted(const struct top *t, struct entry *heap, int64_t list)
{
    for (int64_t n = t->k - 1; n > 0; n--) {
        struct entry last = heap[0];
        heap[0] = heap[n];
        heap[n] = last;
        sink(heap, n, 0);
    }
    for (int64_t c = 0; c < t->k; c++) {
        uint64_t at = (uint64_t)heap[c].at;
        top_write(t, list, 1, c, &at);
    }
}

/* Place by place where the lists lie side by side, else along the only one. */
static void top_heaps(const struct top *t, int64_t first, int64_t lists, struct entry *heaps)
{
    uint64_t key[TOP_WIDTH];
    int64_t outer = first / t->inner, column = first % t->inner, step = t->inner > 1 ? 1 : TOP_WIDTH;
    for (int64_t at = 0; at < t->size; at += step) {
        int64_t n = t->inner > 1 ? lists : t->size - at < step ? t->size - at : step;
        top_keys(t, (outer * t->size + at) * t->inner + column, n, key);
        for (int64_t i = 0; i < n; i++)
            top_offer(t, heaps + (t->inner > 1 ? i * t->k : 0), key[i], t->inner > 1 ? at : at + i);
    }
    for (int64_t i = 0; i < lists; i++) top_sorted(t, heaps + i * t->k, first + i);
}

/* Groups of a part, with memory of its own. */
static void top_parts(void *ctx, int64_t begin, int64_t end)
{
    const struct top *t = ctx;
    int64_t run = t->inner > 1 ? t->inner : shape_span(&t->x->shape, 0, t->x->shape.rank) / t->size;
    int64_t all = shape_span(&t->x->shape, 0, t->x->shape.rank) / (t->size * run) * t->groups;
    for (int64_t part = begin; part < end; part++)
        for (int64_t g = all * part / t->parts; g < all * (part + 1) / t->parts; g++) {
            int64_t at = g % t->groups * t->width, lists = run - at < t->width ? run - at : t->width;
            if (t->packed) top_tile(t, g / t->groups * run + at, lists, t->packed + part * t->room);
            else top_heaps(t, g / t->groups * run + at, lists, t->heap + part * t->width * t->k);
        }
}

/* Shares the lists out, and gets memory. Few of one list are not worth a tile. */
static int top_begin(struct top *t, const struct step *s, struct err *e)
{
    int64_t run = t->inner > 1 ? t->inner : tensor_count(t->x) / t->size, room;
    bool narrow = dtype_size(t->x->dtype) <= 4 && t->size < UINT32_MAX && t->k <= FEW && run >= 16;
    t->width = narrow || (t->inner > 1 && t->k < 1 << 12) ? TOP_WIDTH : 1;
    if (t->width > run) t->width = run;
    t->groups = (run + t->width - 1) / t->width;
    if (tensor_count(t->x) < 1 << 14) t->parts = 1;
    t->room = (t->k + PLACES) * TOP_WIDTH;
    if (__builtin_mul_overflow(t->parts, narrow ? t->room : t->width, &room) ||
        (!narrow && __builtin_mul_overflow(room, t->k, &room)))
        return fail_nomem(e);
    if (narrow) TRY_MEM(t->packed = ARENA_ARRAY(s->scratch, room, uint64_t), e);
    else TRY_MEM(t->heap = ARENA_ARRAY(s->scratch, room, struct entry), e);
    return 0;
}

static int top_run(const struct step *s, struct err *e)
{
    const struct shape *x = &s->in[0]->shape;
    int axis = infer_axis(s->node, "axis", x->rank, e);
    if (e->code) return e->code;
    struct top t = { s->in[0], s->out[0], s->node->n_out > 1 ? s->out[1] : NULL, .size = x->dim[axis],
        .inner = shape_span(x, axis + 1, x->rank), .k = s->out[0]->shape.dim[axis],
        .largest = node_int(s->node, "largest") != 0, .parts = s->threads > 1 ? s->threads : 1 };
    int64_t k = t.k;
    TRY(step_scalar(s, 1, "K", &k, e));
    if (k != t.k || k > t.size)
        return fail(e, ERR_DATA, "K is %lld, the axis has size %lld", (long long)k, (long long)t.size);
    if (!tensor_count(s->out[0])) return 0;
    TRY(top_begin(&t, s, e));
    team_run(s->threads, t.parts, 1, top_parts, &t);
    return 0;
}

static int top_grad(struct grad *g)
{
    struct attr axis = attr_int("axis", node_int(g->node, "axis")), add = attr_string("reduction", "add");
    if (!g->dy[0] || g->node->n_out < 2) return 0;
    g->dx[0] = emit(
        g->b, "ScatterElements", ATTRS(axis, add), emit_zeros(g->b, g->node->in[0]), g->node->out[1], g->dy[0]);
    return 0;
}

/* ---- Unique: the distinct elements, or slices along an axis ----
 *
 * out: them, where each comes first, which of them each element is, how often each comes */

static int unique_infer(struct node *n, struct err *e)
{
    struct shape open = shape_of(1, (int64_t[]){ DIM_UNKNOWN }), s = open, inverse = open;
    const struct shape *x = &n->in[0]->shape;
    if (node_has(n, "axis")) {
        int axis = infer_axis(n, "axis", x->rank, e);
        if (e->code) return e->code;
        s = *x;
        if (axis >= 0) {
            inverse.dim[0] = x->dim[axis];
            s.dim[axis] = DIM_UNKNOWN;
        }
    } else if (shape_is_known(x)) {
        inverse.dim[0] = shape_count(x);
    }
    infer_out(n, 0, n->in[0]->dtype, &s);
    infer_out(n, 1, DT_I64, &open);
    infer_out(n, 2, DT_I64, &inverse);
    infer_out(n, 3, DT_I64, &open);
    return 0;
}

/* n items of `width` elements, each after the other. */
struct items {
    int64_t n, width;
    const struct string_element *strings; /* or */
    const uint64_t *key;                  /* `width` of them per item */
};

static int compare_strings(const struct string_element *a, const struct string_element *b)
{
    size_t shared = a->len < b->len ? a->len : b->len;
    int order = shared ? memcmp(a->text, b->text, shared) : 0;
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

static int compare_items(const struct items *u, int64_t a, int64_t b)
{
    for (int64_t i = 0; i < u->width; i++) {
        int64_t x = a * u->width + i, y = b * u->width + i;
        int order = u->strings ? compare_strings(&u->strings[x], &u->strings[y])
                               : (u->key[x] > u->key[y]) - (u->key[x] < u->key[y]);
        if (order) return order;
    }
    return 0;
}

static bool item_less(const void *of, int64_t a, int64_t b)
{
    return compare_items(of, a, b) < 0;
}

/* `data` holds the items in a row; complex numbers are two numbers each. */
static int items_load(struct items *u, const struct step *s, enum dtype t, const void *data, struct err *e)
{
    if (t == DT_STRING) return u->strings = data, 0;
    int parts = t == DT_C64 || t == DT_C128 ? 2 : 1;
    if (parts == 2) t = t == DT_C64 ? DT_F32 : DT_F64;
    u->width *= parts;
    uint64_t *key = arena_array(s->scratch, (size_t)(u->n * u->width), sizeof *key);
    TRY_MEM(key, e);
    load_keys(t, data, u->n * u->width, key);
    u->key = key;
    return 0;
}

/* Items found to be distinct. */
struct groups {
    int64_t n;
    int64_t *first, *count; /* per group */
    int64_t *of;            /* per item: its group */
};

/* Groups in sorted order, or in the order in which they come first. */
static int group(const struct step *s, const struct items *u, bool sorted, struct groups *g, struct err *e)
{
    int64_t *list[6], *order;
    for (int i = 0; i < 6; i++) TRY_MEM(list[i] = ARENA_ARRAY(s->scratch, u->n, int64_t), e);
    struct order by_item = { item_less, u, list[1] };
    *g = (struct groups){ 0, list[2], list[3], list[4] };
    order = list[0];
    for (int64_t i = 0; i < u->n; i++) order[i] = i;
    merge_sort(&by_item, order, u->n);
    int64_t *leader = list[5]; /* per item: the first that equals it */
    for (int64_t i = 0; i < u->n; i++) {
        bool fresh = !i || compare_items(u, order[i - 1], order[i]);
        leader[order[i]] = fresh ? order[i] : leader[order[i - 1]];
        if (fresh && sorted) g->first[g->n++] = order[i];
    }
    for (int64_t i = 0; i < u->n && !sorted; i++)
        if (leader[i] == i) g->first[g->n++] = i;
    for (int64_t k = 0; k < g->n; k++) g->of[g->first[k]] = k;
    for (int64_t i = 0; i < u->n; i++) g->count[g->of[i] = g->of[leader[i]]]++;
    return 0;
}

/* Output i as a list of n numbers, unless it is not asked for. */
static int put_list(const struct step *s, int i, const int64_t *list, int64_t n, struct err *e)
{
    struct shape shape = shape_of(1, &n);
    if (i >= s->node->n_out) return 0;
    struct tensor *t = step_resize(s, i, DT_I64, &shape, e);
    if (!t) return e->code;
    if (n) memcpy(t->data, list, (size_t)n * sizeof *list);
    return 0;
}

/* x as (size, outer, inner) in scratch, for slices along an axis; or from there back into place. */
static void turn(
    const struct step *s, const struct shape *x, int axis, void *items, void *x_data, enum dtype t, bool back)
{
    int64_t outer = shape_span(x, 0, axis), size = x->dim[axis], inner = shape_span(x, axis + 1, x->rank);
    int64_t in_x[3] = { inner, size * inner, 1 }, in_items[3] = { outer * inner, inner, 1 },
            dim[3] = { size, outer, inner };
    struct move m = { 0 };
    for (int d = 0; d < 3; d++) move_add(&m, dim[d], back ? in_x[d] : in_items[d], back ? in_items[d] : in_x[d]);
    move_run(&m, s->threads, dtype_size(t), back ? x_data : items, back ? items : x_data);
}

/* The groups' items as output 0; `items` are in a row. */
static int put_items(
    const struct step *s, const unsigned char *items, int64_t width, const struct groups *g, int axis, struct err *e)
{
    enum dtype t = s->in[0]->dtype;
    struct shape to = s->in[0]->shape;
    size_t bytes = (size_t)width * dtype_size(t);
    if (axis < 0) to = shape_of(1, &g->n);
    else to.dim[axis] = g->n;
    struct tensor *y = step_resize(s, 0, t, &to, e);
    unsigned char *row = y ? arena_array(s->scratch, (size_t)g->n, bytes) : NULL;
    if (!row) return y ? fail_nomem(e) : e->code;
    for (int64_t k = 0; k < g->n && bytes; k++)
        memcpy(row + k * (int64_t)bytes, items + g->first[k] * (int64_t)bytes, bytes);
    if (axis >= 0) turn(s, &to, axis, row, y->data, t, true);
    else if (g->n) memcpy(y->data, row, (size_t)g->n * bytes);
    return 0;
}

static int unique_run(const struct step *s, struct err *e)
{
    const struct tensor *x = s->in[0];
    int axis = node_has(s->node, "axis") ? infer_axis(s->node, "axis", x->shape.rank, e) : -1;
    if (e->code) return e->code;
    struct items u = { .n = tensor_count(x), .width = 1 };
    unsigned char *items = x->data;
    if (axis >= 0) {
        u.n = x->shape.dim[axis];
        u.width = shape_span(&x->shape, 0, axis) * shape_span(&x->shape, axis + 1, x->shape.rank);
        if (!(items = arena_alloc(s->scratch, (size_t)tensor_bytes(x)))) return fail_nomem(e);
        turn(s, &x->shape, axis, items, x->data, x->dtype, false);
    }
    int64_t width = u.width;
    struct groups g;
    TRY(items_load(&u, s, x->dtype, items, e));
    TRY(group(s, &u, node_int(s->node, "sorted") != 0, &g, e));
    TRY(put_items(s, items, width, &g, axis, e));
    TRY(put_list(s, 1, g.first, g.n, e));
    TRY(put_list(s, 2, g.of, u.n, e));
    return put_list(s, 3, g.count, g.n, e);
}

static const struct attr_spec top_attrs[] = {
    { "axis", ATTR_INT, ATTR_DEFAULT, .i = -1, .doc = "the axis along which elements are compared" },
    { "largest", ATTR_INT, ATTR_DEFAULT, .i = 1, .doc = "1: the largest; 0: the smallest" },
    { "sorted", ATTR_INT, ATTR_DEFAULT, .i = 1, .doc = "results come sorted in either case" },
    { 0 },
};
static const struct attr_spec unique_attrs[] = {
    { "axis", ATTR_INT, ATTR_OPTIONAL, .doc = "compare slices along this axis; absent: single elements" },
    { "sorted", ATTR_INT, ATTR_DEFAULT, .i = 1, .doc = "1: ascending; 0: in the order of their first places" },
    { 0 },
};

const struct op ops_order[] = {
    { .name = "TopK",
        .doc = "the k largest or smallest along an axis, and where they are",
        .min_in = 2,
        .max_in = 2,
        .min_out = 1,
        .max_out = 2,
        .attrs = top_attrs,
        .infer = top_infer,
        .run = top_run,
        .grad = top_grad,
        .samples =
            "f32~[3,7] i64{3} | outputs=2; f32~[2,5,3] i64{2} | axis=1 largest=0 outputs=2; u64[9] i64{9} | outputs=2;"
            " i8[4,4] i64{0} | axis=0 outputs=2" },
    { .name = "Unique",
        .doc = "distinct elements or slices, with places and counts",
        .min_in = 1,
        .max_in = 1,
        .min_out = 1,
        .max_out = 4,
        .attrs = unique_attrs,
        .infer = unique_infer,
        .run = unique_run,
        .samples = "i64<4>[9] | outputs=4; f32{2,1,1,3,2} | sorted=0 outputs=4; i32<2>[4,2] | axis=0 outputs=3;"
                   " string{b,a,b} | outputs=2; u8<2>[2,5,2] | axis=1; bool[2,0] | axis=0 outputs=4" },
    { 0 },
};
