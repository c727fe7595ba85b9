#!/usr/bin/python3
"""modules.py - modules of torch.nn pickled whole, in both containers, read without code, beside PyTorch.

    modules.py TENREC
"""
import os
import sys
import tempfile
import warnings

import torch
from torch import nn
from torch.nn.utils import prune

from runs import Verdicts, answers

warnings.filterwarnings("ignore")
BOUND = 1e-5


def encoder(**more):
    return nn.TransformerEncoderLayer(16, 4, 32, **more)


def decoder(**more):
    return nn.TransformerDecoderLayer(16, 4, 32, **more)


def recurrent():
    r = torch.randn
    for kind in (nn.LSTM, nn.GRU, nn.RNN):
        yield kind(5, 7, 2, batch_first=True, dropout=.2), [r(3, 4, 5)]
        yield kind(5, 7, 2, bidirectional=True), [r(4, 3, 5)]
        yield kind(5, 7, bias=False), [r(4, 3, 5)]
    yield nn.RNN(5, 7, nonlinearity="relu"), [r(4, 3, 5)]
    for kind in (nn.LSTMCell, nn.GRUCell, nn.RNNCell):
        yield kind(5, 7), [r(3, 5)]
    yield nn.RNNCell(5, 7, nonlinearity="relu"), [r(3, 5)]


    yield nn.LSTM(5, 7, 2, proj_size=3, batch_first=True, bidirectional=True), [r(3, 4, 5)]
    yield nn.LSTM(5, 7, proj_size=4, bias=False), [r(4, 3, 5)]


def hooked():
    weight_norm, spectral_norm = torch.nn.utils.weight_norm, torch.nn.utils.spectral_norm
    x, image = torch.randn(2, 6), torch.randn(2, 3, 8, 8)
    yield nn.Sequential(weight_norm(nn.Conv2d(3, 4, 3)), nn.ReLU()), [image]
    yield nn.Sequential(weight_norm(nn.ConvTranspose2d(3, 4, 3), dim=1)), [image]
    yield nn.Sequential(weight_norm(nn.Linear(6, 4), dim=None)), [x]
    yield nn.Sequential(spectral_norm(nn.Conv2d(3, 4, 3)), spectral_norm(nn.ConvTranspose2d(4, 3, 2))), [image]
    yield nn.Sequential(prune.l1_unstructured(nn.Linear(6, 4), "weight", 0.5)), [x]


def attention():
    x, y = torch.randn(5, 2, 16), torch.randn(6, 2, 16)
    yield nn.MultiheadAttention(16, 4), [x, y, y]
    yield nn.MultiheadAttention(16, 4, batch_first=True), [x, x, x]
    yield nn.MultiheadAttention(16, 4, add_bias_kv=True), [x, y, y]
    yield nn.MultiheadAttention(16, 4, add_zero_attn=True, bias=False, batch_first=True), [x, x, x]
    yield nn.MultiheadAttention(16, 4, add_bias_kv=True, add_zero_attn=True, kdim=6, vdim=5), [
        x, torch.randn(6, 2, 6), torch.randn(6, 2, 5)]
    for activation in ("relu", "gelu", nn.SiLU()):
        yield encoder(activation=activation), [x]
        yield encoder(activation=activation, norm_first=True, batch_first=True), [x]
        yield decoder(activation=activation), [x, y]
        yield decoder(activation=activation, norm_first=True), [x, y]
    yield nn.TransformerEncoder(encoder(batch_first=True), 2, norm=nn.LayerNorm(16)), [x]
    yield nn.TransformerDecoder(decoder(), 2), [x, y]
    yield nn.Transformer(16, 4, 2, 2, 32, batch_first=True), [torch.randn(2, 5, 16), torch.randn(2, 6, 16)]
    yield nn.Sequential(nn.Linear(16, 16), encoder(), nn.LayerNorm(16), nn.Linear(16, 3)), [x]
    yield nn.Sequential(nn.Embedding(11, 6, padding_idx=0), nn.Linear(6, 2)), [torch.randint(0, 11, (2, 7))]


def resizing():
    a, b, c = torch.randn(1, 2, 5), torch.randn(1, 2, 5, 6), torch.randn(1, 2, 3, 4, 5)
    for x in (a, b, c):
        yield nn.Upsample(scale_factor=2), [x]
    yield nn.Upsample(scale_factor=(2, 3, 2)), [c]
    yield nn.Upsample(size=(7, 9)), [b]
    yield nn.Upsample(size=7, mode="bilinear"), [b]
    for mode, x in (("linear", a), ("bilinear", b), ("bicubic", b), ("trilinear", c)):
        yield nn.Upsample(scale_factor=2, mode=mode), [x]
        yield nn.Upsample(scale_factor=2, mode=mode, align_corners=True), [x]
    yield nn.UpsamplingBilinear2d(scale_factor=2), [b]
    yield nn.UpsamplingNearest2d(scale_factor=2), [b]


def others():
    r, x, image = torch.randn, torch.randn(2, 6), torch.randn(1, 2, 5, 6)
    for layer in (nn.Hardshrink(.3), nn.Softshrink(.3), nn.RReLU(), nn.Softmin(1), nn.Unflatten(1, (2, 3))):
        yield layer, [x]
    for layer in (nn.Unfold(3, padding=1), nn.Unfold((3, 2), stride=(2, 1)), nn.AdaptiveMaxPool2d((2, 3)),
                  nn.ZeroPad2d((1, 2, 0, 1)), nn.FeatureAlphaDropout()):
        yield layer, [image]
    yield nn.Fold((4, 5), (2, 2)), [r(1, 12, 12)]
    yield nn.AdaptiveMaxPool1d(3), [r(1, 2, 7)]
    yield nn.AdaptiveMaxPool3d(2), [r(1, 2, 4, 5, 6)]
    yield nn.LocalResponseNorm(4, alpha=.1, k=2.), [r(2, 8, 3, 3)]
    yield nn.Bilinear(4, 5, 3), [r(2, 4), r(2, 5)]
    yield nn.CosineSimilarity(), [x, r(2, 6)]
    yield nn.PairwiseDistance(), [x, r(2, 6)]
    yield nn.Sequential(nn.Conv1d(3, 4, 3, padding="same"), nn.BatchNorm1d(4), nn.GELU(), nn.MaxPool1d(2),
                        nn.ConvTranspose1d(4, 2, 2, stride=2)), [r(1, 3, 16)]
    yield nn.Sequential(nn.Conv3d(1, 4, 3, padding=1, padding_mode="replicate"), nn.InstanceNorm3d(4, affine=True),
                        nn.AvgPool3d(2), nn.Flatten(), nn.Linear(32, 2)), [r(1, 1, 4, 4, 4)]
    yield nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.PReLU(8), nn.Dropout2d(), nn.PixelShuffle(2),
                        nn.AdaptiveAvgPool2d((1, None))), [r(1, 3, 8, 8)]


def flat(o):
    return [o.numpy()] if isinstance(o, torch.Tensor) else [t for x in o for t in flat(x)]


def answer(tenrec, folder, module, inputs, old):
    path, words = os.path.join(folder, "m.pt"), []
    torch.save(module, path, _use_new_zipfile_serialization=not old)
    for x in inputs:
        kind = ":int64" if x.dtype == torch.int64 else ""
        words += ["--input", "x".join(map(str, x.shape)) + kind]
    return answers(tenrec, folder, [path], inputs, *words)


def main(tenrec):
    torch.manual_seed(1)
    verdict = Verdicts()
    with tempfile.TemporaryDirectory() as folder:
        for make in (recurrent, hooked, attention, resizing, others):
            for module, inputs in make():
                for p in module.parameters():
                    p.data.add_(torch.randn_like(p) * .1)
                module.eval()
                # With gradients on: PyTorch 1.13's fast path of attention refuses what the layers themselves can do.
                want = flat([t.detach() if isinstance(t, torch.Tensor) else [u.detach() for u in t]
                             for t in (lambda y: [y] if isinstance(y, torch.Tensor) else y)(module(*inputs))])
                for old in (False, True):
                    name = "%s%s" % (" ".join(repr(module).split())[:70], ", legacy" if old else "")
                    verdict.compare(name, answer(tenrec, folder, module, inputs, old), want, BOUND)
    return verdict.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
