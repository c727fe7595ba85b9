/* model.c - the layers that a config describes, with all that cannot be imported told at once. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/str.h"
#include "enc/json.h"
#include "format/keras/keras.h"

enum { DEPTH_MAX = 24, LAYERS_MAX = 20000, CONFIG_SHOWN = 160 };

struct loading {
    struct keras *k;
    size_t n_layers;
    int depth;
};

static int load_layer(struct loading *p, const json_t *json, struct layer *outer, const char *path, struct layer **out);

static int add_sub(struct loading *p, struct layer *l, const json_t *json, const char *path)
{
    struct layer *s;
    TRY(load_layer(p, json, l, path, &s));
    if (!ARRAY_PUSH(&p->k->scratch, l->sub, l->n_sub, l->cap_sub, s)) return fail_nomem(p->k->err);
    return 0;
}

/* The layers of a model: a list in "layers", or in old Sequential models the config itself. */
static int load_layers(struct loading *p, struct layer *l)
{
    const json_t *list = json_is_array(l->config) ? l->config : json_object_get(l->config, "layers"), *item;
    size_t i;
    l->by_name = map_in(&p->k->scratch);
    if (!json_is_array(list))
        return fail(p->k->err, ERR_UNSUPPORTED,
            "model %s is of class %s, whose config lists no layers: what it computes is Python code, which is no part "
            "of "
            "the file",
            l->label, l->class_name);
    json_array_foreach(list, i, item)
    {
        TRY(add_sub(p, l, item, "*layers"));
        if (!map_set(&l->by_name, l->sub[i]->name, l->sub[i])) return fail_nomem(p->k->err);
    }
    return 0;
}

/* Layers that a layer has in its config: key, and its path in files of Keras 3. */
static const struct {
    const char *class_name, *key, *path, *other; /* other: the key whose absence makes this one be taken again */
} inner[] = {
    { "TimeDistributed", "layer", "layer", NULL },
    { "SpectralNormalization", "layer", "layer", NULL },
    { "Bidirectional", "layer", "forward_layer", NULL },
    { "Bidirectional", "backward_layer", "backward_layer", "layer" },
    { "RNN", "cell", "cell", NULL },
    { NULL },
};

static int load_inner(struct loading *p, struct layer *l)
{
    for (size_t i = 0; inner[i].key; i++) {
        if (strcmp(inner[i].class_name, l->class_name)) continue;
        const json_t *json = json_object_get(l->config, inner[i].key);
        if (!json_is_object(json) && inner[i].other) json = json_object_get(l->config, inner[i].other);
        if (!json_is_object(json))
            return fail(
                p->k->err, ERR_MODEL, "layer %s (%s) has no %s in its config", l->label, l->class_name, inner[i].key);
        TRY(add_sub(p, l, json, inner[i].path));
    }
    bool cells = !strcmp(l->class_name, "StackedRNNCells"), row = !strcmp(l->class_name, "Pipeline");
    const json_t *list = cells || row ? json_object_get(l->config, cells ? "cells" : "layers") : NULL, *item;
    size_t i;
    json_array_foreach(list, i, item) TRY(add_sub(p, l, item, cells ? "*cells" : "*layers"));
    return 0;
}

/* Layers that are not Keras' own, though they may be called like one. */
static bool is_foreign(const json_t *json)
{
    static const char *const own[] = { "keras.", "tf_keras.", "tensorflow.", "builtins" };
    const json_t *module = json_object_get(json, "module");
    const char *name = json_string_value(module),
               *registered = json_string_value(json_object_get(json, "registered_name"));
    if (!module) return false;
    if (!name) return registered && strchr(registered, '>');
    if (!strcmp(name, "keras") || !strcmp(name, "tf_keras")) return false;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (!strncmp(name, own[i], strlen(own[i]))) return false;
    return true;
}

/* An operation where no module says so: .h5 files of Keras 3 have none. Layers are always trainable or not. */
static bool is_plain_op(const struct layer *l)
{
    const json_t *call = json_array_get(json_object_get(l->json, "inbound_nodes"), 0);
    return json_is_object(call) && !json_object_get(l->config, "trainable") && op_row_find(l->class_name);
}

/* Operations of Keras 3 are layers of another module; tf.keras wraps its functions in layers of two classes. */
static const struct layer_row *find_row(const struct layer *l)
{
    const char *module = json_string_value(json_object_get(l->json, "module"));
    if (l->mapped) return op_row_find(l->mapped);
    if (is_foreign(l->json)) return NULL;
    if (!strcmp(l->class_name, "TFOpLambda")) {
        const char *f = json_string_value(json_object_get(l->config, "function"));
        return f ? op_row_find(f) : NULL;
    }
    if (!strcmp(l->class_name, "SlicingOpLambda")) return op_row_find("__operators__.getitem");
    bool op = module ? strstr(module, ".ops.") || str_ends(module, ".ops") : is_plain_op(l);
    if (op) return op_row_find(l->class_name);
    return layer_row_find(l->class_name);
}

static const char *mapping_of(const struct keras *k, const struct layer *l)
{
    for (size_t i = 0; i < k->options->n_lambdas; i++)
        if (!strcmp(k->options->lambdas[i].name, l->name) || !strcmp(k->options->lambdas[i].name, l->label))
            return k->options->lambdas[i].op;
    return NULL;
}

static int tell_mapping(struct keras *k, const struct layer *l)
{
    if (!l->mapped || l->row) return 0;
    return fail(k->err, ERR_USAGE,
        "--lambda %s=%s: no operation is called %s (activations, add, multiply, abs, square, "
        "sqrt, exp, log, identity, ctc and other operations of Keras are)",
        l->name, l->mapped, l->mapped);
}

static void tell_unknown(struct keras *k, const struct layer *l)
{
    struct bytes text = { (const unsigned char *)"", 0 };
    struct err ignored = { 0 };
    const char *function = json_string_value(json_object_get(l->config, "function"));
    if (json_is_object(l->config)) json_print(l->config, JSON_IN_ORDER | JSON_ONE_LINE, &k->scratch, &text, &ignored);
    size_t before = k->report->n;
    int shown = (int)(text.len > CONFIG_SHOWN ? CONFIG_SHOWN : text.len ? text.len - 1 : 0);
    const char *dots = text.len > CONFIG_SHOWN ? " ..." : "";
    if (!strcmp(l->class_name, "Lambda"))
        report_add(k->report, REPORT_ERROR, l->label,
            "layer %s: a Lambda is Python code, which is never run; if you know what it does, say --lambda %s=relu6 "
            "(or "
            "another operation, or ctc): %.*s%s",
            l->name, l->name, shown, (const char *)text.data, dots);
    else if (!strcmp(l->class_name, "TFOpLambda") && function)
        report_add(k->report, REPORT_ERROR, l->label, "operation tf.%s", function);
    else
        report_add(k->report, REPORT_ERROR, l->label, "layer class %s%s", l->class_name,
            is_foreign(l->json) ? ", which is not Keras' own" : "");
    bool fresh = k->report->n > before;
    if (strcmp(l->class_name, "Lambda") && fresh)
        report_add(k->report, REPORT_NOTE, l->label, "its config is %.*s%s", shown, (const char *)text.data, dots);
}

/* A layer whose weights Keras has turned into small integers, with scales that nothing here applies. */
static void tell_quantized(struct keras *k, const struct layer *l)
{
    const json_t *dtype = json_object_get(l->config, "dtype");
    const char *class_name = json_is_object(dtype) ? class_of(dtype) : NULL;
    if (!class_name || !strstr(class_name, "Quantized")) return;
    const char *mode = json_string_value(json_object_get(config_of(dtype), "mode"));
    report_add(k->report, REPORT_ERROR, l->label, "a layer of class %s quantized by Keras (%s): save the model before "
        "quantize(), and quantize it here", l->class_name, mode ? mode : class_name);
}

static int name_layer(struct keras *k, struct layer *l)
{
    const char *name = json_string_value(json_object_get(l->config, "name"));
    if (!name || (l->outer && l->outer->row && l->outer->row->flags & LAYER_MODEL))
        name = json_string_value(json_object_get(l->json, "name")) ? json_string_value(json_object_get(l->json, "name"))
                                                                   : name;
    bool top = !l->outer || !l->outer->outer;
    l->name = name ? name : l->class_name;
    l->label = top ? l->name : arena_printf(&k->scratch, "%s/%s", l->outer->label, l->name);
    return l->label ? 0 : fail_nomem(k->err);
}

static int load_layer(struct loading *p, const json_t *json, struct layer *outer, const char *path, struct layer **out)
{
    struct keras *k = p->k;
    struct layer *l = *out = ARENA_NEW(&k->scratch, struct layer);
    TRY_MEM(l, k->err);
    if (++p->n_layers > LAYERS_MAX || p->depth > DEPTH_MAX)
        return fail(k->err, ERR_UNSUPPORTED, "more than %d layers, or models in models more than %d deep", LAYERS_MAX,
            DEPTH_MAX);
    *l = (struct layer){
        .json = json, .outer = outer, .path = path, .class_name = class_of(json), .config = config_of(json)
    };
    if (!json_is_object(json) || !l->class_name || !(json_is_object(l->config) || json_is_array(l->config)))
        return fail(k->err, ERR_MODEL, "a layer without class_name or config%s%s", outer ? " in " : "",
            outer ? outer->label : "");
    TRY(name_layer(k, l));
    const json_t *trainable = json_object_get(l->config, "trainable");
    l->trainable = (!outer || outer->trainable) && !json_is_false(trainable);
    l->mapped = mapping_of(k, l);
    l->row = find_row(l);
    TRY(tell_mapping(k, l));
    if (!l->row) return tell_unknown(k, l), 0;
    tell_quantized(k, l);
    if (l->mapped) return 0;
    p->depth++;
    TRY(l->row->flags & LAYER_MODEL ? load_layers(p, l) : load_inner(p, l));
    p->depth--;
    return keras_weights_plan(k, l);
}

/* The outermost model: always of a class that lists its layers. */
static int check_root(struct keras *k)
{
    const char *class_name = class_of(k->root);
    const struct layer_row *row = class_name ? layer_row_find(class_name) : NULL;
    if (!class_name) return fail(k->err, ERR_MODEL, "the config of the model has no class_name");
    if ((!row || !(row->flags & LAYER_MODEL)) && !json_object_get(config_of(k->root), "layers"))
        return fail(k->err, ERR_UNSUPPORTED,
            "a subclassed model (%s): what it computes is Python code, which is no part of the file; build it again as "
            "a "
            "functional model and save that",
            class_name);
    return 0;
}

int keras_load(struct keras *k)
{
    struct loading p = { k };
    TRY(check_root(k));
    TRY(load_layer(&p, k->root, NULL, "", &k->model));
    if (!k->model->row) { /* a class of somebody's own, but it lists its layers as Functional does */
        k->model->row = layer_row_find(json_object_get(k->model->config, "input_layers") ? "Functional" : "Sequential");
        report_add(k->report, REPORT_WARNING, "", "the model's class %s is taken for a plain %s", k->model->class_name,
            k->model->row->name);
        k->report->n_errors = 0;
        TRY(load_layers(&p, k->model));
    }
    if (k->report->n_errors)
        return report_fail(k->report, ERR_UNSUPPORTED, "Keras layers that cannot be imported", k->err);
    for (size_t i = 0; i < k->options->n_lambdas; i++) {
        bool used = false;
        for (size_t s = 0; s < k->model->n_sub; s++) used |= k->model->sub[s]->mapped == k->options->lambdas[i].op;
        if (!used)
            report_add(
                k->report, REPORT_WARNING, "", "--lambda %s: no layer is called so", k->options->lambdas[i].name);
    }
    return 0;
}
