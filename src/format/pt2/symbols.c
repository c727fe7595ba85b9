/* symbols.c - symbolic dimensions of a program: names, the numbers they have in the example, their ranges. */
#include <ctype.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "format/pt2/program.h"

enum {
    EXAMPLE = 3,         /* for a symbol whose number in the example is not told: 0 and 1 are special, 2 may be */
    RANGE_END = 1 << 30, /* a limit past it is none */
};

/* The symbol an expression consists of, written as sympy does ("Symbol('s0', positive=True)") or plainly ("s0"); an
 * expression of more stands under its own text. */
static const char *symbol_of(struct arena *a, const char *text)
{
    static const char call[] = "Symbol('";
    size_t n = sizeof call - 1, len = 0;
    if (!strncmp(text, call, n)) {
        len = strcspn(text + n, "'");
        return arena_strndup(a, text + n, len);
    }
    while (isalnum((unsigned char)text[len]) || text[len] == '_') len++;
    return text[len] ? arena_strndup(a, text, strnlen(text, 60)) : text;
}

/* {"as_int": 3}, {"as_expr": {"expr_str": "s0", "hint": {"as_int": 4}}} */
static int read_dim(struct program *p, const json_t *x, int64_t *dim, int64_t *example)
{
    const char *tag = "", *ignored;
    const json_t *v = union_get(x, &tag);
    if (json_is_integer(x)) v = x, tag = "as_int";
    if (json_is_integer(v)) {
        *dim = *example = json_integer_value(v);
        return *dim < 0 ? fail(p->err, ERR_MODEL, "a dimension of size %lld", (long long)*dim) : 0;
    }
    const char *text = v ? json_string_value(json_object_get(v, "expr_str")) : NULL;
    if (!text || strcmp(tag, "as_expr")) return fail(p->err, ERR_MODEL, "a dimension that is neither size nor symbol");
    const char *symbol = symbol_of(&p->scratch, text);
    TRY_MEM(symbol, p->err);
    const json_t *hint = union_get(json_object_get(v, "hint"), &ignored);
    uintptr_t known = (uintptr_t)map_get(&p->hints, symbol);
    if (json_is_integer(hint) && json_integer_value(hint) > 0) known = (uintptr_t)json_integer_value(hint);
    if (!known) known = EXAMPLE + p->hints.n;
    if (!map_set(&p->hints, symbol, (void *)known)) return fail_nomem(p->err);
    *example = (int64_t)known;
    *dim = graph_symbol(p->eval.t.g, symbol);
    return *dim == DIM_UNKNOWN ? fail_nomem(p->err) : 0;
}

int symbol_shape(struct program *p, const json_t *meta, struct shape *s, struct shape *example)
{
    const json_t *sizes = json_object_get(meta, "sizes");
    size_t n = json_array_size(sizes);
    if (!json_is_array(sizes)) return fail(p->err, ERR_MODEL, "an input without sizes");
    if (n > SHAPE_MAX)
        return fail(p->err, ERR_UNSUPPORTED, "an input of rank %zu, at most %d is possible", n, SHAPE_MAX);
    *s = *example = shape_of(0, NULL);
    s->rank = example->rank = (int)n;
    for (size_t i = 0; i < n; i++) TRY(read_dim(p, json_array_get(sizes, i), &s->dim[i], &example->dim[i]));
    return 0;
}

/* The size of the first input dimension that is this symbol. */
static struct value *size_of(struct program *p, const char *symbol)
{
    struct graph *g = p->eval.t.g;
    for (size_t i = 0; i < g->n_inputs; i++)
        for (int d = 0; d < g->inputs[i]->shape.rank; d++) {
            int64_t dim = g->inputs[i]->shape.dim[d];
            if (dim < DIM_UNKNOWN && !strcmp(graph_symbol_name(g, dim), symbol))
                return torch_size(&p->eval.t, g->inputs[i], d);
        }
    return NULL;
}

static int guard(struct program *p, const char *symbol, const char *op, int64_t limit)
{
    struct builder *b = &p->eval.t.b;
    struct value *size = size_of(p, symbol);
    if (!size || p->err->code) return p->err->code;
    struct value *holds = emit(b, op, NO_ATTRS, size, emit_i64(b, limit));
    const char *where = arena_printf(p->eval.t.g->arena, "the range of %s (%s %lld)", symbol,
        !strcmp(op, "LessOrEqual") ? "at most" : "at least", (long long)limit);
    if (!holds || !where) return p->err->code ? p->err->code : fail_nomem(p->err);
    return graph_guard(p->eval.t.g, holds, 1, where, p->err);
}

/* {"s0": {"min_val": 2, "max_val": 64}}. A lower limit of 2 is what the exporter writes when it was told nothing, for
 * 0 and 1 might have led to another program: no reason to refuse them. */
int symbol_guards(struct program *p)
{
    const char *symbol;
    json_t *range;
    json_object_foreach((json_t *)(uintptr_t)json_object_get(p->json, "range_constraints"), symbol, range)
    {
        const json_t *least = json_object_get(range, "min_val"), *most = json_object_get(range, "max_val");
        const char *name = symbol_of(&p->scratch, symbol);
        TRY_MEM(name, p->err);
        if (json_is_integer(least) && json_integer_value(least) > 2)
            TRY(guard(p, name, "GreaterOrEqual", json_integer_value(least)));
        if (json_is_integer(most) && json_integer_value(most) < RANGE_END)
            TRY(guard(p, name, "LessOrEqual", json_integer_value(most)));
    }
    return 0;
}
