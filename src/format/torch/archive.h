/* archive.h - a TorchScript archive: its records, parsed code on demand, and tensors over the mapping. */
#ifndef TENREC_FORMAT_TORCH_ARCHIVE_H
#define TENREC_FORMAT_TORCH_ARCHIVE_H

#include "base/map.h"
#include "enc/pickle.h"
#include "enc/zip.h"
#include "format/torch/parse.h"

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
    const char *root;    /* "model/": all names are below it */
    int version;         /* of the format, 1 .. 10 and whatever comes */
    struct map files;    /* "__torch__.m" -> struct ts_file, or NULL where there is none */
    struct map storages; /* "data/0" -> struct storage */
};

/* Does the file look like a zip of PyTorch's; the pages it takes to know are few. */
bool archive_is(struct bytes file);
int archive_open(struct archive *r, struct arena *a, struct arena *keep, const struct format_file *file, struct err *e);
/* A record below the root. NULL without an error when there is none. */
const struct zip_entry *archive_find(struct archive *r, const char *name);
int archive_read(struct archive *r, const struct zip_entry *entry, struct bytes *out);
/* Reads "data.pkl" or "constants.pkl"; unknown harmless globals become warnings. */
struct pickle_value *archive_pickle(struct archive *r, const char *name, struct report *report);
/* The code of a qualified prefix ("__torch__.torch.nn"), parsed once; NULL without an error when there is none. */
struct ts_file *archive_code(struct archive *r, const char *prefix);
/* A tensor as pickled (_rebuild_tensor_v2, _rebuild_parameter around it); storages lie in `folder` ("data",
 * "constants"). `identity` is equal for two pickled tensors that are the same memory seen in the same way. */
const struct tensor *archive_tensor(
    struct archive *r, const struct pickle_value *v, const char *folder, const char **identity);

#endif
