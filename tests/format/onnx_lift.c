/* onnx_lift.c - older spellings of operators, read as the graph they mean. */
#include "onnx_build.h"
#include "ops/registry.h"
#include "tap.h"

/* Reads one node on inputs x, w of given types; the text of the nodes alone, or the error. */
static const char *lifted(struct onnx_build *b, struct proto_message *node)
{
    build_add(b, node);
    struct graph *g = build_read(b);
    if (!g) return b->err.text;
    const char *text = graph_text(b, g), *at = strstr(text, "\n  y "), *first = strstr(text, " = ");
    while (first && first > text && first[-1] != '\n') first--;
    return at ? arena_strndup(&b->arena, first, strlen(first) - strlen("  output y\n")) : text;
}

/* Whether every operator of the list ("Resize Flatten") is there to be tested with. */
static bool known(const char *ops)
{
    char word[64];
    int n;
    for (; sscanf(ops, " %63s%n", word, &n) == 1; ops += n)
        if (!op_registry.find(word)) return false;
    return true;
}

static struct proto_message begin(struct onnx_build *b, int64_t opset, const char *op, const char *in, const char *x)
{
    build_init(b, opset);
    put_value(&b->graph, 11, "x", 1, x);
    put_value(&b->graph, 12, "y", 1, "");
    return build_node(b, op, in, "y");
}

TEST(legacy_broadcast_aligns_at_an_axis)
{
    struct onnx_build b;
    if (!known("Add Unsqueeze")) SKIP("operators are missing");
    struct proto_message n = begin(&b, 6, "Add", "x w", "2 3 4");
    put_i(&n, "broadcast", 1);
    put_i(&n, "axis", 1);
    build_weights(&b, "w", "3", 3);
    CHECK_STR(lifted(&b, &n),
        "  Unsqueeze_0 float32[3,1] = Unsqueeze(w, y_axes)\n  y float32[2,3,4] = Add(x, Unsqueeze_0)\n");
    build_release(&b);
    n = begin(&b, 6, "Add", "x w", "2 3 4");
    put_i(&n, "broadcast", 1);
    put_i(&n, "axis", 3);
    build_weights(&b, "w", "3", 3);
    CHECK(strstr(lifted(&b, &n), "axis 3") != NULL);
    build_release(&b);
}

TEST(softmax_over_all_that_follows)
{
    struct onnx_build b;
    if (!known("Softmax Flatten Reshape Shape")) SKIP("operators are missing");
    struct proto_message n = begin(&b, 12, "Softmax", "x", "2 3 4");
    const char *text = lifted(&b, &n);
    CHECK(strstr(text, "Flatten(x) axis=1") != NULL);
    CHECK(strstr(text, "y float32[2,3,4] = Reshape(") != NULL);
    build_release(&b);
}

TEST(softmax_over_the_last_axis_stays_one_node)
{
    struct onnx_build b;
    struct proto_message n = begin(&b, 12, "Softmax", "x", "2 3 1 1");
    CHECK_STR(lifted(&b, &n), "  y float32[2,3,1,1] = Softmax(x) axis=1\n");
    build_release(&b);
    n = begin(&b, 13, "Softmax", "x", "2 3 4");
    CHECK_STR(lifted(&b, &n), "  y float32[2,3,4] = Softmax(x)\n");
    build_release(&b);
}

TEST(attributes_become_inputs)
{
    static const struct {
        const char *op, *attr;
        int64_t opset, values[4];
        size_t n;
        const char *expected;
    } cases[] = {
        { "ReduceMean", "axes", 13, { 1 }, 1, "  y float32[2,1,4,4] = ReduceMean(x, y_axes)\n" },
        { "ReduceSum", "axes", 11, { -1 }, 1, "  y float32[2,3,4,1] = ReduceSum(x, y_axes)\n" },
        { "Unsqueeze", "axes", 11, { 0 }, 1, "  y float32[1,2,3,4,4] = Unsqueeze(x, y_axes)\n" },
        { "Reshape", "shape", 1, { 6, 16 }, 2, "  y float32[6,16] = Reshape(x, y_shape)\n" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct onnx_build b;
        if (!known(cases[i].op)) continue;
        struct proto_message n = begin(&b, cases[i].opset, cases[i].op, "x", "2 3 4 4");
        put_is(&n, cases[i].attr, cases[i].values, cases[i].n);
        CHECK_STR(lifted(&b, &n), cases[i].expected);
        build_release(&b);
    }
}

TEST(clip_bounds_become_inputs)
{
    struct onnx_build b;
    if (!known("Clip")) SKIP("no operator Clip");
    struct proto_message n = begin(&b, 6, "Clip", "x", "2");
    put_f(&n, "max", 6);
    CHECK(strstr(lifted(&b, &n), "y float32[2] = Clip(x, -, ") != NULL);
    build_release(&b);
}

TEST(pad_keeps_its_value)
{
    struct onnx_build b;
    if (!known("Pad")) SKIP("no operator Pad");
    struct proto_message n = begin(&b, 6, "Pad", "x", "2");
    put_s(&n, "mode", "constant");
    put_is(&n, "pads", (int64_t[]){ 1, 1 }, 2);
    put_f(&n, "value", 2.5f);
    build_add(&b, &n);
    struct graph *g = build_read(&b);
    CHECK_OK(b.err.code, &b.err);
    const struct tensor *value = g ? value_const(node_in(g->nodes[0], 2)) : NULL;
    CHECK(value && tensor_get_f64(value, 0) == 2.5);
    build_release(&b);
}

TEST(cast_to_a_word)
{
    struct onnx_build b;
    struct proto_message n = begin(&b, 1, "Cast", "x", "2");
    put_s(&n, "to", "DOUBLE");
    CHECK_STR(lifted(&b, &n), "  y float64[2] = Cast(x) to=11\n");
    build_release(&b);
    n = begin(&b, 1, "Cast", "x", "2");
    put_s(&n, "to", "QUAD");
    CHECK(strstr(lifted(&b, &n), "\"QUAD\" names no element type") != NULL);
    build_release(&b);
}

TEST(upsample_is_an_asymmetric_resize)
{
    struct onnx_build b;
    if (!known("Resize")) SKIP("no operator Resize");
    struct proto_message n = begin(&b, 9, "Upsample", "x s", "1 2 3 3");
    put_s(&n, "mode", "nearest");
    struct proto_message t = build_tensor(&b, "s", 1, "4");
    proto_put_bytes(&t, 9, (float[]){ 1, 1, 2, 2 }, 16);
    proto_put_message(&b.graph, 5, &t);
    const char *text = lifted(&b, &n);
    CHECK(strstr(text, "y float32[1,2,6,6] = Resize(x, -, s)") != NULL);
    CHECK(strstr(text, "coordinate_transformation_mode=\"asymmetric\"") != NULL);
    CHECK(strstr(text, "nearest_mode=\"floor\"") != NULL);
    build_release(&b);
}

TEST(statistics_of_batch_normalization_are_buffers)
{
    struct onnx_build b;
    if (!known("BatchNormalization")) SKIP("no operator BatchNormalization");
    struct proto_message n = begin(&b, 9, "BatchNormalization", "x s t m v", "2 3 4 4");
    put_words(&n, 2, "a b c d"); /* five outputs that nobody reads: a model exported for training, run for scoring */
    for (int i = 0; i < 4; i++) build_weights(&b, (const char *[]){ "s", "t", "m", "v" }[i], "3", 3);
    build_add(&b, &n);
    struct graph *g = build_read(&b);
    CHECK_OK(b.err.code, &b.err);
    if (g) {
        CHECK_INT(g->nodes[0]->n_out, 1);
        CHECK_INT(graph_find(g, "s")->flags, VALUE_TRAINABLE);
        CHECK_INT(graph_find(g, "m")->flags, 0);
        CHECK_INT(graph_find(g, "v")->flags, 0);
    }
    build_release(&b);
}

TEST(dropout_of_every_age)
{
    if (!known("Dropout")) SKIP("no operator Dropout");
    for (int64_t opset = 1; opset < 12; opset++) {
        struct onnx_build b;
        struct proto_message n = begin(&b, opset, "Dropout", "x", "2");
        put_f(&n, "ratio", 0.25f);
        if (opset < 7) put_i(&n, "is_test", 1);
        CHECK(strstr(lifted(&b, &n), "y float32[2] = Dropout(x, ") != NULL);
        build_release(&b);
    }
}

TEST(split_into_equal_parts)
{
    struct onnx_build b;
    if (!known("Split")) SKIP("no operator Split");
    struct proto_message n = begin(&b, 11, "Split", "x", "2 4");
    put_words(&n, 2, "z");
    put_i(&n, "axis", 1);
    put_value(&b.graph, 12, "z", 1, "2 2");
    build_add(&b, &n);
    struct graph *g = build_read(&b);
    CHECK_OK(b.err.code, &b.err);
    if (g) CHECK_INT(node_int(g->nodes[0], "num_outputs"), 2);
    build_release(&b);
}

TEST(operators_of_the_first_sets_are_written_in_others)
{
    struct onnx_build b;
    struct proto_message n = begin(&b, 1, "ScaledTanh", "x", "2");
    put_f(&n, "alpha", 2);
    put_f(&n, "beta", 3);
    const char *text = lifted(&b, &n);
    if (known("Tanh")) CHECK(strstr(text, "Tanh(") && strstr(text, "y float32[2] = Mul("));
    build_release(&b);
}

/* What operators of caches and classic models refuse, and in which words. */
TEST(a_normalisation_of_two_types_is_computed_in_the_wider)
{
    enum { FLOAT16 = 10 };
    struct onnx_build b;
    if (!known("RMSNormalization Cast")) SKIP("operators are missing");
    build_init(&b, 23);
    put_value(&b.graph, 11, "x", FLOAT16, "2 3");
    put_value(&b.graph, 12, "y", 1, "");
    struct proto_message n = build_node(&b, "RMSNormalization", "x w", "y");
    build_weights(&b, "w", "3", 3);
    const char *text = lifted(&b, &n);
    CHECK(strstr(text, "float32[2,3] = Cast(x)") != NULL);
    CHECK(strstr(text, "  y float32[2,3] = RMSNormalization(") != NULL);
    build_release(&b);
}

/* In the first version the schema's default was "foward", and RNN's are two activations. */
TEST(recurrent_layers_take_their_schemas_defaults)
{
    struct onnx_build b;
    if (!known("RNN")) SKIP("operators are missing");
    struct proto_message n = begin(&b, 1, "RNN", "x w r", "5 2 4");
    put_s(&n, "direction", "foward");
    put_i(&n, "hidden_size", 3);
    put_ss(&n, "activations", "Tanh Tanh");
    build_weights(&b, "w", "1 3 4", 12);
    build_weights(&b, "r", "1 3 3", 9);
    CHECK(strstr(lifted(&b, &n), "RNN(x, w, r") != NULL);
    build_release(&b);
}

static const char *lifted_of(struct onnx_build *b, struct proto_message *n, const char *domain)
{
    proto_put_text(n, 7, b->domain = domain);
    return lifted(b, n);
}

TEST(packed_weights_of_another_size_are_refused_in_words)
{
    struct onnx_build b;
    struct proto_message n = begin(&b, 17, "MatMulBnb4", "x w m", "2 8");
    put_i(&n, "K", 8);
    put_i(&n, "N", 4);
    put_i(&n, "block_size", 16);
    put_i(&n, "quant_type", 1);
    build_weights(&b, "w", "3", 3);
    build_weights(&b, "m", "2", 2);
    CHECK(strstr(lifted_of(&b, &n, "com.microsoft"), "the packed weight must be a constant of 16 elements") != NULL);
    build_release(&b);
    n = begin(&b, 17, "MatMulBnb4", "x w m", "2 8");
    put_i(&n, "K", INT64_MAX);
    put_i(&n, "N", 4);
    build_weights(&b, "w", "3", 3);
    build_weights(&b, "m", "2", 2);
    CHECK(strstr(lifted_of(&b, &n, "com.microsoft"), "out of range") != NULL);
    build_release(&b);
}

TEST(mixtures_of_experts_say_what_they_miss)
{
    struct onnx_build b;
    struct proto_message n = begin(&b, 17, "MoE", "x r w", "2 8");
    put_value(&b.graph, 11, "r", 1, "2 4");
    build_weights(&b, "w", "4 6 8", 192);
    CHECK(strstr(lifted_of(&b, &n, "com.microsoft"), "input 4 is missing") != NULL);
    build_release(&b);
}

TEST(numbers_of_no_bits_are_refused)
{
    struct onnx_build b;
    struct proto_message n = begin(&b, 17, "Quant", "x w w m", "3");
    build_weights(&b, "w", "", 1);
    build_weights(&b, "m", "2", 2);
    CHECK(strstr(lifted_of(&b, &n, "onnx.brevitas"), "the number of bits is no constant") != NULL);
    build_release(&b);
    n = begin(&b, 17, "Quant", "x w w w", "3");
    put_s(&n, "rounding_mode", "WILD");
    build_weights(&b, "w", "", 1);
    CHECK(strstr(lifted_of(&b, &n, "onnx.brevitas"), "rounding_mode is \"WILD\"") != NULL);
    build_release(&b);
}

TEST(operators_on_maps_need_one)
{
    struct onnx_build b;
    struct proto_message n = begin(&b, 17, "DictVectorizer", "x", "3");
    put_ss(&n, "string_vocabulary", "a b");
    CHECK(strstr(lifted_of(&b, &n, "ai.onnx.ml"), "x is no map that the model is given") != NULL);
    build_release(&b);
    n = begin(&b, 17, "CastMap", "x", "3");
    put_i(&n, "max_map", INT64_MAX);
    CHECK(strstr(lifted_of(&b, &n, "ai.onnx.ml"), "max_map is 9223372036854775807") != NULL);
    build_release(&b);
}

TEST(sizes_that_do_not_fit_are_refused_in_words)
{
    static const struct {
        const char *op, *domain, *in, *attr;
        int64_t opset, ints[4];
        size_t n;
        const char *words;
    } cases[] = {
        { "TensorScatter", "", "x x", "axis", 24, { 0 }, 0, "axis 0 of rank 4" },
        { "CausalConvWithState", "", "x x", "pads", 27, { 0 }, 1, "a weight that is not" },
        { "LinearAttention", "", "x x x", "q_num_heads", 27, { 3 }, 0, "needs decay" },
        { "GroupQueryAttention", "com.microsoft", "x", "num_heads", 17, { 2 }, 0, "kv_num_heads is missing" },
        { "SVMClassifier", "ai.onnx.ml", "x", "vectors_per_class", 17, { 2 }, 1, "coefficients or rho are missing" },
        { "SVMRegressor", "ai.onnx.ml", "x", "n_supports", 17, { -1 }, 0, "coefficients or rho are missing" },
        { "BitCast", "", "x", "to", 26, { 7 }, 0, "which has not as many" },
        { "FlexAttention", "ai.onnx.preview", "x x x", "softmax_precision", 26, { 7 }, 0, "softmax_precision is 7" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct onnx_build b;
        struct proto_message n = begin(&b, cases[i].opset, cases[i].op, cases[i].in, "2 3 4 4");
        if (cases[i].domain[0]) proto_put_text(&n, 7, cases[i].domain);
        if (cases[i].n) put_is(&n, cases[i].attr, cases[i].ints, cases[i].n);
        else put_i(&n, cases[i].attr, cases[i].ints[0]);
        const char *text = lifted(&b, &n);
        if (!strstr(text, cases[i].words)) TAP_FAIL("%s: %s", cases[i].op, text);
        build_release(&b);
    }
}
