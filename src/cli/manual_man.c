/* manual_man.c - manual pages (man(7)) from the option tables. */
#include <string.h>

#include "base/str.h"
#include "cli/command.h"
#include "cli/manual.h"
#include "tenrec/tenrec.h"

/* Text as roff takes it: no control lines, no escapes of its own, and every hyphen one that can be copied. */
static void add_text(struct str *out, const char *text, size_t len)
{
    bool line_begins = true;
    for (size_t i = 0; i < len; i++) {
        if (line_begins && (text[i] == '.' || text[i] == '\'')) str_add(out, "\\&");
        line_begins = text[i] == '\n';
        if (text[i] == '\\') str_add(out, "\\e");
        else if (text[i] == '-') str_add(out, "\\-");
        else str_addf(out, "%c", text[i]);
    }
}

static void add_words(struct str *out, const char *text)
{
    add_text(out, text, strlen(text));
}

static void add_option(struct str *out, const struct conf_key *k)
{
    str_add(out, ".TP\n.B ");
    if (k->letter) str_addf(out, "\\-%c\\fR, \\fB", k->letter);
    str_add(out, "\\-\\-");
    add_words(out, k->name);
    if (k->arg || k->choices) {
        str_add(out, " \\fI");
        add_words(out, k->choices ? k->choices : k->arg);
        str_add(out, "\\fR");
    }
    str_add(out, "\n");
    add_words(out, k->help);
    if (k->fallback) {
        str_add(out, " (default: ");
        add_words(out, k->fallback);
        str_add(out, ")");
    }
    str_add(out, "\n");
}

static void add_command(struct str *out, const struct command *c)
{
    str_add(out, ".SH NAME\ntenrec\\-");
    str_addf(out, "%s \\- ", c->name);
    add_text(out, c->doc, strcspn(c->doc, "\n"));
    str_addf(out, "\n.SH SYNOPSIS\n.B tenrec %s\n", c->name);
    add_words(out, c->synopsis);
    str_add(out, "\n.SH DESCRIPTION\n.nf\n");
    add_words(out, c->doc);
    str_add(out, "\n.fi\n");
    if (c->keys[0].name) str_add(out, ".SH OPTIONS\n");
    for (const struct conf_key *k = c->keys; k->name; k++) add_option(out, k);
    if (c->examples) {
        str_add(out, ".SH EXAMPLES\n.nf\n");
        add_words(out, c->examples);
        str_add(out, ".fi\n");
    }
    str_add(out, ".SH SEE ALSO\n.BR tenrec (1)\n");
}

static void add_program(struct str *out)
{
    str_add(out, ".SH NAME\ntenrec \\- trained deep\\-learning models of any framework, as one small program\n"
                 ".SH SYNOPSIS\n.B tenrec\n.I COMMAND ARGUMENTS...\n.br\n.B tenrec\n.I FILE\n.SH COMMANDS\n");
    for (size_t i = 0; command_at(i); i++) {
        const struct command *c = command_at(i);
        str_addf(out, ".TP\n.BR tenrec\\-%s (1)\n", c->name);
        add_text(out, c->doc, strcspn(c->doc, "\n"));
        str_add(out, "\n");
    }
    str_add(out, ".SH EXIT STATUS\n");
    static const char *const codes[][2] = { { "0", "done; error rows are counted on stderr" },
        { "1", "failed: a mismatch, a full disk, no memory" }, { "2", "a wrong command line or configuration" },
        { "3", "a model that is damaged, unsupported or dangerous" }, { "4", "data that cannot be used" },
        { "130, 143", "interrupted, after what was done had been saved" } };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        str_addf(out, ".TP\n.B %s\n%s\n", codes[i][0], codes[i][1]);
}

void manual_man(struct str *out, const struct command *c)
{
    str_addf(out, ".TH TENREC%s%s 1 \"\" \"tenrec %s\"\n", c ? "\\-" : "", c ? c->name : "", tenrec_version());
    if (c) add_command(out, c);
    else add_program(out);
}
