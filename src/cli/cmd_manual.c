/* cmd_manual.c - manual pages and completion, made from the tables that also parse the command lines. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/command.h"
#include "cli/manual.h"

static int print(struct args *args, struct str *s, struct err *e)
{
    const char *text = str_done(s);
    TRY_MEM(text, e);
    fputs(text, stdout);
    return 0;
}

static int run(struct args *args, struct err *e)
{
    static const struct {
        const char *name;
        void (*write)(struct str *out);
    } shells[] = { { "bash", manual_bash }, { "zsh", manual_zsh }, { "fish", manual_fish } };
    struct str s = str_in(args->arena);
    const char *form = args->words[0], *name = args->n_words > 1 ? args->words[1] : NULL;
    for (size_t i = 0; !name && i < sizeof shells / sizeof shells[0]; i++)
        if (!strcmp(form, shells[i].name)) return shells[i].write(&s), print(args, &s, e);
    if (strcmp(form, "man")) return fail(e, ERR_USAGE, "manual %s: man [COMMAND], bash, zsh or fish", form);
    const struct command *c = name ? command_find(name) : NULL;
    if (name && !c) return fail(e, ERR_USAGE, "manual man %s: no such command", name);
    manual_man(&s, c);
    return print(args, &s, e);
}

static const struct conf_key keys[] = { { 0 } };

const struct command command_manual = { .name = "manual",
    .synopsis = "man [COMMAND] | bash | zsh | fish",
    .doc = "Print a manual page, or completion for a shell, from the tables that parse the command lines.",
    .examples = "  tenrec manual man score | man -l -\n  source <(tenrec manual bash)\n",
    .min_words = 1,
    .max_words = 2,
    .keys = keys,
    .run = run };
