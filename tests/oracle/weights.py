#!/usr/bin/python3
"""weights.py - files of weights as people have them.

    weights.py TENREC

Tied weights keep all their names, shards of Hugging Face, checkpoints whose names have a word in front, a module
pickled inside a checkpoint.
"""
import json
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import torch
from torch import nn

from runs import Verdicts

warnings.filterwarnings("ignore")


class Tied(nn.Module):
    """A language model's ends: the embedding is also the last layer."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 6)
        self.body = nn.Linear(6, 6)
        self.again = self.body
        self.head = nn.Linear(6, 10, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, x):
        return self.head(torch.relu(self.again(torch.relu(self.body(self.embedding(x))))))


def tenrec(*words):
    done = subprocess.run([TENREC, *words], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def same(path, net):
    """Loads strictly into a network of other weights, and holds what `net` holds."""
    if path.endswith(".pth"):
        state = torch.load(path)
    else:
        with np.load(path) as z:
            state = {n: torch.from_numpy(z[n]) for n in z.files}
    fresh = type(net)()
    fresh.load_state_dict(state, strict=True)
    return all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), fresh.state_dict().values()))


def tied(verdict, folder):
    net, x = Tied().eval(), torch.randint(0, 10, (2, 4))
    path = lambda name: os.path.join(folder, name)
    torch.jit.script(net).save(path("scripted.pt"))
    torch.jit.trace(net, x).save(path("traced.pt"))
    torch.save(net.state_dict(), path("own.pth"))
    told = ("--input", "x=2x4:int64")
    for source in ("scripted.pt", "traced.pt"):
        code, talk = tenrec("import", path(source), *told, "-o", path("p.tenrec"))
        verdict(code == 0, "%s becomes a package %s" % (source, talk.strip()[-200:] if code else ""))
        for out in ("out.pth", "out.npz"):
            for start in ((path(source), *told), (path("p.tenrec"),)):
                code, talk = tenrec("export", *start, "-o", path(out))
                verdict(code == 0 and same(path(out), net), "%s to %s, all names of tied weights %s" % (
                    os.path.basename(start[0]), out, talk.strip()[-200:] if code else ""))
    other = Tied().eval()
    del (state := other.state_dict())["embedding.weight"]  # as files that hold each weight once
    torch.save(state, path("once.pth"))
    code, talk = tenrec("export", path("once.pth"), "--arch", path("scripted.pt"), *told, "-o", path("out.pth"))
    verdict(code == 0 and "missing" not in talk and same(path("out.pth"), other),
            "a file that has a tied weight once fits %s" % talk.strip()[-200:])


def checkpoints(verdict, folder):
    """Of a network that the zoo has."""
    path = lambda name: os.path.join(folder, name)
    code, talk = tenrec("export", "zoo:resnet18", "-o", path("zoo.pth"))
    verdict(code == 0, "weights of the zoo's resnet18 %s" % (talk if code else ""))
    state = torch.load(path("zoo.pth"))
    torch.save({"state_dict": {"model." + n: t for n, t in state.items()}, "epoch": 3}, path("lightning.ckpt"))
    code, talk = tenrec("info", path("lightning.ckpt"))
    verdict("fits         resnet18" in talk, "names with a word in front fit a network of the zoo")
    names = list(state)
    parts = {"a.bin": names[:50], "b.bin": names[50:]}
    for part, some in parts.items():
        torch.save({n: state[n] for n in some}, path(part))
    index = {"metadata": {}, "weight_map": {n: p for p, some in parts.items() for n in some}}
    json.dump(index, open(path("pytorch_model.bin.index.json"), "w"))
    code, talk = tenrec("info", path("pytorch_model.bin.index.json"))
    verdict(code == 0 and "fits         resnet18" in talk and "2 files" in talk, "shards of torch.save with an index")


def module_inside(verdict, folder):
    path = lambda name: os.path.join(folder, name)
    net, x = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 2)).eval(), torch.randn(3, 4)
    torch.save({"epoch": 7, "best": None, "model": net, "optimizer": None}, path("best.pt"))
    np.save(path("x.npy"), x.numpy())
    code, talk = tenrec("run", path("best.pt"), path("x.npy"), "-o", path("y.npy"))
    good = code == 0 and np.abs(np.load(path("y.npy")) - net(x).detach().numpy()).max() < 1e-6
    verdict(good, "a module inside a checkpoint is run %s" % (talk.strip()[-200:] if code else ""))


def main():
    torch.manual_seed(3)
    verdict = Verdicts()
    with tempfile.TemporaryDirectory() as folder:
        for part in (tied, checkpoints, module_inside):
            part(verdict, folder)
    print("1..%d" % verdict.number)
    return verdict.failed > 0


if __name__ == "__main__":
    TENREC = sys.argv[1]
    sys.exit(main())
