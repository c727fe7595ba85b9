/* model.h - a model file of any framework, or a package, opened. */
#ifndef TENREC_MODEL_H
#define TENREC_MODEL_H

#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

enum tenrec_level { TENREC_LOG_ERROR, TENREC_LOG_WARNING, TENREC_LOG_INFO, TENREC_LOG_DEBUG };

/* Where memory comes from. `alloc` gives blocks aligned to 64 bytes, or NULL; both may be called from any thread. */
struct tenrec_allocator {
    void *(*alloc)(void *cookie, size_t size);
    void (*free)(void *cookie, void *block, size_t size);
    void *cookie;
};

/* Zero it, set `size`, then what is wanted; all texts are copied. */
struct tenrec_options {
    size_t size;              /* sizeof(struct tenrec_options): the library may grow it */
    const char *weights;      /* the second file, where a format keeps structure and weights apart */
    const char *labels;       /* a file with the names of the classes */
    const char *like;         /* "torchvision", "timm", "keras", "caffe": how images become inputs */
    const char *preprocess;   /* a file with steps: YAML, JSON, or a Hugging Face preprocessor_config.json */
    const char *const *input; /* hints "NAME=Nx3xHxW", ends with NULL, where the file does not say its shapes */
    struct tenrec_allocator allocator; /* of the model and its sessions; alloc NULL: the process's own */
    /* What an import had to guess, and warnings; NULL: silent. */
    void (*log)(void *cookie, enum tenrec_level level, const char *text);
    void *log_cookie;
    const char *features; /* an inner layer, whose numbers become the model's only output; `tenrec show` names them */
};

struct tenrec_model;

/* An input or output. Texts belong to the model. */
struct tenrec_port {
    const char *name;
    int dtype; /* enum tenrec_dtype; 0: any */
    int rank;  /* -1: any */
    int64_t dim[TENREC_MAX_RANK];           /* -1: free */
    const char *dim_name[TENREC_MAX_RANK];  /* "N" of a free one that has a name, else NULL */
    int is_image;                           /* an input with preprocessing: it takes images */
};

/* Opens any importable file or a package; options may be NULL. Many sessions, in many threads, may share one model.
 * Close it after its sessions. */
TENREC_API struct tenrec_model *tenrec_open(
    const char *path, const struct tenrec_options *options, struct tenrec_error *error);
TENREC_API void tenrec_close(struct tenrec_model *model); /* NULL is fine */

TENREC_API size_t tenrec_n_inputs(const struct tenrec_model *model);
TENREC_API size_t tenrec_n_outputs(const struct tenrec_model *model);
/* TENREC_USAGE past the last one. */
TENREC_API int tenrec_input(
    const struct tenrec_model *model, size_t i, struct tenrec_port *port, struct tenrec_error *error);
TENREC_API int tenrec_output(
    const struct tenrec_model *model, size_t i, struct tenrec_port *port, struct tenrec_error *error);
/* The name of a class; NULL where the model has none. */
TENREC_API const char *tenrec_label(const struct tenrec_model *model, int64_t index);
/* The manifest as JSON text (docs/design.md, section 6); belongs to the model. NULL: out of memory. */
TENREC_API const char *tenrec_manifest(struct tenrec_model *model, struct tenrec_error *error);

/* Writes the model as a package: one file, weights stored once, the whole of it or nothing; makes missing folders. */
TENREC_API int tenrec_save(struct tenrec_model *model, const char *path, struct tenrec_error *error);
/* Checksums and golden examples of a package; `say` (may be NULL) gets a line per finding. TENREC_MISMATCH. */
TENREC_API int tenrec_verify(struct tenrec_model *model, void (*say)(void *cookie, const char *line), void *cookie,
    struct tenrec_error *error);

#ifdef __cplusplus
}
#endif

#endif
