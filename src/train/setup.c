/* setup.c - from a description to a run that could begin: everything that can be wrong is found here. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/rng.h"
#include "base/str.h"
#include "base/team.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "train/head.h"
#include "train/optimizer.h"
#include "train/run.h"

void run_say(const struct train_run *r, const char *fmt, ...)
{
    char line[1000];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (r->listener->say) r->listener->say(r->listener->cookie, line);
}

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
static int choose_task(struct train_run *r, struct err *e)
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

static const char *const *texts(struct train_run *r, const char *key, struct err *e)
{
    size_t n;
    const char *const *list = conf_list(r->conf, key, &n);
    const char **copy = ARENA_ARRAY(&r->a, n + 1, const char *);
    if (!copy) return fail_nomem(e), NULL;
    for (size_t i = 0; i < n; i++) copy[i] = list[i];
    return n ? copy : NULL;
}

static int open_model(struct train_run *r, struct err *e)
{
    const struct conf *c = r->conf;
    struct model_options o = { 0 };
    size_t n;
    const char *path = conf_string(c, "model"), *mode = conf_string(c, "mode");
    if (!path) return fail(e, ERR_USAGE, "model: say what is to be trained, a package or a model file");
    const char *const *hints = conf_list(c, "input", &n);
    struct import_hint *list = ARENA_ARRAY(&r->a, n, struct import_hint);
    TRY_MEM(list, e);
    for (size_t i = 0; i < n; i++) TRY(import_hint_parse(&r->a, hints[i], &list[i], e));
    o.import.inputs = list;
    o.import.n_inputs = n;
    o.import.mode = !strcmp(mode, "train") ? IMPORT_TRAIN : !strcmp(mode, "saved") ? IMPORT_AS_SAVED : IMPORT_SCORE;
    o.manifest.like = conf_string(c, "like");
    o.manifest.set = conf_list(c, "set", &o.manifest.n_set);
    const char *task = conf_string(c, "task");
    if (!strncmp(task, "image-", 6)) o.manifest.task = task;
    o.labels_path = conf_string(c, "labels");
    o.preprocess_path = conf_string(c, "preprocess");
    o.weights_path = conf_string(c, "weights");
    o.classes = conf_int(c, "classes");
    o.seed = r->train.seed;
    TRY(model_open(&r->model, path, &o, e));
    r->fresh = !strcmp(r->model.format, "zoo") && !o.weights_path;
    for (size_t i = 0; i < r->model.report.n; i++)
        if (r->model.report.items[i].kind == REPORT_GUESS) run_say(r, "guess: %s", r->model.report.items[i].what);
    if (!r->model.graph->n_outputs) return fail(e, ERR_USAGE, "%s: the model has no outputs", path);
    return 0;
}

static int open_table(struct train_run *r, const char *path, const char *labels, struct table **out, struct err *e)
{
    const struct graph *g = r->model.graph;
    const char **inputs = ARENA_ARRAY(&r->a, g->n_inputs + 1, const char *);
    TRY_MEM(inputs, e);
    for (size_t i = 0; i < g->n_inputs; i++) inputs[i] = g->inputs[i]->name;
    struct table_options o = {
        .columns = texts(r, "columns", e), .inputs = inputs, .labels = labels ? conf_string(r->conf, labels) : NULL
    };
    if (e->code || !(*out = table_open(&r->a, path, &o, e))) return e->code;
    TRY(table_index(*out, e));
    if (table_count(*out) < 1) return fail(e, ERR_DATA, "%s: there are no rows", path);
    return 0;
}

static int open_tables(struct train_run *r, struct err *e)
{
    const char *data = conf_string(r->conf, "data"), *valid = conf_string(r->conf, "valid");
    if (!data) return fail(e, ERR_USAGE, "data: say what to learn from, a folder or a table");
    TRY(open_table(r, data, "data_labels", &r->data, e));
    r->judged = r->data;
    return valid ? open_table(r, valid, "valid_labels", &r->judged, e) : 0;
}

static int by_number(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* A share of the rows, drawn by the seed, is kept back to judge by; each part stays in the order of the table. */
static int split_rows(struct train_run *r, struct err *e)
{
    double share = conf_float(r->conf, "valid_share");
    int64_t n = table_count(r->data), limit = conf_int(r->conf, "limit");
    if (!(share >= 0 && share < 1)) return fail(e, ERR_USAGE, "valid_share: %g is no share from 0 to 1", share);
    int64_t *rows = ARENA_ARRAY(&r->a, n, int64_t);
    size_t *order = ARENA_ARRAY(&r->a, n, size_t);
    if (!rows || !order) return fail_nomem(e);
    for (int64_t i = 0; i < n; i++) rows[i] = i;
    bool own = r->judged == r->data;
    struct samples all = { .rows = rows, .n = (size_t)n, .shuffle = own || limit, .seed = r->train.seed };
    TRY(samples_order(&all, INT32_MAX, order, &r->a, e));
    for (int64_t i = 0; i < n; i++) rows[i] = (int64_t)order[i];
    if (limit && limit < n) n = limit;
    int64_t kept = own ? (int64_t)floor((double)n * share) : 0;
    qsort(rows, (size_t)(n - kept), sizeof *rows, by_number);
    qsort(rows + n - kept, (size_t)kept, sizeof *rows, by_number);
    r->train.rows = rows;
    r->train.n = (size_t)(n - kept);
    r->valid.rows = rows + n - kept;
    r->valid.n = (size_t)kept;
    if (own) return 0;
    int64_t m = table_count(r->judged), *others = ARENA_ARRAY(&r->a, m, int64_t);
    TRY_MEM(others, e);
    for (int64_t i = 0; i < m; i++) others[i] = i;
    r->valid.rows = others;
    r->valid.n = (size_t)m;
    return 0;
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

/* Classes that no row to learn from has; all labels are read before the first step. */
static int check_labels(struct train_run *r, struct err *e)
{
    const struct classes *c = table_classes(r->data);
    int64_t *count = ARENA_ARRAY(&r->a, c->n, int64_t);
    struct arena scratch;
    size_t there = 0, bad = 0;
    TRY_MEM(count, e);
    arena_init(&scratch, NULL);
    for (size_t i = 0; i < r->train.n; i++) {
        struct row row;
        struct err local = { 0 };
        int64_t k = -1;
        if (table_row(r->data, r->train.rows[i], &scratch, &row, &local) > 0 &&
            !row_class(r->data, &row, r->train.target_column, &k, &local) && k >= 0 && k < (int64_t)c->n)
            count[k]++;
        else if (!bad++) fail(e, ERR_DATA, "%s", local.code ? local.text : "a label is empty or no class");
        arena_release(&scratch);
    }
    for (size_t i = 0; i < c->n; i++) there += count[i] > 0;
    if ((int64_t)bad > conf_int(r->conf, "max_errors"))
        return err_prefix(e, "%zu labels cannot be used (max_errors: %lld), the first", bad,
            (long long)conf_int(r->conf, "max_errors"));
    err_clear(e);
    if (there < 2)
        return fail(e, ERR_DATA, "%s: the rows to learn from are of %zu class%s: there is nothing to tell apart",
            table_path(r->data), there, there == 1 ? " only" : "es");
    for (size_t i = 0; i < c->n && c->n - there < 10; i++)
        if (!count[i]) run_say(r, "warning: no row to learn from is of class %s", c->names[i]);
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
    r->head.loss.class_weight = w;
    return 0;
}

static int settle_loss(struct train_run *r, struct err *e)
{
    const struct conf *c = r->conf;
    const char *loss = conf_string(c, "loss");
    struct loss_options *o = &r->head.loss;
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
    return class_weights(r, e);
}

static int settle_targets(struct train_run *r, struct err *e)
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
    return r->task->target == SAMPLE_CLASS ? check_labels(r, e) : 0;
}

static int hyper(const struct conf *c, const struct optimizer *o, struct attr *list, struct err *e)
{
    static const char *const names[] = { "momentum", "dampening", "nesterov", "beta1", "beta2", "amsgrad", "epsilon",
        "lr_decay", "alpha", "centered" };
    size_t n = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        bool given = conf_has(c, names[i]), has = optimizer_has(o, names[i]);
        bool flag = conf_find(c, names[i])->type == CONF_BOOL;
        if (given && !has) return fail(e, ERR_USAGE, "%s: the optimizer %s has no such number", names[i], o->name);
        if (given)
            list[n++] = flag ? attr_int(names[i], conf_int(c, names[i]))
                             : attr_float(names[i], conf_float(c, names[i]));
        else if (!strcmp(names[i], "momentum") && !strcmp(o->name, "sgd")) list[n++] = attr_float("momentum", 0.9);
    }
    list[n++] = attr_float("weight_decay", conf_float(c, "weight_decay"));
    list[n++] = attr_float("l1", conf_float(c, "l1"));
    list[n++] = attr_float("clip", conf_float(c, "clip_value"));
    for (size_t i = 0; i < n; i++)
        if (list[i].type == ATTR_FLOAT && (!(list[i].f >= 0) || !isfinite(list[i].f)))
            return fail(e, ERR_USAGE, "%s: %g, expected a number that is not negative", list[i].name, list[i].f);
    return 0;
}

static bool any_state(const struct graph *g, const struct train_rule *rule)
{
    for (size_t i = 0; i < g->n_states; i++)
        if (train_rule_matches(rule, g->states[i])) return true;
    return false;
}

static int add_rules(struct train_run *r, const char *key, int kind, struct train_rule *list, size_t *n, struct err *e)
{
    size_t count;
    const char *const *items = conf_list(r->conf, key, &count);
    for (size_t i = 0; i < count; i++) {
        struct train_rule rule = { .pattern = items[i], .kind = (enum train_rule_kind)kind };
        if (kind == RULE_RATE || kind == RULE_DECAY) {
            char *copy = arena_strdup(&r->a, items[i]), *equals = copy ? strrchr(copy, '=') : NULL, *end;
            TRY_MEM(copy, e);
            if (!equals) return fail(e, ERR_USAGE, "%s: \"%s\": expected PATTERN=NUMBER", key, items[i]);
            *equals = 0;
            rule.pattern = copy;
            rule.value = strtod(equals + 1, &end);
            if (!equals[1] || *end || !(rule.value >= 0) || !isfinite(rule.value))
                return fail(e, ERR_USAGE, "%s: \"%s\" is no number that is not negative", key, equals + 1);
        }
        if (!any_state(r->model.graph, &rule))
            return fail(
                e, ERR_USAGE, "%s: no parameter is called like \"%s\" (tenrec show lists them)", key, rule.pattern);
        list[(*n)++] = rule;
    }
    return 0;
}

static int make_step(struct train_run *r, struct err *e)
{
    const struct conf *c = r->conf;
    static const char *const keys[] = { "freeze", "freeze_stats", "rate", "decay" };
    static const int kinds[] = { RULE_FREEZE, RULE_FREEZE_STATS, RULE_RATE, RULE_DECAY };
    size_t n_rules = 0, count;
    for (int i = 0; i < 4; i++) conf_list(c, keys[i], &count), n_rules += count;
    struct train_rule *rules = ARENA_ARRAY(&r->a, n_rules, struct train_rule);
    struct attr *attrs = ARENA_ARRAY(&r->a, 20, struct attr);
    if (!rules || !attrs) return fail_nomem(e);
    n_rules = 0;
    for (int i = 0; i < 4; i++) TRY(add_rules(r, keys[i], kinds[i], rules, &n_rules, e));
    if (!(r->optimizer = optimizer_find(conf_string(c, "optimizer"), e))) return e->code;
    TRY(hyper(c, r->optimizer, attrs, e));
    struct train_step_options o = { .heads = &r->head,
        .n_heads = 1,
        .optimizer = r->optimizer->name,
        .attrs = attrs,
        .rules = rules,
        .n_rules = n_rules,
        .clip_norm = conf_float(c, "clip_norm"),
        .ema = conf_float(c, "ema"),
        .accumulate = r->accumulate > 1 };
    if (!(o.ema >= 0 && o.ema < 1)) return fail(e, ERR_USAGE, "ema: %g is no decay from 0 to 1", o.ema);
    if (!(o.clip_norm >= 0)) return fail(e, ERR_USAGE, "clip_norm: %g, expected 0 or more", o.clip_norm);
    r->step = train_step_new(r->model.graph, &o, &r->a, e);
    return r->step ? 0 : e->code;
}

/* The model as it answers, with the loss as a further output; where averages are kept, with these as its weights. */
static int make_judging(struct train_run *r, struct err *e)
{
    struct graph *g = r->judging = graph_copy(r->model.graph, &r->a, e);
    struct builder b = { g, e };
    enum dtype t;
    struct shape s;
    if (!g) return e->code;
    struct value *scores = loss_scores(&r->head.loss, g->outputs[0]);
    TRY(loss_target(&r->head.loss, scores, &t, &s, e));
    struct value *target = graph_input(g, "target", t, &s, e);
    struct value *loss = target ? loss_emit(&b, &r->head.loss, scores, target) : NULL;
    if (!loss) return e->code;
    TRY(graph_output(g, loss, e));
    for (size_t i = 0; conf_float(r->conf, "ema") > 0 && i < g->n_states; i++) {
        char name[300];
        snprintf(name, sizeof name, "average/%.250s", g->states[i]->name);
        if (graph_find(r->step, name)) TRY(graph_rename(g, g->states[i], name, e));
    }
    return graph_tidy(g, e);
}

static int make_sessions(struct train_run *r, struct err *e)
{
    struct session_options o = { .threads = r->threads, .plan_bytes = (size_t)256 << 20 };
    if (!(r->session = session_new(r->step, &o, e))) return e->code;
    o.states_of = r->session;
    return (r->judge_session = session_new(r->judging, &o, e)) ? 0 : e->code;
}

static int settle_metric(struct train_run *r, struct err *e)
{
    const char *metric = conf_string(r->conf, "metric"), *names[JUDGE_MAX];
    TRY(judge_init(&r->judge, &r->a, r->train.classes, r->train.ignored, e));
    r->metric = strcmp(metric, "auto") ? metric : r->task->metric;
    size_t n = 0;
    struct str all = str_in(&r->a);
    for (; judge_name(&r->judge, n); n++) {
        names[n] = judge_name(&r->judge, n);
        str_addf(&all, "%s%s", n ? ", " : "", names[n]);
        if (!strcmp(names[n], r->metric)) return 0;
    }
    return fail(e, ERR_USAGE, "metric: the task %s has no \"%s\", but %s", r->task->name, r->metric, str_done(&all));
}

static int settle_schedule(struct train_run *r, struct err *e)
{
    const struct conf *c = r->conf;
    size_t n;
    const char *const *list = conf_list(c, "milestones", &n);
    double *milestones = ARENA_ARRAY(&r->a, n, double);
    TRY_MEM(milestones, e);
    for (size_t i = 0; i < n; i++) {
        char *end;
        milestones[i] = strtod(list[i], &end);
        if (end == list[i] || *end) return fail(e, ERR_USAGE, "milestones: \"%s\" is no epoch", list[i]);
    }
    double per_epoch = ceil((double)r->batches / r->accumulate);
    struct schedule_options o = { conf_string(c, "schedule"), conf_float(c, "lr"), conf_float(c, "gamma"),
        conf_float(c, "power"), conf_float(c, "min_lr"), conf_float(c, "max_lr"), conf_float(c, "step_size"),
        milestones, n, conf_float(c, "warmup") * per_epoch, (int)conf_int(c, "lr_patience"),
        (int)conf_int(c, "cooldown") };
    return schedule_init(&r->schedule, &o, per_epoch, per_epoch * (double)conf_int(c, "epochs"), e);
}

static int settle_augment(struct train_run *r, struct err *e)
{
    const struct conf *c = r->conf;
#define A(key) .key = conf_float(c, #key)
    r->augment = (struct augment){ A(flip_h), A(flip_v), A(crop_scale), A(crop_ratio), A(degrees), A(translate),
        A(scale), A(shear), A(perspective), A(brightness), A(contrast), A(saturation), A(hue), A(noise), A(blur),
        A(cutout) };
#undef A
    TRY(augment_check(&r->augment, e));
    if (augment_any(&r->augment)) r->train.augment = &r->augment;
    return 0;
}

static int settle_batches(struct train_run *r, struct err *e)
{
    bool drop = conf_int(r->conf, "drop_last");
    r->batch = (size_t)conf_int(r->conf, "batch");
    r->accumulate = (int)conf_int(r->conf, "accumulate");
    if (r->batch > r->train.n && r->train.n) r->batch = r->train.n;
    r->batches = drop ? r->train.n / r->batch : (r->train.n + r->batch - 1) / r->batch;
    if (!r->batches) return fail(e, ERR_DATA, "%s: no rows are left to learn from", table_path(r->data));
    return 0;
}

/* One sample goes through the model before the first step: sizes of targets are known then, and faults are found. */
static int try_sample(struct train_run *r, struct err *e)
{
    struct arena a;
    struct batch b = { 0 };
    size_t tried = 0;
    arena_init(&a, NULL);
    for (; tried < r->train.n && tried < 10 && !b.n && !e->code; tried++)
        samples_batch(&r->train, 0, &tried, 1, &a, &b, e);
    if (!e->code && !b.n)
        fail(
            e, ERR_DATA, "none of the first %zu rows can be used; the last: %s", tried, b.n_errors ? b.errors[0] : "?");
    struct session *s = e->code ? NULL
                                : session_new(r->model.graph, &(struct session_options){ .threads = r->threads }, e);
    struct tensor *out = ARENA_ARRAY(&a, r->model.graph->n_outputs, struct tensor);
    if (!out) fail_nomem(e);
    if (!e->code && !session_run(s, (const struct tensor *const *)b.in, out, e)) {
        struct shape want = out[0].shape;
        int from = r->train.classes ? 2 : 1;
        want.rank -= from;
        memmove(want.dim, want.dim + from, (size_t)(want.rank > 0 ? want.rank : 0) * sizeof *want.dim);
        if (want.rank < 0) fail(e, ERR_UNSUPPORTED, "the model's output has no dimension of samples");
        r->train.want = r->valid.want = want;
        if (r->task->target == SAMPLE_CLASS && want.rank)
            fail(e, ERR_SHAPE, "the model gives classes at many places: its task is image-segmentation");
        if (r->task->target == SAMPLE_MASK && want.rank != 2)
            fail(e, ERR_SHAPE, "the model gives no classes at each pixel: it cannot learn masks");
    }
    session_free(s);
    arena_release(&a);
    return e->code;
}

int run_setup(struct train_run *r, struct err *e)
{
    int threads = (int)conf_int(r->conf, "threads");
    r->threads = threads > 0 ? threads : team_default_size();
    r->train.seed = r->valid.seed = (uint64_t)conf_int(r->conf, "seed");
    r->train.shuffle = conf_int(r->conf, "shuffle");
    TRY(open_model(r, e));
    TRY(open_tables(r, e));
    TRY(choose_task(r, e));
    TRY(split_rows(r, e));
    TRY(settle_targets(r, e));
    TRY(settle_batches(r, e));
    TRY(settle_loss(r, e));
    TRY(settle_metric(r, e));
    TRY(settle_schedule(r, e));
    TRY(settle_augment(r, e));
    TRY(try_sample(r, e));
    TRY(make_step(r, e));
    TRY(make_judging(r, e));
    return make_sessions(r, e);
}
