/* rows.c - what the rows to learn from hold, looked at before the first step. */
#include <string.h>

#include "base/err.h"
#include "train/run.h"

enum { LOOKED_AT = 256, TOGETHER = 16 };

/* Classes that no row to learn from has; all labels are read before the first step. */
int run_check_labels(struct train_run *r, struct err *e)
{
    const struct classes *c = table_classes(r->data);
    int64_t *count = ARENA_ARRAY(&r->a, c->n, int64_t);
    struct arena scratch;
    size_t there = 0, bad = 0;
    TRY_MEM(count, e);
    arena_init(&scratch, NULL);
    for (size_t i = 0; i < r->train.n; i++) {
        struct row row;
        struct err local = { 0 };
        int64_t k = -1;
        if (table_row(r->data, r->train.rows[i], &scratch, &row, &local) > 0 &&
            !row_class(r->data, &row, r->train.target_column, &k, &local) && k >= 0 && k < (int64_t)c->n)
            count[k]++;
        else if (!bad++) fail(e, ERR_DATA, "%s", local.code ? local.text : "a label is empty or no class");
        arena_release(&scratch);
    }
    for (size_t i = 0; i < c->n; i++) there += count[i] > 0;
    if ((int64_t)bad > conf_int(r->conf, "max_errors"))
        return err_prefix(e, "%zu labels cannot be used (max_errors: %lld), the first", bad,
            (long long)conf_int(r->conf, "max_errors"));
    err_clear(e);
    if (there < 2)
        return fail(e, ERR_DATA, "%s: the rows to learn from are of %zu class%s: there is nothing to tell apart",
            table_path(r->data), there, there == 1 ? " only" : "es");
    for (size_t i = 0; i < c->n && c->n - there < 10; i++)
        if (!count[i]) run_say(r, "warning: no row to learn from is of class %s", c->names[i]);
    return 0;
}

/* What has been seen of rows that are loaded whole. */
struct look {
    size_t rows, bad;
    bool seen[65536]; /* labels of masks */
};

static void see_labels(struct look *l, const struct tensor *mask, int64_t ignored)
{
    const int64_t *label = mask->data;
    for (int64_t i = 0; i < tensor_count(mask); i++)
        if (label[i] != ignored && label[i] >= 0 && label[i] < 65536) l->seen[label[i]] = true;
}

/* The first row that cannot be used stays in `first`. */
static int look_at(struct train_run *r, struct look *l, struct err *first, struct err *e)
{
    size_t step = r->train.n > LOOKED_AT ? r->train.n / LOOKED_AT : 1, order[TOGETHER];
    struct samples plain = r->train;
    struct arena a;
    plain.augment = NULL;
    arena_init(&a, NULL);
    for (size_t at = 0; at < plain.n && !e->code;) {
        struct batch b;
        size_t n = 0;
        for (; n < TOGETHER && at < plain.n; at += step) order[n++] = at;
        if (samples_batch(&plain, 0, order, n, &a, &b, e)) break;
        l->rows += n;
        l->bad += b.n_errors;
        if (b.n_errors && !first->code) fail(first, ERR_DATA, "%s", b.errors[0]);
        if (b.n && plain.target == SAMPLE_MASK) see_labels(l, b.target[0], plain.ignored);
        arena_release(&a);
    }
    arena_release(&a);
    return e->code;
}

/* Masks of one label teach nothing; where not all were looked at, others may have more. */
static int check_masks(const struct train_run *r, const struct look *l, struct err *e)
{
    int64_t label = -1, n = 0;
    for (int64_t i = 0; i < 65536; i++)
        if (l->seen[i]) label = i, n++;
    if (n > 1) return 0;
    if (l->rows < r->train.n)
        return run_say(r, "warning: the %zu masks looked at hold %s", l->rows, n ? "one label only" : "no label"), 0;
    if (!n) return fail(e, ERR_DATA, "%s: the masks hold no label but ignored ones", table_path(r->data));
    return fail(e, ERR_DATA, "%s: all masks hold label %lld only: there is nothing to tell apart", table_path(r->data),
        (long long)label);
}

int run_check_rows(struct train_run *r, struct err *e)
{
    struct err first = { 0 };
    struct look *l = ARENA_NEW(&r->a, struct look);
    if (r->task->target == SAMPLE_CLASS && r->n_heads == 1) return 0; /* their labels are read already */
    TRY_MEM(l, e);
    TRY(look_at(r, l, &first, e));
    if ((int64_t)l->bad > conf_int(r->conf, "max_errors"))
        return fail(e, ERR_DATA, "%zu of %zu rows looked at cannot be used (max_errors: %lld), the first: %s", l->bad,
            l->rows, (long long)conf_int(r->conf, "max_errors"), first.text);
    if (l->bad)
        run_say(r, "warning: %zu of %zu rows looked at will be skipped, the first: %s", l->bad, l->rows, first.text);
    return r->task->target == SAMPLE_MASK ? check_masks(r, l, e) : 0;
}
