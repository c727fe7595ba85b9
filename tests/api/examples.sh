#!/bin/sh
# examples.sh - the examples of the C API do what their first lines say.
#
# Usage: examples.sh SOURCE TENREC HELLO HELLO_CPP THREADS
. "$(dirname "$0")/../tap.sh"
demo=$1/examples/demo tenrec=$2 hello=$3 hello_cpp=$4 threads=$5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$tenrec" import "$demo/shapes.onnx" --labels "$demo/shapes.txt" --preprocess "$demo/shapes.yaml" \
    -o "$work/shapes.tenrec" >"$work/talk" 2>&1
ok 'a package for them' "$([ -f "$work/shapes.tenrec" ] || cat "$work/talk")"
for program in "$hello" "$hello_cpp"; do
    name=$(basename "$program")
    said=$("$program" "$work/shapes.tenrec" "$demo/shapes/cross_0.png" 2>&1)
    ok "$name names the shape" "$(echo "$said" | head -n 1 | grep -q ' cross$' || echo "$said")"
    said=$("$program" "$work/shapes.tenrec" "$demo/shapes.txt" 2>&1) && status=0 || status=$?
    ok "$name says what is wrong" "$([ "$status" = 1 ] && echo "$said" | grep -q "^$name: " || echo "$status: $said")"
done
said=$("$threads" "$work/shapes.tenrec" 5 2>&1)
ok 'four threads share a model and agree' "$([ "$(echo "$said" | wc -l)" = 4 ] &&
    [ "$(echo "$said" | sort -u | wc -l)" = 1 ] || echo "$said")"
ok 'hello.c is a page' "$([ "$(wc -l <"$1/examples/c/hello.c")" -le 40 ] || echo 'longer than 40 lines')"
finish
