/* sample.c - from a row of a table to the model's inputs. */
#include "score/sample.h"

#include <string.h>
#include <strings.h>

static bool is_npy(const char *path)
{
    size_t len = path ? strlen(path) : 0;
    return len > 4 && !strcasecmp(path + len - 4, ".npy");
}

/* The first dimension of an array's row is missing: a batch of one. */
static int add_dimension(struct tensor *t, const struct row *row, struct err *e)
{
    struct shape s = t->shape;
    if (s.rank >= SHAPE_MAX) return fail(e, ERR_DATA, "%s: rank %d is too much", row->where, s.rank);
    t->shape.rank = s.rank + 1, t->shape.dim[0] = 1;
    for (int d = 0; d < s.rank; d++) t->shape.dim[d + 1] = s.dim[d];
    return 0;
}

/* NumPy's habits (float64, int64) are met half-way: numbers become of the type that the model wants. */
static int convert(struct tensor *t, enum dtype to, struct arena *a, const struct row *row, struct err *e)
{
    if (t->dtype == to) return 0;
    if (dtype_kind(t->dtype) == KIND_OTHER || dtype_kind(to) == KIND_OTHER)
        return fail(e, ERR_DATA, "%s: %s cannot become the %s that the model wants", row->where, dtype_name(t->dtype),
            dtype_name(to));
    int64_t n = tensor_count(t);
    double *v = ARENA_ARRAY(a, n, double);
    TRY_MEM(v, e);
    load_f64(t->dtype, t->data, n, v);
    struct tensor *out = tensor_new(a, to, &t->shape, e);
    if (!out) return e->code;
    store_f64(to, out->data, n, v);
    *t = *out;
    return 0;
}

/* Against what the model says of its input. A first dimension of its own is the batch. */
static int check(const struct tensor *t, const struct value *input, const struct row *row, struct err *e)
{
    const struct shape *want = &input->shape;
    bool fits = want->rank < 0 || want->rank == t->shape.rank;
    for (int d = 1; fits && d < want->rank; d++) fits = want->dim[d] < 0 || want->dim[d] == t->shape.dim[d];
    if (fits) return 0;
    char have[120] = "", wanted[120] = "";
    size_t at = 0, to = 0;
    for (int d = 0; d < t->shape.rank; d++)
        at += (size_t)snprintf(have + at, sizeof have - at, "%s%lld", d ? " x " : "", (long long)t->shape.dim[d]);
    for (int d = 0; d < want->rank; d++)
        to += want->dim[d] < 0
            ? (size_t)snprintf(wanted + to, sizeof wanted - to, "%s?", d ? " x " : "")
            : (size_t)snprintf(wanted + to, sizeof wanted - to, "%s%lld", d ? " x " : "", (long long)want->dim[d]);
    return fail(e, ERR_DATA, "%s: a tensor of %s, input %s takes %s", row->where, have, input->name, wanted);
}

static int load_tensor(
    struct sample *s, const struct value *input, int column, struct tensor *out, struct arena *a, struct err *e)
{
    struct tensor *x;
    TRY(row_tensor(s->table, &s->row, column, a, &x, e));
    *out = *x;
    bool whole = is_npy(s->row.cells[column].path); /* brings its own dimensions */
    if (!whole || (input->shape.rank > 0 && x->shape.rank == input->shape.rank - 1))
        TRY(add_dimension(out, &s->row, e));
    return convert(out, input->dtype, a, &s->row, e);
}

static int load_image(struct sample *s, const struct preprocess *p, int threads, int column, struct tensor *out,
    struct arena *a, struct err *e)
{
    struct image img;
    struct preprocess mine = *p;
    mine.threads = threads;
    TRY(row_image(s->table, &s->row, column, a, NULL, &img, e));
    if (!preprocess_image(&mine, a, &img, out, &s->from, e)) return 0;
    return err_prefix(e, "%s", s->row.cells[column].path ? s->row.cells[column].path : s->row.where);
}

static int load_input(struct sample *s, const struct model *m, int threads, int column, struct arena *a, struct err *e)
{
    const struct column *c = table_column_at(s->table, (size_t)column);
    const struct value *input = m->graph->inputs[c->input];
    const struct preprocess *p = m->preprocess[c->input];
    const struct cell *cell = &s->row.cells[column];
    struct tensor *in = &s->in[c->input];
    bool array = cell->array && (cell->array->dtype != DT_U8 || !p);
    if (c->role != ROLE_IMAGE || array || is_npy(cell->path)) TRY(load_tensor(s, input, column, in, a, e));
    else if (p) {
        TRY(load_image(s, p, threads, column, in, a, e));
        if (input->shape.rank == 3) in->shape = shape_of(3, in->shape.dim + 1); /* a model of one image */
    }
    else
        return fail(e, ERR_DATA, "%s: input %s takes a tensor (.npy): the model says nothing of images",
            cell->path ? cell->path : s->row.where, input->name);
    return check(in, input, &s->row, e);
}

static int keep(void **data, size_t size, struct arena *a, struct err *e)
{
    void *copy = arena_alloc(a, size);
    TRY_MEM(copy, e);
    if (size) memcpy(copy, *data, size);
    *data = copy;
    return 0;
}

/* What was made in the scratch arena moves to where it stays. */
static int keep_all(struct sample *s, const struct model *m, bool keep_seen, struct arena *inputs, struct err *e)
{
    struct image *seen = &s->from.seen;
    void *pixels = seen->pixels;
    for (size_t i = 0; i < m->graph->n_inputs; i++) {
        if (!s->in[i].data) return fail(e, ERR_USAGE, "input %s has no column", m->graph->inputs[i]->name);
        TRY(keep(&s->in[i].data, (size_t)tensor_bytes(&s->in[i]), inputs, e));
        s->in[i].blob = NULL;
    }
    if (pixels && keep_seen) TRY(keep(&pixels, image_row_bytes(seen) * (size_t)seen->height, s->arena, e));
    seen->pixels = keep_seen ? pixels : NULL;
    seen->palette = NULL;
    return 0;
}

void sample_load(struct sample *s, const struct model *m, int threads, bool seen, struct arena *inputs)
{
    struct arena scratch;
    int code = 0;
    if (s->bad.code) return;
    s->from = (struct provenance){ 0 };
    if (!(s->in = ARENA_ARRAY(inputs, m->graph->n_inputs, struct tensor))) {
        fail_nomem(&s->bad);
        return;
    }
    arena_init(&scratch, inputs->mem);
    for (size_t i = 0; i < table_columns(s->table) && !code; i++) {
        int input = table_column_at(s->table, i)->input; /* columns of numbers feed one together */
        if (input >= 0 && !s->in[input].data) code = load_input(s, m, threads, (int)i, &scratch, &s->bad);
    }
    if (!code) keep_all(s, m, seen, inputs, &s->bad);
    arena_release(&scratch);
}
