#!/bin/sh
# score.sh - tenrec score: tables in, tables and pictures out, exit codes, and nothing half-written.
. "$(dirname "$0")/cli.sh"
small='--like torchvision --set resize.size=16 --set center_crop.size=16'
whole='--like torchvision --set resize.size=16' # a map of labels needs all of the picture
settings="--task image-classification --labels labels.txt $small"

run score classify.onnx photos $settings
exits 0 'a folder'
is 'the table has a header' "$(head -1 out)" \
    'path,label,score,class,label_2,score_2,class_2,label_3,score_3,class_3,label_4,score_4,class_4,error'
is 'and the label of each picture' "$(cut -d, -f1,2 out | tail -3 | tr '\n' ' ')" \
    'photos/green/green.png,green photos/half.png,blue photos/red.png,red '
says talk '3 rows, 0 with errors' 'what was done is said on stderr'
cp out alone

run score classify.onnx photos $settings --batch 2
is 'a batch gives the same bytes' "$(cmp out alone 2>&1)" ''
find photos -name '*.png' | LC_ALL=C sort | "$tenrec" score classify.onnx - $settings --batch 8 >out 2>talk
is 'so does a stream' "$(cmp out alone 2>&1)" ''
mkdir odd
cp photos/red.png "odd/two
lines.png"
cp photos/red.png odd/plain.png
find odd -name '*.png' -print0 | "$tenrec" score classify.onnx - $settings --format jsonl >out 2>talk
is 'names that end with zero bytes' "$(grep -c '"error":null' out) $(wc -l <out | tr -d ' ')" '2 2'
# The header and one row must come while the stream is still open.
{ echo photos/red.png; sleep 2; date +%s >closed; } | "$tenrec" score classify.onnx - $settings --batch 8 2>talk |
    while read -r line; do case $line in photos/*) date +%s >answered ;; esac; done
ok 'a stream that idles is answered' "$([ "$(cat answered)" -lt "$(cat closed)" ] || cat answered closed talk)"

cp photos/red.png photos/broken.png
printf garbage >photos/broken.png
run score classify.onnx photos $settings -o answers.jsonl
exits 0 'a broken image does not end the job'
is 'JSON lines: one per row' "$(wc -l <answers.jsonl | tr -d ' ')" 4
says answers.jsonl '"path":"photos/broken.png".*"error":"photos/broken.png: ' 'the row has the error'
is 'stdout stays empty with -o' "$(cat out)" ''
run score classify.onnx photos $settings -o answers.tsv --max-errors 0
exits 4 'more errors than --max-errors'
is 'the table is written all the same' "$(wc -l <answers.tsv | tr -d ' ')" 5
run score classify.onnx photos $settings --limit 2
is '--limit' "$(wc -l <out | tr -d ' ')" 3

printf 'file,label\nred.png,1\n../photos/half.png,2\nmissing.png,3\n' >photos/table.csv
run score segment.onnx photos/table.csv --task image-segmentation $whole -o seg
exits 0 'a CSV table and a segmentation'
is 'masks lie below their folder, named after the samples' "$(cd seg && find . -type f | LC_ALL=C sort | tr '\n' ' ')" \
    './masks/photos/half.png ./masks/red.png ./overlays/photos/half.png ./overlays/red.png ./results.csv '
is 'the table names them' "$(sed -n 2p seg/results.csv)" 'red.png,1 1,masks/red.png,overlays/red.png,'
says seg/results.csv '^missing.png,,,,.*No such file' 'a missing file is an error row'
run score segment.onnx photos/red.png --task raw $whole --tensors t -o raw.csv
exits 0 'a model without postprocessing'
ok 'gives arrays' "$([ -s t/photos/red.npy ] || ls -R t)"

run score classify.onnx photos --query 'select 1'
exits 2 'a query of what is no database'
echo '[{"image": "photos/red.png"}]' >rows.json
run score classify.onnx rows.json
exits 4 'a table that is an array of JSON'
says talk 'one object a line' 'is told how it is read'
run score classify.onnx nowhere
exits 1 'a table that is not there'
run score classify.onnx photos --massk x
exits 2 'a misspelt option'
says talk 'did you mean "--masks"' 'gets a suggestion'
run score add.onnx photos
exits 2 'a model with two inputs'
says talk 'columns a,b' 'wants columns of their names'
run score wrong.onnx photos
exits 3 'an unknown operator'
says talk 'NoSuchOp' 'is named'
run score labels.txt photos
exits 3 'a file that is no model'

if [ -w /dev/full ]; then
    "$tenrec" score classify.onnx photos $settings >/dev/full 2>talk </dev/null
    code=$?
    exits 1 'a full disk behind stdout'
    says talk 'cannot write' 'is told'
else
    skip 'a full disk' 'no /dev/full'
fi
(
    ulimit -f 1 # 512 or 1024 bytes a file, then SIGXFSZ or an error
    trap '' XFSZ
    "$tenrec" score segment.onnx photos --task raw $whole -o big.csv 2>talk </dev/null
    echo $? >big.code
)
is 'a file that cannot grow' "$(cat big.code)" 1
is 'leaves nothing half-written' "$(ls | grep big.csv)" ''

mkfifo rows
"$tenrec" score classify.onnx - $settings -o stopped.csv <rows 2>talk &
pid=$!
exec 3>rows
echo photos/red.png >&3
sleep 1
kill -TERM $pid
wait $pid
is 'SIGTERM' "$?" 143
exec 3>&-
is 'leaves a whole table of what was done' "$(cut -d, -f1,2 stopped.csv | tr '\n' ' ')" 'path,label photos/red.png,red '
"$tenrec" score classify.onnx - $settings -o killed.csv <rows 2>talk &
pid=$!
exec 3>rows
echo photos/red.png >&3
sleep 1
kill -KILL $pid
wait $pid 2>/dev/null
exec 3>&-
ok 'a killed program leaves no table' "$([ ! -e killed.csv ] || cat killed.csv)"
finish
