"""quantize.py - what tenrec quantize writes: ONNX's checker takes it, ONNX Runtime runs it, and both give one answer.

quantize.py TENREC; TENREC_ORT names the folder of onnxruntime-node. A number half way between two steps may be rounded
to either, so answers are compared with the size of the change that quantizing itself makes.
"""
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx

from ort_cases import Runtime

TENREC = sys.argv[1]
CASES = (("zoo:lenet5", (1, 28, 28), ("--weight-bits", "8")), ("zoo:resnet18", (3, 64, 64), ("--calibration", "mse")),
         ("zoo:resnet50", (3, 64, 64), ()))


def tenrec(*words):
    done = subprocess.run([TENREC, *words], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"tenrec {' '.join(words)}: {done.stderr}")
    return done.stdout


def answer(net, image, folder, *options):
    out = os.path.join(folder, "y.npy")
    tenrec("run", net, image, "-o", out, *options)
    return np.load(out)


def one(runtime, net, shape, options, folder):
    rng = np.random.default_rng(1)
    table, image, out = (os.path.join(folder, n) for n in ("x.npy", "one.npy", "q.onnx"))
    rows = rng.normal(0, 1, (16, *shape)).astype(np.float32)
    np.save(table, rows)
    np.save(image, rows[:1])
    size = "--input", "Nx" + "x".join(map(str, shape))
    tenrec("quantize", net, "--data", table, "-o", out, *size, "--force", *options)
    model = onnx.load(out)
    onnx.checker.check_model(model)
    got = list(runtime.run(out, {model.graph.input[0].name: rows[:1]}).values())[0]
    mine, real = answer(out, image, folder), answer(net, image, folder, *size)
    scale = np.abs(real).max()
    return np.abs(mine - got).max() / scale, np.abs(mine - real).max() / scale


def main():
    print(f"1..{len(CASES)}")
    runtime = Runtime(os.environ["TENREC_ORT"])
    for i, (net, shape, options) in enumerate(CASES):
        with tempfile.TemporaryDirectory() as folder:
            apart, change = one(runtime, net, shape, options, folder)
        good = apart <= max(0.5 * change, 1e-3) and change < 0.2
        print(f"# {net}: {apart:.2g} from ONNX Runtime, {change:.2g} from the real network")
        print(f"{'ok' if good else 'not ok'} {i + 1} - {net} {' '.join(options)}")


main()
