/* weights.h - the two ways in which files of Keras name their variables. */
#ifndef TENREC_FORMAT_KERAS_WEIGHTS_H
#define TENREC_FORMAT_KERAS_WEIGHTS_H

#include "format/keras/keras.h"

struct weight_at {
    struct layer *layer;
    struct weight *weight;
};
struct weight_list {
    struct weight_at *items;
    size_t n, cap;
};

/* Variables of a layer and of those inside, in Keras' order; `all`: also those that are not read. */
int weight_list_of(struct keras *k, struct layer *l, bool all, struct weight_list *out);
int weights_by_layer(struct keras *k, struct hdf5_object *root); /* Keras 1 and 2, and .h5 of Keras 3 */
int weights_by_path(struct keras *k);                            /* .keras, .weights.h5, in one file or several */

#endif
