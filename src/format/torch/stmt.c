/* stmt.c - running TorchScript: statements, branches and loops. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "format/torch/region.h"

enum { STEPS_MAX = 300000, STOPPED = -1000 };

static int code_of(const struct eval *v)
{
    return v->err->code ? v->err->code : STOPPED;
}

static int assign(struct eval *v, struct map *locals, const struct ts_expr *target, struct object *value)
{
    if (target->kind == EXPR_NAME) return map_set(locals, target->text, value) ? 0 : fail_nomem(v->err);
    struct object *o = eval_expr(v, locals, target->items[0]);
    return o ? eval_set_attribute(v, o, target->text, value) : code_of(v);
}

/* "a, b, = e", and "a, b = e" of an operator with several results. */
static int unpack(struct eval *v, struct map *locals, const struct ts_stmt *s, struct object *value)
{
    bool list = value->kind == OBJECT_LIST || value->kind == OBJECT_TUPLE;
    if (value->kind != OBJECT_UNKNOWN && (!list || value->list->n != s->targets.n))
        return eval_fault(
            v, ERR_MODEL, "%zu values are wanted, there are %zu", s->targets.n, list ? value->list->n : 1);
    for (size_t i = 0; i < s->targets.n; i++)
        TRY(assign(v, locals, s->targets.items[i], list ? value->list->items[i] : value));
    return 0;
}

static int run_assign(struct eval *v, struct map *locals, const struct ts_stmt *s)
{
    size_t n = s->values.n;
    if (n == 1) {
        struct object *value = eval_expr(v, locals, s->values.items[0]);
        if (!value) return code_of(v);
        return s->unpack || s->targets.n > 1 ? unpack(v, locals, s, value)
                                             : assign(v, locals, s->targets.items[0], value);
    }
    if (n != s->targets.n) return eval_fault(v, ERR_MODEL, "%zu values for %zu names", n, s->targets.n);
    struct object **values = ARENA_ARRAY(v->arena, n, struct object *);
    TRY_MEM(values, v->err);
    for (size_t i = 0; i < n; i++) /* all of them before the first name changes */
        if (!(values[i] = eval_expr(v, locals, s->values.items[i]))) return code_of(v);
    for (size_t i = 0; i < n; i++) TRY(assign(v, locals, s->targets.items[i], values[i]));
    return 0;
}

static int run_return(struct eval *v, struct map *locals, const struct ts_stmt *s, struct object **result)
{
    struct object *list = s->values.n == 1 ? NULL : object_list(v->arena, OBJECT_TUPLE);
    for (size_t i = 0; i < s->values.n; i++) {
        if (!(*result = eval_expr(v, locals, s->values.items[i]))) return code_of(v);
        if (list && !object_append(v->arena, list, *result)) return fail_nomem(v->err);
    }
    if (list) *result = s->values.n ? list : object_none(v->arena);
    return 1;
}

/* Does the block do nothing but raise? */
static bool only_raises(const struct ts_block *b)
{
    bool raises = false;
    for (size_t i = 0; i < b->n; i++) {
        const struct ts_stmt *s = b->items[i];
        const struct ts_expr *x = s->kind == STMT_EXPR ? s->values.items[0] : NULL;
        if (x && x->kind == EXPR_CALL && x->items[0]->kind == EXPR_ATTR && !strcmp(x->items[0]->text, "RaiseException"))
            raises = true;
    }
    return raises;
}

/* A condition that is not known: a side that only raises is not taken, else the program cannot go on. */
static int run_unknown_if(
    struct eval *v, struct map *locals, const struct ts_stmt *s, const struct object *cond, struct object **result)
{
    if (only_raises(&s->body)) return eval_block(v, locals, &s->otherwise, result);
    if (only_raises(&s->otherwise)) return eval_block(v, locals, &s->body, result);
    if (cond->text) return eval_fault(v, ERR_UNSUPPORTED, "a branch on data, not on shapes: %s", cond->text);
    v->stopped = true;
    return STOPPED;
}

static int guard(struct eval *v, const struct object *o)
{
    if (!o->value) return 0;
    v->t.b.where = eval_where(v);
    return torch_guard(&v->t, o);
}

static int run_if(struct eval *v, struct map *locals, const struct ts_stmt *s, struct object **result)
{
    struct object *cond = eval_expr(v, locals, s->values.items[0]);
    v->line = s->line;
    if (cond && cond->kind == OBJECT_TENSOR) cond = host_extract(v, cond, OBJECT_BOOL);
    if (!cond) return code_of(v);
    if (cond->kind == OBJECT_UNKNOWN) return run_unknown_if(v, locals, s, cond, result);
    if (cond->kind == OBJECT_TENSOR && only_raises(&s->body)) return eval_block(v, locals, &s->otherwise, result);
    if (cond->kind == OBJECT_TENSOR && only_raises(&s->otherwise)) return eval_block(v, locals, &s->body, result);
    if (cond->kind == OBJECT_TENSOR) return run_data_if(v, locals, s, cond);
    TRY(guard(v, cond));
    return eval_block(v, locals, object_truth(cond) ? &s->body : &s->otherwise, result);
}

static int unknown_loop(struct eval *v, const struct object *o)
{
    if (o->text) return eval_fault(v, ERR_UNSUPPORTED, "a loop whose length depends on data: %s", o->text);
    v->stopped = true;
    return STOPPED;
}

static int run_for(struct eval *v, struct map *locals, const struct ts_stmt *s, struct object **result)
{
    struct object *count = eval_expr(v, locals, s->values.items[0]);
    v->line = s->line;
    if (!count) return code_of(v);
    if (count->kind == OBJECT_UNKNOWN) return unknown_loop(v, count);
    if (count->kind == OBJECT_TENSOR) return run_data_loop(v, locals, s, count, locals->n);
    if (count->kind != OBJECT_INT) return eval_fault(v, ERR_MODEL, "a loop over a %s", object_kind_name(count->kind));
    TRY(guard(v, count));
    for (int64_t i = 0; i < count->integer; i++) {
        if (!map_set(locals, s->name, object_int(v->arena, i, NULL))) return fail_nomem(v->err);
        int code = eval_block(v, locals, &s->body, result);
        if (code) return code;
        if (++v->steps > STEPS_MAX) return eval_fault(v, ERR_UNSUPPORTED, "the program runs too long");
    }
    return 0;
}

static int run_while(struct eval *v, struct map *locals, const struct ts_stmt *s, struct object **result)
{
    size_t n_before = locals->n;
    for (;;) {
        struct object *cond = eval_expr(v, locals, s->values.items[0]);
        v->line = s->line;
        if (cond && cond->kind == OBJECT_TENSOR) cond = host_extract(v, cond, OBJECT_BOOL);
        if (!cond) return code_of(v);
        if (cond->kind == OBJECT_UNKNOWN) return unknown_loop(v, cond);
        if (cond->kind == OBJECT_TENSOR) return run_data_loop(v, locals, s, cond, n_before);
        TRY(guard(v, cond));
        if (!object_truth(cond)) return 0;
        int code = eval_block(v, locals, &s->body, result);
        if (code) return code;
        if (++v->steps > STEPS_MAX) return eval_fault(v, ERR_UNSUPPORTED, "the program runs too long");
    }
}

/* Contexts are no_grad and profiling: what they do on entry and exit does not change values. */
static int run_with(struct eval *v, struct map *locals, const struct ts_stmt *s, struct object **result)
{
    struct object *o = eval_expr(v, locals, s->values.items[0]);
    if (!o) return code_of(v);
    if (s->name && !map_set(locals, s->name, o)) return fail_nomem(v->err);
    return eval_block(v, locals, &s->body, result);
}

static int run_def(struct eval *v, struct map *locals, const struct ts_stmt *s)
{
    struct object *o = object_none(v->arena);
    TRY_MEM(o, v->err);
    o->kind = OBJECT_FUNCTION;
    o->def = s->def;
    return map_set(locals, s->def->name, o) ? 0 : fail_nomem(v->err);
}

static int run_stmt(struct eval *v, struct map *locals, const struct ts_stmt *s, struct object **result)
{
    v->line = s->line;
    switch (s->kind) {
    case STMT_PASS: return 0;
    case STMT_RETURN: return run_return(v, locals, s, result);
    case STMT_IF: return run_if(v, locals, s, result);
    case STMT_WHILE: return run_while(v, locals, s, result);
    case STMT_FOR: return run_for(v, locals, s, result);
    case STMT_WITH: return run_with(v, locals, s, result);
    case STMT_DEF: return run_def(v, locals, s);
    case STMT_ASSIGN: return run_assign(v, locals, s);
    case STMT_EXPR: return eval_expr(v, locals, s->values.items[0]) ? 0 : code_of(v);
    }
    return 0;
}

int eval_block(struct eval *v, struct map *locals, const struct ts_block *b, struct object **result)
{
    for (size_t i = 0; i < b->n; i++) {
        if (++v->steps > STEPS_MAX) return eval_fault(v, ERR_UNSUPPORTED, "the program runs too long");
        int code = run_stmt(v, locals, b->items[i], result);
        if (code) return code;
    }
    return 0;
}
