/* mover.c - the strided copy, and writes that combine with what is there. */
#include "ops/mover.h"

#include <math.h>
#include <string.h>

#include "base/clones.h"
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

/* One element n times, by copies of the first ones, as many as are near. */
static void repeat(size_t size, unsigned char *to, const unsigned char *from, int64_t n)
{
    enum { NEAR = 512 };
    memcpy(to, from, size);
    for (int64_t done = 1, some; done < n; done += some) {
        some = done < NEAR ? done : NEAR;
        some = n - done < some ? n - done : some;
        memcpy(to + done * (int64_t)size, to, (size_t)some * size);
    }
}

/* Every other number of 4 bytes. */
CLONES static void take_even(uint32_t *restrict to, const uint32_t *restrict from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] = from[2 * i];
}

/* Steps in bytes. */
static void copy_run(
    size_t size, unsigned char *to, int64_t to_step, const unsigned char *from, int64_t from_step, int64_t n)
{
    if (to_step == (int64_t)size && from_step == (int64_t)size) memcpy(to, from, (size_t)n * size);
    else if (to_step == (int64_t)size && !from_step && n > 0) repeat(size, to, from, n);
    else if (size == 4 && to_step == 4 && from_step == 8) take_even((void *)to, (const void *)from, n);
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

typedef uint32_t quad __attribute__((vector_size(16)));

/* 4 x 4 elements of 4 bytes: rows of the source, steps in bytes, become columns. */
static void turn_quads(unsigned char *to, int64_t to_step, const unsigned char *from, int64_t from_step)
{
    quad a[4];
    for (int i = 0; i < 4; i++) memcpy(&a[i], from + i * from_step, sizeof *a);
    quad low = __builtin_shufflevector(a[0], a[1], 0, 4, 1, 5), high = __builtin_shufflevector(a[0], a[1], 2, 6, 3, 7);
    quad low2 = __builtin_shufflevector(a[2], a[3], 0, 4, 1, 5);
    quad high2 = __builtin_shufflevector(a[2], a[3], 2, 6, 3, 7);
    a[0] = __builtin_shufflevector(low, low2, 0, 1, 4, 5), a[1] = __builtin_shufflevector(low, low2, 2, 3, 6, 7);
    a[2] = __builtin_shufflevector(high, high2, 0, 1, 4, 5), a[3] = __builtin_shufflevector(high, high2, 2, 3, 6, 7);
    for (int i = 0; i < 4; i++) memcpy(to + i * to_step, &a[i], sizeof *a);
}

/* Some rows whose first elements lie side by side in the source: a few of all their elements at a time, so that what
 * was fetched with one is still near for the next. Few elements of many rows are copied across the rows. */
static void turn_rows(const struct move_job *j, int64_t rows, unsigned char *to, const unsigned char *from)
{
    enum { SOME = 16, NEAR = 1024 };
    int last = j->m.rank - 1;
    int64_t n = j->m.dim[last], to_row = j->m.to[last - 1], to_step = j->m.to[last], from_step = j->m.from[last];
    int64_t size = (int64_t)j->size, some = NEAR / rows < SOME ? SOME : NEAR / rows;
    bool quads = j->size == 4 && to_step == 4;
    if (n < 4 && n < rows) {
        for (int64_t k = 0; k < n; k++) copy_run(j->size, to + k * to_step, to_row, from + k * from_step, size, rows);
        return;
    }
    for (int64_t i = 0; i < n; i += some) {
        int64_t count = n - i < some ? n - i : some, r = 0;
        for (; quads && count % 4 == 0 && r + 4 <= rows; r += 4)
            for (int64_t k = i; k < i + count; k += 4)
                turn_quads(to + r * to_row + k * to_step, to_row, from + r * 4 + k * from_step, from_step);
        for (; r < rows; r++)
            copy_run(
                j->size, to + r * to_row + i * to_step, to_step, from + r * size + i * from_step, from_step, count);
    }
}

/* Whether the rows' first elements lie side by side, and those of one row do not, nor are they one. */
static bool is_turned(const struct move_job *j)
{
    int last = j->m.rank - 1;
    int64_t size = (int64_t)j->size, step = j->m.from[last];
    return last > 0 && j->m.from[last - 1] == size && step != size && step;
}

static void move_rows(void *ctx, int64_t begin, int64_t end)
{
    const struct move_job *j = ctx;
    const struct move *m = &j->m;
    enum { SOME = 64 };
    int64_t index[MOVE_MAX], to = 0, from = 0, rest = begin, rows = 1;
    int last = m->rank - 1;
    bool turned = is_turned(j);
    for (int d = last - 1; d >= 0; d--) {
        index[d] = rest % m->dim[d];
        rest /= m->dim[d];
        to += index[d] * m->to[d];
        from += index[d] * m->from[d];
    }
    for (int64_t row = begin; row < end; row += rows) {
        if (turned) {
            rows = m->dim[last - 1] - index[last - 1];
            rows = rows > end - row ? end - row : rows;
            rows = rows > SOME ? SOME : rows;
            turn_rows(j, rows, j->to + to, j->from + from);
        } else
            copy_run(j->size, j->to + to, m->to[last], j->from + from, m->from[last], m->dim[last]);
        for (int d = last - 1; d >= 0; d--) {
            int64_t by = d == last - 1 ? rows : 1;
            to += by * m->to[d];
            from += by * m->from[d];
            index[d] += by;
            if (index[d] < m->dim[d]) break;
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

/* Puts dimension d behind those up to `place`. */
static void bring(struct move *m, int d, int place)
{
    struct move was = *m;
    for (int k = d; k < place; k++) m->dim[k] = was.dim[k + 1], m->to[k] = was.to[k + 1], m->from[k] = was.from[k + 1];
    m->dim[place] = was.dim[d], m->to[place] = was.to[d], m->from[place] = was.from[d];
}

/* The last dimension along which elements of this size lie side by side; -1: none. */
static int side_by_side(const int64_t *step, int rank, size_t size)
{
    int d = rank - 1;
    while (d >= 0 && step[d] != (int64_t)size) d--;
    return d;
}

/* The order of loops is free: the dimension along which the destination lies side by side comes last, and next to it
 * the one along which the source does. */
static void order(struct move *m, size_t size)
{
    int last = m->rank - 1, wide = side_by_side(m->to, m->rank, size);
    if (wide < 0) return;
    bring(m, wide, last);
    int near = side_by_side(m->from, m->rank, size);
    if (near >= 0 && near < last) bring(m, near, last - 1);
}

void move_run(const struct move *m, int threads, size_t size, void *to, const void *from)
{
    for (int d = 0; d < m->rank; d++)
        if (!m->dim[d]) return;
    struct move_job j = { simplified(m, size), size, to, from };
    order(&j.m, size);
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
