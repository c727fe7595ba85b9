"""zoo.py - networks of the zoo against torchvision: names and shapes of all parameters, and the same answers."""
import json
import os
import struct
import subprocess
import sys
import tempfile
import warnings
import zipfile

import numpy as np
import torch
import torchvision

warnings.filterwarnings("ignore")
TENREC = sys.argv[1]
number = failed = 0


def verdict(good, what):
    global number, failed
    number += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {number} - {what}", flush=True)


def weights(path):
    """The float32 tensors of a package, by name."""
    data = zipfile.ZipFile(path).read("model.safetensors")
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    out = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = (8 + size + at for at in entry["data_offsets"])
        out[name] = torch.from_numpy(np.frombuffer(data[begin:end], np.float32).reshape(entry["shape"]).copy())
    return out


def check(name, side):
    with tempfile.TemporaryDirectory() as folder:
        package, image, out = (os.path.join(folder, f) for f in ("p.tenrec", "x.npy", "y.npz"))
        subprocess.run([TENREC, "zoo", "new", name, "-o", package, "classes=7", f"input=3x{side}x{side}"], check=True,
                       stderr=subprocess.DEVNULL)
        model = getattr(torchvision.models, name)(weights=None, num_classes=7)
        theirs = {k: tuple(v.shape) for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
        ours = weights(package)
        same = theirs == {k: tuple(v.shape) for k, v in ours.items()}
        verdict(same, f"{name}: names and shapes")
        if not same:
            return
        first = next(k for k in ours if k in ("conv1.weight", "features.0.weight"))
        spread = float(model.state_dict()[first].std() / ours[first].std())
        verdict(0.95 < spread < 1.05, f"{name}: weights are spread alike ({spread:.3f})")
        model.load_state_dict(ours, strict=False)
        model.eval()
        x = torch.randn(2, 3, side, side)
        np.save(image, x.numpy())
        subprocess.run([TENREC, "run", package, image, "-o", out], check=True, stderr=subprocess.DEVNULL)
        y = np.load(out)["output"]
        want = model(x).detach().numpy()
        difference = np.abs(y - want).max() / np.abs(want).max()
        verdict(difference < 1e-4, f"{name}: answers differ by {difference:.1e}")


torch.manual_seed(0)
torch.set_num_threads(2)
for name, side in (("resnet18", 64), ("resnet34", 64), ("resnet50", 64), ("resnet101", 64), ("vgg11", 32),
                   ("vgg13_bn", 32), ("vgg16", 32), ("vgg19", 32)):
    check(name, side)
print(f"1..{number}")
sys.exit(failed > 0)
