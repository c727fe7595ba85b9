#!/bin/sh
# matrix.sh - every source format into every target, and the table of the corpus, into docs/formats.md.
set -eu
cd "$(dirname "$0")/.."
. tools/runtime.sh
exec /usr/bin/python3 tests/oracle/matrix.py build docs/formats.md
