/* targets_boxes.c - detected boxes against those of the table: matched row by row, measured at the end. */
#include "score/targets_boxes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/err.h"

int box_targets_init(struct box_targets *b, struct arena *a, int64_t classes, struct err *e)
{
    *b = (struct box_targets){ .arena = a, .classes = classes, .truths = ARENA_ARRAY(a, classes, uint64_t) };
    return b->truths ? 0 : fail_nomem(e);
}

/* Boxes of the table as shares of the image's sides; those of the model become so. */
static int read_truth(const struct box_targets *b, const struct scored *s, int column, struct arena *a,
    struct detected **out, size_t *n, struct err *e)
{
    struct box *boxes;
    size_t count;
    TRY(row_boxes(s->table, s->source, column, a, &boxes, &count, e));
    TRY_MEM(*out = ARENA_ARRAY(a, count, struct detected), e);
    for (*n = 0; *n < count; ++*n) {
        const struct box *x = &boxes[*n];
        if (x->class < 0 || x->class >= b->classes)
            return fail(e, ERR_DATA, "%s: the model has no class %lld", s->source->where, (long long)x->class);
        (*out)[*n] = (struct detected){ .class = x->class, .ignored = x->ignored,
            .box = { x->x - x->width / 2, x->y - x->height / 2, x->x + x->width / 2, x->y + x->height / 2 } };
    }
    return 0;
}

static int read_found(const struct box_targets *b, const struct answer *w, struct arena *a, struct detected **out,
    size_t *n, struct err *e)
{
    TRY_MEM(*out = ARENA_ARRAY(a, w->n, struct detected), e);
    *n = 0;
    for (int64_t i = 0; i < w->n; i++) {
        struct detected *d = &(*out)[*n];
        if (w->index[i] < 0 || w->index[i] >= b->classes || w->width < 1 || w->height < 1) continue;
        *d = (struct detected){ .class = w->index[i], .score = w->score[i] };
        for (int k = 0; k < 4; k++) d->box[k] = w->box[4 * i + k] / (k & 1 ? w->height : w->width);
        ++*n;
    }
    return 0;
}

int box_targets_row(const struct box_targets *b, const struct scored *s, size_t output, int column, struct arena *a,
    struct str *out, struct err *e)
{
    struct detected *truth = NULL, *found = NULL;
    struct err bad = { 0 };
    size_t n_truth = 0, n = 0, counted = 0;
    if (read_truth(b, s, column, a, &truth, &n_truth, &bad)) return bad.code == ERR_NOMEM ? fail_nomem(e) : 0;
    TRY(read_found(b, &s->answers[output], a, &found, &n, e));
    TRY(detection_match(truth, n_truth, found, n, a, e));
    for (size_t i = 0; i < n_truth; i++) counted += !truth[i].ignored;
    str_addf(out, "B %zu", counted);
    for (size_t i = 0; i < n_truth; i++)
        if (!truth[i].ignored) str_addf(out, " %lld", (long long)truth[i].class);
    str_addf(out, " %zu", n);
    for (size_t i = 0; i < n; i++)
        str_addf(out, " %lld %a %u %u", (long long)found[i].class, found[i].score, found[i].matched, found[i].outside);
    return 1;
}

static int whole(const char **p, int64_t most, int64_t *v)
{
    char *end;
    *v = strtoll(*p, &end, 10);
    if (end == *p || *v < 0 || *v >= most) return -1;
    *p = end;
    return 0;
}

static int damaged(const char *line, struct err *e)
{
    return fail(e, ERR_DATA, "a damaged line of targets: B%.60s", line);
}

int box_targets_add(struct box_targets *b, const char *line, struct err *e)
{
    const char *p = line;
    int64_t n, class, matched, outside;
    if (whole(&p, INT64_MAX, &n)) return damaged(line, e);
    for (; n > 0; n--) {
        if (whole(&p, b->classes, &class)) return damaged(line, e);
        b->truths[class]++;
    }
    if (whole(&p, INT64_MAX, &n)) return damaged(line, e);
    for (; n > 0; n--) {
        if (whole(&p, b->classes, &class)) return damaged(line, e);
        char *end;
        double score = strtod(p, &end);
        if (end == p) return damaged(line, e);
        p = end;
        if (whole(&p, 1 << DETECTION_IOUS, &matched) || whole(&p, 1 << DETECTION_IOUS, &outside))
            return damaged(line, e);
        struct detection d = { score, b->n, (int32_t)class, (uint16_t)matched, (uint16_t)outside };
        if (!ARRAY_PUSH(b->arena, b->found, b->n, b->cap, d)) return fail_nomem(e);
    }
    return 0;
}

static void put(json_t *o, const char *key, double v)
{
    if (isfinite(v)) json_object_set_new(o, key, json_real(v));
}

int box_targets_report(const struct box_targets *b, const struct model *m, struct arena *a, json_t *o, struct err *e)
{
    struct detection_measures d;
    json_t *classes = json_array();
    json_object_set_new(o, "classes", classes);
    TRY(detection_measure(b->found, b->n, b->truths, b->classes, a, &d, e));
    put(o, "map", d.ap);
    put(o, "map_50", d.ap50);
    put(o, "map_75", d.ap75);
    put(o, "mar_100", d.recall);
    for (int64_t k = 0; k < b->classes; k++) {
        const struct labels *l = &m->labels;
        if (!b->truths[k]) continue;
        json_array_append_new(classes,
            json_pack("{s:I,s:s?,s:I,s:f,s:f}", "class", (json_int_t)k, "label",
                (uint64_t)k < l->n ? l->names[k] : NULL, "truths", (json_int_t)b->truths[k], "ap", d.class_ap[k],
                "ap_50", d.class_ap50[k]));
    }
    return 0;
}
