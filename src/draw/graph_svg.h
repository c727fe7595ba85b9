/* graph_svg.h - a graph as a picture in text: SVG, nodes in layers from top to bottom. */
#ifndef TENREC_DRAW_GRAPH_SVG_H
#define TENREC_DRAW_GRAPH_SVG_H

#include <stddef.h>

struct arena;
struct err;
struct graph;
struct str;

enum { GRAPH_SVG_NODES = 400 }; /* more are left out, which the picture says */

int graph_svg(const struct graph *g, struct arena *a, struct str *out, size_t *left_out, struct err *e);

#endif
