#!/bin/sh
# export.sh - tenrec export, and weights that go back into a structure: checked before they are announced.
. "$(dirname "$0")/cli.sh"

run import classify.onnx -o c.tenrec --task image-classification --labels labels.txt
exits 0 'import'
run run c.tenrec photos/red.png -o want.npz
exits 0 'run'

# Out and back.
run export c.tenrec -o c.onnx
exits 0 'export as ONNX'
says talk 'max |difference| 0 of scale' 'is read back and run'
run run c.onnx photos/red.png -o got.npz --like torchvision
exits 0 'what was written runs'
for kind in pth safetensors npz; do
    run export c.tenrec -o w.$kind
    exits 0 "export as $kind"
    says talk 'equal in every bit when read back' 'is read back and compared'
    run info w.$kind
    exits 0 'info'
    says out 'weights without a structure' 'says that there is no structure'
    run run w.$kind --arch c.tenrec photos/red.png -o got.npz
    exits 0 'with a structure it runs'
    says talk 'and no others' 'every weight was found'
    is 'and answers the same' "$(cmp want.npz got.npz 2>&1)" ''
done
run info w.pth --json
exits 0 'info --json'
says out '"tensors"' 'lists tensors'
run import w.pth --arch c.tenrec -o again.tenrec
exits 0 'import with a structure'

# Keras, in both its forms.
for kind in keras h5; do
    run export c.tenrec -o k.$kind
    exits 0 "export as $kind"
    says talk 'when read back and run .within' 'is read back and run'
    run info k.$kind
    exits 0 'info'
    says out 'keras' 'knows whose it is'
done
run export add.onnx -o k.keras
exits 0 'two inputs into layers that merge them'
run export add.onnx -o k.h5
exits 3 'an operation that is no layer'
says talk 'write .keras instead of .h5, at size' 'is named, with what to do'

# Networks of the zoo, found by names and shapes.
run zoo new lenet5 classes=4 -o z.tenrec
exits 0 'a network of the zoo'
run export z.tenrec -o z.pth
exits 0 'its weights'
run info z.pth
says out 'fits +lenet5 with 4 classes' 'are known again'
run export z.pth --arch lenet5 -o z.pt
exits 0 'go into it by its name, and out as TorchScript'
says talk 'max .difference. 0 of scale' 'which answers the same'
run info z.pth --arch lenett
exits 2 'a name that is not there'
says talk 'did you mean "lenet5"' 'gets a suggestion'

# In another form.
run export c.tenrec -o old.onnx --opset 10 --rename x=pixels --rename logits=scores --shape 2x3x32x32 --fold
exits 0 'an old operator set, other names and sizes'
says talk 'output scores: max .difference.' 'is compared under the new names'
run info old.onnx --json
says out '"pixels"' 'the input has its new name'
run export c.tenrec -o raw.onnx --processing --opset 12
exits 0 'images prepared inside'
says talk 'output class: max .difference. 0' 'gives the class, too'
says talk 'resizing stays outside' 'says what stays outside'
run info raw.onnx
says out 'image  uint8' 'takes raw images'
run export c.tenrec -o c9.onnx --opset 9
exits 2 'an operator set too old'
run export c.tenrec -o c.onnx --rename nothing=x
exits 2 'a name that is not there'
says talk 'there is no input or output "nothing"' 'is told'
run export c.tenrec -o c.onnx --shape 1x3
exits 2 'a shape of another rank'

# What cannot be.
run export c.tenrec
exits 2 'export without -o'
run export c.tenrec -o c.gif
exits 2 'an ending that no format has'
says talk 'it can end in: ' 'says which there are'
run run w.pth photos/red.png
exits 3 'weights alone'
says talk '--arch' 'say what is wanting'
run run w.pth --arch add.onnx photos/red.png
exits 3 'a structure that is none of theirs'
says talk 'fit' 'is told'
run info w.pth --key ema
exits 2 'a part that is not there'
says talk 'no tensors below --key ema' 'is told'
printf '\200\002\212\012l\374\234F\371 j\250P\031.' >cut.pth
run info cut.pth
exits 3 'weights cut short'
run export c.tenrec -o cut.pth/w.pth
exits 2 'a folder that is none'
ok 'leaves nothing behind' "$(ls -A | grep part)"
finish
