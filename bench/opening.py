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


def write_caffe(text, binary, state):
    sys.path.insert(0, os.path.join(HERE, "../tests/oracle"))
    from caffe_layers import blob_wire, span
    with open(text, "w") as t, open(binary, "wb") as b:
        t.write('name: "m"\nlayer { name: "in" type: "Input" top: "x" '
                'input_param { shape { dim: 1 dim: %d } } }\n' % WIDTH)
        for name, w in state:
            t.write('layer { name: "%s" type: "InnerProduct" bottom: "x" top: "x" inner_product_param { '
                    'num_output: %d bias_term: false } }\n' % (name, WIDTH))
            b.write(span(100, span(1, name) + span(2, "InnerProduct") + span(7, blob_wire(w))))


def write_pt2(path, state):
    """A chain of linear and relu as torch.export writes it from 2.8 on: raw storages and a JSON of what they hold."""
    import zipfile
    tensor, meta = lambda n: {"as_tensor": {"name": n}}, lambda s: {
        "dtype": 7, "sizes": [{"as_int": n} for n in s], "strides": [{"as_int": n} for n in (s[1], 1)],
        "storage_offset": {"as_int": 0}}
    nodes, inputs, last = [], [], "x"
    for name, w in state:
        arg = lambda n, v: {"name": n, "arg": tensor(v), "kind": 1}
        nodes += [{"target": "torch.ops.aten.linear.default", "metadata": {}, "outputs": [tensor("l_" + name)],
                   "inputs": [arg("input", last), arg("weight", "p_" + name)]},
                  {"target": "torch.ops.aten.relu.default", "metadata": {}, "outputs": [tensor("r_" + name)],
                   "inputs": [arg("self", "l_" + name)]}]
        inputs.append({"parameter": {"arg": {"name": "p_" + name}, "parameter_name": name}})
        last = "r_" + name
    program = {"graph_module": {
        "graph": {"inputs": [], "outputs": [tensor(last)], "nodes": nodes, "tensor_values": {"x": meta((1, WIDTH))}},
        "signature": {"input_specs": inputs + [{"user_input": {"arg": tensor("x")}}],
                      "output_specs": [{"user_output": {"arg": tensor(last)}}]}},
        "range_constraints": {}, "schema_version": {"major": 8, "minor": 8}}
    config = {name: {"path_name": "weight_%d" % i, "is_param": True, "use_pickle": False, "tensor_meta": meta(w.shape)}
              for i, (name, w) in enumerate(state)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as z:
        z.writestr("net/archive_format", "pt2")
        z.writestr("net/models/model.json", json.dumps(program))
        z.writestr("net/data/weights/model_weights_config.json", json.dumps({"config": config}))
        for i, (_, w) in enumerate(state):
            at = z.fp.tell() + 30 + len("net/data/weights/weight_%d" % i)  # records begin at 64s
            info = zipfile.ZipInfo("net/data/weights/weight_%d" % i)
            info.extra = b"FB" + (pad := (-at - 4) % 64).to_bytes(2, "little") + b"Z" * pad
            z.writestr(info, w.tobytes())


def make(folder, tenrec, layers, queue):
    """In a process of its own: what it takes would count as the peak of all that are started after it."""
    import torch
    torch.manual_seed(1)
    pair = lambda: (torch.nn.Linear(WIDTH, WIDTH), torch.nn.ReLU())
    net = torch.nn.Sequential(*[m for _ in range(layers) for m in pair()]).eval()
    x, path = torch.zeros(1, WIDTH), lambda n: os.path.join(folder, n)
    torch.jit.trace(net, x).save(path("net.pt"))
    torch.save(net.state_dict(), path("net.pth"))
    torch.save(net.state_dict(), path("old.pth"), _use_new_zipfile_serialization=False)
    torch.save(net, path("whole.pt"))
    torch.onnx.export(net, x, path("net.onnx"), opset_version=13)
    named = [("dense%d" % i, w.numpy()) for i, w in
             enumerate(p for n, p in net.state_dict().items() if n.endswith("weight"))]
    write_h5(path("net.h5"), named)
    write_caffe(path("net.prototxt"), path("net.caffemodel"), named)
    write_pt2(path("net.pt2"), named)
    hint = ["--input", "1x%d" % WIDTH]
    for out in ("net.safetensors", "net.npz", "net.keras", "net.tenrec"):
        words = ["import" if out.endswith("tenrec") else "export", path("net.pt"), *hint, "-o", path(out)]
        subprocess.run([tenrec, *words], check=True, capture_output=True)
    arch = ["--arch", path("net.pt"), *hint]
    queue.put([("TorchScript", "net.pt", hint, "script"),
            ("state_dict", "net.pth", [], "load"),
            ("state_dict, legacy container", "old.pth", [], "load"),
            ("state_dict with --arch", "net.pth", arch, None), ("module pickled whole", "whole.pt", hint, "load"),
            ("ONNX", "net.onnx", [], "ort"), ("safetensors", "net.safetensors", [], None),
            (".npz", "net.npz", [], None), ("torch.export .pt2", "net.pt2", [], None),
            ("Caffe", "net.prototxt", [path("net.caffemodel")], None),
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
    limit = 1.1 * weights + 30
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        queue = multiprocessing.Queue()
        maker = multiprocessing.Process(target=make, args=(folder, tenrec, layers, queue))
        maker.start()
        files = queue.get()
        maker.join()
        print(f"{weights:.0f} MB of weights, median of {args.rounds} rounds, warm\n")
        print("| format | Tenrec: s | peak MB | of the limit | other: s | peak MB |\n|---|---|---|---|---|---|")
        bad = []
        for label, name, more, kind in files:
            path, a, b = os.path.join(folder, name), [], []
            ours(tenrec, path, more)
            for _ in range(args.rounds):
                a.append(ours(tenrec, path, more))
                if kind and (kind != "ort" or runtime):
                    b.append(theirs(kind, path, runtime))
            t, m = (statistics.median(x[i] for x in a) for i in (0, 1))
            if m * 1.048576 > limit or t > min([1.0] + ([statistics.median(x[0] for x in b)] if b else [])):
                bad.append(label)
            other = "%.3f | %.0f" % tuple(statistics.median(x[i] for x in b) for i in (0, 1)) if b else " | "
            print(f"| {label} | {t:.3f} | {m:.0f} | {m * 1.048576 / limit:.0%} | {other} |", flush=True)
    print("\nThe limit of memory is 1.1 times the weights and 30 MB: %.0f MB." % limit)
    sys.exit("past a limit: " + ", ".join(bad) if bad else 0)


if __name__ == "__main__":
    main()
