/* step.h - one training step as one graph: forward, loss, backward and update, planned together.
 *
 *   inputs: the model's, then "target", then "lr" (float32 scalar)
 *   outputs: "loss" (scalar), "finite" (bool scalar), then, when asked for, "grad/NAME" of every trained parameter
 *   states: the model's; "step" (int64, updates done so far); "momentum/NAME"
 *
 * When a gradient or the loss is not finite, no state changes at all: a NaN step harms nothing.
 */
#ifndef TENREC_TRAIN_STEP_H
#define TENREC_TRAIN_STEP_H

#include <stdbool.h>

#include "graph/graph.h"

enum train_loss {
    LOSS_CROSS_ENTROPY, /* target: class indices int64, (N) or (N, d1, ...); mean over the targets */
    LOSS_MSE            /* target: as the output; mean over all elements */
};

struct train_step_options {
    enum train_loss loss;
    size_t output; /* which output of the model the loss looks at */
    double momentum, dampening, weight_decay;
    bool nesterov;
    bool biased;       /* running variances as ONNX defines them, not as PyTorch */
    bool frozen_stats; /* BatchNormalization keeps its running statistics and uses them */
    bool show_gradients;
};

/* The step of a model graph (which stays as it is), in arena `a`. PyTorch's SGD: d = grad + weight_decay * p;
 * buf = momentum * buf + (1 - dampening) * d (buf = d in the first step); p -= lr * (nesterov ? d + momentum * buf
 * : buf).
 * Errors: ERR_UNSUPPORTED naming the node without a gradient. */
struct graph *train_step_new(
    const struct graph *model, const struct train_step_options *o, struct arena *a, struct err *e);

#endif
