/* cmd_formats.c - the formats that are read and written, and what each reader knows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "cli/opening.h"
#include "enc/json.h"
#include "format/format.h"

/* Names of one kind, sorted, each once. */
struct known {
    const char *kind;
    const char **names;
    size_t n, cap;
};
struct listing {
    struct known *items;
    size_t n, cap;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static struct known *known_of(struct listing *l, const char *kind, struct arena *a)
{
    for (size_t i = 0; i < l->n; i++)
        if (!strcmp(l->items[i].kind, kind)) return &l->items[i];
    struct known fresh = { .kind = kind };
    return ARRAY_PUSH(a, l->items, l->n, l->cap, fresh) ? &l->items[l->n - 1] : NULL;
}

static int add_words(struct listing *l, const struct format_item *item, struct arena *a, struct err *e)
{
    struct known *k = known_of(l, item->kind, a);
    TRY_MEM(k, e);
    for (size_t at = 0, len; at < item->len; at += len + 1) {
        for (len = 0; at + len < item->len && item->name[at + len] != ' ';) len++;
        const char *word = arena_strndup(a, item->name + at, len);
        if (!word || !ARRAY_PUSH(a, k->names, k->n, k->cap, word)) return fail_nomem(e);
    }
    return 0;
}

static int list_of(const struct format *f, struct listing *l, struct arena *a, struct err *e)
{
    struct format_item item;
    *l = (struct listing){ 0 };
    for (size_t i = 0; f->knows && f->knows(i, &item); i++) TRY(add_words(l, &item, a, e));
    for (size_t k = 0; k < l->n; k++) {
        struct known *x = &l->items[k];
        size_t kept = 0;
        qsort(x->names, x->n, sizeof *x->names, by_name);
        for (size_t i = 0; i < x->n; i++)
            if (!kept || strcmp(x->names[kept - 1], x->names[i]) != 0) x->names[kept++] = x->names[i];
        x->n = kept;
    }
    return 0;
}

static const char *written(const struct format *f)
{
    return !f->write ? "" : f->writes ? f->writes : f->extensions;
}

static int print_markdown(struct arena *a, struct err *e)
{
    puts("## What each reader knows\n\nMade by `tenrec formats --markdown` from the tables of the readers. The "
         "operators "
         "of TorchScript and torch.export are\none table.\n\n| format | what it is | files read | files written |\n"
         "|---|---|---|---|");
    for (size_t i = 0; format_at(i); i++) {
        const struct format *f = format_at(i);
        printf("| %s | %s | %s | %s |\n", f->name, f->doc, f->extensions, written(f));
    }
    for (size_t i = 0; format_at(i); i++) {
        struct listing l;
        bool same = i && format_at(i)->knows == format_at(i - 1)->knows;
        TRY(list_of(format_at(i), &l, a, e));
        for (size_t k = 0; !same && k < l.n; k++) {
            printf("\n### %s: %zu %s\n\n", format_at(i)->name, l.items[k].n, l.items[k].kind);
            for (size_t n = 0; n < l.items[k].n; n++) printf("%s%s", n ? " " : "", l.items[k].names[n]);
            puts("");
        }
    }
    return 0;
}

static json_t *texts(const char *const *names, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(list, json_string(names[i]));
    return list;
}

static int print_as_json(struct arena *a, struct err *e)
{
    json_t *root = json_array();
    TRY(json_own(a, root, e));
    for (size_t i = 0; format_at(i); i++) {
        const struct format *f = format_at(i);
        json_t *knows = json_object();
        struct listing l = { 0 };
        int code = list_of(f, &l, a, e);
        for (size_t k = 0; !code && k < l.n; k++)
            json_object_set_new(knows, l.items[k].kind, texts(l.items[k].names, l.items[k].n));
        json_array_append_new(root,
            json_pack("{s:s,s:s,s:s,s:s,s:o}", "name", f->name, "doc", f->doc, "reads", f->extensions, "writes",
                written(f), "knows", knows));
        if (code) return code;
    }
    return print_json(a, root, e);
}

static int run(struct args *args, struct err *e)
{
    if (conf_flag(&args->conf, "json")) return print_as_json(args->arena, e);
    if (conf_flag(&args->conf, "markdown")) return print_markdown(args->arena, e);
    for (size_t i = 0; format_at(i); i++) {
        const struct format *f = format_at(i);
        struct listing l;
        TRY(list_of(f, &l, args->arena, e));
        printf("%-8s %s\n         reads %s; writes %s\n", f->name, f->doc, f->extensions,
            f->write ? written(f) : "nothing");
        for (size_t k = 0; k < l.n; k++) printf("         knows %zu %s\n", l.items[k].n, l.items[k].kind);
    }
    return 0;
}

static const struct conf_key keys[] = {
    { "markdown", 0, CONF_FLAG, NULL, NULL, NULL, 0, 0,
        "print what docs/formats.md ends with: every layer and operator" },
    KEY_JSON,
    { 0 },
};

const struct command command_formats = {
    .name = "formats",
    .synopsis = "[--json | --markdown]",
    .doc = "List the formats of model files: what is read, what is written, and how much each reader knows.\n\n"
           "With --json or --markdown every layer, operator and module by name.",
    .examples = "  tenrec formats\n  tenrec formats --json | jq -r '.[] | select(.name == \"keras\") | .knows'\n",
    .keys = keys,
    .run = run,
};
