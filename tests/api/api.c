/* api.c - the public library, used as a stranger would: only its headers, only its exported names. */
#include "tap.h"

#include <stddef.h>
#include <stdlib.h>
#include <tenrec/tenrec.h>

static const char *at(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/examples/demo/%s", getenv("TENREC_SOURCE"), name);
    return path;
}

static struct tenrec_model *open_shapes(struct tenrec_error *error)
{
    char labels[4096], steps[4096];
    snprintf(labels, sizeof labels, "%s", at("shapes.txt"));
    snprintf(steps, sizeof steps, "%s", at("shapes.yaml"));
    struct tenrec_options o = { .size = sizeof o, .labels = labels, .preprocess = steps };
    struct tenrec_model *m = tenrec_open(at("shapes.onnx"), &o, error);
    if (!m) TAP_FAIL("%s", error->text);
    return m;
}

static char *bytes_of(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    char *data = malloc(*size);
    if (fread(data, 1, *size, f) != *size) *size = 0;
    fclose(f);
    return data;
}

/* Wrong calls first: each fails with its code and words, and the handle stays usable. */
TEST(wrong_calls_are_refused)
{
    struct tenrec_error error;
    struct tenrec_port port;
    CHECK(!tenrec_open(NULL, NULL, &error));
    CHECK_INT(error.code, TENREC_USAGE);
    CHECK(!tenrec_open("/nowhere/at.all", NULL, &error));
    CHECK_INT(error.code, TENREC_IO);
    CHECK(strstr(error.text, "/nowhere/at.all") != NULL);
    struct tenrec_options o = { .size = 1 };
    CHECK(!tenrec_open(at("shapes.onnx"), &o, &error));
    CHECK_INT(error.code, TENREC_USAGE);
    CHECK(!tenrec_open(at("shapes.txt"), NULL, &error));
    CHECK_INT(error.code, TENREC_MODEL);
    struct tenrec_model *m = open_shapes(&error);
    if (!m) return;
    CHECK_INT(tenrec_input(m, 1, &port, &error), TENREC_USAGE);
    CHECK_INT(tenrec_output(m, 9, &port, &error), TENREC_USAGE);
    CHECK(!tenrec_label(m, -1) && !tenrec_label(m, 1000));
    struct tenrec_session *s = tenrec_session_new(m, NULL, &error);
    struct tenrec_tensor in = { .dtype = TENREC_FLOAT32, .rank = 99 }, out;
    CHECK_INT(tenrec_run(s, &in, 1, &out, 1, &error), TENREC_USAGE);
    CHECK_INT(tenrec_run(s, &in, 0, &out, 1, &error), TENREC_USAGE);
    in.rank = 1, in.dim[0] = -4;
    CHECK_INT(tenrec_run(s, &in, 1, &out, 1, &error), TENREC_USAGE);
    in.dim[0] = INT64_MAX;
    CHECK_INT(tenrec_run(s, &in, 1, &out, 1, &error), TENREC_SHAPE);
    in.dim[0] = 3;
    CHECK_INT(tenrec_run(s, &in, 1, &out, 1, &error), TENREC_USAGE); /* no data */
    struct tenrec_image image = { "not an image", 12, 0, 0, 0 };
    struct tenrec_answer answer;
    CHECK_INT(tenrec_score(s, &image, 1, &answer, 1, &error), TENREC_DATA);
    image.width = 2, image.height = 3, image.channels = 3;
    CHECK_INT(tenrec_score(s, &image, 1, &answer, 1, &error), TENREC_USAGE); /* 18 bytes are wanted */
    image.width = INT32_MAX, image.height = INT32_MAX;
    CHECK_INT(tenrec_score(s, &image, 1, &answer, 1, &error), TENREC_DATA);
    image.channels = 9;
    CHECK_INT(tenrec_score(s, &image, 1, &answer, 1, &error), TENREC_USAGE);
    tenrec_session_free(s);
    tenrec_close(m);
}

/* What a caller passes on who did not look at the call before. */
TEST(nothing_is_refused_too)
{
    struct tenrec_error error;
    struct tenrec_port port;
    struct tenrec_tensor tensor = { 0 };
    struct tenrec_image image = { 0 };
    struct tenrec_answer answer;
    CHECK(!tenrec_session_new(NULL, NULL, &error));
    CHECK_STR(error.text, "no model");
    CHECK_INT(tenrec_score(NULL, &image, 1, &answer, 1, &error), TENREC_USAGE);
    CHECK_STR(error.text, "no session");
    CHECK_INT(tenrec_run(NULL, &tensor, 1, &tensor, 1, &error), TENREC_USAGE);
    CHECK_INT(tenrec_preprocess(NULL, 0, &image, &tensor, &error), TENREC_USAGE);
    CHECK_INT(tenrec_reset(NULL, &error), TENREC_USAGE);
    CHECK_INT(tenrec_input(NULL, 0, &port, &error), TENREC_USAGE);
    CHECK_INT(tenrec_output(NULL, 0, &port, &error), TENREC_USAGE);
    CHECK_INT(tenrec_save(NULL, "x.tenrec", &error), TENREC_USAGE);
    CHECK_INT(tenrec_verify(NULL, NULL, NULL, &error), TENREC_USAGE);
    CHECK(!tenrec_manifest(NULL, &error) && !tenrec_label(NULL, 0));
    CHECK(!tenrec_n_inputs(NULL) && !tenrec_n_outputs(NULL));
    struct tenrec_model *m = open_shapes(&error);
    struct tenrec_session *s = m ? tenrec_session_new(m, NULL, &error) : NULL;
    if (!s) return;
    CHECK_INT(tenrec_score(s, NULL, 1, &answer, 1, &error), TENREC_USAGE);
    CHECK_INT(tenrec_run(s, NULL, 1, &tensor, 1, &error), TENREC_USAGE);
    CHECK_INT(tenrec_preprocess(s, 0, NULL, &tensor, &error), TENREC_USAGE);
    CHECK_INT(tenrec_input(m, 0, NULL, &error), TENREC_USAGE);
    tenrec_session_free(s);
    tenrec_close(m);
}

TEST(a_model_describes_itself)
{
    struct tenrec_error error;
    struct tenrec_port port;
    struct tenrec_model *m = open_shapes(&error);
    if (!m) return;
    CHECK_INT((int)tenrec_n_inputs(m), 1);
    CHECK_INT((int)tenrec_n_outputs(m), 1);
    CHECK_INT(tenrec_input(m, 0, &port, &error), 0);
    CHECK_INT(port.dtype, TENREC_FLOAT32);
    CHECK_INT(port.rank, 4);
    CHECK(port.is_image && port.dim[0] == -1 && port.dim_name[0]);
    CHECK(tenrec_label(m, 0) != NULL);
    CHECK(strstr(tenrec_manifest(m, &error), "tenrec-model") != NULL);
    CHECK(!strcmp(tenrec_dtype_name(port.dtype), "float32"));
    CHECK_INT((int)tenrec_dtype_size(TENREC_INT64), 8);
    CHECK_INT((int)tenrec_dtype_size(8), 0); /* strings are not taken */
    tenrec_close(m);
}

/* preprocess + run gives what score gives before its own steps: the best class is the same. */
TEST(a_picture_is_scored_whole_and_in_parts)
{
    struct tenrec_error error;
    size_t size = 0;
    struct tenrec_model *m = open_shapes(&error);
    if (!m) return;
    struct tenrec_session *s = tenrec_session_new(m, NULL, &error);
    char *data = bytes_of(at("shapes/star_0.png"), &size);
    struct tenrec_image image = { data, size, 0, 0, 0 };
    struct tenrec_answer answer;
    CHECK_INT(tenrec_score(s, &image, 1, &answer, 1, &error), 0);
    CHECK_INT(answer.kind, TENREC_ANSWER_CLASSES);
    CHECK(answer.n > 1 && answer.label[0] && !strcmp(answer.label[0], "star"));
    CHECK(answer.score[0] > 0.5 && answer.score[0] >= answer.score[1]);
    int64_t best = answer.index[0];
    struct tenrec_tensor in, out;
    CHECK_INT(tenrec_preprocess(s, 0, &image, &in, &error), 0);
    size_t bytes = tenrec_dtype_size(in.dtype);
    for (int i = 0; i < in.rank; i++) bytes *= (size_t)in.dim[i];
    void *copy = malloc(bytes); /* results belong to the session only until its next call */
    memcpy(copy, in.data, bytes);
    in.data = copy;
    CHECK_INT(tenrec_run(s, &in, 1, &out, 1, &error), 0);
    int64_t top = 0;
    for (int64_t i = 1; i < out.dim[1]; i++)
        if (((float *)out.data)[i] > ((float *)out.data)[top]) top = i;
    CHECK_INT((int)top, (int)best);
    free(copy), free(data);
    tenrec_session_free(s);
    tenrec_close(m);
}

TEST(pixels_are_scored_like_the_file_they_came_from)
{
    struct tenrec_error error;
    struct tenrec_model *m = open_shapes(&error);
    if (!m) return;
    struct tenrec_session *s = tenrec_session_new(m, NULL, &error);
    unsigned char pixels[20 * 30 * 3];
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (unsigned char)(i * 7);
    struct tenrec_image image = { pixels, sizeof pixels, 30, 20, 3 };
    struct tenrec_answer answer;
    CHECK_INT(tenrec_score(s, &image, 1, &answer, 1, &error), 0);
    CHECK_INT(answer.kind, TENREC_ANSWER_CLASSES);
    image.size--;
    CHECK_INT(tenrec_score(s, &image, 1, &answer, 1, &error), TENREC_USAGE);
    tenrec_session_free(s);
    tenrec_close(m);
}

/* The same answers in one call as in several; what is wrong is told with its place. */
TEST(several_samples_in_a_call)
{
    static const char *const names[] = { "shapes/star_0.png", "shapes/cross_0.png", "shapes/circle_0.png" };
    struct tenrec_error error;
    struct tenrec_model *m = open_shapes(&error);
    if (!m) return;
    struct tenrec_session *s = tenrec_session_new(m, NULL, &error);
    struct tenrec_image images[3] = { { 0 } };
    struct tenrec_answer answers[3], one;
    double best[3];
    for (int i = 0; i < 3; i++) {
        images[i].data = bytes_of(at(names[i]), &images[i].size);
        CHECK_INT(tenrec_score(s, &images[i], 1, &one, 1, &error), 0);
        best[i] = one.score[0];
    }
    CHECK_INT(tenrec_score(s, images, 3, answers, 3, &error), 0);
    for (int i = 0; i < 3; i++) CHECK(answers[i].score[0] == best[i] && !strncmp(answers[i].label[0], names[i] + 7, 4));
    CHECK_INT(tenrec_score(s, images, 3, answers, 2, &error), TENREC_USAGE);
    CHECK_INT(tenrec_score(s, images, 0, answers, 0, &error), TENREC_USAGE);
    struct tenrec_image bad[2] = { images[0], { "nonsense", 8, 0, 0, 0 } };
    CHECK_INT(tenrec_score(s, bad, 2, answers, 2, &error), TENREC_DATA);
    CHECK(!strncmp(error.text, "image 1: ", 9));
    for (int i = 0; i < 3; i++) free((void *)images[i].data);
    tenrec_session_free(s);
    tenrec_close(m);
}

TEST(an_inner_layer_takes_the_place_of_the_outputs)
{
    struct tenrec_error error;
    struct tenrec_port port;
    struct tenrec_options o = { .size = sizeof o, .features = "nonsense" };
    CHECK(!tenrec_open(at("shapes.onnx"), &o, &error));
    CHECK_INT(error.code, TENREC_USAGE);
    o.features = "/Flatten_output_0";
    struct tenrec_model *m = tenrec_open(at("shapes.onnx"), &o, &error);
    if (!m) TAP_FAIL("%s", error.text);
    CHECK(m && tenrec_n_outputs(m) == 1 && !tenrec_output(m, 0, &port, &error) && !strcmp(port.name, o.features));
    tenrec_close(m);
    o.size = offsetof(struct tenrec_options, features); /* a caller that was built before there was such a thing */
    m = tenrec_open(at("shapes.onnx"), &o, &error);
    CHECK(m && !tenrec_output(m, 0, &port, &error) && !strcmp(port.name, "logits"));
    tenrec_close(m);
}

TEST(a_package_is_saved_and_verifies)
{
    struct tenrec_error error;
    char path[] = "/tmp/tenrec-api-XXXXXX";
    struct tenrec_model *m = open_shapes(&error);
    if (!m) return;
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    CHECK_INT(tenrec_save(m, "/dev/null/at.tenrec", &error), TENREC_IO);
    CHECK_INT(tenrec_save(m, path, &error), 0);
    tenrec_close(m);
    m = tenrec_open(path, NULL, &error);
    CHECK(m && tenrec_label(m, 0));
    if (m) CHECK_INT(tenrec_verify(m, NULL, NULL, &error), 0);
    tenrec_close(m);
    remove(path);
}

static void *counted_alloc(void *cookie, size_t size)
{
    ++*(long *)cookie;
    return aligned_alloc(64, (size + 63) / 64 * 64);
}

static void counted_free(void *cookie, void *block, size_t size)
{
    (void)size;
    if (block) --*(long *)cookie;
    free(block);
}

static int always(void *cookie)
{
    ++*(int *)cookie;
    return 1;
}

static void count_line(void *cookie, enum tenrec_level level, const char *text)
{
    (void)level;
    *(int *)cookie += text[0] != 0;
}

TEST(allocator_log_and_cancellation_are_the_callers)
{
    struct tenrec_error error;
    long blocks = 0;
    int asked = 0, lines = 0;
    struct tenrec_options o = { .size = sizeof o,
        .like = "torchvision",
        .allocator = { counted_alloc, counted_free, &blocks },
        .log = count_line,
        .log_cookie = &lines };
    struct tenrec_model *m = tenrec_open(at("shapes.onnx"), &o, &error);
    if (!m) TAP_FAIL("%s", error.text);
    CHECK(blocks > 0);
    struct tenrec_session_options so = { .size = sizeof so, .threads = 1, .cancelled = always, .cookie = &asked };
    struct tenrec_session *s = m ? tenrec_session_new(m, &so, &error) : NULL;
    unsigned char pixels[48 * 48 * 3] = { 0 };
    struct tenrec_image image = { pixels, sizeof pixels, 48, 48, 3 };
    struct tenrec_answer answer;
    CHECK_INT(tenrec_score(s, &image, 1, &answer, 1, &error), TENREC_CANCELLED);
    CHECK_INT(asked, 1);
    tenrec_session_free(s);
    tenrec_close(m);
    CHECK_INT((int)blocks, 0);
}
