/* weights_hdf5.c - weights that Caffe saved as HDF5 (snapshot_format: HDF5): data sets at /data/LAYER/INDEX. */
#include <stdio.h>

#include "base/arena.h"
#include "base/err.h"
#include "enc/hdf5.h"
#include "format/caffe/caffe.h"

/* A data set as the BlobProto that the binary form would hold. */
static struct tree *blob_of(struct caffe *n, struct hdf5 *h, struct hdf5_object *set, struct tree_field *list)
{
    struct tree *blob = tree_add_message(n->arena, list, h->path, n->err);
    struct bytes bytes;
    bool wide = set->type.size == 8;
    if (!blob || hdf5_read(h, set, &bytes, n->err)) return NULL;
    if (set->kind != HDF5_DATASET || set->type.kind != 'f' || (set->type.size != 4 && !wide))
        return fail(n->err, ERR_MODEL, "%s: its elements are no floats", h->path), NULL;
    struct tree_field *shape = tree_field_add(n->arena, blob, tree_row(blob->schema, "shape"));
    struct tree *dims = shape ? tree_add_message(n->arena, shape, h->path, n->err) : NULL;
    struct tree_field *dim = dims ? tree_field_add(n->arena, dims, tree_row(dims->schema, "dim")) : NULL;
    struct tree_field *data = tree_field_add(n->arena, blob, tree_row(blob->schema, wide ? "double_data" : "data"));
    if (!dim || !data) return fail_nomem(n->err), NULL;
    for (int i = 0; i < set->space.rank; i++)
        if (tree_add_int(n->arena, dim, (int64_t)set->space.dim[i], n->err)) return NULL;
    data->packed = bytes;
    data->n = bytes.len / set->type.size;
    return blob;
}

static int read_layer(struct caffe *n, struct hdf5 *h, const char *name)
{
    static const struct tree_row row = { "blobs", 7, TREE_MESSAGE, &caffe_blob_schema, NULL };
    const char *path = arena_printf(n->arena, "data/%s", name);
    struct tree_field *list = ARENA_NEW(n->arena, struct tree_field);
    if (!path || !list) return fail_nomem(n->err);
    list->row = &row;
    struct hdf5_object *group = hdf5_find(h, NULL, path, n->err);
    for (size_t i = 0; group && group->kind == HDF5_GROUP; i++) {
        char index[24];
        snprintf(index, sizeof index, "%zu", i);
        struct hdf5_object *set = hdf5_child(h, group, index, n->err);
        if (!set) break;
        if (!blob_of(n, h, set, list)) return err_prefix(n->err, "/%s/%zu", path, i);
    }
    if (n->err->code) return n->err->code;
    if (list->n && !map_set(&n->weights.layers, name, list)) return fail_nomem(n->err);
    return 0;
}

int caffe_weights_hdf5(struct caffe *n, const char *path, struct bytes file, struct blob *blob)
{
    struct hdf5 *h = ARENA_NEW(n->arena, struct hdf5);
    TRY_MEM(h, n->err);
    TRY(hdf5_open(h, n->arena, path, file, n->err));
    n->weights.layers = map_in(n->arena);
    n->weights.blob = blob;
    for (size_t i = 0; i < n->net.n; i++) TRY(read_layer(n, h, n->net.layers[i].name));
    n->has_weights = n->weights.layers.n > 0;
    if (n->has_weights) return 0;
    return fail(n->err, ERR_MODEL,
        "%s: no data set /data/LAYER/0 of any layer of the net: these files do not belong together", path);
}
