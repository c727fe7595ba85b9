/* container.h - the three forms in which torch.save has written: zip, pickles one behind the other, and tar. */
#ifndef TENREC_FORMAT_TORCH_CONTAINER_H
#define TENREC_FORMAT_TORCH_CONTAINER_H

#include "format/torch/archive.h"

enum container_kind { CONTAINER_NONE, CONTAINER_ZIP, CONTAINER_LEGACY, CONTAINER_TAR };

/* By content. A zip may also be a TorchScript archive: one with constants.pkl is. */
enum container_kind container_is(struct bytes file);
const char *container_name(enum container_kind kind); /* "PyTorch (zip)" */
/* The object that was saved; its storages are then in the archive's folder "data". */
struct pickle_value *container_open(struct archive *r, struct arena *a, struct arena *keep,
    const struct format_file *file, struct report *report, struct err *e);

/* Of the two old forms. */
struct pickle_value *legacy_open(struct archive *r, const struct format_file *file, struct report *report);
struct pickle_value *tar_open(struct archive *r, const struct format_file *file, struct report *report);
bool legacy_is(struct bytes file);
bool tar_is(struct bytes file);
/* The member of a tar archive whose header is at *at, and *at moved behind it; false at the end. */
enum { TAR_NAME = 98 };
bool tar_next(struct bytes file, size_t *at, char name[TAR_NAME + 1], struct bytes *out);
/* Takes the storage that begins at *at of `data` (a count of elements, then the elements) into the archive. */
int legacy_storage(struct archive *r, const char *key, enum dtype dtype, struct bytes data, size_t *at);

#endif
