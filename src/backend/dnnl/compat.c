/* compat.c - the inner interface over oneDNN 2.x (2.6 is what it was run with). */
#include "backend/dnnl/compat.h"

#if defined __x86_64__
#include <cpuid.h>
#endif
#include <pthread.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/library.h"

int status_fail(dnnl_status_t s, const char *what, struct err *e)
{
    if (s == dnnl_success) return 0;
    if (s == dnnl_out_of_memory) return fail_nomem(e);
    if (s == dnnl_unimplemented || s == dnnl_invalid_arguments)
        return fail(e, ERR_UNSUPPORTED, "oneDNN has no %s of this form", what);
    return fail(e, ERR_FAILED, "oneDNN's %s failed with status %d", what, (int)s);
}

/* Descriptors of memory. */

/* The library takes arrays of its own length. */
static int own_dims(dnnl_dims_t to, int rank, const int64_t *dims, struct err *e)
{
    if (rank < 1 || rank > DESC_MAX) return fail(e, ERR_UNSUPPORTED, "rank %d", rank);
    for (int i = 0; i < DNNL_MAX_NDIMS; i++) to[i] = i < rank ? dims[i] : 0;
    return 0;
}

int desc_strided(struct desc *d, int rank, const int64_t *dims, const int64_t *strides, struct err *e)
{
    dnnl_dims_t own, steps = { 0 };
    TRY(own_dims(own, rank, dims, e));
    int64_t step = 1;
    for (int i = rank - 1; i >= 0; i--) {
        steps[i] = strides ? strides[i] : step;
        step *= dims[i];
    }
    return status_fail(dnnl_memory_desc_init_by_strides(&d->v, rank, own, dnnl_f32, steps), "memory descriptor", e);
}

static int desc_tagged(struct desc *d, int rank, const int64_t *dims, dnnl_format_tag_t tag, struct err *e)
{
    dnnl_dims_t own;
    TRY(own_dims(own, rank, dims, e));
    return status_fail(dnnl_memory_desc_init_by_tag(&d->v, rank, own, dnnl_f32, tag), "memory descriptor", e);
}

/* Activations' forms for 3 to 5 dimensions: channels first, blocks of channels, channels last. */
static const dnnl_format_tag_t forms[][3] = {
    { dnnl_abc, dnnl_abcd, dnnl_abcde },
    { dnnl_aBc8b, dnnl_aBcd8b, dnnl_aBcde8b },
    { dnnl_aBc16b, dnnl_aBcd16b, dnnl_aBcde16b },
    { dnnl_acb, dnnl_acdb, dnnl_acdeb },
};

int desc_blocked(struct desc *d, int rank, const int64_t *dims, struct err *e)
{
    int64_t block = cpu_channel_block();
    if (rank < 3 || rank > 5 || dims[1] % block) return fail(e, ERR_UNSUPPORTED, "channels that are not whole blocks");
    return desc_tagged(d, rank, dims, forms[block == 16 ? 2 : 1][rank - 3], e);
}

int desc_any(struct desc *d, int rank, const int64_t *dims, struct err *e)
{
    return desc_tagged(d, rank, dims, dnnl_format_tag_any, e);
}

int desc_set_type(struct desc *d, enum dtype t, struct err *e)
{
    static const dnnl_data_type_t types[DT_COUNT] = { [DT_F32] = dnnl_f32, [DT_BF16] = dnnl_bf16, [DT_I32] = dnnl_s32,
        [DT_I8] = dnnl_s8, [DT_U8] = dnnl_u8 };
    if (!types[t]) return fail(e, ERR_UNSUPPORTED, "elements of type %s", dtype_name(t));
    d->v.data_type = types[t];
    return 0;
}

int desc_alike(struct desc *d, const struct desc *like, int rank, const int64_t *dims, struct err *e)
{
    if (like->v.ndims == rank && rank >= 3 && rank <= 5)
        for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
            struct desc t;
            dnnl_format_tag_t tag = forms[i][rank - 3];
            dnnl_data_type_t type = like->v.data_type;
            if (dnnl_memory_desc_init_by_tag(&t.v, rank, like->v.dims, type, tag) || !desc_same(&t, like)) continue;
            TRY(desc_tagged(d, rank, dims, tag, e));
            d->v.data_type = type;
            return 0;
        }
    return fail(e, ERR_UNSUPPORTED, "a memory form without a name");
}

bool desc_same(const struct desc *a, const struct desc *b)
{
    if (dnnl_memory_desc_equal(&a->v, &b->v)) return true;
    if (a->v.format_kind != dnnl_blocked || b->v.format_kind != dnnl_blocked) return false;
    if (a->v.data_type != b->v.data_type || a->v.extra.flags != b->v.extra.flags) return false;
    const dnnl_blocking_desc_t *x = &a->v.format_desc.blocking, *y = &b->v.format_desc.blocking;
    if (x->inner_nblks || y->inner_nblks || !desc_has_dims(a, b->v.ndims, b->v.dims)) return false;
    for (int i = 0; i < a->v.ndims; i++)
        if (a->v.dims[i] != 1 && x->strides[i] != y->strides[i]) return false;
    return true;
}

int64_t desc_block(const struct desc *d)
{
    const dnnl_memory_desc_t *v = &d->v;
    const dnnl_blocking_desc_t *b = &v->format_desc.blocking;
    bool inner = b->inner_nblks == 1 && b->inner_idxs[0] == 1;
    if (v->format_kind != dnnl_blocked || v->ndims < 3 || (b->inner_nblks && !inner)) return 0;
    int64_t block = inner ? b->inner_blks[0] : v->dims[1], step = block;
    if (v->dims[1] % block || (!inner && b->strides[1] != 1)) return 0;
    for (int i = v->ndims - 1; i >= 2; i--) {
        if (v->dims[i] != 1 && b->strides[i] != step) return 0;
        step *= v->dims[i];
    }
    if (inner && v->dims[1] != block && b->strides[1] != step) return 0;
    return v->dims[0] == 1 || b->strides[0] == step * (v->dims[1] / block) ? block : 0;
}

int desc_rank(const struct desc *d)
{
    return d->v.ndims;
}

const int64_t *desc_dims(const struct desc *d)
{
    return d->v.dims;
}

bool desc_has_dims(const struct desc *d, int rank, const int64_t *dims)
{
    return d->v.ndims == rank && !memcmp(d->v.dims, dims, (size_t)rank * sizeof *dims);
}

size_t desc_bytes(const struct desc *d)
{
    return dnnl_memory_desc_get_size(&d->v);
}

int desc_outer(const struct desc *plain, const struct desc *own, int64_t *step)
{
    const dnnl_blocking_desc_t *x = &plain->v.format_desc.blocking, *y = &own->v.format_desc.blocking;
    int outer = -1;
    if (plain->v.format_kind != dnnl_blocked || own->v.format_kind != dnnl_blocked) return -1;
    if (x->inner_nblks || own->v.extra.flags || !desc_has_dims(own, plain->v.ndims, plain->v.dims)) return -1;
    for (int i = 0; i < plain->v.ndims; i++)
        if (plain->v.dims[i] > 1 && (outer < 0 || x->strides[i] > x->strides[outer])) outer = i;
    if (outer < 0) return -1;
    int64_t count = 1;
    for (int i = 0; i < plain->v.ndims; i++) count *= plain->v.dims[i];
    if (x->strides[outer] * plain->v.dims[outer] != count) return -1;
    *step = 1;
    for (int i = 0; i < y->inner_nblks; i++)
        if (y->inner_idxs[i] == outer) *step *= y->inner_blks[i];
    return outer;
}

int desc_part(struct desc *part, const struct desc *d, int dim, int64_t begin, int64_t n, struct err *e)
{
    dnnl_dims_t dims, from = { 0 };
    TRY(own_dims(dims, d->v.ndims, d->v.dims, e));
    dims[dim] = n, from[dim] = begin;
    return status_fail(dnnl_memory_desc_init_submemory(&part->v, &d->v, dims, from), "part of a memory form", e);
}

int desc_cut(struct desc *cut, const struct desc *d, int dim, int64_t n, struct err *e)
{
    dnnl_dims_t dims;
    TRY(own_dims(dims, d->v.ndims, d->v.dims, e));
    dims[dim] = n;
    TRY(desc_strided(cut, d->v.ndims, dims, d->v.format_desc.blocking.strides, e));
    cut->v.data_type = d->v.data_type;
    return 0;
}

/* Primitives. */

static void close_attr(void *p)
{
    dnnl_primitive_attr_destroy(p);
}

static void close_post(void *p)
{
    dnnl_post_ops_destroy(p);
}

/* A descriptor is destroyed with the arena, or once its primitive is there. */
static void close_pd(void *p)
{
    dnnl_primitive_desc_t *pd = p;
    if (*pd) dnnl_primitive_desc_destroy(*pd);
    *pd = NULL;
}

static void close_primitive(void *p)
{
    dnnl_primitive_destroy(p);
}

static void close_stream(void *p)
{
    dnnl_stream_destroy(p);
}

static int closes(struct arena *a, void (*close)(void *), void *p, struct err *e)
{
    return arena_closer(a, close, p) ? fail_nomem(e) : 0;
}

static struct {
    pthread_once_t once;
    dnnl_engine_t engine;
} cpu = { PTHREAD_ONCE_INIT, NULL };

struct dnnl_calls dnnl_calls;

static void make_engine(void)
{
    static const char *const names[] = { dnnl_NAMES };
    if (!library_load(dnnl_SONAME, names, (void **)&dnnl_calls, sizeof names / sizeof names[0])) return;
    if (dnnl_engine_create(&cpu.engine, dnnl_cpu, 0)) cpu.engine = NULL;
}

dnnl_engine_t cpu_engine(void)
{
    pthread_once(&cpu.once, make_engine);
    return cpu.engine;
}

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

static bool has_isa(unsigned isa)
{
    return cpu_engine() && ((unsigned)dnnl_get_effective_cpu_isa() & isa) == isa;
}

const char *library_version(void)
{
    if (!cpu_engine()) return "no oneDNN"; /* it is loaded by this */
    switch ((unsigned)dnnl_get_effective_cpu_isa()) {
#define X(isa) \
    case dnnl_cpu_isa_##isa: return "oneDNN " TEXT(DNNL_VERSION_MAJOR) "." TEXT(DNNL_VERSION_MINOR) "." \
                                    TEXT(DNNL_VERSION_PATCH) " " #isa;
        X(sse41) X(avx) X(avx2) X(avx2_vnni) X(avx512_core) X(avx512_core_vnni) X(avx512_core_bf16) X(avx512_core_amx)
#undef X
    default: return "oneDNN";
    }
}

int64_t cpu_channel_block(void)
{
    return has_isa(dnnl_cpu_isa_avx512_core) ? 16 : 8;
}

bool cpu_multiplies_bytes(void)
{
    return has_isa(dnnl_cpu_isa_avx512_core_vnni) || has_isa(dnnl_cpu_isa_avx2_vnni);
}

bool cpu_multiplies_bf16(void)
{
    return has_isa(dnnl_cpu_isa_avx512_core_bf16);
}

/* Measured on Emerald Rapids: a vdpbf16ps every other cycle, two vfmadd231ps each. Cooper Lake and AMD do better. */
bool cpu_halves_bf16(void)
{
#if defined __x86_64__
    unsigned a, b, c, d;
    bool intel = __get_cpuid(0, &a, &b, &c, &d) && b == signature_INTEL_ebx;
    bool fp16 = __get_cpuid_count(7, 0, &a, &b, &c, &d) && d >> 23 & 1;
    return intel && fp16 && !has_isa(dnnl_cpu_isa_avx512_core_amx);
#else
    return false;
#endif
}

int primitive_init(struct primitive *p, struct arena *a, struct err *e)
{
    *p = (struct primitive){ .arena = a };
    if (!cpu_engine()) return fail(e, ERR_UNSUPPORTED, "oneDNN cannot run on this processor");
    TRY(status_fail(dnnl_primitive_attr_create(&p->attr), "attributes", e));
    TRY(closes(a, close_attr, p->attr, e));
    return status_fail(
        dnnl_primitive_attr_set_scratchpad_mode(p->attr, dnnl_scratchpad_mode_user), "scratchpad mode", e);
}

static int post_ops(struct primitive *p, struct err *e)
{
    if (p->post) return 0;
    TRY(status_fail(dnnl_post_ops_create(&p->post), "list of post-operations", e));
    return closes(p->arena, close_post, p->post, e);
}

int primitive_then_eltwise(struct primitive *p, dnnl_alg_kind_t alg, float alpha, float beta, struct err *e)
{
    TRY(post_ops(p, e));
    TRY(status_fail(dnnl_post_ops_append_eltwise(p->post, 1, alg, alpha, beta), "post-operation", e));
    return status_fail(dnnl_primitive_attr_set_post_ops(p->attr, p->post), "post-operation", e);
}

int primitive_then_sum(struct primitive *p, struct err *e)
{
    TRY(post_ops(p, e));
    TRY(status_fail(dnnl_post_ops_append_sum(p->post, 1), "post-operation", e));
    return status_fail(dnnl_primitive_attr_set_post_ops(p->attr, p->post), "post-operation", e);
}

int primitive_then_binary(struct primitive *p, dnnl_alg_kind_t alg, const struct desc *other, struct err *e)
{
    TRY(post_ops(p, e));
    TRY(status_fail(dnnl_post_ops_append_binary(p->post, alg, &other->v), "post-operation", e));
    return status_fail(dnnl_primitive_attr_set_post_ops(p->attr, p->post), "post-operation", e);
}

int primitive_scales(struct primitive *p, int n, int mask, const float *scales, struct err *e)
{
    return status_fail(dnnl_primitive_attr_set_output_scales(p->attr, n, mask, scales), "scales", e);
}

int primitive_zero_point(struct primitive *p, int arg, int32_t zero, struct err *e)
{
    return status_fail(dnnl_primitive_attr_set_zero_points(p->attr, arg, 1, 0, &zero), "zero point", e);
}

static int made(struct primitive *p, dnnl_primitive_desc_t pd, dnnl_status_t s, const char *what, struct err *e)
{
    TRY(status_fail(s, what, e));
    if ((p->pd = ARENA_NEW(p->arena, dnnl_primitive_desc_t))) *p->pd = pd;
    else dnnl_primitive_desc_destroy(pd);
    return p->pd ? closes(p->arena, close_pd, p->pd, e) : fail_nomem(e);
}

/* From an operation descriptor, the status of making it, and what a backward primitive takes as its forward one. */
static int make(struct primitive *p, const void *op, dnnl_status_t s, dnnl_primitive_desc_t hint, const char *what,
    struct err *e)
{
    dnnl_primitive_desc_t pd = NULL;
    TRY(status_fail(s, what, e));
    s = dnnl_primitive_desc_create(&pd, op, p->attr, cpu_engine(), hint);
    return made(p, pd, s, what, e);
}

/* The same, but for the forward primitive that a backward one needs as a hint. */
static int make_hint(
    struct primitive *p, const void *op, dnnl_status_t s, dnnl_primitive_desc_t *hint, const char *what, struct err *e)
{
    struct primitive forward = { .arena = p->arena };
    TRY(make(&forward, op, s, NULL, what, e));
    *hint = *forward.pd;
    return 0;
}

int make_convolution(struct primitive *p, enum direction dir, const struct conv_desc *c, struct err *e)
{
    static const char what[] = "convolution";
    const dnnl_memory_desc_t *src = &c->src.v, *w = &c->weights.v, *dst = &c->dst.v;
    const dnnl_memory_desc_t *b = c->has_bias ? &c->bias.v : NULL;
    dnnl_convolution_desc_t op;
    dnnl_primitive_desc_t hint = NULL;
    dnnl_memory_desc_t src_before = *src, w_before = *w; /* a gradient may be float32 where all else is not */
    if (dir != FORWARD) src_before.data_type = w_before.data_type = dst->data_type;
    dnnl_status_t s = dnnl_dilated_convolution_forward_desc_init(&op,
        dir == FORWARD ? dnnl_forward_inference : dnnl_forward_training,
        c->winograd ? dnnl_convolution_winograd : dnnl_convolution_direct, &src_before, &w_before, b, dst,
        c->strides, c->dilates, c->before, c->after);
    if (dir == FORWARD) return make(p, &op, s, NULL, what, e);
    TRY(make_hint(p, &op, s, &hint, what, e));
    if (dir == BACKWARD_DATA)
        s = dnnl_dilated_convolution_backward_data_desc_init(
            &op, dnnl_convolution_direct, src, w, dst, c->strides, c->dilates, c->before, c->after);
    else
        s = dnnl_dilated_convolution_backward_weights_desc_init(
            &op, dnnl_convolution_direct, src, w, b, dst, c->strides, c->dilates, c->before, c->after);
    return make(p, &op, s, hint, what, e);
}

int make_deconvolution(struct primitive *p, const struct conv_desc *c, struct err *e)
{
    dnnl_deconvolution_desc_t op;
    dnnl_status_t s = dnnl_dilated_deconvolution_forward_desc_init(&op, dnnl_forward_inference,
        dnnl_deconvolution_direct, &c->src.v, &c->weights.v, c->has_bias ? &c->bias.v : NULL, &c->dst.v, c->strides,
        c->dilates, c->before, c->after);
    return make(p, &op, s, NULL, "deconvolution", e);
}

int make_pooling(struct primitive *p, dnnl_alg_kind_t alg, const struct pool_desc *d, struct err *e)
{
    dnnl_pooling_v2_desc_t op;
    dnnl_status_t s = dnnl_pooling_v2_forward_desc_init(&op, dnnl_forward_inference, alg, &d->src.v, &d->dst.v,
        d->strides, d->kernel, d->dilates, d->before, d->after);
    return make(p, &op, s, NULL, "pooling", e);
}

int make_eltwise(
    struct primitive *p, dnnl_alg_kind_t alg, const struct desc *d, float alpha, float beta, struct err *e)
{
    dnnl_eltwise_desc_t op;
    dnnl_status_t s = dnnl_eltwise_forward_desc_init(&op, dnnl_forward_inference, alg, &d->v, alpha, beta);
    return make(p, &op, s, NULL, "element-wise function", e);
}

int make_eltwise_backward(
    struct primitive *p, dnnl_alg_kind_t alg, const struct desc *d, float alpha, float beta, struct err *e)
{
    static const char what[] = "element-wise gradient";
    dnnl_eltwise_desc_t op;
    dnnl_primitive_desc_t hint;
    TRY(make_hint(p, &op, dnnl_eltwise_forward_desc_init(&op, dnnl_forward_training, alg, &d->v, alpha, beta), &hint,
        what, e));
    return make(p, &op, dnnl_eltwise_backward_desc_init(&op, alg, &d->v, &d->v, alpha, beta), hint, what, e);
}

int make_matmul(struct primitive *p, const struct desc *src, const struct desc *weights, const struct desc *bias,
    const struct desc *dst, struct err *e)
{
    dnnl_matmul_desc_t op;
    dnnl_status_t s = dnnl_matmul_desc_init(&op, &src->v, &weights->v, bias ? &bias->v : NULL, &dst->v);
    return make(p, &op, s, NULL, "matrix product", e);
}

int make_binary(struct primitive *p, dnnl_alg_kind_t alg, const struct desc *a, const struct desc *b,
    const struct desc *dst, struct err *e)
{
    dnnl_binary_desc_t op;
    return make(p, &op, dnnl_binary_desc_init(&op, alg, &a->v, &b->v, &dst->v), NULL, "binary operation", e);
}

/* The library wants its own descriptors side by side, which struct desc gives. */
int make_concat(struct primitive *p, int n, int axis, const struct desc *src, const struct desc *dst, struct err *e)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t s = dnnl_concat_primitive_desc_create(&pd, &dst->v, n, axis, &src->v, p->attr, cpu_engine());
    return made(p, pd, s, "concatenation", e);
}

int make_sum(struct primitive *p, int n, const struct desc *src, const struct desc *dst, struct err *e)
{
    float *ones = ARENA_ARRAY(p->arena, n, float);
    TRY_MEM(ones, e);
    for (int i = 0; i < n; i++) ones[i] = 1;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t s = dnnl_sum_primitive_desc_create(&pd, &dst->v, n, ones, &src->v, p->attr, cpu_engine());
    return made(p, pd, s, "sum", e);
}

int make_softmax_backward(struct primitive *p, bool log, const struct desc *d, int axis, struct err *e)
{
    dnnl_softmax_v2_desc_t op;
    dnnl_primitive_desc_t hint;
    dnnl_alg_kind_t alg = log ? dnnl_softmax_log : dnnl_softmax_accurate;
    TRY(make_hint(p, &op, dnnl_softmax_v2_forward_desc_init(&op, dnnl_forward_training, alg, &d->v, &d->v, axis), &hint,
        "softmax", e));
    return make(p, &op, dnnl_softmax_v2_backward_desc_init(&op, alg, &d->v, &d->v, &d->v, axis), hint,
        "softmax's gradient", e);
}

int make_batch_normalization(struct primitive *p, const struct desc *d, float epsilon, struct err *e)
{
    dnnl_batch_normalization_desc_t op;
    dnnl_status_t s = dnnl_batch_normalization_forward_desc_init(&op, dnnl_forward_inference, &d->v, epsilon,
        dnnl_use_global_stats | dnnl_use_scale | dnnl_use_shift);
    return make(p, &op, s, NULL, "batch normalization", e);
}

int make_layer_normalization(
    struct primitive *p, const struct desc *d, float epsilon, bool scale, bool shift, struct err *e)
{
    dnnl_layer_normalization_desc_t op;
    unsigned flags = (scale ? dnnl_use_scale : 0) | (shift ? dnnl_use_shift : 0);
    dnnl_status_t s =
        dnnl_layer_normalization_forward_desc_init(&op, dnnl_forward_inference, &d->v, NULL, epsilon, flags);
    return make(p, &op, s, NULL, "layer normalization", e);
}

int make_lrn(struct primitive *p, const struct desc *d, int64_t size, float alpha, float beta, float k, struct err *e)
{
    dnnl_lrn_desc_t op;
    dnnl_status_t s = dnnl_lrn_forward_desc_init(
        &op, dnnl_forward_inference, dnnl_lrn_across_channels, &d->v, size, alpha, beta, k);
    return make(p, &op, s, NULL, "local response normalization", e);
}

int make_prelu(struct primitive *p, const struct desc *d, const struct desc *slope, struct err *e)
{
    dnnl_prelu_desc_t op;
    return make(p, &op, dnnl_prelu_forward_desc_init(&op, dnnl_forward_inference, &d->v, &slope->v), NULL, "PReLU", e);
}

int make_reduction(
    struct primitive *p, dnnl_alg_kind_t alg, const struct desc *src, const struct desc *dst, struct err *e)
{
    dnnl_reduction_desc_t op;
    return make(p, &op, dnnl_reduction_desc_init(&op, alg, &src->v, &dst->v, 0, 0), NULL, "reduction", e);
}

int make_resampling(
    struct primitive *p, dnnl_alg_kind_t alg, const struct desc *src, const struct desc *dst, struct err *e)
{
    dnnl_resampling_desc_t op;
    dnnl_status_t s =
        dnnl_resampling_forward_desc_init(&op, dnnl_forward_inference, alg, NULL, &src->v, &dst->v);
    return make(p, &op, s, NULL, "resampling", e);
}

int make_reorder(struct primitive *p, const struct desc *from, const struct desc *to, struct err *e)
{
    dnnl_engine_t on = cpu_engine();
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t s = dnnl_reorder_primitive_desc_create(&pd, &from->v, on, &to->v, on, p->attr);
    return made(p, pd, s, "reorder", e);
}

int primitive_desc(const struct primitive *p, int arg, struct desc *d, struct err *e)
{
    const dnnl_memory_desc_t *v = dnnl_primitive_desc_query_md(*p->pd, dnnl_query_exec_arg_md, arg);
    if (!v) return fail(e, ERR_FAILED, "oneDNN does not know argument %d", arg);
    d->v = *v;
    return 0;
}

size_t primitive_work(const struct primitive *p)
{
    const dnnl_memory_desc_t *v = dnnl_primitive_desc_query_md(*p->pd, dnnl_query_scratchpad_md, 0);
    return v ? dnnl_memory_desc_get_size(v) : 0;
}

bool primitive_is_slow(const struct primitive *p)
{
    const char *name = NULL;
    dnnl_primitive_desc_query(*p->pd, dnnl_query_impl_info_str, 0, &name);
    return name && !strncmp(name, "ref", 3);
}

void primitive_forget(struct primitive *p)
{
    if (p->pd) close_pd(p->pd);
}

int primitive_finish(struct primitive *p, struct err *e)
{
    TRY(status_fail(dnnl_primitive_create(&p->made, *p->pd), "primitive", e));
    primitive_forget(p); /* equal primitives share one of these, of some hundred kilobytes */
    TRY(closes(p->arena, close_primitive, p->made, e));
    TRY(status_fail(dnnl_stream_create(&p->stream, cpu_engine(), dnnl_stream_default_flags), "stream", e));
    return closes(p->arena, close_stream, p->stream, e);
}
