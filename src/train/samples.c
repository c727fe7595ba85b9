/* samples.c - loading, augmenting and stacking samples. */
#include "train/samples.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/rng.h"
#include "base/team.h"
#include "data/augment.h"
#include "data/resample.h"

static const enum role target_roles[] = {
    [SAMPLE_CLASS] = ROLE_LABEL, [SAMPLE_MASK] = ROLE_MASK, [SAMPLE_NUMBERS] = ROLE_NUMBERS
};

/* The column of input i: the one that names it; else, of a model with one input, the first that can feed it. */
static int input_column(const struct samples *s, size_t i, struct err *e)
{
    const struct graph *g = s->model->graph;
    for (size_t c = 0; c < table_columns(s->table); c++)
        if (table_column_at(s->table, c)->input == (int)i) return (int)c;
    int image = table_column(s->table, ROLE_IMAGE, i), sequence = table_column(s->table, ROLE_SEQUENCE, i);
    if (s->model->preprocess[i] && image >= 0) return image;
    if (sequence >= 0) return sequence;
    if (image >= 0) return image;
    return fail(e, ERR_USAGE, "%s: no column feeds input %s; say which with columns: [image=NAME] or [sequence=NAME]",
        table_path(s->table), g->inputs[i]->name);
}

int samples_init(struct samples *s, struct arena *a, struct err *e)
{
    size_t n = s->model->graph->n_inputs;
    TRY_MEM(s->columns = ARENA_ARRAY(a, n, int), e);
    for (size_t i = 0; i < n; i++)
        if ((s->columns[i] = input_column(s, i, e)) < 0) return e->code;
    s->target_column = -1;
    s->n_heads = 1;
    if (s->target == SAMPLE_INPUT) return 0;
    static const char *const words[] = { "label", "mask", "numbers" };
    s->target_column = table_column(s->table, target_roles[s->target], 0);
    if (s->target_column >= 0) return 0;
    return fail(e, ERR_USAGE, "%s: no column holds the %s to learn; say which with columns: [%s=NAME]",
        table_path(s->table), words[s->target], words[s->target]);
}

struct key {
    uint32_t draw[2];
    size_t at;
};

static int by_draw(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    for (int i = 0; i < 2; i++)
        if (x->draw[i] != y->draw[i]) return x->draw[i] < y->draw[i] ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

int samples_order(const struct samples *s, int64_t epoch, size_t *order, struct arena *a, struct err *e)
{
    struct key *keys = s->shuffle ? ARENA_ARRAY(a, s->n, struct key) : NULL;
    if (s->shuffle && !keys) return fail_nomem(e);
    for (size_t i = 0; i < s->n; i++) {
        order[i] = i;
        if (!keys) continue;
        uint32_t r[4];
        rng_philox(s->seed, (uint64_t)epoch << 8 | STREAM_ORDER, (uint64_t)s->rows[i], r);
        keys[i] = (struct key){ { r[0], r[1] }, i };
    }
    if (!keys) return 0;
    qsort(keys, s->n, sizeof *keys, by_draw);
    for (size_t i = 0; i < s->n; i++) order[i] = keys[i].at;
    return 0;
}

struct sample {
    struct arena a;
    int64_t row;
    struct tensor *in; /* one per input, (1, ...) */
    struct tensor target[MOST_HEADS];
    char *error; /* malloc'ed: the arena may be what failed */
};

struct loading {
    const struct samples *s;
    int64_t epoch;
    struct sample *items;
};

static struct draws draws_of(const struct loading *l, const struct sample *it)
{
    return (struct draws){ l->s->seed, (uint64_t)l->epoch, (uint64_t)it->row };
}

static int take_tensor(struct sample *it, size_t i, const struct loading *l, const struct row *row, struct err *e)
{
    struct tensor *t;
    enum dtype want = l->s->model->graph->inputs[i]->dtype;
    TRY(row_tensor(l->s->table, row, l->s->columns[i], &it->a, &t, e));
    struct shape s = t->shape;
    if (s.rank >= SHAPE_MAX) return fail(e, ERR_DATA, "%s: the array has too many dimensions", row->where);
    memmove(s.dim + 1, s.dim, (size_t)s.rank * sizeof *s.dim);
    s.dim[0] = 1;
    s.rank++;
    struct tensor *made = tensor_new(&it->a, want == DT_NONE ? t->dtype : want, &s, e);
    if (!made) return e->code;
    for (int64_t k = 0; k < tensor_count(t); k++) tensor_set_f64(made, k, tensor_get_f64(t, k));
    it->in[i] = *made;
    return 0;
}

static int take_image(
    struct sample *it, size_t i, const struct loading *l, const struct row *row, struct image *mask, struct err *e)
{
    const struct samples *s = l->s;
    const struct preprocess *p = s->model->preprocess[i];
    struct image img;
    struct provenance from;
    TRY(row_image(s->table, row, s->columns[i], &it->a, NULL, &img, e));
    if (mask->pixels && (mask->width != img.width || mask->height != img.height))
        return fail(e, ERR_DATA, "%s: the mask is %d x %d, its image %d x %d", row->where, mask->width, mask->height,
            img.width, img.height);
    if (preprocess_pixels(p, &it->a, &img, &from, 1, e)) return err_prefix(e, "%s", row->where);
    uint8_t outside = (uint8_t)(s->ignored >= 0 && s->ignored < 256 ? s->ignored : 255);
    if (mask->pixels) TRY(preprocess_labels(p, &it->a, mask, outside, mask, e));
    if (s->augment) {
        struct draws d = draws_of(l, it);
        TRY(augment_image(s->augment, &d, &it->a, &from.seen, mask->pixels ? mask : NULL, outside, e));
    }
    struct shape shape = preprocess_shape(p, &from.seen);
    struct tensor *t = tensor_new(&it->a, DT_F32, &shape, e);
    if (!t) return e->code;
    it->in[i] = *t;
    return preprocess_floats(p, &from.seen, t->data, e);
}

static int take_mask(
    struct sample *it, const struct loading *l, const struct row *row, struct image *mask, struct err *e)
{
    struct shape shape = shape_of(2, (int64_t[]){ mask->height, mask->width });
    const struct shape *want = &l->s->want;
    if (want->rank == 2 && !shape_equal(want, &shape)) { /* the model answers at another size */
        struct image small;
        TRY(image_resize(&small, &it->a, mask, want->dim[1], want->dim[0], RESAMPLE_NEAREST, NULL, 1, e));
        *mask = small;
        shape = *want;
    }
    struct tensor *t = tensor_new(&it->a, DT_I64, &shape, e);
    if (!t) return e->code;
    int64_t *to = t->data, n = tensor_count(t), classes = l->s->classes;
    for (int64_t i = 0; i < n; i++) {
        to[i] = mask->pixels[i];
        if (to[i] == 255 && classes <= 255) to[i] = l->s->ignored;
        if (to[i] != l->s->ignored && to[i] >= classes)
            return fail(e, ERR_DATA,
                "%s: the mask holds label %lld at x %lld, y %lld; the model has %lld classes (0 to "
                "%lld), and 255 is ignored",
                row->where, (long long)to[i], (long long)(i % mask->width), (long long)(i / mask->width),
                (long long)classes, (long long)classes - 1);
    }
    it->target[0] = *t;
    return 0;
}

static int take_class(struct sample *it, const struct loading *l, const struct row *row, struct err *e)
{
    int64_t class;
    struct shape one = l->s->want.rank > 0 ? l->s->want : shape_of(0, NULL); /* (1, 1) after a convolution */
    TRY(row_class(l->s->table, row, l->s->target_column, &class, e));
    if (class < 0) return fail(e, ERR_DATA, "%s: the label is empty", row->where);
    if (class >= l->s->classes)
        return fail(e, ERR_DATA, "%s: label %lld, the model has classes 0 to %lld", row->where, (long long)class,
            (long long)l->s->classes - 1);
    struct tensor *t = tensor_copy(&it->a, DT_I64, &one, &class, e);
    if (!t) return e->code;
    it->target[0] = *t;
    return 0;
}

static int take_numbers(struct sample *it, const struct loading *l, const struct row *row, struct err *e)
{
    double *v;
    size_t n;
    TRY(row_numbers(l->s->table, row, &it->a, &v, &n, e));
    const struct shape *want = &l->s->want;
    int64_t need = want->rank < 0 ? (int64_t)n : shape_count(want);
    if (need != (int64_t)n)
        return fail(e, ERR_DATA, "%s: %zu numbers, the model gives %lld", row->where, n, (long long)need);
    struct shape s = want->rank < 0 ? shape_of(1, (int64_t[]){ need }) : *want;
    struct tensor *t = tensor_new(&it->a, DT_F32, &s, e);
    if (!t) return e->code;
    for (size_t i = 0; i < n; i++) tensor_set_f64(t, (int64_t)i, v[i]);
    it->target[0] = *t;
    return 0;
}

static int take_itself(struct sample *it)
{
    struct tensor *t = &it->target[0];
    *t = it->in[0];
    memmove(t->shape.dim, t->shape.dim + 1, (size_t)--t->shape.rank * sizeof(int64_t));
    return 0;
}

static int take_target(
    struct sample *it, const struct loading *l, const struct row *row, struct image *mask, struct err *e)
{
    switch (l->s->target) {
    case SAMPLE_CLASS: return take_class(it, l, row, e);
    case SAMPLE_MASK: return take_mask(it, l, row, mask, e);
    case SAMPLE_NUMBERS: return take_numbers(it, l, row, e);
    default: return take_itself(it);
    }
}

static int load(const struct loading *l, struct sample *it, struct err *e)
{
    const struct samples *s = l->s;
    size_t n = s->model->graph->n_inputs;
    struct row row;
    struct image mask = { 0 };
    TRY_MEM(it->in = ARENA_ARRAY(&it->a, n, struct tensor), e);
    TRY(table_row(s->table, it->row, &it->a, &row, e));
    if (s->target == SAMPLE_MASK) TRY(row_mask(s->table, &row, s->target_column, &it->a, &mask, e));
    for (size_t i = 0; i < n; i++) {
        if (s->model->preprocess[i]) TRY(take_image(it, i, l, &row, &mask, e));
        else TRY(take_tensor(it, i, l, &row, e));
    }
    TRY(take_target(it, l, &row, &mask, e));
    for (size_t k = 1; k < s->n_heads; k++) {
        const struct further *f = &s->further[k];
        if (f->names) TRY(further_row(f, s->table, &row, &it->a, &it->target[k], e));
        else it->target[k] = it->target[0];
    }
    return 0;
}

static void load_span(void *ctx, int64_t begin, int64_t end)
{
    const struct loading *l = ctx;
    for (int64_t i = begin; i < end; i++) {
        struct err *e = calloc(1, sizeof *e);
        if (e && load(l, &l->items[i], e)) l->items[i].error = strdup(e->text);
        if (!e) l->items[i].error = strdup("out of memory");
        free(e);
    }
}

static int stack(struct tensor **out, struct arena *a, const struct batch *b, const struct sample *items, size_t count,
    int input, size_t head, struct err *e)
{
    const struct tensor *first = NULL;
    char *to = NULL;
    for (size_t i = 0; i < count; i++) {
        if (items[i].error) continue;
        const struct tensor *t = input < 0 ? &items[i].target[head] : &items[i].in[input];
        if (!first) {
            struct shape s = t->shape;
            if (input < 0) {
                memmove(s.dim + 1, s.dim, (size_t)s.rank * sizeof *s.dim);
                s.rank++;
            }
            s.dim[0] = b->n;
            if (!(*out = tensor_new(a, t->dtype, &s, e))) return e->code;
            first = t;
            to = (*out)->data;
        }
        if (!shape_equal(&first->shape, &t->shape))
            return fail(e, ERR_DATA,
                "rows %lld and %lld have different sizes and cannot share a batch: resize them "
                "(set: [resize.size=N]), or use batch: 1",
                (long long)b->rows[0] + 1, (long long)items[i].row + 1);
        size_t bytes = (size_t)tensor_bytes(t);
        memcpy(to, t->data, bytes);
        to += bytes;
    }
    return 0;
}

static int collect(struct loading *l, size_t count, struct arena *a, struct batch *b, struct err *e)
{
    size_t n_inputs = l->s->model->graph->n_inputs;
    int64_t *rows = ARENA_ARRAY(a, count, int64_t);
    b->errors = ARENA_ARRAY(a, count, const char *);
    b->in = ARENA_ARRAY(a, n_inputs, struct tensor *);
    b->n_inputs = n_inputs;
    b->n_heads = l->s->n_heads;
    if (!rows || !b->errors || !b->in) return fail_nomem(e);
    for (size_t i = 0; i < count; i++) {
        if (!l->items[i].error) rows[b->n++] = l->items[i].row;
        else TRY_MEM(b->errors[b->n_errors++] = arena_strdup(a, l->items[i].error), e);
    }
    b->rows = rows;
    for (size_t i = 0; i < n_inputs && b->n; i++) TRY(stack(&b->in[i], a, b, l->items, count, (int)i, 0, e));
    for (size_t k = 0; k < b->n_heads && b->n; k++) TRY(stack(&b->target[k], a, b, l->items, count, -1, k, e));
    return 0;
}

int samples_batch(const struct samples *s, int64_t epoch, const size_t *order, size_t count, struct arena *a,
    struct batch *out, struct err *e)
{
    *out = (struct batch){ 0 };
    struct loading l = { s, epoch, ARENA_ARRAY(a, count, struct sample) };
    TRY_MEM(l.items, e);
    for (size_t i = 0; i < count; i++) {
        l.items[i].row = s->rows[order[i]];
        arena_init(&l.items[i].a, a->mem);
    }
    team_run(s->threads, (int64_t)count, 1, load_span, &l);
    int code = collect(&l, count, a, out, e);
    for (size_t i = 0; i < count; i++) {
        arena_release(&l.items[i].a);
        free(l.items[i].error);
    }
    return code;
}

int samples_picture(const struct samples *s, int64_t row, struct arena *a, struct image *out, struct err *e)
{
    struct row cells;
    struct image img;
    struct provenance from;
    TRY(table_row(s->table, row, a, &cells, e));
    TRY(row_image(s->table, &cells, s->columns[0], a, NULL, &img, e));
    TRY(preprocess_pixels(s->model->preprocess[0], a, &img, &from, 1, e));
    *out = from.seen;
    return 0;
}
