/* learning.c - optimizers over 100 steps, losses with their gradients, and schedules, against PyTorch's numbers
 * (tests/golden/learning.txt, made by tests/oracle/learning.py). */
#include "tap.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "exec/session.h"
#include "graph/builder.h"
#include "ops/registry.h"
#include "pass/gradient.h"
#include "train/loss.h"
#include "train/optimizer.h"
#include "train/schedule.h"

enum { SIZE = 5, STEPS = 100, MOST = 64, EPOCHS = 8, PER_EPOCH = 5 };

/* One line of the file: kind name key=value ... : numbers */
struct line {
    char text[2000], *kind, *name;
    struct attr options[12];
    size_t n_options, n;
    double want[MOST];
};

static bool parse(struct line *l)
{
    char *colon = strstr(l->text, " : "), *save;
    if (!colon) return false;
    *colon = 0;
    l->kind = strtok_r(l->text, " ", &save);
    l->name = strtok_r(NULL, " ", &save);
    l->n_options = l->n = 0;
    for (char *word; (word = strtok_r(NULL, " ", &save));) {
        char *equals = strchr(word, '=');
        *equals = 0;
        l->options[l->n_options++] = attr_float(word, atof(equals + 1));
    }
    for (char *p = colon + 2, *end; l->n < MOST; p = end, l->n++) {
        l->want[l->n] = strtod(p, &end);
        if (end == p) break;
    }
    return true;
}

static bool option(const struct line *l, const char *name, double *v)
{
    for (size_t i = 0; i < l->n_options; i++)
        if (!strcmp(l->options[i].name, name)) return *v = l->options[i].f, true;
    return false;
}

/* Runs `check` for every line of a kind; returns how many there were. */
static int each(const char *kind, void (*check)(struct line *l))
{
    char path[1000];
    snprintf(path, sizeof path, "%s/tests/golden/learning.txt", getenv("TENREC_SOURCE"));
    FILE *f = fopen(path, "r");
    int n = 0;
    struct line l;
    while (f && fgets(l.text, sizeof l.text, f)) {
        char what[120];
        snprintf(what, sizeof what, "%.110s", l.text);
        if (!parse(&l) || strcmp(l.kind, kind)) continue;
        int before = tap_failed;
        tap_failed = 0;
        check(&l);
        if (tap_failed) printf("# %s\n", what);
        tap_failed |= before;
        n++;
    }
    if (f) fclose(f);
    return n;
}

struct fixture {
    struct arena a;
    struct err e;
    struct graph *g;
    struct builder b;
};

static void begin(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    arena_init(&f->a, NULL);
    f->g = graph_new(&f->a, &op_registry, "learning", &f->e);
    f->b = (struct builder){ f->g, &f->e };
}

static struct value *state(struct fixture *f, const char *name, enum dtype t, int rank, const int64_t *dims)
{
    struct shape s = shape_of(rank, dims);
    return graph_state(f->g, name, tensor_new(&f->a, t, &s, &f->e), VALUE_TRAINABLE, &f->e);
}

/* The operators of a step with one parameter, as train/step.c puts them together. */
static void make_optimizer(struct fixture *f, const struct line *l)
{
    const struct optimizer *o = optimizer_find(l->name, &f->e);
    struct shape scalar = shape_of(0, NULL), five = shape_of(1, (int64_t[]){ SIZE });
    struct value *p = state(f, "p", DT_F32, 1, five.dim), *step = state(f, "step", DT_I64, 0, NULL);
    for (int i = 0; i < SIZE; i++) tensor_set_f64((struct tensor *)(uintptr_t)p->data, i, 0.5 - 0.25 * i);
    struct value *grad = graph_input(f->g, "grad", DT_F32, &five, &f->e), *scale = NULL;
    struct value *in[10] = { p, grad, step, graph_input(f->g, "lr", DT_F32, &scalar, &f->e), NULL };
    struct attr attrs[14] = { { 0 } };
    double clip;
    int n = 6, k = 0;
    for (size_t i = 0; i < l->n_options; i++) {
        const struct attr *a = &l->options[i];
        bool flag = !strcmp(a->name, "nesterov") || !strcmp(a->name, "amsgrad") || !strcmp(a->name, "centered");
        if (strcmp(a->name, "clip_norm")) attrs[k++] = flag ? attr_int(a->name, 1) : *a;
    }
    if (o->always) attrs[k++] = attr_int(o->always, 1);
    if (option(l, "clip_norm", &clip)) {
        struct value *norm = emit(&f->b, "GradientNorm", NO_ATTRS, grad);
        scale = emit(&f->b, "Div", NO_ATTRS, emit_scalar(&f->b, DT_F32, clip),
            emit(&f->b, "Add", NO_ATTRS, norm, emit_scalar(&f->b, DT_F32, 1e-6)));
        scale = emit(&f->b, "Min", NO_ATTRS, scale, emit_scalar(&f->b, DT_F32, 1));
    }
    in[5] = scale;
    double ignored;
    for (const struct optimizer_state *s = o->states; s->name; s++)
        if (!s->when || option(l, s->when, &ignored)) in[n++] = state(f, s->name, DT_F32, 1, five.dim);
    struct node *node = builder_node(&f->b, o->op, attrs, in, n, n - 5);
    if (!node) return;
    p->next = node->out[0];
    for (int i = 6; i < n; i++) in[i]->next = node->out[i - 5];
    step->next = emit(&f->b, "Add", NO_ATTRS, step, emit_i64(&f->b, 1));
    graph_output(f->g, node->out[0], &f->e);
    graph_tidy(f->g, &f->e);
}

static void check_optimizer(struct line *l)
{
    struct fixture f;
    begin(&f);
    make_optimizer(&f, l);
    CHECK_OK(f.e.code, &f.e);
    if (f.e.code) return;
    struct session *s = session_new(f.g, &(struct session_options){ .threads = 1 }, &f.e);
    struct shape scalar = shape_of(0, NULL), five = shape_of(1, (int64_t[]){ SIZE });
    struct tensor *in[] = { tensor_new(&f.a, DT_F32, &five, &f.e), tensor_new(&f.a, DT_F32, &scalar, &f.e) },
                  out = { 0 };
    tensor_set_f64(in[1], 0, 0.05);
    for (int t = 0; t < STEPS; t++) {
        for (int i = 0; i < SIZE; i++) tensor_set_f64(in[0], i, sin(0.7 * t + 1.3 * i) * (i + 1) * 0.3);
        CHECK_OK(session_run(s, (const struct tensor *const *)in, &out, &f.e), &f.e);
    }
    for (int i = 0; i < SIZE; i++) CHECK_NEAR(tensor_get_f64(&out, i), l->want[i], 1e-6 * fmax(1, fabs(l->want[i])));
    session_free(s);
    arena_release(&f.a);
}

TEST(optimizers_step_as_those_of_pytorch)
{
    CHECK_INT(each("optimizer", check_optimizer), 19);
}

static const double class_weights[2][4] = { { 1, 0.5, 2, 0.25 }, { 1, 0.5, 2 } };
static const int64_t labels[] = { 1, 3, 0 }, pixels[] = { 0, 2, 1, 1, 2, 0, 0, 1 };

static struct loss_options options_of(struct fixture *f, const struct line *l, bool deep)
{
    double v;
    struct loss_options o = { .name = l->name, .beta = 1 };
    option(l, "smoothing", &o.smoothing);
    option(l, "beta", &o.beta);
    if (option(l, "ignore", &v)) o.ignores = true, o.ignore_index = (int64_t)v;
    if (option(l, "weighted", &v)) {
        struct shape s = shape_of(1, (int64_t[]){ deep ? 3 : 4 });
        struct tensor *w = tensor_new(&f->a, DT_F32, &s, &f->e);
        for (int64_t i = 0; i < tensor_count(w); i++) tensor_set_f64(w, i, class_weights[deep][i]);
        o.class_weight = w;
    }
    return o;
}

static void set_target(struct tensor *t, const struct line *l, bool deep)
{
    bool bce = !strcmp(l->name, "bce");
    for (int64_t i = 0; i < tensor_count(t); i++) {
        if (t->dtype == DT_I64) tensor_set_i64(t, i, deep ? pixels[i] : labels[i]);
        else if (bce) tensor_set_f64(t, i, (cos(0.8 * (double)i) > 0) * 0.9);
        else tensor_set_f64(t, i, cos(0.8 * (double)i));
    }
}

static void check_loss(struct line *l)
{
    struct fixture f;
    double rank = 2;
    option(l, "rank", &rank);
    bool deep = rank == 4;
    const int64_t flat_dims[] = { 3, 4 }, deep_dims[] = { 2, 3, 2, 2 };
    enum dtype t;
    struct shape s;
    begin(&f);
    struct loss_options o = options_of(&f, l, deep);
    struct value *x = state(&f, "x", DT_F32, (int)rank, deep ? deep_dims : flat_dims), *dx;
    int64_t n = tensor_count(x->data);
    for (int64_t i = 0; i < n; i++)
        tensor_set_f64((struct tensor *)(uintptr_t)x->data, i, 2 * sin(0.9 * (double)i * (double)i + (double)i));
    CHECK_OK(loss_target(&o, x, &t, &s, &f.e), &f.e);
    struct value *loss = loss_emit(&f.b, &o, x, graph_input(f.g, "target", t, &s, &f.e));
    CHECK_OK(f.e.code, &f.e);
    if (f.e.code) return;
    graph_output(f.g, loss, &f.e);
    CHECK_OK(graph_tidy(f.g, &f.e), &f.e);
    CHECK_OK(graph_gradient(f.g, f.g->outputs[0], &x, 1, &dx, &f.e), &f.e);
    graph_output(f.g, dx, &f.e);
    CHECK_OK(graph_tidy(f.g, &f.e), &f.e);
    struct tensor *target = tensor_new(&f.a, t, &s, &f.e), out[2] = { { 0 } };
    set_target(target, l, deep);
    struct session *session = session_new(f.g, &(struct session_options){ .threads = 1 }, &f.e);
    CHECK_OK(session_run(session, (const struct tensor *const *)&target, out, &f.e), &f.e);
    CHECK_INT((int)l->n, (int)n + 1);
    CHECK_NEAR(tensor_get_f64(&out[0], 0), l->want[0], 2e-6);
    for (int64_t i = 0; i < n; i++) CHECK_NEAR(tensor_get_f64(&out[1], i), l->want[i + 1], 1e-6);
    session_free(session);
    arena_release(&f.a);
}

TEST(losses_and_their_gradients_are_those_of_pytorch)
{
    CHECK_INT(each("loss", check_loss), 28);
}

static struct schedule_options rates_of(const struct line *l, double milestones[2])
{
    double patience = 0, cooldown = 0;
    struct schedule_options o = {
        .name = l->name, .lr = 0.1, .gamma = 0.1, .power = 1, .step_size = 10, .milestones = milestones
    };
    option(l, "gamma", &o.gamma);
    option(l, "power", &o.power);
    option(l, "step_size", &o.step_size);
    option(l, "min_lr", &o.min_lr);
    option(l, "max_lr", &o.max_lr);
    option(l, "patience", &patience);
    option(l, "cooldown", &cooldown);
    if (option(l, "first", &milestones[0]) && option(l, "second", &milestones[1])) o.n_milestones = 2;
    o.patience = (int)patience;
    o.cooldown = (int)cooldown;
    return o;
}

static void check_schedule(struct line *l)
{
    double milestones[2], extra = 0;
    struct err e = { 0 };
    struct schedule s;
    struct schedule_options o = rates_of(l, milestones);
    option(l, "extra", &extra);
    CHECK_OK(schedule_init(&s, &o, PER_EPOCH, EPOCHS * PER_EPOCH + extra, &e), &e);
    for (int i = 0; i < EPOCHS * PER_EPOCH; i++) CHECK_NEAR(schedule_rate(&s, i), l->want[i], 1e-8);
}

static void check_plateau(struct line *l)
{
    static const double seen[] = { 3, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1 };
    double milestones[2];
    struct err e = { 0 };
    struct schedule s;
    struct schedule_options o = rates_of(l, milestones);
    CHECK_OK(schedule_init(&s, &o, PER_EPOCH, EPOCHS * PER_EPOCH, &e), &e);
    for (size_t i = 0; i < sizeof seen / sizeof seen[0]; i++) {
        schedule_tell(&s, seen[i], false);
        CHECK_NEAR(schedule_rate(&s, (int64_t)i), l->want[i], 1e-9);
    }
}

TEST(schedules_are_those_of_pytorch)
{
    CHECK_INT(each("schedule", check_schedule), 9);
    CHECK_INT(each("plateau", check_plateau), 1);
}

TEST(a_warmup_rises_in_a_line)
{
    struct err e = { 0 };
    struct schedule s;
    struct schedule_options o = { .name = "fixed", .lr = 1, .gamma = 0.1, .step_size = 1, .warmup = 4 };
    CHECK_OK(schedule_init(&s, &o, 10, 100, &e), &e);
    for (int i = 0; i < 6; i++) CHECK_NEAR(schedule_rate(&s, i), i < 4 ? (i + 1) / 4.0 : 1, 1e-12);
}

TEST(rates_that_cannot_be_are_refused)
{
    struct err e = { 0 };
    struct schedule s;
    static const double bad[] = { 0, -1, NAN, INFINITY };
    for (int i = 0; i < 4; i++) {
        struct schedule_options o = { .name = "fixed", .lr = bad[i], .gamma = 0.1, .step_size = 1 };
        CHECK_INT(schedule_init(&s, &o, 10, 100, &e), ERR_USAGE);
        err_clear(&e);
    }
    struct schedule_options none = { .name = "multistep", .lr = 1, .gamma = 0.1, .step_size = 1 };
    CHECK_INT(schedule_init(&s, &none, 10, 100, &e), ERR_USAGE);
}
