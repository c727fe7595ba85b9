/* model.c - the library's main path when memory runs out: open and import models, run, score an image. */
#include "oom.h"

#include "base/err.h"
#include "enc/image.h"
#include "enc/zip.h"
#include "exec/session.h"
#include "graph/builder.h"
#include "ops/registry.h"
#include "package/model.h"
#include "score/pipeline.h"

static const char package[] = "oom_model_test.tenrec", photo[] = "oom_model_test.png";

static struct tensor *filled(struct arena *a, int rank, const int64_t *dims, struct err *e)
{
    struct shape s = shape_of(rank, dims);
    struct tensor *t = tensor_new(a, DT_F32, &s, e);
    for (int64_t i = 0; t && i < tensor_count(t); i++) tensor_set_f64(t, i, (double)(i % 5) * 0.1 - 0.2);
    return t;
}

/* (N, 3, 8, 8) -> Conv, Relu, GlobalAveragePool, Flatten, Gemm -> (N, 4), with a state that counts runs. */
static struct graph *network(struct arena *a, struct err *e)
{
    struct graph *g = graph_new(a, &op_registry, "small", e);
    struct builder b = { g, e };
    struct shape s = shape_of(4, (int64_t[]){ graph_symbol(g, "N"), 3, 8, 8 });
    struct value *x = graph_input(g, "x", DT_F32, &s, e);
    struct value *w = graph_state(g, "w", filled(a, 4, (int64_t[]){ 6, 3, 3, 3 }, e), VALUE_TRAINABLE, e);
    struct value *v = graph_state(g, "v", filled(a, 2, (int64_t[]){ 6, 4 }, e), VALUE_TRAINABLE, e);
    struct value *n = graph_state(g, "n", filled(a, 0, NULL, e), 0, e);
    struct value *y = emit(&b, "Relu", NO_ATTRS, emit(&b, "Conv", NO_ATTRS, x, w));
    y = emit(&b, "Flatten", NO_ATTRS, emit(&b, "GlobalAveragePool", NO_ATTRS, y));
    y = emit(&b, "Gemm", NO_ATTRS, y, v);
    n->next = emit(&b, "Add", NO_ATTRS, n, emit_scalar(&b, DT_F32, 1));
    graph_output(g, y, e);
    graph_tidy(g, e);
    return g;
}

static int write_package(const char *path, struct err *e)
{
    struct model m = { .path = "small", .format = "made" };
    arena_init(&m.arena, NULL);
    m.report = report_in(&m.arena);
    m.graph = network(&m.arena, e);
    struct manifest_options o = { .like = "torchvision" };
    int code = manifest_make(&m.manifest, &m.arena, m.graph, "small", "made", &o, &m.report, e);
    if (!code) code = package_write(&m, path, NULL, e);
    model_close(&m);
    return code;
}

static int write_photo(struct err *e)
{
    struct arena a;
    struct image img;
    struct bytes png;
    arena_init(&a, NULL);
    int code = image_new(&img, &a, 9, 8, 3, 8, 0, e);
    if (!code) code = png_encode(&png, &a, &img, e);
    if (!code) code = file_write(&a, photo, png.data, png.len, e);
    arena_release(&a);
    return code;
}

/* A module without attributes that keeps what is positive, twice as large. */
static int write_archive(const char *path, struct err *e)
{
    static const char pickle[] = "\x80\2c__torch__\nNet\n)\x81}X\x08\0\0\0training\x89sb.";
    static const char code[] = "class Net(Module):\n  __parameters__ = []\n  __buffers__ = []\n  training : bool\n"
                               "  def forward(self: __torch__.Net,\n    x: Tensor) -> Tensor:\n"
                               "    y = torch.relu(x)\n    for i in range(3):\n"
                               "      y = torch.add(y, torch.size(x, i))\n"
                               "    return torch.flatten(torch.cat([y, y], 1), 1, -1)\n";
    struct arena a;
    struct file_writer file;
    struct zip_writer z;
    arena_init(&a, NULL);
    int failed = file_writer_open(&file, &a, path, e);
    if (!failed) {
        zip_writer_init(&z, &a, &file);
        zip_writer_add(&z, "m/data.pkl", pickle, sizeof pickle - 1, e);
        zip_writer_add(&z, "m/code/__torch__.py", code, sizeof code - 1, e);
        zip_writer_add(&z, "m/constants.pkl", "\x80\2).", 4, e);
        zip_writer_add(&z, "m/version", "3\n", 2, e);
        zip_writer_finish(&z, e);
        file_writer_commit(&file, e);
    }
    arena_release(&a);
    return e->code;
}

static int run(struct model *m, const struct mem *mem, struct err *e)
{
    struct session_options o = { .threads = 1, .packs = m->packs, .mem = mem };
    struct session *s = session_new(m->graph, &o, e);
    if (!s) return e->code;
    for (int64_t n = 1; n < 3 && !e->code; n++) {
        struct tensor *x = filled(&m->arena, 4, (int64_t[]){ n, 3, 8, 8 }, e), out;
        if (x) session_run(s, (const struct tensor *[]){ x }, &out, e);
    }
    session_free(s);
    return e->code;
}

static int count_answer(void *cookie, const struct scored *s, struct err *e)
{
    if (s->error) return fail(e, ERR_NOMEM, "%s", s->error); /* memory may run out in a row, too */
    ++*(int *)cookie;
    return 0;
}

static int score(struct model *m, const struct mem *mem, struct err *e)
{
    int answers = 0;
    struct pipeline_options o = { .batch = 1, .threads = 1, .answer = count_answer, .cookie = &answers };
    const char *const inputs[] = { m->graph->inputs[0]->name, NULL };
    struct row row;
    struct table *t = table_open(&m->arena, photo, &(struct table_options){ .inputs = inputs }, e);
    struct pipeline *p = t ? pipeline_new(m, &o, e) : NULL;
    if (!p) return e->code;
    int code = table_next(t, pipeline_arena(p), -1, &row, e);
    if (code > 0) code = pipeline_put(p, t, &row, e);
    if (!code) code = pipeline_flush(p, e);
    pipeline_free(p);
    CHECK(code || answers == 1);
    return code;
}

struct job {
    const char *path;
    const char *hint; /* of its input; NULL: none is needed */
    int (*use)(struct model *m, const struct mem *mem, struct err *e);
};

static int open_and_use(const struct mem *mem, void *ctx)
{
    const struct job *job = ctx;
    struct model m;
    struct err e = { 0 };
    struct import_hint hint = { .rank = 4, .dim = { { 1 }, { 3 }, { 8 }, { 8 } } };
    struct model_options o = { .mem = mem, .manifest.like = "torchvision", .import = { &hint, job->hint != NULL } };
    int code = model_open(&m, job->path, &o, &e);
    if (!code && job->use) code = job->use(&m, mem, &e);
    CHECK(code == e.code);
    model_close(&m);
    return code;
}

static void every_allocation(const struct job *job)
{
    printf("# %ld allocations\n", oom_each(open_and_use, (void *)(uintptr_t)job));
    unlink(job->path);
    unlink(photo);
}

TEST(open_plan_and_run)
{
    struct err e = { 0 };
    CHECK_OK(write_package(package, &e), &e);
    every_allocation(&(struct job){ package, .use = run });
}

TEST(score_an_image)
{
    struct err e = { 0 };
    CHECK_OK(write_package(package, &e), &e);
    CHECK_OK(write_photo(&e), &e);
    every_allocation(&(struct job){ package, .use = score });
}

TEST(import_onnx)
{
    struct err e = { 0 };
    struct arena a;
    arena_init(&a, NULL);
    struct report r = report_in(&a);
    struct graph *g = network(&a, &e);
    CHECK_OK(format_write(g, "oom_model_test.onnx", NULL, &r, &e), &e);
    arena_release(&a);
    every_allocation(&(struct job){ "oom_model_test.onnx" });
}

TEST(import_torchscript)
{
    struct err e = { 0 };
    CHECK_OK(write_archive("oom_model_test.pt", &e), &e);
    every_allocation(&(struct job){ "oom_model_test.pt", .hint = "1x3x8x8" });
}
