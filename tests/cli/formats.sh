#!/bin/sh
# formats.sh - tenrec formats lists formats and what each reader knows, and docs/formats.md ends with it.
docs=$(cd "$(dirname "$0")/../../docs" && pwd)
. "$(dirname "$0")/cli.sh"

run formats
exits 0 'the list'
says out '^onnx +ONNX models' 'names a format'
says out 'knows [0-9]+ layers' 'counts what a reader knows'
run formats --json
says out '"Conv2D"' 'JSON has the names of layers'
says out '"name": "caffe"' 'of every format'
run formats extra
exits 2 'a word too many'
run formats --markdown
sed -n '/^## What each reader knows$/,$p' "$docs/formats.md" >page
ok 'docs/formats.md ends with what tenrec formats --markdown says' "$(diff page out | head -5)"
finish
