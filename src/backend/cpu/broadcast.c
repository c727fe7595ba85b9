/* broadcast.c - comparisons, logic, arithmetic and choice of tensors that are broadcast, by vectors.
 *
 * Dimensions that all tensors walk as one are merged. Of the last dimension a block at a time is worked on; an operand
 * that stands still along it is written out once, so that every loop has unit steps.
 */
#include "backend/cpu/broadcast.h"

#include <string.h>

#include "base/str.h"
#include "base/team.h"
#include "graph/op.h"
#include "ops/elementwise.h"

enum { BLOCK = 1024, MAX_IN = 3, OUT = MAX_IN, GRAIN = 16 };

/* n elements of each. */
typedef void block_fn(const void *const *in, void *out, int64_t n);

#define TWO(name, type, result, expr) \
    CLONES static void name(const void *const *in, void *out, int64_t n) \
    { \
        const type *a = in[0], *b = in[1]; \
        result *to = out; \
        INDEPENDENT for (int64_t i = 0; i < n; i++) \
        { \
            type x = a[i], y = b[i]; \
            to[i] = (result)(expr); \
        } \
    }
#define COMPARE(op, operator) \
    TWO(op##_f32, float, uint8_t, x operator y) \
    TWO(op##_i64, int64_t, uint8_t, x operator y) \
    TWO(op##_i32, int32_t, uint8_t, x operator y) \
    TWO(op##_u8, uint8_t, uint8_t, x operator y)
#define LOGIC(op, operator) TWO(op##_bool, uint8_t, uint8_t, (x != 0) operator (y != 0))
#define ARITHMETIC(op, operator) TWO(op##_f32, float, float, x operator y)
COMPARE_LIST(COMPARE)
LOGIC_LIST(LOGIC)
ARITHMETIC_LIST(ARITHMETIC)
TWO(Equal_bool, uint8_t, uint8_t, (x != 0) == (y != 0))

CLONES static void not_bool(const void *const *in, void *out, int64_t n)
{
    const uint8_t *x = in[0];
    uint8_t *y = out;
    INDEPENDENT for (int64_t i = 0; i < n; i++) y[i] = !x[i];
}

#define CHOOSE(type) \
    CLONES static void choose_##type(const void *const *in, void *out, int64_t n) \
    { \
        const uint8_t *chosen = in[0]; \
        const type *a = in[1], *b = in[2]; \
        type *to = out; \
        INDEPENDENT for (int64_t i = 0; i < n; i++) \
        { \
            type x = a[i], y = b[i]; \
            to[i] = chosen[i] ? x : y; \
        } \
    } \
    static void fill_##type(const void *from, void *out, int64_t n) \
    { \
        type v = *(const type *)from, *to = out; \
        for (int64_t i = 0; i < n; i++) to[i] = v; \
    }
CHOOSE(uint8_t)
CHOOSE(uint16_t)
CHOOSE(uint32_t)
CHOOSE(uint64_t)

static const struct {
    const char *op;
    enum dtype type; /* of the first input */
    block_fn *run;
} rows[] = {
#define COMPARE_ROWS(op, operator) \
    { #op, DT_F32, op##_f32 }, { #op, DT_I64, op##_i64 }, { #op, DT_I32, op##_i32 }, { #op, DT_U8, op##_u8 },
#define LOGIC_ROW(op, operator) { #op, DT_BOOL, op##_bool },
#define ARITHMETIC_ROW(op, operator) { #op, DT_F32, op##_f32 },
    COMPARE_LIST(COMPARE_ROWS)
    LOGIC_LIST(LOGIC_ROW)
    ARITHMETIC_LIST(ARITHMETIC_ROW)
    { "Equal", DT_BOOL, Equal_bool },
    { "Not", DT_BOOL, not_bool },
};

/* What choosing and filling need to know of a type is its size. */
static const struct {
    block_fn *choose;
    void (*fill)(const void *from, void *to, int64_t n);
} sizes[] = {
    [1] = { choose_uint8_t, fill_uint8_t },
    [2] = { choose_uint16_t, fill_uint16_t },
    [4] = { choose_uint32_t, fill_uint32_t },
    [8] = { choose_uint64_t, fill_uint64_t },
};

static block_fn *find(const struct step *s)
{
    const char *op = s->node->op->name;
    if (!strcmp(op, "Where")) {
        size_t size = s->in[1]->dtype == DT_STRING ? 0 : dtype_size(s->in[1]->dtype);
        return size < sizeof sizes / sizeof *sizes ? sizes[size].choose : NULL;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].type == s->in[0]->dtype && !strcmp(rows[i].op, op)) return rows[i].run;
    return NULL;
}

struct job {
    block_fn *run;
    int n_in, rank;
    int64_t dim[SHAPE_MAX], stride[MAX_IN + 1][SHAPE_MAX]; /* the output's are last, at OUT */
    size_t size[MAX_IN + 1];
    const unsigned char *in[MAX_IN];
    unsigned char *out;
    int64_t blocks; /* of a row */
};

/* Adds a dimension inside those there are, or lengthens the last one where every tensor walks both as one. */
static void add_dim(struct job *j, int64_t dim, const int64_t *step)
{
    int last = j->rank - 1;
    bool one = last >= 0;
    for (int k = 0; k <= OUT; k++) one = one && j->stride[k][last] == dim * step[k];
    if (one) j->dim[last] *= dim;
    else j->dim[last = j->rank++] = dim;
    for (int k = 0; k <= OUT; k++) j->stride[k][last] = step[k];
}

static void set_dims(struct job *j, const struct step *s)
{
    const struct shape *y = &s->out[0]->shape;
    int64_t own[MAX_IN + 1][SHAPE_MAX] = { { 0 } };
    for (int k = 0; k < j->n_in; k++) broadcast_strides(&s->in[k]->shape, y, own[k]);
    shape_strides(y, own[OUT]);
    for (int d = 0; d < y->rank; d++)
        if (y->dim[d] != 1) add_dim(j, y->dim[d], (int64_t[]){ own[0][d], own[1][d], own[2][d], own[OUT][d] });
    if (!j->rank) add_dim(j, 1, (int64_t[]){ 1, 1, 1, 1 });
}

/* What was written out last of each operand, and from where. */
struct still {
    uint64_t v[MAX_IN][BLOCK];
    const unsigned char *from[MAX_IN];
};

static void run_block(const struct job *j, int64_t task, struct still *still)
{
    int last = j->rank - 1;
    int64_t first = task % j->blocks * BLOCK, rest = task / j->blocks, at[MAX_IN + 1];
    int64_t n = j->dim[last] - first < BLOCK ? j->dim[last] - first : BLOCK;
    const void *in[MAX_IN] = { NULL };
    for (int k = 0; k <= OUT; k++) at[k] = first * j->stride[k][last];
    for (int d = last - 1; d >= 0; d--) {
        for (int k = 0; k <= OUT; k++) at[k] += rest % j->dim[d] * j->stride[k][d];
        rest /= j->dim[d];
    }
    for (int k = 0; k < j->n_in; k++) {
        const unsigned char *from = j->in[k] + at[k] * (int64_t)j->size[k];
        in[k] = from;
        if (j->stride[k][last]) continue;
        if (still->from[k] != from) sizes[j->size[k]].fill(from, still->v[k], j->dim[last] < BLOCK ? n : BLOCK);
        still->from[k] = from;
        in[k] = still->v[k];
    }
    j->run(in, j->out + at[OUT] * (int64_t)j->size[OUT], n);
}

static void run_blocks(void *ctx, int64_t begin, int64_t end)
{
    struct still still = { .from = { NULL } };
    for (int64_t i = begin; i < end; i++) run_block(ctx, i, &still);
}

bool broadcast_accepts(const struct step *s, struct str *why)
{
    bool taken = find(s) && tensor_count(s->out[0]) > 0;
    if (!taken && why) str_add(why, "not of this type, or empty");
    return taken;
}

int broadcast_run(const struct step *s, struct err *e)
{
    struct job j = { .run = find(s), .n_in = s->node->n_in, .out = s->out[0]->data };
    int64_t tasks = 1;
    (void)e;
    set_dims(&j, s);
    for (int k = 0; k < j.n_in; k++) j.in[k] = s->in[k]->data, j.size[k] = dtype_size(s->in[k]->dtype);
    j.size[OUT] = dtype_size(s->out[0]->dtype);
    j.blocks = (j.dim[j.rank - 1] + BLOCK - 1) / BLOCK;
    for (int d = 0; d < j.rank - 1; d++) tasks *= j.dim[d];
    int64_t grain = j.dim[j.rank - 1] < BLOCK ? GRAIN * BLOCK / j.dim[j.rank - 1] : GRAIN;
    team_run(s->threads, tasks * j.blocks, grain, run_blocks, &j);
    return 0;
}
