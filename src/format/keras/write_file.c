/* write_file.c - a Keras model that was made, as a file: .h5 as Keras 2 wrote it (Keras 3 reads it, too), .keras as
 * Keras 3 does. */
#include <ctype.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "enc/hdf5_writer.h"
#include "enc/json.h"
#include "enc/zip.h"
#include "format/keras/ops.h"
#include "format/keras/write.h"

/* The versions whose files these are like. */
#define KERAS2 "2.15.0"
#define KERAS3 "3.9.2"

static json_t *layer_json(const struct kwriter *w, const struct made_layer *l)
{
    json_t *j = json_pack("{s:s,s:O,s:s,s:O}", "class_name", l->class_name, "config", l->config, "name", l->name,
        "inbound_nodes", l->calls);
    if (w->v3) {
        json_object_set_new(j, "module", json_string(l->module));
        json_object_set_new(j, "registered_name", l->op ? json_string(l->class_name) : json_null());
    }
    return j;
}

static const char *config_text(struct kwriter *w, json_t *inputs, json_t *outputs, size_t *len)
{
    json_t *layers = json_array();
    struct bytes text;
    for (size_t i = 0; i < w->n_layers; i++) json_array_append_new(layers, layer_json(w, w->layers[i]));
    json_t *model = json_pack("{s:s,s:{s:s,s:b,s:o,s:O,s:O}}", "class_name", "Functional", "config", "name", "model",
        "trainable", 1, "layers", layers, "input_layers", inputs, "output_layers", outputs);
    if (json_own(w->arena, model, w->err)) return NULL;
    if (w->v3) {
        json_object_set_new(model, "module", json_string("keras.src.models.functional"));
        json_object_set_new(model, "registered_name", json_string("Functional"));
    }
    if (w->arena->failed || json_print(model, JSON_ONE_LINE, w->arena, &text, w->err)) return fail_nomem(w->err), NULL;
    *len = text.len;
    const char *config = arena_strndup(w->arena, (const char *)text.data, text.len);
    return config ? config : (fail_nomem(w->err), NULL);
}

static int put_tensor(
    struct kwriter *w, struct hdf5_writer *h, struct hdf5_made *group, const char *name, const struct tensor *t)
{
    struct hdf5_type type = { dtype_is_float(t->dtype) ? 'f' : 'i', (unsigned)dtype_size(t->dtype), false };
    struct hdf5_space space = { .rank = t->shape.rank };
    if (t->dtype == DT_U8 || t->dtype == DT_U16 || t->dtype == DT_U32 || t->dtype == DT_U64) type.kind = 'u';
    if (t->dtype == DT_BF16) return fail(w->err, ERR_UNSUPPORTED, "bfloat16 weights are not written");
    for (int d = 0; d < space.rank; d++) space.dim[d] = (uint64_t)t->shape.dim[d];
    return hdf5_make_dataset(h, group, name, type, space, t->data, w->err);
}

/* model_weights/conv1/conv1/kernel:0, and lists of names as attributes. */
static int put_by_layer(struct kwriter *w, struct hdf5_writer *h, const char *config)
{
    static const char *const keys[] = { "backend", "keras_version" }, *const values[] = { "tensorflow", KERAS2 };
    struct hdf5_made *all = hdf5_make_group(h, NULL, "model_weights", w->err), *group, *inner;
    const char **names = ARENA_ARRAY(w->arena, w->n_layers + WEIGHTS_MAX, const char *);
    if (!all || !names) return fail_nomem(w->err);
    TRY(hdf5_make_strings(h, h->root, "model_config", &config, 1, true, w->err));
    for (size_t i = 0; i < 2; i++) {
        TRY(hdf5_make_strings(h, h->root, keys[i], &values[i], 1, true, w->err));
        TRY(hdf5_make_strings(h, all, keys[i], &values[i], 1, true, w->err));
    }
    for (size_t i = 0; i < w->n_layers; i++) names[i] = w->layers[i]->name;
    TRY(hdf5_make_strings(h, all, "layer_names", names, w->n_layers, false, w->err));
    for (size_t i = 0; i < w->n_layers; i++) {
        const struct made_layer *l = w->layers[i];
        if (!(group = hdf5_make_group(h, all, l->name, w->err))) return w->err->code;
        for (size_t k = 0; k < l->n_weights; k++) {
            const struct made_weight *x = &l->weights[k];
            const char *path = arena_printf(w->arena, "%s%s%s", l->name, x->path[0] ? "/" : "", x->path);
            const char *name = arena_printf(w->arena, "%s:0", x->role);
            names[k] = arena_printf(w->arena, "%s/%s", path, name);
            if (!path || !name || !names[k]) return fail_nomem(w->err);
            if (!(inner = hdf5_make_group(h, group, path, w->err))) return w->err->code;
            TRY(put_tensor(w, h, inner, name, x->data));
        }
        const char **own = ARENA_ARRAY(w->arena, l->n_weights + 1, const char *);
        TRY_MEM(own, w->err);
        memcpy(own, names, l->n_weights * sizeof *own);
        TRY(hdf5_make_strings(h, group, "weight_names", own, l->n_weights, false, w->err));
    }
    return 0;
}

/* layers/conv2d_1/vars/0: layers are numbered by class, whatever their names. */
static int put_by_path(struct kwriter *w, struct hdf5_writer *h)
{
    struct map seen = map_in(w->arena);
    for (size_t i = 0; i < w->n_layers; i++) {
        const struct made_layer *l = w->layers[i];
        char class_name[64], number[24];
        if (l->op) continue;
        snake_case(l->class_name, class_name, sizeof class_name);
        uintptr_t n = (uintptr_t)map_get(&seen, class_name);
        if (!map_set(&seen, class_name, (void *)(n + 1))) return fail_nomem(w->err);
        for (size_t k = 0; k < l->n_weights; k++) {
            const struct made_weight *x = &l->weights[k];
            int place = 0;
            for (size_t b = 0; b < k; b++) place += !strcmp(l->weights[b].path, x->path);
            snprintf(number, sizeof number, "_%zu", (size_t)n);
            const char *path = arena_printf(
                w->arena, "layers/%s%s/%s%svars", class_name, n ? number : "", x->path, x->path[0] ? "/" : "");
            TRY_MEM(path, w->err);
            struct hdf5_made *group = hdf5_make_group(h, NULL, path, w->err);
            snprintf(number, sizeof number, "%d", place);
            if (!group) return w->err->code;
            TRY(put_tensor(w, h, group, number, x->data));
        }
    }
    return 0;
}

static int put_file(void *cookie, const void *data, size_t len, struct err *e)
{
    return file_writer_put(cookie, data, len, e);
}

static int put_entry(void *cookie, const void *data, size_t len, struct err *e)
{
    return zip_writer_put(cookie, data, len, e);
}

static int fill_zip(struct kwriter *w, struct hdf5_writer *h, struct file_writer *f, const char *config, size_t len)
{
    static const char metadata[] = "{\"keras_version\": \"" KERAS3 "\", \"date_saved\": \"1980-01-01@00:00:00\"}";
    struct zip_writer z;
    zip_writer_init(&z, w->arena, f);
    TRY(zip_writer_add(&z, "metadata.json", metadata, sizeof metadata - 1, w->err));
    TRY(zip_writer_add(&z, "config.json", config, len, w->err));
    TRY(zip_writer_begin(&z, "model.weights.h5", h->size, w->err));
    TRY(hdf5_writer_write(h, put_entry, &z, w->err));
    TRY(zip_writer_end(&z, w->err));
    return zip_writer_finish(&z, w->err);
}

int kw_write_file(struct kwriter *w, const char *path, json_t *inputs, json_t *outputs)
{
    struct hdf5_writer h;
    struct file_writer f;
    size_t len;
    if (w->v3) TRY(kw_order_layers(w, outputs));
    const char *config = config_text(w, inputs, outputs, &len);
    if (!config || hdf5_writer_init(&h, w->arena, w->err)) return w->err->code;
    TRY(w->v3 ? put_by_path(w, &h) : put_by_layer(w, &h, config));
    TRY(hdf5_writer_layout(&h, w->err));
    TRY(file_writer_open(&f, w->arena, path, w->err));
    int code = w->v3 ? fill_zip(w, &h, &f, config, len) : hdf5_writer_write(&h, put_file, &f, w->err);
    if (!code && w->arena->failed) code = fail_nomem(w->err); /* what drops things silently cannot hide it */
    if (code) return file_writer_abort(&f), code;
    return file_writer_commit(&f, w->err);
}
