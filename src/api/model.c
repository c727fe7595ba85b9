/* model.c - opening, describing, saving and verifying a model. */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/log.h"
#include "format/format.h"

/* The caller's struct may be an older, shorter one: what it lacks is zero. */
static int read_options(struct tenrec_options *o, const struct tenrec_options *given, struct err *e)
{
    *o = (struct tenrec_options){ 0 };
    if (!given) return 0;
    if (given->size < sizeof given->size || given->size > sizeof *o)
        return fail(e, ERR_USAGE, "options.size is %zu, not sizeof(struct tenrec_options)", given->size);
    memcpy(o, given, given->size);
    if (!o->allocator.alloc != !o->allocator.free)
        return fail(e, ERR_USAGE, "an allocator needs both alloc and free");
    return 0;
}

static int read_hints(struct arena *a, const struct tenrec_options *o, struct import_options *to, struct err *e)
{
    size_t n = 0;
    while (o->input && o->input[n]) n++;
    struct import_hint *list = ARENA_ARRAY(a, n, struct import_hint);
    TRY_MEM(list, e);
    for (size_t i = 0; i < n; i++) TRY(import_hint_parse(a, o->input[i], &list[i], e));
    to->inputs = list;
    to->n_inputs = n;
    return 0;
}

/* Errors are in the error's text. */
static void tell(const struct report *r, const struct tenrec_options *o)
{
    static const enum tenrec_level levels[] = { TENREC_LOG_INFO, TENREC_LOG_INFO, TENREC_LOG_WARNING };
    for (size_t i = 0; o->log && i < r->n; i++)
        if (r->items[i].kind != REPORT_ERROR) o->log(o->log_cookie, levels[r->items[i].kind], r->items[i].what);
}

static int open_model(
    struct tenrec_model *m, struct arena *a, const char *path, const struct tenrec_options *o, struct err *e)
{
    struct model_options mo = { .mem = &m->mem,
        .import.mode = IMPORT_SCORE,
        .import.weights = o->weights,
        .manifest.like = o->like,
        .labels_path = o->labels,
        .preprocess_path = o->preprocess };
    if (!path) return fail(e, ERR_USAGE, "no path");
    TRY(read_hints(a, o, &mo.import, e));
    int code = model_open(&m->model, path, &mo, e);
    tell(&m->model.report, o);
    if (!code && o->features) code = model_features(&m->model, o->features, e);
    if (code) model_close(&m->model);
    return code;
}

struct tenrec_model *tenrec_open(
    const char *path, const struct tenrec_options *options, struct tenrec_error *error)
{
    struct err *e = api_err(error);
    struct tenrec_options o;
    if (read_options(&o, options, e)) return NULL;
    struct mem mem = mem_default;
    if (o.allocator.alloc) mem = (struct mem){ o.allocator.alloc, o.allocator.free, o.allocator.cookie, 0 };
    struct tenrec_model *m = mem.alloc(mem.cookie, sizeof *m);
    if (!m) return fail_nomem(e), NULL;
    memset(m, 0, sizeof *m);
    m->mem = mem;
    struct arena hints;
    arena_init(&hints, &m->mem);
    int code = open_model(m, &hints, path, &o, e);
    arena_release(&hints);
    if (!code) return m;
    mem.free(mem.cookie, m, sizeof *m);
    return NULL;
}

void tenrec_close(struct tenrec_model *model)
{
    if (!model) return;
    struct mem mem = model->mem;
    model_close(&model->model);
    mem.free(mem.cookie, model, sizeof *model);
}

size_t tenrec_n_inputs(const struct tenrec_model *model)
{
    return model ? model->model.graph->n_inputs : 0;
}

size_t tenrec_n_outputs(const struct tenrec_model *model)
{
    return model ? model->model.graph->n_outputs : 0;
}

static void describe(const struct graph *g, const struct value *v, bool is_image, struct tenrec_port *port)
{
    *port = (struct tenrec_port){ .name = v->name, .dtype = (int)v->dtype, .rank = v->shape.rank };
    for (int i = 0; i < v->shape.rank; i++) {
        int64_t dim = v->shape.dim[i];
        port->dim[i] = dim < 0 ? -1 : dim;
        port->dim_name[i] = dim < DIM_UNKNOWN ? graph_symbol_name(g, dim) : NULL;
    }
    port->is_image = is_image;
}

int tenrec_input(
    const struct tenrec_model *model, size_t i, struct tenrec_port *port, struct tenrec_error *error)
{
    struct err *e = api_err(error);
    TRY(api_need(model, "model", e));
    TRY(api_need(port, "room for the port", e));
    const struct graph *g = model->model.graph;
    if (i >= g->n_inputs) return fail(e, ERR_USAGE, "the model has %zu inputs, no input %zu", g->n_inputs, i);
    describe(g, g->inputs[i], model->model.preprocess[i] != NULL, port);
    return 0;
}

int tenrec_output(
    const struct tenrec_model *model, size_t i, struct tenrec_port *port, struct tenrec_error *error)
{
    struct err *e = api_err(error);
    TRY(api_need(model, "model", e));
    TRY(api_need(port, "room for the port", e));
    const struct graph *g = model->model.graph;
    if (i >= g->n_outputs) return fail(e, ERR_USAGE, "the model has %zu outputs, no output %zu", g->n_outputs, i);
    describe(g, g->outputs[i], false, port);
    return 0;
}

const char *tenrec_label(const struct tenrec_model *model, int64_t index)
{
    if (!model) return NULL;
    const struct labels *l = &model->model.labels;
    return index >= 0 && (uint64_t)index < l->n ? l->names[index] : NULL;
}

const char *tenrec_manifest(struct tenrec_model *model, struct tenrec_error *error)
{
    struct err *e = api_err(error);
    if (api_need(model, "model", e)) return NULL;
    if (model->manifest) return model->manifest;
    char *text = json_dumps(model->model.manifest, JSON_INDENT(2));
    if (text) model->manifest = arena_strdup(&model->model.arena, text);
    free(text);
    if (!model->manifest) fail_nomem(e);
    return model->manifest;
}

int tenrec_save(struct tenrec_model *model, const char *path, struct tenrec_error *error)
{
    struct err *e = api_err(error);
    TRY(api_need(model, "model", e));
    TRY(api_need(path, "path", e));
    return package_write(&model->model, path, NULL, e);
}

static void say_nothing(void *cookie, const char *line)
{
}

int tenrec_verify(
    struct tenrec_model *model, void (*say)(void *cookie, const char *line), void *cookie, struct tenrec_error *error)
{
    struct err *e = api_err(error);
    TRY(api_need(model, "model", e));
    return package_verify(&model->model, say ? say : say_nothing, cookie, e);
}
