/* onnx_control.c - If, Loop, Scan and sequences in ONNX files: what is refused, what is read, what runs. */
#include "tap.h"

#include "exec/session.h"
#include "format/onnx/write.h"
#include "graph/builder.h"
#include "graph/sequence.h"
#include "onnx_build.h"
#include "ops/interpret.h"
#include "pass/gradient.h"
#include "pass/pass.h"

enum { F32 = 1, I64 = 7, BOOL = 9 };

#define REFUSED(b, says) \
    do { \
        CHECK(!build_read(b)); \
        if (!strstr((b)->err.text, (says))) TAP_FAIL("\"%s\" does not say \"%s\"", (b)->err.text, (says)); \
        build_release(b); \
    } while (0)

/* A graph of one node, with an output `out`. */
static struct proto_message one_node(struct onnx_build *b, const char *op, const char *in, const char *out)
{
    struct proto_message g = proto_message_in(&b->arena), n = build_node(b, op, in, out);
    proto_put_text(&g, 2, "body");
    proto_put_message(&g, 1, &n);
    put_value(&g, 12, out, F32, "?");
    return g;
}

static void begin(struct onnx_build *b)
{
    build_init(b, 17);
    put_value(&b->graph, 11, "c", BOOL, "");
    put_value(&b->graph, 11, "x", F32, "3");
    put_value(&b->graph, 12, "y", F32, "3");
}

static void add_if(struct onnx_build *b, const struct proto_message *yes, const struct proto_message *no)
{
    struct proto_message n = build_node(b, "If", "c", "y");
    if (yes) put_g(&n, "then_branch", yes);
    if (no) put_g(&n, "else_branch", no);
    build_add(b, &n);
}

TEST(a_branch_that_is_missing)
{
    struct onnx_build b;
    begin(&b);
    struct proto_message g = one_node(&b, "Relu", "x", "r");
    add_if(&b, &g, NULL);
    REFUSED(&b, "else_branch");
}

TEST(a_branch_with_inputs_of_its_own)
{
    struct onnx_build b;
    begin(&b);
    struct proto_message g = one_node(&b, "Relu", "x", "r"), h = one_node(&b, "Relu", "a", "s");
    put_value(&h, 11, "a", F32, "3");
    add_if(&b, &g, &h);
    REFUSED(&b, "inputs, expected");
}

TEST(branches_that_disagree)
{
    struct onnx_build b;
    begin(&b);
    struct proto_message g = one_node(&b, "Relu", "x", "r"), h = one_node(&b, "Shape", "x", "s");
    add_if(&b, &g, &h);
    REFUSED(&b, "is now float32, now int64");
}

TEST(captures_of_nothing)
{
    struct onnx_build b;
    begin(&b);
    struct proto_message g = one_node(&b, "Relu", "ghost", "r"), h = one_node(&b, "Relu", "x", "s");
    add_if(&b, &g, &h);
    REFUSED(&b, "nothing makes its input \"ghost\"");
}

TEST(a_branch_that_reads_what_its_node_makes)
{
    struct onnx_build b;
    begin(&b);
    struct proto_message g = one_node(&b, "Relu", "y", "r"), h = one_node(&b, "Relu", "x", "s");
    add_if(&b, &g, &h);
    REFUSED(&b, "cycle");
}

TEST(a_condition_that_is_no_bool)
{
    struct onnx_build b;
    build_init(&b, 17);
    put_value(&b.graph, 11, "c", F32, "3");
    put_value(&b.graph, 11, "x", F32, "3");
    put_value(&b.graph, 12, "y", F32, "3");
    struct proto_message g = one_node(&b, "Relu", "x", "r"), h = one_node(&b, "Neg", "x", "s");
    add_if(&b, &g, &h);
    REFUSED(&b, "the condition (c) is float32");
}

TEST(graphs_nest_only_so_deep)
{
    struct onnx_build b;
    begin(&b);
    struct proto_message g = one_node(&b, "Relu", "x", "r0");
    for (int i = 0; i < 12; i++) {
        char name[16];
        snprintf(name, sizeof name, "y%d", i);
        struct proto_message n = build_node(&b, "If", "c", name), outer = proto_message_in(&b.arena);
        put_g(&n, "then_branch", &g);
        put_g(&n, "else_branch", &g);
        proto_put_message(&outer, 1, &n);
        put_value(&outer, 12, name, F32, "3");
        g = outer;
    }
    add_if(&b, &g, &g);
    REFUSED(&b, "nest deeper than 8");
}

/* Loop(m, "", v...) with a body given as nodes "op in out; ..." */
static struct proto_message body_of(struct onnx_build *b, const char *inputs, const char *nodes, const char *outputs)
{
    struct proto_message g = proto_message_in(&b->arena);
    char word[32], op[32], in[64], out[32];
    int n, type, used;
    proto_put_text(&g, 2, "body");
    for (; sscanf(nodes, " %31s %63s %31[^;];%n", op, in, out, &used) == 3; nodes += used) {
        for (char *s = in; *s; s++)
            if (*s == ',') *s = ' ';
        struct proto_message m = build_node(b, op, in, out);
        proto_put_message(&g, 1, &m);
    }
    for (; sscanf(inputs, " %31s %d%n", word, &type, &n) == 2; inputs += n) put_value(&g, 11, word, type, "");
    for (; sscanf(outputs, " %31s %d%n", word, &type, &n) == 2; outputs += n) put_value(&g, 12, word, type, "");
    return g;
}

static void add_loop(struct onnx_build *b, const char *in, const char *out, const struct proto_message *body)
{
    struct proto_message n = build_node(b, "Loop", in, out);
    put_g(&n, "body", body);
    build_add(b, &n);
}

/* y = x + w, m times over; w is a weight, captured; z gathers. */
static struct graph *counting(struct onnx_build *b)
{
    build_init(b, 17);
    put_value(&b->graph, 11, "m", I64, "");
    put_value(&b->graph, 11, "x", F32, "");
    put_value(&b->graph, 12, "y", F32, "");
    put_value(&b->graph, 12, "z", F32, "?");
    build_weights(b, "w", "2", 2);
    build_op(b, "ReduceSum", "w", "s");
    struct proto_message g = body_of(
        b, "i 7 on 9 v 1", "Squeeze s t; Add v,t u; Identity on go; Identity u k;", "go 9 u 1 k 1");
    add_loop(b, "m - x", "y z", &g);
    struct graph *read = build_read(b);
    CHECK_OK(b->err.code, &b->err);
    if (read) CHECK_OK(pass_run(read, PASS_IMPORT, NULL, &b->err), &b->err);
    if (read) CHECK_OK(graph_verify(read, &b->err), &b->err);
    return read;
}

static struct tensor *number(struct onnx_build *b, enum dtype t, double v)
{
    struct shape s = shape_of(0, NULL);
    struct tensor *x = tensor_new(&b->arena, t, &s, &b->err);
    tensor_set_f64(x, 0, v);
    return x;
}

TEST(a_loop_counts_in_every_way_of_running)
{
    struct onnx_build b;
    struct graph *g = counting(&b);
    for (int m = 0; g && m < 4; m++) {
        struct tensor *in[2] = { number(&b, DT_I64, m), number(&b, DT_F32, 0.5) }, *want[2], got[2];
        CHECK_OK(graph_interpret(g, in, want, &b.arena, NULL, &b.err), &b.err);
        struct session *s = session_new(g, &(struct session_options){ .threads = 1 }, &b.err);
        CHECK_OK(session_run(s, (const struct tensor *const *)in, got, &b.err), &b.err);
        CHECK_NEAR(tensor_get_f64(want[0], 0), 0.5 + 3 * m, 0);
        CHECK_NEAR(tensor_get_f64(&got[0], 0), 0.5 + 3 * m, 0);
        CHECK_INT(tensor_count(want[1]), m);
        CHECK_INT(tensor_count(&got[1]), m);
        if (m) CHECK_NEAR(tensor_get_f64(&got[1], m - 1), 0.5 + 3 * m, 0);
        session_free(s);
    }
    build_release(&b);
}

static bool after_a_while(void *cookie)
{
    return ++*(int *)cookie > 1000;
}

TEST(a_loop_without_end_stops_at_its_limit_and_when_asked)
{
    struct onnx_build b;
    struct graph *g = counting(&b);
    int asked = 0;
    struct tensor *in[2] = { number(&b, DT_I64, 0x1p62), number(&b, DT_F32, 0) }, got[2];
    struct session_options o = { .threads = 1, .turns_max = 100 };
    struct session *s = session_new(g, &o, &b.err);
    CHECK_INT(session_run(s, (const struct tensor *const *)in, got, &b.err), ERR_FAILED);
    CHECK(strstr(b.err.text, "after 100 turns"));
    CHECK(strstr(b.err.text, "Loop"));
    session_free(s);
    err_clear(&b.err);
    o = (struct session_options){ .threads = 1, .cancelled = after_a_while, .cookie = &asked };
    s = session_new(g, &o, &b.err);
    CHECK_INT(session_run(s, (const struct tensor *const *)in, got, &b.err), ERR_CANCELLED);
    session_free(s);
    err_clear(&b.err);
    o = (struct session_options){ .threads = 1, .bytes_max = 4096 };
    s = session_new(g, &o, &b.err);
    CHECK_INT(session_run(s, (const struct tensor *const *)in, got, &b.err), ERR_NOMEM);
    CHECK(strstr(b.err.text, "granted"));
    session_free(s);
    build_release(&b);
}

TEST(loop_bodies_of_the_wrong_form)
{
    static const struct {
        const char *inputs, *nodes, *outputs, *says;
    } wrong[] = {
        { "i 7", "Identity i go;", "go 9", "inputs, expected" },
        { "i 7 on 9 v 1", "Identity on go;", "go 9", "outputs, expected" },
        { "i 7 on 9 v 1", "Identity on go; Identity v u; Identity v k;", "go 9 u 1 k 1 k 1", "outputs, expected" },
        { "i 7 on 9 v 1", "Identity v go; Identity v u; Identity v k;", "go 1 u 1 k 1", "condition" },
        { "i 7 on 9 v 1", "Identity on go; Identity i u; Identity v k;", "go 9 u 7 k 1", "before the first turn" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct onnx_build b;
        build_init(&b, 17);
        put_value(&b.graph, 11, "m", I64, "");
        put_value(&b.graph, 11, "x", F32, "");
        put_value(&b.graph, 12, "y", F32, "");
        put_value(&b.graph, 12, "z", F32, "?");
        struct proto_message g = body_of(&b, wrong[i].inputs, wrong[i].nodes, wrong[i].outputs);
        add_loop(&b, "m - x", "y z", &g);
        REFUSED(&b, wrong[i].says);
    }
}

TEST(what_a_loop_carries_may_grow)
{
    struct onnx_build b;
    build_init(&b, 17);
    put_value(&b.graph, 11, "m", I64, "");
    put_value(&b.graph, 11, "x", F32, "1");
    put_value(&b.graph, 12, "y", F32, "?");
    struct proto_message g = proto_message_in(&b.arena), n = build_node(&b, "Concat", "v x", "u");
    proto_put_text(&g, 2, "body");
    put_i(&n, "axis", 0);
    proto_put_message(&g, 1, &n);
    n = build_node(&b, "Identity", "on", "go");
    proto_put_message(&g, 1, &n);
    put_value(&g, 11, "i", I64, "");
    put_value(&g, 11, "on", BOOL, "");
    put_value(&g, 11, "v", F32, "?");
    put_value(&g, 12, "go", BOOL, "");
    put_value(&g, 12, "u", F32, "?");
    add_loop(&b, "m - x", "y", &g);
    struct graph *read = build_read(&b);
    CHECK_OK(b.err.code, &b.err);
    CHECK_OK(pass_run(read, PASS_IMPORT, NULL, &b.err), &b.err);
    struct shape one = shape_of(1, (int64_t[]){ 1 });
    struct tensor *x = tensor_new(&b.arena, DT_F32, &one, &b.err), *in[2] = { number(&b, DT_I64, 20), x }, got;
    struct session *s = session_new(read, &(struct session_options){ .threads = 1 }, &b.err);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(session_run(s, (const struct tensor *const *)in, &got, &b.err), &b.err);
        CHECK_INT(got.shape.dim[0], 21);
    }
    session_free(s);
    build_release(&b);
}

/* y = x^4 in three turns: unrolled for the gradient. */
TEST(a_loop_of_known_length_has_a_gradient)
{
    struct onnx_build b;
    build_init(&b, 17);
    int64_t three = 3;
    put_value(&b.graph, 11, "x", F32, "");
    put_value(&b.graph, 12, "y", F32, "");
    struct proto_message m = build_tensor(&b, "m", I64, ""), g;
    proto_put_bytes(&m, 9, &three, sizeof three);
    proto_put_message(&b.graph, 5, &m);
    g = body_of(&b, "i 7 on 9 v 1", "Mul v,x u; Identity on go;", "go 9 u 1");
    add_loop(&b, "m - x", "y", &g);
    struct graph *read = build_read(&b);
    CHECK_OK(b.err.code, &b.err);
    CHECK_OK(pass_run(read, PASS_IMPORT, NULL, &b.err), &b.err);
    struct value *dx;
    CHECK_OK(graph_gradient(read, read->outputs[0], read->inputs, 1, &dx, &b.err), &b.err);
    CHECK_OK(graph_output(read, dx, &b.err), &b.err);
    CHECK_OK(graph_tidy(read, &b.err), &b.err);
    struct tensor *x = number(&b, DT_F32, 2), *out[2];
    CHECK_OK(graph_interpret(read, &x, out, &b.arena, NULL, &b.err), &b.err);
    CHECK_NEAR(tensor_get_f64(out[0], 0), 16, 1e-6); /* x^4 */
    CHECK_NEAR(tensor_get_f64(out[1], 0), 32, 1e-5); /* 4 x^3 */
    build_release(&b);
}

/* y = a x0 x1 x2, step by step. */
TEST(a_scan_has_a_gradient)
{
    struct onnx_build b;
    build_init(&b, 17);
    put_value(&b.graph, 11, "a", F32, "");
    put_value(&b.graph, 11, "x", F32, "3");
    put_value(&b.graph, 12, "y", F32, "");
    put_value(&b.graph, 12, "z", F32, "3");
    struct proto_message n = build_node(&b, "Scan", "a x", "y z");
    struct proto_message g = body_of(&b, "s 1 t 1", "Mul s,t u; Identity u k;", "u 1 k 1");
    put_g(&n, "body", &g);
    put_i(&n, "num_scan_inputs", 1);
    build_add(&b, &n);
    struct graph *read = build_read(&b);
    CHECK_OK(b.err.code, &b.err);
    CHECK_OK(pass_run(read, PASS_IMPORT, NULL, &b.err), &b.err);
    struct value *dx[2];
    CHECK_OK(graph_gradient(read, read->outputs[0], read->inputs, 2, dx, &b.err), &b.err);
    for (int i = 0; i < 2; i++) CHECK_OK(graph_output(read, dx[i], &b.err), &b.err);
    CHECK_OK(graph_tidy(read, &b.err), &b.err);
    struct shape three = shape_of(1, (int64_t[]){ 3 });
    struct tensor *in[] = { number(&b, DT_F32, 5),
        tensor_copy(&b.arena, DT_F32, &three, (float[]){ 2, 3, 7 }, &b.err) }, *out[4];
    CHECK_OK(graph_interpret(read, in, out, &b.arena, NULL, &b.err), &b.err);
    CHECK_NEAR(tensor_get_f64(out[0], 0), 210, 1e-3);
    CHECK_NEAR(tensor_get_f64(out[1], 1), 30, 1e-4);
    CHECK_NEAR(tensor_get_f64(out[2], 0), 42, 1e-4); /* x0 x1 x2 */
    CHECK_NEAR(tensor_get_f64(out[3], 0), 105, 1e-3);
    CHECK_NEAR(tensor_get_f64(out[3], 1), 70, 1e-3);
    CHECK_NEAR(tensor_get_f64(out[3], 2), 30, 1e-4);
    build_release(&b);
}

/* If(c): x (3) under a shape of `yes` elements, else of `no`. */
static struct graph *two_shapes(struct onnx_build *b, int64_t yes, int64_t no)
{
    begin(b);
    int64_t sizes[] = { yes, no };
    for (int i = 0; i < 2; i++) {
        struct proto_message m = build_tensor(b, i ? "no" : "yes", I64, "1");
        proto_put_bytes(&m, 9, &sizes[i], sizeof sizes[i]);
        proto_put_message(&b->graph, 5, &m);
    }
    struct proto_message g = one_node(b, "Reshape", "x yes", "r"), h = one_node(b, "Reshape", "x no", "s");
    add_if(b, &g, &h);
    struct graph *read = build_read(b);
    return !read || pass_run(read, PASS_IMPORT, NULL, &b->err) ? NULL : read;
}

TEST(a_branch_that_does_not_fit_is_barred)
{
    struct onnx_build b;
    struct graph *g = two_shapes(&b, 4, 3);
    CHECK_OK(b.err.code, &b.err);
    CHECK(g && g->outputs[0]->shape.rank == 1 && g->outputs[0]->shape.dim[0] == 3);
    struct shape three = shape_of(1, (int64_t[]){ 3 });
    struct tensor *in[] = { number(&b, DT_BOOL, 0),
        tensor_copy(&b.arena, DT_F32, &three, (float[]){ 2, 3, 7 }, &b.err) }, *out[1];
    CHECK_OK(graph_interpret(g, in, out, &b.arena, NULL, &b.err), &b.err);
    CHECK_NEAR(tensor_get_f64(out[0], 2), 7, 0);
    tensor_set_i64(in[0], 0, 1);
    CHECK(graph_interpret(g, in, out, &b.arena, NULL, &b.err) < 0);
    CHECK(strstr(b.err.text, "Reshape"));
    build_release(&b);
    CHECK(!two_shapes(&b, 4, 5));
    CHECK(strstr(b.err.text, "Reshape"));
    build_release(&b);
}

TEST(the_gradient_of_what_depends_on_data_is_refused_by_name)
{
    struct onnx_build b;
    struct graph *g = counting(&b);
    struct value *dx;
    CHECK(graph_gradient(g, g->outputs[0], &g->inputs[1], 1, &dx, &b.err) < 0);
    CHECK(strstr(b.err.text, "Loop"));
    build_release(&b);
}

TEST(an_if_that_is_decided_is_gone)
{
    struct onnx_build b;
    build_init(&b, 17);
    struct proto_message cast = build_node(&b, "Cast", "n", "d"), g = one_node(&b, "Relu", "x", "r"),
                         h = one_node(&b, "Neg", "x", "q");
    put_i(&cast, "to", BOOL);
    put_value(&b.graph, 11, "x", F32, "3");
    put_value(&b.graph, 12, "y", F32, "3");
    build_op(&b, "Shape", "x", "s");
    build_op(&b, "Size", "s", "n");
    build_add(&b, &cast);
    struct proto_message n = build_node(&b, "If", "d", "y");
    put_g(&n, "then_branch", &g);
    put_g(&n, "else_branch", &h);
    build_add(&b, &n);
    struct graph *read = build_read(&b);
    CHECK_OK(b.err.code, &b.err);
    CHECK_OK(pass_run(read, PASS_IMPORT, NULL, &b.err), &b.err);
    if (read) CHECK_STR(graph_text(&b, read), "graph g\n  input x float32[3]\n  y float32[3] = Relu(x)\n  output y\n");
    build_release(&b);
}

TEST(sequences_are_no_tensors)
{
    struct onnx_build b;
    begin(&b);
    build_op(&b, "SequenceConstruct", "x x", "s");
    build_op(&b, "Relu", "s", "y");
    REFUSED(&b, "input 0 (s) is a sequence, expected a tensor");
}

/* y = x[1] x[1] from a sequence of x's numbers: the pass makes a Split of it; it stays where the place is not there. */
TEST(gradients_go_through_sequences_whose_items_are_known)
{
    for (int64_t at = 1; at < 4; at += 2) {
        struct onnx_build b;
        build_init(&b, 17);
        put_value(&b.graph, 11, "x", F32, "3");
        put_value(&b.graph, 12, "y", F32, "1");
        struct proto_message p = build_tensor(&b, "p", I64, "");
        proto_put_bytes(&p, 9, &at, sizeof at);
        proto_put_message(&b.graph, 5, &p);
        build_op(&b, "SplitToSequence", "x", "s");
        build_op(&b, "SequenceAt", "s p", "a");
        build_op(&b, "Mul", "a a", "y");
        struct graph *g = build_read(&b);
        CHECK_OK(b.err.code, &b.err);
        struct value *dx = NULL;
        CHECK_OK(pass_run(g, PASS_IMPORT, NULL, &b.err), &b.err);
        CHECK((strstr(graph_text(&b, g), "Sequence") != NULL) == (at == 3));
        if (at == 1) {
            CHECK_OK(graph_gradient(g, g->outputs[0], g->inputs, 1, &dx, &b.err), &b.err);
            CHECK_OK(graph_output(g, dx, &b.err), &b.err);
            CHECK_OK(graph_tidy(g, &b.err), &b.err);
            struct shape three = shape_of(1, (int64_t[]){ 3 });
            struct tensor *x = tensor_copy(&b.arena, DT_F32, &three, (float[]){ 2, 5, 7 }, &b.err), *out[2];
            CHECK_OK(graph_interpret(g, &x, out, &b.arena, NULL, &b.err), &b.err);
            CHECK_NEAR(tensor_get_f64(out[1], 0), 0, 0);
            CHECK_NEAR(tensor_get_f64(out[1], 1), 10, 1e-6);
        }
        build_release(&b);
    }
}

TEST(positions_outside_a_sequence_are_named)
{
    struct onnx_build b;
    build_init(&b, 17);
    put_value(&b.graph, 11, "p", I64, "");
    put_value(&b.graph, 11, "x", F32, "3");
    put_value(&b.graph, 12, "y", F32, "3");
    build_op(&b, "SequenceConstruct", "x x", "s");
    build_op(&b, "SequenceAt", "s p", "y");
    struct graph *g = build_read(&b);
    CHECK_OK(b.err.code, &b.err);
    struct shape three = shape_of(1, (int64_t[]){ 3 });
    struct tensor *in[2] = { number(&b, DT_I64, 2), tensor_new(&b.arena, DT_F32, &three, &b.err) }, got;
    struct session *s = session_new(g, &(struct session_options){ .threads = 1 }, &b.err);
    CHECK_INT(session_run(s, (const struct tensor *const *)in, &got, &b.err), ERR_DATA);
    CHECK(strstr(b.err.text, "y (SequenceAt)") && strstr(b.err.text, "position 2 in a sequence of 2"));
    err_clear(&b.err);
    tensor_set_i64(in[0], 0, -2);
    CHECK_OK(session_run(s, (const struct tensor *const *)in, &got, &b.err), &b.err);
    session_free(s);
    build_release(&b);
}
