"""keras.py - layers of Keras, one small .h5 file each, against their definitions written out in numpy.

    keras.py TENREC [CASE ...]

Keras itself runs nowhere here; what its layers compute is taken from their documentation and TensorFlow's: every
reference below is a plain loop over outputs or time steps.
"""
import itertools
import json
import math
import os
import sys
import tempfile

import h5py
import numpy as np

from runs import Verdicts, answers

PROGRAM, ONLY = sys.argv[1], sys.argv[2:]
LIMIT = 1e-5
rng = np.random.RandomState(7)
cases = []


def rand(*shape):
    return rng.uniform(-1, 1, shape).astype("f4")


def sequential(shape, *layers, version="2.9.0", **more):
    """A Sequential model from (class, config, [(name, weight)])."""
    return dict(version=version, inputs=[shape], layers=layers, **more)


def case(name, model, x, want):
    xs = x if isinstance(x, list) else [x]
    cases.append((name, model, xs, want if isinstance(want, list) else [want]))


def write(path, m):
    config, weights = [], []
    for i, (cls, conf, ws) in enumerate(m["layers"]):
        conf = dict(conf, name=conf.get("name", f"layer{i}"), trainable=True)
        if i == 0 and "calls" not in m:
            conf["batch_input_shape"] = [None, *m["inputs"][0]]
        config.append({"class_name": cls, "config": conf})
        weights.append((conf["name"], ws))
    if "calls" in m:  # functional: inbound nodes of Keras 2, an input layer for each input
        for entry, calls in zip(config, m["calls"]):
            entry["name"], entry["inbound_nodes"] = entry["config"]["name"], calls
        for i, shape in enumerate(m["inputs"]):
            config.insert(i, {"class_name": "InputLayer", "name": f"in{i}", "inbound_nodes": [],
                              "config": {"name": f"in{i}", "batch_input_shape": [None, *shape], "dtype": "float32"}})
        body = {"name": "m", "layers": config, "input_layers": [[f"in{i}", 0, 0] for i in range(len(m["inputs"]))],
                "output_layers": m["outputs"]}
        model = {"class_name": "Functional", "config": body}
    else:
        model = {"class_name": "Sequential", "config": {"name": "m", "layers": config}}
    with h5py.File(path, "w") as f:
        f.attrs["keras_version"] = m["version"]
        f.attrs["model_config"] = json.dumps(model)
        group = f.create_group("model_weights")
        group.attrs["layer_names"] = [n.encode() for n, _ in weights]
        for name, ws in weights:
            g = group.create_group(name)
            g.attrs["weight_names"] = [f"{name}/{w}:0".encode() for w, _ in ws]
            for w, value in ws:
                g[f"{name}/{w}:0"] = value


# ---- windows

def same_pads(size, k, s, d):
    extent = (k - 1) * d + 1
    total = max((-(-size // s) - 1) * s + extent - size, 0)
    return total // 2, total - total // 2


def windows(x, kernel, strides, dilations, padding, fill):
    """Pads x (N, .., C) as TensorFlow does; yields (place of the output, slice of the input)."""
    n = len(kernel)
    pads = [(0, 0)]
    for i in range(n):
        size = x.shape[1 + i]
        pads.append(same_pads(size, kernel[i], strides[i], dilations[i]) if padding == "same"
                    else ((kernel[i] - 1) * dilations[i], 0) if padding == "causal" else (0, 0))
    x = np.pad(x.astype("f8"), pads + [(0, 0)], constant_values=fill)
    out = [(x.shape[1 + i] - (kernel[i] - 1) * dilations[i] - 1) // strides[i] + 1 for i in range(n)]
    for at in itertools.product(*map(range, out)):
        taps = tuple(slice(a * s, a * s + (k - 1) * d + 1, d) for a, s, k, d in zip(at, strides, kernel, dilations))
        yield out, at, x[(slice(None),) + taps]


def conv(x, w, b, strides, dilations, padding, groups=1):
    y = None
    n = w.ndim - 2
    per_in, per_out = w.shape[-2], w.shape[-1] // groups
    for out, at, part in windows(x, w.shape[:n], strides, dilations, padding, 0):
        if y is None:
            y = np.zeros([x.shape[0], *out, w.shape[-1]])
        for g in range(groups):
            part_g = part[..., g * per_in:(g + 1) * per_in]
            w_g = w[..., g * per_out:(g + 1) * per_out].astype("f8")
            y[(slice(None), *at, slice(g * per_out, (g + 1) * per_out))] = np.tensordot(part_g, w_g, n + 1)
    return y + (0 if b is None else b)


def depthwise(x, w, strides, dilations, padding):
    c, m = w.shape[-2:]
    parts = [conv(x[..., i:i + 1], w[..., i:i + 1, :], None, strides, dilations, padding) for i in range(c)]
    return np.concatenate(parts, -1)


def transposed(x, w, b, strides, dilations, padding, extra=None):
    """The gradient of the convolution that takes the output's size to the input's."""
    n = w.ndim - 2
    out, before = [], []
    for i in range(n):
        extent, size, s = (w.shape[i] - 1) * dilations[i] + 1, x.shape[1 + i], strides[i]
        if extra is not None:
            o = (size - 1) * s + extent - (2 * (extent // 2) if padding == "same" else 0) + extra[i]
        else:
            o = size * s + (0 if padding == "same" else max(extent - s, 0))
        out.append(o)
        before.append(max((size - 1) * s + extent - o, 0) // 2 if padding == "same" else 0)
    y = np.zeros([x.shape[0], *out, w.shape[-2]])
    for at in itertools.product(*(range(k) for k in x.shape[1:-1])):
        for tap in itertools.product(*(range(k) for k in w.shape[:n])):
            to = [a * s + t * d - p for a, s, t, d, p in zip(at, strides, tap, dilations, before)]
            if all(0 <= t < o for t, o in zip(to, out)):
                y[(slice(None), *to)] += x[(slice(None), *at)].astype("f8") @ w[tap].T.astype("f8")
    return y + b


def add_convolutions():
    sizes = {1: (11,), 2: (9, 7), 3: (5, 6, 4)}
    for n in (1, 2, 3):
        for padding, strides, dilation, groups in [("valid", 1, 1, 1), ("same", 2, 1, 1), ("same", 3, 1, 2),
                                                   ("same", 1, 2, 1), ("valid", 2, 1, 2)]:
            k, x = (2,) * n if strides == 3 else (3,) * n, rand(2, *sizes[n], 4)
            w, b = rand(*k, 4 // groups, 6), rand(6)
            conf = dict(filters=6, kernel_size=k, strides=[strides] * n, padding=padding, dilation_rate=[dilation] * n,
                        groups=groups, activation="linear", use_bias=True)
            case(f"Conv{n}D {padding} s{strides} d{dilation} g{groups}",
                 sequential(x.shape[1:], (f"Conv{n}D", conf, [("kernel", w), ("bias", b)])), x,
                 conv(x, w, b, [strides] * n, [dilation] * n, padding, groups))
    x, w, b = rand(2, 9, 3), rand(3, 3, 4), rand(4)
    conf = dict(filters=4, kernel_size=[3], padding="causal", dilation_rate=[2], activation="relu", use_bias=True)
    case("Conv1D causal", sequential(x.shape[1:], ("Conv1D", conf, [("kernel", w), ("bias", b)])), x,
         np.maximum(conv(x, w, b, [1], [2], "causal"), 0))
    x, w = rand(1, 3, 8, 7), rand(3, 3, 3, 4)
    conf = dict(filters=4, kernel_size=[3, 3], strides=[2, 2], padding="same", data_format="channels_first",
                activation="softmax", use_bias=False)
    y = conv(x.transpose(0, 2, 3, 1), w, None, [2, 2], [1, 1], "same").transpose(0, 3, 1, 2)
    e = np.exp(y - y.max(-1, keepdims=True))  # softmax takes the last axis, whatever it holds
    case("Conv2D channels_first", sequential(x.shape[1:], ("Conv2D", conf, [("kernel", w)])), x, e / e.sum(-1,
         keepdims=True))
    for n in (1, 2):
        x, d, p, b = rand(2, *sizes[n], 3), rand(*(3,) * n, 3, 2), rand(*(1,) * n, 6, 5), rand(5)
        conf = dict(kernel_size=[3] * n, strides=[2] * n, padding="same", depth_multiplier=2, use_bias=True)
        y = depthwise(x, d, [2] * n, [1] * n, "same")
        c = rand(6)
        case(f"DepthwiseConv{n}D", sequential(x.shape[1:], (f"DepthwiseConv{n}D", dict(conf, activation="linear"),
             [("depthwise_kernel", d), ("bias", c)])), x, y + c)
        case(f"SeparableConv{n}D", sequential(x.shape[1:], (f"SeparableConv{n}D", dict(conf, filters=5,
             activation="tanh"),
             [("depthwise_kernel", d), ("pointwise_kernel", p), ("bias", b)])), x,
             np.tanh(conv(y, p, b, [1] * n, [1] * n, "valid")))
    for n in (1, 2, 3):
        for padding, strides, k, extra, d in [("same", 2, 3, None, 1), ("valid", 2, 3, None, 1), ("same", 3, 2, None,
             1),
                                              ("valid", 3, 2, None, 1), ("same", 2, 4, None, 1), ("same", 2, 3, 1, 1),
                                              ("valid", 2, 2, 1, 1), ("same", 1, 3, None, 2)]:
            x, w, b = rand(1, *(3, 4, 2)[:n], 3), rand(*(k,) * n, 2, 3), rand(2)
            conf = dict(filters=2, kernel_size=[k] * n, strides=[strides] * n, padding=padding, use_bias=True,
                        output_padding=None if extra is None else [extra] * n, dilation_rate=[d] * n,
                        activation="linear")
            case(f"Conv{n}DTranspose {padding} s{strides} k{k} {extra} d{d}",
                 sequential(x.shape[1:], (f"Conv{n}DTranspose", conf, [("kernel", w), ("bias", b)])), x,
                 transposed(x, w, b, [strides] * n, [d] * n, padding, None if extra is None else [extra] * n))


def add_poolings():
    for n, kind, padding in itertools.product((1, 2, 3), ("Max", "Average"), ("valid", "same")):
        x = rand(2, *(7, 5, 6)[:n], 2)
        conf = dict(pool_size=[3] * n, strides=[2] * n, padding=padding)
        y = None
        for out, at, part in windows(x, [3] * n, [2] * n, [1] * n, padding, np.nan):
            y = np.zeros([2, *out, 2]) if y is None else y
            axes = tuple(range(1, n + 1))
            y[(slice(None), *at)] = np.nanmax(part, axes) if kind == "Max" else np.nanmean(part, axes)
        case(f"{kind}Pooling{n}D {padding}", sequential(x.shape[1:], (f"{kind}Pooling{n}D", conf, [])), x, y)
        if padding == "valid":
            whole = np.max if kind == "Max" else np.mean
            case(f"Global{kind}Pooling{n}D", sequential(x.shape[1:], (f"Global{kind}Pooling{n}D", {}, [])), x,
                 whole(x, axes))
            case(f"Global{kind}Pooling{n}D keepdims", sequential(x.shape[1:], (f"Global{kind}Pooling{n}D",
                 dict(keepdims=True), [])), x, whole(x, axes, keepdims=True))


# ---- recurrence, step by step

def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def steps(cls, conf, ws, x, mask=None, reverse=False, initial=None, hard=False):
    """Outputs of every step in the order of computing, and the last states. A masked step changes nothing."""
    inner = (lambda v: np.clip(v * 0.2 + 0.5, 0, 1)) if hard else sigmoid
    u, n, time = conf["units"], x.shape[0], x.shape[1]
    k, r, b = (w.astype("f8") for w in ws)
    h = np.zeros((n, u)) if initial is None else initial[0].astype("f8")
    c = np.zeros((n, u)) if initial is None or len(initial) < 2 else initial[1].astype("f8")
    last, ys = np.zeros((n, u)), []
    for t in (range(time - 1, -1, -1) if reverse else range(time)):
        v = x[:, t].astype("f8")
        if cls == "LSTM":
            i, f, g, o = np.split(v @ k + h @ r + b, 4, -1)
            c2 = inner(f) * c + inner(i) * np.tanh(g)
            h2 = inner(o) * np.tanh(c2)
        elif cls == "GRU" and conf.get("reset_after"):
            xz, xr, xh = np.split(v @ k + b[0], 3, -1)
            hz, hr, hh = np.split(h @ r + b[1], 3, -1)
            z = inner(xz + hz)
            h2, c2 = z * h + (1 - z) * np.tanh(xh + inner(xr + hr) * hh), c
        elif cls == "GRU":
            xz, xr, xh = np.split(v @ k + b, 3, -1)
            rz, rr, rh = np.split(r, 3, -1)
            z = inner(xz + h @ rz)
            h2, c2 = z * h + (1 - z) * np.tanh(xh + (inner(xr + h @ rr) * h) @ rh), c
        else:
            h2, c2 = np.tanh(v @ k + h @ r + b), c
        y = h2
        if mask is not None:
            m = mask[:, t:t + 1]
            h2, c2, y = np.where(m, h2, h), np.where(m, c2, c), np.where(m, h2, last)
        h, c, last = h2, c2, y
        ys.append(y)
    return np.stack(ys, 1), h, c


def add_recurrent():
    gates = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}
    x = rand(3, 6, 4)
    masked = x.copy()
    masked[0, 4:] = 0
    masked[1, :2] = 0
    masked[1, 3] = 0
    masked[2] = 0
    mask = (masked != 0).any(-1)
    for cls, after, back, sequences, use_mask in itertools.product(gates, (False, True), (False, True), (False, True),
                                                                  (False, True)):
        if after and cls != "GRU":
            continue
        g, u = gates[cls], 5
        ws = [rand(4, g * u), rand(u, g * u), rand(2, g * u) if after else rand(g * u)]
        conf = dict(units=u, activation="tanh", recurrent_activation="hard_sigmoid", use_bias=True, reset_after=after,
                    return_sequences=sequences, go_backwards=back)
        named = list(zip(["kernel", "recurrent_kernel", "bias"], ws))
        y, h, c = steps(cls, conf, ws, masked if use_mask else x, mask if use_mask else None, back, hard=True)
        layers = [("Masking", dict(mask_value=0.0), [])] if use_mask else []
        case(f"{cls} after={after} backwards={back} sequences={sequences} mask={use_mask}",
             sequential(x.shape[1:], *layers, (cls, conf, named)), masked if use_mask else x, y if sequences else h)
    for cls, mode, sequences, use_mask, version in itertools.product(
            ("LSTM", "GRU"), ("concat", "sum", "mul", "ave"), (False, True), (False, True), ("2.3.1", "2.9.0")):
        g, u = gates[cls], 3
        conf = dict(name="inner", units=u, activation="tanh", recurrent_activation="sigmoid", use_bias=True,
                    reset_after=True, return_sequences=sequences)
        ws = [[rand(4, g * u), rand(u, g * u), rand(2, g * u) if cls == "GRU" else rand(g * u)] for _ in range(2)]
        named = [(f"{d}/{n}", w) for d, part in zip(("forward", "backward"), ws)
                 for n, w in zip(["kernel", "recurrent_kernel", "bias"], part)]
        v, m = (masked, mask) if use_mask else (x, None)
        f, b = steps(cls, conf, ws[0], v, m), steps(cls, conf, ws[1], v, m, True)
        f, b = (f[0], b[0][:, ::-1]) if sequences else (f[1], b[1])
        if sequences and use_mask and version != "2.3.1":  # tf.keras has zeros for steps that do not count
            f, b = f * m[..., None], b * m[..., None]
        want = {"concat": np.concatenate([f, b], -1), "sum": f + b, "mul": f * b, "ave": (f + b) / 2}[mode]
        layers = [("Masking", dict(mask_value=0.0), [])] if use_mask else []
        case(f"Bidirectional {cls} {mode} sequences={sequences} mask={use_mask} {version}",
             sequential(x.shape[1:], *layers, ("Bidirectional", dict(merge_mode=mode,
                        layer={"class_name": cls, "config": conf}), named), version=version), v, want)
    for cls in ("LSTM", "GRU"):  # CuDNN's layouts, turned into the others as Keras does when it loads them
        g, u = gates[cls], 3
        k, r, b = rand(4, g * u), rand(u, g * u), rand(2 * g * u)
        k2 = np.hstack([p.T.reshape(p.shape, order="F") for p in np.hsplit(k, g)])
        r2 = np.hstack([p.T for p in np.hsplit(r, g)])
        b2 = b.reshape(2, -1) if cls == "GRU" else np.sum(np.split(b, 2), 0)
        y = steps(cls, dict(units=u, reset_after=True), [k2, r2, b2], x)[0]
        case(f"CuDNN{cls}", sequential(x.shape[1:], (f"CuDNN{cls}", dict(units=u, return_sequences=True),
             [("kernel", k), ("recurrent_kernel", r), ("bias", b)])), x, y)
    conf = dict(name="enc", units=3, activation="tanh", recurrent_activation="sigmoid", use_bias=True,
         return_state=True)
    we, wd = [[rand(4, 12), rand(3, 12), rand(12)] for _ in range(2)]
    names = ["kernel", "recurrent_kernel", "bias"]
    _, h, c = steps("LSTM", conf, we, x)
    dec = steps("LSTM", conf, wd, x, initial=[h, c])[0]
    case("LSTM with states of another", dict(version="2.9.0", inputs=[(6, 4)], layers=[
        ("LSTM", conf, list(zip(names, we))), ("LSTM", dict(conf, name="dec", return_state=False,
             return_sequences=True),
                                              list(zip(names, wd)))],
        calls=[[[["in0", 0, 0, {}]]], [[["in0", 0, 0, {}], ["enc", 0, 1, {}], ["enc", 0, 2, {}]]]],
        outputs=[["dec", 0, 0], ["enc", 0, 2]]), x, [dec, c])
    w = rand(7, 4)
    ids = np.array([[1, 2, 0, 3], [0, 4, 5, 6]], "i4")
    conf = dict(units=5, activation="tanh", recurrent_activation="sigmoid", use_bias=True, reset_after=True)
    ws = [rand(4, 15), rand(5, 15), rand(2, 15)]
    case("Embedding with mask, GRU", sequential((4,), ("Embedding", dict(input_dim=7, output_dim=4, mask_zero=True),
         [("embeddings", w)]), ("GRU", conf, list(zip(names, ws)))), ids, steps("GRU", conf, ws, w[ids], ids != 0)[1])
    e = w[ids]
    m = (ids != 0)[..., None]
    case("masked mean", sequential((4,), ("Embedding", dict(input_dim=7, output_dim=4, mask_zero=True),
         [("embeddings", w)]),
         ("GlobalAveragePooling1D", {}, [])), ids, (e * m).sum(1) / m.sum(1))


# ---- what works on features

def softmax(v, axis=-1):
    e = np.exp(v - v.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def add_activations():
    x = rand(2, 5, 3) * 4
    d = x.astype("f8")
    erf = np.vectorize(math.erf)
    table = {
        "relu": np.maximum(d, 0), "relu6": np.clip(d, 0, 6), "tanh": np.tanh(d), "sigmoid": sigmoid(d),
             "exponential": np.exp(d),
        "softplus": np.log1p(np.exp(d)), "softsign": d / (1 + abs(d)), "elu": np.where(d > 0, d, np.exp(d) - 1),
        "selu": 1.0507009873554805 * np.where(d > 0, d, 1.6732632423543772 * (np.exp(d) - 1)),
        "gelu": d * 0.5 * (1 + erf(d / np.sqrt(2))), "swish": d * sigmoid(d), "silu": d * sigmoid(d),
        "mish": d * np.tanh(np.log1p(np.exp(d))), "hard_sigmoid": np.clip(0.2 * d + 0.5, 0, 1), "softmax": softmax(d),
        "log_softmax": np.log(softmax(d)), "linear": d, "leaky_relu": np.where(d > 0, d, 0.2 * d),
        "celu": np.where(d > 0, d, np.exp(d) - 1), "log_sigmoid": np.log(sigmoid(d)), "hard_tanh": np.clip(d, -1, 1),
        "squareplus": (d + np.sqrt(d * d + 4)) / 2, "tanh_shrink": d - np.tanh(d),
        "soft_shrink": np.where(d > 0.5, d - 0.5, np.where(d < -0.5, d + 0.5, 0)),
             "hard_shrink": np.where(abs(d) > 0.5, d, 0),
        "hard_silu": d * np.clip(d / 6 + 0.5, 0, 1), "sparse_sigmoid": np.clip(0.5 * (d + 1), 0, 1),
        "sparse_plus": np.where(d <= -1, 0, np.where(d < 1, 0.25 * (d + 1) ** 2, d)),
    }
    for name, want in table.items():
        case(f"activation {name}", sequential((5, 3), ("Activation", dict(activation=name), [])), x, want)
    case("hard_sigmoid of Keras 3", sequential((5, 3), ("Activation", dict(activation="hard_sigmoid"), []),
         version="3.0.5"), x,
         np.clip(d / 6 + 0.5, 0, 1))
    for conf in [dict(max_value=2.0), dict(negative_slope=0.1), dict(max_value=2.0, negative_slope=0.1, threshold=0.5),
                 dict(threshold=1.0)]:
        full = dict(dict(max_value=None, negative_slope=0.0, threshold=0.0), **conf)
        high = d if full["max_value"] is None else np.minimum(d, full["max_value"])
        case(f"ReLU {conf}", sequential((5, 3), ("ReLU", full, [])), x,
             np.where(d >= full["threshold"], high, full["negative_slope"] * (d - full["threshold"])))
    case("LeakyReLU", sequential((5, 3), ("LeakyReLU", dict(alpha=0.25), [])), x, np.where(d > 0, d, 0.25 * d))
    case("ThresholdedReLU", sequential((5, 3), ("ThresholdedReLU", dict(theta=0.5), [])), x, np.where(d > 0.5, d, 0))
    a = rand(1, 3)
    case("PReLU shared", sequential((5, 3), ("PReLU", dict(shared_axes=[1]), [("alpha", a)])), x, np.where(d > 0, d,
         a * d))
    case("Softmax axis 1", sequential((5, 3), ("Softmax", dict(axis=1), [])), x, softmax(d, 1))
    image, w, b = rand(1, 4, 5, 2), rand(3, 3, 2, 3), rand(3)
    alpha = rand(4, 5, 3)
    y = conv(image, w, b, [1, 1], [1, 1], "same")
    case("PReLU behind a convolution", sequential((4, 5, 2), ("Conv2D", dict(filters=3, kernel_size=[3, 3],
         padding="same",
         activation="linear"), [("kernel", w), ("bias", b)]), ("PReLU", dict(shared_axes=None), [("alpha", alpha)])),
         image,
         np.where(y > 0, y, alpha * y))


def normalized(d, axes, epsilon):
    return (d - d.mean(axes, keepdims=True)) / np.sqrt(d.var(axes, keepdims=True) + epsilon)


def add_normalizations():
    x = rand(2, 4, 3, 6) * 3
    d = x.astype("f8")
    g, b, m, v = rand(6), rand(6), rand(6), abs(rand(6)) + 0.5
    bn = dict(axis=[3], epsilon=1e-3, momentum=0.99, center=True, scale=True)
    case("BatchNormalization", sequential(x.shape[1:], ("BatchNormalization", bn, [("gamma", g), ("beta", b),
         ("moving_mean", m),
         ("moving_variance", v)])), x, (d - m) / np.sqrt(v + 1e-3) * g + b)
    case("BatchNormalization no scale", sequential(x.shape[1:], ("BatchNormalization", dict(bn, scale=False),
         [("beta", b),
         ("moving_mean", m), ("moving_variance", v)])), x, (d - m) / np.sqrt(v + 1e-3) + b)
    c = [p[:4].reshape(1, 4, 1, 1) for p in (g, b, m, v)]
    case("BatchNormalization axis 1", sequential(x.shape[1:], ("BatchNormalization", dict(bn, axis=1), [("gamma",
         g[:4]),
         ("beta", b[:4]), ("moving_mean", m[:4]), ("moving_variance", v[:4])])), x,
         (d - c[2]) / np.sqrt(c[3] + 1e-3) * c[0] + c[1])
    case("LayerNormalization", sequential(x.shape[1:], ("LayerNormalization", dict(axis=[-1], epsilon=1e-3, center=True,
         scale=True), [("gamma", g), ("beta", b)])), x, normalized(d, 3, 1e-3) * g + b)
    g2, b2 = rand(4, 6), rand(4, 6)
    case("LayerNormalization axes 1 and 3", sequential(x.shape[1:], ("LayerNormalization", dict(axis=[1, 3],
         epsilon=1e-3,
         center=True, scale=True), [("gamma", g2), ("beta", b2)])), x,
         normalized(d, (1, 3), 1e-3) * g2[:, None] + b2[:, None])
    y = normalized(d.reshape(2, 12, 3, 2), (1, 3), 1e-3).reshape(d.shape) * g + b
    case("GroupNormalization", sequential(x.shape[1:], ("GroupNormalization", dict(groups=3, axis=-1, epsilon=1e-3,
         center=True,
         scale=True), [("gamma", g), ("beta", b)])), x, y)
    case("UnitNormalization", sequential(x.shape[1:], ("UnitNormalization", dict(axis=-1), [])), x,
         d / np.sqrt((d * d).sum(-1, keepdims=True)))
    case("Normalization", sequential(x.shape[1:], ("Normalization", dict(axis=[-1], mean=None, variance=None),
         [("mean", m),
         ("variance", v), ("count", np.int64(3))])), x, (d - m) / np.maximum(np.sqrt(v), 1e-7))
    case("Normalization by config", sequential(x.shape[1:], ("Normalization", dict(axis=[-1], mean=[m.tolist()],
         variance=[v.tolist()]), [])), x, (d - m) / np.sqrt(v))
    case("Rescaling", sequential(x.shape[1:], ("Rescaling", dict(scale=1 / 127.5, offset=-1), [])), x, d / 127.5 - 1)
    case("Rescaling by channel", sequential(x.shape[1:], ("Rescaling", dict(scale=g.tolist(), offset=b.tolist()),
         [])), x, d * g + b)


def resize(x, size, nearest=False):
    """tf.image.resize without antialiasing: between centres of pixels."""
    def axis(n, m):
        at = (np.arange(m) + 0.5) * n / m
        if nearest:
            low = np.minimum(np.floor(at).astype(int), n - 1)
            return low, low, np.zeros(m)
        at = at - 0.5
        low = np.floor(at)
        return (np.clip(low, 0, n - 1).astype(int), np.clip(low + 1, 0, n - 1).astype(int), at - low)
    (a, b, f), (c, d, g) = axis(x.shape[1], size[0]), axis(x.shape[2], size[1])
    f, g = f[:, None, None], g[:, None]
    rows = x[:, a] * (1 - f) + x[:, b] * f
    return rows[:, :, c] * (1 - g) + rows[:, :, d] * g


def add_shapes():
    x = rand(2, 5, 4, 3)
    d = x.astype("f8")
    for name, conf, want in [
        ("Flatten", {}, d.reshape(2, -1)),
        ("Reshape", dict(target_shape=[10, -1]), d.reshape(2, 10, -1)),
        ("Permute", dict(dims=[3, 1, 2]), d.transpose(0, 3, 1, 2)),
        ("ZeroPadding2D", dict(padding=[[1, 2], [0, 3]]), np.pad(d, [(0, 0), (1, 2), (0, 3), (0, 0)])),
        ("ZeroPadding2D", dict(padding=[2, 1]), np.pad(d, [(0, 0), (2, 2), (1, 1), (0, 0)])),
        ("Cropping2D", dict(cropping=[[1, 2], [0, 1]]), d[:, 1:3, :3]),
        ("UpSampling2D", dict(size=[2, 3], interpolation="nearest"), d.repeat(2, 1).repeat(3, 2)),
        ("UpSampling2D", dict(size=[2, 3], interpolation="bilinear"), resize(d, (10, 12))),
        ("Resizing", dict(height=7, width=3, interpolation="bilinear"), resize(d, (7, 3))),
        ("Resizing", dict(height=7, width=9, interpolation="nearest"), resize(d, (7, 9), True)),
        ("CenterCrop", dict(height=2, width=2), d[:, 1:3, 1:3]),
        ("RandomFlip", dict(mode="horizontal"), d), ("GaussianNoise", dict(stddev=0.5), d), ("Dropout",
             dict(rate=0.5), d),
        ("Softmax", dict(axis=-1), softmax(d)),
    ]:
        case(f"{name} {conf}", sequential(x.shape[1:], (name, conf, [])), x, want)
    first = x.transpose(0, 3, 1, 2)
    case("Flatten channels_first", sequential(first.shape[1:], ("Flatten", dict(data_format="channels_first"), [])),
         first,
         d.reshape(2, -1))
    w, b = rand(1, 1, 3, 2), rand(2)  # the same behind a convolution, where channels are first in the graph
    y = conv(x, w, b, [1, 1], [1, 1], "valid")
    one = ("Conv2D", dict(filters=2, kernel_size=[1, 1], activation="linear"), [("kernel", w), ("bias", b)])
    for name, conf, want in [
        ("Flatten", {}, y.reshape(2, -1)), ("Permute", dict(dims=[2, 3, 1]), y.transpose(0, 2, 3, 1)),
        ("Reshape", dict(target_shape=[4, 10]), y.reshape(2, 4, 10)), ("Cropping2D", dict(cropping=[[0, 1], [2, 0]]),
             y[:, :4, 2:]),
        ("ZeroPadding2D", dict(padding=[[1, 0], [2, 1]]), np.pad(y, [(0, 0), (1, 0), (2, 1), (0, 0)])),
        ("GlobalMaxPooling2D", {}, y.max((1, 2))), ("Softmax", dict(axis=-1), softmax(y)), ("Softmax", dict(axis=1),
             softmax(y, 1)),
        ("LayerNormalization", dict(axis=[3], epsilon=1e-3, center=False, scale=False), normalized(y, 3, 1e-3)),
    ]:
        case(f"{name} {conf} behind a convolution", sequential(x.shape[1:], one, (name, conf, [])), x, want)
    s = rand(2, 6, 3)
    for name, conf, want in [("ZeroPadding1D", dict(padding=[1, 2]), np.pad(s, [(0, 0), (1, 2), (0, 0)])),
                             ("Cropping1D", dict(cropping=[1, 2]), s[:, 1:4]), ("UpSampling1D", dict(size=3),
                             s.repeat(3, 1))]:
        case(name, sequential(s.shape[1:], (name, conf, [])), s, want)
    r = rand(2, 3)
    case("RepeatVector", sequential((3,), ("RepeatVector", dict(n=4), [])), r, np.repeat(r[:, None], 4, 1))
    w, b = rand(3, 3, 3, 2), rand(2)
    t = rand(2, 4, 5, 6, 3)
    frames = np.stack([np.maximum(conv(t[:, i], w, b, [1, 1], [1, 1], "same"), 0) for i in range(4)], 1)
    inner = {"class_name": "Conv2D", "config": dict(name="c", filters=2, kernel_size=[3, 3], padding="same",
         activation="relu")}
    case("TimeDistributed Conv2D", sequential(t.shape[1:], ("TimeDistributed", dict(layer=inner), [("kernel", w),
         ("bias", b)])), t,
         frames)


def merge(cls, conf, shapes, f, weights=(), kwargs=None):
    xs = [rand(*s) for s in shapes]
    calls = [[[[f"in{i}", 0, 0, (kwargs or {}) if i == 0 else {}] for i in range(len(xs))]]]
    case(f"{cls} {conf} {kwargs or ''}", dict(version="2.9.0", inputs=[s[1:] for s in shapes], calls=calls,
         layers=[(cls, dict(conf, name="m"), list(weights))], outputs=[["m", 0, 0]]), xs,
         f(*(x.astype("f8") for x in xs)))


def heads(q, v, ws, size, causal):
    wq, bq, wk, bk, wv, bv, wo, bo = (w.astype("f8") for w in ws)
    a, b, c = (np.einsum("ntd,dhk->nhtk", x, w) + s[:, None] for x, w, s in ((q, wq, bq), (v, wk, bk), (v, wv, bv)))
    scores = np.einsum("nhik,nhjk->nhij", a, b) / np.sqrt(size)
    if causal:
        scores = np.where(np.tril(np.ones(scores.shape[-2:])) > 0, scores, -1e9)
    return np.einsum("nhij,nhjk,hkd->nid", softmax(scores), c, wo) + bo


def add_merges():
    pair = [(2, 3, 4), (2, 3, 4)]
    for cls, f in [("Add", np.add), ("Subtract", np.subtract), ("Multiply", np.multiply), ("Maximum", np.maximum),
                   ("Minimum", np.minimum), ("Average", lambda a, b: (a + b) / 2)]:
        merge(cls, {}, pair, f)
    merge("Multiply", {}, [(2, 3, 5, 4), (2, 4)], lambda a, b: a * b[:, None, None])
    merge("Concatenate", dict(axis=1), [(2, 3, 4), (2, 5, 4)], lambda a, b: np.concatenate([a, b], 1))
    merge("Dot", dict(axes=1), [(2, 3), (2, 3)], lambda a, b: (a * b).sum(1, keepdims=True))
    merge("Dot", dict(axes=[2, 1]), [(2, 3, 4), (2, 4, 5)], lambda a, b: a @ b)
    merge("Dot", dict(axes=[1, 1]), [(2, 3, 4), (2, 3, 5)], lambda a, b: np.einsum("nki,nkj->nij", a, b))
    merge("Dot", dict(axes=[2, 1]), [(2, 3, 4), (2, 4)], lambda a, b: np.einsum("nik,nk->ni", a, b))
    merge("Dot", dict(axes=-1, normalize=True), [(2, 3), (2, 3)], lambda a, b: (a * b).sum(1, keepdims=True)
          / np.linalg.norm(a, axis=1, keepdims=True) / np.linalg.norm(b, axis=1, keepdims=True))
    merge("Attention", dict(use_scale=False), [(2, 3, 4), (2, 5, 4)], lambda q, v: softmax(q @ v.transpose(0, 2,
         1)) @ v)
    s = rand(4)
    merge("AdditiveAttention", dict(use_scale=True), [(2, 3, 4), (2, 5, 4)],
          lambda q, v: softmax((s * np.tanh(q[:, :, None] + v[:, None])).sum(-1)) @ v, [("scale", s)])
    names = [f"{n}/{w}" for n in ("query", "key", "value", "attention_output") for w in ("kernel", "bias")]
    ws = [rand(6, 2, 3), rand(2, 3), rand(6, 2, 3), rand(2, 3), rand(6, 2, 5), rand(2, 5), rand(2, 5, 6), rand(6)]
    for causal in (False, True):
        merge("MultiHeadAttention", dict(num_heads=2, key_dim=3, value_dim=5, use_bias=True), [(2, 4, 6), (2, 4, 6)],
              lambda q, v: heads(q, v, ws, 3, causal), zip(names, ws), dict(use_causal_mask=causal))


def op(function, x, want, first=None, **kwargs):
    call = [["in0", 0, 0, kwargs]] if first is None else [["_CONSTANT_VALUE", -1, first, {"y": ["in0", 0, 0]}]]
    cls, conf = "TFOpLambda", dict(name="op", function=function)
    if function == "getitem":
        cls, conf = "SlicingOpLambda", dict(name="op", function="__operators__.getitem")
    case(f"{function} {kwargs}", dict(version="2.9.0", inputs=[x.shape[1:]], layers=[(cls, conf, [])], calls=[[call]],
         outputs=[["op", 0, 0]]), x, want)


def add_operations():
    x = rand(2, 4, 6)
    d = x.astype("f8")
    op("math.multiply", x, d * 3, y=3.0)
    op("math.subtract", x, 1 - d, first=1.0)
    op("math.reduce_mean", x, d.mean(1, keepdims=True), axis=1, keepdims=True)
    op("math.reduce_max", x, d.max((1, 2)), axis=[1, 2])
    op("reshape", x, d.reshape(-1, 3, 8), shape=[-1, 3, 8])
    op("compat.v1.transpose", x, d.transpose(0, 2, 1), perm=[0, 2, 1])
    op("expand_dims", x, d[:, None], axis=1)
    op("concat", x, d, axis=1)
    op("nn.relu", x, np.maximum(d, 0))
    op("nn.leaky_relu", x, np.where(d > 0, d, 0.1 * d), alpha=0.1)
    op("nn.softmax", x, softmax(d, 1), axis=1)
    op("math.square", x, d * d)
    op("math.pow", x, d ** 2, y=2)
    op("clip_by_value", x, np.clip(d, -0.5, 0.25), clip_value_min=-0.5, clip_value_max=0.25)
    op("tile", x, np.tile(d, (1, 2, 1)), multiples=[1, 2, 1])
    op("getitem", x, d[:, 1:3, ::2], slice_spec=[{"start": None, "stop": None, "step": None},
                                               {"start": 1, "stop": 3, "step": None}, {"start": None, "stop": None,
                                               "step": 2}])
    op("getitem", x, d[:, -1], slice_spec=[{"start": None, "stop": None, "step": None}, -1])
    op("split", x, d[:, :, :3], num_or_size_splits=2, axis=2)


def add_nested():
    """A model within a model, called twice: Keras 2 counts its calls from 1, where it has one of its own."""
    w, b = rand(6, 4), rand(4)
    x, y = rand(2, 6), rand(2, 6)
    inside = [{"class_name": "InputLayer", "name": "a", "inbound_nodes": [],
               "config": {"name": "a", "batch_input_shape": [None, 6], "dtype": "float32"}},
              {"class_name": "Dense", "name": "d", "inbound_nodes": [[["a", 0, 0, {}]]],
               "config": {"name": "d", "units": 4, "trainable": True}}]
    functional = dict(name="m", layers=inside, input_layers=[["a", 0, 0]], output_layers=[["d", 0, 0]])
    plain = dict(name="m", layers=[dict(inside[1], config=dict(inside[1]["config"]))])
    plain["layers"][0].pop("inbound_nodes")
    for cls, conf, first in (("Functional", functional, 1), ("Model", functional, 1), ("Sequential", plain, 0),
                             ("Sequential", plain, 1)):
        calls = [[[["in0", 0, 0, {}]], [["in1", 0, 0, {}]]], [[["m", first, 0, {}], ["m", first + 1, 0, {}]]]]
        case(f"{cls} called twice, from {first}", dict(version="2.9.0", inputs=[x.shape[1:], y.shape[1:]], calls=calls,
             layers=[(cls, dict(conf), [("d/kernel", w), ("d/bias", b)]), ("Subtract", dict(name="sub"), [])],
             outputs=[["sub", 0, 0], ["m", first + 1, 0]]), [x, y], [x @ w - y @ w, y @ w + b])


def main():
    for add in (add_convolutions, add_poolings, add_recurrent, add_activations, add_normalizations, add_shapes,
                add_merges, add_operations, add_nested):
        add()
    verdict = Verdicts()
    with tempfile.TemporaryDirectory() as folder:
        for name, model, xs, want in cases:
            if not ONLY or any(o in name for o in ONLY):
                path = os.path.join(folder, "m.h5")
                write(path, model)
                verdict.compare(name, answers(PROGRAM, folder, [path], xs), want, LIMIT)
    return verdict.close()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
