/* caffe_layers.c - nets of one layer against what OpenCV or NumPy made of them (tests/oracle/caffe_layers.py), and what
 * is refused. */
#include "tap.h"

#include <stdlib.h>

#include "base/report.h"
#include "base/str.h"
#include "enc/prototxt.h"
#include "format/caffe/caffe.h"
#include "graph/graph.h"
#include "ops/interpret.h"
#include "tensors.h"

enum { IN_MAX = 4 };

static struct arena arena;
static struct err err;
static struct report report;

static const struct graph *read_net(const char *text, size_t len)
{
    struct format_file file = { .path = "net.prototxt", .bytes = { (const unsigned char *)text, len } };
    struct graph *g = NULL;
    err_clear(&err);
    report = report_in(&arena);
    return format_read_file(&arena, &file, format_find("caffe"), NULL, &g, &report, &err) ? NULL : g;
}

/* The same of a file, with whatever lies beside it. */
static const struct graph *read_file(const char *path)
{
    struct graph *g = NULL;
    report = report_in(&arena);
    return format_read(&arena, path, NULL, &g, &report, &err) ? NULL : g;
}

/* Inputs, then the output that is wanted: the blobs of the last layer. */
static size_t golden(struct bytes text, const struct tensor **out)
{
    struct tree *t = prototxt_read(&arena, "golden", text, &caffe_net_schema, NULL, &err);
    const struct tree *last = t ? tree_message_at(t, "layer", tree_count(t, "layer") - 1) : NULL;
    size_t n = last ? tree_count(last, "blobs") : 0;
    for (size_t i = 0; i < n && i < IN_MAX; i++)
        out[i] = caffe_blob_tensor(&arena, tree_message_at(last, "blobs", i), NULL, &err);
    return n;
}

static double try_case(const char *path)
{
    struct bytes text;
    const struct tensor *all[IN_MAX] = { NULL };
    struct tensor *in[IN_MAX] = { NULL }, *out[IN_MAX] = { NULL };
    if (file_map(&arena, path, &text, &err)) return INFINITY;
    size_t n = golden(text, all);
    const struct graph *g = read_file(path);
    if (!g || n < 2 || n > IN_MAX || g->n_inputs != n - 1 || g->n_outputs != 1) return INFINITY;
    for (size_t i = 0; i + 1 < n; i++) in[i] = (struct tensor *)(uintptr_t)all[i];
    if (graph_interpret(g, in, out, &arena, NULL, &err)) return INFINITY;
    return tensor_difference(out[0], all[n - 1]);
}

TEST(layers_against_opencv_and_numpy)
{
    const char **names, *source = getenv("TENREC_SOURCE");
    size_t n, right = 0;
    double worst = 0;
    arena_init(&arena, NULL);
    CHECK(source != NULL);
    const char *folder = file_join(&arena, source, "tests/golden/caffe");
    CHECK_OK(file_list(&arena, folder, &names, &n, &err), &err);
    for (size_t i = 0; i < n; i++) {
        err_clear(&err);
        double most = try_case(file_join(&arena, folder, names[i]));
        if (most <= 1e-5) right++, worst = fmax(worst, most);
        else TAP_FAIL("%s: %.2g %s", names[i], most, err.text);
    }
    printf("# %zu of %zu layers, worst difference %.2g\n", right, n, worst);
    CHECK(n > 50 && right == n);
    arena_release(&arena);
}

TEST(weights_in_hdf5)
{
    arena_init(&arena, NULL);
    double most = try_case(arena_printf(&arena, "%s/tests/golden/caffe_hdf5/net.prototxt", getenv("TENREC_SOURCE")));
    if (!(most <= 1e-6)) TAP_FAIL("%.2g %s", most, err.text);
    CHECK_INT(report.n, 1); /* where the weights lie */
    arena_release(&arena);
}

#define DATA "layer { name: 'd' type: 'Input' top: 'd' input_param { shape { dim: [1, 4, 6, 6] } } }\n"

TEST(wrong_nets_are_told_where)
{
    static const char *const bad[][2] = {
        { "name: 'x'", "neither layers nor a solver" },
        { "layer { type: 'ReLU' bottom: 'q' top: 'r' }",
            "1:7: layer  (ReLU): reads \"q\", which no layer before it makes" },
        { DATA "layer { name: 'a' type: 'Foo' bottom: 'd' top: 'a' }\nlayer { name: 'b' type: 'Bar' }\n"
               "layer { name: 'c' type: 'Foo' }",
            "layer type Foo (2 times), first at net.prototxt:2:7" },
        { DATA "layer { name: 'c' type: 'Convolution' bottom: 'd' top: 'c' }", "kernel 0, stride 1, dilation 1" },
        { DATA "layer { name: 'c' type: 'Convolution' bottom: 'd' top: 'c' convolution_param { num_output: 3 group: 3 "
               "kernel_size: 1 } }",
            "4 to 3 channels in 3 groups" },
        { DATA "layer { name: 'c' type: 'Convolution' bottom: 'd' top: 'c' convolution_param { num_output: 1 "
               "kernel_size: 1 } blobs { shape { dim: 2 } data: [1, 2] } }",
            "2:7: layer c (Convolution): weight 0 is 2 in the file, the layer needs 1x4x1x1" },
        { DATA
            "layer { name: 'c' type: 'InnerProduct' bottom: 'd' top: 'c' inner_product_param { num_output: 2000000000 "
            "} }",
            "a weight of more than 16 GB" },
        { DATA "layer { name: 'c' type: 'Pooling' bottom: 'd' top: 'c' pooling_param { kernel_size: 2 pad: 2 } }",
            "the padding is as large as the kernel" },
        { DATA "layer { name: 'c' type: 'Pooling' bottom: 'd' top: 'c' pooling_param { kernel_size: 1 stride: 4 } }",
            "its last window lies beyond the input" },
        { DATA "layer { name: 'c' type: 'Slice' bottom: 'd' top: 'c' top: 'e' slice_param { slice_point: 4 } }",
            "slice_point 4 of 4" },
        { DATA "layer { name: 'c' type: 'Softmax' bottom: 'd' top: 'c' softmax_param { axis: 4 } }",
            "axis 4 of an input that has 4" },
        { DATA "layer { name: 'c' type: 'Eltwise' bottom: 'd' top: 'c' eltwise_param { coeff: [1, 2] } }",
            "2 coefficients for 1 bottoms" },
        { "input: 'a' input_dim: 1", "1 inputs, but 0 input_shape and 1 input_dim" },
        { "input: 'a' input_dim: [1, 0, 1, 1]", "input \"a\": dimension 1 is 0" },
        { "net: 'examples/other.prototxt'", "this is a solver; the net that it trains is examples/other.prototxt" },
        { "layer { name: 'p' type: 'Python' top: 'x' python_param { module: 'os' layer: 'system' } }",
            "its code is system of the module os, which is never run" },
    };
    arena_init(&arena, NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (read_net(bad[i][0], strlen(bad[i][0]))) TAP_FAIL("%s was read", bad[i][0]);
        else if (!strstr(err.text, bad[i][1])) TAP_FAIL("%s: %s", bad[i][1], err.text);
    }
    arena_release(&arena);
}

static const struct graph *read_text(const char *text)
{
    const struct graph *g = read_net(text, strlen(text));
    if (!g) TAP_FAIL("%s", err.text);
    return g;
}

TEST(phases_losses_and_names)
{
    arena_init(&arena, NULL);
    const struct graph *g = read_text(
        "layer { name: 'm' type: 'Data' top: 'data' top: 'label' include { phase: TRAIN } data_param { source: 'mnist' "
        "} }\n"
        "layer { name: 'ip' type: 'InnerProduct' bottom: 'data' top: 'ip' inner_product_param { num_output: 3 } }\n"
        "layer { name: 'ip/relu' type: 'ReLU' bottom: 'ip' top: 'ip' }\n"
        "layer { name: 'drop' type: 'Dropout' bottom: 'ip' top: 'ip' exclude { phase: TEST } }\n"
        "layer { name: 'acc' type: 'Accuracy' bottom: 'ip' bottom: 'label' top: 'acc' include { phase: TEST } }\n"
        "layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'ip' bottom: 'label' top: 'loss' }\n");
    CHECK(g->n_inputs == 1 && g->n_outputs == 1 && g->n_states == 2);
    CHECK_STR(g->inputs[0]->name, "data");
    CHECK(g->inputs[0]->shape.dim[1] == 1 && g->inputs[0]->shape.dim[2] == 28 && g->inputs[0]->shape.dim[0] < 0);
    CHECK_STR(g->outputs[0]->name, "loss");
    CHECK(node_is(g->outputs[0]->node, "Softmax") && node_is(graph_find(g, "ip")->node, "Relu"));
    CHECK_STR(graph_find(g, "ip")->node->name, "ip/relu");
    CHECK_STR(g->states[0]->origin->key, "ip/0");
    for (size_t i = 0; i < g->n_nodes; i++) CHECK(!node_is(g->nodes[i], "Dropout"));
    arena_release(&arena);
}

TEST(weights_with_one_name_are_one)
{
    arena_init(&arena, NULL);
    const struct graph *g = read_text(
        DATA "layer { name: 'a' type: 'InnerProduct' bottom: 'd' top: 'a' param { name: 'w' } param { name: 'b' } "
             "inner_product_param { num_output: 2 } }\n"
             "layer { name: 'b' type: 'InnerProduct' bottom: 'd' top: 'b' param { name: 'w' } param { name: 'b' } "
             "inner_product_param { num_output: 2 } }\n");
    CHECK(g->n_states == 2 && g->n_outputs == 2);
    arena_release(&arena);
}

TEST(the_first_form_pads_by_layers)
{
    arena_init(&arena, NULL);
    const struct graph *g = read_text(
        "input: 'd' input_dim: [1, 2, 4, 4]\n"
        "layers { layer { name: 'p' type: 'padding' pad: 2 } bottom: 'd' top: 'p' }\n"
        "layers { layer { name: 'c' type: 'conv' num_output: 3 kernelsize: 3 biasterm: false "
        "stride: 1 } bottom: 'p' top: 'c' }\n"
        "layers { layer { name: 's' type: 'softmax' } bottom: 'c' top: 's' }\n");
    size_t n;
    const struct node *conv = graph_find(g, "c")->node;
    CHECK(g->n_nodes == 2 && node_is(conv, "Conv") && node_ints(conv, "pads", &n)[3] == 2);
    arena_release(&arena);
}

TEST(images_are_prepared_as_the_net_says)
{
    arena_init(&arena, NULL);
    const struct graph *g = read_text(
        "layer { name: 'm' type: 'ImageData' top: 'x' transform_param { scale: 0.5 crop_size: "
        "8 mean_value: 1 mean_value: 2 mean_value: 3 } }\n"
        "layer { name: 'r' type: 'ReLU' bottom: 'x' top: 'y' }\n");
    const char *steps = map_get(&g->metadata, "tenrec.preprocess");
    CHECK(steps && strstr(steps, "\"color_space\":\"BGR\"") && strstr(steps, "\"mean\":[1.0,2.0,3.0]"));
    CHECK(strstr(steps, "\"scale\":0.5") && strstr(steps, "\"size\":[8,8]"));
    arena_release(&arena);
}
