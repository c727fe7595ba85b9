#!/bin/bash
# examples.sh - every example that a command's help shows runs as it is written, on files of the names in it.
demo=$(cd "$(dirname "$0")/../../examples/demo" && pwd)
. "$(dirname "$0")/cli.sh"
mkdir bin
ln -s "$tenrec" bin/tenrec
PATH=$PWD/bin:$PATH
exec </dev/null

# The files that examples speak of: small networks, photographs, lists of them.
prepare() {
    set -e
    tenrec zoo new resnet18 -o resnet18.tenrec input=3x32x32 classes=3
    tenrec export resnet18.tenrec -o resnet18.onnx
    tenrec export resnet18.tenrec -o resnet18.pt
    tenrec export resnet18.tenrec -o checkpoint.pth
    cp resnet18.onnx resnet50.onnx
    tenrec zoo new resnet18 -o net.tenrec input=3xHxW classes=3
    tenrec export net.tenrec -o net.onnx
    tenrec export net.tenrec -o net.pt
    cp net.pt old.pt
    cp net.pt new.pt
    tenrec export add.onnx -o text.onnx --rename a=ids --rename b=mask
    cp sound.onnx vad.onnx
    printf 'red\ngreen\nblue\n' >imagenet.txt
    tenrec zoo new digits -o digits.tenrec
    tenrec data synth digits -o digits -n 60
    tenrec data split digits -o lists
    mv lists/train.csv digits.csv
    tenrec train model=digits.tenrec data=digits.csv epochs=1 batch=8 out=runs/digits
    tenrec zoo new unet_small -o seg.tenrec input=3x32x32 classes=2
    printf 'image,species,note\n' >rows.csv
    for i in 0 1 2; do
        mkdir -p photos "flowers/$i" "pets/$i"
        cp "$demo/night/night_$i.jpg" photos
        cp "$demo/night/night_$i.jpg" "flowers/$i/a.jpg"
        cp "$demo/night/night_1$i.jpg" "flowers/$i/b.jpg"
        cp "$demo/night/night_$i.jpg" "$demo/night/night_1$i.jpg" "pets/$i"
        printf 'photos/night_%d.jpg,%d,seen\n' $i $i >>rows.csv
    done
    cp photos/night_0.jpg cat.jpg
    cp photos/night_1.jpg photo.jpg
    printf 'image,mask\n' >street.csv
    for i in 0 1 2 10; do
        printf '%s,%s\n' "$demo/night/night_$i.jpg" "$demo/night/night_${i}_mask.png" >>street.csv
    done
    tenrec zoo new unet_small -o street.tenrec input=3x32x32 classes=5
    printf 'model: street.tenrec\ndata: street.csv\nepochs: 2\n' >street.yaml
    python3 - <<'END'
import struct
def npy(name, shape, values):
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }" % (shape,)
    head += ' ' * (-(len(head) + 11) % 64) + '\n'
    with open(name, 'wb') as f:
        f.write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(head)) + head.encode())
        f.write(struct.pack('<%df' % len(values), *values))
for name in 'tokens', 'mask': npy(name + '.npy', (1, 2), [1, 2])
for i in 1, 2, 3: npy('chunk%d.npy' % i, (1, 4), [i] * 4)
END
}
mkdir files
mv ./*.onnx files
(cd files && prepare) >made 2>&1
[ $? = 0 ] || { cat made; echo 'Bail out! the files of the examples cannot be made'; exit 1; }

# An 8-bit network that is no faster on this machine is not kept, which is an answer like another.
may_end() {
    [ "$1" = 0 ] || { [ "$1" = 1 ] && grep -q 'is not written: it is no faster' talk; }
}

for command in $(tenrec help | sed -n 's/^  \([a-z]*\) .*/\1/p' | grep -v '^tenrec$'); do
    rm -rf here && cp -al files here # every command finds them as they were; nothing is written but beside its name
    tenrec help "$command" | sed -n '/^Examples:/,$s/^  //p' >lines
    ok "$command has examples" "$([ -s lines ] || echo none)"
    while read -r line <&3; do
        tool=$(printf '%s\n' "$line" | sed -n 's/.*| \(jq\|man\) .*/\1/p')
        if [ -n "$tool" ] && ! command -v "$tool" >/dev/null; then
            skip "$line" "needs $tool"
            continue
        fi
        (cd here && bash -o pipefail -c "$line") >out 2>talk 3<&-
        code=$?
        ok "$line" "$(may_end $code || { echo "exit code $code"; cat talk; })"
    done 3<lines
done
finish
