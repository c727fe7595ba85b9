/* make.c - writes the tiny models, images and pickles that the tests of the command line work on, into a folder.
 *
 *   classify.onnx  x (N, 3, H, W) -> ReduceMean over the pixels -> Gemm -> logits (N, 4): brightest colour wins
 *   binary.onnx    the same -> Gemm -> Sigmoid -> p (N, 1): how likely it is red; binary_logit.onnx without the Sigmoid
 *   left_right.onnx  left, right (N, 3, H, W) -> Sub -> ReduceMean over the pixels -> y (N, 3)
 *   copy.onnx      x (N, 3, H, W) -> Conv 1x1 -> y (N, 3, H, W): an auto-encoder that knows nothing yet
 *   sequence.onnx  x (N, 6) -> Gemm -> logits (N, 2)
 *   heads.onnx     x (N, 3, H, W) -> ReduceMean -> two Gemm: kind (N, 4), and place (N, 2)
 *   segment.onnx   x (N, 3, H, W) -> Conv 1x1 -> y (N, 2, H, W): label 1 where red outweighs green
 *   add.onnx       a (N, 2), b (N, 2) -> sum (N, 2), product (N, 2)
 *   other.onnx     add.onnx with a Sub in the place of the Add
 *   wrong.onnx     a node no operator set knows
 *   cycle.onnx     two nodes that read each other
 *   outside.onnx, missing.onnx  weights in a file outside the folder, and in one that is not there
 *   bomb.tenrec    a package whose manifest inflates a thousandfold
 *   detect.onnx    x (1, 3, H, W) -> rows (1, 4, 6): two overlapping boxes that score by red, one by blue, one never
 *   single.onnx    x (1, 3, 12, 12) -> Conv 3x3 -> Relu -> Reshape to (1, 400) -> Gemm -> (1, 4): made for one sample
 *   learn/         folders red, green, blue, white with 8 images each; pairs.csv: images with masks, 1 where it is red
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "enc/image.h"
#include "enc/protobuf.h"
#include "enc/zip.h"

static struct arena arena;
static struct err err;
static const char *folder;

/* Field numbers are those of onnx.proto. */
static struct proto_message value_info(const char *name, const char *const *dims, int n)
{
    struct proto_message shape = proto_message_in(&arena), tensor = proto_message_in(&arena),
                         type = proto_message_in(&arena), info = proto_message_in(&arena);
    for (int i = 0; i < n; i++) {
        struct proto_message dim = proto_message_in(&arena);
        if (dims[i][0] >= '0' && dims[i][0] <= '9') proto_put_varint(&dim, 1, (uint64_t)(dims[i][0] - '0'));
        else proto_put_text(&dim, 2, dims[i]);
        proto_put_message(&shape, 1, &dim);
    }
    proto_put_varint(&tensor, 1, 1);
    proto_put_message(&tensor, 2, &shape);
    proto_put_message(&type, 1, &tensor);
    proto_put_text(&info, 1, name);
    proto_put_message(&info, 2, &type);
    return info;
}

static void put_port(struct proto_message *graph, uint32_t field, const char *name, const char *const *dims, int n)
{
    struct proto_message info = value_info(name, dims, n);
    proto_put_message(graph, field, &info);
}

static void put_weights(
    struct proto_message *graph, const char *name, const int64_t *dims, size_t rank, const float *v, size_t n)
{
    struct proto_message t = proto_message_in(&arena);
    proto_put_packed_int64(&t, 1, dims, rank);
    proto_put_varint(&t, 2, 1);
    proto_put_packed_float(&t, 4, v, n);
    proto_put_text(&t, 8, name);
    proto_put_message(graph, 5, &t);
}

/* "axes=2,3 keepdims=0": a list of several ints is ints, a single one is an int. */
static void put_attr(struct proto_message *node, char *text)
{
    struct proto_message a = proto_message_in(&arena);
    int64_t ints[8];
    size_t n = 0;
    char *save, *equals = strchr(text, '=');
    *equals = 0;
    for (char *word = strtok_r(equals + 1, ",", &save); word; word = strtok_r(NULL, ",", &save))
        ints[n++] = atoll(word);
    proto_put_text(&a, 1, text);
    proto_put_varint(&a, 20, n > 1 ? 7 : 2);
    if (n > 1) proto_put_packed_int64(&a, 8, ints, n);
    else proto_put_int64(&a, 3, ints[0]);
    proto_put_message(node, 5, &a);
}

/* Inputs and attributes are separated by blanks. */
static void put_node(struct proto_message *graph, const char *op, const char *in, const char *out, const char *attrs)
{
    struct proto_message node = proto_message_in(&arena);
    char words[100], *save;
    snprintf(words, sizeof words, "%s", in);
    for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save))
        proto_put_text(&node, 1, word);
    proto_put_text(&node, 2, out);
    proto_put_text(&node, 4, op);
    snprintf(words, sizeof words, "%s", attrs);
    char *next = words;
    for (char *word; (word = strsep(&next, " "));)
        if (*word) put_attr(&node, word);
    proto_put_message(graph, 1, &node);
}

static void put_file(const char *name, const void *data, size_t len)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    char *dir = file_dir(&arena, path);
    if (dir) file_mkdirs(dir, &err);
    file_write(&arena, path, data, len, &err);
}

static void put_model(const char *name, struct proto_message *graph)
{
    struct proto_message model = proto_message_in(&arena), set = proto_message_in(&arena);
    struct bytes bytes = { 0 };
    proto_put_text(graph, 2, "tiny");
    proto_put_varint(&set, 2, 13);
    proto_put_varint(&model, 1, 8);
    proto_put_text(&model, 2, "tests");
    proto_put_message(&model, 7, graph);
    proto_put_message(&model, 8, &set);
    if (!proto_bytes(&model, &arena, &bytes, &err)) put_file(name, bytes.data, bytes.len);
}

static void make_classify(void)
{
    struct proto_message g = proto_message_in(&arena);
    static const float w[4 * 3] = { 4, 0, 0, 0, 4, 0, 0, 0, 4, 1, 1, 1 }, b[4] = { 0, 0, 0, 0.5f };
    put_port(&g, 11, "x", (const char *const[]){ "N", "3", "H", "W" }, 4);
    put_weights(&g, "fc.weight", (const int64_t[]){ 4, 3 }, 2, w, 12);
    put_weights(&g, "fc.bias", (const int64_t[]){ 4 }, 1, b, 4);
    put_node(&g, "ReduceMean", "x", "mean", "axes=2,3 keepdims=0");
    put_node(&g, "Gemm", "mean fc.weight fc.bias", "logits", "transB=1");
    put_port(&g, 12, "logits", (const char *const[]){ "N", "4" }, 2);
    put_model("classify.onnx", &g);
}

static void make_binary(const char *name, const char *last)
{
    struct proto_message g = proto_message_in(&arena);
    static const float w[3] = { 4, -4, -4 }, b[1] = { 0.5f };
    put_port(&g, 11, "x", (const char *const[]){ "N", "3", "H", "W" }, 4);
    put_weights(&g, "fc.weight", (const int64_t[]){ 1, 3 }, 2, w, 3);
    put_weights(&g, "fc.bias", (const int64_t[]){ 1 }, 1, b, 1);
    put_node(&g, "ReduceMean", "x", "mean", "axes=2,3 keepdims=0");
    put_node(&g, "Gemm", "mean fc.weight fc.bias", "z", "transB=1");
    put_node(&g, last, "z", "p", "");
    put_port(&g, 12, "p", (const char *const[]){ "N", "1" }, 2);
    put_model(name, &g);
}

static void make_left_right(void)
{
    struct proto_message g = proto_message_in(&arena);
    put_port(&g, 11, "left", (const char *const[]){ "N", "3", "H", "W" }, 4);
    put_port(&g, 11, "right", (const char *const[]){ "N", "3", "H", "W" }, 4);
    put_node(&g, "Sub", "left right", "d", "");
    put_node(&g, "ReduceMean", "d", "y", "axes=2,3 keepdims=0");
    put_port(&g, 12, "y", (const char *const[]){ "N", "3" }, 2);
    put_model("left_right.onnx", &g);
}

/* Two images through the same convolution, and whether what is seen is alike: a siamese network. */
static void make_twins(void)
{
    struct proto_message g = proto_message_in(&arena);
    static const float w[12] = { 0.3f, 0.1f, -0.2f, 0.1f, 0.4f, 0.1f, -0.1f, 0.2f, 0.3f, 0.2f, -0.3f, 0.2f };
    static const float fc[8] = { 1, 1, 1, 1, -1, -1, -1, -1 }, b[2] = { 0 };
    const char *const dims[] = { "N", "3", "H", "W" };
    put_port(&g, 11, "left", dims, 4);
    put_port(&g, 11, "right", dims, 4);
    put_weights(&g, "conv.weight", (const int64_t[]){ 4, 3, 1, 1 }, 4, w, 12);
    put_weights(&g, "fc.weight", (const int64_t[]){ 2, 4 }, 2, fc, 8);
    put_weights(&g, "fc.bias", (const int64_t[]){ 2 }, 1, b, 2);
    put_node(&g, "Conv", "left conv.weight", "map_left", "");
    put_node(&g, "Conv", "right conv.weight", "map_right", "");
    put_node(&g, "ReduceMean", "map_left", "vector_left", "axes=2,3 keepdims=0");
    put_node(&g, "ReduceMean", "map_right", "vector_right", "axes=2,3 keepdims=0");
    put_node(&g, "Sub", "vector_left vector_right", "apart", "");
    put_node(&g, "Abs", "apart", "distance", "");
    put_node(&g, "Gemm", "distance fc.weight fc.bias", "alike", "transB=1");
    put_port(&g, 12, "alike", (const char *const[]){ "N", "2" }, 2);
    put_model("twins.onnx", &g);
}

static void make_segment(void)
{
    struct proto_message g = proto_message_in(&arena);
    static const float w[2 * 3] = { 0, 1, 0, 1, 0, 0 }, b[2] = { 0.1f, 0 };
    put_port(&g, 11, "x", (const char *const[]){ "N", "3", "H", "W" }, 4);
    put_weights(&g, "conv.weight", (const int64_t[]){ 2, 3, 1, 1 }, 4, w, 6);
    put_weights(&g, "conv.bias", (const int64_t[]){ 2 }, 1, b, 2);
    put_node(&g, "Conv", "x conv.weight conv.bias", "y", "");
    put_port(&g, 12, "y", (const char *const[]){ "N", "2", "H", "W" }, 4);
    put_model("segment.onnx", &g);
}

static void make_copy(void)
{
    struct proto_message g = proto_message_in(&arena);
    static const float w[3 * 3] = { 0.2f, 0.1f, 0, 0, 0.2f, 0.1f, 0.1f, 0, 0.2f }, b[3] = { 0.1f, 0, 0 };
    put_port(&g, 11, "x", (const char *const[]){ "N", "3", "H", "W" }, 4);
    put_weights(&g, "conv.weight", (const int64_t[]){ 3, 3, 1, 1 }, 4, w, 9);
    put_weights(&g, "conv.bias", (const int64_t[]){ 3 }, 1, b, 3);
    put_node(&g, "Conv", "x conv.weight conv.bias", "y", "");
    put_port(&g, 12, "y", (const char *const[]){ "N", "3", "H", "W" }, 4);
    put_model("copy.onnx", &g);
}

/* Sound, and a number beside it. */
static void make_sound(void)
{
    struct proto_message g = proto_message_in(&arena);
    put_port(&g, 11, "sound", (const char *const[]){ "N", "T" }, 2);
    put_port(&g, 11, "rate", NULL, 0);
    put_node(&g, "Div", "sound rate", "speech", "");
    put_port(&g, 12, "speech", (const char *const[]){ "N", "T" }, 2);
    put_model("sound.onnx", &g);
}

static void make_sequence(void)
{
    struct proto_message g = proto_message_in(&arena);
    static const float w[2 * 6], b[2];
    put_port(&g, 11, "x", (const char *const[]){ "N", "6" }, 2);
    put_weights(&g, "fc.weight", (const int64_t[]){ 2, 6 }, 2, w, 12);
    put_weights(&g, "fc.bias", (const int64_t[]){ 2 }, 1, b, 2);
    put_node(&g, "Gemm", "x fc.weight fc.bias", "logits", "transB=1");
    put_port(&g, 12, "logits", (const char *const[]){ "N", "2" }, 2);
    put_model("sequence.onnx", &g);
}

static void make_heads(void)
{
    struct proto_message g = proto_message_in(&arena);
    static float w[4 * 3], zero[4];
    for (size_t i = 0; i < sizeof w / sizeof w[0]; i++) w[i] = (float)((int)(i * 7 % 11) - 5) / 20;
    put_port(&g, 11, "x", (const char *const[]){ "N", "3", "H", "W" }, 4);
    put_weights(&g, "kind.weight", (const int64_t[]){ 4, 3 }, 2, w, 12);
    put_weights(&g, "kind.bias", (const int64_t[]){ 4 }, 1, zero, 4);
    put_weights(&g, "place.weight", (const int64_t[]){ 2, 3 }, 2, w, 6);
    put_weights(&g, "place.bias", (const int64_t[]){ 2 }, 1, zero, 2);
    put_node(&g, "ReduceMean", "x", "mean", "axes=2,3 keepdims=0");
    put_node(&g, "Gemm", "mean kind.weight kind.bias", "kind", "transB=1");
    put_node(&g, "Gemm", "mean place.weight place.bias", "place", "transB=1");
    put_port(&g, 12, "kind", (const char *const[]){ "N", "4" }, 2);
    put_port(&g, 12, "place", (const char *const[]){ "N", "2" }, 2);
    put_model("heads.onnx", &g);
}

static void put_shape(struct proto_message *graph, const char *name, const int64_t *dims, size_t n)
{
    struct proto_message shape = proto_message_in(&arena);
    proto_put_packed_int64(&shape, 1, (const int64_t[]){ (int64_t)n }, 1);
    proto_put_varint(&shape, 2, 7);
    proto_put_packed_int64(&shape, 7, dims, n);
    proto_put_text(&shape, 8, name);
    proto_put_message(graph, 5, &shape);
}

/* left, top, right, bottom, score, class in pixels of what it sees, 16 x 16. */
static void make_detect(void)
{
    struct proto_message g = proto_message_in(&arena);
    static const float rows[24] = { 0, 0, 8, 8, 0, 1, 1, 0, 9, 8, -0.1f, 1, 8, 8, 16, 16, 0, 2, 0, 0, 4, 4, -5, 0 };
    static float w[24 * 3];
    w[4 * 3] = w[10 * 3] = w[16 * 3 + 2] = 0.9f;
    put_port(&g, 11, "x", (const char *const[]){ "1", "3", "H", "W" }, 4);
    put_weights(&g, "fc.weight", (const int64_t[]){ 24, 3 }, 2, w, 72);
    put_weights(&g, "fc.bias", (const int64_t[]){ 24 }, 1, rows, 24);
    put_shape(&g, "form", (const int64_t[]){ 1, 4, 6 }, 3);
    put_node(&g, "ReduceMean", "x", "mean", "axes=2,3 keepdims=0");
    put_node(&g, "Gemm", "mean fc.weight fc.bias", "flat", "transB=1");
    put_node(&g, "Reshape", "flat form", "rows", "");
    put_port(&g, 12, "rows", (const char *const[]){ "1", "4", "6" }, 3);
    put_model("detect.onnx", &g);
}

static void make_single(void)
{
    struct proto_message g = proto_message_in(&arena);
    static float w[4 * 3 * 3 * 3], fc[4 * 400], zero[4];
    for (size_t i = 0; i < sizeof w / sizeof w[0]; i++) w[i] = (float)((int)(i * 7 % 11) - 5) / 20;
    for (size_t i = 0; i < sizeof fc / sizeof fc[0]; i++) fc[i] = (float)((int)(i * 5 % 13) - 6) / 100;
    put_port(&g, 11, "x", (const char *const[]){ "1", "3", "W", "H" }, 4);
    put_weights(&g, "conv.weight", (const int64_t[]){ 4, 3, 3, 3 }, 4, w, 108);
    put_weights(&g, "fc.weight", (const int64_t[]){ 4, 400 }, 2, fc, 1600);
    put_weights(&g, "fc.bias", (const int64_t[]){ 4 }, 1, zero, 4);
    put_shape(&g, "flat", (const int64_t[]){ 1, 400 }, 2);
    put_node(&g, "Conv", "x conv.weight", "c", "");
    put_node(&g, "Relu", "c", "r", "");
    put_node(&g, "Reshape", "r flat", "f", "");
    put_node(&g, "Gemm", "f fc.weight fc.bias", "logits", "transB=1");
    put_port(&g, 12, "logits", (const char *const[]){ "1", "4" }, 2);
    put_model("single.onnx", &g);
}

static void make_pair(const char *name, const char *op)
{
    struct proto_message g = proto_message_in(&arena);
    const char *const dims[] = { "N", "2" };
    put_port(&g, 11, "a", dims, 2);
    put_port(&g, 11, "b", dims, 2);
    put_node(&g, "Abs", "a", "size", "");
    put_node(&g, op, "size b", "sum", "");
    put_node(&g, "Mul", "sum b", "product", "");
    put_port(&g, 12, "sum", dims, 2);
    put_port(&g, 12, "product", dims, 2);
    put_model(name, &g);
}

/* One colour on the left half, another on the right. */
static void make_image(const char *name, const uint8_t left[3], const uint8_t right[3])
{
    struct image img;
    struct bytes png;
    if (image_new(&img, &arena, 12, 10, 3, 8, 0, &err)) return;
    for (int i = 0; i < 12 * 10; i++) memcpy(img.pixels + i * 3, i % 12 < 6 ? left : right, 3);
    if (!png_encode(&png, &arena, &img, &err)) put_file(name, png.data, png.len);
}

/* Tables to learn from: shades of four colours, and left halves that are red. */
static void make_lessons(void)
{
    static const char *const names[] = { "blue", "green", "red", "white" };
    static const uint8_t colors[4][3] = { { 40, 60, 200 }, { 50, 190, 60 }, { 210, 60, 50 }, { 200, 200, 210 } };
    char name[60], table[2000] = "image,mask\n";
    for (int i = 0; i < 32; i++) {
        uint8_t left[3], right[3];
        for (int c = 0; c < 3; c++) left[c] = (uint8_t)(colors[i % 4][c] - 5 * (i / 4)), right[c] = (uint8_t)(8 * i);
        snprintf(name, sizeof name, "learn/%s/%d.png", names[i % 4], i / 4);
        make_image(name, left, left);
        snprintf(name, sizeof name, "halves/%d.png", i);
        make_image(name, left, (uint8_t[]){ 20, right[1], 90 });
        uint8_t mask[12 * 10];
        struct image img = { .width = 12, .height = 10, .channels = 1, .bits = 8, .pixels = mask };
        for (int k = 0; k < 12 * 10; k++) mask[k] = i % 4 == 2 && k % 12 < 6;
        struct bytes png;
        if (!png_encode(&png, &arena, &img, &err)) {
            snprintf(name, sizeof name, "halves/mask%d.png", i);
            put_file(name, png.data, png.len);
        }
        size_t len = strlen(table);
        snprintf(table + len, sizeof table - len, "halves/%d.png,halves/mask%d.png\n", i, i);
    }
    put_file("pairs.csv", table, strlen(table));
}

#define PICKLE_EVIL \
    "\x80\x02" \
    "cposix\nsystem\nX\x04\0\0\0true\x85R."
#define PICKLE_PLAIN \
    "\x80\x02" \
    "]K\x01" \
    "a."
#define NPY_HEADER "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"

static void make_cycle(void)
{
    struct proto_message g = proto_message_in(&arena);
    put_node(&g, "Relu", "b", "a", "");
    put_node(&g, "Relu", "a", "b", "");
    put_port(&g, 12, "b", (const char *const[]){ "N" }, 1);
    put_model("cycle.onnx", &g);
}

static void make_external(const char *name, const char *location)
{
    struct proto_message g = proto_message_in(&arena), t = g, entry = g;
    proto_put_text(&entry, 1, "location");
    proto_put_text(&entry, 2, location);
    proto_put_int64(&t, 1, 2);
    proto_put_varint(&t, 2, 1);
    proto_put_text(&t, 8, "w");
    proto_put_message(&t, 13, &entry);
    proto_put_varint(&t, 14, 1);
    proto_put_message(&g, 5, &t);
    put_node(&g, "Relu", "w", "y", "");
    put_port(&g, 12, "y", (const char *const[]){ "2" }, 1);
    put_model(name, &g);
}

static void put_number(unsigned char *to, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) to[i] = (unsigned char)(v >> 8 * i);
}

/* An archive of one deflated entry (APPNOTE 4.3.7, 4.3.12, 4.3.16): 256 MB of zeros in 256 kB. */
static void make_bomb(void)
{
    static const char name[] = "manifest.json";
    static unsigned char zeros[1 << 16], file[1 << 19];
    enum { ROUNDS = 4096, HEAD = 30, CENTRAL = 46, NAME = sizeof name - 1 };
    z_stream z = { .next_out = file + HEAD + NAME, .avail_out = sizeof file - 200 };
    uLong crc = 0, size = (uLong)ROUNDS * sizeof zeros;
    if (deflateInit2(&z, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) != Z_OK) return;
    for (int i = 0; i < ROUNDS; i++) {
        z.next_in = zeros, z.avail_in = sizeof zeros;
        crc = crc32(crc, zeros, sizeof zeros);
        deflate(&z, i + 1 < ROUNDS ? Z_NO_FLUSH : Z_FINISH);
    }
    uLong packed = z.total_out;
    deflateEnd(&z);
    unsigned char *central = file + HEAD + NAME + packed, *end = central + CENTRAL + NAME;
    memcpy(file, "PK\3\4\24\0\0\0\10\0", 10);
    memcpy(central, "PK\1\2\24\0\24\0\0\0\10\0", 12);
    for (int i = 0; i < 2; i++) {
        unsigned char *facts = i ? central + 16 : file + 14;
        put_number(facts, crc, 4);
        put_number(facts + 4, packed, 4);
        put_number(facts + 8, size, 4);
        put_number(facts + 12, NAME, 2);
        memcpy(i ? central + CENTRAL : file + HEAD, name, NAME);
    }
    memcpy(end, "PK\5\6\0\0\0\0\1\0\1\0", 12);
    put_number(end + 12, CENTRAL + NAME, 4);
    put_number(end + 16, (uint64_t)(central - file), 4);
    put_file("bomb.tenrec", file, (size_t)(end + 22 - file));
}

static void make_pickles(void)
{
    put_file("evil.pkl", PICKLE_EVIL, sizeof PICKLE_EVIL - 1);
    put_file("plain.pkl", PICKLE_PLAIN, sizeof PICKLE_PLAIN - 1);
    put_file("two.pkl", PICKLE_PLAIN PICKLE_EVIL, sizeof PICKLE_PLAIN PICKLE_EVIL - 1);
    put_file("cut.pkl", PICKLE_EVIL, 9);
    char npy[200] = "\x93NUMPY\1\0";
    size_t len = sizeof NPY_HEADER - 1;
    npy[8] = (char)len;
    memcpy(npy + 10, NPY_HEADER, len);
    memcpy(npy + 10 + len, PICKLE_EVIL, sizeof PICKLE_EVIL - 1);
    put_file("objects.npy", npy, 10 + len + sizeof PICKLE_EVIL - 1);
    struct file_writer file;
    struct zip_writer zip;
    char path[4096];
    snprintf(path, sizeof path, "%s/evil.pt", folder);
    if (file_writer_open(&file, &arena, path, &err)) return;
    zip_writer_init(&zip, &arena, &file);
    zip_writer_add(&zip, "archive/data.pkl", PICKLE_EVIL, sizeof PICKLE_EVIL - 1, &err);
    zip_writer_add(&zip, "archive/constants.pkl", "\x80\2).", 4, &err);
    zip_writer_add(&zip, "archive/version", "3\n", 2, &err);
    zip_writer_finish(&zip, &err);
    file_writer_commit(&file, &err);
}

int main(int argc, char **argv)
{
    if (argc != 2) return fprintf(stderr, "usage: make FOLDER\n"), 2;
    folder = argv[1];
    arena_init(&arena, NULL);
    make_classify();
    make_binary("binary.onnx", "Sigmoid");
    make_binary("binary_logit.onnx", "Identity");
    make_left_right();
    make_segment();
    make_single();
    make_copy();
    make_twins();
    make_sound();
    make_sequence();
    make_heads();
    make_detect();
    make_pair("add.onnx", "Add");
    make_pair("other.onnx", "Sub");
    make_pair("wrong.onnx", "NoSuchOp");
    static const uint8_t red[] = { 200, 0, 0 }, green[] = { 0, 200, 0 }, blue[] = { 0, 0, 255 };
    make_image("photos/red.png", red, red);
    make_image("photos/green/green.png", green, green);
    make_image("photos/half.png", red, blue);
    make_lessons();
    make_cycle();
    make_external("outside.onnx", "../outside.bin");
    make_external("missing.onnx", "nowhere.bin");
    make_bomb();
    make_pickles();
    put_file("labels.txt", "red\ngreen\nblue\ngray\n", 20);
    if (err.code) fprintf(stderr, "make: %s\n", err.text);
    arena_release(&arena);
    return err.code ? 1 : 0;
}
