#!/bin/sh
# build.sh - sets a build folder up, or brings its options up to date, and builds: build.sh FOLDER [MESON OPTION ...]
set -eu
cd "$(dirname "$0")/.."
folder=$1
shift
mkdir -p "$folder"
log=$folder/setup.log
if [ -f "$folder/build.ninja" ]; then
    [ $# = 0 ] || meson configure "$folder" "$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
else
    meson setup "$folder" "$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
fi
exec ninja -C "$folder" --quiet ${JOBS:+-j "$JOBS"}
