/* self_example.h - an example that a model makes of itself, so that a package can always prove that it still agrees. */
#ifndef TENREC_CLI_SELF_EXAMPLE_H
#define TENREC_CLI_SELF_EXAMPLE_H

#include "package/model.h"

/* Runs the model once on inputs drawn from a fixed seed (images through the preprocessing). Everything lies in the
 * model's arena. Fails when the model does not run on such inputs, or the arrays would be larger than 16 MB. */
int self_example(struct model *m, struct example *ex, struct err *e);

#endif
