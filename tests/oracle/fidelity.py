"""fidelity.py - torchvision's networks, traced and scripted, imported and run, against PyTorch: one table.

    fidelity.py TENREC [NAME ...]

Batch norms are calibrated first (random networks have near constant outputs otherwise, which prove nothing). Each file
is imported once with free batch, height and width and run at batch 1 and 3 and two sizes; where a network or a trace
fixes the size, the second size is left out and said. Where the difference from PyTorch's float32 is over the limit,
both are held against PyTorch's float64, as (ours/PyTorch's own): a deep random network magnifies the rounding of
either, and we may not be much farther from the truth than PyTorch is.
"""
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import torch
import torchvision

warnings.filterwarnings("ignore")
PROGRAM, ONLY = sys.argv[1], sys.argv[2:]
LIMIT = 1e-4
# Times PyTorch's own distance from float64: what may remain where its float32 itself is over the limit. Winograd's
# transforms round up to 1.6 times as much as direct sums in such networks (1.3 without them), and save half the time.
ROUNDING = 1.75
CLASSIFIERS = ["resnet18", "resnet50", "vgg11_bn", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x1_0",
               "densenet121", "squeezenet1_1", "googlenet", "inception_v3", "efficientnet_b0", "regnet_y_400mf",
               "convnext_tiny", "vit_b_16", "swin_t"]
SEGMENTERS = ["deeplabv3_resnet50", "fcn_resnet50", "lraspp_mobilenet_v3_large"]
FIXED = {"vit_b_16": 224}
number = failed = 0
worst = 0.0


def make(name):
    torch.manual_seed(1)
    options = {"weights": None}
    if name in SEGMENTERS:
        options["weights_backbone"] = None
        model = getattr(torchvision.models.segmentation, name)(**options)
    else:
        if name in ("googlenet", "inception_v3"):
            options["init_weights"] = False
        model = getattr(torchvision.models, name)(**options)
    for m in model.modules():
        if isinstance(m, torch.nn.modules.batchnorm._BatchNorm):
            m.momentum = None
    if name.startswith("vit"):  # torchvision begins with a head of zeros, whose outputs prove nothing
        torch.nn.init.normal_(model.heads.head.weight, std=0.02)
    model.train()
    size = {**FIXED, "googlenet": 224, "inception_v3": 299}.get(name, 224 if name in SEGMENTERS else 96)
    with torch.no_grad():
        for _ in range(3):  # of enough pictures that the variances of pooled features are no accident
            model(torch.randn(8, 3, size, size))
    return model.eval()


def flat(y):
    if torch.is_tensor(y):
        return [y]
    values = y.values() if isinstance(y, dict) else y
    return [t for v in values if v is not None for t in flat(v)]


def tenrec(*words):
    run = subprocess.run([PROGRAM, *words], capture_output=True, text=True)
    return run.returncode, run.stderr.strip().split("\n")[-1]


def compare(path, want):
    got = np.load(path)
    got = [got[k] for k in got.files]
    if len(got) < len(want):
        return None
    error = 0.0
    for a, b in zip(got, want):
        b = b.detach().numpy()
        if a.shape != b.shape or not np.max(np.abs(b)) > 0:
            return None
        error = max(error, float(np.max(np.abs(a - b)) / np.max(np.abs(b))))
    return error


def against_double(out, path, x, want):
    """Our difference and PyTorch's own, both from its float64."""
    with torch.no_grad():
        exact = [t.float() for t in flat(torch.jit.load(path).double()(x.double()))]
    own = max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(want, exact))
    return compare(out, exact), own


def run_case(package, path, model, batch, size, folder):
    """The largest relative difference, and the text that says it."""
    x = torch.randn(batch, 3, size, size)
    try:
        with torch.no_grad():
            want = flat(model(x))
    except Exception:
        return None, "torch refuses this size"
    array, out = os.path.join(folder, "x.npy"), os.path.join(folder, "y.npz")
    np.save(array, x.numpy())
    code, text = tenrec("run", package, array, "-o", out)
    if code:
        return None, text
    error = compare(out, want)
    if error is None:
        return None, "outputs differ in number or shape"
    if error <= LIMIT:
        return error, f"{error:.1e}"
    ours, own = against_double(out, path, x, want)
    noise = own > LIMIT / 2 and ours <= ROUNDING * own
    return LIMIT if noise else ours, f"{error:.1e} ({ours:.1e}/{own:.1e})"


def check(name, kind, path, model, folder):
    global number, failed, worst
    size = FIXED.get(name, 224)
    package = os.path.join(folder, "m.tenrec")
    dims = "Nx3x224x224" if name in FIXED else "Nx3xHxW"
    code, text = tenrec("import", path, "-o", package, "--input", dims)
    cells = [(None, f"import: {text}")] if code else []
    sizes = [size] if name in FIXED else [size, 160]
    for batch in (1, 3) if not code else ():
        for side in sizes:
            cells.append(run_case(package, path, model, batch, side, folder))
            worst = max(worst, cells[-1][0] or 0)
    good = bool(cells) and all(error is not None and error <= LIMIT for error, _ in cells)
    number += 1
    failed += not good
    text = "  ".join(text[:150] for _, text in cells)
    print(f"{'ok' if good else 'not ok'} {number} - {name:26s} {kind:9s} {text}", flush=True)


def main():
    torch.set_num_threads(2)
    for name in CLASSIFIERS + SEGMENTERS:
        if ONLY and name not in ONLY:
            continue
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            model = make(name)
            x = torch.randn(2, 3, FIXED.get(name, 224), FIXED.get(name, 224))
            for kind in ("traced", "scripted"):
                path = os.path.join(folder, name + ".pt")
                file = torch.jit.trace(model, x, strict=False) if kind == "traced" else torch.jit.script(model)
                file.save(path)
                check(name, kind, path, torch.jit.load(path), folder)
    print(f"# worst of all: {worst:.2e} (limit {LIMIT:.0e}); columns: batch 1 at 224, 160; batch 3 at 224, 160")
    print(f"1..{number}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
