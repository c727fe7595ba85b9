/* kernel.h - a step of a plan, and what runs it.
 *
 * The reference kernel of an operator is `op->run`. A backend is an ordered list of `struct kernel`; the first that
 * accepts a step wins, the reference comes last. Layouts: a tensor is plain (row-major) unless a kernel asked for
 * its own
 * layout; the plan inserts a reorder only where two disagree.
 */
#ifndef TENREC_OPS_KERNEL_H
#define TENREC_OPS_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "graph/graph.h"

struct kernel;
struct str;

/* How a backend stores a tensor other than row-major. Layouts are compared by `same`; the first member of a
 * backend's own
 * struct, living as long as the plan (or the packed weight) that uses it. */
struct layout {
    const struct backend *backend;
    size_t bytes; /* with padding */
    /* For kernels of other backends: a tensor (N, C, ...) of this rank lies as (N, C / block, ..., block), without
     * padding. block 0: it lies in some other way. */
    int rank;
    int64_t block;
};

/* What a run grants to control flow: how to run a graph among a node's attributes, and what bounds it. */
struct host {
    /* Runs `body` on tensors of its inputs; results, one per output, lie in `a`. NULL: node by node. */
    int (*call)(const struct host *h, const struct graph *body, struct tensor *const *in, struct tensor **out,
        struct arena *a, struct err *e);
    bool (*cancelled)(void *cookie); /* asked at every turn of a loop; NULL: never */
    void *cookie;
    int64_t turns_max; /* of one loop; 0: HOST_TURNS */
    int64_t bytes_max; /* of one sequence, or of what one loop gathers; 0: the memory that is free */
    void *priv;        /* of call() */
};
enum { HOST_TURNS = 10000000 };

struct step {
    const struct node *node;
    const struct kernel *kernel; /* NULL: the reference */
    bool named;                  /* a recipe names the kernel: it takes what it can do rightly, though others are
                                  * held to be faster */
    struct tensor **in;          /* NULL where absent */
    struct tensor **out;
    int threads;
    const struct host *host; /* NULL: bodies run node by node, within the usual bounds */
    struct arena *arena;   /* lives as long as the plan: for prepare() */
    struct arena *scratch; /* for one call of run(); rewound after it */
    void *priv;            /* the kernel's own, made by prepare() */
    /* prepare() may fill these; NULL entries: plain. in[i]->layout and out[i]->layout hold what was agreed at
     * run(). */
    const struct layout **want_in, **want_out;
    int sums_into;     /* prepare() may say: the input that the result is added to. Output 0 takes its memory where
                        * that is free; run() copies where it is not. 0: none */
    size_t work_bytes; /* prepare() asks; memory of the plan's arena, aligned to 64, valid during run() */
    void *work;
};

struct kernel {
    const char *op, *name;
    bool inplace; /* output 0 may be written over input 0 when both have one shape and layout */
    /* May look at node, dtypes, shapes and the inputs' present layouts. When it refuses it may say why (why may be
     * NULL). */
    bool (*accepts)(const struct step *s, struct str *why);
    /* Once per plan; may be NULL. ERR_UNSUPPORTED: it refuses after all, and the next kernel is asked. */
    int (*prepare)(struct step *s, struct err *e);
    int (*run)(const struct step *s, struct err *e);
    bool last; /* asked only when no other kernel of any backend takes the step */
};

/* How this processor multiplies numbers of a type: without instructions for it, no faster than float32, faster. */
enum rate { RATE_NONE, RATE_SLOW, RATE_FAST };

struct backend {
    const char *name;
    const struct kernel *kernels; /* ends with a NULL op */
    bool (*layout_same)(const struct layout *a, const struct layout *b);
    struct layout *(*layout_copy)(const struct layout *l, struct arena *a, struct err *e);
    /* The same kind of layout for another shape of its rank. NULL: with an error, or plain (one pixel, channels
     * last). */
    const struct layout *(*layout_alike)(
        const struct layout *l, const struct shape *shape, struct arena *a, struct err *e);
    /* A tensor of this type and shape with its channels (dimension 1) last and no padding. NULL: with an error, or this
     * backend has none for it; NULL hook: for none. */
    const struct layout *(*layout_last)(const struct tensor *t, struct arena *a, struct err *e);
    /* A step that moves a tensor between two layouts (either may be NULL: plain) of this backend. ERR_UNSUPPORTED
     * between two that are not plain: it is done by way of plain. */
    int (*reorder_prepare)(struct step *s, const struct layout *from, const struct layout *to, struct err *e);
    int (*reorder_run)(const struct step *s, struct err *e);
    /* A large plain tensor goes into a layout of this backend part by part: of how many of its bytes each part may be a
     * multiple (but for the last), 0: none; and a step that moves one. Its in[0] holds the part alone, aligned, its
     * out[0] the whole in that layout. NULL: never. */
    size_t (*part_bytes)(const struct layout *to);
    int (*part_prepare)(struct step *s, const struct layout *to, size_t at, size_t bytes, struct err *e);
    const char *(*version)(void); /* of a library whose other versions have other kernels; NULL: none */
    enum rate (*multiplies)(enum dtype t); /* NULL: only float32 */
};

/* Evaluates one node on concrete tensors with the reference kernel: for folding, for tests, and for running node by
 * node.
 * Infers the outputs' shapes from the inputs' shapes and data, allocates them in `a`, runs. Values in node->in are
 * not
 * read, only their number. Outputs an operator cannot size before it has run (NonZero) are made by its run(). */
int op_eval(
    const struct node *n, struct tensor *const *in, struct tensor **out, struct arena *a, int threads, struct err *e);
/* The same in a run that has a host. */
int op_eval_for(const struct host *h, const struct node *n, struct tensor *const *in, struct tensor **out,
    struct arena *a, int threads, struct err *e);
/* For the run() of such an operator: replaces out[i] by a fresh tensor of that shape, in the step's arena. */
struct tensor *step_resize(const struct step *s, int i, enum dtype t, const struct shape *shape, struct err *e);
/* For the run() of an operator that gets its results as tensors: output i is `t`, shared where it can be, copied into
 * place where the output is there already. ERR_SHAPE where it is not what was inferred. */
int step_give(const struct step *s, int i, const struct tensor *t, struct err *e);

#endif
