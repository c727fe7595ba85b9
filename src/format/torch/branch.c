/* branch.c - a branch on data: both sides are interpreted, an If chooses between what they make. */
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "format/torch/region.h"
#include "graph/outline.h"

/* Values that differ between the sides, and the objects that wait for the If's outputs. */
struct branch {
    struct eval *v;
    struct value **yes, **no;
    struct object **waiting; /* filled when the If is there */
    size_t n, cap_yes, cap_no, cap_waiting;
    bool swapped; /* merge_writes() goes through the else side */
};

static struct object *merge(struct branch *b, struct object *yes, struct object *no, int depth);

static struct object *merge_lists(struct branch *b, struct object *yes, struct object *no, int depth)
{
    struct object *out = object_list(b->v->arena, yes->kind);
    if (yes->list->n != no->list->n)
        return eval_fault(b->v, ERR_UNSUPPORTED, "a branch on data gives lists of %zu and of %zu items", yes->list->n,
                   no->list->n),
               NULL;
    for (size_t i = 0; out && i < yes->list->n; i++) {
        struct object *item = merge(b, yes->list->items[i], no->list->items[i], depth + 1);
        if (!item || !object_append(b->v->arena, out, item)) return NULL;
    }
    if (out) out->list->type = yes->list->type;
    return out;
}

static bool is_empty(const struct shape *s)
{
    for (int i = 0; i < s->rank; i++)
        if (!s->dim[i]) return true;
    return false;
}

/* What follows a branch needs one rank. Where the sides part, as in torchvision's BoxCoder.decode, one of them is for
 * the case of no boxes at all: the side that is empty, else the second. It takes the rank of the other, with a first
 * dimension of 0: the same tensor when it is empty, and an error of the run when it is not. */
static int fit_rank(struct branch *b, struct value **x, struct value **y)
{
    struct eval *v = b->v;
    const struct value *one = value_resolve(*x), *other = value_resolve(*y);
    if (one->shape.rank < 1 || other->shape.rank < 1 || one->shape.rank == other->shape.rank) return 0;
    bool first = is_empty(&one->shape) && !is_empty(&other->shape);
    struct value **odd = first ? x : y;
    struct shape like = first ? other->shape : one->shape;
    like.dim[0] = 0;
    for (int i = 1; i < like.rank; i++)
        if (like.dim[i] < 0) like.dim[i] = 1; /* of nothing */
    *odd = emit(&v->t.b, "Reshape", ATTRS(attr_int("allowzero", 1)), *odd, emit_i64s(&v->t.b, like.dim, like.rank));
    return *odd ? 0 : v->err->code;
}

/* One object for what the two sides give. */
static struct object *merge(struct branch *b, struct object *yes, struct object *no, int depth)
{
    struct eval *v = b->v;
    bool simple = yes->kind != OBJECT_TENSOR && yes->kind != OBJECT_INSTANCE && yes->kind != OBJECT_LIST;
    if (yes == no || (simple && !yes->value && !no->value && yes->kind == no->kind && object_equal(yes, no)))
        return yes;
    if (yes->kind == OBJECT_UNKNOWN || no->kind == OBJECT_UNKNOWN) return yes->kind == OBJECT_UNKNOWN ? yes : no;
    bool lists = (yes->kind == OBJECT_LIST || yes->kind == OBJECT_TUPLE) && yes->kind == no->kind;
    if (lists && depth < 8) return merge_lists(b, yes, no, depth);
    enum dtype t = yes->kind == OBJECT_TENSOR ? torch_tensor_read(&v->t, yes->tensor)->dtype : DT_NONE;
    if (no->kind == OBJECT_TENSOR) t = torch_tensor_read(&v->t, no->tensor)->dtype;
    struct value *x = region_value(v, yes, t), *y = region_value(v, no, t);
    struct object *out = x && y ? object_none(v->arena) : NULL;
    if (!out)
        return eval_fault(v, ERR_UNSUPPORTED, "a branch on data gives %s on one side and %s on the other",
                   object_kind_name(yes->kind), object_kind_name(no->kind)),
               NULL;
    if (fit_rank(b, &x, &y)) return NULL;
    out->number = yes->number || object_is_number(yes);
    size_t n = b->n;
    if (!ARRAY_PUSH(v->arena, b->yes, b->n, b->cap_yes, x)) return fail_nomem(v->err), NULL;
    b->n = n;
    if (!ARRAY_PUSH(v->arena, b->no, b->n, b->cap_no, y)) return fail_nomem(v->err), NULL;
    b->n = n;
    if (!ARRAY_PUSH(v->arena, b->waiting, b->n, b->cap_waiting, out)) return fail_nomem(v->err), NULL;
    return out;
}

static int run_side(struct eval *v, struct region *r, const struct ts_block *block, struct map *names)
{
    struct object *result = NULL;
    *names = map_in(v->arena);
    TRY(region_copy_names(names, r->locals, v->err));
    int code = eval_block(v, names, block, &result);
    if (code > 0) return eval_fault(v, ERR_UNSUPPORTED, "a branch on data returns from within");
    TRY(code);
    return region_end(v, r, "a branch on data");
}

/* Emits the If; outputs go where they are waited for. */
static int emit_if(struct branch *b, struct value *cond, size_t first, size_t last)
{
    struct eval *v = b->v;
    struct graph *g = v->t.g;
    struct outline sides[2];
    struct value **captured;
    size_t n;
    TRY(graph_outline(g, "then", first, last, NULL, 0, b->yes, b->n, &sides[0], v->err));
    TRY(graph_outline(g, "else", first, last, NULL, 0, b->no, b->n, &sides[1], v->err));
    TRY(graph_outline_join(sides, 2, v->arena, &captured, &n, v->err));
    struct value **in = ARENA_ARRAY(v->arena, n + 1, struct value *);
    TRY_MEM(in, v->err);
    in[0] = cond;
    if (n) memcpy(in + 1, captured, n * sizeof *in);
    v->t.b.where = eval_where(v);
    struct node *node = builder_node(&v->t.b, "If",
        ATTRS(attr_graph("then_branch", sides[0].body), attr_graph("else_branch", sides[1].body)), in, (int)n + 1,
        (int)b->n);
    for (size_t i = 0; node && i < b->n; i++) {
        struct shape x = torch_hint(&v->t, b->yes[i])->shape, y = torch_hint(&v->t, b->no[i])->shape;
        const struct value *one = value_resolve(b->yes[i]), *other = value_resolve(b->no[i]);
        if (!node->out[i]->dtype) node->out[i]->dtype = one->dtype;
        if (shape_equal(&one->shape, &other->shape)) node->out[i]->shape = one->shape;
        struct torch_tensor *made = torch_tensor_new(&v->t, node->out[i]);
        if (!made || torch_settle(&v->t)) return v->err->code;
        if (shape_equal(&x, &y)) TRY(torch_set_hint(&v->t, node->out[i], &x));
        b->waiting[i]->kind = OBJECT_TENSOR;
        b->waiting[i]->tensor = made;
    }
    return v->err->code;
}

static struct value *after_of(const struct region *r, const struct torch_tensor *x)
{
    for (size_t i = 0; i < r->n_writes; i++)
        if (r->writes[i].tensor == x) return r->writes[i].after;
    return NULL;
}

/* Tensors that one of the sides wrote into: `made` receives what each becomes, once the If is there. */
static int merge_writes(struct branch *b, const struct region *one, const struct region *other, struct object **made)
{
    struct eval *v = b->v;
    for (size_t i = 0; i < one->n_writes; i++) {
        struct torch_tensor *x = one->writes[i].tensor;
        struct value *mine = one->writes[i].after, *theirs = after_of(other, x);
        struct object *a = region_result(v, mine, object_none(v->arena));
        struct object *c = region_result(v, theirs ? theirs : one->writes[i].before, object_none(v->arena));
        if (!a || !c || !(made[i] = merge(b, b->swapped ? c : a, b->swapped ? a : c, 0)))
            return v->err->code ? v->err->code : fail_nomem(v->err);
    }
    return 0;
}

/* Names and lists after the branch. */
static int merge_all(struct branch *b, const struct region *r, const struct map *yes, const struct map *no,
    struct object ***changed, struct map *locals)
{
    struct eval *v = b->v;
    for (size_t i = 0; i < yes->n; i++) {
        struct object *x = yes->entries[i].value, *y = map_get(no, yes->entries[i].key);
        if (!y || !x || (x == y && map_get(r->locals, yes->entries[i].key) == x)) continue;
        struct object *both = merge(b, x, y, 0);
        if (!both) return v->err->code ? v->err->code : fail_nomem(v->err);
        if (!map_set(locals, yes->entries[i].key, both)) return fail_nomem(v->err);
    }
    for (size_t i = 0; i < r->n_lists; i++) {
        const struct kept_list *k = &r->lists[i];
        if (!changed[i] && !region_list_changed(k)) continue;
        struct object_list sides[2] = { *k->list, *k->list };
        struct object x = { .kind = OBJECT_LIST, .list = &sides[0] }, y = { .kind = OBJECT_LIST, .list = &sides[1] };
        sides[0].items = changed[i] ? changed[i] : k->items;
        sides[0].n = changed[i] ? (size_t)(uintptr_t)changed[i][-1] : k->n;
        struct object *both = merge_lists(b, &x, &y, 0);
        if (!both) return v->err->code ? v->err->code : fail_nomem(v->err);
        *k->list = *both->list;
    }
    return 0;
}

/* What one side made of the lists, put aside: item -1 holds the number. NULL where nothing changed. */
static struct object ***put_aside(struct eval *v, const struct region *r)
{
    struct object ***aside = ARENA_ARRAY(v->arena, r->n_lists, struct object **);
    for (size_t i = 0; aside && i < r->n_lists; i++) {
        const struct kept_list *k = &r->lists[i];
        if (!region_list_changed(k)) continue;
        struct object **items = ARENA_ARRAY(v->arena, k->list->n + 1, struct object *);
        if (!items) return NULL;
        items[0] = (struct object *)(uintptr_t)k->list->n;
        if (k->list->n) memcpy(items + 1, k->list->items, k->list->n * sizeof *items);
        aside[i] = items + 1;
        region_restore_list(k);
    }
    return aside;
}

int run_data_if(struct eval *v, struct map *locals, const struct ts_stmt *s, const struct object *cond)
{
    struct region r, otherwise;
    struct map yes, no, before = map_in(v->arena);
    struct branch b = { .v = v };
    struct value *c = torch_tensor_read(&v->t, cond->tensor);
    c = c ? emit_cast(&v->t.b, c, DT_BOOL) : NULL;
    if (c && c->shape.rank != 0) c = emit(&v->t.b, "Reshape", NO_ATTRS, c, emit_i64s(&v->t.b, NULL, 0));
    if (!c) return v->err->code;
    TRY(region_copy_names(&before, locals, v->err));
    TRY(region_begin(v, &r, &before));
    TRY(run_side(v, &r, &s->body, &yes));
    struct object ***changed = put_aside(v, &r);
    TRY_MEM(changed, v->err);
    TRY(region_begin(v, &otherwise, &before));
    TRY(run_side(v, &otherwise, &s->otherwise, &no));
    TRY(merge_all(&b, &r, &yes, &no, changed, locals));
    struct object **made = ARENA_ARRAY(v->arena, r.n_writes + otherwise.n_writes, struct object *);
    TRY_MEM(made, v->err);
    TRY(merge_writes(&b, &r, &otherwise, made));
    b.swapped = true;
    for (size_t i = 0; i < otherwise.n_writes; i++) /* each tensor once */
        if (after_of(&r, otherwise.writes[i].tensor)) otherwise.writes[i--] = otherwise.writes[--otherwise.n_writes];
    TRY(merge_writes(&b, &otherwise, &r, made + r.n_writes));
    v->line = s->line;
    if (!b.n) return 0;
    TRY(torch_settle(&v->t));
    TRY(emit_if(&b, c, r.first, v->t.g->n_nodes));
    for (size_t i = 0; i < r.n_writes + otherwise.n_writes; i++) {
        bool first = i < r.n_writes;
        struct torch_tensor *x = first ? r.writes[i].tensor : otherwise.writes[i - r.n_writes].tensor;
        TRY(torch_tensor_write(&v->t, x, torch_tensor_read(&v->t, made[i]->tensor)));
    }
    return 0;
}
