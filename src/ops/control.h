/* control.h - operators that hold graphs: If, Loop, Scan, SequenceMap.
 *
 * A body reads nothing of the graph around it: what it captures are inputs of the node after all others, and inputs of
 * every body of the node after all others, in one order. The attribute `captures` says how many there are (of If: all
 * but the condition). A body has no states.
 */
#ifndef TENREC_OPS_CONTROL_H
#define TENREC_OPS_CONTROL_H

#include "graph/graph.h"

struct builder;
struct step;

enum { CONTROL_DEPTH_MAX = 8 }; /* bodies within one another */

/* Where an input of a body comes from. */
enum body_source {
    BODY_PASSED,  /* the node's input, as it is */
    BODY_CARRIED, /* the node's input at first, then what the body's output `back` was a turn ago */
    BODY_SLICE,   /* a slice of the node's input along `axis` */
    BODY_ITEM,    /* an item of the sequence that the node's input is, or the tensor itself */
    BODY_COUNTER, /* the number of the turn, int64 */
    BODY_GOES_ON, /* the condition, bool */
    BODY_NOTHING, /* the node has no such input */
};
struct body_input {
    enum body_source source;
    int from; /* the node's input */
    int back; /* BODY_CARRIED: the body's output */
    int axis; /* BODY_SLICE; negative counts from the end */
};

bool control_is(const struct node *n);      /* has bodies */
int control_captures(const struct node *n); /* how many of its inputs, the last ones */
int control_carried(const struct node *n);  /* Loop, Scan: how many values go from turn to turn */
struct body_input control_input(const struct node *n, int i);
/* Whether op->expand can say the node without bodies: an If that is decided, a Loop or Scan whose number of turns is
 * known and not large. */
bool control_unrolls(const struct node *n);
/* A shape of one graph as one of another: symbols by their names; those that `to` does not have are unknown. */
struct shape control_shape(const struct graph *from, struct graph *to, const struct shape *s, bool may_add);

int control_if_run(const struct step *s, struct err *e);
int control_loop_run(const struct step *s, struct err *e);
int control_scan_run(const struct step *s, struct err *e);
int control_map_run(const struct step *s, struct err *e);
int control_if_expand(struct builder *b, const struct node *n, struct value **out);
int control_loop_expand(struct builder *b, const struct node *n, struct value **out);
int control_scan_expand(struct builder *b, const struct node *n, struct value **out);
/* Runs a body for a step: by the step's host, or node by node. */
int control_call(const struct step *s, const struct graph *body, struct tensor *const *in, struct tensor **out,
    struct arena *a, struct err *e);
int64_t control_axis(const struct node *n, const char *list, int i); /* entry i of scan_input_axes ..., 0 when absent */

#endif
