#!/bin/sh
# import.sh - tenrec import, verify and show: guesses are said, values overridden, damage found, nothing half-written.
. "$(dirname "$0")/cli.sh"

run import classify.onnx -o c.tenrec --task image-classification --labels labels.txt
exits 0 'import'
says talk 'guess: preprocess: as torchvision' 'what was guessed is said'
says talk 'guess: preprocess resize.size' 'the size, too'
is 'and stdout stays empty' "$(cat out)" ''
run import classify.onnx -o named.tenrec --task image-classification --like timm --input Nx3x32x32
is 'what is given is no guess' "$(grep -c 'guess: preprocess' talk)" 0
is 'the same file again gives the same bytes' "$("$tenrec" import classify.onnx -o again.tenrec \
    --task image-classification --labels labels.txt 2>/dev/null; cmp c.tenrec again.tenrec 2>&1)" ''
run run c.tenrec photos/red.png -o y.npy
exits 0 'run'
run run classify.onnx photos/red.png
says talk 'guess: preprocess' 'run says how it prepared an image'
printf '\223NUMPY\001\000v\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 1, 1), }" >x.npy
head -c 12 /dev/zero >>x.npy
run run classify.onnx x.npy
exits 0 'run with a tensor'
is 'guesses nothing' "$(cat talk)" ''
run import classify.onnx
exits 2 'import without -o'
says talk 'NAME.tenrec is missing' 'says what is missing'

# Values changed at import and at load.
run import classify.onnx -o s.tenrec --task image-classification --set resize.size=16 --set center_crop.size=12
exits 0 '--set at import'
run run s.tenrec photos/red.png --save-input seen.png
is 'holds in the package' "$(od -An -j16 -N8 -tu1 seen.png | tr -s ' ')" ' 0 0 0 12 0 0 0 12'
run run s.tenrec photos/red.png --save-input seen.png --set center_crop.size=9
is '--set at load is stronger' "$(od -An -j16 -N8 -tu1 seen.png | tr -s ' ')" ' 0 0 0 9 0 0 0 9'
run score s.tenrec photos --set top_k.k=1
exits 0 'score --set'
is 'reaches the postprocessing' "$(head -1 out)" 'path,label,score,class,error'
run score s.tenrec photos --set resize.sise=9
exits 2 'a misspelt parameter'
says talk 'did you mean "size"' 'gets a suggestion'
run score s.tenrec photos --set rezise.size=9
exits 2 'a step that is not there'
run score s.tenrec photos --set nonsense
exits 2 'an assignment that is none'
run score s.tenrec photos --task raw --tensors t
exits 0 '--task at load'
ok 'keeps the preprocessing of the package' "$(grep guess talk)"

# Labels.
printf 'a\nb\n' >two.txt
run import classify.onnx -o l.tenrec --task image-classification --labels labels.txt --label-length 2
exits 0 'labels of two characters'
is 'are cut' "$(unzip -p l.tenrec labels.txt | awk 'length($0) != 2')" ''
mkdir hub && cp classify.onnx hub/ && printf '{"id2label": {"0": "a", "1": "b", "2": "c", "3": "d"}}' >hub/config.json
run import hub/classify.onnx -o h.tenrec --task image-classification
says talk 'labels: hub/config.json, which lies beside' 'a config.json beside the model names the classes'
is 'and they are taken' "$(unzip -p h.tenrec labels.txt | tr -d '\n')" abcd
run import classify.onnx -o l.tenrec --task image-classification --labels two.txt
exits 0 'too few labels'
says talk 'warning: 2 labels for 4 classes' 'are a warning'
run score c.tenrec photos --labels two.txt
says talk 'warning: 2 labels for 4 classes' 'at load, too'

# Steps from a file.
cat >steps.yaml <<'END'
preprocess:
  - {op: decode, color_space: RGB}
  - op: resize
    size: 16
    interpolatoin: nearest
END
run import classify.onnx -o y.tenrec --preprocess steps.yaml
exits 2 'a misspelt key in YAML'
says talk 'steps.yaml:5:5: step 2 .*did you mean "interpolation"' 'has line, column and suggestion'
ok 'and leaves no package' "$([ ! -e y.tenrec ] || ls y.tenrec)"
sed -e 's/interpolatoin/interpolation/' -e 's/op: resize/op: resise/' steps.yaml >steps2.yaml
run import classify.onnx -o y.tenrec --preprocess steps2.yaml
says talk 'steps2.yaml:3:5: step 2 .*did you mean "resize"' 'so has a misspelt step'

# verify
run verify c.tenrec
exits 0 'verify'
says out 'model.safetensors +sha256 ok|model.onnx +sha256 ok' 'checks the files'
says out 'proved: self-consistency' 'and proves self-consistency by default'
says out 'made by tenrec' 'saying whose example it was'
run import classify.onnx -o bare.tenrec --self-example no
run verify bare.tenrec
says out 'only the checksums were proved' 'a package without an example'
run run add.onnx 1,2 3,4 -o outputs.npz
printf '\223NUMPY\001\000v\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }" >a.npy
printf '\000\000\200\077\000\000\000\100' >>a.npy
run run add.onnx a.npy a.npy -o outputs.npz
unzip -q -o outputs.npz
cp a.npy b.npy
zip -q -0 example.npz a.npy b.npy sum.npy product.npy 2>/dev/null
if [ -e example.npz ]; then
    run import add.onnx -o add.tenrec --example example.npz --made-by 'another program 1.0'
    exits 0 'an example of another program'
    run verify add.tenrec
    says out 'proved: fidelity' 'proves fidelity'
    run import other.onnx -o other.tenrec --example example.npz --made-by 'another program 1.0'
    run verify other.tenrec
    exits 1 'an example that the model does not give'
    says out 'OVER' 'is told with its difference'
    unzip -q other.tenrec -d lenient
    sed -i 's/"rtol": *[^,}]*/"rtol": 1e9/' lenient/manifest.json
    run verify lenient
    exits 1 'whatever tolerance its manifest asks for'
    says out 'tolerance of 1e\+09 is more than 0.02' 'and that is told'
else
    skip 'an example of another program' 'zip is not there'
fi
unzip -q c.tenrec -d folder
run verify folder
exits 0 'the unpacked package proves the same'
run verify folder --json
exits 0 'verify --json'
says out '"proved": true' 'says whether it was proved'
cp -r folder unlisted
sed 's/"files"/"filez"/' folder/manifest.json >unlisted/manifest.json
run verify unlisted
exits 1 'a package whose manifest lists no checksums'
says talk 'model.onnx has no checksum' 'the file is named'
run verify unlisted --json
exits 1 'and with --json'
says out '"proved": false' 'it is not proved'

# One byte flipped, in the package and in the folder.
flip() { # FILE OFFSET
    byte=$(od -An -j"$2" -N1 -tu1 "$1" | tr -d ' ')
    printf "\\$(printf %o $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
cp c.tenrec bad.tenrec
size=$(wc -c <folder/model.safetensors | tr -d ' ')
head=$(head -c 40 folder/model.safetensors | tail -c +9) # behind the length of the header
at=$(grep -aboF "$head" bad.tenrec | head -1 | cut -d: -f1)
flip bad.tenrec $((at - 8 + size - 3))
run verify bad.tenrec
exits 1 'one byte of the weights flipped'
says talk 'damaged: model.safetensors' 'the file is named'
flip folder/model.onnx 4
run verify folder
exits 1 'one byte of the graph flipped'
says talk 'damaged: model.onnx' 'is told as damage, readable or not'
rm folder/model.onnx
run verify folder
ok 'a file that is missing' "$([ $code != 0 ] || echo "exit code $code")"
says talk 'model.onnx' 'is named'

# Several inputs by name.
run import add.onnx -o two.tenrec
exits 0 'two inputs'
run run two.tenrec b=3,4 a=1,2
is 'are fed by name' "$(grep -A1 '^sum' out | tail -1 | tr -s ' ')" ' 4 6'
run verify two.tenrec
exits 0 'and verified'

# show
run show c.tenrec
says out 'Gemm' 'show prints the graph'
run show c.tenrec --plan --batch 4 --size 16
says out 'reference|dnnl' 'and the plan with its kernels'
run show c.tenrec --after nonsense
exits 2 'a pass that is not there'
says talk 'there are:' 'gets the list'

(
    ulimit -f 1 # 512 or 1024 bytes a file
    trap '' XFSZ
    "$tenrec" import classify.onnx -o full.tenrec 2>talk </dev/null
    echo $? >full.code
)
is 'a disk that is full' "$(cat full.code)" 1
is 'keeps no part of a package' "$(ls -a | grep full.tenrec)" ''
finish
