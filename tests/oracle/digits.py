"""digits.py - the article's network learns the digits beside PyTorch: 20 losses from equal weights, then accuracies.

Usage: digits.py TENREC [SEEDS [EPOCHS]]. Needs TENREC_SHARED (or ../shared) with corpus/data/mnist_t10k.
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

from runs import Verdicts, losses_of, write_idx

warnings.filterwarnings("ignore")
TENREC = os.path.abspath(sys.argv[1])
SEEDS = max(2, int(sys.argv[2])) if len(sys.argv) > 2 else 5  # one has no spread
EPOCHS = int(sys.argv[3]) if len(sys.argv) > 3 else 3
SHARED = os.environ.get("TENREC_SHARED", os.path.join(os.path.dirname(__file__), "../../../shared"))
FOLDER = os.path.join(SHARED, "corpus/data/mnist_t10k")
if not os.path.isdir(FOLDER):
    print("1..0 # SKIP no digits")
    sys.exit(0)
verdict = Verdicts()
STEPS = '[{"op": "decode", "color_space": "GRAY"}, {"op": "rescale", "factor": 255}, {"op": "layout"}]'


def digits():
    images = gzip.open(os.path.join(FOLDER, "t10k-images-idx3-ubyte.gz")).read()
    labels = gzip.open(os.path.join(FOLDER, "t10k-labels-idx1-ubyte.gz")).read()
    return np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28), np.frombuffer(labels, np.uint8, offset=8)


class CNN(torch.nn.Module):
    def __init__(self):
        super().__init__()
        block = lambda a, b: torch.nn.Sequential(torch.nn.Conv2d(a, b, 3, padding=1), torch.nn.ReLU(),
                                                 torch.nn.MaxPool2d(2))
        self.conv1, self.conv2, self.fc = block(1, 64), block(64, 128), torch.nn.Linear(6272, 10)

    def forward(self, x):
        x = self.conv2(self.conv1(x))
        return self.fc(x.view(x.shape[0], -1))


def tenrec(model, data, work, **keys):
    steps = os.path.join(work, "steps.json")
    open(steps, "w").write(STEPS)
    words = [f"{k}={v}" for k, v in dict(model=model, data=data, preprocess=steps, input="Nx1x28x28", batch=64,
                                         optimizer="adam", lr=0.001, threads=2, **keys).items()]
    run = subprocess.run([TENREC, "train"] + words, capture_output=True, text=True, cwd=work)
    if run.returncode:
        raise SystemExit(run.stderr)
    return run.stderr


def trace(model, path):
    torch.jit.trace(model, torch.zeros(1, 1, 28, 28)).save(path)


def torch_train(model, x, y, order, batch=64):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    losses = []
    for rows in order:
        for i in range(0, len(rows), batch):
            pick = rows[i:i + batch]
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x[pick]), y[pick])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


def first_steps(images, labels, work):
    torch.manual_seed(0)
    model = CNN()
    trace(model, os.path.join(work, "first.pt"))
    n = 20 * 64
    write_idx(os.path.join(work, "first"), images[:n], labels[:n])
    x, y = torch.from_numpy(images[:n, None] / np.float32(255)), torch.from_numpy(labels[:n].astype(np.int64))
    want = torch_train(model, x, y, [torch.arange(n)])
    tenrec("first.pt", "first-images-idx3-ubyte", work, shuffle="false", valid_share=0, epochs=1, log_updates=1,
           out="runs/first")
    got = losses_of(os.path.join(work, "runs/first"))
    worst = max(abs(a - b) / abs(b) for a, b in zip(got, want))
    verdict(len(got) == 20 and worst < 1e-4, f"20 losses from equal weights and batches differ by {worst:.1e} at most")


def accuracy(work, seed, precision):
    """Of a run of Tenrec's on what paired() wrote."""
    out = f"runs/{seed}-{precision}"
    tenrec("m.pt", "learn-images-idx3-ubyte", work, valid="judge-images-idx3-ubyte", epochs=EPOCHS, seed=seed,
           precision=precision, out=out)
    with open(os.path.join(work, out, "results.csv")) as f:
        return float(list(csv.DictReader(f))[-1]["valid_accuracy"])


def no_worse(differences, what):
    mean, error = np.mean(differences), np.std(differences, ddof=1) / len(differences) ** 0.5
    verdict(mean >= -2 * error, f"{what} of {SEEDS} paired seeds: {mean:+.4f}, standard error {error:.4f}")


def paired(images, labels, work):
    wide, narrow = [], []
    for seed in range(1, SEEDS + 1):
        torch.manual_seed(seed)
        model = CNN()
        trace(model, os.path.join(work, "m.pt"))
        rows = torch.randperm(10000)
        learn, judge = rows[:8500], rows[8500:]
        write_idx(os.path.join(work, "learn"), images[learn], labels[learn])
        write_idx(os.path.join(work, "judge"), images[judge], labels[judge])
        ours, in_bf16 = (accuracy(work, seed, precision) for precision in ("float32", "bf16"))
        x, y = torch.from_numpy(images[:, None] / np.float32(255)), torch.from_numpy(labels.astype(np.int64))
        torch_train(model, x, y, [learn[torch.randperm(8500)] for _ in range(EPOCHS)])
        with torch.no_grad():
            theirs = (model(x[judge]).argmax(1) == y[judge]).float().mean().item()
        wide.append(ours - theirs)
        narrow.append(in_bf16 - ours)
        print(f"# seed {seed}: accuracy {ours:.4f}, in bf16 {in_bf16:.4f}, PyTorch {theirs:.4f}", flush=True)
    no_worse(wide, "accuracy beside PyTorch's")
    no_worse(narrow, "accuracy in bf16 beside float32")


torch.set_num_threads(2)
with tempfile.TemporaryDirectory() as work:
    everything = digits()
    first_steps(*everything, work)
    paired(*everything, work)
print(f"1..{verdict.number}")
sys.exit(verdict.failed > 0)
