# runtime.sh - sourced: ONNX Runtime from npm into build/oracle, its place in TENREC_ORT.
# The CPU library is inside the package itself; its install script would only fetch the one for GPUs.
TENREC_ORT="$PWD/build/oracle/node_modules/onnxruntime-node"
export TENREC_ORT
if ! grep -qs '"version": "1.30.0"' "$TENREC_ORT/package.json"; then
    mkdir -p build/oracle
    npm install --prefix build/oracle --ignore-scripts --no-audit --no-fund --silent onnxruntime-node@1.30.0
fi
