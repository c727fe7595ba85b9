/* hdf5_writer.h - writing HDF5 files: groups, contiguous datasets, attributes of strings, in the newer of the two forms
 * of headers (HDF5 File Format Specification 3.0: superblock 2, object headers 2), which every libhdf5 since 1.8 reads.
 *
 * The tree is made first; its size is then known, so that it can be an entry of an archive. The same calls give the
 * same bytes. */
#ifndef TENREC_ENC_HDF5_WRITER_H
#define TENREC_ENC_HDF5_WRITER_H

#include "enc/hdf5.h"

struct hdf5_made; /* a group or dataset of a file being made */
struct hdf5_writer {
    struct arena *arena;
    struct hdf5_made *root;
    struct hdf5_text *texts; /* all strings of attributes: the file's heap */
    size_t n_texts, cap_texts;
    uint64_t size; /* of the file, after the layout */
};

int hdf5_writer_init(struct hdf5_writer *w, struct arena *a, struct err *e);
/* The group NAME below `parent` (NULL: the root); made when it is not there. `name` may be a path. NULL on error. */
struct hdf5_made *hdf5_make_group(struct hdf5_writer *w, struct hdf5_made *parent, const char *name, struct err *e);
/* Row-major, little-endian `data` of `space`, which are not copied; kinds 'f', 'i', 'u'. */
int hdf5_make_dataset(struct hdf5_writer *w, struct hdf5_made *parent, const char *name, struct hdf5_type type,
    struct hdf5_space space, const void *data, struct err *e);
/* An attribute of `n` strings; n 1 with `scalar`: one alone. Texts are not copied. */
int hdf5_make_strings(struct hdf5_writer *w, struct hdf5_made *object, const char *name, const char *const *texts,
    size_t n, bool scalar, struct err *e);
/* Finds out where everything lies; w->size is set. Nothing may be made after it. */
int hdf5_writer_layout(struct hdf5_writer *w, struct err *e);
/* All bytes, in order, through `put`. */
int hdf5_writer_write(struct hdf5_writer *w, int (*put)(void *cookie, const void *data, size_t len, struct err *e),
    void *cookie, struct err *e);

#endif
