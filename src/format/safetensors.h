/* safetensors.h - the safetensors container: named tensors, one after another, behind a header in JSON.
 *
 * Written with the largest elements first, so that every tensor is aligned though the format allows no gaps; the offset
 * of each is known before anything is written, so that another file may point into this one.
 */
#ifndef TENREC_FORMAT_SAFETENSORS_H
#define TENREC_FORMAT_SAFETENSORS_H

#include "base/file.h"
#include "base/map.h"
#include "graph/tensor.h"

struct arena;
struct err;

struct safetensors_entry {
    const char *name;
    struct tensor tensor; /* when reading: lies in the file where its address allows, else in a copy */
    uint64_t offset;      /* of the data, from the beginning of the file */
    uint64_t length;      /* bytes */
};
struct safetensors {
    struct safetensors_entry *entries; /* in the order of their data */
    size_t n, cap;
    struct map by_name;  /* name -> struct safetensors_entry */
    struct map metadata; /* "__metadata__": text -> text */
    struct bytes header; /* when writing: everything before the data */
    uint64_t size;       /* of the whole file */
};

/* Do the bytes begin like one? */
bool safetensors_is(struct bytes file);
/* Reads the header and checks every offset, size and type against the bytes. `blob` covers `file` (it may be a part of
 * it); the tensors lie in it, and in `a` where they had to be copied. Errors: ERR_MODEL, ERR_UNSUPPORTED. */
int safetensors_read(
    struct safetensors *s, struct arena *a, const char *path, struct bytes file, struct blob *blob, struct err *e);
const struct safetensors_entry *safetensors_find(const struct safetensors *s, const char *name); /* NULL: absent */

/* Writing: init, add each tensor, set metadata in s->metadata, lay out, write. Names and data must live until then. */
void safetensors_init(struct safetensors *s, struct arena *a);
int safetensors_add(struct safetensors *s, const char *name, const struct tensor *t, struct err *e);
/* Sorts, sets offsets, makes the header. Call once. */
int safetensors_layout(struct safetensors *s, struct err *e);
/* Hands out the file's s->size bytes from first to last. */
int safetensors_put(const struct safetensors *s, int (*put)(void *cookie, const void *data, size_t len, struct err *e),
    void *cookie, struct err *e);
int safetensors_write(const struct safetensors *s, struct arena *a, const char *path, struct err *e);

#endif
