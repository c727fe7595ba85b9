/* conv.c - convolutions, their gradients and transposed convolutions, in the layouts oneDNN likes best. */
#include "backend/dnnl/conv.h"

#include <string.h>

#include "backend/dnnl/dnnl.h"
#include "backend/dnnl/eltwise.h"
#include "backend/dnnl/layout.h"
#include "base/err.h"
#include "base/str.h"
#include "graph/op.h"
#include "ops/conv_core.h"

static int windows(const struct window *w, struct conv_desc *c, struct err *e)
{
    int first = WINDOW_AXES - w->spatial;
    for (int i = 0; i < w->spatial; i++) {
        int a = first + i;
        int64_t reach = (w->kernel[a] - 1) * w->dilation[a] + 1;
        c->strides[i] = w->stride[a];
        c->dilates[i] = w->dilation[a] - 1;
        c->before[i] = w->before[a];
        c->after[i] = (w->out[a] - 1) * w->stride[a] + reach - w->in[a] - w->before[a];
        if (w->before[a] < 0 || w->after[a] < 0) return fail(e, ERR_UNSUPPORTED, "a padding that crops");
    }
    return 0;
}

/* (groups, M, C, kernel...); `turned`: row-major memory is (groups, C, M, kernel...). */
static int weight_descs(const struct conv *c, bool turned, struct conv_shapes *s, struct err *e)
{
    int64_t dims[2 + 1 + WINDOW_AXES], strides[2 + 1 + WINDOW_AXES], kernel = 1;
    int spatial = c->window.spatial, at = c->groups > 1, rank = at + 2 + spatial;
    for (int i = spatial - 1; i >= 0; i--) {
        dims[at + 2 + i] = c->window.kernel[WINDOW_AXES - spatial + i];
        strides[at + 2 + i] = kernel;
        kernel *= dims[at + 2 + i];
    }
    dims[at] = turned ? c->c : c->m; /* outputs of the operation that oneDNN is asked for */
    dims[at + 1] = turned ? c->m : c->c;
    strides[at] = turned ? kernel : kernel * c->c;
    strides[at + 1] = turned ? kernel * c->c : kernel;
    if (at) dims[0] = c->groups, strides[0] = kernel * c->c * c->m;
    TRY(desc_any(&s->any.weights, rank, dims, e));
    return desc_strided(&s->plain.weights, rank, dims, strides, e);
}

static int both(const struct shape *t, struct desc *any, struct desc *plain, struct err *e)
{
    TRY(desc_any(any, t->rank, t->dim, e));
    return desc_strided(plain, t->rank, t->dim, NULL, e);
}

int conv_shapes_of(const struct node *n, bool transposed, const struct shape *x, const struct shape *w,
    const struct shape *y, bool bias, struct conv_shapes *s, struct err *e)
{
    struct conv c = { 0 };
    struct shape result;
    TRY(conv_resolve(n, transposed, transposed ? y : x, w, &result, &c, e));
    *s = (struct conv_shapes){ 0 };
    TRY(windows(&c.window, &s->any, e));
    TRY(weight_descs(&c, transposed, s, e));
    TRY(both(transposed ? y : x, &s->any.src, &s->plain.src, e));
    TRY(both(transposed ? x : y, &s->any.dst, &s->plain.dst, e));
    s->any.has_bias = bias;
    int64_t channels = c.groups * (transposed ? c.c : c.m);
    TRY(desc_strided(&s->any.bias, 1, &channels, NULL, e));
    s->plain.bias = s->any.bias;
    return 0;
}

/* All tensors of type t. */
static int typed(struct conv_shapes *s, enum dtype t, struct err *e)
{
    struct desc *all[] = { &s->any.src, &s->any.weights, &s->any.bias, &s->any.dst, &s->plain.src, &s->plain.weights,
        &s->plain.bias, &s->plain.dst };
    for (int i = 0; i < 8 && t != DT_F32; i++) TRY(desc_set_type(all[i], t, e));
    return 0;
}

static int forward_args(struct job *j, const struct conv_shapes *s, struct err *e)
{
    TRY(job_in(j, DNNL_ARG_SRC, 0, &s->plain.src, e));
    TRY(job_in(j, DNNL_ARG_WEIGHTS, 1, &s->plain.weights, e));
    if (s->any.has_bias) TRY(job_in(j, DNNL_ARG_BIAS, 2, &s->plain.bias, e));
    return job_out(j, DNNL_ARG_DST, 0, &s->plain.dst, e);
}

/* Other ways than the library's first choice, by the kernel's name: images in blocks of channels, and these by its own
 * Winograd transform. Only a recipe asks for them. */
static int by_name(const struct step *s, const char *name, struct conv_shapes *d, struct err *e)
{
    if (!strcmp(name, "dnnl")) return 0;
    TRY(desc_blocked(&d->any.src, desc_rank(&d->any.src), desc_dims(&d->any.src), e));
    TRY(desc_blocked(&d->any.dst, desc_rank(&d->any.dst), desc_dims(&d->any.dst), e));
    d->any.winograd = !strcmp(name, "dnnl-winograd");
    return 0;
}

static int plain_conv(struct step *s, const char *name, struct err *e)
{
    struct conv_shapes d;
    bool bias = job_tensor(s, 2);
    TRY(conv_shapes_of(s->node, false, &s->in[0]->shape, &s->in[1]->shape, &s->out[0]->shape, bias, &d, e));
    TRY(typed(&d, s->out[0]->dtype, e));
    TRY(by_name(s, name, &d, e));
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    TRY(make_convolution(&j->primitive, FORWARD, &d.any, e));
    TRY(forward_args(j, &d, e));
    return job_end(j, e);
}

/* in: x, weight, bias, residual */
static int fused_conv(struct step *s, const char *name, struct err *e)
{
    struct conv_shapes d;
    bool bias = job_tensor(s, 2);
    TRY(conv_shapes_of(s->node, false, &s->in[0]->shape, &s->in[1]->shape, &s->out[0]->shape, bias, &d, e));
    TRY(typed(&d, s->out[0]->dtype, e));
    TRY(by_name(s, name, &d, e));
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    TRY(fused_follow(j, e));
    TRY(make_convolution(&j->primitive, FORWARD, &d.any, e));
    if (primitive_is_slow(&j->primitive)) return fail(e, ERR_UNSUPPORTED, "oneDNN is slow with what follows");
    TRY(forward_args(j, &d, e));
    fused_sum(s);
    return job_end(j, e);
}

#define CONV(way, name) \
    int conv_##way##prepare(struct step *s, struct err *e) \
    { \
        return (node_is(s->node, "Conv") ? plain_conv : fused_conv)(s, name, e); \
    }
CONV(, "dnnl")
CONV(blocked_, "dnnl-blocked")
CONV(winograd_, "dnnl-winograd")

int conv_transpose_prepare(struct step *s, struct err *e)
{
    struct conv_shapes d;
    bool bias = job_tensor(s, 2);
    TRY(conv_shapes_of(s->node, true, &s->out[0]->shape, &s->in[1]->shape, &s->in[0]->shape, bias, &d, e));
    TRY(typed(&d, s->out[0]->dtype, e));
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    TRY(make_deconvolution(&j->primitive, &d.any, e));
    TRY(forward_args(j, &d, e));
    return job_end(j, e);
}

/* The input that only tells a shape stays as it is. */
static void leave(struct step *s, int i)
{
    s->want_in[i] = s->in[i]->layout;
}

/* A gradient's factors have one type, float32 or bfloat16; what they give is of the same or float32. The third input
 * only tells a shape. */
bool conv_grad_accepts(const struct step *s, struct str *why)
{
    enum dtype t = s->in[0]->dtype, to = s->out[0]->dtype;
    bool there = tensor_count(s->in[0]) && tensor_count(s->in[1]) && tensor_count(s->out[0]);
    const char *text = NULL;
    if (!cpu_engine()) text = "oneDNN cannot run here";
    else if (!there) text = "an empty tensor";
    else if (t != s->in[1]->dtype || (to != t && to != DT_F32)) text = "several types";
    else if (t != DT_F32 && t != DT_BF16) text = "neither float32 nor bfloat16";
    else if (t == DT_BF16 && !cpu_multiplies_bf16()) text = "no instructions for bfloat16";
    if (text && why) str_add(why, text);
    return !text;
}

static int result_typed(struct desc *any, struct desc *plain, enum dtype t, struct err *e)
{
    TRY(desc_set_type(any, t, e));
    return desc_set_type(plain, t, e);
}

/* in: dy, weight, something shaped as x */
int conv_grad_input_prepare(struct step *s, struct err *e)
{
    struct conv_shapes d;
    TRY(conv_shapes_of(s->node, false, &s->out[0]->shape, &s->in[1]->shape, &s->in[0]->shape, false, &d, e));
    TRY(typed(&d, s->in[0]->dtype, e));
    TRY(result_typed(&d.any.src, &d.plain.src, s->out[0]->dtype, e));
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    TRY(make_convolution(&j->primitive, BACKWARD_DATA, &d.any, e));
    TRY(job_in(j, DNNL_ARG_DIFF_DST, 0, &d.plain.dst, e));
    TRY(job_in(j, DNNL_ARG_WEIGHTS, 1, &d.plain.weights, e));
    TRY(job_out(j, DNNL_ARG_DIFF_SRC, 0, &d.plain.src, e));
    leave(s, 2);
    return job_end(j, e);
}

/* in: dy, x, something shaped as the weight */
int conv_grad_weight_prepare(struct step *s, struct err *e)
{
    struct conv_shapes d;
    TRY(conv_shapes_of(s->node, false, &s->in[1]->shape, &s->out[0]->shape, &s->in[0]->shape, false, &d, e));
    TRY(typed(&d, s->in[0]->dtype, e));
    TRY(result_typed(&d.any.weights, &d.plain.weights, s->out[0]->dtype, e));
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    TRY(make_convolution(&j->primitive, BACKWARD_WEIGHTS, &d.any, e));
    TRY(job_in(j, DNNL_ARG_DIFF_DST, 0, &d.plain.dst, e));
    TRY(job_in(j, DNNL_ARG_SRC, 1, &d.plain.src, e));
    TRY(job_out(j, DNNL_ARG_DIFF_WEIGHTS, 0, &d.plain.weights, e));
    leave(s, 2);
    return job_end(j, e);
}
