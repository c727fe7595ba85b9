/* vgg.c - VGG networks, as torchvision builds and names them. */
#include "base/err.h"
#include "zoo/net.h"
#include "zoo/zoo.h"

/* Simonyan and Zisserman, "Very deep convolutional networks", 2014: convolutions of each width before a pool. */
static const int convs[][5] = { { 1, 1, 2, 2, 2 }, { 2, 2, 2, 2, 2 }, { 2, 2, 3, 3, 3 }, { 2, 2, 4, 4, 4 } };
enum { VGG11, VGG13, VGG16, VGG19, WITH_NORM = 4 };

/* torch.nn.AdaptiveAvgPool2d(7) where its windows are all alike: 7 divides the side, or the side is 1. */
static struct value *to_seven(struct net *n, struct value *x)
{
    if (n->b.err->code) return NULL;
    int64_t h = x->shape.dim[2], w = x->shape.dim[3];
    if (h == 7 && w == 7) return x;
    if (h == 1 && w == 1) return emit(&n->b, "Expand", NO_ATTRS, x, emit_i64s(&n->b, (int64_t[]){ 1, 1, 7, 7 }, 4));
    if (h < 7 || w < 7 || h % 7 || w % 7)
        return fail(n->b.err, ERR_SHAPE, "the input's sides must be 32, or multiples of 224"), NULL;
    int64_t k[] = { h / 7, w / 7 };
    net_call(n, "avgpool");
    return emit(&n->b, "AveragePool", ATTRS(attr_ints("kernel_shape", k, 2), attr_ints("strides", k, 2)), x);
}

static struct value *vgg(struct net *n, struct value *x, const struct zoo_model *m, const struct zoo_options *o)
{
    int at = 0, variant = m->variant % WITH_NORM;
    bool norm = m->variant >= WITH_NORM;
    n->convs = INIT_HE;
    n->linears = INIT_SMALL;
    for (int stage = 0; stage < 5; stage++, at++) {
        int64_t width = stage < 4 ? (int64_t)64 << stage : 512;
        for (int i = 0; i < convs[variant][stage]; i++) {
            x = net_conv(n, x, (struct conv_shape){ width, 3, 1, 1, true }, net_name(n, "features.%d", at++));
            if (norm) x = net_batch_norm(n, x, net_name(n, "features.%d", at++));
            net_call(n, net_name(n, "features.%d", at++));
            x = net_relu(n, x);
        }
        net_call(n, net_name(n, "features.%d", at));
        x = net_max_pool(n, x, 2, 2, 0);
    }
    x = net_flatten(n, to_seven(n, x));
    for (int i = 0; i < 6; i += 3) {
        x = net_linear(n, x, 4096, net_name(n, "classifier.%d", i));
        net_call(n, net_name(n, "classifier.%d", i + 1));
        x = net_dropout(n, net_relu(n, x), 0.5);
    }
    return net_linear(n, x, o->classes, "classifier.6");
}

#define ROW(depth) \
    { "vgg" #depth, "VGG of " #depth " layers, as torchvision has it", "image-classification", 1000, 3, 224, 224, vgg, \
        VGG##depth }, \
    { \
        "vgg" #depth "_bn", "the same with batch normalization", "image-classification", 1000, 3, 224, 224, vgg, \
            VGG##depth + WITH_NORM \
    }
const struct zoo_model zoo_vgg[] = { ROW(11), ROW(13), ROW(16), ROW(19), { 0 } };
