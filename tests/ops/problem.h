/* problem.h - sample problems of operators, written as strings in the operators' rows.
 *
 *   "f32[2,3,8,8] f32~[4,3,3,3] - i64{1,2} | strides=2,2 mode=linear outputs=2"
 *
 * Sequences and optionals: "sequence(f32[2]/f32[3])", "optional()".
 * One word per input: element type, optional mark, then [dims] for random contents or {values} (1-d, or
 * [dims]{values}); `-` is an absent input. Marks: + in (0.5, 2); ^ in (1.1, 3); % in (-0.9, 0.9); ~
 * pairwise distinct with |x| >= 0.1, away from kinks and ties; <K> integers in [0, K); none: normal, or
 * integers in [-8, 8]. Literals are constants of the graph, everything else is an input. After the bar:
 * attributes by the types of the operator's table, `outputs`, how many to ask for (default: the
 * fewest), and `smooth`, how many of them have a gradient (default: all floats).
 * Several problems are separated by ';'. Contents are a pure function of the text's place. */
#ifndef TENREC_TESTS_OPS_PROBLEM_H
#define TENREC_TESTS_OPS_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "graph/graph.h"

enum { PROBLEM_MAX = 32 };

struct problem {
    const struct op *op;
    char text[512];
    int n_in, n_out;
    int n_smooth; /* outputs that have a gradient */
    struct tensor *in[PROBLEM_MAX]; /* NULL: absent */
    bool literal[PROBLEM_MAX];
    struct attr attrs[PROBLEM_MAX + 1];
};

/* Problem number k of a row; 0 when there are fewer, 1 when parsed, negative with an error in it. */
int problem_get(struct problem *p, const struct op *op, int k, struct arena *a, struct err *e);
/* A problem from a text of its own: 0, or negative with an error. */
int problem_parse(struct problem *p, const struct op *op, const char *text, struct arena *a, struct err *e);
/* One word of a problem as a tensor; NULL when it cannot be read. */
struct tensor *problem_tensor(const char *word, struct arena *a, struct err *e);
/* Turns every float input into float64. False when there is none. */
bool problem_to_f64(struct problem *p, struct arena *a, struct err *e);

/* What the inference is told about the inputs' shapes. */
enum problem_shapes { SHAPES_KNOWN, SHAPES_SYMBOLS, SHAPES_UNKNOWN_DIMS, SHAPES_UNKNOWN_RANK, SHAPES_END };
/* The graph of one node; its inputs are the problem's non-literal inputs in order (with `open`, all of
 * them). The node's outputs are the graph's. NULL on error. */
struct node *problem_graph(
    const struct problem *p, enum problem_shapes shapes, bool open, struct graph **out, struct arena *a, struct err *e);
/* The tensors for graph_interpret() of it. */
void problem_inputs(const struct problem *p, bool open, struct tensor **in);

#endif
