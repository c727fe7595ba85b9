/* zoo_model.h - "zoo:NAME" as a model file that lies nowhere. */
#ifndef TENREC_PACKAGE_ZOO_MODEL_H
#define TENREC_PACKAGE_ZOO_MODEL_H

#include "package/model.h"

#define ZOO_PREFIX "zoo:"

/* Builds m->graph from the path "zoo:NAME", with the input of o->import (CxHxW, with or without N before it),
 * o->classes and o->seed; completes `mo` with its task and preprocessing. ERR_USAGE, ERR_SHAPE. */
int zoo_model(struct model *m, const struct model_options *o, struct manifest_options *mo, struct err *e);

#endif
