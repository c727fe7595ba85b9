/* enc_pickle.c - tests of src/enc/pickle*.c: hostile pickles first, then real ones. */
#include "tap.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "enc/pickle.h"
#include "enc/zip.h"
#include "shared.h"

static struct arena arena;
static struct err err;

#define LIT(text) ((struct bytes){ (const unsigned char *)(text), sizeof(text) - 1 })

static int read_lit(struct pickle *p, struct bytes data)
{
    err_clear(&err);
    return pickle_read(p, &arena, "t.pkl", data, 0, &err);
}

static void refuses(struct bytes data, int code, const char *want)
{
    struct pickle p;
    arena_init(&arena, NULL);
    CHECK_INT(read_lit(&p, data), code);
    if (!strstr(err.text, want)) TAP_FAIL("\"%s\" does not say \"%s\"", err.text, want);
    arena_release(&arena);
}

TEST(pickle_refuses_broken_ones)
{
    refuses(LIT(""), ERR_MODEL, "no end");
    refuses(LIT("\x80\2"), ERR_MODEL, "offset 2: the pickle has no end");
    refuses(LIT("\x80\6."), ERR_UNSUPPORTED, "offset 0: opcode PROTO");
    refuses(LIT("."), ERR_MODEL, "too few");
    refuses(LIT("NN."), ERR_MODEL, "left on the stack");
    refuses(LIT("(N."), ERR_MODEL, "STOP");
    refuses(LIT("t."), ERR_MODEL, "no mark");
    refuses(LIT("N(\x85."), ERR_MODEL, "offset 2: opcode TUPLE1");
    refuses(LIT("h\5."), ERR_MODEL, "nothing was put");
    refuses(LIT("Nr\xff\xff\xff\x7f."), ERR_MODEL, "larger than the file");
    refuses(LIT("X\xff\xff\xff\xff."), ERR_MODEL, "longer than the rest");
    refuses(LIT("\x8d\xff\xff\xff\xff\xff\xff\xff\xff."), ERR_MODEL, "longer than the rest");
    refuses(LIT("\x95\xff\0\0\0\0\0\0\0."), ERR_MODEL, "FRAME");
    refuses(LIT("cos"), ERR_MODEL, "line does not end");
    refuses(LIT("NNa."), ERR_MODEL, "APPEND");
    refuses(LIT("}Na."), ERR_MODEL, "APPEND");
    refuses(LIT("]NNs."), ERR_MODEL, "SETITEM");
    refuses(LIT("}(Nu."), ERR_MODEL, "key without a value");
    refuses(LIT("}}b."), ERR_MODEL, "BUILD");
    refuses(LIT("N)R."), ERR_MODEL, "no global");
    refuses(LIT("cm\nn\nN\x81."), ERR_MODEL, "no tuple");
    refuses(LIT("cm\nn\n)R)b)b."), ERR_MODEL, "a state already");
    refuses(LIT("K\1K\2\x93."), ERR_MODEL, "must be strings");
    refuses(LIT("I01\n."), ERR_UNSUPPORTED, "offset 0: opcode INT");
    refuses(LIT("\xff."), ERR_MODEL, "0xff is no opcode");
    refuses(LIT("cos\nsystem\n(S'ls'\n."), ERR_UNSAFE, "os.system (offset 0)");
}

TEST(pickle_refuses_depth_but_reads_cycles)
{
    arena_init(&arena, NULL);
    unsigned char deep[5000];
    struct pickle p;
    memset(deep, 0x85, sizeof deep);
    deep[0] = ']', deep[sizeof deep - 1] = '.';
    refuses((struct bytes){ deep, sizeof deep }, ERR_MODEL, "deep");
    deep[900] = '.';
    CHECK_OK(read_lit(&p, (struct bytes){ deep, 901 }), &err);
    CHECK_INT(p.root->height, 900);
    CHECK_OK(read_lit(&p, LIT("]q\0h\0a.")), &err);
    CHECK(p.root->in_cycle && pickle_item(p.root, 0) == p.root);
    /* x = [] twice in a list, that list twice in a list, ...: 2^60 paths, 61 values */
    unsigned char laughs[400], *w = laughs;
    *w++ = ']';
    for (unsigned char i = 0; i < 60; i++) *w++ = 'q', *w++ = i, *w++ = 'h', *w++ = i, *w++ = 0x86;
    *w++ = '.';
    CHECK_OK(read_lit(&p, (struct bytes){ laughs, (size_t)(w - laughs) }), &err);
    CHECK_INT(p.root->height, 61);
    arena_release(&arena);
}

/* OrderedDict(list of 1000 pairs) asked for again and again must not cost 1000 pairs each time for ever. */
TEST(pickle_bounds_copies)
{
    size_t n = 1 << 20;
    unsigned char *data = malloc(n), *w = data;
    static const char head[] = "ccollections\nOrderedDict\nq\0](";
    memcpy(w, head, sizeof head - 1);
    w += sizeof head - 1;
    for (int i = 0; i < 1000; i++) memcpy(w, "NN\x86", 3), w += 3;
    memcpy(w, "e\x85q\1R", 5), w += 5;
    while (w + 6 < data + n) memcpy(w, "h\0h\1R", 5), w[5] = '0', w += 6;
    *w++ = '.';
    refuses((struct bytes){ data, (size_t)(w - data) }, ERR_MODEL, "too many values");
    free(data);
}

static const char state_dict[] =
    "\x80\2}q\0(X\1\0\0\0aK\7X\1\0\0\0bM\1\2X\1\0\0\0cJ\xff\xff\xff\xffX\1\0\0\0dG?\xf8\0\0\0\0\0\0"
    "X\1\0\0\0e\x8a\2\0\x80X\1\0\0\0f\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
    "X\1\0\0\0g(NN\x88\x89tX\1\0\0\0hC\2\0\1"
    "X\1\0\0\0ictorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" "0"
    "X\3\0\0\0cpuK\6tQK\0K\2K\3\x86K\3K\1\x86\x89" "ccollections\nOrderedDict\n)RtR"
    "X\1\0\0\0jccollections\nOrderedDict\n)Rq\1(X\1\0\0\0kK\1X\1\0\0\0kK\2u}X\1\0\0\0mK\3sbu.trailing";

TEST(pickle_reads_values)
{
    arena_init(&arena, NULL);
    struct pickle p;
    int64_t i;
    double d;
    CHECK_OK(read_lit(&p, LIT(state_dict)), &err);
    CHECK_INT(p.end, sizeof state_dict - 1 - strlen("trailing"));
    const struct pickle_value *r = p.root;
    CHECK(pickle_get_int(pickle_dict_get(r, "a"), &i) && i == 7);
    CHECK(pickle_get_int(pickle_dict_get(r, "b"), &i) && i == 0x201);
    CHECK(pickle_get_int(pickle_dict_get(r, "c"), &i) && i == -1);
    CHECK(pickle_get_number(pickle_dict_get(r, "d"), &d) && d == 1.5);
    CHECK(pickle_get_int(pickle_dict_get(r, "e"), &i) && i == -32768);
    CHECK_INT(pickle_dict_get(r, "f")->kind, PICKLE_LONG);
    CHECK_INT(pickle_dict_get(r, "f")->text.len, 10);
    CHECK_INT(pickle_seq(pickle_dict_get(r, "g"))->n, 4);
    CHECK(pickle_get_int(pickle_item(pickle_dict_get(r, "g"), 2), &i) && i == 1);
    CHECK_INT(pickle_dict_get(r, "h")->text.s[1], 1);
    const struct pickle_value *t = pickle_dict_get(r, "i"), *storage = pickle_arg(t, 0);
    CHECK(pickle_is_call(t, "torch._utils", "_rebuild_tensor_v2"));
    CHECK(storage->kind == PICKLE_PERSISTENT && pickle_is_str(pickle_item(storage->id, 0), "storage"));
    CHECK(pickle_is_global(pickle_item(storage->id, 1), "torch", "FloatStorage"));
    CHECK(pickle_get_int(pickle_item(pickle_arg(t, 2), 1), &i) && i == 3);
    const struct pickle_value *ordered = pickle_dict_get(r, "j");
    CHECK(pickle_get_int(pickle_dict_get(ordered, "k"), &i) && i == 2); /* the later one */
    CHECK(pickle_get_int(pickle_attr(ordered, "m"), &i) && i == 3);
    CHECK(!pickle_dict_get(r, "z") && !pickle_dict_get(NULL, "a") && !pickle_item(r, 0));
    CHECK_INT(p.n_globals, 3);
    CHECK_INT(p.globals[2]->count, 2);
    CHECK(p.globals[0]->called && !p.globals[1]->called);
    CHECK_INT(pickle_check(&p, "t.pkl", &err), 0);
    arena_release(&arena);
}

TEST(pickle_survives_truncation_and_bit_flips)
{
    size_t len = sizeof state_dict - 1 - strlen("trailing");
    unsigned char *copy = malloc(len);
    struct pickle p;
    for (size_t n = 0; n < len; n++) {
        unsigned char *cut = malloc(n ? n : 1);
        memcpy(cut, state_dict, n);
        arena_init(&arena, NULL);
        CHECK_INT(read_lit(&p, (struct bytes){ cut, n }), ERR_MODEL);
        arena_release(&arena);
        free(cut);
    }
    for (size_t bit = 0; bit < len * 8; bit++) {
        memcpy(copy, state_dict, len);
        copy[bit / 8] ^= (unsigned char)(1 << bit % 8);
        arena_init(&arena, NULL);
        arena.limit = 1 << 20;
        int code = read_lit(&p, (struct bytes){ copy, len });
        CHECK(code != ERR_NOMEM && (!code || err.text[0]));
        arena_release(&arena);
    }
    free(copy);
}

TEST(pickle_tells_when_memory_is_out)
{
    struct pickle p;
    int code = ERR_NOMEM;
    for (size_t limit = 16; code && limit < 1 << 16; limit += 16) {
        arena_init(&arena, NULL);
        arena.limit = limit;
        code = read_lit(&p, LIT(state_dict));
        CHECK(!code || code == ERR_NOMEM);
        arena_release(&arena);
    }
    CHECK_INT(code, 0);
}

TEST(pickle_judges_names)
{
    static const struct {
        const char *module, *name;
        enum pickle_verdict verdict;
    } cases[] = {
        { "os", "system", PICKLE_DANGEROUS },
        { "os.path", "join", PICKLE_DANGEROUS },
        { "posix", "system", PICKLE_DANGEROUS },
        { "__builtin__", "eval", PICKLE_DANGEROUS },
        { "builtins", "getattr", PICKLE_DANGEROUS },
        { "_operator", "attrgetter", PICKLE_DANGEROUS },
        { "torch", "os.system", PICKLE_DANGEROUS },
        { "torch", "serialization.pickle.loads", PICKLE_DANGEROUS },
        { "collections", "OrderedDict.__init__.__globals__", PICKLE_DANGEROUS },
        { "my", "builtins.exec", PICKLE_DANGEROUS },
        { "torch.hub", "load", PICKLE_DANGEROUS },
        { "numpy.testing._private.utils", "runstring", PICKLE_DANGEROUS },
        { "torch", "FloatStorage", PICKLE_ALLOWED },
        { "torch.storage", "UntypedStorage", PICKLE_ALLOWED },
        { "torch", "float32", PICKLE_ALLOWED },
        { "torch._utils", "_rebuild_tensor_v3", PICKLE_ALLOWED },
        { "__builtin__", "set", PICKLE_ALLOWED },
        { "copy_reg", "_reconstructor", PICKLE_ALLOWED },
        { "numpy._core.multiarray", "scalar", PICKLE_ALLOWED },
        { "torch.jit._pickle", "build_intlist", PICKLE_ALLOWED },
        { "__torch__.torch.nn.modules.conv", "Conv2d", PICKLE_ALLOWED },
        { "__torch__", "os", PICKLE_ALLOWED },
        { "__torch__evil", "x", PICKLE_UNKNOWN },
        { "torch", "x.FloatStorage", PICKLE_UNKNOWN },
        { "torch.nn.modules.conv", "Conv2d", PICKLE_ALLOWED },
        { "torch.nn.modules.conv", "conv", PICKLE_UNKNOWN },
        { "osmium", "Reader", PICKLE_UNKNOWN },
        { "models.yolo", "Outer.Inner", PICKLE_UNKNOWN },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (pickle_judge(cases[i].module, cases[i].name) != cases[i].verdict)
            TAP_FAIL("%s.%s is not judged %d", cases[i].module, cases[i].name, cases[i].verdict);
}

/* Reads all pickles of one file: the .pkl entries of an archive, or the five of the legacy form. */
static size_t read_file(struct arena *a, const char *path)
{
    struct bytes file = { 0 };
    struct zip z;
    struct pickle p;
    size_t n = 0;
    CHECK_OK(file_map(a, path, &file, &err), &err);
    if (!zip_is(file)) {
        for (size_t at = 0; n < 5; n++, at = p.end) {
            if (pickle_read(&p, a, path, file, at, &err)) return TAP_FAIL("%s", err.text), n;
            CHECK_OK(pickle_check(&p, path, &err), &err);
        }
        return n;
    }
    if (zip_open(&z, a, path, file, &err)) return TAP_FAIL("%s", err.text), 0;
    for (size_t i = 0; i < z.n; i++) {
        size_t len = strlen(z.entries[i].name);
        struct bytes data = { 0 };
        if (len < 4 || strcmp(z.entries[i].name + len - 4, ".pkl")) continue;
        CHECK_OK(zip_read(&z, &z.entries[i], a, 1 << 26, ZIP_CHECK_CRC, &data, &err), &err);
        if (pickle_read(&p, a, z.entries[i].name, data, 0, &err)) return TAP_FAIL("%s: %s", path, err.text), n;
        CHECK_INT(p.end, data.len);
        CHECK_OK(pickle_check(&p, path, &err), &err);
        n++;
    }
    return n;
}

TEST(pickle_reads_every_pickle_of_the_samples)
{
    const char *shared = shared_dir();
    if (!shared) SKIP("no shared samples");
    const char *dirs[] = { "samples/ts", "samples/pkl", "samples/written" };
    size_t pickles = 0;
    arena_init(&arena, NULL);
    for (int d = 0; d < 3; d++) {
        const char *dir = file_join(&arena, shared, dirs[d]), **names;
        size_t n;
        CHECK_OK(file_list(&arena, dir, &names, &n, &err), &err);
        for (size_t i = 0; i < n; i++) {
            size_t len = strlen(names[i]);
            if (len < 3 || strcmp(names[i] + len - 3, ".pt")) continue;
            struct arena_mark mark = arena_mark(&arena);
            pickles += read_file(&arena, file_join(&arena, dir, names[i]));
            arena_rewind(&arena, mark);
        }
    }
    CHECK(pickles > 200);
    arena_release(&arena);
}
