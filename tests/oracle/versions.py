"""versions.py - the oracles are here, answer, and are the versions that our promises name."""
import os
import subprocess
import sys

import numpy
import onnx
import PIL
import torch
import torchvision

SCRIPT = "const o = require(process.argv[1]); new o.Tensor('float32', [1], [1]); console.log(o.env.versions.node)"


def onnx_runtime():
    """The version of ONNX Runtime, or what went wrong."""
    folder = os.environ.get("TENREC_ORT", "")
    if not os.path.isdir(folder):
        return "not found at TENREC_ORT"
    done = subprocess.run(["node", "-e", SCRIPT, folder], capture_output=True, text=True)
    return done.stdout.strip() or done.stderr.strip()


FOUND = [
    ("Pillow", PIL.__version__, "9.4."),
    ("PyTorch", torch.__version__, ""),
    ("torchvision", torchvision.__version__, ""),
    ("NumPy", numpy.__version__, ""),
    ("onnx", onnx.__version__, ""),
    ("ONNX Runtime", onnx_runtime(), "1."),
]
bad = 0
for number, (name, version, wanted) in enumerate(FOUND, 1):
    good = version.startswith(wanted) and version != ""
    bad += not good
    print(f"{'ok' if good else 'not ok'} {number} - {name} {version.splitlines()[0] if version else 'says nothing'}")
print(f"1..{len(FOUND)}")
sys.exit(bad > 0)
