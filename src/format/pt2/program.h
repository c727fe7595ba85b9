/* program.h - a program of torch.export being imported: its JSON, its weights, and what its names stand for.
 *
 * A program is flat: nodes in order, each a call of an operator with named arguments. Operators are those of the aten
 * table, called as TorchScript's evaluator calls them; numbers that depend on shapes are pairs as there.
 */
#ifndef TENREC_FORMAT_PT2_PROGRAM_H
#define TENREC_FORMAT_PT2_PROGRAM_H

#include "base/arena.h"
#include "enc/json.h"
#include "format/torch/entry.h"
#include "format/weights/weights.h"

struct format_file;
struct format_item;

struct program {
    struct eval eval; /* only what calls of builtins need */
    struct arena scratch;
    struct archive archive; /* of the weights, where they are records of their own */
    const struct format_file *file;
    const struct import_options *options;
    struct report *report;
    struct err *err;
    struct zip zip;
    const char *root; /* "" or "package/": all names are below it */
    const char *name; /* "model": of one of the programs in the archive; NULL: the old layout */
    const json_t *json;
    struct map weights;    /* "conv1.weight" -> struct weight */
    struct map constants;  /* the same */
    struct map hints;      /* symbol -> the number it has in the example */
    int depth;             /* of arguments in arguments */
    const json_t **graphs; /* that are called by number */
    size_t n_graphs, cap_graphs;
    int graphs_deep;
    json_t *ties; /* key -> the other key of the same weight */
};

enum { CALL_ARGS = 64, CALL_GRAPHS = 2 };

/* A node: its operator and what it is given. */
struct call {
    const char *target;
    struct object *args[CALL_ARGS];
    struct keyword keywords[CALL_ARGS];
    size_t n; /* of both */
    const json_t *graphs[CALL_GRAPHS];
    size_t n_graphs, first; /* first: the argument behind the last graph */
};

/* archive.c: both layouts. */
bool program_is(struct bytes file);
int program_open(struct program *p, struct report *report);

/* The one member of a union that is not null; *tag is its name. NULL: none, which is None. */
const json_t *union_get(const json_t *x, const char **tag);
/* arguments.c: an argument as an object; names are looked up in `env`. NULL: an error. */
struct object *argument_read(struct program *p, const struct map *env, const json_t *x);
enum dtype program_dtype(int64_t number); /* of the JSON's own numbering */

/* symbols.c: the dimensions a tensor's description gives; `example` is what they are in the example. */
int symbol_shape(struct program *p, const json_t *meta, struct shape *s, struct shape *example);
/* Guards for the ranges that symbols may have. */
int symbol_guards(struct program *p);

/* run.c: all nodes of a graph; names are bound in `env`. */
int graph_run(struct program *p, const json_t *graph, struct map *env);
/* higher.c: an operator that takes graphs. */
struct object *higher_call(struct program *p, const struct call *c);
bool higher_knows(size_t i, struct format_item *out); /* as struct format has it */
struct object *graph_call(struct eval *v, int64_t number, struct object *const *args, size_t n);

int env_set(struct program *p, struct map *env, const char *name, struct object *o);

#endif
