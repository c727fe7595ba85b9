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
run bench segment.onnx --batch 0
exits 2 'a batch of nothing'
run bench wrong.onnx
exits 3 'a model that cannot be read'
finish
