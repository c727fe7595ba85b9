/* craft_onnx.c - wicked ONNX files. */
#include "../format/onnx_build.h"

#include "attack.h"
#include "craft.h"

static const char *target;

/* Ends the file and attacks. */
static void strike(struct onnx_build *b, const char *what)
{
    struct bytes file = build_bytes(b);
    if (b->err.code) abort();
    attack_bytes(target, file.data, file.len, what);
    build_release(b);
}

/* Input x (1, 3, 8, 8), constant c of the same shape, weights w (4, 3, 3, 3), lists of int64. */
static void begin(struct onnx_build *b)
{
    static const struct {
        const char *name, *dims;
        int64_t v[8];
        size_t n;
    } lists[] = {
        { "zero", "1", { 0 }, 1 },
        { "one", "1", { 1 }, 1 },
        { "neg", "1", { -5 }, 1 },
        { "giga", "1", { 1 << 30 }, 1 },
        { "tera", "1", { 1ll << 40 }, 1 },
        { "most", "1", { INT64_MAX }, 1 },
        { "least", "1", { INT64_MIN }, 1 },
        { "square", "2", { 1ll << 32, 1ll << 32 }, 2 },
        { "shape4", "4", { 1, 3, 1ll << 20, 1ll << 20 }, 4 },
        { "lots4", "4", { 1, 1, 1 << 14, 1 << 14 }, 4 },
        { "neg4", "4", { -1, -1, -2, -9 }, 4 },
        { "most4", "4", { INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX }, 4 },
        { "pads8", "8", { INT64_MAX, -9, 1 << 30, 1 << 30, INT64_MIN, 9, 1 << 30, 1 << 30 }, 8 },
        { "scalar", "", { INT64_MAX }, 1 },
        { "big", "", { 1ll << 40 }, 1 },
        { "nil", "", { 0 }, 1 },
        { "unit", "", { 1 }, 1 },
        { "false", "", { 0 }, 1 },
    };
    build_init(b, 18);
    put_value(&b->graph, 11, "x", 1, "1 3 8 8");
    put_value(&b->graph, 12, "y", 1, "? ?");
    build_weights(b, "c", "1 3 8 8", 192);
    build_weights(b, "w", "4 3 3 3", 108);
    build_weights(b, "f", "4", 4);
    build_weights(b, "m", "16 16", 256);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct proto_message t = build_tensor(b, lists[i].name, 7, lists[i].dims);
        proto_put_bytes(&t, 9, lists[i].v, lists[i].n * 8);
        proto_put_message(&b->graph, 5, &t);
    }
}

struct wicked {
    const char *op, *in, *attr;
    int64_t v[4];
    size_t n; /* of v; 1: an int, else a list */
};
/* The first operand is the input, then the constant instead, so that import folds it. */
static const struct wicked wicked[] = {
    { "ConstantOfShape", "tera" },
    { "ConstantOfShape", "giga" },
    { "ConstantOfShape", "square" },
    { "ConstantOfShape", "most4" },
    { "ConstantOfShape", "neg" },
    { "ConstantOfShape", "lots4" },
    { "Range", "nil big unit" },
    { "Range", "nil scalar unit" },
    { "Range", "nil scalar nil" },
    { "Range", "unit unit" },
    { "Expand", "X shape4" },
    { "Expand", "X lots4" },
    { "Expand", "X most4" },
    { "Expand", "X neg4" },
    { "Tile", "X shape4" },
    { "Tile", "X lots4" },
    { "Tile", "X most4" },
    { "Tile", "X neg4" },
    { "Tile", "X one" },
    { "Reshape", "X shape4" },
    { "Reshape", "X neg4" },
    { "Reshape", "X most4" },
    { "Reshape", "X f" },
    { "Pad", "X pads8" },
    { "Pad", "X neg4" },
    { "Pad", "X most4" },
    { "OneHot", "zero big f" },
    { "OneHot", "zero scalar f" },
    { "OneHot", "most giga f" },
    { "OneHot", "X big f" },
    { "EyeLike", "X" },
    { "Resize", "X - - shape4" },
    { "Resize", "X - - neg4" },
    { "Resize", "X - - most4" },
    { "Resize", "X - f -" },
    { "Upsample", "X f" },
    { "Gather", "X most" },
    { "Gather", "X least" },
    { "Gather", "X zero", "axis", { 1 << 30 }, 1 },
    { "GatherND", "X most4" },
    { "GatherElements", "X neg4" },
    { "ScatterND", "X most4 f" },
    { "ScatterElements", "X neg4 f", "axis", { -100 }, 1 },
    { "Slice", "X least most neg4" },
    { "Slice", "X least4 most4 neg4 pads8" },
    { "Slice", "X most least zero zero" },
    { "Slice", "X zero most zero zero" },
    { "Split", "X most4", "axis", { 1 }, 1 },
    { "Split", "X neg4", "axis", { 9 }, 1 },
    { "Split", "X", "num_outputs", { 1ll << 40 }, 1 },
    { "Split", "X", "num_outputs", { -1 }, 1 },
    { "Squeeze", "X most4" },
    { "Unsqueeze", "X most4" },
    { "Unsqueeze", "X pads8" },
    { "Transpose", "X", "perm", { 0, 0, 0, 0 }, 4 },
    { "Transpose", "X", "perm", { 0, 1, 2, 1ll << 40 }, 4 },
    { "Transpose", "X", "perm", { 0, 1, -1, 2 }, 4 },
    { "Concat", "X X", "axis", { INT64_MIN }, 1 },
    { "Concat", "X f", "axis", { 0 }, 1 },
    { "Flatten", "X", "axis", { INT64_MAX }, 1 },
    { "Softmax", "X", "axis", { INT64_MIN }, 1 },
    { "LogSoftmax", "X", "axis", { 77 }, 1 },
    { "ArgMax", "X", "axis", { -77 }, 1 },
    { "TopK", "X big", "axis", { 1 }, 1 },
    { "TopK", "X neg", "axis", { 1 }, 1 },
    { "TopK", "X most", "axis", { 99 }, 1 },
    { "CumSum", "X scalar" },
    { "ReduceSum", "X most4" },
    { "ReduceMean", "X", "axes", { 1ll << 40, -9 }, 2 },
    { "Cast", "X", "to", { 99 }, 1 },
    { "Cast", "X", "to", { -1 }, 1 },
    { "Conv", "X w", "group", { 0 }, 1 },
    { "Conv", "X w", "group", { -1 }, 1 },
    { "Conv", "X w", "group", { INT64_MAX }, 1 },
    { "Conv", "X w", "strides", { 0, 0 }, 2 },
    { "Conv", "X w", "strides", { -1, 1 }, 2 },
    { "Conv", "X w", "strides", { INT64_MAX, INT64_MAX }, 2 },
    { "Conv", "X w", "dilations", { INT64_MAX, 1 }, 2 },
    { "Conv", "X w", "dilations", { 0, -1 }, 2 },
    { "Conv", "X w", "pads", { 1 << 20, 1 << 20, 1 << 20, 1 << 20 }, 4 },
    { "Conv", "X w", "pads", { INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX }, 4 },
    { "Conv", "X w", "pads", { -100, -100, -100, -100 }, 4 },
    { "Conv", "X w", "pads", { 1, 1, 1 }, 3 },
    { "Conv", "X w", "kernel_shape", { INT64_MAX, INT64_MAX }, 2 },
    { "Conv", "X w", "kernel_shape", { 5, 5, 5 }, 3 },
    { "Conv", "X f" },
    { "Conv", "X" },
    { "ConvTranspose", "X w", "output_padding", { INT64_MAX, INT64_MIN }, 2 },
    { "ConvTranspose", "X w", "output_shape", { INT64_MAX, -5 }, 2 },
    { "ConvTranspose", "X w", "strides", { INT64_MAX, 1 << 30 }, 2 },
    { "MaxPool", "X", "kernel_shape", { INT64_MAX, INT64_MAX }, 2 },
    { "MaxPool", "X", "kernel_shape", { 0, 0 }, 2 },
    { "MaxPool", "X", "kernel_shape", { -1, -1 }, 2 },
    { "AveragePool", "X", "kernel_shape", { 1 << 30, 1 << 30 }, 2 },
    { "LpPool", "X", "kernel_shape", { 0, 3 }, 2 },
    { "MaxUnpool", "X X", "kernel_shape", { 1 << 30, 1 << 30 }, 2 },
    { "GlobalAveragePool", "f" },
    { "Gemm", "X w" },
    { "Gemm", "m f", "transA", { 1ll << 40 }, 1 },
    { "MatMul", "X w" },
    { "MatMul", "f m" },
    { "BatchNormalization", "X f m w c" },
    { "LayerNormalization", "X f", "axis", { 1ll << 40 }, 1 },
    { "InstanceNormalization", "X m m" },
    { "GroupNormalization", "X f f", "num_groups", { 0 }, 1 },
    { "LRN", "X", "size", { INT64_MAX }, 1 },
    { "LRN", "X", "size", { -3 }, 1 },
    { "DepthToSpace", "X", "blocksize", { 0 }, 1 },
    { "DepthToSpace", "X", "blocksize", { 1ll << 33 }, 1 },
    { "SpaceToDepth", "X", "blocksize", { INT64_MIN }, 1 },
    { "LSTM", "X w w", "hidden_size", { INT64_MAX }, 1 },
    { "LSTM", "c w w", "hidden_size", { -1 }, 1 },
    { "GRU", "m m m", "hidden_size", { 0 }, 1 },
    { "RNN", "f f f" },
    { "GridSample", "X X" },
    { "AffineGrid", "w most4" },
    { "Col2Im", "X most square" },
    { "RoiAlign", "X m zero", "output_height", { INT64_MAX }, 1 },
    { "NonMaxSuppression", "X X big" },
    { "Einsum", "X X" },
    { "Dropout", "X c c" },
    { "Clip", "X m w" },
    { "Where", "X f zero" },
    { "Shape", "X", "start", { INT64_MIN }, 1 },
    { "RandomNormal", "", "shape", { 1ll << 40, 1ll << 40 }, 2 },
    { "QuantizeLinear", "X m w", "axis", { 99 }, 1 },
    { "DequantizeLinear", "X f", "axis", { INT64_MIN }, 1 },
    { "Constant", "", "value_ints", { 1, 2 }, 2 },
    { "Identity", "" },
    { "If", "false" },
    { "Loop", "scalar - X" },
    { "Scan", "X", "num_scan_inputs", { INT64_MAX }, 1 },
};

static void wicked_node(const struct wicked *k, const char *first)
{
    struct onnx_build b;
    char in[100], what[200];
    begin(&b);
    snprintf(in, sizeof in, "%s", k->in);
    for (char *p = in; *p; p++)
        if (*p == 'X') *p = first[0];
    struct proto_message n = build_node(&b, k->op, in, "y");
    if (k->n == 1) put_i(&n, k->attr, k->v[0]);
    if (k->n > 1) put_is(&n, k->attr, k->v, k->n);
    build_add(&b, &n);
    snprintf(what, sizeof what, "%s(%s) %s", k->op, in, k->attr ? k->attr : "");
    strike(&b, what);
}

void craft_onnx_nodes(const char *path)
{
    target = path;
    for (size_t i = 0; i < sizeof wicked / sizeof *wicked; i++) {
        wicked_node(&wicked[i], "x");
        if (strchr(wicked[i].in, 'X')) wicked_node(&wicked[i], "c");
    }
}

/* Tensors whose dims, type and data do not agree. */
static void lying_tensors(void)
{
    static const char *const dims[] = { "-1 4", "4611686018427387904 4", "65536 65536 65536 65536", "0 9", "1000000",
        "9223372036854775807", "-9223372036854775808", "1 1 1 1 1 1 1 1 1 1 1 1", "3 3" };
    for (int type = -1; type < 30; type++)
        for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
            struct onnx_build b;
            char what[100];
            if (i && type != 1 && type != 7 && type != 8 && type != 9) continue;
            begin(&b);
            struct proto_message t = build_tensor(&b, "t", type, dims[i]);
            if (i % 2) proto_put_bytes(&t, 9, "12345678901234567890", 20);
            else proto_put_packed_float(&t, 4, (float[]){ 1, 2, 3 }, 3);
            proto_put_message(&b.graph, 5, &t);
            build_op(&b, "Add", "x t", "y");
            snprintf(what, sizeof what, "a tensor %s of type %d", dims[i], type);
            strike(&b, what);
        }
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
        struct onnx_build b;
        begin(&b);
        put_value(&b.graph, 11, "big", 1, dims[i]);
        build_op(&b, "Add", "big x", "y");
        strike(&b, "a declared input that is impossible");
    }
}

/* If in If in If ... */
static void nested_graphs(int depth)
{
    struct onnx_build b;
    begin(&b);
    struct proto_message inner = proto_message_in(&b.arena);
    struct proto_message end = build_node(&b, "Relu", "x", "r");
    proto_put_message(&inner, 1, &end);
    put_value(&inner, 12, "r", 1, "");
    for (int i = 0; i < depth; i++) {
        struct proto_message outer = proto_message_in(&b.arena), n = build_node(&b, "If", "cond", "r");
        put_g(&n, "then_branch", &inner);
        proto_put_message(&outer, 1, &n);
        put_value(&outer, 12, "r", 1, "");
        inner = outer;
    }
    struct proto_message top = build_node(&b, "If", "cond", "y");
    put_g(&top, "then_branch", &inner);
    put_g(&top, "else_branch", &inner);
    put_value(&b.graph, 11, "cond", 9, "");
    build_add(&b, &top);
    strike(&b, "nested subgraphs");
}

/* Functions f0 .. fN, each calling the next twice; the last calls `last`. */
static void functions(int n, const char *last)
{
    struct onnx_build b;
    begin(&b);
    struct proto_message model = proto_message_in(&b.arena), set = model;
    for (int i = 0; i < n; i++) {
        struct proto_message f = proto_message_in(&b.arena);
        char name[16], next[16];
        snprintf(name, sizeof name, "f%d", i);
        snprintf(next, sizeof next, "f%d", i + 1);
        proto_put_text(&f, 1, name);
        proto_put_text(&f, 4, "a");
        proto_put_text(&f, 5, "b");
        for (int k = 0; k < 2; k++) {
            struct proto_message call = build_node(&b, i + 1 < n ? next : last, k ? "t" : "a", k ? "b" : "t");
            proto_put_text(&call, 7, i + 1 < n || last[0] == 'f' ? "own" : "");
            proto_put_message(&f, 7, &call);
        }
        proto_put_text(&f, 10, "own");
        proto_put_message(&model, 25, &f);
    }
    struct proto_message call = build_node(&b, "f0", "x", "y");
    proto_put_text(&call, 7, "own");
    build_add(&b, &call);
    proto_put_varint(&model, 1, 8);
    proto_put_int64(&set, 2, 18);
    proto_put_message(&model, 8, &set);
    proto_put_message(&model, 7, &b.graph);
    struct bytes file;
    if (proto_bytes(&model, &b.arena, &file, &b.err)) abort();
    const char *what = last[0] == 'f' ? "functions that call themselves" : "functions that grow";
    attack_bytes(target, file.data, file.len, what);
    build_release(&b);
}

/* y = op(op(op(c, c), ..)): the constant doubles with each node. */
static void doubling(const char *op, const char *attr, int64_t v)
{
    struct onnx_build b;
    begin(&b);
    for (int i = 0; i < 50; i++) {
        char in[40], out[16];
        snprintf(out, sizeof out, i == 49 ? "y" : "t%d", i);
        snprintf(in, sizeof in, i ? "t%d t%d" : "c c", i - 1, i - 1);
        struct proto_message n = build_node(&b, op, in, out);
        if (attr) put_i(&n, attr, v);
        build_add(&b, &n);
    }
    strike(&b, "a constant that doubles");
}

/* A Loop of 2^63 - 1 rounds, and such loops in its body, `depth` deep. */
static struct proto_message endless(struct onnx_build *b, int depth, const char *in, const char *out)
{
    struct proto_message body = proto_message_in(&b->arena), keep = build_node(b, "Identity", "go", "on");
    struct proto_message inner = depth ? endless(b, depth - 1, "a", "s") : build_node(b, "Identity", "a", "s");
    proto_put_message(&body, 1, &inner);
    proto_put_message(&body, 1, &keep);
    put_value(&body, 11, "i", 7, "");
    put_value(&body, 11, "go", 9, "");
    put_value(&body, 11, "a", 1, "1 3 8 8");
    put_value(&body, 12, "on", 9, "");
    put_value(&body, 12, "s", 1, "1 3 8 8");
    struct proto_message n = build_node(b, "Loop", "scalar -", out);
    proto_put_text(&n, 1, in);
    put_g(&n, "body", &body);
    return n;
}

static void loops(const char *in, int depth)
{
    struct onnx_build b;
    begin(&b);
    struct proto_message n = endless(&b, depth, in, "y");
    build_add(&b, &n);
    strike(&b, "loops without end");
}

static void pairs(const char *first, const char *second, const char *what)
{
    struct onnx_build b;
    char op[2][16], in[2][40], out[2][16];
    begin(&b);
    if (sscanf(first, "%15s %39s %15s", op[0], in[0], out[0]) != 3) abort();
    if (sscanf(second, "%15s %39s %15s", op[1], in[1], out[1]) != 3) abort();
    for (int i = 0; i < 2; i++) build_op(&b, op[i], in[i], out[i]);
    strike(&b, what);
}

static void long_names(void)
{
    struct onnx_build b;
    char *name = malloc(1 << 20);
    if (!name) abort();
    memset(name, 'n', (1 << 20) - 1);
    name[(1 << 20) - 1] = 0;
    begin(&b);
    struct proto_message n = proto_message_in(&b.arena);
    proto_put_text(&n, 1, "x");
    proto_put_text(&n, 2, "y");
    proto_put_text(&n, 4, name);
    build_add(&b, &n);
    strike(&b, "an operator with a name of a megabyte");
    begin(&b);
    build_op(&b, "Relu\n\033[2J", "x", "y");
    strike(&b, "control characters in names");
    free(name);
}

static void many_nodes(const char *op, int n)
{
    struct onnx_build b;
    begin(&b);
    for (int i = 0; i < n; i++) {
        char in[40], out[16];
        snprintf(in, sizeof in, i ? "t%d" : "x", i - 1);
        snprintf(out, sizeof out, i == n - 1 ? "y" : "t%d", i);
        build_op(&b, op, in, out);
    }
    strike(&b, "a very long chain");
}

void craft_onnx_graphs(const char *path)
{
    target = path;
    pairs("Relu b a", "Relu a b", "a cycle");
    pairs("Relu y y", "Relu x z", "a node that reads itself");
    pairs("Relu x y", "Abs x y", "a value made twice");
    pairs("Relu x x", "Abs x y", "an input made again");
    pairs("Relu x c", "Abs c y", "an initializer made again");
    pairs("Relu nowhere a", "Abs a y", "a value nobody makes");
    pairs("Relu x a", "Abs x b", "an output nobody makes");
    lying_tensors();
    nested_graphs(20);
    nested_graphs(400);
    nested_graphs(3000);
    functions(40, "Relu");
    functions(3, "f0");
    functions(300, "f299");
    doubling("Concat", "axis", 0);
    doubling("Mul", NULL, 0);
    loops("c", 0);
    loops("x", 3);
    long_names();
    many_nodes("Relu", 20000);
    many_nodes("NoSuchOp", 20000);
    many_nodes("Shape", 2000);
}

static void external(const char *location, const char *offset, const char *length, const char *dims)
{
    static const char *const keys[] = { "location", "offset", "length" };
    const char *const values[] = { location, offset, length };
    struct onnx_build b;
    char what[300];
    begin(&b);
    struct proto_message t = build_tensor(&b, "t", 1, dims);
    for (int i = 0; i < 3; i++) {
        struct proto_message entry = proto_message_in(&b.arena);
        if (!values[i]) continue;
        proto_put_text(&entry, 1, keys[i]);
        proto_put_text(&entry, 2, values[i]);
        proto_put_message(&t, 13, &entry);
    }
    proto_put_varint(&t, 14, 1);
    proto_put_message(&b.graph, 5, &t);
    build_op(&b, "Mul", "t t", "y");
    snprintf(what, sizeof what, "external data \"%.100s\" %s %s for %s", location ? location : "", offset ? offset : "",
        length ? length : "", dims);
    struct bytes file = build_bytes(&b);
    if (b.err.code) abort();
    if (attack_bytes(target, file.data, file.len, what) != 3) {
        printf("# %s: is taken\n", what);
        attack_sum.broken++;
    }
    build_release(&b);
}

void craft_onnx_external(const char *path)
{
    static const char *const places[] = { "../x", "/etc/passwd", "a/../../x", "..", ".", "", "/", "/dev/zero",
        "nowhere.bin", "folder", "pipe", "./../weights.bin", "C:\\x", "..\\x" };
    static const char *const spans[][3] = { /* offset, length, dims; weights.bin has 64 bytes */
        { "64", "64", "16" }, { "1", "64", "16" }, { "-1", "64", "16" }, { "18446744073709551615", "64", "16" },
        { "18446744073709551616", "64", "16" }, { "9223372036854775807", "9223372036854775807", "16" },
        { "0", "63", "16" }, { "0", "65", "16" }, { "0", "-1", "16" }, { "0x10", "4", "1" }, { "", "", "1" },
        { "0", NULL, "17" }, { "4", NULL, "16" }, { "0", "64", "4611686018427387904 4" }, { "0", "64", "-16" },
        { "1e1", "4", "1" }, { "0", "4", "16" } };
    target = path;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) external(places[i], "0", "64", "16");
    external(NULL, "0", "64", "16");
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++)
        external("weights.bin", spans[i][0], spans[i][1], spans[i][2]);
}
