/* aten.c - calls operators of PyTorch that aten.py describes on stdin and prints their results: once with every tensor
 * a constant, so that all is folded, once with the first one an input whose sizes are symbols. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "format/torch/torch.h"
#include "ops/interpret.h"
#include "ops/registry.h"

struct call {
    struct arena a;
    struct err e;
    struct report report;
    struct graph *g;
    struct torch t;
    bool symbolic;
    struct tensor *input; /* what the graph's only input is */
};

static const char *word(void)
{
    static char text[256];
    return scanf("%255s", text) == 1 ? text : "";
}

static struct value *symbolic_input(struct call *c, struct tensor *x)
{
    struct shape s = x->shape;
    char name[32];
    for (int i = 0; i < s.rank; i++) {
        if (i == 1) continue;
        snprintf(name, sizeof name, "s%lld", (long long)s.dim[i]);
        s.dim[i] = graph_symbol(c->g, name);
    }
    struct value *v = graph_input(c->g, "x", x->dtype, &s, &c->e);
    if (v) torch_set_hint(&c->t, v, &x->shape);
    c->input = x;
    return v;
}

static struct object *read_tensor(struct call *c)
{
    enum dtype t = dtype_from_name(word());
    struct shape s = { .rank = atoi(word()) };
    for (int i = 0; i < s.rank; i++) s.dim[i] = atoll(word());
    struct tensor *x = tensor_new(&c->a, t, &s, &c->e);
    for (int64_t i = 0; x && i < tensor_count(x); i++) tensor_set_f64(x, i, atof(word()));
    if (!x) return NULL;
    struct value *v = c->symbolic && !c->input ? symbolic_input(c, x) : emit_const(&c->t.b, x);
    return torch_object(&c->t, v);
}

static struct object *read_object(struct call *c)
{
    const char kind = word()[0];
    if (kind == 'T') return read_tensor(c);
    if (kind == 'I') return object_int(&c->a, atoll(word()), NULL);
    if (kind == 'F') return object_float(&c->a, atof(word()), NULL);
    if (kind == 'B') return object_bool(&c->a, atoi(word()), NULL);
    if (kind == 'S') return object_str(&c->a, OBJECT_STR, arena_strdup(&c->a, word()));
    if (kind != 'L') return object_none(&c->a);
    struct object *list = object_list(&c->a, OBJECT_LIST);
    for (int n = atoi(word()); list && n > 0; n--) object_append(&c->a, list, read_object(c));
    return list;
}

static void output(struct call *c, struct object *o)
{
    if (!o || c->e.code) return;
    if (o->kind == OBJECT_TENSOR) {
        struct value *v = torch_tensor_read(&c->t, o->tensor);
        if (v) graph_output(c->g, emit(&c->t.b, "Identity", NO_ATTRS, v), &c->e);
    } else if (o->kind == OBJECT_LIST || o->kind == OBJECT_TUPLE)
        for (size_t i = 0; i < o->list->n; i++) output(c, o->list->items[i]);
    else if (c->report.n) fail(&c->e, ERR_FAILED, "%s", c->report.items[0].what);
    else fail(&c->e, ERR_FAILED, "the result is %s", object_kind_name(o->kind));
}

static void print(const struct tensor *x)
{
    printf("%s %d", dtype_name(x->dtype), x->shape.rank);
    for (int i = 0; i < x->shape.rank; i++) printf(" %lld", (long long)x->shape.dim[i]);
    for (int64_t i = 0; i < tensor_count(x); i++) printf(" %.17g", tensor_get_f64(x, i));
    puts("");
}

static int run(struct call *c, const char *name, int n, int n_keywords)
{
    struct object *args[32] = { NULL };
    struct keyword keywords[16] = { { 0 } };
    struct tensor *out[64] = { NULL };
    for (int i = 0; i < n && i < 32; i++) args[i] = read_object(c);
    for (int i = 0; i < n_keywords && i < 16; i++) {
        keywords[i].name = arena_strdup(&c->a, word());
        keywords[i].value = read_object(c);
    }
    output(c, aten_call(&c->t, name, args, (size_t)n, keywords, (size_t)n_keywords));
    if (c->e.code || graph_tidy(c->g, &c->e) || c->g->n_outputs > 64) return c->e.code;
    struct tensor *in[] = { c->input };
    TRY(graph_interpret(c->g, in, out, &c->a, NULL, &c->e));
    printf("ok %zu\n", c->g->n_outputs);
    for (size_t i = 0; i < c->g->n_outputs; i++) print(out[i]);
    return 0;
}

int main(void)
{
    char name[128];
    int symbolic, n, n_keywords;
    while (scanf("%127s %d %d %d", name, &symbolic, &n, &n_keywords) == 4) {
        struct call c = { .symbolic = symbolic };
        arena_init(&c.a, NULL);
        c.report = report_in(&c.a);
        c.g = graph_new(&c.a, &op_registry, "g", &c.e);
        if (c.g) torch_init(&c.t, &c.a, c.g, &c.report, &c.e);
        if (c.e.code || run(&c, name, n, n_keywords) || c.e.code) {
            for (char *s = c.e.text; *s; s++) *s = *s == '\n' ? ' ' : *s;
            printf("error %s\n", c.e.text);
        }
        fflush(stdout);
        arena_release(&c.a);
    }
    return 0;
}
