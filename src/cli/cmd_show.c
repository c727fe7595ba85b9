/* cmd_show.c - the graph at any stage, and what the plan made of it. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/graph_json.h"
#include "cli/inputs.h"
#include "cli/opening.h"
#include "enc/json.h"
#include "exec/session.h"
#include "graph/op.h"
#include "pass/pass.h"
#include "plan/plan.h"

/* Takes the reference. */
static int print_tree(struct args *args, json_t *tree, struct err *e)
{
    TRY(json_own(args->arena, tree, e));
    return print_json(args->arena, tree, e);
}

static int print_graph(struct args *args, const struct graph *g, struct err *e)
{
    if (conf_flag(&args->conf, "json")) return print_tree(args, graph_json(g), e);
    struct str s = str_in(g->arena);
    graph_print(g, &s);
    const char *text = str_done(&s);
    TRY_MEM(text, e);
    fputs(text, stdout);
    return 0;
}

static const char *const place_kinds[] = { "arena", "const", "state", "input", "dynamic" };

static void print_plan(const struct plan *p)
{
    for (size_t i = 0; i < p->n_steps; i++) {
        const struct plan_step *s = p->steps[i];
        printf("%4zu  %-22s %-18s", i, s->step.node ? s->step.node->op->name : "", step_kernel_name(s));
        if (s->step.node) printf(" %s", s->step.node->name);
        putchar('\n');
    }
    printf("memory %zu bytes\n", p->memory);
}

static void print_arena(const struct plan *p)
{
    printf("%12s %12s %6s %6s\n", "offset", "bytes", "first", "last");
    for (size_t i = 0; i < p->n_places; i++) {
        const struct place *q = p->places[i];
        if (q->kind == PLACE_ARENA && q->root == q)
            printf("%12zu %12zu %6d %6d\n", q->offset, q->bytes, q->first, q->last);
    }
    printf("%12zu bytes in all; %s places follow the steps\n", p->memory, place_kinds[PLACE_ARENA]);
}

static int print_plan_json(
    struct args *args, const struct plan *p, bool arena, const char *refusals, struct err *e)
{
    json_t *tree = arena ? arena_json(p) : plan_json(p), *lines = json_array();
    for (const char *line = refusals; line && *line; line += strcspn(line, "\n"), line += *line == '\n')
        json_array_append_new(lines, json_stringn(line, strcspn(line, "\n")));
    if (refusals) json_object_set(tree, "refusals", lines);
    json_decref(lines);
    return print_tree(args, tree, e);
}

static int show_plan(struct model *m, struct args *args, struct err *e)
{
    struct shape *shapes;
    TRY(concrete_shapes(m->graph, conf_int(&args->conf, "batch"), conf_int(&args->conf, "size"), &shapes, e));
    struct str why = str_in(args->arena);
    bool explain = conf_flag(&args->conf, "explain");
    struct session *s = session_new(m->graph, &(struct session_options){ .explain = explain ? &why : NULL }, e);
    const struct plan *p = s ? session_plan(s, shapes, e) : NULL;
    bool arena = conf_flag(&args->conf, "arena"), json = conf_flag(&args->conf, "json");
    if (p && json) print_plan_json(args, p, arena, explain ? str_done(&why) : NULL, e);
    else if (p && explain) fputs(str_done(&why) ? str_done(&why) : "", stdout);
    if (p && !json && arena) print_arena(p);
    else if (p && !json && !explain) print_plan(p);
    session_free(s);
    return e->code;
}

static int show_stage(struct model *m, struct args *args, struct err *e)
{
    const char *after = conf_string(&args->conf, "after");
    if (!after) return print_graph(args, m->graph, e);
    struct graph *g = graph_copy(m->graph, &m->arena, e);
    if (!g) return e->code;
    for (size_t i = 0; pass_at(i); i++) {
        if (strcmp(pass_at(i)->name, after)) continue;
        if (pass_at(i)->stage == PASS_PLAN) {
            struct shape *shapes;
            TRY(concrete_shapes(g, conf_int(&args->conf, "batch"), conf_int(&args->conf, "size"), &shapes, e));
            TRY(pass_bind(g, shapes, e));
        }
        TRY(pass_run(g, pass_at(i)->stage, after, e));
        return print_graph(args, g, e);
    }
    struct str names = str_in(args->arena);
    for (size_t i = 0; pass_at(i); i++) str_addf(&names, " %s", pass_at(i)->name);
    return fail(e, ERR_USAGE, "there is no pass \"%s\"; there are:%s, and --plan", after, str_done(&names));
}

static int run(struct args *args, struct err *e)
{
    struct model m;
    const struct conf *c = &args->conf;
    int code = open_model(&m, args, 0, e);
    bool plan = conf_flag(c, "plan") || conf_flag(c, "arena") || conf_flag(c, "explain");
    if (!code) code = plan ? show_plan(&m, args, e) : show_stage(&m, args, e);
    model_close(&m);
    return code;
}

static const struct conf_key keys[] = {
    { "after", 0, CONF_STRING, "PASS", NULL, NULL, 0, 0, "the graph as it is after this pass" },
    { "plan", 0, CONF_FLAG, NULL, NULL, NULL, 0, 0, "the steps of the plan with their kernels" },
    { "arena", 0, CONF_FLAG, NULL, NULL, NULL, 0, 0, "a map of the plan's memory" },
    { "explain", 0, CONF_FLAG, NULL, NULL, NULL, 0, 0, "why kernels refused nodes" },
    { "batch", 'b', CONF_INT, "N", "1", NULL, 1, 1 << 20, "the first dimension, where it is free" },
    { "size", 's', CONF_INT, "N", "224", NULL, 1, 1 << 20, "the other free dimensions" },
    KEY_JSON,
    KEYS_OPEN,
    { 0 },
};

const struct command command_show = {
    .name = "show",
    .synopsis = "FILE [--after PASS | --plan | --arena | --explain]",
    .doc = "Show the graph at any stage, the plan, its memory, or why a kernel refused a node.",
    .examples = "  tenrec show net.onnx --after fold\n  tenrec show net.tenrec --plan --batch 8\n",
    .min_words = 1,
    .max_words = 1,
    .keys = keys,
    .run = run,
};
