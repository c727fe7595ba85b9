/* compat.h - the inner interface over oneDNN; only compat.c knows which version of it is there. */
#ifndef TENREC_BACKEND_DNNL_COMPAT_H
#define TENREC_BACKEND_DNNL_COMPAT_H

#include <oneapi/dnnl/dnnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "graph/dtype.h"
#include "dnnl_calls.h"

struct arena;
struct err;

/* How a tensor (of float32, unless told otherwise) lies in memory, or DESC_ANY: as the primitive likes it
 * best. Copied as a value. */
struct desc {
    dnnl_memory_desc_t v;
};
enum { DESC_MAX = 8 };

/* `strides` in elements; NULL: row-major. Dimensions are at least 1. */
int desc_strided(struct desc *d, int rank, const int64_t *dims, const int64_t *strides, struct err *e);
/* Channels in blocks of cpu_channel_block(); ERR_UNSUPPORTED where they would not be whole. */
int desc_blocked(struct desc *d, int rank, const int64_t *dims, struct err *e);
int desc_any(struct desc *d, int rank, const int64_t *dims, struct err *e);
int desc_set_type(struct desc *d, enum dtype t, struct err *e);
/* Other dimensions in the form of `like` (same order and blocks); ERR_UNSUPPORTED when the form has no name. */
int desc_alike(struct desc *d, const struct desc *like, int rank, const int64_t *dims, struct err *e);
/* Whether both lie the same way in memory; strides of dimensions of size 1 do not matter. */
bool desc_same(const struct desc *a, const struct desc *b);
/* How many channels lie side by side when (N, C, ...) lies as (N, C / block, ..., block) without padding; else 0. */
int64_t desc_block(const struct desc *d);
int desc_rank(const struct desc *d);
const int64_t *desc_dims(const struct desc *d);
bool desc_has_dims(const struct desc *d, int rank, const int64_t *dims);
size_t desc_bytes(const struct desc *d);
/* The dimension along which `plain`, without gaps, lies one row behind the other, where rows of the same tensor in the
 * form of `own` can be told from others `step` at a time; -1: there is none. */
int desc_outer(const struct desc *plain, const struct desc *own, int64_t *step);
/* Rows begin .. begin + n along a dimension, where they lie in the memory of `d`. */
int desc_part(struct desc *part, const struct desc *d, int dim, int64_t begin, int64_t n, struct err *e);
/* n rows along a dimension, by themselves, as the rows of `d` lie. */
int desc_cut(struct desc *cut, const struct desc *d, int dim, int64_t n, struct err *e);

/* A primitive in the making. Everything it holds is closed with the arena. */
struct primitive {
    struct arena *arena;
    dnnl_primitive_attr_t attr;
    dnnl_post_ops_t post;
    dnnl_primitive_desc_t *pd; /* until it is ready to run */
    dnnl_primitive_t made;
    dnnl_stream_t stream;
};

/* One engine for the process: it has no state. NULL when the library cannot run here. */
dnnl_engine_t cpu_engine(void);
/* ERR_NOMEM, ERR_UNSUPPORTED (no such implementation: another kernel may do it) or ERR_FAILED. */
int status_fail(dnnl_status_t s, const char *what, struct err *e);

const char *library_version(void); /* "oneDNN 2.6.0 avx2" */
int64_t cpu_channel_block(void);   /* channels side by side in the library's blocked forms */
/* Whether there are instructions that multiply 8-bit integers exactly, and that multiply bfloat16. */
bool cpu_multiplies_bytes(void);
bool cpu_multiplies_bf16(void);
/* Whether bfloat16 gives half of float32's products a second: Intel's since AVX512-FP16, where AMX may not be used. */
bool cpu_halves_bf16(void);

int primitive_init(struct primitive *p, struct arena *a, struct err *e);
/* What sums are multiplied by before anything else: one number, or one for each place along dimension `mask` is of. */
int primitive_scales(struct primitive *p, int n, int mask, const float *scales, struct err *e);
int primitive_zero_point(struct primitive *p, int arg, int32_t zero, struct err *e);
/* What is applied to the result, in this order. */
int primitive_then_eltwise(struct primitive *p, dnnl_alg_kind_t alg, float alpha, float beta, struct err *e);
int primitive_then_sum(struct primitive *p, struct err *e); /* with what lies where the result goes */
int primitive_then_binary(struct primitive *p, dnnl_alg_kind_t alg, const struct desc *other, struct err *e);

enum direction { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS };
struct conv_desc {
    struct desc src, weights, bias, dst; /* of the forward convolution; a backward one computes src or weights, bias */
    bool has_bias, winograd;
    dnnl_dims_t strides, dilates, before, after; /* per spatial dimension; dilates: 0 is dense */
};
int make_convolution(struct primitive *p, enum direction dir, const struct conv_desc *c, struct err *e);
int make_deconvolution(struct primitive *p, const struct conv_desc *c, struct err *e);
struct pool_desc {
    struct desc src, dst;
    dnnl_dims_t kernel, strides, dilates, before, after;
};
int make_pooling(struct primitive *p, dnnl_alg_kind_t alg, const struct pool_desc *d, struct err *e);
int make_eltwise(
    struct primitive *p, dnnl_alg_kind_t alg, const struct desc *d, float alpha, float beta, struct err *e);
/* diff_src = diff_dst * f'(data); data is the result for an algorithm ..._use_dst_for_bwd, else the source. */
int make_eltwise_backward(
    struct primitive *p, dnnl_alg_kind_t alg, const struct desc *d, float alpha, float beta, struct err *e);
/* bias may be NULL */
int make_matmul(struct primitive *p, const struct desc *src, const struct desc *weights, const struct desc *bias,
    const struct desc *dst, struct err *e);
int make_binary(struct primitive *p, dnnl_alg_kind_t alg, const struct desc *a, const struct desc *b,
    const struct desc *dst, struct err *e);
int make_concat(struct primitive *p, int n, int axis, const struct desc *src, const struct desc *dst, struct err *e);
int make_sum(struct primitive *p, int n, const struct desc *src, const struct desc *dst, struct err *e);
/* log: the logarithm of the softmax */
int make_softmax_backward(struct primitive *p, bool log, const struct desc *d, int axis, struct err *e);
/* With the given mean and variance, scale and shift. */
int make_batch_normalization(struct primitive *p, const struct desc *d, float epsilon, struct err *e);
int make_layer_normalization(
    struct primitive *p, const struct desc *d, float epsilon, bool scale, bool shift, struct err *e);
int make_lrn(struct primitive *p, const struct desc *d, int64_t size, float alpha, float beta, float k, struct err *e);
int make_prelu(struct primitive *p, const struct desc *d, const struct desc *slope, struct err *e);
int make_reduction(
    struct primitive *p, dnnl_alg_kind_t alg, const struct desc *src, const struct desc *dst, struct err *e);
int make_resampling(
    struct primitive *p, dnnl_alg_kind_t alg, const struct desc *src, const struct desc *dst, struct err *e);
int make_reorder(struct primitive *p, const struct desc *from, const struct desc *to, struct err *e);

/* After a make_: what it settled on for argument `arg` (DNNL_ARG_SRC ...), and the scratch memory it wants. */
int primitive_desc(const struct primitive *p, int arg, struct desc *d, struct err *e);
size_t primitive_work(const struct primitive *p);
/* Whether it is the library's slow, plain implementation. */
bool primitive_is_slow(const struct primitive *p);
/* Gives back what it is made by, when no more is asked. */
void primitive_forget(struct primitive *p);
/* Makes it ready to run; nothing can be asked afterwards. */
int primitive_finish(struct primitive *p, struct err *e);

#endif
