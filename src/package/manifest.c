/* manifest.c - making, checking and changing manifests. */
#include "package/manifest.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "data/postprocess.h"
#include "data/preprocess.h"
#include "enc/json.h"
#include "graph/graph.h"
#include "package/detector.h"
#include "tenrec/tenrec.h"

struct making {
    json_t *m;
    struct arena *arena;
    const struct graph *g;
    const struct manifest_options *o;
    struct report *r;
};

static json_t *shape_json(const struct shape *s)
{
    json_t *list = json_array();
    for (int i = 0; i < s->rank; i++) json_array_append_new(list, json_integer(s->dim[i] < 0 ? -1 : s->dim[i]));
    return list;
}

static json_t *dims_json(const struct graph *g, const struct shape *s)
{
    json_t *list = json_array();
    for (int i = 0; i < s->rank; i++)
        json_array_append_new(
            list, s->dim[i] < DIM_UNKNOWN ? json_string(graph_symbol_name(g, s->dim[i])) : json_null());
    return list;
}

static json_t *port_json(const struct graph *g, const struct value *v)
{
    const char *type = dtype_oip(v->dtype);
    json_t *port = json_pack("{s:s,s:s}", "name", v->name, "datatype", type ? type : dtype_name(v->dtype));
    if (v->shape.rank < 0) return port;
    json_object_set_new(port, "shape", shape_json(&v->shape));
    json_object_set_new(port, "dims", dims_json(g, &v->shape));
    return port;
}

static void guessed(struct making *w, const char *what, const char *value)
{
    json_t *list = json_object_get(w->m, "guessed");
    json_array_append_new(list, json_string(what));
    report_add(w->r, REPORT_GUESS, "", "%s: %s", what, value);
}

/* Channels of an image input: (N, C, H, W) or (N, H, W, C) with 1 or 3 channels, of floats; 0: no image. */
static int64_t image_channels(const struct value *v, bool *nhwc)
{
    const struct shape *s = &v->shape;
    if (s->rank != 4 || !dtype_is_float(v->dtype)) return 0;
    *nhwc = !(s->dim[1] == 1 || s->dim[1] == 3) && (s->dim[3] == 1 || s->dim[3] == 3);
    int64_t c = s->dim[*nhwc ? 3 : 1];
    return c == 1 || c == 3 ? c : 0;
}

/* (3, H, W): what detectors of torchvision take, without a batch. */
static bool is_single_image(const struct making *w, const struct value *v)
{
    return v->shape.rank == 3 && dtype_is_float(v->dtype) && v->shape.dim[0] == 3 && is_detector(w->g);
}

static bool has_image(const struct making *w)
{
    bool nhwc;
    return w->g->n_inputs > 0 && (image_channels(w->g->inputs[0], &nhwc) > 0 || is_single_image(w, w->g->inputs[0]));
}

/* What makes the numbers of an output. */
static const struct node *last_node(const struct value *v)
{
    const struct node *n = v->node;
    while (node_is(n, "Transpose") || node_is(n, "Identity")) n = n->in[0]->node;
    return n;
}

static const char *guess_task(const struct making *w)
{
    const struct shape *out = w->g->n_outputs ? &w->g->outputs[0]->shape : NULL;
    if (has_image(w) && is_detector(w->g)) return "object-detection";
    if (!has_image(w) || !out || !dtype_is_float(w->g->outputs[0]->dtype)) return "raw";
    if (out->rank == 2 && (out->dim[1] != 1 || node_is(last_node(w->g->outputs[0]), "Sigmoid")))
        return "image-classification";
    if (out->rank == 4 && out->dim[2] != 1) return "image-segmentation";
    return "raw";
}

static int add_task(struct making *w)
{
    const char *task = w->o->task;
    if (!task) {
        task = guess_task(w);
        if (strcmp(task, "raw")) guessed(w, "task", task);
    }
    json_object_set_new(w->m, "task", json_string(task));
    return 0;
}

/* Steps that an importer read of the source, or that this program wrote into a file's metadata. */
static json_t *own_steps(struct making *w)
{
    static const char *const keys[] = { "tenrec.preprocess", "preprocess" };
    for (int i = 0; i < 2; i++) {
        const char *text = map_get(&w->g->metadata, keys[i]);
        json_t *steps = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
        const json_t *first = json_array_get(steps, 0);
        struct preprocess checked;
        struct err why = { 0 };
        if (json_object_get(first, "op") && !preprocess_parse(&checked, w->arena, steps, keys[i], &why)) return steps;
        if (why.code) report_add(w->r, REPORT_WARNING, "metadata", "%s", why.text);
        json_decref(steps);
    }
    return NULL;
}

/* What the model says of itself, the user's wish, or the usual: in this order of weakness. */
static json_t *choose_steps(struct making *w, const struct preset_for *to, struct err *e)
{
    const char *like = w->o->like, *imgsz = map_get(&w->g->metadata, "imgsz");
    json_t *own = like ? NULL : own_steps(w);
    if (own) return own;
    if (!like && imgsz) {
        report_add(w->r, REPORT_GUESS, "",
            "preprocess: as Ultralytics has it, by imgsz %s (but Pillow's resize, not "
            "OpenCV's)",
            imgsz);
        return preprocess_from_ultralytics(imgsz, map_get(&w->g->metadata, "task"), to, e);
    }
    if ((to->height < 1 || to->width < 1) && !to->whole)
        guessed(w, "preprocess resize.size",
            "the model takes any size; 224 is used (--set resize.size=N --set center_crop.size=N change it)");
    const char *known = map_get(&w->g->metadata, "tenrec.like"); /* what the importer thinks */
    const char *task = json_string_value(json_object_get(w->m, "task"));
    if (!known && !strcmp(task, "object-detection")) known = "torchvision-detection";
    if (!like) {
        char text[200];
        snprintf(text, sizeof text, "as %s%s (--like, --preprocess or a file beside the model say better)",
            known ? "--like " : "torchvision's models have it", known ? known : "");
        guessed(w, "preprocess", text);
    }
    return preprocess_preset(like ? like : known ? known : "torchvision", to, e);
}

static bool has_step(const json_t *steps, const char *op)
{
    size_t i;
    json_t *step;
    json_array_foreach(steps, i, step)
    {
        const char *name = json_string_value(json_object_get(step, "op"));
        if (name && !strcmp(name, op)) return true;
    }
    return false;
}

/* What prepares images for input `v`: given, by preset, or nothing. */
static int add_preprocess(struct making *w, const struct value *v, json_t *port, struct err *e)
{
    bool nhwc = false;
    int64_t channels = image_channels(v, &nhwc);
    const char *task = json_string_value(json_object_get(w->m, "task"));
    if (is_single_image(w, v)) channels = 3;
    if (!channels) return 0;
    int side = v->shape.rank - (nhwc ? 3 : 2); /* the axis of the height */
    struct preset_for to = { .channels = channels,
        .height = v->shape.dim[side],
        .width = v->shape.dim[side + 1],
        .nhwc = nhwc,
        .whole = !strcmp(task, "image-segmentation") || !strcmp(task, "object-detection") };
    json_object_set_new(port, "kind", json_string("image"));
    json_object_set_new(port, "layout", json_string(nhwc ? "NHWC" : "NCHW"));
    json_t *steps = w->o->preprocess ? json_deep_copy(w->o->preprocess) : choose_steps(w, &to, e);
    if (!steps) return e->code ? e->code : fail_nomem(e);
    if (!has_step(steps, "layout"))
        json_array_append_new(steps, json_pack("{s:s,s:s}", "op", "layout", "layout", nhwc ? "NHWC" : "NCHW"));
    json_object_set_new(port, "preprocess", steps);
    return 0;
}

/* The same but for the batch. */
static bool is_alike(const struct value *v, const struct value *w)
{
    bool same = v->dtype == w->dtype && v->shape.rank == w->shape.rank;
    for (int d = 1; same && d < v->shape.rank; d++)
        same = v->shape.dim[d] == w->shape.dim[d] || (v->shape.dim[d] < 0 && w->shape.dim[d] < 0);
    return same;
}

static int add_inputs(struct making *w, struct err *e)
{
    static const char *const copied[] = { "kind", "layout", "preprocess" };
    json_t *list = json_array();
    json_object_set_new(w->m, "inputs", list);
    const struct value *first = NULL; /* the first image: what prepares it prepares every input that is like it */
    json_t *model = NULL;             /* its port */
    for (size_t i = 0; i < w->g->n_inputs; i++) {
        const struct value *v = w->g->inputs[i];
        json_t *port = port_json(w->g, v);
        json_array_append_new(list, port);
        json_object_set_new(port, "kind", json_string("tensor"));
        if (!first) TRY(add_preprocess(w, v, port, e));
        else if (is_alike(v, first))
            for (size_t k = 0; k < sizeof copied / sizeof *copied; k++)
                json_object_set_new(port, copied[k], json_deep_copy(json_object_get(model, copied[k])));
        if (!first && json_object_get(port, "preprocess")) first = v, model = port;
    }
    return 0;
}

/* Where the classes of an output are: behind the batch or, beside an input with its channels last, at the end. */
static int class_axis(const struct making *w, const struct value *v)
{
    bool nhwc = false;
    if (w->g->n_inputs) image_channels(w->g->inputs[0], &nhwc);
    return v->shape.rank == 4 && nhwc ? 3 : 1;
}

void manifest_label(json_t *port, const struct value *v, const struct labels *l, struct report *r)
{
    bool boxes = has_step(json_object_get(port, "postprocess"), "boxes");
    int64_t classes = v->shape.rank >= 2 && !boxes ? v->shape.dim[1] : -1;
    if (has_step(json_object_get(port, "postprocess"), "two_classes")) classes = 2;
    json_object_set_new(port, "labels", json_pack("{s:s,s:I}", "file", "labels.txt", "count", (json_int_t)l->n));
    if (classes >= 0 && (size_t)classes != l->n)
        report_add(r, REPORT_WARNING, "", "%zu labels for %lld classes", l->n, (long long)classes);
}

/* Does the model itself end in what the first step would do? */
static bool is_done(const struct value *v, const json_t *steps)
{
    const char *op = json_string_value(json_object_get(json_array_get(steps, 0), "op"));
    const struct node *n = last_node(v);
    if (!op) return false;
    return (!strcmp(op, "softmax") && node_is(n, "Softmax")) || (!strcmp(op, "sigmoid") && node_is(n, "Sigmoid"));
}

static int add_outputs(struct making *w, struct err *e)
{
    json_t *list = json_array();
    json_object_set_new(w->m, "outputs", list);
    const char *task = json_string_value(json_object_get(w->m, "task"));
    for (size_t i = 0; i < w->g->n_outputs; i++) {
        const struct value *v = w->g->outputs[i];
        json_t *port = port_json(w->g, v);
        json_array_append_new(list, port);
        bool detector = !strcmp(task, "object-detection");
        json_t *boxes = detector ? detector_steps(w->g, i) : NULL;
        if (detector && !boxes && w->g->n_outputs == 1)
            report_add(w->r, REPORT_WARNING, "", "output %s has none of the known forms of boxes: it is left as it is",
                v->name);
        if (boxes) json_object_set_new(port, "postprocess", boxes);
        if (i || boxes) {
            bool named = boxes && w->o->labels && w->o->labels->n;
            if (named && has_step(boxes, "boxes")) manifest_label(port, v, w->o->labels, w->r);
            continue;
        }
        int axis = class_axis(w, v);
        int64_t classes = v->shape.rank > axis ? v->shape.dim[axis] : -1;
        json_t *steps = postprocess_for_task(task, classes, axis);
        if (is_done(v, steps)) json_array_remove(steps, 0);
        json_object_set_new(port, "postprocess", steps);
        if (w->o->labels && w->o->labels->n) manifest_label(port, v, w->o->labels, w->r);
    }
    return e->code;
}

/* ^[A-Za-z][A-Za-z0-9_.-]*$ from a file name without its extension. */
static void package_name(const char *path, char out[64])
{
    const char *base = file_base(path), *dot = strrchr(base, '.');
    size_t len = dot && dot != base ? (size_t)(dot - base) : strlen(base), n = 0;
    if (!isalpha((unsigned char)base[0])) out[n++] = 'm';
    for (size_t i = 0; i < len && n < 63; i++)
        out[n++] = isalnum((unsigned char)base[i]) || strchr("_.-", base[i]) ? base[i] : '_';
    out[n] = 0;
}

static void add_head(struct making *w, const char *path)
{
    char name[64];
    package_name(w->o->name ? w->o->name : path, name);
    json_object_set_new(w->m, "format", json_string(MANIFEST_FORMAT));
    json_object_set_new(w->m, "format_version", json_integer(MANIFEST_VERSION));
    json_object_set_new(w->m, "name", json_string(name));
    json_object_set_new(w->m, "version", json_string("1"));
    json_object_set_new(w->m, "guessed", json_array());
}

static void add_provenance(struct making *w, const char *path, const char *format)
{
    json_t *source = json_pack("{s:s,s:s}", "file", file_base(path), "format", format);
    const struct map *meta = &w->g->metadata;
    for (size_t i = 0; i < meta->n; i++)
        if (meta->entries[i].value && strncmp(meta->entries[i].key, "tenrec.", 7))
            json_object_set_new(source, meta->entries[i].key, json_string(meta->entries[i].value));
    char by[64];
    snprintf(by, sizeof by, "tenrec %s", tenrec_version());
    json_object_set_new(w->m, "provenance", json_pack("{s:o,s:s}", "source", source, "imported_by", by));
}

int manifest_make(json_t **out, struct arena *a, const struct graph *g, const char *path, const char *format,
    const struct manifest_options *o, struct report *r, struct err *e)
{
    struct making w = { json_object(), a, g, o, r };
    TRY(json_own(a, w.m, e));
    add_head(&w, path);
    add_task(&w);
    TRY(add_inputs(&w, e));
    TRY(add_outputs(&w, e));
    add_provenance(&w, path, format);
    for (size_t i = 0; i < o->n_set; i++) TRY(manifest_set(w.m, o->set[i], e));
    *out = w.m;
    return 0;
}

json_t *manifest_port(const json_t *m, const char *list, const char *name)
{
    size_t i;
    json_t *port;
    json_array_foreach(json_object_get(m, list), i, port)
    {
        const char *s = json_string_value(json_object_get(port, "name"));
        if (s && !strcmp(s, name)) return port;
    }
    return NULL;
}

static int set_in(json_t *m, const char *ports, const char *steps, const char *key, const char *value, struct err *e)
{
    size_t i;
    json_t *port;
    int any = 0;
    json_array_foreach(json_object_get(m, ports), i, port)
    {
        json_t *list = json_object_get(port, steps);
        if (list && !preprocess_override(list, key, value, e)) any = 1;
        err_clear(e);
    }
    return any;
}

int manifest_set(json_t *m, const char *assignment, struct err *e)
{
    char key[128];
    const char *equals = strchr(assignment, '=');
    if (!equals || (size_t)(equals - assignment) >= sizeof key ||
        !memchr(assignment, '.', (size_t)(equals - assignment)))
        return fail(e, ERR_USAGE, "\"%s\": expected STEP.PARAMETER=VALUE, as in resize.size=320", assignment);
    snprintf(key, sizeof key, "%.*s", (int)(equals - assignment), assignment);
    if (set_in(m, "inputs", "preprocess", key, equals + 1, e)) return 0;
    if (set_in(m, "outputs", "postprocess", key, equals + 1, e)) return 0;
    return fail(e, ERR_USAGE, "\"%s\": the model has no such step", assignment);
}

static int check_ports(const json_t *m, const char *list, const char *path, struct err *e)
{
    const json_t *ports = json_object_get(m, list);
    size_t i;
    json_t *port;
    if (!json_is_array(ports)) return fail(e, ERR_MODEL, "%s: manifest: \"%s\" is no list", path, list);
    json_array_foreach(ports, i, port)
    {
        if (!json_is_string(json_object_get(port, "name")))
            return fail(e, ERR_MODEL, "%s: manifest: %s %zu has no name", path, list, i);
    }
    return 0;
}

int manifest_check(const json_t *m, const char *path, struct err *e)
{
    const char *format = json_string_value(json_object_get(m, "format"));
    json_int_t version = json_integer_value(json_object_get(m, "format_version"));
    if (!format || strcmp(format, MANIFEST_FORMAT))
        return fail(e, ERR_MODEL, "%s: manifest.json is of no package", path);
    if (version < 1 || version > MANIFEST_VERSION)
        return fail(e, ERR_MODEL, "%s: manifest format_version %lld; this program reads 1 to %d", path,
            (long long)version, MANIFEST_VERSION);
    TRY(check_ports(m, "inputs", path, e));
    return check_ports(m, "outputs", path, e);
}
