/* pool.c - maximum and mean of sliding windows, and of everything, in the layout the input has. */
#include <string.h>

#include "backend/dnnl/dnnl.h"
#include "backend/dnnl/layout.h"
#include "base/err.h"
#include "graph/op.h"
#include "ops/conv_shape.h"

static int sliding(const struct step *s, struct pool_desc *d, bool include, struct err *e)
{
    int64_t kernel[WINDOW_AXES];
    int spatial;
    struct window w;
    TRY(window_kernel(s->node, &s->in[0]->shape, NULL, kernel, &spatial, e));
    TRY(window_init(&w, s->node, &s->in[0]->shape, kernel, e));
    for (int i = 0; i < w.spatial; i++) {
        int a = WINDOW_AXES - w.spatial + i;
        int64_t reach = (w.kernel[a] - 1) * w.dilation[a] + 1;
        d->kernel[i] = w.kernel[a];
        d->strides[i] = w.stride[a];
        d->dilates[i] = w.dilation[a] - 1;
        d->before[i] = w.before[a];
        d->after[i] = (w.out[a] - 1) * w.stride[a] + reach - w.in[a] - w.before[a];
        if (w.before[a] < 0 || w.after[a] < 0) return fail(e, ERR_UNSUPPORTED, "a padding that crops");
        if (w.before[a] >= reach || d->after[i] >= reach) return fail(e, ERR_UNSUPPORTED, "windows without an input");
        if (include && d->after[i] > w.after[a])
            return fail(e, ERR_UNSUPPORTED, "a mean over padding with windows that hang out of it");
    }
    return 0;
}

static int global(const struct step *s, struct pool_desc *d, struct err *e)
{
    const struct shape *x = &s->in[0]->shape;
    if (x->rank < 3 || x->rank > 2 + WINDOW_AXES) return fail(e, ERR_UNSUPPORTED, "rank %d", x->rank);
    for (int i = 0; i < x->rank - 2; i++) d->kernel[i] = x->dim[2 + i], d->strides[i] = 1;
    return 0;
}

static int windows(const struct step *s, struct pool_desc *d, dnnl_alg_kind_t *how, struct err *e)
{
    const struct node *n = s->node;
    bool is_max = strstr(n->op->name, "Max"), include = !is_max && node_int(n, "count_include_pad");
    *how = include ? dnnl_pooling_avg_include_padding : dnnl_pooling_avg_exclude_padding;
    if (is_max) *how = dnnl_pooling_max;
    if (n->n_out > 1) return fail(e, ERR_UNSUPPORTED, "the positions of the maxima are wanted");
    if (node_int(n, "divisor")) return fail(e, ERR_UNSUPPORTED, "a divisor of its own");
    return node_has(n, "kernel_shape") ? sliding(s, d, include, e) : global(s, d, e);
}

int pool_prepare(struct step *s, struct err *e)
{
    struct pool_desc d = { 0 };
    struct desc plain_in, plain_out;
    const struct shape *y = &s->out[0]->shape;
    dnnl_alg_kind_t how;
    TRY(windows(s, &d, &how, e));
    TRY(plain_desc(s->in[0], &plain_in, e));
    TRY(plain_desc(s->out[0], &plain_out, e));
    TRY(present_desc(s->in[0], &d.src, e));
    TRY(desc_any(&d.dst, y->rank, y->dim, e));
    TRY(desc_set_type(&d.dst, s->out[0]->dtype, e));
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    TRY(make_pooling(&j->primitive, how, &d, e));
    TRY(job_in(j, DNNL_ARG_SRC, 0, &plain_in, e));
    TRY(job_out(j, DNNL_ARG_DST, 0, &plain_out, e));
    return job_end(j, e);
}
