/* hdf5.h - HDF5 files, read only: the subset that Keras, h5py and Caffe write (HDF5 File Format Specification 3.0).
 *
 * Superblocks 0 to 3; groups as symbol tables, link messages and dense links; attributes in headers and dense ones;
 * data compact, contiguous and chunked, with deflate, shuffle and fletcher32. Objects are read when they are asked for,
 * once. Every address is checked against the file, and all that is read of its structure is counted: a file whose
 * structure says more than the file holds loops, and is refused.
 */
#ifndef TENREC_ENC_HDF5_H
#define TENREC_ENC_HDF5_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/file.h"
#include "base/map.h"

struct arena;
struct err;

enum { HDF5_RANK_MAX = 32 };

struct hdf5_type {
    char kind;     /* numpy's: 'f', 'i', 'u', 'b', 'S' (fixed string), 'O' (variable string), 'V' (anything else) */
    unsigned size; /* bytes per element */
    bool big_endian;
};

struct hdf5_space {
    int rank; /* 0: a scalar */
    uint64_t dim[HDF5_RANK_MAX];
    uint64_t count; /* elements */
};

struct hdf5_attr {
    struct hdf5_type type;
    struct hdf5_space space;
    struct bytes data; /* as it is in the file */
};

enum hdf5_kind { HDF5_GROUP, HDF5_DATASET, HDF5_OTHER };
struct hdf5_layout;

struct hdf5_object {
    enum hdf5_kind kind;
    uint64_t address;
    struct map links; /* of a group: name -> struct hdf5_link, in the order of names */
    struct map attrs; /* name -> struct hdf5_attr */
    /* of a dataset */
    struct hdf5_type type;
    struct hdf5_space space;
    const struct hdf5_layout *layout;
    struct bytes data; /* once it was read */
};

struct hdf5_link {
    uint64_t address;
    const char *soft; /* a path instead; NULL: none */
};

struct hdf5 {
    const char *path; /* for messages; owned by the caller, like the bytes of the file */
    struct arena *arena;
    struct bytes file;
    uint64_t base; /* what addresses count from */
    unsigned offset_size, length_size;
    uint64_t fuel;      /* bytes of structure that may still be read */
    uint64_t inflate;   /* bytes of data that may still be made from fewer */
    struct map objects; /* address in hexadecimal -> struct hdf5_object */
    struct hdf5_object *root;
};

/* Do the bytes begin like one? (A file may begin with something else, at whose end it lies.) */
bool hdf5_is(struct bytes file);
/* Errors: ERR_MODEL for what is broken, ERR_UNSUPPORTED for what is not read. */
int hdf5_open(struct hdf5 *h, struct arena *a, const char *path, struct bytes file, struct err *e);
/* What lies at "a/b/c" below `from` (NULL: the root): soft links are followed. NULL without an error when nothing
 * does. */
struct hdf5_object *hdf5_find(struct hdf5 *h, struct hdf5_object *from, const char *path, struct err *e);
/* The same for one link, whose name may hold slashes. */
struct hdf5_object *hdf5_child(struct hdf5 *h, struct hdf5_object *group, const char *name, struct err *e);

/* All of a dataset, row-major and little-endian: in the file where it lies there like that, else in the arena. */
int hdf5_read(struct hdf5 *h, struct hdf5_object *dataset, struct bytes *out, struct err *e);
const struct hdf5_attr *hdf5_attr(const struct hdf5_object *o, const char *name); /* NULL: absent */
/* The strings of an attribute, fixed or variable, in the arena. ERR_MODEL for other types. */
int hdf5_strings(struct hdf5 *h, const struct hdf5_attr *a, const char ***out, size_t *n, struct err *e);

#endif
