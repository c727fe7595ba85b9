/* targets_boxes.c - detected boxes against those of the table: matched row by row, measured at the end. */
#include "base/err.h"
#include "base/sorter.h"
#include "metric/detection.h"
#include "score/targets_kinds.h"

enum { CLASSES_UNKNOWN = 65536 /* as many as a detector may have that names none */ };

static int init(struct targets *j, struct err *e)
{
    const struct labels *l = &j->model->labels;
    if (l->n) TRY(table_set_classes(j->table, l->names, l->n, e));
    j->classes = l->n ? (int64_t)l->n : CLASSES_UNKNOWN;
    TRY_MEM(j->truths = ARENA_ARRAY(j->arena, j->classes, uint64_t), e);
    j->found = detection_sorter(j->arena, j->folder, e);
    return j->found ? 0 : e->code;
}

/* Boxes of the table as shares of the image's sides; those of the model become so. */
static int read_truth(const struct targets *j, const struct scored *s, int column, struct arena *a,
    struct detected **out, size_t *n, struct err *e)
{
    struct box *boxes;
    size_t count;
    TRY(row_boxes(s->table, s->source, column, a, &boxes, &count, e));
    TRY_MEM(*out = ARENA_ARRAY(a, count, struct detected), e);
    for (*n = 0; *n < count; ++*n) {
        const struct box *x = &boxes[*n];
        if (x->class < 0 || x->class >= j->classes)
            return fail(e, ERR_DATA, "%s: the model has no class %lld", s->source->where, (long long)x->class);
        (*out)[*n] = (struct detected){ .class = x->class, .ignored = x->ignored,
            .box = { x->x - x->width / 2, x->y - x->height / 2, x->x + x->width / 2, x->y + x->height / 2 } };
    }
    return 0;
}

static int read_found(const struct targets *j, const struct answer *w, struct arena *a, struct detected **out,
    size_t *n, struct err *e)
{
    TRY_MEM(*out = ARENA_ARRAY(a, w->n, struct detected), e);
    *n = 0;
    for (int64_t i = 0; i < w->n; i++) {
        struct detected *d = &(*out)[*n];
        if (w->index[i] < 0 || w->index[i] >= j->classes || w->width < 1 || w->height < 1) continue;
        *d = (struct detected){ .class = w->index[i], .score = w->score[i] };
        for (int k = 0; k < 4; k++) d->box[k] = w->box[4 * i + k] / (k & 1 ? w->height : w->width);
        ++*n;
    }
    return 0;
}

static int judge(struct targets *j, const struct scored *s, struct arena *a, struct str *out, struct err *e)
{
    struct detected *truth = NULL, *found = NULL;
    struct err bad = { 0 };
    size_t n_truth = 0, n = 0, counted = 0;
    if (read_truth(j, s, j->column, a, &truth, &n_truth, &bad)) return bad.code == ERR_NOMEM ? fail_nomem(e) : 0;
    TRY(read_found(j, &s->answers[j->output], a, &found, &n, e));
    TRY(detection_match(truth, n_truth, found, n, a, e));
    for (size_t i = 0; i < n_truth; i++) counted += !truth[i].ignored;
    str_addf(out, "%c %zu", target_boxes.letter, counted);
    for (size_t i = 0; i < n_truth; i++)
        if (!truth[i].ignored) str_addf(out, " %lld", (long long)truth[i].class);
    str_addf(out, " %zu", n);
    for (size_t i = 0; i < n; i++) {
        str_addf(out, " %lld", (long long)found[i].class);
        targets_write_number(out, found[i].score);
        str_addf(out, " %u %u", found[i].matched, found[i].outside);
    }
    return 1;
}

static int add_found(struct targets *j, const char **p, struct err *e)
{
    int64_t class, matched, outside;
    double score;
    if (targets_whole(p, j->classes, &class) || !targets_number(p, &score) ||
        targets_whole(p, 1 << DETECTION_IOUS, &matched) || targets_whole(p, 1 << DETECTION_IOUS, &outside))
        return targets_damaged(target_boxes.letter, *p, e);
    struct detection d = { score, j->n_found++, (int32_t)class, (uint16_t)matched, (uint16_t)outside };
    return sorter_add(j->found, &d, e);
}

static int add(struct targets *j, const char *p, struct arena *a, struct err *e)
{
    const char *line = p;
    int64_t n, class;
    if (targets_whole(&p, INT64_MAX, &n)) return targets_damaged(target_boxes.letter, line, e);
    for (; n > 0; n--) {
        if (targets_whole(&p, j->classes, &class)) return targets_damaged(target_boxes.letter, line, e);
        j->truths[class]++;
    }
    if (targets_whole(&p, INT64_MAX, &n)) return targets_damaged(target_boxes.letter, line, e);
    for (; n > 0; n--) TRY(add_found(j, &p, e));
    return 0;
}

static int report(struct targets *j, struct arena *a, json_t *o, struct err *e)
{
    struct detection_measures d;
    json_t *classes = json_array();
    json_object_set_new(o, "classes", classes);
    TRY(detection_measure(j->found, j->truths, j->classes, a, &d, e));
    targets_put(o, "map", d.ap);
    targets_put(o, "map_50", d.ap50);
    targets_put(o, "map_75", d.ap75);
    targets_put(o, "mar_100", d.recall);
    for (int64_t k = 0; k < j->classes; k++)
        if (j->truths[k])
            json_array_append_new(classes, json_pack("{s:I,s:s?,s:I,s:f,s:f}", "class", (json_int_t)k, "label",
                                               targets_label(j, k), "truths", (json_int_t)j->truths[k], "ap",
                                               d.class_ap[k], "ap_50", d.class_ap50[k]));
    return 0;
}

const struct target_kind target_boxes = { 'B', ROLE_BOXES, { "boxes" }, "boxes", "boxes", false, init, judge, add,
    report };
