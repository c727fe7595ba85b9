#!/bin/sh
# bench.sh - tenrec bench: figures that are there, in order, and refusals.
. "$(dirname "$0")/cli.sh"

run bench segment.onnx --size 10 --seconds 0.1 --batch 2
exits 0 'a model'
says out 'input +x float32\[2,3,10,10\]' 'what it was measured with'
says out 'threads +[0-9]+ \(all this process may use' 'threads, and why'
says out 'p50 [0-9.]+ ms, p90 [0-9.]+ ms, p99' 'percentiles'
says out 'samples a second, batches of 2' 'throughput'
says out 'memory .*packed weights' 'memory'
run bench segment.onnx --size 10 --seconds 0.05 --threads 1 --nodes
exits 0 'with nodes'
says out 'threads +1 \(as told' 'threads as told'
says out '100\.0|Conv' 'a table of nodes'
run bench segment.onnx --size 10 --seconds 0.05 --nodes --json
exits 0 'as JSON'
says out '"p99_ms"' 'with percentiles'
says out '"kernel"' 'and nodes'
run bench classify.onnx --size 16 --batch 4 --seconds 0.05 --train --nodes
exits 0 'a step of training'
says out 'input +target int64\[4\]' 'with labels'
says out 'SGDUpdate' 'and updates'
run bench segment.onnx --size 10 --seconds 0.05 --threads 1 --tune recipe.json
exits 0 'kernels are tried'
says talk 'other kernels tried' 'and counted'
says recipe.json '"processor"' 'the recipe says for what it is'
run bench segment.onnx --size 10 --seconds 0.05 --recipe recipe.json
exits 0 'a recipe'
ok 'is followed without a word' "$(cat talk)"
sed 's/"processor": ".*"/"processor": "another"/' recipe.json >other.json
run bench segment.onnx --size 10 --seconds 0.05 --recipe other.json
exits 0 'a recipe of another machine'
is 'is ignored with one line' "$(cat talk)" 'tenrec: other.json is for another processor: ignored'
run bench add.onnx --seconds 0.05 --recipe recipe.json
says talk 'recipe.json is for another model: ignored' 'a recipe of another model'
echo '{"kernels": 5' >broken.json
run bench segment.onnx --size 10 --seconds 0.05 --recipe broken.json
exits 4 'a broken recipe'
echo '{}' >broken.json
run bench segment.onnx --size 10 --seconds 0.05 --recipe broken.json
exits 4 'a file that is no recipe'
run bench segment.onnx --size 10 --seconds 0.05 --recipe none.json
[ "$code" != 0 ] || echo 'not ok - a recipe that is not there'
run bench segment.onnx --batch 0
exits 2 'a batch of nothing'
run bench wrong.onnx
exits 3 'a model that cannot be read'
finish
