"""checkpoint.py - optimizers that change hands: PyTorch's checkpoint goes on in tenrec train, a run of ours goes on in
PyTorch (load_state_dict of model and optimizer, strictly), with the losses that an unbroken training has.

    checkpoint.py TENREC
"""
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
BATCH, STEPS = 16, 10
OPTIMIZERS = {
    "sgd": (lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-3), dict(lr=0.05, weight_decay=1e-3)),
    "adam": (lambda p: torch.optim.Adam(p, lr=0.002, amsgrad=True), dict(lr=0.002, amsgrad="true")),
    "adamw": (lambda p: torch.optim.AdamW(p, lr=0.002, weight_decay=0.1), dict(lr=0.002, weight_decay=0.1)),
    "rmsprop": (lambda p: torch.optim.RMSprop(p, lr=0.001, momentum=0.5, centered=True),
                dict(lr=0.001, momentum=0.5, centered="true")),
    "adagrad": (lambda p: torch.optim.Adagrad(p, lr=0.01), dict(lr=0.01)),
}
verdict = Verdicts()


class Net(torch.nn.Module):
    """Its layers stand in another order than they are used in."""

    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(8 * 7 * 7, 10)
        self.conv = torch.nn.Conv2d(1, 8, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(8)

    def forward(self, x):
        x = torch.relu(self.norm(self.conv(x)))
        return self.fc(torch.flatten(torch.nn.functional.max_pool2d(x, 4), 1))


def tenrec(work, **keys):
    steps = os.path.join(work, "steps.json")
    with open(steps, "w") as f:
        f.write('[{"op": "decode", "color_space": "GRAY"}, {"op": "rescale", "factor": 255}, {"op": "layout"}]')
    words = [f"{k}={v}" for k, v in dict(preprocess=steps, input="Nx1x28x28", batch=BATCH, shuffle="false",
                                         valid_share=0, epochs=1, log_updates=1, mode="train", **keys).items()]
    run = subprocess.run([TENREC, "train"] + words, capture_output=True, text=True, cwd=work)
    if run.returncode:
        raise SystemExit(run.stderr)
    return run.stderr


def train(net, optimizer, x, y):
    net.train()
    losses = []
    for i in range(0, len(x), BATCH):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(x[i:i + BATCH]), y[i:i + BATCH])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def worst(a, b):
    return max(abs(p - q) / max(abs(q), 1e-3) for p, q in zip(a, b)) if len(a) == len(b) else float("inf")


def one(name, work, x, y):
    make, keys = OPTIMIZERS[name]
    half = STEPS * BATCH
    torch.manual_seed(4)
    net = Net()
    optimizer = make(net.parameters())
    torch.jit.script(net).save(os.path.join(work, "net.pt"))
    train(net, optimizer, x[:half], y[:half])
    torch.save({"epoch": 1, "model_state_dict": net.state_dict(), "optimizer_state_dict": optimizer.state_dict()},
               os.path.join(work, "half.pth"))
    want = train(net, optimizer, x[half:], y[half:])
    tenrec(work, model="net.pt", weights="half.pth", optimizer_state="half.pth", data="second-images-idx3-ubyte",
           optimizer=name, out="runs/in-" + name, **keys)
    d = worst(losses_of(os.path.join(work, "runs/in-" + name)), want)
    verdict(d < 2e-4, f"{name}: PyTorch's checkpoint goes on here, losses within {d:.1e}")

    tenrec(work, model="net.pt", data="first-images-idx3-ubyte", optimizer=name, out="runs/out-" + name, **keys)
    done = subprocess.run([TENREC, "export", "runs/out-" + name, "-o", "ours.pth"], capture_output=True, text=True,
                          cwd=work)
    if done.returncode:
        return verdict(False, f"{name}: {done.stderr}")
    net, checkpoint = Net(), torch.load(os.path.join(work, "ours.pth"))
    net.load_state_dict(checkpoint["model_state_dict"], strict=True)
    optimizer = make(net.parameters())
    optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
    d = worst(train(net, optimizer, x[half:], y[half:]), want)
    verdict(d < 2e-4, f"{name}: a run of ours goes on in PyTorch, losses within {d:.1e}")


torch.set_num_threads(2)
rng = np.random.default_rng(6)
images = rng.integers(0, 256, (2 * STEPS * BATCH, 28, 28)).astype(np.uint8)
labels = (images.mean((1, 2)) * 3).astype(np.int64) % 10
with tempfile.TemporaryDirectory() as work:
    for part, rows in (("first", slice(0, STEPS * BATCH)), ("second", slice(STEPS * BATCH, None))):
        write_idx(os.path.join(work, part), images[rows], labels[rows].astype(np.uint8))
    x, y = torch.from_numpy(images[:, None] / np.float32(255)), torch.from_numpy(labels)
    for name in OPTIMIZERS:
        one(name, work, x, y)
print(f"1..{verdict.number}")
sys.exit(verdict.failed > 0)
