#!/bin/sh
# jobs.sh - tenrec score on long tables: whatever the batch, the shards, and how often it was killed, the same bytes;
# bad rows are named; targets are compared.
. "$(dirname "$0")/cli.sh"
settings='--task image-classification --labels labels.txt --like torchvision --threads 1'
settings="$settings --set resize.size=16 --set center_crop.size=16"

{
    echo 'id,image,species,note'
    i=0
    while [ $i -lt 2000 ]; do
        echo "r$i,photos/red.png,red,\"n $i, x\""
        echo "s$i,photos/half.png,green,"
        i=$((i + 2))
    done
    echo 'last,photos/none.png,blue,'
    echo 'ragged,photos/red.png'
} >rows.csv
run score classify.onnx rows.csv $settings -o whole.csv --carry note --columns label=species --metrics
exits 0 'a long table'
is 'every row has its line' "$(wc -l <whole.csv | tr -d ' ')" 2003
is 'identifiers and columns go along' "$(sed -n 1,2p whole.csv | cut -d, -f1-4 | tr '\n' ' ')" \
    'id,note,label,score r0,"n 0, x",red '
says whole.csv '^last,.*photos/none.png: No such file' 'a file that is missing is told in its row'
says whole.csv '^2002,.*rows.csv:2003: the row has only 2 of 4 columns' 'so is a ragged row'
says whole.csv.metrics.json '"accuracy": 0.5' 'targets are compared'
ok 'nothing is left beside the table' "$(ls | grep 'whole.csv\.' | grep -v 'metrics.json$')"
same="--carry note --columns label=species --metrics"

run score classify.onnx rows.csv $settings -o batch.csv $same --batch 16 --threads 2
ok 'batches of 16' "$(cmp whole.csv batch.csv 2>&1)"
ok 'and the same measures' "$(cmp whole.csv.metrics.json batch.csv.metrics.json 2>&1)"
for n in 2 3 7; do
    run score classify.onnx rows.csv $settings -o threads.csv $same --threads $n --batch $((5 - n % 5))
    ok "$n threads" "$(cmp whole.csv threads.csv 2>&1; cmp whole.csv.metrics.json threads.csv.metrics.json 2>&1)"
done
run score classify.onnx rows.csv $settings -o shards.csv $same --shard 3/3
says talk 'rows of other shards missing' 'a shard alone makes no table'
ok 'yet' "$([ ! -e shards.csv ] || echo it is there)"
run score classify.onnx rows.csv $settings -o shards.csv $same --shard 1/3
run score classify.onnx rows.csv $settings -o shards.csv $same --shard 2/3 --batch 4
ok 'three shards make the same table' "$(cmp whole.csv shards.csv 2>&1)"
ok 'and the same measures' "$(cmp whole.csv.metrics.json shards.csv.metrics.json 2>&1)"
run score classify.onnx rows.csv $settings -o shards.csv --shard 4/3
exits 2 'a shard that cannot be'

# Killed as soon as another piece is there.
kill_once() {
    before=$(ls killed.csv.parts 2>/dev/null | wc -l)
    "$tenrec" score classify.onnx rows.csv $settings -o killed.csv $same >out 2>talk </dev/null &
    pid=$!
    wait_for=$((before ? before + 1 : 2)) # the first file there is no piece
    while [ "$(ls killed.csv.parts 2>/dev/null | wc -l)" -lt "$wait_for" ] && [ ! -e killed.csv ]; do
        sleep 0.01
    done
    kill -KILL $pid 2>/dev/null
    wait $pid 2>/dev/null
}
# Twice; from the beginning where the job was through before the signal came.
tries=0
while [ $tries -lt 20 ]; do
    rm -rf killed.csv*
    kill_once
    [ -e killed.csv ] || kill_once
    [ -e killed.csv ] || break
    tries=$((tries + 1))
done
ok 'kill -9 leaves no table' "$([ ! -e killed.csv ] || echo it is there)"
run score classify.onnx rows.csv $settings -o killed.csv $same --set resize.size=17
exits 2 'another job does not go on there'
says talk 'restart' 'and is told what to do'
run score classify.onnx rows.csv $settings -o killed.csv $same
exits 0 'the same command goes on'
says talk 'going on where an earlier run stopped' 'and says so'
ok 'killed and resumed: the same bytes' "$(cmp whole.csv killed.csv 2>&1)"
ok 'and the same measures' "$(cmp whole.csv.metrics.json killed.csv.metrics.json 2>&1)"

"$tenrec" score classify.onnx rows.csv $settings -o stopped.csv $same >out 2>talk </dev/null &
pid=$!
while [ ! -e stopped.csv.parts ]; do sleep 0.01; done
kill -INT $pid
wait $pid
code=$?
ok 'SIGINT' "$([ "$code" = 130 ] || [ "$code" = 0 ] || echo "$code")"
run score classify.onnx rows.csv $settings -o stopped.csv $same
ok 'goes on, too' "$(cmp whole.csv stopped.csv 2>&1)"

# A job so slow that a block takes long: what some seconds have done is kept.
head -201 rows.csv >few.csv
slow="$settings --set resize.size=960 --set center_crop.size=960"
"$tenrec" score classify.onnx few.csv $slow -o slow.csv >out 2>talk </dev/null &
pid=$!
while [ ! -e slow.csv.parts ] && [ ! -e slow.csv ]; do sleep 0.01; done
kill -STOP $pid
sleep 5.5
kill -CONT $pid
i=0
while [ $i -lt 400 ] && [ ! -e slow.csv ] && ! ls slow.csv.parts | grep -q part; do sleep 0.05; i=$((i + 1)); done
kill -KILL $pid 2>/dev/null
wait $pid 2>/dev/null
ok 'a slow job has kept its first rows' "$([ -e slow.csv ] || ls slow.csv.parts | grep -q part || ls slow.csv.parts)"

masks='--task image-segmentation --like torchvision --set resize.size=16 --threads 1'
run score segment.onnx photos $masks -o seg --batch 2
for i in 2 1; do run score segment.onnx photos $masks -o seg2 --shard $i/2; done
ok 'masks and overlays do not depend on shards' "$(diff -r seg seg2 2>&1)"

run score classify.onnx photos $settings -o names.csv --names sas
is 'names of the systems before' "$(head -1 names.csv | cut -d, -f2-4)" '_predName_,_predP_,_predClass_'
run score classify.onnx photos --labels labels.txt --features mean --like torchvision -o features.csv
exits 0 'an inner layer'
is 'gives its numbers' "$(sed -n 2p features.csv | cut -d, -f2 | wc -w | tr -d ' ')" 3
run score classify.onnx photos --features maen
exits 2 'a misspelt layer'
says talk 'did you mean "mean"' 'gets a suggestion'
run score classify.onnx photos $settings -o results.db
ok 'an SQLite database' "$(head -c 15 results.db | grep -q 'SQLite format 3' || ls)"
run score classify.onnx photos $settings -o results.npy
ok 'an array' "$(head -c 6 results.npy | grep -q NUMPY || ls)"
run score classify.onnx photos $settings --format npy
exits 2 'which needs a file'
run score classify.onnx rows.csv $settings --metrics
exits 2 'measures without a truth'
says talk 'columns label=NAME' 'ask for the column'
says talk 'there are: .*species' 'and tell which there are'
{
    echo 'a,b,price,weight'
    for i in 1 2 3 4; do echo "$i 0,1 $i,$((i + 2)),$i"; done # |a| + b is (i + 1, i)
} >numbers.csv
run score add.onnx numbers.csv --columns numbers=price,weight --metrics -o numbers.out.csv
exits 0 'inputs that take no image are numbers in the table'
says numbers.out.csv '^1,2 1,2 1,$' 'and feed the model'
says talk 'MAE +0.5$' 'several columns of targets: the mean of all'
says numbers.out.csv.metrics.json '"column": "price"' 'and each by its name'
is 'with its own errors' "$(grep -c '"mae": [01].0' numbers.out.csv.metrics.json)" 2
run score add.onnx numbers.csv --columns numbers=weight,price --metrics -o numbers.out.csv
says talk 'MAE +1.5$' 'columns stand for outputs in the order they are named'
run score add.onnx numbers.csv --columns numbers=weight --metrics -o numbers.out.csv
exits 2 'fewer numbers than the model gives'
says talk 'numbers.csv:2: 1 numbers in the table, but the model gives 2' 'are told'

# --- several outputs, each with its truth ---
echo image,label,left,top,more >places.csv
for i in 0 1 2 3; do
    printf 'learn/red/%d.png,red,0.9,0.1,1\nlearn/white/%d.png,white,0.5,far,1\n' $i $i
done >>places.csv
judged="heads.onnx places.csv $settings --labels labels.txt --metrics"
run score $judged --columns numbers=left,top -o places.out.csv
exits 0 'classes and numbers are judged'
says talk '^tenrec: accuracy  ' 'the first output by plain names'
says talk '^tenrec: place: MAE  ' 'the other by its own'
says talk '^tenrec: place: no target .*: 4 rows$' 'where it has a truth'
# mean |answer - truth| of the rows that have both numbers
awk -F, 'NR == FNR { if (FNR > 1 && $4 != "far") { left[FNR] = $3; top[FNR] = $4 } next }
    FNR == 1 { for (i = 1; i <= NF; i++) if ($i == "place") at = i }
    FNR in left { split($at, p, " "); a = p[1] - left[FNR]; b = p[2] - top[FNR]
        sum += (a < 0 ? -a : a) + (b < 0 ? -b : b); n += 2 }
    END { printf "%.6g\n", sum / n }' places.csv places.out.csv >mae
is 'and it is what the answers say' "$(sed -n 's/^tenrec: place: MAE *//p' talk)" "$(cat mae)"
says places.out.csv.metrics.json '"outputs": \{' 'all of it is kept'
says places.out.csv.metrics.json '"column": "top"' 'with names of columns'
cp places.out.csv.metrics.json places.json
for i in 1 2; do run score $judged --columns numbers=left,top -o places.out.csv --shard $i/2; done
is 'by shards, too' "$(cmp places.json places.out.csv.metrics.json 2>&1)" ''
run score $judged -o places.out.csv
exits 0 'an output without a truth is left alone'
ok 'and not spoken of' "$(grep place: talk)"
run score $judged --columns numbers=left,top,more -o places.out.csv
exits 2 'more numbers than the outputs give'
says talk 'places.csv:2: 3 numbers in the table, but the model gives 2' 'are told, too'
if command -v unzip >/dev/null; then # both outputs are classes
    run import heads.onnx -o heads.tenrec --task image-classification --labels labels.txt --like torchvision \
        --set resize.size=16 --set center_crop.size=16
    unzip -q heads.tenrec -d both
    sed '/"datatype"/,$s/"name": "place",/"name": "place", "postprocess": [{"op": "softmax", "axis": 1},\
        {"op": "top_k", "k": 2}],/' both/manifest.json >manifest.json && mv manifest.json both/
    awk -F, 'NR == 1 { print $0 ",side"; next } { print $0 "," (NR == 4 ? 2 : NR % 2) }' places.csv >two.csv
    run score both two.csv --metrics --columns label=label,side -o two.out.csv
    exits 0 'two classes a row are judged'
    says talk '^tenrec: place: accuracy' 'each by its own column'
    says talk '^tenrec: place: no target .*: 1 row$' 'but for a class that the output does not have'
    awk -F, 'NR == FNR { if (FNR > 1) side[FNR] = $NF; next }
        FNR == 1 { for (i = 1; i <= NF; i++) if ($i == "place.class") at = i; next }
        side[FNR] < 2 { n++; right += side[FNR] == $at } END { printf "%.6g\n", right / n }' two.csv two.out.csv >right
    is 'told by number' "$(sed -n 's/^tenrec: place: accuracy *//p' talk)" "$(cat right)"
else
    skip 'two classes a row' 'unzip is not there'
fi
run score heads.onnx places.csv $settings --columns label=none --metrics
exits 2 'no truth at all'

# How far it is: on a terminal a line that changes, with the time that is left, also with a limit.
if script -qec 'test -t 2' /dev/null >out 2>&1 </dev/null; then
    cp rows.csv long.csv
    for i in 1 2 3 4 5 6 7 8 9; do tail -n +2 rows.csv >>long.csv; done
    script -qec "timeout -s INT 5 $tenrec score classify.onnx long.csv $settings --set resize.size=960 \
        --set center_crop.size=960 -o long.out.csv -n 4000" /dev/null >out 2>&1 </dev/null
    tr '\r' '\n' <out >lines
    says lines ' of 4000 rows, [0-9.]+ rows/s' 'progress counts to the limit'
    says lines ' rows/s, [0-9].* s left' 'and tells the time that is left'
else
    skip 'progress on a terminal' 'no terminal can be had'
fi
printf 'left,right\na,b\n' >wrong.csv
run score classify.onnx wrong.csv $settings --columns image=middle
exits 2 'a column that is not there'
says talk 'no column "middle"' 'is named'
finish
