/* graph.c - tests of src/graph and of the element-wise loop of src/ops. */
#include "tap.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "graph/builder.h"
#include "ops/kernel.h"
#include "ops/registry.h"

TEST(half_conversion_round_trips)
{
    for (unsigned h = 0; h < 65536; h++) {
        float f = half_to_float((uint16_t)h);
        if (f != f) continue;
        if (float_to_half(f) != h) TAP_FAIL("half %x becomes %x", h, float_to_half(f));
    }
    CHECK_INT(float_to_half(65519.996f), 0x7bff);
    CHECK_INT(float_to_half(65520.0f), 0x7c00);
    CHECK_INT(float_to_half(0x1.002p0f), 0x3c00); /* a tie goes to even */
    CHECK_INT(float_to_half(0x1.006p0f), 0x3c02);
}

TEST(small_floats_round_trip)
{
    enum dtype types[] = { DT_BF16, DT_F8E4M3FN, DT_F8E4M3FNUZ, DT_F8E5M2, DT_F8E5M2FNUZ };
    for (int t = 0; t < 5; t++)
        for (unsigned code = 0; code < (dtype_size(types[t]) == 2 ? 65536u : 256u); code++) {
            uint16_t in = (uint16_t)code, out = 0;
            double v;
            load_f64(types[t], &in, 1, &v);
            if (!isfinite(v)) continue;
            store_f64(types[t], &out, 1, &v);
            if (in != out) TAP_FAIL("%s %x becomes %x", dtype_name(types[t]), in, out);
        }
}

TEST(broadcast_of_shapes)
{
    struct shape a = shape_of(3, (int64_t[]){ 2, 1, DIM_SYMBOL(0) }), b = shape_of(2, (int64_t[]){ 5, 1 }), s;
    CHECK(shape_broadcast(&a, &b, &s));
    CHECK_INT(s.dim[1], 5);
    CHECK_INT(s.dim[2], DIM_SYMBOL(0));
    b.dim[1] = 4, a.dim[2] = 3;
    CHECK(!shape_broadcast(&a, &b, &s));
}

static struct graph *fresh(struct arena *a, struct err *e)
{
    arena_init(a, NULL);
    return graph_new(a, &op_registry, "g", e);
}

TEST(alias_keeps_the_output_name)
{
    struct arena a;
    struct err e = { 0 };
    struct graph *g = fresh(&a, &e);
    struct builder b = { g, &e };
    struct shape s = shape_of(2, (int64_t[]){ graph_symbol(g, "N"), 3 });
    struct value *x = graph_input(g, "x", DT_F32, &s, &e);
    struct value *y = emit(&b, "Relu", NO_ATTRS, x), *z = emit(&b, "Relu", NO_ATTRS, y);
    CHECK_OK(graph_rename(g, z, "probs", &e), &e);
    CHECK_OK(graph_output(g, z, &e), &e);
    graph_alias(z, y);
    CHECK_OK(graph_tidy(g, &e), &e);
    CHECK_OK(graph_verify(g, &e), &e);
    CHECK_INT(g->n_nodes, 1);
    CHECK_STR(g->outputs[0]->name, "probs");
    struct arena other;
    arena_init(&other, NULL);
    struct graph *c = graph_copy(g, &other, &e);
    arena_release(&a);
    CHECK(c && !graph_verify(c, &e));
    struct str text = str_in(&other);
    graph_print(c, &text);
    CHECK_STR(str_done(&text), "graph g\n  input x float32[N,3]\n  probs float32[N,3] = Relu(x)\n  output probs\n");
    arena_release(&other);
}

TEST(cycle_is_an_error)
{
    struct arena a;
    struct err e = { 0 };
    struct graph *g = fresh(&a, &e);
    struct builder b = { g, &e };
    struct shape s = shape_of(1, (int64_t[]){ 3 });
    struct value *y = emit(&b, "Relu", NO_ATTRS, graph_input(g, "x", DT_F32, &s, &e));
    struct value *z = emit(&b, "Relu", NO_ATTRS, y);
    y->node->in[0] = z;
    graph_output(g, z, &e);
    CHECK_INT(graph_tidy(g, &e), ERR_MODEL);
    arena_release(&a);
}

TEST(builder_errors_are_sticky_and_name_the_node)
{
    struct arena a;
    struct err e = { 0 };
    struct graph *g = fresh(&a, &e);
    struct builder b = { g, &e, .where = "line 3" };
    struct shape s = shape_of(1, (int64_t[]){ 3 });
    struct value *x = graph_input(g, "x", DT_F32, &s, &e);
    b.name = "act";
    CHECK(!emit(&b, "Relu", ATTRS(attr_int("axs", 1)), x));
    CHECK(!emit(&b, "Relu", NO_ATTRS, x));
    CHECK_STR(e.text, "act (Relu) at line 3: unknown attribute \"axs\"");
    arena_release(&a);
}

TEST(eval_broadcasts)
{
    struct arena a;
    struct err e = { 0 };
    struct graph *g = fresh(&a, &e);
    struct builder b = { g, &e };
    struct shape s = shape_of(2, (int64_t[]){ 2, 3 });
    struct tensor *x = tensor_new(&a, DT_F32, &s, &e), *y;
    for (int i = 0; i < 6; i++) tensor_set_f64(x, i, i - 2.5);
    struct value *v = emit(&b, "Relu", NO_ATTRS, emit_const(&b, x));
    CHECK_OK(op_eval(v->node, &x, &y, &a, 1, &e), &e);
    CHECK_NEAR(tensor_get_f64(y, 5), 2.5, 0);
    CHECK_NEAR(tensor_get_f64(y, 0), 0, 0);
    arena_release(&a);
}

/* A node whose subgraph reads two values, one of which depends on the other. */
TEST(captured_values_come_first_and_are_no_cycle)
{
    static const struct attr_spec attrs[] = { { "body", ATTR_GRAPH, ATTR_REQUIRED }, { 0 } };
    static const struct op holder = { .name = "Holder", .max_in = 0, .min_out = 1, .max_out = 1, .attrs = attrs };
    struct arena a;
    struct err e = { 0 };
    struct graph *g = fresh(&a, &e), *body = graph_new(&a, &op_registry, "body", &e);
    struct builder b = { g, &e }, inner = { body, &e };
    struct shape s = shape_of(1, (int64_t[]){ 3 });
    struct value *y = emit(&b, "Relu", NO_ATTRS, graph_input(g, "x", DT_F32, &s, &e));
    struct value *z = emit(&b, "Relu", NO_ATTRS, y);
    body->outer = g;
    struct value *p = emit(&inner, "Relu", NO_ATTRS, y), *q = emit(&inner, "Relu", NO_ATTRS, z);
    graph_output(body, p, &e);
    graph_output(body, q, &e);
    struct node *n = graph_node(g, &holder, "h", ATTRS(attr_graph("body", body)), NULL, 0, 1, &e);
    graph_output(g, n->out[0], &e);
    struct node *first = g->nodes[0];
    g->nodes[0] = n, g->nodes[2] = first; /* against their order */
    CHECK_OK(graph_tidy(g, &e), &e);
    CHECK_OK(graph_verify(g, &e), &e);
    CHECK_INT(g->n_nodes, 3);
    arena_release(&a);
}
