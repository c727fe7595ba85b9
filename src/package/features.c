/* features.c - an inner layer in the place of a model's outputs. */
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "package/model.h"

/* What the layer `name` gives: the value of that name, or the last one that a layer of that name, or one below it,
 * makes ("avgpool" is avgpool/adaptive_avg_pool2d, "layer4" is layer4.1.relu/relu_2). */
static struct value *find_layer(const struct graph *g, const char *name)
{
    struct value *v = graph_find(g, name);
    size_t len = strlen(name);
    for (size_t i = g->n_nodes; i-- > 0 && !v;) {
        struct value *out = g->nodes[i]->out[0];
        if (out && out->name && !strncmp(out->name, name, len) && strchr("/.", out->name[len])) v = out;
    }
    return v;
}

static int no_layer(const struct model *m, const char *name, struct err *e)
{
    const struct graph *g = m->graph;
    struct arena scratch;
    arena_init(&scratch, m->arena.mem);
    const char **names = ARENA_ARRAY(&scratch, g->n_nodes + 1, const char *);
    size_t n = 0;
    for (size_t i = 0; names && i < g->n_nodes; i++)
        if (g->nodes[i]->out[0] && g->nodes[i]->out[0]->name) names[n++] = g->nodes[i]->out[0]->name;
    const char *near = names ? str_closest(name, names, n) : NULL;
    int code = near ? fail(e, ERR_USAGE, "%s: no layer \"%s\"; did you mean \"%s\"?", m->path, name, near)
                    : fail(e, ERR_USAGE, "%s: no layer \"%s\"; tenrec show %s lists them", m->path, name, m->path);
    arena_release(&scratch);
    return code;
}

int model_features(struct model *m, const char *layer, struct err *e)
{
    struct graph *g = m->graph;
    struct value *v = find_layer(g, layer);
    if (!v) return no_layer(m, layer, e);
    if (v->kind == VALUE_INPUT || v->kind == VALUE_CONST || v->kind == VALUE_STATE)
        return fail(e, ERR_USAGE, "%s: \"%s\" is no layer's result: nothing computes it", m->path, layer);
    struct postprocess *steps = NULL; /* of an output that stays one */
    for (size_t i = 0; i < g->n_outputs && !steps; i++)
        if (g->outputs[i] == v) steps = m->postprocess[i];
    g->n_outputs = 0;
    TRY(graph_output(g, v, e));
    TRY(graph_tidy(g, e));
    TRY_MEM(m->postprocess = ARENA_ARRAY(&m->arena, 1, struct postprocess *), e);
    m->postprocess[0] = steps ? steps : ARENA_NEW(&m->arena, struct postprocess);
    return m->postprocess[0] ? 0 : fail_nomem(e);
}
