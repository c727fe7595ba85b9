"""schema_cases.py - ONNX's schemas, and for each operator nodes with inputs to try it on."""
import collections
import glob
import os
import re

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
Schema = collections.namedtuple("Schema", "domain name version inputs outputs attributes types deprecated")
Port = collections.namedtuple("Port", "name type variadic optional")


def library_schemas():
    for s in onnx.defs.get_all_schemas_with_history():
        ports = [[Port(p.name, p.typeStr, p.option == p.option.Variadic, p.option == p.option.Optional) for p in side]
                 for side in (s.inputs, s.outputs)]
        yield Schema(s.domain, s.name, s.since_version, *ports,
                     {k: default_of(a) for k, a in s.attributes.items()},
                     {c.type_param_str: list(c.allowed_type_strs) for c in s.type_constraints}, s.deprecated)


def default_of(a):
    return helper.get_attribute_value(a.default_value) if a.default_value.type else None


def page_schemas(path):
    """Schemas as docs/Changelog.md tells them."""
    with open(path, encoding="utf-8") as file:
        parts = re.split(r'^### <a name="([\w.]+)-(\d+)"></a>', file.read(), flags=re.M)
    for name, version, text in zip(parts[1::3], parts[2::3], parts[3::3]):
        domain, _, name = name.rpartition(".")
        lists = {"Attributes": [], "Inputs": [], "Outputs": [], "Type Constraints": []}
        for piece in re.split(r"^#### ", text, flags=re.M)[1:]:
            title = re.sub(r" \(.*", "", piece.split("\n", 1)[0])
            if title in lists:
                lists[title] = re.findall(r"<dt><tt>(.*?)</tt>(.*?) : (.*?)</dt>", piece)
        inputs, outputs = ([Port(n, kind, "variadic" in option, "optional" in option)
                            for n, option, kind in lists[side]] for side in ("Inputs", "Outputs"))
        yield Schema(domain, name, int(version), inputs, outputs,
                     {n: page_default(kind) for n, _, kind in lists["Attributes"]},
                     {n: kind.split(", ") for n, _, kind in lists["Type Constraints"]}, "(deprecated)" in text[:40])


def page_default(kind):
    found = re.match(r"(int|float|string) \(default is (.*)\)", kind)
    return None if not found else {"int": int, "float": float, "string": str}[found[1]](found[2].strip("()"))


def all_schemas():
    found = {}
    for path in filter(None, os.environ.get("TENREC_ONNX_CHANGELOG", "").split(":")):
        for s in page_schemas(path):
            found[s.domain, s.name, s.version] = s
    found.update({(s.domain, s.name, s.version): s for s in library_schemas()})
    return sorted(found.values(), key=lambda s: (s.domain, s.name, s.version))


# --- cases: one node with its inputs ---

Case = collections.namedtuple("Case", "source node inputs last")


def case_of(path, tensors):
    model = onnx.load(path)
    if len(model.graph.node) != 1 or model.functions or any(v.type.HasField("map_type") for v in model.graph.input):
        return None
    node = model.graph.node[0]
    stored = {t.name: t for t in model.graph.initializer}
    given = dict(zip([v.name for v in model.graph.input if v.name not in stored], tensors(model)))
    given.update(stored)
    if any(n and given.get(n) is None for n in node.input):
        return None
    return Case(os.path.basename(os.path.dirname(path)) if path.endswith("model.onnx") else os.path.basename(path),
                node, [given.get(n) for n in node.input], 99)


def library_tensors(path):
    def load(model):
        for i, v in enumerate(model.graph.input):
            kind = TensorProto() if v.type.HasField("tensor_type") else None
            if kind is not None:
                with open(os.path.join(os.path.dirname(path), f"test_data_set_0/input_{i}.pb"), "rb") as file:
                    kind.ParseFromString(file.read())
            yield kind
    return load


def golden_tensors(model):
    stored = {t.name: t for t in model.graph.initializer}
    return [stored.get("golden.in." + v.name) for v in model.graph.input]


def body_of(inputs, outputs, *copies):
    """A graph that copies values and says no types."""
    def named(names):
        for name in names.split():
            v = onnx.ValueInfoProto()
            v.name = name
            yield v
    nodes = [helper.make_node("Identity", [a], [b]) for a, b in copies]
    return helper.make_graph(nodes, "body", list(named(inputs)), list(named(outputs)))


def own_cases():
    """What neither has: older spellings, containers, texts. (operator, version up to which, inputs, attributes)"""
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 4 - 2
    image, i64 = x.reshape(1, 2, 3, 4), np.int64
    words = np.array(["ab", "cd"], dtype=object)
    one, two = np.array(1, i64), np.array([1, 2], i64)
    seq = [x[0], x[1]]
    for kind, to in (("int8", 2), ("uint8", 9), ("int16", 10), ("uint16", 16), ("int64", 11), ("float32", 6)):
        yield "BitCast", 99, [np.arange(6).astype(kind)], {"to": to}
    for to, size in ((22, 4), (26, 2)):  # packed in bytes
        yield "BitCast", 99, [TensorProto(data_type=to, dims=[8], raw_data=bytes(size))], {"to": to}
    yield "QuantizeLinear", 99, [x, np.float32(0.5)], {}
    yield "TfIdfVectorizer", 99, [words], {
        "max_gram_length": 1, "max_skip_count": 0, "min_gram_length": 1, "mode": "TF", "ngram_counts": [0],
        "ngram_indexes": [0, 1], "pool_strings": ["1", "cd"]}
    for name in ("BitwiseAnd", "BitwiseOr"):
        yield name, 99, [np.arange(6, dtype=i64), np.arange(6, dtype=i64)[::-1].copy()], {}
    yield "BitwiseNot", 99, [np.arange(6, dtype=i64)], {}
    yield "Clip", 6, [x], {"min": -1.0, "max": 1.0}
    yield "DepthToSpace", 10, [x.reshape(1, 4, 3, 2)], {"blocksize": 2}
    for p in (1, 2):
        yield "GlobalLpPool", 99, [image], {"p": p}
        yield "LpPool", 99, [image], {"kernel_shape": [2, 2], "p": p}
        yield "LpNormalization", 99, [x], {"axis": 1, "p": p}
    yield "Multinomial", 99, [x[0]], {"sample_size": 3}
    yield "Pad", 1, [x], {"paddings": [0, 0, 1, 1, 0, 0]}
    yield "Pad", 10, [x], {"pads": [0, 0, 1, 1, 0, 0]}
    for name in ("RandomNormal", "RandomUniform"):
        yield name, 99, [], {"shape": [2, 3]}
        yield name + "Like", 99, [x], {"dtype": 1}
    yield "ReduceSum", 11, [x], {"axes": [1]}
    yield "Reshape", 1, [x], {"shape": [4, 6]}
    yield "Slice", 9, [x], {"starts": [1], "ends": [3], "axes": [1]}
    yield "Squeeze", 11, [x[:1]], {"axes": [0]}
    yield "Unsqueeze", 11, [x], {"axes": [0]}
    yield "Split", 11, [x], {"axis": 2}
    yield "TopK", 1, [x], {"k": 2}
    yield "TopK", 10, [x, np.array([2], i64)], {}
    yield "Upsample", 1, [image], {"width_scale": 2.0, "height_scale": 2.0}
    yield "Upsample", 7, [image], {"scales": [1.0, 1.0, 2.0, 2.0]}
    yield "PRelu", 6, [x, x[0, :, 0]], {}
    yield "Tile", 1, [x, np.float32(2), np.float32(1)], {}
    yield "RegexFullMatch", 99, [words], {"pattern": "a."}
    yield "StringConcat", 99, [words, words], {}
    yield "StringSplit", 99, [words], {"delimiter": "b"}
    yield "SequenceConstruct", 99, [x, x], {}
    yield "SequenceEmpty", 99, [], {}
    yield "SequenceAt", 99, [seq, one], {}
    yield "SequenceErase", 99, [seq, one], {}
    yield "SequenceInsert", 99, [seq, x[0], one], {}
    yield "SequenceLength", 99, [seq], {}
    yield "ConcatFromSequence", 99, [seq], {"axis": 0}
    yield "SplitToSequence", 99, [x, two], {"axis": 1}
    yield "SequenceMap", 99, [seq], {"body": body_of("a", "b", ("a", "b"))}
    yield "Scan", 99, [x], {"body": body_of("a", "b", ("a", "b")), "num_scan_inputs": 1}
    yield "Loop", 99, [two[1], np.array(True), x], {"body": body_of("i c v", "d w", ("c", "d"), ("v", "w"))}
    yield "Optional", 99, [x], {}
    yield "Optional", 99, [seq], {}
    yield "OptionalHasElement", 99, [x], {}
    yield "OptionalGetElement", 99, [seq], {}
    yield "ai.onnx.ml LabelEncoder", 1, [np.arange(3, dtype=i64)], {"classes_strings": ["a", "b", "c"]}
    yield "ai.onnx.ml LabelEncoder", 1, [words], {"classes_strings": ["ab", "b"]}
    for kind, keys, want in (("int64s", [1, 2], [5, 6]), ("floats", [1.0, 2.0], [5.0, 6.0]),
                             ("strings", ["1", "20"], ["x", "y"])):
        x = np.array([1, 2], i64) if kind != "strings" else words
        yield "ai.onnx.ml LabelEncoder", 99, [x], {"keys_" + kind: keys, "values_" + kind: want}
    yield "ai.onnx.ml OneHotEncoder", 99, [words], {"cats_strings": ["1", "3"]}
    yield "ai.onnx.ml Imputer", 99, [np.arange(3, dtype=i64)], {"imputed_value_int64s": [7],
                                                                 "replaced_value_int64": 1}
    yield "ai.onnx.ml Imputer", 99, [np.arange(3, dtype=np.float32)], {"imputed_value_floats": [7.0],
                                                                        "replaced_value_float": 1.0}


def as_proto(x):
    if isinstance(x, list):
        return [as_proto(item) for item in x]
    if isinstance(x, TensorProto):
        return x
    if np.asarray(x).dtype == object:
        return helper.make_tensor("", TensorProto.STRING, x.shape, [str(w).encode() for w in x.ravel()])
    return numpy_helper.from_array(np.asarray(x))


def all_cases():
    cases = collections.defaultdict(list)
    for number, (name, last, inputs, attributes) in enumerate(own_cases()):
        domain, _, name = name.rpartition(" ")
        outputs = ["a", "b"] if name in ("TopK", "StringSplit", "Split") else ["a"]
        node = helper.make_node(name, [f"i{i}" for i in range(len(inputs))], outputs, domain=domain, **attributes)
        cases[domain, name].append(Case(f"own {number}", node, [as_proto(x) for x in inputs], last))
    root = "/usr/share/libonnx-testdata/data/node/"
    for path in sorted(glob.glob(root + "*/model.onnx")):
        found = case_of(path, library_tensors(path))
        if found:
            cases[found.node.domain, found.node.op_type].append(found)
    for path in sorted(glob.glob(os.path.join(HERE, "../golden/onnx/*.onnx"))):
        found = case_of(path, golden_tensors)
        if found:
            cases[found.node.domain, found.node.op_type].append(found)
    return cases
