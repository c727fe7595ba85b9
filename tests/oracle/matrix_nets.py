"""matrix_nets.py - four small networks, written by every framework that is there: CNN, segmentation, LSTM, transformer.

A source is (format, files, inputs, outputs of the framework, what else tenrec has to be told, class of torch or None).
"""
import os

import cv2
import numpy as np
import torch
from torch import nn

from caffe_layers import blob_wire, span

SHARED = os.environ.get("TENREC_SHARED", os.path.join(os.path.dirname(__file__), "../../../shared"))


class Segmenter(nn.Module):
    """A U of one level: down, up by interpolation and by a transposed convolution, joined."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.deep = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU())
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.turned = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.head = nn.Conv2d(32, 4, 1)

    def forward(self, x):
        a = self.down(x)
        b = self.deep(a)
        return self.head(torch.cat([a, self.up(b), self.turned(b)], 1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(6, 12, num_layers=2, batch_first=True)
        self.fc = nn.Linear(12, 3)

    def forward(self, x):
        return self.fc(self.lstm(x)[0][:, -1])


class Attention(nn.Module):
    def __init__(self, size, heads):
        super().__init__()
        self.heads, self.size = heads, size
        self.query, self.key, self.value = (nn.Linear(size, size) for _ in range(3))
        self.out = nn.Linear(size, size)

    def forward(self, x):
        n, t = x.shape[0], x.shape[1]
        q = self.query(x).view(n, t, self.heads, self.size // self.heads).transpose(1, 2)
        k = self.key(x).view(n, t, self.heads, self.size // self.heads).transpose(1, 2)
        v = self.value(x).view(n, t, self.heads, self.size // self.heads).transpose(1, 2)
        weight = torch.softmax(q @ k.transpose(-2, -1) / (self.size // self.heads) ** 0.5, -1)
        return self.out((weight @ v).transpose(1, 2).reshape(n, t, self.size))


class Block(nn.Module):
    def __init__(self, size, heads):
        super().__init__()
        self.attention, self.norm1, self.norm2 = Attention(size, heads), nn.LayerNorm(size), nn.LayerNorm(size)
        self.feed = nn.Sequential(nn.Linear(size, 2 * size), nn.GELU(), nn.Linear(2 * size, size))

    def forward(self, x):
        x = self.norm1(x + self.attention(x))
        return self.norm2(x + self.feed(x))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(Block(16, 4), Block(16, 4))
        self.fc = nn.Linear(16, 5)

    def forward(self, x):
        return self.fc(self.blocks(x).mean(1))


def classifier():
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
                         nn.Conv2d(8, 8, 3, stride=2, groups=8), nn.ReLU6(), nn.Conv2d(8, 12, 1), nn.ReLU(),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5), nn.Softmax(1))


NETS = {"CNN": (classifier, (2, 3, 18, 20)), "segmentation": (Segmenter, (2, 3, 16, 20)),
        "LSTM": (Recurrent, (2, 7, 6)), "transformer": (Encoder, (2, 9, 16))}


def shaken(make):
    """Weights, and statistics that are not 0 and 1."""
    torch.manual_seed(3)
    net = make().eval()
    for name, b in net.named_buffers():
        if b.dtype.is_floating_point:
            b.copy_(torch.rand_like(b) + 0.5)
    return net


def of_torch(name, folder):
    make, shape = NETS[name]
    net = shaken(make)
    x = torch.randn(*shape)
    with torch.no_grad():
        want = [net(x).numpy()]
    path = lambda ending: os.path.join(folder, name + ending)
    torch.jit.trace(net, x).save(path(".traced.pt"))
    torch.jit.script(net).save(path(".scripted.pt"))
    torch.save(net.state_dict(), path(".pth"))
    torch.save({"epoch": 3, "model_state_dict": net.state_dict()}, path(".tar"), _use_new_zipfile_serialization=False)
    np.savez(path(".npz"), **{k: v.numpy() for k, v in net.state_dict().items()})
    torch.onnx.export(net, x, path(".onnx"), opset_version=13, input_names=["x"], output_names=["y"],
                      dynamic_axes={"x": {0: "N"}, "y": {0: "N"}})
    arch = ["--arch", path(".traced.pt")]
    sources = [("TorchScript, traced", ".traced.pt", []), ("TorchScript, scripted", ".scripted.pt", []),
               ("ONNX", ".onnx", []), ("state_dict", ".pth", arch), ("checkpoint, legacy container", ".tar", arch),
               (".npz", ".npz", arch)]
    if isinstance(net, nn.Sequential):
        torch.save(net, path(".whole.pt"))
        sources.append(("module pickled whole", ".whole.pt", []))
    for label, ending, more in sources:
        named = None if label == "ONNX" else make  # its names are its own
        yield label, [path(ending)], [x.numpy()], want, more, named


def keras_files():
    k, c = os.path.join(SHARED, "samples/keras"), os.path.join(SHARED, "corpus/keras_v3")
    for net, kind, path in (("CNN", "Keras .h5", k + "/seq_mnist_cnn.h5"),
                            ("CNN", "Keras .keras", k + "/seq_mnist_cnn.keras"),
                            ("CNN", "Keras .h5, MobileNetV2", k + "/app_mobilenetv2.h5"),
                            ("segmentation", "Keras .keras", c + "/clean_document_unet/model_256_YUV_32_64.keras"),
                            ("LSTM", "Keras .h5", k + "/rnn_lstm.h5"), ("LSTM", "Keras .keras", k + "/rnn_lstm.keras"),
                            ("transformer", "Keras .h5", k + "/fn_attention.h5"),
                            ("transformer", "Keras .keras", c + "/electricity_transformer/transformer_model.keras")):
        if os.path.exists(path):
            yield net, kind, path


def arrays_beside(path):
    io = os.path.splitext(path)[0] + ".io.npz"
    if os.path.exists(io):
        z = np.load(io)
        return [z[k] for k in sorted(z) if k.startswith("in")], [z[k] for k in sorted(z) if k.startswith("out")]
    folder = os.path.dirname(path)
    return [np.load(folder + "/in_0.npy")], [np.load(folder + "/out_0.npy")]


def of_keras(name):
    for net, kind, path in keras_files():
        if net == name:
            x, want = arrays_beside(path)
            yield kind, [path], [a.astype(np.float32) if a.dtype.kind != "f" else a for a in x], want, [], None


CAFFE = {
    "CNN": """layer { name: "c1" type: "Convolution" bottom: "data" top: "c1"
  convolution_param { num_output: 8 kernel_size: 3 pad: 1 } }
layer { name: "s1" type: "Scale" bottom: "c1" top: "c1" scale_param { bias_term: true } }
layer { name: "r1" type: "ReLU" bottom: "c1" top: "c1" }
layer { name: "p1" type: "Pooling" bottom: "c1" top: "p1" pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "p1" top: "ip" inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
""",
    "segmentation": """layer { name: "c1" type: "Convolution" bottom: "data" top: "c1"
  convolution_param { num_output: 8 kernel_size: 3 pad: 1 stride: 2 } }
layer { name: "r1" type: "ReLU" bottom: "c1" top: "c1" relu_param { negative_slope: 0.1 } }
layer { name: "up" type: "Deconvolution" bottom: "c1" top: "up"
  convolution_param { num_output: 4 kernel_size: 4 stride: 2 pad: 1 } }
layer { name: "skip" type: "Convolution" bottom: "data" top: "skip"
  convolution_param { num_output: 4 kernel_size: 1 } }
layer { name: "sum" type: "Eltwise" bottom: "up" bottom: "skip" top: "sum" }
""",
}
BLOBS = {
    "CNN": {"c1": ("Convolution", [(8, 3, 3, 3), (8,)]), "s1": ("Scale", [(8,), (8,)]),
            "ip": ("InnerProduct", [(5, 8 * 7 * 8), (5,)])},
    "segmentation": {"c1": ("Convolution", [(8, 3, 3, 3), (8,)]), "up": ("Deconvolution", [(8, 4, 4, 4), (4,)]),
                     "skip": ("Convolution", [(4, 3, 1, 1), (4,)])},
}
HEAD = 'name: "net"\nlayer { name: "data" type: "Input" top: "data" input_param { shape { dim: [2, 3, 14, 16] } } }\n'


def of_caffe(name, folder):
    if name not in CAFFE:
        return
    rng = np.random.default_rng(4)
    layers = b"".join(
        span(100, span(1, layer) + span(2, kind) +
             b"".join(span(7, blob_wire(rng.standard_normal(s).astype(np.float32) * 0.3)) for s in shapes))
        for layer, (kind, shapes) in BLOBS[name].items())
    text, weights = (HEAD + CAFFE[name]).encode(), span(1, "net") + layers
    x = rng.standard_normal((2, 3, 14, 16)).astype(np.float32)
    net = cv2.dnn.readNetFromCaffe(np.frombuffer(text, np.uint8), np.frombuffer(weights, np.uint8))
    net.setInput(x, "data")
    want = [net.forward()]
    paths = [os.path.join(folder, name + ending) for ending in (".prototxt", ".caffemodel")]
    for path, data in zip(paths, (text, weights)):
        with open(path, "wb") as f:
            f.write(data)
    yield "Caffe", paths, [x], want, [], None


def sources(name, folder):
    yield from of_torch(name, folder)
    yield from of_keras(name)
    yield from of_caffe(name, folder)


