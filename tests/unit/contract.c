/* contract.c - tests of convolutions, products and poolings on cases small enough to check by hand. */
#include "tap.h"

#include "unit/one_node.h"

/* The operator must refuse the node with this text in its words. */
static void check_refused(struct one_node *o, const char *op, const struct attr *attrs, const char *text)
{
    CHECK(one_run(o, op, attrs, 1) < 0);
    if (!strstr(o->e.text, text)) TAP_FAIL("\"%s\" does not say \"%s\"", o->e.text, text);
    arena_release(&o->a);
}

TEST(bad_convolutions_are_refused)
{
    struct one_node o;
    one_start(&o), one_in(&o, DT_F32, DIMS(1, 3, 5, 5), NULL), one_in(&o, DT_F32, DIMS(2, 4, 3, 3), NULL);
    check_refused(&o, "Conv", NO_ATTRS, "the input has 3 channels, the weight is for 4");
    one_start(&o), one_in(&o, DT_F32, DIMS(1, 4, 5, 5), NULL), one_in(&o, DT_F32, DIMS(3, 2, 3, 3), NULL);
    check_refused(&o, "Conv", ATTRS(attr_int("group", 2)), "3 channels do not divide into 2 groups");
    one_start(&o), one_in(&o, DT_F32, DIMS(1, 1, 2, 2), NULL), one_in(&o, DT_F32, DIMS(1, 1, 3, 3), NULL);
    check_refused(&o, "Conv", NO_ATTRS, "the window reaches over 3 elements, the padded input has 2");
    one_start(&o), one_in(&o, DT_F32, DIMS(1, 1, 5, 5), NULL), one_in(&o, DT_F32, DIMS(1, 1, 3, 3), NULL);
    check_refused(&o, "Conv", ATTRS(INTS("strides", 0, 1)), "strides holds 0");
    one_start(&o), one_in(&o, DT_F32, DIMS(1, 1, 5, 5), NULL), one_in(&o, DT_F32, DIMS(1, 1, 3, 3), NULL);
    check_refused(&o, "Conv", ATTRS(INTS("pads", 1, 1)), "pads has 2 entries, expected 4");
    one_start(&o), one_in(&o, DT_F32, DIMS(1, 1, 5, 5), NULL), one_in(&o, DT_F32, DIMS(1, 1, 3, 3), NULL);
    check_refused(&o, "Conv", ATTRS(attr_string("auto_pad", "SAME")), "auto_pad is \"SAME\"");
    one_start(&o), one_in(&o, DT_F32, DIMS(1, 1, 5), NULL), one_in(&o, DT_F32, DIMS(1, 1, 3, 3), NULL);
    check_refused(&o, "Conv", NO_ATTRS, "the weight has rank 4, the input has 3");
    one_start(&o), one_in(&o, DT_I32, DIMS(1, 1, 5), NULL), one_in(&o, DT_I32, DIMS(1, 1, 3), NULL);
    check_refused(&o, "Conv", NO_ATTRS, "convolutions take floats");
    one_start(&o), one_in(&o, DT_F32, DIMS(1, 1, 5), NULL), one_in(&o, DT_F32, DIMS(1, 1, 3), NULL);
    one_in(&o, DT_F32, DIMS(2), NULL);
    check_refused(&o, "Conv", NO_ATTRS, "the bias has 2 elements, the output 1 channels");
}

TEST(bad_products_and_poolings_are_refused)
{
    struct one_node o;
    one_start(&o), one_in(&o, DT_F32, DIMS(2, 3), NULL), one_in(&o, DT_F32, DIMS(2, 3), NULL);
    check_refused(&o, "MatMul", NO_ATTRS, "the left matrix has 3 columns, the right one 2 rows");
    one_start(&o), one_in(&o, DT_F32, DIMS(2, 2, 3), NULL), one_in(&o, DT_F32, DIMS(3, 3, 2), NULL);
    check_refused(&o, "MatMul", NO_ATTRS, "cannot be broadcast");
    one_start(&o), one_in(&o, DT_F32, DIMS(2, 3), NULL), one_in(&o, DT_F64, DIMS(3, 2), NULL);
    check_refused(&o, "MatMul", NO_ATTRS, "float64");
    one_start(&o), one_in(&o, DT_F32, DIMS(2, 3), NULL), one_in(&o, DT_F32, DIMS(3, 4), NULL);
    one_in(&o, DT_F32, DIMS(3), NULL);
    check_refused(&o, "Gemm", NO_ATTRS, "cannot be broadcast to the product");
    one_start(&o), one_in(&o, DT_F32, DIMS(1, 1, 4, 4), NULL);
    check_refused(&o, "MaxPool", NO_ATTRS, "attribute \"kernel_shape\" is missing");
    one_start(&o), one_in(&o, DT_F32, DIMS(1, 1, 4, 4), NULL);
    check_refused(&o, "MaxPool", ATTRS(INTS("kernel_shape", 2)), "kernel_shape has 1 entries");
    one_start(&o), one_in(&o, DT_F32, DIMS(1, 1, 4), NULL);
    check_refused(&o, "AdaptiveAveragePool", ATTRS(INTS("output_size", 2, 2)), "output_size has 2 entries");
    one_start(&o), one_in(&o, DT_F32, DIMS(1, 1, 0), NULL);
    check_refused(&o, "GlobalAveragePool", NO_ATTRS, "empty");
}

TEST(convolution_with_padding_and_stride)
{
    struct one_node o;
    one_start(&o);
    one_in(&o, DT_F32, DIMS(1, 1, 3, 3), NULL); /* 0 1 2 / 3 4 5 / 6 7 8 */
    one_in(&o, DT_F32, DIMS(1, 1, 2, 2), VALUES(1, 10, 100, 1000));
    one_in(&o, DT_F32, DIMS(1), VALUES(0.5));
    one_run(&o, "Conv", ATTRS(INTS("pads", 1, 0, 0, 0), INTS("strides", 2, 1)), 1);
    CHECK_OUT(&o, 0, 0, DIMS(1, 1, 2, 2), 1000.5, 2100.5, 7643.5, 8754.5);
    arena_release(&o.a);
}

TEST(same_padding_puts_the_odd_element_where_it_says)
{
    struct one_node o;
    for (int lower = 0; lower < 2; lower++) {
        one_start(&o);
        one_in(&o, DT_F32, DIMS(1, 1, 4), VALUES(1, 2, 3, 4));
        one_in(&o, DT_F32, DIMS(1, 1, 2), VALUES(1, 10));
        one_run(&o, "Conv", ATTRS(attr_string("auto_pad", lower ? "SAME_LOWER" : "SAME_UPPER")), 1);
        if (lower) CHECK_OUT(&o, 0, 0, DIMS(1, 1, 4), 10, 21, 32, 43);
        else CHECK_OUT(&o, 0, 0, DIMS(1, 1, 4), 21, 32, 43, 4);
        arena_release(&o.a);
    }
}

TEST(transposed_convolution_spreads)
{
    struct one_node o;
    one_start(&o);
    one_in(&o, DT_F32, DIMS(1, 1, 2), VALUES(1, 2));
    one_in(&o, DT_F32, DIMS(1, 2, 3), VALUES(1, 10, 100, -1, 0, 0));
    one_run(&o, "ConvTranspose", ATTRS(INTS("strides", 2), INTS("pads", 1, 0), INTS("output_padding", 1)), 1);
    CHECK_OUT(&o, 0, 0, DIMS(1, 2, 5), 10, 102, 20, 200, 0, 0, -2, 0, 0, 0);
    arena_release(&o.a);
}

TEST(gradients_of_a_convolution)
{
    struct one_node o;
    one_start(&o); /* y[i] = x[2 i] w0 + x[2 i + 1] w1 */
    one_in(&o, DT_F32, DIMS(1, 1, 2), VALUES(1, 10));
    one_in(&o, DT_F32, DIMS(1, 1, 2), VALUES(3, 4));
    one_in(&o, DT_F32, DIMS(1, 1, 5), NULL);
    one_run(&o, "ConvGradInput", ATTRS(INTS("strides", 2)), 1);
    CHECK_OUT(&o, 0, 0, DIMS(1, 1, 5), 3, 4, 30, 40, 0);
    arena_release(&o.a);
    one_start(&o);
    one_in(&o, DT_F32, DIMS(1, 1, 2), VALUES(1, 10));
    one_in(&o, DT_F32, DIMS(1, 1, 5), NULL);
    one_in(&o, DT_F32, DIMS(1, 1, 2), NULL);
    one_run(&o, "ConvGradWeight", ATTRS(INTS("strides", 2)), 1);
    CHECK_OUT(&o, 0, 0, DIMS(1, 1, 2), 20, 31);
    arena_release(&o.a);
}

TEST(symbols_pass_through_a_same_convolution)
{
    struct one_node o;
    one_start(&o);
    int64_t n = graph_symbol(o.g, "N"), h = graph_symbol(o.g, "H");
    struct shape s = shape_of(4, (int64_t[]){ n, 3, h, 9 }), w = shape_of(4, (int64_t[]){ 4, 3, 3, 3 });
    struct value *x = graph_input(o.g, "x", DT_F32, &s, &o.e), *k = graph_input(o.g, "w", DT_F32, &w, &o.e);
    struct value *y = emit(&o.b, "Conv", ATTRS(INTS("pads", 1, 0, 1, 0)), x, k);
    CHECK_OK(o.e.code, &o.e);
    CHECK_INT(y->shape.dim[0], n);
    CHECK_INT(y->shape.dim[1], 4);
    CHECK_INT(y->shape.dim[2], h);
    CHECK_INT(y->shape.dim[3], 7);
    arena_release(&o.a);
}

TEST(products_broadcast_and_wrap)
{
    struct one_node o;
    one_start(&o);
    one_in(&o, DT_I32, DIMS(2, 1, 2), VALUES(1, 2, 3, 65536));
    one_in(&o, DT_I32, DIMS(2), VALUES(10, 65536));
    one_run(&o, "MatMul", NO_ATTRS, 1);
    CHECK_OUT(&o, 0, 0, DIMS(2, 1), 131082, 30);
    arena_release(&o.a);
    one_start(&o);
    one_in(&o, DT_F16, DIMS(2, 2), VALUES(1, 2, 3, 4));
    one_in(&o, DT_F16, DIMS(3, 2), VALUES(1, 0, 0, 1, 1, 1));
    one_in(&o, DT_F16, DIMS(2, 1), VALUES(1, 2));
    one_run(&o, "Gemm",
        ATTRS(attr_int("transA", 1), attr_int("transB", 1), attr_float("alpha", 2), attr_float("beta", 10)), 1);
    CHECK_OUT(&o, 0, 0, DIMS(2, 3), 12, 16, 18, 24, 28, 32);
    arena_release(&o.a);
}

TEST(poolings)
{
    struct one_node o;
    one_start(&o);
    one_in(&o, DT_F32, DIMS(1, 1, 3, 3), VALUES(1, 5, 5, 2, 0, 3, 7, 7, -1));
    one_run(&o, "MaxPool", ATTRS(INTS("kernel_shape", 2, 2), attr_int("storage_order", 1)), 2);
    CHECK_OUT(&o, 0, 0, DIMS(1, 1, 2, 2), 5, 5, 7, 7);
    CHECK_OUT(&o, 1, 0, DIMS(1, 1, 2, 2), 3, 3, 2, 5);
    arena_release(&o.a);
    one_start(&o); /* sizes 0, 1, 2, 3: the third window hangs over the end and counts what is there */
    one_in(&o, DT_F32, DIMS(1, 1, 4), NULL);
    one_run(&o, "AveragePool",
        ATTRS(INTS("kernel_shape", 3), INTS("strides", 2), INTS("pads", 1, 0), attr_int("ceil_mode", 1),
            attr_int("count_include_pad", 1)),
        1);
    CHECK_OUT(&o, 0, 1e-6, DIMS(1, 1, 2), 1 / 3., 2);
    arena_release(&o.a);
    one_start(&o);
    one_in(&o, DT_F32, DIMS(1, 1, 5), NULL);
    one_run(&o, "AdaptiveAveragePool", ATTRS(INTS("output_size", 2)), 1);
    CHECK_OUT(&o, 0, 0, DIMS(1, 1, 2), 1, 3);
    arena_release(&o.a);
}

TEST(a_pooling_window_that_would_start_behind_the_end_is_dropped)
{
    struct one_node o;
    one_start(&o);
    one_in(&o, DT_F32, DIMS(1, 1, 4), NULL);
    one_run(&o, "MaxPool", ATTRS(INTS("kernel_shape", 1), INTS("strides", 3), attr_int("ceil_mode", 1)), 1);
    CHECK_OUT(&o, 0, 0, DIMS(1, 1, 2), 0, 3);
    arena_release(&o.a);
    one_start(&o);
    one_in(&o, DT_F32, DIMS(1, 1, 3), NULL);
    one_run(&o, "MaxPool", ATTRS(INTS("kernel_shape", 1), INTS("strides", 3), attr_int("ceil_mode", 1)), 1);
    CHECK_OUT(&o, 0, 0, DIMS(1, 1, 1), 0);
    arena_release(&o.a);
}
