#!/bin/sh
# disk.sh - tenrec score where the disk is full or a database is locked: it is said, nothing is lost, and the same
# command goes on when there is room again.
. "$(dirname "$0")/cli.sh"
settings='--task image-classification --labels labels.txt --like torchvision --threads 1'
settings="$settings --set resize.size=16 --set center_crop.size=16 --columns label=species --metrics"

{
    echo 'image,species'
    i=0
    while [ $i -lt 1500 ]; do
        echo "photos/red.png,red"
        echo "photos/half.png,green"
        i=$((i + 2))
    done
} >rows.csv
run score classify.onnx rows.csv $settings -o whole.csv
exits 0 'with room enough'
size=$(wc -c <whole.csv)

# limited BYTES OUT [OPTIONS]: no file may grow beyond so many bytes.
limited() {
    (
        ulimit -f $(($1 / 512))
        "$tenrec" score classify.onnx rows.csv $settings -o "$2" $3 >out 2>talk </dev/null
    )
    code=$?
}
limited 4096 few.csv
exits 1 'no room for a piece'
says talk 'few.csv.parts/.*: cannot write: File too large' 'is said with its name'
ok 'and makes no table' "$(ls | grep '^few.csv$')"
run score classify.onnx rows.csv $settings -o few.csv
exits 0 'then there is room'
ok 'few.csv is what it would have been' "$(cmp whole.csv few.csv 2>&1)"

limited $((size / 2)) half.csv '--shard 1/2' # whose pieces are small, however slow the disk is
limited $((size / 2)) half.csv '--shard 2/2'
exits 1 'room for the pieces, none to join them'
says talk 'half.csv: cannot write: File too large' 'is said with its name'
ok 'the pieces stay, and nothing half-written' "$(ls -d half.csv* | grep -vx half.csv.parts)"
run score classify.onnx rows.csv $settings -o half.csv
says talk 'going on where an earlier run stopped, after 1500 rows' 'nothing is done twice'
ok 'half.csv is what it would have been' "$(cmp whole.csv half.csv 2>&1)"
ok 'so are its measures' "$(cmp whole.csv.metrics.json half.csv.metrics.json 2>&1)"

# A file system of so many kilobytes, in a name space of our own: `small KB COMMAND...`.
small() {
    kilobytes=$1
    shift
    unshare -m sh -c 'mount -t tmpfs -o size='"$kilobytes"'k none disk && "$@"; code=$?
        cp -r disk/. kept; exit $code' sh "$@"
}
mkdir disk kept
if [ "$(id -u)" = 0 ] && small 64 true 2>out; then
    for room in 100 200; do
        rm -rf kept && mkdir kept
        small $room "$tenrec" score classify.onnx rows.csv $settings -o disk/out.csv >out 2>talk </dev/null
        code=$?
        exits 1 "a disk of $room KB"
        says talk 'cannot write: No space left on device' 'is full, and that is said'
        ok 'there is no table on it' "$(ls kept | grep '^out.csv$')"
        small 8192 sh -c 'cp -r kept/. disk && exec "$@"' sh \
            "$tenrec" score classify.onnx rows.csv $settings -o disk/out.csv >out 2>talk </dev/null
        code=$?
        exits 0 'on a larger one the same command ends'
        says talk 'going on where an earlier run stopped' 'after going on'
        ok 'with the same table' "$(cmp whole.csv kept/out.csv 2>&1)"
    done
else
    skip 'a disk that is really full' 'no file system can be mounted here'
fi

if ! /usr/bin/python3 -c 'import sqlite3' 2>out; then
    skip 'a locked database' 'no python3 with sqlite3'
    finish
fi
cat >lock.py <<'END'
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
if sys.argv[2] == "make":
    db.execute("CREATE TABLE images (path TEXT, species TEXT)")
    db.executemany("INSERT INTO images VALUES (?, ?)", [("photos/red.png", "red"), ("photos/half.png", "green")])
else:
    db.execute("BEGIN EXCLUSIVE")
    open("locked", "w").close()
    time.sleep(float(sys.argv[2]))
END
# lock DATABASE SECONDS
lock() {
    rm -f locked
    /usr/bin/python3 lock.py "$1" "$2" &
    pid=$!
    while [ ! -e locked ]; do sleep 0.05; done
}
/usr/bin/python3 lock.py images.db make
lock images.db 60
run score classify.onnx images.db $settings -o from.csv
exits 1 'a database that is locked'
says talk 'images.db: another program has locked the database for 5 seconds' 'is waited for, then told'
kill $pid
lock images.db 1
run score classify.onnx images.db $settings -o from.csv
exits 0 'one that is free in time is read'
is 'whole' "$(wc -l <from.csv | tr -d ' ')" 3

run score classify.onnx images.db $settings -o images.db
exits 2 'results in the place of their source'
says talk 'would replace .*, which is read here' 'are refused'
cp images.db other.db
run score classify.onnx rows.csv $settings -o other.db
exits 2 'results in the place of somebody'"'"'s tables'
says talk 'other.db: is a database with a table "images", which would be lost' 'are refused before the first row'
ok 'and nothing has changed' "$(cmp images.db other.db 2>&1; ls -d other.db.parts 2>/dev/null)"
run score classify.onnx rows.csv $settings -o answers.db
exits 0 'a new database'
lock answers.db 60
run score classify.onnx rows.csv $settings -o answers.db
exits 1 'a database of results that somebody works on'
says talk 'answers.db: another program has locked the database for 5 seconds' 'is left to them'
kill $pid
run score classify.onnx rows.csv $settings -o answers.db
exits 0 'and replaced when they are done'
is 'by all rows' "$(/usr/bin/python3 -c '
import sqlite3
print(sqlite3.connect("answers.db").execute("SELECT count(*) FROM results").fetchone()[0])')" 1500
finish
