/* enc_text.c - tests of src/enc/json.c, yaml.c and csv.c. */
#include "tap.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"
#include "enc/csv.h"
#include "enc/json.h"
#include "enc/yaml.h"

static struct arena arena;
static struct err err;

static struct bytes text_of(const char *text)
{
    return (struct bytes){ (const unsigned char *)text, strlen(text) };
}

/* The canonical JSON of a YAML text, or the error. */
static const char *yaml_as_json(const char *text)
{
    struct yaml y;
    struct bytes out = { 0 };
    err_clear(&err);
    if (yaml_parse(&y, &arena, "c.yaml", text_of(text), &err)) return err.text;
    CHECK_OK(json_print(y.root, JSON_ONE_LINE, &arena, &out, &err), &err);
    return (const char *)out.data;
}

TEST(json_tells_line_and_column)
{
    static const char *const bad[][2] = {
        { "", "j.json:1:" },
        { "{", "j.json:1:1" },
        { "{\"a\": 1,\n \"a\": 2}", "j.json:2:" },
        { "[1,\n2,\nx]", "j.json:3:1" },
        { "[1] 2", "j.json:1:" },
        { "[1e999]", "j.json:1:" },
        { "[\"\\ud800\"]", "j.json:1:" },
        { "[\"\xff\"]", "j.json:1:" },
    };
    json_t *tree;
    arena_init(&arena, NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err_clear(&err);
        CHECK_INT(json_parse(&arena, "j.json", text_of(bad[i][0]), &tree, &err), ERR_DATA);
        if (!str_starts(err.text, bad[i][1])) TAP_FAIL("%s", err.text);
    }
    char deep[5001];
    memset(deep, '[', 5000);
    deep[5000] = 0;
    err_clear(&err);
    CHECK_INT(json_parse(&arena, "j.json", text_of(deep), &tree, &err), ERR_DATA);
    arena_release(&arena);
}

TEST(json_prints_one_form)
{
    json_t *tree = NULL;
    struct bytes out = { 0 };
    double d;
    arena_init(&arena, NULL);
    CHECK_OK(json_parse(&arena, "j", text_of("{\"b\":[1, 0.1],\"a\":null}"), &tree, &err), &err);
    CHECK_OK(json_print(tree, 0, &arena, &out, &err), &err);
    CHECK_STR((const char *)out.data, "{\n  \"a\": null,\n  \"b\": [\n    1,\n    0.1\n  ]\n}\n");
    CHECK_OK(json_print(tree, JSON_IN_ORDER | JSON_ONE_LINE, &arena, &out, &err), &err);
    CHECK_STR((const char *)out.data, "{\"b\":[1,0.1],\"a\":null}\n");
    CHECK(json_get_number(json_array_get(json_object_get(tree, "b"), 0), &d) && d == 1);
    CHECK(!json_get_number(json_object_get(tree, "a"), &d) && !json_get_number(NULL, &d));
    arena_release(&arena);
}

TEST(yaml_refuses_what_it_must)
{
    static const char *const bad[][2] = {
        { "a: 1\nb: 2\na: 3\n", "c.yaml:3:1: this key stands here a second time: \"a\"" },
        { "a: [1, 2\n", "c.yaml:2:1:" },
        { "a:\n  - *x\n", "c.yaml:2:5: there is no such anchor" },
        { "a: &x [*x]\n", "c.yaml:1:8: there is no such anchor" },
        { "a: &x {b: 1}\nc:\n  <<: *x\n", "c.yaml:3:3: merge keys" },
        { "a: !!python/object/apply:os.system [ls]\n", "c.yaml:1:1: tags" },
        { "a: !!int 3\n", "c.yaml:1:4: tags" },
        { "[a]: 1\n", "c.yaml:1:1: a key" },
        { "a: 1\n---\nb: 2\n", "c.yaml:2:1: a second document" },
        { "a: 99999999999999999999\n", "c.yaml:1:4: the integer" },
        { "a: 1e999\n", "c.yaml:1:4: the number" },
        { "a: \"x\\0y\"\n", "c.yaml:1:4: a zero" },
        { "\ta: 1\n", "c.yaml:1:1:" },
        { "a: \xff\n", "c.yaml: byte 3:" },
    };
    arena_init(&arena, NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *got = yaml_as_json(bad[i][0]);
        if (!str_starts(got, bad[i][1])) TAP_FAIL("\"%s\" gives \"%s\"", bad[i][0], got);
    }
    char deep[20001];
    memset(deep, '[', 20000);
    deep[20000] = 0;
    CHECK(strstr(yaml_as_json(deep), "nested too deeply"));
    struct str laughs = str_in(&arena);
    str_add(&laughs, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 30; i++) {
        str_addf(&laughs, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++) str_addf(&laughs, "*a%d,", i - 1);
        str_add(&laughs, "]\n");
    }
    CHECK(strstr(yaml_as_json(laughs.s), "aliases make the document too large"));
    struct str nest = str_in(&arena);
    str_add(&nest, "a0: &a0 [x]\n");
    for (int i = 1; i < 70; i++) str_addf(&nest, "a%d: &a%d [*a%d]\n", i, i, i - 1);
    CHECK(strstr(yaml_as_json(nest.s), "nested too deeply"));
    arena_release(&arena);
}

TEST(yaml_reads_the_core_schema)
{
    static const char *const good[][2] = {
        { "", "null\n" },
        { "# nothing\n", "null\n" },
        { "3", "3\n" },
        { "a: ~\nb: null\nc:\nd: ''\n", "{\"a\":null,\"b\":null,\"c\":null,\"d\":\"\"}\n" },
        { "[true, True, FALSE, yes, no, on, Off]", "[true,true,false,\"yes\",\"no\",\"on\",\"Off\"]\n" },
        { "[1, -1, +1, 007, 0x1F, 0o17, 1_0, 0b1]", "[1,-1,1,7,31,15,\"1_0\",\"0b1\"]\n" },
        { "[0.5, .5, 5., 1e3, 1E-2, -1.5e+1]", "[0.5,0.5,5.0,1000.0,0.01,-15.0]\n" },
        { "[1.2.3, 1e, e1, ., -, 12:30, 0x, 1x]",
            "[\"1.2.3\",\"1e\",\"e1\",\".\",\"-\",\"12:30\",\"0x\",\"1x\"]\n" },
        { "[.inf, -.INF, .nan]", "[\".inf\",\"-.inf\",\".nan\"]\n" },
        { "['1', \"true\", !!str 5, ! 6]", "[\"1\",\"true\",\"5\",\"6\"]\n" },
        { "a: &x {b: 1}\nc: *x\n", "{\"a\":{\"b\":1},\"c\":{\"b\":1}}\n" },
        { "a: |\n  two\n  lines\n", "{\"a\":\"two\\nlines\\n\"}\n" },
        { "1: one\n", "{\"1\":\"one\"}\n" },
    };
    arena_init(&arena, NULL);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct yaml y;
        struct bytes out = { 0 };
        err_clear(&err);
        CHECK_OK(yaml_parse(&y, &arena, "c.yaml", text_of(good[i][0]), &err), &err);
        char *dump = json_dumps(y.root, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        out.data = (unsigned char *)arena_printf(&arena, "%s\n", dump);
        free(dump);
        CHECK_STR((const char *)out.data, good[i][1]);
    }
    arena_release(&arena);
}

TEST(yaml_keeps_positions)
{
    struct yaml y;
    arena_init(&arena, NULL);
    CHECK_OK(yaml_parse(&y, &arena, "c", text_of("train:\n  lr: 0.1\n  steps:\n    - 5\n    -   7\n"), &err), &err);
    const json_t *train = json_object_get(y.root, "train"), *steps = json_object_get(train, "steps");
    const struct yaml_mark *m = yaml_find(&y, train, "lr", 0);
    CHECK(m && m->line == 2 && m->column == 3);
    m = yaml_find(&y, steps, NULL, 1);
    CHECK(m && m->line == 5 && m->column == 9);
    m = yaml_find(&y, NULL, NULL, 0);
    CHECK(m && m->line == 1 && m->column == 1);
    CHECK(!yaml_find(&y, train, "momentum", 0));
    arena_release(&arena);
}

TEST(csv_tells_row_and_column_and_goes_on)
{
    struct csv c;
    struct csv_row row;
    arena_init(&arena, NULL);
    csv_init(&c, "t.csv", text_of("a,b\n1,x\"y,2\n\"q\"z,3\n\n4,5\n\"open,6\n7,8\n"), ',');
    CHECK_INT(csv_next(&c, &arena, &row, &err), 1);
    CHECK_INT(csv_next(&c, &arena, &row, &err), 1);
    CHECK(row.n == 3 && !strcmp(row.fields[1], "x\"y")); /* as others read it: 5" is a length */
    CHECK_INT(csv_next(&c, &arena, &row, &err), ERR_DATA);
    CHECK(str_starts(err.text, "t.csv:3:4: row 3: text behind"));
    err_clear(&err);
    CHECK_INT(csv_next(&c, &arena, &row, &err), 1);
    CHECK(row.n == 2 && row.row == 4 && row.line == 5 && !strcmp(row.fields[1], "5") && !row.fields[2]);
    CHECK_INT(csv_next(&c, &arena, &row, &err), ERR_DATA);
    CHECK(str_starts(err.text, "t.csv:6:1: row 5: the quote opened here"));
    err_clear(&err);
    CHECK_INT(csv_next(&c, &arena, &row, &err), 1); /* the quote swallows no rows */
    CHECK(row.row == 6 && row.line == 7 && !strcmp(row.fields[0], "7"));
    CHECK_INT(csv_next(&c, &arena, &row, &err), 0);
    csv_init(&c, "t.csv", text_of("\"open,1\n2,3\n\"four\",5\n"), ',');
    CHECK_INT(csv_next(&c, &arena, &row, &err), ERR_DATA);
    CHECK(str_starts(err.text, "t.csv:3:2: row 1: text behind"));
    err_clear(&err);
    CHECK_INT(csv_next(&c, &arena, &row, &err), 1);
    CHECK(row.line == 2 && !strcmp(row.fields[1], "3"));
    CHECK_INT(csv_next(&c, &arena, &row, &err), 1);
    CHECK(row.line == 3 && !strcmp(row.fields[0], "four"));
    csv_init(&c, "t.csv", (struct bytes){ (const unsigned char *)"a\0b\n", 4 }, ',');
    CHECK_INT(csv_next(&c, &arena, &row, &err), ERR_DATA);
    arena_release(&arena);
}

TEST(csv_reads_rfc_4180)
{
    struct csv c;
    struct csv_row row;
    arena_init(&arena, NULL);
    csv_init(&c, "t.csv", text_of("\xef\xbb\xbfname,\"the \"\"x\"\"\",\"two\r\nlines\"\r\n,,\r\n\"\"\r\nlast"), 0);
    CHECK_INT(csv_next(&c, &arena, &row, &err), 1);
    CHECK_INT(row.n, 3);
    CHECK_STR(row.fields[0], "name");
    CHECK_STR(row.fields[1], "the \"x\"");
    CHECK_STR(row.fields[2], "two\r\nlines");
    CHECK_INT(csv_next(&c, &arena, &row, &err), 1);
    CHECK(row.n == 3 && !row.fields[2][0] && row.line == 3);
    CHECK_INT(csv_next(&c, &arena, &row, &err), 1);
    CHECK(row.n == 1 && !row.fields[0][0]);
    CHECK_INT(csv_next(&c, &arena, &row, &err), 1);
    CHECK(row.n == 1 && row.line == 5 && !strcmp(row.fields[0], "last"));
    CHECK_INT(csv_next(&c, &arena, &row, &err), 0);
    csv_init(&c, "t.tsv", text_of("a\tb,c\n"), 0);
    CHECK_INT(csv_next(&c, &arena, &row, &err), 1);
    CHECK_INT(row.n, 2);
    CHECK_STR(row.fields[1], "b,c");
    csv_init(&c, "t.csv", text_of("\xef\xbb\xbfpath;x\n\"a;b\";0,5\n"), 0);
    CHECK_INT(csv_next(&c, &arena, &row, &err), 1);
    CHECK_INT(row.n, 2);
    CHECK_INT(csv_next(&c, &arena, &row, &err), 1);
    CHECK_STR(row.fields[0], "a;b");
    CHECK_STR(row.fields[1], "0,5");
    csv_init(&c, "t.csv", text_of("note; more,x\n"), 0);
    CHECK_INT(csv_next(&c, &arena, &row, &err), 1);
    CHECK_STR(row.fields[1], "x");
    arena_release(&arena);
}

TEST(csv_reads_what_it_writes)
{
    static const char *const fields[] = { "", "plain", "with,comma", "say \"x\"", "two\nlines", "cr\r", " space " };
    struct csv c;
    struct csv_row row;
    arena_init(&arena, NULL);
    struct str s = str_in(&arena);
    csv_put(&s, fields, 7, ',');
    csv_put(&s, fields, 1, ',');
    CHECK(str_done(&s));
    csv_init(&c, "t", (struct bytes){ (unsigned char *)s.s, s.len }, ',');
    CHECK_INT(csv_next(&c, &arena, &row, &err), 1);
    CHECK_INT(row.n, 7);
    for (size_t i = 0; i < row.n && i < 7; i++) CHECK_STR(row.fields[i], fields[i]);
    CHECK_INT(csv_next(&c, &arena, &row, &err), 1);
    CHECK_INT(row.n, 1);
    CHECK_INT(csv_next(&c, &arena, &row, &err), 0);
    arena_release(&arena);
}
