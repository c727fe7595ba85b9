/* quantized.c - convolutions and matrix products of 8-bit numbers, where the processor has instructions for them.
 *
 *   (sums + before) * factor + after -> [low, high] -> rounded, saturated: to the bit as ops/quantized.h says
 *
 * Without such instructions oneDNN adds pairs of products in 16 bits, which full 8-bit weights overflow, and halves
 * weights where x is signed: then it is used only by name, and only where neither can happen.
 */
#include <math.h>
#include <stdlib.h>

#include "backend/cpu/bytes.h"
#include "backend/dnnl/conv.h"
#include "backend/dnnl/dnnl.h"
#include "backend/dnnl/layout.h"
#include "base/arena.h"
#include "base/clones.h"
#include "base/err.h"
#include "base/str.h"
#include "graph/op.h"
#include "ops/conv_core.h"
#include "ops/quantize.h"
#include "ops/quantized.h"

/* The largest weight of which two, times 255, add up to less than 2^15. */
enum { SAFE_WEIGHT = 64 };

static bool is_safe(const struct step *s)
{
    const struct tensor *w = s->in[QW];
    if (!s->named || !w->data || s->in[QX]->dtype != DT_U8) return false;
    for (int64_t i = 0; i < tensor_count(w); i++)
        if (llabs(tensor_get_i64(w, i)) > SAFE_WEIGHT) return false;
    return true;
}

/* Whether x's zero point is known in the run only: what it takes away is taken from the bare sums then. */
static bool is_late(const struct step *s)
{
    const struct tensor *zero = job_tensor(s, QX_ZERO);
    return zero && !zero->data && node_is(s->node, "QuantizedGemm") && !job_tensor(s, QX_SCALE);
}

bool dnnl_quantized_accepts(const struct step *s, struct str *why)
{
    const char *text = quantized_unsettled(s, is_late(s));
    if (!text && !cpu_multiplies_bytes() && !is_safe(s)) text = "no instructions for 8-bit products";
    if (text && why) str_add(why, text);
    return !text;
}

static double number(const struct step *s, int i, double none)
{
    return job_tensor(s, i) ? tensor_get_f64(s->in[i], 0) : none;
}

/* What is added to the sums of each channel, and after their scaling; NULL: nothing. */
struct addends {
    struct tensor *before, *after;
    struct desc bias, binary; /* as each is told to oneDNN */
};

/* Both for `channels` along dimension `axis` of a result of this rank. */
static struct addends *addends_new(const struct step *s, int64_t channels, int axis, int rank, struct err *e)
{
    struct addends *add = ARENA_NEW(s->arena, struct addends);
    int64_t dims[SHAPE_MAX];
    if (!add) return fail_nomem(e), NULL;
    for (int i = 0; i < rank; i++) dims[i] = i == axis ? channels : 1;
    if (desc_strided(&add->binary, rank, dims, NULL, e)) return NULL;
    bool conv = node_is(s->node, "QuantizedConv");
    return desc_strided(&add->bias, conv ? 1 : rank, conv ? &channels : dims, NULL, e) ? NULL : add;
}

static struct tensor *vector(const struct step *s, int64_t n, struct err *e)
{
    struct shape shape = shape_of(1, &n);
    return tensor_new(s->arena, DT_F32, &shape, e);
}

/* The zero point of the result, added before it is rounded or as a whole number after that. oneDNN has a place for it,
 * but its best kernels of groups do not know that. */
static int place(struct job *j, struct err *e)
{
    const struct step *s = j->step;
    struct primitive *p = &j->primitive;
    float zero = (float)number(s, QY_ZERO, 0);
    bool groups = node_is(s->node, "QuantizedConv") && node_int(s->node, "group") > 1;
    if (!job_tensor(s, QY_SCALE) || zero == 0) return 0;
    if (!quantized_adds_first(s)) TRY(primitive_then_eltwise(p, dnnl_eltwise_round, 0, 0, e));
    if (groups) return primitive_then_eltwise(p, dnnl_eltwise_linear, 1, zero, e);
    return primitive_zero_point(p, DNNL_ARG_DST, (int32_t)zero, e);
}

/* Whether bounds, in steps of the result, keep back anything that its type would not keep back by itself: a ReLU before
 * unsigned numbers whose zero point is 0 does not. */
static bool bounds_matter(const struct step *s, float low, float high)
{
    double least, most;
    float zero = (float)number(s, QY_ZERO, 0);
    if (!job_tensor(s, QY_SCALE) || !quantized_range(s->out[0]->dtype, &least, &most)) return true;
    float before = quantized_adds_first(s) ? zero : 0, after = zero - before;
    return rintf(low + before) + after > least || rintf(high + before) + after < most;
}

/* Scales, zero points and what follows; `mask`: of the dimension of output channels. */
static int attributes(struct job *j, int64_t channels, int mask, struct addends *add, struct err *e)
{
    const struct step *s = j->step;
    struct primitive *p = &j->primitive;
    const struct tensor *bias = job_tensor(s, QBIAS);
    bool is_real = job_tensor(s, QX_SCALE) && !job_tensor(s, QY_SCALE), late = is_real && bias && bias->dtype == DT_F32;
    int32_t zero = is_late(s) ? 0 : (int32_t)number(s, QX_ZERO, 0);
    if (zero) TRY(primitive_zero_point(p, DNNL_ARG_SRC, zero, e));
    if (!job_tensor(s, QX_SCALE)) return 0;
    int64_t count = tensor_count(s->in[QW_SCALE]);
    if (count != 1 && count != channels) return fail(e, ERR_UNSUPPORTED, "scales that belong to no output channel");
    float *scales = ARENA_ARRAY(s->arena, channels, float);
    struct tensor *sums = bias ? vector(s, channels, e) : NULL;
    TRY_MEM(scales, e);
    if (bias && !sums) return e->code;
    for (int64_t i = 0; i < channels; i++) {
        struct rescaling r;
        quantized_rescaling(s, i, &r);
        scales[i] = r.factor;
        if (sums) ((float *)sums->data)[i] = late ? r.after : r.before;
    }
    *(late ? &add->after : &add->before) = sums;
    TRY(primitive_scales(p, count == 1 ? 1 : (int)channels, count == 1 ? 0 : mask, scales, e));
    if (late) TRY(primitive_then_binary(p, dnnl_binary_add, &add->binary, e));
    float low = (float)node_float(s->node, "low"), high = (float)node_float(s->node, "high");
    low /= (float)number(s, QY_SCALE, 1), high /= (float)number(s, QY_SCALE, 1);
    if ((isfinite(low) || isfinite(high)) && bounds_matter(s, low, high))
        TRY(primitive_then_eltwise(p, dnnl_eltwise_clip_v2, low, high, e));
    return place(j, e);
}

static int arguments(struct job *j, const struct desc *src, const struct desc *weights, const struct desc *dst,
    struct addends *add, struct err *e)
{
    struct step *s = j->step;
    if (primitive_is_slow(&j->primitive)) return fail(e, ERR_UNSUPPORTED, "oneDNN is slow with these shapes");
    TRY(job_arg(j, DNNL_ARG_SRC, &s->in[QX], src, e));
    TRY(job_in(j, DNNL_ARG_WEIGHTS, QW, weights, e));
    TRY(job_arg(j, DNNL_ARG_DST, &s->out[0], dst, e));
    if (add->before) TRY(job_arg(j, DNNL_ARG_BIAS, &add->before, &add->bias, e));
    if (add->after)
        TRY(job_arg(j, DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, &add->after, &add->binary, e));
    return job_end(j, e);
}

int dnnl_quantized_conv_prepare(struct step *s, struct err *e)
{
    struct conv_shapes d;
    const struct shape *y = &s->out[0]->shape;
    TRY(conv_shapes_of(s->node, false, &s->in[QX]->shape, &s->in[QW]->shape, y, false, &d, e));
    TRY(last_desc(s->in[QX], &d.any.src, e));
    TRY(last_desc(s->out[0], &d.any.dst, e));
    TRY(desc_set_type(&d.any.weights, DT_I8, e));
    TRY(desc_set_type(&d.plain.weights, DT_I8, e));
    struct job *j = job_begin(s, e);
    struct addends *add = j ? addends_new(s, y->dim[1], 1, y->rank, e) : NULL;
    if (!add) return e->code;
    TRY(attributes(j, y->dim[1], 1 << 1, add, e));
    if (add->after && node_int(s->node, "group") > 1 && y->dim[1] % 16) /* found with 20 channels of one group each */
        return fail(e, ERR_UNSUPPORTED, "oneDNN 2.6 adds wrong numbers to the last channels of groups");
    d.any.has_bias = add->before;
    d.any.bias = add->bias;
    TRY(make_convolution(&j->primitive, FORWARD, &d.any, e));
    TRY(arguments(j, &d.any.src, &d.plain.weights, &d.any.dst, add, e));
    TRY(bytes_want_last(s, QX, e));
    return bytes_last_layout(s->arena, s->out[0], &s->want_out[0], e);
}

static int matrix(int64_t rows, int64_t cols, enum dtype t, struct desc *d, struct err *e)
{
    TRY(desc_strided(d, 2, (int64_t[]){ rows, cols }, NULL, e));
    return desc_set_type(d, t, e);
}

/* What s->priv is. */
struct gemm {
    struct job *job;
    int32_t *sums; /* of the weights of each output, where x's zero point comes late; else NULL */
    int64_t n;
};

static int weight_sums(const struct step *s, struct gemm *g, int64_t k, bool turned, struct err *e)
{
    const int8_t *w = s->in[QW]->data;
    if (!w) return fail(e, ERR_UNSUPPORTED, "a zero point and weights that change");
    TRY_MEM(g->sums = ARENA_ARRAY(s->arena, g->n, int32_t), e);
    for (int64_t i = 0; i < k; i++)
        for (int64_t c = 0; c < g->n; c++) g->sums[c] += w[turned ? c * k + i : i * g->n + c];
    return 0;
}

int dnnl_quantized_gemm_prepare(struct step *s, struct err *e)
{
    const struct shape *x = &s->in[QX]->shape, *w = &s->in[QW]->shape;
    bool turned = node_int(s->node, "transB");
    int64_t k = w->dim[turned], n = w->dim[!turned], rows = shape_span(x, 0, x->rank - 1);
    struct desc src, dst, any, plain;
    TRY(matrix(rows, k, s->in[QX]->dtype, &src, e));
    TRY(matrix(rows, n, s->out[0]->dtype, &dst, e));
    TRY(desc_any(&any, 2, (int64_t[]){ k, n }, e));
    TRY(desc_set_type(&any, DT_I8, e));
    TRY(desc_strided(&plain, 2, (int64_t[]){ k, n }, (int64_t[]){ turned ? 1 : n, turned ? k : 1 }, e));
    TRY(desc_set_type(&plain, DT_I8, e));
    struct job *j = job_begin(s, e);
    struct addends *add = j ? addends_new(s, n, 1, 2, e) : NULL;
    if (!add) return e->code;
    TRY(attributes(j, n, 1 << 1, add, e));
    TRY(make_matmul(&j->primitive, &src, &any, add->before ? &add->bias : NULL, &dst, e));
    TRY(arguments(j, &src, &plain, &dst, add, e));
    struct gemm *g = ARENA_NEW(s->arena, struct gemm);
    TRY_MEM(g, e);
    *g = (struct gemm){ j, NULL, n };
    s->priv = g;
    return is_late(s) ? weight_sums(s, g, k, turned, e) : 0;
}

CLONES static void take_away(int32_t *restrict y, const int32_t *restrict sums, int64_t n, int32_t zero)
{
    for (int64_t i = 0; i < n; i++) y[i] = (int32_t)((uint32_t)y[i] - (uint32_t)zero * (uint32_t)sums[i]);
}

int dnnl_quantized_gemm_run(const struct step *s, struct err *e)
{
    const struct gemm *g = s->priv;
    struct step product = *s;
    product.priv = g->job;
    TRY(job_run(&product, e));
    if (!g->sums) return 0;
    int32_t zero = (int32_t)tensor_get_i64(s->in[QX_ZERO], 0), *y = s->out[0]->data;
    for (int64_t r = 0; r < tensor_count(s->out[0]) / g->n; r++) take_away(y + r * g->n, g->sums, g->n, zero);
    return 0;
}
