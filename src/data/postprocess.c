/* postprocess.c - the steps from a model's output to an answer. */
#include "data/postprocess.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "data/resample.h"
#include "data/steps.h"

struct postprocess_kind;
struct postprocess_step {
    const struct postprocess_kind *kind;
    int64_t axis, k;
    double threshold;
    struct boxes_step boxes;
};

struct post {
    struct arena *arena;
    const struct outputs *outputs;
    size_t at; /* the output that the steps are for */
    const struct provenance *from;
    struct answer *answer;
};

struct postprocess_kind {
    const char *name;
    void (*parse)(struct postprocess_step *s, struct step_reader *r);
    int (*run)(const struct postprocess_step *s, struct post *w, struct err *e);
};

/* The tensor as doubles: outer x n x inner around an axis. */
struct lanes {
    double *v;
    int64_t outer, n, inner;
};

static int lanes_of(const struct post *w, int64_t axis, struct lanes *l, struct err *e)
{
    const struct tensor *t = &w->answer->tensor;
    if (w->answer->kind != ANSWER_TENSOR) return fail(e, ERR_USAGE, "the steps before left no tensor");
    int k = shape_axis(axis, t->shape.rank);
    if (k < 0) return fail(e, ERR_USAGE, "axis %lld, but the output has rank %d", (long long)axis, t->shape.rank);
    l->outer = shape_span(&t->shape, 0, k);
    l->n = t->shape.dim[k];
    l->inner = shape_span(&t->shape, k + 1, t->shape.rank);
    l->v = ARENA_ARRAY(w->arena, tensor_count(t), double);
    TRY_MEM(l->v, e);
    load_f64(t->dtype, t->data, tensor_count(t), l->v);
    return l->n > 0 ? 0 : fail(e, ERR_SHAPE, "the output is empty");
}

static int replace_tensor(struct post *w, const double *v, struct err *e)
{
    struct tensor *t = &w->answer->tensor, *fresh;
    enum dtype dtype = dtype_is_float(t->dtype) ? t->dtype : DT_F32;
    if (!(fresh = tensor_new(w->arena, dtype, &t->shape, e))) return e->code;
    store_f64(dtype, fresh->data, tensor_count(fresh), v);
    *t = *fresh;
    return 0;
}

static void parse_axis(struct postprocess_step *s, struct step_reader *r)
{
    s->axis = step_int(r, "axis", 1, -SHAPE_MAX, SHAPE_MAX - 1);
}

static int run_softmax(const struct postprocess_step *s, struct post *w, struct err *e)
{
    struct lanes l;
    TRY(lanes_of(w, s->axis, &l, e));
    for (int64_t o = 0; o < l.outer; o++)
        for (int64_t i = 0; i < l.inner; i++) {
            double *x = l.v + o * l.n * l.inner + i, max = -INFINITY, sum = 0;
            for (int64_t k = 0; k < l.n; k++) max = x[k * l.inner] > max ? x[k * l.inner] : max;
            for (int64_t k = 0; k < l.n; k++) sum += x[k * l.inner] = exp(x[k * l.inner] - max);
            for (int64_t k = 0; k < l.n; k++) x[k * l.inner] /= sum;
        }
    return replace_tensor(w, l.v, e);
}

static void parse_nothing(struct postprocess_step *s, struct step_reader *r)
{
    (void)s, (void)r;
}

static int run_sigmoid(const struct postprocess_step *s, struct post *w, struct err *e)
{
    struct lanes l;
    TRY(lanes_of(w, 0, &l, e));
    for (int64_t i = 0; i < l.outer * l.n * l.inner; i++) l.v[i] = 1 / (1 + exp(-l.v[i]));
    return replace_tensor(w, l.v, e);
}

/* p becomes (1 - p, p). */
static int run_two_classes(const struct postprocess_step *s, struct post *w, struct err *e)
{
    struct tensor *t = &w->answer->tensor, *both;
    if (w->answer->kind != ANSWER_TENSOR || tensor_count(t) != 1 || !dtype_is_float(t->dtype))
        return fail(e, ERR_USAGE, "one number is wanted, the probability of the second class");
    struct shape shape = shape_of(2, (int64_t[]){ 1, 2 });
    double p = tensor_get_f64(t, 0);
    if (!(both = tensor_new(w->arena, t->dtype, &shape, e))) return e->code;
    store_f64(t->dtype, both->data, 2, (double[]){ 1 - p, p });
    *t = *both;
    return 0;
}

static void parse_top_k(struct postprocess_step *s, struct step_reader *r)
{
    s->k = step_int(r, "k", 5, 1, 1000000);
}

struct candidate {
    double score;
    int64_t index;
};

static int best_first(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    bool x_nan = isnan(x->score), y_nan = isnan(y->score);
    if (x_nan != y_nan) return x_nan ? 1 : -1;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

static int run_top_k(const struct postprocess_step *s, struct post *w, struct err *e)
{
    struct lanes l;
    TRY(lanes_of(w, 0, &l, e));
    int64_t n = l.outer * l.n * l.inner;
    struct candidate *all = ARENA_ARRAY(w->arena, n, struct candidate);
    TRY_MEM(all, e);
    for (int64_t i = 0; i < n; i++) all[i] = (struct candidate){ l.v[i], i };
    qsort(all, (size_t)n, sizeof *all, best_first);
    struct answer *a = w->answer;
    a->kind = ANSWER_CLASSES;
    a->n = s->k < n ? s->k : n;
    a->index = ARENA_ARRAY(w->arena, a->n, int64_t);
    a->score = ARENA_ARRAY(w->arena, a->n, double);
    if (!a->index || !a->score) return fail_nomem(e);
    for (int64_t i = 0; i < a->n; i++) a->index[i] = all[i].index, a->score[i] = all[i].score;
    return 0;
}

/* The output without the batch and the label axis must be an image: (height, width). */
static int mask_size(struct post *w, int axis, struct err *e)
{
    const struct shape *s = &w->answer->tensor.shape;
    int64_t size[2];
    int n = 0;
    for (int d = 1; d < s->rank; d++) {
        if (d == axis) continue;
        if (n == 2) return fail(e, ERR_USAGE, "the output is no map of labels");
        size[n++] = s->dim[d];
    }
    if (n != 2 || size[0] > 65536 || size[1] > 65536) return fail(e, ERR_USAGE, "the output is no map of labels");
    w->answer->height = (int)size[0];
    w->answer->width = (int)size[1];
    w->answer->labels = ARENA_ARRAY(w->arena, size[0] * size[1], int32_t);
    w->answer->kind = ANSWER_MASK;
    return w->answer->labels ? 0 : fail_nomem(e);
}

static int run_argmax(const struct postprocess_step *s, struct post *w, struct err *e)
{
    struct lanes l;
    TRY(lanes_of(w, s->axis, &l, e));
    TRY(mask_size(w, shape_axis(s->axis, w->answer->tensor.shape.rank), e));
    for (int64_t o = 0; o < l.outer; o++)
        for (int64_t i = 0; i < l.inner; i++) {
            const double *x = l.v + o * l.n * l.inner + i;
            int64_t best = 0;
            for (int64_t k = 1; k < l.n; k++)
                if (x[k * l.inner] > x[best * l.inner]) best = k;
            w->answer->labels[o * l.inner + i] = (int32_t)best;
        }
    return 0;
}

static void parse_threshold(struct postprocess_step *s, struct step_reader *r)
{
    s->threshold = step_number(r, "value", 0.5);
    s->axis = step_int(r, "axis", 1, -SHAPE_MAX, SHAPE_MAX - 1);
}

/* One-channel maps: label 1 where the value reaches the threshold. */
static int run_threshold(const struct postprocess_step *s, struct post *w, struct err *e)
{
    struct lanes l;
    TRY(lanes_of(w, s->axis, &l, e));
    if (l.n != 1) return fail(e, ERR_USAGE, "threshold needs one channel, there are %lld", (long long)l.n);
    TRY(mask_size(w, shape_axis(s->axis, w->answer->tensor.shape.rank), e));
    for (int64_t i = 0; i < l.outer * l.inner; i++) w->answer->labels[i] = l.v[i] >= s->threshold;
    return 0;
}

static void parse_resize(struct postprocess_step *s, struct step_reader *r)
{
    static const char *const filters[] = { "nearest", NULL };
    step_choice(r, "interpolation", filters, 0);
}

static int run_resize(const struct postprocess_step *s, struct post *w, struct err *e)
{
    struct answer *a = w->answer;
    if (a->kind != ANSWER_MASK) return fail(e, ERR_USAGE, "there is no map of labels to resize");
    int width = (int)w->from->original.width, height = (int)w->from->original.height;
    if (!width || !height) return 0; /* the sample was no image */
    const struct letterbox *l = &w->from->letterbox;
    double sx = l->scale ? (double)a->width / (double)l->out_width : 0,
           sy = l->scale ? (double)a->height / (double)l->out_height : 0;
    struct resample_box box = { (float)((double)l->left * sx), (float)((double)l->top * sy),
        (float)((double)(l->left + l->width) * sx), (float)((double)(l->top + l->height) * sy) };
    int32_t *to = ARENA_ARRAY(w->arena, (size_t)width * (size_t)height, int32_t);
    TRY_MEM(to, e);
    TRY(resample_nearest(
        to, width, height, a->labels, a->width, a->height, sizeof *to, l->scale ? &box : NULL, w->arena, e));
    a->labels = to, a->width = width, a->height = height;
    return 0;
}

static void parse_boxes(struct postprocess_step *s, struct step_reader *r)
{
    boxes_parse(&s->boxes, r);
}

static int run_boxes(const struct postprocess_step *s, struct post *w, struct err *e)
{
    if (w->answer->kind != ANSWER_TENSOR) return fail(e, ERR_USAGE, "the steps before left no tensor");
    return boxes_run(&s->boxes, w->outputs, w->at, w->from, w->arena, w->answer, e);
}

/* An output that another one's step reads, or that nobody wants. */
static int run_omit(const struct postprocess_step *s, struct post *w, struct err *e)
{
    (void)s, (void)e;
    w->answer->kind = ANSWER_NONE;
    return 0;
}

static const struct postprocess_kind kinds[] = {
    { "softmax", parse_axis, run_softmax },
    { "sigmoid", parse_nothing, run_sigmoid },
    { "two_classes", parse_nothing, run_two_classes },
    { "top_k", parse_top_k, run_top_k },
    { "argmax", parse_axis, run_argmax },
    { "threshold", parse_threshold, run_threshold },
    { "resize_to_original", parse_resize, run_resize },
    { "boxes", parse_boxes, run_boxes },
    { "omit", parse_nothing, run_omit },
};

struct parsing {
    struct postprocess *p;
    struct arena *arena;
};

static int parse_step(void *ctx, size_t i, int kind, struct step_reader *r)
{
    const struct parsing *w = ctx;
    struct postprocess_step *s = &w->p->steps[i];
    const char **names[] = { &s->boxes.scores, &s->boxes.labels, &s->boxes.count };
    s->kind = &kinds[kind];
    kinds[kind].parse(s, r);
    for (size_t k = 0; k < sizeof names / sizeof *names && !r->err->code; k++)
        if (*names[k]) TRY_MEM(*names[k] = arena_strdup(w->arena, *names[k]), r->err);
    return r->err->code;
}

int postprocess_parse(struct postprocess *p, struct arena *a, const json_t *list, const char *where, struct err *e)
{
    const char *names[sizeof kinds / sizeof kinds[0] + 1] = { NULL };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) names[i] = kinds[i].name;
    *p = (struct postprocess){ .n = json_array_size(list) };
    p->steps = ARENA_ARRAY(a, p->n < STEPS_MAX ? p->n : STEPS_MAX, struct postprocess_step);
    TRY_MEM(p->steps, e);
    return steps_parse(list, where, names, parse_step, &(struct parsing){ p, a }, e);
}

int postprocess_run(const struct postprocess *p, struct arena *a, const struct outputs *outputs, size_t at,
    const struct provenance *from, struct answer *answer, struct err *e)
{
    *answer = (struct answer){ .kind = ANSWER_TENSOR, .tensor = outputs->of[at] };
    struct post w = { a, outputs, at, from, answer };
    for (size_t i = 0; i < p->n; i++)
        if (p->steps[i].kind->run(&p->steps[i], &w, e)) return err_prefix(e, "postprocess %s", p->steps[i].kind->name);
    return 0;
}

json_t *postprocess_for_task(const char *task, int64_t classes, int axis)
{
    if (!strcmp(task, "image-classification") && classes == 1)
        return json_pack("[{s:s},{s:s},{s:s,s:i}]", "op", "sigmoid", "op", "two_classes", "op", "top_k", "k", 2);
    if (!strcmp(task, "image-classification"))
        return json_pack("[{s:s,s:i},{s:s,s:I}]", "op", "softmax", "axis", axis, "op", "top_k", "k",
            (json_int_t)(classes > 0 && classes < 5 ? classes : 5));
    if (!strcmp(task, "image-segmentation") && classes == 1)
        return json_pack("[{s:s},{s:s,s:f,s:i},{s:s}]", "op", "sigmoid", "op", "threshold", "value", 0.5, "axis", axis,
            "op", "resize_to_original");
    if (!strcmp(task, "image-segmentation"))
        return json_pack("[{s:s,s:i},{s:s}]", "op", "argmax", "axis", axis, "op", "resize_to_original");
    return json_array();
}
