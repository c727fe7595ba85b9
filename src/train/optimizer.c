/* optimizer.c - the table of optimizers. */
#include "train/optimizer.h"

#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "graph/op.h"
#include "ops/registry.h"

static const struct optimizer list[] = {
    { "sgd", "SGDUpdate", NULL, { { "momentum_buffer", "momentum" } } },
    { "adam", "AdamUpdate", NULL, { { "exp_avg", NULL }, { "exp_avg_sq", NULL }, { "max_exp_avg_sq", "amsgrad" } } },
    { "adamw", "AdamUpdate", "decoupled",
        { { "exp_avg", NULL }, { "exp_avg_sq", NULL }, { "max_exp_avg_sq", "amsgrad" } } },
    { "adagrad", "AdagradUpdate", NULL, { { "sum", NULL } } },
    { "rmsprop", "RMSpropUpdate", NULL,
        { { "square_avg", NULL }, { "momentum_buffer", "momentum" }, { "grad_avg", "centered" } } },
};
enum { N = sizeof list / sizeof list[0] };

const struct optimizer *optimizer_find(const char *name, struct err *e)
{
    const char *names[N];
    for (size_t i = 0; i < N; i++) {
        if (!strcmp(list[i].name, name)) return &list[i];
        names[i] = list[i].name;
    }
    const char *near = str_closest(name, names, N);
    fail(e, ERR_USAGE, "optimizer: there is no \"%s\"%s%s%s", name, near ? ", did you mean \"" : "", near ? near : "",
        near ? "\"?" : "");
    return NULL;
}

int optimizer_has(const struct optimizer *o, const char *attr)
{
    const struct op *op = op_registry.find(o->op);
    for (const struct attr_spec *a = op->attrs; a->name; a++)
        if (!strcmp(a->name, attr)) return 1;
    return 0;
}
