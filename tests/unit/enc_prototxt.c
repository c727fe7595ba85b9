/* enc_prototxt.c - tests of src/enc/proto_tree.c and prototxt.c. */
#include "tap.h"

#include <math.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "base/str.h"
#include "enc/protobuf.h"
#include "enc/prototxt.h"

static const struct tree_schema inner_schema = { "Inner",
    (const struct tree_row[]){
        { "x", 1, TREE_FLOAT, NULL, NULL }, { "deep", 2, TREE_MESSAGE, &inner_schema, NULL }, { 0 } } };
static const struct tree_schema outer_schema = { "Outer",
    (const struct tree_row[]){ { "whole", 1, TREE_INT, NULL, NULL }, { "yes", 2, TREE_BOOL, NULL, NULL },
        { "kind", 3, TREE_ENUM, NULL, "SUM=1 ASUM MEAN" }, { "real", 4, TREE_FLOAT, NULL, NULL },
        { "wide", 5, TREE_DOUBLE, NULL, NULL }, { "text", 6, TREE_TEXT, NULL, NULL },
        { "inner", 7, TREE_MESSAGE, &inner_schema, NULL }, { "skip", 8, TREE_SKIP, NULL, NULL }, { 0 } } };

static struct arena arena;
static struct err err;
static struct report report;

static struct tree *read_text(const char *text)
{
    struct bytes bytes = { (const unsigned char *)text, strlen(text) };
    err_clear(&err);
    report = report_in(&arena);
    return prototxt_read(&arena, "t", bytes, &outer_schema, &report, &err);
}

TEST(prototxt_tells_line_and_column)
{
    static const char *const bad[][2] = {
        { "whole", "t:1:6: expected ':'" },
        { "whole:", "t:1:7: expected a whole number, but the text ends here" },
        { "whole: 1.5", "t:1:8: expected a whole number, found \"1.5\"" },
        { "whole: 99999999999999999999", "t:1:8: expected a whole number of at most 64 bits" },
        { "whole: 0x", "t:1:8: expected a whole number" },
        { "whole: \"1\"", "t:1:8: expected a whole number" },
        { "real: abc", "t:1:7: expected a number, found \"abc\"" },
        { "real: 1.5x", "t:1:7: expected a number" },
        { "yes: maybe", "t:1:6: expected true or false, found \"maybe\"" },
        { "yes: -1", "t:1:7:" },
        { "kind: MAX", "t:1:7: expected kind to be one of SUM=1 ASUM MEAN, found \"MAX\"" },
        { "\n  text: 5", "t:2:9: expected a string in quotes" },
        { "text: \"abc", "t:1:7: a string that does not end" },
        { "text: \"a\nb\"", "t:1:7: a string that does not end on its line" },
        { "text: \"\\q\"", "t:1:9: an escape" },
        { "text: \"\\0\"", "t:1:9: an escape" },
        { "text: \"\\ud800\"", "t:1:9: an escape" },
        { "inner 5", "t:1:7: expected ':'" },
        { "inner: 5", "t:1:8: expected a message in braces" },
        { "inner {", "t:1:8: expected '}', but the text ends here" },
        { "inner < x: 1 }", "t:1:14: expected the name of a field" },
        { "inner { x: 1 ", "t:1:14: expected '}'" },
        { "}", "t:1:1: expected the name of a field" },
        { "whole: [1, 2", "t:1:13: expected ',' or ']'" },
        { "whole: [1 2]", "t:1:11: expected ',' or ']'" },
        { "other {", "t:1:8: expected '}'" },
        { "other:", "t:1:7: expected a value" },
        { "[other: 1", "t:1:7: expected ']'" },
        { "whole: 1 @", "t:1:10: a character that has no meaning here" },
    };
    arena_init(&arena, NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (read_text(bad[i][0])) TAP_FAIL("%s was read", bad[i][0]);
        CHECK_INT(err.code, ERR_MODEL);
        if (!str_starts(err.text, bad[i][1])) TAP_FAIL("%s: %s", bad[i][0], err.text);
    }
    arena_release(&arena);
}

TEST(prototxt_limits_depth)
{
    char text[2000] = "";
    arena_init(&arena, NULL);
    for (int i = 0; i < 150; i++) strcat(text, i ? "deep{" : "inner{");
    CHECK(!read_text(text));
    CHECK(strstr(err.text, "nest deeper") != NULL);
    memset(text, '{', 1500);
    memcpy(text, "z", 1);
    CHECK(!read_text(text));
    arena_release(&arena);
}

TEST(prototxt_values)
{
    arena_init(&arena, NULL);
    struct tree *t = read_text(
        "\xef\xbb\xbf# comment\nwhole: -5, whole: [ 0x10, 010 ]; yes: true kind: MEAN real: 1.5f\n"
        "real: -inf real: nan wide: .5e-3 text: 'a\"b' text: \"x\" '\\ty' \"\\x41\\u00e9\" inner: < x: 2 >\n"
        "inner { x: [1, 2,3] deep {} } skip { any: [1, {x: 'y'}] } real: 7");
    CHECK_OK(t ? 0 : err.code, &err);
    CHECK_INT(tree_count(t, "whole"), 3);
    CHECK(tree_int_at(t, "whole", 0) == -5 && tree_int_at(t, "whole", 1) == 16 && tree_int(t, "whole", 0) == 8);
    CHECK(tree_int(t, "yes", 0) == 1 && tree_int(t, "kind", 0) == 3);
    CHECK_STR(tree_word(t, "kind", &arena), "MEAN");
    CHECK(tree_float_at(t, "real", 0) == 1.5 && tree_float_at(t, "real", 1) == -INFINITY);
    CHECK(isnan(tree_float_at(t, "real", 2)) && tree_float(t, "real", 0) == 7 && tree_float(t, "wide", 0) == 0.0005);
    CHECK_STR(tree_text_at(t, "text", 0), "a\"b");
    CHECK_STR(tree_text(t, "text", ""), "x\tyA\xc3\xa9");
    const struct tree *second = tree_message_at(t, "inner", 1);
    CHECK(tree_float(tree_message(t, "inner"), "x", 0) == 3 && second->line == 4 && second->column == 7);
    CHECK(tree_has(second, "deep") && !tree_has(tree_message(second, "deep"), "x") && !report.n);
    CHECK_STR(tree_where(second, &arena), "t:4:7");
    arena_release(&arena);
}

TEST(prototxt_tells_of_unknown_fields)
{
    arena_init(&arena, NULL);
    CHECK(read_text("whole: 1\n  whle: 2 [a.b.c] { x: 1 } zzz <a: []>") != NULL);
    CHECK_INT(report.n, 3);
    CHECK_STR(report.items[0].what, "Outer has no field \"whle\" (did you mean \"whole\"?): ignored");
    CHECK_STR(report.items[0].where, "2:3");
    arena_release(&arena);
}

TEST(both_forms_give_one_tree)
{
    struct proto_message m, inner;
    struct bytes bytes = { 0 };
    float many[40];
    arena_init(&arena, NULL);
    for (int i = 0; i < 40; i++) many[i] = (float)i / 4;
    m = proto_message_in(&arena), inner = proto_message_in(&arena);
    proto_put_packed_float(&inner, 1, many, 40);
    proto_put_float(&inner, 1, 99);
    proto_put_int64(&m, 1, -7);
    proto_put_int64(&m, 3, 2);
    proto_put_packed_float(&m, 4, many, 40);
    proto_put_double(&m, 5, 0.1);
    proto_put_text(&m, 6, "hello");
    proto_put_int64(&m, 8, 5);
    proto_put_int64(&m, 999, 5);
    proto_put_message(&m, 7, &inner);
    CHECK_OK(proto_bytes(&m, &arena, &bytes, &err), &err);
    struct tree *t = proto_tree_read(&arena, "t", bytes, &outer_schema, &err);
    CHECK_OK(t ? 0 : err.code, &err);
    CHECK(tree_int(t, "whole", 0) == -7 && tree_float(t, "wide", 0) == 0.1);
    CHECK_STR(tree_word(t, "kind", &arena), "ASUM");
    CHECK_STR(tree_text(t, "text", ""), "hello");
    CHECK(tree_count(t, "real") == 40 && tree_field(t, "real")->packed.len == 160 && tree_float(t, "real", 0) == 9.75);
    CHECK(tree_count(tree_message(t, "inner"), "x") == 41 && tree_float(tree_message(t, "inner"), "x", 0) == 99);
    CHECK(tree_float_at(tree_message(t, "inner"), "x", 39) == 9.75);
    for (size_t len = 0; len < bytes.len; len++) { /* cut short anywhere: an error or a shorter message, no crash */
        struct bytes part = { bytes.data, len };
        err_clear(&err);
        CHECK(proto_tree_read(&arena, "t", part, &outer_schema, &err) || err.code == ERR_MODEL);
    }
    arena_release(&arena);
}
