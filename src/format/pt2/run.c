/* run.c - the nodes of a program: each calls an operator of the aten table, or computes a number of shapes. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "format/format.h"
#include "format/pt2/program.h"

/* Numbers of shapes; what stands here in the first column is computed as the builtin in the second. */
static const char *const builtins[][2] = {
    { "torch.ops.aten.sym_size.int", "torch.size" },
    { "torch.ops.aten.sym_numel.default", "torch.numel" },
    { "_operator.add", "torch.add" },
    { "_operator.sub", "torch.sub" },
    { "_operator.mul", "torch.mul" },
    { "_operator.floordiv", "torch.floordiv" },
    { "_operator.truediv", "torch.div" },
    { "_operator.mod", "torch.remainder" },
    { "_operator.pow", "torch.pow" },
    { "_operator.neg", "torch.neg" },
    { "_operator.eq", "torch.eq" },
    { "_operator.ne", "torch.ne" },
    { "_operator.lt", "torch.lt" },
    { "_operator.le", "torch.le" },
    { "_operator.gt", "torch.gt" },
    { "_operator.ge", "torch.ge" },
    { "_operator.and_", "torch.__and__" },
    { "_operator.or_", "torch.__or__" },
    { "torch.sym_int", "int" },
    { "torch.sym_float", "float" },
    { "torch.sym_not", "torch.__not__" },
    { "torch.sym_max", "ops.prim.max" },
    { "torch.sym_min", "ops.prim.min" },
    { "math.ceil", "torch.ceil" },
    { "math.floor", "torch.floor" },
    { "math.trunc", "int" },
};

/* They only check what the program was traced with. */
static const char *const checks[] = { "torch.ops.aten._assert_scalar.", "torch.ops.aten._assert_async.",
    "torch.ops.aten._assert_tensor_metadata.", "torch.ops.aten.sym_constrain_range", "torch.ops.aten._print." };

static bool is_one_of(const char *target, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_starts(target, list[i])) return true;
    return false;
}

/* Scoring and training are the graph's business here: what was traced in training mode is read in the other form. */
static struct object *mode_of(struct program *p, const char *name, struct object *given)
{
    if (p->options->mode != IMPORT_SCORE || given->kind != OBJECT_BOOL) return given;
    bool is_mode = !strcmp(name, "training") || !strcmp(name, "train");
    return is_mode ? object_bool(&p->scratch, false, NULL) : given;
}

static int read_inputs(struct program *p, const json_t *node, const struct map *env, struct call *c)
{
    size_t i;
    json_t *input;
    json_array_foreach(json_object_get(node, "inputs"), i, input)
    {
        const char *name = json_string_value(json_object_get(input, "name")), *tag = "";
        const json_t *arg = json_object_get(input, "arg"), *graph = union_get(arg, &tag);
        if (graph && !strcmp(tag, "as_graph")) {
            if (c->n_graphs == CALL_GRAPHS) return fail(p->err, ERR_UNSUPPORTED, "more than %d graphs", CALL_GRAPHS);
            c->graphs[c->n_graphs++] = json_object_get(graph, "graph");
            c->first = c->n;
            continue;
        }
        if (c->n == CALL_ARGS) return fail(p->err, ERR_UNSUPPORTED, "more than %d arguments", CALL_ARGS);
        struct object *o = argument_read(p, env, arg);
        if (!o || !(o = mode_of(p, name ? name : "", o))) return p->err->code;
        c->args[c->n] = o;
        c->keywords[c->n++] = (struct keyword){ name ? name : "", o };
    }
    return 0;
}

/* Variants that only promise other memory: "view_copy" is view here, "_unsafe_index" index. */
static const char *plain_name(struct program *p, const char *name)
{
    const char *plain = name;
    if (aten_is_known(name)) return name;
    if (str_starts(name, "_unsafe_")) plain = name + 8;
    if (str_ends(name, "_copy")) plain = arena_strndup(&p->scratch, name, strlen(name) - 5);
    if (!plain) fail_nomem(p->err);
    return plain && !aten_is_known(plain) ? name : plain;
}

/* "torch.ops.aten.conv2d.default" is aten's "conv2d", "torch.ops.torchvision.nms.default" "torchvision::nms". */
static const char *operator_name(struct program *p, const char *target)
{
    if (!str_starts(target, "torch.ops.")) return target;
    const char *space = target + 10, *name = strchr(space, '.');
    if (!name) return target;
    size_t len = strcspn(name + 1, ".");
    const char *out = str_starts(space, "aten.")
        ? arena_strndup(&p->scratch, name + 1, len)
        : arena_printf(&p->scratch, "%.*s::%.*s", (int)(name - space), space, (int)len, name + 1);
    if (!out) fail_nomem(p->err);
    return out;
}

static struct object *call(struct program *p, const struct call *c)
{
    for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++)
        if (!strcmp(c->target, builtins[i][0])) return eval_builtin(&p->eval, builtins[i][1], c->args, c->n, NULL, 0);
    if (is_one_of(c->target, checks, sizeof checks / sizeof *checks)) return object_none(&p->scratch);
    if (c->n_graphs || str_starts(c->target, "torch.ops.higher_order.")) return higher_call(p, c);
    const char *name = operator_name(p, c->target);
    return name && (name = plain_name(p, name)) ? aten_call(&p->eval.t, name, NULL, 0, c->keywords, c->n) : NULL;
}

static int bind_name(struct program *p, struct map *env, const json_t *output, struct object *o)
{
    const char *name = json_string_value(json_object_get(output, "name"));
    if (!name) name = json_string_value(json_object_get(output, "as_name"));
    return name ? env_set(p, env, name, o) : 0;
}

static struct object *item_of(struct program *p, struct object *o, size_t i)
{
    if (o->kind == OBJECT_UNKNOWN) return o;
    if (o->kind != OBJECT_LIST && o->kind != OBJECT_TUPLE) return i ? NULL : o;
    return i < o->list->n ? o->list->items[i] : NULL;
}

static int bind_list(struct program *p, struct map *env, const json_t *list, struct object *o)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *tag = "";
        const json_t *one = json_array_get(list, i), *inner = json_object_get(one, "name") ? one : union_get(one, &tag);
        struct object *item = item_of(p, o, i);
        if (!item) return fail(p->err, ERR_MODEL, "it has fewer results than the program takes");
        TRY(bind_name(p, env, inner, item));
    }
    return 0;
}

/* One name; several, of a tuple; or the names of a list. */
static int bind_results(struct program *p, struct map *env, const json_t *outputs, struct object *o)
{
    size_t n = json_array_size(outputs);
    for (size_t i = 0; i < n; i++) {
        const char *tag = "";
        const json_t *output = union_get(json_array_get(outputs, i), &tag);
        if (!output || !strcmp(tag, "as_none")) continue;
        struct object *item = n > 1 ? item_of(p, o, i) : o;
        if (!item) return fail(p->err, ERR_MODEL, "it has fewer results than the program takes");
        if (json_is_array(output)) TRY(bind_list(p, env, output, item));
        else {
            if (n == 1 && item->kind == OBJECT_TUPLE && item->list->n) item = item->list->items[0];
            TRY(bind_name(p, env, output, item));
        }
    }
    return 0;
}

/* "conv2d (model.py:12)" for messages; the path of the module for names. */
static int set_place(struct program *p, const json_t *node, size_t i)
{
    const char *trace = json_string_value(json_object_get(json_object_get(node, "metadata"), "stack_trace"));
    const char *file = NULL, *text = NULL;
    for (const char *s = trace; s && (s = strstr(s, "File \"")); s++) file = s + 6;
    const char *line = file ? strstr(file, "\", line ") : NULL;
    if (line) {
        const char *base = file;
        for (const char *s = file; s < line; s++)
            if (*s == '/' || *s == '\\') base = s + 1;
        text = arena_printf(
            p->eval.t.g->arena, "%.*s:%.*s", (int)(line - base), base, (int)strspn(line + 8, "0123456789"), line + 8);
    } else {
        text = arena_printf(p->eval.t.g->arena, "node %zu", i);
    }
    p->eval.t.b.where = text;
    return text ? 0 : fail_nomem(p->err);
}

static int run_node(struct program *p, const json_t *node, struct map *env)
{
    struct call c = { .target = json_string_value(json_object_get(node, "target")) };
    if (!c.target) return fail(p->err, ERR_MODEL, "a node without a target");
    TRY(read_inputs(p, node, env, &c));
    struct object *o = call(p, &c);
    if (!o) return p->err->code ? p->err->code : fail_nomem(p->err);
    if (bind_results(p, env, json_object_get(node, "outputs"), o)) return err_prefix(p->err, "%s", c.target);
    return 0;
}

int graph_run(struct program *p, const json_t *graph, struct map *env)
{
    size_t i;
    json_t *node;
    json_array_foreach(json_object_get(graph, "nodes"), i, node)
    {
        TRY(set_place(p, node, i));
        p->eval.steps++;
        if (run_node(p, node, env)) return err_prefix(p->err, "at %s", p->eval.t.b.where);
    }
    return 0;
}
