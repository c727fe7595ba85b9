#!/bin/sh
# quantize.sh - tenrec quantize: what cannot be, a file that answers alike, and one that is not worth keeping.
. "$(dirname "$0")/cli.sh"
prepare='--like torchvision --set resize.size=12 --set center_crop.size=12'

# --- what cannot be ---
run quantize single.onnx --data learn
exits 2 'nowhere to write'
says talk '-o FILE is missing' 'is said'
run quantize single.onnx -o q.onnx
exits 2 'no table'
says talk '--data TABLE is missing' 'is said'
: >empty.csv
run quantize single.onnx --data empty.csv -o q.onnx $prepare
exits 4 'a table with nothing in it'
printf 'image\nnone/0.png\nnone/1.png\n' >lost.csv
run quantize single.onnx --data lost.csv -o q.onnx $prepare
exits 4 'a table of which nothing can be read'
says talk 'none of 2 rows can be read' 'is said'
run quantize add.onnx --data learn -o q.onnx
exits 2 'a table that does not feed the model'
run quantize single.onnx --data learn -o q.onnx $prepare --skip nothing
exits 2 'a node to skip that is none'
run quantize single.onnx --data learn -o q.onnx $prepare --weight-bits 9
exits 2 'too many bits'
run quantize single.onnx --data learn -o q.onnx $prepare --calibration guess
exits 2 'a calibration that is none'
ok 'nothing was written' "$([ ! -e q.onnx ] || echo q.onnx)"

# --- what can ---
for how in minmax percentile mse; do
    rm -f q.onnx
    run quantize single.onnx --data learn -o q.onnx $prepare --calibration $how --force
    exits 0 "calibrated by $how"
    says out 'agreement +(100|9[0-9])\.[0-9]+ %' 'most answers are the same'
    says out 'time .* ms before' 'and times are told'
done
run show q.onnx
says out 'QuantizeLinear' 'the file holds pairs of Q and DQ'
run show q.onnx --plan --size 12
says out 'QuantizedConv' 'the plan works on integers'
run quantize single.onnx --data learn -o q.tenrec $prepare --force --weight-bits 8 --json
exits 0 'a package, and a report as JSON'
says out '"ms_now"' 'with times'
says out '"kept": true' 'and the judgement'
run score q.tenrec learn
exits 0 'the package is scored'
run score single.onnx learn $prepare
exits 0 'as the network it came from is'
run quantize single.onnx --data learn -o none.onnx $prepare --max-drop 0 --weight-bits 7
[ "$code" = 0 ] || says talk 'is not written' 'what is slower or worse is not written'
run quantize classify.onnx --data learn -o worse.onnx --like torchvision --max-drop 0 --samples 1 --rows 1 --force
exits 0 'a product alone'
finish
