/* cmd_ops.c - the operators there are. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/op_facts.h"
#include "cli/opening.h"
#include "enc/json.h"
#include "format/onnx/lift.h"
#include "ops/registry.h"

static void print_row(const struct op_facts *f)
{
    printf("%-28s %-6s %-9s %-18s %-4s %-16s %s\n", f->op->name, f->domain, f->tier, f->kernels,
        f->gradient      ? "grad"
            : f->expands ? "(by)"
                         : "",
        f->types, f->op->doc);
}

static void print_attrs(const struct op *op)
{
    static const char *const presence[] = { "may be absent", "has a default", "required" };
    for (const struct attr_spec *s = op->attrs; s && s->name; s++)
        printf(
            "  %-32s %-8s %-14s %s\n", s->name, attr_type_name(s->type), presence[s->presence], s->doc ? s->doc : "");
}

static void add_markdown(const struct op_facts *f)
{
    printf("| %s | %s | %s | %s | %s | ", f->op->name, f->domain, f->kernels[0] ? f->kernels : "written in others",
        f->gradient      ? "yes"
            : f->expands ? "by its expansion"
                         : "",
        f->types);
    for (const char *s = f->op->doc; *s; s++) printf(*s == '|' ? "\\|" : "%c", *s);
    puts(" |");
}

/* One table a family, then what the reader of ONNX files writes in these. */
static int print_markdown(struct arena *a, struct err *e)
{
    const char *family = "", *domain, *name, *last = NULL;
    puts("# Operators\n\nMade by `tenrec ops --markdown`. Types are those of the first input. A gradient \"by its "
         "expansion\" is that of\nthe operators it is written in.");
    for (size_t i = 0; op_at(i); i++) {
        struct op_facts f;
        TRY(op_facts(&f, op_at(i), op_family(i), a, e));
        if (f.op->flags & OP_TRAINING_ONLY) continue;
        if (strcmp(family, f.family) != 0)
            printf("\n## %s\n\n| operator | domain | kernels | gradient | types | what it does |\n"
                   "|---|---|---|---|---|---|\n",
                family = f.family);
        add_markdown(&f);
    }
    printf("\n## Read from ONNX files, written in these\n");
    for (size_t i = 0; lift_listed(i, &domain, &name); i++) {
        if (!last || strcmp(last, domain) != 0) printf("\n`%s`:", last = domain);
        printf(" %s", name);
        if (!lift_listed(i + 1, &domain, &name) || strcmp(last, domain) != 0) puts("");
    }
    return 0;
}

static json_t *attrs_json(const struct op *op)
{
    json_t *list = json_array();
    for (const struct attr_spec *s = op->attrs; s && s->name; s++)
        json_array_append_new(list,
            json_pack("{s:s,s:s,s:b,s:s?}", "name", s->name, "type", attr_type_name(s->type), "required",
                s->presence == ATTR_REQUIRED, "doc", s->doc));
    return list;
}

static int print_as_json(const char *only, struct arena *a, struct err *e)
{
    json_t *root = json_array();
    TRY(json_own(a, root, e));
    for (size_t i = 0; op_at(i); i++) {
        struct op_facts f;
        if (only && strcmp(op_at(i)->name, only) != 0) continue;
        TRY(op_facts(&f, op_at(i), op_family(i), a, e));
        json_array_append_new(root,
            json_pack("{s:s,s:s,s:s,s:s,s:s,s:b,s:b,s:b,s:s,s:s,s:o}", "name", f.op->name, "family", f.family, "domain",
                f.domain, "tier", f.tier, "kernels", f.kernels, "gradient", (int)f.gradient, "expands", (int)f.expands,
                "training_only", (f.op->flags & OP_TRAINING_ONLY) != 0, "types", f.types, "doc", f.op->doc,
                "attributes", attrs_json(f.op)));
    }
    return print_json(a, root, e);
}

static int check_name(const char *name, struct arena *a, struct err *e)
{
    if (!name || op_registry.find(name)) return 0;
    size_t n = 0;
    while (op_at(n)) n++;
    const char **names = ARENA_ARRAY(a, n, const char *);
    TRY_MEM(names, e);
    for (size_t i = 0; i < n; i++) names[i] = op_at(i)->name;
    const char *near = str_closest(name, names, n);
    return fail(e, ERR_USAGE, "there is no operator \"%s\"%s%s%s", name, near ? ", did you mean \"" : "",
        near ? near : "", near ? "\"?" : "");
}

static int run(struct args *args, struct err *e)
{
    const char *only = args->n_words ? args->words[0] : NULL;
    TRY(check_name(only, args->arena, e));
    if (conf_flag(&args->conf, "json")) return print_as_json(only, args->arena, e);
    if (conf_flag(&args->conf, "markdown")) return print_markdown(args->arena, e);
    for (size_t i = 0; op_at(i); i++) {
        struct op_facts f;
        if (only && strcmp(op_at(i)->name, only) != 0) continue;
        TRY(op_facts(&f, op_at(i), op_family(i), args->arena, e));
        print_row(&f);
        if (only) print_attrs(f.op);
    }
    return 0;
}

static const struct conf_key keys[] = {
    { "markdown", 0, CONF_FLAG, NULL, NULL, NULL, 0, 0, "print what docs/operators.md holds" },
    KEY_JSON,
    { 0 },
};

const struct command command_ops = {
    .name = "ops",
    .synopsis = "[NAME] [--json | --markdown]",
    .doc = "List the operators: domain, tier, kernels, gradient, types of the first input, and what they do.\n\n"
           "A core operator has a kernel of its own; a composite one is written in others where no backend takes it\n"
           "whole. \"(by)\" in place of \"grad\": its gradient is that of its expansion. With NAME its attributes too.",
    .examples = "  tenrec ops Resize\n  tenrec ops --json | jq '.[] | select(.gradient | not) | .name'\n",
    .max_words = 1,
    .keys = keys,
    .run = run,
};
