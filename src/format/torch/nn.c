/* nn.c - what the forward of a class of torch.nn or torchvision computes, in TorchScript's own words. */
#include "format/torch/nn.h"

#include <string.h>

#include "format/format.h"

#define CONV(n, dims) \
    { NULL, "Conv" dims, "padding_mode=zeros", \
        "torch.conv" n "(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)", \
        "  padding_mode : Final[str] = \"zeros\"\n" }, \
        { NULL, "Conv" dims, "padding_mode", \
            "torch.conv" n "(torch.pad(x, self._reversed_padding_repeated_twice, self.padding_mode), self.weight, " \
            "self.bias, self.stride, 0, self.dilation, self.groups)", \
            NULL }, \
        { NULL, "Conv" dims, NULL, \
            "torch.conv" n "(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)", \
            NULL }, \
    { \
        NULL, "ConvTranspose" dims, NULL, \
            "torch.conv_transpose" n "(x, self.weight, self.bias, self.stride, self.padding, self.output_padding, " \
            "self.groups, self.dilation)", \
            NULL \
    }
#define BATCH_NORM(name) \
    { \
        NULL, name, NULL, \
            "torch.batch_norm(x, self.weight, self.bias, self.running_mean, self.running_var, self.training, " \
            "self.momentum, self.eps, True)", \
            NULL \
    }
#define INSTANCE_NORM(name) \
    { \
        NULL, name, NULL, \
            "torch.instance_norm(x, self.weight, self.bias, self.running_mean, self.running_var, " \
            "torch.__not__(self.track_running_stats), self.momentum, self.eps, True)", \
            NULL \
    }
#define POOL(n, dims) \
    { NULL, "MaxPool" dims, NULL, \
        "torch.max_pool" n "(x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)", \
        "  ceil_mode : Final[bool] = False\n" }, \
        { NULL, "AvgPool" dims, NULL, \
            "torch.avg_pool" n "(x, self.kernel_size, self.stride, self.padding, self.ceil_mode, " \
            "self.count_include_pad)", \
            "  ceil_mode : Final[bool] = False\n  count_include_pad : Final[bool] = True\n" }, \
    { \
        NULL, "AdaptiveAvgPool" dims, NULL, "torch.adaptive_avg_pool" n "(x, self.output_size)", NULL \
    }
#define UNARY(name, expression) \
    { \
        NULL, name, NULL, expression, NULL \
    }
#define DROPOUT(name, op) \
    { \
        NULL, name, NULL, "torch." op "(x, self.p, self.training)", NULL \
    }
#define PAD(name, mode) \
    { \
        NULL, name, NULL, "torch.pad(x, self.padding, \"" mode "\")", NULL \
    }
/* What PyTorch takes where no axis is said. */
#define OLD_AXIS(op) \
    " if torch.__contains__([0, 1, 3], torch.dim(x)):\n      y = torch." op "(x, 0)\n    else:\n      y = torch." op \
    "(x, 1)\n    return y\n"
#define VISION "torchvision.models."
#define CHAIN(module, name) \
    { \
        module, name, NULL, NULL, NULL \
    }
#define CALL(child, x) "(self." child ").forward(" x ")"
#define RESIDUAL(name, body) \
    { VISION "resnet", name, "downsample", \
        body "    return (self.relu).forward(torch.add(y, (self.downsample).forward(x)))\n", NULL }, \
    { \
        VISION "resnet", name, NULL, body "    return (self.relu).forward(torch.add(y, x))\n", NULL \
    }
#define CLASSIFIER(module, name) \
    { \
        VISION module, name, "avgpool", \
            "(self.classifier).forward(torch.flatten((self.avgpool).forward((self.features).forward(x)), 1))", NULL \
    }

const struct nn_row nn_rows[] = {
    CONV("1d", "1d"),
    CONV("2d", "2d"),
    CONV("3d", "3d"),
    POOL("1d", "1d"),
    POOL("2d", "2d"),
    POOL("3d", "3d"),
    { NULL, "Linear", NULL, "torch.linear(x, self.weight, self.bias)", NULL },
    { NULL, "NonDynamicallyQuantizableLinear", NULL, "torch.linear(x, self.weight, self.bias)", NULL },
    { NULL, "Embedding", NULL, "torch.embedding(self.weight, x)", NULL },
    BATCH_NORM("BatchNorm1d"),
    BATCH_NORM("BatchNorm2d"),
    BATCH_NORM("BatchNorm3d"),
    BATCH_NORM("SyncBatchNorm"),
    INSTANCE_NORM("InstanceNorm1d"),
    INSTANCE_NORM("InstanceNorm2d"),
    INSTANCE_NORM("InstanceNorm3d"),
    { NULL, "LayerNorm", NULL, "torch.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)", NULL },
    { NULL, "GroupNorm", NULL, "torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)", NULL },
    UNARY("ReLU", "torch.relu(x)"),
    UNARY("ReLU6", "torch.hardtanh(x, 0., 6.)"),
    UNARY("LeakyReLU", "torch.leaky_relu(x, self.negative_slope)"),
    UNARY("ELU", "torch.elu(x, self.alpha)"),
    UNARY("CELU", "torch.celu(x, self.alpha)"),
    UNARY("SELU", "torch.selu(x)"),
    { NULL, "GELU", NULL, "torch.gelu(x, approximate=self.approximate)", "  approximate : Final[str] = \"none\"\n" },
    UNARY("SiLU", "torch.silu(x)"),
    UNARY("Mish", "torch.mish(x)"),
    UNARY("Sigmoid", "torch.sigmoid(x)"),
    UNARY("Tanh", "torch.tanh(x)"),
    UNARY("LogSigmoid", "torch.log_sigmoid(x)"),
    UNARY("Softsign", "torch.div(x, torch.add(torch.abs(x), 1.))"),
    UNARY("Tanhshrink", "torch.sub(x, torch.tanh(x))"),
    UNARY("Softplus", "torch.softplus(x, self.beta, self.threshold)"),
    UNARY("Hardtanh", "torch.hardtanh(x, self.min_val, self.max_val)"),
    UNARY("Hardswish", "torch.hardswish(x)"),
    UNARY("Hardsigmoid", "torch.hardsigmoid(x)"),
    UNARY("PReLU", "torch.prelu(x, self.weight)"),
    UNARY("Threshold", "torch.threshold(x, self.threshold, self.value)"),
    UNARY("GLU", "torch.glu(x, self.dim)"),
    { NULL, "Softmax", "dim", "torch.softmax(x, self.dim)", NULL },
    { NULL, "Softmax", NULL, OLD_AXIS("softmax"), NULL },
    { NULL, "LogSoftmax", "dim", "torch.log_softmax(x, self.dim)", NULL },
    { NULL, "LogSoftmax", NULL, OLD_AXIS("log_softmax"), NULL },
    UNARY("Softmax2d", "torch.softmax(x, -3)"),
    UNARY("Identity", "x"),
    UNARY("Flatten", "torch.flatten(x, self.start_dim, self.end_dim)"),
    UNARY("PixelShuffle", "torch.pixel_shuffle(x, self.upscale_factor)"),
    UNARY("PixelUnshuffle", "torch.pixel_unshuffle(x, self.downscale_factor)"),
    UNARY("ChannelShuffle", "torch.channel_shuffle(x, self.groups)"),
    DROPOUT("Dropout", "dropout"),
    DROPOUT("Dropout1d", "feature_dropout"),
    DROPOUT("Dropout2d", "feature_dropout"),
    DROPOUT("Dropout3d", "feature_dropout"),
    DROPOUT("AlphaDropout", "alpha_dropout"),
    PAD("ReflectionPad1d", "reflect"),
    PAD("ReflectionPad2d", "reflect"),
    PAD("ReflectionPad3d", "reflect"),
    PAD("ReplicationPad1d", "replicate"),
    PAD("ReplicationPad2d", "replicate"),
    PAD("ReplicationPad3d", "replicate"),
    PAD("CircularPad2d", "circular"),
    UNARY("ZeroPad2d", "torch.constant_pad_nd(x, self.padding, 0.)"),
    UNARY("ConstantPad1d", "torch.constant_pad_nd(x, self.padding, self.value)"),
    UNARY("ConstantPad2d", "torch.constant_pad_nd(x, self.padding, self.value)"),
    UNARY("ConstantPad3d", "torch.constant_pad_nd(x, self.padding, self.value)"),
    { NULL, "Upsample", "mode=nearest", "torch.upsample_nearest2d(x, None, [self.scale_factor, self.scale_factor])",
        NULL },
    { NULL, "Upsample", "mode=bilinear",
        "torch.upsample_bilinear2d(x, None, torch.eq(self.align_corners, True), [self.scale_factor, "
        "self.scale_factor])",
        NULL },
    { NULL, "UpsamplingNearest2d", NULL, "torch.upsample_nearest2d(x, None, [self.scale_factor, self.scale_factor])",
        NULL },
    CHAIN(NULL, "Sequential"),

    /* torchvision */
    CHAIN("torchvision.ops.misc", "ConvNormActivation"),
    CHAIN("torchvision.ops.misc", "Conv2dNormActivation"),
    CHAIN(VISION "mobilenetv2", "ConvBNReLU"),
    CHAIN(VISION "mobilenetv2", "ConvBNActivation"),
    CHAIN("torchvision.models.mobilenet", "ConvBNReLU"),
    RESIDUAL("BasicBlock",
        " y = " CALL("relu", CALL("bn1", CALL("conv1", "x"))) "\n    y = " CALL("bn2", CALL("conv2", "y")) "\n"),
    RESIDUAL("Bottleneck",
        " y = " CALL("relu", CALL("bn1", CALL("conv1", "x"))) "\n    y = " CALL(
            "relu", CALL("bn2", CALL("conv2", "y"))) "\n"
                                                     "    y = " CALL("bn3", CALL("conv3", "y")) "\n"),
    { VISION "resnet", "ResNet", NULL,
        " y = " CALL("maxpool",
            CALL("relu", CALL("bn1", CALL("conv1", "x")))) "\n"
                                                           "    y = " CALL("layer4",
                                                               CALL("layer3",
                                                                   CALL("layer2",
                                                                       CALL("layer1", "y")))) "\n"
                                                                                              "    return " CALL("fc",
                                                                                                  "torch.flatten(" CALL(
                                                                                                      "avgpool",
                                                                                                      "y") ", 1)") "\n",
        NULL },
    CLASSIFIER("vgg", "VGG"),
    CLASSIFIER("alexnet", "AlexNet"),
    { VISION "mobilenetv2", "MobileNetV2", NULL,
        CALL("classifier", "torch.flatten(torch.adaptive_avg_pool2d(" CALL("features", "x") ", [1, 1]), 1)"), NULL },
    { VISION "mobilenetv2", "InvertedResidual", "use_res_connect=True", "torch.add(x, " CALL("conv", "x") ")", NULL },
    { VISION "mobilenetv2", "InvertedResidual", NULL, CALL("conv", "x"), NULL },
    CLASSIFIER("mobilenetv3", "MobileNetV3"),
    { VISION "mobilenetv3", "InvertedResidual", "use_res_connect=True", "torch.add(" CALL("block", "x") ", x)", NULL },
    { VISION "mobilenetv3", "InvertedResidual", NULL, CALL("block", "x"), NULL },
    CLASSIFIER("efficientnet", "EfficientNet"),
    { VISION "efficientnet", "MBConv", "use_res_connect=True", "torch.add(" CALL("block", "x") ", x)", NULL },
    { VISION "efficientnet", "MBConv", NULL, CALL("block", "x"), NULL },
    { "torchvision.ops.misc", "SqueezeExcitation", NULL,
        "torch.mul(" CALL(
            "scale_activation", CALL("fc2", CALL("activation", CALL("fc1", CALL("avgpool", "x"))))) ", x)",
        NULL },
    { VISION "squeezenet", "SqueezeNet", NULL, "torch.flatten(" CALL("classifier", CALL("features", "x")) ", 1)",
        NULL },
    { VISION "squeezenet", "Fire", NULL,
        " y = " CALL(
            "squeeze_activation", CALL("squeeze", "x")) "\n"
                                                        "    return torch.cat([" CALL("expand1x1_activation",
                                                            CALL("expand1x1", "y")) ", " CALL("expand3x3_activation",
                                                            CALL("expand3x3", "y")) "], 1)\n",
        NULL },
    { 0 },
};

bool nn_knows(size_t i, struct format_item *out)
{
    enum { N = sizeof nn_rows / sizeof *nn_rows - 1 };
    if (i >= N) return false;
    const char *module = nn_rows[i].module;
    bool vision = module && !strncmp(module, "torchvision", strlen("torchvision"));
    const char *kind = vision ? "modules of torchvision, pickled whole" : "modules of torch.nn, pickled whole";
    *out = (struct format_item){ kind, nn_rows[i].name, strlen(nn_rows[i].name) };
    return true;
}
