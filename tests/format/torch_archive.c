/* torch_archive.c - TorchScript containers: parsing all shared code, strided tensors, and archives to be refused. */
#include "tap.h"

#include "format/torch/parse.h"
#include "shared.h"
#include "torch_build.h"

#define HEAD "class M(Module):\n  __parameters__ = [\"w\", ]\n  __buffers__ = []\n  w : Tensor\n"
#define IDENTITY HEAD "  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n    return torch.add(x, self.w)\n"

static int parse_archive(const char *path)
{
    struct arena a;
    struct err e = { 0 };
    struct bytes file, text;
    struct zip z;
    int n = 0;
    arena_init(&a, NULL);
    if (!file_map(&a, path, &file, &e) && zip_is(file) && !zip_open(&z, &a, path, file, &e))
        for (size_t i = 0; i < z.n && !e.code; i++) {
            if (!str_ends(z.entries[i].name, ".py")) continue;
            if (zip_read(&z, &z.entries[i], &a, 1 << 26, 0, &text, &e)) break;
            n += ts_parse(&a, z.entries[i].name, "__torch__", text, &e) != NULL;
        }
    if (e.code) TAP_FAIL("%s", e.text);
    arena_release(&a);
    return n;
}

TEST(all_shared_code_is_parsed)
{
    struct arena a;
    struct err e = { 0 };
    const char **names;
    size_t n;
    int files = 0;
    arena_init(&a, NULL);
    const char *folder = shared_dir() ? file_join(&a, shared_dir(), "samples/ts") : NULL;
    if (!folder || !file_is_dir(folder)) SKIP("no TorchScript samples");
    CHECK_OK(file_list(&a, folder, &names, &n, &e), &e);
    for (size_t i = 0; i < n; i++)
        if (!str_ends(names[i], ".npz")) files += parse_archive(file_join(&a, folder, names[i]));
    printf("# %d files\n", files);
    CHECK(files > 2000);
    arena_release(&a);
}

static void bad_text(const char *text, const char *says)
{
    struct arena a;
    struct err e = { 0 };
    arena_init(&a, NULL);
    CHECK(!ts_parse(&a, "code/m.py", "__torch__", (struct bytes){ (const unsigned char *)text, strlen(text) }, &e));
    CHECK_INT(e.code, ERR_MODEL);
    if (!strstr(e.text, says)) TAP_FAIL("\"%s\" does not say \"%s\"", e.text, says);
    arena_release(&a);
}

TEST(bad_code_is_refused_with_its_line)
{
    bad_text("x\n", "code/m.py:1");
    bad_text("def f(\n", "code/m.py");
    bad_text("def f():\nreturn 1\n", "code/m.py:2: expected an indented block");
    bad_text("def f():\n    return \"abc\n", "code/m.py:2: a string without an end");
    bad_text("def f():\n    return \"\\q\"\n", "unknown escape");
    bad_text("def f():\n    return 99999999999999999999\n", "64 bits");
    bad_text("def f():\n    return 1e\n", "exponent");
    bad_text("def f():\n    return 1\n  return 2\n", "indented");
    bad_text("def f():\n    return a b\n", "found b");
    bad_text("def f():\n    1 = 2\n", "assigned");
    bad_text("def f():\n    return f(a=1, 2)\n", "keyword");
    bad_text("def f():\n    for i in x:\n        pass\n", "range");
    bad_text("class C(Module):\n    x\n", ": or =");
    bad_text("def f():\n    return a ? b\n", "character");
}

TEST(deep_nests_are_refused)
{
    struct arena a;
    arena_init(&a, NULL);
    static const char *const opens[] = { "(", "[", "f(", "-(", "{1: " };
    for (int i = 0; i < 5; i++) {
        struct str s = str_in(&a);
        str_add(&s, "def f():\n    return ");
        for (int k = 0; k < 100000; k++) str_add(&s, opens[i]);
        bad_text(str_done(&s), "nested deeper");
    }
    struct str chain = str_in(&a), blocks = str_in(&a), types = str_in(&a);
    str_add(&chain, "def f():\n    return a");
    for (int k = 0; k < 100000; k++) str_add(&chain, ".a");
    bad_text(str_done(&chain), "shorter chain");
    str_add(&blocks, "def f():\n");
    for (int k = 1; k < 1000; k++) str_addf(&blocks, "%*sif x:\n", k, "");
    bad_text(str_done(&blocks), "too deep");
    str_add(&types, "def f(x: ");
    for (int k = 0; k < 100000; k++) str_add(&types, "List[");
    bad_text(str_done(&types), "nested deeper");
    arena_release(&a);
}

struct case_ {
    struct arena a;
    struct err e;
    struct torch_build b;
    struct report r;
    struct graph *g;
};

static void begin(struct case_ *c)
{
    c->e.code = 0;
    arena_init(&c->a, NULL);
    c->r = report_in(&c->a);
    build_begin(&c->b, &c->a, &c->e);
}

static void refused(struct case_ *c, int code, const char *says)
{
    CHECK_OK(c->e.code, &c->e);
    CHECK_INT(build_read(&c->b, "2", &c->g, &c->r, &c->e), code);
    if (!strstr(c->e.text, says)) TAP_FAIL("\"%s\" does not say \"%s\"", c->e.text, says);
    arena_release(&c->a);
}

TEST(strided_tensors_are_put_in_order)
{
    struct case_ c = { 0 };
    begin(&c);
    build_strided(&c.b, "w", 2, (int64_t[]){ 3, 2 }, (int64_t[]){ 1, 3 }, 1, (float[]){ 9, 0, 1, 2, 3, 4, 5 }, 7, &c.e);
    build_program(&c.b, IDENTITY, &c.e);
    CHECK_OK(build_read(&c.b, "3x2", &c.g, &c.r, &c.e), &c.e);
    const struct value *w = graph_find(c.g, "w");
    CHECK(w && w->kind == VALUE_STATE && w->flags & VALUE_TRAINABLE);
    static const double want[] = { 0, 3, 1, 4, 2, 5 };
    for (int i = 0; w && i < 6; i++) CHECK_NEAR(tensor_get_f64(w->data, i), want[i], 0);
    CHECK_STR(w->origin->key, "w");
    arena_release(&c.a);
}

TEST(tensors_past_their_storage_are_refused)
{
    static const struct {
        int64_t dims[2], strides[2], offset;
    } bad[] = {
        { { 2, 2 }, { 2, 1 }, 1 },
        { { 5, 1 }, { 1, 1 }, 0 },
        { { 2, 2 }, { 1000000, 1 }, 0 },
        { { 1, 1 }, { 1, 1 }, 4 },
        { { 2147483647, 2147483647 }, { 2147483647, 1 }, 0 },
        { { 2147483647, 2147483647 }, { 0, 0 }, 0 },
        { { -1, 2 }, { 1, 1 }, 0 },
        { { 2, 2 }, { -1, 1 }, 3 },
        { { 2147483647, 1 }, { 0, 0 }, 0 },
        { { 1, 1 }, { 1, 1 }, -1 },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct case_ c = { 0 };
        begin(&c);
        build_strided(&c.b, "w", 2, bad[i].dims, bad[i].strides, bad[i].offset, (float[]){ 0, 1, 2, 3 }, 4, &c.e);
        build_program(&c.b, IDENTITY, &c.e);
        refused(&c, ERR_MODEL, "tensor");
    }
}

static void add_rest(struct case_ *c, const char *version, bool constants)
{
    build_module(&c->b, &c->e);
    if (constants) build_record(&c->b, "constants.pkl", "\x80\x02).", 4, &c->e);
    if (version) build_text(&c->b, "version", version, &c->e);
    build_text(&c->b, "code/__torch__.py", "class M(Module):\n", &c->e);
    build_end(&c->b, &c->e);
}

TEST(other_archives_of_pytorch_are_told_apart)
{
    struct case_ c = { 0 };
    begin(&c);
    add_rest(&c, "3\n", false);
    refused(&c, ERR_UNSUPPORTED, "without a structure");
    begin(&c);
    build_text(&c.b, "model.json", "{}", &c.e);
    add_rest(&c, "3\n", true);
    refused(&c, ERR_UNSUPPORTED, "model.json");
    begin(&c);
    build_text(&c.b, "byteorder", "big", &c.e);
    add_rest(&c, "3\n", true);
    refused(&c, ERR_UNSUPPORTED, "big-endian");
    begin(&c);
    add_rest(&c, NULL, true);
    refused(&c, ERR_MODEL, "version");
    begin(&c);
    add_rest(&c, "x\n", true);
    refused(&c, ERR_MODEL, "no number");
    begin(&c);
    add_rest(&c, "3\n", true);
    refused(&c, ERR_MODEL, "no method forward");
}

static void refuse_bytes(const char *bytes, size_t n, int code, const char *says)
{
    struct case_ c = { 0 };
    arena_init(&c.a, NULL);
    c.r = report_in(&c.a);
    c.b.arena = &c.a;
    snprintf(c.b.path, sizeof c.b.path, "/tmp/tenrec-torch-%d.ptl", (int)getpid());
    CHECK_OK(file_write(&c.a, c.b.path, bytes, n, &c.e), &c.e);
    refused(&c, code, says);
}

TEST(other_files_of_pytorch_are_told_apart)
{
    refuse_bytes("PYTORCH1....", 12, ERR_UNSUPPORTED, "preview");
    refuse_bytes("\x10\0\0\0PTMF....", 12, ERR_UNSUPPORTED, "lite interpreter");
}

TEST(dangerous_pickles_are_refused)
{
    static const char evil[] = "\x80\x02"
                               "cos\nsystem\nX\x04\0\0\0true\x85R.";
    struct case_ c = { 0 };
    begin(&c);
    build_record(&c.b, "data.pkl", evil, sizeof evil - 1, &c.e);
    build_record(&c.b, "constants.pkl", "\x80\x02).", 4, &c.e);
    build_text(&c.b, "version", "3\n", &c.e);
    build_text(&c.b, "code/__torch__.py", "class M(Module):\n", &c.e);
    build_end(&c.b, &c.e);
    refused(&c, ERR_UNSAFE, "os.system");
}

TEST(pickles_of_other_things_are_refused)
{
#define PICKLE(text) \
    { \
        text, sizeof text - 1 \
    }
    static const struct {
        const char *data;
        size_t len;
    } pickles[] = {
        PICKLE("\x80\x02N."),
        PICKLE("\x80\x02]q\0h\0a."),
        PICKLE("\x80\x02"
               "c__torch__\nNo\n)\x81}b."),
        PICKLE("\x80\x02"
               "cmy.module\nThing\n)R."),
    };
    for (int i = 0; i < 4; i++) {
        struct case_ c = { 0 };
        begin(&c);
        build_record(&c.b, "data.pkl", pickles[i].data, pickles[i].len, &c.e);
        build_record(&c.b, "constants.pkl", "\x80\x02).", 4, &c.e);
        build_text(&c.b, "version", "3\n", &c.e);
        build_text(&c.b, "code/__torch__.py", "class M(Module):\n", &c.e);
        build_end(&c.b, &c.e);
        CHECK(build_read(&c.b, "2", &c.g, &c.r, &c.e) < 0);
        CHECK(c.e.text[0] != 0);
        printf("# %s\n", c.e.text);
        arena_release(&c.a);
    }
}
