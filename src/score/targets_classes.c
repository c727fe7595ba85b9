/* targets_classes.c - classes against those of the table: accuracy, ranks, the loss, areas under ROC curves. Also what
 * follows from a confusion matrix, which masks have, too. */
#include <math.h>

#include "base/err.h"
#include "score/targets_kinds.h"

/* Classes are those of the model; where it names none, those of its output. */
int targets_confusion(struct targets *j, int64_t least, struct err *e)
{
    const struct labels *l = &j->model->labels;
    const struct shape *s = &j->model->graph->outputs[j->output]->shape;
    if (l->n) TRY(table_set_classes(j->table, l->names, l->n, e));
    int64_t n = (int64_t)l->n, wide = s->rank > 1 ? s->dim[1] : -1;
    if (wide > n) n = wide;
    if (n < least) n = least;
    if (n < 1)
        return fail(e, ERR_USAGE, "the model does not say how many classes it has: give their names with --labels");
    return confusion_init(&j->confusion, j->arena, n, e);
}

static int init(struct targets *j, struct err *e)
{
    return targets_confusion(j, j->both ? 2 : 0, e);
}

static int judge(struct targets *j, const struct scored *s, struct arena *a, struct str *out, struct err *e)
{
    const struct tensor *scores = &s->outputs[j->output];
    int64_t truth, n = tensor_count(scores), best = 0;
    struct err bad = { 0 };
    if (row_class(s->table, s->source, j->column, &truth, &bad) || truth < 0) return 0;
    if (n > j->confusion.n) n = j->confusion.n;
    double *v = ARENA_ARRAY(a, n + 1, double);
    TRY_MEM(v, e);
    load_f64(scores->dtype, scores->data, n, v);
    if (j->both) v[1] = v[0], v[0] = j->logits ? 0 : 1 - v[1], n = 2; /* softmax(0, z) is sigmoid(z) */
    if (truth >= n) return 0;
    for (int64_t i = 1; i < n; i++)
        if (v[i] > v[best]) best = i;
    str_addf(out, "%c %lld %lld %lld", target_class.letter, (long long)truth, (long long)best,
        (long long)rank_of(v, n, truth));
    targets_write_number(out, cross_entropy(v, n, truth, j->logits));
    if (j->logits) probabilities(v, n);
    for (int64_t i = 0; i < n && n <= TARGETS_SCORES; i++) targets_write_number(out, v[i]);
    return 1;
}

static int add(struct targets *j, const char *p, struct arena *a, struct err *e)
{
    const char *line = p;
    int64_t truth, prediction, rank, n = 0;
    double loss, scores[TARGETS_SCORES + 1];
    if (targets_whole(&p, j->confusion.n, &truth) || targets_whole(&p, j->confusion.n, &prediction) ||
        targets_whole(&p, INT64_MAX, &rank) || !targets_number(&p, &loss))
        return targets_damaged(target_class.letter, line, e);
    while (n <= TARGETS_SCORES && targets_number(&p, &scores[n])) n++;
    confusion_add(&j->confusion, truth, prediction, 1);
    j->loss += loss, j->losses++;
    j->hits += rank < TARGETS_TOP_K;
    if (n && !j->roc.scores) TRY(roc_init(&j->roc, j->arena, n, j->folder, e));
    if (n > TARGETS_SCORES || n != j->roc.classes) return targets_damaged(target_class.letter, line, e);
    return n ? roc_add(&j->roc, scores, truth, e) : 0;
}

static json_t *describe(const struct targets *j, int64_t class, const double *areas)
{
    struct class_measures c = confusion_class(&j->confusion, class);
    if (!c.truths && !c.predictions) return NULL;
    json_t *o = json_pack("{s:I,s:s?,s:I,s:I,s:f,s:f,s:f,s:f}", "class", (json_int_t)class, "label",
        targets_label(j, class), "truths", (json_int_t)c.truths, "predictions", (json_int_t)c.predictions, "precision",
        c.precision, "recall", c.recall, "f1", c.f1, "iou", c.iou);
    if (areas) targets_put(o, "roc_auc", areas[class]);
    return o;
}

void targets_report_confusion(const struct targets *j, const char *accuracy, const char *error, const double *areas,
    json_t *o)
{
    struct confusion_measures m = confusion_measure(&j->confusion);
    json_t *classes = json_array(), *matrix = json_array();
    int64_t n = j->confusion.n;
    targets_put(o, accuracy, m.accuracy);
    targets_put(o, error, 1 - m.accuracy);
    targets_put(o, "mean_iou", m.mean_iou);
    targets_put(o, "f1_macro", m.f1);
    targets_put(o, "f1_weighted", m.f1_weighted);
    targets_put(o, "precision_macro", m.precision);
    targets_put(o, "recall_macro", m.recall);
    targets_put(o, "balanced_accuracy", m.balanced);
    for (int64_t i = 0; i < n; i++) {
        json_t *class = describe(j, i, areas);
        if (class) json_array_append_new(classes, class);
        for (int64_t k = 0; k < n; k++)
            if (j->confusion.count[i * n + k])
                json_array_append_new(matrix, json_pack("[I,I,I]", (json_int_t)i, (json_int_t)k,
                                                  (json_int_t)j->confusion.count[i * n + k]));
    }
    json_object_set_new(o, "classes", classes);
    json_object_set_new(o, "confusion", matrix); /* [truth, prediction, count] of what occurs */
}

static int report(struct targets *j, struct arena *a, json_t *o, struct err *e)
{
    double *areas = NULL;
    if (j->roc.scores) {
        TRY_MEM(areas = ARENA_ARRAY(a, j->confusion.n, double), e);
        for (int64_t i = 0; i < j->confusion.n; i++) areas[i] = NAN; /* names of classes may be more than outputs */
        TRY(roc_areas(&j->roc, areas, e));
        targets_put(o, "roc_auc", roc_mean(areas, j->roc.classes));
    }
    if (j->confusion.n > TARGETS_TOP_K) targets_put(o, "top_5_accuracy", (double)j->hits / (double)j->rows);
    targets_report_confusion(j, "accuracy", "error", areas, o);
    return 0;
}

const struct target_kind target_class = { 'C', ROLE_LABEL, { "top_k" }, "classes", "label", false, init, judge, add,
    report };
