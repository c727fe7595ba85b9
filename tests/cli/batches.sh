#!/bin/sh
# batches.sh - many rows share forward passes where nobody says how many: the files are those of one row at a time, in
# every bit, also in shards and after a kill; and a model that takes one sample only is given one.
. "$(dirname "$0")/cli.sh"

"$tenrec" data synth digits -o digits -n 150 >/dev/null
printf 'no image' >digits/3/zz_broken.png
"$tenrec" zoo new digits -o d.tenrec 2>talk
for form in csv jsonl npy; do
    run score d.tenrec digits -o one.$form --batch 1
    exits 0 "one at a time: $form"
    run score d.tenrec digits -o usual.$form
    exits 0 'as many as is usual'
    ok 'the same file' "$(cmp one.$form usual.$form 2>&1)"
    for i in 1 2 3; do "$tenrec" score d.tenrec digits -o shards.$form --shard $i/3 2>>talk & done
    wait
    ok 'the same file of three shards' "$(cmp one.$form shards.$form 2>&1)"
    run score d.tenrec digits -o few.$form --limit 70
    exits 0 'a part'
    run score d.tenrec digits -o sixteen.$form --batch 16
    ok 'the same file in sixteens' "$(cmp one.$form sixteen.$form 2>&1)"
done
ok 'a part is the beginning of all' "$(head -71 one.csv | cmp - few.csv 2>&1)"

# Killed when its first piece is there: the rest is done by the next, in a job whose rows fall into other batches.
"$tenrec" data synth digits -o rows --idx -n 12000 >/dev/null
run score d.tenrec rows/digits-images-idx3-ubyte -o whole.csv --batch 1
exits 0 'many rows, one at a time'
"$tenrec" score d.tenrec rows/digits-images-idx3-ubyte -o killed.csv 2>talk &
pid=$!
while ! ls killed.csv.parts 2>/dev/null | grep -q 'part$' && [ ! -e killed.csv ]; do sleep 0.01; done
kill -KILL $pid 2>/dev/null
wait $pid 2>/dev/null
run score d.tenrec rows/digits-images-idx3-ubyte -o killed.csv
exits 0 'goes on'
ok 'the same file after a kill' "$(cmp whole.csv killed.csv 2>&1)"

# Processes that have nothing to do leave the folder to those that have: a table shorter than a block, again and again.
missing=
for turn in 1 2 3 4 5 6 7 8 9 10; do
    for i in 1 2 3 4; do "$tenrec" score d.tenrec digits -o turn$turn.csv --shard $i/4 2>talk$i & done
    wait
    cmp -s one.csv turn$turn.csv || missing="$missing $turn: $(cat talk1 talk2 talk3 talk4)"
done
ok 'four processes at once leave the table' "$missing"
ok 'and nothing else' "$(ls | grep parts)"

echo image >list.csv
while [ "$(wc -l <list.csv)" -lt 73 ]; do echo photos/red.png >>list.csv; done
run score single.onnx list.csv -o single.csv --set resize.size=12 --set center_crop.size=12
exits 0 'a model of one sample takes many rows'
is 'and answers each' "$(sed 1d single.csv | grep -c ',$')" 72
finish
