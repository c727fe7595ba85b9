/* keras_write.c - Keras models that we write: golden models and samples go out, come back, and answer as they did. */
#include "tap.h"

#include <jansson.h>
#include <unistd.h>

#include "base/str.h"
#include "enc/hdf5.h"
#include "enc/zip.h"
#include "graph/builder.h"
#include "ops/registry.h"
#include "round_trip.h"
#include "shared.h"

static const struct format *keras(void)
{
    return format_find("keras");
}

struct tally {
    int tried, right, refused, wrong;
};

static void one(struct tally *t, const char *path, const char *ending)
{
    struct arena a;
    struct err e = { 0 };
    struct graph *g;
    double most = 0;
    arena_init(&a, NULL);
    struct report r = report_in(&a);
    int code = format_read(&a, path, NULL, &g, &r, &e);
    bool read = !code;
    if (read) code = round_trip(&a, keras(), g, ending, &most, &e);
    bool right = !code && most <= 1e-5;
    bool refused = read && code && code != ERR_FAILED;
    t->tried += read;
    t->right += right;
    t->refused += refused;
    t->wrong += read && !right && !refused;
    if (read && !right && (getenv("TENREC_VERBOSE") || !refused))
        printf("# %s %s as %s: %g %s\n", refused ? "refused" : "WRONG", file_base(path), ending, most, e.text);
    arena_release(&a);
}

/* All files of a folder with one of these endings. */
static struct tally all(const char *folder, const char *ending, const char *into)
{
    struct arena a;
    struct err e = { 0 };
    struct tally t = { 0 };
    const char **names, *only = getenv("TENREC_SAMPLE");
    size_t n = 0;
    arena_init(&a, NULL);
    CHECK_OK(file_list(&a, folder, &names, &n, &e), &e);
    for (size_t i = 0; i < n; i++)
        if (str_ends(names[i], ending) && (!only || strstr(names[i], only)))
            one(&t, file_join(&a, folder, names[i]), into);
    printf("# %s as %s: %d tried, %d right, %d refused\n", file_base(folder), into, t.tried, t.right, t.refused);
    arena_release(&a);
    CHECK_INT(t.wrong, 0);
    return t;
}

static struct tally golden(const char *kind, const char *ending, const char *into)
{
    char folder[4096];
    const char *source = getenv("TENREC_SOURCE");
    snprintf(folder, sizeof folder, "%s/tests/golden/%s", source ? source : ".", kind);
    if (access(folder, R_OK)) SKIP("the golden models are elsewhere");
    return all(folder, ending, into);
}

TEST(layers_of_caffe)
{
    CHECK(golden("caffe", ".prototxt", "keras").right >= 38);
    CHECK(golden("caffe", ".prototxt", "h5").right >= 25);
}

TEST(operators_of_onnx)
{
    CHECK(golden("onnx", ".onnx", "keras").right >= 20);
    golden("onnx", ".onnx", "h5");
}

TEST(samples_come_back)
{
    struct arena a;
    arena_init(&a, NULL);
    const char *folder = shared_dir() ? file_join(&a, shared_dir(), "samples/keras") : NULL;
    if (!folder || !file_is_dir(folder)) SKIP("no Keras samples");
    CHECK(all(folder, ".keras", "keras").right >= 22);
    CHECK(all(folder, ".h5", "h5").right >= 17);
    arena_release(&a);
}

/* Two inputs through one dense layer, and a sum: the layer is in the file once, with two calls. */
static struct graph *make_shared(struct arena *a, struct err *e)
{
    struct graph *g = graph_new(a, &op_registry, "twins", e);
    struct builder b = { .g = g, .err = e };
    struct shape sx = shape_of(2, (int64_t[]){ graph_symbol(g, "N"), 4 }), sw = shape_of(2, (int64_t[]){ 4, 3 });
    struct value *x = graph_input(g, "left", DT_F32, &sx, e), *y = graph_input(g, "right side", DT_F32, &sx, e);
    struct tensor *w = tensor_new(a, DT_F32, &sw, e);
    for (int i = 0; i < 12; i++) tensor_set_f64(w, i, i - 6);
    struct value *weight = graph_state(g, "w", w, VALUE_TRAINABLE, e);
    x = emit(&b, "MatMul", NO_ATTRS, x, weight);
    y = emit(&b, "MatMul", NO_ATTRS, y, weight);
    graph_output(g, emit(&b, "Add", NO_ATTRS, x, y), e);
    return graph_tidy(g, e) ? NULL : g;
}

TEST(a_layer_that_is_shared_is_written_once)
{
    struct arena a;
    struct err e = { 0 };
    struct graph *again, *g;
    char path[64];
    arena_init(&a, NULL);
    struct report r = report_in(&a);
    struct export_options none = { 0 };
    snprintf(path, sizeof path, "/tmp/tenrec-twins-%d.h5", (int)getpid());
    CHECK((g = make_shared(&a, &e)) != NULL);
    CHECK_OK(keras()->write(g, path, &none, &r, &e), &e);
    CHECK_OK(format_read(&a, path, NULL, &again, &r, &e), &e);
    unlink(path);
    CHECK_INT(again->n_states, 1);
    CHECK_INT(again->n_inputs, 2);
    CHECK(graph_find(again, "right_side") && again->inputs[0]->shape.dim[0] < 0);
    arena_release(&a);
}

TEST(what_it_cannot_say_is_named)
{
    struct arena a;
    struct err e = { 0 };
    arena_init(&a, NULL);
    struct report r = report_in(&a);
    struct export_options none = { 0 };
    struct graph *g = graph_new(&a, &op_registry, "g", &e);
    struct builder b = { .g = g, .err = &e };
    struct shape s = shape_of(3, (int64_t[]){ 2, 3, 3 });
    struct value *x = graph_input(g, "x", DT_F32, &s, &e);
    b.name = "determinant";
    struct value *d = emit(&b, "Det", NO_ATTRS, x);
    b.name = "root";
    graph_output(g, emit(&b, "Sqrt", NO_ATTRS, x), &e);
    graph_output(g, d, &e);
    CHECK_OK(graph_tidy(g, &e), &e);
    CHECK_INT(keras()->write(g, "/tmp/never.keras", &none, &r, &e), ERR_UNSUPPORTED);
    CHECK(strstr(e.text, "Det") && strstr(e.text, "determinant") && !strstr(e.text, "Sqrt"));
    err_clear(&e);
    CHECK_INT(keras()->write(g, "/tmp/never.h5", &none, &r, &e), ERR_UNSUPPORTED);
    CHECK(strstr(e.text, "determinant") && strstr(e.text, "write .keras instead"));
    CHECK(access("/tmp/never.h5", F_OK) && access("/tmp/never.keras", F_OK));
    arena_release(&a);
}

/* The file as Keras looks at it: names of layers and weights as attributes, the weights below them. */
TEST(the_h5_file_is_laid_out_as_keras_has_it)
{
    struct arena a;
    struct err e = { 0 };
    struct bytes file;
    struct hdf5 h;
    const char **names;
    size_t n;
    char path[64];
    arena_init(&a, NULL);
    struct report r = report_in(&a);
    struct export_options none = { 0 };
    snprintf(path, sizeof path, "/tmp/tenrec-layout-%d.h5", (int)getpid());
    struct graph *g = make_shared(&a, &e);
    CHECK(g && !keras()->write(g, path, &none, &r, &e));
    CHECK_OK(file_map(&a, path, &file, &e), &e);
    unlink(path);
    CHECK_OK(hdf5_open(&h, &a, path, file, &e), &e);
    CHECK(hdf5_attr(h.root, "model_config") && hdf5_attr(h.root, "keras_version"));
    struct hdf5_object *all = hdf5_find(&h, NULL, "model_weights", &e);
    CHECK(all != NULL);
    CHECK_OK(hdf5_strings(&h, hdf5_attr(all, "layer_names"), &names, &n, &e), &e);
    CHECK_INT(n, 4);
    struct hdf5_object *dense = hdf5_child(&h, all, names[2], &e);
    CHECK(dense && dense->kind == HDF5_GROUP);
    CHECK_OK(hdf5_strings(&h, hdf5_attr(dense, "weight_names"), &names, &n, &e), &e);
    CHECK_INT(n, 1);
    struct hdf5_object *kernel = hdf5_find(&h, dense, names[0], &e);
    CHECK(kernel && kernel->space.rank == 2 && kernel->space.dim[0] == 4 && kernel->type.kind == 'f');
    arena_release(&a);
}

/* Keras counts layers of a class from the one that is furthest from the outputs: of two recurrences side by side the
 * one that something else follows comes first, wherever the graph has it. */
TEST(layers_are_in_the_order_in_which_keras_counts_them)
{
    struct arena a;
    struct err e = { 0 };
    struct graph *g;
    struct bytes file;
    struct zip z;
    char path[64];
    const char *source = getenv("TENREC_SOURCE");
    arena_init(&a, NULL);
    struct report r = report_in(&a);
    struct export_options none = { 0 };
    snprintf(path, sizeof path, "/tmp/tenrec-order-%d.keras", (int)getpid());
    const char *from = arena_printf(&a, "%s/tests/golden/keras/cells_both_ways.keras", source ? source : ".");
    CHECK_OK(format_read(&a, from, NULL, &g, &r, &e), &e);
    CHECK_OK(keras()->write(g, path, &none, &r, &e), &e);
    CHECK_OK(file_map(&a, path, &file, &e), &e);
    unlink(path);
    CHECK_OK(zip_open(&z, &a, path, file, &e), &e);
    struct bytes config = { 0 };
    const struct zip_entry *entry = zip_find(&z, "config.json");
    CHECK(entry && !zip_read(&z, entry, &a, 1 << 20, 0, &config, &e));
    json_t *tree = json_loadb((const char *)config.data, config.len, 0, NULL);
    json_t *layers = json_object_get(json_object_get(tree, "config"), "layers"), *layer;
    size_t i;
    int met = 0;
    json_array_foreach(layers, i, layer)
    {
        if (strcmp(json_string_value(json_object_get(layer, "class_name")), "GRU")) continue;
        CHECK_INT(json_is_true(json_object_get(json_object_get(layer, "config"), "go_backwards")), met++ == 0);
    }
    CHECK_INT(met, 2);
    json_decref(tree);
    arena_release(&a);
}
