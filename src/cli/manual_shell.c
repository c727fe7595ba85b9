/* manual_shell.c - completion for bash, zsh and fish from the option tables. */
#include <string.h>

#include "base/str.h"
#include "cli/command.h"
#include "cli/manual.h"

/* Within single quotes of a shell, where a quote and what `also` holds need care. */
static void add_quoted(struct str *out, const char *text, size_t len, const char *also)
{
    str_add(out, "'");
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\'') str_add(out, "'\\''");
        else str_addf(out, "%s%c", strchr(also, text[i]) ? "\\" : "", text[i]);
    }
    str_add(out, "'");
}

/* The choices of a key with blanks between them. */
static void add_choices(struct str *out, const struct conf_key *k)
{
    for (const char *c = k->choices; *c; c++) str_addf(out, "%c", *c == '|' ? ' ' : *c);
}

static bool has_value(const struct conf_key *k)
{
    return k->type != CONF_FLAG && k->type != CONF_BREAK;
}

void manual_bash(struct str *out)
{
    str_add(out, "# bash completion for tenrec\n_tenrec()\n{\n"
                 "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} options=\n"
                 "    if [ \"$COMP_CWORD\" = 1 ]; then\n        COMPREPLY=($(compgen -f -W 'help");
    for (size_t i = 0; command_at(i); i++) str_addf(out, " %s", command_at(i)->name);
    str_add(out, "' -- \"$word\"))\n        return\n    fi\n    case ${COMP_WORDS[1]}:$before in\n");
    for (size_t i = 0; command_at(i); i++)
        for (const struct conf_key *k = command_at(i)->keys; k->name; k++) {
            if (!k->choices) continue;
            str_addf(out, "        %s:--%s) COMPREPLY=($(compgen -W '", command_at(i)->name, k->name);
            add_choices(out, k);
            str_add(out, "' -- \"$word\")); return ;;\n");
        }
    str_add(out, "    esac\n    case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; command_at(i); i++) {
        str_addf(out, "        %s) options='--help", command_at(i)->name);
        for (const struct conf_key *k = command_at(i)->keys; k->name; k++) str_addf(out, " --%s", k->name);
        str_add(out, "' ;;\n");
    }
    str_add(out, "    esac\n    case $word in\n        -*) COMPREPLY=($(compgen -W \"$options\" -- \"$word\")) ;;\n"
                 "        *) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n    esac\n}\n"
                 "complete -o filenames -F _tenrec tenrec\n");
}

static void add_zsh_option(struct str *out, const struct conf_key *k)
{
    str_add(out, " \\\n                ");
    if (k->type == CONF_LIST || k->type == CONF_BREAK) str_add(out, "'*'");
    str_addf(out, "--%s", k->name);
    add_quoted(out, "[", 1, "");
    add_quoted(out, k->help, strcspn(k->help, "\n"), "[]:");
    add_quoted(out, "]", 1, "");
    if (!has_value(k)) return;
    str_add(out, "':value:");
    if (k->choices) {
        str_add(out, "(");
        add_choices(out, k);
        str_add(out, ")'");
    } else {
        str_add(out, "_files'");
    }
}

void manual_zsh(struct str *out)
{
    str_add(out, "#compdef tenrec\n# zsh completion for tenrec\n_tenrec()\n{\n    local -a commands\n    commands=(\n");
    for (size_t i = 0; command_at(i); i++) {
        str_addf(out, "        %s:", command_at(i)->name);
        add_quoted(out, command_at(i)->doc, strcspn(command_at(i)->doc, "\n"), ":");
        str_add(out, "\n");
    }
    str_add(out, "    )\n    if (( CURRENT == 2 )); then\n        _describe command commands\n        _files\n"
                 "        return\n    fi\n    local command=$words[2]\n    shift words\n    (( CURRENT-- ))\n"
                 "    case $command in\n");
    for (size_t i = 0; command_at(i); i++) {
        str_addf(out, "        %s)\n            _arguments", command_at(i)->name);
        for (const struct conf_key *k = command_at(i)->keys; k->name; k++) add_zsh_option(out, k);
        str_add(out, " \\\n                '*:file:_files' ;;\n");
    }
    str_add(out, "    esac\n}\n_tenrec \"$@\"\n");
}

static void add_fish_option(struct str *out, const struct command *c, const struct conf_key *k)
{
    str_addf(out, "complete -c tenrec -n '__fish_seen_subcommand_from %s' -l %s", c->name, k->name);
    if (k->letter) str_addf(out, " -s %c", k->letter);
    if (has_value(k)) str_add(out, k->choices ? " -x -a '" : " -r");
    if (has_value(k) && k->choices) {
        add_choices(out, k);
        str_add(out, "'");
    }
    str_add(out, " -d ");
    add_quoted(out, k->help, strcspn(k->help, "\n"), "\\");
    str_add(out, "\n");
}

void manual_fish(struct str *out)
{
    str_add(out, "# fish completion for tenrec\n");
    for (size_t i = 0; command_at(i); i++) {
        const struct command *c = command_at(i);
        str_addf(out, "complete -c tenrec -n __fish_use_subcommand -a %s -d ", c->name);
        add_quoted(out, c->doc, strcspn(c->doc, "\n"), "\\");
        str_add(out, "\n");
    }
    for (size_t i = 0; command_at(i); i++)
        for (const struct conf_key *k = command_at(i)->keys; k->name; k++) add_fish_option(out, command_at(i), k);
}
