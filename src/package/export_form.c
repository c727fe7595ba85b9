/* export_form.c - names, sizes, folding and metadata of what is exported. */
#include "package/export_form.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "enc/json.h"
#include "pass/pass.h"

/* Known names, for the message about one that is not. */
static const char *names_of(const struct graph *g, struct arena *a)
{
    struct str s = str_in(a);
    for (size_t i = 0; i < g->n_inputs; i++) str_addf(&s, "%s%s", i ? ", " : "", g->inputs[i]->name);
    for (size_t i = 0; i < g->n_outputs; i++) str_addf(&s, ", %s", g->outputs[i]->name);
    const char *text = str_done(&s);
    return text ? text : "";
}

static bool is_end(const struct graph *g, const struct value *v)
{
    for (size_t i = 0; i < g->n_inputs; i++)
        if (g->inputs[i] == v) return true;
    for (size_t i = 0; i < g->n_outputs; i++)
        if (g->outputs[i] == v) return true;
    return false;
}

static int rename_end(struct graph *g, const char *assignment, struct err *e)
{
    const char *equals = strrchr(assignment, '=');
    if (!equals || equals == assignment || !equals[1])
        return fail(e, ERR_USAGE, "--rename %s: expected OLD=NEW, as in data=image", assignment);
    const char *old = arena_strndup(g->arena, assignment, (size_t)(equals - assignment));
    TRY_MEM(old, e);
    struct value *v = graph_find(g, old);
    if (!v || !is_end(g, v))
        return fail(e, ERR_USAGE, "--rename %s: there is no input or output \"%s\" (there are %s)", assignment, old,
            names_of(g, g->arena));
    return graph_rename(g, v, equals + 1, e);
}

static int set_shapes(struct graph *g, const struct export_form *f, struct err *e)
{
    const struct import_options o = { .inputs = f->shapes, .n_inputs = f->n_shapes };
    for (size_t i = 0; i < g->n_inputs; i++) {
        struct value *v = g->inputs[i];
        const struct import_hint *h = import_hint_for(&o, v->name, i);
        if (!h || !h->rank) continue;
        if (v->shape.rank >= 0 && v->shape.rank != h->rank)
            return fail(e, ERR_USAGE, "--shape: input %s has %d dimensions, not %d", v->name, v->shape.rank, h->rank);
        v->shape = import_hint_shape(h, g);
    }
    return pass_fold_graph(g, e) ? err_prefix(e, "with the shapes that were asked for") : 0;
}

static int fold_weights(struct graph *g, struct err *e)
{
    for (size_t i = 0; i < g->n_states; i++)
        if (g->states[i]->next)
            return fail(e, ERR_UNSUPPORTED, "--fold: the state %s changes while the model runs", g->states[i]->name);
    for (size_t i = 0; i < g->n_states; i++) g->states[i]->kind = VALUE_CONST, g->states[i]->flags = 0;
    g->n_states = 0;
    return pass_fold_graph(g, e);
}

static int put_text(struct graph *g, const char *key, const char *text, struct err *e)
{
    char *copy = text ? arena_strdup(g->arena, text) : NULL;
    return copy && map_set(&g->metadata, key, copy) ? 0 : fail_nomem(e);
}

static int put_json(struct graph *g, const char *key, const json_t *json, struct err *e)
{
    struct bytes text;
    if (!json) return 0;
    TRY(json_print(json, JSON_ONE_LINE, g->arena, &text, e));
    return put_text(g, key, arena_strndup(g->arena, (const char *)text.data, text.len ? text.len - 1 : 0), e);
}

/* {0: 'cat', 1: 'dog'}: as exporters of detectors write it */
static int put_names(struct graph *g, const struct labels *l, struct err *e)
{
    struct str s = str_in(g->arena);
    str_addc(&s, '{');
    for (size_t i = 0; i < l->n; i++) {
        str_addf(&s, "%s%zu: '", i ? ", " : "", i);
        for (const char *c = l->names[i]; *c; c++) {
            if (*c == '\'' || *c == '\\') str_addc(&s, '\\');
            str_addc(&s, *c);
        }
        str_addc(&s, '\'');
    }
    str_addc(&s, '}');
    return put_text(g, "names", str_done(&s), e);
}

static int put_metadata(struct graph *g, const struct model *m, bool inside, struct err *e)
{
    const char *task = json_string_value(json_object_get(m->manifest, "task"));
    if (m->labels.n) TRY(put_names(g, &m->labels, e));
    if (task) TRY(put_text(g, "task", task, e));
    TRY(put_json(g, "manifest", m->manifest, e));
    if (!map_set(&g->metadata, "tenrec.preprocess", NULL)) return fail_nomem(e);
    const json_t *port = m->graph->n_inputs ? manifest_port(m->manifest, "inputs", m->graph->inputs[0]->name) : NULL;
    const json_t *steps = json_object_get(port, "preprocess");
    if (!steps || inside) return 0;
    const struct shape *s = &m->graph->inputs[0]->shape;
    bool nhwc = !strcmp(json_string_value(json_object_get(port, "layout")), "NHWC");
    char size[64];
    snprintf(size, sizeof size, "[%lld, %lld]", (long long)s->dim[nhwc ? 1 : 2], (long long)s->dim[nhwc ? 2 : 3]);
    if (s->rank == 4 && s->dim[nhwc ? 1 : 2] > 0 && s->dim[nhwc ? 2 : 3] > 0) TRY(put_text(g, "imgsz", size, e));
    return put_json(g, "preprocess", steps, e);
}

int export_form_apply(
    struct graph *g, const struct model *m, const struct export_form *f, struct report *r, struct err *e)
{
    TRY(put_metadata(g, m, f->processing, e));
    if (f->n_shapes) TRY(set_shapes(g, f, e));
    if (f->processing) TRY(process_inside(g, m->manifest, f->images, r, e));
    if (f->fold) TRY(fold_weights(g, e));
    for (size_t i = 0; i < f->n_rename; i++) TRY(rename_end(g, f->rename[i], e));
    return 0;
}
