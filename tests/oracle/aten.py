"""aten.py - every lowered operator of PyTorch against PyTorch itself, with constant tensors and with symbolic sizes.

Usage: aten.py PROGRAM [PATTERN]; PROGRAM is built from aten.c. Operators whose kernels are not built count as missing.
"""
import subprocess
import sys

import torch
import torch.nn.functional as F

torch.manual_seed(1)
A = torch.ops.aten
TYPES = {torch.float32: 6, torch.int64: 4, torch.bool: 11, torch.int32: 3, torch.float64: 7, torch.uint8: 0}
CASES = []


def case(name, *args, ref=None, **keywords):
    CASES.append((name, args, keywords, ref))


def encode(o):
    if o is None:
        return "N"
    if isinstance(o, torch.dtype):
        return "I %d" % TYPES[o]
    if isinstance(o, bool):
        return "B %d" % o
    if isinstance(o, int):
        return "I %d" % o
    if isinstance(o, float):
        return "F %r" % o
    if isinstance(o, str):
        return "S " + o
    if isinstance(o, torch.Tensor):
        dtype = str(o.dtype).replace("torch.", "")
        values = ["%.17g" % v for v in o.detach().double().flatten().tolist()]
        return " ".join(["T", dtype, str(o.dim())] + [str(d) for d in o.shape] + values)
    return " ".join(["L", str(len(o))] + [encode(i) for i in o])


def flat(o):
    if isinstance(o, torch.Tensor):
        return [o]
    return [t for i in o for t in flat(i)] if isinstance(o, (list, tuple)) else []


def difference(line, want):
    words = line.split()
    rank = int(words[1])
    shape, values = [int(w) for w in words[2:2 + rank]], [float(w) for w in words[2 + rank:]]
    dtype = str(want.dtype).replace("torch.", "")
    if words[0] != dtype or shape != list(want.shape):
        return "%s %s, expected %s %s" % (words[0], shape, dtype, list(want.shape))
    have, want = torch.tensor(values, dtype=torch.float64), want.detach().double().flatten()
    same = (have == want) | (have.isnan() & want.isnan())
    finite = want[want.isfinite()]
    scale = max(1e-3, float(finite.abs().max()) if finite.numel() else 0)
    wrong = (~same) & ~((have - want).abs() <= 2e-6 * scale)
    if not wrong.any():
        return None
    i = int(wrong.nonzero()[0])
    return "element %d is %r, expected %r" % (i, float(have[i]), float(want[i]))


def check(program, symbolic, name, args, keywords, ref):
    copies = [a.clone() if isinstance(a, torch.Tensor) else a for a in args]
    try:
        want = flat(ref if ref is not None else getattr(A, name)(*copies, **keywords))
    except RuntimeError as e:
        return "PyTorch: %s" % str(e)[:200]
    text = " ".join([name, str(symbolic), str(len(args)), str(len(keywords))] + [encode(a) for a in args] +
                    [k + " " + encode(v) for k, v in keywords.items()])
    done = subprocess.run([program], input=text, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        return "ended with %d: %s" % (done.returncode, done.stderr[-300:])
    if lines[0].startswith("error"):
        return lines[0]
    if len(lines) - 1 < len(want):
        return "%d results, expected %d" % (len(lines) - 1, len(want))
    for i, (line, tensor) in enumerate(zip(lines[1:], want)):
        wrong = difference(line, tensor)
        if wrong:
            return "result %d: %s" % (i, wrong)
    return None


def r(*shape):
    return torch.randn(*shape)


def ints(*shape, low=-9, high=10):
    return torch.randint(low, high, shape)


def arithmetic():
    x, y, i, k = r(2, 3, 4), r(3, 1), ints(2, 3), ints(2, 3, low=1)
    for name in ("add", "sub", "rsub", "mul", "div", "floor_divide", "remainder", "fmod"):
        case(name, x, y)
        case(name, x, 1.5)
        case(name, i, k)
        case(name, i, 2.5)
        case(name, i, 3)
    for name in ("add", "sub", "rsub"):
        case(name, x, y, alpha=2)
        case(name, i, k, alpha=3)
    for mode in (None, "trunc", "floor"):
        case("div", i, k, rounding_mode=mode)
        case("div", x, y, rounding_mode=mode)
        case("div", i, -2, rounding_mode=mode)
    case("add", r(3), torch.tensor(2, dtype=torch.float64))
    case("add", ints(3), torch.tensor(2.5))
    case("mul", ints(3), torch.tensor(True))
    case("add", torch.tensor([True, False]), torch.tensor([True, True]))
    case("add", ints(3).to(torch.uint8), ints(3).to(torch.int32))
    case("pow", x.abs(), 2.5)
    case("pow", x, 2)
    case("pow", x.abs(), 0.5)
    case("pow", i, 2)
    case("pow", 2.0, x)
    case("pow", x.abs(), y)
    case("add_", x, y)
    case("mul_", x, 2.0)
    for name in ("addcmul", "addcdiv"):
        case(name, x, y, r(3, 4), value=0.5)
    case("lerp", x, r(2, 3, 4), 0.3)
    case("lerp", x, r(2, 3, 4), r(4))
    for name in ("hypot", "atan2", "maximum", "minimum", "max", "min"):
        case(name, x, y)
    case("atan2", torch.tensor([1., -1, 0, 1, -1]), torch.tensor([0., 0, -1, -2, -3]))
    case("xlogy", torch.tensor([0., 1, 2]), torch.tensor([0., 2, 3]))
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        case(name, i, k)
        case(name, i, 2)
        case(name, x, y)
        case(name, i, 2.5)
    b, d = x > 0, y > 0
    for name in ("__and__", "__or__", "__xor__", "bitwise_and", "bitwise_or", "bitwise_xor"):
        case(name, b, d)
        case(name, i, k)
    for name in ("logical_and", "logical_or", "logical_xor"):
        case(name, i, k)
    case("logical_not", i)
    case("bitwise_not", i)
    case("bitwise_not", b)
    case("where", b, x, y)
    case("where", b, x, 0.0)
    case("where", b, 1, x)
    case("masked_fill", x, b, float("-inf"))
    case("masked_fill", x, d, torch.tensor(3.0))
    case("isclose", x, x + 1e-9)


def unary():
    x, p, u = r(2, 3, 4), r(2, 3, 4).abs() + 0.1, torch.rand(2, 3) * 1.8 - 0.9
    for name in ("neg abs sign ceil floor round square sin cos tan atan sinh cosh asinh exp exp2 expm1 erf erfc "
                 "sigmoid tanh relu relu6 hardswish hardsigmoid silu mish log_sigmoid selu isnan isinf isfinite "
                 "trunc frac deg2rad rad2deg positive").split():
        case(name, x)
    for name in "log log2 log10 log1p sqrt rsqrt reciprocal".split():
        case(name, p)
    for name in "asin acos atanh".split():
        case(name, u)
    case("acosh", p + 1)
    case("expm1", r(4) * 1e-4)
    case("log1p", r(4).abs() * 1e-4)
    case("sqrt", ints(4, low=0))
    case("floor", ints(4))
    case("round", x, decimals=2)
    case("logit", torch.rand(5), 0.01)
    case("nan_to_num", torch.tensor([1., float("nan"), float("inf"), -float("inf")]), 1.0, 2.0, -3.0)
    case("clamp", x, -0.5, 0.5)
    case("clamp", x, None, 0.5)
    case("clamp", ints(5), 0.5)
    case("clamp", x, torch.tensor(0.1), torch.full((4,), 0.5))
    case("clamp_min", x, 0.0)
    case("clamp_max", x, 0.0)
    case("clamp_min_", x, 0.1)
    case("hardtanh", x, -0.4, 0.3)
    case("leaky_relu", x, 0.2)
    case("elu", x, 1.3)
    case("elu", x, 1.3, 2.0)
    case("celu", x, 1.3)
    case("gelu", x)
    case("gelu", x, approximate="tanh")
    case("prelu", x, r(3).abs())
    case("prelu", x, r(1).abs())
    case("softplus", x)
    case("softplus", x * 5, 2.0, 3.0)
    case("threshold", x, 0.1, 20.0)
    case("threshold", x, 0.1, 0.0)
    case("hardshrink", x, 0.4)
    case("softshrink", x, 0.4)
    case("rrelu", x, 0.1, 0.3)
    case("glu", r(2, 6, 3), 1)
    case("softmax", x, 1)
    case("log_softmax", x, -1)
    case("softmax", ints(2, 3), -1, torch.float32)


def products():
    case("linear", r(2, 3), r(4, 3), r(4))
    case("linear", r(2, 5, 3), r(4, 3), r(4))
    case("linear", r(3), r(4, 3))
    case("matmul", r(2, 3, 4), r(4, 5))
    case("mm", r(3, 4), r(4, 5))
    case("bmm", r(2, 3, 4), r(2, 4, 5))
    case("mv", r(3, 4), r(4))
    case("dot", r(4), r(4))
    case("addmm", r(5), r(3, 4), r(4, 5), beta=2, alpha=0.5)
    case("baddbmm", r(2, 3, 5), r(2, 3, 4), r(2, 4, 5), beta=0.5, alpha=2)
    case("addbmm", r(3, 5), r(2, 3, 4), r(2, 4, 5))
    case("addmv", r(3), r(3, 4), r(4))
    case("outer", r(3), r(4))
    case("einsum", "bhid,bhjd->bhij", [r(2, 2, 3, 4), r(2, 2, 5, 4)])
    case("bilinear", r(2, 3), r(2, 4), r(5, 3, 4), r(5))
    case("embedding", r(7, 3), ints(2, 4, low=0, high=7))
    for mode in (0, 1, 2):
        w, i, o = r(7, 3), ints(6, low=0, high=7), torch.tensor([0, 2, 2, 5])
        case("embedding_bag", w, i, o, False, mode, False, None, False, None,
             ref=A.embedding_bag(w, i, o, False, mode)[0])
    case("_weight_norm", r(3, 4), r(3, 1), 0)
    case("one_hot", ints(2, 3, low=0, high=5), 5)


def convolutions():
    case("_convolution", r(1, 4, 6, 5), r(6, 2, 3, 3), r(6), [2, 1], [1, 1], [1, 1], False, [0, 0], 2, False, False,
         False, False)
    case("_convolution", r(1, 4, 6, 5), r(4, 2, 3, 3), r(4), [2, 2], [1, 1], [1, 1], True, [1, 1], 2, False, False,
         False, False)
    case("conv1d", r(2, 3, 9), r(4, 3, 3), r(4), 2, 1, 2)
    case("conv2d", r(3, 6, 5), r(4, 3, 3, 3))
    case("conv2d", r(1, 3, 6, 5), r(4, 3, 4, 3), None, 1, "same", 1)
    case("conv2d", r(1, 3, 6, 5), r(4, 3, 4, 3), None, 1, "valid", 1)
    case("conv3d", r(1, 2, 4, 4, 4), r(3, 2, 3, 3, 3), r(3), 1, 1)
    case("conv_transpose1d", r(1, 3, 5), r(3, 2, 4), r(2), 2)
    case("conv_transpose2d", r(1, 4, 3, 4), r(4, 2, 3, 3), r(4), 2, 1, 1, 2)
    case("conv_transpose3d", r(1, 2, 3, 3, 3), r(2, 2, 2, 2, 2), None, 2)
    case("_convolution_mode", r(1, 3, 6, 5), r(4, 3, 3, 3), r(4), [1, 1], "same", [2, 2], 1)


def norms():
    x = r(3, 4, 5, 6)
    case("batch_norm", x, r(4), r(4), r(4), torch.rand(4) + 0.5, False, 0.1, 1e-5, False)
    case("batch_norm", x, None, None, r(4), torch.rand(4) + 0.5, False, 0.1, 1e-5, False)
    case("batch_norm", x, r(4), r(4), None, None, True, 0.1, 1e-5, False)
    case("instance_norm", x, r(4), r(4), None, None, True, 0.1, 1e-5, False)
    case("instance_norm", x, None, None, None, None, True, 0.1, 1e-5, False)
    case("layer_norm", x, [6], r(6), r(6))
    case("layer_norm", x, [5, 6])
    case("group_norm", x, 2, r(4), r(4))
    case("group_norm", x, 2)
    case("dropout", x, 0.5, False)
    case("feature_dropout", x, 0.5, False)


def poolings():
    x = r(2, 3, 9, 7)
    case("max_pool2d", x, [3, 2], [2, 2], [1, 1], [1, 1], False)
    case("max_pool2d", x, [3, 3], [2, 2], [0, 0], [1, 1], True)
    case("max_pool2d", r(3, 9, 7), [3, 3])
    case("max_pool2d_with_indices", x, [3, 2], [2, 2])
    case("max_pool1d", r(2, 3, 9), [3])
    case("max_pool1d_with_indices", r(2, 3, 9), [3])
    case("max_pool3d", r(1, 2, 5, 5, 5), [2, 2, 2])
    y, i = F.max_pool2d(r(2, 3, 8, 6), 2, return_indices=True)
    case("max_unpool2d", y, i, [8, 6])
    case("avg_pool2d", x, [3, 3], [2, 2], [1, 1], False, False)
    case("avg_pool2d", x, [3, 3], [2, 2], [1, 1], True, True)
    case("avg_pool2d", x, [2, 2], [], [0, 0], False, True, 3)
    case("avg_pool1d", r(2, 3, 9), [3])
    case("avg_pool3d", r(1, 2, 5, 5, 5), [2, 2, 2])
    for size in ([1, 1], [3, 2], [9, 7], [12, 9], [3, 7]):
        case("adaptive_avg_pool2d", x, size)
        case("adaptive_max_pool2d", x, size)
    case("adaptive_avg_pool1d", r(2, 3, 9), [4])
    case("adaptive_avg_pool3d", r(1, 2, 5, 5, 5), [2, 3, 1])
    case("adaptive_avg_pool2d", x, [None, 2], ref=F.adaptive_avg_pool2d(x, (None, 2)))


def resizes():
    x = r(1, 2, 6, 5)
    for scale in ((2.0, 2.0), (1.7, 0.6)):
        case("upsample_nearest2d", x, None, list(scale))
        case("_upsample_nearest_exact2d", x, None, list(scale))
        for name in ("upsample_bilinear2d", "upsample_bicubic2d"):
            for corners in (False, True):
                case(name, x, None, corners, list(scale))
    for size in ([12, 10], [4, 7], [1, 1]):
        case("upsample_nearest2d", x, size)
        case("_upsample_nearest_exact2d", x, size)
        for name in ("upsample_bilinear2d", "upsample_bicubic2d"):
            for corners in (False, True):
                case(name, x, size, corners)
        case("_upsample_bilinear2d_aa", x, size, False)
        case("_upsample_bicubic2d_aa", x, size, False)
    case("upsample_bilinear2d", x, [10, 8], False, 1.7, 1.7)
    case("upsample_nearest1d", r(1, 2, 5), [9])
    case("upsample_linear1d", r(1, 2, 5), [9], False)
    case("upsample_nearest3d", r(1, 2, 3, 4, 5), [6, 3, 5])
    case("upsample_trilinear3d", r(1, 2, 3, 4, 5), [6, 3, 5], False)
    grid = torch.rand(1, 4, 3, 2) * 2.4 - 1.2
    for mode in (0, 1, 2):
        for padding in (0, 1, 2):
            case("grid_sampler", x, grid, mode, padding, padding == 1)
    case("affine_grid_generator", r(2, 2, 3), [2, 3, 4, 5], False)
    case("affine_grid_generator", r(2, 2, 3), [2, 3, 4, 5], True)
    case("pixel_shuffle", r(2, 8, 3, 4), 2)
    case("pixel_unshuffle", r(2, 2, 6, 4), 2)
    case("channel_shuffle", r(2, 6, 3, 4), 3)
    case("im2col", x, [3, 2], [1, 1], [1, 0], [2, 1])
    case("col2im", r(1, 2 * 6, 5 * 5), [6, 5], [2, 3], [1, 1], [0, 1], [1, 1])
    case("pad", x, [1, 2, 0, 1])
    case("pad", x, [1, -1, 2, 0], "constant", 0.5)
    for mode in ("reflect", "replicate", "circular"):
        case("pad", x, [1, 2, 2, 1], mode)


def recurrent():
    for name, gates in (("lstm", 4), ("gru", 3), ("rnn_tanh", 1), ("rnn_relu", 1)):
        for layers, two, first in ((1, False, False), (2, True, True), (2, False, True)):
            d, params = (2 if two else 1), []
            for layer in range(layers):
                for _ in range(d):
                    wide = 3 if layer == 0 else 4 * d
                    params += [r(gates * 4, wide), r(gates * 4, 4), r(gates * 4), r(gates * 4)]
            x, h = (r(2, 5, 3) if first else r(5, 2, 3)), r(layers * d, 2, 4)
            state = [h, r(layers * d, 2, 4)] if name == "lstm" else h
            case(name, x, state, params, True, layers, 0.0, False, two, first)
        weights = [r(gates * 4, 3), r(gates * 4, 4), r(gates * 4), r(gates * 4)]
        case(name + "_cell", r(2, 3), [r(2, 4), r(2, 4)] if name == "lstm" else r(2, 4), *weights)


def attention():
    w, b, p, q = r(24, 8), r(24), r(8, 8), r(8)
    x = r(2, 5, 8)
    with torch.no_grad():
        case("_native_multi_head_attention", x, x, x, 8, 2, w, b, p, q)
        case("_native_multi_head_attention", x, r(2, 5, 8), r(2, 5, 8), 8, 2, w, b, p, q)
        layer = (x, 8, 2, w, b, p, q)
        rest = (r(8), r(8), r(8), r(8), r(12, 8), r(12), r(8, 12), r(8))
        for gelu, first in ((False, False), (True, True)):
            case("_transformer_encoder_layer_fwd", *layer, gelu, first, 1e-5, *rest)
    q, k, v = r(2, 2, 4, 8), r(2, 2, 5, 8), r(2, 2, 5, 8)
    case("scaled_dot_product_attention", q, k, v, ref=torch.softmax(q @ k.transpose(-2, -1) / 8 ** 0.5, -1) @ v)


def shapes():
    x = r(2, 3, 4)
    for name, args in (("view", ([3, 8],)), ("view", ([2, -1],)), ("reshape", ([4, 6],)), ("flatten", (1, 2)),
                       ("flatten", (0, 1)), ("permute", ([2, 0, 1],)), ("transpose", (0, 2)), ("unsqueeze", (1,)),
                       ("unsqueeze", (-1,)), ("expand", ([5, 2, 3, 4],)), ("slice", (1, 1, 3, 1)),
                       ("slice", (2, None, None, 2)), ("slice", (0, -1)), ("select", (1, -1)), ("chunk", (2, 2)),
                       ("chunk", (2, 1)), ("split", (2, 1)), ("split", ([1, 2], 1)), ("split_with_sizes", ([1, 3], 2)),
                       ("tensor_split", ([1, 3], 2)), ("tensor_split", (3, 2)), ("unbind", (1,)),
                       ("repeat", ([2, 1, 2],)),
                       ("repeat", ([2, 1, 1, 2],)), ("repeat_interleave", (2, 1)), ("repeat_interleave", (2,)),
                       ("repeat_interleave", (torch.tensor([1, 0, 2]), 1)), ("flip", ([0, 2],)),
                       ("roll", ([1, -1], [0, 2])),
                       ("roll", ([5], [])), ("movedim", ([0], [2])), ("narrow", (2, 1, 2)), ("unfold", (2, 2, 1)),
                       ("unflatten", (2, [2, 2])), ("swapaxes", (0, 1)), ("clone", ()), ("contiguous", ())):
        case(name, x, *args, **({"ref": x.unflatten(2, (2, 2))} if name == "unflatten" else {}))
    case("squeeze", r(2, 1, 4), 1)
    case("squeeze", r(2, 1, 4), 0)
    case("squeeze", r(2, 1, 4))
    case("t", r(2, 3))
    case("numpy_T", x)
    case("view_as", x, r(6, 4))
    case("expand_as", r(3, 1), x)
    case("cat", [x, r(2, 1, 4)], 1)
    case("cat", [ints(2, 2), r(2, 1)], -1)
    case("stack", [x, r(2, 3, 4)], -1)
    case("tile", x, [2])
    for indexing in ("ij", "xy"):
        case("meshgrid", [r(3), r(2)], indexing=indexing)
    case("broadcast_tensors", [r(3, 1), r(4)])
    case("to", x, torch.int64)
    case("to", ints(3), torch.float32)
    case("type_as", ints(3), x)


def indexing():
    x, i, k = r(4, 5, 6), ints(3, low=-4, high=4), ints(2, 1, low=0, high=4)
    m = r(4, 5) > 0
    for index in ([i], [None, i], [i, i], [None, i, i], [i, None, i], [k, i[None]], [m], [None, None, i], [r(4) > 0]):
        case("index", x, index, ref=A.index.Tensor(x, index))
    rows = torch.tensor([3, 0, 2])
    for index, values in (([rows], r(3, 5, 6)), ([None, torch.tensor([4, 1])], r(4, 2, 6)), ([m], torch.tensor(2.0)),
                          ([rows, None, torch.tensor([1, 1, 0])], r(3, 5))):
        case("index_put_", x, index, values)
        case("index_put", x, index, values, True)
    case("index_select", x, 1, torch.tensor([3, 0]))
    case("gather", x, 1, ints(4, 2, 6, low=0, high=5))
    case("scatter", x, 1, torch.stack([torch.randperm(5)[:2] for _ in range(24)]).view(4, 6, 2).transpose(1, 2),
         r(4, 2, 6))
    case("scatter", x, 1, ints(4, 2, 6, low=0, high=5), 2.0)
    case("scatter_add", x, 0, ints(3, 5, 6, low=0, high=4), r(3, 5, 6))
    case("index_add", x, 1, torch.tensor([0, 3]), r(4, 2, 6))
    case("masked_select", x, x > 0)
    case("nonzero", x > 1)
    case("topk", x, 2, 1)
    case("topk", x, 3, -1, False)
    case("sort", x, 1, True)
    case("argsort", x, -1)
    case("argmax", x)
    case("argmax", x, 1)
    case("argmin", x, -1, True)


def reductions():
    x, i = r(2, 3, 4), ints(2, 3, 4)
    for name in ("sum", "mean", "amax", "amin", "var", "std", "logsumexp"):
        case(name, x, [1])
        case(name, x, [0, 2])
    for name in ("sum", "mean", "max", "min", "var", "std", "prod"):
        case(name, x)
    case("sum", i)
    case("sum", i, [1])
    case("sum", x, [1], True)
    case("mean", x, [-1], True)
    case("prod", x, 1)
    case("var", x, [1], False)
    case("var", x, [1], correction=0)
    case("var_mean", x, [1])
    for name in ("max", "min"):
        case(name, x, 1)
        case(name, x, -1, True)
    for p in (2.0, 1.0, float("inf"), 3.0, 0.0):
        case("norm", x, p, [1])
        case("norm", x, p, [1, 2], True)
    case("norm", x)
    case("frobenius_norm", x, [1])
    case("linalg_vector_norm", x, 2, [1], True)
    case("all", x > -1)
    case("any", x > 1, 1)
    case("count_nonzero", i)
    case("cumsum", x, 1)
    case("cumsum", i, 1)
    case("cosine_similarity", x, r(2, 3, 4), 1)
    case("pairwise_distance", r(3, 4), r(3, 4))


def creation():
    x = r(2, 3)
    case("zeros", [2, 3])
    case("ones", [2], dtype=torch.int64)
    case("full", [2, 2], 2.5)
    case("full", [2, 2], 2)
    case("full_like", x, 3)
    case("zeros_like", x)
    case("ones_like", x, dtype=torch.int64)
    case("new_zeros", x, [4])
    case("new_full", x, [4], 2)
    case("arange", 5)
    case("arange", 1, 5)
    case("arange", 1.0, 5.0, 0.7)
    case("arange", 5, dtype=torch.float32)
    for n in (1, 2, 5, 7):
        case("linspace", 0, 1, n)
        case("linspace", -1.3, 2.7, n)
    case("eye", 3)
    case("eye", 2, 4)
    case("tril", r(3, 4))
    case("triu", r(3, 4), 1)
    case("fill_", x, 2.0)
    case("zero_", x)
    case("copy_", x, r(3))
    case("scalar_tensor", 2)


def main():
    for group in (arithmetic, unary, products, convolutions, norms, poolings, resizes, recurrent, attention, shapes,
                  indexing, reductions, creation):
        group()
    pattern, number, bad, missing = sys.argv[2] if len(sys.argv) > 2 else "", 0, 0, {}
    for name, args, keywords, ref in CASES:
        if pattern not in name:
            continue
        for symbolic in (0, 1):
            number += 1
            wrong = check(sys.argv[1], symbolic, name, args, keywords, ref)
            if wrong and "unknown operator" in wrong:
                word = wrong.split("unknown operator ")[1].split()[0].strip(",:")
                missing[word] = missing.get(word, 0) + 1
                print("ok %d - %s # SKIP no kernel of %s" % (number, name, word))
                continue
            bad += wrong is not None
            print("%sok %d - %s%s" % ("not " if wrong else "", number, name, " (symbolic sizes)" if symbolic else ""))
            if wrong:
                print("# %s: %s" % (", ".join("%s%s" % (a.dtype, list(a.shape)) if isinstance(a, torch.Tensor) else
                                              str(a)[:60] for a in args), wrong[:400]))
    print("1..%d" % number)
    print("# %d wrong; kernels not there: %s" % (bad, missing))
    return bad > 0


sys.exit(main())
