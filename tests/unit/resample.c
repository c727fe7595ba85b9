/* resample.c - tests of Resize, GridSample, Einsum, MaxUnpool and the recurrent layers on cases checked by hand. */
#include "tap.h"

#include "unit/one_node.h"

static void check_refused(struct one_node *o, const char *op, const struct attr *attrs, int code, const char *text)
{
    CHECK_INT(one_run(o, op, attrs, 1), code);
    if (!strstr(o->e.text, text)) TAP_FAIL("\"%s\" does not say \"%s\"", o->e.text, text);
    arena_release(&o->a);
}

TEST(bad_resampling_is_refused)
{
    struct one_node o;
    one_start(&o), one_in(&o, DT_F32, DIMS(1, 4), NULL);
    check_refused(&o, "Resize", NO_ATTRS, ERR_SHAPE, "expected either scales or sizes");
    one_start(&o), one_in(&o, DT_F32, DIMS(1, 4), NULL), one_absent(&o), one_in(&o, DT_F32, DIMS(1), VALUES(2));
    check_refused(&o, "Resize", NO_ATTRS, ERR_SHAPE, "scales has 1 entries, expected 2");
    one_start(&o), one_in(&o, DT_F32, DIMS(1, 4), NULL), one_absent(&o), one_in(&o, DT_F32, DIMS(2), VALUES(1, -2));
    check_refused(&o, "Resize", NO_ATTRS, ERR_SHAPE, "scale 1 is -2");
    one_start(&o), one_in(&o, DT_F32, DIMS(1, 4), NULL), one_absent(&o), one_in(&o, DT_F32, DIMS(2), VALUES(1, 2));
    check_refused(&o, "Resize", ATTRS(attr_string("mode", "bilinear")), ERR_SHAPE, "mode is \"bilinear\"");
    one_start(&o), one_in(&o, DT_F32, DIMS(1, 1, 2, 2), NULL), one_in(&o, DT_F32, DIMS(1, 2, 2, 3), NULL);
    check_refused(&o, "GridSample", NO_ATTRS, ERR_SHAPE, "3 coordinates, expected 2");
    one_start(&o), one_in(&o, DT_F32, DIMS(2, 3), NULL), one_in(&o, DT_F32, DIMS(2, 3), NULL);
    check_refused(&o, "Einsum", ATTRS(attr_string("equation", "ij,jk->ik")), ERR_SHAPE, "different sizes");
    one_start(&o), one_in(&o, DT_F32, DIMS(1, 1, 1), NULL), one_in(&o, DT_I64, DIMS(1, 1, 1), VALUES(2));
    check_refused(&o, "MaxUnpool", ATTRS(INTS("kernel_shape", 2)), ERR_DATA, "index 2 at position 0");
}

TEST(bad_recurrent_layers_are_refused)
{
    struct one_node o;
    for (int wrong = 0; wrong < 3; wrong++) {
        one_start(&o);
        one_in(&o, DT_F32, DIMS(2, 1, 3), NULL);
        one_in(&o, DT_F32, DIMS(1, wrong ? 8 : 9, 3), NULL);
        one_in(&o, DT_F32, DIMS(1, 8, 2), NULL);
        one_absent(&o);
        one_in(&o, DT_I32, DIMS(1), VALUES(wrong == 1 ? 3 : 2));
        const char *const words[] = { "W (input 1) has shape [1,9,3], expected [1,8,3]",
            "sequence_lens[0] is 3, the input has 2 steps", "activation \"Sinh\" is not known" };
        const char *const names[] = { "Sigmoid", "Sinh", "Tanh" };
        struct attr list = { .name = "activations", .type = ATTR_STRINGS, .n = 3, .strings = names };
        const struct attr *attrs = wrong == 2 ? ATTRS(list) : NO_ATTRS;
        static const int codes[] = { ERR_SHAPE, ERR_DATA, ERR_UNSUPPORTED };
        check_refused(&o, "LSTM", attrs, codes[wrong], words[wrong]);
    }
}

TEST(resizing)
{
    struct one_node o;
    one_start(&o);
    one_in(&o, DT_F32, DIMS(1, 2), VALUES(0, 4));
    one_absent(&o);
    one_in(&o, DT_F32, DIMS(2), VALUES(1, 2));
    one_run(&o, "Resize", ATTRS(attr_string("mode", "linear")), 1);
    CHECK_OUT(&o, 0, 0, DIMS(1, 4), 0, 1, 3, 4);
    arena_release(&o.a);
    one_start(&o);
    one_in(&o, DT_F32, DIMS(2, 4), NULL);
    one_absent(&o);
    one_absent(&o);
    one_in(&o, DT_I64, DIMS(1), VALUES(2));
    one_run(&o, "Resize", ATTRS(attr_string("mode", "linear"), attr_int("antialias", 1), INTS("axes", 1)), 1);
    CHECK_OUT(&o, 0, 1e-6, DIMS(2, 2), 0.625, 2.375, 4.625, 6.375); /* (1 3 3 1) / 8, the edge counted twice */
    arena_release(&o.a);
}

TEST(a_scale_in_float_reaches_the_integer)
{
    struct one_node o;
    one_start(&o);
    one_in(&o, DT_F32, DIMS(10), NULL);
    one_absent(&o);
    one_in(&o, DT_F32, DIMS(1), VALUES(0.7));
    one_run(&o, "Resize",
        ATTRS(attr_string("coordinate_transformation_mode", "asymmetric"), attr_string("nearest_mode", "floor")), 1);
    CHECK_OUT(&o, 0, 0, DIMS(7), 0, 1, 2, 4, 5, 7, 8);
    arena_release(&o.a);
}

TEST(sampling_between_and_outside)
{
    struct one_node o;
    one_start(&o); /* the middle; half an element before the first centre; outside */
    one_in(&o, DT_F32, DIMS(1, 1, 2, 2), VALUES(1, 2, 3, 4));
    one_in(&o, DT_F32, DIMS(1, 1, 3, 2), VALUES(0, 0, -1, -0.5, 5, 5));
    one_run(&o, "GridSample", NO_ATTRS, 1);
    CHECK_OUT(&o, 0, 0, DIMS(1, 1, 1, 3), 2.5, 0.5, 0);
    arena_release(&o.a);
}

TEST(einsum_takes_diagonals_and_sums)
{
    struct one_node o;
    one_start(&o);
    one_in(&o, DT_F32, DIMS(2, 3, 3), NULL);
    one_in(&o, DT_F32, DIMS(2), VALUES(1, 10));
    one_run(&o, "Einsum", ATTRS(attr_string("equation", "bii,b->i")), 1);
    CHECK_OUT(&o, 0, 0, DIMS(3), 90, 134, 178);
    arena_release(&o.a);
}

/* With weights 0 every gate is 1/2 or 0: c halves, h = tanh(c) / 2; a row that ends early keeps its state. */
TEST(an_lstm_forgets)
{
    struct one_node o;
    one_start(&o);
    one_in(&o, DT_F64, DIMS(2, 2, 1), NULL);
    one_in(&o, DT_F64, DIMS(1, 4, 1), VALUES(0, 0, 0, 0));
    one_in(&o, DT_F64, DIMS(1, 4, 1), VALUES(0, 0, 0, 0));
    one_absent(&o);
    one_in(&o, DT_I32, DIMS(2), VALUES(2, 1));
    one_absent(&o);
    one_in(&o, DT_F64, DIMS(1, 2, 1), VALUES(4, 8));
    one_run(&o, "LSTM", ATTRS(attr_int("hidden_size", 1)), 3);
    CHECK_OUT(&o, 0, 1e-12, DIMS(2, 1, 2, 1), tanh(2) / 2, tanh(4) / 2, tanh(1) / 2, 0);
    CHECK_OUT(&o, 1, 1e-12, DIMS(1, 2, 1), tanh(1) / 2, tanh(4) / 2);
    CHECK_OUT(&o, 2, 1e-12, DIMS(1, 2, 1), 1, 4);
    arena_release(&o.a);
}
