/* script.c - writing TorchScript: names, literals, statements, and the nodes of a graph in order. */
#include "format/torch/script.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "format/torch/aten.h"
#include "format/torch/script_file.h"
#include "graph/op.h"

const char *say(struct script *s, const char *fmt, ...)
{
    struct str text = str_in(s->arena);
    char small[2000];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if (n < 0) n = 0;
    if ((size_t)n < sizeof small) str_addn(&text, small, (size_t)n);
    else {
        char *large = arena_alloc(s->arena, (size_t)n + 1);
        va_start(ap, fmt);
        if (large) vsnprintf(large, (size_t)n + 1, fmt, ap);
        va_end(ap);
        if (large) return large;
        fail_nomem(s->err);
    }
    const char *out = str_done(&text);
    return out ? out : (fail_nomem(s->err), "");
}

const char *float_text(struct script *s, double v)
{
    char text[40];
    if (isnan(v)) return "nan";
    if (isinf(v)) return v < 0 ? "-inf" : "inf";
    snprintf(text, sizeof text, "%.17g", v);
    return say(s, "%s%s", text, strpbrk(text, ".e") ? "" : ".");
}

const char *scalar_text(struct script *s, enum dtype t, double v)
{
    if (t == DT_BOOL) return v != 0 ? "True" : "False";
    return dtype_is_float(t) ? float_text(s, v) : say(s, "%lld", (long long)v);
}

const char *int_list(struct script *s, const int64_t *v, size_t n)
{
    struct str text = str_in(s->arena);
    str_addc(&text, '[');
    for (size_t i = 0; i < n; i++) str_addf(&text, "%s%lld", i ? ", " : "", (long long)v[i]);
    str_addc(&text, ']');
    const char *out = str_done(&text);
    return out ? out : (fail_nomem(s->err), "");
}

const char *assign(struct script *s, const char *expression)
{
    const char *name = say(s, "v%zu", s->n_variables++);
    str_addf(&s->body, "    %s = %s\n", name, expression);
    return name;
}

/* CONSTANTS.cK, once for each constant. */
static const char *constant(struct script *s, const struct value *v)
{
    size_t k = s->constants.n;
    if (pickle_put_tensor(&s->constants, v->data, s->err)) return "";
    return say(s, "CONSTANTS.c%zu", k);
}

/* A list of ints as a tensor. */
static const char *ints_text(struct script *s, const struct script_ints *x)
{
    struct str text = str_in(s->arena);
    str_add(&text, "torch.tensor(");
    if (!x->scalar) str_addc(&text, '[');
    for (size_t i = 0; i < x->n; i++) str_addf(&text, "%s%s", i ? ", " : "", x->items[i]);
    str_add(&text, x->scalar ? ", dtype=4)" : "], dtype=4)");
    const char *out = str_done(&text);
    return out ? out : (fail_nomem(s->err), "");
}

const char *value_text(struct script *s, struct value *v)
{
    v = value_resolve(v);
    if (!v) return "None";
    if (s->names[v->id]) return s->names[v->id];
    if (v->kind == VALUE_CONST) return s->names[v->id] = constant(s, v);
    if (s->ints[v->id]) return s->names[v->id] = assign(s, ints_text(s, s->ints[v->id]));
    return "None";
}

const char *in(struct script *s, const struct node *n, int i)
{
    return value_text(s, node_in(n, i));
}

const char *script_cannot(struct script *s, const struct node *n, const char *why)
{
    report_add(s->report, REPORT_ERROR, n->name, "TorchScript cannot say %s%s%s", n->op->name, why[0] ? ": " : "", why);
    for (int i = 0; i < n->n_out; i++) s->names[n->out[i]->id] = "None";
    return NULL;
}

void script_bind(struct script *s, const struct node *n, int output, const char *expression)
{
    if (output < n->n_out && n->out[output]) s->names[n->out[output]->id] = assign(s, expression);
}

const char *script_results(struct script *s, const struct node *n, const char *expression, bool list)
{
    struct str names = str_in(s->arena);
    for (int i = 0; i < n->n_out; i++) {
        const char *name = say(s, "v%zu", s->n_variables++);
        s->names[n->out[i]->id] = name;
        str_addf(&names, "%s%s", i ? ", " : "", name);
    }
    const char *text = str_done(&names);
    if (!text) return fail_nomem(s->err), NULL;
    str_addf(&s->body, "    %s%s = %s\n", text, list ? "," : "", expression);
    return NULL;
}

const int64_t *const_ints(struct script *s, const struct node *n, int i, size_t *count)
{
    struct value *v = node_in(n, i);
    const struct tensor *t = v ? value_const(v) : NULL;
    *count = 0;
    if (!t || dtype_is_float(t->dtype)) return NULL;
    int64_t *out = ARENA_ARRAY(s->arena, tensor_count(t) + 1, int64_t);
    if (!out) return fail_nomem(s->err), NULL;
    *count = (size_t)tensor_count(t);
    for (size_t k = 0; k < *count; k++) out[k] = tensor_get_i64(t, (int64_t)k);
    return out;
}

bool const_number(const struct node *n, int i, double *out)
{
    struct value *v = node_in(n, i);
    const struct tensor *t = v ? value_const(v) : NULL;
    if (!t || tensor_count(t) != 1) return false;
    *out = tensor_get_f64(t, 0);
    return true;
}

int script_rank(const struct value *v)
{
    return v ? v->shape.rank : 0;
}

bool output_used(const struct script *s, const struct node *n, int i)
{
    return i < n->n_out && n->out[i] && s->used[n->out[i]->id];
}

static void mark_used(struct script *s)
{
    const struct graph *g = s->graph;
    for (size_t i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i]->n_in; k++)
            if (g->nodes[i]->in[k]) s->used[value_resolve(g->nodes[i]->in[k])->id] = true;
    for (size_t i = 0; i < g->n_outputs; i++) s->used[value_resolve(g->outputs[i])->id] = true;
    for (size_t i = 0; i < g->n_states; i++)
        if (g->states[i]->next) s->used[value_resolve(g->states[i]->next)->id] = true;
}

const struct script_row *script_find(const char *op)
{
    static const struct script_row *const tables[] = { script_math, script_shape, script_net, script_recurrent };
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const struct script_row *row = tables[t]; row->op; row++)
            if (!strcmp(row->op, op)) return row;
    return NULL;
}

static int write_node(struct script *s, const struct node *n)
{
    int known = ints_follow(s, n);
    if (known) return known < 0 ? known : 0;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] && value_resolve(n->in[i])->dtype == DT_STRING) return script_cannot(s, n, "texts"), s->err->code;
    const struct script_row *row = script_find(n->op->name);
    if (!row) return script_cannot(s, n, ""), s->err->code;
    const char *text = row->say(s, n);
    if (text) s->names[n->out[0]->id] = strpbrk(text, "(.") ? assign(s, text) : text;
    return s->err->code;
}

/* Everything but the archive: the body of forward, ending in what it returns. */
int script_body(struct script *s)
{
    const struct graph *g = s->graph;
    mark_used(s);
    for (size_t i = 0; i < g->n_nodes; i++)
        if (write_node(s, g->nodes[i])) return node_err(g->nodes[i], s->err);
    for (size_t i = 0; i < g->n_states; i++)
        if (g->states[i]->next)
            str_addf(&s->body, "    v%zu = torch.copy_(%s, %s)\n", s->n_variables++, value_text(s, g->states[i]),
                value_text(s, g->states[i]->next));
    str_add(&s->body, "    return ");
    if (g->n_outputs > 1) str_addc(&s->body, '(');
    for (size_t i = 0; i < g->n_outputs; i++) str_addf(&s->body, "%s%s", i ? ", " : "", value_text(s, g->outputs[i]));
    str_add(&s->body, g->n_outputs > 1 ? ")\n" : "\n");
    if (s->body.oom) return fail_nomem(s->err);
    return report_fail(s->report, ERR_UNSUPPORTED, "what TorchScript cannot say", s->err);
}
