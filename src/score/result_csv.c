/* result_csv.c - results as a table of text, one row per sample. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/array.h"
#include "base/err.h"
#include "enc/csv.h"
#include "enc/json.h"
#include "score/writers.h"

/* A row while it is put together. Out of memory shows at the end. */
struct line {
    struct arena *arena;
    const char **fields, **types; /* types: of a header, for SQL */
    size_t n, cap, n_types, cap_types;
    bool oom;
};

static void put(struct line *row, const char *text)
{
    if (!text || !ARRAY_PUSH(row->arena, row->fields, row->n, row->cap, text)) row->oom = true;
}

static void head(struct line *row, const char *name, const char *type)
{
    put(row, name);
    if (!ARRAY_PUSH(row->arena, row->types, row->n_types, row->cap_types, type)) row->oom = true;
}

char result_separator(const struct results *r)
{
    return r->o.format == RESULTS_TSV ? '\t' : ',';
}

const char *result_id_name(const struct results *r)
{
    return r->o.table && table_column(r->o.table, ROLE_ID, 0) >= 0 ? "id" : "path";
}

static int end_row(struct results *r, const struct line *row, struct err *e)
{
    if (row->oom) return fail_nomem(e);
    csv_put(&r->text, row->fields, row->n, result_separator(r));
    return r->text.oom ? fail_nomem(e) : 0;
}

/* What columns are called: ours, and those of the systems before. */
static const struct {
    const char *name, *old, *type;
} class_heads[] = { { "label", "_predName_", "TEXT" }, { "score", "_predP_", "REAL" },
    { "class", "_predClass_", "INTEGER" } };

static void head_classes(struct line *row, const struct results *r, const struct result_output *out)
{
    for (int64_t k = 1; k <= out->k; k++)
        for (int i = 0; i < 3; i++) {
            const char *name = r->o.old_names ? class_heads[i].old : class_heads[i].name;
            char rank[24] = "";
            if (k > 1) snprintf(rank, sizeof rank, "%s%lld", r->o.old_names ? "" : "_", (long long)k);
            head(row, arena_printf(row->arena, "%s%s%s", out->prefix, name, rank), class_heads[i].type);
        }
}

static void head_mask(struct line *row, const struct results *r, const struct result_output *out)
{
    const char *mask = r->o.old_names ? "_predImg_" : "mask";
    head(row, arena_printf(row->arena, "%sclasses", out->prefix), "TEXT");
    if (r->o.masks) head(row, arena_printf(row->arena, "%s%s", out->prefix, mask), "TEXT");
    if (r->o.overlays) head(row, arena_printf(row->arena, "%soverlay", out->prefix), "TEXT");
}

/* What follows _Object{k}_ ... in the tables of the systems before. */
static const struct {
    const char *begin, *end, *type;
} object_heads[] = { { "_Object", "_", "TEXT" }, { "_P_Object", "_", "REAL" }, { "_Object", "_x", "REAL" },
    { "_Object", "_y", "REAL" }, { "_Object", "_width", "REAL" }, { "_Object", "_height", "REAL" } };

static void head_objects(struct line *row, const struct result_output *out)
{
    head(row, arena_printf(row->arena, "%s_nObjects_", out->prefix), "INTEGER");
    for (int64_t k = 0; k < out->k; k++)
        for (size_t i = 0; i < sizeof object_heads / sizeof *object_heads; i++)
            head(row,
                arena_printf(row->arena, "%s%s%lld%s", out->prefix, object_heads[i].begin, (long long)k,
                    object_heads[i].end),
                object_heads[i].type);
}

static void put_objects(
    struct line *row, const struct results *r, const struct result_output *out, const struct answer *w)
{
    put(row, w ? arena_printf(row->arena, "%lld", (long long)w->n) : "");
    for (int64_t k = 0; k < out->k; k++) {
        bool there = w && k < w->n && w->width > 0 && w->height > 0;
        const double none[4] = { 0 }, *b = there ? w->box + 4 * k : none;
        double width = there ? w->width : 1, height = there ? w->height : 1;
        const double numbers[] = { there ? w->score[k] : 0, (b[0] + b[2]) / 2 / width, (b[1] + b[3]) / 2 / height,
            (b[2] - b[0]) / width, (b[3] - b[1]) / height };
        put(row, there ? result_label(r, row->arena, w->index[k]) : "");
        for (int i = 0; i < 5; i++) put(row, there ? arena_printf(row->arena, "%.9g", numbers[i]) : "");
    }
}

static void head_boxes(struct line *row, const struct results *r, const struct result_output *out)
{
    if (r->o.old_names) head_objects(row, out);
    else {
        head(row, arena_printf(row->arena, "%sobjects", out->prefix), "INTEGER");
        head(row, arena_printf(row->arena, "%sboxes", out->prefix), "TEXT");
    }
    if (r->o.overlays) head(row, arena_printf(row->arena, "%soverlay", out->prefix), "TEXT");
}

/* A column carried along that is called as one of ours becomes "table.NAME"; equal ones get a number. */
static void tell_apart(struct line *row, size_t n_carry)
{
    for (size_t i = 1; i <= n_carry; i++) {
        size_t ours = 0, before = 0;
        for (size_t k = 0; k < row->n; k++) {
            if (k == i || strcasecmp(row->fields[k], row->fields[i])) continue;
            ours += k == 0 || k > n_carry;
            before += k > 0 && k < i;
        }
        if (ours) row->fields[i] = arena_printf(row->arena, "table.%s", row->fields[i]);
        if (before && row->fields[i]) row->fields[i] = arena_printf(row->arena, "%s.%zu", row->fields[i], before + 1);
        row->oom = row->oom || !row->fields[i];
        if (row->oom) return;
    }
}

/* What the table shows of an output: an array has what the model gave, before postprocessing. */
static enum answer_kind kind_shown(const struct results *r, const struct result_output *out)
{
    return r->o.format == RESULTS_NPY ? ANSWER_TENSOR : out->kind;
}

int result_csv_columns(
    struct results *r, struct arena *a, const char ***names, const char ***affinity, size_t *n, struct err *e)
{
    struct line row = { .arena = a };
    head(&row, result_id_name(r), "TEXT");
    for (size_t i = 0; i < r->o.n_carry; i++) head(&row, table_column_at(r->o.table, (size_t)r->o.carry[i])->name, "");
    for (size_t i = 0; i < r->n_outputs; i++) {
        const struct result_output *out = &r->outputs[i];
        enum answer_kind kind = kind_shown(r, out);
        if (kind == ANSWER_CLASSES) head_classes(&row, r, out);
        else if (kind == ANSWER_MASK) head_mask(&row, r, out);
        else if (kind == ANSWER_BOXES) head_boxes(&row, r, out);
        else if (kind == ANSWER_TENSOR) head(&row, out->name, "TEXT");
    }
    head(&row, "error", "TEXT");
    if (!row.oom) tell_apart(&row, r->o.n_carry);
    *names = row.fields, *n = row.n;
    if (affinity) *affinity = row.types;
    return row.oom ? fail_nomem(e) : 0;
}

int result_csv_header(struct results *r, struct arena *scratch, struct err *e)
{
    struct line row = { .arena = scratch };
    TRY(result_csv_columns(r, scratch, &row.fields, NULL, &row.n, e));
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

/* How many, and a JSON list of [label, score, left, top, right, bottom], which SQLite's json_each() takes apart. */
static int put_boxes(struct line *row, const struct results *r, const struct answer *w, struct err *e)
{
    json_t *list = json_array();
    struct bytes text;
    TRY(json_own(row->arena, list, e));
    for (int64_t k = 0; w && k < w->n; k++) {
        const double *b = w->box + 4 * k;
        const char *label = result_label(r, row->arena, w->index[k]);
        json_t *name = label ? result_text(row->arena, label) : NULL;
        json_array_append_new(list,
            json_pack("[o,f,f,f,f,f]", name, result_round(w->score[k], 9), result_round(b[0], 7), result_round(b[1], 7),
                result_round(b[2], 7), result_round(b[3], 7)));
    }
    TRY(json_print(list, JSON_IN_ORDER | JSON_ONE_LINE, row->arena, &text, e));
    while (text.len && text.data[text.len - 1] == '\n') text.len--;
    put(row, w ? arena_printf(row->arena, "%lld", (long long)w->n) : "");
    put(row, w ? arena_strndup(row->arena, (const char *)text.data, text.len) : "");
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
    for (size_t i = 0; i < r->o.n_carry; i++) {
        const char *text = s->source->cells[r->o.carry[i]].text;
        put(&row, text ? text : "");
    }
    for (size_t i = 0; i < r->n_outputs; i++) {
        const struct result_output *out = &r->outputs[i];
        struct answer plain = { ANSWER_TENSOR, .tensor = s->outputs ? s->outputs[i] : (struct tensor){ 0 } };
        const struct answer *a = s->error ? NULL : r->o.format == RESULTS_NPY ? &plain : &s->answers[i];
        enum answer_kind kind = kind_shown(r, out);
        if (kind == ANSWER_CLASSES) put_classes(&row, r, out, a);
        else if (kind == ANSWER_MASK) TRY(put_mask(&row, r, a, &files[i], e));
        else if (kind == ANSWER_BOXES && r->o.old_names) put_objects(&row, r, out, a);
        else if (kind == ANSWER_BOXES) TRY(put_boxes(&row, r, a, e));
        if (kind == ANSWER_BOXES && r->o.overlays) put(&row, files[i].overlay ? files[i].overlay : "");
        else if (kind == ANSWER_TENSOR) put_tensor(&row, a, &files[i]);
    }
    put(&row, s->error ? s->error : "");
    return end_row(r, &row, e);
}
