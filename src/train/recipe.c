/* recipe.c - how it is learnt: the graphs of a step and of a judgement, rates, and augmentations. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "graph/builder.h"
#include "graph/op.h"
#include "train/optimizer.h"
#include "train/run.h"

bool run_mixes(const struct train_run *r)
{
    return conf_float(r->conf, "mixup") > 0;
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

int run_make_step(struct train_run *r, struct err *e)
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
    struct train_step_options o = { .heads = r->heads,
        .n_heads = r->n_heads,
        .optimizer = r->optimizer->name,
        .attrs = attrs,
        .rules = rules,
        .n_rules = n_rules,
        .clip_norm = conf_float(c, "clip_norm"),
        .ema = conf_float(c, "ema"),
        .accumulate = r->accumulate > 1,
        .mixup = run_mixes(r) };
    if (!(conf_float(c, "mixup") >= 0 && conf_float(c, "mixup") <= 1))
        return fail(e, ERR_USAGE, "mixup: %g is not between 0 and 1", conf_float(c, "mixup"));
    for (size_t i = 0; o.mixup && i < r->model.graph->n_inputs; i++)
        if (r->model.graph->inputs[i]->dtype != DT_F32)
            return fail(e, ERR_USAGE, "mixup: input %s is no float32, and cannot be mixed",
                r->model.graph->inputs[i]->name);
    if (!(o.ema >= 0 && o.ema < 1)) return fail(e, ERR_USAGE, "ema: %g is no decay from 0 to 1", o.ema);
    if (!(o.clip_norm >= 0)) return fail(e, ERR_USAGE, "clip_norm: %g, expected 0 or more", o.clip_norm);
    r->step = train_step_new(r->model.graph, &o, &r->a, e);
    return r->step ? 0 : e->code;
}

/* The model as it answers, with the loss as a further output, and of several heads each one's behind it; where averages
 * are kept, with these as its weights. */
int run_make_judging(struct train_run *r, struct err *e)
{
    struct graph *g = r->judging = graph_copy(r->model.graph, &r->a, e);
    struct builder b = { g, e };
    struct value *loss = NULL, *each[MOST_HEADS];
    if (!g) return e->code;
    for (size_t i = 0; i < r->n_heads; i++) {
        each[i] = train_head_loss(&b, &r->heads[i], g->outputs[r->heads[i].output], "target", i, e);
        if (!each[i]) return e->code;
        loss = loss ? emit(&b, "Add", NO_ATTRS, loss, each[i]) : each[i];
    }
    if (!loss) return e->code;
    TRY(graph_output(g, loss, e));
    for (size_t i = 0; r->n_heads > 1 && i < r->n_heads; i++) TRY(graph_output(g, each[i], e));
    for (size_t i = 0; conf_float(r->conf, "ema") > 0 && i < g->n_states; i++) {
        char name[300];
        snprintf(name, sizeof name, "average/%.250s", g->states[i]->name);
        if (graph_find(r->step, name)) TRY(graph_rename(g, g->states[i], name, e));
    }
    return graph_tidy(g, e);
}

int run_settle_schedule(struct train_run *r, struct err *e)
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

int run_settle_augment(struct train_run *r, struct err *e)
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
