#!/bin/sh
# run.sh - tenrec run: tensors by place and by name, state between calls, files out, errors that say what to do.
. "$(dirname "$0")/cli.sh"

run run add.onnx 1,-2 3,4
exits 0 'numbers as inputs'
is 'give the outputs' "$(grep -A1 '^sum' out | tail -1 | tr -s ' ')" ' 4 6'
run run add.onnx b=3,4 a=1,2 --reference
is 'inputs by name' "$(grep -A1 '^product' out | tail -1 | tr -s ' ')" ' 12 24'
run run add.onnx 1,2 3,4 --then 5,6
is '--then calls again, keeping what is not given' "$(grep -A1 '^2/sum' out | tail -1 | tr -s ' ')" ' 8 10'
run run add.onnx 1,2 3,4 --then 5,6 -o out.npz
exits 0 'outputs to a file'
is 'which holds them by name' "$(unzip -Z1 out.npz 2>/dev/null | tr '\n' ' ' || echo none)" \
    'sum.npy product.npy 2/sum.npy 2/product.npy '
is 'and stdout stays empty' "$(cat out)" ''
unzip -q out.npz sum.npy
run run add.onnx out.npz b=sum.npy
exits 4 'an archive without the input'
run run add.onnx sum.npy b=sum.npy --json
exits 0 'arrays as inputs'
says out '"sum"' 'and JSON out'
run run segment.onnx photos/half.png --like torchvision --set resize.size=16 -o y.npy \
    --save-input seen.png
exits 0 'an image as input'
ok 'what the model saw is an image' "$([ "$(head -c 4 seen.png | tail -c 3)" = PNG ] || echo no)"
is 'one output goes to .npy' "$(head -c 6 y.npy | tail -c 5)" NUMPY
run run add.onnx 1,2 3,4 --profile
says out 'Mul' 'a profile names the nodes'

run run add.onnx 1,2
exits 2 'a missing input'
says talk 'nothing was given for: b float32\[N,2\]' 'is named with its shape'
run run add.onnx 1,2 c=3,4
exits 2 'an unknown input'
says talk 'there are: a b' 'gets the list'
run run add.onnx 1,2 3,4 5,6
exits 2 'one input too many'
run run add.onnx 1,2 nowhere.npy
exits 1 'a file that is not there'
run run add.onnx 1,2 3,4 -o out.npy
exits 2 'two outputs do not fit into .npy'
run run add.onnx 1,2 3,4 -o out.txt
exits 2 'nor any into .txt'
run run add.onnx 1,2 3,4 --reverence
exits 2 'a misspelt option'
says talk 'did you mean "--reference"' 'gets a suggestion'
run run add.onnx 1,2,3 4
exits 4 'numbers that do not fill the shape'
if [ -w /dev/full ] && [ "$(id -u)" = 0 ] && mkdir small && mount -t tmpfs -o size=4k tmpfs small 2>/dev/null; then
    head -c 4096 /dev/zero >small/filler
    run run add.onnx 1,2 3,4 -o small/out.npz
    exits 1 'a full disk'
    is 'leaves nothing half-written' "$(ls small)" filler
    umount small
else
    skip 'a full disk' 'needs root and tmpfs'
fi
finish
