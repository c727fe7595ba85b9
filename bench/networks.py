#!/usr/bin/python3
"""networks.py - the workloads of the comparison: networks with random weights and settled batch statistics.

    networks.py FOLDER NAME...     writes FOLDER/NAME.onnx (free batch) and FOLDER/NAME.pt (TorchScript)
"""
import os
import sys

import torch
import torchvision
from torch import nn
from torch.nn import functional as F


class Double(nn.Sequential):
    def __init__(self, c, k):
        layers = []
        for i in (c, k):
            layers += [nn.Conv2d(i, k, 3, padding=1), nn.BatchNorm2d(k), nn.ReLU()]
        super().__init__(*layers)


class UNet(nn.Module):
    """Ronneberger et al. 2015, with padding and batch normalisation; 64 to 1024 channels."""
    def __init__(self, classes=2, width=(64, 128, 256, 512, 1024)):
        super().__init__()
        self.down = nn.ModuleList(Double(c, k) for c, k in zip((3,) + width, width))
        pairs = list(zip(width[:0:-1], width[-2::-1]))
        self.up = nn.ModuleList(nn.ConvTranspose2d(c, k, 2, 2) for c, k in pairs)
        self.merge = nn.ModuleList(Double(c, k) for c, k in pairs)
        self.head = nn.Conv2d(width[0], classes, 1)

    def forward(self, x):
        kept = []
        for down in self.down:
            x = down(F.max_pool2d(x, 2) if kept else x)
            kept.append(x)
        for up, merge, skip in zip(self.up, self.merge, kept[-2::-1]):
            x = merge(torch.cat([skip, up(x)], 1))
        return self.head(x)


class Digits(nn.Module):
    """Two convolutions and a linear layer, as everybody's first network."""
    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 64, 3, padding=1), nn.Conv2d(64, 128, 3, padding=1)
        self.fc = nn.Linear(128 * 7 * 7, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        return self.fc(F.max_pool2d(F.relu(self.c2(x)), 2).flatten(1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.fc = nn.LSTM(256, 256, 2, batch_first=True), nn.Linear(256, 10)

    def forward(self, x):
        return self.fc(self.lstm(x)[0][:, -1])


class Segmentation(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = torchvision.models.segmentation.deeplabv3_resnet50(weights=None, weights_backbone=None)

    def forward(self, x):
        return self.net(x)["out"]


def classifier(name):
    return lambda: getattr(torchvision.models, name)(weights=None)


def vision_transformer():
    net = torchvision.models.vit_b_16(weights=None)
    nn.init.normal_(net.heads.head.weight, std=0.02)  # zeros, as it begins with, prove nothing
    return net


NETWORKS = {
    "resnet18": (classifier("resnet18"), (3, 224, 224)),
    "resnet50": (classifier("resnet50"), (3, 224, 224)),
    "mobilenet_v2": (classifier("mobilenet_v2"), (3, 224, 224)),
    "shufflenet_v2": (classifier("shufflenet_v2_x1_0"), (3, 224, 224)),
    "vgg16": (classifier("vgg16"), (3, 224, 224)),
    "densenet121": (classifier("densenet121"), (3, 224, 224)),
    "convnext_tiny": (classifier("convnext_tiny"), (3, 224, 224)),
    "vit_b_16": (vision_transformer, (3, 224, 224)),
    "unet": (UNet, (3, 256, 256)),
    "deeplabv3": (Segmentation, (3, 520, 520)),
    "lstm": (Recurrent, (100, 256)),
    "digits": (Digits, (1, 28, 28)),
}


def settle(net, shape):
    """Batch statistics from one batch, so that signals keep their size through random weights."""
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    for m in norms:
        m.momentum = None
    if norms:
        net.train()
        with torch.no_grad():
            net(torch.randn(4, shape[0], *(min(n, 128) for n in shape[1:])))
    for m in norms:
        m.momentum = 0.1
    return net.eval()


def make(name):
    torch.manual_seed(0)
    make_net, shape = NETWORKS[name]
    return settle(make_net(), shape), shape


def write(folder, name):
    net, shape = make(name)
    x = torch.rand(2, *shape) * 2 - 1
    free = {"x": {0: "N"}, "y": {0: "N"}}
    with torch.no_grad():
        torch.jit.trace(net, x).save(f"{folder}/{name}.pt")
    attention = [m for m in net.modules() if isinstance(m, nn.MultiheadAttention)]
    for m in attention:  # its short cut for scoring is no operator of ONNX's
        m.train()
    mode = torch.onnx.TrainingMode.PRESERVE if attention else torch.onnx.TrainingMode.EVAL
    torch.onnx.export(net, x, f"{folder}/{name}.part", opset_version=13, input_names=["x"], output_names=["y"],
                      dynamic_axes=free, training=mode)
    os.replace(f"{folder}/{name}.part", f"{folder}/{name}.onnx")


if __name__ == "__main__":
    os.makedirs(sys.argv[1], exist_ok=True)
    for network in sys.argv[2:]:
        write(sys.argv[1], network)
