"""step.py - the first training step of imported networks against PyTorch in float64: loss, gradients, states."""
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import torch
import torchvision

warnings.filterwarnings("ignore")
PROGRAM = sys.argv[1]
LIMIT = 1e-5  # of the largest |value| of each tensor
number = failed = 0


def verdict(good, what):
    global number, failed
    number += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {number} - {what}", flush=True)


def calibrated(name):
    torch.manual_seed(1)
    model = getattr(torchvision.models, name)(weights=None, num_classes=10)
    model.train()
    for m in model.modules():
        if isinstance(m, torch.nn.BatchNorm2d):  # unequal ones: PyTorch's ONNX exporter shares equal initializers
            torch.nn.init.uniform_(m.weight, 0.5, 1.5)
            torch.nn.init.normal_(m.bias, 0, 0.2)
    with torch.no_grad():
        for _ in range(4):
            model(torch.randn(8, 3, 64, 64))
    return model


def relative(a, b):
    return float(np.max(np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64))) / max(np.max(np.abs(b)), 1e-30))


def reference(model, x, y, lr, momentum, nesterov, decay):
    """Loss, gradients and the state after one step, in float64."""
    twin = __import__("copy").deepcopy(model).double().train()
    optimizer = torch.optim.SGD(twin.parameters(), lr, momentum=momentum, nesterov=nesterov, weight_decay=decay)
    loss = torch.nn.functional.cross_entropy(twin(x.double()), y)
    loss.backward()
    grads = {k: p.grad.numpy().copy() for k, p in twin.named_parameters()}
    optimizer.step()
    return loss.item(), grads, {k: v.numpy() for k, v in twin.state_dict().items()}


def check(kind, path, want, batch, how, precision):
    out = path + ".out.npz"
    run = subprocess.run([PROGRAM, path, batch, out, "score", precision, how, "0.9", "1", "0.01"], capture_output=True,
                         text=True)
    if run.returncode:
        return verdict(False, f"{kind}: {run.stderr.strip()}")
    got = np.load(out)
    loss, grads, state = want
    worst = {"loss": abs(float(got["loss"]) - loss) / abs(loss), "grad": 0.0, "state": 0.0}
    missing = [k for k in grads if "grad/" + k not in got]
    for k in grads:
        if k not in missing:
            worst["grad"] = max(worst["grad"], relative(got["grad/" + k], grads[k]))
    names = [k for k in state if "state/" + k in got and "num_batches" not in k]
    for k in names:
        worst["state"] = max(worst["state"], relative(got["state/" + k], state[k]))
    good = not missing and len(names) >= len(grads) and all(v <= LIMIT for v in worst.values())
    text = ", ".join(f"{k} {v:.1e}" for k, v in worst.items())
    verdict(good, f"{kind} {precision} {how}: {len(grads)} gradients, {len(names)} states: {text}"
            + (f"; missing {missing[:3]}" if missing else ""))


def main():
    folder = tempfile.mkdtemp()
    for name in (sys.argv[2:] or ("resnet18", "resnet50")):
        model = calibrated(name)
        size = 64
        x, y, lr = torch.randn(4, 3, size, size), torch.tensor([1, 7, 2, 2]), 0.05
        want = reference(model, x, y, lr, 0.9, True, 0.01)
        files = {}
        model.eval()
        for kind in ("traced", "scripted"):
            files[kind] = os.path.join(folder, f"{name}.{kind}.pt")
            (torch.jit.trace(model, x) if kind == "traced" else torch.jit.script(model)).save(files[kind])
        files["onnx"] = os.path.join(folder, f"{name}.onnx")
        torch.onnx.export(model, x, files["onnx"], opset_version=13, input_names=["x"], do_constant_folding=False,
                          training=torch.onnx.TrainingMode.PRESERVE, dynamic_axes={"x": {0: "N"}})
        batch = os.path.join(folder, "batch.npz")
        np.savez(batch, x=x.numpy(), target=y.numpy(), lr=np.float32(lr))
        for kind, path in files.items():
            check(f"{name} {kind}", path, want, batch, "session", "f64")
    print(f"1..{number}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
