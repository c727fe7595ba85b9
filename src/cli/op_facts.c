/* op_facts.c - facts about an operator, read off its row, the backends' lists and what its inference takes. */
#include "cli/op_facts.h"

#include <string.h>

#include "backend/backend.h"
#include "base/err.h"
#include "graph/builder.h"
#include "ops/registry.h"

/* Something for every attribute that has to be there. */
static struct attr *required(const struct op *op, struct arena *a)
{
    static const int64_t one[] = { 1 };
    static const double real[] = { 1 };
    static const char *const text[] = { "Neg" }; /* of FusedElementwise */
    size_t n = 0, i = 0;
    for (const struct attr_spec *s = op->attrs; s && s->name; s++) n += s->presence == ATTR_REQUIRED;
    struct attr *list = ARENA_ARRAY(a, n + 1, struct attr);
    for (const struct attr_spec *s = op->attrs; list && s && s->name; s++) {
        if (s->presence != ATTR_REQUIRED) continue;
        list[i] = (struct attr){ .name = s->name, .type = s->type, .n = 1 };
        if (s->type == ATTR_INT) list[i].i = 1;
        else if (s->type == ATTR_FLOAT) list[i].f = 1;
        else if (s->type == ATTR_STRING) list[i].s = "ij,jk->ik"; /* the one text that has to be there: Einsum's */
        else if (s->type == ATTR_INTS) list[i].ints = one;
        else if (s->type == ATTR_FLOATS) list[i].floats = real;
        else if (s->type == ATTR_STRINGS) list[i].strings = text;
        i++;
    }
    return list;
}

/* Whether inference takes type t as the first input, the others, and every rank, being unknown. */
static bool takes(const struct op *op, enum dtype t, struct err *e)
{
    struct arena a;
    struct err quiet = { 0 };
    struct value *in[OP_VARIADIC];
    int n_in = op->min_in > 0 ? op->min_in : 1, n_out = op->min_out > 0 ? op->min_out : 1;
    arena_init(&a, NULL);
    struct graph *g = graph_new(&a, &op_registry, "probe", &quiet);
    struct shape s = shape_unknown();
    struct attr *attrs = required(op, &a);
    for (int i = 0; g && attrs && i < n_in; i++) in[i] = graph_input(g, NULL, i ? DT_NONE : t, &s, &quiet);
    struct builder b = { g, &quiet };
    bool good = !quiet.code && attrs && builder_node(&b, op->name, attrs, in, n_in, n_out);
    if (quiet.code == ERR_NOMEM || a.failed) fail_nomem(e);
    arena_release(&a);
    return good;
}

/* The shortest words for a set of types. */
static const char *in_words(const bool *taken, struct arena *a)
{
    static const struct {
        const char *word;
        unsigned kinds;
    } sets[] = { { "any", 31 }, { "number or bool", 30 }, { "number", 28 }, { "float or bool", 18 }, { "float", 16 },
        { "integer or bool", 14 }, { "integer", 12 }, { "unsigned integer", 4 }, { "bool", 2 } };
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        bool same = true;
        for (int t = 1; t < DT_COUNT; t++)
            if (dtype_is_valid(t) && t != DT_C64 && t != DT_C128)
                same &= taken[t] == (sets[i].kinds >> dtype_kind((enum dtype)t) & 1);
        if (same) return sets[i].word;
    }
    struct str s = str_in(a);
    for (int t = 1; t < DT_COUNT; t++)
        if (dtype_is_valid(t) && taken[t]) str_addf(&s, "%s%s", s.len ? " " : "", dtype_name((enum dtype)t));
    return str_done(&s);
}

static const char *types_of(const struct op *op, struct arena *a, struct err *e)
{
    bool taken[DT_COUNT] = { false };
    if (!op->max_in || op->flags & OP_CONTAINERS) return "";
    if (!takes(op, DT_NONE, e)) return "";
    for (int t = 1; t < DT_COUNT; t++) taken[t] = dtype_is_valid(t) && takes(op, (enum dtype)t, e);
    return in_words(taken, a);
}

static const char *kernels_of(const struct op *op, struct arena *a)
{
    struct str s = str_in(a);
    for (const struct backend *const *b = backend_list; *b; b++) {
        const struct kernel *k = (*b)->kernels;
        while (k->op && strcmp(k->op, op->name) != 0) k++;
        if (k->op) str_addf(&s, "%s%s", s.len ? " " : "", (*b)->name);
    }
    if (op->run) str_addf(&s, "%sreference", s.len ? " " : "");
    return str_done(&s);
}

int op_facts(struct op_facts *f, const struct op *op, const char *family, struct arena *a, struct err *e)
{
    *f = (struct op_facts){ .op = op, .family = family, .expands = op->expand, .gradient = op->grad };
    f->domain = op->flags & OP_OWN ? "Tenrec" : "ONNX";
    f->tier = op->run ? "core" : op->expand ? "composite" : "pass";
    f->kernels = kernels_of(op, a);
    f->types = types_of(op, a, e);
    return f->kernels && f->types ? e->code : fail_nomem(e);
}
