/* archive.h - what torch.jit.save and torch.save write: records, parsed code on demand, tensors over the mapping. */
#ifndef TENREC_FORMAT_TORCH_ARCHIVE_H
#define TENREC_FORMAT_TORCH_ARCHIVE_H

#include "base/map.h"
#include "enc/pickle.h"
#include "enc/zip.h"
#include "format/torch/parse.h"
#include "graph/dtype.h"

struct blob;
struct format_file;
struct report;
struct tensor;

struct archive {
    struct arena *arena; /* of the import: directory, code, pickles */
    struct arena *keep;  /* of the graph: tensors that had to be copied */
    struct err *err;
    const char *path;
    struct blob *blob;
    struct zip zip;
    const char *root;    /* "model/": all names are below it; NULL: no zip archive, all storages are in the map */
    int version;         /* of the format, 1 .. 10 and whatever comes */
    struct map files;    /* "__torch__.m" -> struct ts_file, or NULL where there is none */
    struct map storages; /* "data/0" -> struct storage */
    struct map tensors;  /* persistent id -> struct pickled_tensor: tensors that stand beside the pickle (old tar) */
};

/* Does the file look like a zip of PyTorch's; the pages it takes to know are few. */
bool archive_is(struct bytes file);
/* An archive without records yet: for the containers that are no zip. */
void archive_init(
    struct archive *r, struct arena *a, struct arena *keep, const struct format_file *file, struct err *e);
int archive_open(struct archive *r, struct arena *a, struct arena *keep, const struct format_file *file, struct err *e);
/* What only torch.jit.save writes is there. */
int archive_check_script(struct archive *r);
/* A record below the root. NULL without an error when there is none. */
const struct zip_entry *archive_find(struct archive *r, const char *name);
int archive_read(struct archive *r, const struct zip_entry *entry, struct bytes *out);
/* Reads "data.pkl" or "constants.pkl"; unknown harmless globals become warnings. */
struct pickle_value *archive_pickle(struct archive *r, const char *name, struct report *report);
/* Reads the pickle at *at of `data`, a part of the file that `name` is for messages, and moves *at behind it. */
int archive_pickle_at(
    struct archive *r, const char *name, struct bytes data, size_t *at, struct pickle *out, struct report *report);
/* The code of a qualified prefix ("__torch__.torch.nn"), parsed once; NULL without an error when there is none. */
struct ts_file *archive_code(struct archive *r, const char *prefix);

/* Integers q of a quantized tensor stand for (q - zero point) * scale. */
struct quantization {
    const struct tensor *scales, *zero_points; /* float64 and int64; one, or one per index of `axis` */
    int axis;                                  /* -1: one for all */
};
struct pickled_tensor {
    const struct tensor *tensor;
    const char *identity;                 /* equal for two that are the same memory seen in the same way */
    const struct quantization *quantized; /* NULL: not quantized */
};
/* Is it one of the calls by which PyTorch pickles a tensor? */
bool archive_is_tensor(const struct archive *r, const struct pickle_value *v);
int archive_tensor_rank(const struct archive *r, const struct pickle_value *v); /* -1: no tensor */
/* A tensor as pickled (_rebuild_tensor_v2 and its relatives, a Parameter around it); storages lie in `folder` ("data",
 * "constants"). */
int archive_read_tensor(
    struct archive *r, const struct pickle_value *v, const char *folder, struct pickled_tensor *out);
/* A storage by itself, one dimension. */
const struct tensor *archive_storage(struct archive *r, const struct pickle_value *id, const char *folder);

/* Says where the bytes of the storage "folder/key" are, for containers that are no zip. */
int archive_add_storage(struct archive *r, const char *folder, const char *key, struct bytes data);
/* The element type of torch.FloatStorage and so on; DT_NONE: unknown. */
enum dtype archive_storage_dtype(const struct pickle_value *type);
/* A view of a storage; sizes and strides in elements, checked against the storage. */
const struct tensor *archive_view(struct archive *r, const char *folder, const char *key, enum dtype dtype,
    int64_t offset, int rank, const int64_t *sizes, const int64_t *strides, const char **identity);

#endif
