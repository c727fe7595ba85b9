/* semantics.c - what operators must answer in the corners of their definitions, and what they must refuse. */
#include "tap.h"

#include "base/arena.h"
#include "base/err.h"
#include "graph/builder.h"
#include "graph/known.h"
#include "graph/op.h"
#include "ops/interpret.h"
#include "ops/registry.h"
#include "problem.h"

/* op, problem, output 0 */
static const struct {
    const char *op, *problem, *answer;
} answers[] = {
    { "Div", "i64{-7,7,5,-9223372036854775808} i64{2,-2,0,-1}", "i64{-3,-3,0,-9223372036854775808}" },
    { "Div", "u64{18446744073709551615} u64{2}", "u64{9223372036854775807}" },
    { "Mod", "i64{-7,7,-7,7,7} i64{3,-3,-3,3,0}", "i64{2,-2,-1,1,0}" },
    { "Mod", "i64{-7,7,-7,7} i64{3,-3,-3,3} | fmod=1", "i64{-1,1,-1,1}" },
    { "FloorDiv", "i64{-7,7,-7,6} i64{2,-2,-2,-2}", "i64{-4,-4,3,-3}" },
    { "FloorDiv", "f32{-7,7} f32{2,-2}", "f32{-4,-4}" },
    { "Remainder", "f32{-7,7,-7} f32{3,-3,-3}", "f32{2,-2,-1}" },
    { "Pow", "i64{2,-3,5,0,2} i64{62,3,0,0,-1}", "i64{4611686018427387904,-27,1,1,0}" },
    { "Pow", "f32{2,9} i64{3,0}", "f32{8,1}" },
    { "Round", "f32{0.5,1.5,2.5,-0.5,-1.5}", "f32{0,2,2,-0,-2}" },
    { "Add", "u8{255} u8{2}", "u8{1}" },
    { "Abs", "i64{-9223372036854775808,-3}", "i64{-9223372036854775808,3}" },
    { "Sign", "f32{-2,0,3,nan}", "f32{-1,0,1,nan}" },
    { "Max", "f32{1,nan,3} f32{2,1,nan} f32{0,9,9}", "f32{2,nan,nan}" },
    { "Max", "u64{18446744073709551615} u64{1}", "u64{18446744073709551615}" },
    { "Mean", "f32{1,2} f32{2,4} f32{6}", "f32{3,4}" },
    { "Less", "u64{1} u64{18446744073709551615}", "bool{1}" },
    { "Less", "f32{nan,1} f32{1,nan}", "bool{0,0}" },
    { "Equal", "string{a,b,} string{b}", "bool{0,1,0}" },
    { "BitShift", "u8{255,1,1} u8{1,7,8} | direction=LEFT", "u8{254,128,0}" },
    { "BitShift", "u64{18446744073709551615,1} u64{63,64} | direction=RIGHT", "u64{1,0}" },
    { "BitwiseNot", "u8{1}", "u8{254}" },
    { "Where", "bool{1,0} string{a} string{b,c}", "string{a,c}" },
    { "Clip", "i64{-9,0,9} i64{-1} i64{1}", "i64{-1,0,1}" },
    { "Clip", "f32{-9,0,9} f32{3} f32{1}", "f32{1,1,1}" },
    { "Clip", "f32{-9,nan,9} - f32{1}", "f32{-9,nan,1}" },
    { "Relu", "f32{-1,0,2,nan}", "f32{0,0,2,nan}" },
    { "Softplus", "f32{-1000,0,1000}", "f32{0,0.6931471805599453,1000}" },
    { "LogSigmoid", "f64{-1000,1000}", "f64{-1000,0}" },
    { "Sigmoid", "f32{-1000,0,1000}", "f32{0,0.5,1}" },
    { "Shrink", "f32{-2,0.1,2} | bias=0.5", "f32{-1.5,0,1.5}" },
    { "Cast", "f32{-1.9,1.9,nan} | to=7", "i64{-1,1,0}" },
    { "Cast", "f32{0,-0.5,nan} | to=9", "bool{0,1,1}" },
    { "Cast", "i64{300,-1} | to=2", "u8{44,255}" },
    { "Cast", "u64{18446744073709551615} | to=11", "f64{18446744073709551616}" },
    { "Cast", "f32{464,465,-500,nan} | to=17 saturate=0", "f8_e4m3{448,nan,nan,nan}" },
    { "Cast", "f32{464,465,-500,inf} | to=17", "f8_e4m3{448,448,-448,448}" },
    { "Cast", "i64{-9,7,8,24} | to=22", "int4{7,7,-8,-8}" },
    { "Cast", "f32{0.25,0.75,-2.5,9,-inf,5} | to=23", "float4_e2m1fn{0,1,-2,6,-6,4}" },
    { "Cast", "f32{1,1.1,3,6,1e39,nan} | to=24", "f8_e8m0{1,2,4,8,0x1p127,nan}" },
    { "Cast", "f32{1,1.4,1.5,0,inf} | to=24 round_mode=nearest saturate=0", "f8_e8m0{1,1,2,nan,nan}" },
    { "Cast", "f32{1.9,0} | to=24 round_mode=down", "f8_e8m0{1,0x1p-127}" },
    { "QuantizedGemm", "u8{5} i8[1,1]{1} u8{0} i8{0} f32{0.5} f32{1} f32{1} u8{1}", "u8{3}" }, /* round(2.5) + 1 */
    { "QuantizedGemm", "u8{5} i8[1,1]{1} u8{0} i8{0} f32{0.5} f32{1} f32{1} u8{1} i32{1}", "u8{4}" },
    { "QuantizedGemm", "u8{5} i8[1,1]{1} u8{0} i8{0} f32{0.5} f32{1} f32{1} u8{1} f32{0}", "u8{4}" }, /* round(3.5) */
    { "QuantizedGemm", "u8{5} i8[1,1]{1} u8{0} i8{0} f32{0.5} f32{1} - - f32{0.25}", "f32{2.75}" },
    { "Tokenizer", "string{a..b,cd} | separators=[.]", "string[2,2]{a,b,cd,}" },
    { "Tokenizer", "string{ab,} | tokenexp=[a-z]* mark=1", "string[2,3]{\2,ab,\3,\2,\3,}" },
    { "BitCast", "f32{1,-2} | to=6", "i32{1065353216,-1073741824}" },
    { "BitCast", "uint4{15,7} | to=22", "int4{-1,7}" },
    { "CumProd", "i64{2,3,4} i64{0} | exclusive=1 reverse=1", "i64{12,4,1}" },
    { "SoftmaxOrZero", "f32[2,2]{-inf,-inf,0,-inf}", "f32[2,2]{0,0,1,0}" },
    { "CausalMask", "f32[1,2,3]{1,1,1,1,1,1} i64{-1} | value=0", "f32[1,2,3]{0,0,0,1,0,0}" },
    { "QuantizeLinear", "f32{-9,3,2.5} f32{1} int4{0}", "int4{-8,3,2}" },
    { "DequantizeLinear", "uint4[1,4]{15,1,2,3} f32[1,2]{2,9} uint4[1,2]{1,0} | block_size=2", "f32[1,4]{28,0,18,27}" },
    { "ImageDecoder", "u8{80,54,32,49,32,49,32,50,53,53,10,1,2,3} | pixel_format=BGR", "u8[1,1,3]{3,2,1}" },
    { "ImageDecoder", "u8{1,2,3} | pixel_format=Grayscale", "u8[0,0,1]{}" },
    { "ReduceMax", "f32{-inf,-inf}", "f32{-inf}" },
    { "Cast", "string{1.5,-2,9223372036854775807,NaN} | to=11", "f64{1.5,-2,9223372036854775807,nan}" },
    { "Cast", "string{9223372036854775807,7.9} | to=7", "i64{9223372036854775807,7}" },
    { "Cast", "f32{0.1,1e10,-3,nan,inf} | to=8", "string{0.1,1e+10,-3,NaN,INF}" },
    { "ReduceSum", "i64[2,2]{1,2,3,4} i64{0} | keepdims=0", "i64{4,6}" },
    { "ReduceSum", "f32[2,0] i64{1} | keepdims=0", "f32{0,0}" },
    { "ReduceProd", "f32[2,0] i64{1} | keepdims=0", "f32{1,1}" },
    { "ReduceMax", "f32[1,0] i64{1} | keepdims=0", "f32{-inf}" },
    { "ReduceMin", "i8[1,0] i64{1} | keepdims=0", "i8{127}" },
    { "ReduceMax", "u16[1,0] i64{1} | keepdims=0", "u16{0}" },
    { "ReduceMax", "bool{0,1,0}", "bool{1}" },
    { "ReduceMax", "f32{1,nan,3}", "f32{nan}" },
    { "ReduceLogSumExp", "f32{1000,1000}", "f32{1000.6931471805599}" },
    { "ReduceLogSumExp", "f32{-inf,-inf}", "f32{-inf}" },
    { "ReduceL1", "f32[2,1]{-3,4} | noop_with_empty_axes=1", "f32[2,1]{-3,4}" },
    { "ReduceSum", "i64{9223372036854775807,0,-5}", "i64{9223372036854775802}" },
    { "ArgMax", "f32{1,3,3,2}", "i64{1}" },
    { "ArgMax", "f32{1,3,3,2} | select_last_index=1", "i64{2}" },
    { "ArgMax", "f32{1,nan,3,nan}", "i64{1}" },
    { "ArgMin", "f32[2,3]{3,1,1,0,0,5} | axis=1 keepdims=0 select_last_index=1", "i64{2,1}" },
    { "CumSum", "i64{1,2,3} i64{0} | exclusive=1 reverse=1", "i64{5,3,0}" },
    { "SumTo", "f32[2,3]{1,2,3,4,5,6} f32[2,1]", "f32[2,1]{6,15}" },
    { "ExpandLike", "f32[2,1]{1,2} f32[2,2]", "f32[2,2]{1,1,2,2}" },
    { "Softmax", "f32{1000,1000,-inf}", "f32{0.5,0.5,0}" },
    { "Hardmax", "f32{1,3,3}", "f32{0,1,0}" },
    { "LpNormalization", "f32[2,2]{3,4,0,0}", "f32[2,2]{0.6,0.8,0,0}" },
    { "LayerNormalization", "f64[1,2]{1,3} f64{2,2} f64{1,0} | epsilon=0", "f64[1,2]{-1,2}" },
    { "RMSNormalization", "f64[1,2]{3,3} f64{2,1} | epsilon=0", "f64[1,2]{2,1}" },
    { "GroupNormalization", "f64[1,2,1]{1,3} f64{1,1} f64{0,1} | num_groups=1 epsilon=0", "f64[1,2,1]{-1,2}" },
    { "BatchNormalization", "f64[2,1]{1,3} f64{2} f64{1} f64{0} f64{1} | training_mode=1 epsilon=0", "f64[2,1]{-1,3}" },
    { "LRN", "f64[1,3]{1,2,3} | size=2 alpha=2 beta=1 bias=0", "f64[1,3]{0.2,0.15384615384615385,0.3333333333333333}" },
};

static bool same_element(const struct tensor *a, const struct tensor *b, int64_t i)
{
    if (a->dtype == DT_STRING) {
        const struct string_element *s = a->data, *t = b->data;
        return s[i].len == t[i].len && !memcmp(s[i].text, t[i].text, s[i].len);
    }
    if (dtype_is_integer(a->dtype)) return tensor_get_i64(a, i) == tensor_get_i64(b, i);
    double x = tensor_get_f64(a, i), y = tensor_get_f64(b, i);
    return x == y || (x != x && y != y) || fabs(x - y) <= 1e-15 * fmax(1, fabs(y));
}

/* The outputs of a problem, by the reference kernel; false with the error. */
static bool answer(const char *op_name, const char *text, struct tensor **out, struct arena *a, struct err *e)
{
    static struct problem p;
    const struct op *op = op_registry.find(op_name);
    struct graph *g;
    struct tensor *in[PROBLEM_MAX];
    if (!op) return fail(e, ERR_FAILED, "no operator %s", op_name), false;
    if (problem_parse(&p, op, text, a, e) || !problem_graph(&p, SHAPES_KNOWN, false, &g, a, e)) return false;
    problem_inputs(&p, false, in);
    return !graph_tidy(g, e) && !graph_interpret(g, in, out, a, NULL, e);
}

TEST(corners_of_the_definitions)
{
    for (size_t k = 0; k < sizeof answers / sizeof answers[0]; k++) {
        struct arena a;
        struct err e = { 0 };
        struct tensor *out[PROBLEM_MAX];
        arena_init(&a, NULL);
        struct tensor *want = problem_tensor(answers[k].answer, &a, &e);
        if (!want || !answer(answers[k].op, answers[k].problem, out, &a, &e)) {
            TAP_FAIL("%s: %s: %s", answers[k].op, answers[k].problem, e.text);
        } else if (out[0]->dtype != want->dtype || tensor_count(out[0]) != tensor_count(want)) {
            TAP_FAIL("%s: %s: another type or size", answers[k].op, answers[k].problem);
        } else {
            for (int64_t i = 0; i < tensor_count(want); i++)
                if (!same_element(out[0], want, i))
                    TAP_FAIL("%s: %s: element %d is %.17g", answers[k].op, answers[k].problem, (int)i,
                        tensor_get_f64(out[0], i));
        }
        arena_release(&a);
    }
}

TEST(small_floats_overflow_when_they_do_not_saturate)
{
    struct arena a;
    struct err e = { 0 };
    struct tensor *out[PROBLEM_MAX];
    arena_init(&a, NULL);
    CHECK(answer("Cast", "f32{60000,70000,-inf} | to=19 saturate=0", out, &a, &e));
    CHECK_NEAR(tensor_get_f64(out[0], 0), 57344, 0);
    CHECK(tensor_get_f64(out[0], 1) == INFINITY);
    CHECK(tensor_get_f64(out[0], 2) == -INFINITY);
    arena_release(&a);
}

/* op, problem, words of the error */
static const struct {
    const char *op, *problem, *words;
} refusals[] = {
    { "Add", "f32[2] f64[2]", "is float64, the others are float32" },
    { "Add", "f32[2] f32[3]", "cannot be broadcast" },
    { "Add", "bool<2>[2] bool<2>[2]", "expected a number" },
    { "Add", "string{a} string{b}", "expected a number" },
    { "Exp", "i64[2]", "expected a float" },
    { "And", "f32[2] f32[2]", "expected bool" },
    { "BitwiseAnd", "f32[2] f32[2]", "expected an integer" },
    { "BitShift", "i32[2] i32[2] | direction=LEFT", "expected an unsigned integer" },
    { "BitShift", "u8[2] u8[2] | direction=left", "expected LEFT or RIGHT" },
    { "BitShift", "u8[2] u8[2]", "\"direction\" is missing" },
    { "Mod", "f32[2] f32[2]", "floats need fmod=1" },
    { "Gelu", "f32[2] | approximate=tan", "expected none or tanh" },
    { "Celu", "f32[2] | alpha=0", "alpha is 0" },
    { "PRelu", "f32[2] f32[2,2]", "cannot be broadcast" },
    { "PRelu", "f32[1,2] f32[3,1]", "cannot be broadcast" },
    { "Clip", "f32[2] f32[2]", "must be a scalar" },
    { "Where", "f32[2] f32[2] f32[2]", "expected bool" },
    { "Where", "bool[2] f32[2] i64[2]", "the others are" },
    { "Cast", "f32[2] | to=14", "complex64" },
    { "Cast", "f32[2] | to=99", "element type 99" },
    { "Cast", "string{1,x} | to=1", "element 1 (\"x\") is no number" },
    { "Tokenizer", "f32[2] | tokenexp=a", "expected strings" },
    { "Tokenizer", "string[1,1,1]{a} | tokenexp=a", "rank" },
    { "Tokenizer", "string{a}", "one of separators and tokenexp" },
    { "Tokenizer", "string{a} | tokenexp=(", "cannot be read" },
    { "Tokenizer", "string{a} | tokenexp=(?=a)", "(?= in a pattern" },
    { "Tokenizer", "string{a} | tokenexp=a{2000}", "repeats too often" },
    { "QuantizedGemm", "u8[2,3] i8[3,4] - - f32{1} f32{1} f32{1} u8{0} i64[4]", "is int64" },
    { "ReduceSum", "f32[2,3] i64{2}", "axis 2 of an input of rank 2" },
    { "ReduceSum", "f32[2,3] i64{-3}", "axis -3 of an input of rank 2" },
    { "ReduceSum", "f32[2,3] f32{1}", "expected an integer" },
    { "ReduceSum", "bool[2,3]", "expected a number" },
    { "ArgMax", "f32[2,3] | axis=2", "axis is 2, but the input has rank 2" },
    { "ArgMax", "f32[2,0] | axis=1", "there is no extreme" },
    { "CumSum", "f32[2] i64{1}", "axis 1 of an input of rank 1" },
    { "CumSum", "f32[2] i64{0,0}", "one number" },
    { "SumTo", "f32[2,3] f32[2,2]", "cannot be broadcast" },
    { "SumTo", "f32[3] f32[2,3]", "cannot be broadcast" },
    { "Softmax", "f32[2,3] | axis=2", "axis is 2" },
    { "Softmax", "f32[]", "scalar" },
    { "SoftmaxGrad", "f32[2] f32[3]", "another shape" },
    { "BatchNormalization", "f32[2,3] f32[3] f32[3] f32[3] f32[4]", "has 4 numbers, expected one for each of 3" },
    { "BatchNormalization", "f32[2,3] f32[3] f32[3] f32[3] f32[3] | outputs=3", "training_mode is 0" },
    { "LayerNormalization", "f32[2,3] f32[2]", "cannot be broadcast" },
    { "LayerNormalization", "f32[2,3] f32[3] | axis=2", "axis is 2" },
    { "LayerNormalization", "f32[2,3] f32[3] | stash_type=7 outputs=2", "stash_type is 7" },
    { "GroupNormalization", "f32[2,3] f32[3] f32[3] | num_groups=2", "2 groups of 3 channels" },
    { "InstanceNormalization", "f32[3] f32[3] f32[3]", "rank 1" },
    { "LRN", "f32[2,3] | size=0", "size is 0" },
    { "LpNormalization", "f32[2,3] | p=3", "expected 1 or 2" },
    { "MeanVarianceNormalization", "f32[2,3]", "axis 2 of an input of rank 2" },
};

TEST(what_cannot_be_is_refused_in_words)
{
    for (size_t k = 0; k < sizeof refusals / sizeof refusals[0]; k++) {
        struct arena a;
        struct err e = { 0 };
        struct tensor *out[PROBLEM_MAX];
        arena_init(&a, NULL);
        if (answer(refusals[k].op, refusals[k].problem, out, &a, &e))
            TAP_FAIL("%s: %s is accepted", refusals[k].op, refusals[k].problem);
        else if (!strstr(e.text, refusals[k].words))
            TAP_FAIL("%s: %s: \"%s\"", refusals[k].op, refusals[k].problem, e.text);
        arena_release(&a);
    }
}

/* (N, 3) through arithmetic: contents stay known where they can. */
TEST(shapes_stay_known_through_arithmetic)
{
    struct arena a;
    struct err e = { 0 };
    arena_init(&a, NULL);
    struct graph *g = graph_new(&a, &op_registry, "g", &e);
    struct builder b = { g, &e };
    struct shape two = shape_of(1, (int64_t[]){ 2 });
    struct value *x = graph_input(g, "x", DT_I64, &two, &e);
    int64_t symbol = known_from_dim(graph_symbol(g, "N")), k[KNOWN_MAX];
    value_set_contents(x, &a, (int64_t[]){ symbol, 3 }, 2);
#define AFTER(op, v, first, second) \
    do { \
        struct value *y_ = emit(&b, op, NO_ATTRS, x, emit_i64(&b, v)); \
        CHECK_INT(y_ ? value_contents(y_, k) : 0, 2); \
        CHECK_INT(k[0], first); \
        CHECK_INT(k[1], second); \
    } while (0)
    AFTER("Mul", 1, symbol, 3);
    AFTER("Mul", 2, KNOWN_UNKNOWN, 6);
    AFTER("Mul", 0, 0, 0);
    AFTER("Add", 0, symbol, 3);
    AFTER("Sub", 5, KNOWN_UNKNOWN, -2);
    AFTER("Div", 2, KNOWN_UNKNOWN, 1);
    AFTER("Mod", 2, KNOWN_UNKNOWN, 1);
    AFTER("Equal", -1, 0, 0);
    AFTER("Equal", 3, KNOWN_UNKNOWN, 1);
    struct value *same = emit(&b, "Cast", ATTRS(attr_int("to", DT_I64)), emit_cast(&b, x, DT_I32));
    CHECK_INT(value_contents(same, k), 2);
    CHECK_INT(k[0], symbol);
    struct value *negative = emit(&b, "Equal", NO_ATTRS, x, emit_i64(&b, -1));
    struct value *chosen = emit(&b, "Where", NO_ATTRS, negative, emit_i64(&b, 7), x);
    CHECK_INT(value_contents(chosen, k), 2);
    CHECK_INT(k[0], symbol);
    CHECK_INT(k[1], 3);
    CHECK_STR(e.text, "");
    arena_release(&a);
}

/* The momentum is ONNX's: what stays. */
TEST(running_statistics)
{
    static const struct {
        const char *attrs;
        double mean, var;
    } cases[] = { { "momentum=0.75", 0.75 * 4 + 0.25 * 2, 0.75 * 8 + 0.25 * 1 },
        { "momentum=0.75 unbiased=1", 0.75 * 4 + 0.25 * 2, 0.75 * 8 + 0.25 * 2 } };
    for (int k = 0; k < 2; k++) {
        struct arena a;
        struct err e = { 0 };
        struct tensor *out[PROBLEM_MAX];
        char text[200];
        arena_init(&a, NULL);
        snprintf(text, sizeof text, "f64[2,1]{1,3} f64{1} f64{0} f64{4} f64{8} | training_mode=1 outputs=3 %s",
            cases[k].attrs);
        if (!answer("BatchNormalization", text, out, &a, &e)) TAP_FAIL("%s", e.text);
        else {
            CHECK_NEAR(tensor_get_f64(out[1], 0), cases[k].mean, 1e-12);
            CHECK_NEAR(tensor_get_f64(out[2], 0), cases[k].var, 1e-12);
        }
        arena_release(&a);
    }
}
