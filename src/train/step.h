/* step.h - one training step as one graph: forward, loss, backward and update, planned together.
 *
 *   inputs: the model's, then one per head ("target", "target_2" ...; with mixup also one of the samples mixed in,
 *           "mixed" ..., and behind the first of these "mix", the others' share), then "lr" (float32 scalar); when
 *           gradients are accumulated also "apply" (bool: update now) and "share" (float32: 1 / steps gathered by then)
 *   outputs: "loss" (scalar), "finite" (bool scalar), then, when asked for, "grad/NAME" of every trained parameter
 *   states: the model's; "step" (int64, updates done so far); the optimizer's ("momentum_buffer/NAME", "exp_avg/NAME"
 *           ...), "gathered/NAME" when accumulating, "average/NAME" with ema
 *
 * When a gradient or the loss is not finite, no state changes at all: a NaN step harms nothing.
 */
#ifndef TENREC_TRAIN_STEP_H
#define TENREC_TRAIN_STEP_H

#include <stdbool.h>

#include "graph/graph.h"
#include "train/loss.h"

struct train_head {
    size_t output; /* which output of the model the loss looks at */
    struct loss_options loss;
    double weight; /* in the sum of losses; 0 counts as 1 */
};

/* The weighted loss of head `i` of a model's output, with the input PREFIX (PREFIX_2 ...) it compares that with. */
struct value *train_head_loss(
    struct builder *b, const struct train_head *h, struct value *out, const char *prefix, size_t i, struct err *e);

/* What is said of parameters by pattern (as of file names, with * and ?), on a state's name or its name in the source;
 * a later rule is stronger. */
struct train_rule {
    const char *pattern;
    enum train_rule_kind { RULE_FREEZE, RULE_FREEZE_STATS, RULE_RATE, RULE_DECAY } kind;
    double value; /* of RULE_RATE: times the rate; of RULE_DECAY: the weight decay */
};
bool train_rule_matches(const struct train_rule *r, const struct value *state);

struct train_step_options {
    const struct train_head *heads;
    size_t n_heads;
    const char *optimizer;    /* see optimizer.h; NULL: "sgd" */
    const struct attr *attrs; /* its hyper-parameters, attributes of its operator; ends with a NULL name; may be NULL */
    const struct train_rule *rules;
    size_t n_rules;
    double clip_norm; /* all gradients together are no longer than this; 0: any length */
    double ema;       /* decay of a running average of the parameters; 0: none */
    bool accumulate;
    bool mixup;
    bool biased;       /* running variances as ONNX defines them, not as PyTorch */
    bool frozen_stats; /* BatchNormalization keeps its running statistics and uses them */
    bool show_gradients;
};

/* The step of a model graph (which stays as it is), in arena `a`. Updates are those of torch.optim.
 * Errors: ERR_UNSUPPORTED naming the node without a gradient; ERR_USAGE for what the options get wrong. */
struct graph *train_step_new(
    const struct graph *model, const struct train_step_options *o, struct arena *a, struct err *e);

#endif
