/* onnx_write.c - writing ONNX: what is written is read as the same graph. */
#include "tap.h"

#include <math.h>

#include "format/onnx/write.h"
#include "graph/builder.h"
#include "onnx_build.h"
#include "ops/interpret.h"
#include "ops/registry.h"

static struct graph *fresh(struct onnx_build *b)
{
    build_init(b, 17);
    return graph_new(&b->arena, &op_registry, "net", &b->err);
}

static struct tensor *counting(struct onnx_build *b, enum dtype t, int rank, const int64_t *dims)
{
    struct shape s = shape_of(rank, dims);
    struct tensor *x = tensor_new(&b->arena, t, &s, &b->err);
    for (int64_t i = 0; i < tensor_count(x); i++) tensor_set_f64(x, i, (double)i);
    return x;
}

/* Writes the graph, reads the file, expects the same text. */
static struct graph *round_trip(struct onnx_build *b, const struct graph *g, const struct onnx_write_options *o)
{
    struct proto_message m;
    struct bytes file;
    CHECK_OK(onnx_write(g, &b->arena, o, &m, &b->report, &b->err), &b->err);
    if (b->err.code || proto_bytes(&m, &b->arena, &file, &b->err)) return NULL;
    struct graph *back = read_bytes(b, file, NULL);
    CHECK_OK(b->err.code, &b->err);
    if (back) CHECK_STR(graph_text(b, back), graph_text(b, g));
    return back;
}

TEST(states_guards_and_sources_come_back)
{
    struct onnx_build b;
    struct graph *g = fresh(&b);
    struct builder make = { g, &b.err, .where = "code/m.py:3" };
    struct shape s = shape_of(2, (int64_t[]){ graph_symbol(g, "N"), DIM_UNKNOWN });
    struct value *x = graph_input(g, "x", DT_F32, &s, &b.err);
    x->flags |= VALUE_GUESSED;
    struct value *w = graph_state(g, "w", counting(&b, DT_F32, 2, (int64_t[]){ 1, 1 }), VALUE_TRAINABLE, &b.err);
    struct value *h = graph_state(g, "hidden", counting(&b, DT_F32, 2, (int64_t[]){ 1, 3 }), 0, &b.err);
    struct value *steps = graph_state(g, "steps", counting(&b, DT_I64, 0, NULL), 0, &b.err);
    struct value *k = graph_const(g, "k", counting(&b, DT_F32, 2, (int64_t[]){ 1, 3 }), &b.err);
    w->origin = &(struct origin){ "layer.weight", 2, { 1, 0 } };
    make.name = "act";
    struct value *y = emit(&make, "Relu", NO_ATTRS, x);
    h->next = emit(&make, "Add", NO_ATTRS, h, emit(&make, "Mul", NO_ATTRS, k, w));
    struct value *positive = emit(&make, "Relu", NO_ATTRS, steps);
    CHECK_OK(graph_guard(g, positive, 7, "code/m.py:9", &b.err), &b.err);
    y = emit(&make, "LeakyRelu", ATTRS(attr_float("alpha", 0.1)), y);
    CHECK_OK(b.err.code, &b.err);
    CHECK_OK(graph_output(g, y, &b.err), &b.err);
    CHECK_OK(graph_tidy(g, &b.err), &b.err);
    CHECK(map_set(&g->metadata, "license", "MIT"));
    struct graph *back = round_trip(&b, g, &(struct onnx_write_options){ 0 });
    if (back) {
        CHECK_INT(back->inputs[0]->flags, VALUE_GUESSED);
        CHECK_STR(map_get(&back->metadata, "license"), "MIT");
        const struct origin *o = graph_find(back, "w")->origin;
        CHECK(o && o->rank == 2 && o->perm[0] == 1 && !strcmp(o->key, "layer.weight"));
        CHECK_INT(back->guards[0].expected, 7);
        CHECK_NEAR(node_float(back->outputs[0]->node, "alpha"), 0.1, 0);
    }
    build_release(&b);
}

static bool place_all(void *cookie, const char *name, uint64_t *offset, uint64_t *length)
{
    if (strcmp(name, "w") != 0) return false;
    *offset = 8;
    *length = 24;
    return true;
}

TEST(weights_in_another_file)
{
    struct onnx_build b;
    struct graph *g = fresh(&b);
    struct builder make = { g, &b.err };
    struct value *w = graph_state(g, "w", counting(&b, DT_F32, 2, (int64_t[]){ 2, 3 }), VALUE_TRAINABLE, &b.err);
    graph_output(g, emit(&make, "Relu", NO_ATTRS, w), &b.err);
    CHECK_OK(graph_tidy(g, &b.err), &b.err);
    char path[80], name[64];
    float data[8] = { 0, 0, 0, 1, 2, 3, 4, 5 };
    snprintf(name, sizeof name, "tenrec-onnx-w-%d.bin", (int)getpid());
    snprintf(path, sizeof path, "/tmp/%s", name);
    CHECK_OK(file_write(&b.arena, path, data, sizeof data, &b.err), &b.err);
    struct graph *back = round_trip(&b, g, &(struct onnx_write_options){ .location = name, .place = place_all });
    if (back) CHECK_NEAR(tensor_get_f64(back->states[0]->data, 5), 5, 0);
    unlink(path);
    build_release(&b);
}

TEST(the_lowest_operator_set_that_will_do)
{
    struct onnx_build b;
    struct graph *g = fresh(&b);
    struct builder make = { g, &b.err };
    struct shape s = shape_of(1, (int64_t[]){ 3 });
    struct value *x = graph_input(g, "x", DT_I8, &s, &b.err);
    graph_output(g, emit(&make, "Relu", NO_ATTRS, x), &b.err);
    const char *why;
    CHECK_INT(onnx_opset_of(g->nodes[0], &why), 14);
    struct proto_message m;
    CHECK_INT(
        onnx_write(g, &b.arena, &(struct onnx_write_options){ .opset = 13 }, &m, &b.report, &b.err), ERR_UNSUPPORTED);
    CHECK(strstr(b.err.text, "14 is the lowest") != NULL);
    err_clear(&b.err);
    CHECK_INT(onnx_write(g, &b.arena, &(struct onnx_write_options){ .opset = 9 }, &m, &b.report, &b.err), ERR_USAGE);
    build_release(&b);
}

TEST(an_output_given_twice)
{
    struct onnx_build b;
    struct graph *g = fresh(&b);
    struct builder make = { g, &b.err };
    struct shape s = shape_of(1, (int64_t[]){ 3 });
    struct value *y = emit(&make, "Relu", NO_ATTRS, graph_input(g, "x", DT_F32, &s, &b.err));
    graph_output(g, y, &b.err);
    graph_output(g, y, &b.err);
    struct proto_message m;
    struct bytes file;
    CHECK_OK(onnx_write(g, &b.arena, &(struct onnx_write_options){ 0 }, &m, &b.report, &b.err), &b.err);
    CHECK_OK(proto_bytes(&m, &b.arena, &file, &b.err), &b.err);
    struct graph *back = read_bytes(&b, file, NULL);
    if (!op_registry.find("Identity")) SKIP("no operator Identity");
    CHECK_OK(b.err.code, &b.err);
    CHECK(back && back->n_outputs == 2 && strcmp(back->outputs[0]->name, back->outputs[1]->name) != 0);
    build_release(&b);
}

/* What one operator set and its predecessor say in different words. */
static struct value *many_words(struct graph *g, struct builder *b)
{
    struct shape s = shape_of(4, (int64_t[]){ graph_symbol(g, "N"), 3, 4, 6 });
    int64_t axis = -3, last[] = { 2, 3 }, pads[] = { 0, 0, 1, 0, 0, 0, 0, 2 }, parts[] = { 1, 2 }, sizes[] = { 10, 12 };
    struct value *x = graph_input(g, "x", DT_F32, &s, b->err);
    x = emit(b, "Softmax", ATTRS(attr_int("axis", 1)), x);
    x = emit(b, "Clip", NO_ATTRS, x, emit_scalar(b, DT_F32, 0.01), emit_scalar(b, DT_F32, 0.9));
    x = emit(b, "Dropout", NO_ATTRS, x, emit_scalar(b, DT_F32, 0.3), emit_scalar(b, DT_BOOL, 0));
    x = emit(b, "Pad", ATTRS(attr_string("mode", "constant")), x, emit_i64s(b, pads, 8), emit_scalar(b, DT_F32, 2));
    x = emit(b, "Squeeze", NO_ATTRS, emit(b, "Unsqueeze", NO_ATTRS, x, emit_i64s(b, &axis, 1)), emit_i64s(b, &axis, 1));
    struct value *in[] = { x, emit_i64s(b, parts, 2) };
    struct node *split = builder_node(b, "Split", ATTRS(attr_int("axis", -3)), in, 2, 2);
    x = emit(b, "Concat", ATTRS(attr_int("axis", -3)), split->out[1], split->out[0]);
    struct value *sum = emit(b, "ReduceSum", ATTRS(attr_int("keepdims", 1)), x, emit_i64s(b, last, 2));
    x = emit(b, "Sub", NO_ATTRS, x, emit(b, "ReduceMax", ATTRS(attr_int("keepdims", 1)), x, emit_i64s(b, last, 2)));
    x = emit(b, "Mul", NO_ATTRS, x, sum);
    struct value *all = emit(b, "Shape", ATTRS(attr_int("start", 1)), x);
    x = emit(b, "Reshape", NO_ATTRS, x,
        emit(b, "Concat", ATTRS(attr_int("axis", 0)), emit_i64s(b, (int64_t[]){ -1 }, 1), all));
    x = emit(b, "Where", NO_ATTRS, emit(b, "GreaterOrEqual", NO_ATTRS, x, emit_scalar(b, DT_F32, -1)), x, sum);
    return emit(b, "Resize", ATTRS(attr_string("mode", "linear"), attr_ints("axes", (int64_t[]){ 2, 3 }, 2)), x, NULL,
        NULL, emit_i64s(b, sizes, 2));
}

TEST(older_operator_sets_say_the_same)
{
    for (int opset = 11; opset <= 23; opset++) {
        struct onnx_build b;
        struct graph *g = fresh(&b), *back;
        struct builder make = { g, &b.err };
        struct tensor *in, *want[1], *got[1];
        struct format_file file = { .path = "nowhere" };
        struct proto_message m;
        CHECK_OK(graph_output(g, many_words(g, &make), &b.err), &b.err);
        CHECK_OK(graph_tidy(g, &b.err), &b.err);
        CHECK_OK(
            onnx_write(g, &b.arena, &(struct onnx_write_options){ .opset = opset }, &m, &b.report, &b.err), &b.err);
        CHECK_OK(proto_bytes(&m, &b.arena, &file.bytes, &b.err), &b.err);
        file.blob = blob_wrap(b.arena.mem, file.bytes.data, file.bytes.len, NULL, NULL);
        CHECK(file.blob && !blob_adopt(&b.arena, file.blob));
        CHECK_OK(format_read_file(&b.arena, &file, format_find("onnx"), NULL, &back, &b.report, &b.err), &b.err);
        struct shape s = shape_of(4, (int64_t[]){ 2, 3, 4, 6 });
        in = tensor_new(&b.arena, DT_F32, &s, &b.err);
        for (int64_t i = 0; i < tensor_count(in); i++) tensor_set_f64(in, i, (double)(i * 37 % 19) / 7);
        CHECK_OK(graph_interpret(g, &in, want, &b.arena, NULL, &b.err), &b.err);
        CHECK_OK(graph_interpret(back, &in, got, &b.arena, NULL, &b.err), &b.err);
        CHECK(shape_equal(&want[0]->shape, &got[0]->shape));
        for (int64_t i = 0; i < tensor_count(want[0]); i++)
            if (fabs(tensor_get_f64(want[0], i) - tensor_get_f64(got[0], i)) > 1e-6)
                TAP_FAIL("operator set %d: element %lld differs", opset, (long long)i);
        build_release(&b);
    }
}

TEST(what_the_tenth_cannot_say_is_named)
{
    struct onnx_build b;
    struct graph *g = fresh(&b);
    struct builder make = { g, &b.err };
    struct proto_message m;
    CHECK_OK(graph_output(g, many_words(g, &make), &b.err), &b.err);
    CHECK_OK(graph_tidy(g, &b.err), &b.err);
    CHECK_INT(
        onnx_write(g, &b.arena, &(struct onnx_write_options){ .opset = 10 }, &m, &b.report, &b.err), ERR_UNSUPPORTED);
    CHECK(strstr(b.err.text, "operator set 10 cannot say") && strstr(b.err.text, "11 is the lowest"));
    build_release(&b);
}
