/* conf.h - configuration tables: one row per key gives its type, default and help; the same table reads command
 * lines and
 * key=value words, makes help texts, and knows what a misspelt key meant. */
#ifndef TENREC_CONF_CONF_H
#define TENREC_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;
struct str;

enum conf_type {
    CONF_FLAG, /* present or not */
    CONF_BOOL, /* true or false, or yes, no, on, off, 1, 0; read by conf_int() */
    CONF_INT,  /* within [min, max] when max > min */
    CONF_FLOAT,
    CONF_STRING,
    CONF_READ,   /* the name of a file that is read */
    CONF_WRITE,  /* of one to be written */
    CONF_PLACE,  /* of a file or a folder to be written */
    CONF_CHOICE, /* one of `choices`, separated by '|' */
    CONF_LIST,   /* a string that may be given again and again */
    CONF_BREAK   /* has no value: splits the words around it, and may come again and again */
};

/* One key; a table ends with a NULL name. */
struct conf_key {
    const char *name; /* "batch-size": --batch-size 8, --batch-size=8, batch-size=8 */
    char letter;      /* 'o': -o FILE; 0: none */
    enum conf_type type;
    const char *arg;      /* what the value is called in help: "FILE" */
    const char *fallback; /* the default, as text; NULL: none */
    const char *choices;
    int64_t min, max;
    const char *help;
};

struct conf_value {
    bool set;
    int64_t i;
    double f;
    const char *s;
    const char **list;
    size_t n, cap;
    bool begun; /* a list that conf_items() has begun */
};

struct conf {
    struct arena *arena;
    const struct conf_key *const *tables; /* several tables may be read as one; ends with NULL */
    struct conf_value *values;            /* in order of the tables' keys */
    size_t n_keys;
};

int conf_init(struct conf *c, struct arena *a, const struct conf_key *const *tables, struct err *e);
/* Sets one key from text; `where` ("command line", "train.yaml:12:3") begins the error. ERR_USAGE with a
 * did-you-mean. */
int conf_set(struct conf *c, const char *name, const char *text, const char *where, struct err *e);
const struct conf_key *conf_find(const struct conf *c, const char *name); /* NULL when unknown */
const struct conf_key *conf_letter(const struct conf *c, char letter);
/* Items of a list, with commas between: the first call replaces what the list held, later ones go on. A part without
 * '=' behind one that has it belongs to that: "numbers=a,b,label=c" is "numbers=a,b" and "label=c". */
int conf_items(struct conf *c, const char *name, const char *text, const char *where, struct err *e);
/* ERR_USAGE for a name that no table has, called `what` ("key", "option") and written with `mark` before it ("--"). */
int conf_unknown(const struct conf *c, const char *name, const char *where, const char *what, const char *mark,
    struct err *e);

/* Takes back what was set: the default again, an empty list. */
int conf_reset(struct conf *c, const char *name, struct err *e);

/* Reading; the name must be in a table (our own bug otherwise). */
bool conf_has(const struct conf *c, const char *name); /* was set */
bool conf_flag(const struct conf *c, const char *name);
int64_t conf_int(const struct conf *c, const char *name);
double conf_float(const struct conf *c, const char *name);
const char *conf_string(const struct conf *c, const char *name); /* NULL when neither set nor with a default */
const char *const *conf_list(const struct conf *c, const char *name, size_t *n);

/* Help: one paragraph per key, as options of a command (--key), or as keys of a description. */
void conf_help(const struct conf_key *table, struct str *out);
void conf_help_keys(const struct conf_key *table, struct str *out);
/* Every key that has a value, set or by default, as a YAML mapping that reads back as the same. */
void conf_print(const struct conf *c, struct str *out);

#endif
