#!/usr/bin/python3
"""operators.py - one operator at a time, beside ONNX Runtime: where a kernel of ours is missing shows here first.

    operators.py BUILD [--only NAME,...] [--seconds 0.1] [--page FILE]

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
F32, I64 = np.float32, np.int64
CHANNELS = np.full((64, 1, 1), 0.2, F32)
PLAIN = ["Abs", "Ceil", "Elu", "Erf", "Exp", "Floor", "GlobalAveragePool", "GlobalMaxPool", "HardSigmoid", "HardSwish",
         "LeakyRelu", "Neg", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign",
         "Tanh"]
# Name: (operator, attributes, constants behind x).
ROWS = {name: (name, {}, []) for name in PLAIN}
ROWS.update({
    "Add, a channel": ("Add", {}, [CHANNELS]),
    "ArgMax, channels": ("ArgMax", {"axis": 1}, []),
    "AveragePool 3x3": ("AveragePool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}, []),
    "Cast to float16": ("Cast", {"to": TensorProto.FLOAT16}, []),
    "Cast to int32": ("Cast", {"to": TensorProto.INT32}, []),
    "Clip": ("Clip", {}, [F32(0), F32(6)]),
    "Conv 3x3, depthwise": ("Conv", {"group": 64, "pads": [1, 1, 1, 1]}, [np.full((64, 1, 3, 3), 0.1, F32)]),
    "ConvTranspose 2x2": ("ConvTranspose", {"strides": [2, 2]}, [np.full((64, 32, 2, 2), 0.1, F32)]),
    "CumSum": ("CumSum", {}, [np.array(3, I64)]),
    "DepthToSpace": ("DepthToSpace", {"blocksize": 2}, []),
    "Gather, channels": ("Gather", {"axis": 1}, [np.arange(63, -1, -1, dtype=I64)]),
    "Greater": ("Greater", {}, [F32(0.1)]),
    "InstanceNormalization": ("InstanceNormalization", {}, [np.ones(64, F32), np.ones(64, F32)]),
    "LRN": ("LRN", {"size": 5}, []),
    "LpNormalization": ("LpNormalization", {"axis": 1}, []),
    "MaxPool 3x3": ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}, []),
    "Pad, reflect": ("Pad", {"mode": "reflect"}, [np.array([0, 0, 1, 1, 0, 0, 1, 1], I64)]),
    "PRelu": ("PRelu", {}, [CHANNELS]),
    "ReduceL2, last": ("ReduceL2", {"axes": [3]}, []),
    "ReduceMax, last": ("ReduceMax", {"axes": [3]}, []),
    "ReduceMean, channels": ("ReduceMean", {"axes": [1]}, []),
    "Resize, cubic": ("Resize", {"mode": "cubic"}, [np.zeros(0, F32), np.array([1, 1, 1.5, 1.5], F32)]),
    "Resize, linear": ("Resize", {"mode": "linear"}, [np.zeros(0, F32), np.array([1, 1, 2, 2], F32)]),
    "Resize, corners": ("Resize", {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
                        [np.zeros(0, F32), np.array([1, 1, 2, 2], F32)]),
    "Resize, nearest": ("Resize", {"nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"},
                        [np.zeros(0, F32), np.array([1, 1, 2, 2], F32)]),
    "Slice, every other": ("Slice", {}, [np.array(v, I64) for v in ([0, 0], [128, 128], [2, 3], [2, 2])]),
    "Softmax, channels": ("Softmax", {"axis": 1}, []),
    "Softmax, last": ("Softmax", {"axis": 3}, []),
    "SpaceToDepth": ("SpaceToDepth", {"blocksize": 2}, []),
    "TopK, channels": ("TopK", {"axis": 1}, [np.array([5], I64)]),
    "Transpose to the last": ("Transpose", {"perm": [0, 2, 3, 1]}, []),
})


def model(row):
    """The row's operator, and what brings another type of result back to float32."""
    op, attributes, constants = row
    names = [f"c{i}" for i in range(len(constants))]
    outputs = ["y", "z"] if op == "TopK" else ["y"]
    nodes = [helper.make_node(op, ["x"] + names, outputs, **attributes)]
    if op in ("ArgMax", "Cast", "Greater"):
        nodes[0].output[0] = "typed"
        nodes.append(helper.make_node("Cast", ["typed"], ["y"], to=TensorProto.FLOAT))
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N"] + SHAPE[1:])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in zip(names, constants)])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14 if op == "HardSwish" else 13)])
    made.ir_version = 7
    return made


def times(options, path):
    tail = [path, "1"] + [str(n) for n in SHAPE]
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
        for name in options.only.split(",") if options.only else sorted(ROWS):
            path = os.path.join(folder, "one.onnx")
            onnx.save(model(ROWS[name]), path)
            found = times(options, path)
            if found:
                lines.append(f"| {name} | {found[0]:.2f} | {found[1]:.2f} | {found[1] / found[0]:.2f} |")
                print(lines[-1], flush=True)
    page.put(options.page, "operators", "\n".join(lines))


if __name__ == "__main__":
    main()
