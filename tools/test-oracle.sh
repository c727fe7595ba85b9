#!/bin/sh
# test-oracle.sh - compares with PyTorch, torchvision, Pillow and ONNX Runtime; the only door that needs them.
set -eu
cd "$(dirname "$0")/.."

# The CPU library is inside the package itself; its install script would only fetch the one for GPUs.
runtime=build/oracle/node_modules/onnxruntime-node
if [ ! -d "$runtime" ]; then
    mkdir -p build/oracle
    npm install --prefix build/oracle --ignore-scripts --no-audit --no-fund --silent onnxruntime-node@1.20.1
fi
# Debian's python3 is the one that has python3-torch, whatever else stands first in PATH.
export TENREC_PYTHON=/usr/bin/python3 TENREC_ORT="$PWD/$runtime"
tools/build.sh build-oracle -Doracle=true
meson test -C build-oracle --no-rebuild --print-errorlogs --suite oracle
