/* facts.h - what `info` tells of a model: counted once, printed as text or JSON. */
#ifndef TENREC_CLI_FACTS_H
#define TENREC_CLI_FACTS_H

#include "package/model.h"

/* One kind of layer. */
struct kind_facts {
    const char *op;
    size_t nodes;
    int64_t parameters; /* trainable numbers; each weight counts for the first layer that reads it */
    int64_t macs;
    size_t unknown; /* nodes whose MACs cannot be counted: shapes are missing */
};

struct facts {
    struct kind_facts *kinds; /* most MACs first, then parameters, then nodes */
    size_t n, cap;
    size_t nodes;
    int64_t parameters, buffers; /* numbers */
    int64_t parameter_bytes, buffer_bytes, constant_bytes;
    int64_t macs;
    size_t macs_unknown;
    const struct shape *shapes; /* of the inputs, which MACs and memory are told for; NULL: not known */
    bool chosen;                /* some dimension was free and got a number */
    bool bodies;                /* there is control flow; its bodies are counted once */
    size_t memory;              /* bytes of the plan's arena */
    const char *no_plan;        /* why there is none; else NULL */
};

/* The counts at `batch` for a free first dimension and `size` for others. Never fails for a model's own faults. */
int facts_collect(struct facts *f, struct model *m, int64_t batch, int64_t size, struct err *e);

#endif
