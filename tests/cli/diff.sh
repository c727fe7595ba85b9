#!/bin/sh
# diff.sh - tenrec diff names the first node at which two models part.
. "$(dirname "$0")/cli.sh"

run diff add.onnx add.onnx
exits 0 'a model and itself'
says talk '3 values of 3 and 3' 'every value is compared'
run diff add.onnx other.onnx 1,2 3,4
exits 1 'two models that differ'
says out 'they part at +Add +sum' 'at the first node that differs, not at a later one'
says out 'element 1: 6 and -2' 'with both numbers'
run diff add.onnx other.onnx 1,2 0,0
exits 0 'inputs on which they agree'
run diff add.onnx other.onnx 1,2 1e-9,0 --tolerance 1e-3
exits 0 'a difference within the tolerance'
run diff add.onnx other.onnx --json
exits 1 'as JSON'
says out '"first": "sum"' 'with the first node'
run diff add.onnx classify.onnx
exits 1 'models with other inputs'
run diff add.onnx
exits 2 'one model only'
run diff add.onnx wrong.onnx
exits 3 'a model that cannot be read'
finish
