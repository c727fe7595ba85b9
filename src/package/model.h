/* model.h - any model file, opened: a package, an unpacked package, or a file of another framework. */
#ifndef TENREC_PACKAGE_MODEL_H
#define TENREC_PACKAGE_MODEL_H

#include "base/arena.h"
#include "base/budget.h"
#include "base/report.h"
#include "data/postprocess.h"
#include "data/preprocess.h"
#include "format/format.h"
#include "graph/graph.h"
#include "package/manifest.h"

struct zip;
struct packs;
struct weights;

struct model_options {
    struct import_options import;
    struct manifest_options manifest;
    int64_t classes;             /* of a network of the zoo ("zoo:NAME"); 0: as its row has it */
    uint64_t seed;               /* of its weights */
    const char *labels_path;     /* NULL: what the model or a file beside it says */
    int64_t label_length;        /* characters of a label that are kept; 0: all */
    const struct mem *mem;       /* NULL: the default */
    const char *weights_path;    /* a file of weights to put into the model; NULL: it has its own */
    const char *weights_key;     /* which part of it; NULL: found by itself */
    const char *preprocess_path; /* YAML or JSON with steps, or a Hugging Face preprocessor_config.json */
};

struct model {
    struct arena arena;
    struct budget budget; /* of the arena; without a limit once the model is open */
    const char *path;
    const char *format; /* "package", "onnx", "torch" ... */
    struct graph *graph;
    json_t *manifest;
    struct labels labels;
    struct preprocess **preprocess;   /* one per input; NULL: a tensor is expected */
    struct postprocess **postprocess; /* one per output */
    struct report report;             /* of the import; empty for packages */
    const struct zip *zip;            /* of a package that is one file */
    const char *folder;               /* of an unpacked package */
    const struct weights *weights;    /* of another file, put into the place of the model's own; NULL: none */
    struct packs *packs;              /* packed weights, shared by all sessions */
};

/* Opens a file, a package, or "zoo:NAME" (see zoo/zoo.h); ERR_MODEL also for a file that takes far more memory than its
 * size warrants. *m must not move: its memory is counted in it. The model must be closed also when this fails (what the
 * report says may be wanted). */
int model_open(struct model *m, const char *path, const struct model_options *o, struct err *e);
void model_close(struct model *m);
/* The model's only output becomes what an inner layer gives, by its name or the beginning of it up to a '/' or '.';
 * without postprocessing. ERR_USAGE with a did-you-mean. */
int model_features(struct model *m, const char *layer, struct err *e);
/* A file of the package ("examples/e0.npz"), checked to lie inside it. ERR_MODEL if it is not there. */
int model_file(struct model *m, const char *name, struct bytes *out, struct err *e);

/* Writes the package: atomic, deterministic. Golden examples: `example_in`/`example_out` (one tensor per
 * input and output, `made_by` says by what), or NULL for none. */
struct example {
    const char *made_by; /* "torch 1.13.1", or "tenrec 0.1.0" for self-consistency */
    const struct tensor *const *in, *const *out;
};
/* Example i of a package: 1, or 0 if there is none. */
int package_example(struct model *m, size_t i, struct example *ex, struct err *e);
int package_write(struct model *m, const char *path, const struct example *example, struct err *e);

/* The checksums alone; also for a model that could not be opened but whose manifest was read. ERR_MISMATCH. */
int package_verify_files(
    struct model *m, void (*say)(void *cookie, const char *line), void *cookie, struct err *e);
/* `verify`: checksums of all files, then the examples. One line per finding goes to `say`. ERR_MISMATCH. */
int package_verify(struct model *m, void (*say)(void *cookie, const char *line), void *cookie, struct err *e);

#endif
