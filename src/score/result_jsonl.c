/* result_jsonl.c - results as JSON lines, one object per sample, everything in it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "enc/json.h"
#include "score/writers.h"

const char *result_utf8(struct arena *a, const char *text)
{
    const char *p = text;
    while (*p && (unsigned char)*p < 0x80) p++;
    json_t *whole = *p ? json_string(text) : NULL;
    json_decref(whole);
    if (!*p || whole) return text;
    struct str clean = str_in(a);
    for (p = text; *p; p++) {
        if ((unsigned char)*p < 0x80) str_addc(&clean, *p);
        else str_add(&clean, "\xEF\xBF\xBD");
    }
    return str_done(&clean);
}

json_t *result_text(struct arena *a, const char *text)
{
    const char *clean = result_utf8(a, text);
    return clean ? json_string(clean) : NULL;
}

/* JSON has no word for NaN and infinities: null. */
static json_t *number_json(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *classes_json(const struct results *r, const struct answer *answer, struct arena *a)
{
    json_t *list = json_array();
    for (int64_t k = 0; k < answer->n; k++) {
        const char *label = result_label(r, a, answer->index[k]);
        json_array_append_new(list,
            json_pack("{s:I,s:o,s:o}", "index", (json_int_t)answer->index[k], "label",
                result_text(a, label ? label : ""), "score", number_json(answer->score[k])));
    }
    return json_pack("{s:o}", "classes", list);
}

static int mask_json(const struct results *r, const struct answer *answer, const struct result_files *f,
    struct arena *a, json_t **out, struct err *e)
{
    struct share *shares;
    size_t n;
    TRY(result_shares(answer, a, &shares, &n, e));
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const char *label = result_label(r, a, shares[i].label);
        json_array_append_new(list,
            json_pack("{s:i,s:o,s:o}", "index", shares[i].label, "label", result_text(a, label ? label : ""), "share",
                number_json(shares[i].share)));
    }
    *out = json_pack("{s:i,s:i,s:o}", "width", answer->width, "height", answer->height, "classes", list);
    if (f->mask) json_object_set_new(*out, "mask", result_text(a, f->mask));
    if (f->overlay) json_object_set_new(*out, "overlay", result_text(a, f->overlay));
    return 0;
}

static json_t *tensor_json(const struct tensor *t, const struct result_files *f, struct arena *a)
{
    json_t *shape = json_array(), *data;
    for (int d = 0; d < t->shape.rank; d++) json_array_append_new(shape, json_integer((json_int_t)t->shape.dim[d]));
    json_t *out = json_pack("{s:s,s:o}", "datatype", dtype_name(t->dtype), "shape", shape);
    if (f->tensor) return json_object_set_new(out, "file", result_text(a, f->tensor)), out;
    json_object_set_new(out, "data", data = json_array());
    bool integer = !dtype_is_float(t->dtype);
    for (int64_t i = 0; i < tensor_count(t); i++)
        json_array_append_new(
            data, integer ? json_integer((json_int_t)tensor_get_i64(t, i)) : number_json(tensor_get_f64(t, i)));
    return out;
}

double result_round(double v, int digits)
{
    char text[40];
    snprintf(text, sizeof text, "%.*g", digits, v);
    return strtod(text, NULL);
}

static json_t *boxes_json(
    const struct results *r, const struct answer *w, const struct result_files *f, struct arena *a)
{
    json_t *list = json_array();
    for (int64_t k = 0; k < w->n; k++) {
        const double *b = w->box + 4 * k;
        const char *label = result_label(r, a, w->index[k]);
        json_array_append_new(list,
            json_pack("{s:I,s:o,s:o,s:[f,f,f,f]}", "index", (json_int_t)w->index[k], "label",
                result_text(a, label ? label : ""), "score", number_json(result_round(w->score[k], 9)), "box",
                result_round(b[0], 7), result_round(b[1], 7), result_round(b[2], 7), result_round(b[3], 7)));
    }
    json_t *out = json_pack("{s:i,s:i,s:o}", "width", w->width, "height", w->height, "boxes", list);
    if (f->overlay) json_object_set_new(out, "overlay", result_text(a, f->overlay));
    return out;
}

static int answer_json(const struct results *r, const struct answer *answer, const struct result_files *f,
    struct arena *a, json_t **out, struct err *e)
{
    if (answer->kind == ANSWER_MASK) return mask_json(r, answer, f, a, out, e);
    if (answer->kind == ANSWER_BOXES) return *out = boxes_json(r, answer, f, a), 0;
    *out = answer->kind == ANSWER_CLASSES ? classes_json(r, answer, a) : tensor_json(&answer->tensor, f, a);
    return 0;
}

static json_t *carried_json(const struct results *r, const struct scored *s, struct arena *a)
{
    json_t *columns = json_object();
    for (size_t i = 0; i < r->o.n_carry; i++) {
        const char *text = s->source->cells[r->o.carry[i]].text;
        const char *name = result_utf8(a, table_column_at(r->o.table, (size_t)r->o.carry[i])->name), *own = name;
        for (int n = 2; own && json_object_get(columns, own); n++) own = arena_printf(a, "%s.%d", name, n);
        json_object_set_new(columns, own ? own : "", text ? result_text(a, text) : json_null());
    }
    return columns;
}

int result_jsonl_row(
    struct results *r, const struct scored *s, const struct result_files *files, struct arena *scratch, struct err *e)
{
    json_t *outputs = json_object();
    json_t *root = json_pack("{s:o,s:I}", result_id_name(r), result_text(scratch, s->id), "row", (json_int_t)s->row);
    if (r->o.n_carry) json_object_set_new(root, "columns", carried_json(r, s, scratch));
    json_object_set_new(root, "outputs", outputs);
    json_object_set_new(root, "error", s->error ? result_text(scratch, s->error) : json_null());
    TRY(json_own(scratch, root, e));
    for (size_t i = 0; i < r->n_outputs && !s->error; i++) {
        json_t *answer = NULL;
        if (r->outputs[i].kind == ANSWER_NONE) continue;
        TRY(answer_json(r, &s->answers[i], &files[i], scratch, &answer, e));
        if (json_object_set_new(outputs, r->outputs[i].name, answer)) return fail_nomem(e);
    }
    struct bytes line;
    TRY(json_print(root, JSON_IN_ORDER | JSON_ONE_LINE, scratch, &line, e));
    str_addn(&r->text, (const char *)line.data, line.len);
    return r->text.oom ? fail_nomem(e) : 0;
}
