"""package.py - a package is what it says: ONNX tools open the unzipped folder, ONNX Runtime answers the same, the
weights stand in it once and under their own names.

    package.py TENREC        TENREC_ORT: the folder of npm's onnxruntime-node; without it that comparison is skipped
"""
import json
import os
import struct
import subprocess
import sys
import tempfile
import warnings
import zipfile

try:
    import numpy as np
    import onnx
    import onnx.numpy_helper
    import torch
    from torch import nn
except ImportError as why:
    print(f"1..0 # SKIP {why}")
    sys.exit(0)

warnings.filterwarnings("ignore")
PROGRAM = os.path.abspath(sys.argv[1])
RUNTIME = os.environ.get("TENREC_ORT", "")
NODE = """
const ort = require(process.argv[1]), fs = require('fs');
(async () => {
  const feeds = {}, shapes = JSON.parse(process.argv[3]);
  const session = await ort.InferenceSession.create(process.argv[2]);
  for (const name of session.inputNames) {
    const raw = fs.readFileSync(name + '.raw');
    feeds[name] = new ort.Tensor('float32', new Float32Array(raw.buffer, raw.byteOffset, raw.length / 4), shapes[name]);
  }
  const out = await session.run(feeds);
  for (const name of session.outputNames) fs.writeFileSync(name + '.out', Buffer.from(out[name].data.buffer));
})().catch(e => { console.error(String(e)); process.exit(1); });
"""
number = failed = 0


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.deep = nn.Conv2d(16, 16, 3, 1, 1, groups=16)
        self.norm = nn.BatchNorm2d(16)
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        x = self.stem(x)
        x = torch.relu(x + self.norm(self.deep(x)))
        return self.fc(x.mean((2, 3)))


class Segmenter(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(3, 24, 3, 2, 1)
        self.up = nn.ConvTranspose2d(24, 12, 2, 2)
        self.head = nn.Conv2d(12, 4, 1)

    def forward(self, x):
        return self.head(nn.functional.gelu(self.up(torch.relu(self.down(x)))))


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(40, 20), nn.Linear(40, 20)

    def forward(self, left, right):
        y = torch.tanh(self.a(left)) * torch.sigmoid(self.b(right))
        return y, nn.functional.layer_norm(y, (20,))


def check(name, fault):
    global number, failed
    number += 1
    failed += bool(fault)
    print(f"{'not ok' if fault else 'ok'} {number} - {name}", flush=True)
    if fault:
        print("# " + str(fault).strip().replace("\n", "\n# ")[:2000])


def skip(name, why):
    global number
    number += 1
    print(f"ok {number} - {name} # SKIP {why}")


def tenrec(*words):
    run = subprocess.run([PROGRAM, *words], capture_output=True, text=True)
    return f"tenrec {' '.join(words)}: exit code {run.returncode}\n{run.stderr}" if run.returncode else ""


def safetensors(path):
    """name -> array; AssertionError for what the format does not allow."""
    data = open(path, "rb").read()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    types = {"F32": np.float32, "I64": np.int64, "F64": np.float64, "I32": np.int32}
    end, out = 0, {}
    for name, t in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, stop = t["data_offsets"]
        assert begin == end, f"a gap before {name}"
        end = stop
        kind = np.dtype(types[t["dtype"]])
        assert stop - begin == int(np.prod(t["shape"], dtype=np.int64)) * kind.itemsize, f"the size of {name}"
        out[name] = np.frombuffer(data[8 + size + begin:8 + size + stop], kind).reshape(t["shape"])
    assert 8 + size + end == len(data), "bytes behind the last tensor"
    return out


def faults(function, *words):
    try:
        return function(*words)
    except Exception as why:
        return f"{type(why).__name__}: {why}"


def check_weights(folder, state):
    found = safetensors(folder + "/model.safetensors")
    for key, value in state.items():
        if key.endswith("num_batches_tracked"):
            continue
        if key not in found:
            return f"{key} is missing; there are {sorted(found)}"
        if not np.array_equal(found[key], value.numpy()):
            return f"{key} differs"
    return ""


def check_once(folder, state):
    weights = sum(v.numel() * v.element_size() for v in state.values())
    files = sum(os.path.getsize(os.path.join(folder, f)) for f in ("model.onnx", "model.safetensors"))
    return "" if files < weights * 1.1 + 16384 else f"{files} bytes of files for {weights} of weights"


def is_newer(folder):
    """Gelu, for one, is younger than the ONNX of Debian 12."""
    model = onnx.load(folder + "/model.onnx", load_external_data=False)
    known = onnx.defs.onnx_opset_version()
    return model.ir_version > onnx.IR_VERSION or any(s.version > known for s in model.opset_import if not s.domain)


def check_onnx(folder):
    onnx.checker.check_model(folder + "/model.onnx", full_check=True)
    onnx.load(folder + "/model.onnx")
    return ""


def check_entries(package):
    with zipfile.ZipFile(package) as z:
        if z.testzip():
            return "zipfile finds it broken: " + z.testzip()
        for i, entry in enumerate(z.infolist()):
            with open(package, "rb") as f:
                f.seek(entry.header_offset + 26)
                name, extra = struct.unpack("<HH", f.read(4))
            if entry.compress_type or (entry.header_offset + 30 + name + extra) % 64:
                return f"{entry.filename} is compressed or not aligned"
            if (i == 0) != (entry.filename == "manifest.json"):
                return "manifest.json is not the first"
    return ""


def scale_error(got, want):
    return float(np.max(np.abs(got - want)) / np.max(np.abs(want))) if got.shape == want.shape else float("inf")


def check_runtime(folder, work, inputs, want):
    for name, x in inputs.items():
        x.tofile(f"{work}/{name}.raw")
    shapes = json.dumps({name: x.shape for name, x in inputs.items()})
    run = subprocess.run(["node", "-e", NODE, RUNTIME, folder + "/model.onnx", shapes], cwd=work, capture_output=True,
                         text=True)
    if run.returncode:
        return run.stderr
    for name, y in want.items():
        error = scale_error(np.fromfile(f"{work}/{name}.out", np.float32).reshape(y.shape), y)
        if error > 1e-5:
            return f"{name} differs by {error:.2g} of its scale"
    return ""


def check_torch(want, got):
    errors = [scale_error(g, w.numpy()) for g, w in zip(got.values(), want)]
    return "" if max(errors) <= 1e-5 and len(got) == len(want) else f"errors {errors}"


def same(a, b):
    return [k for k in a if not np.array_equal(a[k], b[k])] + [k for k in a if k not in b]


def check_package(name, source, model, inputs, state):
    with tempfile.TemporaryDirectory() as work:
        package, folder, example = work + "/p.tenrec", work + "/folder", work + "/example.npz"
        hints = [w for k, x in inputs.items() if source.endswith(".pt")
                 for w in ("--input", f"{k}=N{''.join('x' + str(d) for d in x.shape[1:])}")]
        fault = tenrec("import", source, "-o", package, *hints)
        check(f"{name}: imports", fault)
        if fault:
            return
        zipfile.ZipFile(package).extractall(folder)
        np.savez(work + "/in.npz", **inputs)
        check(f"{name}: stored, aligned, manifest first", faults(check_entries, package))
        if is_newer(folder):
            skip(f"{name}: ONNX's checker and loader take the folder", "this ONNX does not know its operator set")
        else:
            check(f"{name}: ONNX's checker and loader take the folder", faults(check_onnx, folder))
        check(f"{name}: the weights stand in it once", faults(check_once, folder, state))
        check(f"{name}: safetensors holds every tensor by its own key", faults(check_weights, folder, state))
        check(f"{name}: runs", tenrec("run", package, work + "/in.npz", "-o", work + "/y.npz"))
        check(f"{name}: the folder runs", tenrec("run", folder, work + "/in.npz", "-o", work + "/z.npz"))
        y, z = dict(np.load(work + "/y.npz")), dict(np.load(work + "/z.npz"))
        check(f"{name}: and gives the same bits", same(y, z))
        with torch.no_grad():
            want = model(*(torch.from_numpy(x) for x in inputs.values()))
        want = want if isinstance(want, tuple) else (want,)
        check(f"{name}: as PyTorch has it", check_torch(want, y))
        if RUNTIME:
            check(f"{name}: as ONNX Runtime has it from the folder", faults(check_runtime, folder, work, inputs, y))
        else:
            skip(f"{name}: as ONNX Runtime has it from the folder", "TENREC_ORT is not set")
        np.savez(example, **inputs, **{k: w.numpy() for k, w in zip(y, want)})
        fault = tenrec("import", source, "-o", package, *hints, "--example", example, "--made-by",
                       "torch " + torch.__version__)
        run = subprocess.run([PROGRAM, "verify", package], capture_output=True, text=True)
        fault = fault or ("" if "proved: fidelity" in run.stdout and not run.returncode else run.stdout + run.stderr)
        check(f"{name}: verify proves fidelity by PyTorch's outputs", fault)


def main():
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, 3, 32, 48)).astype(np.float32)
    rows = {k: rng.normal(size=(5, 40)).astype(np.float32) for k in ("left", "right")}
    with tempfile.TemporaryDirectory() as folder:
        for model, inputs in ((Classifier(), {"x": x}), (Segmenter(), {"x": x}), (Two(), rows)):
            for m in model.modules():
                if isinstance(m, nn.BatchNorm2d):
                    m.momentum = None
            with torch.no_grad():
                model(*(torch.from_numpy(v) for v in inputs.values()))
            model.eval()
            name, samples = type(model).__name__.lower(), tuple(torch.from_numpy(v) for v in inputs.values())
            traced, onnx_path = f"{folder}/{name}.pt", f"{folder}/{name}.onnx"
            torch.jit.trace(model, samples).save(traced)
            torch.onnx.export(model, samples, onnx_path, opset_version=13, input_names=list(inputs),
                              dynamic_axes={k: {0: "N"} for k in inputs},
                              do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE)
            check_package(name + ".pt", traced, model, inputs, model.state_dict())
            arrays = {t.name: torch.from_numpy(onnx.numpy_helper.to_array(t).copy())
                      for t in onnx.load(onnx_path).graph.initializer}
            check_package(name + ".onnx", onnx_path, model, inputs, arrays)
    print(f"1..{number}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
