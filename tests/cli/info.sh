#!/bin/sh
# info.sh - tenrec info, the overview, and the help of every command.
. "$(dirname "$0")/cli.sh"

run info segment.onnx --size 10
exits 0 'a model'
says out 'input +x +float32\[N,3,H,W\]' 'its input'
says out 'parameters +8 \(32 B\)' 'its parameters'
says out 'MACs +600 for x\[1,3,10,10\]' 'its MACs, and for which shape'
says out 'memory +[0-9.]+ k?B for that run' 'its memory'
says out 'Conv +1 +8 +600' 'and its layers'
run info segment.onnx --size 10 --batch 3
says out 'MACs +1.8 k for x\[3,3,10,10\]' 'its MACs for a batch'
run info segment.onnx --plot graph.png
exits 2 'a picture under a name of another kind'
ok 'is not written' "$([ ! -e graph.png ] || echo graph.png)"
run info segment.onnx --input Nx3x4x5 --json
exits 0 'as JSON'
says out '"macs": 120' 'with a shape given'
says out '"measured_at"' 'that it names'
run segment.onnx
exits 0 'FILE alone informs'
says out 'Conv' 'the same way'
run add.onnx
says out 'output +product' 'a model without weights'
run info add.onnx --plot add.svg
ok 'a picture' "$(grep -q '</svg>' add.svg || echo 'not whole')"
is 'has a box for every node and port' "$(grep -c '<title>' add.svg)" 7
run info add.onnx --plot add.svg/add.svg
exits 2 'a picture that cannot be written'
run info wrong.onnx
exits 3 'a model that cannot be read'
head -c 60 classify.onnx >cut.onnx
run cut.onnx
exits 3 'a model cut short'

run nosuchfile
exits 2 'neither a command nor a file'
run scroe
says talk 'did you mean "score"' 'a misspelt command gets a suggestion'
run
exits 2 'nothing at all'
run help
exits 0 'help'
is 'names every command on a line of its own' "$(grep -c '^  [a-z]* *[A-Z]' out)" "$(grep -c '^  [a-z]' out)"
for command in $(sed -n 's/^  \([a-z]*\) .*/\1/p' out | grep -v '^tenrec$'); do
    "$tenrec" help "$command" >help 2>talk || echo "$command" >>silent
    grep -q "^tenrec $command" help || echo "$command" >>silent
    [ "$command" = ops ] || grep -q '^Examples:' help || echo "$command has no examples" >>silent
    "$tenrec" "$command" --help | cmp -s - help || echo "$command --help" >>silent
    "$tenrec" "$command" a.onnx --threads 1 -h | cmp -s - help || echo "$command, -h later" >>silent
    "$tenrec" "$command" --nosuchoption x >/dev/null 2>&1
    [ $? = 2 ] || echo "$command --nosuchoption" >>silent
done
ok 'every command has help with examples and refuses unknown options' "$(cat silent 2>/dev/null)"
run --version
says out '^tenrec [0-9]' '--version'
finish
