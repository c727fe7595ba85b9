"""ort_cases.py - operators of other domains and newer sets: small models, as ONNX Runtime computes them.

ort_cases.py                   tests that what is stored in tests/golden/onnx is what ONNX Runtime says
ort_cases.py --golden FOLDER   writes each model with its inputs and ONNX Runtime's outputs as initializers

TENREC_ORT names the folder of onnxruntime-node.
"""
import base64
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import ort_models

TYPES = {"float16": np.float16, "float32": np.float32, "float64": np.float64, "bool": np.bool_, "uint8": np.uint8,
          "int8": np.int8,
         "uint16": np.uint16, "int16": np.int16, "uint32": np.uint32, "int32": np.int32, "uint64": np.uint64,
         "int64": np.int64}


class Runtime:
    """ONNX Runtime by way of node."""

    def __init__(self, folder):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ort.js")
        self.process = subprocess.Popen(["node", script, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                  text=True)

    def run(self, path, inputs):
        ask = {"model": path, "inputs": {k: pack(v) for k, v in inputs.items()}}
        self.process.stdin.write(json.dumps(ask) + "\n")
        self.process.stdin.flush()
        got = json.loads(self.process.stdout.readline())
        if "error" in got:
            raise RuntimeError(got["error"])
        return {k: unpack(v) for k, v in got["outputs"].items()}


def pack(a):
    a = np.asarray(a)
    if a.dtype.kind in "OU":
        return {"type": "string", "dims": list(a.shape), "data": [str(x) for x in a.ravel()]}
    return {"type": str(a.dtype), "dims": list(a.shape),
              "data": base64.b64encode(np.ascontiguousarray(a).tobytes()).decode()}


def unpack(t):
    if t["type"] == "string":
        return np.array(t["data"], dtype=object).reshape(t["dims"])
    return np.frombuffer(base64.b64decode(t["data"]), dtype=TYPES[t["type"]]).reshape(t["dims"])


def model_of(case, extra=()):
    """The ModelProto of a case; `extra` are further initializers."""
    def info(name, a):
        a = np.asarray(a)
        kind = TensorProto.STRING if a.dtype.kind in "OU" else helper.NP_TYPE_TO_TENSOR_TYPE[a.dtype] \
            if hasattr(helper, "NP_TYPE_TO_TENSOR_TYPE") else onnx.mapping.NP_TYPE_TO_TENSOR_TYPE[a.dtype]
        return helper.make_tensor_value_info(name, kind, list(a.shape))
    outputs = []
    for name in case.outputs:
        v = onnx.ValueInfoProto()
        v.name = name
        outputs.append(v)
    graph = helper.make_graph(case.nodes, case.name, [info(k, v) for k, v in case.inputs.items()], outputs,
                              initializer=[numpy_helper.from_array(np.asarray(v), k) if not isinstance(v,
                                        TensorProto) else v
                                           for k, v in case.constants.items()] + list(extra))
    opsets = [helper.make_opsetid(d, v) for d, v in case.opsets.items()]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="ort_cases")
    model.ir_version = 10
    return model


def texts(name, a):
    a = np.asarray(a)
    return helper.make_tensor(name, TensorProto.STRING, a.shape, [str(x).encode() for x in a.ravel()])


def tensor(name, a):
    return texts(name, a) if np.asarray(a).dtype.kind in "OU" else numpy_helper.from_array(np.asarray(a), name)


def golden(folder, runtime):
    failed = 0
    for case in ort_models.cases():
        with tempfile.TemporaryDirectory() as scratch:
            path = os.path.join(scratch, "m.onnx")
            onnx.save(model_of(case), path)
            try:
                outputs = runtime.run(path, case.inputs)
            except RuntimeError as why:
                print(f"{case.name}: {why}", file=sys.stderr)
                failed += 1
                continue
            extra = [tensor("golden.in." + k, v) for k, v in case.inputs.items()]
            extra += [tensor("golden.out." + k, v) for k, v in outputs.items()]
            onnx.save(model_of(case, extra), os.path.join(folder, case.name + ".onnx"))
    print(f"{failed} cases that ONNX Runtime does not take", file=sys.stderr)


def stored(path):
    """The outputs that a golden file holds."""
    model = onnx.load(path)
    return {t.name[len("golden.out."):]: numpy_helper.to_array(t) for t in model.graph.initializer
            if t.name.startswith("golden.out.")}


def same(a, b, allowed=1e-4):
    if a.dtype.kind in "OUSb":
        return [getattr(x, "decode", lambda: x)() if isinstance(x,
                  bytes) else x for x in a.ravel()] == list(b.ravel())
    return a.shape == b.shape and np.allclose(a.astype(float), b.astype(float), allowed, allowed, equal_nan=True)


def compare(folder, runtime):
    """TAP: one test a stored case. Sums that saturate without VNNI instructions may differ on other machines."""
    cases = [c for c in ort_models.cases() if os.path.exists(os.path.join(folder, c.name + ".onnx"))]
    print(f"1..{len(cases)}")
    bad = 0
    for number, case in enumerate(cases, 1):
        with tempfile.TemporaryDirectory() as scratch:
            path = os.path.join(scratch, "m.onnx")
            onnx.save(model_of(case), path)
            want, got = stored(os.path.join(folder, case.name + ".onnx")), runtime.run(path, case.inputs)
        # its hidden state in 8 bits differs from machine to machine, by up to 8e-4
        allowed = 2e-3 if case.name.startswith("ms_dynamic_lstm") else 1e-4
        good = all(same(want[k], got[k], allowed) for k in want)
        bad += not good
        print(f"{'ok' if good else 'not ok'} {number} - {case.name}")
    return bad


if __name__ == "__main__":
    if not os.path.isdir(os.environ.get("TENREC_ORT", "")):
        print("1..0 # SKIP TENREC_ORT names no folder")
        sys.exit(0)
    ORT = Runtime(os.environ["TENREC_ORT"])
    if len(sys.argv) > 2:
        golden(sys.argv[2], ORT)
    else:
        here = os.path.dirname(os.path.abspath(__file__))
        sys.exit(compare(os.path.join(here, "../golden/onnx"), ORT) > 0)
