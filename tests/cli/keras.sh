#!/bin/sh
# keras.sh - Keras models at the command line: two files as one model, what is refused, and what the user may map.
seeds=$(cd "$(dirname "$0")/../fuzz/corpus/keras" && pwd)
. "$(dirname "$0")/cli.sh"
cp "$seeds"/* .

run info layers.h5
exits 0 'info of an .h5'
says out 'input +conv2d_input  float32\[N,6,6,2\]' 'inputs are as Keras has them, channels last'
run info calls.keras
exits 0 'info of a .keras'
says out 'input +ids  int32\[N,5\]' 'whole numbers stay whole numbers'

run info images.json
exits 0 'an architecture alone'
says talk 'without weights' 'is told to have none'
run info images.json layers.h5
exits 3 'with the weights of another'
says talk 'layers.h5|the file holds no weights' 'it is refused'
run info layers.h5 images.json
exits 2 'the weights first'

run info lambda.json
exits 3 'a Lambda'
says talk 'layer l: a Lambda is Python code' 'is refused by name'
says talk 'lambda x: x' 'and its config is shown'
run info lambda.json --lambda l=relu6
exits 0 'a Lambda that is mapped'
run info lambda.json --lambda l=relu66
exits 2 'by an operation that there is not'
says talk 'no operation is called relu66' 'is told'
run info lambda.json --lambda relu6
exits 2 '--lambda without a layer'
run info lambda.json --lambda l=relu6 --lambda other=tanh
says talk '--lambda other: no layer is called so' 'a name that is no layer is told'

head -c 9000 layers.h5 >cut.h5
run info cut.h5
exits 3 'an .h5 cut short'
says talk 'cut.h5' 'is named'
finish
