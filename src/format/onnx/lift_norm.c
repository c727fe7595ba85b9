/* lift_norm.c - older spellings of normalisation, dropout and recurrent operators, and normalisations of two types. */
#include <string.h>

#include "base/err.h"
#include "format/onnx/lift.h"
#include "format/onnx/lift_emit.h"

/* Before opset 9, spatial=0: statistics per element. in: x, scale, bias, mean, var, all of x's shape without N. */
static void per_element(struct lift *l)
{
    struct value **in = l->in, *x = in[0];
    double epsilon = lift_float(l, "epsilon", 1e-5f);
    enum dtype t = x && x->dtype ? x->dtype : DT_F32;
    struct value *deviation = emit(
        l->b, "Sqrt", NO_ATTRS, emit(l->b, "Add", NO_ATTRS, in[4], emit_scalar(l->b, t, epsilon)));
    struct value *y = emit(l->b, "Div", NO_ATTRS, emit(l->b, "Sub", NO_ATTRS, x, in[3]), deviation);
    lift_result(l, emit(l->b, "Add", NO_ATTRS, emit(l->b, "Mul", NO_ATTRS, y, in[1]), in[2]));
}

/* Before opset 14 a node in training mode was one with five outputs: y, mean, var, saved mean, saved var. Exporters
 * also wrote them without using them; only where the new statistics are read does the node train. */
static int batch_normalization(struct lift *l, const char *arg, struct err *e)
{
    bool spatial = lift_int(l, "spatial", 1) != 0, trains = false;
    if (l->n_in != 5) return fail(e, ERR_MODEL, "%d inputs, expected 5", l->n_in);
    for (int i = 1; i < l->n_out; i++) {
        if (i >= 3 && l->read[i]) return fail(e, ERR_UNSUPPORTED, "output %d (a saved statistic) is read", i);
        trains |= l->read[i];
    }
    lift_drop(l, "consumed_inputs"); /* BatchNormalization-1 in a newer set */
    lift_drop(l, "is_test");
    lift_drop(l, "spatial");
    if (!spatial && trains) return fail(e, ERR_UNSUPPORTED, "training with statistics per element (spatial=0)");
    if (!spatial) return per_element(l), 0;
    l->n_out = trains ? 3 : 1;
    return trains ? lift_set(l, attr_int("training_mode", 1), e) : 0;
}

/* Before opset 12 the ratio was an attribute; before 10 the mask had the type of x. */
static int dropout(struct lift *l, const char *arg, struct err *e)
{
    enum { FIRST_WITH_BOOL_MASK = 10 };
    const struct attr *ratio = lift_attr(l, "ratio");
    if (ratio && ratio->type == ATTR_FLOAT) lift_input(l, 1, emit_scalar(l->b, DT_F32, ratio->f));
    lift_drop(l, "ratio");
    lift_drop(l, "is_test");
    if (l->version >= FIRST_WITH_BOOL_MASK || l->n_out < 2 || !l->read[1]) return 0;
    l->b->name = l->name;
    struct node *n = builder_node(l->b, "Dropout", l->attrs, l->in, l->n_in, 2);
    if (!n) return e->code;
    l->out[1] = emit_cast(l->b, n->out[1], l->in[0]->dtype);
    lift_result(l, n->out[0]);
    return e->code;
}

/* Before opset 21 scale and bias (in 1, 2) had one element per group; now one per channel. */
static int group_normalization(struct lift *l, const char *arg, struct err *e)
{
    int64_t groups = lift_int(l, "num_groups", 0);
    if (l->n_in != 3 || !l->in[0]) return 0;
    const struct shape *x = &l->in[0]->shape;
    if (x->rank < 2 || x->dim[1] < 0 || groups < 1 || x->dim[1] % groups)
        return fail(
            e, ERR_UNSUPPORTED, "%lld groups of an unknown or indivisible number of channels", (long long)groups);
    int64_t each = x->dim[1] / groups;
    for (int i = 1; i < 3 && each > 1; i++) {
        struct value *v = emit(
            l->b, "Reshape", NO_ATTRS, l->in[i], lift_ints(l, "column", (int64_t[]){ groups, 1 }, 2));
        v = emit(l->b, "Expand", NO_ATTRS, v, lift_ints(l, "repeated", (int64_t[]){ groups, each }, 2));
        l->in[i] = emit(l->b, "Reshape", NO_ATTRS, v, lift_ints(l, "row", (int64_t[]){ -1 }, 1));
    }
    return e->code;
}

static int mean_variance(struct lift *l, const char *arg, struct err *e)
{
    static const int64_t across[] = { 0, 1, 2, 3 }, within[] = { 0, 2, 3 };
    if (!lift_int(l, "normalize_variance", 1)) return fail(e, ERR_UNSUPPORTED, "normalize_variance=0");
    bool all = lift_int(l, "across_channels", 0) != 0;
    lift_drop(l, "normalize_variance");
    lift_drop(l, "across_channels");
    return lift_set(l, all ? attr_ints("axes", across, 4) : attr_ints("axes", within, 3), e);
}

/* x of one type and scale (and bias) of another, which the result has: computed in float32 or wider. */
int lift_mixed_norm(struct lift *l, const char *arg, struct err *e)
{
    struct value *x = lift_in(l, 0), *scale = lift_in(l, 1);
    if (!x || !scale || x->dtype == scale->dtype) return 0;
    if (!dtype_is_float(x->dtype) || !dtype_is_float(scale->dtype)) return 0; /* inference says it */
    enum dtype wide = x->dtype == DT_F64 || scale->dtype == DT_F64 ? DT_F64 : DT_F32;
    struct value *in[] = { emit_cast(l->b, x, wide), emit_cast(l->b, scale, wide) };
    lift_result(l, emit_cast(l->b, builder_emit(l->b, "RMSNormalization", l->attrs, in, 2), scale->dtype));
    return e->code;
}

/* The schema's own defaults are two activations whatever the direction, and "foward" in the first version: files that
 * spell defaults out have them. `arg`: how many activations a direction has. */
static int recurrent(struct lift *l, const char *arg, struct err *e)
{
    const struct attr *direction = lift_attr(l, "direction"), *names = lift_attr(l, "activations");
    const char *way = direction && direction->type == ATTR_STRING ? direction->s : "forward";
    size_t each = (size_t)(arg[0] - '0');
    if (l->version < 7) lift_drop(l, "output_sequence");
    if (!strcmp(way, "foward")) TRY(lift_set(l, attr_string("direction", "forward"), e));
    if (!names || names->type != ATTR_STRINGS || names->n != 2 * each || !strcmp(way, "bidirectional")) return 0;
    struct attr fewer = *names;
    fewer.n = each;
    return lift_set(l, fewer, e);
}

const struct lift_row lift_norm_rows[] = {
    { "BatchNormalization", 1, 13, batch_normalization },
    { "Dropout", 1, 11, dropout },
    { "GroupNormalization", 18, 20, group_normalization },
    { "MeanVarianceNormalization", 1, 8, mean_variance },
    { "RMSNormalization", 23, LIFT_ANY, lift_mixed_norm },
    { "RNN", 1, LIFT_ANY, recurrent, "1" },
    { "GRU", 1, LIFT_ANY, recurrent, "2" },
    { "LSTM", 1, LIFT_ANY, recurrent, "3" },
    { NULL },
};
