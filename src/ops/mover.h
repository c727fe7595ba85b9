/* mover.h - moving elements of any type by their size: what reshaping, slicing and gathering share. */
#ifndef TENREC_OPS_MOVER_H
#define TENREC_OPS_MOVER_H

#include "graph/builder.h"
#include "graph/op.h"
#include "ops/kernel.h"

struct err;

/* A copy from one strided view to another. Strides are in elements, of any sign; 0 in `from` repeats
 * an element. */
enum { MOVE_MAX = 2 * SHAPE_MAX };
struct move {
    int rank;
    int64_t dim[MOVE_MAX], to[MOVE_MAX], from[MOVE_MAX];
};
void move_add(struct move *m, int64_t dim, int64_t to, int64_t from); /* a dimension inside those already there */
/* `to` and `from` point at the first elements. Different elements must go to different places. */
void move_run(const struct move *m, int threads, size_t size, void *to, const void *from);
/* n copies of the element at `value`. */
void move_fill(int threads, size_t size, void *to, int64_t n, const void *value);
static inline void *element(const struct tensor *t, int64_t offset)
{
    return (unsigned char *)t->data + offset * (int64_t)dtype_size(t->dtype);
}
int view_run(const struct step *s, struct err *e); /* output 0 holds the elements of input 0, in their order */

/* What happens where an element is written that is already there. Sums and products of floats are
 * rounded to the type at each step; unsigned integers compare as such; NaN wins a maximum and a
 * minimum. */
enum combine { COMBINE_NONE, COMBINE_ADD, COMBINE_MUL, COMBINE_MAX, COMBINE_MIN };
void combine(enum combine how, enum dtype t, void *to, const void *from, int64_t n);
int combine_check(const struct node *n, enum dtype t, enum combine *how, struct err *e); /* attribute "reduction" */

/* A short list of integers (axes, pads, starts) that an input holds, in the code of known.h. */
struct ints {
    int n;    /* -1: absent, or not even the number of them is known */
    bool all; /* every one is a number */
    int64_t at[MOVE_MAX];
};
int infer_list(const struct node *n, int i, const char *what, struct ints *out, struct err *e); /* while inferring */
int step_list(const struct step *s, int i, const char *what, struct ints *out, struct err *e);  /* from the data */
int step_scalar(const struct step *s, int i, const char *what, int64_t *out, struct err *e);    /* absent: untouched */
int axes_check(struct ints *axes, int rank, struct err *e); /* numbers into [0, rank); each at most once */
/* Positions that are data (indices.c), as int64 in scratch, checked, NULL with the error. Indices
 * count from 0, or from the end when negative. step_indices: each one along an axis of size `limit`.
 * step_offsets: per tuple in
 * the last dimension of the indices, the offset into `of`, whose dimensions [0, batch) are those of
 * the indices and whose dimensions from batch on are indexed. */
int64_t *step_indices(const struct step *s, int input, int64_t limit, int axis, struct err *e);
int64_t *step_offsets(const struct step *s, int input, const struct shape *of, int batch, struct err *e);
/* Per element of the indices, the offset into a tensor of shape `of` whose coordinate along the attribute "axis" is the
 * index, the others the element's own: n elements from `at` on at a time, in order where one thread is asked for. */
typedef void elements_fn(void *ctx, int64_t at, const int64_t *offset, int64_t n);
int step_elements(const struct step *s, int input, const struct shape *of, int threads, elements_fn *use, void *ctx,
    struct err *e);
int infer_indices(const struct node *n, int i, struct err *e); /* input i must be int32 or int64 */
/* The shape of what tuples of indices take out of x: dims of the indices but the last, then those of x
 * not indexed. */
int infer_tuples(const struct value *x, const struct value *index, int64_t batch, struct shape *out, struct err *e);
/* Input `index` of the elementwise forms against x: equal ranks, no longer than x but along the
 * attribute "axis". */
int infer_elements(const struct node *n, int x, int index, struct err *e);

/* Sets output i after checking that its rank and number of elements are possible. */
int infer_sized(struct node *n, int i, enum dtype t, const struct shape *s, struct err *e);
int dim_times(int64_t *dim, int64_t by, struct err *e); /* unknown and symbolic factors allowed */
/* Contents of output 0 for an operator that only moves: runs its kernel on the contents. Bit i of
 * `data` says that input i is moved and may be partly known; the other inputs steer, and must be
 * known. */
int contents_moved(struct node *n, unsigned data);
int contents_moved0(struct node *n, struct err *e); /* as op->contents, moving input 0 */
int contents_moved_all(struct node *n, struct err *e);

/* A tensor of the shape of `like` full of v; and of its type, of zeros. */
struct value *emit_filled_like(struct builder *b, enum dtype t, double v, struct value *like);
struct value *emit_zeros(struct builder *b, struct value *like);
/* Everything after the first two inputs as further inputs: the shape of a gradient of (x, parameters...). */
struct value *emit_with_parameters(
    struct builder *b, const char *op, const struct node *n, struct value *in0, struct value *in1, int from);

#endif
