/* craft_torch.c - wicked TorchScript archives, and the zip files around them. */
#include "craft.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "attack.h"

static size_t power_above(size_t n)
{
    size_t power = 256;
    while (power < n) power *= 2;
    return power;
}

/* Appends; what `to` has is the power of two above *len. */
static void put(unsigned char **to, size_t *len, const void *data, size_t n)
{
    unsigned char *p = *to;
    if (!p || power_above(*len) < *len + n) p = realloc(p, power_above(*len + n));
    if (!p) abort();
    if (n) memcpy(p + *len, data, n);
    *to = p;
    *len += n;
}

static void put_number(unsigned char **to, size_t *len, uint64_t v, int bytes)
{
    unsigned char b[8];
    for (int i = 0; i < bytes; i++) b[i] = (unsigned char)(v >> 8 * i);
    put(to, len, b, (size_t)bytes);
}

/* A raw deflate stream; its length in *n. */
static unsigned char *squeeze(const void *data, size_t len, size_t *n)
{
    z_stream z = { 0 };
    if (deflateInit2(&z, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) != Z_OK) abort();
    size_t room = deflateBound(&z, len);
    unsigned char *out = malloc(room);
    if (!out) abort();
    z.next_in = (unsigned char *)(uintptr_t)data;
    z.avail_in = (unsigned)len;
    z.next_out = out;
    z.avail_out = (unsigned)room;
    if (deflate(&z, Z_FINISH) != Z_STREAM_END) abort();
    *n = z.total_out;
    deflateEnd(&z);
    return out;
}

/* What both headers say of an entry (APPNOTE 4.3.7, 4.3.12): the version needed to the length of the extra field. */
static void put_facts(
    unsigned char **to, size_t *len, bool deflated, uint32_t crc, size_t packed, size_t size, size_t name)
{
    put_number(to, len, 20, 2);
    put_number(to, len, 0, 2);
    put_number(to, len, deflated ? 8 : 0, 2);
    put_number(to, len, 0, 4); /* time and date */
    put_number(to, len, crc, 4);
    put_number(to, len, packed, 4);
    put_number(to, len, size, 4);
    put_number(to, len, name, 2);
    put_number(to, len, 0, 2);
}

void zip_made_add(struct zip_made *z, const char *name, const void *data, size_t len, bool deflated, long size)
{
    uint32_t crc = (uint32_t)crc32(0, data, (unsigned)len);
    size_t packed = len, at = z->len, declared = size < 0 ? len : (size_t)size;
    unsigned char *made = deflated ? squeeze(data, len, &packed) : NULL;
    put(&z->data, &z->len, "PK\3\4", 4);
    put_facts(&z->data, &z->len, deflated, crc, packed, declared, strlen(name));
    put(&z->data, &z->len, name, strlen(name));
    put(&z->data, &z->len, made ? made : data, packed);
    free(made);
    put(&z->directory, &z->directory_len, "PK\1\2\24\0", 6);
    put_facts(&z->directory, &z->directory_len, deflated, crc, packed, declared, strlen(name));
    put_number(&z->directory, &z->directory_len, 0, 2 + 2 + 2); /* comment, disk, internal attributes */
    put_number(&z->directory, &z->directory_len, 0, 4);
    put_number(&z->directory, &z->directory_len, at, 4);
    put(&z->directory, &z->directory_len, name, strlen(name));
    z->n++;
}

void zip_made_finish(struct zip_made *z)
{
    size_t at = z->len;
    put(&z->data, &z->len, z->directory, z->directory_len);
    put(&z->data, &z->len, "PK\5\6\0\0\0\0", 8);
    put_number(&z->data, &z->len, z->n, 2);
    put_number(&z->data, &z->len, z->n, 2);
    put_number(&z->data, &z->len, z->directory_len, 4);
    put_number(&z->data, &z->len, at, 4);
    put_number(&z->data, &z->len, 0, 2);
    free(z->directory);
    z->directory = NULL;
}

struct text {
    const char *data;
    size_t len;
};
#define TEXT(s) ((struct text){ s, sizeof s - 1 })
/* A module without attributes: what data.pkl holds of it. */
#define MODULE \
    TEXT("\x80\2" \
         "c__torch__\nNet\n)\x81}X\x08\0\0\0training\x89sb.")
#define NO_CONSTANTS TEXT("\x80\2).")

static void archive(const char *path, struct text pickle, struct text code, struct text constants, bool deflated,
    const char *what)
{
    struct zip_made z = { 0 };
    zip_made_add(&z, "m/data.pkl", pickle.data, pickle.len, deflated, -1);
    zip_made_add(&z, "m/code/__torch__.py", code.data, code.len, deflated, -1);
    zip_made_add(&z, "m/data/0", "0123456789abcdef", 16, false, -1);
    zip_made_add(&z, "m/constants.pkl", constants.data, constants.len, deflated, -1);
    zip_made_add(&z, "m/version", "3\n", 2, false, -1);
    zip_made_finish(&z);
    attack_hint = "1x3x32x32";
    int code_of_end = attack_bytes(path, z.data, z.len, what);
    attack_hint = NULL;
    if (!strcmp(what, "the good one") && code_of_end) {
        printf("# %s is refused\n", what);
        attack_sum.broken++;
    }
    free(z.data);
}

/* The body of forward(self, x), its lines indented by four. */
static void program(const char *path, const char *body, size_t len, const char *what)
{
    static const char head[] = "class Net(Module):\n  __parameters__ = []\n  __buffers__ = []\n  training : bool\n"
                               "  def forward(self: __torch__.Net,\n    x: Tensor) -> Tensor:\n";
    unsigned char *text = NULL;
    size_t n = 0;
    put(&text, &n, head, sizeof head - 1);
    put(&text, &n, body, len);
    archive(path, MODULE, (struct text){ (char *)text, n }, NO_CONSTANTS, false, what);
    free(text);
}

/* `before`, n times `piece`, `between`, n times `after`, `end`. */
static void repeated(const char *path, const char *before, const char *piece, size_t n, const char *between,
    const char *after, const char *end)
{
    unsigned char *text = NULL;
    size_t len = 0;
    char what[100];
    put(&text, &len, before, strlen(before));
    for (size_t i = 0; i < n; i++) put(&text, &len, piece, strlen(piece));
    put(&text, &len, between, strlen(between));
    for (size_t i = 0; i < n; i++) put(&text, &len, after, strlen(after));
    put(&text, &len, end, strlen(end));
    snprintf(what, sizeof what, "%.40s: \"%.20s\" %zu times", before, piece, n);
    program(path, (char *)text, len, what);
    free(text);
}

static void nested_blocks(const char *path, int depth)
{
    unsigned char *text = NULL;
    size_t len = 0;
    for (int i = 0; i <= depth; i++) {
        for (int k = 0; k < 4 + 2 * i; k++) put(&text, &len, " ", 1);
        put(&text, &len, i == depth ? "pass\n" : "if True:\n", i == depth ? 5 : 9);
    }
    put(&text, &len, "    return x\n", 13);
    program(path, (char *)text, len, "nested blocks");
    free(text);
}

/* Bodies of forward(self, x). */
static const char *const bodies[] = {
    "    while True:\n      pass\n    return x\n",
    "    _0 = True\n    while _0:\n      _0 = True\n    return x\n",
    "    for i in range(9223372036854775807):\n      y = torch.relu(x)\n    return x\n",
    "    y = x\n    for i in range(900000):\n      y = torch.add(y, 1)\n    return y\n",
    "    return (self).forward(x, )\n",
    "    y = torch.zeros([1099511627776, 1099511627776])\n    return torch.add(x, y)\n",
    "    y = torch.zeros([1, 16384, 16384, 8])\n    return y\n",
    "    y = torch.ones([9223372036854775807])\n    return y\n",
    "    y = torch.zeros([-1, -1])\n    return y\n",
    "    y = torch.arange(1099511627776)\n    return y\n",
    "    y = torch.eye(1048576)\n    return y\n",
    "    y = torch.full([65536, 65536], 1.)\n    return y\n",
    "    y = torch.expand(x, [1099511627776, 3, 32, 32])\n    return torch.add(y, 1)\n",
    "    y = torch.repeat(x, [1048576, 1048576, 1, 1])\n    return y\n",
    "    y = torch.as_strided(x, [1000, 1000], [1048576, 1], 1099511627776)\n    return y\n",
    "    y = torch.as_strided(x, [4, 4], [-5, -1], -3)\n    return y\n",
    "    y = torch.reshape(x, [-1, -1])\n    return y\n",
    "    y = torch.permute(x, [0, 0, 0, 9])\n    return y\n",
    "    y = torch.select(x, 99, 1099511627776)\n    return y\n",
    "    y = torch.slice(x, -77, 9223372036854775807, -9223372036854775808, -1)\n    return y\n",
    "    y = torch.slice(x, 0, 0, 1, 0)\n    return y\n",
    "    y = torch.constant_pad_nd(x, [9223372036854775807, 9223372036854775807], 0)\n    return y\n",
    "    y = torch.max_pool2d(x, [0, 0], [0, 0], [0, 0], [1, 1], False)\n    return y\n",
    "    y = torch.max_pool2d(x, [9223372036854775807, -3], [1, 1], [0, 0], [1, 1], False)\n    return y\n",
    "    y = torch.avg_pool2d(x, [3], [0], [-9], False, True, 0)\n    return y\n",
    "    y = torch.adaptive_avg_pool2d(x, [9223372036854775807, 1048576])\n    return y\n",
    "    y = torch.upsample_bilinear2d(x, [1048576, 1048576], False, None, None)\n    return y\n",
    "    y = torch.upsample_nearest2d(x, [-1, 0], None, None)\n    return y\n",
    "    y = torch.conv2d(x, torch.zeros([4, 3, 3, 3]), None, [0, 0], [0, 0], [1, 1], 0)\n    return y\n",
    "    y = torch.conv2d(x, torch.zeros([4, 3, 3, 3]), None, [1], [9223372036854775807], [1], 1)\n    return y\n",
    "    y = torch.conv2d(x, x, x, x, x, x, x)\n    return y\n",
    "    y = torch.pixel_shuffle(x, 0)\n    return y\n",
    "    y = torch.group_norm(x, 0, None, None, 0.)\n    return y\n",
    "    y = torch.split(x, 0, 1)\n    return y[0]\n",
    "    y = torch.chunk(x, 1099511627776, 1)\n    return y[0]\n",
    "    y = torch.cat([], 0)\n    return y\n",
    "    y = torch.einsum(\"ijkl,ijkl->zz\", [x, x])\n    return y\n",
    "    y = torch.norm(x)[\"a\"]\n    return y\n",
    "    y = torch.topk(x, 1099511627776, 1, True, True)\n    return (y)[0]\n",
    "    y = torch.one_hot(torch.to(x, 4), 1099511627776)\n    return y\n",
    "    a = [1]\n    for i in range(60):\n      a = torch.add(a, a)\n    return x\n",
    "    a = torch.mul([1, 2], 1099511627776)\n    return x\n",
    "    a = \"s\"\n    for i in range(60):\n      a = torch.add(a, a)\n    return x\n",
    "    a = [x]\n    for i in range(60):\n      a = [a, a]\n    return a\n",
    "    a = (x, x)\n    for i in range(64):\n      a = (a, a)\n    return a\n",
    "    y = x\n    for i in range(64):\n      y = torch.cat([y, y], 0)\n    return y\n",
    "    y = x\n    for i in range(64):\n      y = torch.add(y, y)\n    return y\n",
    "    n = 9223372036854775807\n    n = torch.mul(torch.add(n, n), n)\n    n = torch.neg(n)\n    return x\n",
    "    n = torch.floordiv(-9223372036854775808, -1)\n    return x\n",
    "    n = torch.remainder(1, 0)\n    return x\n",
    "    n = torch.floordiv(1, 0)\n    return x\n",
    "    n = torch.pow(10, 1099511627776)\n    return x\n",
    "    n = torch.__lshift__(1, 1099511627776)\n    return x\n",
    "    n = int(1e300)\n    return torch.add(x, n)\n",
    "    n = [1, 2][9223372036854775807]\n    return x\n",
    "    n = [1, 2][-9223372036854775808]\n    return x\n",
    "    n = \"abc\"[99:-99:0]\n    return x\n",
    "    n = torch.format(\"{}{}{}\", 1)\n    return x\n",
    "    n = torch.percentFormat(\"%s%n%999999999d\", 1, 2, 3)\n    return x\n",
    "    return self.nothing\n",
    "    return CONSTANTS.c99\n",
    "    return unchecked_cast(x)\n",
    "    x = annotate(List[List[List[int]]], [[[]]])\n    return x\n",
    "    return __import__(\"os\").system(\"true\")\n",
    "    return torch.os.system(\"true\")\n",
    "    return ops.aten.system(\"true\")\n",
    "    return y\n",
    "    \n",
    "    return \"\\\n",
    "    return 99999999999999999999999999999999999999999\n",
    "    return 0x\n",
    "    return (((\n",
    "    return '''\n",
    "\treturn x\n",
    "    return x\0\n",
};

void craft_torch_code(const char *path)
{
    program(path, "    return torch.relu(x)\n", 25, "the good one");
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) program(path, bodies[i], strlen(bodies[i]), bodies[i]);
    for (size_t n = 150; n < 2000000; n *= 20) {
        repeated(path, "    y = ", "(", n, "x", ")", "\n    return x\n");
        repeated(path, "    y = ", "[", n, "", "]", "\n    return x\n");
        repeated(path, "    y = ", "-", n, "1", "", "\n    return x\n");
        repeated(path, "    y = ", "not ", n, "True", "", "\n    return x\n");
        repeated(path, "    y = x", ".a", n, "", "", "\n    return x\n");
        repeated(path, "    y = x", "[0]", n, "", "", "\n    return x\n");
        repeated(path, "    y = x", "(x)", n, "", "", "\n    return x\n");
        repeated(path, "    y = ", "1 if True else ", n, "2", "", "\n    return x\n");
        repeated(path, "    y = ", "1 + ", n, "2", "", "\n    return x\n");
        repeated(path, "    y = annotate(", "List[", n, "int", "]", ", [])\n    return x\n");
        repeated(path, "    y = [", "1, ", n, "", "", "]\n    return x\n");
        repeated(path, "", "    y = 1\n", n, "", "", "    return x\n");
        repeated(path, "    y = \"", "a", n, "", "", "\"\n    return x\n");
        repeated(path, "    y = ", "9", n, "", "", "\n    return x\n");
    }
    nested_blocks(path, 100);
    nested_blocks(path, 1000);
}

static void pickle(const char *path, struct text data, const char *what)
{
    static const char code[] = "class Net(Module):\n  __parameters__ = []\n  __buffers__ = []\n  training : bool\n"
                               "  def forward(self: __torch__.Net,\n    x: Tensor) -> Tensor:\n    return x\n";
    archive(path, data, TEXT(code), NO_CONSTANTS, false, what);
    archive(path, MODULE, TEXT(code), data, true, what);
}

static void repeated_pickle(const char *path, const char *piece, size_t n, const char *after, const char *what)
{
    unsigned char *text = NULL;
    size_t len = 0;
    put(&text, &len, "\x80\2", 2);
    for (size_t i = 0; i < n; i++) put(&text, &len, piece, strlen(piece));
    for (size_t i = 0; i < n && *after; i++) put(&text, &len, after, strlen(after));
    put(&text, &len, ".", 1);
    pickle(path, (struct text){ (char *)text, len }, what);
    free(text);
}

/* l0 = [1]; l1 = [l0, l0]; l2 = [l1, l1] ... through the memo. */
static void laughs(const char *path)
{
    unsigned char *text = NULL;
    size_t len = 0;
    put(&text, &len, "\x80\2]K\1aq\0", 7);
    for (unsigned char i = 1; i < 64; i++) {
        unsigned char step[] = { '0', '(', 'h', (unsigned char)(i - 1), 'h', (unsigned char)(i - 1), 'l', 'q', i };
        put(&text, &len, step, sizeof step);
    }
    put(&text, &len, ".", 1);
    pickle(path, (struct text){ (char *)text, len }, "lists that double");
    free(text);
}

#define STORAGE "((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0000X\3\0\0\0cpuK\4tQ"
#define TENSOR(rest) \
    TEXT("\x80\2" \
         "c__torch__\nNet\n)\x81}(X\x08\0\0\0training\x89X\1\0\0\0wctorch._utils\n_rebuild_tensor_v2\n" STORAGE rest \
         "\x89" \
         "ccollections\nOrderedDict\n)RtRub.")

void craft_torch_pickles(const char *path)
{
    static const struct text pickles[] = {
        TEXT("\x80\2cos\nsystem\nX\4\0\0\0true\x85R."),
        TEXT("\x80\2cposix\nsystem\nX\4\0\0\0true\x85R."),
        TEXT("\x80\2cbuiltins\neval\nX\1\0\0\0001\x85R."),
        TEXT("\x80\4\x8c\2os\x8c\6system\x93\x8c\4true\x85R."),
        TEXT("(S'true'\nios\nsystem\n."),
        TEXT("(cos\nsystem\nS'true'\no."),
        TEXT("\x80\2cos\nsystem\n)\x81}b."),
        TEXT("."),
        TEXT("\x80\2"),
        TEXT("\x80\2N"),
        TEXT("\x80\xff."),
        TEXT("\x80\2X\xff\xff\xff\xff."),
        TEXT("\x80\2\x8d\xff\xff\xff\xff\xff\xff\xff\xff."),
        TEXT("\x80\4\x95\xff\xff\xff\xff\xff\xff\xff\x7fN."),
        TEXT("\x80\2r\xff\xff\xff\xffN."),
        TEXT("\x80\2Nr\xff\xff\xff\xff."),
        TEXT("\x80\2j\xff\xff\xff\x7f."),
        TEXT("\x80\2]q\0h\0a."),
        TEXT("\x80\2}q\0h\0h\0s."),
        TEXT("\x80\2tttttt."),
        TEXT("\x80\2((((."),
        TEXT("\x80\2NNNR."),
        TEXT("\x80\2\x8a\xff" "11111."),
        TEXT("\x80\2\x8b\xff\xff\xff\x7f" "1."),
        TEXT("I99999999999999999999999999\n."),
        TEXT("F1e999999\n."),
        TEXT("L-\n."),
        TEXT("\x80\2c__torch__\nNowhere\n)\x81}b."),
        TEXT("\x80\2c__torch__\nNet\n)\x81q\0}X\1\0\0\0ah\0sb."),
    };
    static const struct text tensors[] = { /* offset, size, stride; the storage has 4 elements */
        TENSOR("K\0K\4\x85K\1\x85"),
        TENSOR("K\1K\4\x85K\1\x85"),
        TENSOR("K\0J\xff\xff\xff\x7f\x85K\1\x85"),
        TENSOR("K\0J\xff\xff\xff\x7f\x85K\0\x85"),
        TENSOR("K\0\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85K\0\x85"),
        TENSOR("K\0\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x86K\0K\0\x86"),
        TENSOR("K\0J\xff\xff\xff\xff\x85K\1\x85"),
        TENSOR("K\0K\2\x85J\xff\xff\xff\xff\x85"),
        TENSOR("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\1\x85K\1\x85"),
        TENSOR("J\xff\xff\xff\xffK\1\x85K\1\x85"),
        TENSOR("K\0K\4\x85)"),
        TENSOR("K\0))"),
        TENSOR("NNN"),
        TENSOR("K\0(K\1K\1K\1K\1K\1K\1K\1K\1K\1K\1t(K\1K\1K\1K\1K\1K\1K\1K\1K\1K\1t"),
    };
    char what[64];
    for (size_t i = 0; i < sizeof pickles / sizeof *pickles; i++) {
        snprintf(what, sizeof what, "pickle %zu", i);
        pickle(path, pickles[i], what);
    }
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        snprintf(what, sizeof what, "tensor %zu", i);
        pickle(path, tensors[i], what);
    }
    for (size_t n = 1000; n <= 4000000; n *= 4000) {
        repeated_pickle(path, "]", n, "a", "nested lists");
        repeated_pickle(path, "(", n, "t", "nested tuples");
        repeated_pickle(path, ")", n, "\x85", "nested tuples of one");
        repeated_pickle(path, "N", n, "", "many objects");
        repeated_pickle(path, "]", n, "", "many lists");
        repeated_pickle(path, "}", n, "", "many dictionaries");
        repeated_pickle(path, "(", n, "", "many marks");
        repeated_pickle(path, "]\x94", n, "", "a large memo");
        repeated_pickle(path, "c__torch__\nA\n", n / 40, "", "many classes");
    }
    laughs(path);
}
