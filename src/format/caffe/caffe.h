/* caffe.h - one reading of a Caffe net: layers become nodes, names of blobs are variables. */
#ifndef TENREC_FORMAT_CAFFE_CAFFE_H
#define TENREC_FORMAT_CAFFE_CAFFE_H

#include "base/map.h"
#include "format/caffe/layers.h"
#include "format/format.h"

/* What a name stands for at the moment. */
struct caffe_blob {
    const char *name;
    struct value *value; /* NULL: labels, or what is computed from them; no part of scoring */
    bool used;           /* a later layer reads it */
};

/* Where weights come from: layers by name. */
struct caffe_weights {
    struct map layers;  /* name -> struct tree_field of BlobProtos */
    struct blob *blob;  /* of the file they lie in */
    struct blob *zeros; /* shared by all weights that no file gives */
};

struct caffe {
    struct arena *arena; /* scratch */
    struct arena *keep;  /* of the graph */
    const struct format_file *file;
    const struct import_options *options;
    struct report *report;
    struct err *err;
    struct caffe_net net;
    struct caffe_weights weights;
    bool has_weights;
    const char *phase;
    int fixed; /* dimensions as the file has them: 0: channels, 1: all but the first, 2: all; the others are open */
    bool wants_fixed; /* a layer asked for a size that was left open */
    struct graph *graph;
    struct shape first; /* of the first input, as the file has it */
    struct builder b;
    struct map blobs;          /* name -> struct caffe_blob */
    struct caffe_blob **order; /* in the order in which they were first made */
    size_t n_order, cap_order;
    struct map shared;                /* name of a weight -> struct value */
    struct map nodes;                 /* names that nodes have */
    size_t n_without;                 /* layers that lack weights which the file ought to have */
    const struct caffe_layer *source; /* the layer of data that gives the first input; NULL: none does */
};

/* build.c: the whole net into n->graph. */
int caffe_build(struct caffe *n);
struct caffe_blob *caffe_bind(struct caffe *n, const char *name, struct value *v);

/* sources.c: inputs of the net that stand in its head, or that a layer of data gives. */
int caffe_head_inputs(struct caffe *n);
/* Binds the tops of a layer of data: the first becomes an input, the others are labels. */
int caffe_source(struct caffe *n, const struct caffe_layer *l);

/* Number of the file's batch, for layers that name it; -1: unknown. */
int64_t caffe_batch(const struct caffe *n);

/* transform.c: how images become the first input, as metadata "tenrec.preprocess" (a list of steps, JSON). */
int caffe_transform(struct caffe *n);

/* weights.c */
int caffe_weights_index(struct caffe *n, const struct caffe_net *net, struct blob *blob);
/* weights_hdf5.c: the same from Caffe's other form, for the layers of n->net. */
int caffe_weights_hdf5(struct caffe *n, const char *path, struct bytes file, struct blob *blob);
/* A BlobProto as float32. */
const struct tensor *caffe_blob_tensor(struct arena *a, const struct tree *blob, struct blob *file, struct err *e);

#endif
