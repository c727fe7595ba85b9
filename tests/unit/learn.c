/* learn.c - tests of losses and of the updates of parameters on cases small enough to check by hand. */
#include "tap.h"

#include "unit/one_node.h"

TEST(a_label_that_is_no_class_is_an_error)
{
    struct one_node o;
    one_start(&o), one_in(&o, DT_F32, DIMS(2, 3), NULL), one_in(&o, DT_I64, DIMS(2), VALUES(1, 3));
    CHECK_INT(one_run(&o, "SoftmaxCrossEntropyLoss", NO_ATTRS, 1), ERR_DATA);
    CHECK(strstr(o.e.text, "label 3 at position 1, expected 0 to 2") != NULL);
    arena_release(&o.a);
    one_start(&o), one_in(&o, DT_F32, DIMS(2, 3), NULL), one_in(&o, DT_I64, DIMS(3), NULL);
    CHECK_INT(one_run(&o, "SoftmaxCrossEntropyLoss", NO_ATTRS, 1), ERR_SHAPE);
    arena_release(&o.a);
    one_start(&o), one_in(&o, DT_F32, DIMS(2, 3), NULL), one_in(&o, DT_I64, DIMS(2), NULL);
    CHECK_INT(one_run(&o, "SoftmaxCrossEntropyLoss", ATTRS(attr_string("reduction", "avg")), 1), ERR_SHAPE);
    arena_release(&o.a);
}

TEST(cross_entropy_ignores_and_weighs)
{
    struct one_node o;
    one_start(&o);
    one_in(&o, DT_F64, DIMS(3, 2), VALUES(0, 0, 9, 9, 0, log(3)));
    one_in(&o, DT_I64, DIMS(3), VALUES(0, -100, 1));
    one_in(&o, DT_F64, DIMS(2), VALUES(1, 3));
    one_run(&o, "SoftmaxCrossEntropyLoss", ATTRS(attr_int("ignore_index", -100)), 2);
    CHECK_SCALAR(&o, 0, 1e-12, (log(2) + 3 * log(4 / 3.)) / 4);
    arena_release(&o.a);
}

/* x -= lr * g, then the buffer: at the first step it is the gradient itself, dampening or not. */
TEST(the_momentum_buffer_begins_as_the_gradient)
{
    struct one_node o;
    const struct attr *attrs = ATTRS(attr_float("momentum", 0.5), attr_float("dampening", 0.5));
    for (int step = 0; step < 2; step++) {
        one_start(&o);
        one_in(&o, DT_F64, DIMS(1), VALUES(1));
        one_in(&o, DT_F64, DIMS(1), VALUES(2));
        one_in(&o, DT_I64, 0, NULL, VALUES(step));
        one_in(&o, DT_F64, 0, NULL, VALUES(0.25));
        one_in(&o, DT_BOOL, 0, NULL, VALUES(1));
        one_in(&o, DT_F64, 0, NULL, VALUES(1));
        one_in(&o, DT_F64, DIMS(1), VALUES(4));
        one_run(&o, "SGDUpdate", attrs, 2);
        CHECK_OUT(&o, 0, 0, DIMS(1), step ? 0.25 : 0.5);
        CHECK_OUT(&o, 1, 0, DIMS(1), step ? 3 : 2);
        arena_release(&o.a);
    }
}

TEST(a_step_that_is_not_finite_changes_nothing)
{
    struct one_node o;
    one_start(&o);
    one_in(&o, DT_F32, DIMS(2), VALUES(1, 2));
    one_in(&o, DT_F32, DIMS(2), VALUES(INFINITY, 2));
    one_in(&o, DT_I64, 0, NULL, VALUES(3));
    one_in(&o, DT_F32, 0, NULL, VALUES(0.25));
    one_in(&o, DT_BOOL, 0, NULL, VALUES(0));
    one_in(&o, DT_F32, 0, NULL, VALUES(1));
    one_in(&o, DT_F32, DIMS(2), VALUES(4, 5));
    one_in(&o, DT_F32, DIMS(2), VALUES(6, 7));
    one_run(&o, "AdamUpdate", NO_ATTRS, 3);
    CHECK_OUT(&o, 0, 0, DIMS(2), 1, 2);
    CHECK_OUT(&o, 1, 0, DIMS(2), 4, 5);
    CHECK_OUT(&o, 2, 0, DIMS(2), 6, 7);
    arena_release(&o.a);
}

TEST(the_first_step_of_adam_has_the_length_of_the_rate)
{
    struct one_node o;
    for (int decoupled = 0; decoupled < 2; decoupled++) {
        one_start(&o);
        one_in(&o, DT_F64, DIMS(2), VALUES(1, 2));
        one_in(&o, DT_F64, DIMS(2), VALUES(3, -5));
        one_in(&o, DT_I64, 0, NULL, VALUES(0));
        one_in(&o, DT_F64, 0, NULL, VALUES(0.25));
        one_in(&o, DT_BOOL, 0, NULL, VALUES(1));
        one_in(&o, DT_F64, 0, NULL, VALUES(1));
        one_in(&o, DT_F64, DIMS(2), VALUES(0, 0));
        one_in(&o, DT_F64, DIMS(2), VALUES(0, 0));
        one_run(&o, "AdamUpdate",
            ATTRS(attr_float("epsilon", 0), attr_float("weight_decay", 0.5), attr_int("decoupled", decoupled)), 3);
        if (decoupled) CHECK_OUT(&o, 0, 1e-12, DIMS(2), 0.875 - 0.25, 1.75 + 0.25);
        else CHECK_OUT(&o, 0, 1e-12, DIMS(2), 0.75, 2.25);
        arena_release(&o.a);
    }
}

TEST(all_finite_sees_every_input)
{
    struct one_node o;
    for (int bad = 0; bad < 3; bad++) {
        one_start(&o);
        one_in(&o, DT_F16, DIMS(2), VALUES(1, bad == 1 ? NAN : 2));
        one_in(&o, DT_I64, DIMS(1), VALUES(1));
        one_in(&o, DT_F32, DIMS(2, 1), VALUES(1, bad == 2 ? -INFINITY : 2));
        one_run(&o, "AllFinite", NO_ATTRS, 1);
        CHECK_SCALAR(&o, 0, 0, !bad);
        arena_release(&o.a);
    }
}
