#!/bin/sh
# bench.sh - Tenrec beside ONNX Runtime and PyTorch: bench.sh [OPTION OF bench/bench.py ...]
# Without options: all sections of docs/performance.md.
set -eu
cd "$(dirname "$0")/.."

# The CPU library is inside the package itself; its install script would only fetch the one for GPUs.
if [ ! -d build/bench/node_modules/onnxruntime-node ]; then
    mkdir -p build/bench
    npm install --prefix build/bench --ignore-scripts --no-audit --no-fund --silent onnxruntime-node@1.30.0
fi
ninja -C build --quiet bench/tenrec-peer bench/ort-peer bench/ort-jpeg
# Debian's python3 is the one that has python3-torch, whatever else stands first in PATH.
measure() {
    script=$1
    shift
    /usr/bin/python3 "bench/$script.py" build --page docs/performance.md "$@"
}
[ $# = 0 ] || { measure bench "$@"; exit; }
measure bench --runs 3
measure start
measure busy
measure operators
measure bench --train
measure bench --recipes
measure bench --further
measure bench --low
