#!/usr/bin/python3
"""opening.py - how fast a large file is open, and what it takes in memory: Tenrec beside PyTorch and ONNX Runtime.

    opening.py BUILD [--megabytes 500] [--rounds 5] [--folder DIR]

One chain of dense layers, with as many weights as asked for, in every format. The files are in the page cache.
Tenrec's time is that of the whole process `tenrec info FILE`, from its start to its end; the others' is that of the
call that opens the file (torch.jit.load, torch.load, InferenceSession.create), their start left out. Peak memory is
that of the process, which counts pages of the mapped file that were looked at.
"""
import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

warnings.filterwarnings("ignore")
HERE = os.path.dirname(os.path.abspath(__file__))
WIDTH = 2048
NODE = """
const ort = require(process.argv[1]);
(async () => { const t = process.hrtime.bigint();
  await ort.InferenceSession.create(process.argv[2], { graphOptimizationLevel: 'disabled', logSeverityLevel: 4 });
  console.log(Number(process.hrtime.bigint() - t) / 1e9, process.resourceUsage().maxRSS / 1024); })();
"""
TORCH = """
import resource, sys, time, torch
open_it = torch.jit.load if sys.argv[1] == 'script' else torch.load
t = time.perf_counter(); x = open_it(sys.argv[2]); t = time.perf_counter() - t
print(t, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def write_h5(path, state):
    import h5py
    import numpy as np
    layers, names = [], []
    for i, (name, w) in enumerate(state):
        layers.append({"class_name": "Dense", "config": {"name": name, "units": WIDTH, "activation": "relu",
                                                         "use_bias": True, "trainable": True}})
        names.append(name.encode())
    layers[0]["config"]["batch_input_shape"] = [None, WIDTH]
    with h5py.File(path, "w") as f:
        f.attrs["keras_version"] = "2.9.0"
        f.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"name": "m", "layers": layers}})
        group = f.create_group("model_weights")
        group.attrs["layer_names"] = names
        for name, w in state:
            g = group.create_group(name)
            g.attrs["weight_names"] = [f"{name}/kernel:0".encode(), f"{name}/bias:0".encode()]
            g[f"{name}/kernel:0"], g[f"{name}/bias:0"] = w, np.zeros(WIDTH, "f4")


def make(folder, tenrec, layers, queue):
    """In a process of its own: what it takes would count as the peak of all that are started after it."""
    import torch
    torch.manual_seed(1)
    pair = lambda: (torch.nn.Linear(WIDTH, WIDTH), torch.nn.ReLU())
    net = torch.nn.Sequential(*[m for _ in range(layers) for m in pair()]).eval()
    x, path = torch.zeros(1, WIDTH), lambda n: os.path.join(folder, n)
    torch.jit.trace(net, x).save(path("net.pt"))
    torch.save(net.state_dict(), path("net.pth"))
    torch.save(net, path("whole.pt"))
    torch.onnx.export(net, x, path("net.onnx"), opset_version=13)
    write_h5(path("net.h5"), [("dense%d" % i, w.numpy()) for i, w in
                              enumerate(p for n, p in net.state_dict().items() if n.endswith("weight"))])
    hint = ["--input", "1x%d" % WIDTH]
    for out in ("net.safetensors", "net.keras", "net.tenrec"):
        words = ["import" if out.endswith("tenrec") else "export", path("net.pt"), *hint, "-o", path(out)]
        subprocess.run([tenrec, *words], check=True, capture_output=True)
    arch = ["--arch", path("net.pt"), *hint]
    queue.put([("TorchScript", "net.pt", hint, "script"),
            ("state_dict", "net.pth", [], "load"),
            ("state_dict with --arch", "net.pth", arch, None), ("module pickled whole", "whole.pt", hint, "load"),
            ("ONNX", "net.onnx", [], "ort"), ("safetensors", "net.safetensors", [], None),
            ("Keras .h5", "net.h5", [], None), ("Keras .keras", "net.keras", [], None),
            ("package", "net.tenrec", [], None)])


def ours(tenrec, path, more):
    begin = time.perf_counter()
    process = subprocess.Popen([tenrec, "info", path, *more], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    if status:
        raise SystemExit("tenrec info %s ended with %d" % (path, status >> 8))
    return time.perf_counter() - begin, usage.ru_maxrss / 1024


def theirs(kind, path, runtime):
    command = ["node", "-e", NODE, runtime, path] if kind == "ort" else [sys.executable, "-c", TORCH, kind, path]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [float(x) for x in out.split()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder")
    args = parser.parse_args()
    tenrec, runtime = os.path.abspath(args.build + "/tenrec"), os.environ.get("TENREC_ORT", "")
    layers = max(1, round(args.megabytes * 1e6 / (4 * WIDTH * WIDTH)))
    weights = layers * 4 * (WIDTH * WIDTH + WIDTH) / 1e6
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        queue = multiprocessing.Queue()
        maker = multiprocessing.Process(target=make, args=(folder, tenrec, layers, queue))
        maker.start()
        files = queue.get()
        maker.join()
        print(f"{weights:.0f} MB of weights, median of {args.rounds} rounds, warm\n")
        print("| format | Tenrec: s | peak MB | over weights | other: s | peak MB |\n|---|---|---|---|---|---|")
        for label, name, more, kind in files:
            path, a, b = os.path.join(folder, name), [], []
            ours(tenrec, path, more)
            for _ in range(args.rounds):
                a.append(ours(tenrec, path, more))
                if kind and (kind != "ort" or runtime):
                    b.append(theirs(kind, path, runtime))
            t, m = (statistics.median(x[i] for x in a) for i in (0, 1))
            other = "%.3f | %.0f" % tuple(statistics.median(x[i] for x in b) for i in (0, 1)) if b else " | "
            print(f"| {label} | {t:.3f} | {m:.0f} | {m * 1.048576 - weights:+.0f} MB | {other} |", flush=True)


if __name__ == "__main__":
    main()
