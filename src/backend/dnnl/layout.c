/* layout.c - oneDNN's memory forms as layouts of the plan, and the steps that take and give them. */
#include "backend/dnnl/layout.h"

#include "backend/backend.h"
#include "backend/dnnl/dnnl.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

bool job_accepts_bf16(const struct step *s, struct str *why)
{
    int n = s->node->n_in, narrow = 0, all = 0;
    for (int i = 0; i < n + s->node->n_out; i++) {
        const struct tensor *t = i < n ? s->in[i] : s->out[i - n];
        all += t != NULL;
        narrow += t && t->dtype == DT_BF16 && tensor_count(t) > 0;
    }
    if (!narrow) return job_accepts(s, why);
    if (narrow == all && cpu_multiplies_bf16()) return true;
    if (why) str_add(why, narrow == all ? "no instructions for bfloat16" : "bfloat16 beside another type");
    return false;
}

static bool is_taken(const struct tensor *t, struct str *why)
{
    if (!t || (t->dtype == DT_F32 && tensor_count(t) > 0)) return true;
    if (why) str_add(why, t->dtype == DT_F32 ? "an empty tensor" : "not float32");
    return false;
}

static bool is_there(struct str *why)
{
    if (!cpu_engine() && why) str_add(why, "oneDNN cannot run here");
    return cpu_engine();
}

bool job_accepts(const struct step *s, struct str *why)
{
    if (!is_there(why)) return false;
    for (int i = 0; i < s->node->n_in; i++)
        if (!is_taken(s->in[i], why)) return false;
    for (int i = 0; i < s->node->n_out; i++)
        if (!is_taken(s->out[i], why)) return false;
    return true;
}

bool job_accepts_first(const struct step *s, struct str *why)
{
    return is_there(why) && is_taken(s->in[0], why) && is_taken(s->out[0], why);
}

int plain_desc(const struct tensor *t, struct desc *d, struct err *e)
{
    int64_t one = 1;
    TRY(t->shape.rank ? desc_strided(d, t->shape.rank, t->shape.dim, NULL, e) : desc_strided(d, 1, &one, NULL, e));
    return t->dtype == DT_BF16 ? desc_set_type(d, DT_BF16, e) : 0;
}

int present_desc(const struct tensor *t, struct desc *d, struct err *e)
{
    TRY(plain_desc(t, d, e));
    if (!t->layout || t->layout->backend != &backend_dnnl) return 0;
    const struct dnnl_layout *l = (const struct dnnl_layout *)t->layout;
    if (desc_same(&l->plain, d)) *d = l->own;
    return 0;
}

int last_desc(const struct tensor *t, struct desc *d, struct err *e)
{
    const struct shape *s = &t->shape;
    int64_t strides[SHAPE_MAX], step = s->dim[1];
    for (int i = s->rank - 1; i >= 2; i--) {
        strides[i] = step;
        step *= s->dim[i];
    }
    strides[1] = 1;
    strides[0] = step;
    TRY(desc_strided(d, s->rank, s->dim, strides, e));
    return desc_set_type(d, t->dtype, e);
}

static bool is_row_major(const struct desc *d)
{
    struct desc plain;
    struct err e = { 0 };
    if (desc_strided(&plain, desc_rank(d), desc_dims(d), NULL, &e)) return false;
    plain.v.data_type = d->v.data_type;
    return desc_same(&plain, d);
}

int layout_make(
    struct arena *a, const struct desc *plain, const struct desc *own, const struct layout **to, struct err *e)
{
    *to = NULL;
    if (desc_same(plain, own)) return 0;
    struct dnnl_layout *l = ARENA_NEW(a, struct dnnl_layout);
    TRY_MEM(l, e);
    *l = (struct dnnl_layout){ { &backend_dnnl, desc_bytes(own), desc_rank(own) }, *plain, *own };
    if (is_row_major(plain)) l->base.block = desc_block(own);
    *to = &l->base;
    return 0;
}

struct job *job_begin(struct step *s, struct err *e)
{
    struct job *j = ARENA_NEW(s->arena, struct job);
    if (!j) return fail_nomem(e), NULL;
    j->step = s;
    s->priv = j;
    return primitive_init(&j->primitive, s->arena, e) ? NULL : j;
}

static void close_memory(void *p)
{
    dnnl_memory_destroy(p);
}

int job_arg(struct job *j, int arg, struct tensor **from, const struct desc *d, struct err *e)
{
    if (j->n == JOB_ARGS) return fail(e, ERR_UNSUPPORTED, "more than %d operands", JOB_ARGS);
    dnnl_memory_t m;
    TRY(status_fail(dnnl_memory_create(&m, &d->v, cpu_engine(), DNNL_MEMORY_NONE), "memory", e));
    if (arena_closer(j->step->arena, close_memory, m)) return fail_nomem(e);
    j->from[j->n] = from;
    j->args[j->n++] = (dnnl_exec_arg_t){ arg, m };
    return 0;
}

/* Keeps the layout that is there when it is the same, so that it can be handed on without a new one. */
static int want(struct job *j, int arg, const struct layout **to, const struct tensor *t, const struct desc *plain,
    struct desc *own, struct err *e)
{
    TRY(primitive_desc(&j->primitive, arg, own, e));
    TRY(layout_make(j->step->arena, plain, own, to, e));
    const struct tensor *x = t ? t : job_tensor(j->step, 0);
    if (*to && x && x->layout && x->layout->backend == &backend_dnnl && backend_dnnl.layout_same(*to, x->layout))
        *to = x->layout;
    return 0;
}

int job_in(struct job *j, int arg, int i, const struct desc *plain, struct err *e)
{
    struct desc own;
    TRY(want(j, arg, &j->step->want_in[i], j->step->in[i], plain, &own, e));
    return job_arg(j, arg, &j->step->in[i], &own, e);
}

int job_out(struct job *j, int arg, int i, const struct desc *plain, struct err *e)
{
    struct desc own;
    TRY(want(j, arg, &j->step->want_out[i], NULL, plain, &own, e));
    return job_arg(j, arg, &j->step->out[i], &own, e);
}

int job_end(struct job *j, struct err *e)
{
    size_t work = primitive_work(&j->primitive);
    if (work) {
        struct desc d;
        TRY(primitive_desc(&j->primitive, DNNL_ARG_SCRATCHPAD, &d, e));
        TRY(job_arg(j, DNNL_ARG_SCRATCHPAD, NULL, &d, e));
    }
    j->step->work_bytes = work;
    return primitive_finish(&j->primitive, e);
}

int job_run(const struct step *s, struct err *e)
{
    struct job *j = s->priv;
    for (int i = 0; i < j->n; i++) {
        void *data = j->from[i] ? (*j->from[i])->data : s->work;
        TRY(status_fail(dnnl_memory_set_data_handle(j->args[i].memory, data), "memory", e));
    }
    TRY(status_fail(dnnl_primitive_execute(j->primitive.made, j->primitive.stream, j->n, j->args), "primitive", e));
    return status_fail(dnnl_stream_wait(j->primitive.stream), "stream", e);
}

/* Of the backend. */

bool layout_same(const struct layout *a, const struct layout *b)
{
    const struct dnnl_layout *x = (const struct dnnl_layout *)a, *y = (const struct dnnl_layout *)b;
    return desc_same(&x->plain, &y->plain) && desc_same(&x->own, &y->own);
}

struct layout *layout_copy(const struct layout *l, struct arena *a, struct err *e)
{
    struct dnnl_layout *copy = ARENA_NEW(a, struct dnnl_layout);
    if (!copy) return fail_nomem(e), NULL;
    *copy = *(const struct dnnl_layout *)l;
    return &copy->base;
}

const struct layout *layout_alike(
    const struct layout *l, const struct shape *shape, struct arena *a, struct err *e)
{
    const struct dnnl_layout *of = (const struct dnnl_layout *)l;
    const struct layout *to = NULL;
    struct desc plain, own;
    if (desc_strided(&plain, shape->rank, shape->dim, NULL, e)) return NULL;
    plain.v.data_type = of->own.v.data_type;
    if (desc_alike(&own, &of->own, shape->rank, shape->dim, e))
        return NULL;
    return layout_make(a, &plain, &own, &to, e) ? NULL : to;
}

const struct layout *layout_last(const struct tensor *t, struct arena *a, struct err *e)
{
    const struct layout *to = NULL;
    struct desc plain, own;
    bool taken = (t->dtype == DT_F32 || t->dtype == DT_BF16) && t->shape.rank > 2 && tensor_count(t) > 0;
    if (!taken || !cpu_engine() || plain_desc(t, &plain, e) || last_desc(t, &own, e)) return NULL;
    return layout_make(a, &plain, &own, &to, e) ? NULL : to;
}

int reorder_prepare(struct step *s, const struct layout *from, const struct layout *to, struct err *e)
{
    const struct dnnl_layout *a = (const struct dnnl_layout *)from, *b = (const struct dnnl_layout *)to;
    if (a && b && !desc_same(&a->plain, &b->plain))
        return fail(e, ERR_UNSUPPORTED, "two layouts of different dimensions");
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    const struct desc *source = a ? &a->own : &b->plain, *target = b ? &b->own : &a->plain;
    TRY(make_reorder(&j->primitive, source, target, e));
    TRY(job_arg(j, DNNL_ARG_FROM, &s->in[0], source, e));
    TRY(job_arg(j, DNNL_ARG_TO, &s->out[0], target, e));
    return job_end(j, e);
}

size_t part_bytes(const struct layout *to)
{
    const struct dnnl_layout *l = (const struct dnnl_layout *)to;
    int64_t rows;
    int d = desc_outer(&l->plain, &l->own, &rows);
    return d < 0 ? 0 : desc_bytes(&l->plain) / (size_t)desc_dims(&l->plain)[d] * (size_t)rows;
}

int part_prepare(struct step *s, const struct layout *to, size_t at, size_t bytes, struct err *e)
{
    const struct dnnl_layout *l = (const struct dnnl_layout *)to;
    struct desc from, part;
    int64_t rows;
    int d = desc_outer(&l->plain, &l->own, &rows);
    if (d < 0) return fail(e, ERR_UNSUPPORTED, "no parts of this form");
    size_t row = desc_bytes(&l->plain) / (size_t)desc_dims(&l->plain)[d];
    struct job *j = job_begin(s, e);
    if (!j) return e->code;
    TRY(desc_part(&part, &l->own, d, (int64_t)(at / row), (int64_t)(bytes / row), e));
    TRY(desc_cut(&from, &l->plain, d, (int64_t)(bytes / row), e));
    TRY(make_reorder(&j->primitive, &from, &part, e));
    TRY(job_arg(j, DNNL_ARG_FROM, &s->in[0], &from, e));
    TRY(job_arg(j, DNNL_ARG_TO, &s->out[0], &part, e));
    return job_end(j, e);
}
