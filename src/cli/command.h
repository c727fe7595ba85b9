/* command.h - a command of the command line: one file, one row; help comes from its option table. */
#ifndef TENREC_CLI_COMMAND_H
#define TENREC_CLI_COMMAND_H

#include "base/arena.h"
#include "base/err.h"
#include "conf/conf.h"

struct args {
    struct arena *arena;
    struct conf conf;
    const char **words; /* what is no option */
    size_t n_words, cap_words;
    const char **seconds;           /* of each word: the file of weights that follows a structure; NULL: none */
    size_t *breaks; /* how many words stood before each option of type CONF_BREAK */
    size_t n_breaks, cap_breaks;
    struct output *outputs; /* files that are there and will be replaced (outputs.h) */
    size_t n_outputs, cap_outputs;
};

struct command {
    const char *name, *synopsis, *doc;
    const char *examples;     /* whole lines */
    int min_words, max_words; /* max -1: any number */
    const struct conf_key *keys;
    int (*run)(struct args *args, struct err *e);
};

const struct command *command_at(size_t i); /* NULL past the end */
const struct command *command_find(const char *name);
int args_parse(struct args *args, struct arena *a, const struct command *c, int argc, char **argv, struct err *e);
int command_help(const struct command *c, struct err *e); /* to stdout */

#endif
