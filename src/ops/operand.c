/* operand.c - whole operands to and from doubles, by the team. */
#include "ops/operand.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/team.h"

enum { GRAIN = 16384 };

struct job {
    struct tensor *t;
    double *to;
    const double *from;
    int64_t *ints;
};

static void convert(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    void *data = (unsigned char *)j->t->data + (size_t)begin * dtype_size(j->t->dtype);
    if (j->to) load_f64(j->t->dtype, data, end - begin, j->to + begin);
    else if (j->ints) load_i64(j->t->dtype, data, end - begin, j->ints + begin);
    else store_f64(j->t->dtype, data, end - begin, j->from + begin);
}

const double *operand_load(const struct step *s, const struct tensor *t, struct err *e)
{
    if (t->dtype == DT_F64) return t->data;
    int64_t n = tensor_count(t);
    struct job j = { .t = (struct tensor *)(uintptr_t)t, .to = operand_zeros(s, n, e) };
    if (j.to) team_run(s->threads, n, GRAIN, convert, &j);
    return j.to;
}

const int64_t *operand_load_ints(const struct step *s, const struct tensor *t, struct err *e)
{
    if (t->dtype == DT_I64) return t->data;
    int64_t n = tensor_count(t);
    struct job j = { .t = (struct tensor *)(uintptr_t)t, .ints = ARENA_ARRAY(s->scratch, n, int64_t) };
    if (j.ints) team_run(s->threads, n, GRAIN, convert, &j);
    else fail_nomem(e);
    return j.ints;
}

double *operand_zeros(const struct step *s, int64_t count, struct err *e)
{
    double *p = ARENA_ARRAY(s->scratch, count, double);
    if (!p) fail_nomem(e);
    return p;
}

void operand_store(const struct step *s, struct tensor *t, const double *from)
{
    struct job j = { .t = t, .from = from };
    team_run(s->threads, tensor_count(t), GRAIN, convert, &j);
}
