#!/bin/sh
# zoo.sh - tenrec zoo: what there is, new packages of it, and networks of the zoo where a file is expected.
. "$(dirname "$0")/cli.sh"
run zoo new lenet -o x.tenrec
exits 2 'a network that is none'
says talk 'did you mean "lenet5"' 'what was meant'
run zoo new lenet5
exits 2 'no name for the package'
run zoo new lenet5 -o x.tenrec classes=none
exits 2 'a number of classes that is none'
run zoo new lenet5 -o x.tenrec input=28
exits 2 'an input that is none'
run zoo new unet_small -o x.tenrec input=3x30x32
exits 3 'an input that does not fit'
says talk 'multiples of 16' 'what would fit'
run zoo new lenet5 -o x.tenrec input=1xHxW
exits 3 'a product needs a known size'
ok 'nothing was written' "$(ls x.tenrec 2>/dev/null)"
run zoo list
exits 0 'the list'
says out '^resnet50 .*3x224x224' 'a row of it'
run zoo list --json
says out '"name": "vgg16_bn"' 'as JSON'
run zoo new lenet5 -o five.tenrec classes=5 --labels labels.txt
exits 0 'a new package'
says talk '5 labels for|4 labels for|parameters' 'its size is told'
run verify five.tenrec
exits 0 'it verifies'
run info five.tenrec
says out 'fc3.weight|image-classification' 'it is what it should be'
"$tenrec" zoo new digits -o a.tenrec seed=7 2>/dev/null
"$tenrec" zoo new digits -o b.tenrec seed=7 2>/dev/null
"$tenrec" zoo new digits -o c.tenrec seed=8 2>/dev/null
is 'a seed gives the same weights' "$(cmp a.tenrec b.tenrec 2>&1)" ''
ok 'another one others' "$(cmp -s a.tenrec c.tenrec && echo same)"
run show zoo:unet_small --input 1xHxW
exits 0 'a network with free sizes'
says out 'inc.double_conv.0.weight float32\[16,1,3,3\]' 'its parameters have names'
for layer in avgpool layer4 layer2.0 relu maxpool; do
    run score zoo:resnet18 photos/red.png --features $layer
    exits 0 "the layer $layer has the name it has in torchvision"
done
run show zoo:resnet18
last=$(sed -n 's/^  \(layer4[^ ]*\) .*/\1/p' out | tail -1)
is 'a block ends with what it gives' "$last" layer4.1.relu
run train model=zoo:lenet5 data=learn epochs=2 out=runs/zoo
exits 0 'a network of the zoo learns'
says talk 'answers with 4 classes' 'with the classes of the table'
finish
