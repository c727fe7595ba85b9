/* enc_zip.c - tests of src/enc/zip.c and zip_writer.c. */
#include "tap.h"

#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"
#include "enc/bytes.h"
#include "enc/zip.h"
#include "shared.h"

static struct arena arena;
static struct err err;

static const char *temp_path(const char *name)
{
    return arena_printf(&arena, "/tmp/tenrec-test-%ld-%s", (long)getpid(), name);
}

/* Three entries: text, nothing, 1000 bytes in two puts. */
static struct bytes write_sample(const char *path)
{
    struct file_writer file;
    struct zip_writer w;
    unsigned char block[1000];
    for (int i = 0; i < 1000; i++) block[i] = (unsigned char)(i * 7);
    CHECK_OK(file_writer_open(&file, &arena, path, &err), &err);
    zip_writer_init(&w, &arena, &file);
    CHECK_OK(zip_writer_add(&w, "archive/version", "3\n", 2, &err), &err);
    CHECK_OK(zip_writer_add(&w, "archive/empty", NULL, 0, &err), &err);
    CHECK_OK(zip_writer_begin(&w, "archive/data/0", 1000, &err), &err);
    CHECK_OK(zip_writer_put(&w, block, 600, &err), &err);
    CHECK_OK(zip_writer_put(&w, block + 600, 400, &err), &err);
    CHECK_OK(zip_writer_end(&w, &err), &err);
    CHECK_OK(zip_writer_finish(&w, &err), &err);
    CHECK_OK(file_writer_commit(&file, &err), &err);
    struct bytes out = { 0 };
    CHECK_OK(file_map(&arena, path, &out, &err), &err);
    unlink(path);
    return out;
}

/* Opens and reads everything; any answer is good but a crash or much memory. Returns 0 if all was readable. */
static int read_all(struct bytes file, struct err *e)
{
    struct arena a;
    struct zip z;
    arena_init(&a, NULL);
    a.limit = 64 << 20;
    err_clear(e);
    int code = zip_open(&z, &a, "sample.zip", file, e);
    for (size_t i = 0; !code && i < z.n; i++) {
        struct bytes out;
        code = zip_read(&z, &z.entries[i], &a, 1 << 24, ZIP_CHECK_CRC, &out, e);
    }
    arena_release(&a);
    return code;
}

TEST(zip_refuses_every_truncation)
{
    arena_init(&arena, NULL);
    struct bytes file = write_sample(temp_path("trunc.zip"));
    CHECK_OK(read_all(file, &err), &err);
    for (size_t len = 0; len < file.len; len++) {
        unsigned char *copy = malloc(len ? len : 1); /* of its own, so that a read past the end is seen */
        memcpy(copy, file.data, len);
        CHECK_INT(read_all((struct bytes){ copy, len }, &err), ERR_MODEL);
        free(copy);
    }
    arena_release(&arena);
}

TEST(zip_survives_every_bit_flip)
{
    arena_init(&arena, NULL);
    struct bytes file = write_sample(temp_path("flip.zip"));
    unsigned char *copy = malloc(file.len);
    for (size_t bit = 0; bit < file.len * 8; bit++) {
        memcpy(copy, file.data, file.len);
        copy[bit / 8] ^= (unsigned char)(1 << bit % 8);
        int code = read_all((struct bytes){ copy, file.len }, &err);
        CHECK(!code || err.text[0]);
    }
    free(copy);
    arena_release(&arena);
}

/* An archive of one entry with everything given by the caller. */
struct lie {
    unsigned method, count;
    uint32_t compressed, size, header;
    size_t at; /* of the directory */
    const char *name;
};

static int open_lie(struct lie lie, const char *want)
{
    unsigned char file[512] = "PK\3\4", *p = file + 26;
    p = put_le(put_le(p, 1, 2), 0, 2);
    memcpy(p, "aDATADATA", 9);
    p = file + 64;
    for (unsigned i = 0; i < 2; i++) {
        memset(p, 0, 46);
        memcpy(p, "PK\1\2", 4);
        put_le(p + 10, lie.method, 2);
        put_le(p + 20, lie.compressed, 4);
        put_le(p + 24, lie.size, 4);
        put_le(p + 28, 1, 2);
        put_le(p + 42, lie.header, 4);
        p[46] = (unsigned char)lie.name[i];
        p += 47;
    }
    memcpy(p, "PK\5\6", 4);
    put_le(p + 10, lie.count, 2);
    put_le(p + 12, 94, 4);
    put_le(p + 16, lie.at, 4);
    int code = read_all((struct bytes){ file, (size_t)(p + 22 - file) }, &err);
    if (want && !strstr(err.text, want)) TAP_FAIL("\"%s\" does not say \"%s\"", err.text, want);
    return code;
}

TEST(zip_refuses_lies)
{
    CHECK_INT(open_lie((struct lie){ 0, 1, 8, 8, 0, 64, "ab" }, "checksum"), ERR_MODEL);
    CHECK_INT(open_lie((struct lie){ 0, 1, 8, 9, 0, 64, "ab" }, "sizes differ"), ERR_MODEL);
    CHECK_INT(open_lie((struct lie){ 8, 1, 8, 0x7fffffff, 0, 64, "ab" }, "inflate"), ERR_MODEL);
    CHECK_INT(open_lie((struct lie){ 0, 1, 34, 34, 0, 64, "ab" }, "beyond"), ERR_MODEL);
    CHECK_INT(open_lie((struct lie){ 0, 1, 8, 8, 1, 64, "ab" }, "not there"), ERR_MODEL);
    CHECK_INT(open_lie((struct lie){ 0, 1, 8, 8, 0, 64, "bb" }, "another name"), ERR_MODEL);
    CHECK_INT(open_lie((struct lie){ 0, 3, 8, 8, 0, 64, "ab" }, "cannot hold 3"), ERR_MODEL);
    CHECK_INT(open_lie((struct lie){ 0, 2, 8, 8, 0, 64, "aa" }, "called a"), ERR_MODEL);
    CHECK_INT(open_lie((struct lie){ 0, 1, 8, 8, 0, 65, "ab" }, "outside"), ERR_MODEL);
    CHECK_INT(open_lie((struct lie){ 12, 1, 8, 8, 0, 64, "ab" }, "method 12"), ERR_UNSUPPORTED);
    CHECK_INT(open_lie((struct lie){ 8, 1, 8, 100, 0, 64, "ab" }, "broken"), ERR_MODEL);
}

TEST(zip_writes_what_it_reads)
{
    arena_init(&arena, NULL);
    struct bytes file = write_sample(temp_path("round.zip")), again = write_sample(temp_path("again.zip"));
    CHECK(file.len == again.len && !memcmp(file.data, again.data, file.len));
    struct zip z;
    struct bytes out = { 0 };
    CHECK_OK(zip_open(&z, &arena, "round.zip", file, &err), &err);
    CHECK_INT(z.n, 3);
    for (size_t i = 0; i < z.n; i++) CHECK_INT(z.entries[i].payload % 64, 0);
    CHECK(!zip_find(&z, "archive/data/1"));
    const struct zip_entry *data = zip_find(&z, "archive/data/0");
    CHECK(data && data->size == 1000);
    CHECK_OK(zip_read(&z, data, &arena, 1000, ZIP_CHECK_CRC, &out, &err), &err);
    CHECK(out.data == file.data + data->payload && out.data[999] == (unsigned char)(999 * 7));
    CHECK_INT(zip_read(&z, data, &arena, 999, 0, &out, &err), ERR_MODEL);
    arena_release(&arena);
}

TEST(zip_writer_holds_its_caller_to_the_size)
{
    arena_init(&arena, NULL);
    struct file_writer file;
    struct zip_writer w;
    CHECK_OK(file_writer_open(&file, &arena, temp_path("bad.zip"), &err), &err);
    zip_writer_init(&w, &arena, &file);
    CHECK_OK(zip_writer_begin(&w, "a", 3, &err), &err);
    CHECK_INT(zip_writer_put(&w, "abcd", 4, &err), ERR_FAILED);
    err_clear(&err);
    CHECK_INT(zip_writer_end(&w, &err), ERR_FAILED);
    err_clear(&err);
    CHECK_INT(zip_writer_finish(&w, &err), ERR_FAILED);
    err_clear(&err);
    CHECK_OK(zip_writer_put(&w, "abc", 3, &err), &err);
    CHECK_OK(zip_writer_end(&w, &err), &err);
    CHECK_INT(zip_writer_begin(&w, "a", 3, &err), ERR_FAILED);
    file_writer_abort(&file);
    arena_release(&arena);
}

/* As another program writes it: one deflated entry "x" of 300 times 'x'. */
static const unsigned char deflated[] = {
    0x50, 0x4b, 0x03, 0x04, 0x14, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x21, 0x00, 0x13, 0x2d,
    0x43, 0x1b, 0x07, 0x00, 0x00, 0x00, 0x2c, 0x01, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x78, 0xab,
    0xa8, 0x18, 0x05, 0xc4, 0x02, 0x00, 0x50, 0x4b, 0x01, 0x02, 0x14, 0x03, 0x14, 0x00, 0x00, 0x00,
    0x08, 0x00, 0x00, 0x00, 0x21, 0x00, 0x13, 0x2d, 0x43, 0x1b, 0x07, 0x00, 0x00, 0x00, 0x2c, 0x01,
    0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x01,
    0x00, 0x00, 0x00, 0x00, 0x78, 0x50, 0x4b, 0x05, 0x06, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x01,
    0x00, 0x2f, 0x00, 0x00, 0x00, 0x26, 0x00, 0x00, 0x00, 0x00, 0x00,
};

TEST(zip_inflates)
{
    arena_init(&arena, NULL);
    struct zip z;
    struct bytes out = { 0 };
    CHECK_OK(zip_open(&z, &arena, "x.zip", (struct bytes){ deflated, sizeof deflated }, &err), &err);
    CHECK_OK(zip_read(&z, &z.entries[0], &arena, 300, 0, &out, &err), &err);
    CHECK_INT(out.len, 300);
    CHECK(out.len == 300 && out.data[0] == 'x' && out.data[299] == 'x');
    arena_release(&arena);
    unsigned char copy[sizeof deflated];
    for (size_t bit = 0; bit < sizeof deflated * 8; bit++) {
        memcpy(copy, deflated, sizeof copy);
        copy[bit / 8] ^= (unsigned char)(1 << bit % 8);
        read_all((struct bytes){ copy, sizeof copy }, &err);
    }
}

TEST(zip_reads_zip64)
{
    const char *source = getenv("TENREC_SOURCE");
    if (!source) SKIP("TENREC_SOURCE is not set");
    arena_init(&arena, NULL);
    struct bytes file = { 0 }, out = { 0 };
    struct zip z;
    const char *path = file_join(&arena, source, "tests/fuzz/corpus/zip/zip64.zip");
    CHECK_OK(file_map(&arena, path, &file, &err), &err);
    CHECK_OK(zip_open(&z, &arena, path, file, &err), &err);
    CHECK_OK(zip_read(&z, zip_find(&z, "a"), &arena, 100, ZIP_CHECK_CRC, &out, &err), &err);
    CHECK(out.len == 11 && !memcmp(out.data, "hello zip64", 11));
    arena_release(&arena);
}

TEST(zip_reads_every_archive_of_the_samples)
{
    const char *shared = shared_dir();
    if (!shared) SKIP("no shared samples");
    arena_init(&arena, NULL);
    const char *dirs[] = { "samples/ts", "samples/pkl" };
    size_t archives = 0;
    for (int d = 0; d < 2; d++) {
        const char *dir = file_join(&arena, shared, dirs[d]);
        const char **names;
        size_t n;
        CHECK_OK(file_list(&arena, dir, &names, &n, &err), &err);
        for (size_t i = 0; i < n; i++) {
            struct arena_mark mark = arena_mark(&arena);
            struct bytes file = { 0 };
            CHECK_OK(file_map(&arena, file_join(&arena, dir, names[i]), &file, &err), &err);
            if (zip_is(file)) {
                archives++;
                if (read_all(file, &err)) TAP_FAIL("%s: %s", names[i], err.text);
            }
            arena_rewind(&arena, mark);
        }
    }
    CHECK(archives > 100);
    arena_release(&arena);
}
