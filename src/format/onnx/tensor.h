/* tensor.h - the contents of TensorProtos, wherever they lie: in the model file, in typed fields, in another file. */
#ifndef TENREC_FORMAT_ONNX_TENSOR_H
#define TENREC_FORMAT_ONNX_TENSOR_H

#include "base/map.h"
#include "format/format.h"
#include "format/onnx/schema.h"
#include "graph/tensor.h"

struct onnx_source {
    struct arena *arena;
    const struct format_file *file;
    const char *folder;  /* external data must stay inside it */
    struct map external; /* location -> mapped file */
};
int onnx_source_init(struct onnx_source *s, struct arena *a, const struct format_file *file, struct err *e);
/* A tensor in the source's arena; its data lie in the mapped file where they are aligned, else they are copied.
 * Errors name the tensor. NULL on error. */
const struct tensor *onnx_tensor_load(struct onnx_source *s, const struct onnx_tensor *t, struct err *e);
/* The same of an initializer: large floats are not copied, so they may lie anywhere (graph/aligned.h). */
const struct tensor *onnx_weight_load(struct onnx_source *s, const struct onnx_tensor *t, struct err *e);
/* The dense form. */
const struct tensor *onnx_sparse_load(struct onnx_source *s, const struct onnx_sparse *t, struct err *e);
const char *onnx_type_name(int64_t data_type); /* also of types that are not taken */

#endif
