/* net.h - a Caffe net as a plain list of layers, whichever of the three generations of the format it was written in. */
#ifndef TENREC_FORMAT_CAFFE_NET_H
#define TENREC_FORMAT_CAFFE_NET_H

#include "base/map.h"
#include "format/caffe/schema.h"

struct caffe_layer {
    const char *name, *type; /* the type as V2 calls it */
    const char *where;       /* "net.prototxt:12:5" */
    const struct tree *tree; /* LayerParameter or V1LayerParameter: parameters are found by the same names */
    const char **bottom, **top;
    size_t n_bottom, n_top;
    const char **shared; /* names of its weights, "" where they are its own */
    size_t n_shared;
    const struct tree_field *blobs; /* weights that stand in the layer itself, or NULL */
};

struct caffe_net {
    struct arena *arena;
    const struct tree *tree; /* NetParameter */
    struct caffe_layer *layers;
    size_t n, cap;
    int generation; /* 0 to 2: of the newest layer */
};

/* The layers of a net. ERR_UNSUPPORTED, ERR_MODEL. */
int caffe_net_read(struct caffe_net *net, struct arena *a, const struct tree *tree, struct err *e);
/* Is the layer there in this phase ("TRAIN", "TEST")? */
bool caffe_layer_in_phase(const struct caffe_layer *l, const char *phase);
/* A message of parameters, "convolution_param"; an empty one if the layer has none. */
const struct tree *caffe_layer_param(const struct caffe_layer *l, const char *name);

/* v0.c: a V0 layer in the terms of V2. */
const struct tree *caffe_upgrade_v0(struct arena *a, const struct tree *outer, struct err *e);
/* V0 pads by layers of their own: their padding goes to the convolution or pooling behind them. */
int caffe_merge_padding(struct caffe_net *net, struct err *e);

#endif
