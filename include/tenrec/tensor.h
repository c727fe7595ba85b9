/* tensor.h - a dense array: what models take and give. */
#ifndef TENREC_TENSOR_H
#define TENREC_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TENREC_MAX_RANK = 8 };

/* Element types, numbered as in ONNX's TensorProto.DataType. */
enum tenrec_dtype {
    TENREC_FLOAT32 = 1,
    TENREC_UINT8 = 2,
    TENREC_INT8 = 3,
    TENREC_UINT16 = 4,
    TENREC_INT16 = 5,
    TENREC_INT32 = 6,
    TENREC_INT64 = 7,
    TENREC_BOOL = 9,
    TENREC_FLOAT16 = 10,
    TENREC_FLOAT64 = 11,
    TENREC_UINT32 = 12,
    TENREC_UINT64 = 13,
    TENREC_BFLOAT16 = 16
};

struct tenrec_tensor {
    int dtype; /* enum tenrec_dtype */
    int rank;
    int64_t dim[TENREC_MAX_RANK];
    void *data; /* row-major, without gaps; whose it is, each function says */
};

/* "float32", numpy's name; "?" for a number that is no type. */
TENREC_API const char *tenrec_dtype_name(int dtype);
/* Bytes of an element; 0 for a number that is no type. */
TENREC_API size_t tenrec_dtype_size(int dtype);

#ifdef __cplusplus
}
#endif

#endif
