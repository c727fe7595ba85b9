"""matrix.py - every source format of four networks into every target, run by the target's own program: a table of the
largest differences; then what the tests say of every file of the corpus. It makes the head of docs/formats.md.

    matrix.py BUILD [PAGE]      TENREC_ORT: the folder of onnxruntime-node
"""
import json
import os
import re
import struct
import subprocess
import sys
import tempfile

import numpy as np
import torch

import matrix_nets
from ort_cases import Runtime

BUILD = os.path.abspath(sys.argv[1])
TENREC = os.path.join(BUILD, "tenrec")
LIMIT = 1e-4
TESTS = ("onnx_corpus", "torch_corpus", "torch_samples", "pytorch_table", "keras_files", "caffe_corpus")
TYPES = {"F32": np.float32, "I64": np.int64}


class Refused(Exception):
    pass


def tenrec(*words):
    done = subprocess.run([TENREC, *words], capture_output=True, text=True)
    if done.returncode:
        raise Refused(done.stderr.strip())


def run_tenrec(files, inputs, folder, more=()):
    names = []
    for i, x in enumerate(inputs):
        names.append(os.path.join(folder, "x%d.npy" % i))
        np.save(names[-1], x)
    tenrec("run", *files, *names, "-o", os.path.join(folder, "o.npz"), *more)
    got = np.load(os.path.join(folder, "o.npz"))
    return [got[k] for k in got.files]


def difference(got, want):
    """Of all outputs, relative to the scale of each; in the order they have, else in any."""
    if len(got) != len(want) or any(a.shape != b.shape for a, b in zip(got, want)):
        raise Refused("%s outputs, expected %s" % ([a.shape for a in got], [a.shape for a in want]))
    return max(float(np.abs(a.astype(np.float64) - b).max() / max(np.abs(b).max(), 1e-30)) for a, b in zip(got, want))


def by_onnx(runtime):
    def run(path, inputs, source):
        import onnx
        names = [i.name for i in onnx.load(path).graph.input]
        return list(runtime.run(path, dict(zip(names, inputs))).values())
    return run


def by_script(path, inputs, source):
    with torch.no_grad():
        got = torch.jit.load(path)(*[torch.from_numpy(x) for x in inputs])
    return [t.numpy() for t in (got if isinstance(got, (tuple, list)) else [got])]


def safetensors(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8:8 + size])
    head.pop("__metadata__", None)
    return {k: np.frombuffer(data[8 + size + v["data_offsets"][0]:8 + size + v["data_offsets"][1]],
                             TYPES[v["dtype"]]).reshape(v["shape"]) for k, v in head.items()}


def by_state(load):
    """Into the class that made it, strictly; a model that PyTorch never made is run by tenrec with these weights."""
    def run(path, inputs, source):
        if not source[5]:
            with tempfile.TemporaryDirectory() as folder:
                return run_tenrec([path], inputs, folder, ["--arch", source[1][0]])
        net = source[5]().eval()
        net.load_state_dict({k: torch.as_tensor(np.array(v)) for k, v in load(path).items()}, strict=True)
        with torch.no_grad():
            return [net(*[torch.from_numpy(x) for x in inputs]).numpy()]
    return run


def by_tenrec(path, inputs, source):
    with tempfile.TemporaryDirectory() as folder:
        return run_tenrec([path], inputs, folder)


def targets(runtime):
    yield "ONNX", ".onnx", by_onnx(runtime)
    yield "TorchScript", ".pt", by_script
    yield "state_dict", ".pth", by_state(torch.load)
    yield "safetensors", ".safetensors", by_state(safetensors)
    yield ".npz", ".npz", by_state(np.load)
    yield "Keras .keras", ".keras", by_tenrec
    yield "Keras .h5", ".h5", by_tenrec


def cell(out, files, more, run, source):
    """The text of a cell, whether it is right, and a reason."""
    try:
        tenrec("export", *files, "-o", out, *more) if len(files) == 1 else export_pair(files, out)
        d = difference(run(out, source[2], source), source[3])
        return ("%.1e" % d if d else "0"), d <= LIMIT, ""
    except Refused as why:
        return "refused", False, str(why)


def export_pair(files, out):
    package = out + ".tenrec"
    tenrec("import", *files, "-o", package)
    tenrec("export", package, "-o", out)


def row(net, source, folder, columns, reasons):
    label, files, inputs, want, more, _ = source
    if ".pt" in files[0] or more:  # no file of PyTorch's says shapes
        more = more + [w for x in inputs for w in ("--input", ",".join(map(str, x.shape)))]
    with tempfile.TemporaryDirectory() as work:
        cells, good = ["%.1e" % difference(run_tenrec(files, inputs, work, more), want)], True
    for name, ending, run in columns:
        text, right, why = cell(os.path.join(folder, "out" + ending), files, more, run, source)
        good &= right or text == "refused"
        if why:
            reasons.append("%s from %s to %s: %s" % (net, label, name, why.split("\n")[-1].replace("tenrec: ", "")))
        cells.append(text)
    return good, "| %s | %s | %s |" % (net, label, " | ".join(cells))


def matrix(runtime, say):
    """The lines of the table."""
    columns, reasons, bad = list(targets(runtime)), [], 0
    lines = ["| network | source | read and run here | %s |" % " | ".join(c[0] for c in columns),
             "|---|---|%s" % ("---|" * (len(columns) + 1))]
    for net in matrix_nets.NETS:
        with tempfile.TemporaryDirectory() as folder:
            for source in matrix_nets.sources(net, folder):
                good, line = row(net, source, folder, columns, reasons)
                bad += not good
                lines.append(line)
                say(line)
    return lines + ([""] + ["- " + r for r in reasons] if reasons else []), bad


def corpus():
    """kind -> [(name, what, worst, why)], from what the tests print."""
    kinds = {}
    for test in TESTS:
        out = subprocess.run([os.path.join(BUILD, "tests/format/test_" + test)], capture_output=True, text=True).stdout
        for line in re.findall(r"^# corpus\t(.*)$", out, re.M):
            kind, name, what, worst, why = line.split("\t", 4)
            kinds.setdefault(kind, []).append((name, what, float(worst), why))
    return kinds


def reason(file):
    """Without the path, which is another one everywhere; a difference where there is no reason."""
    text = re.sub(r"\S*/(corpus|samples)/\S*?: ", "", file[3]).replace("|", "/").strip()
    return text if text else "differs by %.2g of the output's scale" % file[2]


def corpus_table(kinds):
    lines = ["| format | files | right | weights only | architecture only | refused | wrong | worst error |",
             "|---|---|---|---|---|---|---|---|"]
    reasons = []
    for kind, files in kinds.items():
        count = lambda what: sum(f[1] == what for f in files)
        run = [f[2] for f in files if f[1] == "right" and f[2] >= 0]
        worst = "%.1e" % max(run) if run else ""
        counts = [count(w) for w in ("right", "weights", "parsed", "refused", "WRONG")]
        lines.append("| %s | %d | %s | %s |" % (kind, len(files), " | ".join(map(str, counts)), worst))
        told = [f for f in files if f[1] in ("refused", "left out", "WRONG")]
        reasons += ["- %s `%s` %s: %s" % (kind, f[0], f[1].lower(), reason(f)) for f in told]
    return lines + [""] + reasons


HEAD = """# Formats

The tables were written by `make matrix`. Differences are the largest of all outputs, relative to each output's largest
number; fidelity promised is 1e-4.

## The matrix

Each network was written by the source's own framework, whose numbers are the reference. "Read and run here" is Tenrec;
every other column is a file that `tenrec export` wrote from that source, run by its own program: ONNX Runtime, PyTorch
(torch.jit.load; load_state_dict with strict=True into the class that made it). Keras is no package of Debian, so its
files, and weights of models that PyTorch never had, are read and run by Tenrec again. Models that Keras 3.15 itself
saved lie in `tests/golden/keras`, with its numbers.
"""
MIDDLE = """
## The corpus

Files of other people, each compared with its reference by the tests. Where the range of the data gives the steps of
8-bit integers (two TorchScript files), a number that lies between two steps may take the other one.
"""


def main():
    say = lambda line: print(line, flush=True)
    say("# the matrix")
    table, bad = matrix(Runtime(os.environ["TENREC_ORT"]), say)
    found = corpus_table(corpus())
    for line in found:
        say(line)
    covered = subprocess.run([TENREC, "formats", "--markdown"], capture_output=True, text=True, check=True).stdout
    if len(sys.argv) > 2:
        with open(sys.argv[2], "w") as f:
            f.write(HEAD + "\n" + "\n".join(table) + "\n" + MIDDLE + "\n" + "\n".join(found) + "\n\n" + covered)
    sys.exit(bad > 0)  # what is wrong in the corpus fails its own test


if __name__ == "__main__":
    main()
