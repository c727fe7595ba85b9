#!/bin/sh
# demo.sh - from two model files of other frameworks to answers; needs a finished build.
set -eu
cd "$(dirname "$0")/.."
tenrec=${TENREC:-build/tenrec}
models=examples/demo
out=${OUT:-demo-out}
rm -rf "$out"
mkdir -p "$out"

# Says what it runs, then runs it.
say() { printf '\n%s\n' "$*"; }
show() {
    printf '  $ %s\n' "$*"
    "$@"
}

say '1. A segmentation network that PyTorch saved as TorchScript becomes a package (what had to be guessed is said).'
show "$tenrec" import $models/streets.pt -o "$out/streets.tenrec" --input Nx3xHxW --labels $models/streets.txt

say '2. A classifier that PyTorch exported to ONNX becomes one too: its pictures are resized to 64 x 64.'
show "$tenrec" import $models/shapes.onnx -o "$out/shapes.tenrec" --labels $models/shapes.txt \
    --preprocess $models/shapes.yaml

say '3. What is inside, and does it still agree with itself?'
show "$tenrec" info "$out/streets.tenrec"
show "$tenrec" verify "$out/streets.tenrec"
show "$tenrec" verify "$out/shapes.tenrec"

say '4. Street scenes are cut into sky, road, grass, car and tree: masks, and the pictures with the masks over them.'
show "$tenrec" score "$out/streets.tenrec" $models/streets -o "$out/streets.csv" --masks "$out/masks" \
    --overlays "$out/overlays"

say '5. Drawn shapes are named.'
show "$tenrec" score "$out/shapes.tenrec" $models/shapes -o "$out/shapes.csv"
cut -d, -f1-3 "$out/shapes.csv" | sed 's/^/    /'

say '6. By night the same network is lost. It learns from 32 scenes with masks; the scores before and after are told.'
show "$tenrec" train model="$out/streets.tenrec" data=$models/night.csv valid=$models/night_valid.csv \
    epochs=6 batch=4 lr=0.003 schedule=cosine flip_h=0.5 out="$out/night"
show "$tenrec" verify "$out/night/best.tenrec"

say "Look into $out/:"
echo "    night/           the run: curves.png, samples.png (image, mask, answer), results.csv, best.tenrec"
echo "    overlays/*.png   what the network saw in each street"
echo "    masks/*.png      the same as label maps, one palette entry a class"
echo "    streets.csv      the share of each class per picture"
echo "    shapes.csv       labels and scores, best first"
echo "    *.tenrec         the packages: unzip one, ONNX Runtime opens the folder as it is"
