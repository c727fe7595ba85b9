/* sources.c - inputs: those that stand in the head of a net, and those that layers of data would read. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "format/caffe/caffe.h"

int64_t caffe_batch(const struct caffe *n)
{
    return n->first.rank > 0 ? n->first.dim[0] : -1;
}

/* The file's sizes with those open that no layer has to know. Inputs of the first one's rank and batch share its N. */
static struct shape open_shape(struct caffe *n, const char *name, const struct shape *file)
{
    struct shape s = *file;
    bool first = !n->graph->n_inputs, same = first || (s.rank == n->first.rank && s.dim[0] == n->first.dim[0]);
    char symbol[200];
    if (first) n->first = *file;
    if (!s.rank || n->fixed == 2) return s;
    snprintf(symbol, sizeof symbol, "%.150s_N", name);
    s.dim[0] = graph_symbol(n->graph, same ? "N" : symbol);
    if (n->fixed || s.rank != 4) return s;
    s.dim[2] = graph_symbol(n->graph, "H");
    s.dim[3] = graph_symbol(n->graph, "W");
    return s;
}

static int add_input(struct caffe *n, const char *name, const struct shape *file, bool guessed)
{
    const struct import_hint *h = import_hint_for(n->options, name, n->graph->n_inputs);
    for (int i = 0; i < file->rank; i++)
        if (file->dim[i] < 1 || file->dim[i] > INT32_MAX)
            return fail(n->err, ERR_MODEL, "input \"%s\": dimension %d is %lld", name, i, (long long)file->dim[i]);
    struct shape s = open_shape(n, name, file);
    if (h && h->rank) {
        s = import_hint_shape(h, n->graph);
        for (int i = 0; i < s.rank && s.rank == n->first.rank && !n->graph->n_inputs; i++)
            if (s.dim[i] >= 0) n->first.dim[i] = s.dim[i];
    }
    struct value *v = graph_input(n->graph, name, h && h->dtype ? h->dtype : DT_F32, &s, n->err);
    if (!v) return n->err->code;
    if (guessed && !h) v->flags |= VALUE_GUESSED;
    return caffe_bind(n, name, v) ? 0 : n->err->code;
}

static int read_dims(const struct tree *shape, struct shape *s, const char *name, struct err *e)
{
    size_t n = tree_count(shape, "dim");
    if (n > SHAPE_MAX) return fail(e, ERR_UNSUPPORTED, "input \"%s\" has %zu dimensions", name, n);
    s->rank = (int)n;
    for (size_t i = 0; i < n; i++) s->dim[i] = tree_int_at(shape, "dim", i);
    return 0;
}

int caffe_head_inputs(struct caffe *n)
{
    const struct tree *t = n->net.tree;
    size_t names = tree_count(t, "input"), shapes = tree_count(t, "input_shape"), dims = tree_count(t, "input_dim");
    if (names && shapes != names && dims != 4 * names)
        return fail(n->err, ERR_MODEL, "%zu inputs, but %zu input_shape and %zu input_dim", names, shapes, dims);
    for (size_t i = 0; i < names; i++) {
        const char *name = tree_text_at(t, "input", i);
        struct shape s = { 4, { 0 } };
        if (shapes == names) TRY(read_dims(tree_message_at(t, "input_shape", i), &s, name, n->err));
        else
            for (size_t k = 0; k < 4; k++) s.dim[k] = tree_int_at(t, "input_dim", 4 * i + k);
        TRY(add_input(n, name, &s, false));
    }
    return 0;
}

/* --- layers of data --- */

/* What the images of well-known sets look like, by words in the name of their source. */
static const struct known_set {
    const char *word;
    int64_t channels, size;
} known_sets[] = {
    { "mnist", 1, 28 }, { "cifar", 3, 32 }, { "svhn", 3, 32 }, { "", 3, 224 }, /* any other */
};

static const char *const data_params[] = { "data_param", "image_data_param", "hdf5_data_param", "window_data_param" };

static const char *source_name(const struct caffe_layer *l)
{
    for (size_t i = 0; i < sizeof data_params / sizeof *data_params; i++) {
        const char *name = tree_text(caffe_layer_param(l, data_params[i]), "source", NULL);
        if (name) return name;
    }
    return "";
}

/* Channels that the first reader of the data wants; 0: it does not say. */
static int64_t wanted_channels(struct caffe *n, const char *top)
{
    for (size_t i = 0; i < n->net.n; i++) {
        const struct caffe_layer *l = &n->net.layers[i];
        if (!l->n_bottom || strcmp(l->bottom[0], top) != 0) continue;
        const struct tree *slice = caffe_layer_param(l, "slice_param");
        if (!strcmp(l->type, "Slice") && tree_count(slice, "slice_point"))
            return tree_int_at(slice, "slice_point", 0) * (int64_t)(tree_count(slice, "slice_point") + 1);
        const struct tree_field *blobs = map_get(&n->weights.layers, l->name);
        if (!strcmp(l->type, "Convolution") && blobs) {
            const struct tree *shape = tree_message(blobs->messages[0], "shape");
            int64_t c = tree_count(shape, "dim") == 4 ? tree_int_at(shape, "dim", 1)
                                                      : tree_int(blobs->messages[0], "channels", 0);
            return c * tree_int(caffe_layer_param(l, "convolution_param"), "group", 1);
        }
    }
    return 0;
}

/* The image that a layer of data gives; true when something had to be guessed. */
static bool image_shape(struct caffe *n, const struct caffe_layer *l, struct shape *s)
{
    const struct tree *t = caffe_layer_param(l, "transform_param"), *resize = tree_message(t, "resize_param");
    const struct tree *images = caffe_layer_param(l, "image_data_param");
    const struct known_set *set = known_sets;
    while (!strcasestr(source_name(l), set->word)) set++;
    int64_t crop = tree_int(t, "crop_size", 0), channels = wanted_channels(n, l->top[0]);
    for (size_t i = 0; i < sizeof data_params / sizeof *data_params && !crop; i++)
        if (i != 2) crop = tree_int(caffe_layer_param(l, data_params[i]), "crop_size", 0);
    int64_t height = crop ? crop : tree_int(resize, "height", tree_int(images, "new_height", 0));
    int64_t width = crop ? crop : tree_int(resize, "width", tree_int(images, "new_width", 0));
    bool guessed = !height || !width;
    *s = shape_of(4,
        (int64_t[]){
            1, channels ? channels : set->channels, guessed ? set->size : height, guessed ? set->size : width });
    if (tree_int(t, "force_gray", 0)) s->dim[1] = 1;
    return guessed || !channels;
}

static int image_source(struct caffe *n, const struct caffe_layer *l)
{
    struct shape s;
    const struct tree *memory = caffe_layer_param(l, "memory_data_param");
    bool guessed = false;
    if (memory->schema)
        s = shape_of(4,
            (int64_t[]){ tree_int(memory, "batch_size", 1), tree_int(memory, "channels", 0),
                tree_int(memory, "height", 0), tree_int(memory, "width", 0) });
    else guessed = image_shape(n, l, &s);
    if (guessed && !import_hint_for(n->options, l->top[0], n->graph->n_inputs))
        report_add(n->report, REPORT_GUESS, l->where,
            "the data %s: images of %lld x %lld x %lld (say --input %s=NxCxHxW)", l->top[0], (long long)s.dim[1],
            (long long)s.dim[2], (long long)s.dim[3], l->top[0]);
    if (!n->source) n->source = l;
    TRY(add_input(n, l->top[0], &s, guessed));
    for (size_t i = 1; i < l->n_top; i++)
        if (!caffe_bind(n, l->top[i], NULL)) return n->err->code;
    return 0;
}

/* Input and DummyData: a shape for each top, or one for all. */
static int shaped_source(struct caffe *n, const struct caffe_layer *l, const struct tree *param)
{
    static const char *const old[] = { "num", "channels", "height", "width" };
    size_t shapes = tree_count(param, "shape");
    bool in_four = tree_row(param->schema, "num") && tree_has(param, "num");
    for (size_t i = 0; i < l->n_top; i++) {
        struct shape s = { 4, { 0 } };
        if (!in_four && shapes != 1 && shapes != l->n_top)
            return fail(n->err, ERR_MODEL, "%s: layer %s (%s) has %zu tops and %zu shapes", l->where, l->name, l->type,
                l->n_top, shapes);
        if (!in_four) TRY(read_dims(tree_message_at(param, "shape", shapes == 1 ? 0 : i), &s, l->top[i], n->err));
        for (int k = 0; in_four && k < 4; k++) {
            size_t given = tree_count(param, old[k]);
            s.dim[k] = given ? tree_int_at(param, old[k], i < given ? i : given - 1) : 1;
        }
        TRY(add_input(n, l->top[i], &s, false));
    }
    return 0;
}

int caffe_source(struct caffe *n, const struct caffe_layer *l)
{
    const struct tree *input = caffe_layer_param(l, "input_param"), *dummy = caffe_layer_param(l, "dummy_data_param");
    if (!l->n_top) return 0;
    if (input->schema || dummy->schema) return shaped_source(n, l, input->schema ? input : dummy);
    if (!strcmp(l->type, "Input") || !strcmp(l->type, "DummyData"))
        return fail(n->err, ERR_MODEL, "%s: layer %s (%s) has no shape", l->where, l->name, l->type);
    return image_source(n, l);
}
