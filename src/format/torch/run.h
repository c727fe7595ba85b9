/* run.h - what expressions and statements of the TorchScript evaluator need from each other. */
#ifndef TENREC_FORMAT_TORCH_RUN_H
#define TENREC_FORMAT_TORCH_RUN_H

#include "format/torch/eval.h"
#include "format/torch/parser.h"

struct object *eval_expr(struct eval *v, struct map *locals, const struct ts_expr *x);
/* Runs statements; *result is set by `return`, and then 1 is returned. Negative: an error, or v->stopped. */
int eval_block(struct eval *v, struct map *locals, const struct ts_block *b, struct object **result);

#endif
