/* enc.c - running out of memory in the readers and writers of src/enc. */
#include "oom.h"

#include "base/err.h"
#include "base/file.h"
#include "base/str.h"
#include "enc/csv.h"
#include "enc/json.h"
#include "enc/npy.h"
#include "enc/pickle.h"
#include "enc/protobuf.h"
#include "enc/yaml.h"
#include "enc/zip.h"

#define LIT(text) ((struct bytes){ (const unsigned char *)(text), sizeof(text) - 1 })

/* Runs one reader or writer in a fresh arena; out of memory must be the error that it gives. */
static int in_arena(const struct mem *mem, void *job)
{
    struct arena a;
    struct err e = { 0 };
    arena_init(&a, mem);
    int code = ((int (*)(struct arena *, struct err *))job)(&a, &e);
    if (code < 0 && code != ERR_NOMEM) TAP_FAIL("%s", e.text);
    arena_release(&a);
    return code;
}

static int write_and_read_zip(struct arena *a, struct err *e)
{
    const char *path = arena_printf(a, "/tmp/tenrec-oom-%ld.npz", (long)getpid());
    struct file_writer file;
    struct zip_writer w;
    struct npy array = { .kind = 'u', .size = 1, .rank = 1, .shape = { 5000 }, .n = 5000 };
    static const unsigned char zeros[5000];
    array.data = (struct bytes){ zeros, sizeof zeros };
    TRY_MEM(path, e);
    TRY(file_writer_open(&file, a, path, e));
    zip_writer_init(&w, a, &file);
    int code = 0;
    for (int i = 0; i < 40 && !code; i++) {
        char name[8];
        snprintf(name, sizeof name, "x%d", i);
        code = npz_add(&w, name, &array, e);
    }
    if (!code) code = zip_writer_finish(&w, e);
    if (code) return file_writer_abort(&file), code;
    TRY(file_writer_commit(&file, e));
    struct bytes bytes;
    struct zip z;
    code = file_map(a, path, &bytes, e);
    unlink(path);
    TRY(code);
    TRY(zip_open(&z, a, path, bytes, e));
    return npz_read(&array, a, &z, "x39", 10000, e);
}

static int inflate_entry(struct arena *a, struct err *e)
{
    static const unsigned char deflated[] = {
        0x50, 0x4b, 0x03, 0x04, 0x14, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x21, 0x00, 0x13, 0x2d,
        0x43, 0x1b, 0x07, 0x00, 0x00, 0x00, 0x2c, 0x01, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x78, 0xab,
        0xa8, 0x18, 0x05, 0xc4, 0x02, 0x00, 0x50, 0x4b, 0x01, 0x02, 0x14, 0x03, 0x14, 0x00, 0x00, 0x00,
        0x08, 0x00, 0x00, 0x00, 0x21, 0x00, 0x13, 0x2d, 0x43, 0x1b, 0x07, 0x00, 0x00, 0x00, 0x2c, 0x01,
        0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x01,
        0x00, 0x00, 0x00, 0x00, 0x78, 0x50, 0x4b, 0x05, 0x06, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x01,
        0x00, 0x2f, 0x00, 0x00, 0x00, 0x26, 0x00, 0x00, 0x00, 0x00, 0x00,
    };
    struct zip z;
    struct bytes out;
    TRY(zip_open(&z, a, "x.zip", (struct bytes){ deflated, sizeof deflated }, e));
    return zip_read(&z, &z.entries[0], a, 300, 0, &out, e);
}

/* A list of many strings, each the key of a pair in an OrderedDict: stack, memo, items and pairs all grow. */
static int read_pickle(struct arena *a, struct err *e)
{
    static unsigned char data[40000];
    unsigned char *w = data;
    struct pickle p;
    memcpy(w, "\x80\2ccollections\nOrderedDict\n)R(", 30), w += 30;
    for (int i = 0; i < 2000; i++) {
        memcpy(w, "X\1\0\0\0kr\0\0\0\0]", 12); /* key, LONG_BINPUT i, [] */
        w[7] = (unsigned char)i, w[8] = (unsigned char)(i >> 8);
        w += 12;
    }
    memcpy(w, "u.", 2), w += 2;
    return pickle_read(&p, a, "t.pkl", (struct bytes){ data, (size_t)(w - data) }, 0, e);
}

static int write_and_read_protobuf(struct arena *a, struct err *e)
{
    struct proto_message m = proto_message_in(a), inner = proto_message_in(a);
    struct bytes bytes = { 0 };
    struct proto p;
    struct proto_field f;
    struct proto_list list = { 0 };
    for (int i = 0; i < 3000; i++) proto_put_int64(&inner, 1, i);
    proto_put_message(&m, 2, &inner);
    TRY(proto_bytes(&m, a, &bytes, e));
    proto_init(&p, "t", bytes);
    TRY(proto_next(&p, &f, e));
    proto_enter(&p, &p, &f);
    for (int code; (code = proto_next(&p, &f, e));) {
        TRY(code);
        TRY(proto_append(&p, &f, a, PROTO_INT64, &list, e));
    }
    return 0;
}

static int read_texts(struct arena *a, struct err *e)
{
    struct yaml y;
    json_t *tree;
    struct bytes out;
    struct csv c;
    struct csv_row row;
    struct str s = str_in(a);
    for (int i = 0; i < 300; i++) str_addf(&s, "key%d: &a%d {a: [1, 2.5, \"x\"], b: ~}\nalias%d: *a%d\n", i, i, i, i);
    if (!str_done(&s)) return fail_nomem(e);
    TRY(yaml_parse(&y, a, "t.yaml", (struct bytes){ (unsigned char *)s.s, s.len }, e));
    TRY(json_print(y.root, 0, a, &out, e));
    TRY(json_parse(a, "t.json", out, &tree, e));
    csv_init(&c, "t.csv", LIT("a,\"b\"\"c\",d\n1,2,3\n"), ',');
    for (int code; (code = csv_next(&c, a, &row, e));) TRY(code);
    return 0;
}

static void each(int (*job)(struct arena *, struct err *), long least)
{
    long n = oom_each(in_arena, (void *)job);
    if (n < least) TAP_FAIL("only %ld allocations were made to fail", n);
}

TEST(zip_and_npz_out_of_memory)
{
    each(write_and_read_zip, 3);
}

TEST(inflating_out_of_memory)
{
    each(inflate_entry, 2);
}

TEST(pickle_out_of_memory)
{
    each(read_pickle, 3);
}

TEST(protobuf_out_of_memory)
{
    each(write_and_read_protobuf, 3);
}

TEST(texts_out_of_memory)
{
    each(read_texts, 3);
}
