/* op_facts.h - what the tables say of an operator. */
#ifndef TENREC_CLI_OP_FACTS_H
#define TENREC_CLI_OP_FACTS_H

#include "base/arena.h"
#include "base/str.h"
#include "graph/op.h"

struct op_facts {
    const struct op *op;
    const char *family;
    const char *domain;  /* "ONNX" or "Tenrec" */
    const char *tier;    /* "core": it has a kernel; "composite": it is written in others; "pass": a pass replaces it */
    const char *kernels; /* "dnnl cpu reference" */
    const char *types;   /* of its first input: "float", "number", "any", or names of types; "" when it has none */
    bool expands, gradient;
};
int op_facts(struct op_facts *f, const struct op *op, const char *family, struct arena *a, struct err *e);

#endif
