/* enc_npy.c - tests of src/enc/npy.c. */
#include "tap.h"

#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "enc/npy.h"
#include "shared.h"

static struct arena arena;
static struct err err;

/* A version 1 file of this header and `len` zero bytes. */
static struct bytes make(const char *header, size_t len)
{
    size_t n = strlen(header);
    unsigned char *p = arena_alloc(&arena, 10 + n + len);
    memcpy(p, "\x93NUMPY\1\0", 8);
    p[8] = (unsigned char)n, p[9] = (unsigned char)(n >> 8);
    memcpy(p + 10, header, n);
    return (struct bytes){ p, 10 + n + len };
}

static void refuses(const char *header, size_t len, const char *want)
{
    struct npy array;
    arena_init(&arena, NULL);
    err_clear(&err);
    CHECK_INT(npy_read(&array, &arena, "x.npy", make(header, len), &err), ERR_DATA);
    if (!strstr(err.text, want)) TAP_FAIL("\"%s\" does not say \"%s\"", err.text, want);
    arena_release(&arena);
}

TEST(npy_refuses_broken_headers)
{
    refuses("", 0, "no dict");
    refuses("{", 0, "key");
    refuses("{}", 0, "lacks");
    refuses("{'descr': '<f4', 'shape': (1,)}", 4, "lacks");
    refuses("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", 4, "twice");
    refuses("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}", 4, "unknown key");
    refuses("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", 8, "objects");
    refuses("{'descr': '>U5', 'fortran_order': False, 'shape': (1,)}", 20, "another type");
    refuses("{'descr': '<U0', 'fortran_order': False, 'shape': (1,)}", 20, "another type");
    refuses("{'descr': '<U5', 'fortran_order': False, 'shape': (1,)}", 19, "cut short");
    refuses("{'descr': '|S99999999', 'fortran_order': False, 'shape': (1,)}", 5, "another type");
    refuses("{'descr': '<f3', 'fortran_order': False, 'shape': (1,)}", 5, "another type");
    refuses("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", 4, "records");
    refuses("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}", 4, "no bool");
    refuses("{'descr': '<f4', 'fortran_order': False, 'shape': (1)}", 4, "no tuple");
    refuses("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", 4, "no tuple");
    refuses("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 7, "cut short");
    refuses("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", 7, "cut short");
    refuses("{'descr': '<f8', 'fortran_order': False, 'shape': (2305843009213693952,)}", 7, "cut short");
    refuses("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,)}", 7, "no tuple");
    refuses("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)}", 4, "16");
    refuses("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x", 4, "after");
    struct npy array;
    arena_init(&arena, NULL);
    err_clear(&err);
    CHECK_INT(npy_read(&array, &arena, "x", (struct bytes){ (const unsigned char *)"\x93NUMPY\4\0\0\0\0\0", 12 }, &err),
        ERR_DATA);
    CHECK(strstr(err.text, "version 4.0"));
    arena_release(&arena);
}

TEST(npy_survives_truncation_and_bit_flips)
{
    arena_init(&arena, NULL);
    struct npy array;
    struct bytes file = make("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }\n", 48);
    CHECK_OK(npy_read(&array, &arena, "x", file, &err), &err);
    for (size_t len = 0; len < file.len; len++) {
        unsigned char *cut = malloc(len ? len : 1);
        memcpy(cut, file.data, len);
        err_clear(&err);
        CHECK_INT(npy_read(&array, &arena, "x", (struct bytes){ cut, len }, &err), ERR_DATA);
        free(cut);
    }
    unsigned char *copy = malloc(file.len);
    for (size_t bit = 0; bit < file.len * 8; bit++) {
        memcpy(copy, file.data, file.len);
        copy[bit / 8] ^= (unsigned char)(1 << bit % 8);
        err_clear(&err);
        int code = npy_read(&array, &arena, "x", (struct bytes){ copy, file.len }, &err);
        CHECK(code ? err.text[0] != 0 : array.data.data + array.data.len <= copy + file.len || array.size > 1);
    }
    free(copy);
    arena_release(&arena);
}

TEST(npy_reads_shapes_and_byte_orders)
{
    arena_init(&arena, NULL);
    struct npy array;
    struct bytes file = make("{'descr': '>i2', 'fortran_order': True, 'shape': (1L, 2L), }", 4);
    memcpy((unsigned char *)(uintptr_t)file.data + file.len - 4, "\1\2\3\4", 4);
    CHECK_OK(npy_read(&array, &arena, "x", file, &err), &err);
    CHECK(array.kind == 'i' && array.size == 2 && array.fortran && array.rank == 2 && array.n == 2);
    CHECK(!memcmp(array.data.data, "\2\1\4\3", 4));
    CHECK_OK(npy_read(&array, &arena, "x", make("{'shape':(),'fortran_order':False,'descr':\"|b1\"}", 1), &err), &err);
    CHECK(array.kind == 'b' && array.rank == 0 && array.n == 1);
    CHECK_OK(npy_read(&array, &arena, "x",
        make("{'descr': '<c16', 'fortran_order': False, 'shape': (0, 99999999999999), }", 0), &err), &err);
    CHECK(array.n == 0 && array.data.len == 0);
    arena_release(&arena);
}

TEST(npz_reads_what_it_writes)
{
    arena_init(&arena, NULL);
    const char *path = arena_printf(&arena, "/tmp/tenrec-test-%ld.npz", (long)getpid());
    float values[6] = { 0, 1, 2, 3, 4, 5.5f };
    struct npy array = { .kind = 'f', .size = 4, .rank = 2, .shape = { 2, 3 }, .n = 6,
        .data = { (unsigned char *)values, sizeof values } }, back;
    struct npy scalar = { .kind = 'u', .size = 1, .n = 1, .data = { (const unsigned char *)"\7", 1 } };
    struct file_writer file;
    struct zip_writer w;
    CHECK_OK(file_writer_open(&file, &arena, path, &err), &err);
    zip_writer_init(&w, &arena, &file);
    CHECK_OK(npz_add(&w, "x", &array, &err), &err);
    CHECK_OK(npz_add(&w, "s", &scalar, &err), &err);
    CHECK_OK(zip_writer_finish(&w, &err), &err);
    CHECK_OK(file_writer_commit(&file, &err), &err);
    struct bytes bytes = { 0 };
    struct zip z;
    CHECK_OK(file_map(&arena, path, &bytes, &err), &err);
    unlink(path);
    CHECK_OK(zip_open(&z, &arena, path, bytes, &err), &err);
    CHECK_OK(npz_read(&back, &arena, &z, "x", 1000, &err), &err);
    CHECK(back.rank == 2 && back.shape[1] == 3 && !memcmp(back.data.data, values, sizeof values));
    CHECK_INT((back.data.data - bytes.data) % 64, 0); /* mapped weights are aligned */
    CHECK_OK(npz_read(&back, &arena, &z, "s", 1000, &err), &err);
    CHECK(back.rank == 0 && back.data.data[0] == 7);
    CHECK_INT(npz_read(&back, &arena, &z, "y", 1000, &err), ERR_DATA);
    CHECK(strstr(err.text, "x.npy s.npy"));
    arena_release(&arena);
}

TEST(npz_reads_every_archive_of_the_samples)
{
    const char *shared = shared_dir(), **names;
    size_t n, arrays = 0;
    if (!shared) SKIP("no shared samples");
    arena_init(&arena, NULL);
    const char *dir = file_join(&arena, shared, "samples/ts");
    CHECK_OK(file_list(&arena, dir, &names, &n, &err), &err);
    for (size_t i = 0; i < n; i++) {
        struct arena_mark mark = arena_mark(&arena);
        struct bytes file = { 0 };
        struct zip z;
        if (strstr(names[i], ".npz")) {
            CHECK_OK(file_map(&arena, file_join(&arena, dir, names[i]), &file, &err), &err);
            CHECK_OK(zip_open(&z, &arena, names[i], file, &err), &err);
            for (size_t k = 0; k < z.n; k++) {
                struct npy array;
                char *name = arena_strndup(&arena, z.entries[k].name, strlen(z.entries[k].name) - 4);
                if (npz_read(&array, &arena, &z, name, 1 << 28, &err)) TAP_FAIL("%s", err.text);
                arrays++;
            }
        }
        arena_rewind(&arena, mark);
    }
    CHECK(arrays > 100);
    arena_release(&arena);
}
