#!/bin/sh
# hostile.sh - files that are no models, damaged or dangerous: exit code 3 and one line that says which file and why.
. "$(dirname "$0")/cli.sh"

# refused FILE PATTERN NAME: info ends with code 3 and one line on stderr that names the file and fits the pattern.
refused() {
    run info "$1"
    exits 3 "$3"
    says talk "^tenrec: .*$(basename "$1").*($2)" "$3: named, with the cause"
    is "$3: in one line" "$(wc -l <talk | tr -d ' ')" 1
}

run import classify.onnx -o good.tenrec --labels labels.txt
exits 0 'a package to damage'
head -c 700 good.tenrec >cut.tenrec
refused cut.tenrec 'zip' 'a truncated package'
head -c 100 classify.onnx >cut.onnx
refused cut.onnx 'cut|end|byte' 'a truncated ONNX file'
refused evil.pt 'system' 'a pickle that names system()'
refused outside.onnx '\.\./outside\.bin.*folder' 'external data outside the folder'
refused missing.onnx 'nowhere\.bin' 'external data that are not there'
refused cycle.onnx 'cycle|itself|order' 'a graph with a cycle'
refused bomb.tenrec 'compressed' 'a zip bomb'
printf '\377\330\377\340\0\020JFIF\0\001\001\0\0\001\0\001\0\0' >photo.jpg
refused photo.jpg 'not a model: an image' 'a JPEG'
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:00\n' >pointer.onnx
refused pointer.onnx 'git lfs pull' 'a pointer of Git LFS under the name of an ONNX model'
printf '<!DOCTYPE html><title>404</title>' >page.pt
refused page.pt 'a web page' 'a page that a download left'
: >empty.onnx
refused empty.onnx 'an empty file' 'an empty file'
mkdir folder
refused folder 'manifest.json' 'a directory'
refused /dev/null 'regular' '/dev/null'
if mkfifo pipe 2>/dev/null; then
    refused pipe 'regular' 'a pipe'
else
    skip 'a pipe' 'no pipes here'
fi

run info classify.onnx --jsno
exits 2 'a misspelt option'
says talk 'did you mean "--json"' 'gets a suggestion'
run imprt classify.onnx
exits 2 'a misspelt command'
cat >steps.yaml <<'END'
- op: resize
  size: 16
  interpolatoin: bilinear
END
run import classify.onnx -o x.tenrec --preprocess steps.yaml
exits 2 'a misspelt key of a step'
says talk 'did you mean "interpolation"' 'gets a suggestion'
printf -- '- op: resise\n  size: 16\n' >steps.yaml
run import classify.onnx -o x.tenrec --preprocess steps.yaml
exits 2 'a misspelt step'
says talk 'resize' 'gets a suggestion'
run import classify.onnx -o x.tenrec --set resize.sise=20
exits 2 'a misspelt parameter'
ok 'nothing was written' "$([ ! -e x.tenrec ] || echo x.tenrec)"
finish
