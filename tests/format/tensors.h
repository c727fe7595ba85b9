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

static inline struct tensor *tensor_from_pb(struct arena *a, const char *path, struct err *e)
{
    struct format_file file = { .path = path };
    struct onnx_source source;
    struct onnx_tensor t;
    if (!(file.blob = mapped_file(a, path, &file.bytes, e)) || onnx_source_init(&source, a, &file, e) ||
        onnx_decode_tensor(&t, a, path, file.bytes, e))
        return NULL;
    return (struct tensor *)(uintptr_t)onnx_tensor_load(&source, &t, e);
}

/* Largest difference, relative to the largest finite number of `want`. INFINITY where
 * type, shape, NaN or infinities differ. */
static inline double tensor_difference(const struct tensor *got, const struct tensor *want)
{
    if (got->dtype != want->dtype || !shape_equal(&got->shape, &want->shape)) return INFINITY;
    double scale = 0, most = 0;
    int64_t n = tensor_count(want);
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
