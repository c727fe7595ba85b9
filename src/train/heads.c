/* heads.c - reading the key `heads`, and the targets of its losses from the table's columns. */
#include "train/heads.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "conf/conf.h"

#define FORM "expected OUTPUT=LOSS, OUTPUT=LOSS*WEIGHT or either with :COLUMN+COLUMN behind it"

static int output_named(const struct graph *g, const char *word, struct arena *a, size_t *at, struct err *e)
{
    struct str all = str_in(a);
    for (*at = 0; *at < g->n_outputs; ++*at) {
        size_t len = strlen(g->outputs[*at]->name);
        if (!strncmp(word, g->outputs[*at]->name, len) && word[len] == '=') return 0;
        str_addf(&all, "%s%s", *at ? ", " : "", g->outputs[*at]->name);
    }
    const char *names = str_done(&all);
    return fail(e, ERR_USAGE, "heads: \"%s\" begins with no output of the model (%s); " FORM, word, names ? names : "");
}

/* "LOSS*WEIGHT:COLUMNS", the last two as they like. */
static int read_loss(char *text, const char *word, struct train_head *h, struct further *f, struct err *e)
{
    char *columns = strchr(text, ':'), *weight, *end;
    if (columns) *columns++ = 0;
    if ((weight = strchr(text, '*'))) *weight++ = 0;
    if (!*text || (columns && !*columns)) return fail(e, ERR_USAGE, "heads: \"%s\": " FORM, word);
    h->loss.name = text;
    h->weight = weight ? strtod(weight, &end) : 1;
    if (weight && (end == weight || *end || !(h->weight > 0) || !isfinite(h->weight)))
        return fail(e, ERR_USAGE, "heads: \"%s\": %s is no weight above 0", word, weight);
    f->names = columns;
    return 0;
}

static int read_head(const struct graph *g, const char *word, const struct train_head *main, struct arena *a,
    struct train_head *h, struct further *f, struct err *e)
{
    enum dtype t, main_t;
    struct shape s;
    *h = (struct train_head){ 0 };
    *f = (struct further){ .want = shape_unknown() };
    TRY(output_named(g, word, a, &h->output, e));
    char *rest = arena_strdup(a, word + strlen(g->outputs[h->output]->name) + 1);
    TRY_MEM(rest, e);
    TRY(read_loss(rest, word, h, f, e));
    const char *name = h->loss.name;
    if (!f->names) h->loss = main->loss, h->loss.name = name;
    else h->loss.beta = main->loss.beta;
    TRY(loss_target(&main->loss, loss_scores(&main->loss, g->outputs[main->output]), &main_t, &s, e));
    if (loss_target(&h->loss, loss_scores(&h->loss, g->outputs[h->output]), &t, &s, e))
        return err_prefix(e, "heads: \"%s\"", word);
    if (!f->names && t != main_t)
        return fail(
            e, ERR_USAGE, "heads: \"%s\": loss %s does not fit what the first output learns; name columns", word, name);
    if (f->names && t == DT_I64) f->classes = g->outputs[h->output]->shape.dim[1];
    return 0;
}

int heads_read(const struct conf *c, const struct graph *g, struct arena *a, struct train_head *heads,
    struct further *further, size_t *n, struct err *e)
{
    size_t words;
    const char *const *list = conf_list(c, "heads", &words);
    heads[0].weight = conf_float(c, "loss_weight");
    if (!(heads[0].weight > 0) || !isfinite(heads[0].weight))
        return fail(e, ERR_USAGE, "loss_weight: %g, expected a number above 0", heads[0].weight);
    if (words >= MOST_HEADS) return fail(e, ERR_USAGE, "heads: %zu, at most %d are taken", words, MOST_HEADS - 1);
    for (; *n <= words; ++*n) TRY(read_head(g, list[*n - 1], &heads[0], a, &heads[*n], &further[*n], e));
    return 0;
}

static int column_named(const struct table *t, const char *name)
{
    for (size_t i = 0; i < table_columns(t); i++)
        if (!strcmp(table_column_at(t, i)->name, name)) return (int)i;
    return -1;
}

int further_find(struct further *f, const struct table *t, struct arena *a, struct err *e)
{
    if (!f->names) return 0;
    char *copy = arena_strdup(a, f->names);
    int *columns = ARENA_ARRAY(a, strlen(f->names) + 1, int);
    if (!copy || !columns) return fail_nomem(e);
    f->n_columns = 0;
    for (char *name; (name = strsep(&copy, "+"));) {
        int at = column_named(t, name);
        if (at < 0) return fail(e, ERR_USAGE, "heads: %s has no column \"%s\"", table_path(t), name);
        if (table_column_at(t, (size_t)at)->role == ROLE_MASK)
            return fail(e, ERR_UNSUPPORTED, "heads: %s holds masks: they can only be the first output's", name);
        columns[f->n_columns++] = at;
    }
    if (f->classes && f->n_columns != 1)
        return fail(e, ERR_USAGE, "heads: %s: a class is one column, not %zu", f->names, f->n_columns);
    f->columns = columns;
    return 0;
}

static int take_class(const struct further *f, const struct table *t, const struct row *row, struct arena *a,
    struct tensor *out, struct err *e)
{
    int64_t class = -1;
    double *v;
    size_t n;
    struct shape one = f->want.rank > 0 ? f->want : shape_of(0, NULL);
    if (table_column_at(t, (size_t)f->columns[0])->role == ROLE_LABEL) {
        TRY(row_class(t, row, f->columns[0], &class, e));
        if (class < 0) return fail(e, ERR_DATA, "%s: the label is empty", row->where);
    } else {
        TRY(row_cell_numbers(t, row, f->columns[0], a, &v, &n, e));
        if (n == 1 && v[0] >= 0 && v[0] < 1e9 && v[0] == floor(v[0])) class = (int64_t)v[0];
    }
    if (class < 0 || class >= f->classes)
        return fail(
            e, ERR_DATA, "%s: %s holds no class from 0 to %lld", row->where, f->names, (long long)f->classes - 1);
    struct tensor *made = tensor_copy(a, DT_I64, &one, &class, e);
    return made ? *out = *made, 0 : e->code;
}

/* The numbers of all columns, one after the other. */
static int take_numbers(const struct further *f, const struct table *t, const struct row *row, struct arena *a,
    struct tensor *out, struct err *e)
{
    struct part {
        double *v;
        size_t n;
    } *parts = ARENA_ARRAY(a, f->n_columns, struct part);
    int64_t n = 0, at = 0;
    TRY_MEM(parts, e);
    for (size_t i = 0; i < f->n_columns; i++) {
        TRY(row_cell_numbers(t, row, f->columns[i], a, &parts[i].v, &parts[i].n, e));
        n += (int64_t)parts[i].n;
    }
    struct shape s = f->want.rank < 0 ? shape_of(1, &n) : f->want;
    if (shape_count(&s) != n)
        return fail(e, ERR_DATA, "%s: %s holds %lld numbers, the model gives %lld", row->where, f->names, (long long)n,
            (long long)shape_count(&s));
    struct tensor *made = tensor_new(a, DT_F32, &s, e);
    if (!made) return e->code;
    for (size_t i = 0; i < f->n_columns; i++)
        for (size_t k = 0; k < parts[i].n; k++) tensor_set_f64(made, at++, parts[i].v[k]);
    *out = *made;
    return 0;
}

int further_row(const struct further *f, const struct table *t, const struct row *row, struct arena *a,
    struct tensor *out, struct err *e)
{
    return f->classes ? take_class(f, t, row, a, out, e) : take_numbers(f, t, row, a, out, e);
}
