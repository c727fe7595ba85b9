/* ports.c - what goes into a Keras model, and what comes out. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "format/keras/keras.h"

/* (N, H, W, C), (N, T, C): names of dimensions that are not known, by rank and place. */
static const char *const letters[] = { "N", "", "", "NT", "NHW", "NDHW" };

static int64_t dim_of(struct keras *k, const json_t *item, int rank, int place, const char *input)
{
    if (json_is_integer(item) && json_integer_value(item) >= 0) return json_integer_value(item);
    char name[200], letter[16];
    bool known = rank < 6 && (size_t)place < strlen(letters[rank]);
    if (!place) return graph_symbol(k->g, "N");
    if (known) snprintf(letter, sizeof letter, "%c", letters[rank][place]);
    else snprintf(letter, sizeof letter, rank == 2 ? "T" : "D%d", place);
    snprintf(name, sizeof name, k->n_inputs ? "%s_%.150s" : "%s", letter, input);
    return graph_symbol(k->g, name);
}

static const char *type_of(const json_t *dtype)
{
    const char *s = json_string_value(dtype);
    return s ? s : json_string_value(json_object_get(config_of(dtype), "name"));
}

/* The shape with its batch, as configs of all ages have it; NULL: none. */
static const json_t *shape_of_layer(const struct layer *l)
{
    static const char *const keys[] = { "batch_shape", "batch_input_shape", "build_input_shape" };
    const json_t *v = NULL;
    for (size_t i = 0; i < 3 && !json_is_array(v); i++) v = json_object_get(l->config, keys[i]);
    if (!json_is_array(v) && l->n_sub) v = shape_of_layer(l->sub[0]); /* of a model or a wrapper */
    if (!json_is_array(v)) v = json_object_get(json_object_get(l->json, "build_config"), "input_shape");
    return v;
}

static int read_shape(struct keras *k, const struct layer *l, const char *name, struct shape *s)
{
    const struct import_hint *hint = import_hint_for(k->options, name, k->n_inputs);
    const json_t *v = shape_of_layer(l);
    size_t rank = json_array_size(v);
    if (hint && hint->rank) return *s = import_hint_shape(hint, k->g), 0;
    if (!json_is_array(v) || json_is_array(json_array_get(v, 0)))
        return fail(
            k->err, ERR_USAGE, "the file does not say the shape of the input %s; say --input %s=NxHxWxC", name, name);
    if (rank > SHAPE_MAX) return fail(k->err, ERR_UNSUPPORTED, "the input %s has rank %zu", name, rank);
    s->rank = (int)rank;
    for (int i = 0; i < s->rank; i++) s->dim[i] = dim_of(k, json_array_get(v, (size_t)i), s->rank, i, name);
    return 0;
}

static struct ktensor *add_input(struct keras *k, struct call *c, const struct layer *l, const char *name)
{
    struct shape s = { 0 };
    const struct import_hint *hint = import_hint_for(k->options, name, k->n_inputs);
    const char *type = type_of(json_object_get(l->config, "dtype"));
    bool own = !strcmp(l->class_name, "InputLayer");
    enum dtype t = hint && hint->dtype ? hint->dtype : own && type ? dtype_from_name(type) : k->compute;
    if (!t && type && strstr(type, "float")) t = k->compute; /* mixed_float16 */
    if (!t || t == DT_STRING)
        return fail(k->err, ERR_UNSUPPORTED, "the input %s is of type %s, which is no number", name, type), NULL;
    if (json_is_true(json_object_get(l->config, "sparse")) || json_is_true(json_object_get(l->config, "ragged")))
        report_add(k->report, REPORT_WARNING, name, "a sparse or ragged input is taken as an ordinary tensor");
    if (read_shape(k, l, name, &s)) return NULL;
    struct value *v = graph_input(k->g, name, t, &s, k->err);
    k->n_inputs++;
    return v ? ktensor_plain(c, v) : NULL;
}

/* Names in a list of [name, 0, 0], however nested. */
static int names_in(struct keras *k, const json_t *v, const char **out, size_t max, size_t *n, int depth)
{
    json_t *item;
    size_t i;
    if (depth > 8) return fail(k->err, ERR_MODEL, "inputs or outputs nested too deep");
    if (json_is_array(v) && json_is_string(json_array_get(v, 0))) {
        if (*n >= max) return fail(k->err, ERR_UNSUPPORTED, "more than %zu inputs or outputs", max);
        return out[(*n)++] = json_string_value(json_array_get(v, 0)), 0;
    }
    json_array_foreach((json_t *)(uintptr_t)v, i, item) TRY(names_in(k, item, out, max, n, depth + 1));
    const char **keys = json_is_object(v) ? sorted_keys(&k->scratch, v, k->err) : NULL;
    for (i = 0; keys && i < json_object_size(v); i++)
        TRY(names_in(k, json_object_get(v, keys[i]), out, max, n, depth + 1));
    return k->err->code;
}

static int add_inputs(struct keras *k, struct call *c)
{
    const json_t *list = json_object_get(k->model->config, "input_layers");
    const char *names[CALL_INPUTS];
    size_t n = 0;
    TRY(names_in(k, list, names, CALL_INPUTS, &n, 0));
    for (size_t i = 0; i < n; i++) {
        const struct layer *l = map_get(&k->model->by_name, names[i]);
        if (!l) return fail(k->err, ERR_MODEL, "the input %s is no layer of the model", names[i]);
        if (!(c->in[c->n_in++] = add_input(k, c, l, l->name))) return k->err->code;
    }
    if (list) return 0;
    if (!k->model->n_sub) return fail(k->err, ERR_MODEL, "the model has no layers");
    const struct layer *first = k->model->sub[0];
    bool own = !strcmp(first->class_name, "InputLayer");
    const char *name = own ? first->name : arena_printf(&k->scratch, "%s_input", first->name);
    if (!name) return fail_nomem(k->err);
    const struct layer *from = shape_of_layer(first) ? first : k->model;
    return (c->in[c->n_in++] = add_input(k, c, from, name)) ? 0 : k->err->code;
}

/* An output has its layer's name; it is made by a node, and is no other output. */
static int add_output(struct keras *k, struct call *c, struct ktensor *t, const char *name)
{
    struct value *v = value_resolve(as_plain(c, t));
    bool taken = v && v->kind != VALUE_NODE;
    for (size_t i = 0; v && i < k->g->n_outputs; i++) taken |= k->g->outputs[i] == v;
    if (taken) v = k_op(c, "Identity", v);
    if (!v) return k->err->code;
    const struct value *holder = graph_find(k->g, name);
    bool free = !holder || holder->kind == VALUE_NODE;
    for (size_t i = 0; i < k->g->n_outputs; i++) free &= k->g->outputs[i] != holder;
    if (free && holder != v) TRY(graph_rename(k->g, v, name, k->err));
    return graph_output(k->g, v, k->err);
}

/* Inputs that nothing reads, as those of a CTC loss: the graph is better without. */
static void drop_unused(struct keras *k)
{
    struct graph *g = k->g;
    size_t kept = 0;
    for (size_t i = 0; i < g->n_inputs; i++) {
        bool read = false;
        for (size_t n = 0; n < g->n_nodes && !read; n++)
            for (int s = 0; s < g->nodes[n]->n_in && !read; s++)
                read = value_resolve(g->nodes[n]->in[s]) == g->inputs[i];
        if (read) g->inputs[kept++] = g->inputs[i];
        else
            report_add(k->report, REPORT_NOTE, "", "the input %s is not needed for scoring and is left out",
                g->inputs[i]->name);
    }
    if (kept) g->n_inputs = kept;
}

/* Rescaling and the like among the first layers: images come as they are. */
static bool prepares_images(const struct layer *l, int depth)
{
    for (size_t i = 0; depth < 4 && i < l->n_sub && i < 6; i++) {
        const char *name = l->sub[i]->class_name;
        if (!strcmp(name, "Rescaling") || !strcmp(name, "Normalization")) return true;
        if (prepares_images(l->sub[i], depth + 1)) return true;
    }
    return false;
}

/* How images are prepared for the models of keras.applications, by the beginning of their names; for others what most
 * people do. */
static int guess_preprocessing(struct keras *k)
{
    static const struct {
        const char *name, *like;
    } known[] = { { "mobilenetv3", "keras-raw" }, { "efficientnet", "keras-raw" }, { "convnext", "keras-raw" },
        { "mobilenet", "keras" }, { "inception", "keras" }, { "xception", "keras" }, { "nasnet", "keras" },
        { "densenet", "keras-torch" }, { "regnet", "keras-raw" }, { "vgg", "keras-caffe" }, { "resnet", "keras-caffe" },
        { "", "keras-unit" } };
    const struct layer *l = k->model;
    for (size_t i = 0; i < l->n_sub; i++) /* a model around one of them */
        if (l->sub[i]->row->flags & LAYER_MODEL && l == k->model) l = l->sub[i];
    size_t at = 0;
    while (strncasecmp(known[at].name, l->name, strlen(known[at].name))) at++;
    const char *like = known[at].like;
    if (strstr(l->name, "v2") && !strncasecmp(l->name, "resnet", 6)) like = "keras";
    if (prepares_images(k->model, 0)) like = "keras-raw";
    return map_set(&k->g->metadata, "tenrec.like", (void *)(uintptr_t)like) ? 0 : fail_nomem(k->err);
}

int keras_build(struct keras *k)
{
    struct call *c = ARENA_NEW(&k->scratch, struct call);
    const char *names[1 + CALL_OUTPUTS];
    size_t n = 0;
    TRY_MEM(c, k->err);
    TRY(guess_preprocessing(k));
    *c = (struct call){ .k = k, .b = &k->b, .layer = k->model };
    TRY(add_inputs(k, c));
    struct ktensor *out = layer_apply(c);
    if (!out) return k->err->code;
    TRY(names_in(k, json_object_get(k->model->config, "output_layers"), names, 1 + CALL_OUTPUTS, &n, 0));
    const char *last = k->model->n_sub ? k->model->sub[k->model->n_sub - 1]->name : "output";
    for (size_t i = 0; i <= c->n_more; i++) TRY(add_output(k, c, i ? c->more[i - 1] : out, i < n ? names[i] : last));
    for (size_t i = 0; i < k->model->n_sub; i++)
        if (k->model->sub[i]->mapped && !strcmp(k->model->sub[i]->mapped, "ctc")) return drop_unused(k), 0;
    return 0;
}
