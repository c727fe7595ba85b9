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
tried() { run bench classify.onnx --size 16 --seconds 0.05 --threads 1 --tune steps.json "$@"; }
kinds() { sed -n 's/.* tried for \([0-9]*\) kinds.*/\1/p' talk; }
tried
scoring=$(kinds)
tried --train
exits 0 'kernels of a step of training are tried'
ok 'which has more kinds of nodes than a forward pass' "$([ "$(kinds)" -gt "$scoring" ] || cat talk)"
echo '{"kernels": 5' >broken.json
run bench segment.onnx --size 10 --seconds 0.05 --recipe broken.json
exits 4 'a broken recipe'
echo '{}' >broken.json
run bench segment.onnx --size 10 --seconds 0.05 --recipe broken.json
exits 4 'a file that is no recipe'
run bench segment.onnx --size 10 --seconds 0.05 --recipe none.json
exits 1 'a recipe that is not there'
run bench segment.onnx --batch 0
exits 2 'a batch of nothing'
run bench wrong.onnx
exits 3 'a model that cannot be read'

# --- machines with less ---
run bench classify.onnx --size 16 --seconds 0.02 --precision bf16
exits 0 'bfloat16, whether there are instructions or not'
for isa in SSE41 AVX2 AVX512_CORE; do
    export ONEDNN_MAX_CPU_ISA=$isa
    run bench classify.onnx --size 16 --seconds 0.02
    exits 0 "no instructions beyond $isa"
    run bench classify.onnx --size 16 --seconds 0.02 --precision bf16
    exits 0 "bfloat16 with no instructions beyond $isa"
    says talk 'no instructions for bf16: it runs in float32' 'and a line about it'
    unset ONEDNN_MAX_CPU_ISA
done
if taskset -c 0 true 2>/dev/null; then
    taskset -c 0 "$tenrec" bench segment.onnx --size 10 --seconds 0.02 >out 2>talk
    says out 'threads +1 \(.*it may run on 1 processor' 'one processor, one thread'
fi
if (ulimit -v 450000 && "$tenrec" --version) >/dev/null 2>&1; then
    # a file whose weights are of no use where they lie: three bytes before them (a name, which the file's own replaces)
    run export zoo:resnet18 -o whole.onnx
    { printf '\022\001x' && cat whole.onnx; } >shifted.onnx
    run bench shifted.onnx --seconds 0.02 --json
    exits 0 'weights that are not aligned'
    ok 'are in memory once, as they are packed' "$(awk -F '[:,]' -v file="$(wc -c <shifted.onnx)" '
        $1 ~ /"(packed|peak|run)_bytes"/ { gsub(/[ "]/, "", $1); bytes[$1] = $2 }
        END {
            if (!bytes["peak_bytes"] || bytes["packed_bytes"] > 2 * file) print bytes["packed_bytes"] " bytes packed"
            if (bytes["peak_bytes"] > bytes["packed_bytes"] + bytes["run_bytes"] + 90e6)
                print bytes["peak_bytes"] " bytes at most, " bytes["packed_bytes"] " packed"
        }' out)"
fi
if (ulimit -v 450000 && "$tenrec" --version) >out 2>&1; then # sanitizers take more addresses than that
    (ulimit -v 450000 && exec "$tenrec" bench segment.onnx --size 4000 --seconds 0.02) >out 2>talk
    code=$?
    says talk 'needs [0-9.]+ MB of memory, [0-9.]+ MB are free' 'what a run needs and what there is, before it starts'
    exits 1 'too little memory'
    (ulimit -v 220000 && exec "$tenrec" bench zoo:resnet18 --seconds 0.02) >out 2>talk
    code=$?
    says talk 'weights take [0-9.]+ MB.*MB are free' 'what the weights take and what there is'
    exits 1 'too little memory for weights'
fi
finish
