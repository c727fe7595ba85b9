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
#define SHUT(name, op) \
    { \
        NULL, name, NULL, "torch." op "(x, self.lambd)", NULL \
    }
/* Sizes as the operators of a rank want them: one number each, or the factors in a list. */
#define RESIZE(when, more) \
    { \
        NULL, "Upsample", when, \
            " n = torch.sub(torch.dim(x), 2)\n" \
            "    if torch.__isnot__(self.size, None):\n      s = self.size\n      f = None\n" \
            "      if isinstance(self.size, int):\n        s = torch.mul([self.size], n)\n" \
            "      else:\n        s = self.size\n" \
            "    else:\n      s = None\n" \
            "      if isinstance(self.scale_factor, (list, tuple)):\n        f = self.scale_factor\n" \
            "      else:\n        f = torch.mul([float(self.scale_factor)], n)\n" more, \
            NULL \
    }
#define OF_RANK(op, args) \
    "    if torch.eq(n, 1):\n      y = torch." op "1d(x, s, " args "f)\n" \
    "    else:\n      if torch.eq(n, 2):\n        y = torch." op "2d(x, s, " args "f)\n" \
    "      else:\n        y = torch." op "3d(x, s, " args "f)\n" \
    "    return y\n"
#define CORNERS "torch.eq(self.align_corners, True), "
/* Every layer of a recurrent module begins with zeros. */
#define ZEROS(name, size) \
    name " = torch.zeros([torch.mul(self.num_layers, torch.add(1, int(self.bidirectional))), n, " size "])\n"
#define BATCH " n = torch.size(x, int(torch.__not__(self.batch_first)))\n"
#define LAYERS \
    "@weights, self.bias, self.num_layers, self.dropout, self.training, self.bidirectional, self.batch_first)\n"
#define CELL "self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)"
#define CELL_ZERO "torch.zeros([torch.size(x, 0), self.hidden_size])"
#define TURNED(x) x " = torch.transpose(" x ", 0, 1)\n"
#define ATTENTION(how) \
    " if torch.eq(torch.dim(x), 2):\n      ops.prim.RaiseException(\"a batch is needed\")\n    else:\n      " \
    "pass\n    if self.batch_first:\n      pass\n    else:\n" \
    "      " TURNED("x") "      " TURNED("key") "      " TURNED("value") how \
        "    if self.batch_first:\n      pass\n    else:\n      " TURNED("y") "    return (y, w,)\n"
#define FUSED \
    "    p = self.in_proj_weight\n    if torch.__is__(self.in_proj_bias, None):\n" \
    "      b = torch.zeros([torch.mul(self.embed_dim, 3)])\n    else:\n      b = self.in_proj_bias\n" \
    "    y, w, = torch._native_multi_head_attention(x, key, value, self.embed_dim, self.num_heads, p, b, " \
    "self.out_proj.weight, self.out_proj.bias, None, True, True, None)\n"
/* Step by step, with three matrices of their own or one for all, a learnt key and value behind the others (bias_k,
 * bias_v), and one of zeros: (N, L, E). */
#define HEADS(x) "    " x " = torch.transpose(torch.reshape(" x ", [n, -1, self.num_heads, d]), 1, 2)\n"
#define BY_STEPS(matrices) \
    matrices "    if torch.__is__(self.in_proj_bias, None):\n      bq = None\n      bk = None\n      bv = None\n" \
    "    else:\n      bq, bk, bv, = torch.chunk(self.in_proj_bias, 3, 0)\n" \
    "    q = torch.linear(x, wq, bq)\n    k = torch.linear(key, wk, bk)\n    v = torch.linear(value, wv, bv)\n" \
    "    n = torch.size(x, 0)\n    d = torch.floordiv(self.embed_dim, self.num_heads)\n" \
    "    if torch.__isnot__(self.bias_k, None):\n" \
    "      k = torch.cat([k, torch.repeat(self.bias_k, [n, 1, 1])], 1)\n" \
    "      v = torch.cat([v, torch.repeat(self.bias_v, [n, 1, 1])], 1)\n    else:\n      pass\n" \
    "    if self.add_zero_attn:\n      z = torch.zeros([n, 1, self.embed_dim])\n" \
    "      k = torch.cat([k, z], 1)\n      v = torch.cat([v, z], 1)\n    else:\n      pass\n" \
    HEADS("q") HEADS("k") HEADS("v") \
    "    s = torch.div(torch.matmul(q, torch.transpose(k, 2, 3)), torch.pow(float(d), 0.5))\n" \
    "    a = torch.softmax(s, -1)\n" \
    "    y = torch.reshape(torch.transpose(torch.matmul(a, v), 1, 2), [n, -1, self.embed_dim])\n" \
    "    y = (self.out_proj).forward(y)\n    w = torch.mean(a, [1])\n"
#define ONE_MATRIX "    wq, wk, wv, = torch.chunk(self.in_proj_weight, 3, 0)\n"
#define THREE_MATRICES "    wq = self.q_proj_weight\n    wk = self.k_proj_weight\n    wv = self.v_proj_weight\n"
#define MULTIHEAD(when, how) \
    { NULL, "MultiheadAttention", when, ATTENTION(how), "  batch_first : Final[bool] = False\n", "key value" }
#define OF(child, x) "(self." child ").forward(" x ")"
#define FEED(act, x) OF("linear2", act(OF("linear1", x)))
#define ACT_RELU(x) "torch.relu(" x ")"
#define ACT_GELU(x) "torch.gelu(" x ")"
#define ACT_OWN(x) OF("activation", x)
/* The activation is a function that was pickled by its name, or a module. */
/* clang-format off */
#define ENCODER_LAYER(when, act) \
    { NULL, "TransformerEncoderLayer", when, \
        " if self.norm_first:\n" \
        "      z = " OF("norm1", "x") "\n" \
        "      a, _0, = " OF("self_attn", "z, z, z") "\n" \
        "      y = torch.add(x, a)\n" \
        "      y = torch.add(y, " FEED(act, OF("norm2", "y")) ")\n" \
        "    else:\n" \
        "      a, _0, = " OF("self_attn", "x, x, x") "\n" \
        "      y = " OF("norm1", "torch.add(x, a)") "\n" \
        "      y = " OF("norm2", "torch.add(y, " FEED(act, "y") ")") "\n" \
        "    return y\n", \
        "  norm_first : Final[bool] = False\n" }
#define DECODER_LAYER(when, act) \
    { NULL, "TransformerDecoderLayer", when, \
        " if self.norm_first:\n" \
        "      z = " OF("norm1", "x") "\n" \
        "      a, _0, = " OF("self_attn", "z, z, z") "\n" \
        "      y = torch.add(x, a)\n" \
        "      b, _1, = " OF("multihead_attn", OF("norm2", "y") ", memory, memory") "\n" \
        "      y = torch.add(y, b)\n" \
        "      y = torch.add(y, " FEED(act, OF("norm3", "y")) ")\n" \
        "    else:\n" \
        "      a, _0, = " OF("self_attn", "x, x, x") "\n" \
        "      y = " OF("norm1", "torch.add(x, a)") "\n" \
        "      b, _1, = " OF("multihead_attn", "y, memory, memory") "\n" \
        "      y = " OF("norm2", "torch.add(y, b)") "\n" \
        "      y = " OF("norm3", "torch.add(y, " FEED(act, "y") ")") "\n" \
        "    return y\n", \
        "  norm_first : Final[bool] = False\n", "memory" }
/* clang-format on */
#define FINAL_NORM \
    "    if torch.__is__(self.norm, None):\n      y = x\n    else:\n      y = " OF("norm", "x") "\n    return y\n"

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
    RESIZE("mode=nearest", OF_RANK("upsample_nearest", "")),
    RESIZE("mode=linear", "    return torch.upsample_linear1d(x, s, " CORNERS "f)\n"),
    RESIZE("mode=bilinear", "    return torch.upsample_bilinear2d(x, s, " CORNERS "f)\n"),
    RESIZE("mode=bicubic", "    return torch.upsample_bicubic2d(x, s, " CORNERS "f)\n"),
    RESIZE("mode=trilinear", "    return torch.upsample_trilinear3d(x, s, " CORNERS "f)\n"),
    { NULL, "ModuleList", NULL,
        " ops.prim.RaiseException(\"a ModuleList does not say in which order it runs\")\n"
        "    return x\n",
        NULL },

    /* recurrent, and attention */
    { NULL, "LSTM", "proj_size",
        BATCH "    if torch.gt(self.proj_size, 0):\n      m = self.proj_size\n    else:\n"
              "      m = self.hidden_size\n    " ZEROS("h", "m") "    " ZEROS(
                  "c", "self.hidden_size") "    y, a, b, = torch.lstm(x, [h, c], " LAYERS "    return (y, (a, b,),)\n",
        NULL },
    { NULL, "LSTM", NULL,
        BATCH "    " ZEROS("h", "self.hidden_size") "    y, a, b, = torch.lstm(x, [h, h], " LAYERS
                                                    "    return (y, (a, b,),)\n",
        NULL },
    { NULL, "GRU", NULL,
        BATCH "    " ZEROS("h", "self.hidden_size") "    y, a, = torch.gru(x, h, " LAYERS "    return (y, a,)\n",
        NULL },
    { NULL, "RNN", "mode=RNN_RELU",
        BATCH "    " ZEROS("h", "self.hidden_size") "    y, a, = torch.rnn_relu(x, h, " LAYERS "    return (y, a,)\n",
        NULL },
    { NULL, "RNN", NULL,
        BATCH "    " ZEROS("h", "self.hidden_size") "    y, a, = torch.rnn_tanh(x, h, " LAYERS "    return (y, a,)\n",
        NULL },
    { NULL, "LSTMCell", NULL,
        " h = " CELL_ZERO "\n    a, b, = torch.lstm_cell(x, [h, h], " CELL "\n"
        "    return (a, b,)\n",
        NULL },
    UNARY("GRUCell", "torch.gru_cell(x, " CELL_ZERO ", " CELL),
    { NULL, "RNNCell", "nonlinearity=relu", "torch.rnn_relu_cell(x, " CELL_ZERO ", " CELL, NULL },
    UNARY("RNNCell", "torch.rnn_tanh_cell(x, " CELL_ZERO ", " CELL),
    MULTIHEAD("q_proj_weight", BY_STEPS(THREE_MATRICES)),
    MULTIHEAD("bias_k", BY_STEPS(ONE_MATRIX)),
    MULTIHEAD("add_zero_attn=True", BY_STEPS(ONE_MATRIX)),
    MULTIHEAD("in_proj_weight", FUSED),
    ENCODER_LAYER("activation=gelu", ACT_GELU),
    ENCODER_LAYER("activation=relu", ACT_RELU),
    ENCODER_LAYER("activation=", ACT_OWN),
    ENCODER_LAYER("!activation", ACT_RELU),
    DECODER_LAYER("activation=gelu", ACT_GELU),
    DECODER_LAYER("activation=relu", ACT_RELU),
    DECODER_LAYER("activation=", ACT_OWN),
    DECODER_LAYER("!activation", ACT_RELU),
    { NULL, "TransformerEncoder", NULL, " y = x\n@layers x = (@).forward(x)\n" FINAL_NORM, NULL },
    { NULL, "TransformerDecoder", NULL, " y = x\n@layers x = (@).forward(x, memory)\n" FINAL_NORM, NULL, "memory" },
    { NULL, "Transformer", NULL, OF("decoder", "target, " OF("encoder", "x")), NULL, "target" },

    /* the rest of torch.nn */
    { NULL, "UpsamplingNearest2d", NULL, "torch.upsample_nearest2d(x, None, [self.scale_factor, self.scale_factor])",
        NULL },
    { NULL, "UpsamplingBilinear2d", NULL,
        "torch.upsample_bilinear2d(x, None, True, [self.scale_factor, self.scale_factor])", NULL },
    SHUT("Hardshrink", "hardshrink"),
    SHUT("Softshrink", "softshrink"),
    UNARY("RReLU", "torch.rrelu(x, self.lower, self.upper, self.training)"),
    { NULL, "Softmin", "dim", "torch.softmax(torch.neg(x), self.dim)", NULL },
    UNARY("FeatureAlphaDropout", "torch.feature_alpha_dropout(x, self.p, self.training)"),
    UNARY("RMSNorm", "torch.rms_norm(x, self.normalized_shape, self.weight, self.eps)"),
    UNARY("Unflatten", "torch.unflatten(x, self.dim, self.unflattened_size)"),
    UNARY("Unfold", "torch.im2col(x, @pair(kernel_size), @pair(dilation), @pair(padding), @pair(stride))"),
    UNARY("Fold",
        "torch.col2im(x, @pair(output_size), @pair(kernel_size), @pair(dilation), @pair(padding), @pair(stride))"),
    { NULL, "AdaptiveMaxPool1d", NULL,
        "torch.select(torch.adaptive_max_pool2d(torch.unsqueeze(x, -2), [1, "
        "self.output_size])[0], -2, 0)",
        NULL },
    { NULL, "AdaptiveMaxPool2d", NULL, " y, _0, = torch.adaptive_max_pool2d(x, self.output_size)\n    return y\n",
        NULL },
    { NULL, "AdaptiveMaxPool3d", NULL, " y, _0, = torch.adaptive_max_pool3d(x, self.output_size)\n    return y\n",
        NULL },
    UNARY("ZeroPad1d", "torch.constant_pad_nd(x, self.padding, 0.)"),
    UNARY("ZeroPad3d", "torch.constant_pad_nd(x, self.padding, 0.)"),
    PAD("CircularPad1d", "circular"),
    PAD("CircularPad3d", "circular"),
    { NULL, "LocalResponseNorm", NULL,
        " y = torch.unsqueeze(torch.mul(x, x), 1)\n"
        "    y = torch.constant_pad_nd(y, [0, 0, 0, 0, torch.floordiv(self.size, 2), "
        "torch.floordiv(torch.sub(self.size, 1), 2)], 0.)\n"
        "    y = torch.squeeze(torch.avg_pool3d(y, [self.size, 1, 1], [1, 1, 1]), 1)\n"
        "    return torch.div(x, torch.pow(torch.add(torch.mul(y, self.alpha), self.k), self.beta))\n",
        NULL },
    { NULL, "Bilinear", NULL, "torch.bilinear(x, other, self.weight, self.bias)", NULL, "other" },
    { NULL, "CosineSimilarity", NULL, "torch.cosine_similarity(x, other, self.dim, self.eps)", NULL, "other" },
    { NULL, "PairwiseDistance", NULL, "torch.pairwise_distance(x, other, self.norm, self.eps, self.keepdim)", NULL,
        "other" },
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
