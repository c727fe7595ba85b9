/* targets_masks.c - masks against those of the table: pixels that agree, and the loss of the model's own map. */
#include <stdlib.h>

#include "base/err.h"
#include "data/resample.h"
#include "score/targets_kinds.h"

static int init(struct targets *j, struct err *e)
{
    return targets_confusion(j, 256, e);
}

/* The truth in the size of the answer. */
static int truth_labels(
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
    const json_t *steps = targets_steps(j);
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
        TRY(preprocess_labels(p, a, mask, TARGETS_IGNORED, &truth, e));
    if (truth.width != m.width || truth.height != m.height)
        TRY(image_resize(&truth, a, &truth, m.width, m.height, RESAMPLE_NEAREST, NULL, 1, e));
    int64_t n = m.classes == 1 ? 2 : m.classes;
    double *v = ARENA_ARRAY(a, n, double);
    TRY_MEM(v, e);
    for (int64_t i = 0; i < m.pixels; i++) {
        const double *x = m.v + i * m.pixel_step;
        if (truth.pixels[i] == TARGETS_IGNORED || truth.pixels[i] >= n) continue;
        for (int64_t c = 0; c < m.classes; c++) v[c] = x[c * m.class_step];
        if (m.classes == 1) v[1] = x[0], v[0] = j->logits ? 0 : 1 - x[0];
        *sum += cross_entropy(v, n, truth.pixels[i], j->logits);
        ++*pixels;
    }
    return 0;
}

static int judge(struct targets *j, const struct scored *s, struct arena *a, struct str *out, struct err *e)
{
    const struct answer *w = &s->answers[j->output];
    struct confusion here;
    struct image mask;
    struct err bad = { 0 };
    int32_t *truth;
    double loss = 0;
    int64_t pixels = 0;
    if (row_mask(s->table, s->source, j->column, a, &mask, &bad) || truth_labels(w, &mask, a, &truth, &bad))
        return bad.code == ERR_NOMEM ? fail_nomem(e) : 0;
    TRY(pixel_losses(j, s, &mask, a, &loss, &pixels, e));
    TRY(confusion_init(&here, a, j->confusion.n, e));
    for (int64_t i = 0; i < (int64_t)w->width * w->height; i++) {
        int32_t p = w->labels[i];
        if (truth[i] == TARGETS_IGNORED || truth[i] < 0 || truth[i] >= here.n || p < 0 || p >= here.n) continue;
        confusion_add(&here, truth[i], p, 1);
    }
    str_addc(out, target_mask.letter);
    targets_write_number(out, loss);
    str_addf(out, " %lld", (long long)pixels);
    for (int64_t i = 0; i < here.n * here.n; i++)
        if (here.count[i])
            str_addf(out, " %lld %lld %llu", (long long)(i / here.n), (long long)(i % here.n),
                (unsigned long long)here.count[i]);
    return 1;
}

static int add(struct targets *j, const char *p, struct arena *a, struct err *e)
{
    const char *line = p;
    double loss;
    int64_t pixels;
    if (!targets_number(&p, &loss) || targets_whole(&p, INT64_MAX, &pixels))
        return targets_damaged(target_mask.letter, line, e);
    j->loss += loss, j->losses += (double)pixels;
    for (int64_t t, q, n; *p;) {
        if (targets_whole(&p, j->confusion.n, &t) || targets_whole(&p, j->confusion.n, &q) ||
            targets_whole(&p, INT64_MAX, &n))
            return targets_damaged(target_mask.letter, line, e);
        confusion_add(&j->confusion, t, q, (uint64_t)n);
    }
    return 0;
}

static int report(struct targets *j, struct arena *a, json_t *o, struct err *e)
{
    targets_report_confusion(j, "pixel_accuracy", "pixel_error", NULL, o);
    return 0;
}

const struct target_kind target_mask = { 'S', ROLE_MASK, { "argmax", "threshold" }, "masks", "mask", false, init, judge,
    add, report };
