"""exports.py - tenrec export in every operator set from 10 on: ONNX's checker takes the files, and ONNX Runtime gives
the numbers that OpenCV or NumPy gave (tests/golden/caffe); a net with its images prepared inside takes raw ones.

exports.py TENREC; TENREC_ORT names the folder of onnxruntime-node.
"""
import glob
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx

from ort_cases import Runtime

TENREC = sys.argv[1]
HERE = os.path.dirname(os.path.abspath(__file__))
NETS = sorted(glob.glob(os.path.join(HERE, "..", "golden", "caffe", "*.prototxt")))
OPSETS = (10, 11, 12, 13, 15, 18, 22)
SMALL = """
layer { name: "data" type: "ImageData" top: "data"
  transform_param { scale: 0.017 crop_size: 6 mean_value: 10 mean_value: 20 mean_value: 30 } }
layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param { pool: AVE global_pooling: true } }
layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip" inner_product_param { num_output: 3 bias_term: false }
  blobs { shape { dim: [3, 3] } data: [1, 0, 0, 0, 1, 0, 0, 0, 1] } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""


def golden(path):
    """The blobs of the last layer: inputs, then what comes out."""
    text = open(path).read()
    blobs = re.findall(r"shape \{ dim: \[([^\]]*)\] \} data: \[([^\]]*)\]", text[text.index('name: "golden"'):])
    return [np.array([float(x) for x in data.split(",")], np.float32).reshape([int(d) for d in dims.split(",")])
            for dims, data in blobs]


def export(net, out, *options):
    done = subprocess.run([TENREC, "export", net, "-o", out, *options], capture_output=True, text=True)
    return done.returncode, done.stderr


def one(runtime, net, opset, folder):
    """"" when right, else what is wrong; None: refused by name, by us or by a runtime that lacks the operator."""
    out = os.path.join(folder, "x.onnx")
    code, talk = export(net, out, "--opset", str(opset))
    if code:
        return None if "cannot say" in talk or "no words in ONNX" in talk else talk
    if opset <= onnx.defs.onnx_opset_version():
        onnx.checker.check_model(onnx.load(out))
    arrays = golden(net)
    names = [i.name for i in onnx.load(out).graph.input]
    try:
        got = list(runtime.run(out, dict(zip(names, arrays))).values())[0]
    except RuntimeError as e:
        return None if "Could not find an implementation" in str(e) else str(e)
    want = arrays[-1]
    error = np.abs(got - want).max() / max(np.abs(want).max(), 1e-9) if got.shape == want.shape else np.inf
    return "" if error <= 1e-4 else "difference %g" % error


def all_of(runtime, opset, folder):
    """Right, refused, and a list of what is wrong."""
    right, refused, wrong = 0, [], []
    for net in NETS:
        name = os.path.basename(net)[:-9]
        found = one(runtime, net, opset, folder)
        right += found == ""
        if found is None:
            refused.append(name)
        elif found:
            wrong.append(name + ": " + found.strip()[:200])
    return right, refused, wrong


def processing(runtime, folder):
    """Raw images in: the mean colour of each decides."""
    net, out = os.path.join(folder, "small.prototxt"), os.path.join(folder, "small.onnx")
    open(net, "w").write(SMALL)
    code, talk = export(net, out, "--processing", "--opset", "11")
    if code:
        return talk
    images = np.random.default_rng(5).integers(0, 256, (4, 6, 6, 3)).astype(np.uint8)
    got = runtime.run(out, {"image": images})
    scores = (images[..., ::-1].astype(np.float64).mean((1, 2)) - [10, 20, 30]) * 0.017
    want = np.exp(scores - scores.max(1, keepdims=True))
    want /= want.sum(1, keepdims=True)
    if np.abs(got["prob"] - want).max() > 1e-5 or (got["class"] != want.argmax(1)).any():
        return "other numbers: %s" % got
    return ""


def main():
    runtime, bad = Runtime(os.environ["TENREC_ORT"]), 0
    with tempfile.TemporaryDirectory() as folder:
        for number, opset in enumerate(OPSETS, 1):
            right, refused, wrong = all_of(runtime, opset, folder)
            bad += bool(wrong)
            print("%s %d - operator set %d: %d of %d right in ONNX Runtime, refused: %s" %
                  ("not ok" if wrong else "ok", number, opset, right, len(NETS), ", ".join(refused) or "none"))
            for line in wrong:
                print("# " + line.replace("\n", " "))
        found = processing(runtime, folder)
        bad += bool(found)
        print("%s %d - images prepared inside" % ("not ok" if found else "ok", len(OPSETS) + 1))
        if found:
            print("# " + found)
    print("1..%d" % (len(OPSETS) + 1))
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
