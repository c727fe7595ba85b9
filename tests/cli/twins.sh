#!/bin/sh
# twins.sh - one description of columns serves scoring, training and embedding: several image columns in a row, each to
# its input, for answers, for learning, and for the vectors of inner layers.
. "$(dirname "$0")/cli.sh"
small='--set resize.size=4 --set center_crop.size=4'
columns='--columns image:left=anchor --columns image:right=other --columns label=same'
cat >pairs.csv <<'END'
name,anchor,other,same
a,photos/red.png,photos/red.png,0
b,photos/red.png,photos/half.png,1
c,photos/half.png,photos/half.png,0
d,photos/half.png,photos/red.png,1
e,photos/half.png,photos/none.png,1
END
tr , '\t' <pairs.csv >pairs.tsv
tail -n +2 pairs.csv | while IFS=, read -r name anchor other same; do
    printf '{"name": "%s", "anchor": "%s", "other": "%s", "same": %s}\n' "$name" "$anchor" "$other" "$same"
done >pairs.jsonl

for kind in csv tsv jsonl; do
    run score twins.onnx pairs.$kind $columns $small --features vector_right --carry name -o right.$kind.csv
    exits 0 "vectors from a $kind with two image columns"
done
ok 'are the same of every table' "$(cmp right.csv.csv right.tsv.csv 2>&1; cmp right.csv.csv right.jsonl.csv 2>&1)"
is 'of the column that feeds the input' "$(sed -n 2p right.csv.csv | cut -d, -f2-)" \
    "$(sed -n 5p right.csv.csv | cut -d, -f2- | sed 's/^d/a/')"
says right.csv.csv 'photos/none.png: No such file' 'a row without one of its images is an error row'
run score twins.onnx pairs.csv $columns $small --features vector_left -o left.npy
exits 0 'vectors of the other column as an array'
run score twins.onnx pairs.csv --columns image:left=other --columns image:right=anchor $small --features vector_left \
    -o right.npy
exits 0 'the other way round'
is 'one row a row' "$(wc -c <left.npy | tr -d ' ')" $((128 + 5 * 4 * 4))

run score twins.onnx pairs.csv $columns $small --metrics -o before.csv
exits 0 'answers by the same description'
says talk 'accuracy' 'and measures'
run train model=twins.onnx data=pairs.csv columns=image:left=anchor columns=image:right=other columns=label=same \
    valid=pairs.csv epochs=40 lr=0.1 batch=4 out=runs/twins set=resize.size=4 set=center_crop.size=4
exits 0 'training by the same description'
run score runs/twins/best.tenrec pairs.csv $columns --metrics -o after.csv
says after.csv.metrics.json '"accuracy": 1(.0)?,?$' 'learns which are alike'
run train model=twins.onnx data=pairs.csv columns=image:left=anchor,image:right=other,label=same epochs=1 \
    set=resize.size=4,center_crop.size=4 out=runs/list
exits 0 'the description as one list'
printf 'name,u,v\n%s\n%s\n' 'photos/red.png,1,2' 'photos/half.png,3,4' >numbers.csv
run train model=classify.onnx data=numbers.csv columns=image=name,numbers=u,v columns=boxes=w epochs=1 out=runs/n
exits 2 'a list that goes on'
says talk 'no column "w"' 'with items that hold commas'

run score classify.onnx pairs.csv --columns image=anchor,other --task raw $small
exits 0 'more image columns than inputs'
says talk 'note: column other feeds no input of the model' 'is told'
run score classify.onnx pairs.csv --columns image=anchor --task raw $small
ok 'one column is no reason to talk' "$(grep 'feeds no input' talk)"
finish
