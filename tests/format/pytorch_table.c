/* pytorch_table.c - the table of PyTorch's files in the corpus: tried, passed, worst error, refused and why. */
#include "tap.h"

#include <jansson.h>

#include "base/report.h"
#include "base/str.h"
#include "format/format.h"
#include "format/weights/weights.h"
#include "graph/graph.h"
#include "ops/interpret.h"
#include "pass/mode.h"
#include "corpus_line.h"
#include "shared.h"
#include "tensors.h"

enum { IO_MAX = 64 };

struct tally {
    const char *kind;
    int files, graphs, weights, refused;
    double worst;
};

/* Files that must be refused, and a word of the reason. */
static const struct {
    const char *name, *why;
} refused[] = {
    { "broken.pt", "not a model" },
};

static size_t load(struct arena *a, const char *folder, const json_t *list, struct tensor **out, struct err *e)
{
    size_t n = json_array_size(list) < IO_MAX ? json_array_size(list) : 0;
    for (size_t i = 0; i < n; i++)
        if (!(out[i] = tensor_from_npy(a, file_join(a, folder, json_string_value(json_array_get(list, i))), e)))
            return 0;
    return n;
}

/* The difference from the reference; -1 where there is none to compare with. */
static double run(struct arena *a, const char *path, const char *folder, struct err *e)
{
    struct tensor *in[IO_MAX], *want[IO_MAX], *out[IO_MAX] = { 0 };
    struct import_hint hints[IO_MAX] = { 0 };
    struct graph *g;
    struct report r = report_in(a);
    double worst = 0;
    json_t *refs = json_load_file(file_join(a, folder, "refs.json"), 0, NULL);
    size_t n_in = load(a, folder, json_object_get(refs, "inputs"), in, e);
    size_t n_out = load(a, folder, json_object_get(refs, "outputs"), want, e);
    json_decref(refs);
    for (size_t i = 0; i < n_in; i++) {
        hints[i] = (struct import_hint){ .dtype = in[i]->dtype, .rank = in[i]->shape.rank };
        for (int d = 0; d < hints[i].rank; d++) hints[i].dim[d].size = in[i]->shape.dim[d];
    }
    struct import_options o = { .inputs = hints, .n_inputs = n_in };
    if (format_read(a, path, &o, &g, &r, e)) return INFINITY;
    if (g->n_inputs != n_in || g->n_outputs != n_out) return -1;
    if (strstr(path, "hades_pid") && graph_training(g, &(struct train_mode){ .unbiased = true }, e))
        return INFINITY; /* it was saved so */
    if (graph_interpret(g, in, out, a, &(struct interpret){ 0 }, e)) return INFINITY;
    for (size_t i = 0; i < n_out; i++) worst = fmax(worst, tensor_difference(out[i], want[i]));
    return worst;
}

static const char *expected(const char *name)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (!strcmp(refused[i].name, name)) return refused[i].why;
    return NULL;
}

/* A graph that gives its reference, or all tensors; else it is refused, and that has to be expected. */
static bool one(const char *folder, const char *name, struct tally *t)
{
    struct arena a;
    struct err e = { 0 }, why = { 0 };
    struct weights w;
    arena_init(&a, NULL);
    struct report r = report_in(&a);
    struct format_file file = { .path = file_join(&a, folder, name) };
    double d = run(&a, file.path, folder, &e);
    bool graph = isfinite(d), weights = false;
    if (!graph && (file.blob = mapped_file(&a, file.path, &file.bytes, &why)))
        weights = !weights_read(&w, &a, &file, NULL, &r, &why) && w.n;
    t->files++;
    t->graphs += graph;
    t->weights += weights;
    if (graph && d > t->worst) t->worst = d;
    bool right = (graph && d <= 1e-4) || weights;
    if (!right && !graph) {
        t->refused++;
        right = expected(name) && strstr(e.text, expected(name));
    }
    corpus_line(strstr(t->kind, "samples") ? "pytorch samples" : strchr(t->kind, '/') + 1, name,
        !right        ? "WRONG"
            : graph   ? "right"
            : weights ? "weights"
                      : "refused",
        graph ? d : -1, graph || weights ? "" : e.text);
    if (!right) printf("# wrong %s/%s: %g %.200s; %.200s\n", folder, name, d, e.text, why.text);
    arena_release(&a);
    return right;
}

static bool is_model(const char *name)
{
    static const char *const ends[] = { ".pt", ".pth", ".tar", ".safetensors", ".pt2", ".ptl" };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (str_ends(name, ends[i])) return true;
    return false;
}

static bool folder_of(const char *folder, struct tally *t)
{
    struct arena a;
    struct err e = { 0 };
    const char **names;
    size_t n;
    bool right = true;
    arena_init(&a, NULL);
    CHECK_OK(file_list(&a, folder, &names, &n, &e), &e);
    for (size_t i = 0; i < n; i++)
        if (is_model(names[i])) right &= one(folder, names[i], t);
    arena_release(&a);
    return right;
}

TEST(files_of_the_corpus)
{
    static const char *const kinds[] = { "corpus/state_dict", "corpus/safetensors", "corpus/pickle_model", "corpus/pt2",
        "samples/pkl" };
    struct arena a;
    struct err e = { 0 };
    if (!shared_dir()) SKIP("no corpus");
    arena_init(&a, NULL);
    for (int k = 0; k < 5; k++) {
        struct tally t = { .kind = kinds[k] };
        const char **names, *kind = file_join(&a, shared_dir(), kinds[k]);
        size_t n;
        bool right = true;
        if (!file_is_dir(kind)) SKIP("no corpus");
        CHECK_OK(file_list(&a, kind, &names, &n, &e), &e);
        if (k == 4) right = folder_of(kind, &t);
        for (size_t i = 0; k < 4 && i < n; i++) right &= folder_of(file_join(&a, kind, names[i]), &t);
        printf("# %-20s %3d files: %d graphs (worst %.2g of scale), %d weights, %d refused\n", t.kind, t.files,
            t.graphs, t.worst, t.weights, t.refused);
        CHECK(right && t.files);
    }
    arena_release(&a);
}
