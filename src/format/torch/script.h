/* script.h - a graph being written as TorchScript: one forward of straight-line code, modules made of the names of its
 * weights.
 *
 * An operator is one row and one function that gives an expression for its result. Shapes are computed as lists of ints
 * where that can be seen (script_ints.c), as tensors else.
 */
#ifndef TENREC_FORMAT_TORCH_SCRIPT_H
#define TENREC_FORMAT_TORCH_SCRIPT_H

#include "base/report.h"
#include "format/torch/pickler.h"
#include "graph/graph.h"

struct err;
struct script_module;

/* Ints as expressions of the code: "3", "torch.size(v1, 0)". */
struct script_ints {
    const char **items;
    size_t n;
    bool scalar; /* a 0-d tensor */
};

struct script {
    struct arena *arena;
    const struct graph *graph;
    struct report *report; /* nodes that cannot be said */
    struct err *err;
    struct str body;           /* of forward */
    const char **names;        /* by value id: an expression */
    bool *used;                /* by value id: something reads it */
    struct script_ints **ints; /* by value id; NULL: not known */
    struct pickler constants;  /* CONSTANTS.c0, .. */
    size_t n_variables;
};

/* Gives the expression of the only result; or NULL after script_results() or script_cannot(). */
struct script_row {
    const char *op;
    const char *(*say)(struct script *s, const struct node *n);
    const char *aten; /* for functions that many rows share */
};
/* Tables of all files, NULL at the end; each ends with a NULL op. */
extern const struct script_row script_math[], script_shape[], script_net[], script_recurrent[];
const struct script_row *script_find(const char *op);

/* Texts; NULL-safe after memory ran out: "" then. */
const char *say(struct script *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *in(struct script *s, const struct node *n, int i); /* expression of an input; "None" when absent */
const char *value_text(struct script *s, struct value *v);
const char *float_text(struct script *s, double v);                 /* a float literal */
const char *int_list(struct script *s, const int64_t *v, size_t n); /* "[1, 2]" */
const char *scalar_text(struct script *s, enum dtype t, double v);  /* a literal of the kind of t */
/* A statement that gives a name to an expression; returns the name. */
const char *assign(struct script *s, const char *expression);
/* The node is reported as one that cannot be said, with the reason; returns NULL. */
const char *script_cannot(struct script *s, const struct node *n, const char *why);
/* Several results: names for all outputs of the node from an expression that gives a tuple or list. */
const char *script_results(struct script *s, const struct node *n, const char *expression, bool list);
void script_bind(struct script *s, const struct node *n, int output, const char *expression);

/* The constant ints an input holds. NULL: not constant. */
const int64_t *const_ints(struct script *s, const struct node *n, int i, size_t *count);
bool const_number(const struct node *n, int i, double *out); /* a constant of one element */
int script_rank(const struct value *v);
/* Is there an i-th output that something reads? */
bool output_used(const struct script *s, const struct node *n, int i);

/* script_ints.c: what is known of the ints of a value as expressions; NULL: nothing. */
const struct script_ints *ints_of(struct script *s, struct value *v);
int ints_follow(struct script *s, const struct node *n); /* of a node's output, from its inputs; 1 when it could */
/* An input as an int[] argument: "[1, torch.size(v0, 1)]", or a tensor's items. */
const char *ints_argument(struct script *s, const struct node *n, int i);
const char *int_argument(struct script *s, const struct node *n, int i); /* one int */

#endif
