#!/usr/bin/python3
"""caffe_layers.py - makes tests/golden/caffe: nets of one layer with their weights in the text; the blobs of a last
layer, which does nothing, are the inputs and what OpenCV's dnn module or NumPy makes of them.
Run by hand: /usr/bin/python3 tests/oracle/caffe_layers.py tests/golden/caffe tests/golden/caffe_hdf5"""
import struct
import sys

import cv2
import h5py
import numpy as np

rng = np.random.default_rng(7)


def varint(n):
    out = b""
    while True:
        low, n = n & 127, n >> 7
        out += bytes([low | (128 if n else 0)])
        if not n:
            return out


def span(number, data):
    data = data.encode() if isinstance(data, str) else data
    return varint(number << 3 | 2) + varint(len(data)) + data


def blob_wire(a):
    return span(7, span(1, b"".join(varint(d) for d in a.shape))) + span(5, a.astype("<f4").tobytes())


def blob_text(a):
    numbers = ", ".join("%.9g" % x for x in a.astype(np.float32).ravel())
    return "  blobs { shape { dim: [%s] } data: [%s] }\n" % (", ".join(map(str, a.shape)), numbers)


def layer(kind, bottoms, tops, params=""):
    text = "".join('  bottom: "%s"\n' % b for b in bottoms) + "".join('  top: "%s"\n' % t for t in tops)
    return 'layer {\n  name: "out" type: "%s"\n%s  %s\n' % (kind, text, params)


def inputs_text(arrays):
    return "".join('layer { name: "in%d" type: "Input" top: "in%d" input_param { shape { dim: [%s] } } }\n'
                   % (i, i, ", ".join(map(str, a.shape))) for i, a in enumerate(arrays))


def by_opencv(head, body, kind, blobs, arrays, top="out"):
    weights = span(100, span(1, "out") + span(2, kind) + b"".join(span(7, blob_wire(b)) for b in blobs))
    net = cv2.dnn.readNetFromCaffe(np.frombuffer((head + body + "}\n").encode(), np.uint8),
                                   np.frombuffer(span(1, "net") + weights, np.uint8))
    net.enableFusion(False)
    for i, a in enumerate(arrays):
        net.setInput(a, "in%d" % i)
    return net.forward(top)


def signed(*shape):
    return rng.standard_normal(shape).astype(np.float32)


X = signed(1, 4, 7, 6)
P = np.abs(X) + 0.1


def cases():
    """name, type, parameters, weights, inputs, a function of the inputs (None: OpenCV)"""
    conv = "convolution_param { num_output: 6 "
    yield "conv", "Convolution", conv + "kernel_size: 3 pad: 1 stride: 2 }", [signed(6, 4, 3, 3), signed(6)], [X], None
    yield "conv_hw", "Convolution", conv + "kernel_h: 1 kernel_w: 3 pad_h: 0 pad_w: 1 group: 2 bias_term: false }", \
        [signed(6, 2, 1, 3)], [X], None
    yield "conv_dilated", "Convolution", conv + "kernel_size: 3 dilation: 2 pad: 2 }", \
        [signed(6, 4, 3, 3), signed(6)], [X], None
    yield "deconv", "Deconvolution", conv + "kernel_size: 4 stride: 2 pad: 1 }", [signed(4, 6, 4, 4), signed(6)], \
        [X], None
    yield "deconv_group", "Deconvolution", "convolution_param { num_output: 4 group: 4 kernel_size: 3 stride: 2 " \
        "bias_term: false }", [signed(4, 1, 3, 3)], [X], None
    for pool in ("MAX", "AVE"):
        for k, s, p in ((3, 2, 0), (3, 2, 1), (2, 2, 0), (5, 3, 2), (2, 3, 1)):
            yield "pool_%s_%d%d%d" % (pool.lower(), k, s, p), "Pooling", \
                "pooling_param { pool: %s kernel_size: %d stride: %d pad: %d }" % (pool, k, s, p), [], [X], None
    yield "pool_global", "Pooling", "pooling_param { pool: AVE global_pooling: true }", [], [X], None
    yield "product", "InnerProduct", "inner_product_param { num_output: 5 }", [signed(5, 168), signed(5)], [X], None
    yield "product_turned", "InnerProduct", "inner_product_param { num_output: 5 transpose: true }", \
        [signed(168, 5), signed(5)], [X], lambda x, w, b: x.reshape(1, -1) @ w + b
    yield "product_axis", "InnerProduct", "inner_product_param { num_output: 5 axis: 2 bias_term: false }", \
        [signed(5, 42)], [X], lambda x, w: x.reshape(1, 4, 42) @ w.T
    yield "embed", "Embed", "embed_param { num_output: 3 input_dim: 5 }", [signed(5, 3), signed(3)], \
        [np.float32([[1, 4, 0]])], lambda x, w, b: w[x.astype(int)] + b
    yield "lrn", "LRN", "lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 k: 2 }", [], [X], lrn_across
    yield "lrn_within", "LRN", "lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 norm_region: WITHIN_CHANNEL }", [], \
        [X], lrn_within
    yield "batch_norm", "BatchNorm", "batch_norm_param { eps: 0.001 }", \
        [signed(4), np.abs(signed(4)), np.float32([2.5])], [X], None
    yield "batch_norm_0", "BatchNorm", "", [signed(4), np.abs(signed(4)), np.float32([0])], [X], \
        lambda x, m, v, f: x / np.sqrt(1e-5)
    yield "scale", "Scale", "scale_param { bias_term: true }", [signed(4), signed(4)], [X], None
    yield "scale_axes", "Scale", "scale_param { axis: 2 num_axes: 2 }", [signed(7, 6)], [X], lambda x, w: x * w
    yield "scale_two", "Scale", "scale_param { axis: 0 }", [], [X, signed(1, 4)], lambda x, w: x * w[:, :, None, None]
    yield "bias", "Bias", "", [signed(4)], [X], lambda x, b: x + b[:, None, None]
    yield "prelu", "PReLU", "", [signed(4)], [X], None
    yield "prelu_shared", "PReLU", "prelu_param { channel_shared: true }", [np.float32([0.3])], [X], \
        lambda x, w: np.where(x < 0, x * w, x)
    yield "relu_leaky", "ReLU", "relu_param { negative_slope: 0.1 }", [], [X], None
    yield "elu", "ELU", "elu_param { alpha: 0.7 }", [], [X], lambda x: np.where(x < 0, 0.7 * np.expm1(x), x)
    yield "bnll", "BNLL", "", [], [X], None
    yield "power", "Power", "power_param { power: 2 scale: 0.5 shift: -1 }", [], [X], None
    yield "exp", "Exp", "exp_param { base: 2 scale: 0.5 shift: 1 }", [], [X], lambda x: 2 ** (0.5 * x + 1)
    yield "log", "Log", "log_param { base: 10 scale: 2 shift: 1 }", [], [P], lambda x: np.log10(2 * x + 1)
    yield "threshold", "Threshold", "threshold_param { threshold: 0.25 }", [], [X], lambda x: x > 0.25
    yield "swish", "Swish", "swish_param { beta: 1.5 }", [], [X], lambda x: x / (1 + np.exp(-1.5 * x))
    yield "sum", "Eltwise", "eltwise_param { coeff: 0.5 coeff: -2 }", [], [X, P], lambda x, y: 0.5 * x - 2 * y
    yield "prod", "Eltwise", "eltwise_param { operation: PROD }", [], [X, P], lambda x, y: x * y
    yield "max", "Eltwise", "eltwise_param { operation: MAX }", [], [X, P], np.maximum
    yield "axpy", "Axpy", "", [], [signed(1, 4, 1, 1), X, P], lambda a, x, y: a * x + y
    yield "mvn", "MVN", "", [], [X], lambda x: mvn(x, (2, 3))
    yield "mvn_across", "MVN", "mvn_param { across_channels: true normalize_variance: false }", [], [X], \
        lambda x: x - x.mean((1, 2, 3), keepdims=True)
    yield "normalize", "Normalize", "norm_param { across_spatial: false channel_shared: false }", \
        [np.abs(signed(4))], [X], lambda x, w: x / np.sqrt((x * x).sum(1, keepdims=True) + 1e-10) * w[:, None, None]
    yield "softmax", "Softmax", "softmax_param { axis: 2 }", [], [X], None
    yield "asum", "Reduction", "reduction_param { operation: ASUM axis: 2 coeff: 0.5 }", [], [X], \
        lambda x: np.abs(x).sum((2, 3)) * 0.5
    yield "argmax", "ArgMax", "argmax_param { top_k: 2 axis: 1 }", [], [np.round(X)], \
        lambda x: argmax(x, 1, 2)
    yield "argmax_flat", "ArgMax", "argmax_param { out_max_val: true top_k: 3 }", [], [X], argmax_flat
    yield "crop", "Crop", "crop_param { axis: 2 offset: 1 offset: 2 }", [], [X, signed(1, 4, 3, 3)], \
        lambda x, y: x[:, :, 1:4, 2:5]
    yield "reshape", "Reshape", "reshape_param { shape { dim: 2 dim: -1 } axis: 1 num_axes: 2 }", [], [X], \
        lambda x: x.reshape(1, 2, 14, 6)
    yield "flatten", "Flatten", "flatten_param { axis: 1 end_axis: 2 }", [], [X], lambda x: x.reshape(1, 28, 6)
    yield "permute", "Permute", "permute_param { order: 0 order: 2 }", [], [X], lambda x: x.transpose(0, 2, 1, 3)
    yield "tile", "Tile", "tile_param { axis: 2 tiles: 3 }", [], [X], lambda x: np.tile(x, (1, 1, 3, 1))
    yield "reindex", "BatchReindex", "", [], [signed(3, 2), np.float32([2, 0, 2])], lambda x, i: x[i.astype(int)]
    yield "filter", "Filter", "", [], [signed(3, 2), np.float32([1, 0, 1])], lambda x, s: x[s != 0]
    yield "interp", "Interp", "interp_param { zoom_factor: 2 pad_beg: -1 }", [], [X], interp
    yield "upsample", "Upsample", "upsample_param { scale: 2 }", [], [X], lambda x: x.repeat(2, 2).repeat(2, 3)
    yield "shuffle", "ShuffleChannel", "shuffle_channel_param { group: 2 }", [], [X], \
        lambda x: x.reshape(1, 2, 2, 7, 6).transpose(0, 2, 1, 3, 4).reshape(x.shape)
    yield "im2col", "Im2col", "convolution_param { kernel_size: 2 stride: 2 }", [], [X], im2col
    yield "spp", "SPP", "spp_param { pyramid_height: 2 }", [], [X], spp
    yield "roi", "ROIPooling", "roi_pooling_param { pooled_h: 2 pooled_w: 2 spatial_scale: 0.5 }", [], \
        [X, np.float32([[0, 0, 2, 9, 11], [0, 4, 4, 8, 8]])], roi
    yield "prior", "PriorBox", "prior_box_param { min_size: 30 max_size: 60 aspect_ratio: 2 aspect_ratio: 3 " \
        "clip: true variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 offset: 0.5 }", [], \
        [X, signed(1, 3, 70, 60)], None


def lrn_across(x):
    squares = np.pad(x * x, ((0, 0), (1, 1), (0, 0), (0, 0)))
    return x * (2 + 0.5 / 3 * (squares[:, :-2] + squares[:, 1:-1] + squares[:, 2:])) ** -0.75


def lrn_within(x):
    s = np.pad(x * x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    mean = sum(s[:, :, i:i + 7, k:k + 6] for i in range(3) for k in range(3)) / 9
    return x * (1 + 0.5 * mean) ** -0.75


def mvn(x, axes):
    c = x - x.mean(axes, keepdims=True)
    return c / (np.sqrt((c * c).mean(axes, keepdims=True)) + 1e-9)


def argmax(x, axis, k):
    """among equals the last index first, as Caffe's pairs sort"""
    return x.shape[axis] - 1 - np.argsort(-np.flip(x, axis), axis=axis, kind="stable")[:, :k]


def argmax_flat(x):
    flat = x.reshape(1, -1)
    index = np.argsort(-flat, axis=1)[:, :3]
    return np.stack([index.astype(np.float32), np.take_along_axis(flat, index, 1)], 1)


def interp(x):
    x = x[:, :, 1:, 1:]
    h, w = x.shape[2:]
    rows, columns = np.linspace(0, h - 1, 2 * h - 1), np.linspace(0, w - 1, 2 * w - 1)
    r, c = np.minimum(rows.astype(int), h - 2), np.minimum(columns.astype(int), w - 2)
    fr, fc = (rows - r)[:, None], columns - c
    top = x[:, :, r][:, :, :, c] * (1 - fc) + x[:, :, r][:, :, :, c + 1] * fc
    low = x[:, :, r + 1][:, :, :, c] * (1 - fc) + x[:, :, r + 1][:, :, :, c + 1] * fc
    return top * (1 - fr) + low * fr


def im2col(x):
    return np.stack([x[:, :, i:i + 5:2, k:k + 5:2] for i in range(2) for k in range(2)], 2).reshape(1, 16, 3, 3)


def spp(x):
    """level 0: all; level 1: 4 x 3 windows, padded by (1, 0)"""
    rows = ((0, 3), (3, 7))
    cells = [x[:, :, a:b, c:d].max((2, 3)) for a, b in rows for c, d in ((0, 3), (3, 6))]
    return np.concatenate([x.max((2, 3)), np.stack(cells, 2).reshape(1, -1)], 1)


def roi(x, regions):
    """corners rounded, both ends inside; bins reach from floor to ceiling"""
    out = np.zeros((len(regions), 4, 2, 2), np.float32)
    for n, region in enumerate(regions):
        left, top, right, bottom = np.floor(region[1:] * 0.5 + 0.5).astype(int)
        h, w = max(bottom - top + 1, 1) / 2, max(right - left + 1, 1) / 2
        for i in range(2):
            for k in range(2):
                rows = slice(top + int(np.floor(i * h)), top + int(np.ceil((i + 1) * h)))
                columns = slice(left + int(np.floor(k * w)), left + int(np.ceil((k + 1) * w)))
                out[n, :, i, k] = x[0, :, rows, columns].max((1, 2))
    return out


def main(folder):
    for name, kind, params, blobs, arrays, function in cases():
        head = inputs_text(arrays)
        body = layer(kind, ["in%d" % i for i in range(len(arrays))], ["out"], params)
        want = by_opencv(head, body, kind, blobs, arrays) if function is None else function(*arrays, *blobs)
        golden = 'layer {\n  name: "golden" type: "Silence"\n' + "".join(
            blob_text(np.asarray(a, np.float32)) for a in [*arrays, want])
        with open("%s/%s.prototxt" % (folder, name), "w") as f:
            f.write(head + body + "".join(blob_text(b) for b in blobs) + "}\n" + golden + "}\n")


def hdf5(folder):
    """the same with weights in HDF5, as Caffe saves them"""
    w, b, s, x = signed(3, 4), signed(3), rng.standard_normal(3), signed(2, 4)
    with h5py.File(folder + "/net.caffemodel.h5", "w") as f:
        data = f.create_group("data")
        product = data.create_group("block/ip")
        product.create_dataset("0", data=w)
        product.create_dataset("1", data=b)
        data.create_group("scale").create_dataset("0", data=s)
    with open(folder + "/net.prototxt", "w") as f:
        f.write(inputs_text([x]))
        f.write('layer { name: "block/ip" type: "InnerProduct" bottom: "in0" top: "ip" '
                'inner_product_param { num_output: 3 } }\nlayer { name: "scale" type: "Scale" bottom: "ip" '
                'top: "out" }\n')
        f.write('layer {\n  name: "golden" type: "Silence"\n%s%s}\n' % (blob_text(x), blob_text((x @ w.T + b) * s)))


if __name__ == "__main__":
    main(sys.argv[1])
    hdf5(sys.argv[2])
