/* keras.c - reading Keras models: .h5, .keras, or an architecture in JSON with its weights in a second file. */
#include "format/keras/keras.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/str.h"
#include "enc/json.h"
#include "ops/registry.h"

enum { SHARDS_MAX = 10000, TEXT_MAX = 64 << 20, WEIGHTS_MAX_SHIFT = 36, LOOK = 1 << 16 };

static const char weights_name[] = "model.weights.h5";

/* Python writes numbers that JSON has no words for: they become the texts that json_get_number() knows. */
static int plain_json(struct keras *k, struct bytes text, struct bytes *out)
{
    static const struct {
        const char *word, *text;
    } words[] = { { "-Infinity", "\"-.inf\"" }, { "Infinity", "\".inf\"" }, { "NaN", "\".nan\"" } };
    struct str s = str_in(&k->scratch);
    bool inside = false;
    for (size_t i = 0; i < text.len; i++) {
        const char *p = (const char *)text.data + i;
        size_t w = 3;
        for (size_t t = 0; t < 3 && !inside && w == 3; t++)
            if (text.len - i >= strlen(words[t].word) && !strncmp(p, words[t].word, strlen(words[t].word))) w = t;
        if (w < 3) {
            str_add(&s, words[w].text);
            i += strlen(words[w].word) - 1;
            continue;
        }
        if (inside && *p == '\\' && i + 1 < text.len) str_addc(&s, *p), i++, p++;
        else if (*p == '"') inside = !inside;
        str_addc(&s, *p);
    }
    TRY_MEM(str_done(&s), k->err);
    *out = (struct bytes){ (const unsigned char *)s.s, s.len };
    return 0;
}

static int parse_config(struct keras *k, const char *name, struct bytes text)
{
    json_t *root;
    TRY(plain_json(k, text, &text));
    if (json_parse(&k->scratch, name, text, &root, k->err))
        return k->err->code == ERR_NOMEM ? ERR_NOMEM : (k->err->code = ERR_MODEL);
    k->root = root;
    return 0;
}

/* "2.2.4-tf" */
static void read_version(struct keras *k, const char *text)
{
    int *v = k->version;
    if (!text || v[0]) return;
    v[0] = v[1] = v[2] = 0;
    sscanf(text, "%9d.%9d.%9d", &v[0], &v[1], &v[2]);
    k->tf = strstr(text, "-tf") != NULL;
    const char *copy = arena_strdup(k->keep, text);
    if (copy) map_set(&k->g->metadata, "keras_version", (void *)(uintptr_t)copy);
}

/* A text attribute of the root; NULL without an error when it is not there. */
static const char *attribute(struct keras *k, const char *name)
{
    struct hdf5 *h = &k->shards[0]->h5;
    const struct hdf5_attr *a = hdf5_attr(h->root, name);
    const char **text;
    size_t n;
    if (!a || hdf5_strings(h, a, &text, &n, k->err) || !n) return NULL;
    return text[0];
}

static int open_weights(struct keras *k, const char *path, struct bytes file, struct blob *blob)
{
    struct shard *s = ARENA_NEW(&k->scratch, struct shard);
    if (!s || !ARRAY_PUSH(&k->scratch, k->shards, k->n_shards, k->cap_shards, s)) return fail_nomem(k->err);
    s->blob = blob;
    TRY(hdf5_open(&s->h5, k->keep, path, file, k->err));
    k->has_weights = true;
    read_version(k, attribute(k, "keras_version"));
    return k->err->code;
}

static int open_h5(struct keras *k)
{
    const struct format_file *f = k->file;
    TRY(open_weights(k, f->path, f->bytes, f->blob));
    const char *config = attribute(k, "model_config");
    if (k->err->code) return k->err->code;
    if (config) return parse_config(k, "model_config", (struct bytes){ (const unsigned char *)config, strlen(config) });
    struct hdf5 *h = &k->shards[0]->h5;
    if (hdf5_attr(h->root, "layer_names") || hdf5_find(h, NULL, "layers", k->err))
        return fail(k->err, ERR_MODEL,
            "it holds weights without an architecture; give the model's JSON too, as in: tenrec info model.json %s",
            file_base(f->path));
    return fail(k->err, ERR_MODEL, "an HDF5 file, but no Keras model: it has no attribute model_config");
}

static int open_entry(struct keras *k, const char *name)
{
    struct bytes text;
    const struct zip_entry *entry = zip_find(&k->zip, name);
    if (!entry) return fail(k->err, ERR_MODEL, "the archive has no %s", name);
    TRY(zip_read(&k->zip, entry, k->keep, UINT64_C(1) << WEIGHTS_MAX_SHIFT, 0, &text, k->err));
    return open_weights(k, name, text, k->file->blob);
}

/* A file beside the list of the weights. */
static int open_beside(struct keras *k, const char *name)
{
    const char *list = k->options->weights, *slash = strrchr(list, '/');
    const char *path = arena_printf(&k->scratch, "%.*s%s", slash ? (int)(slash + 1 - list) : 0, list, name);
    struct bytes bytes;
    if (!path) return fail_nomem(k->err);
    struct blob *blob = mapped_file(k->keep, path, &bytes, k->err);
    return blob ? open_weights(k, path, bytes, blob) : k->err->code;
}

/* {"weight_map": {"/layers/dense/vars": ["model_00000.weights.h5", ..], ..}}: each file once, by its plain name. */
static int open_shards(
    struct keras *k, const char *path, struct bytes text, int (*open_one)(struct keras *k, const char *name))
{
    struct map seen = map_in(&k->scratch);
    json_t *tree, *files, *file;
    const char *key;
    size_t i;
    TRY(json_parse(&k->scratch, path, text, &tree, k->err));
    json_object_foreach(json_object_get(tree, "weight_map"), key, files) json_array_foreach(files, i, file)
    {
        const char *name = json_string_value(file);
        if (!name || strchr(name, '/') || strchr(name, '\\') || !str_ends(name, ".h5"))
            return fail(k->err, ERR_MODEL, "%s: \"%.100s\" is no name of a file of weights", path, name ? name : "");
        if (map_find(&seen, name)) continue;
        if (k->n_shards >= SHARDS_MAX) return fail(k->err, ERR_MODEL, "%s: more than %d files", path, SHARDS_MAX);
        if (!map_set(&seen, name, k)) return fail_nomem(k->err);
        TRY(open_one(k, name));
    }
    return k->has_weights ? 0 : fail(k->err, ERR_MODEL, "%s: no weight_map that names files", path);
}

static int open_zip(struct keras *k)
{
    const struct format_file *f = k->file;
    struct bytes text;
    TRY(zip_open(&k->zip, &k->scratch, f->path, f->bytes, k->err));
    const struct zip_entry *config = zip_find(&k->zip, "config.json"), *weights = zip_find(&k->zip, weights_name);
    const struct zip_entry *meta = zip_find(&k->zip, "metadata.json");
    if (!config) return fail(k->err, ERR_MODEL, "an archive without config.json is no Keras model");
    const struct zip_entry *list = weights ? NULL : zip_find(&k->zip, "model.weights.json");
    if (meta) {
        json_t *tree;
        TRY(zip_read(&k->zip, meta, &k->scratch, TEXT_MAX, 0, &text, k->err));
        if (json_parse(&k->scratch, "metadata.json", text, &tree, k->err)) return k->err->code;
        read_version(k, json_string_value(json_object_get(tree, "keras_version")));
    }
    TRY(zip_read(&k->zip, config, &k->scratch, TEXT_MAX, 0, &text, k->err));
    TRY(parse_config(k, "config.json", text));
    if (list) {
        TRY(zip_read(&k->zip, list, &k->scratch, TEXT_MAX, 0, &text, k->err));
        return open_shards(k, list->name, text, open_entry);
    }
    return weights ? open_entry(k, weights_name) : 0;
}

static int open_json(struct keras *k)
{
    const struct format_file *f = k->file;
    if (f->bytes.len > TEXT_MAX) return fail(k->err, ERR_MODEL, "a JSON file of more than %d MB", TEXT_MAX >> 20);
    TRY(parse_config(k, f->path, f->bytes));
    read_version(k, json_string_value(json_object_get(k->root, "keras_version")));
    if (json_object_get(k->root, "modelTopology"))
        return fail(k->err, ERR_UNSUPPORTED, "a model of TensorFlow.js; save it as .keras or .h5");
    return 0;
}

/* A second file: weights for an architecture. */
static int open_second(struct keras *k)
{
    const char *path = k->options->weights;
    struct bytes bytes;
    if (!path) return 0;
    struct blob *blob = mapped_file(k->keep, path, &bytes, k->err);
    if (!blob) return k->err->code;
    if (str_ends(path, ".weights.json")) return open_shards(k, path, bytes, open_beside);
    if (!hdf5_is(bytes)) return fail(k->err, ERR_USAGE, "%s: no HDF5 file; weights of Keras are .h5", path);
    return open_weights(k, path, bytes, blob) ? err_prefix(k->err, "%s", path) : 0;
}

/* The type that the layers compute in. */
static void find_type(struct keras *k, const struct layer *l)
{
    const json_t *dtype = json_object_get(l->config, "dtype");
    const char *name = json_is_object(dtype) ? json_string_value(json_object_get(config_of(dtype), "name"))
                                             : class_of(dtype);
    if (name && !strcmp(name, "float64") && strcmp(l->class_name, "InputLayer")) k->compute = DT_F64;
    if (name && strstr(name, "float16"))
        report_add(k->report, REPORT_NOTE, l->label, "layers of type %s are computed in float32", name);
    for (size_t i = 0; i < l->n_sub; i++) find_type(k, l->sub[i]);
}

static int import(struct keras *k)
{
    bool zip = zip_is(k->file->bytes), h5 = hdf5_is(k->file->bytes);
    TRY(zip ? open_zip(k) : h5 ? open_h5(k) : open_json(k));
    TRY(open_second(k));
    TRY(keras_load(k));
    if (!k->has_weights)
        report_add(k->report, REPORT_WARNING, "", "an architecture without weights: all of them are zeros here%s",
            zip || h5 ? "" : "; give the weights as a second file");
    TRY(keras_weights_find(k));
    find_type(k, k->model);
    k->b = (struct builder){ .g = k->g, .err = k->err };
    TRY(keras_build(k));
    return k->scratch.failed ? fail_nomem(k->err) : k->err->code;
}

static int keras_read(struct arena *a, const struct format_file *file, const struct import_options *o, struct graph **g,
    struct report *r, struct err *e)
{
    struct keras *k = ARENA_NEW(a, struct keras);
    TRY_MEM(k, e);
    *k = (struct keras){ .keep = a, .file = file, .options = o, .report = r, .err = e, .compute = DT_F32 };
    if (!(*g = k->g = graph_new(a, &op_registry, file_base(file->path), e))) return e->code;
    arena_init(&k->scratch, a->mem);
    k->scratch.limit = a->limit;
    int code = import(k);
    arena_release(&k->scratch);
    return code;
}

static enum format_match probe(struct bytes file, const char *path);

const struct format format_keras = {
    .name = "keras",
    .doc = "Keras models (.keras, .h5), or an architecture (.json) with its weights (.h5)",
    .extensions = "keras h5 hdf5 json",
    .structure = "json",
    .weights = "h5 hdf5 weights.json",
    .probe = probe,
    .read = keras_read,
    .writes = "keras h5",
    .cannot = keras_cannot_say,
    .write = keras_write,
    .knows = keras_knows,
};

static bool holds(struct bytes file, const char *word)
{
    return file.data && memmem(file.data, file.len, word, strlen(word));
}

static enum format_match probe(struct bytes file, const char *path)
{
    struct bytes head = { file.data, file.len < LOOK ? file.len : LOOK };
    struct bytes tail = { file.data + file.len - head.len, head.len };
    if (hdf5_is(file)) return FORMAT_BY_CONTENT;
    if (zip_is(file))
        return holds(tail, weights_name) || (holds(tail, "config.json") && format_has_extension(&format_keras, path))
            ? FORMAT_BY_CONTENT
            : FORMAT_NO;
    return file.len && strchr("{ \n\r\t", file.data[0]) && holds(head, "\"class_name\"") && holds(head, "\"config\"")
        ? FORMAT_BY_CONTENT
        : FORMAT_NO;
}
