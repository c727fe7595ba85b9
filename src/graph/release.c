/* release.c - gives back the memory of states that a session has copies of. */
#include "graph/release.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"

struct span {
    uintptr_t begin, end;
    const struct tensor *gone; /* NULL: somebody needs it */
};

static int earlier(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

static void add(struct span *list, size_t *n, const struct tensor *t, bool gone)
{
    uintptr_t at = (uintptr_t)t->data;
    if (t->blob && tensor_bytes(t) > 0)
        list[(*n)++] = (struct span){ at, at + (size_t)tensor_bytes(t), gone ? t : NULL };
}

/* Whether a state of the model changes in the step. */
static bool changes(const struct graph *step, const struct value *v)
{
    const struct value *s = v->kind == VALUE_STATE ? map_get(&step->names, v->name) : NULL;
    return s && s->kind == VALUE_STATE && s->next && s->data->data == v->data->data;
}

int graph_release_states(const struct graph *model, const struct graph *step, struct err *e)
{
    struct arena a;
    arena_init(&a, NULL);
    struct span *list = ARENA_ARRAY(&a, model->n_values + step->n_values, struct span);
    size_t n = 0;
    if (!list) return arena_release(&a), fail_nomem(e);
    for (size_t i = 0; i < model->n_values; i++)
        if (model->values[i]->data) add(list, &n, model->values[i]->data, changes(step, model->values[i]));
    for (size_t i = 0; i < step->n_values; i++) {
        const struct value *v = step->values[i];
        if (v->data && !(v->kind == VALUE_STATE && v->next)) add(list, &n, v->data, false);
    }
    if (n) qsort(list, n, sizeof *list, earlier);
    uintptr_t before = 0; /* where everything so far ends */
    for (size_t i = 0; i < n; i++) {
        bool alone = list[i].begin >= before && (i + 1 == n || list[i + 1].begin >= list[i].end);
        if (list[i].end > before) before = list[i].end;
        const struct tensor *t = list[i].gone;
        if (alone && t) blob_discard(t->blob, t->data, (size_t)tensor_bytes(t));
    }
    arena_release(&a);
    return 0;
}
