"""onnx_files.py - what we write as ONNX passes ONNX's own checker and shape inference."""
import glob
import os
import subprocess
import sys
import tempfile

try:
    import onnx
except ImportError:
    print("1..0 # SKIP python3-onnx is not installed")
    sys.exit(0)

PROGRAM = sys.argv[1]
SHARED = os.environ.get("TENREC_SHARED", os.path.join(os.path.dirname(__file__), "../../../shared"))
GROUPS = {
    "ONNX's test cases": sorted(glob.glob("/usr/share/libonnx-testdata/data/*/*/model.onnx")),
    "the corpus": sorted(glob.glob(SHARED + "/corpus/onnx/*/*.onnx")),
}
KNOWN = int(onnx.defs.onnx_opset_version())


def faults(files):
    """(models checked, what the checker says of those it refuses)"""
    checked, bad = 0, []
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run([PROGRAM, folder], input="\n".join(files), capture_output=True, text=True, check=True)
        bad += run.stderr.splitlines()
        for line in run.stdout.splitlines():
            written, source = line.split(" ", 1)
            model = onnx.load(written)
            if max(s.version for s in model.opset_import if not s.domain) > KNOWN:
                continue
            if any(s.domain == "ai.tenrec" for s in model.opset_import):
                continue
            checked += 1
            try:
                onnx.checker.check_model(model, full_check=True)
            except Exception as why:
                # the original may not pass either
                try:
                    onnx.checker.check_model(onnx.load(source), full_check=True)
                    bad.append(f"{source}: {str(why).strip()}")
                except Exception:
                    pass
    return checked, bad


print(f"1..{len(GROUPS)}")
failed = 0
for i, (name, files) in enumerate(GROUPS.items(), 1):
    if not files:
        print(f"ok {i} - {name} # SKIP not there")
        continue
    checked, bad = faults(files)
    for line in bad:
        print("# " + line.replace("\n", " ")[:400])
    failed += bool(bad) or not checked
    print(f"{'not ok' if bad or not checked else 'ok'} {i} - {name}: {checked} checked")
sys.exit(failed > 0)
