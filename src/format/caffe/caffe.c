/* caffe.c - reading Caffe's models: a prototxt, a caffemodel, or both. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "enc/hdf5.h"
#include "enc/protobuf.h"
#include "enc/prototxt.h"
#include "format/caffe/caffe.h"
#include "ops/registry.h"

enum { LOOK = 1 << 16 }; /* bytes of a text that are looked at to recognise it */

static bool holds(struct bytes file, const char *word)
{
    return memmem(file.data, file.len < LOOK ? file.len : LOOK, word, strlen(word)) != NULL;
}

static bool is_text(struct bytes file)
{
    return !memchr(file.data, 0, file.len < LOOK ? file.len : LOOK);
}

/* Layers on the top level of a message, and nothing that a NetParameter has not. */
static bool looks_like_caffemodel(struct bytes file)
{
    struct proto p;
    struct proto_field in;
    struct err e = { 0 };
    bool layers = false;
    int more;
    proto_init(&p, "", file);
    while ((more = proto_next(&p, &in, &e)) > 0) {
        if (in.number != 100 && in.number > 8) return false;
        bool span = in.number == 1 || in.number == 2 || in.number == 3 || in.number == 8 || in.number == 100;
        if (span && in.wire != PROTO_SPAN) return false;
        layers |= in.number == 2 || in.number == 100;
    }
    return !more && layers;
}

static enum format_match probe(struct bytes file, const char *path);

static int caffe_read(struct arena *a, const struct format_file *file, const struct import_options *o, struct graph **g,
    struct report *r, struct err *e);

const struct format format_caffe = {
    .name = "caffe",
    .doc = "Caffe's prototxt, caffemodel, or both",
    .extensions = "prototxt pbtxt caffemodel",
    .structure = "prototxt pbtxt",
    .weights = "caffemodel h5",
    .probe = probe,
    .read = caffe_read,
    .knows = caffe_knows,
};

static enum format_match probe(struct bytes file, const char *path)
{
    bool named = format_has_extension(&format_caffe, path);
    if (!is_text(file)) return looks_like_caffemodel(file) ? FORMAT_BY_CONTENT : FORMAT_NO;
    bool words = holds(file, "layer") || holds(file, "net:") || holds(file, "net_param");
    return named ? (words ? FORMAT_BY_CONTENT : FORMAT_BY_NAME) : FORMAT_NO;
}

static void copy_report(const struct report *from, struct report *to)
{
    for (size_t i = 0; i < from->n; i++)
        for (size_t k = 0; k < from->items[i].count; k++)
            report_add(to, from->items[i].kind, from->items[i].where, "%s", from->items[i].what);
}

static bool has_net(const struct tree *t)
{
    return tree_has(t, "layer") || tree_has(t, "layers") || tree_has(t, "input");
}

static const struct tree *read_text(struct caffe *n, const char *path, struct bytes text);

/* The net that a solver trains: within it, or in a file that lies beside it. */
static const struct tree *net_of_solver(struct caffe *n, const struct tree *solver, const char *path)
{
    static const char *const inner[] = { "net_param", "train_net_param", "test_net_param" };
    for (int i = 0; i < 3; i++)
        if (tree_has(solver, inner[i])) return tree_message(solver, inner[i]);
    const char *name = tree_text(solver, "net", tree_text(solver, "train_net", NULL));
    if (!name) return fail(n->err, ERR_MODEL, "%s: neither layers nor a solver that names a net", path), NULL;
    char *dir = file_dir(n->arena, path), *beside = dir ? file_join(n->arena, dir, file_base(name)) : NULL;
    struct bytes text;
    if (!beside) return fail_nomem(n->err), NULL;
    if (!file_exists(beside) || !strcmp(file_base(name), file_base(path)))
        return fail(n->err, ERR_MODEL,
                   "%s: this is a solver; the net that it trains is %s, which does not lie beside "
                   "it: open that file",
                   path, name),
               NULL;
    report_add(n->report, REPORT_NOTE, "", "a solver: its net is read from %s", beside);
    return file_map(n->arena, beside, &text, n->err) ? NULL : read_text(n, beside, text);
}

static const struct tree *read_text(struct caffe *n, const char *path, struct bytes text)
{
    struct report found = report_in(n->arena);
    const struct tree *t = prototxt_read(n->arena, path, text, &caffe_net_schema, &found, n->err);
    if (!t) return NULL;
    if (has_net(t)) return copy_report(&found, n->report), t;
    found = report_in(n->arena);
    t = prototxt_read(n->arena, path, text, &caffe_solver_schema, &found, n->err);
    if (t) copy_report(&found, n->report);
    return t ? net_of_solver(n, t, path) : NULL;
}

/* NET.caffemodel beside NET.prototxt, or NET.caffemodel.h5; NULL: there is none. */
static const char *weights_beside(struct caffe *n)
{
    static const char *const endings[] = { "caffemodel", "caffemodel.h5" };
    const char *dot = strrchr(n->file->path, '.');
    for (int i = 0; i < 2 && dot && !n->file->beside; i++) {
        const char *path = arena_printf(n->arena, "%.*s.%s", (int)(dot - n->file->path), n->file->path, endings[i]);
        if (!path || !file_exists(path)) continue;
        report_add(n->report, REPORT_NOTE, "", "weights: %s, which lies beside the net", path);
        return path;
    }
    return NULL;
}

static int read_weights(struct caffe *n, const char *path)
{
    struct caffe_net net;
    struct bytes bytes;
    struct blob *blob = mapped_file(n->keep, path, &bytes, n->err);
    if (!blob) return n->err->code;
    if (hdf5_is(bytes)) return caffe_weights_hdf5(n, path, bytes, blob);
    if (is_text(bytes)) return fail(n->err, ERR_USAGE, "%s: a text, where weights are expected", path);
    const struct tree *t = proto_tree_read(n->arena, path, bytes, &caffe_net_schema, n->err);
    if (!t) return n->err->code;
    TRY(caffe_net_read(&net, n->arena, t, n->err));
    return caffe_weights_index(n, &net, blob);
}

/* The net, and weights of a file of their own or of the net's own layers. */
static int read_files(struct caffe *n)
{
    const char *path = n->options->weights;
    struct bytes bytes = n->file->bytes;
    bool text = is_text(bytes);
    const struct tree *net = text ? read_text(n, n->file->path, bytes)
                                  : proto_tree_read(n->arena, n->file->path, bytes, &caffe_net_schema, n->err);
    if (!net) return n->err->code;
    TRY(caffe_net_read(&n->net, n->arena, net, n->err));
    if (!path && text) path = weights_beside(n);
    TRY(path ? read_weights(n, path) : caffe_weights_index(n, &n->net, text ? NULL : n->file->blob));
    if (!n->has_weights)
        report_add(n->report, REPORT_WARNING, "", "there are no weights: all are zeros%s",
            text && !path ? " (give the .caffemodel behind the .prototxt)" : "");
    return 0;
}

static int begin(struct caffe *n, int fixed)
{
    const char *name = tree_text(n->net.tree, "name", file_base(n->file->path));
    n->fixed = fixed, n->wants_fixed = false;
    n->n_order = n->cap_order = n->n_without = 0;
    n->order = NULL, n->source = NULL;
    n->blobs = map_in(n->arena), n->shared = map_in(n->arena), n->nodes = map_in(n->arena);
    n->first = (struct shape){ 0 };
    if (!(n->graph = graph_new(n->keep, &op_registry, name, n->err))) return n->err->code;
    n->b = (struct builder){ .g = n->graph, .err = n->err };
    return 0;
}

/* First with all sizes open that no layer has to know, then with fewer. */
static int build(struct caffe *n, struct report *report)
{
    for (int fixed = 0;; fixed++) {
        struct report found = report_in(n->arena);
        n->report = &found;
        TRY(begin(n, fixed));
        int code = caffe_build(n);
        n->report = report;
        if (code && n->wants_fixed && fixed < 2) {
            err_clear(n->err);
            continue;
        }
        copy_report(&found, report);
        return code;
    }
}

/* No layer of the weights is one of the net: the two files do not belong together. */
static int check_match(struct caffe *n)
{
    size_t same = 0;
    for (size_t i = 0; i < n->net.n; i++) same += map_find(&n->weights.layers, n->net.layers[i].name) != NULL;
    if (same || !n->has_weights) return 0;
    return fail(n->err, ERR_MODEL,
        "the weights are of other layers (%s, %zu in all): these files do not belong together",
        n->weights.layers.entries[0].key, n->weights.layers.n);
}

static int read_with(struct caffe *n, struct report *report)
{
    TRY(read_files(n));
    TRY(check_match(n));
    TRY(build(n, report));
    return caffe_transform(n);
}

static int caffe_read(struct arena *a, const struct format_file *file, const struct import_options *o, struct graph **g,
    struct report *r, struct err *e)
{
    struct arena scratch;
    arena_init(&scratch, a->mem);
    struct caffe n = { .arena = &scratch, .keep = a, .file = file, .options = o, .report = r, .err = e };
    n.phase = o->mode == IMPORT_TRAIN ? "TRAIN" : "TEST";
    int code = read_with(&n, r);
    if (!code && scratch.failed) code = fail_nomem(e);
    *g = n.graph;
    arena_release(&scratch);
    return code;
}
