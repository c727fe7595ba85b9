/* recurrent.h - one recurrence over a sequence: what it is given and what it gives, whichever way it is computed. */
#ifndef TENREC_FORMAT_KERAS_RECURRENT_H
#define TENREC_FORMAT_KERAS_RECURRENT_H

#include "format/keras/keras.h"

struct cell {
    const char *class_name; /* the beginning of the layer's and the cell's */
    const char *onnx;
    int gates, states;
    int order[4]; /* ONNX's gates by their place in Keras' */
    bool fused;   /* CuDNN's own layout of weights */
    int axes;     /* spatial ones: of a recurrence by convolutions */
};

struct recurrence {
    const struct cell *cell;
    bool reverse;
    bool zeros;                   /* a step that does not count gives zeros, not what was given before */
    struct value *x, *mask;       /* (N, T, I), of convolutions (N, T, .. as Keras has it); (N, T) */
    struct value *initial[2];     /* (N, U) */
    struct value *y;              /* (N, T, U), by the time of the input */
    struct value *last[2];        /* (N, U) */
};

/* recur_steps.c: the steps one after the other, for what ONNX's recurrent operators cannot say: convolutions, and
 * activations that are not theirs. The number of steps must be known. `c` has the cell's layer and config. */
bool recur_by_steps(struct call *c, struct recurrence *r);

#endif
