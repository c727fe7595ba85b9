/* onnx_read.c - reading ONNX: damaged and hostile files first. */
#include "tap.h"

#include "onnx_build.h"

#define REFUSED(b, code_, words) \
    do { \
        CHECK(!build_read(b)); \
        CHECK_INT((b)->err.code, code_); \
        if (!strstr((b)->err.text, words)) TAP_FAIL("\"%s\" does not say \"%s\"", (b)->err.text, words); \
        build_release(b); \
    } while (0)

/* x -> Relu -> y */
static void small(struct onnx_build *b)
{
    build_init(b, 17);
    put_value(&b->graph, 11, "x", 1, "N 3");
    put_value(&b->graph, 12, "y", 1, "N 3");
    build_op(b, "Relu", "x", "y");
}

TEST(every_cut_of_a_file_is_an_error_or_a_smaller_model)
{
    struct onnx_build b;
    small(&b);
    build_weights(&b, "w", "2 2", 4);
    struct bytes whole = build_bytes(&b);
    for (size_t n = 0; n < whole.len; n++) {
        struct graph *g = read_bytes(&b, (struct bytes){ whole.data, n }, NULL);
        if (!g && (b.err.code != ERR_MODEL && b.err.code != ERR_UNSUPPORTED)) TAP_FAIL("%zu bytes: %s", n, b.err.text);
        err_clear(&b.err);
    }
    build_release(&b);
}

TEST(every_damaged_byte_is_survived)
{
    struct onnx_build b;
    small(&b);
    build_weights(&b, "w", "2 2", 4);
    struct bytes whole = build_bytes(&b);
    unsigned char *copy = arena_alloc(&b.arena, whole.len);
    for (size_t i = 0; i < whole.len * 8; i++) {
        memcpy(copy, whole.data, whole.len);
        copy[i / 8] ^= (unsigned char)(1 << i % 8);
        struct graph *g = read_bytes(&b, (struct bytes){ copy, whole.len }, NULL);
        if (!g && !b.err.text[0]) TAP_FAIL("bit %zu: an error without words", i);
        err_clear(&b.err);
    }
    build_release(&b);
}

TEST(a_file_of_another_kind_is_named)
{
    struct onnx_build b;
    build_init(&b, 1);
    CHECK(!read_bytes(&b, (struct bytes){ (const unsigned char *)"hello, world", 12 }, NULL));
    CHECK_INT(b.err.code, ERR_MODEL);
    CHECK(strstr(b.err.text, b.path) != NULL);
    build_release(&b);
}

TEST(a_cycle_is_refused)
{
    struct onnx_build b;
    small(&b);
    build_op(&b, "Relu", "q", "p");
    build_op(&b, "Relu", "p", "q");
    REFUSED(&b, ERR_MODEL, "cycle");
}

TEST(a_value_made_twice_is_refused)
{
    struct onnx_build b;
    small(&b);
    build_op(&b, "Relu", "x", "y");
    REFUSED(&b, ERR_MODEL, "made twice");
    small(&b);
    build_op(&b, "Relu", "x", "x");
    REFUSED(&b, ERR_MODEL, "made twice");
    small(&b);
    build_weights(&b, "w", "2", 2);
    build_weights(&b, "w", "2", 2);
    REFUSED(&b, ERR_MODEL, "two inputs or initializers");
}

TEST(a_value_nobody_makes_is_refused)
{
    struct onnx_build b;
    small(&b);
    build_op(&b, "Relu", "ghost", "z");
    REFUSED(&b, ERR_MODEL, "nothing makes its input \"ghost\"");
    build_init(&b, 17);
    put_value(&b.graph, 12, "z", 1, "1");
    REFUSED(&b, ERR_MODEL, "nothing makes the output \"z\"");
}

TEST(unsupported_operators_are_told_all_at_once)
{
    struct onnx_build b;
    small(&b);
    build_op(&b, "Frobnicate", "x", "a");
    build_op(&b, "Frobnicate", "x", "b");
    struct proto_message n = build_node(&b, "BeamSearch", "x", "c");
    proto_put_text(&n, 7, "com.microsoft");
    proto_put_text(&n, 3, "fused_7");
    build_add(&b, &n);
    CHECK(!build_read(&b));
    CHECK_INT(b.err.code, ERR_UNSUPPORTED);
    CHECK(strstr(b.err.text, "Frobnicate (opset 17) (2 times), first at a") != NULL);
    CHECK(strstr(b.err.text, "com.microsoft.BeamSearch (opset 17), at fused_7") != NULL);
    build_release(&b);
}

TEST(weights_have_to_fill_their_shape)
{
    static const struct {
        const char *dims, *words;
    } cases[] = {
        { "2 3", "16 bytes of data, the shape needs 24" },
        { "1", "16 bytes of data, the shape needs 4" },
        { "-4", "dimension 0 is -4" },
        { "4611686018427387904 4611686018427387904", "more elements than there can be" },
        { "4000000000000", "16 bytes of data" },
        { "1 1 1 1 1 1 1 1 4", "rank 9" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct onnx_build b;
        small(&b);
        build_weights(&b, "w", cases[i].dims, 4);
        CHECK(!build_read(&b));
        if (!strstr(b.err.text, cases[i].words)) TAP_FAIL("%s: %s", cases[i].dims, b.err.text);
        CHECK(strstr(b.err.text, "tensor \"w\"") != NULL);
        build_release(&b);
    }
}

TEST(element_types_that_are_not_taken_are_named)
{
    struct onnx_build b;
    small(&b);
    struct proto_message t = build_tensor(&b, "w", 27, "2");
    proto_put_bytes(&t, 9, "\1", 1);
    proto_put_message(&b.graph, 5, &t);
    REFUSED(&b, ERR_UNSUPPORTED, "element type 27");
}

/* Three elements of 4 bits in two bytes, the first in the low ones; raw, or as numbers. */
TEST(packed_elements_are_spread)
{
    static const int expected[2][3] = { { -1, 7, -8 }, { 15, 7, 8 } };
    for (int raw = 0; raw < 2; raw++)
        for (int type = 22; type >= 21; type--) {
            struct onnx_build b;
            build_init(&b, 21);
            put_value(&b.graph, 12, "y", (uint64_t)type, "3");
            build_op(&b, "Identity", "w", "y");
            struct proto_message t = build_tensor(&b, "w", type, "3");
            if (raw) proto_put_bytes(&t, 9, "\x7f\xf8", 2);
            for (int i = 0; !raw && i < 2; i++) proto_put_varint(&t, 5, i ? 0xf8 : 0x7f);
            proto_put_message(&b.graph, 5, &t);
            struct graph *g = build_read(&b);
            CHECK_OK(b.err.code, &b.err);
            const struct value *w = g ? graph_find(g, "w") : NULL;
            const struct tensor *data = w ? w->data : NULL;
            CHECK(data && data->dtype == (enum dtype)type && tensor_count(data) == 3);
            for (int i = 0; data && i < 3; i++) CHECK_INT(tensor_get_i64(data, i), expected[22 - type][i]);
            build_release(&b);
        }
}

TEST(packed_elements_that_do_not_fit_are_refused)
{
    struct onnx_build b;
    small(&b);
    struct proto_message t = build_tensor(&b, "w", 26, "5");
    proto_put_bytes(&t, 9, "\1\2\3", 3);
    proto_put_message(&b.graph, 5, &t);
    REFUSED(&b, ERR_MODEL, "3 bytes of data, the shape needs 2");
}

static void external(struct onnx_build *b, const char *location, const char *offset, const char *length)
{
    struct proto_message t = build_tensor(b, "w", 1, "4"), e;
    const char *pairs[][2] = { { "location", location }, { "offset", offset }, { "length", length } };
    for (int i = 0; i < 3; i++) {
        if (!pairs[i][1]) continue;
        e = proto_message_in(&b->arena);
        proto_put_text(&e, 1, pairs[i][0]);
        proto_put_text(&e, 2, pairs[i][1]);
        proto_put_message(&t, 13, &e);
    }
    proto_put_varint(&t, 14, 1);
    proto_put_message(&b->graph, 5, &t);
}

TEST(external_data_stay_inside_the_folder)
{
    static const char *const bad[] = { "../secret", "/etc/passwd", "a/../../b", "" };
    for (int i = 0; i < 4; i++) {
        struct onnx_build b;
        small(&b);
        external(&b, bad[i], "0", "16");
        REFUSED(&b, ERR_UNSAFE, "of its own folder");
    }
    struct onnx_build b;
    small(&b);
    external(&b, "tenrec-no-such-file", "0", "16");
    REFUSED(&b, ERR_MODEL, "tenrec-no-such-file");
}

TEST(external_data_are_checked_against_their_file)
{
    static const struct {
        const char *offset, *length, *words;
    } cases[] = {
        { "8", "16", "bytes 8 to 24" },
        { "18446744073709551615", "16", "which has 16" },
        { "0", "18446744073709551615", "which has 16" },
        { "x", "16", "expected a number" },
        { "-1", "16", "expected a number" },
        { "0", "12", "12 bytes of data" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct onnx_build b;
        char name[64], path[80];
        small(&b);
        snprintf(name, sizeof name, "tenrec-onnx-%d.bin", (int)getpid());
        snprintf(path, sizeof path, "/tmp/%s", name);
        CHECK_OK(file_write(&b.arena, path, "0123456789abcdef", 16, &b.err), &b.err);
        external(&b, name, cases[i].offset, cases[i].length);
        CHECK(!build_read(&b));
        if (!strstr(b.err.text, cases[i].words)) TAP_FAIL("%s", b.err.text);
        unlink(path);
        build_release(&b);
    }
}

TEST(external_data_are_read)
{
    struct onnx_build b;
    char name[64], path[80];
    float v[5] = { 9, 1, 2, 3, 4 };
    build_init(&b, 17);
    put_value(&b.graph, 12, "w", 1, "4");
    snprintf(name, sizeof name, "tenrec-onnx-%d.bin", (int)getpid());
    snprintf(path, sizeof path, "/tmp/%s", name);
    CHECK_OK(file_write(&b.arena, path, v, sizeof v, &b.err), &b.err);
    external(&b, name, "4", NULL);
    struct graph *g = build_read(&b); /* without a length, all that the shape needs */
    CHECK_OK(b.err.code, &b.err);
    if (g) CHECK_NEAR(tensor_get_f64(g->outputs[0]->data, 3), 4, 0);
    unlink(path);
    build_release(&b);
}

TEST(graphs_within_graphs_have_a_limit)
{
    struct onnx_build b;
    build_init(&b, 17);
    struct proto_message g = proto_message_in(&b.arena);
    for (int i = 0; i < 400; i++) {
        struct proto_message n = build_node(&b, "If", "c", "y"), outer = proto_message_in(&b.arena);
        put_g(&n, "then_branch", &g);
        proto_put_message(&outer, 1, &n);
        g = outer;
    }
    b.graph = g;
    REFUSED(&b, ERR_MODEL, "nest deeper");
}

/* A function f(a) -> b that calls itself. */
TEST(functions_that_call_themselves_are_refused)
{
    struct onnx_build b;
    build_init(&b, 17);
    put_value(&b.graph, 11, "x", 1, "3");
    put_value(&b.graph, 12, "y", 1, "3");
    struct proto_message n = build_node(&b, "f", "a", "b");
    proto_put_text(&n, 7, "mine");
    proto_put_text(&b.functions, 1, "f");
    proto_put_text(&b.functions, 4, "a");
    proto_put_text(&b.functions, 5, "b");
    proto_put_message(&b.functions, 7, &n);
    proto_put_text(&b.functions, 10, "mine");
    n = build_node(&b, "f", "x", "y");
    proto_put_text(&n, 7, "mine");
    build_add(&b, &n);
    REFUSED(&b, ERR_MODEL, "functions call one another");
}

TEST(operator_sets_that_do_not_exist)
{
    struct onnx_build b;
    small(&b);
    b.opset = 0;
    REFUSED(&b, ERR_MODEL, "operator set 0");
    small(&b);
    b.opset = 99;
    CHECK(build_read(&b) != NULL);
    CHECK_INT(b.report.n, 1);
    CHECK_INT(b.report.items[0].kind, REPORT_WARNING);
    build_release(&b);
}

TEST(inputs_that_are_no_tensors)
{
    struct onnx_build b;
    small(&b);
    struct proto_message v = proto_message_in(&b.arena), t = v, sequence = v;
    proto_put_text(&v, 1, "s");
    proto_put_message(&t, 5, &sequence);
    proto_put_message(&v, 2, &t);
    proto_put_message(&b.graph, 11, &v);
    REFUSED(&b, ERR_UNSUPPORTED, "unsupported type of input: map, at s");
}

TEST(a_small_model)
{
    struct onnx_build b;
    small(&b);
    struct graph *g = build_read(&b);
    CHECK_OK(b.err.code, &b.err);
    if (g) CHECK_STR(graph_text(&b, g), "graph g\n  input x float32[N,3]\n  y float32[N,3] = Relu(x)\n  output y\n");
    build_release(&b);
}

TEST(nodes_in_any_order)
{
    struct onnx_build b;
    build_init(&b, 17);
    put_value(&b.graph, 11, "x", 1, "?");
    put_value(&b.graph, 12, "y", 1, "?");
    build_op(&b, "Relu", "q", "y");
    build_op(&b, "Sigmoid", "p", "q");
    build_op(&b, "Relu", "x", "p");
    struct graph *g = build_read(&b);
    CHECK_OK(b.err.code, &b.err);
    if (g)
        CHECK_STR(graph_text(&b, g),
            "graph g\n  input x float32[x_0]\n  p float32[x_0] = Relu(x)\n"
            "  q float32[x_0] = Sigmoid(p)\n  y float32[x_0] = Relu(q)\n  output y\n");
    build_release(&b);
}

TEST(weights_are_states_and_small_ones_constants)
{
    struct onnx_build b;
    build_init(&b, 17);
    build_weights(&b, "w", "2 2", 4);
    build_weights(&b, "s", "1", 1);
    put_value(&b.graph, 11, "w", 1, "2 2"); /* also an input: its content holds */
    put_value(&b.graph, 12, "y", 1, "2 2");
    put_value(&b.graph, 12, "z", 1, "1");
    build_op(&b, "Relu", "w", "y");
    build_op(&b, "Relu", "s", "z");
    struct graph *g = build_read(&b);
    CHECK_OK(b.err.code, &b.err);
    if (g) {
        CHECK_INT(g->n_inputs, 0);
        CHECK_INT(g->n_states, 1);
        CHECK_INT(g->states[0]->flags, VALUE_TRAINABLE);
        CHECK_STR(g->states[0]->origin->key, "w");
        CHECK_NEAR(tensor_get_f64(g->states[0]->data, 3), 4, 0);
        CHECK_INT(graph_find(g, "s")->kind, VALUE_CONST);
    }
    build_release(&b);
}

/* At every distance from a multiple of their size, by one letter more in a name. */
TEST(large_weights_stay_in_the_file_wherever_it_has_them)
{
    enum { SIDE = 80 };
    for (size_t letters = 1; letters <= 4; letters++) {
        struct onnx_build b;
        build_init(&b, 17);
        proto_put_text(&b.graph, 10, &"word"[4 - letters]);
        build_weights(&b, "w", "80 80", SIDE * SIDE);
        put_value(&b.graph, 12, "y", 1, "80 80");
        build_op(&b, "Relu", "w", "y");
        struct graph *g = build_read(&b);
        CHECK_OK(b.err.code, &b.err);
        if (g) {
            const struct tensor *w = g->states[0]->data;
            CHECK_INT(blob_size(w->blob), build_bytes(&b).len);
            CHECK_NEAR(tensor_get_f64(w, SIDE * SIDE - 1), SIDE * SIDE, 0);
        }
        build_release(&b);
    }
}

TEST(typed_fields_hold_data_too)
{
    struct onnx_build b;
    build_init(&b, 17);
    struct proto_message t = build_tensor(&b, "i", 6, "3"), h = build_tensor(&b, "h", 10, "2"),
                         f = build_tensor(&b, "f", 1, "2");
    proto_put_packed_int64(&t, 5, (int64_t[]){ 1, -2, 3 }, 3);
    proto_put_packed_int64(&h, 5, (int64_t[]){ 0x3c00, 0xc000 }, 2);
    proto_put_float(&f, 4, 1.5f);
    proto_put_float(&f, 4, -2.5f);
    proto_put_message(&b.graph, 5, &t);
    proto_put_message(&b.graph, 5, &h);
    proto_put_message(&b.graph, 5, &f);
    build_op(&b, "Relu", "i", "a");
    build_op(&b, "Relu", "h", "b");
    build_op(&b, "Relu", "f", "c");
    put_value(&b.graph, 12, "a", 6, "3");
    put_value(&b.graph, 12, "b", 10, "2");
    put_value(&b.graph, 12, "c", 1, "2");
    struct graph *g = build_read(&b);
    CHECK_OK(b.err.code, &b.err);
    if (g) {
        CHECK_INT(tensor_get_i64(graph_find(g, "i")->data, 1), -2);
        CHECK_NEAR(tensor_get_f64(graph_find(g, "h")->data, 1), -2, 0);
        CHECK_NEAR(tensor_get_f64(graph_find(g, "f")->data, 1), -2.5, 0);
    }
    build_release(&b);
}

TEST(shapes_that_the_file_states_wrongly_are_told)
{
    struct onnx_build b;
    small(&b);
    put_value(&b.graph, 13, "p", 1, "N 4");
    build_op(&b, "Relu", "x", "p");
    CHECK(build_read(&b) != NULL);
    CHECK_INT(b.report.n, 1);
    CHECK_STR(b.report.items[0].what, "p is float32[N,3]; the file says float32[N,4], which is not used");
    build_release(&b);
}

TEST(both_spellings_of_the_domain)
{
    struct onnx_build b;
    build_init(&b, 17);
    put_value(&b.graph, 11, "x", 1, "2");
    put_value(&b.graph, 12, "y", 1, "2");
    struct proto_message n = build_node(&b, "Relu", "x", "y");
    proto_put_text(&n, 7, "ai.onnx");
    build_add(&b, &n);
    CHECK(build_read(&b) != NULL);
    CHECK_OK(b.err.code, &b.err);
    build_release(&b);
}

TEST(functions_are_unfolded)
{
    struct onnx_build b;
    build_init(&b, 17);
    put_value(&b.graph, 11, "x", 1, "3");
    put_value(&b.graph, 12, "y", 1, "3");
    struct proto_message n = build_node(&b, "Relu", "a", "t");
    proto_put_text(&b.functions, 1, "f");
    proto_put_text(&b.functions, 4, "a");
    proto_put_text(&b.functions, 5, "b");
    proto_put_message(&b.functions, 7, &n);
    n = build_node(&b, "Sigmoid", "t", "b");
    proto_put_message(&b.functions, 7, &n);
    proto_put_text(&b.functions, 10, "mine");
    for (int i = 0; i < 2; i++) {
        n = build_node(&b, "f", i ? "m" : "x", i ? "y" : "m");
        proto_put_text(&n, 7, "mine");
        build_add(&b, &n);
    }
    struct graph *g = build_read(&b);
    CHECK_OK(b.err.code, &b.err);
    if (g)
        CHECK_STR(graph_text(&b, g),
            "graph g\n  input x float32[3]\n  m/t float32[3] = Relu(x)\n  m float32[3] = Sigmoid(m/t)\n"
            "  y/t float32[3] = Relu(m)\n  y float32[3] = Sigmoid(y/t)\n  output y\n");
    build_release(&b);
}

TEST(hints_replace_unknown_sizes)
{
    struct onnx_build b;
    struct import_hint h;
    small(&b);
    struct bytes file = build_bytes(&b);
    CHECK_OK(import_hint_parse(&b.arena, "x=7x3:float32", &h, &b.err), &b.err);
    struct graph *g = read_bytes(&b, file, &(struct import_options){ .inputs = &h, .n_inputs = 1 });
    CHECK(g && g->inputs[0]->shape.dim[0] == 7);
    CHECK_OK(import_hint_parse(&b.arena, "x=Bx4", &h, &b.err), &b.err);
    CHECK(!read_bytes(&b, file, &(struct import_options){ .inputs = &h, .n_inputs = 1 }));
    CHECK(strstr(b.err.text, "dimension 1 is 3 in the file, not 4") != NULL);
    err_clear(&b.err);
    CHECK_OK(import_hint_parse(&b.arena, "image=Bx3", &h, &b.err), &b.err);
    CHECK(!read_bytes(&b, file, &(struct import_options){ .inputs = &h, .n_inputs = 1 }));
    CHECK(strstr(b.err.text, "no input is called image; the model has x") != NULL);
    build_release(&b);
}

TEST(hints_are_parsed)
{
    struct arena a;
    struct err e = { 0 };
    struct import_hint h;
    arena_init(&a, NULL);
    CHECK_OK(import_hint_parse(&a, "in=Nx3x224xW:uint8", &h, &e), &e);
    CHECK_STR(h.name, "in");
    CHECK_INT(h.rank, 4);
    CHECK_STR(h.dim[0].symbol, "N");
    CHECK_INT(h.dim[2].size, 224);
    CHECK_INT(h.dtype, DT_U8);
    CHECK_OK(import_hint_parse(&a, "batch,16", &h, &e), &e);
    CHECK(!h.name && h.rank == 2 && h.dim[1].size == 16);
    CHECK_OK(import_hint_parse(&a, "k=:int64", &h, &e), &e);
    CHECK(h.rank == 0 && h.dtype == DT_I64);
    static const char *const bad[] = { "x=1xx2", "x=3y", "x=1x2x", "x=4:floot32", "x=99999999999999999999" };
    for (int i = 0; i < 5; i++) {
        CHECK_INT(import_hint_parse(&a, bad[i], &h, &e), ERR_USAGE);
        err_clear(&e);
    }
    arena_release(&a);
}
