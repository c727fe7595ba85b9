/* schema.h - Caffe's messages as tables (caffe.proto of BVLC, with the layers of the SSD, SegNet and PSPNet forks). */
#ifndef TENREC_FORMAT_CAFFE_SCHEMA_H
#define TENREC_FORMAT_CAFFE_SCHEMA_H

#include "enc/proto_tree.h"

extern const struct tree_schema caffe_net_schema;   /* NetParameter */
extern const struct tree_schema caffe_layer_schema; /* LayerParameter */
extern const struct tree_schema caffe_solver_schema;
extern const struct tree_schema caffe_blob_schema; /* BlobProto */

#endif
