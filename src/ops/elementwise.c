/* elementwise.c - the element-wise loop with broadcasting. */
#include "ops/elementwise.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/team.h"

enum { BLOCK = 256, MAX_IN = LOOP_MAX - 1 };

void broadcast_strides(const struct shape *s, const struct shape *to, int64_t *strides)
{
    int64_t own[SHAPE_MAX];
    shape_strides(s, own);
    int skip = to->rank - s->rank;
    for (int d = 0; d < to->rank; d++) strides[d] = d < skip || s->dim[d - skip] == 1 ? 0 : own[d - skip];
}

void loop_init(struct loop *l, int rank, const int64_t *size, int n, const int64_t *const *strides)
{
    *l = (struct loop){ .rank = rank, .n = n, .ok = true };
    for (int d = 0; d < rank; d++) {
        l->size[d] = size[d];
        if (!size[d]) l->ok = false;
        for (int k = 0; k < n; k++) l->stride[k][d] = strides[k][d];
    }
}

void loop_next(struct loop *l)
{
    for (int d = l->rank - 1; d >= 0; d--) {
        for (int k = 0; k < l->n; k++) l->at[k] += l->stride[k][d];
        if (++l->index[d] < l->size[d]) return;
        for (int k = 0; k < l->n; k++) l->at[k] -= l->stride[k][d] * l->size[d];
        l->index[d] = 0;
    }
    l->ok = false;
}

static void *at(const struct tensor *t, int64_t offset)
{
    return (unsigned char *)t->data + (size_t)offset * dtype_size(t->dtype);
}

struct job {
    const struct step *s;
    const struct elementwise *m;
    const double *p;
    struct tensor *const *in;
    int n_in;
    enum { FLOATS, INTEGERS, UNSIGNED } domain;
    struct shape shape;           /* of the output, dimensions merged */
    int64_t (*stride)[SHAPE_MAX]; /* inputs, then the output */
};

union block {
    double f[BLOCK];
    int64_t i[BLOCK];
    uint64_t u[BLOCK];
};

/* Loads n elements with a stride of 0 or 1 as 8-byte numbers of the job's domain. */
static void load_run(const struct job *j, int k, int64_t offset, int64_t n, union block *buf)
{
    const struct tensor *t = j->in[k];
    bool repeat = !j->stride[k][j->shape.rank - 1];
    if (j->domain == FLOATS) load_f64(t->dtype, at(t, offset), repeat ? 1 : n, buf->f);
    else load_i64(t->dtype, at(t, offset), repeat ? 1 : n, buf->i);
    for (int64_t i = 1; repeat && i < n; i++) buf->u[i] = buf->u[0];
}

static void apply(const struct job *j, union block *const *in, int n_in, union block *out, int64_t n)
{
    const double *f[MAX_IN];
    const int64_t *i[MAX_IN];
    const uint64_t *u[MAX_IN];
    for (int k = 0; k < n_in; k++) f[k] = in[k]->f, i[k] = in[k]->i, u[k] = in[k]->u;
    if (j->domain == FLOATS) j->m->f(n, f, out->f, j->p);
    else if (j->domain == INTEGERS) j->m->i(n, i, out->i, j->p);
    else j->m->u(n, u, out->u, j->p);
}

static int64_t offset_of(const struct job *j, int k, const int64_t *index)
{
    int64_t offset = 0;
    for (int d = 0; d < j->shape.rank; d++) offset += index[d] * j->stride[k][d];
    return offset;
}

static void map_block(const struct job *j, const int64_t *index, int64_t n, union block *out)
{
    union block in[MAX_IN], *list[MAX_IN];
    for (int k = 0; k < j->n_in; k++) {
        load_run(j, k, offset_of(j, k, index), n, &in[k]);
        list[k] = &in[k];
    }
    apply(j, list, j->n_in, out, n);
}

static void fold_block(const struct job *j, const int64_t *index, int64_t n, union block *out)
{
    union block next;
    load_run(j, 0, offset_of(j, 0, index), n, out);
    for (int k = 1; k < j->n_in; k++) {
        load_run(j, k, offset_of(j, k, index), n, &next);
        apply(j, (union block *[]){ out, &next }, 2, out, n);
    }
    if (j->m->last && j->domain == FLOATS) j->m->last(n, (const double *[]){ out->f }, out->f, j->p);
}

static void apply_block(const struct job *j, const int64_t *index, int64_t n)
{
    union block out;
    if (j->m->fold) fold_block(j, index, n, &out);
    else map_block(j, index, n, &out);
    struct tensor *y = j->s->out[0];
    void *to = at(y, offset_of(j, j->n_in, index));
    if (j->domain == FLOATS) store_f64(y->dtype, to, n, out.f);
    else store_i64(y->dtype, to, n, out.i);
}

static void apply_rows(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    int last = j->shape.rank - 1;
    int64_t len = j->shape.dim[last], index[SHAPE_MAX];
    for (int64_t row = begin; row < end; row++) {
        int64_t rest = row;
        for (int d = last - 1; d >= 0; d--) {
            index[d] = rest % j->shape.dim[d];
            rest /= j->shape.dim[d];
        }
        for (index[last] = 0; index[last] < len; index[last] += BLOCK)
            apply_block(j, index, len - index[last] < BLOCK ? len - index[last] : BLOCK);
    }
}

/* Merges dimensions d and d+1 wherever every operand walks them as one. */
static void merge_dims(struct job *j)
{
    int n = j->n_in + 1;
    for (int d = j->shape.rank - 2; d >= 0; d--) {
        bool one = true;
        for (int k = 0; k < n; k++) one &= j->stride[k][d] == j->stride[k][d + 1] * j->shape.dim[d + 1];
        if (!one) continue;
        j->shape.dim[d] *= j->shape.dim[d + 1];
        for (int k = 0; k < n; k++) j->stride[k][d] = j->stride[k][d + 1];
        for (int q = d + 1; q < j->shape.rank - 1; q++) {
            j->shape.dim[q] = j->shape.dim[q + 1];
            for (int k = 0; k < n; k++) j->stride[k][q] = j->stride[k][q + 1];
        }
        j->shape.rank--;
    }
}

/* One long row is cut in two dimensions, so that threads can share it. */
static void split_row(struct job *j)
{
    int64_t len = j->shape.dim[0], rows = len / BLOCK;
    if (j->shape.rank != 1 || len % BLOCK || rows < 2) return;
    j->shape = shape_of(2, (int64_t[]){ rows, BLOCK });
    for (int k = 0; k <= j->n_in; k++) {
        j->stride[k][1] = j->stride[k][0];
        j->stride[k][0] *= BLOCK;
    }
}

static void prepare(struct job *j)
{
    const struct step *s = j->s;
    j->shape = s->out[0]->shape;
    for (int k = 0; k < j->n_in; k++) broadcast_strides(&j->in[k]->shape, &j->shape, j->stride[k]);
    shape_strides(&j->shape, j->stride[j->n_in]);
    if (!j->shape.rank) {
        j->shape = shape_of(1, (int64_t[]){ 1 });
        for (int k = 0; k <= j->n_in; k++) j->stride[k][0] = 1;
    }
    merge_dims(j);
    split_row(j);
}

int elementwise_run_on(const struct step *s, const struct elementwise *m, const double *p, struct tensor *const *in,
    int n_in, struct err *e)
{
    if (n_in > MAX_IN && !m->fold) return fail(e, ERR_UNSUPPORTED, "%d inputs", n_in);
    bool floats = dtype_is_float(s->out[0]->dtype) && !m->i;
    for (int k = 0; k < n_in; k++) floats |= dtype_is_float(in[k]->dtype);
    struct job j = { .s = s, .m = m, .p = p, .in = in, .n_in = n_in };
    if (!m->f || (!floats && m->i)) j.domain = m->u && in[0]->dtype == DT_U64 ? UNSIGNED : INTEGERS;
    j.stride = arena_array(s->scratch, (size_t)n_in + 1, sizeof *j.stride);
    TRY_MEM(j.stride, e);
    prepare(&j);
    int last = j.shape.rank - 1;
    team_run(s->threads, shape_span(&j.shape, 0, last), 1 + 4096 / (1 + j.shape.dim[last]), apply_rows, &j);
    return 0;
}

int elementwise_run(const struct step *s, const struct elementwise *m, const double *p, struct err *e)
{
    return elementwise_run_on(s, m, p, s->in, s->node->n_in, e);
}
