/* turns.c - a loop whose length depends on data: its body is interpreted once, a Loop repeats it. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "format/torch/region.h"
#include "graph/outline.h"

/* A name that goes from turn to turn. */
struct carried {
    const char *name;
    struct torch_tensor *tensor;    /* of a tensor that the body writes into; else NULL */
    struct object *before, *inside; /* inside: what stands for it in the body */
    struct value *first, *input, *back;
};

/* What a first run over the body has found: dimensions that change from turn to turn, tensors it writes into. */
struct loose {
    const char *name;
    unsigned dims; /* a bit each */
};

/* A list that grows by one item a turn. */
struct growing {
    struct object_list *list;
    struct value *item;
};

struct turns {
    struct eval *v;
    const struct ts_stmt *s;
    size_t n_before; /* names that were there before the loop */
    struct carried *items;
    size_t n, cap;
    struct growing *lists;
    size_t n_lists, cap_lists;
    struct loose *loose;
    size_t n_loose, cap_loose;
    struct torch_tensor **written;
    size_t n_written, cap_written;
    bool again;                      /* something was found that the body has to be run with once more */
    struct value *counter, *goes_on; /* the body's first inputs */
};

/* A value that is nothing but an input of the body: never an input of the graph. */
static struct value *stand_in(struct eval *v, const char *name, const struct value *like)
{
    struct graph *g = v->t.g;
    struct value *in = graph_input(g, name, like->dtype, &like->shape, v->err);
    if (in) g->n_inputs--;
    return in;
}

static unsigned loose_dims(const struct turns *t, const char *name)
{
    for (size_t i = 0; i < t->n_loose; i++)
        if (!strcmp(t->loose[i].name, name)) return t->loose[i].dims;
    return 0;
}

/* The stand-in of `first`: the shape it has, without the dimensions that change. */
static int add_stand_in(struct turns *t, struct carried *c, struct value *first)
{
    struct eval *v = t->v;
    struct shape shape = torch_hint(&v->t, first)->shape;
    unsigned loose = loose_dims(t, c->name);
    c->first = value_resolve(first);
    if (!(c->input = stand_in(v, c->name, c->first))) return v->err->code;
    if (!loose) TRY(torch_set_hint(&v->t, c->input, &shape));
    for (int d = 0; d < c->first->shape.rank; d++) { /* its sizes are those it had before the loop */
        char key[32];
        bool same = !(loose >> d & 1) && c->first->shape.dim[d] < 0;
        struct value *size = same ? torch_size(&v->t, c->first, d) : NULL;
        snprintf(key, sizeof key, "%d.%d", c->input->id, d);
        if (size && !map_set(&v->t.sizes, key, size)) return fail_nomem(v->err);
        if (loose >> d & 1) c->input->shape.dim[d] = DIM_UNKNOWN;
    }
    return ARRAY_PUSH(v->arena, t->items, t->n, t->cap, *c) ? 0 : fail_nomem(v->err);
}

static int add_carried(struct turns *t, struct map *locals, const char *name)
{
    struct eval *v = t->v;
    struct map_entry *entry = map_find(locals, name);
    if (!entry || (size_t)(entry - locals->entries) >= t->n_before) return 0;
    struct carried c = { .name = name, .before = entry->value };
    for (size_t i = 0; i < t->n; i++)
        if (!strcmp(t->items[i].name, name)) return 0;
    struct value *first = c.before ? region_value(v, c.before, DT_NONE) : NULL;
    if (!first) return v->err->code;
    TRY(add_stand_in(t, &c, first));
    struct object *inside = region_result(v, t->items[t->n - 1].input, c.before);
    t->items[t->n - 1].inside = inside;
    return inside && map_set(locals, name, inside) ? 0 : fail_nomem(v->err);
}

/* Tensors that the body writes into: their content is a stand-in while it is run. */
static int add_written(struct turns *t)
{
    struct eval *v = t->v;
    for (size_t i = 0; i < t->n_written; i++) {
        const char *name = arena_printf(v->arena, "written_%zu", i);
        struct carried c = { .name = name, .tensor = t->written[i] };
        struct value *first = name ? torch_tensor_read(&v->t, t->written[i]) : NULL;
        if (!first) return v->err->code ? v->err->code : fail_nomem(v->err);
        TRY(add_stand_in(t, &c, first));
        t->written[i]->value = t->items[t->n - 1].input;
        t->written[i]->version++;
    }
    return 0;
}

/* Names from before the loop that its body assigns to. */
static int find_carried(struct turns *t, struct map *locals, const struct ts_block *b)
{
    for (size_t i = 0; i < b->n; i++) {
        const struct ts_stmt *s = b->items[i];
        for (size_t k = 0; s->kind == STMT_ASSIGN && k < s->targets.n; k++)
            if (s->targets.items[k]->kind == EXPR_NAME) TRY(add_carried(t, locals, s->targets.items[k]->text));
        TRY(find_carried(t, locals, &s->body));
        TRY(find_carried(t, locals, &s->otherwise));
    }
    return 0;
}

/* Another shape after a turn: with as many dimensions, those that differ are left open in another try. */
static int loosen(struct turns *t, const struct carried *c, const struct shape *was, const struct shape *is)
{
    struct eval *v = t->v;
    struct shape a = *was, b = *is;
    unsigned dims = 0, before = loose_dims(t, c->name);
    if (a.rank < 0 || b.rank < 0) a = c->input->shape, b = value_resolve(c->back)->shape;
    for (int d = 0; d < a.rank && a.rank == b.rank; d++)
        if (a.dim[d] != b.dim[d] || a.dim[d] == DIM_UNKNOWN) dims |= 1u << d;
    if (a.rank != b.rank || a.rank < 0)
        return eval_fault(v, ERR_UNSUPPORTED, "%s has another shape after a turn of a loop on data", c->name);
    if (!(dims & ~before)) return 0;
    t->again = true;
    for (size_t i = 0; i < t->n_loose; i++)
        if (!strcmp(t->loose[i].name, c->name)) return t->loose[i].dims |= dims, 0;
    struct loose more = { c->name, dims };
    return ARRAY_PUSH(v->arena, t->loose, t->n_loose, t->cap_loose, more) ? 0 : fail_nomem(v->err);
}

static struct value *written_as(const struct region *r, const struct carried *c)
{
    for (size_t i = 0; i < r->n_writes; i++)
        if (r->writes[i].tensor == c->tensor) return r->writes[i].after;
    return c->input; /* not in this turn */
}

static int take_back(struct turns *t, const struct map *locals, const struct region *r)
{
    struct eval *v = t->v;
    for (size_t i = 0; i < t->n; i++) {
        struct carried *c = &t->items[i];
        const struct object *o = c->tensor ? NULL : map_get(locals, c->name);
        c->back = c->tensor ? written_as(r, c) : o ? region_value(v, o, c->input->dtype) : NULL;
        if (!c->back)
            return eval_fault(v, ERR_UNSUPPORTED, "%s is a %s after a turn of a loop on data", c->name,
                o ? object_kind_name(o->kind) : "nothing");
        struct shape was = torch_hint(&v->t, c->input)->shape, is = torch_hint(&v->t, c->back)->shape;
        if (!shape_equal(&was, &is)) TRY(loosen(t, c, &was, &is));
    }
    return 0;
}

/* Tensors from before the loop that this run over the body wrote into for the first time. */
static int find_written(struct turns *t, const struct region *r)
{
    struct eval *v = t->v;
    for (size_t i = 0; i < r->n_writes; i++) {
        size_t k = 0;
        while (k < t->n_written && t->written[k] != r->writes[i].tensor) k++;
        if (k < t->n_written) continue;
        t->again = true;
        if (!ARRAY_PUSH(v->arena, t->written, t->n_written, t->cap_written, r->writes[i].tensor))
            return fail_nomem(v->err);
    }
    return 0;
}

/* Lists from before the loop: as they were, or one item longer. */
static int take_lists(struct turns *t, const struct region *r)
{
    struct eval *v = t->v;
    for (size_t i = 0; i < r->n_lists; i++) {
        const struct kept_list *k = &r->lists[i];
        if (!region_list_changed(k)) continue;
        bool same = k->list->n == k->n + 1 && (!k->n || !memcmp(k->list->items, k->items, k->n * sizeof *k->items));
        struct object *last = same ? k->list->items[k->n] : NULL;
        struct growing g = { k->list, last ? region_value(v, last, DT_NONE) : NULL };
        if (!g.item)
            return eval_fault(
                v, ERR_UNSUPPORTED, "a list that a loop on data changes otherwise than by one tensor a turn");
        region_restore_list(k);
        if (!ARRAY_PUSH(v->arena, t->lists, t->n_lists, t->cap_lists, g)) return fail_nomem(v->err);
    }
    return 0;
}

/* Does the value depend on what only the body has? */
static bool is_inside(const struct turns *t, const struct value *v, int depth)
{
    v = value_resolve((struct value *)(uintptr_t)v);
    for (size_t i = 0; i < t->n; i++)
        if (v == t->items[i].input) return true; /* of the last attempt: those of others left no guards */
    if (v == t->counter || v == t->goes_on) return true;
    if (v->kind != VALUE_NODE || depth > 200) return depth > 200;
    for (int i = 0; i < v->node->n_in; i++)
        if (v->node->in[i] && is_inside(t, v->node->in[i], depth + 1)) return true;
    return false;
}

/* What the body assumed of shapes within it, inference will find: only what it assumed of values around it is kept. */
static void drop_guards(struct turns *t, size_t from)
{
    struct graph *g = t->v->t.g;
    size_t n = from;
    for (size_t i = from; i < g->n_guards; i++)
        if (!is_inside(t, g->guards[i].value, 0)) g->guards[n++] = g->guards[i];
    g->n_guards = n;
}

static struct node *emit_loop(struct turns *t, struct value *count, struct value *cond, struct value *on, size_t first)
{
    struct eval *v = t->v;
    struct graph *g = v->t.g;
    size_t n_in = 2 + t->n, n_out = 1 + t->n + t->n_lists, n;
    struct value **in = ARENA_ARRAY(v->arena, n_in, struct value *),
                 **out = ARENA_ARRAY(v->arena, n_out, struct value *);
    struct outline body;
    struct value **captured;
    if (!in || !out) return fail_nomem(v->err), NULL;
    in[0] = t->counter, in[1] = t->goes_on, out[0] = on;
    for (size_t i = 0; i < t->n; i++) in[2 + i] = t->items[i].input, out[1 + i] = t->items[i].back;
    for (size_t i = 0; i < t->n_lists; i++) out[1 + t->n + i] = t->lists[i].item;
    if (graph_outline(g, "turn", first, g->n_nodes, in, n_in, out, n_out, &body, v->err) ||
        graph_outline_join(&body, 1, v->arena, &captured, &n, v->err))
        return NULL;
    if (!(in = ARENA_ARRAY(v->arena, n_in + n, struct value *))) return fail_nomem(v->err), NULL;
    in[0] = count, in[1] = cond;
    for (size_t i = 0; i < t->n; i++) in[2 + i] = t->items[i].first;
    if (n) memcpy(in + n_in, captured, n * sizeof *in);
    struct attr attrs[3] = { attr_graph("body", body.body), attr_int("captures", (int64_t)n) };
    v->t.b.where = eval_where(v);
    return builder_node(&v->t.b, "Loop", attrs, in, (int)(n_in + n), (int)n_out - 1);
}

/* A list becomes its items, stacked: those from before the loop and those of its turns. */
static int rows_of(struct eval *v, struct growing *g, struct value *gathered, struct map *locals)
{
    struct value **parts = ARENA_ARRAY(v->arena, g->list->n + 1, struct value *);
    struct value *axis = emit_i64s(&v->t.b, (int64_t[]){ 0 }, 1);
    TRY_MEM(parts, v->err);
    for (size_t i = 0; i < g->list->n; i++) {
        struct value *x = region_value(v, g->list->items[i], DT_NONE);
        struct shape is = torch_hint(&v->t, x)->shape, want = torch_hint(&v->t, g->item)->shape;
        if (!x || !shape_equal(&is, &want))
            return eval_fault(v, ERR_UNSUPPORTED, "a list whose length depends on data, of items of several shapes");
        parts[i] = emit(&v->t.b, "Unsqueeze", NO_ATTRS, x, axis);
    }
    parts[g->list->n] = gathered;
    struct value *rows = builder_emit(&v->t.b, "Concat", ATTRS(attr_int("axis", 0)), parts, (int)g->list->n + 1);
    struct torch_tensor *x = rows && !torch_settle(&v->t) ? torch_tensor_new(&v->t, rows) : NULL;
    if (!x) return v->err->code;
    bool found = false;
    for (size_t i = 0; i < locals->n; i++) {
        struct object *o = locals->entries[i].value;
        if (!o || o->kind != OBJECT_LIST || o->list != g->list) continue;
        o->kind = OBJECT_TENSOR;
        o->rows = found = true;
        o->tensor = x;
    }
    return found ? 0 : eval_fault(v, ERR_UNSUPPORTED, "a list within another, whose length depends on data");
}

static int give_results(struct turns *t, const struct node *loop, struct map *locals)
{
    struct eval *v = t->v;
    TRY(torch_settle(&v->t));
    for (size_t i = 0; i < t->n; i++) {
        struct carried *c = &t->items[i];
        struct value *y = loop->out[i];
        if (!y->dtype) y->dtype = c->input->dtype;
        y->shape = c->first->shape;
        for (int d = 0; d < y->shape.rank; d++)
            if (loose_dims(t, c->name) >> d & 1) y->shape.dim[d] = DIM_UNKNOWN;
        struct shape shape = torch_hint(&v->t, c->input)->shape;
        TRY(torch_set_hint(&v->t, y, &shape));
        struct object *o = c->tensor ? NULL : region_result(v, y, c->before);
        if (c->tensor) TRY(torch_tensor_write(&v->t, c->tensor, y));
        else if (!o || !map_set(locals, c->name, o)) return fail_nomem(v->err);
    }
    for (size_t i = 0; i < t->n_lists; i++) TRY(rows_of(v, &t->lists[i], loop->out[t->n + i], locals));
    return 0;
}

/* Runs the body once on stand-ins; the values of its condition. */
static int run_body(struct turns *t, struct map *locals, struct value **on)
{
    struct eval *v = t->v;
    struct object *result = NULL, *again = NULL;
    if (t->s->kind == STMT_FOR) {
        struct object number = { .kind = OBJECT_INT }, *i = region_result(v, t->counter, &number);
        if (!i || !map_set(locals, t->s->name, i)) return fail_nomem(v->err);
    }
    int code = eval_block(v, locals, &t->s->body, &result);
    if (code > 0) return eval_fault(v, ERR_UNSUPPORTED, "a loop on data returns from within");
    TRY(code);
    *on = t->goes_on;
    if (t->s->kind == STMT_FOR) return 0;
    if (!(again = eval_expr(v, locals, t->s->values.items[0]))) return v->err->code ? v->err->code : fail_nomem(v->err);
    *on = region_value(v, again, DT_BOOL);
    *on = *on ? emit_cast(&v->t.b, *on, DT_BOOL) : NULL;
    return *on ? 0 : eval_fault(v, ERR_UNSUPPORTED, "a loop goes on by a %s", object_kind_name(again->kind));
}

/* One run over the body; *on: whether it goes on. t->again: it has to be run once more, with what was found. */
static int attempt(struct turns *t, const struct map *locals, struct region *r, struct value **on)
{
    struct eval *v = t->v;
    struct map inside = map_in(v->arena);
    t->n = t->n_lists = 0;
    t->again = false;
    TRY(region_copy_names(&inside, locals, v->err));
    TRY(find_carried(t, &inside, &t->s->body));
    TRY(add_written(t));
    TRY(region_begin(v, r, locals));
    TRY(run_body(t, &inside, on));
    TRY(region_end(v, r, "a loop on data"));
    TRY(find_written(t, r));
    TRY(take_back(t, &inside, r));
    TRY(take_lists(t, r));
    for (size_t i = 0; i < t->n; i++)
        if (t->items[i].tensor) t->items[i].tensor->value = t->items[i].first, t->items[i].tensor->version++;
    return torch_settle(&v->t);
}

int run_data_loop(
    struct eval *v, struct map *locals, const struct ts_stmt *s, const struct object *cond, size_t n_before)
{
    enum { ATTEMPTS = 6 };
    struct turns t = { .v = v, .s = s, .n_before = n_before, .again = true };
    struct region r;
    struct value *steers = torch_tensor_read(&v->t, cond->tensor), *on = NULL;
    struct value number = { .dtype = DT_I64, .shape = { 0 } }, truth = { .dtype = DT_BOOL, .shape = { 0 } };
    if (!steers || !(t.counter = stand_in(v, "turn", &number)) || !(t.goes_on = stand_in(v, "on", &truth)))
        return v->err->code;
    TRY(torch_set_hint(&v->t, t.counter, &number.shape));
    TRY(torch_set_hint(&v->t, t.goes_on, &truth.shape));
    for (int i = 0; i < ATTEMPTS && t.again; i++) {
        TRY(attempt(&t, locals, &r, &on));
        v->line = s->line;
        if (t.again) v->t.g->n_guards = r.guards;
    }
    if (t.again) return eval_fault(v, ERR_UNSUPPORTED, "a loop on data whose shapes do not settle");
    if (!t.n && !t.n_lists) return 0; /* it does nothing */
    bool counted = s->kind == STMT_FOR;
    struct node *loop = emit_loop(&t, counted ? steers : NULL, counted ? NULL : steers, on, r.first);
    drop_guards(&t, r.guards);
    return loop ? give_results(&t, loop, locals) : v->err->code;
}

/* ---- lists whose length only a run knows ---- */

struct object *host_rows(struct eval *v, const char *name, struct object *const *args, size_t n)
{
    struct value *rows = torch_tensor_read(&v->t, args[0]->tensor);
    struct object *list = torch_object(&v->t, rows);
    struct object zero = { .kind = OBJECT_INT }, *axis = n > 1 ? args[1] : &zero, *moved[3] = { list, &zero, axis };
    if (!list) return NULL;
    if (!strcmp(name, "stack")) return eval_builtin(v, "torch.movedim", moved, 3, NULL, 0);
    if (!strcmp(name, "__getitem__")) {
        struct object *at[3] = { list, &zero, axis };
        return eval_builtin(v, "torch.select", at, 3, NULL, 0);
    }
    struct value *length = strcmp(name, "len") ? NULL : torch_size(&v->t, rows, 0);
    if (length) return region_result(v, length, &zero);
    return eval_fault(v, ERR_UNSUPPORTED, "%s of a list whose length depends on data", name), NULL;
}
