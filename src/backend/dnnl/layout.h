/* layout.h - oneDNN's memory forms as layouts of the plan, and the steps that take and give them. */
#ifndef TENREC_BACKEND_DNNL_LAYOUT_H
#define TENREC_BACKEND_DNNL_LAYOUT_H

#include "backend/dnnl/compat.h"
#include "ops/kernel.h"

struct dnnl_layout {
    struct layout base;
    struct desc plain; /* the row-major tensor, in the dimensions its kernel sees (weights may be split or turned) */
    struct desc own;
};

/* The whole of a step's primitive: what step->priv is. */
enum { JOB_ARGS = 40 };
struct job {
    struct step *step;
    struct primitive primitive;
    int n;
    dnnl_exec_arg_t args[JOB_ARGS];
    struct tensor **from[JOB_ARGS]; /* the tensor behind each; NULL: the step's work memory */
};

/* Every kernel's accepts(): all tensors are float32 and not empty. */
bool job_accepts(const struct step *s, struct str *why);
/* The same, or all of them bfloat16, where the processor has instructions for it. */
bool job_accepts_bf16(const struct step *s, struct str *why);
/* The same of input 0 and output 0 only. */
bool job_accepts_first(const struct step *s, struct str *why);
/* prepare() of a kernel: begin, a make_ function, an argument each, end. */
struct job *job_begin(struct step *s, struct err *e);
/* Input or output `i` is argument `arg`; the plan is asked for the form the primitive settled on, or for row-major when
 * that is the same. `plain`: the row-major tensor as the primitive was told of it. */
int job_in(struct job *j, int arg, int i, const struct desc *plain, struct err *e);
int job_out(struct job *j, int arg, int i, const struct desc *plain, struct err *e);
/* The same for a form that the caller has asked the plan for; `from` NULL: the step's work memory. */
int job_arg(struct job *j, int arg, struct tensor **from, const struct desc *d, struct err *e);
int job_end(struct job *j, struct err *e);
/* Every kernel's run(). */
int job_run(const struct step *s, struct err *e);

/* The tensor's row-major form; a scalar has one dimension of 1. */
int plain_desc(const struct tensor *t, struct desc *d, struct err *e);
/* The form it has at this time, when it is one in the tensor's own dimensions; row-major otherwise. */
int present_desc(const struct tensor *t, struct desc *d, struct err *e);
/* Channels last, of the tensor's own type: what bytes_last_layout() of backend/cpu asks the plan for. */
int last_desc(const struct tensor *t, struct desc *d, struct err *e);
/* NULL without error when `own` is row-major. */
int layout_make(
    struct arena *a, const struct desc *plain, const struct desc *own, const struct layout **to, struct err *e);

/* The backend's. */
bool layout_same(const struct layout *a, const struct layout *b);
struct layout *layout_copy(const struct layout *l, struct arena *a, struct err *e);
const struct layout *layout_alike(
    const struct layout *l, const struct shape *shape, struct arena *a, struct err *e);
const struct layout *layout_last(const struct tensor *t, struct arena *a, struct err *e);
int reorder_prepare(struct step *s, const struct layout *from, const struct layout *to, struct err *e);
size_t part_bytes(const struct layout *to);
int part_prepare(struct step *s, const struct layout *to, size_t at, size_t bytes, struct err *e);

static inline struct tensor *job_tensor(const struct step *s, int i)
{
    return i < s->node->n_in ? s->in[i] : NULL;
}

#endif
