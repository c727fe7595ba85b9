/* tensors.h - tensors from .npy and .pb files, and whether two are near enough. */
#ifndef TENREC_TESTS_FORMAT_TENSORS_H
#define TENREC_TESTS_FORMAT_TENSORS_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "enc/npy.h"
#include "format/onnx/tensor.h"
#include "graph/sequence.h"

static inline struct tensor *tensor_from_npy(struct arena *a, const char *path, struct err *e)
{
    struct bytes file;
    struct npy n;
    char name[16];
    if (file_map(a, path, &file, e) || npy_read(&n, a, path, file, e)) return NULL;
    snprintf(name, sizeof name, "%s%u", n.kind == 'f' ? "float" : n.kind == 'u' ? "uint" : "int", n.size * 8);
    enum dtype t = n.kind == 'b' ? DT_BOOL : n.kind == 'c' ? (n.size == 8 ? DT_C64 : DT_C128) : dtype_from_name(name);
    if (n.fortran || n.rank > SHAPE_MAX || !t) return fail(e, ERR_DATA, "%s: not taken by this test", path), NULL;
    struct shape s = shape_of((int)n.rank, n.shape);
    return tensor_copy(a, t, &s, n.data.data, e);
}

/* A TensorProto, or, of a container, a SequenceProto or OptionalProto: items are its fields 3 (tensors) and 5
 * (sequences). */
static inline struct tensor *tensor_from_bytes(
    struct arena *a, struct onnx_source *source, enum dtype type, struct bytes data, struct err *e)
{
    struct onnx_tensor t;
    struct proto p;
    struct proto_field f;
    const struct tensor *items[64];
    int64_t n = 0;
    if (!dtype_is_container(type))
        return onnx_decode_tensor(&t, a, source->file->path, data, e)
            ? NULL
            : (struct tensor *)(uintptr_t)onnx_tensor_load(source, &t, e);
    proto_init(&p, source->file->path, data);
    while (proto_next(&p, &f, e) > 0)
        if ((f.number == 3 || f.number == 5) && n < 64) {
            items[n] = tensor_from_bytes(a, source, f.number == 3 ? DT_F32 : DT_SEQUENCE, f.span, e);
            if (!items[n++]) return NULL;
        }
    return e->code ? NULL : sequence_new(a, type, items, n, e);
}

static inline struct tensor *tensor_from_pb(struct arena *a, const char *path, enum dtype type, struct err *e)
{
    struct format_file file = { .path = path };
    struct onnx_source source;
    if (!(file.blob = mapped_file(a, path, &file.bytes, e)) || onnx_source_init(&source, a, &file, e)) return NULL;
    return tensor_from_bytes(a, &source, type, file.bytes, e);
}

/* Largest difference, relative to the largest finite number of `want`. INFINITY where
 * type, shape, NaN or infinities differ. */
static inline double tensor_difference(const struct tensor *got, const struct tensor *want)
{
    if (got->dtype != want->dtype || !shape_equal(&got->shape, &want->shape)) return INFINITY;
    double scale = 0, most = 0;
    int64_t n = tensor_count(want);
    for (int64_t i = 0; dtype_is_container(want->dtype) && i < n; i++)
        most = fmax(most, tensor_difference(sequence_item(got, i), sequence_item(want, i)));
    if (dtype_is_container(want->dtype)) return most;
    if (want->dtype == DT_STRING) {
        const struct string_element *a = got->data, *b = want->data;
        for (int64_t i = 0; i < n; i++)
            if (a[i].len != b[i].len || memcmp(a[i].text, b[i].text, a[i].len)) return INFINITY;
        return 0;
    }
    if (want->dtype == DT_C64 || want->dtype == DT_C128)
        return memcmp(got->data, want->data, (size_t)tensor_bytes(want)) ? INFINITY : 0;
    for (int64_t i = 0; i < n; i++) {
        double x = tensor_get_f64(want, i);
        if (isfinite(x) && fabs(x) > scale) scale = fabs(x);
    }
    for (int64_t i = 0; i < n; i++) {
        double x = tensor_get_f64(got, i), y = tensor_get_f64(want, i);
        if (x == y || (isnan(x) && isnan(y))) continue;
        if (!isfinite(x) || !isfinite(y)) return INFINITY;
        most = fmax(most, fabs(x - y));
    }
    return most ? most / scale : 0;
}

#endif
