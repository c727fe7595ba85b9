"""schemas.py - every operator, version, type and attribute of ONNX's schemas, one node at a time through tenrec.

schemas.py LIBRARY [OPERATOR ...]   LIBRARY is libtenrec.so

The schemas are python3-onnx's; TENREC_ONNX_CHANGELOG names docs/Changelog.md files of a newer ONNX (joined by ":"),
whose versions are added. The node and its inputs come from ONNX's own cases and from tests/golden/onnx. A type is held
when the node runs on it and gives what the widest type of its kind gives on the same numbers.
"""
import os
import re
import sys
import tempfile

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
os.environ["TENREC_LIBRARY"] = os.path.abspath(sys.argv[1])
sys.path.insert(0, os.path.join(HERE, "../../python"))
import tenrec  # noqa: E402
from schema_cases import all_cases, all_schemas  # noqa: E402

CODES = dict(float=1, uint8=2, int8=3, uint16=4, int16=5, int32=6, int64=7, string=8, bool=9, float16=10, double=11,
             uint32=12, uint64=13, bfloat16=16, float8e4m3fn=17, float8e4m3fnuz=18, float8e5m2=19, float8e5m2fnuz=20,
             uint4=21, int4=22, float4e2m1=23, float8e8m0=24, uint2=25, int2=26)
NAMES = {code: name for name, code in CODES.items()}
REALS = ("double", "float", "float16", "bfloat16")
TOLERANCE = {"float": 1e-5, "double": 1e-5, "float16": 5e-3, "bfloat16": 4e-2}
MODES = {b"bilinear": b"linear", b"bicubic": b"cubic"}  # of GridSample, renamed in version 20
TYPE_ATTRIBUTES = ("to", "dtype", "output_dtype", "output_datatype")
ANY_SET = 26  # of the graph around the node

# What is not compared with the widest type, by operator and its reason; it must run all the same.
UNCOMPARED = {
    "RandomNormal": "random", "RandomNormalLike": "random", "RandomUniform": "random", "RandomUniformLike": "random",
    "Bernoulli": "random", "Multinomial": "random", "Dropout": "random",
    "BitCast": "bits mean other numbers", "BitwiseNot": "bits mean other numbers",
    "QuantizeLinear": "saturates by type", "Cast": "wraps and saturates by type", "CastLike": "as Cast",
    "DynamicQuantizeLinear": "one type",
}

# What the outputs of operators on containers are.
CONTAINERS = {name: "sequence" for name in ("SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert",
                                            "SequenceMap", "SplitToSequence", "OptionalGetElement")}
CONTAINERS["Optional"] = "optional"

# What the schemas' types allow and their words do not, or what nobody has given a meaning: a pattern of
# "OPERATOR-VERSION what", and the reason.
MEANINGLESS = [
    (r"Col2Im-\d+ T=(string|bool)", "no sum of texts or truths"),
    (r"NonZero-\d+ T=string", "nothing says which text is zero"),
    (r"GridSample-\d+ T1=(u?int\d+|string|bool)", "nothing says what lies between them, nor how it is rounded"),
    (r"Tile-1 T=.*", "tiles and axis have the data's type and would have to be constants; no exporter's set"),
]
# What only some cases can have: another case of the same version must hold it.
BY_CASE = [
    (r"BitCast-.*", "both types have as many bits"),
    (r"Scatter(Elements|ND)-\d+ T=string", "there is no sum of texts"),
    (r"Mod-\d+ T=(float\d*|double|bfloat16)", "the text asks for fmod=1"),
    (r"QuantizeLinear-\d+ output_dtype=.*", "the zero point says another type"),
    (r"TfIdfVectorizer-9 T=.*", "the pool holds the other kind"),
    (r"(Imputer|OneHotEncoder|LabelEncoder)-\d T1?=.*", "an attribute has the other kind"),
    (r"Random\w+Like-\d+ T1=.*", "without dtype the type is the input's"),
]


def listed(table, text):
    return any(re.fullmatch(pattern, text) for pattern, _ in table)


# --- one run ---

def port_at(ports, i):
    if i < len(ports):
        return ports[i]
    return ports[-1] if ports and ports[-1].variadic else None


def base_type(text):
    """"double" of "tensor(double)", "seq(tensor(double))" and "optional(seq(tensor(double)))"."""
    found = re.fullmatch(r"(?:optional\(|seq\()*tensor\((\w+)\)+", text)
    return found[1] if found else None


def numbers(t):
    if t.data_type == TensorProto.STRING:
        return None
    if t.data_type > 16 or t.data_type == TensorProto.BFLOAT16:
        return None
    return numpy_helper.to_array(t)


def feed(x, whole, positive):
    x = np.asarray(x, np.float64)
    if whole:
        x = np.clip(np.round(np.where(np.isfinite(x), x, 1)), -8, 8) if np.any(x != np.round(x)) else x
    return np.abs(x) if positive else x


class Parts:
    """The graph around the node, as it grows: inputs that are swept arrive as float64 and are cast."""

    def __init__(self, through):
        self.nodes, self.initial, self.infos, self.given, self.through = [], [], [], {}, through

    def add(self, name, t, kind):
        x = numbers(t) if kind else None
        if kind and kind["type"] == "string":
            count = int(np.prod(t.dims))
            self.initial.append(helper.make_tensor(name, TensorProto.STRING, list(t.dims),
                                                   [(b"1", b"20", b"3")[k % 3] for k in range(count)]))
        elif x is None:
            copy = TensorProto()
            copy.CopyFrom(t)
            copy.name = name
            self.initial.append(copy)
        else:
            last = "x_" + name
            self.given[last] = feed(x, kind["whole"], kind["positive"])
            self.infos.append(helper.make_tensor_value_info(last, TensorProto.DOUBLE, x.shape))
            for step, out in ((self.through, name + "_through"), (kind["type"], name)):
                if step:
                    self.nodes.append(helper.make_node("Cast", [last], [out], to=CODES[step]))
                    last = out


def build(case, schema, types, attributes, through=None):
    """The model's path and its inputs; `types` gives a type for each variable that is swept, `through` one that
    numbers pass on their way, so that both of a pair see the same."""
    parts, names = Parts(through), []
    for i, (name, t) in enumerate(zip(case.node.input, case.inputs)):
        port = port_at(schema.inputs, i)
        kind = types.get(port.type) if port else None
        names.append(f"i{i}" if name else "")
        if isinstance(t, list):
            for k, item in enumerate(t):
                parts.add(f"i{i}_{k}", item, kind)
            parts.nodes.append(helper.make_node("SequenceConstruct", [f"i{i}_{k}" for k in range(len(t))], [f"i{i}"]))
        elif name:
            parts.add(f"i{i}", t, kind)
    outs = [f"o{k}" if o else "" for k, o in enumerate(case.node.output)]
    node = helper.make_node(case.node.op_type, names, outs, name="node", domain=case.node.domain)
    node.attribute.extend(attributes)
    if case.node.domain == "com.microsoft":
        return None
    opsets = [helper.make_opsetid(case.node.domain, schema.version)]
    if case.node.domain:
        opsets.append(helper.make_opsetid("", 13))
    body = helper.make_function("local", "F", [n for n in names if n], [o for o in outs if o], [node], opsets)
    call = helper.make_node("F", [n for n in names if n], [o for o in outs if o], domain="local")
    post, results = [], []
    for k, o in enumerate(outs):
        if not o:
            continue
        kind = output_kind(schema, k, types)
        op, extra = ("Size", {}) if kind == "string" else ("SequenceLength", {}) if kind == "sequence" else \
            ("OptionalHasElement", {}) if kind == "optional" else ("Cast", {"to": TensorProto.DOUBLE})
        post.append(helper.make_node(op, [o], [f"y{k}"], **extra))
        v = onnx.ValueInfoProto()
        v.name = f"y{k}"
        results.append(v)
    graph = helper.make_graph(parts.nodes + [call] + post, "one", parts.infos, results, initializer=parts.initial)
    model = helper.make_model(graph, functions=[body], opset_imports=[helper.make_opsetid("", ANY_SET),
                                                                      helper.make_opsetid("local", 1)])
    model.ir_version = 10
    return model, parts.given


def output_kind(schema, k, types):
    port = port_at(schema.outputs, k)
    if not port:
        return None
    kinds = schema.types.get(port.type) or [port.type]
    if schema.name in CONTAINERS:
        return CONTAINERS[schema.name]
    if port.type in types:
        return types[port.type]["type"]
    return "string" if kinds[0] == "tensor(string)" else None


def run(built):
    model, given = built
    with tempfile.NamedTemporaryFile(suffix=".onnx", dir="/dev/shm") as file:
        file.write(model.SerializeToString())
        file.flush()
        with tenrec.Model(file.name, threads=1) as m:
            return m.run(**given)


def attributes_of(case, schema, changed):
    """The case's attributes as this version knows them, or None where it lacks one."""
    kept = [a for a in case.node.attribute if a.name not in changed]
    if schema.name == "GridSample" and schema.version >= 20:
        kept = [helper.make_attribute("mode", MODES.get(a.s, a.s)) if a.name == "mode" else a for a in kept]
    if any(a.name not in schema.attributes for a in kept):
        return None
    return kept + [helper.make_attribute(k, v) for k, v in changed.items()]


def fits(case, schema):
    bodies_have_types = schema.name in ("Loop", "Scan", "If") and not case.source.startswith("own")
    if schema.version > case.last or bodies_have_types:
        return False
    if len(case.inputs) > len(schema.inputs) and not (schema.inputs and schema.inputs[-1].variadic):
        return False
    if case.source.startswith("own") and schema.name == "Scan" and schema.version < 9:  # lengths come first
        return False
    if any(not p.optional and not p.variadic for p in schema.inputs[len(case.inputs):]):
        return False
    if len(case.node.output) > len(schema.outputs) and not (schema.outputs and schema.outputs[-1].variadic):
        return False
    return attributes_of(case, schema, {}) is not None


def same(a, b, kind, whole):
    if a.shape != b.shape:
        return False
    if kind in TOLERANCE and not whole:
        scale = np.max(np.abs(b[np.isfinite(b)]), initial=1e-3)
        return np.allclose(a, b, rtol=TOLERANCE[kind], atol=TOLERANCE[kind] * scale, equal_nan=True)
    return bool(np.all((a == b) | (np.isnan(a) & np.isnan(b))))


class Audit:
    def __init__(self):
        self.held, self.refused, self.faults, self.uncovered, self.waiting, self.did = 0, 0, {}, [], {}, set()

    def fault(self, schema, what, why):
        text = f"{schema.name}-{schema.version} {what}"
        if listed(MEANINGLESS, text):
            self.refused += 1
        elif listed(BY_CASE, text):
            self.waiting[text] = (schema, what, why)
        else:
            self.tell(schema, what, why)

    def tell(self, schema, what, why):
        self.faults.setdefault((schema.domain, schema.name, what, str(why)[:150]), []).append(schema.version)

    def attempt(self, schema, what, built):
        try:
            got = run(built)
            self.did.add(f"{schema.name}-{schema.version} {what}")
            return got
        except tenrec.Error as why:
            self.fault(schema, what, re.sub(r"/dev/shm/\S+", "FILE", str(why)))
            return None

    def types(self, schema, case):
        swept = set()
        for variable, allowed in schema.types.items():
            plain = list(dict.fromkeys(t for t in map(base_type, allowed) if t in CODES))
            reads = any((p := port_at(schema.inputs, i)) and p.type == variable and case.node.input[i]
                        for i in range(len(case.node.input)))
            if not reads or not plain:
                continue
            swept.add(variable)
            mixed = any(t not in REALS and t not in ("bool", "string") for t in plain)
            for t in plain:
                self.one_type(schema, case, variable, t, mixed, plain)
        return swept

    def one_type(self, schema, case, variable, t, mixed, plain):
        def kinds(name):
            tied = ("S", "T") if schema.name == "SequenceInsert" else (variable,)
            return {v: {"type": name, "whole": mixed or t == "bool", "positive": t[0] == "u"} for v in tied}
        attributes = attributes_of(case, schema, {})
        got = self.attempt(schema, f"{variable}={t}", build(case, schema, kinds(t), attributes))
        if got is None:
            return
        self.held += 1
        wide = "double" if t in REALS and "double" in plain else "float" if t in REALS and "float" in plain else \
            "int64" if "int" in t and "int64" in plain else "int32" if "int" in t and "int32" in plain else t
        if schema.name in UNCOMPARED or wide == t or t == "bool":
            return
        want = self.attempt(schema, f"{variable}={wide}", build(case, schema, kinds(wide), attributes, through=t))
        if want is None:
            return
        bits = int(re.sub(r"\D", "", t)) if "int" in t else 0
        for k in want:
            w, port = want[k].astype(float), port_at(schema.outputs, int(k[1:]))
            if bits and port.type == variable:
                w = np.mod(w, 2.0 ** bits)
                w = np.where((t[0] == "i") & (w >= 2.0 ** (bits - 1)), w - 2.0 ** bits, w)
            if t == "float16":
                w = np.where(np.abs(w) > 65519, np.copysign(np.inf, w), w)
            if not same(got[k].astype(float), w, t, False):
                self.fault(schema, f"{variable}={t}", f"{case.source}: differs from {wide}")

    def defaults(self, schema, case):
        """An attribute that is given with its default changes nothing."""
        base = None
        for name, default in schema.attributes.items():
            if default is None or any(a.name == name for a in case.node.attribute):
                continue
            if isinstance(default, (bytes, str)) and not default:
                continue
            base = base or self.attempt(schema, "as it is", build(case, schema, {}, attributes_of(case, schema, {})))
            got = self.attempt(schema, f"{name}={default}",
                               build(case, schema, {}, attributes_of(case, schema, {name: default})))
            if got is None or base is None or schema.name in UNCOMPARED:
                continue
            self.held += 1
            if any(not same(got[k].astype(float), base[k].astype(float), "float", False) for k in base):
                self.fault(schema, f"{name}={default}", f"{case.source}: the default is another")

    def result_types(self, schema, case):
        """Attributes that say the type of the result."""
        for name in TYPE_ATTRIBUTES:
            if name not in schema.attributes:
                continue
            kinds = schema.types.get(schema.outputs[0].type, [])
            for t in map(base_type, kinds):
                if t not in CODES:
                    continue
                value = CODES[t] if schema.version > 5 or name != "to" else t.upper()
                types = {schema.outputs[0].type: {"type": t, "whole": False, "positive": False}}
                if any(p.type == schema.outputs[0].type for p in schema.inputs):
                    types = {}
                self.held += self.attempt(schema, f"{name}={t}", build(
                    case, schema, types, attributes_of(case, schema, {name: value}))) is not None

    def schema(self, s, cases):
        usable = [c for c in cases if fits(c, s)]
        if not usable:
            self.uncovered.append(s)
            return
        seen = set()
        for case in usable:
            look = (len(case.inputs), tuple(bool(n) for n in case.node.input),
                    tuple(sorted((a.name, a.s, a.i) for a in case.node.attribute if a.type in (
                        AttributeProto.STRING, AttributeProto.INT))))
            if look in seen or (len(seen) >= 3 and not case.source.startswith("own")):
                continue
            seen.add(look)
            self.types(s, case)
            self.defaults(s, case)
            self.result_types(s, case)
        for text, fault in self.waiting.items():
            if text not in self.did:
                self.tell(*fault)
        self.refused += len(self.waiting)
        self.waiting.clear()


# --- gradients ---

# Operators through which nothing can be differentiated, by kind.
FLAT = {
    "whole numbers, truths or places": """And Or Xor Not Equal Less LessOrEqual Greater GreaterOrEqual IsInf IsNaN
        BitShift BitwiseAnd BitwiseOr BitwiseXor BitwiseNot BitCast ArgMax ArgMin NonZero NonMaxSuppression Shape Size
        Unique""",
    "made from nothing, or drawn": """Constant ConstantOfShape EyeLike Range RandomNormal RandomUniform Bernoulli
        Multinomial BlackmanWindow HammingWindow HannWindow MelWeightMatrix""",
    "texts and files": "RegexFullMatch StringConcat StringNormalizer StringSplit TfIdfVectorizer ImageDecoder",
    "steps": "QuantizeLinear",
    "containers, of which the pass `sequences` makes tensors where items are known": """SequenceAt SequenceConstruct
        SequenceEmpty SequenceErase SequenceInsert SequenceLength SequenceMap ConcatFromSequence SplitToSequence
        Optional OptionalGetElement OptionalHasElement""",
}


def without_gradient(schemas):
    """Operators of ONNX's own set that neither have a gradient, nor are written in others, nor are flat."""
    with open(os.path.join(HERE, "../../docs/operators.md"), encoding="utf-8") as file:
        page = file.read()
    cells = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    rows = {c[0]: c[3] for c in cells if len(c) > 3}
    written = re.search(r"^`ai.onnx`: (.*)", page, re.M)[1].split()
    flat = " ".join(FLAT.values()).split()
    names = sorted({s.name for s in schemas if not s.domain and not s.deprecated})
    return [n for n in names if n not in flat and n not in written and not rows.get(n, "").strip()]


def main():
    only, cases, number, bad = sys.argv[2:], all_cases(), 0, 0
    schemas = all_schemas()
    totals, uncovered = [0, 0], []
    for domain, name in sorted({(s.domain, s.name) for s in schemas if not s.deprecated}):
        if only and name not in only:
            continue
        audit, number = Audit(), number + 1
        for s in schemas:
            if (s.domain, s.name) == (domain, name) and not s.deprecated:
                audit.schema(s, cases[domain, name])
        for (_, _, what, why), versions in audit.faults.items():
            print(f"# {name} {min(versions)} to {max(versions)}, {what}: {why}")
        bad += bool(audit.faults)
        totals = [totals[0] + audit.held, totals[1] + audit.refused]
        uncovered += [f"{s.name}-{s.version}" for s in audit.uncovered]
        print(f"{'not ok' if audit.faults else 'ok'} {number} - {domain}{'.' * bool(domain)}{name}: {audit.held} held")
    missing = without_gradient(schemas)
    print(f"{'not ok' if missing else 'ok'} {number + 1} - every differentiable operator has a gradient")
    print(f"1..{number + 1}\n# {totals[0]} held, {totals[1]} refused with reasons; without gradient: {missing}")
    print(f"# no case for: {' '.join(uncovered)}")
    sys.exit(bad > 0 or bool(missing))


if __name__ == "__main__":
    main()
