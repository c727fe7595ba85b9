/* lenet.c - small networks for digits: LeNet-5, and a convolutional network of two blocks. */
#include "zoo/net.h"
#include "zoo/zoo.h"

/* LeCun et al., "Gradient-based learning applied to document recognition", 1998, with ReLU and maxima as is usual
 * today; 28 x 28 is padded to the paper's 32 x 32. */
static struct value *lenet5(struct net *n, struct value *x, const struct zoo_model *m, const struct zoo_options *o)
{
    x = net_relu(n, net_conv(n, x, (struct conv_shape){ 6, 5, 1, o->height == 32 ? 0 : 2, true }, "conv1"));
    x = net_max_pool(n, x, 2, 2, 0);
    x = net_relu(n, net_conv(n, x, (struct conv_shape){ 16, 5, 1, 0, true }, "conv2"));
    x = net_flatten(n, net_max_pool(n, x, 2, 2, 0));
    x = net_relu(n, net_linear(n, x, 120, "fc1"));
    x = net_relu(n, net_linear(n, x, 84, "fc2"));
    return net_linear(n, x, o->classes, "fc3");
}

static struct value *digits(struct net *n, struct value *x, const struct zoo_model *m, const struct zoo_options *o)
{
    x = net_relu(n, net_conv(n, x, (struct conv_shape){ 64, 3, 1, 1, true }, "conv1.0"));
    x = net_max_pool(n, x, 2, 2, 0);
    x = net_relu(n, net_conv(n, x, (struct conv_shape){ 128, 3, 1, 1, true }, "conv2.0"));
    x = net_flatten(n, net_max_pool(n, x, 2, 2, 0));
    return net_linear(n, x, o->classes, "fc");
}

const struct zoo_model zoo_lenet[] = {
    { "lenet5", "LeNet-5 (1998), with ReLU and max pooling", "image-classification", 10, 1, 28, 28, lenet5, 0 },
    { "digits", "two blocks of convolution and one product, for digits", "image-classification", 10, 1, 28, 28, digits,
        0 },
    { 0 },
};
