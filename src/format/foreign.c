/* foreign.c - files that are no model, told by their first bytes. */
#include "format/foreign.h"

#include <stdbool.h>
#include <string.h>

struct mark {
    const char *bytes;
    size_t len, at; /* where in the file they stand */
    const char *says;
};

static bool has(struct bytes data, const struct mark *m)
{
    return data.len >= m->at + m->len && !memcmp(data.data + m->at, m->bytes, m->len);
}

static const char *find(struct bytes data, const struct mark *marks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (has(data, &marks[i])) return marks[i].says;
    return NULL;
}

/* RFC 1950; five zeros behind the header are no block of deflate, but what a safetensors of 376 bytes of header has. */
static bool is_zlib(struct bytes data)
{
    return data.len > 6 && data.data[0] == 'x' && (data.data[0] << 8 | data.data[1]) % 31 == 0 &&
        memcmp(data.data + 2, "\0\0\0\0\0", 5);
}

const char *foreign_packed_by(struct bytes data)
{
    static const struct mark marks[] = {
        { "\x1f\x8b", 2, 0, "gzip" },
        { "BZh", 3, 0, "bzip2" },
        { "\3757zXZ", 5, 0, "xz" },
        { "\x5d\0\0\x80\0", 5, 0, "lzma" },
        { "\x28\xb5\x2f\xfd", 4, 0, "zstd" },
        { "\x04\x22\x4d\x18", 4, 0, "lz4" },
        { "7z\xbc\xaf", 4, 0, "7-Zip" },
        { "Rar!", 4, 0, "RAR" },
    };
    const char *by = find(data, marks, sizeof marks / sizeof *marks);
    return by || !is_zlib(data) ? by : "zlib";
}

const char *foreign_text(struct bytes data)
{
    static const char image[] = "an image: give it behind a model, as in tenrec run MODEL IMAGE";
    static const char page[] = "a web page: the download did not bring the file itself";
    static const struct mark marks[] = {
        { "version https://git-lfs", 23, 0, "a pointer of Git LFS: git lfs pull brings the file itself" },
        { "<!doctype", 9, 0, page },
        { "<!DOCTYPE", 9, 0, page },
        { "<html", 5, 0, page },
        { "GGUF", 4, 0, "GGUF, which is not read: take the safetensors that it was made from" },
        { "TFL3", 4, 4, "TensorFlow Lite, which is not read: save the model as .keras or ONNX" },
        { "\xff\xd8\xff", 3, 0, image },
        { "\x89PNG", 4, 0, image },
        { "GIF8", 4, 0, image },
        { "WEBP", 4, 8, image },
        { "\x93NUMPY", 6, 0, "a NumPy array: give it behind a model, as in tenrec run MODEL ARRAY" },
        { "SQLite format 3", 15, 0, "a table: give it behind a model, as in tenrec score MODEL TABLE" },
        { "PK\3\4", 4, 0, "a zip archive without a model: unpack it, and name the file in it" },
    };
    if (!data.len) return "an empty file";
    if (foreign_packed_by(data)) return "packed, by gzip or its like: unpack it first";
    return find(data, marks, sizeof marks / sizeof *marks);
}
