/* control_run.c - running bodies: a branch, turn after turn, item after item. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/memory.h"
#include "graph/op.h"
#include "graph/sequence.h"
#include "ops/control.h"
#include "ops/interpret.h"
#include "ops/mover.h"

int control_call(const struct step *s, const struct graph *body, struct tensor *const *in, struct tensor **out,
    struct arena *a, struct err *e)
{
    if (s->host && s->host->call) return s->host->call(s->host, body, in, out, a, e);
    return graph_interpret(body, in, out, a, &(struct interpret){ .threads = s->threads, .host = s->host }, e);
}

/* One element that says yes or no. */
static int truth(const struct tensor *t, const char *what, bool *out, struct err *e)
{
    if (t->dtype != DT_BOOL || tensor_count(t) != 1)
        return fail(e, ERR_SHAPE, "%s is %s with %lld elements, expected one bool", what, dtype_name(t->dtype),
            (long long)tensor_count(t));
    *out = tensor_get_i64(t, 0) != 0;
    return 0;
}

int control_if_run(const struct step *s, struct err *e)
{
    const struct node *n = s->node;
    bool yes = false;
    TRY(truth(s->in[0], "the condition", &yes, e));
    const struct graph *branch = node_graph(n, yes ? "then_branch" : "else_branch");
    struct tensor **out = ARENA_ARRAY(s->scratch, branch->n_outputs, struct tensor *);
    struct arena results;
    TRY_MEM(out, e);
    arena_init(&results, s->scratch->mem);
    int code = control_call(s, branch, s->in + 1, out, &results, e);
    for (int i = 0; i < n->n_out && !code; i++) code = step_give(s, i, out[i], e);
    arena_release(&results);
    return code;
}

/* ---- values gathered turn by turn, one after another ---- */

struct gathered {
    enum dtype dtype;
    struct shape item;
    int64_t n, cap;
    size_t bytes; /* of an item */
    unsigned char *data;
    const char *name;
};

/* Turns of a loop: what they carry, what they gather. Two arenas hold the results of this turn and of the last. */
struct turns {
    const struct step *s;
    const struct graph *body;
    int carried, gathered;
    struct tensor **in, **out; /* of the body */
    struct gathered *gather;
    struct arena arena[2], kept; /* kept: gathered texts */
    int64_t turn;
};

static int64_t bytes_granted(const struct step *s)
{
    if (s->host && s->host->bytes_max) return s->host->bytes_max;
    uint64_t free = memory_available();
    return free > INT64_MAX ? INT64_MAX : (int64_t)free;
}

static int gather_grow(struct turns *t, struct gathered *g, struct err *e)
{
    const struct mem *mem = t->s->scratch->mem;
    int64_t cap = g->cap ? g->cap * 2 : 16, bytes;
    if (__builtin_mul_overflow(cap, (int64_t)g->bytes, &bytes) || bytes > bytes_granted(t->s))
        return fail(e, ERR_NOMEM, "turn %lld: what it gathers as %s would need %.1f MB, %.1f MB are granted",
            (long long)t->turn, g->name, (double)cap * (double)g->bytes / 1e6, (double)bytes_granted(t->s) / 1e6);
    unsigned char *data = mem->alloc(mem->cookie, (size_t)bytes + 1);
    TRY_MEM(data, e);
    if (g->n) memcpy(data, g->data, (size_t)g->n * g->bytes);
    if (g->data) mem->free(mem->cookie, g->data, (size_t)g->cap * g->bytes + 1);
    g->data = data;
    g->cap = cap;
    return 0;
}

static int gather(struct turns *t, struct gathered *g, const struct tensor *x, struct err *e)
{
    if (dtype_is_container(x->dtype))
        return fail(e, ERR_SHAPE, "%s is a %s, expected a tensor", g->name, dtype_name(x->dtype));
    if (!g->dtype) {
        g->dtype = x->dtype;
        g->item = x->shape;
        g->bytes = (size_t)tensor_bytes(x);
    }
    if (x->dtype != g->dtype || !shape_equal(&x->shape, &g->item))
        return fail(e, ERR_SHAPE, "%s has another type or shape in turn %lld than in the turns before", g->name,
            (long long)t->turn);
    if (x->dtype == DT_STRING && !(x = tensor_keep(&t->kept, x, e))) return e->code;
    if (g->n == g->cap) TRY(gather_grow(t, g, e));
    if (g->bytes) memcpy(g->data + (size_t)g->n * g->bytes, x->data, g->bytes);
    g->n++;
    return 0;
}

/* Output i: what was gathered, along an axis, from the end when `backward`. */
static int give_gathered(
    const struct step *s, int i, const struct gathered *g, int64_t axis, bool backward, struct err *e)
{
    int rank = g->item.rank + 1, at = shape_axis(axis, rank);
    if (rank > SHAPE_MAX || at < 0)
        return fail(e, ERR_SHAPE, "%s: axis %lld of a result of rank %d", g->name, (long long)axis, rank);
    struct shape shape = { .rank = rank };
    for (int d = 0; d < rank; d++) shape.dim[d] = d == at ? g->n : g->item.dim[d - (d > at)];
    if (shape_count(&shape) < 0) return fail(e, ERR_SHAPE, "%s is of impossible size", g->name);
    if (s->out[i] && (s->out[i]->dtype != g->dtype || !shape_equal(&s->out[i]->shape, &shape)))
        return fail(e, ERR_SHAPE, "%s has another type or shape than was inferred", g->name);
    if (!s->out[i] && !step_resize(s, i, g->dtype, &shape, e)) return e->code;
    int64_t outer = shape_span(&g->item, 0, at), inner = shape_span(&g->item, at, g->item.rank);
    if (!outer || !inner || !g->n) return 0;
    struct move m = { 0 };
    move_add(&m, g->n, backward ? -inner : inner, outer * inner);
    move_add(&m, outer, g->n * inner, inner);
    move_add(&m, inner, 1, 1);
    move_run(&m, s->threads, dtype_size(g->dtype), element(s->out[i], backward ? (g->n - 1) * inner : 0), g->data);
    return 0;
}

/* What no turn has gathered: its type and shape as far as they are known, sizes that are not are 0. */
static void gather_nothing(struct gathered *g, const struct value *made)
{
    g->dtype = made->dtype ? made->dtype : DT_F32;
    g->item = made->shape.rank < 0 ? shape_of(0, NULL) : made->shape;
    for (int d = 0; d < g->item.rank; d++)
        if (g->item.dim[d] < 0) g->item.dim[d] = 0;
}

/* ---- turns ---- */

static int turns_init(struct turns *t, const struct step *s, struct err *e)
{
    const struct graph *body = node_graph(s->node, "body");
    *t = (struct turns){ .s = s, .body = body, .carried = control_carried(s->node) };
    t->gathered = s->node->n_out - t->carried;
    for (int i = 0; i < 2; i++) arena_init(&t->arena[i], s->scratch->mem);
    arena_init(&t->kept, s->scratch->mem);
    t->in = ARENA_ARRAY(s->scratch, body->n_inputs, struct tensor *);
    t->out = ARENA_ARRAY(s->scratch, body->n_outputs, struct tensor *);
    t->gather = ARENA_ARRAY(s->scratch, t->gathered, struct gathered);
    if (!t->in || !t->out || !t->gather) return fail_nomem(e);
    for (size_t i = 0; i < body->n_inputs; i++) {
        struct body_input from = control_input(s->node, (int)i);
        bool reads = from.source == BODY_CARRIED || from.source == BODY_PASSED;
        t->in[i] = reads ? s->in[from.from] : NULL;
    }
    for (int k = 0; k < t->gathered; k++) t->gather[k].name = s->node->out[t->carried + k]->name;
    return 0;
}

static void turns_release(struct turns *t)
{
    const struct mem *mem = t->s->scratch->mem;
    for (int i = 0; i < 2; i++) arena_release(&t->arena[i]);
    arena_release(&t->kept);
    for (int k = 0; t->gather && k < t->gathered; k++)
        if (t->gather[k].data)
            mem->free(mem->cookie, t->gather[k].data, (size_t)t->gather[k].cap * t->gather[k].bytes + 1);
}

/* An output that is an input, handed through: its memory is that of an earlier turn. */
static int outlive(struct turns *t, struct tensor **out, struct arena *now, struct err *e)
{
    for (size_t i = 0; i < t->body->n_inputs; i++)
        if (*out == t->in[i]) return (*out = tensor_keep(now, *out, e)) ? 0 : e->code;
    return 0;
}

/* Runs the body once; `first` is the body's output that is carried first, those gathered come after the carried. */
static int take_turn(struct turns *t, int first_in, int first_out, struct err *e)
{
    const struct host *h = t->s->host;
    int64_t most = h && h->turns_max ? h->turns_max : HOST_TURNS;
    struct arena *now = &t->arena[t->turn & 1];
    if (h && h->cancelled && h->cancelled(h->cookie)) return fail(e, ERR_CANCELLED, "cancelled");
    if (t->turn >= most)
        return fail(e, ERR_FAILED,
            "still going on after %lld turns, which is the limit; it can be raised (--max-turns)", (long long)most);
    arena_release(now); /* of the turn before the last */
    TRY(control_call(t->s, t->body, t->in, t->out, now, e));
    for (int i = 0; i < t->carried; i++) TRY(outlive(t, &t->out[first_out + i], now, e));
    for (int i = 0; i < t->carried; i++) t->in[first_in + i] = t->out[first_out + i];
    for (int k = 0; k < t->gathered; k++) TRY(gather(t, &t->gather[k], t->out[first_out + t->carried + k], e));
    t->turn++;
    return 0;
}

static int turns_give(struct turns *t, int first_in, int first_out, struct err *e)
{
    const struct node *n = t->s->node;
    for (int i = 0; i < t->carried; i++) TRY(step_give(t->s, i, t->in[first_in + i], e));
    for (int k = 0; k < t->gathered; k++) {
        struct gathered *g = &t->gather[k];
        if (!g->dtype) gather_nothing(g, value_resolve(t->body->outputs[first_out + t->carried + k]));
        bool backward = control_axis(n, "scan_output_directions", k) != 0;
        TRY(give_gathered(t->s, t->carried + k, g, control_axis(n, "scan_output_axes", k), backward, e));
    }
    return 0;
}

static int loop(struct turns *t, const struct step *s, struct err *e)
{
    const struct tensor *limit = s->node->n_in > 0 ? s->in[0] : NULL, *first = s->node->n_in > 1 ? s->in[1] : NULL;
    int64_t count = INT64_MAX, turn = 0;
    bool on = true;
    struct tensor counter = { .dtype = DT_I64, .data = &turn }, condition = { .dtype = DT_BOOL, .data = &on };
    TRY(turns_init(t, s, e));
    if (limit && tensor_count(limit) != 1)
        return fail(e, ERR_SHAPE, "the number of turns has %lld elements", (long long)tensor_count(limit));
    if (limit) count = tensor_get_i64(limit, 0);
    if (first) TRY(truth(first, "the condition", &on, e));
    for (; turn < count && on; turn = t->turn) {
        t->in[0] = &counter;
        t->in[1] = &condition;
        TRY(take_turn(t, 2, 1, e));
        TRY(truth(t->out[0], "the condition that its body makes", &on, e));
    }
    return turns_give(t, 2, 1, e);
}

int control_loop_run(const struct step *s, struct err *e)
{
    struct turns t;
    int code = loop(&t, s, e);
    turns_release(&t);
    return code;
}

/* Slices of the inputs that turn number `turn` reads, in scratch: made at the first turn, filled at each. */
static int take_slices(struct turns *t, int64_t turn, int64_t turns, struct err *e)
{
    const struct node *n = t->s->node;
    for (int i = 0; i < (int)node_int(n, "num_scan_inputs"); i++) {
        const struct tensor *x = t->s->in[t->carried + i];
        int axis = shape_axis(control_axis(n, "scan_input_axes", i), x->shape.rank);
        struct tensor **to = &t->in[t->carried + i];
        if (!*to) {
            struct shape s = { .rank = x->shape.rank - 1 };
            for (int d = 0; d < s.rank; d++) s.dim[d] = x->shape.dim[d + (d >= axis)];
            if (!(*to = tensor_new(t->s->scratch, x->dtype, &s, e))) return e->code;
            (*to)->blob = NULL; /* filled anew at each turn: who keeps it has to copy it */
        }
        int64_t inner = shape_span(&x->shape, axis + 1, x->shape.rank), outer = shape_span(&x->shape, 0, axis);
        int64_t at = control_axis(n, "scan_input_directions", i) ? turns - 1 - turn : turn;
        struct move m = { 0 };
        move_add(&m, outer, inner, turns * inner);
        move_add(&m, inner, 1, 1);
        if (outer && inner) move_run(&m, 1, dtype_size(x->dtype), (*to)->data, element(x, at * inner));
    }
    return 0;
}

static int scan(struct turns *t, const struct step *s, struct err *e)
{
    int64_t turns = -1;
    TRY(turns_init(t, s, e));
    for (int i = 0; i < (int)node_int(s->node, "num_scan_inputs"); i++) {
        const struct shape *x = &s->in[t->carried + i]->shape;
        int64_t given = control_axis(s->node, "scan_input_axes", i);
        int axis = shape_axis(given, x->rank);
        if (axis < 0)
            return fail(
                e, ERR_SHAPE, "axis %lld of input %d, which has rank %d", (long long)given, t->carried + i, x->rank);
        if (turns >= 0 && x->dim[axis] != turns)
            return fail(e, ERR_SHAPE, "input %d has %lld slices, the others %lld", t->carried + i,
                (long long)x->dim[axis], (long long)turns);
        turns = x->dim[axis];
    }
    while (t->turn < turns) {
        TRY(take_slices(t, t->turn, turns, e));
        TRY(take_turn(t, 0, 0, e));
    }
    return turns_give(t, 0, 0, e);
}

int control_scan_run(const struct step *s, struct err *e)
{
    struct turns t;
    int code = scan(&t, s, e);
    turns_release(&t);
    return code;
}

/* ---- SequenceMap ---- */

/* Inputs of the body for item k: items of sequences, everything else as it is. */
static int item_inputs(const struct step *s, int64_t k, int64_t n, struct tensor **in, struct err *e)
{
    int items = s->node->n_in - control_captures(s->node);
    for (int i = 0; i < s->node->n_in; i++) {
        const struct tensor *x = s->in[i];
        in[i] = s->in[i];
        if (i >= items || !x || x->dtype != DT_SEQUENCE) continue;
        if (tensor_count(x) != n)
            return fail(e, ERR_SHAPE, "sequence %d has %lld items, the first %lld", i, (long long)tensor_count(x),
                (long long)n);
        in[i] = (struct tensor *)(uintptr_t)sequence_item(x, k);
    }
    return 0;
}

static int map_items(const struct step *s, const struct graph *body, struct arena *a, struct err *e)
{
    int n_out = s->node->n_out;
    int64_t n = tensor_count(s->in[0]);
    struct tensor **in = ARENA_ARRAY(a, s->node->n_in, struct tensor *), **out = ARENA_ARRAY(a, n_out, struct tensor *);
    const struct tensor ***items = ARENA_ARRAY(a, n_out, const struct tensor **);
    if (!in || !out || !items) return fail_nomem(e);
    for (int i = 0; i < n_out; i++) TRY_MEM(items[i] = ARENA_ARRAY(a, n, const struct tensor *), e);
    for (int64_t k = 0; k < n; k++) {
        if (s->host && s->host->cancelled && s->host->cancelled(s->host->cookie))
            return fail(e, ERR_CANCELLED, "cancelled");
        TRY(item_inputs(s, k, n, in, e));
        TRY(control_call(s, body, in, out, a, e));
        for (int i = 0; i < n_out; i++) items[i][k] = out[i];
    }
    for (int i = 0; i < n_out; i++)
        if (!(s->out[i] = sequence_new(s->arena, DT_SEQUENCE, items[i], n, e))) return e->code;
    return 0;
}

int control_map_run(const struct step *s, struct err *e)
{
    struct arena a;
    if (s->in[0]->dtype != DT_SEQUENCE) return fail(e, ERR_SHAPE, "input 0 is no sequence");
    arena_init(&a, s->scratch->mem);
    int code = map_items(s, node_graph(s->node, "body"), &a, e);
    arena_release(&a);
    return code;
}
