/* process.c - tests of src/package/process.c: the steps inside the graph give the bits that they give outside. */
#include "tap.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "base/rng.h"
#include "graph/builder.h"
#include "ops/interpret.h"
#include "ops/registry.h"
#include "package/export_form.h"

enum { HEIGHT = 5, WIDTH = 4 };

static struct arena arena;
static struct err err;
static struct report report;

/* (N, C, H, W) or (N, H, W, C) through an Identity, and its mean over the pixels as a second output. */
static struct graph *make(int64_t channels, bool nhwc)
{
    struct graph *g = graph_new(&arena, &op_registry, "g", &err);
    struct builder b = { g, &err };
    int64_t n = graph_symbol(g, "N"), axes[] = { nhwc ? 1 : 2, nhwc ? 2 : 3 };
    struct shape s = shape_of(
        4, nhwc ? (int64_t[]){ n, HEIGHT, WIDTH, channels } : (int64_t[]){ n, channels, HEIGHT, WIDTH });
    struct value *x = graph_input(g, "x", DT_F32, &s, &err);
    struct value *y = emit(&b, "ReduceMean", ATTRS(attr_int("keepdims", 0)), x, emit_i64s(&b, axes, 2));
    CHECK_OK(graph_rename(g, y, "y", &err), &err);
    CHECK_OK(graph_output(g, y, &err), &err);
    CHECK_OK(graph_output(g, emit(&b, "Identity", NO_ATTRS, x), &err), &err);
    CHECK_OK(graph_tidy(g, &err), &err);
    return g;
}

/* The image as the decoder gives it: RGB or gray. */
static struct image noise(int channels)
{
    struct image img;
    CHECK_OK(image_new(&img, &arena, WIDTH, HEIGHT, channels, 8, UINT64_MAX, &err), &err);
    for (size_t i = 0; i < (size_t)(WIDTH * HEIGHT * channels); i++)
        img.pixels[i] = (uint8_t)(256 * rng_uniform(3, 0, i));
    return img;
}

static void check_steps(const char *steps, int channels, bool nhwc)
{
    char text[2000];
    struct provenance from;
    struct preprocess p;
    struct tensor want, *out[3] = { NULL }, *in;
    arena_init(&arena, NULL);
    report = report_in(&arena);
    err_clear(&err);
    snprintf(text, sizeof text,
        "{\"inputs\": [{\"name\": \"x\", \"preprocess\": %s}], \"outputs\": [{\"name\": \"y\", \"postprocess\": "
        "[{\"op\": \"softmax\", \"axis\": 1}, {\"op\": \"top_k\", \"k\": 1}]}]}",
        steps);
    json_t *manifest = json_loads(text, 0, NULL);
    const json_t *list = json_object_get(json_array_get(json_object_get(manifest, "inputs"), 0), "preprocess");
    struct image img = noise(channels);
    CHECK_OK(preprocess_parse(&p, &arena, list, "", &err), &err);
    CHECK_OK(preprocess_image(&p, &arena, &img, &want, &from, &err), &err);
    struct graph *g = make(channels, nhwc);
    CHECK_OK(process_inside(g, manifest, (struct extent){ 0 }, &report, &err), &err);
    CHECK_OK(graph_verify(g, &err), &err);
    CHECK(g->n_inputs == 1 && g->inputs[0]->dtype == DT_U8 && g->n_outputs == 3);
    CHECK_STR(g->inputs[0]->name, "image");
    CHECK_STR(g->outputs[0]->name, "probabilities");
    CHECK_STR(g->outputs[2]->name, "class");
    struct shape s = shape_of(4, (int64_t[]){ 1, HEIGHT, WIDTH, channels });
    in = tensor_copy(&arena, DT_U8, &s, img.pixels, &err);
    CHECK_OK(graph_interpret(g, &in, out, &arena, NULL, &err), &err);
    CHECK(shape_equal(&out[1]->shape, &want.shape));
    if (memcmp(out[1]->data, want.data, (size_t)tensor_bytes(&want)) != 0) TAP_FAIL("other bits: %s", steps);
    double sum = 0, best = -1;
    for (int64_t i = 0; i < channels; i++) {
        double v = tensor_get_f64(out[0], i);
        sum += v;
        if (v > best) best = v;
    }
    CHECK(fabs(sum - 1) < 1e-6 && tensor_get_f64(out[0], tensor_get_i64(out[2], 0)) == best);
    json_decref(manifest);
    arena_release(&arena);
}

TEST(the_same_bits_inside)
{
    check_steps("[{\"op\": \"decode\"}, {\"op\": \"rescale\", \"factor\": 255, \"arithmetic\": \"divide\"}, {\"op\": "
                "\"normalize\", \"mean\": [0.485, 0.456, 0.406], \"std\": [0.229, 0.224, 0.225]}, {\"op\": \"layout\", "
                "\"layout\": \"NCHW\"}]",
        3, false);
    check_steps("[{\"op\": \"decode\", \"color_space\": \"BGR\"}, {\"op\": \"normalize\", \"mean\": [103.939, 116.779, "
                "123.68], \"scale\": 0.017}, {\"op\": \"layout\", \"layout\": \"NCHW\"}]",
        3, false);
    check_steps(
        "[{\"op\": \"decode\", \"color_space\": \"RGB\"}, {\"op\": \"rescale\", \"factor\": 0.00392156862745098, "
        "\"arithmetic\": \"multiply\"}, {\"op\": \"layout\", \"layout\": \"NHWC\"}]",
        3, true);
    check_steps(
        "[{\"op\": \"decode\", \"color_space\": \"GRAY\"}, {\"op\": \"rescale\", \"factor\": 0.00392156862745098, "
        "\"arithmetic\": \"multiply_float32\"}, {\"op\": \"normalize\", \"mean\": 0.5, \"std\": 0.5}, {\"op\": "
        "\"layout\", \"layout\": \"NCHW\"}]",
        1, false);
}

/* Images of another size than the model sees: resized, cropped and padded inside, with the bits of Pillow. */
static void check_sizes(const char *steps, int height, int width)
{
    char text[2000];
    struct provenance from;
    struct preprocess p;
    struct tensor want, *out[3] = { NULL }, *in;
    struct image img;
    arena_init(&arena, NULL);
    report = report_in(&arena);
    err_clear(&err);
    snprintf(text, sizeof text,
        "{\"inputs\": [{\"name\": \"x\", \"preprocess\": [{\"op\": \"decode\"}, %s, {\"op\": \"rescale\", \"factor\": "
        "255}, {\"op\": \"layout\", \"layout\": \"NCHW\"}]}], \"outputs\": [{\"name\": \"y\", \"postprocess\": []}]}",
        steps);
    json_t *manifest = json_loads(text, 0, NULL);
    const json_t *list = json_object_get(json_array_get(json_object_get(manifest, "inputs"), 0), "preprocess");
    CHECK_OK(image_new(&img, &arena, width, height, 3, 8, UINT64_MAX, &err), &err);
    for (size_t i = 0; i < (size_t)(width * height * 3); i++) img.pixels[i] = (uint8_t)(256 * rng_uniform(5, 1, i));
    CHECK_OK(preprocess_parse(&p, &arena, list, "", &err), &err);
    CHECK_OK(preprocess_image(&p, &arena, &img, &want, &from, &err), &err);
    struct graph *g = make(3, false);
    CHECK_OK(process_inside(g, manifest, (struct extent){ width, height }, &report, &err), &err);
    struct shape s = shape_of(4, (int64_t[]){ 1, height, width, 3 });
    in = tensor_copy(&arena, DT_U8, &s, img.pixels, &err);
    CHECK_OK(graph_interpret(g, &in, out, &arena, NULL, &err), &err);
    CHECK(shape_equal(&out[1]->shape, &want.shape));
    if (memcmp(out[1]->data, want.data, (size_t)tensor_bytes(&want)) != 0) TAP_FAIL("other bits: %s", steps);
    json_decref(manifest);
    arena_release(&arena);
}

TEST(resized_inside)
{
    static const char *const filters[] = { "box", "bilinear", "hamming", "bicubic", "lanczos" };
    char steps[200];
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        snprintf(steps, sizeof steps, "{\"op\": \"resize\", \"size\": [5, 4], \"interpolation\": \"%s\"}", filters[i]);
        check_sizes(steps, 13, 9);
        check_sizes(steps, 3, 4);
    }
    check_sizes("{\"op\": \"resize\", \"mode\": \"shortest_edge\", \"size\": 6}, {\"op\": \"center_crop\", "
                "\"size\": [5, 4]}",
        17, 12);
    check_sizes("{\"op\": \"resize\", \"mode\": \"letterbox\", \"size\": [5, 4]}", 20, 9);
    check_sizes("{\"op\": \"center_crop\", \"size\": [5, 4]}", 4, 7);
}

TEST(what_cannot_be_put_inside)
{
    arena_init(&arena, NULL);
    err_clear(&err);
    report = report_in(&arena);
    json_t *none = json_loads("{\"inputs\": [{\"name\": \"x\"}], \"outputs\": []}", 0, NULL);
    CHECK_INT(process_inside(make(3, false), none, (struct extent){ 0 }, &report, &err), ERR_USAGE);
    err_clear(&err);
    json_t *other = json_loads("{\"inputs\": [{\"name\": \"x\", \"preprocess\": [{\"op\": \"swirl\"}]}]}", 0, NULL);
    CHECK_INT(process_inside(make(3, false), other, (struct extent){ 0 }, &report, &err), ERR_UNSUPPORTED);
    CHECK(strstr(err.text, "the step swirl") != NULL);
    json_decref(none);
    json_decref(other);
    arena_release(&arena);
}
