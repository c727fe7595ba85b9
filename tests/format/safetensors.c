/* safetensors.c - safetensors files: hostile headers, a round trip, files of other programs. */
#include "format/safetensors.h"

#include "base/arena.h"
#include "base/err.h"
#include "enc/bytes.h"
#include "shared.h"
#include "tap.h"

static int read_text(struct arena *a, const char *header, size_t data, struct safetensors *s, struct err *e)
{
    size_t n = strlen(header);
    unsigned char *file = arena_alloc(a, 8 + n + data);
    put_le(file, n, 8);
    memcpy(file + 8, header, n);
    return safetensors_read(s, a, "t", (struct bytes){ file, 8 + n + data }, NULL, e);
}

TEST(hostile_headers)
{
    static const struct {
        const char *header;
        int data;
        const char *words;
    } cases[] = {
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4, "was it cut short" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 8, "its shape needs 8" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, "ascending" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}", 8, "ascending" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[9223372036854775800,9223372036854775807]}}", 8,
            "was it cut short" },
        { "{\"a\":{\"dtype\":\"F4\",\"shape\":[2],\"data_offsets\":[0,1]}}", 8, "element type F4" },
        { "{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "element type is not given" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,8]}}", 8, "is no size" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,8]}}", 8, "more elements" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,8],\"data_offsets\":[0,8]}}", 8, "rank 9" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":8,\"data_offsets\":[0,8]}}", 8, "no shape" },
        { "{\"a\":7}", 8, "element type" },
        { "{\"__metadata__\":{\"k\":7}}", 0, "is no text" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
          "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}",
            8, "overlap" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
          "\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}",
            8, "a" },
        { "[1]", 0, "no safetensors file" },
        { "{", 0, "no safetensors file" },
        { "{\"a\"", 0, "t" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena a;
        struct err e = { 0 };
        struct safetensors s;
        arena_init(&a, NULL);
        CHECK(read_text(&a, cases[i].header, (size_t)cases[i].data, &s, &e) < 0);
        if (!strstr(e.text, cases[i].words)) TAP_FAIL("%s: \"%s\"", cases[i].header, e.text);
        arena_release(&a);
    }
}

TEST(lengths_of_the_header)
{
    struct arena a;
    struct err e = { 0 };
    struct safetensors s;
    unsigned char file[16] = { 0 };
    static const uint64_t lengths[] = { 0, 1, 9, 1 << 30, UINT64_MAX };
    arena_init(&a, NULL);
    for (int i = 0; i < 5; i++) {
        put_le(file, lengths[i], 8);
        file[8] = '{';
        CHECK_INT(safetensors_read(&s, &a, "t", (struct bytes){ file, 16 }, NULL, &e), ERR_MODEL);
        err_clear(&e);
    }
    CHECK_INT(safetensors_read(&s, &a, "t", (struct bytes){ file, 3 }, NULL, &e), ERR_MODEL);
    arena_release(&a);
}

struct memory {
    unsigned char *at;
};

static int put_memory(void *cookie, const void *data, size_t len, struct err *e)
{
    struct memory *m = cookie;
    memcpy(m->at, data, len);
    m->at += len;
    return 0;
}

TEST(what_is_written_is_read)
{
    struct arena a;
    struct err e = { 0 };
    struct safetensors s, back;
    arena_init(&a, NULL);
    safetensors_init(&s, &a);
    struct shape two = shape_of(1, (int64_t[]){ 2 }), none = shape_of(2, (int64_t[]){ 0, 3 }),
                 scalar = shape_of(0, NULL);
    const struct tensor *bytes = tensor_copy(&a, DT_U8, &two, "\1\2", &e);
    const struct tensor *wide = tensor_copy(&a, DT_I64, &two, (int64_t[]){ -1, 1 }, &e);
    const struct tensor *half = tensor_copy(&a, DT_BF16, &scalar, (uint16_t[]){ 0x3f80 }, &e);
    CHECK_OK(safetensors_add(&s, "zz", bytes, &e), &e);
    CHECK_OK(safetensors_add(&s, "b \"quoted\"", half, &e), &e);
    CHECK_OK(safetensors_add(&s, "a", tensor_new(&a, DT_F32, &none, &e), &e), &e);
    CHECK_OK(safetensors_add(&s, "wide", wide, &e), &e);
    CHECK(safetensors_add(&s, "a", wide, &e) < 0);
    err_clear(&e);
    CHECK(map_set(&s.metadata, "format", "pt"));
    CHECK_OK(safetensors_layout(&s, &e), &e);
    CHECK_STR(s.entries[0].name, "wide");
    CHECK_STR(s.entries[3].name, "zz");
    for (size_t i = 0; i < s.n; i++) CHECK(s.entries[i].offset % dtype_size(s.entries[i].tensor.dtype) == 0);
    unsigned char *file = arena_alloc(&a, (size_t)s.size);
    struct memory m = { file };
    CHECK_OK(safetensors_put(&s, put_memory, &m, &e), &e);
    CHECK_INT(m.at - file, s.size);
    struct blob *blob = blob_wrap(NULL, file, (size_t)s.size, NULL, NULL);
    CHECK_OK(safetensors_read(&back, &a, "t", (struct bytes){ file, (size_t)s.size }, blob, &e), &e);
    CHECK_INT(back.n, 4);
    CHECK_STR(map_get(&back.metadata, "format"), "pt");
    const struct safetensors_entry *x = safetensors_find(&back, "wide");
    CHECK(x && x->offset == s.entries[0].offset && x->tensor.blob == blob);
    if (x) CHECK_INT(tensor_get_i64(&x->tensor, 0), -1);
    x = safetensors_find(&back, "b \"quoted\"");
    if (x) CHECK_NEAR(tensor_get_f64(&x->tensor, 0), 1, 0);
    blob_unref(blob);
    arena_release(&a);
}

TEST(files_of_other_programs)
{
    static const char *const files[] = { "burn_mnist", "burn_multi_layer", "tinygrad_mnist" };
    if (!shared_dir()) SKIP("no shared samples");
    for (int i = 0; i < 3; i++) {
        struct arena a;
        struct err e = { 0 };
        struct safetensors s;
        struct bytes file;
        const char **names;
        size_t n;
        arena_init(&a, NULL);
        const char *dir = arena_printf(&a, "%s/corpus/safetensors/%s", shared_dir(), files[i]);
        CHECK_OK(file_list(&a, dir, &names, &n, &e), &e);
        for (size_t k = 0; k < n; k++) {
            if (!strstr(names[k], ".safetensors")) continue;
            CHECK_OK(file_map(&a, file_join(&a, dir, names[k]), &file, &e), &e);
            CHECK_OK(safetensors_read(&s, &a, names[k], file, NULL, &e), &e);
            CHECK(s.n > 0);
        }
        arena_release(&a);
    }
}
