/* attr.h - typed attributes of nodes, and what an operator says about the attributes it takes. */
#ifndef TENREC_GRAPH_ATTR_H
#define TENREC_GRAPH_ATTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct graph;
struct tensor;

enum attr_type {
    ATTR_NONE,
    ATTR_INT,
    ATTR_FLOAT,
    ATTR_STRING,
    ATTR_TENSOR,
    ATTR_GRAPH,
    ATTR_INTS,
    ATTR_FLOATS,
    ATTR_STRINGS,
};

struct attr {
    const char *name;
    enum attr_type type;
    size_t n; /* of lists */
    union {
        int64_t i;
        double f;
        const char *s;
        const struct tensor *tensor;
        struct graph *graph;
        const int64_t *ints;
        const double *floats;
        const char *const *strings;
    };
};

/* One row of an operator's attribute table; the table ends with a NULL name. */
struct attr_spec {
    const char *name;
    enum attr_type type;
    enum { ATTR_OPTIONAL, ATTR_DEFAULT, ATTR_REQUIRED } presence; /* optional: absent has a meaning of its own */
    int64_t i;                                                    /* defaults, for ATTR_DEFAULT */
    double f;
    const char *s; /* default string; or for lists of ints as text: "" is the empty list */
    const char *doc;
};

/* Attributes as values, for emit(): ATTRS(attr_int("axis", 1), attr_ints("pads", pads, 4)). */
static inline struct attr attr_int(const char *name, int64_t i)
{
    return (struct attr){ .name = name, .type = ATTR_INT, .i = i };
}
static inline struct attr attr_float(const char *name, double f)
{
    return (struct attr){ .name = name, .type = ATTR_FLOAT, .f = f };
}
static inline struct attr attr_string(const char *name, const char *s)
{
    return (struct attr){ .name = name, .type = ATTR_STRING, .s = s };
}
static inline struct attr attr_ints(const char *name, const int64_t *v, size_t n)
{
    return (struct attr){ .name = name, .type = ATTR_INTS, .n = n, .ints = v };
}
static inline struct attr attr_floats(const char *name, const double *v, size_t n)
{
    return (struct attr){ .name = name, .type = ATTR_FLOATS, .n = n, .floats = v };
}
static inline struct attr attr_tensor(const char *name, const struct tensor *t)
{
    return (struct attr){ .name = name, .type = ATTR_TENSOR, .tensor = t };
}
static inline struct attr attr_graph(const char *name, struct graph *g)
{
    return (struct attr){ .name = name, .type = ATTR_GRAPH, .graph = g };
}
#define ATTRS(...) ((const struct attr[]){ __VA_ARGS__, { 0 } })
#define NO_ATTRS ((const struct attr *)NULL)
const char *attr_type_name(enum attr_type t);

#endif
