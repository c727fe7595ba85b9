/* torch_build.h - TorchScript archives made by tests: code as text, attributes as a pickle written here. */
#ifndef TENREC_TESTS_FORMAT_TORCH_BUILD_H
#define TENREC_TESTS_FORMAT_TORCH_BUILD_H

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "base/report.h"
#include "base/str.h"
#include "enc/bytes.h"
#include "enc/zip.h"
#include "format/format.h"
#include "graph/graph.h"

struct torch_build {
    struct arena *arena;
    char path[64];
    struct file_writer file;
    struct zip_writer zip;
    struct str pickle; /* of the attributes so far */
    int n_storages;
};

static inline void build_begin(struct torch_build *b, struct arena *a, struct err *e)
{
    *b = (struct torch_build){ .arena = a, .pickle = str_in(a) };
    snprintf(b->path, sizeof b->path, "/tmp/tenrec-torch-%d.pt", (int)getpid());
    if (!file_writer_open(&b->file, a, b->path, e)) zip_writer_init(&b->zip, a, &b->file);
}

static inline void build_record(struct torch_build *b, const char *name, const void *data, size_t len, struct err *e)
{
    if (!e->code) zip_writer_add(&b->zip, arena_printf(b->arena, "m/%s", name), data, len, e);
}

static inline void build_text(struct torch_build *b, const char *name, const char *text, struct err *e)
{
    build_record(b, name, text, strlen(text), e);
}

static inline void pickle_le32(struct str *s, size_t v)
{
    unsigned char n[4];
    put_le(n, v, 4);
    str_addn(s, (const char *)n, 4);
}
static inline void pickle_str(struct str *s, const char *text)
{
    str_addc(s, 'X');
    pickle_le32(s, strlen(text));
    str_add(s, text);
}
static inline void pickle_int(struct str *s, int64_t v)
{
    str_addc(s, 'J');
    pickle_le32(s, (uint32_t)v);
}
static inline void pickle_ints(struct str *s, const int64_t *v, int n)
{
    str_addc(s, '(');
    for (int i = 0; i < n; i++) pickle_int(s, v[i]);
    str_addc(s, 't');
}

/* One attribute: an int, or a tensor of floats with the strides given (NULL: row-major). */
static inline void build_int(struct torch_build *b, const char *name, int64_t v)
{
    pickle_str(&b->pickle, name);
    pickle_int(&b->pickle, v);
}
static inline void build_none(struct torch_build *b, const char *name)
{
    pickle_str(&b->pickle, name);
    str_addc(&b->pickle, 'N');
}
static inline void build_strided(struct torch_build *b, const char *name, int rank, const int64_t *dims,
    const int64_t *strides, int64_t offset, const float *data, size_t n, struct err *e)
{
    char key[16];
    snprintf(key, sizeof key, "%d", b->n_storages++);
    build_record(b, arena_printf(b->arena, "data/%s", key), data, n * sizeof *data, e);
    pickle_str(&b->pickle, name);
    str_add(&b->pickle, "ctorch._utils\n_rebuild_tensor_v2\n((");
    pickle_str(&b->pickle, "storage");
    str_add(&b->pickle, "ctorch\nFloatStorage\n");
    pickle_str(&b->pickle, key);
    pickle_str(&b->pickle, "cpu");
    pickle_int(&b->pickle, (int64_t)n);
    str_add(&b->pickle, "tQ");
    pickle_int(&b->pickle, offset);
    pickle_ints(&b->pickle, dims, rank);
    pickle_ints(&b->pickle, strides, rank);
    str_add(&b->pickle,
        "\x89"
        "ccollections\nOrderedDict\n)RtR");
}
static inline void build_tensor(
    struct torch_build *b, const char *name, int rank, const int64_t *dims, const float *data, struct err *e)
{
    struct shape s = shape_of(rank, dims);
    int64_t strides[SHAPE_MAX];
    shape_strides(&s, strides);
    build_strided(b, name, rank, dims, strides, 0, data, (size_t)shape_count(&s), e);
}

/* The module, of class __torch__.M, with what was added. */
static inline void build_module(struct torch_build *b, struct err *e)
{
    struct str s = str_in(b->arena);
    str_addn(&s,
        "\x80\x02"
        "c__torch__\nM\n)\x81}(",
        19);
    str_addn(&s, b->pickle.s ? b->pickle.s : "", b->pickle.len);
    str_add(&s, "ub.");
    build_record(b, "data.pkl", str_done(&s), s.len, e);
}

static inline void build_end(struct torch_build *b, struct err *e)
{
    if (!e->code) zip_writer_finish(&b->zip, e);
    if (!e->code) file_writer_commit(&b->file, e);
}

/* All that an archive needs beside attributes that were added before: code/__torch__.py and the small records. */
static inline void build_program(struct torch_build *b, const char *code, struct err *e)
{
    build_module(b, e);
    build_record(b, "constants.pkl", "\x80\x02).", 4, e);
    build_text(b, "version", "3\n", e);
    build_text(b, "code/__torch__.py", code, e);
    build_end(b, e);
}

/* Reads it with hints written as on the command line, separated by blanks. */
static inline int build_read(
    struct torch_build *b, const char *hints, struct graph **g, struct report *r, struct err *e)
{
    struct import_hint h[8];
    struct import_options o = { .inputs = h };
    for (const char *p = hints; *p; p += strcspn(p, " "), p += *p == ' ') {
        const char *one = arena_strndup(b->arena, p, strcspn(p, " "));
        TRY(import_hint_parse(b->arena, one, &h[o.n_inputs++], e));
    }
    int code = format_read(b->arena, b->path, &o, g, r, e);
    unlink(b->path);
    return code;
}

#endif
