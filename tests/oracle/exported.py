#!/usr/bin/python3
"""exported.py - programs of torch.export with operators that take graphs (cond, while_loop, map, scan ..).

    exported.py TENREC

In every layout of the archive since 2.1; written here as torch.export writes them, answers computed by PyTorch.
"""
import io
import json
import os
import sys
import tempfile
import zipfile

import torch

from runs import Verdicts, answers

BOUND = 1e-6
ATEN = "torch.ops.aten."
HIGHER = "torch.ops.higher_order."
TYPES = {torch.float32: 7, torch.int64: 5, torch.bool: 12}


def tensor(name):
    return {"as_tensor": {"name": name}}


def tensors(names):
    return {"as_tensors": [{"name": n} for n in names]}


def number(x):
    return {"as_float": x} if isinstance(x, float) else {"as_int": x}


def node(target, outputs, *args, **named):
    """Operands: names of tensors, numbers, lists of names, graphs."""
    def said(a):
        if isinstance(a, dict):
            return a
        return tensor(a) if isinstance(a, str) else tensors(a) if isinstance(a, list) else number(a)
    inputs = [{"name": "", "arg": said(a), "kind": 1} for a in args]
    inputs += [{"name": n, "arg": said(a), "kind": 1} for n, a in named.items()]
    return {"target": target, "inputs": inputs, "outputs": [tensor(o) for o in outputs], "metadata": {}}


def graph(inputs, outputs, *nodes):
    return {"inputs": [tensor(i) for i in inputs], "outputs": [tensor(o) for o in outputs], "nodes": list(nodes),
            "tensor_values": {}, "sym_int_values": {}, "sym_bool_values": {}}


def inner(*args):
    g = graph(*args)
    return {"as_graph": {"name": "g", "graph": g}}


def meta(t, free=()):
    sizes = [{"as_expr": {"expr_str": "s%d" % i, "hint": {"as_int": n}}} if i in free else {"as_int": n}
             for i, n in enumerate(t.shape)]
    return {"dtype": TYPES[t.dtype], "sizes": sizes, "strides": [{"as_int": n} for n in t.stride()],
            "storage_offset": {"as_int": 0}, "requires_grad": False, "layout": 7, "device": {"type": "cpu"}}


def program(inputs, weights, g, free):
    specs = [{"parameter": {"arg": {"name": "p_" + n}, "parameter_name": n}} for n in weights]
    specs += [{"user_input": {"arg": tensor(n)}} for n in inputs]
    g["inputs"] = [tensor("p_" + n) for n in weights] + [tensor(n) for n in inputs]
    g["tensor_values"] = {**{"p_" + n: meta(t) for n, t in weights.items()},
                          **{n: meta(t, free) for n, t in inputs.items()}}
    signature = {"input_specs": specs, "output_specs": [{"user_output": {"arg": o}} for o in g["outputs"]]}
    return {"graph_module": {"graph": g, "signature": signature, "module_call_graph": []},
            "opset_version": {"aten": 10}, "range_constraints": {}, "schema_version": {"major": 8, "minor": 8},
            "dialect": "TRAINING"}


def saved(x):
    out = io.BytesIO()
    torch.save(x, out)
    return out.getvalue()


def write(path, layout, said, weights):
    """layout: "2.1" (states are .json by name only), "2.5", "2.8" with raw storages, or "2.8 saved"."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as z:
        if layout in ("2.1", "2.5"):
            end = "json" if layout == "2.1" else "pt"
            z.writestr("serialized_exported_program.json", json.dumps(said))
            z.writestr("serialized_state_dict." + end, saved(weights))
            z.writestr("serialized_constants." + end, saved({}))
            z.writestr("version", "8.8")
            return
        z.writestr("any/archive_format", "pt2")
        z.writestr("any/archive_version", "0")
        z.writestr("any/byteorder", "little")
        z.writestr("any/.data/version", "6")
        z.writestr("any/extra/note", b"\0anything")
        z.writestr("any/data/aotinductor/model/x.so", b"\x7fELF")
        z.writestr("any/models/model.json", json.dumps(said))
        z.writestr("any/data/constants/model_constants_config.json", json.dumps({"config": {}}))
        if layout == "2.8 saved":
            z.writestr("any/data/weights/model.pt", saved(weights))
            return
        config = {n: {"path_name": "weight_%d" % i, "is_param": True, "use_pickle": i % 2 == 1, "tensor_meta": meta(t)}
                  for i, (n, t) in enumerate(weights.items())}
        z.writestr("any/data/weights/model_weights_config.json", json.dumps({"config": config}))
        for i, t in enumerate(weights.values()):
            z.writestr("any/data/weights/weight_%d" % i, saved(t) if i % 2 else t.numpy().tobytes())


def cases():
    """(name, inputs, weights, graph, function, free dimensions)"""
    r = torch.randn
    x, w, b = r(3, 4), r(4, 4), r(4)
    double = inner(["a", "k"], ["y"], node(ATEN + "mul.Tensor", ["y"], self="a", other="k"))
    minus = inner(["a", "k"], ["y"], node(ATEN + "sub.Tensor", ["y"], self="a", other="k"))
    positive = [node(ATEN + "sum.default", ["s"], self="x"), node(ATEN + "gt.Scalar", ["go"], self="s", other=0)]
    branch = graph(["x"], ["y"], *positive, node(HIGHER + "cond", ["y"], "go", double, minus, ["x", "p_b"]))
    for at in (x.abs(), -x.abs()):
        yield "cond", {"x": at}, {"b": b}, branch, lambda x: x * b if x.sum() > 0 else x - b, (0,)

    less = inner(["a", "k"], ["go"], node(ATEN + "sum.default", ["s"], self="a"),
                 node(ATEN + "lt.Scalar", ["go"], self="s", other=100))
    grow = inner(["a", "k"], ["z"], node(ATEN + "add.Tensor", ["z"], self="a", other="k"))
    def until(x):
        while x.sum() < 100:
            x = x + b.abs()
        return x
    yield ("while_loop", {"x": x}, {"b": b.abs()},
           graph(["x"], ["y"], node(HIGHER + "while_loop", ["y"], less, grow, ["x"], ["p_b"])), until, ())

    both = inner(["a", "n", "k"], ["z", "m"], node(ATEN + "add.Tensor", ["z"], self="a", other="k"),
                 node(ATEN + "add.Scalar", ["m"], self="n", other=1))
    few = inner(["a", "n", "k"], ["go"], node(ATEN + "sum.default", ["s"], self="n"),
                node(ATEN + "lt.Scalar", ["go"], self="s", other=5))
    def counted(x, n):
        while n < 5:
            x, n = x + b, n + 1
        return x, n
    yield ("while_loop of two", {"x": x, "n": torch.tensor(2)}, {"b": b},
           graph(["x", "n"], ["y", "c"], node(HIGHER + "while_loop", ["y", "c"], few, both, ["x", "n"], ["p_b"])),
           counted, ())

    row = inner(["a", "k"], ["z"], node(ATEN + "linear.default", ["z"], input="a", weight="k"))
    rows = graph(["x"], ["y"], node(HIGHER + "map_impl", ["y"], row, ["x"], ["p_w"]))
    for n, free in ((3, ()), (40, ()), (4, (0,))):
        yield "map of %d" % n, {"x": r(n, 5, 4)}, {"w": w}, rows, lambda x: x @ w.t(), free

    step = inner(["c", "a"], ["d", "z"], node(ATEN + "add.Tensor", ["d"], self="c", other="a"),
                 node(ATEN + "tanh.default", ["z"], self="d"))
    def sums(x):
        c = x.cumsum(0)
        return c[-1] + b, (c + b).tanh()
    scan = graph(["x"], ["last", "y"], node(HIGHER + "scan", ["last", "y"], step, ["p_b"], ["x"], []))
    for n, free in ((3, ()), (30, ()), (5, (0,))):
        yield "scan of %d" % n, {"x": r(n, 4)}, {"b": b}, scan, sums, free

    twice = inner(["a", "k"], ["z"], node(ATEN + "mul.Tensor", ["q"], self="a", other="k"),
                  node(ATEN + "relu.default", ["z"], self="q"))
    wrapped = lambda *args: graph(["x"], ["y"], node(*args))
    for name, args in (("wrap_with_set_grad_enabled", [{"as_bool": False}, twice, "x", "p_b"]),
                       ("wrap_with_autocast", [{"as_string": "cpu"}, {"as_none": True}, {"as_bool": False},
                                               {"as_none": True}, twice, "x", "p_b"]),
                       ("hints_wrapper", [twice, ["x", "p_b"]]),
                       ("invoke_subgraph", [twice, {"as_string": "id0"}, "x", "p_b"]),
                       ("strict_mode", [twice, ["x", "p_b"]])):
        yield name, {"x": x}, {"b": b}, wrapped(HIGHER + name, ["y"], *args), lambda x: (x * b).relu(), (0,)

    choose = inner(["a", "k"], ["z"], node(ATEN + "sum.default", ["s"], self="a"),
                   node(ATEN + "gt.Scalar", ["go"], self="s", other=10),
                   node(HIGHER + "cond", ["z"], "go", inner(["a", "k"], ["y"], node(
                       ATEN + "add.Tensor", ["t"], self="a", other="k"), node(
                       ATEN + "add.Tensor", ["y"], self="t", other="k")), grow, ["a", "k"]))
    def nested(x):
        while x.sum() < 100:
            x = x + 2 * b.abs() if x.sum() > 10 else x + b.abs()
        return x
    yield ("cond in while_loop", {"x": x}, {"b": b.abs()},
           graph(["x"], ["y"], node(HIGHER + "while_loop", ["y"], less, choose, ["x"], ["p_b"])), nested, ())


def main(tenrec):
    torch.manual_seed(2)
    verdict = Verdicts()
    with tempfile.TemporaryDirectory() as folder:
        for name, inputs, weights, g, function, free in cases():
            want = function(*inputs.values())
            want = [t.numpy() for t in (want if isinstance(want, tuple) else (want,))]
            said = program(inputs, weights, json.loads(json.dumps(g)), free)
            for layout in ("2.1", "2.5", "2.8", "2.8 saved"):
                path = os.path.join(folder, "p.pt2")
                write(path, layout, said, weights)
                got = answers(tenrec, folder, [path], inputs)
                verdict.compare("%s, layout of %s" % (name, layout), got, want, BOUND)
    return verdict.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
