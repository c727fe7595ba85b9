#!/bin/sh
# scan.sh - tenrec scan finds pickles wherever they hide and tells them by its exit code.
. "$(dirname "$0")/cli.sh"

run scan evil.pkl
exits 3 'a dangerous pickle'
says out 'DANGEROUS +posix.system +would be called' 'names the function'
says talk 'do not load it with Python' 'and says what to do'
run scan plain.pkl
exits 0 'a harmless pickle'
says out 'plain data' 'is called plain data'
run scan two.pkl
exits 3 'the second pickle of a file'
says out 'pickle 2' 'is looked at'
run scan objects.npy
exits 3 'a pickle in an array of objects'
run scan evil.pt
exits 3 'a pickle in an archive'
says out 'archive/data.pkl' 'is named'
run scan evil.pt --json
exits 3 'with --json too'
says out '"verdict": "dangerous"' 'whose text has the verdict'
run scan cut.pkl
exits 3 'a pickle cut short'
says out 'unreadable' 'cannot be read'
run scan add.onnx
exits 0 'an ONNX model'
says out 'no code' 'holds no code'
run scan nowhere.pt
exits 1 'a file that is not there'
says talk 'nowhere.pt' 'is named'
run scan
exits 2 'without a file'
run scan evil.pt --jsno
exits 2 'a misspelt option'
says talk 'did you mean "json"' 'gets a suggestion'
finish
