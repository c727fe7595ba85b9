/* cmd_info.c - what is in a model: inputs, outputs, layers, parameters, work, memory, pre- and postprocessing. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/plural.h"
#include "base/str.h"
#include "cli/facts.h"
#include "cli/graph_json.h"
#include "cli/opening.h"
#include "cli/weights_info.h"
#include "draw/graph_svg.h"
#include "enc/json.h"
#include "format/weights/weights.h"

/* "1.81 G" */
static const char *human_count(char buf[32], int64_t n)
{
    static const char *const units[] = { "", " k", " M", " G", " T", " P" };
    double v = (double)n;
    int u = 0;
    while (v >= 1000 && u < 5) v /= 1000, u++;
    snprintf(buf, 32, u ? "%.3g%s" : "%.0f%s", v, units[u]);
    return buf;
}

/* resize(size=256, interpolation=bilinear), ... */
static void add_steps(struct str *s, const json_t *steps)
{
    size_t i;
    const json_t *step;
    json_array_foreach(steps, i, step)
    {
        const char *key, *lead = "(";
        json_t *value;
        str_addf(s, "%s%s", i ? ", " : "", json_string_value(json_object_get(step, "op")));
        json_object_foreach((json_t *)(uintptr_t)step, key, value)
        {
            struct bytes text;
            struct err e = { 0 };
            if (!strcmp(key, "op")) continue;
            str_addf(s, "%s%s=", lead, key);
            if (json_is_string(value)) str_add(s, json_string_value(value));
            else if (json_is_real(value)) str_addf(s, "%.6g", json_real_value(value));
            else if (!json_print(value, JSON_ONE_LINE, s->arena, &text, &e))
                str_addn(s, (const char *)text.data, text.len - 1);
            lead = " ";
        }
        if (lead[0] == ' ') str_addc(s, ')');
    }
}

static void print_steps(const char *what, const json_t *steps, struct arena *a)
{
    struct str s = str_in(a);
    add_steps(&s, steps);
    if (s.len) printf("               %s: %s\n", what, str_done(&s));
}

static void print_port(const struct model *m, const struct value *v, bool input, struct arena *a)
{
    struct str shape = str_in(a);
    const json_t *port = manifest_port(m->manifest, input ? "inputs" : "outputs", v->name);
    shape_print(m->graph, &v->shape, &shape);
    printf("  %-12s %s  %s%s%s\n", input ? "input" : "output", v->name, dtype_name(v->dtype),
        str_done(&shape) ? str_done(&shape) : "", v->flags & VALUE_GUESSED ? "  (guessed)" : "");
    print_steps(input ? "preprocess" : "postprocess", json_object_get(port, input ? "preprocess" : "postprocess"), a);
}

static void print_source(const struct model *m)
{
    static const char *const shown[] = { "producer_name", "producer", "producer_version", "license", "author" };
    const json_t *source = json_object_get(json_object_get(m->manifest, "provenance"), "source");
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        const char *text = json_string_value(json_object_get(source, shown[i]));
        if (text) printf("  %-12s %s\n", shown[i], text);
    }
}

static void print_cost(const struct facts *f, const struct model *m, struct arena *a)
{
    char n1[32], n2[32], b1[32], b2[32];
    printf("  %-12s %s (%s), and %s numbers in buffers (%s)\n", "parameters", human_count(n1, f->parameters),
        human_bytes(b1, (double)f->parameter_bytes), human_count(n2, f->buffers),
        human_bytes(b2, (double)f->buffer_bytes));
    if (f->constant_bytes > 4096) printf("  %-12s %s\n", "constants", human_bytes(b1, (double)f->constant_bytes));
    printf("  %-12s %s%s", "MACs", f->macs_unknown ? "at least " : "", human_count(n1, f->macs));
    for (size_t i = 0; f->shapes && i < m->graph->n_inputs && i < 8; i++) {
        struct str s = str_in(a);
        shape_print(m->graph, &f->shapes[i], &s);
        printf("%s %s%s", i ? "," : " for", m->graph->inputs[i]->name, str_done(&s) ? str_done(&s) : "");
    }
    puts(f->chosen ? " (free dimensions: --batch for the first, --size for others)" : "");
    if (f->macs_unknown)
        printf("               not counted: %zu node%s without known shapes\n", f->macs_unknown,
            plural((long long)f->macs_unknown));
    if (f->bodies) puts("               bodies of control flow are counted once");
    if (f->no_plan) printf("  %-12s not known: %s\n", "memory", f->no_plan);
    else
        printf("  %-12s %s for that run, and %s of weights\n", "memory", human_bytes(b1, (double)f->memory),
            human_bytes(b2, (double)(f->parameter_bytes + f->buffer_bytes + f->constant_bytes)));
}

static void print_kinds(const struct facts *f)
{
    char n1[32], n2[32];
    printf("\n  %-24s %6s %12s %12s\n", "layer", "nodes", "parameters", "MACs");
    for (size_t i = 0; i < f->n; i++) {
        const struct kind_facts *k = &f->kinds[i];
        printf("  %-24s %6zu %12s %12s%s\n", k->op, k->nodes, k->parameters ? human_count(n1, k->parameters) : "",
            k->macs ? human_count(n2, k->macs) : "", k->unknown ? " and more" : "");
    }
}

static void print_guesses(const struct model *m)
{
    size_t i;
    const json_t *guess;
    json_array_foreach(json_object_get(m->manifest, "guessed"), i, guess) if (json_is_string(guess))
        printf("  %-12s %s\n", i ? "" : "guessed", json_string_value(guess));
}

static int print_text(const struct facts *f, const struct model *m, struct arena *a)
{
    printf("%s\n  %-12s %s\n", m->path, "format", m->format);
    print_source(m);
    printf("  %-12s %s\n", "task", json_string_value(json_object_get(m->manifest, "task")));
    for (size_t i = 0; i < m->graph->n_inputs; i++) print_port(m, m->graph->inputs[i], true, a);
    for (size_t i = 0; i < m->graph->n_outputs; i++) print_port(m, m->graph->outputs[i], false, a);
    size_t changing = 0;
    for (size_t i = 0; i < m->graph->n_states; i++) changing += m->graph->states[i]->next != NULL;
    if (changing) printf("  %-12s %zu value%s kept between runs\n", "state", changing, plural((long long)changing));
    if (m->labels.n)
        printf("  %-12s %zu: %s, %s ...\n", "labels", m->labels.n, m->labels.names[0],
            m->labels.n > 1 ? m->labels.names[1] : "");
    printf("  %-12s %zu\n", "nodes", f->nodes);
    print_cost(f, m, a);
    print_guesses(m);
    print_kinds(f);
    return 0;
}

static json_t *ports_json(const struct model *m, struct value *const *list, size_t n, bool input)
{
    const char *steps = input ? "preprocess" : "postprocess";
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *port = manifest_port(m->manifest, input ? "inputs" : "outputs", list[i]->name);
        json_t *o = json_pack("{s:s,s:s,s:o,s:b}", "name", list[i]->name, "datatype", dtype_name(list[i]->dtype),
            "shape", shape_json(m->graph, &list[i]->shape), "guessed", (list[i]->flags & VALUE_GUESSED) != 0);
        if (json_object_get(port, steps)) json_object_set(o, steps, json_object_get(port, steps));
        json_array_append_new(out, o);
    }
    return out;
}

static json_t *kinds_json(const struct facts *f)
{
    json_t *out = json_array();
    for (size_t i = 0; i < f->n; i++) {
        const struct kind_facts *k = &f->kinds[i];
        json_array_append_new(out,
            json_pack("{s:s,s:I,s:I,s:I,s:I}", "op", k->op, "nodes", (json_int_t)k->nodes, "parameters",
                (json_int_t)k->parameters, "macs", (json_int_t)k->macs, "not_counted", (json_int_t)k->unknown));
    }
    return out;
}

static int print_as_json(const struct facts *f, const struct model *m, struct arena *a, struct err *e)
{
    const struct graph *g = m->graph;
    json_t *shapes = json_object();
    for (size_t i = 0; f->shapes && i < g->n_inputs; i++)
        json_object_set_new(shapes, g->inputs[i]->name, shape_json(m->graph, &f->shapes[i]));
    json_t *root = json_pack("{s:s,s:s,s:O,s:o,s:o,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:I,s:s?,s:I,s:o}", "file",
        m->path, "format", m->format, "task", json_object_get(m->manifest, "task"), "inputs",
        ports_json(m, g->inputs, g->n_inputs, true), "outputs", ports_json(m, g->outputs, g->n_outputs, false), "nodes",
        (json_int_t)f->nodes, "parameters", (json_int_t)f->parameters, "parameter_bytes",
        (json_int_t)f->parameter_bytes, "buffers", (json_int_t)f->buffers, "buffer_bytes", (json_int_t)f->buffer_bytes,
        "constant_bytes", (json_int_t)f->constant_bytes, "macs", (json_int_t)f->macs, "macs_not_counted",
        (json_int_t)f->macs_unknown, "measured_at", shapes, "memory_bytes", (json_int_t)f->memory, "no_plan",
        f->no_plan, "labels", (json_int_t)m->labels.n, "layers", kinds_json(f));
    TRY(json_own(a, root, e));
    json_object_set(root, "guessed", json_object_get(m->manifest, "guessed"));
    json_object_set(root, "provenance", json_object_get(m->manifest, "provenance"));
    return print_json(a, root, e);
}

static int plot(const struct model *m, const char *path, struct arena *a, struct err *e)
{
    struct str svg = str_in(a);
    size_t left_out = 0;
    TRY(graph_svg(m->graph, a, &svg, &left_out, e));
    if (left_out) fprintf(stderr, "tenrec: note: %s shows the first nodes only, %zu are left out\n", path, left_out);
    return file_write(a, path, str_done(&svg), svg.len, e);
}

/* Is the file one of weights? *w are then read, and *module says that it may make a model by itself. */
static int find_weights(struct args *args, struct weights *w, bool *is, bool *module, struct err *e)
{
    struct format_file file = { .path = args->words[0] };
    struct report r = report_in(args->arena);
    *is = *module = false;
    if (conf_has(&args->conf, "arch") || file_is_dir(file.path) || str_starts(file.path, "zoo:")) return 0;
    if (!(file.blob = mapped_file(args->arena, file.path, &file.bytes, e))) return e->code;
    if (!weights_is(file.bytes, file.path)) return 0;
    TRY(weights_read(w, args->arena, &file, conf_string(&args->conf, "key"), &r, e));
    *is = true;
    *module = w->class_name && !conf_has(&args->conf, "key");
    if (!*module) print_report(&r, false);
    return 0;
}

static int work(struct model *m, struct args *args, struct err *e)
{
    bool weights, module;
    struct weights w;
    TRY(find_weights(args, &w, &weights, &module, e));
    bool json = conf_flag(&args->conf, "json");
    if (weights && !module) return weights_print(&w, args->words[0], json, args->arena, e);
    struct facts f;
    const char *svg = conf_string(&args->conf, "plot");
    if (svg && !str_ends(svg, ".svg")) return fail(e, ERR_USAGE, "--plot %s: it must end in .svg", svg);
    int code = open_model(m, args, 0, e);
    if (code == ERR_UNSUPPORTED && module) { /* at least what is there */
        fprintf(stderr, "tenrec: note: %s\n", e->text);
        err_clear(e);
        return weights_print(&w, args->words[0], json, args->arena, e);
    }
    TRY(code);
    print_report(&m->report, true);
    if (svg) TRY(plot(m, svg, args->arena, e));
    TRY(facts_collect(&f, m, conf_int(&args->conf, "batch"), conf_int(&args->conf, "size"), e));
    return json ? print_as_json(&f, m, args->arena, e) : print_text(&f, m, args->arena);
}

static int run(struct args *args, struct err *e)
{
    struct model m = { 0 };
    int code = work(&m, args, e);
    model_close(&m);
    return code;
}

static const struct conf_key keys[] = {
    { "plot", 0, CONF_WRITE, "GRAPH.svg", NULL, NULL, 0, 0, "draw the graph" },
    { "batch", 'b', CONF_INT, "N", "1", NULL, 1, 1 << 20, "the first dimension, where it is free and work is counted" },
    { "size", 's', CONF_INT, "N", "224", NULL, 1, 1 << 20, "the other free dimensions, where work is counted" },
    KEY_JSON,
    KEYS_OPEN,
    { 0 },
};

const struct command command_info = {
    .name = "info",
    .synopsis = "FILE [--json] [--plot GRAPH.svg]",
    .doc = "What is in a model: inputs, outputs, layers, parameters, work, memory, steps before and after.\n\n"
           "MACs are multiply-accumulates of convolutions, matrix products and recurrent layers.",
    .examples = "  tenrec resnet18.onnx\n  tenrec info net.pt --input Nx3x320x320 --json\n"
                "  tenrec info net.onnx --plot net.svg\n",
    .min_words = 1,
    .max_words = 1,
    .keys = keys,
    .run = run,
};
