"""same_digits.py - the digits network keeps its accuracy to the last digit: through state_dict, TorchScript,
TorchScript with the processing inside, ONNX, ONNX with the processing inside, and here.

    same_digits.py TENREC      needs corpus/data/mnist_t10k of the shared data; TENREC_ORT: onnxruntime-node
"""
import csv
import gzip
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import torch

from ort_cases import Runtime

warnings.filterwarnings("ignore")
TENREC = os.path.abspath(sys.argv[1])
SHARED = os.environ.get("TENREC_SHARED", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared"))
FOLDER = os.path.abspath(os.path.join(SHARED, "corpus/data/mnist_t10k"))
STEPS = '[{"op": "decode", "color_space": "GRAY"}, {"op": "rescale", "factor": 255}, {"op": "layout"}]'
number = failed = 0
if not os.path.isdir(FOLDER):
    print("1..0 # SKIP no digits")
    sys.exit(0)


def verdict(good, what):
    global number, failed
    number += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {number} - {what}", flush=True)


def net():
    block = lambda a, b: [torch.nn.Conv2d(a, b, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2)]
    return torch.nn.Sequential(*block(1, 16), *block(16, 32), torch.nn.Flatten(), torch.nn.Linear(1568, 10))


def learn(x, y):
    torch.manual_seed(1)
    made = net()
    optimizer = torch.optim.Adam(made.parameters(), lr=0.002)
    for i in range(0, len(x), 64):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(made(x[i:i + 64]), y[i:i + 64]).backward()
        optimizer.step()
    return made.eval()


def tenrec(work, *words):
    run = subprocess.run([TENREC, *words], capture_output=True, text=True, cwd=work)
    if run.returncode:
        raise SystemExit(" ".join(words) + ": " + run.stderr)


def answers(f, arrays):
    with torch.no_grad():
        return np.concatenate([np.asarray(f(a)).reshape(-1) for a in np.array_split(arrays, 20)])


def main(work):
    raw = gzip.open(os.path.join(FOLDER, "t10k-images-idx3-ubyte.gz")).read()
    images = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28)
    labels = np.frombuffer(gzip.open(os.path.join(FOLDER, "t10k-labels-idx1-ubyte.gz")).read(), np.uint8, offset=8)
    x = images[:, None] / np.float32(255)
    made = learn(torch.from_numpy(x[:3000]), torch.from_numpy(labels[:3000].astype(np.int64)))
    classes = lambda m: lambda a: m(torch.from_numpy(a)).argmax(1)
    want = int((answers(classes(made), x) == labels).sum())
    print(f"# PyTorch: {want} of {len(labels)} right")

    def same(what, got):
        count = int((got == labels).sum())
        verdict(count == want, f"{what}: {count} of {len(labels)}")

    torch.jit.trace(made, torch.zeros(1, 1, 28, 28)).save(os.path.join(work, "net.pt"))
    open(os.path.join(work, "steps.json"), "w").write(STEPS)
    tenrec(work, "import", "net.pt", "--input", "Nx1x28x28", "--preprocess", "steps.json", "--task",
           "image-classification", "-o", "p.tenrec")
    for name, more in (("w.pth", []), ("s.pt", []), ("raw.pt", ["--processing"]), ("o.onnx", []),
                       ("raw.onnx", ["--processing"])):
        tenrec(work, "export", "p.tenrec", "-o", name, *more)
    path = lambda name: os.path.join(work, name)
    again = net().eval()
    again.load_state_dict(torch.load(path("w.pth")), strict=True)
    same("state_dict, strictly", answers(classes(again), x))
    same("TorchScript", answers(classes(torch.jit.load(path("s.pt"))), x))
    script = torch.jit.load(path("raw.pt"))
    same("TorchScript, raw images in", answers(lambda a: script(torch.from_numpy(a))[1], images[..., None]))
    runtime = Runtime(os.environ["TENREC_ORT"])
    first = lambda a: next(iter(runtime.run(path("o.onnx"), {INPUT: a}).values())).argmax(1)
    import onnx
    INPUT = onnx.load(path("o.onnx")).graph.input[0].name
    same("ONNX", answers(first, x))
    inside = lambda a: runtime.run(path("raw.onnx"), {"image": a})["class"]
    same("ONNX, raw images in", answers(inside, images[..., None]))
    tenrec(work, "score", "p.tenrec", os.path.join(FOLDER, "t10k-images-idx3-ubyte.gz"), "-o", "scores.csv")
    with open(path("scores.csv")) as f:
        rows = list(csv.DictReader(f))
    column = next(c for c in rows[0] if c in ("class", "top1", "label", "prediction", "class_1"))
    same("here", np.array([int(r[column]) for r in rows]))


torch.set_num_threads(2)
with tempfile.TemporaryDirectory() as folder:
    main(folder)
print(f"1..{number}")
sys.exit(failed > 0)
