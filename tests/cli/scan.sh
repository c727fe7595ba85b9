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
printf "cposix\\nsystem\\n(S'id'\\ntR." >text.sav
run scan text.sav
exits 3 'a dangerous pickle in text, without a mark or a name that tells'
says out 'DANGEROUS +posix.system' 'names the function'
printf "(S'id'\\nios\\nsystem\\n." >inst.bin
run scan inst.bin
exits 3 'a call by INST'
printf 'cbuiltins\neval\n\214\0021+\205R.' >markless.bin
run scan markless.bin
exits 3 'a pickle of protocol 4 without its mark'
printf "S'x'\\n0\\214\\005posix\\214\\006system\\223S'id'\\n\\205R." >mixed.bin
run scan mixed.bin
exits 3 'operations of old and new protocols mixed'
printf 'cat\ndog\nRed deer\n' >labels.txt
run scan labels.txt
exits 0 'a text that begins like a pickle'
gzip -c evil.pkl >model.bin
run scan model.bin
exits 3 'a pickle in a file that gzip has packed'
says out 'DANGEROUS +posix.system' 'is read'
gzip -c plain.pkl >model.bin
run scan model.bin
exits 0 'a harmless one'
gzip -c plain.pkl | head -c 30 >model.bin
run scan model.bin
exits 3 'a gzip file cut short'
printf 'BZh91AY' >model.bin
run scan model.bin
exits 3 'a file that bzip2 has packed'
says out 'unreadable +packed by bzip2: unpack it' 'says what to do'
printf 'x\234\145\216\075abc' >model.joblib
run scan model.joblib
exits 3 'a file that zlib has packed'
printf 'x\001\000\000\000\000\000\000{"__metadata__":{}' >header.safetensors
run scan header.safetensors
exits 0 'a safetensors whose length reads like the mark of zlib'
mkdir folder
run scan folder
exits 3 'a folder'
run scan nowhere.pt
exits 1 'a file that is not there'
says talk 'nowhere.pt' 'is named'
run scan
exits 2 'without a file'
run scan evil.pt --jsno
exits 2 'a misspelt option'
says talk 'did you mean "--json"' 'gets a suggestion'
finish
