/* onnx_build.h - ONNX files by hand, field by field, for tests of the reader. */
#ifndef TENREC_TESTS_FORMAT_ONNX_BUILD_H
#define TENREC_TESTS_FORMAT_ONNX_BUILD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "enc/protobuf.h"
#include "format/format.h"
#include "graph/graph.h"

struct onnx_build {
    struct arena arena; /* of the file and of what is read from it */
    struct proto_message graph, functions;
    const char *domain; /* a further one, of version 1 */
    int64_t opset;
    struct err err;
    struct report report;
    char path[64];
};

static inline void build_init(struct onnx_build *b, int64_t opset)
{
    memset(b, 0, sizeof *b);
    arena_init(&b->arena, NULL);
    b->opset = opset;
    b->graph = proto_message_in(&b->arena);
    b->functions = proto_message_in(&b->arena);
    b->report = report_in(&b->arena);
    proto_put_text(&b->graph, 2, "g");
    snprintf(b->path, sizeof b->path, "/tmp/tenrec-onnx-%d.onnx", (int)getpid());
}

static inline void build_release(struct onnx_build *b)
{
    unlink(b->path);
    arena_release(&b->arena);
}

/* "a b c" as repeated texts; "-" stands for an empty name. */
static inline void put_words(struct proto_message *m, uint32_t number, const char *words)
{
    char word[64];
    int n;
    for (; sscanf(words, " %63s%n", word, &n) == 1; words += n)
        proto_put_text(m, number, strcmp(word, "-") ? word : "");
}

static inline struct proto_message build_node(struct onnx_build *b, const char *op, const char *in, const char *out)
{
    struct proto_message n = proto_message_in(&b->arena);
    put_words(&n, 1, in);
    put_words(&n, 2, out);
    proto_put_text(&n, 4, op);
    return n;
}

static inline void put_i(struct proto_message *node, const char *name, int64_t v)
{
    struct proto_message a = proto_message_in(node->arena);
    proto_put_text(&a, 1, name);
    proto_put_int64(&a, 3, v);
    proto_put_varint(&a, 20, 2);
    proto_put_message(node, 5, &a);
}

static inline void put_is(struct proto_message *node, const char *name, const int64_t *v, size_t n)
{
    struct proto_message a = proto_message_in(node->arena);
    proto_put_text(&a, 1, name);
    for (size_t i = 0; i < n; i++) proto_put_int64(&a, 8, v[i]);
    proto_put_varint(&a, 20, 7);
    proto_put_message(node, 5, &a);
}

static inline void put_f(struct proto_message *node, const char *name, float v)
{
    struct proto_message a = proto_message_in(node->arena);
    proto_put_text(&a, 1, name);
    proto_put_float(&a, 2, v);
    proto_put_varint(&a, 20, 1);
    proto_put_message(node, 5, &a);
}

static inline void put_s(struct proto_message *node, const char *name, const char *v)
{
    struct proto_message a = proto_message_in(node->arena);
    proto_put_text(&a, 1, name);
    proto_put_text(&a, 4, v);
    proto_put_varint(&a, 20, 3);
    proto_put_message(node, 5, &a);
}

/* "a b c" as a list */
static inline void put_ss(struct proto_message *node, const char *name, const char *words)
{
    struct proto_message a = proto_message_in(node->arena);
    proto_put_text(&a, 1, name);
    put_words(&a, 9, words);
    proto_put_varint(&a, 20, 8);
    proto_put_message(node, 5, &a);
}

static inline void put_g(struct proto_message *node, const char *name, const struct proto_message *g)
{
    struct proto_message a = proto_message_in(node->arena);
    proto_put_text(&a, 1, name);
    proto_put_message(&a, 6, g);
    proto_put_varint(&a, 20, 5);
    proto_put_message(node, 5, &a);
}

static inline void build_add(struct onnx_build *b, const struct proto_message *node)
{
    proto_put_message(&b->graph, 1, node);
}

static inline void build_op(struct onnx_build *b, const char *op, const char *in, const char *out)
{
    struct proto_message n = build_node(b, op, in, out);
    build_add(b, &n);
}

/* Field 11: input, 12: output, 13: value_info. `dims`: numbers, names, or ? */
static inline void put_value(struct proto_message *graph, uint32_t field, const char *name, int type, const char *dims)
{
    struct proto_message v = proto_message_in(graph->arena), t = v, tensor = v, shape = v;
    char word[64];
    int n;
    for (; sscanf(dims, " %63s%n", word, &n) == 1; dims += n) {
        struct proto_message d = proto_message_in(graph->arena);
        if (strchr("-0123456789", word[0])) proto_put_int64(&d, 1, strtoll(word, NULL, 10));
        else if (word[0] != '?') proto_put_text(&d, 2, word);
        proto_put_message(&shape, 1, &d);
    }
    proto_put_varint(&tensor, 1, (uint64_t)type);
    proto_put_message(&tensor, 2, &shape);
    proto_put_message(&t, 1, &tensor);
    proto_put_text(&v, 1, name);
    proto_put_message(&v, 2, &t);
    proto_put_message(graph, field, &v);
}

static inline struct proto_message build_tensor(struct onnx_build *b, const char *name, int type, const char *dims)
{
    struct proto_message t = proto_message_in(&b->arena);
    char word[64];
    int n;
    for (; sscanf(dims, " %63s%n", word, &n) == 1; dims += n) proto_put_int64(&t, 1, strtoll(word, NULL, 10));
    proto_put_varint(&t, 2, (uint64_t)type);
    proto_put_text(&t, 8, name);
    return t;
}

/* A float initializer holding 1, 2, 3 .. */
static inline void build_weights(struct onnx_build *b, const char *name, const char *dims, size_t count)
{
    struct proto_message t = build_tensor(b, name, 1, dims);
    float *v = arena_alloc(&b->arena, count * sizeof *v);
    for (size_t i = 0; i < count; i++) v[i] = (float)(i + 1);
    proto_put_bytes(&t, 9, v, count * sizeof *v);
    proto_put_message(&b->graph, 5, &t);
}

static inline struct bytes build_bytes(struct onnx_build *b)
{
    struct proto_message m = proto_message_in(&b->arena), set = m;
    struct bytes out = { 0 };
    proto_put_varint(&m, 1, 8);
    proto_put_text(&set, 1, "");
    proto_put_int64(&set, 2, b->opset);
    proto_put_message(&m, 7, &b->graph);
    proto_put_message(&m, 8, &set);
    if (b->domain) {
        struct proto_message more = proto_message_in(&b->arena);
        proto_put_text(&more, 1, b->domain);
        proto_put_int64(&more, 2, 1);
        proto_put_message(&m, 8, &more);
    }
    if (b->functions.size) proto_put_message(&m, 25, &b->functions);
    proto_bytes(&m, &b->arena, &out, &b->err);
    return out;
}

static inline struct graph *read_bytes(struct onnx_build *b, struct bytes file, const struct import_options *o)
{
    struct graph *g = NULL;
    if (file_write(&b->arena, b->path, file.data, file.len, &b->err)) return NULL;
    return format_read(&b->arena, b->path, o, &g, &b->report, &b->err) ? NULL : g;
}

/* Writes the file and reads it; NULL with b->err set when it was refused. */
static inline struct graph *build_read(struct onnx_build *b)
{
    return read_bytes(b, build_bytes(b), NULL);
}

static inline const char *graph_text(struct onnx_build *b, const struct graph *g)
{
    struct str s = str_in(&b->arena);
    graph_print(g, &s);
    return str_done(&s);
}

#endif
