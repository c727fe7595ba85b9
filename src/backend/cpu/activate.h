/* activate.h - what follows a convolution of ours while its results are still near. */
#ifndef TENREC_BACKEND_CPU_ACTIVATE_H
#define TENREC_BACKEND_CPU_ACTIVATE_H

#include "backend/cpu/functions.h"

enum activation_kind { ACTIVATE_NONE, ACTIVATE_RELU, ACTIVATE_LEAKY, ACTIVATE_SWISH, ACTIVATE_SIGMOID, ACTIVATE_CLIP };
struct activation {
    enum activation_kind kind;
    float alpha, beta;
};

/* A FusedConv's; of others none. ERR_UNSUPPORTED: not of the list above. */
int activation_of(const struct node *n, struct activation *a, struct err *e);

#define ACTIVATION(name, expression) \
    INLINE void name(float *v, int64_t side, float alpha, float beta) \
    { \
        for (int64_t l = 0; l < side; l++) { \
            float x = v[l]; \
            v[l] = expression; \
        } \
    }
ACTIVATION(activate_relu, x < 0 ? 0 : x)
ACTIVATION(activate_leaky, x < 0 ? alpha * x : x)
ACTIVATION(activate_swish, x *fast_sigmoid(alpha *x))
ACTIVATION(activate_sigmoid, fast_sigmoid(x))
ACTIVATION(activate_low, x < alpha ? alpha : x)
ACTIVATION(activate_high, x > beta ? beta : x)
#undef ACTIVATION

/* `side` numbers, in place. */
INLINE void activate(const struct activation *a, float *v, int64_t side)
{
    if (a->kind == ACTIVATE_RELU) activate_relu(v, side, 0, 0);
    else if (a->kind == ACTIVATE_LEAKY) activate_leaky(v, side, a->alpha, 0);
    else if (a->kind == ACTIVATE_SWISH) activate_swish(v, side, a->alpha, 0);
    else if (a->kind == ACTIVATE_SIGMOID) activate_sigmoid(v, side, 0, 0);
    else if (a->kind == ACTIVATE_CLIP) activate_low(v, side, a->alpha, 0), activate_high(v, side, 0, a->beta);
}

#endif
