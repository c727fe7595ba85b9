"""new_cases.py - operators newer than ONNX Runtime knows: small models with outputs by their formulas in NumPy.

new_cases.py FOLDER   writes each model with its inputs and outputs as initializers (tests/golden/onnx/new_*)
"""
import os
import sys

import numpy as np
import onnx

import ort_cases
from ort_models import MS, f, one, rng


def swish(x):
    return x / (1 + np.exp(-x))


def softmax(s):
    """Rows of nothing but -inf become 0."""
    with np.errstate(invalid="ignore"):
        e = np.where(np.isneginf(s).all(-1, keepdims=True), 0, np.exp(s - s.max(-1, keepdims=True)))
    total = e.sum(-1, keepdims=True)
    return e / np.where(total == 0, 1, total)


def heads(x, n):
    return x.reshape(*x.shape[:2], n, -1).transpose(0, 2, 1, 3)


def scatter():
    r = rng("scatter")
    past, new, at = f(r, 2, 3, 6, 2), f(r, 2, 3, 4, 2), np.array([1, 4])
    want = past.copy()
    for b in range(2):
        for i in range(4):
            want[b, :, (at[b] + i) % 6] = new[b, :, i]
    yield one("new_tensor_scatter", "TensorScatter", "", {"p": past, "u": new, "at": at}, opset=24,
              mode="circular"), [want]


def causal_conv():
    r = rng("causal_conv")
    x, w, b, past = f(r, 2, 3, 5), f(r, 3, 1, 4), f(r, 3), f(r, 2, 3, 3)
    for name, before, inputs in (("state", past, {"p": past}), ("fresh", np.zeros_like(past), {})):
        all_of = np.concatenate([before, x], 2)
        y = sum(all_of[:, :, k:k + 5] * w[None, :, 0, k, None] for k in range(4)) + b[None, :, None]
        yield one(f"new_causal_conv_{name}", "CausalConvWithState", "", {"x": x, "w": w, "b": b, **inputs}, n_out=2,
                  opset=27, activation="silu"), [swish(y), all_of[:, :, -3:]]


def linear_attention():
    r = rng("linear_attention")
    q, k, v, s0 = f(r, 2, 3, 8), f(r, 2, 3, 4), f(r, 2, 3, 6), f(r, 2, 2, 2, 3)
    decay, beta = -np.abs(f(r, 2, 3, 4)), np.abs(f(r, 2, 3, 2))
    for rule in ("linear", "gated", "delta", "gated_delta"):
        s, out = s0.astype(float), []
        for t in range(3):
            kt, vt = k[:, t].reshape(2, 2, 2), v[:, t].reshape(2, 2, 3)
            if "gated" in rule:
                s = s * np.exp(decay[:, t].reshape(2, 2, 2))[..., None]
            if "delta" in rule:
                vt = beta[:, t][..., None] * (vt - np.einsum("bhkv,bhk->bhv", s, kt))
            s = s + kt[..., None] * vt[..., None, :]
            y = np.einsum("bhgk,bhkv->bhgv", q[:, t].reshape(2, 2, 2, 2), s) / np.sqrt(2)
            out.append(y.reshape(2, 12))
        inputs = {"q": q, "k": k, "v": v, "s": s0, "d": decay if "gated" in rule else None,
                  "b": beta if "delta" in rule else None}
        yield one(f"new_linear_{rule}", "LinearAttention", "", inputs, n_out=2, opset=27, q_num_heads=4,
                  kv_num_heads=2, update_rule=rule), [np.stack(out, 1), s]


def attention():
    """A cache kept elsewhere, windows, a mask that ends early, rows that see nothing."""
    r = rng("attention24")
    q, k, v = f(r, 2, 2, 3, 4), f(r, 2, 2, 6, 4), f(r, 2, 2, 6, 5)
    valid, mask = np.array([5, 2]), r.integers(0, 2, (3, 5)).astype(bool)
    i, j = np.arange(3)[:, None], np.arange(6)[None]
    scores = np.einsum("bhik,bhjk->bhij", q, k) / 2
    place = (valid[:, None, None, None] - 3) + i
    sees = (j < valid[:, None, None, None]) & (j <= place)
    cached = np.where(sees & np.pad(mask, ((0, 0), (0, 1))), scores, -np.inf)
    yield one("new_attention_cache", "Attention", "", {"q": q, "k": k, "v": v, "m": mask, "pk": None, "pv": None,
              "n": valid}, outputs=["y", "", "", "p"], opset=24, is_causal=1,
              qk_matmul_output_mode=3), [softmax(cached) @ v, softmax(cached)]
    window = np.where((j - i >= -1) & (j - i <= 2), scores, -np.inf)
    yield one("new_attention_window", "Attention", "", {"q": q, "k": k, "v": v}, opset=25, left_window_size=1,
              right_window_size=2), [softmax(window) @ v]


def small():
    r = rng("small")
    x, z = f(r, 2, 3), f(r, 2, 3)
    yield one("new_swish", "Swish", "", {"x": x}, opset=24, alpha=1.0), [swish(x)]
    yield one("new_swiglu", "SwiGLU", "", {"x": x, "z": z}, opset=28), [swish(x) * z]
    yield one("new_cum_prod", "CumProd", "", {"x": x, "a": np.array(1)}, opset=26, exclusive=1,
              reverse=1), [np.stack([x[:, 1] * x[:, 2], x[:, 2], np.ones(2)], 1)]
    w, b = f(r, 3, 4), f(r, 4)
    y = x @ w + b
    yield one("new_gemm_fast_gelu", "GemmFastGelu", MS, {"x": x, "w": w, "b": b}), [
        y / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y ** 3)))]
    half = np.fft.rfft(f(r, 2, 7), axis=1)
    parts = np.stack([half.real, half.imag], -1).astype(np.float32)
    yield one("new_irfft", "DFT", "", {"x": parts, "n": np.array(7), "a": np.array(1)}, opset=20, inverse=1,
              onesided=1), [np.fft.irfft(half, 7, axis=1)[..., None]]


def qonnx():
    """Brevitas' formulas: numbers of few bits, and of one."""
    r, scale, zero = rng("qonnx"), np.array(0.25, np.float32), np.array(1, np.float32)
    x = f(r, 3, 5) * 4
    for name, bits, signed, narrow, mode in (("signed", 4, 1, 0, "ROUND"), ("narrow", 3, 1, 1, "FLOOR"),
                                             ("unsigned", 5, 0, 0, "CEIL"), ("one", 1, 1, 0, "ROUND")):
        low, high = (narrow - 2 ** (bits - 1), 2 ** (bits - 1) - 1) if signed else (0, 2 ** bits - 1 - narrow)
        y = x / scale + zero
        way = {"ROUND": np.round, "FLOOR": np.floor, "CEIL": np.ceil}[mode]
        y = np.where(y >= 0, 1, -1) if name == "one" else way(np.clip(y, low, high))
        given = {"x": x, "s": scale, "z": zero, "b": np.array(bits, np.float32)}
        yield one("new_quant_" + name, "Quant", "qonnx.custom_op.general", given, ("s", "z", "b"), signed=signed,
                  narrow=narrow, rounding_mode=mode), [(y - zero) * scale]
    yield one("new_bipolar", "BipolarQuant", "onnx.brevitas", {"x": x, "s": scale}), [np.where(x >= 0, scale, -scale)]
    image, w = f(r, 1, 4, 5, 3), f(r, 2, 1, 1, 3)
    yield one("new_conv_last", "Conv", "qonnx.custom_op.channels_last", {"x": image, "w": w}), [
        np.einsum("nhwc,oc->nhwo", image, w[:, 0, 0])]


def maps():
    """No binding of ONNX Runtime's for node takes a map: what its kernels say, in words."""
    ml = "ai.onnx.ml"
    texts, numbers = np.array(["b", "a", "z"], dtype=object), np.array([5, 2, 3])
    x = np.array([1.5, -2, 7], np.float32)
    yield one("new_dict_words", "DictVectorizer", ml, {"x": x, "x_keys": texts},
              string_vocabulary=["a", "c", "b"]), [[[-2, 0, 1.5]]]
    yield one("new_dict_numbers", "DictVectorizer", ml, {"x": x, "x_keys": numbers},
              int64_vocabulary=[3, 5, 4, 2]), [[[7, 1.5, 0, -2]]]
    yield one("new_cast_map", "CastMap", ml, {"x": x, "x_keys": numbers}), [[[-2, 7, 1.5]]]
    yield one("new_cast_map_sparse", "CastMap", ml, {"x": np.array(["1.5", "4", "9"], dtype=object),
                                                     "x_keys": numbers}, map_form="SPARSE", max_map=5), [
        [[0, 0, 4, 9, 0]]]


def as_maps(model):
    """Inputs NAME and NAME_keys become one map."""
    kinds = {v.name: v.type.tensor_type.elem_type for v in model.graph.input}
    for v in [v for v in model.graph.input if v.name.endswith("_keys")]:
        model.graph.input.remove(v)
    for v in model.graph.input:
        if v.name + "_keys" in kinds:
            v.ClearField("type")
            v.type.map_type.key_type = kinds[v.name + "_keys"]
            v.type.map_type.value_type.tensor_type.elem_type = kinds[v.name]
    for node in model.graph.node:
        del node.input[1:]
    return model


def write(folder):
    for case, outputs in maps():
        extra = [ort_cases.tensor("golden.in." + k, v) for k, v in case.inputs.items()]
        extra += [ort_cases.tensor("golden.out.y0", np.asarray(outputs[0], np.float32))]
        onnx.save(as_maps(ort_cases.model_of(case, extra)), os.path.join(folder, case.name + ".onnx"))
    for family in (scatter, causal_conv, linear_attention, attention, small, qonnx):
        for case, outputs in family():
            extra = [ort_cases.tensor("golden.in." + k, v) for k, v in case.inputs.items()]
            extra += [ort_cases.tensor("golden.out." + k, np.asarray(v, np.float32))
                      for k, v in zip(case.outputs, outputs)]
            onnx.save(ort_cases.model_of(case, extra), os.path.join(folder, case.name + ".onnx"))


if __name__ == "__main__":
    write(sys.argv[1])
