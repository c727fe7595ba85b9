/* targets_numbers.c - numbers against those of the table: the errors of each, and of all. */
#include "base/array.h"
#include "base/err.h"
#include "score/targets_kinds.h"

static int init(struct targets *j, struct err *e)
{
    return 0; /* the first row tells how many there are */
}

/* Outputs take the row's numbers one behind the other, and the table may have those of the first outputs only. Returns
 * how many those before `j` take; below 0, with an error: the numbers of the row end within an output's. */
static int64_t taken_before(const struct targets *j, const struct scored *s, int64_t n, struct arena *a, struct err *e)
{
    int64_t all = 0, before = 0;
    bool fits = false;
    struct str sums = str_in(a);
    for (const struct targets *k = j->first; k; k = k->next) {
        if (k == j) before = all;
        if (k->kind != &target_numbers) continue;
        str_addf(&sums, "%s%lld", all ? " or " : "", (long long)(all + tensor_count(&s->answers[k->output].tensor)));
        all += tensor_count(&s->answers[k->output].tensor);
        fits = fits || all == n;
    }
    if (fits) return before;
    const char *text = str_done(&sums);
    return text ? fail(e, ERR_USAGE, "%s: %lld numbers in the table, but the model gives %s", s->source->where,
                      (long long)n, text)
                : fail_nomem(e);
}

static int judge(struct targets *j, const struct scored *s, struct arena *a, struct str *out, struct err *e)
{
    struct err bad = { 0 };
    const struct tensor *t = &s->answers[j->output].tensor;
    double *truth;
    size_t n;
    if (row_numbers(s->table, s->source, a, &truth, &n, &bad)) return bad.code == ERR_NOMEM ? fail_nomem(e) : 0;
    int64_t count = tensor_count(t), before = taken_before(j, s, (int64_t)n, a, e);
    TRY(e->code);
    if (before + count > (int64_t)n) return 0;
    str_addc(out, target_numbers.letter);
    for (int64_t i = 0; i < count; i++) targets_write_number(out, truth[before + i]);
    for (int64_t i = 0; i < count; i++) targets_write_number(out, tensor_get_f64(t, i));
    return 1;
}

static int add(struct targets *j, const char *p, struct arena *a, struct err *e)
{
    double *v = NULL, x;
    size_t n = 0, cap = 0;
    while (targets_number(&p, &x))
        if (!ARRAY_PUSH(a, v, n, cap, x)) return fail_nomem(e);
    if (!j->regression.outputs && n > 1) TRY(regression_init(&j->regression, j->arena, (int64_t)n / 2, e));
    if (!n || n % 2 || (int64_t)n / 2 != j->regression.outputs)
        return fail(e, ERR_DATA, "rows differ in how many numbers they have: %zu and %lld", n / 2,
            (long long)j->regression.outputs);
    regression_add(&j->regression, v, v + n / 2);
    return 0;
}

/* The column that the i-th number stands in: each has its own, or one has them all; else it is not said. */
static const char *column_of(const struct targets *j, int64_t i)
{
    const struct table *t = j->table;
    size_t n = 0;
    int64_t all = 0;
    for (const struct targets *k = j->first; k; k = k->next) {
        if (k == j) i += all;
        all += k->regression.outputs; /* 0 of other kinds */
    }
    while (table_numbers(t, n) >= 0) n++;
    if (n != 1 && n != (size_t)all) return NULL;
    return table_column_at(t, (size_t)table_numbers(t, n == 1 ? 0 : (size_t)i))->name;
}

static void put_measures(json_t *o, struct regression_measures m)
{
    targets_put(o, "mae", m.mae);
    targets_put(o, "mse", m.mse);
    targets_put(o, "rmse", m.rmse);
    targets_put(o, "r2", m.r2);
}

static int report(struct targets *j, struct arena *a, json_t *o, struct err *e)
{
    json_t *columns = json_array();
    put_measures(o, regression_measure(&j->regression, -1));
    json_object_set_new(o, "numbers", columns);
    for (int64_t i = 0; i < j->regression.outputs; i++) {
        json_t *one = json_pack("{s:I,s:s?}", "index", (json_int_t)i, "column", column_of(j, i));
        put_measures(one, regression_measure(&j->regression, i));
        json_array_append_new(columns, one);
    }
    return 0;
}

const struct target_kind target_numbers = { 'R', ROLE_NUMBERS, { NULL }, "numbers", "numbers", true, init, judge, add,
    report };
