/* activate.c - activations by the names that fused convolutions have them under. */
#include "backend/cpu/activate.h"

#include <string.h>

#include "base/err.h"
#include "graph/op.h"

int activation_of(const struct node *n, struct activation *a, struct err *e)
{
    static const struct {
        const char *name;
        enum activation_kind kind;
    } list[] = { { "", ACTIVATE_NONE }, { "Relu", ACTIVATE_RELU }, { "LeakyRelu", ACTIVATE_LEAKY },
        { "Swish", ACTIVATE_SWISH }, { "Sigmoid", ACTIVATE_SIGMOID }, { "Clip", ACTIVATE_CLIP } };
    *a = (struct activation){ ACTIVATE_NONE, 0, 0 };
    if (!node_is(n, "FusedConv")) return 0;
    const char *name = node_string(n, "activation");
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (!strcmp(name, list[i].name)) {
            *a = (struct activation){ list[i].kind, (float)node_float(n, "alpha"), (float)node_float(n, "beta") };
            return 0;
        }
    return fail(e, ERR_UNSUPPORTED, "the activation %s", name);
}
