/* settle.c - what is learnt: the task, its classes, its targets and its loss, as model and table have them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "train/head.h"
#include "train/run.h"

static const struct train_task tasks[] = {
    { "image-classification", "cross_entropy", "accuracy", SAMPLE_CLASS },
    { "image-segmentation", "cross_entropy", "miou", SAMPLE_MASK },
    { "regression", "mse", "loss", SAMPLE_NUMBERS },
    { "reconstruction", "mse", "loss", SAMPLE_INPUT },
    { "sequence-classification", "cross_entropy", "accuracy", SAMPLE_CLASS },
};
enum { N_TASKS = sizeof tasks / sizeof tasks[0] };

static const struct train_task *task_named(const char *name)
{
    for (size_t i = 0; i < N_TASKS; i++)
        if (!strcmp(tasks[i].name, name)) return &tasks[i];
    return NULL;
}

/* What the model is for, as far as the table has what that needs; else what the table has. */
int run_choose_task(struct train_run *r, struct err *e)
{
    const char *name = conf_string(r->conf, "task"),
               *of_model = json_string_value(json_object_get(r->model.manifest, "task"));
    static const enum role roles[] = { ROLE_LABEL, ROLE_MASK, ROLE_NUMBERS };
    if (strcmp(name, "auto")) return r->task = task_named(name), 0;
    bool has[3];
    for (int i = 0; i < 3; i++) has[i] = table_column(r->data, roles[i], 0) >= 0;
    const struct train_task *t = of_model ? task_named(of_model) : NULL;
    if (t && t->target < SAMPLE_INPUT && has[t->target]) return r->task = t, 0;
    for (int i = 2; i >= 0 && !r->task; i--)
        if (has[(i + 2) % 3]) r->task = &tasks[(i + 2) % 3]; /* masks, then labels, then numbers */
    if (r->task && r->task->target == SAMPLE_CLASS && table_column(r->data, ROLE_IMAGE, 0) < 0)
        r->task = task_named("sequence-classification");
    if (r->task) return 0;
    return fail(e, ERR_USAGE,
        "%s: no column holds labels, masks or numbers to learn; say which with columns: "
        "[label=NAME], or task: reconstruction",
        table_path(r->data));
}

static int64_t output_classes(const struct train_run *r)
{
    const struct shape *s = &r->model.graph->outputs[0]->shape;
    return s->rank >= 2 ? s->dim[1] : -1;
}

/* Whether every class of the table is among the model's own. */
static bool knows_classes(const struct labels *l, const struct classes *c)
{
    for (size_t i = 0; i < c->n; i++) {
        size_t k = 0;
        while (k < l->n && strcmp(l->names[k], c->names[i])) k++;
        if (k == l->n) return false;
    }
    return c->n > 0;
}

static int replace_head(struct train_run *r, size_t classes, struct err *e)
{
    const char *layer;
    int64_t old = output_classes(r);
    r->fresh = true;
    TRY(head_replace(r->model.graph, 0, (int64_t)classes, r->train.seed, &layer, e));
    run_say(
        r, "head: %s answers with %zu classes now (%lld before), from fresh weights", layer, classes, (long long)old);
    return 0;
}

/* The table's classes become the model's, or the other way round. */
static int settle_classes(struct train_run *r, struct err *e)
{
    const struct classes *c = table_classes(r->data);
    const char *head = conf_string(r->conf, "head");
    int64_t have = output_classes(r);
    size_t n = c->n;
    if (have < 1) return fail(e, ERR_UNSUPPORTED, "the model's output has no axis of classes of a known size");
    bool told = conf_has(r->conf, "labels"); /* the user's list is the list */
    bool same = (int64_t)r->model.labels.n == have && knows_classes(&r->model.labels, c);
    if (told || (same && strcmp(head, "replace"))) {
        TRY(table_set_classes(r->data, r->model.labels.names, r->model.labels.n, e));
        n = r->model.labels.n;
    }
    if (n == 1)
        return fail(e, ERR_DATA, "%s: all rows are of one class (%s): there is nothing to tell apart",
            table_path(r->data), c->names[0]);
    if (!n) return fail(e, ERR_DATA, "%s: the labels name no class", table_path(r->data));
    bool fits = (int64_t)n == have;
    if (!fits && !strcmp(head, "keep"))
        return fail(e, ERR_DATA, "%s has %zu classes, the model answers with %lld (head: keep)", table_path(r->data), n,
            (long long)have);
    if (!fits || !strcmp(head, "replace")) TRY(replace_head(r, n, e));
    c = table_classes(r->data);
    if (r->judged != r->data) TRY(table_set_classes(r->judged, c->names, c->n, e));
    const char **names = ARENA_ARRAY(&r->model.arena, n, const char *);
    TRY_MEM(names, e);
    for (size_t i = 0; i < n; i++) TRY_MEM(names[i] = arena_strdup(&r->model.arena, c->names[i]), e);
    r->model.labels = (struct labels){ names, n };
    return 0;
}

static int class_weights(struct train_run *r, struct err *e)
{
    size_t n;
    const char *const *list = conf_list(r->conf, "class_weight", &n);
    int64_t classes = r->train.classes;
    if (!n) return 0;
    if (!classes) return fail(e, ERR_USAGE, "class_weight: the task has no classes");
    struct shape s = shape_of(1, &classes);
    struct tensor *w = tensor_new(&r->a, DT_F32, &s, e);
    if (!w) return e->code;
    if (n == 1 && !strcmp(list[0], "balanced")) {
        if (r->task->target != SAMPLE_CLASS) return fail(e, ERR_USAGE, "class_weight: balanced is for labels only");
        double *count = ARENA_ARRAY(&r->a, classes, double);
        TRY_MEM(count, e);
        for (size_t i = 0; i < r->train.n; i++) {
            struct row row;
            struct err ignored = { 0 };
            int64_t k = -1;
            struct arena_mark mark = arena_mark(&r->a);
            if (table_row(r->data, r->train.rows[i], &r->a, &row, &ignored) > 0)
                row_class(r->data, &row, r->train.target_column, &k, &ignored);
            if (k >= 0 && k < classes) count[k]++;
            arena_rewind(&r->a, mark);
        }
        for (int64_t i = 0; i < classes; i++)
            tensor_set_f64(w, i, count[i] > 0 ? (double)r->train.n / ((double)classes * count[i]) : 0);
    } else if ((int64_t)n != classes)
        return fail(e, ERR_USAGE, "class_weight: %zu weights for %lld classes", n, (long long)classes);
    else
        for (size_t i = 0; i < n; i++) {
            char *end;
            double v = strtod(list[i], &end);
            if (end == list[i] || *end || !(v >= 0) || !isfinite(v))
                return fail(e, ERR_USAGE, "class_weight: \"%s\" is no weight", list[i]);
            tensor_set_f64(w, (int64_t)i, v);
        }
    r->heads[0].loss.class_weight = w;
    return 0;
}

static int settle_heads(struct train_run *r, struct err *e)
{
    struct samples *s[] = { &r->train, &r->valid };
    r->n_heads = 1;
    TRY(heads_read(r->conf, r->model.graph, &r->a, r->heads, r->train.further, &r->n_heads, e));
    memcpy(r->valid.further, r->train.further, sizeof r->valid.further);
    for (int i = 0; i < 2; i++) {
        if (!s[i]->n) continue;
        s[i]->n_heads = r->n_heads;
        for (size_t k = 1; k < r->n_heads; k++) TRY(further_find(&s[i]->further[k], s[i]->table, &r->a, e));
    }
    return 0;
}

int run_settle_loss(struct train_run *r, struct err *e)
{
    const struct conf *c = r->conf;
    const char *loss = conf_string(c, "loss");
    struct loss_options *o = &r->heads[0].loss;
    o->name = strcmp(loss, "auto") ? loss : r->task->loss;
    o->smoothing = conf_float(c, "label_smoothing");
    o->beta = conf_float(c, "beta");
    o->ignores = conf_has(c, "ignore_index") || r->task->target == SAMPLE_MASK;
    o->ignore_index = conf_int(c, "ignore_index");
    if (!(o->smoothing >= 0 && o->smoothing < 1))
        return fail(e, ERR_USAGE, "label_smoothing: %g is no share from 0 to 1", o->smoothing);
    enum dtype t;
    struct shape s;
    const struct value *scores = loss_scores(o, r->model.graph->outputs[0]);
    TRY(loss_target(o, scores, &t, &s, e));
    if ((t == DT_I64) != (r->task->target == SAMPLE_CLASS || r->task->target == SAMPLE_MASK))
        return fail(e, ERR_USAGE, "loss: %s does not fit the task %s", o->name, r->task->name);
    TRY(class_weights(r, e));
    return settle_heads(r, e);
}

int run_settle_targets(struct train_run *r, struct err *e)
{
    struct samples *s[] = { &r->train, &r->valid };
    struct table *tables[] = { r->data, r->judged };
    for (int i = 0; i < 2; i++) {
        s[i]->model = &r->model;
        s[i]->table = tables[i];
        s[i]->target = r->task->target;
        s[i]->ignored = conf_int(r->conf, "ignore_index");
        s[i]->threads = r->threads;
        s[i]->want = shape_unknown();
        if (i == 0 || r->valid.n) TRY(samples_init(s[i], &r->a, e));
    }
    if (r->task->target == SAMPLE_CLASS) TRY(settle_classes(r, e));
    bool classes = r->task->target == SAMPLE_CLASS || r->task->target == SAMPLE_MASK;
    if (classes) r->train.classes = r->valid.classes = output_classes(r);
    if (classes && r->train.classes < 1)
        return fail(e, ERR_UNSUPPORTED, "the model's output has no axis of classes of a known size");
    return r->task->target == SAMPLE_CLASS ? run_check_labels(r, e) : 0;
}

/* What the answers of a head are judged as: 0 where they are numbers. */
static int64_t judged_classes(const struct train_run *r, size_t k)
{
    const struct further *f = &r->train.further[k];
    const struct shape *s = &r->model.graph->outputs[r->heads[k].output]->shape;
    if (k && f->names) return f->classes;
    return k && r->train.classes && s->rank > 1 && s->dim[1] > 0 ? s->dim[1] : r->train.classes;
}

/* Its output's name; of a second head of the same output with the head's number behind it. */
static const char *head_name(struct train_run *r, size_t k)
{
    const char *name = r->model.graph->outputs[r->heads[k].output]->name;
    for (size_t i = 0; i < k; i++)
        if (r->heads[i].output == r->heads[k].output) return arena_printf(&r->a, "%s_%zu", name, k + 1);
    return name;
}

static int add_measured(struct train_run *r, const struct judge *of, size_t at, const char *head, struct err *e)
{
    const char *name = judge_name(of, at);
    if (head) TRY_MEM(name = arena_printf(&r->a, "%s.%s", head, name), e);
    r->measured[r->n_measured++] = (struct measured){ name, of, at };
    return 0;
}

/* The first head's measures by their plain names, "loss" being the sum of all; then its own loss and the others'. */
static int list_measured(struct train_run *r, struct err *e)
{
    for (size_t k = 0; k < r->n_heads; k++) {
        struct judge *j = &r->judges[k];
        const char *head = head_name(r, k);
        TRY_MEM(head, e);
        int64_t ignored = k && r->train.further[k].names ? INT64_MIN : r->train.ignored; /* as their losses do */
        TRY(judge_init(j, &r->a, judged_classes(r, k), ignored, e));
        for (size_t i = 0; judge_name(j, i); i++) TRY(add_measured(r, j, i, k ? head : NULL, e));
        if (!k && r->n_heads > 1) TRY(add_measured(r, &r->own, 0, head, e));
    }
    return 0;
}

/* The first head's may have its name before them, too. */
static const struct measured *find_measured(const struct train_run *r, const char *name)
{
    const char *first = r->model.graph->outputs[r->heads[0].output]->name;
    size_t len = strlen(first);
    for (size_t i = 0; i < r->n_measured; i++)
        if (!strcmp(r->measured[i].name, name)) return &r->measured[i];
    if (strncmp(name, first, len) || name[len] != '.') return NULL;
    for (size_t i = 0; i < r->n_measured && r->measured[i].of == &r->judges[0]; i++)
        if (!strcmp(r->measured[i].name, name + len + 1)) return &r->measured[i];
    return NULL;
}

int run_settle_metric(struct train_run *r, struct err *e)
{
    const char *metric = conf_string(r->conf, "metric");
    struct str all = str_in(&r->a);
    if (!strcmp(metric, "auto")) metric = r->task->metric;
    TRY(list_measured(r, e));
    if ((r->metric = find_measured(r, metric))) return 0;
    for (size_t i = 0; i < r->n_measured; i++) str_addf(&all, "%s%s", i ? ", " : "", r->measured[i].name);
    TRY_MEM(str_done(&all), e);
    return fail(e, ERR_USAGE, "metric: the task %s has no \"%s\", but %s", r->task->name, metric, all.s);
}
