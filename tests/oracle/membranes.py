"""membranes.py - segmentation learnt beside PyTorch from equal weights and equal batches: paired seeds, mean IoU.

Usage: membranes.py TENREC [SEEDS [EPOCHS [unet|deeplab]]]. Needs TENREC_SHARED (or ../shared) with
corpus/data/membrane_seg (10 images of 512 x 512 with masks). THREADS=N in the environment: for both (default 2).

Recipe: by the seed, 8 images to learn from and 2 to judge by, in pieces of 128 x 128 pixels; an order an epoch, drawn
once for both; batch 4, Adam at 1e-3, cross entropy, float32.
 - unet: 8 to 64 channels with batch normalization, from fresh weights; all 16 pieces of an image.
 - deeplab: torchvision's deeplabv3_mobilenet_v3_large (no dropout, which each would draw in its own way). It answers at
   every 16th pixel and membranes are 8 wide, so pieces are 64 x 64 pixels enlarged; 13 of an image, so that it is a
   matter of minutes. No trained weights can be had offline, so PyTorch first teaches it where pixels are lighter than
   their surroundings, for 2 epochs; then both fine-tune it on the masks. Its batch normalizations move their
   statistics by 0.1 a step (torchvision: 0.01, which is made for longer runs).
"""
import csv
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import nn

from runs import Verdicts

warnings.filterwarnings("ignore")
TENREC = os.path.abspath(sys.argv[1])
SEEDS = max(2, int(sys.argv[2])) if len(sys.argv) > 2 else 5  # one has no spread
EPOCHS = int(sys.argv[3]) if len(sys.argv) > 3 else 8
SHARED = os.environ.get("TENREC_SHARED", os.path.join(os.path.dirname(__file__), "../../../shared"))
FOLDER = os.path.join(SHARED, "corpus/data/membrane_seg")
if not os.path.isdir(FOLDER):
    print("1..0 # SKIP no membranes")
    sys.exit(0)
THREADS = int(os.environ.get("THREADS", "2"))
BATCH, SIDE = 4, 128
STEPS = '[{"op": "decode", "color_space": "%s"}, {"op": "rescale", "factor": 255}, {"op": "layout"}]'


def pieces(kind, index, zoom, every):
    """(N, SIDE, SIDE) of one image or mask, every so many."""
    whole = Image.open(f"{FOLDER}/{kind}/{index}.png").convert("L")
    if zoom > 1:
        whole = whole.resize((512 * zoom, 512 * zoom), Image.BILINEAR if kind == "image" else Image.NEAREST)
    n = 512 * zoom // SIDE
    cut = np.array(whole).reshape(n, SIDE, n, SIDE).transpose(0, 2, 1, 3).reshape(-1, SIDE, SIDE)[::every]
    return cut if kind == "image" else (cut > 127).astype(np.uint8)


class Double(nn.Sequential):
    def __init__(self, c, k):
        layers = []
        for i in (c, k):
            layers += [nn.Conv2d(i, k, 3, padding=1), nn.BatchNorm2d(k), nn.ReLU()]
        super().__init__(*layers)


class UNet(nn.Module):
    colors, zoom, every = 1, 1, 1

    def __init__(self, width=(8, 16, 32, 64)):
        super().__init__()
        self.down = nn.ModuleList(Double(c, k) for c, k in zip((1,) + width, width))
        pairs = list(zip(width[:0:-1], width[-2::-1]))
        self.up = nn.ModuleList(nn.ConvTranspose2d(c, k, 2, 2) for c, k in pairs)
        self.merge = nn.ModuleList(Double(c, k) for c, k in pairs)
        self.head = nn.Conv2d(width[0], 2, 1)

    def forward(self, x):
        kept = []
        for down in self.down:
            x = down(nn.functional.max_pool2d(x, 2) if kept else x)
            kept.append(x)
        for up, merge, skip in zip(self.up, self.merge, kept[-2::-1]):
            x = merge(torch.cat([skip, up(x)], 1))
        return self.head(x)

    def ready(self, x, rng):
        pass


class DeepLab(nn.Module):
    colors, zoom, every = 3, 2, 5

    def __init__(self):
        super().__init__()
        make = torchvision.models.segmentation.deeplabv3_mobilenet_v3_large
        self.net = make(weights=None, weights_backbone=None, num_classes=2)
        for m in self.net.modules():
            if isinstance(m, nn.Dropout):
                m.p = 0
            if isinstance(m, nn.BatchNorm2d):
                m.momentum = 0.1

    def forward(self, x):
        return self.net(x)["out"]

    def ready(self, x, rng):
        around = nn.functional.avg_pool2d(x[:, :1], 31, 1, 15, count_include_pad=False)
        torch_train(self, x, (x[:, 0] > around[:, 0]).long(), [rng.permutation(len(x)) for _ in range(2)])


def torch_train(net, x, y, order):
    net.train()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for rows in order:
        for i in range(0, len(rows), BATCH):
            pick = torch.from_numpy(rows[i:i + BATCH])
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[pick]), y[pick]).backward()
            optimizer.step()
    return net.eval()


def miou(net, x, y):
    with torch.no_grad():
        guess = torch.cat([net(x[i:i + BATCH]).argmax(1) for i in range(0, len(x), BATCH)])
    shares = [((guess == c) & (y == c)).sum() / ((guess == c) | (y == c)).sum() for c in range(2)]
    return torch.stack(shares).mean().item()


def write_table(work, name, images, masks, order):
    os.makedirs(f"{work}/{name}", exist_ok=True)
    for i, (image, mask) in enumerate(zip(images, masks)):
        Image.fromarray(image).save(f"{work}/{name}/{i}.png")
        Image.fromarray(mask).save(f"{work}/{name}/{i}m.png")
    with open(f"{work}/{name}.csv", "w") as f:
        f.write("image,mask\n" + "".join(f"{name}/{i}.png,{name}/{i}m.png\n" for i in order))


def tenrec(net, seed, work):
    """All epochs are one table in one order, so that batches are PyTorch's; judged at its end."""
    torch.jit.trace(net.eval(), torch.zeros(1, net.colors, SIDE, SIDE)).save(f"{work}/m.pt")
    open(f"{work}/steps.json", "w").write(STEPS % ("GRAY" if net.colors == 1 else "RGB"))
    out = f"runs/{type(net).__name__}{seed}"
    keys = dict(model="m.pt", data="learn.csv", valid="judge.csv", preprocess="steps.json", task="image-segmentation",
                input=f"Nx{net.colors}x{SIDE}x{SIDE}", batch=BATCH, optimizer="adam", lr=1e-3, shuffle="false",
                epochs=1, threads=THREADS, seed=seed, out=out)
    run = subprocess.run([TENREC, "train"] + [f"{k}={v}" for k, v in keys.items()], capture_output=True, text=True,
                         cwd=work)
    if run.returncode:
        raise SystemExit(run.stderr)
    with open(f"{work}/{out}/results.csv") as f:
        return float(list(csv.DictReader(f))[-1]["valid_miou"])


def one_seed(make, seed, work):
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    index = rng.permutation(10)
    data = {kind: [np.concatenate([pieces(kind, i, make.zoom, make.every) for i in part])
                   for part in (index[:8], index[8:])] for kind in ("image", "label")}
    x = [torch.from_numpy(d[:, None] / np.float32(255)) for d in data["image"]]
    y = [torch.from_numpy(d.astype(np.int64)) for d in data["label"]]
    net = make()
    x = [v.expand(-1, net.colors, -1, -1).contiguous() for v in x]
    net.ready(x[0], rng)
    order = [rng.permutation(len(x[0])) for _ in range(EPOCHS)]
    write_table(work, "learn", data["image"][0], data["label"][0], np.concatenate(order))
    write_table(work, "judge", data["image"][1], data["label"][1], range(len(x[1])))
    before, ours = miou(net.eval(), x[1], y[1]), tenrec(net, seed, work)
    theirs = miou(torch_train(net, x[0], y[0], order), x[1], y[1])
    print(f"# {type(net).__name__} seed {seed}: mIoU {before:.4f} before; {ours:.4f}, PyTorch {theirs:.4f}", flush=True)
    return ours - theirs


torch.set_num_threads(THREADS)
verdict = Verdicts()
KINDS = {"unet": UNet, "deeplab": DeepLab}
for kind in sys.argv[4:] or list(KINDS):
    with tempfile.TemporaryDirectory() as folder:
        differences = [one_seed(KINDS[kind], s, folder) for s in range(1, SEEDS + 1)]
    mean, error = np.mean(differences), np.std(differences, ddof=1) / SEEDS ** 0.5
    verdict(mean >= -2 * error, f"mIoU of {SEEDS} paired seeds of {kind}: {mean:+.4f}, standard error {error:.4f}")
print(f"1..{verdict.number}")
sys.exit(verdict.failed > 0)
