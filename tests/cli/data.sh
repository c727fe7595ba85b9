#!/bin/sh
# data.sh - tenrec data: what inspect finds, what split, stats, show and synth make.
golden=$(cd "$(dirname "$0")/../golden/images" && pwd)
. "$(dirname "$0")/cli.sh"

run data inspect nowhere
exits 1 'a table that is not there'
run data inspct photos
exits 2 'a misspelt verb'
says talk 'did you mean "inspect"' 'gets a suggestion'
run data synth faces -o x
exits 2 'nobody draws faces'
run data split photos
exits 2 'a split without a folder'
run data split photos -o x --parts 1,-1
exits 2 'a negative share'

mkdir -p set/cat set/dog other
cp "$golden/color.bmp" set/cat/one.bmp
cp "$golden/color.bmp" set/dog/same.bmp
cp "$golden/orientation6.jpg" set/dog/turned.jpg
cp "$golden/lossy.webp" set/cat/named_wrong.png
printf 'no image' >set/cat/broken.jpg
: >set/cat/empty.png
cp "$golden/color.bmp" other/again.bmp
run data inspect set other
exits 0 'inspect'
says out '^set \(folder\): 6 rows' 'counts the rows'
says out 'unreadable  2' 'what is unreadable'
says out 'unreadable set/cat/empty.png: set/cat/empty.png: empty file' 'with its reason'
says out 'unreadable set/cat/broken.jpg: .*no image by its first bytes' 'and that of garbage'
says out 'duplicate  set/dog/same.bmp: the same bytes as set/cat/one.bmp, but of another class: cat' 'twins'
says out 'leak       other/again.bmp: the same bytes as set/cat/one.bmp of another split' 'what leaks'
says out 'leaks between the tables: 1' 'how often'
says out 'rotated    set/dog/turned.jpg' 'what lies on its side'
says out 'formats     .*WebP 1' 'formats by content, not by name'
says out 'classes     cat 4, dog 2' 'the classes'
mkdir -p round/a round/b
cp "$golden/color.bmp" round/a/one.bmp
ln -s .. round/b/back
ln -s ../a/one.bmp round/b/linked.bmp
ln -s nowhere.bmp round/b/lost.bmp
run data inspect round
exits 0 'a folder with a link that leads back up'
says out '^round \(folder\): 3 rows' 'whose files are there once'
run data split round -o parted
is 'a list of files keeps the names of links' "$(cat parted/*.csv | grep -c "^$PWD/round/b/\(linked\|lost\).bmp,b")" 2
run data inspect set --json
says out '"unreadable": 2' 'as JSON, too'

for kind in digits shapes scenes; do
    run data synth $kind -o $kind -n 30 --size 32
    exits 0 "synth $kind"
    run data synth $kind -o again -n 30 --size 32
    ok "the same seed draws the same $kind" "$(diff -r $kind again 2>&1)"
    rm -r again
done
run data synth digits -o again -n 30 --size 32 --seed 2
ok 'another seed draws others' "$(diff -r digits again >diff 2>&1 && echo they are equal)"
run data inspect digits
says out 'classes     0 3, 1 3, 2 3' 'digits are sorted into folders'
run data inspect scenes/table.csv
says out 'mask pixels 0 [0-9]+, 1 [0-9]+, 2 [0-9]+' 'scenes have masks'

run data split digits -o lists --parts 0.6,0.2,0.2
is 'a split in three' "$(cut -d: -f2 out | tr '\n' ' ')" ' 18 rows  6 rows  6 rows '
run data inspect lists/train.csv lists/val.csv lists/test.csv
says out 'leaks between the tables: 0' 'leaks nothing'
is 'and divides every class' "$(grep -c 'classes     0 [12], 1 [12], 2 [12]\|classes     [0-9] 1' out)" 3
cp -r lists before
run data split digits -o lists --parts 0.6,0.2,0.2
ok 'the same seed, the same split' "$(diff -r lists before 2>&1)"
run data split digits -o lists --parts 0.6,0.2,0.2 --seed 9
ok 'another seed, another split' "$(diff -r lists before >diff 2>&1 && echo they are equal)"

run data stats photos/red.png
exits 0 'stats'
says out 'mean: \[' 'has means'
run data show shapes/table.csv -o sheet.png -n 10 --across 5 --size 40
is 'a contact sheet' "$(cat out)" 'sheet.png: 230 x 92 pixels'
run data show set -o sheet.png
exits 0 'shows what can be read of it'
finish
