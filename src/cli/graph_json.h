/* graph_json.h - a graph, a plan or the map of its memory as JSON, for programs that read what `show` tells. */
#ifndef TENREC_CLI_GRAPH_JSON_H
#define TENREC_CLI_GRAPH_JSON_H

#include <jansson.h>

#include "plan/plan.h"

/* New references, which the caller owns; NULL inside an object where memory ran out: json_own() says so. */
/* [1, "N", null]: sizes, symbols, unknown; null without a known rank. */
json_t *shape_json(const struct graph *g, const struct shape *s);
/* {"name", "inputs", "outputs", "states", "nodes": [{"op", "name", "in", "out", "attributes", "where"}], "guards"};
 * values are {"name", "datatype", "shape"}; bodies of If, Loop and Scan are attributes of the same form. */
json_t *graph_json(const struct graph *g);
/* {"steps": [{"op", "kernel", "node"}], "memory_bytes"} */
json_t *plan_json(const struct plan *p);
/* {"memory_bytes", "places": [{"offset", "bytes", "first", "last"}]} */
json_t *arena_json(const struct plan *p);
/* The name of what computes a step. */
const char *step_kernel_name(const struct plan_step *s);

#endif
