/* dtype.h - element types, numbered as in ONNX's TensorProto.DataType, and what each format calls them.
 *
 * Elements of 4 and 2 bits lie in a byte each, their sign extended; files pack them (tensor_pack()).
 */
#ifndef TENREC_GRAPH_DTYPE_H
#define TENREC_GRAPH_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* id, ONNX number, bytes per element, kind, name (numpy's), Open Inference Protocol, safetensors */
#define DTYPE_LIST(X) \
    X(F32, 1, 4, KIND_FLOAT, "float32", "FP32", "F32") \
    X(U8, 2, 1, KIND_UINT, "uint8", "UINT8", "U8") \
    X(I8, 3, 1, KIND_INT, "int8", "INT8", "I8") \
    X(U16, 4, 2, KIND_UINT, "uint16", "UINT16", "U16") \
    X(I16, 5, 2, KIND_INT, "int16", "INT16", "I16") \
    X(I32, 6, 4, KIND_INT, "int32", "INT32", "I32") \
    X(I64, 7, 8, KIND_INT, "int64", "INT64", "I64") \
    X(STRING, 8, 16, KIND_OTHER, "string", "BYTES", NULL) \
    X(BOOL, 9, 1, KIND_BOOL, "bool", "BOOL", "BOOL") \
    X(F16, 10, 2, KIND_FLOAT, "float16", "FP16", "F16") \
    X(F64, 11, 8, KIND_FLOAT, "float64", "FP64", "F64") \
    X(U32, 12, 4, KIND_UINT, "uint32", "UINT32", "U32") \
    X(U64, 13, 8, KIND_UINT, "uint64", "UINT64", "U64") \
    X(C64, 14, 8, KIND_OTHER, "complex64", NULL, "C64") \
    X(C128, 15, 16, KIND_OTHER, "complex128", NULL, NULL) \
    X(BF16, 16, 2, KIND_FLOAT, "bfloat16", "BF16", "BF16") \
    X(F8E4M3FN, 17, 1, KIND_FLOAT, "float8_e4m3fn", NULL, "F8_E4M3") \
    X(F8E4M3FNUZ, 18, 1, KIND_FLOAT, "float8_e4m3fnuz", NULL, NULL) \
    X(F8E5M2, 19, 1, KIND_FLOAT, "float8_e5m2", NULL, "F8_E5M2") \
    X(F8E5M2FNUZ, 20, 1, KIND_FLOAT, "float8_e5m2fnuz", NULL, NULL) \
    X(U4, 21, 1, KIND_UINT, "uint4", NULL, NULL) \
    X(I4, 22, 1, KIND_INT, "int4", NULL, NULL) \
    X(F4E2M1, 23, 1, KIND_FLOAT, "float4_e2m1fn", NULL, NULL) \
    X(F8E8M0, 24, 1, KIND_FLOAT, "float8_e8m0fnu", NULL, "F8_E8M0") \
    X(U2, 25, 1, KIND_UINT, "uint2", NULL, NULL) \
    X(I2, 26, 1, KIND_INT, "int2", NULL, NULL) \
    X(SEQUENCE, 30, 8, KIND_OTHER, "sequence", NULL, NULL) \
    X(OPTIONAL, 31, 8, KIND_OTHER, "optional", NULL, NULL)

enum dtype_kind { KIND_OTHER, KIND_BOOL, KIND_UINT, KIND_INT, KIND_FLOAT };

enum dtype {
    DT_NONE = 0, /* not known yet */
#define X(id, number, size, kind, name, oip, safetensors) DT_##id = number,
    DTYPE_LIST(X)
#undef X
        DT_COUNT = 32
};

/* An element of a DT_STRING tensor. The text belongs to whoever owns the tensor's data. */
struct string_element {
    const char *text;
    size_t len;
};

/* Whether a tensor may have elements of it: the number is one of the table, and no container. */
bool dtype_is_valid(int number);
/* A sequence is a 1-d tensor of tensors, an optional one of at most one (graph/sequence.h). The numbers are our own. */
bool dtype_is_container(enum dtype t);
size_t dtype_size(enum dtype t); /* 0 for DT_NONE */
int dtype_bits(enum dtype t);    /* of what an element may hold: fewer than its bytes have for packed types */
enum dtype_kind dtype_kind(enum dtype t);
bool dtype_is_float(enum dtype t);
bool dtype_is_integer(enum dtype t);  /* signed or unsigned, not bool */
const char *dtype_name(enum dtype t); /* "float32"; "?" when not known */
const char *dtype_oip(enum dtype t);  /* "FP32"; NULL when the protocol has none */
const char *dtype_safetensors(enum dtype t);
enum dtype dtype_from_name(const char *name); /* any of the three spellings; DT_NONE if unknown */

#endif
