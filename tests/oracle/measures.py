"""measures.py - the measures of `tenrec score --metrics` are those of scikit-learn for the same answers.

    measures.py TENREC

Models that hand their input on are scored on random tables: logits and probabilities of 2 and 4 classes with many ties,
one number for two classes, and three columns of numbers. scikit-learn gets the probabilities in float64: of logits
those that follow from them.
"""
import json
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
    import onnx.helper as oh
    import sklearn.metrics as sk
except ImportError as why:
    print(f"1..0 # SKIP {why}")
    sys.exit(0)

PROGRAM = os.path.abspath(sys.argv[1])
ROWS, TOLERANCE = 3000, 1e-12
number = failed = 0


def check(name, mine, theirs):
    global number, failed
    number += 1
    difference = max((abs(mine[k] - v) / max(1, abs(v)) if k in mine else np.inf) for k, v in theirs.items())
    failed += not difference <= TOLERANCE
    print(f"{'' if difference <= TOLERANCE else 'not '}ok {number} - {name}: {len(theirs)} measures, {difference:.1e}")


def write_model(width, op):
    ports = [oh.make_tensor_value_info(name, 1, ["N", width]) for name in ("x", "y")]
    node = oh.make_node(op, ["x"], ["y"])
    model = oh.make_model(oh.make_graph([node], "g", ports[:1], ports[1:]), opset_imports=[oh.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, "model.onnx")


def score(rows, names, *options):
    with open("rows.csv", "w", encoding="ascii") as file:
        file.write(",".join(["x"] + names) + "\n")
        for x, truth in rows:
            file.write(" ".join(map(repr, x.tolist())) + "," + ",".join(map(str, truth)) + "\n")
    subprocess.run([PROGRAM, "score", "model.onnx", "rows.csv", "-o", "out.csv", "--metrics", *options], check=True,
                   stderr=subprocess.DEVNULL)
    with open("out.csv.metrics.json", encoding="utf-8") as file:
        return json.load(file)


def softmax(v):
    v = np.exp(v - v.max(1, keepdims=True))
    return v / v.sum(1, keepdims=True)


def classes(draw, n, op):
    x = np.round(draw.randn(ROWS, n) * 2, 1).astype(np.float32)  # rounded: many are equal
    truth = np.where(draw.rand(ROWS) < 0.4, x.argmax(1), draw.randint(0, n, ROWS))
    write_model(n, op)
    mine = score(zip(x, truth[:, None]), ["label"], "--task", "image-classification")
    p = softmax(x.astype(np.float64))
    if op == "Softmax":
        subprocess.run([PROGRAM, "score", "model.onnx", "rows.csv", "--task", "raw", "-o", "p.npy"], check=True,
                       stderr=subprocess.DEVNULL)
        p = np.load("p.npy").astype(np.float64)
    best = x.argmax(1)
    theirs = {
        "accuracy": sk.accuracy_score(truth, best),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, best),
        "f1_macro": sk.f1_score(truth, best, average="macro"),
        "f1_weighted": sk.f1_score(truth, best, average="weighted"),
        "precision_macro": sk.precision_score(truth, best, average="macro", zero_division=0),
        "recall_macro": sk.recall_score(truth, best, average="macro"),
        "mean_iou": sk.jaccard_score(truth, best, average="macro"),
        "loss": sk.log_loss(truth, p, labels=range(n)),
        "roc_auc": sk.roc_auc_score(truth, p[:, 1] if n == 2 else p, multi_class="ovr"),
    }
    check(f"{n} classes, {op}", mine, theirs)
    matrix = np.zeros((n, n), int)
    for row, column, count in mine["confusion"]:
        matrix[row, column] = count
    check("their confusion", {"wrong": int(abs(matrix - sk.confusion_matrix(truth, best)).sum())}, {"wrong": 0})


def two_classes(draw, op):
    x = np.round(draw.randn(ROWS, 1) * 2, 1).astype(np.float32)
    truth = np.where(draw.rand(ROWS) < 0.4, x[:, 0] > 0, draw.randint(0, 2, ROWS)).astype(int)
    write_model(1, op)
    mine = score(zip(x, truth[:, None]), ["label"], "--task", "image-classification")
    p = 1 / (1 + np.exp(-x[:, 0].astype(np.float64)))
    if op == "Sigmoid":
        subprocess.run([PROGRAM, "score", "model.onnx", "rows.csv", "--task", "raw", "-o", "p.npy"], check=True,
                       stderr=subprocess.DEVNULL)
        p = np.load("p.npy")[:, 0].astype(np.float64)
    best = (p > 0.5).astype(int)  # of equal ones the first, as everywhere
    check(f"one number for two classes, {op}", mine, {
        "accuracy": sk.accuracy_score(truth, best), "f1_macro": sk.f1_score(truth, best, average="macro"),
        "mean_iou": sk.jaccard_score(truth, best, average="macro"), "loss": sk.log_loss(truth, p),
        "roc_auc": sk.roc_auc_score(truth, p)})


def numbers(draw):
    x = draw.randn(ROWS, 3).astype(np.float32)
    truth = np.round(x + draw.randn(ROWS, 3) * [0.1, 1, 10], 3)
    write_model(3, "Identity")
    names = ["width", "price", "age"]
    order = [2, 0, 1]  # of the columns in the table; named in the model's order
    mine = score(zip(x, truth[:, order]), [names[i] for i in order], "--columns", "numbers=" + ",".join(names))
    for i in range(-1, 3):
        t, y = (truth, x.astype(np.float64)) if i < 0 else (truth[:, i], x[:, i].astype(np.float64))
        one = mine if i < 0 else mine["numbers"][i]
        mse = sk.mean_squared_error(t, y)
        check("numbers" if i < 0 else f"numbers of {one['column']}", one, {
            "mae": sk.mean_absolute_error(t, y), "mse": mse, "rmse": mse ** 0.5, "r2": sk.r2_score(t, y)})
        if i >= 0:
            check("their column", {"same": one["column"] == names[i]}, {"same": True})


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    random = np.random.RandomState(1)
    for op in ("Identity", "Softmax"):
        for n in (2, 4):
            classes(random, n, op)
    for op in ("Identity", "Sigmoid"):
        two_classes(random, op)
    numbers(random)
    os.chdir("/")
print(f"1..{number}")
sys.exit(failed > 0)
