"""ort_models.py - the models of ort_cases.py: one node each, with inputs."""
import numpy as np
from onnx import TensorProto, helper

MS, ML = "com.microsoft", "ai.onnx.ml"


class Case:
    def __init__(self, name, nodes, inputs, constants, outputs, opsets):
        self.name, self.nodes, self.inputs, self.constants = name, nodes, inputs, constants
        self.outputs, self.opsets = outputs, opsets


def rng(name):
    return np.random.default_rng(sum(map(ord, name)))


def f(r, *shape, dtype=np.float32):
    return r.standard_normal(shape).astype(dtype)


def u8(r, *shape, low=0, high=255):
    return r.integers(low, high, shape).astype(np.uint8)


def i8(r, *shape):
    return r.integers(-60, 60, shape).astype(np.int8)  # larger ones saturate inside ONNX Runtime without VNNI


def one(name, op, domain, inputs, constants=(), n_out=1, opset=17, order=None, ml=3, outputs=None, **attrs):
    """A case of one node: `inputs` is a dict in the node's order; names in `constants` become initializers; a value of
    None is an absent input."""
    names = [k if inputs[k] is not None else "" for k in inputs]
    while names and not names[-1]:
        names.pop()
    outs = outputs or [f"y{i}" for i in range(n_out)]
    attrs = {k.removesuffix("_attr"): v for k, v in attrs.items()}
    node = helper.make_node(op, names, outs, name="node", domain=domain, **attrs)
    opsets = {"": opset}
    if domain:
        opsets[domain] = ml if domain == ML else 1
    present = {k: v for k, v in inputs.items() if v is not None}
    return Case(name, [node], {k: v for k, v in present.items() if k not in constants},
                {k: present[k] for k in constants if k in present}, [o for o in outs if o], opsets)


def activations():
    r = rng("activations")
    x, b = f(r, 2, 3, 8), f(r, 8)
    yield one("ms_gelu", "Gelu", MS, {"x": x})
    yield one("ms_bias_gelu", "BiasGelu", MS, {"x": x, "b": b})
    yield one("ms_fast_gelu", "FastGelu", MS, {"x": x, "b": b})
    yield one("ms_quick_gelu", "QuickGelu", MS, {"x": x}, alpha=1.5)
    yield one("ms_bias_softmax", "BiasSoftmax", MS, {"x": f(r, 2, 3, 4, 5), "b": f(r, 2, 1, 1, 5)}, axis=3,
              is_inner_broadcast=0)


def fused():
    r = rng("fused")
    x, w, b, z = f(r, 1, 4, 6, 5), f(r, 6, 4, 3, 3), f(r, 6), f(r, 1, 6, 6, 5)
    yield one("ms_fused_conv", "FusedConv", MS, {"x": x, "w": w, "b": b}, activation="LeakyRelu",
              activation_params=[0.2],
              pads=[1, 1, 1, 1])
    yield one("ms_fused_conv_add", "FusedConv", MS, {"x": x, "w": w, "b": b, "z": z}, activation="Relu", pads=[1, 1,
              1, 1])
    yield one("ms_fused_gemm", "FusedGemm", MS, {"a": f(r, 3, 4), "b": f(r, 5, 4), "c": f(r, 5)},
              activation="LeakyRelu",
              activation_alpha=0.3, transB=1, alpha=0.5)
    yield one("ms_fused_matmul", "FusedMatMul", MS, {"a": f(r, 2, 4, 3), "b": f(r, 2, 5, 4)}, transA=1, transB=1,
              alpha=0.5)
    yield one("ms_fused_matmul_batch", "FusedMatMul", MS, {"a": f(r, 3, 2, 4), "b": f(r, 2, 4, 5)}, transBatchA=1)


def norms():
    r = rng("norms")
    x, s, g, b, c = f(r, 2, 3, 8), f(r, 2, 3, 8), f(r, 8), f(r, 8), f(r, 8)
    yield one("ms_skip_norm", "SkipLayerNormalization", MS, {"x": x, "s": s, "g": g, "b": b, "c": c}, epsilon=1e-5)
    yield one("ms_skip_norm_sum", "SkipLayerNormalization", MS, {"x": x, "s": s, "g": g, "b": b}, epsilon=1e-5,
              outputs=["y", "", "", "sum"])
    yield one("ms_skip_rms", "SkipSimplifiedLayerNormalization", MS, {"x": x, "s": s, "g": g}, epsilon=1e-5,
              outputs=["y", "", "", "sum"])
    yield one("ort_rms", "SimplifiedLayerNormalization", "", {"x": x, "g": g}, epsilon=1e-5, axis=-1, stash_type=1)
    ids, seg = r.integers(0, 9, (2, 4)).astype(np.int32), r.integers(0, 2, (2, 4)).astype(np.int32)
    mask = np.array([[1, 1, 1, 0], [1, 1, 0, 0]], dtype=np.int32)
    yield one("ms_embed", "EmbedLayerNormalization", MS, {"ids": ids, "seg": seg, "word": f(r, 9, 6), "pos": f(r, 5,
              6),
              "segs": f(r, 2, 6), "g": f(r, 6), "b": f(r, 6), "mask": mask}, n_out=2, epsilon=1e-5)


def attention():
    r = rng("attention")
    x, w, b = f(r, 2, 4, 8), f(r, 8, 24), f(r, 24)
    mask = np.array([[1, 1, 1, 0], [1, 1, 1, 1]], dtype=np.int32)
    yield one("ms_attention", "Attention", MS, {"x": x, "w": w, "b": b}, num_heads=2)
    yield one("ms_attention_mask", "Attention", MS, {"x": x, "w": w, "b": b, "mask": mask}, num_heads=2)
    yield one("ms_attention_lengths", "Attention", MS, {"x": x, "w": w, "b": b, "mask": np.array([3, 2],
              dtype=np.int32)}, num_heads=4)
    yield one("ms_attention_causal", "Attention", MS, {"x": x, "w": w, "b": b, "mask": None, "past": f(r, 2, 2, 2, 3,
              4)},
              num_heads=2, unidirectional=1, n_out=2)
    q, k, v = f(r, 2, 4, 8), f(r, 2, 5, 8), f(r, 2, 5, 8)
    yield one("ms_mha", "MultiHeadAttention", MS, {"q": q, "k": k, "v": v, "b": f(r, 24)}, num_heads=2)
    yield one("ms_mha_bias", "MultiHeadAttention", MS, {"q": q, "k": k, "v": v, "b": None, "m": None, "a": f(r, 1, 2,
              4, 5)}, num_heads=2)
    yield one("ms_mha_mask", "MultiHeadAttention", MS, {"q": q, "k": k, "v": v, "b": None,
              "m": np.array([[1, 1, 1, 1, 0], [1, 1, 0, 1, 1]], dtype=np.int32)}, num_heads=2)
    yield one("ms_mha_packed", "MultiHeadAttention", MS, {"q": f(r, 2, 4, 2, 3, 4)}, num_heads=2)
    yield one("ms_mha_past", "MultiHeadAttention", MS, {"q": q, "k": f(r, 2, 4, 8), "v": f(r, 2, 4, 8), "b": None,
              "m": None, "a": None,
              "pk": f(r, 2, 2, 3, 4), "pv": f(r, 2, 2, 3, 4)}, num_heads=2, n_out=3)
    angle = r.standard_normal((6, 4)).astype(np.float32)
    c, s = np.cos(angle), np.sin(angle)
    at = r.integers(0, 6, (2, 3)).astype(np.int64)
    yield one("ms_rotary", "RotaryEmbedding", MS, {"x": f(r, 2, 3, 16), "p": at, "c": c, "s": s})
    yield one("ms_rotary_pairs", "RotaryEmbedding", MS, {"x": f(r, 2, 2, 3, 8), "p": np.array([1], dtype=np.int64),
              "c": c, "s": s}, interleaved=1)
    yield one("ms_qattention", "QAttention", MS, {"x": u8(r, 2, 4, 8), "w": i8(r, 8, 24), "b": b,
              "xs": np.float32(0.02), "ws": np.float32(0.01), "mask": None, "xz": np.uint8(120), "wz": np.int8(0)},
                        num_heads=2,
              constants=("w", "ws", "wz"))


def grouped():
    """GroupQueryAttention: a first piece, a later one, both with keys of fewer heads."""
    r = rng("grouped")
    q, k, v = f(r, 2, 4, 32), f(r, 2, 4, 16), f(r, 2, 4, 16)
    angle = r.standard_normal((16, 8)).astype(np.float32)
    turn = {"c": np.cos(angle), "s": np.sin(angle)}
    first = {"last": np.array([3, 3], np.int32), "all": np.array(4, np.int32)}
    later = {"last": np.array([3, 5], np.int32), "all": np.array(6, np.int32)}
    past = {"pk": f(r, 2, 2, 5, 8), "pv": f(r, 2, 2, 5, 8)}
    none = {"pk": None, "pv": None}
    full = {"last": np.array([5, 5], np.int32), "all": np.array(6, np.int32)}
    heads = {"num_heads": 4, "kv_num_heads": 2, "n_out": 3}
    new = {"q": q[:, :1], "k": k[:, :1], "v": v[:, :1]}
    yield one("ms_gqa_first", "GroupQueryAttention", MS, {"q": q, "k": k, "v": v, **none, **first}, **heads)
    for name, more in (("ms_gqa_later", {}), ("ms_gqa_window_later", {"local_window_size": 3})):
        case = one(name, "GroupQueryAttention", MS, {**new, **past, **later}, **heads, **more)
        case.outputs = ["y0"]  # what is behind the end of a sequence is nobody's
        yield case
    wide = {"q": f(r, 2, 1, 64), "k": f(r, 2, 1, 32), "v": f(r, 2, 1, 32), "pk": f(r, 2, 2, 5, 16),
            "pv": f(r, 2, 2, 5, 16)}
    yield one("ms_gqa_rotary", "GroupQueryAttention", MS, {**wide, **full, **turn}, do_rotary=1, **heads)
    yield one("ms_gqa_packed", "GroupQueryAttention", MS,
              {"q": f(r, 2, 4, 128), "k": None, "v": None, **none, **first, **turn}, do_rotary=1,
              rotary_interleaved=1, **heads)
    yield one("ms_gqa_window", "GroupQueryAttention", MS, {"q": q, "k": k, "v": v, **none, **first},
              local_window_size=2, scale=0.3, softcap=2.0, **heads)


def qlinear():
    r = rng("qlinear")
    s = [np.float32(v) for v in (0.02, 0.03, 0.05)]
    z = [np.uint8(v) for v in (120, 100, 128)]
    a, b = u8(r, 2, 3, 4, 4), u8(r, 2, 3, 4, 4)
    two = {"a": a, "as": s[0], "az": z[0], "b": b, "bs": s[1], "bz": z[1], "cs": s[2], "cz": z[2]}
    last = {"a": a, "as": s[0], "az": z[0], "cs": np.float32(1 / 256), "cz": np.uint8(0)}
    pool = {"a": a, "as": s[0], "az": z[0], "cs": s[1], "cz": z[1]}
    q = ("as", "az", "bs", "bz", "cs", "cz")
    yield one("ms_qadd", "QLinearAdd", MS, two, q)
    yield one("ms_qmul", "QLinearMul", MS, two, q)
    yield one("ms_qsigmoid", "QLinearSigmoid", MS, last, q)
    yield one("ms_qleaky", "QLinearLeakyRelu", MS, pool, q, alpha=0.2)
    yield one("ms_qsoftmax", "QLinearSoftmax", MS, last, q, axis=-1, opset_attr=13)
    yield one("ms_qaverage", "QLinearAveragePool", MS, pool, q, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    yield one("ms_qglobal", "QLinearGlobalAveragePool", MS, pool, q, channels_last=0)
    yield one("ms_qglobal_last", "QLinearGlobalAveragePool", MS, pool, q, channels_last=1)
    yield one("ms_qconcat", "QLinearConcat", MS, {"cs": s[2], "cz": z[2], "a": a, "as": s[0], "az": z[0], "b": b,
              "bs": s[1], "bz": z[1]},
              q, axis=1)
    yield one("ms_qgemm", "QGemm", MS, {"a": u8(r, 3, 4), "as": s[0], "az": z[0], "b": i8(r, 5, 4), "bs": s[1],
              "bz": np.int8(3),
              "c": r.integers(-500, 500, 5).astype(np.int32), "ys": s[2], "yz": z[2]}, ("as", "az", "bs", "bz", "ys",
                        "yz", "c"), transB=1)
    yield one("ms_qgemm_real", "QGemm", MS, {"a": u8(r, 3, 4), "as": s[0], "az": z[0], "b": i8(r, 4, 5), "bs": s[1],
              "bz": np.int8(3)},
              ("as", "az", "bs", "bz"))
    yield one("ms_matmul_to_float", "MatMulIntegerToFloat", MS, {"a": u8(r, 3, 4), "b": i8(r, 4, 5), "as": s[0],
              "bs": (0.01 * np.arange(1, 6)).astype(np.float32), "az": z[0], "bz": np.zeros(5, np.int8), "c": f(r,
                        5)})
    yield one("ms_dynamic_matmul", "DynamicQuantizeMatMul", MS, {"a": f(r, 3, 4), "b": i8(r, 4, 5), "bs": s[1],
              "bz": np.int8(2), "c": f(r, 5)})
    packed = {"a": f(r, 3, 40), "b": u8(r, 5, 3, 8), "s": f(r, 15)}
    yield one("ms_nbits", "MatMulNBits", MS, packed, ("b", "s"), K=40, N=5, bits=4, block_size=16)
    yield one("ms_nbits_zero", "MatMulNBits", MS, {**packed, "z": u8(r, 10)}, ("b", "s", "z"), K=40, N=5, bits=4,
              block_size=16)


def ties():
    """Scales that leave many numbers half way between two steps: which way they go is a matter of the arithmetic."""
    r = rng("ties")
    a, b, s = u8(r, 2, 3, 16, 17), u8(r, 2, 3, 16, 17), [np.float32(v) for v in (0.05, 0.1, 0.01)]
    z = [np.uint8(v) for v in (226, 99, 126)]
    two = {"a": a, "as": s[0], "az": z[0], "b": b, "bs": s[1], "bz": z[1], "cs": s[1], "cz": z[2]}
    names, pooled = ("as", "az", "bs", "bz", "cs", "cz"), ("as", "az", "cs", "cz")
    yield one("ms_qadd_ties", "QLinearAdd", MS, two, names)
    yield one("ms_qadd_ties_row", "QLinearAdd", MS, {**two, "b": b[0, :, :1]}, names)
    signed = {k: (v.astype(int) - 128).astype(np.int8) if v.dtype == np.uint8 else v for k, v in two.items()}
    yield one("ms_qadd_ties_i8", "QLinearAdd", MS, signed, names)
    pool = {"a": a, "as": s[2], "az": z[2], "cs": s[2], "cz": z[1]}
    yield one("ms_qaverage_ties", "QLinearAveragePool", MS, pool, pooled, kernel_shape=[3, 2], pads=[1, 1, 1, 1])
    yield one("ms_qglobal_ties", "QLinearGlobalAveragePool", MS, {**pool, "a": u8(r, 4, 4, 4, 64)}, pooled,
              channels_last=1)
    q = [helper.make_node("DequantizeLinear", ["a", "as", "az"], ["x"]), helper.make_node("LeakyRelu", ["x"], ["y"]),
         helper.make_node("QuantizeLinear", ["y", "cs", "az"], ["y0"])]
    yield Case("ort_leaky_ties", q, {"a": a}, {"as": s[0], "az": z[0], "cs": np.float32(0.05)}, ["y0"], {"": 17})


def packed():
    r = rng("packed")
    for kind in (0, 1):
        yield one(f"ms_bnb4_{kind}", "MatMulBnb4", MS, {"a": f(r, 3, 24), "b": u8(r, 84), "m": f(r, 11)}, ("b", "m"),
                  K=24, N=7, block_size=16, quant_type=kind)
    rows = np.array([[3, 0], [5, 3]])
    for bits, per in ((2, 4), (4, 2), (8, 1)):
        table = {"d": u8(r, 6, 40 // per), "i": rows, "s": f(r, 6, 3)}
        yield one(f"ms_gather_u8_{bits}", "GatherBlockQuantized", MS, table, ("d", "s"), bits=bits, block_size=16)
        zero = {**table, "z": u8(r, 6, (3 * bits + 7) // 8)}
        yield one(f"ms_gather_u8_{bits}_zero", "GatherBlockQuantized", MS, zero, ("d", "s", "z"), bits=bits,
                  block_size=16)
    for name, kind in (("u4", 21), ("i4", 22)):
        case = one(f"ms_gather_{name}", "GatherBlockQuantized", MS, {"i": rows, "s": f(r, 6, 3)}, ("s",), block_size=16)
        case.constants["d"] = TensorProto(name="d", data_type=kind, dims=[6, 40], raw_data=u8(r, 120).tobytes())
        case.nodes[0].input.insert(0, "d")
        yield case


def experts():
    r = rng("experts")
    for act in ("relu", "gelu", "silu", "identity"):
        moe = {"x": f(r, 2, 3, 8), "p": f(r, 6, 4), "w1": f(r, 4, 12, 8), "b1": f(r, 4, 12), "w2": f(r, 4, 8, 12),
               "b2": f(r, 4, 8)}
        yield one("ms_moe_" + act, "MoE", MS, moe, ("w1", "b1", "w2", "b2"), activation_type=act, k=2,
                  normalize_routing_weights=int(act == "relu"))


def sequences():
    """A sequence that is cut, changed and joined again, at places that are known."""
    steps = [("SplitToSequence", "x two", "s", {"axis": 1}), ("SequenceAt", "s one", "a", {}),
             ("SequenceAt", "s last", "b", {}), ("SequenceConstruct", "a b", "t", {}),
             ("SequenceInsert", "t a one", "u", {}), ("SequenceErase", "u last", "v", {}),
             ("SequenceInsert", "v b", "w", {}), ("ConcatFromSequence", "w", "y0", {"axis": 0, "new_axis": 1}),
             ("SequenceLength", "w", "y1", {})]
    nodes = [helper.make_node(op, ins.split(), [out], **attrs) for op, ins, out, attrs in steps]
    yield Case("ort_sequences", nodes, {"x": f(rng("sequences"), 2, 6)},
               {"one": np.array(1), "two": np.array(2), "last": np.array(-1)}, ["y0", "y1"], {"": 13})


def dynamic_lstm():
    r = rng("dynamic_lstm")
    for name, dirs, scale in (("", 1, (1,)), ("_channels", 2, (2, 12))):
        lstm = {"x": f(r, 4, 2, 5), "w": i8(r, dirs, 5, 12), "r": i8(r, dirs, 3, 12), "b": f(r, dirs, 24),
                "lens": None, "h": None, "c": None, "p": None}
        for k in ("w", "r"):
            lstm[k + "s"] = (0.01 + 0.005 * r.random(scale)).astype(np.float32)
            lstm[k + "z"] = np.zeros(scale, np.int8)
        yield one("ms_dynamic_lstm" + name, "DynamicQuantizeLSTM", MS, lstm, ("w", "r", "b", "ws", "wz", "rs", "rz"),
                  n_out=3, hidden_size=3, direction="bidirectional" if dirs == 2 else "forward")


def assorted():
    r = rng("assorted")
    yield one("ms_distance", "CDist", MS, {"a": f(r, 4, 3), "b": f(r, 5, 3)}, metric="sqeuclidean")
    yield one("ms_distance_root", "CDist", MS, {"a": f(r, 4, 3), "b": f(r, 5, 3)}, metric="euclidean")
    yield one("ms_expand_dims", "ExpandDims", MS, {"x": f(r, 4, 3), "a": np.int32(1)}, ("a",))
    conv = {"x": u8(r, 1, 6, 5, 4), "xs": np.float32(0.02), "xz": np.uint8(120), "w": i8(r, 3, 4, 3, 3),
            "ws": np.float32(0.03), "wz": np.int8(0), "ys": np.float32(0.4), "yz": np.uint8(128),
            "b": r.integers(-99, 99, 3).astype(np.int32)}
    yield one("ms_qconv_last", "QLinearConv", MS, conv, tuple(k for k in conv if k != "x"), channels_last=1,
              pads=[1, 1, 1, 1])
    words = {"x": np.array(["a bc, def!", "", "Ünder the--sea x"], dtype=object)}
    yield one("ms_words", "Tokenizer", MS, words, mark=0, mincharnum=1, pad_value="#", tokenexp="[a-zA-Z0-9_]+")
    yield one("ms_words_long", "Tokenizer", MS, words, mark=1, mincharnum=2, pad_value="", tokenexp="[a-zA-Z0-9_]+")
    yield one("ms_words_between", "Tokenizer", MS, words, mark=0, mincharnum=1, pad_value="#", separators=[" ", "-+"])
    yield one("ms_words_characters", "Tokenizer", MS, {"x": np.array([["aä", "b"]], dtype=object)}, mark=1,
              mincharnum=1, pad_value="#", separators=[""])


def core():
    """Spellings of ONNX's own newer than the cases that Debian has."""
    r = rng("core")
    x = f(r, 2, 6, 5)
    scale = (0.01 + r.random((2, 2, 5))).astype(np.float32)
    yield one("quantize_blocked", "QuantizeLinear", "", {"x": x, "s": scale, "z": np.zeros((2, 2, 5), np.int8)},
              opset=21, axis=1, block_size=3)
    yield one("dequantize_blocked", "DequantizeLinear", "", {"x": i8(r, 2, 6, 5), "s": scale, "z": i8(r, 2, 2, 5)},
              opset=21, axis=1, block_size=3)
    yield one("quantize_u16", "QuantizeLinear", "", {"x": x, "s": np.float32(0.001), "z": np.uint16(30000)}, opset=21)
    yield one("quantize_half", "QuantizeLinear", "", {"x": x.astype(np.float16), "s": np.float16(0.02),
              "z": np.uint8(100)}, opset=19)
    yield one("qlinearconv", "QLinearConv", "", {"x": u8(r, 1, 4, 6, 5), "xs": np.float32(0.02), "xz": np.uint8(120),
              "w": i8(r, 6, 2, 3, 3),
              "ws": (0.01 * np.arange(1, 7)).astype(np.float32), "wz": np.zeros(6, np.int8), "ys": np.float32(0.2),
                        "yz": np.uint8(128),
              "b": r.integers(-900, 900, 6).astype(np.int32)}, ("xs", "xz", "w", "ws", "wz", "ys", "yz", "b"),
                        opset=13, group=2, pads=[1, 0, 1, 0], strides=[2, 1])
    yield one("qlinearmatmul", "QLinearMatMul", "", {"a": u8(r, 2, 3, 4), "as": np.float32(0.02),
              "az": np.uint8(120), "b": i8(r, 4, 5),
              "bs": np.float32(0.01), "bz": np.int8(3), "ys": np.float32(0.05), "yz": np.uint8(128)}, ("as", "az",
                        "b", "bs", "bz", "ys", "yz"), opset=13)
    yield one("matmulinteger_columns", "MatMulInteger", "", {"a": u8(r, 3, 4), "b": i8(r, 4, 5), "az": np.uint8(9),
              "bz": i8(r, 5)}, ("b", "bz"), opset=13)
    yield one("convinteger_zero", "ConvInteger", "", {"x": u8(r, 1, 3, 5, 5), "w": u8(r, 4, 3, 3, 3),
              "xz": np.uint8(100), "wz": np.uint8(77)},
              ("w", "wz"), opset=13, pads=[1, 1, 1, 1])
    for case in ("half_pixel", "half_pixel_symmetric", "align_corners", "asymmetric", "pytorch_half_pixel"):
        for mode in ("nearest", "linear", "cubic"):
            yield one(f"resize_{case}_{mode}", "Resize", "", {"x": f(r, 1, 2, 5, 6), "roi": None, "s": None,
                      "z": np.array([1, 2, 7, 4])},
                      ("z",), opset=19, coordinate_transformation_mode=case, mode=mode)
    yield one("resize_antialias", "Resize", "", {"x": f(r, 1, 2, 9, 8), "roi": None, "s": None, "z": np.array([5,
              3])}, ("z",), opset=18,
              axes=[2, 3], mode="linear", antialias=1)
    yield one("resize_antialias_cubic", "Resize", "", {"x": f(r, 1, 1, 9, 8), "roi": None, "s": np.array([0.6, 0.7],
              np.float32)}, ("s",), opset=18,
              axes=[2, 3], mode="cubic", antialias=1)
    yield one("resize_crop", "Resize", "", {"x": f(r, 1, 1, 6, 6), "roi": np.array([0.2, 0.1, 0.9, 1.2], np.float32),
              "s": None, "z": np.array([4, 5])},
              ("roi", "z"), opset=18, axes=[2, 3], mode="linear",
                        coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=7.0)
    yield one("resize_not_larger", "Resize", "", {"x": f(r, 1, 1, 6, 4), "roi": None, "s": None, "z": np.array([4,
              7])}, ("z",), opset=18,
              axes=[2, 3], mode="linear", keep_aspect_ratio_policy="not_larger")
    yield one("upsample_9", "Upsample", "", {"x": f(r, 1, 2, 3, 4), "s": np.array([1, 1, 2, 3], np.float32)}, ("s",),
              opset=9, mode="linear")
    yield one("resize_10", "Resize", "", {"x": f(r, 1, 2, 6, 8), "s": np.array([1, 1, 0.5, 0.5], np.float32)},
              ("s",), opset=10, mode="nearest")
    rois = np.array([[0, 0, 5, 4], [1.3, 2, 4, 4.5], [-1, 1, 2, 9]], np.float32)
    at = np.array([0, 1, 0], np.int64)
    for mode in ("avg", "max"):
        for shift in ("half_pixel", "output_half_pixel"):
            yield one(f"roialign_{mode}_{shift}", "RoiAlign", "", {"x": r.random((2, 3, 6, 7)).astype(np.float32),
                      "r": rois, "i": at}, opset=16,
                      mode=mode, coordinate_transformation_mode=shift, output_height=2, output_width=3,
                                sampling_ratio=2)
    yield one("roialign_free", "RoiAlign", "", {"x": f(r, 2, 3, 6, 7), "r": rois, "i": at}, opset=16,
              output_height=2, output_width=2)
    yield one("maxroipool", "MaxRoiPool", "", {"x": f(r, 2, 3, 6, 7), "r": np.array([[0, 0, 0, 5, 4], [1, 1, 2, 6,
              5]], np.float32)},
              opset=11, pooled_shape=[2, 3], spatial_scale=0.9)
    yield one("deformconv", "DeformConv", "", {"x": f(r, 2, 4, 6, 5), "w": f(r, 4, 2, 3, 3), "o": f(r, 2, 36, 3, 3),
              "b": f(r, 4), "m": f(r, 2, 18, 3, 3)},
              opset=19, group=2, offset_group=2, strides=[2, 2], pads=[1, 1, 1, 1])
    yield one("dft_20", "DFT", "", {"x": f(r, 2, 6, 3, 1), "n": np.int64(8), "a": np.int64(1)}, ("n", "a"), opset=20,
              onesided=1)
    yield one("dft_inverse", "DFT", "", {"x": f(r, 2, 6, 3, 2), "n": None, "a": np.int64(1)}, ("a",), opset=20,
              inverse=1)
    yield one("stft_window", "STFT", "", {"x": f(r, 1, 40, 1), "s": np.int64(5), "w": f(r, 16), "l": np.int64(16)},
              ("s", "l"), opset=17)
    yield one("mel", "MelWeightMatrix", "", {"b": np.int64(5), "n": np.int64(32), "r": np.int64(8000),
              "l": np.float32(50), "h": np.float32(3500)},
              ("b", "n", "r", "l", "h"), opset=17)
    yield one("hann", "HannWindow", "", {"n": np.int64(9)}, ("n",), opset=17, periodic=0)
    yield one("det", "Det", "", {"x": f(r, 2, 4, 4)}, opset=11)
    yield one("grid_cubic", "GridSample", "", {"x": f(r, 1, 2, 5, 6), "g": f(r, 1, 3, 4, 2)}, opset=20, mode="cubic",
              padding_mode="reflection")
    yield one("grid_volume", "GridSample", "", {"x": f(r, 1, 2, 3, 4, 5), "g": f(r, 1, 2, 3, 4, 3)}, opset=20,
              mode="linear", padding_mode="border", align_corners=1)
    yield one("affine_grid", "AffineGrid", "", {"t": f(r, 2, 2, 3), "n": np.array([2, 1, 3, 4])}, ("n",), opset=20)
    yield one("center_crop_pad", "CenterCropPad", "", {"x": f(r, 5, 7, 3), "n": np.array([8, 4])}, ("n",), opset=18,
              axes=[0, 1])
    yield one("col2im", "Col2Im", "", {"x": f(r, 1, 8, 6), "s": np.array([3, 4]), "k": np.array([2, 2])}, ("s", "k"),
              opset=18)
    yield one("group_norm_21", "GroupNormalization", "", {"x": f(r, 2, 6, 4), "s": f(r, 6), "b": f(r, 6)}, opset=21,
              num_groups=3)
    yield one("lppool", "LpPool", "", {"x": f(r, 1, 2, 6, 6)}, opset=18, kernel_shape=[3, 3], p=3, ceil_mode=1,
              strides=[2, 2])
    yield one("scatter_nd_max", "ScatterND", "", {"x": f(r, 4, 3), "i": np.array([[1], [3], [1]]), "u": f(r, 3, 3)},
              opset=18, reduction="max")
    yield one("scatter_elements_mul", "ScatterElements", "", {"x": f(r, 4, 3), "i": np.array([[1, 0, 3], [1, 2, 0]]),
              "u": f(r, 2, 3)}, opset=18, reduction="mul")
    yield one("pad_wrap", "Pad", "", {"x": f(r, 3, 4), "p": np.array([2, 1, 1, 3])}, ("p",), opset=19, mode="wrap")
    yield one("topk_small", "TopK", "", {"x": f(r, 3, 9), "k": np.array([4])}, ("k",), opset=11, n_out=2, largest=0)
    yield one("einsum", "Einsum", "", {"a": f(r, 2, 3, 4), "b": f(r, 4, 3)}, opset=12, equation="...ij,ji->...i")
    yield one("bitshift", "BitShift", "", {"a": u8(r, 8), "b": u8(r, 8, high=8)}, opset=11, direction="LEFT")
    yield one("bitwise_xor", "BitwiseXor", "", {"a": r.integers(-9, 9, 8), "b": r.integers(-9, 9, 8)}, opset=18)
    yield one("reduce_log_sum_exp_18", "ReduceLogSumExp", "", {"x": f(r, 2, 3, 4), "a": np.array([1, 2])}, ("a",),
              opset=18)
    yield one("mish", "Mish", "", {"x": f(r, 9)}, opset=18)
    yield one("gelu_20", "Gelu", "", {"x": f(r, 9)}, opset=20, approximate="tanh")
    yield one("cast_f8", "Cast", "", {"x": f(r, 9)}, opset=19, to=17)
    yield one("attention_23", "Attention", "", {"q": f(r, 1, 2, 3, 4), "k": f(r, 1, 2, 5, 4), "v": f(r, 1, 2, 5, 6),
              "m": f(r, 3, 5)}, opset=23)
    yield one("attention_23_past", "Attention", "", {"q": f(r, 1, 3, 8), "k": f(r, 1, 3, 4), "v": f(r, 1, 3, 4),
              "m": None, "pk": f(r, 1, 1, 2, 4),
              "pv": f(r, 1, 1, 2, 4)}, opset=23, q_num_heads=2, kv_num_heads=1, n_out=3)
    yield one("attention_23_causal", "Attention", "", {"q": f(r, 1, 2, 4, 4), "k": f(r, 1, 2, 4, 4), "v": f(r, 1, 2,
              4, 4)}, opset=23, is_causal=1, softcap=2.0)
    for mode in range(4):
        yield one(f"attention_23_mode{mode}", "Attention", "", {"q": f(r, 1, 2, 3, 4), "k": f(r, 1, 2, 5, 4),
                  "v": f(r, 1, 2, 5, 4), "m": f(r, 3, 5)},
                  opset=23, softcap=1.5, qk_matmul_output_mode=mode, outputs=["y", "", "", "qk"])
    yield one("attention_23_causal_past", "Attention", "", {"q": f(r, 1, 2, 3, 4), "k": f(r, 1, 2, 3, 4), "v": f(r,
              1, 2, 3, 4), "m": None,
              "pk": f(r, 1, 2, 2, 4), "pv": f(r, 1, 2, 2, 4)}, opset=23, is_causal=1, n_out=3)
    yield one("attention_23_bool", "Attention", "", {"q": f(r, 1, 2, 3, 4), "k": f(r, 1, 2, 5, 4), "v": f(r, 1, 2, 5,
              4),
              "m": np.array([[1, 0, 1, 1, 1], [1, 1, 0, 0, 1], [0, 1, 1, 0, 1]], np.bool_)}, opset=23)
    yield one("rms_23", "RMSNormalization", "", {"x": f(r, 2, 3, 4), "s": f(r, 4)}, opset=23, epsilon=1e-5)
    angle = r.standard_normal((6, 2)).astype(np.float32)
    yield one("rotary_23", "RotaryEmbedding", "", {"x": f(r, 1, 2, 3, 4), "c": np.cos(angle), "s": np.sin(angle),
              "p": r.integers(0, 6, (1, 3))}, opset=23)


def recurrent():
    r = rng("recurrent")
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}
    for op, n in gates.items():
        for direction, d in (("forward", 1), ("reverse", 1), ("bidirectional", 2)):
            inputs = {"x": f(r, 5, 2, 3), "w": f(r, d, n * 4, 3), "r": f(r, d, n * 4, 4), "b": f(r, d, 2 * n * 4),
                      "n": np.array([5, 3], np.int32), "h": f(r, d, 2, 4)}
            if op == "LSTM":
                inputs["c"] = f(r, d, 2, 4)
                inputs["p"] = f(r, d, 3 * 4)
            yield one(f"{op.lower()}_{direction}", op, "", inputs, opset=14, hidden_size=4, direction=direction,
                      n_out=3 if op == "LSTM" else 2)
    yield one("gru_linear_before_reset", "GRU", "", {"x": f(r, 5, 2, 3), "w": f(r, 1, 12, 3), "r": f(r, 1, 12, 4),
              "b": f(r, 1, 24)}, opset=14,
              hidden_size=4, linear_before_reset=1, n_out=2, clip=0.7)
    yield one("lstm_activations", "LSTM", "", {"x": f(r, 3, 2, 3), "w": f(r, 1, 16, 3), "r": f(r, 1, 16, 4)},
              opset=14, hidden_size=4,
              activations=["HardSigmoid", "Affine", "Softsign"], activation_alpha=[0.3, 0.5], activation_beta=[0.4,
                        0.1], n_out=3, input_forget=1)
    yield one("rnn_leaky", "RNN", "", {"x": f(r, 3, 2, 3), "w": f(r, 1, 4, 3), "r": f(r, 1, 4, 4)}, opset=14,
              hidden_size=4,
              activations=["LeakyRelu"], activation_alpha=[0.2], n_out=2)


def forest(r, trees, depth, features, targets, prefix, each=1, positive=False, modes=("BRANCH_LEQ",)):
    """Attributes of an ensemble of full trees; `each`: targets of a leaf."""
    nodes = {k: [] for k in ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids",
                             "missing_value_tracks_true")}
    leaves = {k: [] for k in ("treeids", "nodeids", "ids", "weights")}
    for t in range(trees):
        inner = 2 ** depth - 1
        for n in range(2 ** (depth + 1) - 1):
            leaf = n >= inner
            for k, v in (("treeids", t), ("nodeids", n), ("featureids", 0 if leaf else int(r.integers(features))),
                         ("modes", "LEAF" if leaf else str(r.choice(modes))), ("values",
                                   0.0 if leaf else float(np.float32(r.normal()))),
                         ("truenodeids", 0 if leaf else 2 * n + 1), ("falsenodeids", 0 if leaf else 2 * n + 2),
                         ("missing_value_tracks_true", 0 if leaf else int(r.integers(2)))):
                nodes[k].append(v)
            for target in r.permutation(targets)[:each] if leaf else ():
                weight = float(r.random() / trees) if positive else float(r.normal())
                for k, v in (("treeids", t), ("nodeids", n), ("ids", int(target)), ("weights", weight)):
                    leaves[k].append(v)
    return {**{"nodes_" + k: v for k, v in nodes.items()}, **{f"{prefix}_{k}": v for k, v in leaves.items()}}


def trees():
    r = rng("trees")
    x = f(r, 9, 4)
    gaps = x.copy()
    gaps[2, 1] = gaps[5, :] = np.nan
    all_modes = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")
    for aggregate in ("SUM", "AVERAGE", "MIN", "MAX"):
        yield one(f"ml_tree_{aggregate.lower()}", "TreeEnsembleRegressor", ML, {"x": x}, n_targets=2,
                  aggregate_function=aggregate,
                  base_values=[0.5, -1.0], **forest(r, 5, 3, 4, 2, "target", each=2))
    yield one("ml_tree_missing", "TreeEnsembleRegressor", ML, {"x": gaps}, n_targets=1, **forest(r, 5, 3, 4, 1,
              "target", modes=all_modes))
    for transform in ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"):
        yield one(f"ml_tree_class_{transform.lower()}", "TreeEnsembleClassifier", ML, {"x": x}, n_out=2,
                  post_transform=transform,
                  classlabels_int64s=[3, 5, 9], **forest(r, 5, 3, 4, 3, "class", each=2))
        yield one(f"ml_tree_binary_{transform.lower()}", "TreeEnsembleClassifier", ML, {"x": x}, n_out=2,
                  post_transform=transform,
                  classlabels_int64s=[0, 1], **forest(r, 5, 3, 4, 1, "class"))
    yield one("ml_tree_binary_positive", "TreeEnsembleClassifier", ML, {"x": x}, n_out=2, classlabels_int64s=[7, 8],
              **forest(r, 4, 2, 4, 1, "class", positive=True))
    yield one("ml_tree_strings", "TreeEnsembleClassifier", ML, {"x": x}, n_out=2, classlabels_strings=["cat", "dog",
              "cow"],
              **forest(r, 4, 2, 4, 3, "class", each=3, positive=True))
    nan = float("nan")
    yield one("ml_tree_5", "TreeEnsemble", ML, {"x": np.array([[1.2], [3.4], [-0.12], [1.66], [4.14], [1.77]],
              np.float32)}, ml=5,
              n_targets=2, aggregate_function=1, post_transform=0, tree_roots=[0],
              nodes_modes=helper.make_tensor("m", 2, (3,), [0, 6, 6]), nodes_featureids=[0, 0, 0],
              nodes_splits=helper.make_tensor("s", 1, (3,), [3.14, 0.0, 0.0]), nodes_truenodeids=[1, 0, 1],
                        nodes_trueleafs=[0, 1, 1],
              nodes_falsenodeids=[2, 2, 3], nodes_falseleafs=[0, 1, 1], leaf_targetids=[0, 1, 0, 1],
              leaf_weights=helper.make_tensor("w", 1, (4,), [5.23, 12.12, -12.23, 7.21]),
              membership_values=helper.make_tensor("v", 1, (8,), [1.2, 3.7, 8.0, 9.0, nan, 12.0, 7.0, nan]))


def classic():
    """The other models of ai.onnx.ml."""
    r = rng("classic")
    x = f(r, 6, 4)
    w = [float(v) for v in f(r, 12)]
    for transform in ("NONE", "SOFTMAX", "LOGISTIC", "PROBIT"):
        yield one(f"ml_linear_{transform.lower()}", "LinearClassifier", ML, {"x": x}, n_out=2, coefficients=w,
                  intercepts=[0.1, -0.2, 0.3],
                  classlabels_ints=[4, 5, 6], post_transform=transform)
        if transform == "PROBIT":
            continue  # ONNX Runtime reads past its scores there
        yield one(f"ml_linear_two_{transform.lower()}", "LinearClassifier", ML, {"x": x}, n_out=2,
                  coefficients=w[:4], intercepts=[0.1],
                  classlabels_ints=[0, 1], post_transform=transform)
    yield one("ml_linear_regressor", "LinearRegressor", ML, {"x": x}, coefficients=w[:8], intercepts=[0.5, 1.0],
              targets=2)
    yield one("ml_scaler", "Scaler", ML, {"x": x}, offset=[0.1, 0.2, 0.3, 0.4], scale=[1.0, 2.0, 0.5, 3.0])
    yield one("ml_scaler_int", "Scaler", ML, {"x": r.integers(-9, 9, (3, 4))}, offset=[0.5], scale=[2.0])
    for norm in ("MAX", "L1", "L2"):
        yield one(f"ml_normalizer_{norm.lower()}", "Normalizer", ML, {"x": x}, norm=norm)
    yield one("ml_binarizer", "Binarizer", ML, {"x": x}, threshold=0.25)
    gaps = x.copy()
    gaps[1, 2] = gaps[4, 0] = np.nan
    yield one("ml_imputer", "Imputer", ML, {"x": gaps}, imputed_value_floats=[1.0, 2.0, 3.0, 4.0],
              replaced_value_float=float("nan"))
    yield one("ml_imputer_int", "Imputer", ML, {"x": r.integers(-2, 2, (3, 4))}, imputed_value_int64s=[9],
              replaced_value_int64=-1)
    yield one("ml_vectorizer", "FeatureVectorizer", ML, {"a": f(r, 3, 2), "b": f(r, 3, 4)}, inputdimensions=[2, 4])
    yield one("ml_extractor", "ArrayFeatureExtractor", ML, {"x": x, "i": np.array([[2, 0, 3]])})
    yield one("ml_one_hot", "OneHotEncoder", ML, {"x": np.array([[3, 1], [7, 2]])}, cats_int64s=[1, 2, 3], zeros=1)
    yield one("ml_one_hot_text", "OneHotEncoder", ML, {"x": np.array(["a", "c", "z"], object)}, cats_strings=["a",
              "b", "c"], zeros=1)
    yield one("ml_labels_2", "LabelEncoder", ML, {"x": np.array([[3, 1], [7, 2]])}, keys_int64s=[1, 2, 3],
              values_floats=[0.5, 1.5, 2.5],
              default_float=-7.0)
    yield one("ml_labels_text", "LabelEncoder", ML, {"x": np.array(["b", "x", "a"], object)}, keys_strings=["a",
              "b"], values_int64s=[10, 20],
              default_int64=-5)
    yield one("ml_labels_to_text", "LabelEncoder", ML, {"x": np.array([2, 9, 1])}, keys_int64s=[1, 2],
              values_strings=["one", "two"])
    yield one("ml_mapper", "CategoryMapper", ML, {"x": np.array(["b", "x", "a"], object)}, cats_strings=["a", "b"],
              cats_int64s=[5, 6])


def vectors():
    """Support vector machines."""
    r = rng("vectors")
    x, sv = f(r, 5, 3), [float(v) for v in f(r, 6 * 3)]
    kernels = {"LINEAR": [0.0, 0.0, 0.0], "POLY": [0.3, 0.5, 3.0], "RBF": [0.4, 0.0, 0.0], "SIGMOID": [0.2, 0.1, 0.0]}
    for kernel, params in kernels.items():
        shared = {"kernel_type": kernel, "kernel_params": params, "support_vectors": sv}
        yield one(f"ml_svr_{kernel.lower()}", "SVMRegressor", ML, {"x": x}, coefficients=[float(v) for v in f(r, 6)],
                  n_supports=6, rho=[0.3], **shared)
        yield one(f"ml_svc_{kernel.lower()}", "SVMClassifier", ML, {"x": x}, n_out=2, vectors_per_class=[2, 3, 1],
                  coefficients=[float(v) for v in f(r, 12)], rho=[0.1, -0.2, 0.3], classlabels_ints=[4, 5, 9],
                  **shared)
    shared = {"kernel_type": "RBF", "kernel_params": kernels["RBF"], "support_vectors": sv}
    yield one("ml_svr_one_class", "SVMRegressor", ML, {"x": x}, coefficients=[float(v) for v in f(r, 6)],
              n_supports=6, rho=[-0.2], one_class=1, **shared)
    yield one("ml_svr_plain", "SVMRegressor", ML, {"x": x}, coefficients=[0.5, -1.0, 2.0], n_supports=0, rho=[0.3],
              kernel_type="LINEAR", kernel_params=[0.0, 0.0, 0.0])
    two = {"coefficients": [float(v) for v in f(r, 6)], "rho": [0.2], "vectors_per_class": [2, 4], "n_out": 2, **shared}
    positive = {**two, "coefficients": [0.1, 0.5, 0.3, 0.2, 0.9, 0.4]}
    yield one("ml_svc_two", "SVMClassifier", ML, {"x": x}, classlabels_ints=[3, 8], **two)
    yield one("ml_svc_two_mixed", "SVMClassifier", ML, {"x": x}, classlabels_ints=[3, 8], **{**two, "rho": [0.6]})
    yield one("ml_svc_two_positive", "SVMClassifier", ML, {"x": x}, classlabels_strings=["a", "b"], **positive)
    yield one("ml_svc_two_prob", "SVMClassifier", ML, {"x": x}, classlabels_ints=[3, 8], prob_a=[-1.5], prob_b=[0.2],
              **two)
    yield one("ml_svc_prob", "SVMClassifier", ML, {"x": x}, n_out=2, vectors_per_class=[2, 3, 1],
              coefficients=[float(v) for v in f(r, 12)], rho=[0.1, -0.2, 0.3], classlabels_strings=["a", "b", "c"],
              prob_a=[-1.5, -0.8, -2.0], prob_b=[0.2, -0.1, 0.05], **shared)


def cases():
    for family in (activations, fused, norms, attention, grouped, qlinear, ties, packed, experts, sequences,
                   dynamic_lstm, assorted, core, recurrent, trees, classic, vectors):
        yield from family()
