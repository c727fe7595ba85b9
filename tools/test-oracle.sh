#!/bin/sh
# test-oracle.sh - compares with PyTorch, torchvision, Pillow and ONNX Runtime; the only door that needs them.
set -eu
cd "$(dirname "$0")/.."

. tools/runtime.sh
# Debian's python3 is the one that has python3-torch, whatever else stands first in PATH.
export TENREC_PYTHON=/usr/bin/python3
tools/build.sh build-oracle -Doracle=true
meson test -C build-oracle --no-rebuild --print-errorlogs --suite oracle
