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
    bool integers;
    struct shape shape;                    /* of the output, inner run merged */
    int64_t stride[MAX_IN + 1][SHAPE_MAX]; /* inputs, then the output */
};

/* Loads n elements with a stride of 0 or 1 as 8-byte numbers of the job's domain. */
static void load_run(const struct job *j, const struct tensor *t, int64_t offset, int64_t stride, int64_t n, void *buf)
{
    int64_t count = stride ? n : 1;
    if (j->integers) load_i64(t->dtype, at(t, offset), count, buf);
    else load_f64(t->dtype, at(t, offset), count, buf);
    uint64_t *word = buf;
    if (!stride)
        for (int64_t i = 1; i < n; i++) word[i] = word[0];
}

static void apply_block(const struct job *j, const int64_t *offset, int64_t inner, int64_t n)
{
    union number {
        double f[BLOCK];
        int64_t i[BLOCK];
    } in[MAX_IN], out;
    const double *fin[MAX_IN];
    const int64_t *iin[MAX_IN];
    int n_in = j->s->node->n_in, last = j->shape.rank - 1;
    for (int k = 0; k < n_in; k++) {
        int64_t stride = j->stride[k][last];
        load_run(j, j->s->in[k], offset[k] + inner * stride, stride, n, &in[k]);
        fin[k] = in[k].f;
        iin[k] = in[k].i;
    }
    struct tensor *y = j->s->out[0];
    void *to = at(y, offset[n_in] + inner);
    if (j->integers) {
        j->m->i(n, iin, out.i, j->p);
        store_i64(y->dtype, to, n, out.i);
    } else {
        j->m->f(n, fin, out.f, j->p);
        store_f64(y->dtype, to, n, out.f);
    }
}

static void apply_rows(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    int outer = j->shape.rank - 1, n = j->s->node->n_in + 1;
    int64_t len = j->shape.dim[outer];
    for (int64_t row = begin; row < end; row++) {
        int64_t offset[MAX_IN + 1] = { 0 }, rest = row;
        for (int d = outer - 1; d >= 0; d--) {
            for (int k = 0; k < n; k++) offset[k] += rest % j->shape.dim[d] * j->stride[k][d];
            rest /= j->shape.dim[d];
        }
        for (int64_t i = 0; i < len; i += BLOCK) apply_block(j, offset, i, len - i < BLOCK ? len - i : BLOCK);
    }
}

/* Merges dimensions d and d+1 wherever every operand walks them as one. */
static void merge_dims(struct job *j)
{
    int n = j->s->node->n_in + 1;
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

static void prepare(struct job *j)
{
    const struct step *s = j->s;
    j->shape = s->out[0]->shape;
    for (int k = 0; k < s->node->n_in; k++) broadcast_strides(&s->in[k]->shape, &j->shape, j->stride[k]);
    shape_strides(&j->shape, j->stride[s->node->n_in]);
    if (!j->shape.rank) {
        j->shape = shape_of(1, (int64_t[]){ 1 });
        j->stride[s->node->n_in][0] = 1;
    }
    merge_dims(j);
}

int elementwise_run(const struct step *s, const struct elementwise *m, const double *p, struct err *e)
{
    if (s->node->n_in > MAX_IN) return fail(e, ERR_UNSUPPORTED, "%d inputs", s->node->n_in);
    bool floats = dtype_is_float(s->out[0]->dtype) && !m->i;
    for (int k = 0; k < s->node->n_in; k++) floats |= dtype_is_float(s->in[k]->dtype);
    struct job j = { .s = s, .m = m, .p = p, .integers = (!floats && m->i) || !m->f };
    prepare(&j);
    int last = j.shape.rank - 1;
    team_run(s->threads, shape_span(&j.shape, 0, last), 1 + 4096 / (1 + j.shape.dim[last]), apply_rows, &j);
    return 0;
}
