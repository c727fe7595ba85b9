/* known.c - reading and storing partly known contents. */
#include "graph/known.h"

#include <string.h>

#include "base/arena.h"
#include "graph/graph.h"

int value_contents(const struct value *v, int64_t out[KNOWN_MAX])
{
    if (!v) return -1;
    const struct tensor *t = value_const(v);
    int64_t n = t ? tensor_count(t) : shape_count(&v->shape);
    if (n < 0 || n > KNOWN_MAX) return -1;
    if (t && (dtype_is_integer(t->dtype) || t->dtype == DT_BOOL)) load_i64(t->dtype, t->data, n, out);
    else if (!t && v->known) memcpy(out, v->known, (size_t)n * sizeof *out);
    else return -1;
    for (int64_t i = 0; t && i < n; i++)
        if (!known_is_number(out[i])) out[i] = KNOWN_UNKNOWN; /* the code has no word for it */
    return (int)n;
}

void value_set_contents(struct value *v, struct arena *a, const int64_t *k, int n)
{
    if (n < 0 || n > KNOWN_MAX || shape_count(&v->shape) != n) return;
    int64_t *copy = ARENA_ARRAY(a, n, int64_t);
    if (!copy) return;
    memcpy(copy, k, (size_t)n * sizeof *copy);
    v->known = copy;
}
