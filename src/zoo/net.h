/* net.h - layers with parameters of their own, for the families of the zoo. */
#ifndef TENREC_ZOO_NET_H
#define TENREC_ZOO_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "graph/builder.h"

/* How weights are drawn. */
enum net_init {
    INIT_DEFAULT, /* torch.nn: uniform within 1 / sqrt(fan in), biases too */
    INIT_HE,      /* kaiming_normal_(mode="fan_out", nonlinearity="relu"), biases 0 */
    INIT_SMALL,   /* normal with deviation 0.01, biases 0 */
};
struct net {
    struct builder b;
    uint64_t seed;
    enum net_init convs, linears;
    bool bare; /* see zoo_options */
};

struct conv_shape {
    int64_t out, kernel, stride, pad;
    bool bias;
};
/* `name` is what the parameters begin with: "layer1.0.conv1". Names may be formatted. */
struct value *net_conv(struct net *n, struct value *x, struct conv_shape s, const char *name);
/* What the next layer without parameters is called; --features finds a layer by its name. */
void net_call(struct net *n, const char *name);
/* ConvTranspose2d(kernel = stride = 2) with a bias: twice the size */
struct value *net_upsample(struct net *n, struct value *x, int64_t out, const char *name);
struct value *net_batch_norm(struct net *n, struct value *x, const char *name);
struct value *net_linear(struct net *n, struct value *x, int64_t out, const char *name);
struct value *net_relu(struct net *n, struct value *x);
struct value *net_max_pool(struct net *n, struct value *x, int64_t kernel, int64_t stride, int64_t pad);
struct value *net_mean_pool(struct net *n, struct value *x); /* over all pixels, (N, C) */
struct value *net_flatten(struct net *n, struct value *x);
struct value *net_dropout(struct net *n, struct value *x, double share);
struct value *net_add(struct net *n, struct value *x, struct value *y);
struct value *net_concat(struct net *n, struct value *x, struct value *y); /* of channels */
/* "layer%d.%d" in the graph's arena; NULL with the builder's error */
const char *net_name(struct net *n, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
