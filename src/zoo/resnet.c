/* resnet.c - residual networks, as torchvision builds and names them. */
#include "base/err.h"
#include "zoo/net.h"
#include "zoo/zoo.h"

static const int depths[][4] = { { 2, 2, 2, 2 }, { 3, 4, 6, 3 }, { 3, 4, 6, 3 }, { 3, 4, 23, 3 }, { 3, 8, 36, 3 } };
enum { RESNET18, RESNET34, RESNET50, RESNET101, RESNET152 };

/* He et al., "Deep residual learning for image recognition", 2015; of the bottleneck, the 3 x 3 has the stride. */
static struct value *block(struct net *n, struct value *x, const char *at, int64_t width, int64_t stride, bool narrow)
{
    int64_t out = narrow ? 4 * width : width;
    struct value *y, *shortcut = x;
    if (n->b.err->code) return NULL;
    if (narrow) {
        y = net_conv(n, x, (struct conv_shape){ width, 1, 1, 0, false }, net_name(n, "%s.conv1", at));
        y = net_relu(n, net_batch_norm(n, y, net_name(n, "%s.bn1", at)));
        y = net_conv(n, y, (struct conv_shape){ width, 3, stride, 1, false }, net_name(n, "%s.conv2", at));
        y = net_relu(n, net_batch_norm(n, y, net_name(n, "%s.bn2", at)));
        y = net_conv(n, y, (struct conv_shape){ out, 1, 1, 0, false }, net_name(n, "%s.conv3", at));
        y = net_batch_norm(n, y, net_name(n, "%s.bn3", at));
    } else {
        y = net_conv(n, x, (struct conv_shape){ width, 3, stride, 1, false }, net_name(n, "%s.conv1", at));
        y = net_relu(n, net_batch_norm(n, y, net_name(n, "%s.bn1", at)));
        y = net_conv(n, y, (struct conv_shape){ width, 3, 1, 1, false }, net_name(n, "%s.conv2", at));
        y = net_batch_norm(n, y, net_name(n, "%s.bn2", at));
    }
    if (stride != 1 || x->shape.dim[1] != out) {
        struct conv_shape fit = { out, 1, stride, 0, false };
        shortcut = net_conv(n, x, fit, net_name(n, "%s.downsample.0", at));
        shortcut = net_batch_norm(n, shortcut, net_name(n, "%s.downsample.1", at));
    }
    y = net_add(n, y, shortcut);
    net_call(n, net_name(n, "%s.relu", at));
    return net_relu(n, y);
}

static struct value *resnet(struct net *n, struct value *x, const struct zoo_model *m, const struct zoo_options *o)
{
    n->convs = INIT_HE;
    x = net_conv(n, x, (struct conv_shape){ 64, 7, 2, 3, false }, "conv1");
    x = net_batch_norm(n, x, "bn1");
    net_call(n, "relu");
    x = net_relu(n, x);
    net_call(n, "maxpool");
    x = net_max_pool(n, x, 3, 2, 1);
    for (int stage = 0; stage < 4; stage++)
        for (int i = 0; i < depths[m->variant][stage]; i++) {
            const char *at = net_name(n, "layer%d.%d", stage + 1, i);
            x = block(n, x, at, (int64_t)64 << stage, stage && !i ? 2 : 1, m->variant >= RESNET50);
        }
    net_call(n, "avgpool");
    return net_linear(n, net_mean_pool(n, x), o->classes, "fc");
}

#define ROW(depth) \
    { \
        "resnet" #depth, "residual network of " #depth " layers, as torchvision has it", "image-classification", 1000, \
            3, 224, 224, resnet, RESNET##depth \
    }
const struct zoo_model zoo_resnet[] = { ROW(18), ROW(34), ROW(50), ROW(101), ROW(152), { 0 } };
