/* write.c - writing a package: manifest first, then the graph, the weights once, labels and examples. */
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"
#include "data/arrays.h"
#include "enc/json.h"
#include "enc/zip.h"
#include "format/onnx/write.h"
#include "format/safetensors.h"
#include "package/model.h"

enum { EMBEDDED_MAX = 256 }; /* constants of fewer bytes stay inside the graph's file */
#define WEIGHTS_FILE "model.safetensors"

struct part {
    const char *name;
    struct bytes head, data;           /* written one after the other */
    const struct safetensors *weights; /* or this */
};

struct writing {
    struct model *m;
    struct arena a; /* for all that is made on the way */
    struct safetensors weights;
    struct part *parts;
    size_t n, cap;
};

static int add_part(struct writing *w, struct part p, struct err *e)
{
    return ARRAY_PUSH(&w->a, w->parts, w->n, w->cap, p) ? 0 : fail_nomem(e);
}

static int collect_weights(struct writing *w, struct err *e)
{
    const struct graph *g = w->m->graph;
    safetensors_init(&w->weights, &w->a);
    for (size_t i = 0; i < g->n_values; i++) {
        const struct value *v = g->values[i];
        bool is_weight = v->kind == VALUE_STATE || (v->kind == VALUE_CONST && tensor_bytes(v->data) > EMBEDDED_MAX);
        if (is_weight && dtype_safetensors(v->dtype)) TRY(safetensors_add(&w->weights, v->name, v->data, e));
    }
    return safetensors_layout(&w->weights, e);
}

static bool place(void *cookie, const char *name, uint64_t *offset, uint64_t *length)
{
    const struct writing *w = cookie;
    const struct safetensors_entry *entry = safetensors_find(&w->weights, name);
    if (!entry) return false;
    *offset = entry->offset;
    *length = entry->length;
    return true;
}

static int add_graph(struct writing *w, struct err *e)
{
    struct onnx_write_options o = { .location = WEIGHTS_FILE, .place = place, .cookie = w };
    struct proto_message message;
    struct part p = { .name = "model.onnx" };
    TRY(onnx_write(w->m->graph, &w->a, &o, &message, &w->m->report, e));
    TRY(proto_bytes(&message, &w->a, &p.data, e));
    return add_part(w, p, e);
}

static int add_labels(struct writing *w, struct err *e)
{
    const struct labels *l = &w->m->labels;
    struct str s = str_in(&w->a);
    if (!l->n) return 0;
    for (size_t i = 0; i < l->n; i++) str_addf(&s, "%s\n", l->names[i]);
    const char *text = str_done(&s);
    TRY_MEM(text, e);
    return add_part(w, (struct part){ .name = "labels.txt", .data = { (const unsigned char *)text, s.len } }, e);
}

/* One array of an example as .npy; its entry goes to the list in the manifest. */
static int add_array(struct writing *w, json_t *list, const char *kind, size_t i, const char *port,
    const struct tensor *t, struct err *e)
{
    struct npy array;
    struct part p = { .name = arena_printf(&w->a, "examples/e0/%s_%zu.npy", kind, i) };
    TRY_MEM(p.name, e);
    TRY(npy_from_tensor(&array, t, e));
    TRY(npy_header(&array, &w->a, &p.head, e));
    p.data = array.data;
    json_array_append_new(list, json_pack("{s:s,s:s}", "name", port, "file", p.name));
    return add_part(w, p, e);
}

static int add_example(struct writing *w, const struct example *ex, struct err *e)
{
    const struct graph *g = w->m->graph;
    json_t *in = json_array(), *out = json_array();
    json_object_set_new(w->m->manifest, "examples",
        json_pack(
            "[{s:s,s:s,s:f,s:o,s:o}]", "id", "e0", "made_by", ex->made_by, "rtol", 1e-4, "inputs", in, "outputs", out));
    for (size_t i = 0; i < g->n_inputs; i++) TRY(add_array(w, in, "input", i, g->inputs[i]->name, ex->in[i], e));
    for (size_t i = 0; i < g->n_outputs; i++) TRY(add_array(w, out, "output", i, g->outputs[i]->name, ex->out[i], e));
    return 0;
}

static int hash_piece(void *cookie, const void *data, size_t len, struct err *e)
{
    hash_add(cookie, data, len);
    return 0;
}

static uint64_t part_size(const struct part *p)
{
    return p->weights ? p->weights->size : p->head.len + p->data.len;
}

static int put_part(const struct part *p, int (*put)(void *cookie, const void *data, size_t len, struct err *e),
    void *cookie, struct err *e)
{
    if (p->weights) return safetensors_put(p->weights, put, cookie, e);
    if (p->head.len) TRY(put(cookie, p->head.data, p->head.len, e));
    return p->data.len ? put(cookie, p->data.data, p->data.len, e) : 0;
}

/* The manifest with what is only known now: parameters, files and their checksums. */
static int finish_manifest(struct writing *w, struct bytes *out, struct err *e)
{
    json_t *m = w->m->manifest, *files = json_array();
    const struct graph *g = w->m->graph;
    int64_t parameters = 0;
    for (size_t i = 0; i < g->n_states; i++)
        if (g->states[i]->flags & VALUE_TRAINABLE) parameters += tensor_count(g->states[i]->data);
    json_object_set_new(m, "graph", json_pack("{s:s}", "file", "model.onnx"));
    json_object_set_new(
        m, "weights", json_pack("{s:s,s:I}", "file", WEIGHTS_FILE, "parameters", (json_int_t)parameters));
    json_object_set_new(m, "files", files);
    for (size_t i = 0; i < w->n; i++) {
        struct hash_stream h;
        char hex[65];
        hash_begin(&h);
        TRY(put_part(&w->parts[i], hash_piece, &h, e));
        hash_end(&h, hex);
        json_array_append_new(files,
            json_pack(
                "{s:s,s:I,s:s}", "path", w->parts[i].name, "size", (json_int_t)part_size(&w->parts[i]), "sha256", hex));
    }
    return json_print(m, 0, &w->a, out, e);
}

static int zip_piece(void *cookie, const void *data, size_t len, struct err *e)
{
    return zip_writer_put(cookie, data, len, e);
}

static int write_container(struct writing *w, struct file_writer *f, const struct bytes *manifest, struct err *e)
{
    struct zip_writer z;
    zip_writer_init(&z, &w->a, f);
    TRY(zip_writer_add(&z, "manifest.json", manifest->data, manifest->len, e));
    for (size_t i = 0; i < w->n; i++) {
        TRY(zip_writer_begin(&z, w->parts[i].name, part_size(&w->parts[i]), e));
        TRY(put_part(&w->parts[i], zip_piece, &z, e));
        TRY(zip_writer_end(&z, e));
    }
    return zip_writer_finish(&z, e);
}

static int write_all(struct writing *w, const char *path, const struct example *ex, struct err *e)
{
    struct bytes manifest;
    struct file_writer f;
    TRY(collect_weights(w, e));
    TRY(add_graph(w, e));
    TRY(add_part(w, (struct part){ .name = WEIGHTS_FILE, .weights = &w->weights }, e));
    TRY(add_labels(w, e));
    if (ex) TRY(add_example(w, ex, e));
    TRY(finish_manifest(w, &manifest, e));
    TRY(file_writer_open(&f, &w->a, path, e));
    if (write_container(w, &f, &manifest, e)) return file_writer_abort(&f), e->code;
    return file_writer_commit(&f, e);
}

int package_write(struct model *m, const char *path, const struct example *example, struct err *e)
{
    struct writing w = { .m = m };
    arena_init(&w.a, m->arena.mem);
    int code = write_all(&w, path, example, e);
    arena_release(&w.a);
    return code;
}
