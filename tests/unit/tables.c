/* tables.c - tables of every kind: broken ones first, then what their columns mean and what their cells hold. */
#include "tap.h"

#include <sqlite3.h>

#include "base/arena.h"
#include "base/err.h"
#include "data/table.h"
#include "shared.h"

static struct arena arena;
static struct err err;

static void begin(void)
{
    char folder[] = "/tmp/tenrec-tables-XXXXXX";
    arena_init(&arena, NULL);
    if (!mkdtemp(folder) || chdir(folder)) abort();
}

static void put(const char *path, const void *data, size_t len)
{
    struct err e = { 0 };
    char *dir = file_dir(&arena, path);
    CHECK_OK(file_mkdirs(dir, &e), &e);
    CHECK_OK(file_write(&arena, path, data, len, &e), &e);
}

static void put_text(const char *path, const char *text)
{
    put(path, text, strlen(text));
}

static struct table *open_as(const char *path, const struct table_options *o)
{
    err_clear(&err);
    return table_open(&arena, path, o, &err);
}

static struct table *opened(const char *path)
{
    struct table *t = open_as(path, &(struct table_options){ 0 });
    if (!t) TAP_FAIL("%s: %s", path, err.text);
    return t;
}

static void says(const char *words)
{
    if (!strstr(err.text, words)) TAP_FAIL("\"%s\" says nothing of \"%s\"", err.text, words);
    err_clear(&err);
}

static struct row next(struct table *t, int expected)
{
    struct row row = { 0 };
    err_clear(&err);
    CHECK_INT(table_next(t, &arena, -1, &row, &err), expected);
    return row;
}

TEST(broken_tables)
{
    begin();
    CHECK(!open_as("nowhere", &(struct table_options){ 0 }));
    CHECK_INT(err.code, ERR_IO);
    put_text("empty.csv", "");
    CHECK(!open_as("empty.csv", &(struct table_options){ 0 }));
    says("empty");
    put("wide.csv", "\xff\xfei\0m\0", 6);
    CHECK(!open_as("wide.csv", &(struct table_options){ 0 }));
    says("UTF-16");
    put_text("old.csv", "image,label\rx.png,1\r");
    CHECK(!open_as("old.csv", &(struct table_options){ 0 }));
    says("carriage return");
    put_text("rows.parquet", "PAR1....");
    CHECK(!open_as("rows.parquet", &(struct table_options){ 0 }));
    CHECK_INT(err.code, ERR_UNSUPPORTED);
    says("convert");
    put_text("empty.jsonl", "\n\n");
    CHECK(!open_as("empty.jsonl", &(struct table_options){ 0 }));
    put("cut.idx", "\0\0\x08\x03\0\0\0\x02\0\0\0\x02\0\0\0\x02\x01", 17);
    CHECK(!open_as("cut.idx", &(struct table_options){ 0 }));
    says("asks for 8 bytes");
    put("huge.idx", "\0\0\x08\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 17);
    CHECK(!open_as("huge.idx", &(struct table_options){ 0 }));
    file_mkdirs("bare", &err);
    CHECK(!open_as("bare", &(struct table_options){ 0 }));
    says("no images");
}

TEST(wrong_columns)
{
    static const char *const misspelt[] = { "image=phto", NULL }, *const no_role[] = { "picture=photo", NULL },
                             *const no_input[] = { "image:z=photo", NULL }, *const inputs[] = { "x", NULL };
    begin();
    put_text("a.csv", "photo,kind\nx.png,1\n");
    CHECK(!open_as("a.csv", &(struct table_options){ .columns = misspelt }));
    says("did you mean \"photo\"");
    CHECK(!open_as("a.csv", &(struct table_options){ .columns = no_role }));
    says("say ROLE=NAME");
    CHECK(!open_as("a.csv", &(struct table_options){ .columns = no_input, .inputs = inputs }));
    says("no input \"z\"");
}

/* A first row that is no header by its names is one of the rows only where it looks like a sample. */
TEST(misspelt_headers)
{
    static const char *const headerless[][2] = { { "a.csv", "x.png,1\n" }, { "b.csv", "pets/cat,1\n" },
        { "c.csv", "0.5 0.25,1\n" }, { "d.csv", "photo,label\n" } };
    begin();
    put_text("slip.csv", "pathh,lable\nx.png,cat\n");
    CHECK(!open_as("slip.csv", &(struct table_options){ 0 }));
    CHECK_INT(err.code, ERR_USAGE);
    says("slip.csv:1: \"pathh\" is neither the name of a column nor a file: did you mean \"path\"?");
    put_text("odd.csv", "motif,sort\nx.png,cat\n");
    CHECK(!open_as("odd.csv", &(struct table_options){ 0 }));
    says("columns image=motif");
    CHECK(open_as("odd.csv", &(struct table_options){ .columns = (const char *const[]){ "image=motif", NULL } }));
    put_text("photo", "a file without an ending");
    for (size_t i = 0; i < sizeof headerless / sizeof *headerless; i++) {
        put_text(headerless[i][0], headerless[i][1]);
        struct table *t = opened(headerless[i][0]);
        struct row row = next(t, 1);
        CHECK_INT(row.index, 0);
        CHECK(!strncmp(row.cells[0].text, headerless[i][1], strlen(row.cells[0].text)));
    }
}

TEST(rows_that_are_broken)
{
    begin();
    put_text("t.csv", "\xef\xbb\xbfimage,label,note\r\n\"a,1.png\",cat,\"say \"\"x\"\"\"\r\nb.png\r\nc.png,dog,x,y\r\n"
                      "\"d\"e.png,dog\r\nf.png,dog\r\n");
    struct table *t = opened("t.csv");
    struct row row = next(t, 1);
    CHECK_STR(row.cells[0].text, "a,1.png");
    CHECK_STR(row.cells[2].text, "say \"x\"");
    row = next(t, ERR_DATA);
    says("t.csv:3: the row has only 1 of 3 columns");
    CHECK_INT(row.index, 1);
    next(t, ERR_DATA);
    says("t.csv:4: the row has 4 fields");
    next(t, ERR_DATA);
    says("t.csv:5:4: row 4"); /* the header is none */
    row = next(t, 1);
    CHECK_STR(row.id, "f.png");
    CHECK_STR(row.where, "t.csv:6");
    CHECK(!row.cells[2].text);
    next(t, 0);
}

/* The same rows by number, whatever was read before. */
TEST(any_order)
{
    begin();
    put_text("d/t.csv", "path,species\n1.png,dog\n\n\"2.\npng\",cat\nbad\"\n4.png,emu\n");
    static const char *const columns[] = { "label=species", NULL };
    struct table *t = open_as("d/t.csv", &(struct table_options){ .columns = columns });
    struct row row;
    int64_t class;
    CHECK_INT(table_count(t), -1);
    CHECK_OK(table_index(t, &err), &err);
    CHECK_INT(table_count(t), 4);
    CHECK_INT(table_classes(t)->n, 3);
    CHECK_STR(table_classes(t)->names[0], "cat");
    CHECK_INT(table_row(t, 3, &arena, &row, &err), 1);
    CHECK_STR(row.cells[0].path, "d/4.png");
    CHECK_OK(row_class(t, &row, table_column(t, ROLE_LABEL, 0), &class, &err), &err);
    CHECK_INT(class, 2);
    CHECK_INT(table_row(t, 1, &arena, &row, &err), 1);
    CHECK_STR(row.cells[0].text, "2.\npng");
    CHECK_STR(row.where, "d/t.csv:4");
    CHECK_INT(table_row(t, 2, &arena, &row, &err), ERR_DATA);
    err_clear(&err);
    CHECK_INT(table_row(t, 4, &arena, &row, &err), ERR_USAGE);
}

TEST(folders)
{
    static const char *const files[] = { "p/b/2.png", "p/b/10.png", "p/b/z/1.jpg", "p/b-c/1.png", "p/B/x.webp",
        "p/B/y.JP2", "p/a/9.txt", "p/.hidden/1.png", "p/top.png" };
    static const char *const order[] = { "p/B/x.webp", "p/B/y.JP2", "p/b/10.png", "p/b/2.png", "p/b/z/1.jpg",
        "p/b-c/1.png", "p/top.png" };
    begin();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) put_text(files[i], "");
    struct table *t = opened("p");
    struct row row;
    int64_t class;
    CHECK_OK(table_index(t, &err), &err);
    CHECK_INT(table_count(t), 7);
    CHECK_STR(table_classes(t)->names[0], "B");
    CHECK_STR(table_classes(t)->names[2], "b-c");
    int label = table_column(t, ROLE_LABEL, 0);
    const char *seen[7] = { 0 };
    for (int i = 0; i < 7; i++) {
        CHECK_INT(table_row(t, i, &arena, &row, &err), 1);
        seen[i] = row.cells[0].path;
        CHECK_OK(row_class(t, &row, label, &class, &err), &err);
        if (!strcmp(row.id, "p/top.png")) CHECK_INT(class, -1);
        if (!strcmp(row.id, "p/b/z/1.jpg")) CHECK_INT(class, 1);
    }
    for (int i = 0; i < 7; i++) {
        bool there = false;
        for (int k = 0; k < 7; k++) there = there || !strcmp(seen[k], order[i]);
        CHECK(there);
    }
    CHECK_STR(seen[0], "p/B/x.webp");
    CHECK_STR(table_kind(opened("p/b/*.png")), "glob");
}

TEST(json_lines)
{
    begin();
    put_text("t.jsonl", "{\"photo\": \"a.png\", \"x\": [1, 2.5], \"y\": 3, \"boxes\": [[2, 0.5, 0.5, 0.25, 1]]}\n"
                        "{\"x\": \"4 five\", \"photo\": \"b.png\"}\nnonsense\n");
    static const char *const columns[] = { "image=photo", "numbers=x,y", NULL };
    struct table *t = open_as("t.jsonl", &(struct table_options){ .columns = columns });
    struct box *boxes;
    double *numbers;
    size_t n;
    struct row row = next(t, 1);
    CHECK_OK(row_numbers(t, &row, &arena, &numbers, &n, &err), &err);
    CHECK_INT(n, 3);
    CHECK_NEAR(numbers[1], 2.5, 0);
    CHECK_NEAR(numbers[2], 3, 0);
    CHECK_OK(row_boxes(t, &row, table_column(t, ROLE_BOXES, 0), &arena, &boxes, &n, &err), &err);
    CHECK_INT(n, 1);
    CHECK_INT(boxes[0].class, 2);
    CHECK_NEAR(boxes[0].width, 0.25, 0);
    row = next(t, 1);
    CHECK_INT(row_numbers(t, &row, &arena, &numbers, &n, &err), ERR_DATA);
    says("\"five\" is no number");
    next(t, ERR_DATA);
    says("t.jsonl:3");
    next(t, 0);
}

/* A key that the first line lacks, and a first line that is broken. */
TEST(keys_that_come_later)
{
    begin();
    put_text("t.jsonl", "nonsense\n{\"image\": \"a.png\"}\n{\"label\": \"cat\", \"image\": \"b.png\"}\n");
    struct table *t = opened("t.jsonl");
    int label = table_column(t, ROLE_LABEL, 0);
    CHECK(label >= 0);
    next(t, ERR_DATA);
    says("t.jsonl:1");
    CHECK(!next(t, 1).cells[label].text);
    CHECK_STR(next(t, 1).cells[label].text, "cat");
    next(t, 0);
    put_text("none.jsonl", "nonsense\n");
    CHECK(!open_as("none.jsonl", &(struct table_options){ 0 }));
    says("none.jsonl:1");
}

TEST(inputs_by_name_and_by_role)
{
    static const char *const inputs[] = { "left", "right", NULL };
    begin();
    put_text("t.csv", "right,left,label\nr.png,l.png,7\n");
    struct table *t = open_as("t.csv", &(struct table_options){ .inputs = inputs });
    CHECK_INT(table_column_at(t, 0)->input, 1);
    CHECK_INT(table_column_at(t, 1)->input, 0);
    CHECK_INT(table_column_at(t, 2)->role, ROLE_LABEL);
    static const bool tensors[] = { true, false };
    t = open_as("t.csv", &(struct table_options){ .inputs = inputs, .tensors = tensors });
    CHECK_INT(table_column_at(t, 0)->role, ROLE_IMAGE);
    CHECK_INT(table_column_at(t, 1)->role, ROLE_SEQUENCE);
    put_text("u.csv", "a,b\nr.png,l.png\n");
    static const char *const columns[] = { "image=a", "image:left=b", NULL };
    t = open_as("u.csv", &(struct table_options){ .inputs = inputs, .columns = columns });
    CHECK_INT(table_column_at(t, 0)->input, 1);
    CHECK_INT(table_column_at(t, 1)->input, 0);
}

TEST(numbers_in_the_order_they_are_named)
{
    static const char *const columns[] = { "numbers=c,a*", NULL };
    double *v;
    size_t n;
    begin();
    put_text("t.csv", "a2,b,c,a1\n2,0,3,1\n");
    struct table *t = open_as("t.csv", &(struct table_options){ .columns = columns });
    CHECK_INT(table_numbers(t, 0), 2);
    CHECK_INT(table_numbers(t, 1), 0);
    CHECK_INT(table_numbers(t, 2), 3);
    CHECK_INT(table_numbers(t, 3), -1);
    struct row row = next(t, 1);
    CHECK_OK(row_numbers(t, &row, &arena, &v, &n, &err), &err);
    CHECK_INT(n, 3);
    CHECK(v[0] == 3 && v[1] == 2 && v[2] == 1);
}

TEST(columns_of_numbers_feed_one_input)
{
    static const char *const inputs[] = { "x", "y", NULL };
    static const char *const columns[] = { "numbers=t", "numbers:x=c,a*", "numbers:y=b", NULL };
    struct tensor *x;
    double *v;
    size_t n;
    begin();
    put_text("t.csv", "a2,b,c,a1,t\n2,0,3,1,9\n2,0,3,,9\n");
    struct table *t = open_as("t.csv", &(struct table_options){ .inputs = inputs, .columns = columns });
    struct row row = next(t, 1);
    for (int fed = 0; fed < 4; fed++) {
        CHECK_OK(row_tensor(t, &row, fed, &arena, &x, &err), &err);
        CHECK_INT(tensor_count(x), fed == 1 ? 1 : 3);
        if (fed != 1) CHECK(tensor_get_f64(x, 0) == 3 && tensor_get_f64(x, 1) == 2 && tensor_get_f64(x, 2) == 1);
    }
    CHECK_OK(row_numbers(t, &row, &arena, &v, &n, &err), &err);
    CHECK(n == 1 && v[0] == 9);
    row = next(t, 1);
    CHECK_INT(row_tensor(t, &row, 0, &arena, &x, &err), ERR_DATA);
    says("a1");
}

TEST(idx)
{
    begin();
    put("a-images-idx3-ubyte", "\0\0\x08\x03\0\0\0\x02\0\0\0\x01\0\0\0\x02\x01\x02\x03\x04", 20);
    put("a-labels-idx1-ubyte", "\0\0\x08\x01\0\0\0\x02\x07\x01", 10);
    struct table *t = opened("a-images-idx3-ubyte");
    struct image img;
    int64_t class;
    CHECK_STR(table_kind(t), "idx");
    CHECK_OK(table_index(t, &err), &err);
    CHECK_INT(table_classes(t)->n, 8);
    struct row row = next(t, 1);
    row = next(t, 1);
    CHECK_OK(row_image(t, &row, 0, &arena, NULL, &img, &err), &err);
    CHECK_INT(img.width, 2);
    CHECK_INT(img.height, 1);
    CHECK_INT(img.pixels[1], 4);
    CHECK_OK(row_class(t, &row, 1, &class, &err), &err);
    CHECK_INT(class, 1);
    next(t, 0);
    put("b-images-idx3-ubyte", "\0\0\x08\x03\0\0\0\x01\0\0\0\x01\0\0\0\x01\x01", 17);
    put("b-labels-idx1-ubyte", "\0\0\x08\x01\0\0\0\x02\x07\x01", 10);
    CHECK(!open_as("b-images-idx3-ubyte", &(struct table_options){ 0 }));
    says("2 rows");
    put("w.idx", "\0\0\x0b\x02\0\0\0\x01\0\0\0\x02\x01\x02\xff\xfe", 16);
    t = opened("w.idx");
    struct tensor *x;
    row = next(t, 1);
    CHECK_OK(row_tensor(t, &row, 0, &arena, &x, &err), &err);
    CHECK_INT(tensor_get_i64(x, 0), 258);
    CHECK_INT(tensor_get_i64(x, 1), -2);
}

TEST(real_digits)
{
    if (!shared_dir()) SKIP("no shared files");
    arena_init(&arena, NULL);
    struct table *t = opened(arena_printf(&arena, "%s/corpus/data/mnist_t10k/t10k-images-idx3-ubyte.gz", shared_dir()));
    CHECK_OK(table_index(t, &err), &err);
    CHECK_INT(table_count(t), 10000);
    CHECK_INT(table_classes(t)->n, 10);
    struct row row;
    struct image img;
    int64_t class;
    CHECK_INT(table_row(t, 0, &arena, &row, &err), 1);
    CHECK_OK(row_class(t, &row, table_column(t, ROLE_LABEL, 0), &class, &err), &err);
    CHECK_INT(class, 7); /* the first digit of the test set */
    CHECK_OK(row_image(t, &row, 0, &arena, NULL, &img, &err), &err);
    CHECK_INT(img.width, 28);
}

/* A header and its data, padded to blocks of 512 bytes; returns the length with both. */
static size_t tar_entry(char *to, const char *name, const char *data)
{
    size_t len = strlen(data);
    unsigned sum = 0;
    memset(to, 0, 512 + (len + 511) / 512 * 512);
    snprintf(to, 100, "%s", name);
    snprintf(to + 124, 12, "%011o", (unsigned)len);
    memset(to + 148, ' ', 8);
    to[156] = '0';
    memcpy(to + 257, "ustar", 6);
    for (int i = 0; i < 512; i++) sum += (unsigned char)to[i];
    snprintf(to + 148, 8, "%06o", sum);
    memcpy(to + 512, data, len);
    return 512 + (len + 511) / 512 * 512;
}

TEST(tar_shards)
{
    static char tar[1 << 16];
    begin();
    size_t n = tar_entry(tar, "d/0001.jpg", "JPEG");
    n += tar_entry(tar + n, "d/0001.cls", "3\n");
    n += tar_entry(tar + n, "d/0002.cls", "1");
    n += tar_entry(tar + n, "d/0002.jpg", "MORE");
    put("s-00.tar", tar, n + 1024);
    put("s-01.tar", tar, n - 1000); /* cut within the last entry */
    struct table *t = opened("s-{00..01}.tar");
    int label = table_column(t, ROLE_LABEL, 0), image = table_column(t, ROLE_IMAGE, 0);
    struct bytes b;
    CHECK(label > 0 && image > 0);
    struct row row = next(t, 1);
    CHECK_STR(row.id, "d/0001");
    CHECK_STR(row.cells[label].text, "3");
    row = next(t, 1);
    CHECK_OK(row_bytes(t, &row, image, &arena, &b, &err), &err);
    CHECK(b.len == 4 && !memcmp(b.data, "MORE", 4));
    next(t, 1);
    next(t, ERR_DATA);
    says("s-01.tar: at byte");
    next(t, 0);
    t = opened("s-*.tar");
    CHECK_OK(table_index(t, &err), &err);
    CHECK_INT(table_count(t), 4);
    CHECK_INT(table_row(t, 1, &arena, &row, &err), 1);
    CHECK_STR(row.id, "d/0002");
    CHECK(!open_as("none-*.tar", &(struct table_options){ 0 }));
    put_text("text.tar", "this is no archive, and longer than a header needs to be");
    CHECK(!open_as("text.tar", &(struct table_options){ 0 }));
}

/* Files that the first sample lacks, two images in each, texts by their last ending. */
TEST(tar_samples_differ)
{
    static char tar[1 << 16];
    begin();
    size_t n = tar_entry(tar, "1.left.png", "L");
    n += tar_entry(tar + n, "1.caption.txt", "one\n");
    n += tar_entry(tar + n, "2.bmp", "BM");
    n += tar_entry(tar + n, "2.cls", "7");
    put("s.tar", tar, n + 1024);
    struct table *t = opened("s.tar");
    CHECK_STR(table_column_list(t, &arena), "__key__, left.png, caption.txt, bmp, cls");
    int image = table_column(t, ROLE_IMAGE, 0), label = table_column(t, ROLE_LABEL, 0);
    CHECK_INT(image, 3);
    CHECK_INT(label, 4);
    struct row row = next(t, 1);
    CHECK(row.cells[1].bytes.len == 1 && !row.cells[image].bytes.data && !row.cells[label].text);
    CHECK_STR(row.cells[2].text, "one");
    row = next(t, 1);
    CHECK(row.cells[image].bytes.len == 2);
    CHECK_STR(row.cells[label].text, "7");
    put("s.tar.gz", "\x1f\x8b", 2);
    CHECK(!open_as("s.tar.gz", &(struct table_options){ 0 }));
    CHECK_INT(err.code, ERR_UNSUPPORTED);
    says("unpack it");
}

TEST(sqlite_queries)
{
    sqlite3 *db;
    begin();
    CHECK(!sqlite3_open("t.db", &db));
    CHECK(!sqlite3_exec(db, "CREATE TABLE pets (image, label TEXT, x REAL);"
                            "INSERT INTO pets VALUES ('a.png', 'dog', 1.5), (x'01020300', 'cat', NULL), "
                            "(NULL, 'emu', 2)",
        NULL, NULL, NULL));
    struct table *t = opened("t.db");
    struct bytes b;
    CHECK_STR(table_kind(t), "sqlite");
    struct row row = next(t, 1);
    CHECK_STR(row.cells[0].path, "a.png");
    CHECK_STR(row.cells[2].text, "1.5");
    row = next(t, 1);
    CHECK_OK(row_bytes(t, &row, 0, &arena, &b, &err), &err);
    CHECK(b.len == 4 && b.data[2] == 3);
    row = next(t, 1);
    CHECK(row_bytes(t, &row, 0, &arena, &b, &err) == ERR_DATA);
    says("\"image\" is empty");
    next(t, 0);
    CHECK_OK(table_index(t, &err), &err);
    CHECK_INT(table_count(t), 3);
    CHECK_STR(table_classes(t)->names[0], "cat");
    CHECK_INT(table_row(t, 2, &arena, &row, &err), 1);
    CHECK_STR(row.cells[1].text, "emu");
    t = open_as("t.db", &(struct table_options){ .query = "SELECT label, image FROM pets ORDER BY label" });
    CHECK_STR(next(t, 1).cells[0].text, "cat");
    CHECK(!open_as("t.db", &(struct table_options){ .query = "SELECT absent FROM pets" }));
    says("no such column");
    CHECK(!open_as("t.db", &(struct table_options){ .query = "DELETE FROM pets" }));
    says("SELECT");
    CHECK(!open_as("t.db", &(struct table_options){ .query = "SELECT 1; SELECT 2" }));
    says("one SELECT");
    sqlite3_close(db);
    CHECK(!sqlite3_open("two.db", &db));
    CHECK(!sqlite3_exec(db, "CREATE TABLE pets (a); CREATE TABLE more (a)", NULL, NULL, NULL));
    CHECK(!open_as("two.db", &(struct table_options){ 0 }));
    says("has 2 tables (pets, more)");
    sqlite3_close(db);
    put_text("cut.db", "SQLite format 3");
    put("cut.db", "SQLite format 3\0garbage", 24);
    CHECK(!open_as("cut.db", &(struct table_options){ 0 }));
}
