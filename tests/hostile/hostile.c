/* hostile.c - no model file, however damaged or wicked, can do more than be refused in words. */
#include "attack.h"
#include "craft.h"
#include "damage.h"
#include "shared.h"
#include "tap.h"

#include <sys/stat.h>

#include "base/err.h"
#include "base/str.h"
#include "enc/zip.h"
#include "graph/builder.h"
#include "ops/registry.h"
#include "package/model.h"

enum { TURNS = 300, SHARED_FILES = 12, SHARED_BYTES = 200000 };

static struct arena arena;
static char folder[64];

static const char *in_folder(const char *name)
{
    return file_join(&arena, folder, name);
}

static void begin(void)
{
    arena_init(&arena, NULL);
    snprintf(folder, sizeof folder, "hostile-XXXXXX");
    if (!mkdtemp(folder)) abort();
}

static void end(void)
{
    const char **names;
    size_t n;
    struct err e = { 0 };
    attack_report();
    CHECK_INT(attack_sum.broken, 0);
    CHECK(attack_sum.files > 0);
    CHECK_OK(file_list(&arena, folder, &names, &n, &e), &e);
    for (size_t i = 0; i < n && !e.code; i++) remove(in_folder(names[i]));
    rmdir(folder);
    arena_release(&arena);
}

static struct bytes bytes_of(const char *path)
{
    struct err e = { 0 };
    struct bytes b = { 0 };
    CHECK_OK(file_read(&arena, path, 64 << 20, &b, &e), &e);
    return b;
}

static struct value *weights(struct graph *g, const char *name, int rank, const int64_t *dims, struct err *e)
{
    struct shape s = shape_of(rank, dims);
    struct tensor *t = tensor_new(g->arena, DT_F32, &s, e);
    for (int64_t i = 0; t && i < tensor_count(t); i++) tensor_set_f64(t, i, (double)(i % 7) * 0.1 - 0.3);
    return t ? graph_state(g, name, t, VALUE_TRAINABLE, e) : NULL;
}

/* (N, 3, H, W) -> Conv, Relu, GlobalAveragePool, Flatten, Gemm, Softmax -> (N, 5) */
static struct graph *classifier(struct err *e)
{
    struct graph *g = graph_new(&arena, &op_registry, "small", e);
    struct builder b = { g, e };
    struct shape s = shape_of(4, (int64_t[]){ graph_symbol(g, "N"), 3, graph_symbol(g, "H"), graph_symbol(g, "W") });
    struct value *x = graph_input(g, "x", DT_F32, &s, e);
    struct value *y = emit(&b, "Conv", NO_ATTRS, x, weights(g, "conv", 4, (int64_t[]){ 8, 3, 3, 3 }, e));
    y = emit(&b, "GlobalAveragePool", NO_ATTRS, emit(&b, "Relu", NO_ATTRS, y));
    y = emit(&b, "Gemm", NO_ATTRS, emit(&b, "Flatten", NO_ATTRS, y), weights(g, "fc", 2, (int64_t[]){ 8, 5 }, e));
    y = emit(&b, "Softmax", NO_ATTRS, y);
    graph_output(g, y, e);
    graph_tidy(g, e);
    return g;
}

static void write_onnx(const char *path)
{
    struct err e = { 0 };
    struct report r = report_in(&arena);
    struct graph *g = classifier(&e);
    CHECK_OK(e.code ? e.code : format_write(g, path, NULL, &r, &e), &e);
}

static void write_package(const char *path)
{
    struct err e = { 0 };
    struct model m;
    const char *onnx = in_folder("small.onnx"), *labels = in_folder("labels.txt");
    write_onnx(onnx);
    file_write(&arena, labels, "ant\nbee\ncat\ndog\neel\n", 20, &e);
    struct model_options o = { .labels_path = labels, .manifest.like = "torchvision" };
    CHECK_OK(model_open(&m, onnx, &o, &e), &e);
    CHECK_OK(package_write(&m, path, NULL, &e), &e);
    model_close(&m);
}

/* The good file opens and runs: else no damage would be found. */
static struct bytes check_good(const char *path)
{
    long ran = attack_sum.ran;
    CHECK_INT(attack(path, "nothing"), 0);
    CHECK_INT(attack_sum.ran, ran + 1);
    return bytes_of(path);
}

TEST(an_onnx_file)
{
    begin();
    write_onnx(in_folder("good.onnx"));
    struct bytes good = check_good(in_folder("good.onnx"));
    const char *bad = in_folder("bad.onnx");
    damage_cuts(bad, good);
    damage_bits(bad, good, TURNS);
    damage_varints(bad, good);
    end();
}

TEST(wicked_nodes)
{
    begin();
    craft_onnx_nodes(in_folder("wicked.onnx"));
    end();
}

TEST(wicked_graphs)
{
    begin();
    craft_onnx_graphs(in_folder("wicked.onnx"));
    end();
}

TEST(external_data)
{
    struct err e = { 0 };
    begin();
    unsigned char weights[64] = { 0 };
    CHECK_OK(file_write(&arena, in_folder("weights.bin"), weights, sizeof weights, &e), &e);
    CHECK(!mkdir(in_folder("folder"), 0777) && !mkfifo(in_folder("pipe"), 0666));
    craft_onnx_external(in_folder("external.onnx"));
    end();
}

TEST(a_package)
{
    begin();
    write_package(in_folder("good.tenrec"));
    struct bytes good = check_good(in_folder("good.tenrec"));
    const char *bad = in_folder("bad.tenrec");
    damage_cuts(bad, good);
    damage_bits(bad, good, TURNS);
    damage_zip(bad, good);
    end();
}

/* The files of a package in a folder of their own: external data, and a manifest that lies. */
TEST(an_unpacked_package)
{
    struct err e = { 0 };
    struct zip z;
    begin();
    write_package(in_folder("good.tenrec"));
    struct bytes packed = bytes_of(in_folder("good.tenrec")), file;
    CHECK_OK(zip_open(&z, &arena, "good.tenrec", packed, &e), &e);
    for (size_t i = 0; i < z.n; i++) {
        CHECK_OK(zip_read(&z, &z.entries[i], &arena, UINT64_MAX, 0, &file, &e), &e);
        CHECK_OK(file_write(&arena, in_folder(z.entries[i].name), file.data, file.len, &e), &e);
    }
    check_good(in_folder("model.onnx"));
    struct bytes onnx = bytes_of(in_folder("model.onnx"));
    damage_bits(in_folder("model.onnx"), onnx, TURNS);
    damage_varints(in_folder("model.onnx"), onnx);
    CHECK_OK(file_write(&arena, in_folder("model.onnx"), onnx.data, onnx.len, &e), &e);
    CHECK_INT(attack(folder, "nothing"), 0);
    json_t *manifest = json_load_file(in_folder("manifest.json"), 0, NULL);
    CHECK(manifest != NULL);
    damage_json(in_folder("manifest.json"), folder, manifest);
    json_decref(manifest);
    static const char nested[] = "{\"format\": \"tenrec-model\", \"x\": ";
    size_t len = sizeof nested - 1, deep = 1 << 20;
    char *text = arena_alloc(&arena, len + deep);
    memcpy(text, nested, len);
    memset(text + len, '[', deep);
    CHECK_OK(file_write(&arena, in_folder("manifest.json"), text, len + deep, &e), &e);
    attack(folder, "a deep manifest");
    end();
}

static void damage_archive(const char *path)
{
    struct bytes good = bytes_of(path);
    const char *bad = in_folder("bad.pt");
    attack(path, "nothing");
    damage_cuts(bad, good);
    damage_bits(bad, good, TURNS);
    damage_zip(bad, good);
}

TEST(a_torchscript_archive)
{
    const char *source = getenv("TENREC_SOURCE");
    char path[4096];
    begin();
    snprintf(path, sizeof path, "%s/examples/demo/streets.pt", source ? source : ".");
    if (access(path, R_OK) && shared_dir()) snprintf(path, sizeof path, "%s/samples/written/ts_flat.pt", shared_dir());
    if (access(path, R_OK)) SKIP("neither examples/demo/streets.pt nor ../shared");
    check_good(path);
    damage_archive(path);
    end();
}

/* Programs of torch.export, modules pickled as a whole, and weights in all three containers. */
TEST(other_files_of_pytorch)
{
    static const char *const seeds[][2] = { { "pt2/old.pt2", ".pt2" }, { "pt2/new.pt2", ".pt2" },
        { "module/sequence.pt", ".pt" }, { "weights/checkpoint.pt", ".pt" }, { "weights/legacy.pt", ".pth" },
        { "weights/old.tar", ".tar" } };
    const char *source = getenv("TENREC_SOURCE");
    begin();
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
        const char *path = arena_printf(&arena, "%s/tests/fuzz/corpus/%s", source ? source : ".", seeds[i][0]);
        if (access(path, R_OK)) SKIP("no seeds of the fuzz targets");
        struct bytes good = bytes_of(path);
        const char *bad = in_folder(arena_printf(&arena, "bad%zu%s", i, seeds[i][1]));
        damage_cuts(bad, good);
        damage_bits(bad, good, TURNS / 3);
        if (i < 4) damage_zip(bad, good);
    }
    end();
}

TEST(wicked_torchscript)
{
    begin();
    craft_torch_code(in_folder("wicked.pt"));
    craft_torch_pickles(in_folder("wicked.pt"));
    end();
}

/* A seed of the fuzz target, damaged under its own name. */
static void damage_keras(const char *name)
{
    char path[4096];
    const char *source = getenv("TENREC_SOURCE");
    snprintf(path, sizeof path, "%s/tests/fuzz/corpus/keras/%s", source ? source : ".", name);
    const char *bad = in_folder(arena_printf(&arena, "bad%s", strrchr(name, '.')));
    struct bytes good = check_good(path);
    damage_cuts(bad, good);
    damage_bits(bad, good, TURNS);
    if (zip_is(good)) damage_zip(bad, good);
    if (!str_ends(name, ".json")) return;
    json_t *tree = json_loadb((const char *)good.data, good.len, 0, NULL);
    if (tree) damage_json(bad, bad, tree);
    json_decref(tree);
}

TEST(keras_weights)
{
    begin();
    damage_keras("layers.h5");
    end();
}

TEST(keras_archive)
{
    begin();
    damage_keras("calls.keras");
    end();
}

TEST(keras_architecture)
{
    begin();
    damage_keras("images.json");
    end();
}

#define SPAN(text) { (const unsigned char *)(text), sizeof(text) - 1 }

/* Half a megabyte that inflates a thousandfold, in the places that are read. */
TEST(zip_bombs)
{
    static const char *const names[] = { "m/data.pkl", "m/code/__torch__.py", "m/constants.pkl", "m/version",
        "manifest.json", "model.onnx" };
    static const struct bytes good[] = {
        SPAN("\x80\2c__torch__\nNet\n)\x81}X\x08\0\0\0training\x89sb."),
        SPAN("class Net(Module):\n"),
        SPAN("\x80\2)."),
        SPAN("3\n"),
        SPAN("{\"format\":\"tenrec-model\",\"format_version\":1,\"inputs\":[],\"outputs\":[]}"),
        SPAN(""),
    };
    enum { N = sizeof names / sizeof *names, TORCH = 4 };
    size_t len = (size_t)1 << 29;
    char *zeros = calloc(1, len);
    begin();
    for (size_t i = 0; zeros && i < N; i++) {
        struct zip_made z = { 0 };
        const char *path = in_folder(i < TORCH ? "bomb.pt" : "bomb.tenrec");
        for (size_t k = 0; k < N; k++)
            if (k == i) zip_made_add(&z, names[k], zeros, len, true, -1);
            else if ((i < TORCH) == (k < TORCH)) zip_made_add(&z, names[k], good[k].data, good[k].len, false, -1);
        zip_made_finish(&z);
        CHECK_INT(attack_bytes(path, z.data, z.len, names[i]), 3);
        free(z.data);
    }
    free(zeros);
    end();
}

TEST(what_is_no_model)
{
    static const char *const files[] = { "/dev/null", "/dev/zero", "/dev/urandom", "/", "/proc/self/mem", "." };
    begin();
    CHECK(!mkfifo(in_folder("pipe"), 0666));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) CHECK_INT(attack(files[i], "no model"), 3);
    CHECK_INT(attack(in_folder("pipe"), "a pipe"), 3);
    CHECK_INT(attack_bytes(in_folder("empty.onnx"), "", 0, "empty"), 3);
    CHECK_INT(attack_bytes(in_folder("empty.pt"), "", 0, "empty"), 3);
    CHECK_INT(attack_bytes(in_folder("empty.tenrec"), "", 0, "empty"), 3);
    CHECK_INT(attack_bytes(in_folder("photo.jpg"), "\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0", 20, "a JPEG"), 3);
    CHECK_INT(attack_bytes(in_folder("text.txt"), "hello\n", 6, "a text"), 3);
    end();
}

/* Small files of others, when they are there. */
static void damage_shared(const char *below, const char *extension, size_t most)
{
    const char *dir = file_join(&arena, shared_dir(), below), **names;
    size_t n, used = 0;
    struct err e = { 0 };
    if (file_list(&arena, dir, &names, &n, &e)) return;
    for (size_t i = 0; i < n && used < most; i++) {
        const char *path = file_join(&arena, dir, names[i]);
        struct stat st;
        if (stat(path, &st)) continue;
        if (S_ISDIR(st.st_mode)) {
            const char **inner;
            size_t n_inner;
            if (file_list(&arena, path, &inner, &n_inner, &e)) continue;
            for (size_t k = 0; k < n_inner; k++)
                if (str_ends(inner[k], extension)) path = file_join(&arena, path, inner[k]), k = n_inner;
        }
        if (!str_ends(path, extension) || stat(path, &st) || st.st_size > SHARED_BYTES) continue;
        used++;
        struct bytes good = bytes_of(path);
        const char *bad = in_folder(arena_printf(&arena, "bad%s", extension));
        attack(path, "nothing");
        damage_cuts(bad, good);
        damage_bits(bad, good, TURNS / 3);
    }
}

TEST(files_of_others)
{
    if (!shared_dir()) SKIP("no shared folder");
    begin();
    damage_shared("samples/ts", ".pt", SHARED_FILES / 3);
    damage_shared("corpus/torchscript", ".pt", SHARED_FILES / 3);
    damage_shared("corpus/onnx", ".onnx", SHARED_FILES / 3);
    damage_shared("corpus/caffe", ".caffemodel", SHARED_FILES / 3);
    damage_shared("corpus/keras_h5", ".h5", SHARED_FILES / 3);
    damage_shared("samples/keras", ".keras", SHARED_FILES / 3);
    end();
}
