#!/bin/sh
# detect.sh - tenrec score with a detector: boxes in every format, over the images, and against the truth.
. "$(dirname "$0")/cli.sh"
printf 'none\nred thing\nblue thing\n' >things.txt
settings='--task object-detection --labels things.txt --set resize.size=16'
settings="$settings --set boxes.iou=0.5 --set boxes.threshold=0.3"

run score detect.onnx photos $settings --set boxes.treshold=1
exits 2 'a misspelt parameter of the step'
says talk 'did you mean "threshold"' 'gets a suggestion'
run score detect.onnx photos $settings --set boxes.form=classes
exits 2 'a form that the output does not have'
says talk 'too few' 'is told'
run score classify.onnx photos --task object-detection
says talk 'none of the known forms' 'a model without boxes is told'

run score detect.onnx photos $settings -o found
exits 0 'a detector'
is 'two boxes that overlap become one, pixels are those of the image' \
    "$(sed -n '/red.png/s/0\.70588[0-9]*/0.70588/p' found/results.csv)" \
    'photos/red.png,1,"[[""red thing"",0.70588,0.0,0.0,5.052632,5.0]]",overlays/red.png,'
is 'nothing found is no error' "$(grep green.png found/results.csv)" \
    'photos/green/green.png,0,[],overlays/green/green.png,'
is 'overlays, no masks' "$(cd found && find . -type f | LC_ALL=C sort | tr '\n' ' ')" \
    './overlays/green/green.png ./overlays/half.png ./overlays/red.png ./results.csv '
run score detect.onnx photos $settings --set boxes.max=2 --names sas
is 'names of the systems before' "$(sed -n '1p' out | cut -d, -f1-8)" \
    'path,_nObjects_,_Object0_,_P_Object0_,_Object0_x,_Object0_y,_Object0_width,_Object0_height'
is 'a column for each number of each object' "$(sed -n '/red.png/s/0\.70588[0-9]*/0.70588/p' out)" \
    'photos/red.png,1,red thing,0.70588,0.210526316,0.25,0.421052632,0.5,,,,,,,'
run score detect.onnx photos $settings -o found.jsonl
says found.jsonl '"index":1,"label":"red thing","score":0.70588[0-9]*,"box":\[0.0,0.0,5.052632,5.0\]\}' 'JSON lines'
run score detect.onnx photos $settings -o found.db
exits 0 'SQLite'
run score detect.onnx photos $settings --set boxes.iou=0
is 'without suppression all are there' "$(grep -o 'red thing' out | wc -l | tr -d ' ')" 3
run score detect.onnx photos $settings --batch 2
exits 2 'a model of one image takes no batch'

table() {
    echo image,boxes
    for name in half red green/green; do echo "photos/$name.png,truth/${name#*/}.xml"; done
} >rows.csv

# The truth of half.png is met nearly, that of red.png is elsewhere; green.png has an object that does not count.
mkdir truth
voc() { # NAME DIFFICULT LEFT TOP RIGHT BOTTOM CLASS
    echo "<annotation><size><width>12</width><height>10</height></size>
        <object><name>$7</name><difficult>$2</difficult>
        <bndbox><xmin>$3</xmin><ymin>$4</ymin><xmax>$5</xmax><ymax>$6</ymax></bndbox>
        </object></annotation>" >"truth/$1.xml"
}
voc half 0 6 6 10 10 'blue thing'
voc red 0 8 6 12 10 'red thing'
voc green 1 1 1 5 5 'red thing'
table
run score detect.onnx rows.csv $settings --metrics -o judged.csv
exits 0 'boxes are compared'
says judged.csv.metrics.json '"map_50": 0.5' 'one class is found, the other is not'
says judged.csv.metrics.json '"label": "blue thing", *"truths": 1|"truths": 1' 'each class for itself'
for i in 1 2; do run score detect.onnx rows.csv $settings --metrics -o shards.csv --shard $i/2; done
ok 'shards: the same measures' "$(cmp judged.csv.metrics.json shards.csv.metrics.json 2>&1)"
printf '2 0.6 0.75 0.4 0.5\n' >truth/half.txt
printf 'image,boxes\nphotos/half.png,truth/half.txt\nphotos/red.png,"[[1, 0.25, 0.25, 0.5, 0.5]]"\n' >rows.csv
run score detect.onnx rows.csv $settings --metrics -o judged.csv
says judged.csv.metrics.json '"map_50": 1.0|"map_50": 0.99999' 'YOLO text and JSON'

echo '<annotation><size>' >truth/red.xml
sed 's/blue thing/bleu thing/' truth/half.xml >truth/green.xml
table
run score detect.onnx rows.csv $settings --metrics -o judged.csv
exits 0 'a broken file of boxes does not end the job'
says talk 'no target .*: 2 rows' 'and is counted'
printf '<!DOCTYPE a [<!ENTITY b "bbbb">]><annotation>&b;</annotation>' >truth/red.xml
run data inspect rows.csv
ok 'a file that defines entities is no hang' "$([ "$code" -lt 128 ] || echo "$code")"
finish
