"""detectors.py - torchvision's detectors, scripted, against tenrec: boxes, scores and labels.

detectors.py TENREC [NAME ...]

A fresh network scores every class alike, or finds nothing at all, so that a comparison would say nothing: first its
statistics are made those of the image, and its logits reach as far as a trained one's.
"""
import os
import subprocess
import sys
import tempfile

import numpy as np

try:
    import warnings

    import torch
    import torchvision
    from torch import nn
except ImportError:
    print("1..0 # SKIP python3-torchvision is not installed")
    sys.exit(0)

warnings.simplefilter("ignore")
ALLOWED = 1e-4  # of the largest box or score; or thrice what float32 costs PyTorch
NEAR = 5e-3  # farther apart two boxes are not the same
MODELS = {
    "ssdlite320": ("ssdlite320_mobilenet_v3_large", {"topk_candidates": 60}),
    "ssd300": ("ssd300_vgg16", {"topk_candidates": 60}),
    "retinanet": ("retinanet_resnet50_fpn", {"min_size": 192, "max_size": 192}),
}


class Single(nn.Module):
    """One image in, three tensors out."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        found = self.model([x])[1][0]
        return found["boxes"], found["scores"], found["labels"]


def last_layers(model):
    """The convolutions that give the scores of the classes."""
    head = model.head.classification_head
    if hasattr(head, "cls_logits"):
        return [head.cls_logits]
    return [m[-1] if isinstance(m, nn.Sequential) else m for m in head.module_list]


def lively(name, image):
    """A fresh model whose statistics are those of the image, and whose logits reach as far as a trained one's."""
    make, options = MODELS[name]
    torch.manual_seed(5)
    model = getattr(torchvision.models.detection, make)(weights=None, weights_backbone=None, **options).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
            module.train()
    with torch.no_grad():
        model([image, image.flip(-1)])
        model.eval()
        for layer in last_layers(model):
            seen = []
            layer.bias.fill_(0)
            hook = layer.register_forward_hook(lambda _m, _i, out, seen=seen: seen.append(out.max()))
            model([image])
            hook.remove()
            layer.weight *= 8 / max(float(max(seen)), 1e-6)
            if name == "retinanet":  # a class is there or not by itself
                layer.bias.fill_(-4)
    return model


def distance(found, wanted):
    """(share of the wanted boxes that are there, the largest difference among those): boxes of one label whose scores
    are nearly equal may change places, and the last ones be others."""
    boxes, scores, labels = found
    matched, worst = 0, 0.0
    for box, score, label in zip(*wanted):
        same = labels == label
        if not same.any():
            continue
        apart = np.maximum(np.abs(boxes[same] - box).max(1) / np.abs(wanted[0]).max(), np.abs(scores[same] - score))
        if apart.min() < NEAR:
            matched, worst = matched + 1, max(worst, float(apart.min()))
    return matched / max(len(wanted[1]), 1), worst


def run(program, scripted, x):
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, n) for n in ("m.pt", "x.npy", "y.npz")]
        scripted.save(paths[0])
        np.save(paths[1], x.numpy())
        done = subprocess.run([program, "run", paths[0], paths[1], "--input", "3x240x320", "-o", paths[2]],
                              capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return list(np.load(paths[2]).values())


def compare(program, name):
    """(number of boxes, share found, largest difference, that of PyTorch's own float32), all from float64."""
    torch.manual_seed(7)
    x = torch.rand(3, 240, 320)
    model = lively(name, x)
    scripted = torch.jit.script(Single(model))
    with torch.no_grad():
        own = [t.numpy() for t in scripted(x)]
        found = run(program, scripted, x)
        exact = model.double()([x.double()])[0]
    wanted = [exact[k].numpy() for k in ("boxes", "scores", "labels")]
    share, worst = distance(found, wanted)
    return len(wanted[0]), share, worst, distance(own, wanted)[1]


def main():
    names = sys.argv[2:] or list(MODELS)
    print(f"1..{len(names)}")
    bad = 0
    for number, name in enumerate(names, 1):
        try:
            boxes, share, worst, own = compare(sys.argv[1], name)
            good = boxes >= 10 and share >= 0.95 and worst <= max(ALLOWED, 3 * own)
            text = f"{boxes} boxes, {share:.0%} found, {worst:.2g} of the scale (PyTorch's own: {own:.2g})"
        except RuntimeError as why:
            good, text = False, str(why)
        bad += not good
        print(f"{'ok' if good else 'not ok'} {number} - {name}: {text}")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
