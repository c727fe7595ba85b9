#!/usr/bin/python3
"""operators.py - one operator at a time, beside ONNX Runtime: where a kernel of ours is missing shows here first.

    operators.py BUILD [--only "NAME;..."] [--seconds 0.1] [--page FILE]

Each is a model of its own over 64 x 128 x 128 random numbers of float32, one thread; the fastest run of each counts.
Written: the section "operators" of the page.
"""
import argparse
import os
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import bench
import page

SHAPE = [1, 64, 128, 128]
F32, I64, X = np.float32, np.int64, "x"
CHANNELS = np.full((64, 1, 1), 0.2, F32)
INT64, BOOL, U8 = TensorProto.INT64, TensorProto.BOOL, TensorProto.UINT8
PLAIN = ["Abs", "Ceil", "Cos", "Elu", "Erf", "Exp", "Floor", "GlobalAveragePool", "GlobalMaxPool", "HardSigmoid",
         "HardSwish", "LeakyRelu", "Mish", "Neg", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin",
         "Softplus", "Softsign", "Tanh"]


class Node:
    """An operator on X, constants, other nodes, (node, output), or nothing (None). shape: of X, where it is another
    one."""
    def __init__(self, op, *inputs, shape=None, outputs=1, opset=None, **attributes):
        self.op, self.inputs, self.outputs, self.attributes = op, inputs or (X,), outputs, attributes
        self.shape, self.opset = shape or SHAPE, opset or {"HardSwish": 14, "Mish": 18}.get(op, 13)


NOT_FLOAT = ["And", "ArgMax", "Cast", "DynamicQuantizeLinear", "Equal", "Greater", "IsNaN", "MatMulInteger",
             "NonMaxSuppression", "NonZero", "Not", "QuantizeLinear"]


def is_integer(row):
    """Whether its result is: of arithmetic on what was cast."""
    first = row.inputs[0]
    return row.op in ("Add", "Mod", "Mul") and isinstance(first, Node) and first.op == "Cast"


def dynamic(weight, zero):
    """A product as dynamic quantization leaves it: the image's zero point is known in the run only."""
    x = Node("DynamicQuantizeLinear", shape=[1, 197, 768], outputs=3)
    return Node("MatMulInteger", (x, 0), weight, (x, 2), zero, shape=x.shape)


def whole(*values):
    return np.array(values, I64)


def full(*dims):
    return np.full(dims, 0.1, F32)


def places(limit, *dims):
    """Indices below `limit`, in no order."""
    return (np.arange(np.prod(dims), dtype=I64) * 7919 % limit).reshape(dims)


def typed(to, x=X):
    return Node("Cast", x, to=to)


def boxes(n):
    """Corners within 0 .. 50, y1 x1 y2 x2."""
    at = np.stack([places(40, n), places(37, n)], 1).astype(F32)
    return np.concatenate([at, at + 2 + np.stack([places(11, n), places(7, n)], 1)], 1).astype(F32)


def grid(*dims):
    lines = np.meshgrid(*[np.linspace(-1, 0.9, n, dtype=F32) for n in dims], indexing="ij")
    return np.stack(lines[::-1], -1)[None] ** 3


def scales(*by):
    return np.zeros(0, F32), np.array(by, F32)


IMAGE = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
SAME = {"pads": [1, 1, 1, 1]}
ROWS = {name: Node(name) for name in PLAIN}
ROWS.update({
    "Add, a channel": Node("Add", X, CHANNELS),
    "Add, int64": Node("Add", typed(INT64), typed(INT64)),
    "And": Node("And", Node("Greater", X, F32(0.1)), Node("Less", X, F32(0.5))),
    "ArgMax, channels": Node("ArgMax", axis=1),
    "ArgMax, last": Node("ArgMax", axis=3),
    "AveragePool 2x2": Node("AveragePool", kernel_shape=[2, 2], strides=[2, 2]),
    "AveragePool 3x3": Node("AveragePool", **IMAGE),
    "AveragePool 3x3, stride 1": Node("AveragePool", kernel_shape=[3, 3], **SAME),
    "BatchNormalization": Node("BatchNormalization", X, full(64), full(64), full(64), full(64)),
    "Cast to bool": Node("Cast", to=BOOL),
    "Cast to float16": Node("Cast", to=TensorProto.FLOAT16),
    "Cast to int32": Node("Cast", to=TensorProto.INT32),
    "Cast to int64": Node("Cast", to=INT64),
    "Clip": Node("Clip", X, F32(0), F32(6)),
    "Concat, channels": Node("Concat", X, X, axis=1),
    "Concat, last": Node("Concat", X, X, axis=3),
    "Conv 1-D": Node("Conv", X, full(64, 64, 9), pads=[4, 4], shape=[1, 64, 4000]),
    "Conv 1-D, depthwise": Node("Conv", X, full(256, 1, 31), pads=[15, 15], group=256, shape=[1, 256, 1000]),
    "Conv 1x1": Node("Conv", X, full(64, 64, 1, 1)),
    "Conv 1x1, 16 groups": Node("Conv", X, full(64, 4, 1, 1), group=16),
    "Conv 3-D": Node("Conv", X, full(32, 16, 3, 3, 3), pads=[1] * 6, shape=[1, 16, 16, 32, 32]),
    "Conv 3x3, stride 2": Node("Conv", X, full(64, 64, 3, 3), strides=[2, 2], **SAME),
    "Conv 3x3": Node("Conv", X, full(64, 64, 3, 3), **SAME),
    "Conv 3x3, 3 channels": Node("Conv", X, full(32, 3, 3, 3), pads=[1, 1, 1, 1], strides=[2, 2],
                                 shape=[1, 3, 224, 224]),
    "Conv 3x3, 16 groups": Node("Conv", X, full(64, 4, 3, 3), group=16, **SAME),
    "Conv 3x3, depthwise": Node("Conv", X, full(64, 1, 3, 3), group=64, **SAME),
    "Conv 3x3, depthwise, stride 2": Node("Conv", X, full(64, 1, 3, 3), group=64, strides=[2, 2], **SAME),
    "Conv 3x3, dilated": Node("Conv", X, full(64, 64, 3, 3), dilations=[2, 2], pads=[2, 2, 2, 2]),
    "Conv 5x5, depthwise": Node("Conv", X, full(64, 1, 5, 5), group=64, pads=[2, 2, 2, 2]),
    "Conv 7x7, depthwise": Node("Conv", X, full(64, 1, 7, 7), group=64, pads=[3, 3, 3, 3]),
    "ConvTranspose 2x2": Node("ConvTranspose", X, full(64, 32, 2, 2), strides=[2, 2]),
    "ConvTranspose 4x4": Node("ConvTranspose", X, full(64, 32, 4, 4), **dict(SAME, strides=[2, 2])),
    "CumSum": Node("CumSum", X, np.array(3, I64)),
    "CumSum, channels": Node("CumSum", X, np.array(1, I64)),
    "DepthToSpace": Node("DepthToSpace", blocksize=2),
    "DepthToSpace, CRD": Node("DepthToSpace", blocksize=2, mode="CRD"),
    "DynamicQuantizeLinear": Node("DynamicQuantizeLinear", outputs=3),
    "DequantizeLinear": Node("DequantizeLinear", typed(U8), F32(0.02), np.uint8(7)),
    "Div, a channel": Node("Div", X, CHANNELS),
    "Einsum": Node("Einsum", X, X, equation="bhqd,bhkd->bhqk", shape=[1, 12, 197, 64]),
    "Equal": Node("Equal", X, Node("Neg", X)),
    "Expand": Node("Expand", X, whole(1, 64, 128, 128), shape=[1, 64, 1, 128]),
    "Gather, channels": Node("Gather", X, whole(*range(63, -1, -1)), axis=1),
    "Gather, embeddings": Node("Gather", full(30000, 768), typed(INT64, Node("Abs", X)), shape=[8, 128]),
    "Gather, last": Node("Gather", X, places(128, 128), axis=3),
    "GatherElements, channels": Node("GatherElements", X, places(64, *SHAPE), axis=1),
    "GatherElements, last": Node("GatherElements", X, places(128, *SHAPE), axis=3),
    "GatherND": Node("GatherND", X, np.stack([places(1, 4096), places(64, 4096), places(128, 4096)], -1)),
    "Gelu": Node("Gelu", opset=20),
    "Gemm, 1 row": Node("Gemm", X, full(1024, 1024), full(1024), shape=[1, 1024]),
    "Gemm, 4 rows": Node("Gemm", X, full(1024, 1024), full(1024), shape=[4, 1024]),
    "Gather, channels last": Node("Gather", X, places(96, 96), axis=2, shape=[1, 3136, 96]),
    "Greater": Node("Greater", X, F32(0.1)),
    "GridSample": Node("GridSample", X, grid(128, 128), opset=16),
    "GridSample, nearest": Node("GridSample", X, grid(128, 128), opset=16, mode="nearest"),
    "GroupNormalization": Node("GroupNormalization", X, full(64), full(64), num_groups=8, opset=21),
    "GRU": Node("GRU", X, full(1, 768, 256), full(1, 768, 256), full(1, 1536), hidden_size=256, linear_before_reset=1,
                shape=[50, 1, 256]),
    "InstanceNormalization": Node("InstanceNormalization", X, np.ones(64, F32), np.ones(64, F32)),
    "IsNaN": Node("IsNaN"),
    "LRN": Node("LRN", size=5),
    "LayerNormalization": Node("LayerNormalization", X, full(768), full(768), opset=17, shape=[1, 1024, 768]),
    "Log": Node("Log", Node("Add", X, F32(2))),
    "LogSoftmax, last": Node("LogSoftmax", axis=3),
    "LpNormalization": Node("LpNormalization", axis=1),
    "LSTM": Node("LSTM", X, full(1, 1024, 256), full(1, 1024, 256), full(1, 2048), hidden_size=256,
                 shape=[50, 1, 256]),
    "MatMul": Node("MatMul", X, full(768, 768), shape=[1, 197, 768]),
    "MatMul, 1 row": Node("MatMul", X, full(768, 768), shape=[1, 1, 768]),
    "MatMul, heads": Node("MatMul", X, Node("Transpose", X, perm=[0, 1, 3, 2]), shape=[1, 12, 197, 64]),
    "MatMul, small": Node("MatMul", X, Node("Neg", X), shape=[4096, 8, 8]),
    "MatMulInteger, dynamic": dynamic(np.full((768, 768), 3, np.int8), np.int8(0)),
    "MatMulInteger, int8": Node("MatMulInteger", typed(U8), np.full((768, 768), 3, np.int8), np.uint8(5),
                                shape=[1, 197, 768]),
    "MatMulInteger": Node("MatMulInteger", typed(U8), np.full((768, 768), 3, np.uint8), np.uint8(5), np.uint8(7),
                          shape=[1, 197, 768]),
    "Max": Node("Max", X, F32(0.3)),
    "MaxPool 2x2": Node("MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
    "MaxPool 3x3": Node("MaxPool", **IMAGE),
    "MaxPool 3x3, stride 1": Node("MaxPool", kernel_shape=[3, 3], **SAME),
    "MaxPool 5x5, stride 1": Node("MaxPool", kernel_shape=[5, 5], pads=[2, 2, 2, 2]),
    "Mean": Node("Mean", X, Node("Neg", X)),
    "Mod": Node("Mod", X, F32(0.3), fmod=1),
    "Mod, int64": Node("Mod", typed(INT64), np.array(7, I64)),
    "Mul, int64": Node("Mul", typed(INT64), typed(INT64)),
    "Mul, rows": Node("Mul", X, full(1, 64, 128, 1)),
    "NonMaxSuppression": Node("NonMaxSuppression", boxes(2000)[None], X, whole(50), F32(0.5), F32(0.2), opset=11,
                              shape=[1, 20, 2000]),
    "NonZero": Node("NonZero", Node("Greater", X, F32(0.1))),
    "Not": Node("Not", Node("Greater", X, F32(0.1))),
    "OneHot": Node("OneHot", typed(INT64, Node("Abs", X)), whole(100), np.array([0, 1], F32), shape=[1, 10000]),
    "Pad, constant": Node("Pad", X, whole(0, 0, 1, 1, 0, 0, 1, 1)),
    "Pad, reflect": Node("Pad", X, whole(0, 0, 1, 1, 0, 0, 1, 1), mode="reflect"),
    "Pow, 2": Node("Pow", X, F32(2)),
    "Pow, 2.5": Node("Pow", Node("Abs", X), F32(2.5)),
    "PRelu": Node("PRelu", X, CHANNELS),
    "QuantizeLinear": Node("QuantizeLinear", X, F32(0.02), np.uint8(7)),
    "RMSNormalization": Node("RMSNormalization", X, full(768), opset=23, shape=[1, 1024, 768]),
    "Reciprocal": Node("Reciprocal", Node("Add", X, F32(2))),
    "ReduceL2, last": Node("ReduceL2", axes=[3]),
    "ReduceLogSumExp, last": Node("ReduceLogSumExp", axes=[3]),
    "ReduceMax, channels": Node("ReduceMax", axes=[1]),
    "ReduceMax, last": Node("ReduceMax", axes=[3]),
    "ReduceMean, channels": Node("ReduceMean", axes=[1]),
    "ReduceMean, images": Node("ReduceMean", axes=[2, 3]),
    "ReduceMean, last": Node("ReduceMean", axes=[3]),
    "ReduceMin, last": Node("ReduceMin", axes=[3]),
    "ReduceProd, last": Node("ReduceProd", axes=[3]),
    "ReduceSum, last": Node("ReduceSum", X, whole(3)),
    "ReduceSum, two apart": Node("ReduceSum", X, whole(1, 3)),
    "Resize, cubic down": Node("Resize", X, *scales(1, 1, 0.5, 0.5), mode="cubic"),
    "Resize, linear down": Node("Resize", X, *scales(1, 1, 0.5, 0.5), mode="linear"),
    "Resize, corners": Node("Resize", X, *scales(1, 1, 2, 2), mode="linear",
                            coordinate_transformation_mode="align_corners"),
    "Resize, cubic": Node("Resize", X, *scales(1, 1, 1.5, 1.5), mode="cubic"),
    "Resize, linear": Node("Resize", X, *scales(1, 1, 2, 2), mode="linear"),
    "Resize, nearest": Node("Resize", X, *scales(1, 1, 2, 2), nearest_mode="floor",
                            coordinate_transformation_mode="asymmetric"),
    "RoiAlign": Node("RoiAlign", X, boxes(300), np.zeros(300, I64), opset=16, output_height=7, output_width=7,
                     sampling_ratio=2, shape=[1, 256, 50, 50]),
    "ScatterElements": Node("ScatterElements", X, places(128, 1, 64, 128, 64), full(1, 64, 128, 64), axis=3),
    "ScatterND": Node("ScatterND", X, np.stack([places(1, 4096), places(64, 4096), places(127, 4096)], -1),
                      full(4096, 128)),
    "Shuffle of channels": Node("Reshape", Node("Transpose", Node("Reshape", X, whole(1, 2, 32, 128, 128)),
                                                perm=[0, 2, 1, 3, 4]), whole(*SHAPE)),
    "Slice, every other": Node("Slice", X, whole(0, 0), whole(128, 128), whole(2, 3), whole(2, 2)),
    "Slice, part": Node("Slice", X, whole(8, 8), whole(120, 120), whole(2, 3)),
    "Softmax, channels": Node("Softmax", axis=1),
    "Softmax, last": Node("Softmax", axis=3),
    "Softmax, 49": Node("Softmax", axis=2, shape=[64, 147, 49]),
    "Softmax, 197": Node("Softmax", axis=2, shape=[12, 197, 197]),
    "Softmax, 1000": Node("Softmax", axis=1, shape=[256, 1000]),
    "SpaceToDepth": Node("SpaceToDepth", blocksize=2),
    "Split, channels": Node("Split", axis=1, outputs=2),
    "Split, last": Node("Split", axis=3, outputs=2),
    "Sqrt": Node("Sqrt", Node("Add", X, F32(2))),
    "Sub, rows": Node("Sub", X, full(1, 64, 128, 1)),
    "Tile": Node("Tile", X, whole(1, 2, 1, 2)),
    "TopK, channels": Node("TopK", X, whole(5), axis=1, outputs=2),
    "TopK, last": Node("TopK", X, whole(5), axis=3, outputs=2),
    "TopK, of 8400": Node("TopK", X, whole(300), axis=1, outputs=2, shape=[8, 8400]),
    "Transpose to the last": Node("Transpose", perm=[0, 2, 3, 1]),
    "Transpose from the last": Node("Transpose", perm=[0, 3, 1, 2]),
    "Transpose of heads": Node("Transpose", perm=[0, 2, 1, 3], shape=[1, 197, 12, 64]),
    "Transpose, the last two": Node("Transpose", perm=[0, 1, 3, 2]),
    "Trilu": Node("Trilu", opset=14),
    "Transpose of windows": Node("Transpose", perm=[0, 1, 3, 2, 4, 5], shape=[1, 8, 7, 8, 7, 96]),
    "Unique": Node("Unique", shape=[100000]),
    "Where": Node("Where", Node("Greater", X, F32(0.1)), X, F32(0)),
    "Where, a mask": Node("Where", np.arange(128) % 3 == 0, X, F32(0)),
})


def model(row):
    """The row's operator, and what brings another type of result back to float32."""
    nodes, constants, made = [], [], {}

    def name_of(x, output=0):
        if isinstance(x, tuple):
            return name_of(*x)
        if isinstance(x, Node):
            if x not in made:
                inputs = [name_of(i) for i in x.inputs]
                made[x] = [f"n{len(nodes)}_{i}" for i in range(x.outputs)]
                nodes.append(helper.make_node(x.op, inputs, made[x], **x.attributes))
            return made[x][output]
        if isinstance(x, str) or x is None:
            return x or ""
        constants.append(numpy_helper.from_array(np.asarray(x), f"c{len(constants)}"))
        return constants[-1].name

    name_of(typed(TensorProto.FLOAT, row) if row.op in NOT_FLOAT or is_integer(row) else row)
    nodes[-1].output[0] = "y"
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(X, TensorProto.FLOAT, row.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], constants)
    whole_model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", row.opset)])
    whole_model.ir_version = 10
    return whole_model


def times(options, path, shape):
    tail = [path, "1"] + [str(n) for n in shape]
    found = []
    for command in ([f"{options.build}/bench/tenrec-peer", "infer"],
                    [f"{options.build}/bench/ort-peer", bench.ort_library(options.build)]):
        peer = bench.Peer("", command + tail)
        if not peer.facts:
            return None
        for _ in range(2):
            peer.turn(options.seconds)
        found.append(min(run[0] for turn in peer.runs for run in turn))
        peer.close()
    return found


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("build")
    words.add_argument("--only")
    words.add_argument("--seconds", type=float, default=0.1)
    words.add_argument("--page", default="performance.md")
    options = words.parse_args()
    lines = [f"Machine: {bench.machine()}.", "", "| operator | Tenrec ms | ONNX Runtime ms | times |",
             "|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        for name in options.only.split(";") if options.only else sorted(ROWS):
            path = os.path.join(folder, "one.onnx")
            onnx.save(model(ROWS[name]), path)
            found = times(options, path, ROWS[name].shape)
            if found:
                lines.append(f"| {name} | {found[0]:.2f} | {found[1]:.2f} | {found[1] / found[0]:.2f} |")
                print(lines[-1], flush=True)
    page.put(options.page, "operators", "\n".join(lines))


if __name__ == "__main__":
    main()
