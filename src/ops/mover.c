/* mover.c - the strided copy, and writes that combine with what is there. */
#include "ops/mover.h"

#include <math.h>
#include <string.h>

#include "base/err.h"
#include "base/team.h"

void move_add(struct move *m, int64_t dim, int64_t to, int64_t from)
{
    m->dim[m->rank] = dim;
    m->to[m->rank] = to;
    m->from[m->rank++] = from;
}

#define COPY(size) \
    for (int64_t i = 0; i < n; i++) memcpy(to + i * to_step, from + i * from_step, (size))

/* Steps in bytes. */
static void copy_run(
    size_t size, unsigned char *to, int64_t to_step, const unsigned char *from, int64_t from_step, int64_t n)
{
    if (to_step == (int64_t)size && from_step == (int64_t)size) memcpy(to, from, (size_t)n * size);
    else if (size == 1) COPY(1);
    else if (size == 2) COPY(2);
    else if (size == 4) COPY(4);
    else if (size == 8) COPY(8);
    else COPY(size);
}

struct move_job {
    struct move m; /* strides in bytes */
    size_t size;
    unsigned char *to;
    const unsigned char *from;
};

static void move_rows(void *ctx, int64_t begin, int64_t end)
{
    const struct move_job *j = ctx;
    const struct move *m = &j->m;
    int64_t index[MOVE_MAX], to = 0, from = 0, rest = begin;
    int last = m->rank - 1;
    for (int d = last - 1; d >= 0; d--) {
        index[d] = rest % m->dim[d];
        rest /= m->dim[d];
        to += index[d] * m->to[d];
        from += index[d] * m->from[d];
    }
    for (int64_t row = begin; row < end; row++) {
        copy_run(j->size, j->to + to, m->to[last], j->from + from, m->from[last], m->dim[last]);
        for (int d = last - 1; d >= 0; d--) {
            to += m->to[d];
            from += m->from[d];
            if (++index[d] < m->dim[d]) break;
            to -= m->to[d] * m->dim[d];
            from -= m->from[d] * m->dim[d];
            index[d] = 0;
        }
    }
}

/* Drops dimensions of size 1 and joins those that both sides walk as one. */
static struct move simplified(const struct move *m, size_t size)
{
    struct move s = { 0 };
    for (int d = 0; d < m->rank; d++) {
        if (m->dim[d] == 1) continue;
        int64_t to = m->to[d] * (int64_t)size, from = m->from[d] * (int64_t)size;
        int p = s.rank - 1;
        if (p >= 0 && s.to[p] == to * m->dim[d] && s.from[p] == from * m->dim[d]) {
            s.dim[p] *= m->dim[d];
            s.to[p] = to;
            s.from[p] = from;
        } else {
            move_add(&s, m->dim[d], to, from);
        }
    }
    if (!s.rank) move_add(&s, 1, (int64_t)size, (int64_t)size);
    return s;
}

void move_run(const struct move *m, int threads, size_t size, void *to, const void *from)
{
    for (int d = 0; d < m->rank; d++)
        if (!m->dim[d]) return;
    struct move_job j = { simplified(m, size), size, to, from };
    int64_t rows = 1, len = j.m.dim[j.m.rank - 1];
    for (int d = 0; d < j.m.rank - 1; d++) rows *= j.m.dim[d];
    team_run(threads, rows, 1 + 16384 / (1 + len), move_rows, &j);
}

void move_fill(int threads, size_t size, void *to, int64_t n, const void *value)
{
    int64_t rows = n / 1024, rest = n % 1024;
    struct move m = { 0 }, tail = { 0 };
    move_add(&m, rows, 1024, 0);
    move_add(&m, 1024, 1, 0);
    move_run(&m, threads, size, to, value);
    move_add(&tail, rest, 1, 0);
    move_run(&tail, 1, size, (unsigned char *)to + (n - rest) * (int64_t)size, value);
}

int view_run(const struct step *s, struct err *e)
{
    int64_t bytes = tensor_bytes(s->out[0]);
    if (bytes != tensor_bytes(s->in[0]))
        return fail(e, ERR_SHAPE, "the input has %lld elements, the output %lld", (long long)tensor_count(s->in[0]),
            (long long)tensor_count(s->out[0]));
    if (s->out[0]->data != s->in[0]->data && bytes) memcpy(s->out[0]->data, s->in[0]->data, (size_t)bytes);
    return 0;
}

static double combine_f(enum combine how, double a, double b)
{
    switch (how) {
    case COMBINE_ADD: return a + b;
    case COMBINE_MUL: return a * b;
    case COMBINE_MAX: return isnan(a) || a > b ? a : b;
    case COMBINE_MIN: return isnan(a) || a < b ? a : b;
    default: return b;
    }
}

static int64_t combine_i(enum combine how, bool is_unsigned, int64_t a, int64_t b)
{
    bool less = is_unsigned ? (uint64_t)a < (uint64_t)b : a < b;
    switch (how) {
    case COMBINE_ADD: return (int64_t)((uint64_t)a + (uint64_t)b);
    case COMBINE_MUL: return (int64_t)((uint64_t)a * (uint64_t)b);
    case COMBINE_MAX: return less ? b : a;
    case COMBINE_MIN: return less ? a : b;
    default: return b;
    }
}

enum { BLOCK = 256 };

static void combine_floats(enum combine how, enum dtype t, void *to, const void *from, int64_t n)
{
    double a[BLOCK], b[BLOCK];
    load_f64(t, to, n, a);
    load_f64(t, from, n, b);
    for (int64_t i = 0; i < n; i++) a[i] = combine_f(how, a[i], b[i]);
    store_f64(t, to, n, a);
}

static void combine_integers(enum combine how, enum dtype t, void *to, const void *from, int64_t n)
{
    int64_t a[BLOCK], b[BLOCK];
    load_i64(t, to, n, a);
    load_i64(t, from, n, b);
    for (int64_t i = 0; i < n; i++) a[i] = combine_i(how, dtype_kind(t) == KIND_UINT, a[i], b[i]);
    store_i64(t, to, n, a);
}

void combine(enum combine how, enum dtype t, void *to, const void *from, int64_t n)
{
    size_t size = dtype_size(t);
    if (how == COMBINE_NONE) {
        if (n) memcpy(to, from, (size_t)n * size);
        return;
    }
    for (int64_t i = 0; i < n; i += BLOCK) {
        int64_t count = n - i < BLOCK ? n - i : BLOCK, at = i * (int64_t)size;
        (dtype_is_float(t) ? combine_floats : combine_integers)(
            how, t, (unsigned char *)to + at, (const unsigned char *)from + at, count);
    }
}

int combine_check(const struct node *n, enum dtype t, enum combine *how, struct err *e)
{
    static const char *const names[] = { "none", "add", "mul", "max", "min" };
    const char *name = node_string(n, "reduction");
    for (int i = 0; i < 5; i++) {
        if (strcmp(names[i], name)) continue;
        *how = (enum combine)i;
        if (i && t != DT_NONE && dtype_kind(t) == KIND_OTHER)
            return fail(e, ERR_SHAPE, "reduction \"%s\" of elements of type %s", name, dtype_name(t));
        return 0;
    }
    return fail(e, ERR_MODEL, "reduction is \"%s\", expected none, add, mul, max or min", name);
}
