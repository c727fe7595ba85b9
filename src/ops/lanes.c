/* lanes.c - the loop over lines along an axis. */
#include "ops/lanes.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/team.h"

/* Elements of all operands that are worked on at once, so that they stay in the cache; lines longer than
 * that are worked on alone. PART: elements that are worth a thread. */
enum { AT_ONCE = 1 << 15, PART = 1 << 14 };

struct job {
    const struct lanes *l;
    int64_t width;        /* neighbouring lines loaded together */
    int64_t size;         /* elements of one part's memory */
    int64_t parts, tasks; /* a task: `width` lines */
    uint64_t *memory;     /* parts * size */
};

int64_t lanes_cut(struct lanes *l, const struct shape *s, int axis)
{
    l->outer = shape_span(s, 0, axis);
    l->inner = shape_span(s, axis + 1, s->rank);
    return s->dim[axis];
}

/* Moves `width` lines of operand k at (outer, column) between its tensor and x. */
static void move(const struct lanes *l, int k, int64_t outer, int64_t column, int64_t width, union lane x, bool load)
{
    const struct tensor *t = l->on[k].t;
    int64_t len = l->on[k].len, run = l->inner == 1 ? len : width;
    size_t size = dtype_size(t->dtype);
    for (int64_t row = 0; row < len * width; row += run) {
        void *at = (unsigned char *)t->data + (size_t)((outer * len + row / width) * l->inner + column) * size;
        if (l->integers) load ? load_i64(t->dtype, at, run, x.i + row) : store_i64(t->dtype, at, run, x.i + row);
        else load ? load_f64(t->dtype, at, run, x.f + row) : store_f64(t->dtype, at, run, x.f + row);
    }
}

static void run_task(const struct job *j, uint64_t *memory, int64_t task)
{
    const struct lanes *l = j->l;
    int64_t blocks = (l->inner + j->width - 1) / j->width, outer = task / blocks, column = task % blocks * j->width;
    int64_t width = l->inner - column < j->width ? l->inner - column : j->width;
    union lane x[LANES_MAX], line[LANES_MAX];
    for (int k = 0; k < l->n_in + l->n_out; memory += l->on[k++].len * width) {
        x[k].i = (int64_t *)memory;
        if (k < l->n_in) move(l, k, outer, column, width, x[k], true);
    }
    for (int64_t c = 0; c < width; c++) {
        for (int k = 0; k < l->n_in + l->n_out; k++) line[k].i = x[k].i + c;
        l->apply(l, outer * l->inner + column + c, width, line);
    }
    for (int k = l->n_in; k < l->n_in + l->n_out; k++) move(l, k, outer, column, width, x[k], false);
}

static void run_parts(void *ctx, int64_t begin, int64_t end)
{
    const struct job *j = ctx;
    for (int64_t part = begin; part < end; part++)
        for (int64_t t = j->tasks * part / j->parts; t < j->tasks * (part + 1) / j->parts; t++)
            run_task(j, j->memory + part * j->size, t);
}

int lanes_run(const struct step *s, const struct lanes *l, struct err *e)
{
    struct job j = { .l = l, .width = 1 };
    int64_t per_line = 1;
    for (int k = 0; k < l->n_in + l->n_out; k++) per_line += l->on[k].len;
    if (!l->outer || !l->inner) return 0;
    if (l->inner > 1 && per_line < AT_ONCE) j.width = AT_ONCE / per_line < l->inner ? AT_ONCE / per_line : l->inner;
    j.size = per_line * j.width;
    j.tasks = l->outer * ((l->inner + j.width - 1) / j.width);
    int64_t worth = 1 + l->outer * l->inner / (1 + PART / per_line);
    j.parts = s->threads < j.tasks ? s->threads : j.tasks;
    if (j.parts > worth) j.parts = worth;
    j.memory = arena_array(s->scratch, (size_t)j.parts, (size_t)j.size * sizeof *j.memory);
    TRY_MEM(j.memory, e);
    team_run((int)j.parts, j.parts, 1, run_parts, &j);
    return 0;
}
