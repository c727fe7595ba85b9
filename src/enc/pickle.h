/* pickle.h - Python pickles (protocol 2 to 5) as inert trees. Nothing is ever called, imported or looked up.
 *
 * A GLOBAL is a pair of names, a REDUCE a record (function, arguments), a BUILD the `state` of that record.
 *
 * Through the memo values are shared and may contain themselves, so the "tree" is a graph, and a walk along all paths
 * of a hostile one would never end. Whoever walks it keeps two rules: (1) convert each value once and keep the result
 * in `user` (NULL at first, nothing here touches it); (2) count the depth of the recursion and refuse at
 * PICKLE_MAX_DEPTH. Without cycles no path is longer than that; `in_cycle` marks a value that contains itself.
 *
 * Dictionaries are lists of pairs in the order of the file; a key may occur twice, and then the later one counts.
 */
#ifndef TENREC_ENC_PICKLE_H
#define TENREC_ENC_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/file.h"

struct arena;
struct err;
struct report;

enum { PICKLE_MAX_DEPTH = 1000 };

#define PICKLE_KINDS(X) \
    X(NONE, "None") X(BOOL, "a bool") X(INT, "an int") X(LONG, "a long int") X(FLOAT, "a float") X(STR, "a string") \
    X(BYTES, "bytes") X(LIST, "a list") X(TUPLE, "a tuple") X(DICT, "a dict") X(SET, "a set") X(GLOBAL, "a global") \
    X(CALL, "a call") X(OBJECT, "an object") X(PERSISTENT, "a persistent id")
enum pickle_kind {
#define X(name, text) PICKLE_##name,
    PICKLE_KINDS(X)
#undef X
};

struct pickle_value;
struct pickle_pair {
    struct pickle_value *key, *value;
};
struct pickle_items {
    struct pickle_value **items;
    size_t n, cap;
};
struct pickle_pairs {
    struct pickle_pair *pairs;
    size_t n, cap;
};
/* REDUCE and NEWOBJ: what would have been called, with what, and what was put into the result afterwards. */
struct pickle_call {
    struct pickle_value *function; /* a GLOBAL, or a PERSISTENT that stands for a class */
    struct pickle_value *args;     /* a tuple; for CALL possibly another kind (TorchScript's enums) */
    struct pickle_value *state;    /* from BUILD, or NULL */
    struct pickle_items items;     /* from APPEND(S) and ADDITEMS */
    struct pickle_pairs pairs;     /* from SETITEM(S); OrderedDict and dict: their arguments too */
};
struct pickle_text {
    const char *s; /* STR: terminated, may hold zeros; BYTES, LONG: a span of the file, not terminated */
    size_t len;
};

enum pickle_verdict {
    PICKLE_ALLOWED,   /* on the list of what model files need */
    PICKLE_UNKNOWN,   /* harmless here, because it is never called; worth a warning */
    PICKLE_DANGEROUS, /* no model file has a reason to name it: refuse the file */
};
struct pickle_global {
    const char *module, *name;
    size_t count;  /* how often the file names it, memo references not counted */
    size_t at;     /* offset of the first time */
    bool called;   /* unpickling would have called it (REDUCE, NEWOBJ) */
    enum pickle_verdict verdict;
};

struct pickle_value {
    enum pickle_kind kind;
    uint16_t height; /* longest way down, cycles not followed */
    bool in_cycle;
    size_t at;  /* offset of the opcode that made it, for messages; shared constants keep that of the first */
    void *user; /* the reader's of the tree */
    union {
        bool boolean;
        int64_t integer;
        double real;
        struct pickle_text text;    /* STR, BYTES, LONG (two's complement, least significant byte first) */
        struct pickle_items *seq;   /* LIST, TUPLE, SET */
        struct pickle_pairs *dict;  /* DICT */
        struct pickle_global *global;
        struct pickle_call *call;   /* CALL, OBJECT */
        struct pickle_value *id;    /* PERSISTENT */
    };
};

struct pickle {
    struct pickle_value *root;
    size_t end; /* offset behind STOP: where the next one of several pickles begins */
    struct pickle_global **globals; /* distinct ones, in the order of the file */
    size_t n_globals, cap_globals;
    struct pickle_value **persistent; /* all of that kind, in the order of the file */
    size_t n_persistent, cap_persistent;
};

/* Reads one pickle at offset `at`; all of it lives in `a`, and spans point into `data`. `path` is for messages. After
 * an error `globals` still lists what was named up to there, and dangerous names are told in the message. */
int pickle_read(struct pickle *p, struct arena *a, const char *path, struct bytes data, size_t at, struct err *e);
/* ERR_UNSAFE, naming them all with offsets, if the pickle names anything dangerous. */
int pickle_check(const struct pickle *p, const char *path, struct err *e);
enum pickle_verdict pickle_judge(const char *module, const char *name);
const char *pickle_kind_name(enum pickle_kind kind);

/* Looking into trees; all of them take NULL and answer false or NULL. */
bool pickle_is_global(const struct pickle_value *v, const char *module, const char *name);
bool pickle_is_call(const struct pickle_value *v, const char *module, const char *name); /* CALL or OBJECT of it */
bool pickle_is_str(const struct pickle_value *v, const char *text);
bool pickle_get_int(const struct pickle_value *v, int64_t *out);   /* INT and BOOL */
bool pickle_get_number(const struct pickle_value *v, double *out); /* FLOAT, INT and BOOL */
/* The items of LIST, TUPLE, SET or of a call; the pairs of DICT or of a call. */
const struct pickle_items *pickle_seq(const struct pickle_value *v);
const struct pickle_pairs *pickle_pairs(const struct pickle_value *v);
struct pickle_value *pickle_item(const struct pickle_value *v, size_t i); /* of pickle_seq; NULL past the end */
struct pickle_value *pickle_dict_get(const struct pickle_value *v, const char *key);
struct pickle_value *pickle_arg(const struct pickle_value *call, size_t i); /* i-th argument of CALL or OBJECT */
struct pickle_value *pickle_attr(const struct pickle_value *object, const char *key); /* in a dict state */
/* The i-th of all values that `v` holds directly, whatever its kind; NULL past the end. */
struct pickle_value *pickle_child(const struct pickle_value *v, size_t i);

#endif
