/* main.c - the command line's door: finding the command, printing the error, the exit code. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/outputs.h"
#include "tenrec/tenrec.h"

static void overview(FILE *out)
{
    fputs("tenrec - trained deep-learning models of any framework, as one small program\n\n"
          "usage: tenrec COMMAND ARGUMENTS...      tenrec help COMMAND says more\n"
          "       tenrec FILE                      the same as tenrec info FILE\n\n",
        out);
    for (size_t i = 0; command_at(i); i++) {
        const struct command *c = command_at(i);
        fprintf(out, "  %-8s %.*s\n", c->name, (int)strcspn(c->doc, "\n"), c->doc);
    }
}

static const struct command *unknown_command(const char *word, struct err *e)
{
    const char *names[64];
    size_t n = 0;
    while (n < 64 && command_at(n)) names[n] = command_at(n)->name, n++;
    const char *near = str_closest(word, names, n);
    fail(e, ERR_USAGE, "\"%s\" is neither a command nor a file%s%s%s", word, near ? "; did you mean \"" : "",
        near ? near : "", near ? "\"?" : "");
    return NULL;
}

/* The command a line names; *skip words of it are used up. */
static const struct command *choose(int argc, char **argv, int *skip, struct err *e)
{
    const struct command *c = command_find(argv[1]);
    *skip = 2;
    if (c) return c;
    *skip = 1;
    return access(argv[1], F_OK) ? unknown_command(argv[1], e) : command_find("info");
}

/* "tenrec data split --help": wherever it stands before "--". */
static bool asks_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return true;
    return false;
}

static int run(int argc, char **argv, struct err *e)
{
    bool help = argc > 1 && (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"));
    if (argc < 2 || (help && argc < 3)) return overview(argc < 2 ? stderr : stdout), argc < 2 ? ERR_USAGE : 0;
    if (!strcmp(argv[1], "--version")) return printf("tenrec %s\n", tenrec_version()), 0;
    int skip;
    const struct command *c = choose(help ? argc - 1 : argc, help ? argv + 1 : argv, &skip, e);
    if (!c) return e->code;
    if (help || asks_help(argc - skip + 1, argv + skip - 1)) return command_help(c, e);
    struct arena a;
    arena_init(&a, NULL);
    struct args args;
    int code = args_parse(&args, &a, c, argc - skip, argv + skip, e);
    if (!code) code = outputs_check(&args, e);
    if (!code) code = c->run(&args, e);
    if (!code) outputs_tell(&args);
    arena_release(&a);
    return code;
}

int main(int argc, char **argv)
{
    struct err e = { 0 };
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error like a full disk */
    int code = run(argc, argv, &e);
    if (fflush(stdout) && !code) code = fail(&e, ERR_IO, "stdout: cannot write");
    if (e.code) fprintf(stderr, "tenrec: %s\n", e.text);
    return interrupt_signal() && code == ERR_CANCELLED ? 128 + interrupt_signal() : err_exit_code(code);
}
