#!/bin/sh
# outputs.sh - one rule for all that commands write: missing folders are made, what was there is replaced and told, what
# is read here or is no file never is, and what cannot be written is said before any work.
. "$(dirname "$0")/cli.sh"

"$tenrec" data synth digits -o digits -n 20 >/dev/null
"$tenrec" zoo new digits -o d.tenrec 2>talk
photo=$(find digits -name '*.png' | LC_ALL=C sort | head -1)

# writes NAME ARGUMENTS... ending in -o PATH: into a folder that is not there; again with a word about it.
writes() {
    name=$1
    shift
    for path in "$@"; do :; done
    run "$@"
    exits 0 "$name makes folders"
    ok "$name writes" "$([ -s "$path" ] || ls -R new)"
    ok 'and replaces nothing' "$(grep replaces talk)"
    run "$@"
    says talk "note: $path replaces the file that was there" "$name tells what it replaces"
}
writes import import d.tenrec -o new/import/d.tenrec
writes 'zoo new' zoo new digits -o new/zoo/d.tenrec
writes export export d.tenrec -o new/export/d.onnx
writes 'a state_dict' export d.tenrec -o new/export/weights/d.pth
writes run run d.tenrec "$photo" -o new/run/out.npz
writes score score d.tenrec digits -o new/score/out.csv
writes 'score to a database' score d.tenrec digits -o new/base/out.db
writes 'score to an array' score d.tenrec digits -o new/array/out.npy
writes 'the picture of a graph' info d.tenrec --plot new/plot/d.svg
writes 'what a model saw' run d.tenrec "$photo" --save-input new/seen/one.png
writes 'a contact sheet' data show digits -o new/sheet/sheet.png
run data split digits -o new/split
exits 0 'data split makes folders'
run data split digits -o new/split
is 'and tells what it replaces' "$(grep -c 'replaces the file' talk)" 3

# refused CODE PATTERN NAME ARGUMENTS...: and nothing changes.
refused() {
    wanted=$1 pattern=$2 name=$3
    shift 3
    find . -type f ! -name out ! -name talk ! -name before ! -name after -exec cksum {} + | LC_ALL=C sort >before
    run "$@"
    exits "$wanted" "$name"
    says talk "$pattern" 'is told'
    find . -type f ! -name out ! -name talk ! -name before ! -name after -exec cksum {} + | LC_ALL=C sort >after
    ok 'and nothing is written' "$(diff before after)"
}
refused 2 'd.tenrec, which is read here' 'a package over itself' import d.tenrec -o d.tenrec
refused 2 'd.tenrec, which is read here' 'by another name' import d.tenrec -o ./digits/../d.tenrec
refused 2 'among what is read' 'a table over itself' score d.tenrec digits -o digits
printf 'a\nb\n' >names.txt
refused 2 'names.txt, which is read here' 'the file of an option' import d.tenrec --labels names.txt -o names.txt
"$tenrec" run d.tenrec "$photo" -o x.npz >/dev/null
refused 2 'x.npz, which is read here' 'the input of a run' run d.tenrec input=x.npz -o x.npz
refused 2 'that is a folder' 'a folder where a file belongs' export d.tenrec -o digits
refused 2 'd.tenrec is no folder' 'a file where a folder belongs' export d.tenrec -o d.tenrec/d.onnx
mkfifo pipe
refused 2 'no file to be replaced' 'a pipe' import d.tenrec -o pipe
refused 2 'name of a file is missing' 'no name' import d.tenrec -o ''
refused 2 'no table ends so' 'an ending that says nothing' score d.tenrec digits -o out.xyz
refused 2 'must end in .png' 'a sheet that is no PNG' data show digits -o sheet.jpg
refused 2 'must end in .png' 'an input that is no PNG' run d.tenrec "$photo" --save-input one.jpg
if [ "$(id -u)" = 0 ]; then
    skip 'a folder that may not be written to' 'for root there is none'
else
    mkdir closed && chmod 500 closed
    refused 1 'closed: Permission denied' 'a folder that may not be written to' import d.tenrec -o closed/d.tenrec
fi

run score d.tenrec digits -o out.xyz --format jsonl
exits 0 'a format for a file of another ending'
says out.xyz '^\{' 'is a file of it'
for out in folder new/dotted.d/; do
    run score d.tenrec digits -o $out
    ok "$out is a folder" "$([ -s $out/results.csv ] || ls -R $out)"
done
run score d.tenrec digits -o folder
says talk 'folder/results.csv replaces' 'a table in a folder is replaced aloud'
finish
