/* command.c - the list of commands, their arguments and help. */
#include "cli/command.h"

#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/str.h"
#include "format/format.h"

#define X(name) extern const struct command command_##name;
#include "cli/command_list.h"
#undef X

static const struct command *const list[] = {
#define X(name) &command_##name,
#include "cli/command_list.h"
#undef X
};

const struct command *command_at(size_t i)
{
    return i < sizeof list / sizeof list[0] ? list[i] : NULL;
}

const struct command *command_find(const char *name)
{
    for (size_t i = 0; command_at(i); i++)
        if (!strcmp(list[i]->name, name)) return list[i];
    return NULL;
}

/* --name value, --name=value, -x value; *next is moved past a value that was a word of its own. */
static int parse_option(struct args *args, const char *word, char **argv, int argc, int *next, struct err *e)
{
    char name[64];
    const char *equals = strchr(word, '='), *text = NULL;
    const struct conf_key *k;
    if (word[1] == '-') {
        size_t len = equals ? (size_t)(equals - word) - 2 : strlen(word) - 2;
        snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : sizeof name - 1), word + 2);
        k = conf_find(&args->conf, name);
        text = equals ? equals + 1 : NULL;
    } else {
        snprintf(name, sizeof name, "%c", word[1]);
        k = conf_letter(&args->conf, word[1]);
        text = word[2] ? word + 2 : NULL;
    }
    if (!k) return conf_unknown(&args->conf, name, "command line", "option", word[1] == '-' ? "--" : "-", e);
    if (k->type == CONF_BREAK &&
        !ARRAY_PUSH(args->arena, args->breaks, args->n_breaks, args->cap_breaks, args->n_words))
        return fail_nomem(e);
    if (k->type == CONF_FLAG || k->type == CONF_BREAK) {
        if (text) return fail(e, ERR_USAGE, "command line: --%s takes no value", k->name);
        return conf_set(&args->conf, k->name, "", "command line", e);
    }
    if (!text) {
        if (*next >= argc) return fail(e, ERR_USAGE, "command line: --%s needs a value (%s)", k->name, k->arg);
        text = argv[(*next)++];
    }
    return conf_set(&args->conf, k->name, text, "command line", e);
}

/* "model.json weights.h5" is one model: the second word goes to args->seconds. */
static int join_pairs(struct args *args, struct err *e)
{
    TRY_MEM(args->seconds = ARENA_ARRAY(args->arena, args->n_words, const char *), e);
    for (size_t i = 0; i + 1 < args->n_words; i++) {
        if (!format_is_pair(args->words[i], args->words[i + 1])) continue;
        args->seconds[i] = args->words[i + 1];
        for (size_t k = i + 1; k + 1 < args->n_words; k++) args->words[k] = args->words[k + 1];
        args->n_words--;
        for (size_t k = 0; k < args->n_breaks; k++) args->breaks[k] -= args->breaks[k] > i + 1;
    }
    return 0;
}

static int check_words(const struct args *args, const struct command *c, struct err *e)
{
    int n = (int)args->n_words;
    if (n >= c->min_words && (c->max_words < 0 || n <= c->max_words)) return 0;
    return fail(e, ERR_USAGE, "%s%s%s: %s\nusage: tenrec %s %s", c->name, n ? " " : "", n ? args->words[n - 1] : "",
        n < c->min_words ? "something is missing" : "too many arguments", c->name, c->synopsis);
}

int args_parse(struct args *args, struct arena *a, const struct command *c, int argc, char **argv, struct err *e)
{
    *args = (struct args){ .arena = a };
    const struct conf_key **tables = ARENA_ARRAY(a, 2, const struct conf_key *);
    TRY_MEM(tables, e);
    tables[0] = c->keys;
    TRY(conf_init(&args->conf, a, tables, e));
    bool only_words = false;
    for (int i = 0; i < argc;) {
        const char *word = argv[i++];
        if (!only_words && !strcmp(word, "--")) {
            only_words = true;
            continue;
        }
        if (!only_words && word[0] == '-' && word[1]) {
            TRY(parse_option(args, word, argv, argc, &i, e));
            continue;
        }
        if (!ARRAY_PUSH(a, args->words, args->n_words, args->cap_words, word)) return fail_nomem(e);
    }
    TRY(join_pairs(args, e));
    return check_words(args, c, e);
}

int command_help(const struct command *c, struct err *e)
{
    struct arena a;
    arena_init(&a, NULL);
    struct str s = str_in(&a);
    str_addf(&s, "tenrec %s %s\n\n%s\n", c->name, c->synopsis, c->doc);
    if (c->keys[0].name) {
        str_add(&s, "\nOptions:\n");
        conf_help(c->keys, &s);
    }
    if (c->examples) str_addf(&s, "\nExamples:\n%s", c->examples);
    const char *text = str_done(&s);
    if (text) fputs(text, stdout);
    arena_release(&a);
    return text ? 0 : fail_nomem(e);
}
