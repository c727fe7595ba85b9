#!/bin/sh
# train_memory.sh - the memory that tenrec train announces before the first step is what it needs in the end.
. "$(dirname "$0")/cli.sh"
shared=${TENREC_SHARED:-$(dirname "$0")/../../../shared}/corpus
if grep -qa __asan_init "$tenrec"; then
    ok 'memory # SKIP AddressSanitizer has its own ways with memory' ''
    finish
fi

# near NAME KEYS...: what was announced is within 20 % of the peak.
near() {
    name=$1
    shift
    run train "$@" epochs=1 out=runs/memory
    exits 0 "$name is trained"
    ok "$name: the memory announced is near the peak" "$(awk '
        /memory: about/ { said = $4 }
        /memory: .* at the peak/ { most = $3 }
        END { if (!(said > 0.8 * most && said < 1.2 * most)) print "said", said, "MB, needed", most, "MB" }' talk)"
}
there() { # NAME MODEL KEYS...: the same of a model of the corpus
    name=$1 model=$shared/$2
    shift 2
    if [ -e "$model" ]; then near "$name" model="$model" "$@"; else ok "$name # SKIP no $model" ''; fi
}
gray='preprocess=[{"op":"decode","color_space":"GRAY"},{"op":"resize","mode":"exact","size":[28,28]},'
gray="$gray"'{"op":"rescale","factor":255},{"op":"layout"}]'
near 'a tiny network' model=classify.onnx data=learn set=resize.size=16,center_crop.size=16 batch=8
near 'the digits network' model=zoo:digits data=learn "$gray" batch=24
near 'the same with an average, gathered gradients and a loader' model=zoo:digits data=learn "$gray" batch=8 \
    ema=0.9 accumulate=2 loaders=1 mixup=0.2
near 'resnet18' model=zoo:resnet18 data=learn limit=10 batch=8 input=Nx3x64x64 set=resize.size=64,center_crop.size=64
near 'frozen layers' model=zoo:resnet18 data=learn limit=10 batch=8 input=Nx3x128x128 'freeze=conv1*,bn1*,layer*' \
    set=resize.size=128,center_crop.size=128 valid_share=0
near 'unet' model=zoo:unet_small data=pairs.csv limit=5 batch=2 input=Nx3x128x128 set=resize.size=128
there 'an imported ONNX' onnx/dlpy_pytorch_net1/pytorch_net1.onnx data=learn valid_share=0 limit=8 batch=8
there 'an imported TorchScript' torchscript/asl_cnn_ptl/asl.ptl data=learn valid_share=0 limit=8 batch=8 \
    input=Nx3x224x224
# A day of 22 series: the file of one array serves all rows.
printf "\223NUMPY\001\000v\000%-117s\n" "{'descr': '<f4', 'fortran_order': False, 'shape': (24, 22), }" >day.npy
head -c $((24 * 22 * 4)) /dev/zero >>day.npy
awk 'BEGIN { print "values,a,b,c,d,e,f"; for (i = 0; i < 64; i++) print "day.npy,1,2,3,4,5," i % 7 }' >days.csv
there 'an LSTM' keras_v3/electricity_lstm/lstm_model.keras data=days.csv batch=32 task=regression \
    columns=sequence=values,numbers=a,numbers=b,numbers=c,numbers=d,numbers=e,numbers=f
finish
