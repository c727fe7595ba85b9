/* unary.h - an element-wise function of one input and its derivative, one expression each, as two
 * operators: F and FGrad.
 *
 * UNARY(Exp, Y, exp(x), y) gives the functions of the rows UNARY_ROWS(Exp, ...): the value in terms of x
 * and the parameters p, the slope in terms of what the gradient reads: x, or (when that is enough) y, so
 * that only one of them has to be kept until the backward pass. Parameters are the attributes in the order
 * of their table; a string attribute is 0 when it has its default, else 1. */
#ifndef TENREC_OPS_UNARY_H
#define TENREC_OPS_UNARY_H

#include "graph/op.h"
#include "ops/elementwise.h"

enum unary_reads { READS_X, READS_Y };

/* The node's attributes as p, in the order of the operator's table. */
enum { UNARY_PARAMETERS = 8 };
void unary_parameters(const struct node *n, double *p);
int unary_run(const struct step *s, const struct elementwise *m, struct err *e);
int unary_infer_grad(struct node *n, struct err *e);
/* Emits `op`(dy, x or y) with the node's attributes. */
int unary_grad(struct grad *g, const char *op, enum unary_reads reads);

/* `int_form`: .i = and .u = forms, or .i = NULL. */
#define UNARY_FORMS(name, reads, value, slope, ...) \
    MAP1(name##_f, double, value) \
    static int name##_run(const struct step *s, struct err *e) \
    { \
        return unary_run(s, &(struct elementwise){ .f = name##_f, __VA_ARGS__ }, e); \
    } \
    static void name##_slope(int64_t n, const double *const *in, double *out, const double *p) \
    { \
        for (int64_t i = 0; i < n; i++) { \
            double x = in[1][i], y = x; \
            (void)x, (void)y; \
            out[i] = in[0][i] * (slope); \
        } \
    } \
    static int name##_grad_run(const struct step *s, struct err *e) \
    { \
        return unary_run(s, &(struct elementwise){ .f = name##_slope }, e); \
    } \
    static int name##_grad(struct grad *g) \
    { \
        return unary_grad(g, #name "Grad", READS_##reads); \
    }
#define UNARY(name, reads, value, slope) UNARY_FORMS(name, reads, value, slope, .i = NULL)

/* `mark`: domain of the samples (tests/ops/problem.h). Further members of the forward row may follow. */
#define UNARY_ROWS(id, mark, inference, attributes, help, ...) \
    { .name = #id, \
        .doc = help, \
        .min_in = 1, \
        .max_in = 1, \
        .min_out = 1, \
        .max_out = 1, \
        .attrs = attributes, \
        .infer = inference, \
        .run = id##_run, \
        .grad = id##_grad, \
        .samples = "f32" mark "[2,3,5]; f64" mark "[]; f16" mark "[7]", \
        .flags = OP_INPLACE __VA_ARGS__ }, \
    { \
        .name = #id "Grad", .doc = "gradient of " #id ": of dy, and of its input or output", .min_in = 2, .max_in = 2, \
        .min_out = 1, .max_out = 1, .flags = OP_INPLACE | OP_OWN | OP_TRAINING_ONLY, .attrs = attributes, \
        .infer = unary_infer_grad, .run = id##_grad_run, \
        .samples = "f32[2,3,5] f32" mark "[2,3,5]; f64[] f64" mark "[]" \
    }

#endif
