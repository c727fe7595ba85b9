/* sequence.h - tensors that hold tensors: sequences, and optionals, which are sequences of at most one.
 *
 * A container is a 1-d tensor of type DT_SEQUENCE or DT_OPTIONAL whose elements are pointers to tensors. Its blob owns
 * them: it holds a reference to the blob of each, so that handing a container on costs a reference, and what is in it
 * lives as long as anybody holds it. A tensor whose blob is set is whole: all that its data refer to lives with it.
 */
#ifndef TENREC_GRAPH_SEQUENCE_H
#define TENREC_GRAPH_SEQUENCE_H

#include "graph/tensor.h"

/* Items that lie in blobs are shared, others (in a plan's memory, say) are copied. `items` may be NULL when n is 0. */
struct tensor *sequence_new(
    struct arena *a, enum dtype container, const struct tensor *const *items, int64_t n, struct err *e);
/* Valid as long as the container's blob. */
const struct tensor *sequence_item(const struct tensor *s, int64_t i);
/* Bytes of everything in it; of a tensor, its own. */
int64_t tensor_bytes_deep(const struct tensor *t);

/* The same content for somebody who outlives its memory: shared where it lies in a blob, copied where it does not. The
 * result and the reference lie in `a`. */
struct tensor *tensor_keep(struct arena *a, const struct tensor *t, struct err *e);
/* A tensor of texts, all of them in its blob. `elements`: as many as the shape has. */
struct tensor *tensor_of_texts(
    struct arena *a, const struct shape *shape, const struct string_element *elements, struct err *e);

#endif
