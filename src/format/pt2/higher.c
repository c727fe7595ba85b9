/* higher.c - operators that take graphs: cond, while_loop, map, scan, and those that only wrap one.
 *
 * What they mean is a few lines of TorchScript around calls of the graphs; the evaluator that reads TorchScript makes
 * If and Loop of them, or runs only one side or so many turns where that is known.
 */
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "format/format.h"
#include "format/pt2/program.h"

enum { GRAPHS_DEEP = 8, TURNS_UNROLLED = 16 };

/* What one call of such an operator is made of. */
struct higher {
    struct program *p;
    const struct call *c;
    size_t graphs[CALL_GRAPHS]; /* their numbers in the program */
    struct object *lists[3];    /* the lists among its arguments: operands; carried, additional; init, xs, additional */
    size_t n[3];
    struct object *args[CALL_ARGS]; /* of the function in the text */
    size_t n_args;
    struct str text;
};

static size_t n_outputs(const struct higher *h, size_t graph)
{
    return json_array_size(json_object_get(h->c->graphs[graph], "outputs"));
}

/* "a0, a1, ": what the arguments of list `k` are called. */
static void names(struct higher *h, const char *letter, size_t n)
{
    for (size_t i = 0; i < n; i++) str_addf(&h->text, "%s%zu, ", letter, i);
}

static void call_of(struct higher *h, size_t graph, const char *before)
{
    str_addf(&h->text, "%sops.program.run(%zu, ", before, h->graphs[graph]);
}

static int give_list(struct higher *h, size_t k)
{
    for (size_t i = 0; i < h->n[k]; i++) {
        if (h->n_args == CALL_ARGS) return fail(h->p->err, ERR_UNSUPPORTED, "more than %d operands", CALL_ARGS);
        h->args[h->n_args++] = h->lists[k]->list->items[i];
    }
    return 0;
}

static int say_cond(struct higher *h)
{
    if (!h->c->n) return fail(h->p->err, ERR_MODEL, "a condition is missing");
    h->args[h->n_args++] = h->c->args[0];
    TRY(give_list(h, 0));
    str_add(&h->text, "def higher(go, ");
    names(h, "a", h->n[0]);
    for (size_t side = 0; side < 2; side++) {
        call_of(h, side, side ? "  else:\n    y = " : "):\n  if bool(go):\n    y = ");
        names(h, "a", h->n[0]);
        str_add(&h->text, ")\n");
    }
    str_add(&h->text, "  return y\n");
    return 0;
}

static void ask_again(struct higher *h, const char *indent)
{
    str_add(&h->text, indent);
    call_of(h, 0, "go = bool((");
    names(h, "c", h->n[0]);
    names(h, "a", h->n[1]);
    str_add(&h->text, "))[0])\n");
}

static int say_while(struct higher *h)
{
    TRY(give_list(h, 0));
    TRY(give_list(h, 1));
    str_add(&h->text, "def higher(");
    names(h, "c", h->n[0]);
    names(h, "a", h->n[1]);
    str_add(&h->text, "):\n");
    ask_again(h, "  ");
    str_add(&h->text, "  while go:\n    ");
    names(h, "c", h->n[0]);
    call_of(h, 1, "= ");
    names(h, "c", h->n[0]);
    names(h, "a", h->n[1]);
    str_add(&h->text, ")\n");
    ask_again(h, "    ");
    str_add(&h->text, "  return (");
    names(h, "c", h->n[0]);
    str_add(&h->text, ")\n");
    return 0;
}

/* How many turns there are: a number, or what a run finds out. */
static struct object *turns_of(struct higher *h, size_t xs)
{
    struct program *p = h->p;
    const struct object *x = h->n[xs] ? h->lists[xs]->list->items[0] : NULL;
    struct value *v = object_is(x, OBJECT_TENSOR) ? torch_tensor_read(&p->eval.t, x->tensor) : NULL;
    if (!v || torch_hint(&p->eval.t, v)->shape.rank < 1)
        return fail(p->err, ERR_MODEL, "%s goes over nothing that has rows", h->c->target), NULL;
    int64_t rows = value_resolve(v)->shape.dim[0];
    if (rows >= 0 && rows <= TURNS_UNROLLED) return object_int(&p->scratch, rows, NULL);
    struct value *size = torch_size(&p->eval.t, v, 0);
    struct object *o = size ? torch_object(&p->eval.t, size) : NULL;
    if (o) o->number = true;
    return o;
}

/* `carried` results go from turn to turn, the others are gathered. */
static int say_turns(struct higher *h, size_t carried, size_t xs, size_t more)
{
    size_t n_carried = carried < 3 ? h->n[carried] : 0, n_out = n_outputs(h, 0);
    struct object *turns = turns_of(h, xs);
    if (!turns) return h->p->err->code ? h->p->err->code : fail_nomem(h->p->err);
    if (n_out < n_carried) return fail(h->p->err, ERR_MODEL, "a turn has fewer results than it needs");
    h->args[h->n_args++] = turns;
    if (n_carried) TRY(give_list(h, carried));
    TRY(give_list(h, xs));
    TRY(give_list(h, more));
    str_add(&h->text, "def higher(n, ");
    names(h, "c", n_carried);
    names(h, "x", h->n[xs]);
    names(h, "a", h->n[more]);
    str_add(&h->text, "):\n");
    for (size_t i = n_carried; i < n_out; i++)
        str_addf(&h->text, "  y%zu = annotate(List[Tensor], [])\n", i - n_carried);
    str_add(&h->text, "  for i in range(n):\n    ");
    names(h, "c", n_carried);
    names(h, "q", n_out - n_carried);
    call_of(h, 0, "= ");
    names(h, "c", n_carried);
    for (size_t i = 0; i < h->n[xs]; i++) str_addf(&h->text, "torch.select(x%zu, 0, i), ", i);
    names(h, "a", h->n[more]);
    str_add(&h->text, ")\n");
    for (size_t i = 0; i < n_out - n_carried; i++) str_addf(&h->text, "    _%zu = torch.append(y%zu, q%zu)\n", i, i, i);
    str_add(&h->text, "  return (");
    names(h, "c", n_carried);
    for (size_t i = 0; i < n_out - n_carried; i++) str_addf(&h->text, "torch.stack(y%zu, 0), ", i);
    str_add(&h->text, ")\n");
    return 0;
}

static int say_map(struct higher *h)
{
    return say_turns(h, 3, 0, 1);
}

/* Between lists, older programs say the axis and whether it goes backwards. */
static int say_scan(struct higher *h)
{
    for (size_t i = 0; i < h->c->n; i++)
        if (object_is_number(h->c->args[i]) && object_number(h->c->args[i]) != 0)
            return fail(h->p->err, ERR_UNSUPPORTED, "a scan over another axis than the first, or backwards");
    return say_turns(h, 0, 1, 2);
}

static const struct {
    const char *target;
    size_t n_graphs;
    int (*say)(struct higher *h);
} rows[] = {
    { "torch.ops.higher_order.cond", 2, say_cond },
    { "torch.ops.higher_order.while_loop", 2, say_while },
    { "torch.ops.higher_order.map_impl", 1, say_map },
    { "torch.ops.higher_order.map", 1, say_map },
    { "torch.ops.higher_order.scan", 1, say_scan },
};

/* They run the graph among their arguments as it is; what follows it is given to the graph. */
static const char *const wrappers[] = { "wrap_with_set_grad_enabled", "wrap_with_autocast", "wrap_set_grad_enabled",
    "hints_wrapper", "invoke_subgraph", "strict_mode", "tag_activation_checkpoint", "wrap_activation_checkpoint",
    "wrap_inductor_compiled_regions", "wrap", "run_const_graph" };

static bool is_wrapper(const char *target)
{
    const char *name = strrchr(target, '.');
    for (size_t i = 0; name && i < sizeof wrappers / sizeof *wrappers; i++)
        if (!strcmp(name + 1, wrappers[i])) return true;
    return false;
}

static int bind_inputs(struct program *p, struct map *env, const json_t *graph, struct object *const *args, size_t n)
{
    const json_t *inputs = json_object_get(graph, "inputs");
    if (json_array_size(inputs) > n) return fail(p->err, ERR_MODEL, "a graph is given %zu arguments, too few", n);
    for (size_t i = 0; i < json_array_size(inputs); i++) {
        const char *tag = "";
        const json_t *input = union_get(json_array_get(inputs, i), &tag);
        const char *name = json_string_value(json_object_get(input, "name"));
        if (!name) name = json_string_value(json_object_get(input, "as_name"));
        if (!name) return fail(p->err, ERR_UNSUPPORTED, "a graph has an input without a name (%s)", tag);
        TRY(env_set(p, env, name, args[i]));
    }
    return 0;
}

/* A graph in an argument, run in place; its results as a tuple. */
static struct object *run_graph(struct program *p, const json_t *graph, struct object *const *args, size_t n)
{
    struct map env = map_in(&p->scratch);
    const json_t *outputs = json_object_get(graph, "outputs");
    struct object *results = object_list(&p->scratch, OBJECT_TUPLE);
    if (!results) return fail_nomem(p->err), NULL;
    if (p->graphs_deep >= GRAPHS_DEEP) return fail(p->err, ERR_UNSUPPORTED, "graphs in graphs, too deep"), NULL;
    if (bind_inputs(p, &env, graph, args, n)) return NULL;
    p->graphs_deep++;
    int code = graph_run(p, graph, &env);
    p->graphs_deep--;
    for (size_t i = 0; !code && i < json_array_size(outputs); i++) {
        struct object *o = argument_read(p, &env, json_array_get(outputs, i));
        if (!o) return NULL;
        if (!object_append(&p->scratch, results, o)) return fail_nomem(p->err), NULL;
    }
    return code ? NULL : results;
}

struct object *graph_call(struct eval *v, int64_t number, struct object *const *args, size_t n)
{
    struct program *p = (struct program *)v->program;
    const char *where = v->t.b.where;
    if (number < 0 || (size_t)number >= p->n_graphs)
        return fail(p->err, ERR_MODEL, "no graph %lld", (long long)number), NULL;
    struct object *o = run_graph(p, p->graphs[number], args, n);
    if (o) v->t.b.where = where;
    return o;
}

/* All tensors and numbers that follow the graph, lists taken apart. */
static struct object *run_wrapped(struct program *p, const struct call *c)
{
    struct object *args[CALL_ARGS];
    size_t n = 0;
    for (size_t i = c->first; i < c->n; i++) {
        struct object *o = c->args[i], **items = &o;
        bool list = o->kind == OBJECT_LIST || o->kind == OBJECT_TUPLE;
        size_t count = list ? o->list->n : o->kind != OBJECT_STR;
        if (list) items = o->list->items;
        for (size_t k = 0; k < count && n < CALL_ARGS; k++) args[n++] = items[k];
    }
    return run_graph(p, c->graphs[0], args, n);
}

static int take_arguments(struct higher *h)
{
    struct program *p = h->p;
    size_t k = 0;
    for (size_t i = 0; i < h->c->n_graphs; i++) {
        h->graphs[i] = p->n_graphs;
        if (!ARRAY_PUSH(&p->scratch, p->graphs, p->n_graphs, p->cap_graphs, h->c->graphs[i])) return fail_nomem(p->err);
    }
    for (size_t i = 0; i < h->c->n && k < 3; i++) {
        struct object *o = h->c->args[i];
        if (o->kind != OBJECT_LIST && o->kind != OBJECT_TUPLE) continue;
        h->n[k] = o->list->n;
        h->lists[k++] = o;
    }
    return 0;
}

static struct object *run_text(struct higher *h)
{
    struct program *p = h->p;
    const char *text = str_done(&h->text), *where = p->eval.t.b.where;
    if (!text) return fail_nomem(p->err), NULL;
    struct bytes bytes = { (const unsigned char *)text, h->text.len };
    struct ts_file *file = ts_parse(&p->scratch, h->c->target, "__torch__", bytes, p->err);
    if (!file || !file->n_defs) return NULL;
    p->eval.program = p;
    struct object *o = eval_call_def(&p->eval, file->defs[0], NULL, h->args, h->n_args, NULL, 0);
    p->eval.t.b.where = where;
    return o;
}

struct object *higher_call(struct program *p, const struct call *c)
{
    if (c->n_graphs == 1 && is_wrapper(c->target)) return run_wrapped(p, c);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(c->target, rows[i].target) || c->n_graphs != rows[i].n_graphs) continue;
        struct higher h = { .p = p, .c = c, .text = str_in(&p->scratch) };
        if (take_arguments(&h) || rows[i].say(&h)) return NULL;
        return run_text(&h);
    }
    report_add(p->report, REPORT_ERROR, p->eval.t.b.where, "unsupported operator %s", c->target);
    return object_unknown(&p->scratch);
}

bool higher_knows(size_t i, struct format_item *out)
{
    enum { ROWS = sizeof rows / sizeof *rows, WRAPPERS = sizeof wrappers / sizeof *wrappers };
    if (i >= ROWS + WRAPPERS) return false;
    const char *name = i < ROWS ? strrchr(rows[i].target, '.') + 1 : wrappers[i - ROWS];
    *out = (struct format_item){ "operators that take graphs", name, strlen(name) };
    return true;
}
