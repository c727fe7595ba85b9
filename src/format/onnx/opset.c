/* opset.c - from which operator set on a node can be said as we say it. */
#include <string.h>

#include "format/onnx/write.h"
#include "graph/graph.h"
#include "graph/op.h"

enum { LOWEST = 10 };

/* Inputs that were attributes before an operator set: constant ones can still be said there. */
static const struct onnx_moved moved[] = {
    { "Squeeze", 1, 13, "axes", ATTR_INTS },
    { "Unsqueeze", 1, 13, "axes", ATTR_INTS },
    { "Split", 1, 13, "split", ATTR_INTS },
    { "Pad", 1, 11, "pads", ATTR_INTS },
    { "Pad", 2, 11, "value", ATTR_FLOAT },
    { "Clip", 1, 11, "min", ATTR_FLOAT },
    { "Clip", 2, 11, "max", ATTR_FLOAT },
    { "Dropout", 1, 12, "ratio", ATTR_FLOAT },
    { "Dropout", 2, 12, NULL, ATTR_NONE }, /* training_mode; there was none */
    { "ReduceSum", 1, 13, "axes", ATTR_INTS },
    { "ReduceMean", 1, 18, "axes", ATTR_INTS },
    { "ReduceMax", 1, 18, "axes", ATTR_INTS },
    { "ReduceMin", 1, 18, "axes", ATTR_INTS },
    { "ReduceProd", 1, 18, "axes", ATTR_INTS },
    { "ReduceL1", 1, 18, "axes", ATTR_INTS },
    { "ReduceL2", 1, 18, "axes", ATTR_INTS },
    { "ReduceLogSum", 1, 18, "axes", ATTR_INTS },
    { "ReduceLogSumExp", 1, 18, "axes", ATTR_INTS },
    { "ReduceSumSquare", 1, 18, "axes", ATTR_INTS },
};

const struct onnx_moved *onnx_moved(const struct node *n, int input)
{
    for (size_t i = 0; i < sizeof moved / sizeof *moved; i++)
        if (moved[i].input == input && !strcmp(moved[i].op, n->op->name)) return &moved[i];
    return NULL;
}

/* What a row asks of a node before it counts. */
enum when { ALWAYS, HAS_ATTR, ATTR_IS, HAS_INPUT, NO_INPUT, TYPE_IS, FLOATS, INTEGERS, RANK_IS };

static const struct row {
    const char *op;
    int opset;
    enum when when;
    const char *attr; /* its name; of ATTR_IS: "name value" */
    int number;       /* of the input, of RANK_IS the rank */
    enum dtype type;  /* TYPE_IS: of input 0 */
} rows[] = {
    { "Resize", 11 },
    { "CumSum", 11 },
    { "Range", 11 },
    { "Round", 11 },
    { "Det", 11 },
    { "Unique", 11 },
    { "BitShift", 11 },
    { "If", 11 },
    { "Loop", 11 },
    { "Scan", 11 },
    { "GatherElements", 11 },
    { "GatherND", 11 },
    { "GatherND", 12, HAS_ATTR, "batch_dims" },
    { "ScatterElements", 11 },
    { "ScatterND", 11 },
    { "DepthToSpace", 11, HAS_ATTR, "mode" },
    { "TopK", 11, HAS_ATTR, "largest" },
    { "TopK", 11, HAS_ATTR, "sorted" },
    { "Gemm", 11, NO_INPUT, NULL, 2 },
    { "Equal", 11, FLOATS },
    { "Clip", 12, INTEGERS },
    { "Max", 12, INTEGERS },
    { "Min", 12, INTEGERS },
    { "Pow", 12, INTEGERS },
    { "ArgMax", 12, HAS_ATTR, "select_last_index" },
    { "ArgMin", 12, HAS_ATTR, "select_last_index" },
    { "Celu", 12 },
    { "Einsum", 12 },
    { "GreaterOrEqual", 12 },
    { "LessOrEqual", 12 },
    { "NegativeLogLikelihoodLoss", 12 },
    { "SoftmaxCrossEntropyLoss", 12 },
    { "HardSwish", 14 },
    { "Trilu", 14 },
    { "LSTM", 14, HAS_ATTR, "layout" },
    { "GRU", 14, HAS_ATTR, "layout" },
    { "RNN", 14, HAS_ATTR, "layout" },
    { "Reshape", 14, HAS_ATTR, "allowzero" },
    { "BatchNormalization", 14, HAS_ATTR, "training_mode" },
    { "Bernoulli", 15 },
    { "CastLike", 15 },
    { "Shape", 15, HAS_ATTR, "start" },
    { "Shape", 15, HAS_ATTR, "end" },
    { "GridSample", 16 },
    { "GridSample", 20, RANK_IS, NULL, 5 },
    { "RoiAlign", 16 },
    { "ScatterElements", 16, HAS_ATTR, "reduction" },
    { "ScatterElements", 18, ATTR_IS, "reduction max" },
    { "ScatterElements", 18, ATTR_IS, "reduction min" },
    { "ScatterND", 16, HAS_ATTR, "reduction" },
    { "ScatterND", 18, ATTR_IS, "reduction max" },
    { "ScatterND", 18, ATTR_IS, "reduction min" },
    { "LayerNormalization", 17 },
    { "BlackmanWindow", 17 },
    { "HannWindow", 17 },
    { "HammingWindow", 17 },
    { "MelWeightMatrix", 17 },
    { "STFT", 17 },
    { "DFT", 20 },
    { "BitwiseAnd", 18 },
    { "BitwiseOr", 18 },
    { "BitwiseXor", 18 },
    { "BitwiseNot", 18 },
    { "CenterCropPad", 18 },
    { "Col2Im", 18 },
    { "Mish", 18 },
    { "Split", 18, HAS_ATTR, "num_outputs" },
    { "Pad", 18, HAS_INPUT, NULL, 3 },
    { "Pad", 19, ATTR_IS, "mode wrap" },
    { "LpPool", 18, HAS_ATTR, "ceil_mode" },
    { "LpPool", 18, HAS_ATTR, "dilations" },
    { "Resize", 18, HAS_ATTR, "antialias" },
    { "Resize", 18, HAS_ATTR, "axes" },
    { "Resize", 18, HAS_ATTR, "keep_aspect_ratio_policy" },
    { "Resize", 19, ATTR_IS, "coordinate_transformation_mode half_pixel_symmetric" },
    { "AveragePool", 19, HAS_ATTR, "dilations" },
    { "Cast", 19, HAS_ATTR, "saturate" },
    { "DeformConv", 19 },
    { "Equal", 19, TYPE_IS, NULL, 0, DT_STRING },
    { "Identity", 14, TYPE_IS, NULL, 0, DT_SEQUENCE },
    { "Identity", 16, TYPE_IS, NULL, 0, DT_OPTIONAL },
    { "Optional", 15 },
    { "OptionalHasElement", 15 },
    { "OptionalGetElement", 15 },
    { "SequenceMap", 17 },
    { "StringConcat", 20 },
    { "StringSplit", 20 },
    { "RegexFullMatch", 20 },
    { "AffineGrid", 20 },
    { "Gelu", 20 },
    { "ReduceMax", 20, TYPE_IS, NULL, 0, DT_BOOL },
    { "ReduceMin", 20, TYPE_IS, NULL, 0, DT_BOOL },
    { "IsNaN", 20, TYPE_IS, NULL, 0, DT_F8E4M3FN },
    { "GroupNormalization", 21 },
    { "QuantizeLinear", 21, HAS_ATTR, "block_size" },
    { "QuantizeLinear", 21, HAS_ATTR, "output_dtype" },
    { "DequantizeLinear", 21, HAS_ATTR, "block_size" },
    { "Attention", 23 },
    { "RMSNormalization", 23 },
    { "RotaryEmbedding", 23 },
};

/* Took bfloat16 only in 22. */
static const char *const late_bfloat16[] = { "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "AveragePool", "Conv",
    "ConvTranspose", "Cos", "Cosh", "DeformConv", "Det", "Dropout", "Elu", "GRU", "GlobalAveragePool", "GlobalLpPool",
    "GlobalMaxPool", "GridSample", "HardSigmoid", "HardSwish", "InstanceNormalization", "LSTM", "LpNormalization",
    "LpPool", "MaxPool", "Mish", "RNN", "RoiAlign", "Round", "Selu", "Sin", "Sinh", "Softplus", "Softsign", "Tan",
    "ThresholdedRelu" };

/* Took 8- and 16-bit integers only in 14. */
static const char *const late_small_integers[] = { "Add", "Sub", "Mul", "Div", "Relu" };

static bool listed(const char *const *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(list[i], name)) return true;
    return false;
}
#define LISTED(list, name) listed((list), sizeof(list) / sizeof(list)[0], (name))

static bool attr_is(const struct node *n, const char *name_value)
{
    const char *value = strchr(name_value, ' ');
    size_t len = (size_t)(value - name_value);
    for (size_t i = 0; i < n->n_attrs; i++) {
        const struct attr *a = &n->attrs[i];
        if (!strncmp(a->name, name_value, len) && !a->name[len])
            return a->type == ATTR_STRING && !strcmp(a->s, value + 1);
    }
    return false;
}

static bool counts(const struct row *row, const struct node *n)
{
    const struct value *first = node_in(n, 0);
    switch (row->when) {
    case HAS_ATTR: return node_has(n, row->attr);
    case ATTR_IS: return attr_is(n, row->attr);
    case HAS_INPUT: return node_in(n, row->number) != NULL;
    case NO_INPUT: return !node_in(n, row->number);
    case FLOATS: return first && dtype_is_float(first->dtype);
    case INTEGERS: return first && dtype_is_integer(first->dtype);
    case TYPE_IS: return first && first->dtype == row->type;
    case RANK_IS: return first && first->shape.rank == row->number;
    default: return true;
    }
}

static int opset_of_types(const struct node *n, const char **why)
{
    const struct value *first = node_in(n, 0);
    enum dtype t = first ? first->dtype : DT_NONE;
    size_t size = dtype_size(t);
    if (t == DT_BF16 && LISTED(late_bfloat16, n->op->name)) return *why = "bfloat16", 22;
    if (dtype_is_float(t) && size == 1) return *why = "8-bit floats", 19;
    if (t == DT_BF16) return *why = "bfloat16", 13;
    if (dtype_is_integer(t) && size < 4 && LISTED(late_small_integers, n->op->name)) return *why = "small integers", 14;
    return LOWEST;
}

int onnx_opset_of(const struct node *n, const char **why)
{
    *why = "";
    int opset = opset_of_types(n, why);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].op, n->op->name) != 0 || rows[i].opset <= opset || !counts(&rows[i], n)) continue;
        opset = rows[i].opset;
        *why = rows[i].attr ? rows[i].attr : n->op->name;
    }
    for (int i = 1; i < n->n_in; i++) {
        const struct onnx_moved *m = onnx_moved(n, i);
        if (!m || m->opset <= opset || !node_in(n, i) || value_const(node_in(n, i))) continue;
        opset = m->opset;
        *why = m->attr ? "what was an attribute is computed" : n->op->name;
    }
    return opset < 18 && node_has(n, "noop_with_empty_axes") ? (*why = "noop_with_empty_axes", 18) : opset;
}
