/* manual.h - what the option tables say, in the forms that other programs read. */
#ifndef TENREC_CLI_MANUAL_H
#define TENREC_CLI_MANUAL_H

struct command;
struct str;

/* A manual page in man(7)'s macros: of one command, or of the whole program (c NULL). */
void manual_man(struct str *out, const struct command *c);
/* Completion of a shell's command lines, for all commands. */
void manual_bash(struct str *out);
void manual_zsh(struct str *out);
void manual_fish(struct str *out);

#endif
