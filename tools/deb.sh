#!/bin/sh
# deb.sh - Debian packages of the committed tree, into build-deb/.
set -eu
cd "$(dirname "$0")/.."
rm -rf build-deb
mkdir -p build-deb/tree
git archive HEAD | tar -x -C build-deb/tree
(cd build-deb/tree && dpkg-buildpackage -b -us -uc --no-check-builddeps) >build-deb/log 2>&1 || {
    tail -n 40 build-deb/log >&2
    exit 1
}
rm -rf build-deb/tree
ls -l build-deb/*.deb
