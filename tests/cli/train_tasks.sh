#!/bin/sh
# train_tasks.sh - tenrec train beyond classes and masks: numbers, the image itself, sequences; imported models learn.
. "$(dirname "$0")/cli.sh"
small='like=torchvision set=resize.size=16'
prepare='like=torchvision set=resize.size=16,center_crop.size=16'

# falls FOLDER FACTOR NAME: the loss of the last epoch is below that of the first times FACTOR.
falls() {
    ok "$3" "$(awk -F, -v f="$2" 'NR==2 { a=$4 } END { if (!($4 < a * f)) print a, $4 }' "$1/results.csv" 2>&1)"
}
proves() { # FOLDER NAME
    run verify "$1/best.tenrec"
    exits 0 "$2: the package proves itself"
}

# --- numbers: two key points of each image, where its colour has put them ---
echo image,x1,y1,x2,y2 >points.csv
for i in 0 1 2 3 4 5 6 7; do
    printf 'learn/red/%d.png,0.9,0.1,0.2,0.4\nlearn/green/%d.png,0.1,0.8,0.3,0.4\n' $i $i
    printf 'learn/blue/%d.png,0.2,0.1,0.9,0.5\n' $i
done >>points.csv
points="model=classify.onnx data=points.csv task=regression $prepare"
points="$points columns=numbers=x1,numbers=y1,numbers=x2,numbers=y2"
run train $points batch=8 epochs=30 lr=0.05 out=runs/points
exits 0 'key points are learnt'
says talk 'regression: 21 rows' 'as numbers'
falls runs/points 0.1 'and found'
proves runs/points 'key points'
run score runs/points/best.tenrec points.csv
exits 0 'key points are scored'
sed 's/,0.4$//; s/,y2$//' points.csv >three.csv
run train model=classify.onnx data=three.csv task=regression columns=numbers=x1,numbers=y1,numbers=x2 $prepare
exits 4 'as many numbers as the model gives, or none'
says talk '3 numbers, the model gives 4' 'which is said'
sed 's/0.9,0.1/near,0.1/' points.csv >words.csv
run train $points data=words.csv max_errors=0 out=runs/words
exits 4 'a word for a number'
says talk 'words.csv.*"near" is no number' 'which is said with its place'

# --- several outputs, several losses ---
echo image,label,left,top,half >heads.csv
for i in 0 1 2 3 4 5 6 7; do
    printf 'learn/red/%d.png,red,0.9,0.1,0\nlearn/green/%d.png,green,0.1,0.8,1\n' $i $i
    printf 'learn/blue/%d.png,blue,0.2,0.2,2\nlearn/white/%d.png,white,0.5,0.5,3\n' $i $i
done >>heads.csv
heads="model=heads.onnx data=heads.csv $prepare batch=8 lr=0.05"
run train $heads epochs=40 heads='place=smooth_l1*0.5:left+top' out=runs/heads
exits 0 'a class and a place are learnt together'
falls runs/heads 0.2 'by the sum of their losses'
proves runs/heads 'two outputs'
# column FOLDER NAME: its last number.
column() {
    awk -F, -v name="$2" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i }
        END { print at ? $at : "none" }' \
        "$1/results.csv"
}
is 'every head is judged, the first by plain names' "$(head -1 runs/heads/results.csv | cut -d, -f5-)" \
    valid_loss,valid_accuracy,valid_miou,valid_f1,valid_kind.loss,valid_place.loss,valid_place.mae,valid_place.rmse
ok 'the loss is the weighted sum' "$(awk -v all="$(column runs/heads valid_loss)" \
    -v kind="$(column runs/heads valid_kind.loss)" -v place="$(column runs/heads valid_place.loss)" \
    'BEGIN { far = all - kind - 0.5 * place; if (!(kind > 0 && far < 1e-6 && far > -1e-6)) print all, kind, place }')"
ok 'the events have them' "$(grep -aq 'epoch/valid_place.mae' runs/heads/events* || echo none)"
run train $heads epochs=40 heads='place=smooth_l1*0.5:left+top' out=runs/placed metric=place.rmse patience=3
exits 0 'the best is told by another head'
says talk 'valid place.mae 0.[0-9]+, valid place.rmse' 'the log has them'
says talk 'best place.rmse 0.[0-9]+ in epoch' 'which is said'
is 'and its least is kept' "$(sed -n 's/.*best place.rmse \([0-9.e-]*\) in.*/\1/p' talk)" \
    "$(awk -F, 'NR == 2 || NR > 2 && $NF < least { least = $NF } END { printf "%.5g", least }' runs/placed/results.csv)"
run train $heads epochs=2 heads='place=smooth_l1*0.5:left+top' out=runs/named metric=kind.accuracy
exits 0 "the first head's measures have its name, too"
says talk 'best accuracy' 'and their plain one'
run train $heads epochs=40 heads='kind=cross_entropy*0.5:half' out=runs/again
exits 0 'a column of numbers is classes'
ok 'which are judged as such' "$(awk -v right="$(column runs/again valid_kind_2.accuracy)" \
    'BEGIN { if (!(right >= 0 && right <= 1)) print right }')"
run train model=segment.onnx data=pairs.csv like=torchvision set=resize.size=16 epochs=3 batch=8 heads='y=dice*0.5' \
    mixup=0.2 accumulate=2 out=runs/dice
exits 0 'two losses of one output'
is 'have one answer, and its measures' "$(column runs/dice valid_y_2.miou)" "$(column runs/dice valid_miou)"
unfit() { # CODE PATTERN NAME KEYS...
    expected=$1 pattern=$2 name=$3
    shift 3
    run train $heads "$@" out=runs/unfit
    exits "$expected" "$name"
    says talk "$pattern" "$name: it is said"
    ok "$name: before a folder is made" "$(ls -d runs/unfit 2>/dev/null)"
}
unfit 2 'begins with no output of the model \(kind, place\)' 'an output that is none' heads=places=mse:left
unfit 2 'no "msee", did you mean "mse"' 'a loss that is none' heads=place=msee:left+top
unfit 2 'is no weight above 0' 'a weight that is none' 'heads=place=mse*-1:left+top'
unfit 2 'has no column "z"' 'a column that is none' heads=place=mse:left+z
unfit 2 'does not fit what the first output learns' 'a loss of another kind' heads=place=mse
unfit 2 'a class is one column' 'a class of two columns' heads=place=cross_entropy:left+top
unfit 4 'holds 1 numbers, the model gives 2' 'too few numbers' heads=place=mse:left
unfit 4 'holds no class from 0 to 1' 'a class that is none' max_errors=0 heads=place=cross_entropy:left
unfit 2 'metric: .* has no "place.accuracy", but loss, .*, kind.loss, place.loss, place.mae, place.rmse' \
    'a metric that a head does not have' heads=place=mse:left+top metric=place.accuracy
unfit 2 'metric: .* has no "places.mae"' 'a metric of a head that is none' heads=place=mse:left+top metric=places.mae
unfit 2 'loss_weight: 0' 'a main loss that weighs nothing' loss_weight=0

# --- the image itself ---
run train model=copy.onnx data=learn task=reconstruction $small batch=8 epochs=60 lr=0.05 out=runs/copy
exits 0 'an image is learnt from itself'
falls runs/copy 0.1 'and given back'
proves runs/copy 'the auto-encoder'
run train model=segment.onnx data=learn task=reconstruction $small batch=8 out=runs/other
exits 2 'an answer of another shape is no image'

# --- sequences ---
echo values,label >rows.csv
for i in 1 2 3 4 5 6 7 8 9; do
    printf '"1.%d 0 2 0 %d 0",up\n"0 1.%d 0 2 0 %d",down\n' $i $i $i $i
done >>rows.csv
sequence='model=sequence.onnx data=rows.csv columns=sequence=values,label=label'
run train $sequence batch=6 epochs=20 lr=0.05 valid_share=0.3 out=runs/rows
exits 0 'sequences are told apart'
says talk 'sequence-classification: 13 rows' 'as such'
says talk 'valid accuracy 1[^0-9.]' 'all of them'
proves runs/rows 'sequences'
sed 's/"1.3 0 2/"1.3 2/' rows.csv >short.csv
run train $sequence data=short.csv epochs=1 valid_share=0 out=runs/short
exits 4 'a sequence of another length'

# --- models of other people learn ---
shared=${TENREC_SHARED:-$(dirname "$0")/../../../shared}
learns() { # NAME MODEL KEYS...: two classes of plain colours
    name=$1 model=$shared/corpus/$2
    shift 2
    if [ ! -e "$model" ]; then
        ok "$name # SKIP no $model" ''
        return
    fi
    run train model="$model" data=learn valid_share=0 batch=8 out="runs/$name" "$@"
    exits 0 "$name is trained"
    falls "runs/$name" 0.8 "$name: its loss falls"
    run verify "runs/$name/last.tenrec"
    exits 0 "$name: the package proves itself"
    run score "runs/$name/last.tenrec" learn
    exits 0 "$name: and scores"
    says out 'red|green|blue|white' "$name: by the table's classes"
}
printf '%s\n' red green blue white 4 5 6 7 8 9 >ten.txt
learns mnist onnx/mnist_8/model.onnx labels=ten.txt head=keep epochs=8 lr=0.003
learns net1 onnx/dlpy_pytorch_net1/pytorch_net1.onnx epochs=20 lr=0.01
learns asl torchscript/asl_cnn_ptl/asl.ptl epochs=2 lr=0.001 input=Nx3x224x224
finish
