/* caffe_corpus.c - Caffe's files of other people: outputs within 1e-4 of their scale, weights bit for bit, and nets
 * without weights read with all shapes known. Prints a line for each. */
#include "tap.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/report.h"
#include "base/str.h"
#include "format/caffe/caffe.h"
#include "graph/graph.h"
#include "ops/interpret.h"
#include "corpus_line.h"
#include "shared.h"
#include "tensors.h"

enum { IO_MAX = 16 };

struct sample {
    struct arena *arena;
    const char *folder, *net, *weights;
    json_t *refs;
    struct graph *graph;
    double worst;
};

static const char *file_of(struct sample *s, const char *ending, struct err *e)
{
    const char **names;
    size_t n;
    if (file_list(s->arena, s->folder, &names, &n, e)) return NULL;
    for (size_t i = 0; i < n; i++)
        if (str_ends(names[i], ending)) return file_join(s->arena, s->folder, names[i]);
    return NULL;
}

static struct tensor *array_at(struct sample *s, const char *key, size_t i, struct err *e)
{
    const char *name = json_string_value(json_array_get(json_object_get(s->refs, key), i));
    return tensor_from_npy(s->arena, file_join(s->arena, s->folder, name), e);
}

static int read_model(struct sample *s, const struct tensor *in, struct err *e)
{
    struct report r = report_in(s->arena);
    struct import_hint hint = { .dtype = DT_F32, .rank = in ? in->shape.rank : 0 };
    for (int i = 0; i < hint.rank; i++) hint.dim[i].size = in->shape.dim[i];
    struct import_options o = { .inputs = &hint, .n_inputs = in != NULL, .weights = s->weights };
    return format_read(s->arena, s->net, &o, &s->graph, &r, e);
}

/* Outputs and inner values alike, by their names. */
static int compare(struct sample *s, struct err *e)
{
    const json_t *names = json_object_get(s->refs, "output_names");
    struct tensor *in = array_at(s, "inputs", 0, e), *out[IO_MAX] = { 0 };
    size_t n = json_array_size(names);
    if (!in) return e->code;
    TRY(read_model(s, in, e));
    s->graph->n_outputs = 0;
    for (size_t i = 0; i < n && i < IO_MAX; i++) {
        struct value *v = graph_find(s->graph, json_string_value(json_array_get(names, i)));
        if (!v) return fail(e, ERR_FAILED, "no value %s", json_string_value(json_array_get(names, i)));
        TRY(graph_output(s->graph, v, e));
    }
    TRY(graph_interpret(s->graph, &in, out, s->arena, NULL, e));
    for (size_t i = 0; i < n && i < IO_MAX; i++) {
        const struct tensor *want = array_at(s, "outputs", i, e);
        if (!want) return e->code;
        s->worst = fmax(s->worst, tensor_difference(out[i], want));
    }
    return s->worst <= 1e-4 ? 0 : fail(e, ERR_MISMATCH, "differs");
}

static bool all_known(const struct graph *g)
{
    for (size_t i = 0; i < g->n_values; i++)
        if (g->values[i]->kind == VALUE_NODE && g->values[i]->shape.rank < 0) return false;
    return g->n_outputs > 0;
}

static int one(struct sample *s, struct err *e)
{
    const char *status = json_string_value(json_object_get(s->refs, "status"));
    s->net = file_of(s, ".prototxt", e);
    s->weights = file_of(s, ".caffemodel", e);
    if (!strcmp(status, "reference")) return compare(s, e);
    TRY(read_model(s, NULL, e));
    return all_known(s->graph) ? 0 : fail(e, ERR_MISMATCH, "not all shapes are known");
}

/* A solver names its net, and the corpus has it in another folder: told so, it is right to refuse. */
static bool refused_rightly(const struct err *e)
{
    return strstr(e->text, "this is a solver; the net that it trains is") != NULL;
}

static void walk(const char *kind, bool (*look)(struct sample *s, const char *name), int at_least)
{
    struct arena a, each;
    struct err e = { 0 };
    const char **names;
    size_t n;
    int right = 0;
    arena_init(&a, NULL);
    const char *root = shared_dir() ? arena_printf(&a, "%s/corpus/%s", shared_dir(), kind) : NULL;
    if (!root || !file_is_dir(root)) SKIP("no corpus");
    CHECK_OK(file_list(&a, root, &names, &n, &e), &e);
    for (size_t i = 0; i < n; i++) {
        arena_init(&each, NULL);
        struct sample s = { .arena = &each, .folder = file_join(&each, root, names[i]) };
        s.refs = json_load_file(file_join(&each, s.folder, "refs.json"), 0, NULL);
        right += look(&s, names[i]);
        json_decref(s.refs);
        arena_release(&each);
    }
    printf("# %s: %zu tried, %d right\n", kind, n, right);
    CHECK(right >= at_least && (size_t)right == n);
    arena_release(&a);
}

static bool runs(struct sample *s, const char *name)
{
    struct err e = { 0 };
    int code = one(s, &e);
    bool refused = code && refused_rightly(&e);
    bool ran = !strcmp(json_string_value(json_object_get(s->refs, "status")), "reference");
    const char *what = code ? refused ? "refused" : "WRONG" : ran ? "right" : "parsed";
    corpus_line(ran ? "caffe" : "caffe prototxt", name, what, ran ? s->worst : -1, e.text);
    return !code || refused;
}

TEST(outputs_of_the_corpus)
{
    walk("caffe", runs, 5);
}

TEST(nets_without_weights)
{
    walk("caffe_prototxt", runs, 14);
}

/* "conv1/0 float32 20x1x5x5 sum first sha256", separated by tabs */
static bool same_tensor(char *line, struct arena *a, const struct map *blobs, struct blob *file, struct err *e)
{
    char *field[6] = { NULL }, hex[65], *at = line;
    for (int i = 0; i < 6; i++) field[i] = strsep(&at, "\t");
    char *slash = field[0] ? strrchr(field[0], '/') : NULL;
    if (!slash || !field[5]) return fail(e, ERR_DATA, "the table: %s", line), false;
    *slash = 0;
    const struct tree_field *f = map_get(blobs, field[0]);
    size_t index = strtoul(slash + 1, NULL, 10);
    const struct tensor *t = f && index < f->n ? caffe_blob_tensor(a, f->messages[index], file, e) : NULL;
    if (!t) return fail(e, ERR_DATA, "no weight %s/%zu", field[0], index), false;
    hash_sha256(t->data, (size_t)tensor_bytes(t), hex);
    return !strncmp(hex, field[5], 64) || (fail(e, ERR_MISMATCH, "%s/%zu differs", field[0], index), false);
}

static int compare_tensors(struct sample *s, size_t *n, struct err *e)
{
    struct format_file file = { .path = file_of(s, ".caffemodel", e) };
    struct bytes table;
    struct caffe_net net;
    struct caffe c = { .arena = s->arena, .err = e };
    if (!file.path || !(file.blob = mapped_file(s->arena, file.path, &file.bytes, e))) return e->code;
    const struct tree *t = proto_tree_read(s->arena, file.path, file.bytes, &caffe_net_schema, e);
    if (!t) return e->code;
    TRY(caffe_net_read(&net, s->arena, t, e));
    TRY(caffe_weights_index(&c, &net, file.blob));
    TRY(file_read(s->arena, file_join(s->arena, s->folder, "tensors.tsv"), 1 << 20, &table, e));
    char *text = arena_strndup(s->arena, (const char *)table.data, table.len), *line;
    strsep(&text, "\n");
    while ((line = strsep(&text, "\n")) && *line) {
        if (!same_tensor(line, s->arena, &c.weights.layers, file.blob, e)) return e->code;
        (*n)++;
    }
    return 0;
}

static bool tensors(struct sample *s, const char *name)
{
    struct err e = { 0 };
    size_t n = 0;
    int code = compare_tensors(s, &n, &e);
    printf("# %-9s %-30s %zu tensors %.300s\n", code ? "wrong" : "right", name, n, e.text);
    return !code && n > 0;
}

TEST(tensors_of_the_corpus)
{
    walk("caffe", tensors, 5);
}
