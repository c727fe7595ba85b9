#!/bin/sh
# train.sh - tenrec train: what is wrong is said before the first step, a run learns, and no kill changes a bit of it.
. "$(dirname "$0")/cli.sh"
prepare='like=torchvision set=resize.size=16,center_crop.size=16'
colors="model=classify.onnx data=learn $prepare batch=8 threads=1"
small='like=torchvision set=resize.size=16'
masks='model=segment.onnx data=pairs.csv like=torchvision set=resize.size=16 task=image-segmentation batch=8 threads=1'

# --- what cannot be ---
refuse() { # CODE PATTERN NAME ARGUMENTS...
    expected=$1 pattern=$2 name=$3
    shift 3
    run train "$@"
    exits "$expected" "$name"
    says talk "$pattern" "$name: it is said"
}
refuse 2 'say what to train' 'nothing at all'
refuse 2 'unknown key "epoch", did you mean "epochs"' 'a misspelt key' $colors epoch=3
refuse 2 'lr: "fast" is no number' 'a rate that is no number' $colors lr=fast
refuse 2 'lr: .* is no learning rate' 'a rate below zero' $colors lr=-1
refuse 2 'no "adm", did you mean "adam"' 'an optimizer that is none' $colors optimizer=adm
refuse 2 'precision: .*bf16' 'a precision that is none' $colors precision=half
refuse 2 'no "cosin", did you mean "cosine"' 'a schedule that is none' $colors schedule=cosin
refuse 2 'has no "mae", but loss, accuracy' 'a metric the task does not have' $colors metric=mae
refuse 2 'loss: mse does not fit' 'a loss of another task' $colors loss=mse
refuse 2 'sgd has no such number' 'a number of another optimizer' $colors optimizer=sgd beta1=0.5
refuse 2 'no parameter is called like "layer9' 'a pattern that fits nothing' $colors 'freeze=layer9.*'
refuse 2 'all 2 parameters are frozen' 'everything frozen' $colors 'freeze=*'
refuse 2 'flip_h: 2 is not between 0 and 1' 'a strength that cannot be' $colors flip_h=2
mkdir one && cp -r learn/red one/
refuse 4 'all rows are of one class \(red\)' 'one class only' model=classify.onnx data=one $prepare
printf 'image,label\nlearn/red/0.png,red\nlearn/blue/0.png,blue\nlearn/blue/1.png,violet\n' >list.csv
refuse 4 'violet' 'a label outside the list of classes' model=classify.onnx data=list.csv labels=labels.txt $prepare \
    head=keep max_errors=0 valid_share=0
: >empty.csv
refuse 4 'empty.csv' 'a table with nothing in it' model=classify.onnx data=empty.csv $prepare
printf 'image,mask\nhalves/0.png,learn/red/0.png\n' >wrong.csv
refuse 4 'a mask must be gray' 'a mask that is none' $masks data=wrong.csv valid_share=0
for size in 6 12; do # a mask that is smaller than its image, one of the right size, with labels that are no class
    printf 'P5 %d 10 255\n' $size >mask$size.pgm
    head -c $((size * 10)) /dev/zero | tr '\0' '\7' >>mask$size.pgm
done
printf 'image,mask\nhalves/0.png,mask6.pgm\n' >wrong.csv
refuse 4 'the mask is 6 x 10, its image 12 x 10' 'a mask of another size' $masks data=wrong.csv valid_share=0
printf 'image,mask\nhalves/0.png,mask12.pgm\n' >wrong.csv
refuse 4 'the mask holds label 7 at x 0, y 0; the model has 2 classes' 'a label of a mask that is no class' $masks \
    data=wrong.csv valid_share=0
{ echo image,mask && sed -n '2,16p' pairs.csv && echo halves/0.png,mask12.pgm; } >wrong.csv
refuse 4 '1 of 16 rows looked at cannot be used .*wrong.csv:17.*label 7' 'a wrong mask among good ones' $masks \
    data=wrong.csv valid_share=0 max_errors=0
tr '\7' '\1' <mask12.pgm >mask1.pgm
printf 'image,mask\nhalves/0.png,mask1.pgm\nhalves/1.png,mask1.pgm\n' >wrong.csv
refuse 4 'all masks hold label 1 only' 'masks of one label' $masks data=wrong.csv valid_share=0
tr '\7' '\377' <mask12.pgm >mask255.pgm
printf 'image,mask\nhalves/0.png,mask255.pgm\n' >wrong.csv
refuse 4 'no label but ignored ones' 'masks of nothing' $masks data=wrong.csv valid_share=0
printf 'epochs: 3\nbatch: [1, 2]\n' >list.yaml
refuse 2 'list.yaml:2:1: batch takes one value' 'a list for a number' list.yaml
printf 'epochs: 3\nlr: [\n' >broken.yaml
refuse 2 'broken.yaml:3' 'broken YAML' broken.yaml
ok 'none of these left a folder' "$(ls -d runs 2>/dev/null)"

# --- a run ---
run train $colors epochs=12 lr=0.05 out=runs/colors
exits 0 'a classifier learns'
is 'a row an epoch' "$(wc -l <runs/colors/results.csv | tr -d ' ')" 13
says runs/colors/args.yaml '^lr: 0.05' 'what it was told is kept'
ok 'there are pictures, or a word about them' "$([ -s runs/colors/curves.png ] || grep 'need cairo' talk)"
is 'events begin as TensorBoard has it' "$(od -An -tx1 -N12 runs/colors/events.out.tfevents.* | tr -d ' ')" \
    1800000000000000a37f4b22
ok 'the loss falls' "$(awk -F, 'NR==2 { a=$4 } END { if (!($4 < a / 2)) print a, $4 }' runs/colors/results.csv)"
run train $colors epochs=12 lr=0.05 out=runs/narrow precision=bf16-rounded
exits 0 'products rounded to bf16 learn'
ok 'as well' "$(paste -d, runs/colors/results.csv runs/narrow/results.csv | awk -F, 'NR == 13 {
    far = $4 - $(NF / 2 + 4); if (far > 0.05 || far < -0.05) print $4, $(NF / 2 + 4) }')"
ok 'with other numbers' "$(cmp -s runs/colors/results.csv runs/narrow/results.csv && echo the same)"
run verify runs/colors/best.tenrec
exits 0 'the best package proves itself'

# --- its optimizer, as PyTorch has it ---
run export runs/colors -o state.pth
exits 0 'a run becomes a checkpoint of PyTorch'
says talk '2 weights and 6 tensors of adam, equal in every bit' 'with the state of its optimizer'
run info state.pth
says out 'epoch = 12' 'which says how far it came'
run train $colors epochs=1 weights=state.pth optimizer_state=state.pth out=runs/on
exits 0 'and another run begins with it'
says talk 'the optimizer goes on from state.pth: 4 tensors, 0 of 2' 'all of it'
run export runs/colors -o state.onnx
exits 2 'a run in a form that has no optimizer'
refuse 4 'no state of rmsprop' 'the state of another optimizer' $colors optimizer=rmsprop optimizer_state=state.pth
refuse 1 'nothere.pth' 'a file that is not there' $colors optimizer_state=nothere.pth
run score runs/colors/best.tenrec learn
exits 0 'and scores'
is 'nearly all are right' "$(awk -F, 'NR>1 && index($1, $2 "/")' out | wc -l | awk '{ print ($1 >= 29) }')" 1
run train $colors epochs=1 out=runs/colors
ok 'a folder that is there is not written over' "$([ -f runs/colors2/last.tenrec ] || ls runs)"
printf 'model: runs/colors/best.tenrec\ndata: learn\nepochs: 1\nvalid_share: 0.25\nfreeze: ["fc.weight"]\n' >again.yaml
run train again.yaml out=runs/again
exits 0 'a package is trained again, by a description'
says talk '4 of them trained|16 parameters, 4' 'frozen parameters stay out'
printf 'image,label\nlearn/red/0.png,red\nlearn/red/1.png,red\nlearn/blue/1.png,blue\n' >list.csv
run train model=classify.onnx data=list.csv labels=labels.txt $prepare epochs=1 valid_share=0 out=runs/lacking
says talk 'no row to learn from is of class' 'a class without rows'
echo image,label >two.csv
for i in 0 1 2 3 4 5; do printf 'learn/red/%d.png,warm\nlearn/blue/%d.png,cold\n' $i $i; done >>two.csv
run train model=classify.onnx data=two.csv $prepare epochs=2 out=runs/two
exits 0 'other classes than the model had'
says talk 'answers with 2 classes now \(4 before\)' 'the last layer is made anew'
run score runs/two/last.tenrec photos
says out 'warm|cold' 'and the package names them'
run train $masks epochs=20 lr=0.1 out=runs/masks flip_h=0.5 brightness=0.1
exits 0 'masks are learnt'
says talk 'valid miou (0.[89]|1)' 'and found'
cat >holes.csv <<END
image,mask
halves/0.png,halves/mask0.png
halves/1.png,photos/none.png
halves/2.png,halves/mask2.png
END
run train $masks data=holes.csv valid_share=0 epochs=2 out=runs/holes
exits 0 'a row that fails is skipped'
says talk 'skipped: .*none.png' 'and named'
run train $masks data=holes.csv valid_share=0 epochs=2 max_errors=1 out=runs/holes
exits 4 'past the limit the run stops'
run train model=single.onnx data=learn like=torchvision set=resize.size=12,center_crop.size=12 epochs=3 batch=8 \
    out=runs/single
exits 0 'a model made for one sample at a time learns in batches'
says talk 'takes any number now' 'which is said'
run score runs/single/last.tenrec learn --batch 4
exits 0 'and answers in batches afterwards'

# --- batches are the same, whoever makes them; pairs are mixed ---
mixed="$colors epochs=3 flip_h=0.5 noise=0.1 mixup=0.4 accumulate=2 checkpoint_updates=1"
for loaders in 0 1 3; do
    run train $mixed loaders=$loaders out=runs/loaders$loaders
    exits 0 "batches by $loaders threads of their own"
    is "their weights" "$(cmp runs/loaders0/last.tenrec runs/loaders$loaders/last.tenrec 2>&1)" ''
done
run train $colors epochs=3 flip_h=0.5 noise=0.1 accumulate=2 checkpoint_updates=1 out=runs/unmixed
ok 'without pairs they are others' "$(cmp -s runs/loaders0/last.tenrec runs/unmixed/last.tenrec && echo the same)"
refuse 2 'mixup: 2 is not between' 'a share that cannot be' $colors mixup=2

# --- the older descriptions ---
cat >old.yaml <<END
sas:
  dlx:
    label: 'a model'
    dataset:
      type: UNIVARIATE
    preProcessing:
      - modelInput:
          label: input_tensor1
          imageTransformation:
            resize:
              type: To_FIX_DIM
              size: '16 16'
            randomTransform:
              mosaicProb: 0.0
              random_flip_h: .01
              degree: .373
              colorSpace: "0.1 0.12 0.15"
    model:
      type: TORCHSCRIPT
      caslib: models
      path: classify.onnx
      inputs:
        - label: input_tensor1
          size: [0]
      outputs:
        - label: output_tensor1
          size: [0]
END
run train old.yaml data=learn epochs=1 out=runs/old
exits 0 'a description of the older form, as it is'
says runs/old/args.yaml 'degrees: 0.373' 'its augmentations'
says runs/old/args.yaml 'mode.*exact.*16, 16' 'its size'
sed 's/random_flip_h: .01/random_flip_h: {lb: 0, ub: 1}/' old.yaml >range.yaml
refuse 3 'range.yaml:15:.*is a range' 'a range in it' range.yaml data=learn
sed 's/degree:/degrees_of:/' old.yaml >odd.yaml
refuse 2 'odd.yaml:16:15: unknown key .*degrees_of' 'a key it cannot have' odd.yaml data=learn
sed 's/UNIVARIATE/OBJDETECT/' old.yaml >boxes.yaml
refuse 3 'boxes.yaml:5:7: dataset.type: "OBJDETECT"' 'a task that is not there' boxes.yaml data=learn
printf 'sas:\n  dlx:\n    model: {type: TORCHNATIVE, name: SAS_TORCH_YOLO_V5, subtype: SMALL}\n' >native.yaml
refuse 3 'YOLO_V5" is not in the zoo' 'a network that is not there' native.yaml data=learn
printf 'sas:\n  dlx:\n    model: {type: TORCHNATIVE, name: SAS_TORCH_LENET, classNumber: 4}\nepochs: 1\n' >native.yaml
run train native.yaml data=learn out=runs/native
exits 0 'a network it names, and our own keys beside it'

# --- numbers that run away ---
run train $colors optimizer=sgd lr=1e38 epochs=3 out=runs/wild
exits 1 'a loss that is not finite stops the run'
says talk 'step [0-9]+ \(epoch [0-9]+, batch [0-9]+\).*not finite, first at .*\(' 'the step and the node are named'
says talk 'holds no checkpoint yet' 'and that there is no checkpoint'
run train $colors optimizer=sgd lr=1e-3 schedule=exponential gamma=1e38 epochs=3 out=runs/wilder
exits 1 'one that runs away later'
says talk 'epoch [23].*holds the last good checkpoint' 'leaves a checkpoint'
run train --resume runs/wilder
exits 1 'from which it runs away again'

# --- kernels by a recipe ---
noisy="$colors noise=0.1 epochs=2"
run bench classify.onnx --size 16 --batch 8 --train --seconds 0.05 --tune tuned.json
exits 0 'a recipe of a step of training'
# What it found depends on the machine; the name of a kernel that sums in another order does not.
awk '!inside { print } /"kernels": / { inside = !/}/ } inside && /}/ { inside = 0 }' tuned.json |
    sed 's/"kernels": .*/"kernels": {"ReduceMean float32[*,3,16,16] int64[2] keepdims=0": "dnnl"},/' >recipe.json
run train $noisy out=runs/ruled
run train $noisy out=runs/tuned recipe=recipe.json
exits 0 'a training by a recipe'
ok 'is followed without a word' "$(grep recipe.json talk)"
ok 'to other bits' "$(cmp -s runs/ruled/last.tenrec runs/tuned/last.tenrec && echo the same)"
run train $noisy out=runs/tuned2 recipe=recipe.json
is 'always the same' "$(cmp runs/tuned/last.tenrec runs/tuned2/last.tenrec 2>&1)" ''
sed 's/"processor": ".*"/"processor": "another"/' recipe.json >another.json
run train $noisy out=runs/another recipe=another.json
exits 0 'a recipe of another machine'
is 'is ignored with one line' "$(grep another.json talk)" 'tenrec: another.json is for another processor: ignored'
is 'as if there were none' "$(cmp runs/ruled/last.tenrec runs/another/last.tenrec 2>&1)" ''
run train model=segment.onnx data=pairs.csv $small epochs=1 recipe=recipe.json out=runs/unlike
says talk 'recipe.json is for another model: ignored' 'a recipe of another model'
refuse 1 'nothere.json' 'a recipe that is not there' $colors recipe=nothere.json
echo '{"kernels": 5' >broken.json
refuse 4 'broken.json' 'a broken recipe' $colors recipe=broken.json

# --- resume ---
# Ten kills at random moments, and a resume after each, of a run with everything that a checkpoint has to hold.
rich="$colors epochs=40 checkpoint_updates=3 precision=bf16-rounded optimizer=adam amsgrad=true lr=0.01"
rich="$rich schedule=plateau lr_patience=2 metric=loss warmup=1.5 clip_norm=1 accumulate=2 ema=0.9 loaders=2"
rich="$rich flip_h=0.5 noise=0.05 degrees=20 hue=0.1 mixup=0.3 heads=logits=cross_entropy*0.5"
begun=$(date +%s%N)
run train $rich out=runs/whole
exits 0 'a run'
mv talk talk.whole
quarter=$((($(date +%s%N) - begun) / 4000000)) # milliseconds
"$tenrec" train $rich out=runs/killed 2>talk &
for i in 1 2 3 4 5 6 7 8 9 10; do
    sleep "$(awk -v i="$i" -v most="$quarter" 'BEGIN { srand(i); printf "%.3f", rand() * most / 1000 }')"
    kill -9 $! 2>/dev/null
    wait $! 2>/dev/null
    if [ -f runs/killed/args.yaml ]; then "$tenrec" train --resume runs/killed 2>talk &
    else
        rm -rf runs/killed
        "$tenrec" train $rich out=runs/killed 2>talk &
    fi
done
wait $!
for file in last.tenrec best.tenrec results.csv; do
    is "killed ten times and resumed: $file is the same in every bit" \
        "$(cmp runs/whole/$file runs/killed/$file 2>&1)" ''
done
"$tenrec" train --resume runs/whole 2>again
is 'the weights have one name' "$(grep ' weights ' talk.whole)" "$(grep ' weights ' again)"
run train --resume runs/killed epochs=50
exits 2 'a resume takes no other settings'
"$tenrec" train $colors epochs=1000000 checkpoint_updates=1 out=runs/interrupted 2>talk &
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    [ -f runs/interrupted/checkpoint.safetensors ] && break
    sleep 0.2
done
kill -INT $!
wait $!
is 'an interrupt ends with 130' "$?" 130
says talk 'resume runs/interrupted goes on' 'and says how to go on'

# --- where other bits would come of it ---
other() { # NAME: a resume that is refused, unless it is asked for
    exits 2 "a resume with other $1"
    says talk "$1 was .* so the result would have other bits; --force" "other $1: it is said"
}
run train $colors epochs=2 out=runs/other
sed -i 's/^threads: 1$/threads: 2/' runs/other/args.yaml
run train --resume runs/other
other threads
run train --resume runs/other --force
exits 0 'all the same'
run train --resume runs/tuned
exits 0 'a resume with the same recipe'
sed -i 's/: "dnnl"/: "cpu"/' recipe.json
run train --resume runs/tuned
other recipe
run train --resume runs/tuned --force
exits 0 'all the same'
if grep -aq 'oneDNN [0-9. ]*avx' runs/whole/checkpoint.safetensors; then
    DNNL_MAX_CPU_ISA=SSE41
    export DNNL_MAX_CPU_ISA
    run train --resume runs/whole
    other kernels
    unset DNNL_MAX_CPU_ISA
fi

# --- checkpoints that are damaged, of another run, or find no room ---
kept=runs/interrupted/checkpoint.safetensors
cp $kept whole.safetensors
size=$(wc -c <$kept)
# Files of this shell may hold two blocks only.
(ulimit -f 2; trap '' XFSZ; "$tenrec" train --resume runs/interrupted >out 2>talk)
code=$?
exits 1 'no room for a checkpoint'
says talk 'runs/interrupted' 'is said'
is 'the one before is whole' "$(cmp $kept whole.safetensors 2>&1)" ''
spoiled() { # NAME
    run train --resume runs/interrupted
    exits 4 "$1"
    says talk 'checkpoint.safetensors' "$1: it is said"
}
for cut in 0 1 9 100 $((size / 2)) $((size - 1)); do
    head -c $cut whole.safetensors >$kept
    spoiled "a checkpoint cut to $cut bytes"
done
for at in 2 20 $((size / 3)) $((size / 2)) $((size - 1)); do
    byte=$(od -An -tu1 -j $at -N 1 whole.safetensors | tr -d ' ')
    head -c $at whole.safetensors >$kept
    printf "\\$(printf %o $((byte ^ 4)))" >>$kept
    tail -c +$((at + 2)) whole.safetensors >>$kept
    spoiled "a checkpoint with a bit turned at $at"
done
cp runs/two/checkpoint.safetensors $kept
spoiled 'a checkpoint of another run'
printf 'no checkpoint' >$kept
spoiled 'a checkpoint that is none'
# Files of this shell may hold two blocks only: neither package nor checkpoint fits.
(ulimit -f 2; trap '' XFSZ; "$tenrec" train $colors epochs=3 out=runs/fuller >out 2>talk)
code=$?
exits 1 'a disk that is full'
says talk 'runs/fuller|best.tenrec' 'is said with the file'
ok 'no half file is left' "$(find runs/fuller -name '*.tenrec*')"
finish
