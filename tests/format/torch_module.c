/* torch_module.c - modules pickled as a whole: rebuilt from classes that are known, never from code. */
#include "tap.h"

#include "base/report.h"
#include "base/str.h"
#include "format/format.h"
#include "graph/graph.h"
#include "ops/interpret.h"
#include "shared.h"
#include "tensors.h"

static struct tensor *in_npz(struct arena *a, const char *path, const char *name, struct err *e)
{
    struct bytes file;
    struct zip z;
    struct npy n;
    if (file_map(a, path, &file, e) || zip_open(&z, a, path, file, e) || npz_read(&n, a, &z, name, 1u << 30, e))
        return NULL;
    struct shape s = shape_of((int)n.rank, n.shape);
    return tensor_copy(a, DT_F32, &s, n.data.data, e);
}

/* The model on `in` must give `want`. */
static double run(struct arena *a, const char *path, struct tensor *in, const struct tensor *want, struct err *e)
{
    struct graph *g;
    struct tensor *out[4] = { 0 };
    struct report r = report_in(a);
    if (!in || !want) return INFINITY;
    struct import_hint h = { .dtype = in->dtype, .rank = in->shape.rank };
    for (int d = 0; d < h.rank; d++) h.dim[d].size = in->shape.dim[d];
    struct import_options o = { .inputs = &h, .n_inputs = 1 };
    if (format_read(a, path, &o, &g, &r, e) || g->n_inputs != 1 || g->n_outputs != 1) return INFINITY;
    if (graph_interpret(g, &in, out, a, &(struct interpret){ 0 }, e)) return INFINITY;
    return tensor_difference(out[0], want);
}

TEST(sequences_of_layers_of_other_people)
{
    static const char *const names[][2] = { { "fml_two_layer", "two_layer_model.pt" },
        { "fml_three_layer", "three_layer_model.pt" } };
    struct arena a;
    struct err e = { 0 };
    if (!shared_dir()) SKIP("no corpus");
    arena_init(&a, NULL);
    const char *corpus = file_join(&a, shared_dir(), "corpus/pickle_model");
    if (!file_is_dir(corpus)) SKIP("no corpus");
    for (int i = 0; i < 2; i++) {
        const char *folder = file_join(&a, corpus, names[i][0]);
        struct tensor *in = tensor_from_npy(&a, file_join(&a, folder, "in_0.npy"), &e);
        struct tensor *want = tensor_from_npy(&a, file_join(&a, folder, "out_0.npy"), &e);
        double d = run(&a, file_join(&a, folder, names[i][1]), in, want, &e);
        printf("# %s %g %s\n", names[i][0], d, e.text);
        CHECK(d <= 1e-4);
    }
    arena_release(&a);
}

TEST(both_containers_hold_the_same_model)
{
    static const char *const names[] = { "model_seq_zip.pt", "model_seq_legacy.pt" };
    struct arena a;
    struct err e = { 0 };
    if (!shared_dir()) SKIP("no samples");
    arena_init(&a, NULL);
    const char *folder = file_join(&a, shared_dir(), "samples/pkl");
    if (!file_is_dir(folder)) SKIP("no samples");
    const char *io = file_join(&a, folder, "model_seq.io.npz");
    for (int i = 0; i < 2; i++) {
        double d = run(&a, file_join(&a, folder, names[i]), in_npz(&a, io, "in0", &e), in_npz(&a, io, "out0", &e), &e);
        printf("# %s %g %s\n", names[i], d, e.text);
        CHECK(d <= 1e-4);
    }
    arena_release(&a);
}

/* weight_norm and spectral_norm around linear layers; the numbers are PyTorch's. */
TEST(weights_that_hooks_make)
{
    struct arena a;
    struct err e = { 0 };
    float x[] = { 1, 2, 3, -1, 0, 2 }, y[] = { -1.0085302591f, -1.3809281588f, -2.2108771801f, -0.6791582108f };
    const char *source = getenv("TENREC_SOURCE");
    arena_init(&a, NULL);
    struct shape in = shape_of(2, (int64_t[]){ 2, 3 }), out = shape_of(2, (int64_t[]){ 2, 2 });
    const char *path = arena_printf(&a, "%s/tests/fuzz/corpus/module/hooks.pt", source ? source : ".");
    double d = run(&a, path, tensor_copy(&a, DT_F32, &in, x, &e), tensor_copy(&a, DT_F32, &out, y, &e), &e);
    if (d > 1e-6) printf("# %g %s\n", d, e.text);
    CHECK(d <= 1e-6);
    arena_release(&a);
}

TEST(classes_that_are_not_known_are_named)
{
    static const char *const cases[][2] = { { "model_zip.pt", "__main__.CNN" }, { "model_legacy.pt", "__main__.CNN" },
        { "model_zoo_zip.pt", "container.ModuleDict" },
        { "sd_zip.pt", "without a structure" }, { "optimizer_object_zip.pt", "without a structure" } };
    if (!shared_dir()) SKIP("no samples");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena a;
        struct err e = { 0 };
        struct graph *g;
        arena_init(&a, NULL);
        struct report r = report_in(&a);
        const char *folder = file_join(&a, shared_dir(), "samples/pkl");
        if (!file_is_dir(folder)) SKIP("no samples");
        int code = format_read(&a, file_join(&a, folder, cases[i][0]), NULL, &g, &r, &e);
        if (code != ERR_UNSUPPORTED || !strstr(e.text, cases[i][1])) printf("# %s: %s\n", cases[i][0], e.text);
        CHECK(code == ERR_UNSUPPORTED && strstr(e.text, cases[i][1]));
        arena_release(&a);
    }
}
