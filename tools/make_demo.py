#!/usr/bin/python3
"""make_demo.py - makes what `make demo` shows: two small trained models and pictures to score, into examples/demo/.

    streets.pt    TorchScript (scripted), segmentation: sky, road, grass, car, tree; any picture size
    shapes.onnx   ONNX (opset 13), classification of drawn shapes, 64 x 64, batch free
    streets/*.jpg, shapes/*.png, shapes.txt (labels)
    night/*, night.csv, night_valid.csv   streets at night with their masks: to learn from, and to judge by

Needs PyTorch 1.13 and Pillow (make test-oracle installs them); never needed to build or run Tenrec. Everything is drawn
from a seed, so the pictures are the same every time; the weights are as far as PyTorch is reproducible.
"""
import math
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFilter
from torch import nn

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "examples", "demo")
SHAPES = ["circle", "cross", "square", "star", "triangle"]
PARTS = ["sky", "road", "grass", "car", "tree"]


def color(rng, low=0, high=256):
    return tuple(int(v) for v in rng.integers(low, high, 3))


def noisy(image, rng, amount):
    pixels = np.asarray(image, np.float32) + rng.normal(0, amount, (image.height, image.width, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def polygon(kind, cx, cy, r, turn):
    corners = {"square": 4, "triangle": 3, "star": 10}.get(kind)
    if corners:
        radii = [r * 0.4 if kind == "star" and k % 2 else r for k in range(corners)]
        angles = [turn + k * math.tau / corners for k in range(corners)]
        return [(cx + q * math.cos(t), cy + q * math.sin(t)) for q, t in zip(radii, angles)]
    arm = [(1, .3), (.3, .3), (.3, 1), (-.3, 1), (-.3, .3), (-1, .3), (-1, -.3), (-.3, -.3), (-.3, -1), (.3, -1),
           (.3, -.3), (1, -.3)]
    c, s = r * math.cos(turn), r * math.sin(turn)
    return [(cx + x * c - y * s, cy + x * s + y * c) for x, y in arm]


def draw_shape(kind, rng, size=64):
    image = Image.new("RGB", (size, size), color(rng))
    draw = ImageDraw.Draw(image)
    r = size * rng.uniform(.25, .42)
    cx, cy = rng.uniform(r, size - r, 2)
    ink = color(rng)
    while sum(abs(a - b) for a, b in zip(ink, image.getpixel((0, 0)))) < 150:
        ink = color(rng)
    if kind == "circle":
        draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=ink)
    else:
        draw.polygon(polygon(kind, cx, cy, r, rng.uniform(0, math.tau)), fill=ink)
    return noisy(image, rng, 12)


def draw_street(rng, width=160, height=120):
    """A picture and its mask: what is where."""
    image = Image.new("RGB", (width, height), (110 + int(rng.integers(60)), 160, 220))
    mask = Image.new("L", (width, height), 0)
    both = [ImageDraw.Draw(image), ImageDraw.Draw(mask)]
    horizon = int(height * rng.uniform(.35, .5))

    def fill(shape, box, ink, part):
        for draw, paint in zip(both, (ink, part)):
            getattr(draw, shape)(box, fill=paint)

    fill("rectangle", (0, horizon, width, height), (60, 120 + int(rng.integers(50)), 50), 2)
    vanish, left, right = width * rng.uniform(.4, .6), width * rng.uniform(-.2, .2), width * rng.uniform(.8, 1.2)
    gray = int(rng.integers(70, 110))
    road = [(vanish - 4, horizon), (vanish + 4, horizon), (right, height), (left, height)]
    fill("polygon", road, (gray, gray, gray + 5), 1)
    for _ in range(int(rng.integers(2, 6))):
        x, foot = rng.uniform(0, width), rng.uniform(horizon, horizon + height * .15)
        s = rng.uniform(.08, .18) * height
        fill("rectangle", (x - s * .12, foot - s, x + s * .12, foot), (90, 60, 30), 4)
        green = (20, 90 + int(rng.integers(40)), 30)
        fill("ellipse", (x - s * .6, foot - 2.2 * s, x + s * .6, foot - .7 * s), green, 4)
    for _ in range(int(rng.integers(1, 4))):
        depth = rng.uniform(.25, .9)
        y = horizon + (height - horizon) * depth
        s = height * .06 + height * .22 * depth
        x = vanish + (rng.uniform(left, right) - vanish) * depth
        ink = color(rng, 30)
        fill("rectangle", (x - s, y - s * .7, x + s, y), ink, 3)
        fill("rectangle", (x - s * .6, y - s * 1.2, x + s * .6, y - s * .6), ink, 3)
        both[0].rectangle((x - s * .5, y - s * 1.1, x + s * .5, y - s * .75), fill=(180, 210, 230))
    return noisy(image.filter(ImageFilter.GaussianBlur(.6)), rng, 8), mask


def block(i, o, stride=1):
    return nn.Sequential(nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True))


class Shapes(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(block(3, 16), nn.MaxPool2d(2), block(16, 32), nn.MaxPool2d(2), block(32, 64),
                                      nn.MaxPool2d(2), block(64, 64))
        self.drop = nn.Dropout(.2)
        self.head = nn.Linear(64, len(SHAPES))

    def forward(self, x):
        return self.head(self.drop(F.adaptive_avg_pool2d(self.features(x), 1).flatten(1)))


class Streets(nn.Module):
    """A small encoder and decoder with skips; the picture may have any size."""

    def __init__(self, c=16):
        super().__init__()
        self.down1, self.down2 = block(3, c), nn.Sequential(block(c, 2 * c, 2), block(2 * c, 2 * c))
        self.down3 = nn.Sequential(block(2 * c, 4 * c, 2), block(4 * c, 4 * c))
        self.up2, self.up1 = block(6 * c, 2 * c), block(3 * c, c)
        self.head = nn.Conv2d(c, len(PARTS), 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(a)
        y = self.down3(b)
        y = self.up2(torch.cat([F.interpolate(y, size=b.shape[-2:], mode="bilinear", align_corners=False), b], 1))
        y = self.up1(torch.cat([F.interpolate(y, size=a.shape[-2:], mode="bilinear", align_corners=False), a], 1))
        return self.head(y)


MEAN, STD = torch.tensor([.485, .456, .406]).view(3, 1, 1), torch.tensor([.229, .224, .225]).view(3, 1, 1)


def tensor(image):
    return (torch.from_numpy(np.asarray(image, np.float32).copy()).permute(2, 0, 1) / 255 - MEAN) / STD


def train(model, batch, steps, lr=2e-3):
    optimizer = torch.optim.Adam(model.parameters(), lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr * 4, total_steps=steps)
    model.train()
    for step in range(steps):
        x, y = batch()
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            print(f"{type(model).__name__} {step}/{steps} loss {loss.item():.4f}", flush=True)
    return model.eval()


def shapes_batch(rng, n=32):
    y = rng.integers(0, len(SHAPES), n)
    return torch.stack([tensor(draw_shape(SHAPES[k], rng)) for k in y]), torch.from_numpy(y)


def streets_batch(rng, n=8):
    pairs = [draw_street(rng) for _ in range(n)]
    masks = [torch.from_numpy(np.asarray(m, np.int64).copy()) for _, m in pairs]
    return torch.stack([tensor(i) for i, _ in pairs]), torch.stack(masks)


def night():
    """The same streets with the lights off: what the network for daylight has never seen."""
    rng = np.random.default_rng(4)
    os.makedirs(os.path.join(OUT, "night"), exist_ok=True)
    for table, count in (("night", 32), ("night_valid", 12)):
        with open(os.path.join(OUT, table + ".csv"), "w") as f:
            f.write("image,mask\n")
            for i in range(count):
                image, mask = draw_street(rng)
                dark = np.asarray(image, np.float32) * (.22, .25, .4) + (4, 6, 22)
                name = f"night/{table}_{i}"
                noisy(Image.fromarray(dark.astype(np.uint8)), rng, 3).save(os.path.join(OUT, name + ".jpg"), quality=85)
                mask.save(os.path.join(OUT, name + "_mask.png"), optimize=True)
                f.write(f"{name}.jpg,{name}_mask.png\n")


def main():
    night()
    if "night" in sys.argv:
        return 0
    torch.manual_seed(0)
    torch.set_num_threads(int(os.environ.get("THREADS", "2")))
    for folder in ("shapes", "streets"):
        os.makedirs(os.path.join(OUT, folder), exist_ok=True)
    rng = np.random.default_rng(1)
    for i in range(10):
        draw_shape(SHAPES[i % 5], rng, 96).save(os.path.join(OUT, "shapes", f"{SHAPES[i % 5]}_{i // 5}.png"))
    for i in range(6):
        image, _ = draw_street(rng, 320, 240)
        image.save(os.path.join(OUT, "streets", f"street_{i}.jpg"), quality=88)
    with open(os.path.join(OUT, "shapes.txt"), "w") as f:
        f.write("\n".join(SHAPES) + "\n")
    with open(os.path.join(OUT, "streets.txt"), "w") as f:
        f.write("\n".join(PARTS) + "\n")

    rng = np.random.default_rng(2)
    model = train(Shapes(), lambda: shapes_batch(rng), int(os.environ.get("STEPS", "600")))
    x, y = shapes_batch(np.random.default_rng(3), 256)
    with torch.no_grad():
        print("shapes accuracy", (model(x).argmax(1) == y).float().mean().item())
    torch.onnx.export(model, x[:1], os.path.join(OUT, "shapes.onnx"), opset_version=13, input_names=["image"],
                      output_names=["logits"], dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}},
                      training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
    model = train(Streets(), lambda: streets_batch(rng), int(os.environ.get("STEPS", "600")))
    x, y = streets_batch(np.random.default_rng(3), 16)
    with torch.no_grad():
        print("streets pixel accuracy", (model(x).argmax(1) == y).float().mean().item())
    torch.jit.script(model).save(os.path.join(OUT, "streets.pt"))


if __name__ == "__main__":
    sys.exit(main())
