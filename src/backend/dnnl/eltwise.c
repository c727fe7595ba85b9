/* eltwise.c - element-wise functions of one tensor, and their gradients, in whatever layout the tensor has. */
#include "backend/dnnl/eltwise.h"

#include <math.h>
#include <string.h>

#include "backend/dnnl/dnnl.h"
#include "backend/dnnl/layout.h"
#include "base/err.h"
#include "graph/op.h"

/* alpha: the name of the attribute; NULL: the constant beside it. Log is not here: the library's is 5e-6 off near 1. */
static const struct row {
    const char *op;
    dnnl_alg_kind_t alg;
    const char *alpha;
    float alpha_value;
    enum { VALUE, OF_X, OF_Y } kind; /* a gradient of (dy, x) or (dy, y) */
} rows[] = {
    { "Relu", dnnl_eltwise_relu, NULL, 0 },
    { "ReluGrad", dnnl_eltwise_relu_use_dst_for_bwd, NULL, 0, OF_Y },
    { "LeakyRelu", dnnl_eltwise_relu, "alpha", 0 },
    { "Elu", dnnl_eltwise_elu, "alpha", 0 },
    { "Sigmoid", dnnl_eltwise_logistic, NULL, 0 },
    { "SigmoidGrad", dnnl_eltwise_logistic_use_dst_for_bwd, NULL, 0, OF_Y },
    { "LogSigmoid", dnnl_eltwise_logsigmoid, NULL, 0 },
    { "Tanh", dnnl_eltwise_tanh, NULL, 0 },
    { "TanhGrad", dnnl_eltwise_tanh_use_dst_for_bwd, NULL, 0, OF_Y },
    { "HardSwish", dnnl_eltwise_hardswish, NULL, 0 },
    { "Swish", dnnl_eltwise_swish, "alpha", 0 },
    { "SwishGrad", dnnl_eltwise_swish, "alpha", 0, OF_X },
    { "Mish", dnnl_eltwise_mish, NULL, 0 },
    { "Softplus", dnnl_eltwise_soft_relu, NULL, 1 },
    { "Abs", dnnl_eltwise_abs, NULL, 0 },
    { "Neg", dnnl_eltwise_linear, NULL, -1 },
    { "Sqrt", dnnl_eltwise_sqrt, NULL, 0 },
    { "SqrtGrad", dnnl_eltwise_sqrt_use_dst_for_bwd, NULL, 0, OF_Y },
    { "Exp", dnnl_eltwise_exp, NULL, 0 },
    { "ExpGrad", dnnl_eltwise_exp_use_dst_for_bwd, NULL, 0, OF_Y },
    { "Round", dnnl_eltwise_round, NULL, 0 },
};

static const struct row *find(const char *op)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(rows[i].op, op)) return &rows[i];
    return NULL;
}

static bool bound(const struct node *n, int i, float absent, float *to)
{
    const struct value *v = node_in(n, i);
    *to = absent;
    if (!v) return true;
    const struct tensor *t = v->kind == VALUE_STATE && v->next ? NULL : v->data;
    if (!t || tensor_count(t) != 1) return false;
    *to = (float)tensor_get_f64(t, 0);
    return true;
}

bool eltwise_named(const char *op, double alpha, double beta, struct eltwise *f)
{
    const struct row *r = find(op);
    *f = (struct eltwise){ .alpha = (float)alpha, .beta = (float)beta };
    if (!strcmp(op, "Clip")) return f->alg = dnnl_eltwise_clip_v2, true;
    if (!strcmp(op, "Gelu")) return f->alg = alpha != 0 ? dnnl_eltwise_gelu_tanh : dnnl_eltwise_gelu_erf, true;
    if (!r || r->kind != VALUE) return false;
    f->alg = r->alg;
    if (!r->alpha) f->alpha = r->alpha_value;
    return true;
}

int eltwise_of(const struct node *n, struct eltwise *f, struct err *e)
{
    const char *op = n->op->name;
    if (!strcmp(op, "Gelu") || !strcmp(op, "GeluGrad")) {
        bool is_tanh = !strcmp(node_string(n, "approximate"), "tanh");
        *f = (struct eltwise){ .alg = is_tanh ? dnnl_eltwise_gelu_tanh : dnnl_eltwise_gelu_erf, .backward = op[4] };
        return 0;
    }
    if (!strcmp(op, "Clip")) {
        *f = (struct eltwise){ .alg = dnnl_eltwise_clip_v2 };
        if (bound(n, 1, -INFINITY, &f->alpha) && bound(n, 2, INFINITY, &f->beta)) return 0;
        return fail(e, ERR_UNSUPPORTED, "the bounds are not constants");
    }
    const struct row *r = find(op);
    if (!r) return fail(e, ERR_UNSUPPORTED, "not one of oneDNN's functions");
    float alpha = r->alpha ? (float)node_float(n, r->alpha) : r->alpha_value;
    *f = (struct eltwise){ r->alg, alpha, 0, r->kind, r->kind == OF_Y };
    return 0;
}

int fused_follow(struct job *j, struct err *e)
{
    struct eltwise f;
    const struct node *n = j->step->node;
    const char *activation = node_string(n, "activation");
    if (job_tensor(j->step, 3)) TRY(primitive_then_sum(&j->primitive, e));
    if (!activation[0]) return 0;
    if (!eltwise_named(activation, node_float(n, "alpha"), node_float(n, "beta"), &f))
        return fail(e, ERR_UNSUPPORTED, "no activation %s", activation);
    return primitive_then_eltwise(&j->primitive, f.alg, f.alpha, f.beta, e);
}

void fused_sum(struct step *s)
{
    if (job_tensor(s, 3)) s->sums_into = 3, s->want_in[3] = s->want_out[0];
}

int fused_run(const struct step *s, struct err *e)
{
    const struct tensor *to = s->out[0], *residual = job_tensor(s, 3);
    size_t bytes = to->layout ? to->layout->bytes : (size_t)tensor_bytes(to);
    if (residual && residual->data != to->data) memcpy(to->data, residual->data, bytes);
    return job_run(s, e);
}

/* A plain tensor of any rank is a list of numbers. */
static int flat(const struct tensor *t, struct desc *d, bool *is_flat, struct err *e)
{
    struct desc plain;
    int64_t count = tensor_count(t);
    TRY(plain_desc(t, &plain, e));
    TRY(present_desc(t, d, e));
    *is_flat = desc_same(&plain, d);
    if (!*is_flat) return 0;
    TRY(desc_strided(d, 1, &count, NULL, e));
    return desc_set_type(d, t->dtype, e);
}

int eltwise_prepare(struct step *s, struct err *e)
{
    struct eltwise f;
    struct desc d, plain;
    bool is_flat;
    TRY(eltwise_of(s->node, &f, e));
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    TRY(flat(s->in[f.backward && s->in[1]->layout], &d, &is_flat, e));
    if (is_flat) plain = d;
    else TRY(plain_desc(s->in[0], &plain, e));
    int data = f.backward && f.reads_y ? DNNL_ARG_DST : DNNL_ARG_SRC;
    if (f.backward) {
        TRY(make_eltwise_backward(&j->primitive, f.alg, &d, f.alpha, f.beta, e));
        TRY(job_in(j, DNNL_ARG_DIFF_DST, 0, &plain, e));
        TRY(job_in(j, data, 1, &plain, e));
        TRY(job_out(j, DNNL_ARG_DIFF_SRC, 0, &plain, e));
    } else {
        TRY(make_eltwise(&j->primitive, f.alg, &d, f.alpha, f.beta, e));
        TRY(job_in(j, data, 0, &plain, e));
        TRY(job_out(j, DNNL_ARG_DST, 0, &plain, e));
    }
    return job_end(j, e);
}
