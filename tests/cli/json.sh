#!/bin/sh
# json.sh - what commands report can be had as JSON: one value on stdout, which says what the words say.
golden=$(cd "$(dirname "$0")/../golden/onnx" && pwd)
. "$(dirname "$0")/cli.sh"
"$tenrec" zoo new digits -o d.tenrec 2>talk
"$tenrec" data synth digits -o digits -n 12 >/dev/null

printf 'left\nphotos/red.png\nphotos/none.png\n' >pairs.csv

# tells PATTERN ARGUMENTS...: and a reader of JSON takes it.
tells() {
    pattern=$1
    shift
    run "$@" --json
    exits 0 "$* --json"
    says out "$pattern" 'says it'
    if command -v python3 >/dev/null; then
        ok 'as JSON' "$(python3 -c 'import json; json.load(open("out"))' 2>&1)"
    else
        skip 'as JSON' 'needs python3'
    fi
}
tells '"parameters": 137226' zoo new digits -o new.tenrec
tells '"task": "image-classification"' import d.tenrec -o again.tenrec
is 'nothing else is said' "$(cat talk)" ''
tells 'output output: max .difference. 0 of' export d.tenrec -o d.onnx
tells 'equal in every bit' export d.tenrec -o d.pth
tells '"name": "conv1.0.weight"' show d.tenrec
tells '"expected"|"guards": \[\]' show d.tenrec --after fold
tells '"kernel": "[a-z]' show d.tenrec --plan
tells '"memory_bytes": [1-9]' show d.tenrec --arena
tells '"refusals": \[' show d.tenrec --explain
tells '"op": "(Loop|If|Scan)"' show "$golden/new_linear_delta.onnx"
tells '"rows": 12' data synth scenes -o scenes -n 12
tells '"file": "lists/val.csv"' data split digits -o lists
tells '"errors": 1,?' score classify.onnx pairs.csv --columns image=left --task raw -o answers.csv
tells '"accuracy": [01]' score d.tenrec digits --metrics -o measures.csv
run score d.tenrec digits --json
exits 2 'a table and JSON on one stdout'
tells '"width": 9' data show digits -o sheet.png
finish
