/* guess.c - shapes of inputs that nobody told, from the weight of the first operator that takes them. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "format/torch/torch.h"
#include "graph/tensor.h"

enum { GUESS_BATCH = 2, GUESS_TOKENS = 16, GUESS_SAMPLES = 1024, GUESS_IMAGE = 224, GUESS_VOLUME = 16 };

static const struct {
    const char *op;
    int input, weight; /* arguments */
    enum { CONVOLUTION, LINEAR, EMBEDDING } kind;
} rules[] = {
    { "_convolution", 0, 1, CONVOLUTION },
    { "conv1d", 0, 1, CONVOLUTION },
    { "conv2d", 0, 1, CONVOLUTION },
    { "conv3d", 0, 1, CONVOLUTION },
    { "_convolution_mode", 0, 1, CONVOLUTION },
    { "linear", 0, 1, LINEAR },
    { "embedding", 1, 0, EMBEDDING },
};

static void add(struct shape *s, int64_t dim)
{
    s->dim[s->rank++] = dim;
}

/* (N, C, ..) of a convolution whose weight is (out, C / groups, kernel..); the groups are argument `groups`. */
static void guess_image(struct shape *s, const struct shape *w, int64_t groups)
{
    static const int64_t sizes[] = { GUESS_SAMPLES, GUESS_IMAGE, GUESS_VOLUME };
    add(s, w->dim[1] * groups);
    for (int i = 2; i < w->rank && w->rank <= 5; i++) add(s, sizes[w->rank - 3]);
}

static int tell(struct torch *t, struct value *x, struct shape s)
{
    int64_t batch = graph_symbol(t->g, "N");
    struct shape hint = s;
    s.dim[0] = batch;
    x->shape = s;
    x->flags |= VALUE_GUESSED;
    t->n_guessed++;
    char text[160] = "N";
    for (int i = 1; i < s.rank; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "x%lld", (long long)s.dim[i]);
    report_add(t->report, REPORT_GUESS, t->b.where ? t->b.where : "",
        "input %s is taken to be %s:%s; say --input %s=%s if not", x->name, text, dtype_name(x->dtype), x->name, text);
    return torch_set_hint(t, x, &hint);
}

static struct value *input_of(const struct object *o)
{
    struct value *x = object_is(o, OBJECT_TENSOR) && !o->tensor->from ? value_resolve(o->tensor->value) : NULL;
    return x && x->kind == VALUE_INPUT ? x : NULL;
}

static int64_t groups_of(const char *op, struct object *const *args, size_t n)
{
    size_t at = !strcmp(op, "_convolution") ? 8 : 6;
    return n > at && object_is(args[at], OBJECT_INT) && args[at]->integer > 0 ? args[at]->integer : 1;
}

static int guess(struct torch *t, const char *op, struct object *const *args, size_t n, struct value *x)
{
    struct shape s = { 1, { GUESS_BATCH } };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        size_t last = (size_t)(rules[i].weight > rules[i].input ? rules[i].weight : rules[i].input);
        if (strcmp(rules[i].op, op) || n <= last || input_of(args[rules[i].input]) != x) continue;
        const struct object *weight = args[rules[i].weight];
        const struct value *w = object_is(weight, OBJECT_TENSOR) ? value_resolve(weight->tensor->value) : NULL;
        if (!w || !shape_is_known(&w->shape) || w->shape.rank < 2) continue;
        if (rules[i].kind == CONVOLUTION) guess_image(&s, &w->shape, groups_of(op, args, n));
        else if (rules[i].kind == LINEAR) add(&s, w->shape.dim[1]);
        else add(&s, GUESS_TOKENS), x->dtype = DT_I64;
        return tell(t, x, s);
    }
    return fail(t->err, ERR_USAGE,
        "the shape of the input %s is not known (first used by %s%s%s); say --input %s=SHAPE, for example "
        "%s=Nx3x224x224",
        x->name, op, t->b.where ? " at " : "", t->b.where ? t->b.where : "", x->name, x->name);
}

int torch_guess(struct torch *t, const char *op, struct object *const *args, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct value *x = input_of(args[i]);
        if (x && x->shape.rank < 0) TRY(guess(t, op, args, n, x));
        /* token numbers, when only a shape was told */
        if (x && !strcmp(op, "embedding") && i == 1 && x->flags & VALUE_GUESSED) x->dtype = DT_I64;
    }
    return 0;
}
