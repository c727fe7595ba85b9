/* session.h - running a graph: a cache of plans, one memory arena, and the content of states.
 *
 * A session belongs to one thread at a time; many sessions may share one graph (read only) and one `struct packs`.
 */
#ifndef TENREC_EXEC_SESSION_H
#define TENREC_EXEC_SESSION_H

#include <stdbool.h>

#include "graph/graph.h"
#include "pass/precision.h"

struct mem;
struct packs;
struct plan;
struct recipe;
struct session;
struct str;

struct session_options {
    int threads;                     /* 0: what the process may use (team_default_size) */
    bool reference;                  /* only the operators' own kernels: slow, always correct */
    enum precision precision;        /* of convolutions and products; PRECISION_BF16 unless backend_against_bf16() */
    const struct recipe *recipe;     /* which kernels take which nodes; must outlive the session; NULL: by rules */
    bool profile;                    /* time every step */
    size_t plan_bytes;               /* plans kept, by the memory their descriptions take; 0: 64 MB */
    struct packs *packs;             /* shared packed weights; NULL: the session's own */
    struct session *states_of;       /* states of equal names that change there are read there (a model judged while it
                                      * is trained); must outlive the session; NULL: none */
    struct str *explain;             /* receives why kernels refused, when a plan is made */
    const struct mem *mem;           /* NULL: the default */
    int64_t turns_max;               /* of one Loop; 0: HOST_TURNS (ops/kernel.h) */
    int64_t bytes_max;               /* of one sequence, or of what one Loop gathers; 0: the memory that is free */
    bool within;                     /* constants of its graph may be those of one plan of another session */
    bool nested;                     /* runs one node for another session */
    bool (*cancelled)(void *cookie); /* asked between steps; true ends the run with ERR_CANCELLED */
    void *cookie;
};

/* The graph must outlive the session. */
struct session *session_new(const struct graph *g, const struct session_options *o, struct err *e);
void session_free(struct session *s); /* NULL is fine */

/* One run. in[i]: plain tensors of the graph's input types, in the order of its inputs; their shapes choose the plan.
 * out[i] is set to a plain tensor in the session's memory, valid until the next call. States take their new content
 * only when the run succeeds. Errors: ERR_USAGE (missing input), ERR_SHAPE, ERR_NOMEM (says how much is needed and
 * how much
 * there is, before anything runs), ERR_CANCELLED. */
int session_run(struct session *s, const struct tensor *const *in, struct tensor *out, struct err *e);

/* States go back to the content they had in the file. */
int session_reset(struct session *s, struct err *e);
/* The present content of state `i` of the graph, plain: the session's own memory, which runs change, or a copy in `a`
 * where the session stores the state in a layout of its own. NULL: out of memory. */
const struct tensor *session_state(const struct session *s, size_t i, struct arena *a, struct err *e);
size_t session_state_copies(const struct session *s, size_t i); /* bytes of that copy; 0: there is none */
/* New content for a state that changes, of its shape and type: a resumed training. ERR_USAGE where it does not fit. */
int session_set_state(struct session *s, size_t i, const struct tensor *content, struct err *e);

/* The plan for these input shapes (made when there is none), for reports and profiles; belongs to the session. */
const struct plan *session_plan(struct session *s, const struct shape *shapes, struct err *e);
size_t session_memory(const struct session *s); /* bytes of the arena plans share */

#endif
