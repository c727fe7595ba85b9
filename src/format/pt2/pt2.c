/* pt2.c - reading a program of torch.export: its inputs, its weights, its outputs, and what it changes. */
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "format/format.h"
#include "format/pt2/program.h"
#include "format/weights/ties.h"
#include "ops/registry.h"

static const json_t *graph_of(const struct program *p)
{
    return json_object_get(json_object_get(p->json, "graph_module"), "graph");
}

static const json_t *specs(const struct program *p, const char *which)
{
    return json_object_get(json_object_get(json_object_get(p->json, "graph_module"), "signature"), which);
}

static const char *text_of(const json_t *x, const char *key)
{
    return json_string_value(json_object_get(x, key));
}

/* {"arg": {"name": "x"}}, or around it {"as_tensor": ..} */
static const char *name_of(const json_t *spec)
{
    const json_t *arg = json_object_get(spec, "arg");
    const char *name = text_of(arg, "name"), *tag;
    const json_t *inner = name ? NULL : union_get(arg, &tag);
    return name ? name : inner ? text_of(inner, "name") : NULL;
}

/* Is the buffer one that the program changes? */
static bool is_mutated(const struct program *p, const char *buffer)
{
    size_t i;
    json_t *spec;
    json_array_foreach(specs(p, "output_specs"), i, spec)
    {
        const char *name = text_of(json_object_get(spec, "buffer_mutation"), "buffer_name");
        if (name && !strcmp(name, buffer)) return true;
    }
    return false;
}

/* `kept`: a weight or buffer of the model, as opposed to a constant of the program. */
static int add_weight(struct program *p, struct map *env, const char *name, const char *key, unsigned kept)
{
    struct eval *v = &p->eval;
    const struct weight *w = key ? map_get(&p->weights, key) : NULL;
    if (!w && key) w = map_get(&p->constants, key);
    if (!name || !key) return fail(p->err, ERR_MODEL, "a weight without a name");
    if (!w) return fail(p->err, ERR_MODEL, "the archive has no weight \"%s\"", key);
    struct object *known = w->identity ? map_get(&v->tensors, w->identity) : NULL;
    if (known && kept && known->tensor->state && json_object_set_new(p->ties, key, json_string(known->tensor->key)))
        return fail_nomem(p->err);
    if (known) return env_set(p, env, name, known);
    struct torch_tensor *t = ARENA_NEW(&p->scratch, struct torch_tensor);
    struct object *o = t ? object_tensor(&p->scratch, t) : NULL;
    if (!o) return fail_nomem(p->err);
    t->data = w->tensor;
    t->dense = true;
    bool state = (kept & VALUE_TRAINABLE) || dtype_is_float(t->data->dtype) || is_mutated(p, key);
    if (kept && !state) TRY(eval_keep_buffer(v, t->data, key));
    TRY(eval_bind_tensor(v, t, key, kept, state));
    if (w->identity && !map_set(&v->tensors, w->identity, o)) return fail_nomem(p->err);
    return env_set(p, env, name, o);
}

static int check_hint(struct program *p, const char *name, size_t i, const struct shape *s)
{
    const struct import_hint *h = import_hint_for(p->options, name, i);
    bool same = !h || h->rank == s->rank;
    for (int d = 0; h && same && d < h->rank; d++)
        same = s->dim[d] < 0 || (!h->dim[d].symbol && s->dim[d] == h->dim[d].size);
    if (!same)
        report_add(p->report, REPORT_WARNING, "",
            "the program was exported for another shape of %s than --input says; "
            "its own is kept",
            name);
    return 0;
}

static int add_input(struct program *p, struct map *env, const char *name, size_t i)
{
    struct eval *v = &p->eval;
    const json_t *meta = name ? json_object_get(json_object_get(graph_of(p), "tensor_values"), name) : NULL;
    struct shape s, example;
    if (!meta) return fail(p->err, ERR_UNSUPPORTED, "input %s is no tensor", name ? name : "?");
    if (symbol_shape(p, meta, &s, &example)) return err_prefix(p->err, "input %s", name);
    enum dtype t = program_dtype(json_integer_value(json_object_get(meta, "dtype")));
    if (t == DT_NONE) return fail(p->err, ERR_UNSUPPORTED, "input %s has a type that is not known", name);
    TRY(check_hint(p, name, i, &s));
    struct value *x = graph_input(v->t.g, name, t, &s, p->err);
    if (!x) return p->err->code;
    TRY(torch_set_hint(&v->t, x, &example));
    return env_set(p, env, name, torch_object(&v->t, x));
}

static int add_specified(struct program *p, struct map *env, const json_t *spec, size_t *n_inputs)
{
    const char *tag = "";
    const json_t *x = union_get(spec, &tag), *value;
    const char *name = name_of(x);
    if (!strcmp(tag, "parameter"))
        return add_weight(p, env, name, text_of(x, "parameter_name"), VALUE_KEPT | VALUE_TRAINABLE);
    if (!strcmp(tag, "buffer")) return add_weight(p, env, name, text_of(x, "buffer_name"), VALUE_KEPT);
    if (!strcmp(tag, "tensor_constant")) return add_weight(p, env, name, text_of(x, "tensor_constant_name"), 0);
    if (!strcmp(tag, "user_input")) {
        const char *kind = "";
        const json_t *arg = union_get(json_object_get(x, "arg"), &kind);
        if (arg && strcmp(kind, "as_tensor") && strcmp(kind, "name")) return 0; /* a number that was fixed */
        return add_input(p, env, name, (*n_inputs)++);
    }
    if (!strcmp(tag, "constant_input") && (value = json_object_get(x, "value"))) {
        struct object *o = argument_read(p, env, value);
        const char *own = text_of(x, "name");
        return o && own ? env_set(p, env, own, o) : p->err->code;
    }
    if (!strcmp(tag, "token")) return 0;
    return fail(p->err, ERR_UNSUPPORTED, "an input of the kind %s", tag);
}

static int add_inputs(struct program *p, struct map *env)
{
    size_t i, n = 0;
    json_t *spec;
    p->ties = json_object();
    json_array_foreach(specs(p, "input_specs"), i, spec) TRY(add_specified(p, env, spec, &n));
    json_t *ties = p->ties;
    p->ties = NULL;
    TRY(ties_put(p->eval.t.g, ties, p->err));
    return symbol_guards(p);
}

/* The buffer's next content. Counters that only training reads stay as they are. */
static int mutate(struct program *p, const struct map *env, const json_t *x)
{
    struct eval *v = &p->eval;
    const char *key = text_of(x, "buffer_name"), *name = name_of(x);
    struct object *o = name ? map_get(env, name) : NULL;
    struct value *state = key ? graph_find(v->t.g, key) : NULL;
    if (!state || state->kind != VALUE_STATE || !o || o->kind != OBJECT_TENSOR)
        return fail(p->err, ERR_MODEL, "the program changes a buffer \"%s\" that it does not have", key ? key : "?");
    struct value *next = torch_tensor_read(&v->t, o->tensor);
    if (!next || next == state || str_ends(key, "num_batches_tracked")) return p->err->code;
    if (!(next = emit_cast(&v->t.b, next, state->dtype))) return p->err->code;
    state->next = value_resolve(next);
    return 0;
}

/* What is returned to the user, as entry_outputs() takes it: one thing, or a list. */
static int add_outputs(struct program *p, const struct map *env)
{
    struct object *list = object_list(&p->scratch, OBJECT_TUPLE);
    size_t i;
    json_t *spec;
    TRY_MEM(list, p->err);
    json_array_foreach(specs(p, "output_specs"), i, spec)
    {
        const char *tag = "";
        const json_t *x = union_get(spec, &tag), *arg = json_object_get(x, "arg");
        if (!strcmp(tag, "buffer_mutation")) TRY(mutate(p, env, x));
        else if (!strcmp(tag, "user_input_mutation"))
            report_add(p->report, REPORT_WARNING, "", "the program writes into its input; that is left out");
        else if (!strcmp(tag, "user_output") || !strcmp(tag, "loss_output")) {
            const char *name = name_of(x);
            struct object *o = name ? map_get(env, name) : argument_read(p, env, arg);
            if (!o) return p->err->code ? p->err->code : fail(p->err, ERR_MODEL, "the output %s is not made", name);
            if (!object_append(&p->scratch, list, o)) return fail_nomem(p->err);
        }
    }
    p->eval.t.b.where = NULL;
    return entry_outputs(&p->eval, list->list->n == 1 ? list->list->items[0] : list);
}

static int read_program(struct program *p, struct graph **g)
{
    struct map env = map_in(&p->scratch);
    struct eval *v = &p->eval;
    *v = (struct eval){ .archive = &p->archive, .arena = &p->scratch, .err = p->err, .mode = p->options->mode };
    v->run_graph = graph_call;
    TRY(torch_init(&v->t, &p->scratch, *g, p->report, p->err));
    v->tensors = map_in(&p->scratch);
    TRY(program_open(p, p->report));
    if (!json_is_object(graph_of(p))) return fail(p->err, ERR_MODEL, "the program has no graph");
    TRY(add_inputs(p, &env));
    TRY(graph_run(p, graph_of(p), &env));
    TRY(add_outputs(p, &env));
    TRY(torch_settle(&v->t));
    if (p->scratch.failed) return fail_nomem(p->err);
    if (!p->report->n_errors) return 0;
    return report_fail(p->report, ERR_UNSUPPORTED, "a program that cannot be imported", p->err);
}

static int pt2_read(struct arena *a, const struct format_file *file, const struct import_options *o, struct graph **g,
    struct report *report, struct err *e)
{
    struct program p = { .file = file, .options = o, .report = report, .err = e };
    if (!(*g = graph_new(a, &op_registry, file_base(file->path), e))) return e->code;
    arena_init(&p.scratch, a->mem);
    p.weights = map_in(&p.scratch);
    p.constants = map_in(&p.scratch);
    p.hints = map_in(&p.scratch);
    p.eval.t.g = *g;
    int code = read_program(&p, g);
    json_decref(p.ties);
    arena_release(&p.scratch);
    return code;
}

/* The operators of the aten table, then those that take graphs. */
static bool knows(size_t i, struct format_item *out)
{
    struct format_item ignored;
    size_t n = 0;
    if (aten_knows(i, out)) return true;
    while (aten_knows(n, &ignored)) n++;
    return higher_knows(i - n, out);
}

static enum format_match probe(struct bytes file, const char *path)
{
    return program_is(file) ? FORMAT_BY_CONTENT : FORMAT_NO;
}

const struct format format_pt2 = {
    .name = "pt2",
    .doc = "programs of torch.export (.pt2)",
    .extensions = "pt2",
    .probe = probe,
    .read = pt2_read,
    .knows = knows,
};
