/* targets.c - compares answers with targets. */
#include "score/targets.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/err.h"
#include "data/resample.h"
#include "enc/json.h"
#include "metric/confusion.h"
#include "metric/ranking.h"
#include "metric/regression.h"
#include "score/targets_boxes.h"

enum {
    IGNORED = 255, /* of a mask: "no class", as in Pascal VOC and Cityscapes */
    TOP_K = 5,
    CLASSES_UNKNOWN = 65536 /* as many as a detector may have that names none */
};

struct targets {
    struct arena *arena;
    const struct model *model;
    struct table *table;
    enum role role; /* of the target */
    bool logits;    /* the output becomes probabilities by a softmax or a sigmoid */
    int column;
    size_t output; /* the one compared */
    int64_t rows, without;
    double loss;
    int64_t hits; /* rows whose class is among the first TOP_K */
    struct confusion confusion;
    struct regression regression;
    struct box_targets boxes;
    double pixel_loss, pixels;
    float *scores; /* (n_scores, classes) */
    int64_t *truths;
    size_t n_scores, cap_scores, n_truths, cap_truths;
};

static bool has_step(const json_t *steps, const char *name)
{
    const json_t *step;
    size_t i;
    json_array_foreach(steps, i, step)
    {
        const char *op = json_string_value(json_object_get(step, "op"));
        if (op && !strcmp(op, name)) return true;
    }
    return false;
}

static const json_t *steps_of(const struct targets *j, size_t output)
{
    const json_t *port = manifest_port(j->model->manifest, "outputs", j->model->graph->outputs[output]->name);
    return json_object_get(port, "postprocess");
}

/* What the answers are, and so what they are compared with. */
static int choose_target(struct targets *j, struct err *e)
{
    static const struct {
        enum role role;
        const char *steps[2], *gives, *wants;
    } kinds[] = { { ROLE_NUMBERS, { NULL }, "numbers", "numbers" }, { ROLE_LABEL, { "top_k" }, "classes", "label" },
        { ROLE_MASK, { "argmax", "threshold" }, "masks", "mask" }, { ROLE_BOXES, { "boxes" }, "boxes", "boxes" } };
    const struct graph *g = j->model->graph;
    while (j->output + 1 < g->n_outputs && has_step(steps_of(j, j->output), "omit")) j->output++;
    const json_t *steps = steps_of(j, j->output);
    size_t kind = 0;
    for (size_t i = 1; i < sizeof kinds / sizeof *kinds; i++)
        for (int k = 0; k < 2 && kinds[i].steps[k]; k++)
            if (has_step(steps, kinds[i].steps[k])) kind = i;
    j->role = kinds[kind].role;
    const struct node *last = g->outputs[j->output]->node;
    j->logits = j->role == ROLE_MASK ? !node_is(last, "Softmax") && !node_is(last, "Sigmoid")
                                     : has_step(steps, "softmax");
    j->column = table_column(j->table, j->role, 0);
    if (j->column >= 0) return 0;
    return fail(e, ERR_USAGE, "%s: the model gives %s, and no column has the truth: say which, as in --columns %s=NAME",
        table_path(j->table), kinds[kind].gives, kinds[kind].wants);
}

/* Classes are those of the model; where it names none, those of its output. */
static int start_confusion(struct targets *j, struct err *e)
{
    const struct labels *l = &j->model->labels;
    const struct shape *s = &j->model->graph->outputs[j->output]->shape;
    if (l->n) TRY(table_set_classes(j->table, l->names, l->n, e));
    if (j->role == ROLE_BOXES)
        return box_targets_init(&j->boxes, j->arena, l->n ? (int64_t)l->n : CLASSES_UNKNOWN, e);
    int64_t n = (int64_t)l->n, wide = s->rank > 1 ? s->dim[1] : -1;
    if (wide > n) n = wide;
    if (j->role == ROLE_MASK && n < 256) n = 256;
    if (n < 1)
        return fail(e, ERR_USAGE, "the model does not say how many classes it has: give their names with --labels");
    return confusion_init(&j->confusion, j->arena, n, e);
}

struct targets *targets_new(struct arena *a, const struct model *m, struct table *t, struct err *e)
{
    struct targets *j = ARENA_NEW(a, struct targets);
    if (!j) return fail_nomem(e), NULL;
    *j = (struct targets){ .arena = a, .model = m, .table = t };
    if (choose_target(j, e)) return NULL;
    if (j->role != ROLE_NUMBERS && start_confusion(j, e)) return NULL;
    return j;
}

/* 1: the row has a target; 0: it has none. */
static int judge_class(struct targets *j, const struct scored *s, struct arena *a, struct str *out, struct err *e)
{
    const struct tensor *scores = &s->outputs[j->output];
    int64_t truth, n = tensor_count(scores), best = 0;
    struct err bad = { 0 };
    if (row_class(s->table, s->source, j->column, &truth, &bad) || truth < 0) return 0;
    if (n > j->confusion.n) n = j->confusion.n;
    if (truth >= n) return 0;
    double *v = ARENA_ARRAY(a, n, double);
    TRY_MEM(v, e);
    load_f64(scores->dtype, scores->data, n, v);
    for (int64_t i = 1; i < n; i++)
        if (v[i] > v[best]) best = i;
    str_addf(out, "C %lld %lld %lld %a", (long long)truth, (long long)best, (long long)rank_of(v, n, truth),
        cross_entropy(v, n, truth, j->logits));
    for (int64_t i = 0; i < n && n <= TARGETS_SCORES; i++) str_addf(out, " %a", v[i]);
    return 1;
}

/* The truth in the size of the answer. */
static int target_mask(
    const struct answer *w, const struct image *truth, struct arena *a, int32_t **out, struct err *e)
{
    struct image img = *truth;
    if (img.width != w->width || img.height != w->height)
        TRY(image_resize(&img, a, &img, w->width, w->height, RESAMPLE_NEAREST, NULL, 1, e));
    size_t n = (size_t)img.width * (size_t)img.height;
    TRY_MEM(*out = ARENA_ARRAY(a, n, int32_t), e);
    for (size_t i = 0; i < n; i++)
        (*out)[i] = img.bits == 16 ? ((const uint16_t *)(const void *)img.pixels)[i] : img.pixels[i];
    return 0;
}

/* The maps of scores: (classes, pixels), whichever way they lie. */
struct score_map {
    const double *v;
    int64_t classes, pixels, class_step, pixel_step;
    int width, height;
};

/* 0 where the output is no map of scores for classes. */
static int score_map(
    const struct targets *j, const struct scored *s, struct arena *a, struct score_map *m, struct err *e)
{
    const struct tensor *t = &s->outputs[j->output];
    const struct shape *k = &t->shape;
    const json_t *steps = steps_of(j, j->output);
    json_int_t axis = 1;
    const json_t *step;
    size_t i;
    json_array_foreach(steps, i, step) if (json_object_get(step, "axis")) axis =
        json_integer_value(json_object_get(step, "axis"));
    bool last = axis == 3 || axis == -1;
    if (k->rank != 4 || k->dim[0] != 1) return 0;
    double *v = ARENA_ARRAY(a, tensor_count(t), double);
    TRY_MEM(v, e);
    load_f64(t->dtype, t->data, tensor_count(t), v);
    *m = (struct score_map){ v, k->dim[last ? 3 : 1], 0, 0, 0, (int)k->dim[last ? 2 : 3], (int)k->dim[last ? 1 : 2] };
    m->pixels = (int64_t)m->width * m->height;
    m->class_step = last ? 1 : m->pixels, m->pixel_step = last ? m->classes : 1;
    return 1;
}

/* The mean loss of pixels is that of the model's own map, before it is resized to the image. */
static int pixel_losses(const struct targets *j, const struct scored *s, const struct image *mask, struct arena *a,
    double *sum, int64_t *pixels, struct err *e)
{
    struct image truth = *mask;
    struct score_map m = { 0 };
    int got = mask->bits == 8 ? score_map(j, s, a, &m, e) : 0;
    if (got <= 0) return got;
    const struct preprocess *p = j->model->preprocess[0];
    if (p && s->from->original.width == mask->width && s->from->original.height == mask->height)
        TRY(preprocess_labels(p, a, mask, IGNORED, &truth, e));
    if (truth.width != m.width || truth.height != m.height)
        TRY(image_resize(&truth, a, &truth, m.width, m.height, RESAMPLE_NEAREST, NULL, 1, e));
    int64_t n = m.classes == 1 ? 2 : m.classes;
    double *v = ARENA_ARRAY(a, n, double);
    TRY_MEM(v, e);
    for (int64_t i = 0; i < m.pixels; i++) {
        const double *x = m.v + i * m.pixel_step;
        if (truth.pixels[i] == IGNORED || truth.pixels[i] >= n) continue;
        for (int64_t c = 0; c < m.classes; c++) v[c] = x[c * m.class_step];
        if (m.classes == 1) v[1] = x[0], v[0] = j->logits ? 0 : 1 - x[0];
        *sum += cross_entropy(v, n, truth.pixels[i], j->logits);
        ++*pixels;
    }
    return 0;
}

static int judge_mask(struct targets *j, const struct scored *s, struct arena *a, struct str *out, struct err *e)
{
    const struct answer *w = &s->answers[j->output];
    struct confusion here;
    struct image mask;
    struct err bad = { 0 };
    int32_t *truth;
    double loss = 0;
    int64_t pixels = 0;
    if (row_mask(s->table, s->source, j->column, a, &mask, &bad) || target_mask(w, &mask, a, &truth, &bad))
        return bad.code == ERR_NOMEM ? fail_nomem(e) : 0;
    TRY(pixel_losses(j, s, &mask, a, &loss, &pixels, e));
    TRY(confusion_init(&here, a, j->confusion.n, e));
    for (int64_t i = 0; i < (int64_t)w->width * w->height; i++) {
        int32_t p = w->labels[i];
        if (truth[i] == IGNORED || truth[i] < 0 || truth[i] >= here.n || p < 0 || p >= here.n) continue;
        confusion_add(&here, truth[i], p, 1);
    }
    str_addf(out, "S %a %lld", loss, (long long)pixels);
    for (int64_t i = 0; i < here.n * here.n; i++)
        if (here.count[i])
            str_addf(out, " %lld %lld %llu", (long long)(i / here.n), (long long)(i % here.n),
                (unsigned long long)here.count[i]);
    return 1;
}

static int judge_numbers(struct targets *j, const struct scored *s, struct arena *a, struct str *out, struct err *e)
{
    struct err bad = { 0 };
    const struct tensor *t = &s->answers[j->output].tensor;
    double *truth;
    size_t n;
    if (row_numbers(s->table, s->source, a, &truth, &n, &bad)) return bad.code == ERR_NOMEM ? fail_nomem(e) : 0;
    if ((int64_t)n != tensor_count(t))
        return fail(e, ERR_USAGE, "%s: %zu numbers in the table, but the model gives %lld", s->source->where, n,
            (long long)tensor_count(t));
    str_add(out, "R");
    for (size_t i = 0; i < n; i++) str_addf(out, " %a", truth[i]);
    for (size_t i = 0; i < n; i++) str_addf(out, " %a", tensor_get_f64(t, (int64_t)i));
    return 1;
}

int targets_row(struct targets *j, const struct scored *s, struct str *out, struct err *e)
{
    struct arena scratch;
    int got = 0;
    if (s->error) return 0;
    arena_init(&scratch, j->arena->mem);
    if (j->role == ROLE_LABEL) got = judge_class(j, s, &scratch, out, e);
    else if (j->role == ROLE_MASK) got = judge_mask(j, s, &scratch, out, e);
    else if (j->role == ROLE_BOXES) got = box_targets_row(&j->boxes, s, j->output, j->column, &scratch, out, e);
    else got = judge_numbers(j, s, &scratch, out, e);
    arena_release(&scratch);
    TRY(got);
    str_add(out, got ? "\n" : "N\n");
    return out->oom ? fail_nomem(e) : 0;
}

/* The next number of a line: 1, or 0 at its end. */
static int number(const char **p, double *v)
{
    char *end;
    *v = strtod(*p, &end);
    if (end == *p) return 0;
    *p = end;
    return 1;
}

static int add_class(struct targets *j, const char *p, struct err *e)
{
    double truth, prediction, rank, loss, score;
    if (!number(&p, &truth) || !number(&p, &prediction) || !number(&p, &rank) || !number(&p, &loss) || !(truth >= 0) ||
        !(prediction >= 0) || truth >= (double)j->confusion.n || prediction >= (double)j->confusion.n)
        return fail(e, ERR_DATA, "a damaged line of targets: C%.60s", p);
    confusion_add(&j->confusion, (int64_t)truth, (int64_t)prediction, 1);
    j->loss += loss;
    j->hits += rank < TOP_K;
    bool any = false;
    for (; number(&p, &score); any = true)
        if (!ARRAY_PUSH(j->arena, j->scores, j->n_scores, j->cap_scores, (float)score)) return fail_nomem(e);
    if (any && !ARRAY_PUSH(j->arena, j->truths, j->n_truths, j->cap_truths, (int64_t)truth)) return fail_nomem(e);
    return 0;
}

static int add_mask(struct targets *j, const char *p, struct err *e)
{
    double loss, pixels;
    if (!number(&p, &loss) || !number(&p, &pixels)) return fail(e, ERR_DATA, "a damaged line of targets: S%.60s", p);
    j->pixel_loss += loss, j->pixels += pixels;
    for (double t, q, n; number(&p, &t);) {
        if (!number(&p, &q) || !number(&p, &n) || !(t >= 0) || !(q >= 0) || t >= (double)j->confusion.n ||
            q >= (double)j->confusion.n)
            return fail(e, ERR_DATA, "a damaged line of targets: S%.60s", p);
        confusion_add(&j->confusion, (int64_t)t, (int64_t)q, (uint64_t)n);
    }
    return 0;
}

static int add_numbers(struct targets *j, const char *p, struct arena *a, struct err *e)
{
    double *v = NULL, x;
    size_t n = 0, cap = 0;
    while (number(&p, &x))
        if (!ARRAY_PUSH(a, v, n, cap, x)) return fail_nomem(e);
    if (!j->regression.outputs && n > 1) TRY(regression_init(&j->regression, j->arena, (int64_t)n / 2, e));
    if (!n || n % 2 || (int64_t)n / 2 != j->regression.outputs)
        return fail(e, ERR_DATA, "rows differ in how many numbers they have: %zu and %lld", n / 2,
            (long long)j->regression.outputs);
    regression_add(&j->regression, v, v + n / 2);
    return 0;
}

static int add_line(struct targets *j, const char *line, struct arena *a, struct err *e)
{
    j->rows += line[0] != 'N';
    j->without += line[0] == 'N';
    if (line[0] == 'C' && j->role == ROLE_LABEL) return add_class(j, line + 1, e);
    if (line[0] == 'S' && j->role == ROLE_MASK) return add_mask(j, line + 1, e);
    if (line[0] == 'B' && j->role == ROLE_BOXES) return box_targets_add(&j->boxes, line + 1, e);
    if (line[0] == 'R' && j->role == ROLE_NUMBERS) return add_numbers(j, line + 1, a, e);
    return line[0] == 'N' ? 0 : fail(e, ERR_DATA, "a damaged line of targets: %.60s", line);
}

int targets_add(struct targets *j, struct bytes lines, struct err *e)
{
    for (size_t at = 0; at < lines.len;) {
        const char *p = (const char *)lines.data + at, *end = memchr(p, '\n', lines.len - at);
        size_t len = end ? (size_t)(end - p) : lines.len - at;
        struct arena scratch;
        arena_init(&scratch, j->arena->mem);
        const char *line = arena_strndup(&scratch, p, len);
        int code = line ? add_line(j, line, &scratch, e) : fail_nomem(e);
        arena_release(&scratch);
        TRY(code);
        at += len + 1;
    }
    return 0;
}

/* The ROC's area: of two classes that of the second, of more the mean of each against the rest. NaN: not known. */
static int area(const struct targets *j, struct arena *a, double *out, struct err *e)
{
    int64_t n = (int64_t)j->n_truths, classes = n ? (int64_t)j->n_scores / n : 0;
    double sum = 0, one;
    *out = NAN;
    if (classes < 2) return 0;
    float *scores = ARENA_ARRAY(a, n, float);
    bool *positive = ARENA_ARRAY(a, n, bool);
    if (!scores || !positive) return fail_nomem(e);
    for (int64_t c = classes == 2 ? 1 : 0; c < classes; c++) {
        for (int64_t i = 0; i < n; i++) scores[i] = j->scores[i * classes + c], positive[i] = j->truths[i] == c;
        TRY(roc_auc(scores, positive, n, a, &one, e));
        sum += one;
    }
    *out = classes == 2 ? sum : sum / (double)classes;
    return 0;
}

static void put(json_t *o, const char *key, double v)
{
    if (isfinite(v)) json_object_set_new(o, key, json_real(v));
}

static void report_classes(const struct targets *j, json_t *o)
{
    struct confusion_measures m = confusion_measure(&j->confusion);
    bool pixels = j->role == ROLE_MASK;
    json_t *classes = json_array(), *matrix = json_array();
    put(o, pixels ? "pixel_accuracy" : "accuracy", m.accuracy);
    put(o, pixels ? "pixel_error" : "error", 1 - m.accuracy);
    put(o, "mean_iou", m.mean_iou);
    put(o, "f1_macro", m.f1);
    put(o, "f1_weighted", m.f1_weighted);
    put(o, "precision_macro", m.precision);
    put(o, "recall_macro", m.recall);
    put(o, "balanced_accuracy", m.balanced);
    for (int64_t i = 0; i < j->confusion.n; i++) {
        struct class_measures c = confusion_class(&j->confusion, i);
        const struct labels *l = &j->model->labels;
        if (!c.truths && !c.predictions) continue;
        json_array_append_new(classes,
            json_pack("{s:I,s:s?,s:I,s:I,s:f,s:f,s:f,s:f}", "class", (json_int_t)i, "label",
                (uint64_t)i < l->n ? l->names[i] : NULL, "truths", (json_int_t)c.truths, "predictions",
                (json_int_t)c.predictions, "precision", c.precision, "recall", c.recall, "f1", c.f1, "iou", c.iou));
        for (int64_t k = 0; k < j->confusion.n; k++)
            if (j->confusion.count[i * j->confusion.n + k])
                json_array_append_new(matrix,
                    json_pack("[I,I,I]", (json_int_t)i, (json_int_t)k,
                        (json_int_t)j->confusion.count[i * j->confusion.n + k]));
    }
    json_object_set_new(o, "classes", classes);
    json_object_set_new(o, "confusion", matrix); /* [truth, prediction, count] of what occurs */
}

static void report_numbers(const struct targets *j, json_t *o)
{
    struct regression_measures m = regression_measure(&j->regression, -1);
    if (!j->regression.n) return;
    put(o, "mae", m.mae);
    put(o, "mse", m.mse);
    put(o, "rmse", m.rmse);
    put(o, "r2", m.r2);
}

int targets_report(const struct targets *j, json_t **out, struct err *e)
{
    json_t *o = json_pack("{s:I,s:I}", "rows", (json_int_t)j->rows, "without_target", (json_int_t)j->without);
    struct arena scratch;
    double auc = NAN;
    TRY(json_own(j->arena, o, e));
    arena_init(&scratch, j->arena->mem);
    int code = area(j, &scratch, &auc, e);
    if (!code && j->role == ROLE_BOXES) code = box_targets_report(&j->boxes, j->model, &scratch, o, e);
    arena_release(&scratch);
    TRY(code);
    *out = o;
    if (!j->rows || j->role == ROLE_BOXES) return 0;
    if (j->pixels > 0) put(o, "loss", j->pixel_loss / j->pixels);
    if (j->role == ROLE_LABEL) put(o, "loss", j->loss / (double)j->rows);
    if (j->role == ROLE_LABEL && j->confusion.n > TOP_K) put(o, "top_5_accuracy", (double)j->hits / (double)j->rows);
    put(o, "roc_auc", auc);
    if (j->role == ROLE_NUMBERS) report_numbers(j, o);
    else report_classes(j, o);
    return 0;
}
