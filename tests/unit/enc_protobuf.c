/* enc_protobuf.c - tests of src/enc/protobuf*.c. */
#include "tap.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "enc/protobuf.h"

static struct arena arena;
static struct err err;

#define LIT(text) ((struct bytes){ (const unsigned char *)(text), sizeof(text) - 1 })

/* Walks all fields, taking every span for a message too, at most `depth` deep. */
static int walk(struct proto *p, int depth)
{
    struct proto_field f;
    int code;
    while ((code = proto_next(p, &f, &err)) > 0) {
        struct proto inner;
        struct proto_list list = { 0 };
        struct err ignored = { 0 };
        for (int kind = PROTO_INT32; kind <= PROTO_DOUBLE; kind++) {
            proto_append(p, &f, &arena, (enum proto_number)kind, &list, &ignored);
            list = (struct proto_list){ 0 };
        }
        if (f.wire != PROTO_SPAN || !depth) continue;
        proto_enter(&inner, p, &f);
        walk(&inner, depth - 1);
    }
    return code;
}

static void refuses(struct bytes data, const char *want)
{
    struct proto p;
    struct proto_field f;
    int code;
    err_clear(&err);
    proto_init(&p, "t.onnx", data);
    while ((code = proto_next(&p, &f, &err)) > 0) continue;
    CHECK_INT(code, ERR_MODEL);
    if (!strstr(err.text, want)) TAP_FAIL("\"%s\" does not say \"%s\"", err.text, want);
}

TEST(protobuf_refuses_broken_ones)
{
    refuses(LIT("\x80"), "offset 0: a field's tag");
    refuses(LIT("\x08"), "offset 0: a field reaches beyond");
    refuses(LIT("\x08\x01\x08\x80"), "offset 2");
    refuses(LIT("\x00\x01"), "field number");
    refuses(LIT("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), "beyond");
    refuses(LIT("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "beyond");
    refuses(LIT("\x0a\x02x"), "beyond");
    refuses(LIT("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x"), "beyond");
    refuses(LIT("\x09\x01\x02\x03"), "beyond");
    refuses(LIT("\x0d\x01\x02\x03"), "beyond");
    refuses(LIT("\x0b\x0c"), "group");
    refuses(LIT("\x0f"), "group");
    refuses(LIT("\xfa\xff\xff\xff\x7f\x01"), "field number");
}

TEST(protobuf_refuses_wrong_types)
{
    struct proto p;
    struct proto_field f;
    struct proto_list list = { 0 };
    const char *text;
    arena_init(&arena, NULL);
    proto_init(&p, "t.onnx", LIT("\x08\x05\x12\x03" "a\0b\x1a\x02\x80\x80\x22\x05" "12345"));
    CHECK_INT(proto_next(&p, &f, &err), 1);
    CHECK_INT(proto_text(&p, &f, &arena, &text, &err), ERR_MODEL);
    CHECK(strstr(err.text, "field 1 is varint, expected length-delimited"));
    err_clear(&err);
    CHECK_INT(proto_append(&p, &f, &arena, PROTO_FLOAT, &list, &err), ERR_MODEL);
    err_clear(&err);
    CHECK_INT(proto_next(&p, &f, &err), 1);
    CHECK_INT(proto_text(&p, &f, &arena, &text, &err), ERR_MODEL);
    CHECK(strstr(err.text, "zero byte"));
    err_clear(&err);
    CHECK_INT(proto_next(&p, &f, &err), 1);
    CHECK_INT(proto_append(&p, &f, &arena, PROTO_INT64, &list, &err), ERR_MODEL);
    err_clear(&err);
    CHECK_INT(proto_next(&p, &f, &err), 1);
    CHECK_INT(proto_append(&p, &f, &arena, PROTO_FLOAT, &list, &err), ERR_MODEL);
    CHECK(strstr(err.text, "with a rest"));
    CHECK_INT(list.n, 0);
    arena_release(&arena);
}

static unsigned char weights[5000];

static struct bytes write_sample(struct arena *a)
{
    static const int64_t ints[] = { 0, -1, 127, 128, INT64_MAX, INT64_MIN };
    static const float floats[] = { 1.5f, -0.0f, INFINITY };
    struct proto_message m = proto_message_in(a), inner = proto_message_in(a);
    struct bytes out = { 0 };
    for (size_t i = 0; i < sizeof weights; i++) weights[i] = (unsigned char)(i * 31);
    proto_put_text(&inner, 1, "conv1");
    proto_put_packed_int64(&inner, 2, ints, 6);
    proto_put_packed_float(&inner, 3, floats, 3);
    proto_put_borrowed(&inner, 4, weights, sizeof weights);
    proto_put_double(&inner, 5, 2.25);
    proto_put_int64(&m, 1, -2);
    proto_put_message(&m, 2, &inner);
    proto_put_borrowed(&m, 3, "short", 5);
    for (int i = 0; i < 100; i++) proto_put_int64(&m, 4, i * 1000);
    proto_put_float(&m, 100000, 0.5f);
    proto_put_varint(&m, 5, 3); /* -2 in zigzag */
    CHECK_OK(proto_bytes(&m, a, &out, &err), &err);
    CHECK_INT(out.len, m.size);
    return out;
}

TEST(protobuf_reads_what_it_writes)
{
    arena_init(&arena, NULL);
    struct proto p, inner;
    struct proto_field f;
    const char *name = NULL;
    struct proto_list ints = { 0 }, floats = { 0 }, singles = { 0 }, narrow = { 0 };
    proto_init(&p, "t", write_sample(&arena));
    CHECK_INT(proto_next(&p, &f, &err), 1);
    CHECK_INT(proto_int64(&f), -2);
    CHECK_INT(proto_next(&p, &f, &err), 1);
    CHECK_INT(f.number, 2);
    proto_enter(&inner, &p, &f);
    CHECK_INT(proto_next(&inner, &f, &err), 1);
    CHECK(f.at > 11);
    CHECK_OK(proto_text(&inner, &f, &arena, &name, &err), &err);
    CHECK_STR(name, "conv1");
    CHECK_INT(proto_next(&inner, &f, &err), 1);
    CHECK_OK(proto_append(&inner, &f, &arena, PROTO_INT64, &ints, &err), &err);
    CHECK_OK(proto_append(&inner, &f, &arena, PROTO_INT32, &narrow, &err), &err);
    CHECK(ints.n == 6 && ints.i64[1] == -1 && ints.i64[4] == INT64_MAX && ints.i64[5] == INT64_MIN);
    CHECK(narrow.n == 6 && narrow.i32[1] == -1 && narrow.i32[3] == 128);
    CHECK_INT(proto_next(&inner, &f, &err), 1);
    CHECK_OK(proto_append(&inner, &f, &arena, PROTO_FLOAT, &floats, &err), &err);
    CHECK(floats.n == 3 && floats.f32[0] == 1.5f && signbit(floats.f32[1]) && isinf(floats.f32[2]));
    CHECK_INT(proto_next(&inner, &f, &err), 1);
    CHECK(f.span.len == sizeof weights && !memcmp(f.span.data, weights, sizeof weights));
    CHECK_INT(proto_next(&inner, &f, &err), 1);
    CHECK_NEAR(proto_double(&f), 2.25, 0);
    CHECK_INT(proto_next(&inner, &f, &err), 0);
    CHECK_INT(proto_next(&p, &f, &err), 1);
    CHECK(f.span.len == 5 && !memcmp(f.span.data, "short", 5));
    for (int i = 0; i < 100; i++) {
        CHECK_INT(proto_next(&p, &f, &err), 1);
        CHECK_OK(proto_append(&p, &f, &arena, PROTO_INT64, &singles, &err), &err);
    }
    CHECK(singles.n == 100 && singles.i64[99] == 99000);
    CHECK_INT(proto_next(&p, &f, &err), 1);
    CHECK(f.number == 100000 && proto_float(&f) == 0.5f);
    CHECK_INT(proto_next(&p, &f, &err), 1);
    CHECK_INT(proto_zigzag(&f), -2);
    CHECK_INT(proto_next(&p, &f, &err), 0);
    arena_release(&arena);
}

TEST(protobuf_survives_truncation_and_bit_flips)
{
    struct arena keep;
    struct proto p;
    arena_init(&keep, NULL);
    struct bytes all = write_sample(&keep);
    for (size_t i = 0; i <= 200; i++) {
        size_t len = all.len * i / 200;
        unsigned char *cut = malloc(len ? len : 1);
        memcpy(cut, all.data, len);
        arena_init(&arena, NULL);
        err_clear(&err);
        proto_init(&p, "t", (struct bytes){ cut, len });
        walk(&p, 8);
        arena_release(&arena);
        free(cut);
    }
    unsigned char *copy = malloc(all.len);
    memcpy(copy, all.data, all.len);
    for (size_t bit = 0; bit < 120 * 8; bit++) {
        copy[bit / 8] ^= (unsigned char)(1 << bit % 8);
        arena_init(&arena, NULL);
        err_clear(&err);
        proto_init(&p, "t", (struct bytes){ copy, all.len });
        int code = walk(&p, 8);
        CHECK(!code || err.text[0]);
        arena_release(&arena);
        copy[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    free(copy);
    arena_release(&keep);
}
