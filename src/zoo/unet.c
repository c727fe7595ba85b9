/* unet.c - U-Net for segmentation, with batch normalization and padded convolutions. */
#include "base/err.h"
#include "zoo/net.h"
#include "zoo/zoo.h"

/* Ronneberger et al., "U-Net: convolutional networks for biomedical image segmentation", 2015. */
static struct value *twice(struct net *n, struct value *x, int64_t out, const char *at)
{
    for (int i = 0; i < 2; i++) {
        struct conv_shape same = { out, 3, 1, 1, false };
        x = net_conv(n, x, same, net_name(n, "%s.double_conv.%d", at, 3 * i));
        x = net_batch_norm(n, x, net_name(n, "%s.double_conv.%d", at, 3 * i + 1));
        net_call(n, net_name(n, "%s.double_conv.%d", at, 3 * i + 2));
        x = net_relu(n, x);
    }
    return x;
}

static struct value *unet(struct net *n, struct value *x, const struct zoo_model *m, const struct zoo_options *o)
{
    struct value *kept[4];
    int64_t width = m->variant;
    if ((o->height > 0 && o->height % 16) || (o->width > 0 && o->width % 16))
        return fail(n->b.err, ERR_SHAPE, "the input's sides must be multiples of 16"), NULL;
    x = twice(n, x, width, "inc");
    for (int i = 0; i < 4; i++) {
        kept[i] = x;
        x = twice(n, net_max_pool(n, x, 2, 2, 0), width << (i + 1), net_name(n, "down%d.maxpool_conv.1", i + 1));
    }
    for (int i = 3; i >= 0; i--) {
        x = net_upsample(n, x, width << i, net_name(n, "up%d.up", 4 - i));
        x = twice(n, net_concat(n, kept[i], x), width << i, net_name(n, "up%d.conv", 4 - i));
    }
    return net_conv(n, x, (struct conv_shape){ o->classes, 1, 1, 0, true }, "outc.conv");
}

const struct zoo_model zoo_unet[] = {
    { "unet", "U-Net, 64 channels wide (31 million parameters)", "image-segmentation", 2, 3, 256, 256, unet, 64 },
    { "unet_small", "U-Net, 16 channels wide (2 million parameters)", "image-segmentation", 2, 3, 256, 256, unet, 16 },
    { 0 },
};
