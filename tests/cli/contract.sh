#!/bin/sh
# contract.sh - preprocess, forward, postprocess: one sample alone, batches of any size and a stream that pauses give
# the same bits. The convolutional classifier of the demonstration is scored, with all digits of its scores.
demo=$(cd "$(dirname "$0")/../../examples/demo" && pwd)
. "$(dirname "$0")/cli.sh"

run import "$demo/shapes.onnx" -o shapes.tenrec --labels "$demo/shapes.txt"
exits 0 'the demonstration imports'
find "$demo/shapes" -name '*.png' | LC_ALL=C sort | head -11 >list
cat list | "$tenrec" score shapes.tenrec - --format jsonl >alone 2>talk
is 'eleven rows are answered' "$(wc -l <alone | tr -d ' ')" "$(wc -l <list | tr -d ' ')"
says alone '"score":0\.[0-9]{12}' 'with all digits'

# bits NAME FILE: the rows of FILE but for their number are those of `alone`.
bits() {
    sed 's/"row":[0-9]*,//' "$2" | LC_ALL=C sort >left
    sed 's/"row":[0-9]*,//' alone | LC_ALL=C sort >right
    ok "$1" "$(cmp left right 2>&1)"
}

for n in 2 3 4 8 16; do
    "$tenrec" score shapes.tenrec - --format jsonl --batch $n <list >many 2>talk
    bits "a batch of $n" many
done
tail -r list >turned 2>/dev/null || tac list >turned
"$tenrec" score shapes.tenrec - --format jsonl --batch 4 <turned >many 2>talk
bits 'other neighbours' many
{
    head -3 list
    sleep 1
    tail -n +4 list | head -6
    sleep 1
    tail -n +10 list
} | "$tenrec" score shapes.tenrec - --format jsonl --batch 4 >many 2>talk
bits 'a stream that pauses' many
: >many
while read -r photo; do
    "$tenrec" score shapes.tenrec "$photo" --format jsonl --batch 4 2>talk |
        sed 's,"path":"[^"]*","path":"'"$photo"'",' >>many
done <list
sed 's,"path":"[^"]*/,"path":",' many >m && mv m many
sed -i.old 's,"path":"[^"]*/,"path":",' alone
bits 'one by one, each in a batch of its own copies' many
mv alone.old alone
"$tenrec" score shapes.tenrec - --format jsonl --batch 4 --threads 1 <list >many 2>talk
bits 'another number of threads' many
"$tenrec" score "$demo/shapes.onnx" - --labels "$demo/shapes.txt" --format jsonl --batch 4 <list >many 2>talk
bits 'the file the package was made of' many
finish
