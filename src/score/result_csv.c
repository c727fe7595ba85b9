/* result_csv.c - results as a table of text, one row per sample. */
#include <string.h>

#include "base/array.h"
#include "base/err.h"
#include "enc/csv.h"
#include "score/writers.h"

/* A row while it is put together. Out of memory shows at the end. */
struct line {
    struct arena *arena;
    const char **fields;
    size_t n, cap;
    bool oom;
};

static void put(struct line *row, const char *text)
{
    if (!text || !ARRAY_PUSH(row->arena, row->fields, row->n, row->cap, text)) row->oom = true;
}

static int end_row(struct results *r, const struct line *row, struct err *e)
{
    if (row->oom) return fail_nomem(e);
    csv_put(&r->text, row->fields, row->n, r->o.format == RESULTS_TSV ? '\t' : ',');
    return r->text.oom ? fail_nomem(e) : 0;
}

static void head_classes(struct line *row, const struct result_output *out)
{
    static const char *const names[] = { "label", "score", "class" };
    for (int64_t k = 1; k <= out->k; k++)
        for (int i = 0; i < 3; i++)
            put(row,
                k == 1 ? arena_printf(row->arena, "%s%s", out->prefix, names[i])
                       : arena_printf(row->arena, "%s%s_%lld", out->prefix, names[i], (long long)k));
}

static void head_mask(struct line *row, const struct results *r, const struct result_output *out)
{
    put(row, arena_printf(row->arena, "%sclasses", out->prefix));
    if (r->o.masks) put(row, arena_printf(row->arena, "%smask", out->prefix));
    if (r->o.overlays) put(row, arena_printf(row->arena, "%soverlay", out->prefix));
}

int result_csv_header(struct results *r, struct arena *scratch, struct err *e)
{
    struct line row = { .arena = scratch };
    put(&row, "path");
    for (size_t i = 0; i < r->n_outputs; i++) {
        const struct result_output *out = &r->outputs[i];
        if (out->kind == ANSWER_CLASSES) head_classes(&row, out);
        else if (out->kind == ANSWER_MASK) head_mask(&row, r, out);
        else put(&row, out->name);
    }
    put(&row, "error");
    return end_row(r, &row, e);
}

static void put_classes(
    struct line *row, const struct results *r, const struct result_output *out, const struct answer *a)
{
    for (int64_t k = 0; k < out->k; k++) {
        bool there = a && k < a->n;
        put(row, there ? result_label(r, row->arena, a->index[k]) : "");
        put(row, there ? arena_printf(row->arena, "%.9g", a->score[k]) : "");
        put(row, there ? arena_printf(row->arena, "%lld", (long long)a->index[k]) : "");
    }
}

static int put_mask(
    struct line *row, const struct results *r, const struct answer *a, const struct result_files *f, struct err *e)
{
    struct str s = str_in(row->arena);
    struct share *shares = NULL;
    size_t n = 0;
    if (a) TRY(result_shares(a, row->arena, &shares, &n, e));
    for (size_t i = 0; i < n; i++) {
        const char *label = result_label(r, row->arena, shares[i].label);
        TRY_MEM(label, e);
        str_addf(&s, "%s%s %.4g", i ? "; " : "", label, shares[i].share);
    }
    put(row, str_done(&s));
    if (r->o.masks) put(row, f->mask ? f->mask : "");
    if (r->o.overlays) put(row, f->overlay ? f->overlay : "");
    return 0;
}

static void put_tensor(struct line *row, const struct answer *a, const struct result_files *f)
{
    struct str s = str_in(row->arena);
    if (f->tensor) str_add(&s, f->tensor);
    bool integer = a && !dtype_is_float(a->tensor.dtype);
    for (int64_t i = 0; a && !f->tensor && i < tensor_count(&a->tensor); i++) {
        if (i) str_addc(&s, ' ');
        if (integer) str_addf(&s, "%lld", (long long)tensor_get_i64(&a->tensor, i));
        else str_addf(&s, "%.9g", tensor_get_f64(&a->tensor, i));
    }
    put(row, str_done(&s));
}

int result_csv_row(
    struct results *r, const struct scored *s, const struct result_files *files, struct arena *scratch, struct err *e)
{
    struct line row = { .arena = scratch };
    put(&row, s->id);
    for (size_t i = 0; i < r->n_outputs; i++) {
        const struct result_output *out = &r->outputs[i];
        const struct answer *a = s->error ? NULL : &s->answers[i];
        if (out->kind == ANSWER_CLASSES) put_classes(&row, r, out, a);
        else if (out->kind == ANSWER_MASK) TRY(put_mask(&row, r, a, &files[i], e));
        else put_tensor(&row, a, &files[i]);
    }
    put(&row, s->error ? s->error : "");
    return end_row(r, &row, e);
}
