/* detector.h - recognizes the outputs of detectors, so that their boxes need no description. */
#ifndef TENREC_PACKAGE_DETECTOR_H
#define TENREC_PACKAGE_DETECTOR_H

#include <jansson.h>

#include "graph/graph.h"

/* Postprocessing for output `at` of a graph that has the outputs of a detector, by their names and shapes: the boxes,
 * or what is read beside them. A new reference; NULL: it has no such outputs, or this one has nothing to do with it. */
json_t *detector_steps(const struct graph *g, size_t at);
/* Whether any output is recognized without a doubt: so that the task need not be said. */
bool is_detector(const struct graph *g);

#endif
