/* plan.h - a graph bound to concrete shapes, kernels, layouts and offsets in one memory arena.
 *
 *   graph --copy, bind, plan passes--> graph of concrete shapes
 *         --schedule--> order of nodes (a state is updated in place only after its last reader)
 *         --kernels---> steps: the first kernel of the first backend that accepts, the reference last; reorders
 * between
 *         --memory----> places: views and in-place results share one; lifetimes give offsets
 *
 * Nodes whose output shapes depend on data are evaluated node by node (STEP_EVAL) with shapes found as they run.
 */
#ifndef TENREC_PLAN_PLAN_H
#define TENREC_PLAN_PLAN_H

#include "base/arena.h"
#include "ops/kernel.h"
#include "pass/precision.h"

struct packs;
struct recipe;

enum place_kind {
    PLACE_ARENA,   /* at `offset` in the session's memory */
    PLACE_CONST,   /* its data is there: a constant, a weight that never changes, a packed copy of one */
    PLACE_STATE,   /* the session's storage of state `index` */
    PLACE_INPUT,   /* the caller's memory of input `index` */
    PLACE_DYNAMIC, /* found as the segment runs: a blob of its own, held until the last reader is done */
};

/* Where a value lies. Views and results written in place follow `root`. */
struct place {
    struct tensor tensor;
    enum place_kind kind;
    int index;
    struct place *root; /* itself, or the place whose memory this one uses */
    int first, last;    /* steps between which it is alive */
    size_t bytes, offset;
    struct place *next_dying; /* PLACE_DYNAMIC: the next that is read for the last time in the same step */
};

enum step_kind { STEP_KERNEL, STEP_REORDER, STEP_EVAL };

struct plan_step {
    enum step_kind kind;
    struct step step;
    struct place **in, **out; /* of step.in, step.out; NULL where absent */
    struct place *work;
    const struct backend *backend; /* NULL: the reference */
    struct place *dying;           /* dynamic places that nothing reads after this step */
    void *nested;                  /* exec's: sessions of the graphs that the node holds */
    double seconds;                /* spent in it, when profiling */
    long runs;
};

struct plan {
    struct arena arena;
    struct graph *graph;
    const void **fixed; /* where the contents of the model's constants lie, sorted: they are the same in every plan */
    size_t n_fixed;
    struct plan_step **steps;
    size_t n_steps, cap_steps;
    struct place **places;
    size_t n_places, cap_places;
    struct place **of_value; /* by value id; NULL: not needed */
    size_t memory;           /* bytes the places need */
    int threads;
    bool dynamic;            /* has steps of kind STEP_EVAL */
};

/* How the content of one state is stored. The first plan that reads it settles that, in the layout its kernel likes
 * best; later plans take it as it is. */
struct state_form {
    bool changes; /* in this plan's runs or in those of another: never packed or folded ahead of a run */
    bool settled;
    const struct layout *layout; /* NULL: plain; without padding, so that updates need not know it */
};

struct plan_options {
    int threads;
    const struct backend *const *backends; /* ends with NULL; NULL: reference kernels only */
    struct state_form *states; /* one per state, read and settled; NULL: plain, changing where the graph says so */
    bool constants_vary; /* the graph's own may be other ones in its next session: nothing is kept of them */
    enum precision precision;
    const struct recipe *recipe;           /* NULL: the backends' own rules */
    struct packs *packs;                   /* packed weights shared by plans of one model; NULL: packed anew */
    struct str *explain;                   /* receives why kernels refused, one line each; may be NULL */
};

/* `inputs`: one known shape per graph input. The graph is not changed and must live as long as the plan. */
struct plan *plan_new(const struct graph *g, const struct shape *inputs, const struct plan_options *o,
    const struct mem *mem, struct err *e);
void plan_free(struct plan *p);

/* Stages of plan_new, one file each. */
int plan_schedule(struct plan *p, struct node ***order, struct err *e);
int plan_kernels(struct plan *p, struct node *const *order, const struct plan_options *o, struct err *e);
int plan_memory(struct plan *p, struct err *e);

/* Whether the constant is the model's: the same in every plan. */
bool plan_is_fixed(const struct plan *p, const struct value *v);
struct place *plan_place(struct plan *p, enum place_kind kind, const struct tensor *t, struct err *e);
struct place *place_root(struct place *p);
void place_drop(struct place *p); /* of a dynamic place: its content is let go of */

#endif
