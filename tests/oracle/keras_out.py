"""keras_out.py - Keras files that tenrec writes, as libhdf5 sees them: every group, attribute and weight that Keras
asks for is there, and the calls of the config lead from the inputs to the outputs.

    keras_out.py TENREC
"""
import io
import json
import os
import subprocess
import sys
import tempfile
import warnings
import zipfile

import h5py
import numpy as np
import torch

warnings.filterwarnings("ignore")
TENREC = os.path.abspath(sys.argv[1])
number = failed = 0
SNAKE = {"Conv2D": "conv2d", "DepthwiseConv2D": "depthwise_conv2d", "BatchNormalization": "batch_normalization",
         "Dense": "dense", "Bidirectional": "bidirectional",
         "LayerNormalization": "layer_normalization"}


def verdict(good, what):
    global number, failed
    number += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {number} - {what}", flush=True)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.deep = torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Conv2d(8, 8, 3, groups=8)
        self.norm, self.fc = torch.nn.BatchNorm2d(8), torch.nn.Linear(12, 5)
        self.lstm, self.norm2 = torch.nn.LSTM(8, 6, batch_first=True, bidirectional=True), torch.nn.LayerNorm(12)

    def forward(self, x):
        x = torch.relu(self.norm(self.deep(self.conv(x)))).flatten(2).transpose(1, 2)
        return self.fc(self.norm2(self.lstm(x)[0]).mean(1))


def text(v):
    return v.decode() if isinstance(v, bytes) else v


def places(config, version):
    """(layer, [names of layers it reads]) of every layer."""
    for layer in config["layers"]:
        nodes = layer["inbound_nodes"]
        if version == 2:
            yield layer["name"], [t[0] for call in nodes for t in call]
        else:
            yield layer["name"], [t["config"]["keras_history"][0] for call in nodes
                                  for a in call["args"] for t in (a if isinstance(a, list) else [a])
                                  if isinstance(t, dict) and t.get("class_name") == "__keras_tensor__"]


def connected(config, version):
    seen = set()
    for name, reads in places(config, version):
        if any(r not in seen for r in reads):
            return False
        seen.add(name)
    return all(p[0] in seen for p in config["input_layers"] + config["output_layers"])


def check_h5(path, state):
    with h5py.File(path) as f:
        config = json.loads(text(f.attrs["model_config"]))
        version = text(f.attrs["keras_version"])
        verdict(version.startswith("2.") and config["class_name"] == "Functional", "h5: its root")
        verdict(connected(config["config"], 2), "h5: every call reads what was made before")
        weights = f["model_weights"]
        names = [text(n) for n in weights.attrs["layer_names"]]
        verdict(names == [layer["name"] for layer in config["config"]["layers"]], "h5: layer_names are the config's")
        arrays = {}
        for name in names:
            group = weights[name]
            for weight in group.attrs["weight_names"]:
                arrays[text(weight)] = np.array(group[text(weight)])
        kernel = next(v for k, v in arrays.items() if k.endswith("/kernel:0") and v.ndim == 4)
        verdict(np.array_equal(kernel, state["conv.weight"].numpy().transpose(2, 3, 1, 0)), "h5: a kernel, turned")
        verdict(sorted(k.split("/")[-1] for k in arrays if "norm" in k) ==
                ["beta:0", "beta:0", "gamma:0", "gamma:0", "moving_mean:0", "moving_variance:0"],
                "h5: names of weights")


def check_keras(path, state):
    z = zipfile.ZipFile(path)
    verdict(sorted(z.namelist()) == ["config.json", "metadata.json", "model.weights.h5"], "keras: its entries")
    config, seen, right = json.loads(z.read("config.json")), {}, True
    verdict(connected(config["config"], 3), "keras: every call reads what was made before")
    with h5py.File(io.BytesIO(z.read("model.weights.h5"))) as f:
        for layer in config["config"]["layers"]:
            if layer["class_name"] not in SNAKE or layer["module"] != "keras.layers":
                continue
            base = SNAKE[layer["class_name"]]
            n = seen[base] = seen.get(base, -1) + 1
            right &= f"layers/{base}" + (f"_{n}" if n else "") in f
        verdict(right and len(seen) == 6, "keras: layers are numbered by class")
        verdict(np.array_equal(f["layers/dense/vars/0"], state["fc.weight"].numpy().T), "keras: a kernel, turned")
        cell = f["layers/bidirectional/backward_layer/cell/vars/1"]
        verdict(cell.shape == (6, 24), "keras: cells of both directions")


torch.manual_seed(2)
net = Net().eval()
with tempfile.TemporaryDirectory() as work:
    source = os.path.join(work, "net.pt")
    torch.jit.trace(net, torch.randn(2, 3, 10, 12)).save(source)
    for ending, check in (("h5", check_h5), ("keras", check_keras)):
        out = os.path.join(work, "out." + ending)
        words = ["export", source, "--input", "2x3x10x12", "-o", out]
        done = subprocess.run([TENREC, *words], capture_output=True, text=True)
        if done.returncode:
            verdict(False, ending + ": " + done.stderr.replace("\n", " "))
        else:
            check(out, net.state_dict())
print(f"1..{number}")
sys.exit(failed > 0)
